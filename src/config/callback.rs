//! `[callback]`: who may knock. Nium signs nothing, so these are the only locks there are.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use reqwest::header::HeaderName;

use super::address::range;
use super::problem::shown;
use super::reader::{Reader, Told};
use crate::secret::{Secret, SecretBytes};

/// Characters of the secret part of the path; shorter ones can be tried out.
const SECRET_PATH_CHARS: RangeInclusive<usize> = 6..=128;

/// Characters of a header's value.
const HEADER_VALUE_CHARS: RangeInclusive<usize> = 1..=1024;

/// Bytes of a signing key; 16 are the least that cannot be searched, 256 are four blocks of the hash.
const HMAC_SECRET_BYTES: RangeInclusive<usize> = 16..=256;

/// Who may knock; every lock that is set must open.
#[derive(Clone, Debug)]
pub struct Callback {
    /// A first segment of the path that only Nium was told.
    pub secret_path: Option<Secret>,
    /// Addresses that may call; empty lets every address in.
    pub allow_from: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A header with a fixed value, which Nium can be asked to send.
    pub static_header: Option<StaticHeader>,
    /// A signature by a gateway in front of us.
    pub hmac: Option<Hmac>,
}

/// A header and the values it may have, any of them, so that a value can be changed without a gap.
#[derive(Clone, Debug)]
pub struct StaticHeader {
    /// The header's name, in lower case.
    pub name: String,
    /// The values; never empty.
    pub values: Vec<Secret>,
}

/// A header with the hex HMAC-SHA256 of request target, newline and body, by any of several keys.
#[derive(Clone, Debug)]
pub struct Hmac {
    /// The header's name, in lower case.
    pub header: String,
    /// The keys; never empty.
    pub secrets: Vec<SecretBytes>,
}

