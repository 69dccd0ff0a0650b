//! `[notify.webhook]`: where the app backend is told what happened.

use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::address::{is_plain_abroad, is_private, web_url};
use super::reader::{Reader, Told};
use crate::secret::Secret;

/// How a Standard Webhooks secret begins.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a signing secret, as Standard Webhooks has it.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// Milliseconds for one delivery; a receiver that needs longer should answer first and work afterwards.
const TIMEOUT_MS: RangeInclusive<u64> = 100..=60_000;

/// Who is told what happened.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The app backend's webhook; `None` tells nobody.
    pub webhook: Option<Webhook>,
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
    const URL: &str = "notify.webhook.url";
    const SECRETS: &str = "notify.webhook.secrets";
    let allow_private = reader.flag("notify.webhook.allow_private");
    // While that switch itself is unreadable, the address is not held against it.
    let url = reader.optional(URL, |text| parse_url(text, allow_private.unwrap_or(true)));
    let secrets = reader.list(SECRETS, parse_secret);
    let timeout = reader.millis("notify.webhook.timeout_ms", &TIMEOUT_MS);
    let (url, secrets, allow_private, timeout) = (url?, secrets?, allow_private?, timeout?);
    let webhook = match (url, secrets.is_empty()) {
        (Some(url), false) => Some(Webhook { url, secrets, allow_private, timeout }),
        (None, true) => None,
        (Some(_), true) => {
            let hint = "make one: echo whsec_$(openssl rand -base64 32)";
            return Err(reader.tell_with_hint(
                SECRETS,
                format!("is missing: {URL} needs a signing secret"),
                hint,
            ));
        }
        (None, false) => {
            return Err(reader.tell(URL, format!("is missing: nothing would be signed with {SECRETS}")));
        }
    };
    Ok(Notify { webhook })
}

fn parse_url(text: &str, allow_private: bool) -> Result<String, String> {
    let url = web_url(text)?;
    if is_plain_abroad(&url) {
        return Err("must begin with https://: plain http is for this machine only".to_owned());
    }
    if is_private(&url) && !allow_private {
        return Err(
            "names a private or loopback place; notify.webhook.allow_private = true allows that".to_owned()
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
