//! `[notify]`: where the app backend is told what happened, and how customers are. `[notify.webhook]` is the endpoint called
//! `default`; `[[notify.endpoints]]` are more of them, each with its own filter and secrets.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::address::{is_plain_abroad, is_private, web_url};
use super::email::{self, Email};
use super::layers::secrets_in;
use super::problem::shown;
use super::reader::{Reader, Told};
use super::tables::{self, Table, keep, maybe_text, text, texts};
use crate::domain::effect::{DESTINATION_CHARS_MAX, Event};
use crate::secret::Secret;

/// How a Standard Webhooks secret begins.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a signing secret, as Standard Webhooks has it.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// Milliseconds for one delivery; a receiver that needs longer should answer first and work afterwards.
const TIMEOUT_MS: RangeInclusive<u64> = 100..=60_000;

/// Hours of failure after which an endpoint is disabled: before anything for it would be given up.
const DISABLE_AFTER_HOURS: RangeInclusive<u64> = 1..=72;

/// Endpoints; each has connections and seats of its own.
const ENDPOINTS_MAX: usize = 16;

/// Milliseconds for one delivery to an endpoint that does not say.
const TIMEOUT_MS_USUAL: u64 = 15_000;

/// The name of the endpoint that `[notify.webhook]` is.
const DEFAULT: &str = "default";

const ENDPOINTS: &str = "notify.endpoints";

/// Who is told what happened.
#[derive(Clone, Debug)]
pub struct Notify {
    /// How long an endpoint may fail before it is disabled.
    pub disable_after: Duration,
    /// The app backend's webhook, the endpoint called `default`; `None` is none.
    pub webhook: Option<Webhook>,
    /// More endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The mail server; `None` writes to no customer.
    pub email: Option<Email>,
}

/// One endpoint: a receiver with a name, and what it wants to hear of.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name: 1 to 32 small letters, digits and hyphens, nobody else's.
    pub name: String,
    /// What it wants; nothing means everything.
    pub events: Vec<Event>,
    /// Where and how it is told.
    pub webhook: Webhook,
}

impl Notify {
    /// Every endpoint, `default` first.
    #[must_use]
    pub fn all(&self) -> Vec<Endpoint> {
        let named = |webhook: &Webhook| Endpoint {
            name: DEFAULT.to_owned(),
            events: Vec::new(),
            webhook: webhook.clone(),
        };
        self.webhook.iter().map(named).chain(self.endpoints.iter().cloned()).collect()
    }
}

/// A receiver of Standard Webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where events are posted.
    pub url: String,
    /// The signing secrets, `whsec_` included; never empty, and all sign.
    pub secrets: Vec<Secret>,
    /// Whether the receiver may be at a private or loopback address.
    pub allow_private: bool,
    /// How long one delivery may take.
    pub timeout: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Result<Notify, Told> {
    let disable_after = reader.whole("notify.disable_after_hours", &DISABLE_AFTER_HOURS);
    let webhook = read_webhook(reader);
    let email = email::read(reader);
    let taken: &[&str] = if matches!(webhook, Ok(None)) { &[] } else { &[DEFAULT] };
    let endpoints =
        tables::each(reader, ENDPOINTS, "endpoint", taken, read_endpoint, |endpoint| &endpoint.name);
    let endpoints = endpoints?;
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(reader.tell(ENDPOINTS, format!("has more than {ENDPOINTS_MAX} endpoints")));
    }
    Ok(Notify {
        disable_after: Duration::from_hours(disable_after?),
        webhook: webhook?,
        endpoints,
        email: email?,
    })
}

fn read_webhook(reader: &mut Reader) -> Result<Option<Webhook>, Told> {
    const URL: &str = "notify.webhook.url";
    const SECRETS: &str = "notify.webhook.secrets";
    let allow_private = reader.flag("notify.webhook.allow_private");
    // While that switch itself is unreadable, the address is not held against it.
    let url = reader.optional(URL, |text| parse_url(text, allow_private.unwrap_or(true)));
    let secrets = reader.list(SECRETS, parse_secret);
    let timeout = reader.millis("notify.webhook.timeout_ms", &TIMEOUT_MS);
    let (url, secrets, allow_private, timeout) = (url?, secrets?, allow_private?, timeout?);
    match (url, secrets.is_empty()) {
        (Some(url), false) => Ok(Some(Webhook { url, secrets, allow_private, timeout })),
        (None, true) => Ok(None),
        (Some(_), true) => {
            let hint = "make one: echo whsec_$(openssl rand -base64 32)";
            Err(reader.tell_with_hint(SECRETS, format!("is missing: {URL} needs a signing secret"), hint))
        }
        (None, false) => Err(reader.tell(URL, format!("is missing: nothing would be signed with {SECRETS}"))),
    }
}

