//! `[notify.email]`: the mail server through which customers are written to.

use std::ops::RangeInclusive;
use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::Url;

use super::address::is_loopback;
use super::problem::shown;
use super::reader::{Reader, Told};
use crate::secret::Secret;

/// Milliseconds for one message; mail servers that look at messages as they come are slow.
const TIMEOUT_MS: RangeInclusive<u64> = 1_000..=120_000;

/// Largest certificate file, in bytes.
const AUTHORITY_BYTES_MAX: usize = 1024 * 1024;

/// How the connection to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything is said.
    StartTls,
    /// None; towards this machine alone.
    Plain,
}

/// A mail server, and who writes.
#[derive(Clone, Debug)]
pub struct Email {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub security: SmtpSecurity,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// An authority of the client's own, as PEM.
    pub authority: Option<Vec<u8>>,
    /// Who writes.
    pub from: String,
    /// How long one message may take.
    pub timeout: Duration,
}

struct Server {
    host: String,
    port: u16,
    security: SmtpSecurity,
    credentials: Option<(String, Secret)>,
}

pub(super) fn read(reader: &mut Reader) -> Result<Option<Email>, Told> {
    const SERVER: &str = "notify.email.smtp_url";
    const FROM: &str = "notify.email.from";
    let server = reader.optional(SERVER, parse_server);
    let from = reader.optional(FROM, |text| {
        let is_address = text.parse::<Mailbox>().is_ok();
        let hint = "must be an address, or a name and an address: Example <kyc@example.com>";
        if is_address { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
    });
    let authority = reader.optional("notify.email.ca_file", read_authority);
    let timeout = reader.millis("notify.email.timeout_ms", &TIMEOUT_MS);
    let (server, from, authority, timeout) = (server?, from?, authority?, timeout?);
    match (server, from) {
        (Some(Server { host, port, security, credentials }), Some(from)) => {
            Ok(Some(Email { host, port, security, credentials, authority, from, timeout }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(reader.tell(FROM, format!("is missing: {SERVER} needs somebody who writes"))),
        (None, Some(_)) => Err(reader.tell(SERVER, format!("is missing: {FROM} needs a mail server"))),
    }
}

fn parse_server(text: &str) -> Result<Server, String> {
    // Messages here never show the text, which holds a password.
    let url = Url::parse(text).map_err(|error| format!("is not an address: {error}"))?;
    let (standard, mut security) = match url.scheme() {
        "smtps" => (465, SmtpSecurity::Tls),
        "smtp" => (587, SmtpSecurity::StartTls),
        _ => return Err("must begin with smtps:// (TLS) or smtp:// (STARTTLS)".to_owned()),
    };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no server")?;
    match (url.query(), security) {
        (None, _) => {}
        (Some("tls=none"), SmtpSecurity::StartTls) => {
            let here = Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url));
            if !here {
                return Err("has tls=none, which is for a mail server on this machine only".to_owned());
            }
            security = SmtpSecurity::Plain;
        }
        (Some(_), _) => return Err("may have no parameter but tls=none, and that only as smtp://".to_owned()),
    }
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("must have nothing after the server and its port".to_owned());
    }
    let decoded = |text: &str| {
        let escaped = text.replace('+', "%2B").replace('&', "%26");
        let pairs = format!("x={escaped}");
        reqwest::Url::parse(&format!("http://x/?{pairs}"))
            .ok()
            .and_then(|url| url.query_pairs().next().map(|(_, value)| value.into_owned()))
            .unwrap_or_default()
    };
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => {
            Some((decoded(user), Secret::from(decoded(password).as_str())))
        }
        _ => return Err("must have a user and a password, or neither".to_owned()),
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok(Server { host, port: url.port().unwrap_or(standard), security, credentials })
}

fn read_authority(path: &str) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path)
        .map_err(|error| format!("names a file that cannot be read, {}: {error}", shown(path)))?;
    let is_pem = pem.len() <= AUTHORITY_BYTES_MAX && pem.windows(11).any(|window| window == b"-----BEGIN ");
    if is_pem { Ok(pem) } else { Err("names a file that is no certificate in PEM".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse_server(text).err().unwrap_or_default()
    }

    #[test]
    fn a_server_is_reached_privately_or_on_this_machine() {
        let server = parse_server("smtps://mail.example.test").unwrap();
        assert_eq!((server.port, server.security), (465, SmtpSecurity::Tls));
        let server = parse_server("smtp://us%40er:p%2Bss+w@mail.example.test:2525").unwrap();
        assert_eq!((server.port, server.security), (2525, SmtpSecurity::StartTls));
        let (user, password) = server.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("us@er", "p+ss+w"));
        let server = parse_server("smtp://a&b:p&ss%26w@mail.example.test").unwrap();
        let (user, password) = server.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("a&b", "p&ss&w"));
        assert_eq!(parse_server("smtp://[::1]:25?tls=none").unwrap().security, SmtpSecurity::Plain);
        assert!(refused("smtp://mail.example.test?tls=none").contains("this machine only"));
        assert!(refused("smtp://mail.example.test?tls=maybe").contains("no parameter"));
        assert!(refused("smtps://localhost?tls=none").contains("no parameter"));
        assert!(refused("http://mail.example.test").contains("smtps://"));
        assert!(refused("smtp://user@mail.example.test").contains("a password"));
        assert!(refused("smtp://mail.example.test/x").contains("nothing after"));
        assert!(!refused("smtp://user:sesame@[bad").contains("sesame"));
    }
}