impl Callback {
    /// Whether any lock is set.
    pub(super) fn is_locked(&self) -> bool {
        let everybody = |range: &IpNet| range.prefix_len() == 0;
        let by_address = !self.allow_from.is_empty() && !self.allow_from.iter().any(everybody);
        self.secret_path.is_some() || by_address || self.static_header.is_some() || self.hmac.is_some()
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<Callback, Told> {
    let secret_path = reader.optional("callback.secret_path", parse_secret_path);
    let allow_from = reader.list("callback.allow_from", range);
    let trusted_proxies = reader.list("callback.trusted_proxies", parse_proxy);
    let static_header = read_static_header(reader);
    let hmac = read_hmac(reader);
    if let (Ok(Some(one)), Ok(Some(other))) = (&static_header, &hmac)
        && one.name == other.header
    {
        reader.tell("callback.hmac_header", "is the same header as callback.static_header_name");
    }
    Ok(Callback {
        secret_path: secret_path?,
        allow_from: allow_from?,
        trusted_proxies: trusted_proxies?,
        static_header: static_header?,
        hmac: hmac?,
    })
}

fn read_static_header(reader: &mut Reader) -> Result<Option<StaticHeader>, Told> {
    const NAME: &str = "callback.static_header_name";
    const VALUES: &str = "callback.static_header_values";
    let name = reader.optional(NAME, parse_header_name);
    let values = reader.list(VALUES, parse_header_value);
    let pair = pair(reader, (NAME, name?), (VALUES, values?))?;
    Ok(pair.map(|(name, values)| StaticHeader { name, values }))
}

fn read_hmac(reader: &mut Reader) -> Result<Option<Hmac>, Told> {
    const HEADER: &str = "callback.hmac_header";
    const SECRETS: &str = "callback.hmac_secrets";
    let header = reader.optional(HEADER, parse_header_name);
    let secrets = reader.list(SECRETS, parse_hmac_secret);
    let pair = pair(reader, (HEADER, header?), (SECRETS, secrets?))?;
    Ok(pair.map(|(header, secrets)| Hmac { header, secrets }))
}

/// A name and its values: both, or neither.
fn pair<T>(
    reader: &mut Reader,
    (name_key, name): (&'static str, Option<String>),
    (values_key, values): (&'static str, Vec<T>),
) -> Result<Option<(String, Vec<T>)>, Told> {
    match (name, values.is_empty()) {
        (Some(name), false) => Ok(Some((name, values))),
        (None, true) => Ok(None),
        (Some(_), true) => {
            Err(reader.tell(values_key, format!("is missing: {name_key} would lock everybody out")))
        }
        (None, false) => {
            Err(reader.tell(name_key, format!("is missing: nothing would look at {values_key}")))
        }
    }
}

fn parse_secret_path(text: &str) -> Result<Secret, String> {
    /// First segments that have a meaning of their own, and could be guessed besides.
    const TAKEN: [&str; 4] = ["callback", "webhook", "correct", "readyz"];
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if !text.bytes().all(allowed) || !SECRET_PATH_CHARS.contains(&text.len()) {
        let (least, most) = (SECRET_PATH_CHARS.start(), SECRET_PATH_CHARS.end());
        return Err(format!("must be {least} to {most} letters, digits or . _ ~ - and no slash"));
    }
    if TAKEN.contains(&text) {
        return Err("must not be a word of the addresses themselves".to_owned());
    }
    Ok(Secret::from(text))
}

fn parse_proxy(text: &str) -> Result<IpNet, String> {
    let range = range(text)?;
    if range.prefix_len() == 0 {
        return Err("believes everybody: any caller could name any address as its own".to_owned());
    }
    Ok(range)
}

pub(super) fn parse_header_name(text: &str) -> Result<String, String> {
    HeaderName::from_bytes(text.as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|_| format!("must be the name of a header, not {}", shown(text)))
}

/// Spaces are allowed inside, as in `Basic …`, but not around, where a proxy would take them away.
fn parse_header_value(text: &str) -> Result<Secret, String> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !printable || text.trim() != text || !HEADER_VALUE_CHARS.contains(&text.len()) {
        let (least, most) = (HEADER_VALUE_CHARS.start(), HEADER_VALUE_CHARS.end());
        return Err(format!("must be {least} to {most} characters of printable ASCII without spaces around"));
    }
    Ok(Secret::from(text))
}

fn parse_hmac_secret(text: &str) -> Result<SecretBytes, String> {
    let secret = SecretBytes::from_base64(text).ok_or("is not base64")?;
    if !HMAC_SECRET_BYTES.contains(&secret.expose().len()) {
        let (least, most) = (HMAC_SECRET_BYTES.start(), HMAC_SECRET_BYTES.end());
        return Err(format!("must be base64 of {least} to {most} bytes, not of {}", secret.expose().len()));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_path_is_one_segment() {
        for text in ["s3cret", "A-b_c.d~9", &"x".repeat(128)] {
            assert!(parse_secret_path(text).is_ok(), "{text}");
        }
        for text in
            ["short", "with/slash", "with space", "webhook", "callback", "per%20cent", &"x".repeat(129)]
        {
            let why = parse_secret_path(text).unwrap_err();
            assert!(!why.contains(text), "{why}");
        }
    }

    #[test]
    fn header_names_are_kept_in_lower_case() {
        assert_eq!(parse_header_name("X-Nium-Key").as_deref(), Ok("x-nium-key"));
        assert!(parse_header_name("X Nium").is_err() && parse_header_name("").is_err());
    }

    #[test]
    fn a_header_value_arrives_as_it_was_sent() {
        assert!(parse_header_value("Basic bml1bTpudXRz").is_ok());
        for text in ["", " padded ", "line\nend", "caffè"] {
            assert!(parse_header_value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_may_be_a_proxy_for_everybody() {
        assert!(parse_proxy("0.0.0.0/0").is_err() && parse_proxy("::/0").is_err());
        assert!(parse_proxy("10.0.0.0/8").is_ok());
    }

    #[test]
    fn a_signing_key_has_16_bytes_at_least() {
        assert!(parse_hmac_secret("MDEyMzQ1Njc4OWFiY2RlZg==").is_ok());
        assert!(parse_hmac_secret("MDEyMzQ1Njc4OWFiY2Rl").unwrap_err().contains("not of 15"));
        assert!(parse_hmac_secret("not base64!").unwrap_err().contains("is not base64"));
    }
}