/// One endpoint; every fault of it is collected, and `None` means that there was one.
fn read_endpoint(table: &Table, faults: &mut Vec<String>) -> Option<Endpoint> {
    const KEYS: [&str; 7] =
        ["name", "url", "secrets", "secrets_file", "events", "allow_private", "timeout_ms"];
    tables::only(table, &KEYS, "an endpoint", faults);
    let name = keep(faults, text(table, "name").and_then(|text| tables::name(text, DESTINATION_CHARS_MAX)));
    let allow_private = keep(faults, tables::flag(table, "allow_private"));
    let url = text(table, "url").and_then(|text| {
        // While that switch itself is unreadable, the address is not held against it.
        parse_url(text, allow_private.unwrap_or(true)).map_err(|why| format!("has a url that {why}"))
    });
    let url = keep(faults, url);
    let secrets = keep(faults, read_secrets(table));
    let events = keep(faults, texts(table, "events").and_then(|words| parse_events(&words)));
    let timeout = keep(faults, tables::whole(table, "timeout_ms", &TIMEOUT_MS, TIMEOUT_MS_USUAL));
    let webhook = Webhook {
        url: url?,
        secrets: secrets?,
        allow_private: allow_private?,
        timeout: Duration::from_millis(timeout?),
    };
    Some(Endpoint { name: name?, events: events?, webhook })
}

/// The secrets of an endpoint: written there, or one a line in a file. No message shows one.
fn read_secrets(table: &Table) -> Result<Vec<Secret>, String> {
    let written = texts(table, "secrets")?;
    let secrets: Vec<Result<Secret, String>> = match (maybe_text(table, "secrets_file")?, written.as_slice())
    {
        (Some(_), [_, ..]) => return Err("has both secrets and secrets_file; keep one of the two".to_owned()),
        (Some(file), []) => {
            let lines = secrets_in(Path::new(file.trim())).map_err(|why| format!("as secrets_file {why}"))?;
            lines.iter().map(|line| parse_secret(line)).collect()
        }
        (None, written) => written.iter().map(|text| parse_secret(text)).collect(),
    };
    if secrets.is_empty() {
        return Err("has no signing secret; make one: echo whsec_$(openssl rand -base64 32)".to_owned());
    }
    let numbered = (1..).zip(secrets);
    numbered
        .map(|(number, secret)| secret.map_err(|why| format!("has a secret ({number}) that {why}")))
        .collect()
}

fn parse_events(words: &[&str]) -> Result<Vec<Event>, String> {
    let find = |word: &&str| {
        let found = Event::parse(word);
        found.ok_or_else(|| format!("has the event {}; README.md lists them", shown(word)))
    };
    words.iter().map(find).collect()
}

fn parse_url(text: &str, allow_private: bool) -> Result<String, String> {
    let url = web_url(text)?;
    if is_plain_abroad(&url) {
        return Err("must begin with https://: plain http is for this machine only".to_owned());
    }
    if is_private(&url) && !allow_private {
        return Err(
            "names a private or loopback place; allow_private = true beside it allows that".to_owned()
        );
    }
    Ok(url.into())
}

fn parse_secret(text: &str) -> Result<Secret, String> {
    let rest = text.strip_prefix(SECRET_PREFIX).ok_or("must begin with whsec_")?;
    let bytes = STANDARD.decode(rest).map(Zeroizing::new).map_err(|_| "must be base64 after whsec_")?;
    if !SECRET_BYTES.contains(&bytes.len()) {
        let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
        return Err(format!(
            "must be base64 of {least} to {most} bytes after whsec_, not of {}",
            bytes.len()
        ));
    }
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine_and_needs_a_word() {
        assert!(parse_url("https://app.example.test/hooks?tenant=a", false).is_ok());
        assert!(parse_url("http://app.example.test", true).unwrap_err().contains("https://"));
        for text in ["http://localhost:3000/hooks", "https://10.0.0.8/hooks"] {
            assert!(parse_url(text, true).is_ok());
            assert!(parse_url(text, false).unwrap_err().contains("allow_private"));
        }
    }

    #[test]
    fn a_signing_secret_is_as_standard_webhooks_has_it() {
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(parse_secret(&secret(24)).is_ok() && parse_secret(&secret(64)).is_ok());
        assert!(parse_secret(&secret(23)).unwrap_err().contains("not of 23"));
        assert!(parse_secret(&secret(65)).is_err());
        assert!(parse_secret("sesame").unwrap_err().contains("whsec_"));
        assert!(parse_secret("whsec_*").unwrap_err().contains("base64"));
    }
}
