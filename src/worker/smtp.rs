//! One message to the mail server. The conversation is held step by step, since what a refusal means depends on what it
//! answers: to a recipient it is that customer's affair; to anything else it is the server's or ours, and parks nobody.
//!
//! A connection is private before a password, an address or a word of a message is said, or nothing is said.

use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use zeroize::Zeroizing;

/// How long a good-bye may take; the message has been taken then, whatever comes of it.
const QUIT_WAIT: Duration = Duration::from_secs(2);

/// How the connection to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (`smtps://`).
    Tls,
    /// TLS before anything is said (`smtp://`, STARTTLS).
    StartTls,
    /// None: towards this machine alone.
    Plain,
}

/// A mail server, and how it is spoken to.
pub(super) struct Server {
    host: String,
    port: u16,
    privacy: Privacy,
    credentials: Option<Credentials>,
    limit: Duration,
}

enum Privacy {
    Wrapped(TlsParameters),
    Upgraded(TlsParameters),
    Open,
}

/// Why a message was not taken. The server's own words may repeat the address: only its code is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nothing will ever reach this address.
    Address(String),
    /// The server is in trouble, or ours is.
    Trouble(String),
}

impl Server {
    /// A server; `authority` is one beside those of the system.
    pub(super) fn new(
        (host, port): (&str, u16),
        security: Security,
        authority: Option<&[u8]>,
        credentials: Option<&(String, Zeroizing<String>)>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let mut tls = TlsParameters::builder(host.to_owned());
        if let Some(pem) = authority {
            tls = tls.add_root_certificate(Certificate::from_pem(pem)?);
        }
        let privacy = match security {
            Security::Tls => Privacy::Wrapped(tls.build()?),
            Security::StartTls => Privacy::Upgraded(tls.build()?),
            Security::Plain => Privacy::Open,
        };
        let credentials =
            credentials.map(|(user, password)| Credentials::new(user.clone(), password.to_string()));
        Ok(Self { host: host.to_owned(), port, privacy, credentials, limit })
    }

    /// Hands a message over, within the server's time.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Refused> {
        let late = || Refused::Trouble("the mail server did not answer in time".to_owned());
        let mut connection =
            tokio::time::timeout(self.limit, self.hand_over(message)).await.map_err(|_| late())??;
        // Taken is taken: a good-bye that is not answered must not bring the message again.
        let _ = tokio::time::timeout(QUIT_WAIT, connection.quit()).await;
        Ok(())
    }

    /// Connects and logs in, and says nothing else. The error is a sentence.
    pub(super) async fn knock(&self) -> Result<(), String> {
        let late = || Refused::Trouble("the mail server did not answer in time".to_owned());
        let known = tokio::time::timeout(self.limit, self.connect()).await;
        match known.map_err(|_| late()).and_then(|known| known) {
            Ok(mut connection) => {
                let _ = tokio::time::timeout(QUIT_WAIT, connection.quit()).await;
                Ok(())
            }
            Err(Refused::Address(why) | Refused::Trouble(why)) => Err(why),
        }
    }

    async fn hand_over(&self, message: &Message) -> Result<AsyncSmtpConnection, Refused> {
        let mut connection = self.connect().await?;
        let envelope = message.envelope();
        let text = message.formatted();
        let mut options = Vec::new();
        if !envelope.to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let why = "the mail server takes no address with letters beyond ASCII";
                return Err(Refused::Address(why.to_owned()));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let sender = Mail::new(envelope.from().cloned(), options);
        connection.command(sender).await.map_err(|error| trouble(&error, "takes no mail from us"))?;
        for to in envelope.to() {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            connection.command(recipient).await.map_err(|error| recipient_refused(&error))?;
        }
        connection.command(Data).await.map_err(|error| message_refused(&error))?;
        connection.message(&text).await.map_err(|error| message_refused(&error))?;
        Ok(connection)
    }

    /// A private connection on which we are known.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Refused> {
        let hello = ClientId::default();
        let wrapped = match &self.privacy {
            Privacy::Wrapped(tls) => Some(tls.clone()),
            Privacy::Upgraded(_) | Privacy::Open => None,
        };
        let server = (self.host.as_str(), self.port);
        let connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.limit), &hello, wrapped, None).await;
        let mut connection = connection.map_err(|error| trouble(&error, "does not want to talk to us"))?;
        if let Privacy::Upgraded(tls) = &self.privacy {
            if !connection.can_starttls() {
                return Err(Refused::Trouble("the mail server offers no STARTTLS".to_owned()));
            }
            let upgraded = connection.starttls(tls.clone(), &hello).await;
            upgraded.map_err(|error| trouble(&error, "does not go on under STARTTLS"))?;
        }
        if let Some(credentials) = &self.credentials {
            let known = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            known.map_err(|error| {
                if error.is_client() {
                    Refused::Trouble("the mail server knows no login of ours (PLAIN, LOGIN)".to_owned())
                } else {
                    trouble(&error, "refused our user and password")
                }
            })?;
        }
        Ok(connection)
    }
}

/// Trouble, in words that say where.
fn trouble(error: &Error, where_refused: &str) -> Refused {
    Refused::Trouble(match error.status() {
        Some(code) if error.is_transient() => format!("the mail server asks to come again ({code})"),
        Some(code) => format!("the mail server {where_refused} ({code})"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if is_about_trust(error) => "the mail server's certificate is not trusted".to_owned(),
        None => "the mail server could not be reached, or broke off".to_owned(),
    })
}

/// Whether TLS itself failed; while a stream is upgraded that comes as an error of the stream.
fn is_about_trust(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if found.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        // An error of a stream hides what it was made of from `source`.
        let inner = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some()) {
            return true;
        }
        cause = found.source();
    }
    error.is_tls()
}

fn recipient_refused(error: &Error) -> Refused {
    match error.status().map(|code| code.to_string()) {
        Some(code) if error.is_permanent() && means_the_address(&code, &words_of(error)) => {
            Refused::Address(format!("the mail server refused the address for good ({code})"))
        }
        _ => trouble(error, "does not pass mail on"),
    }
}

/// Some servers look the recipient up only when they have the whole message.
fn message_refused(error: &Error) -> Refused {
    match error.status().map(|code| code.to_string()) {
        Some(code) if error.is_permanent() && enhanced(&words_of(error)).is_some_and(is_of_address) => {
            Refused::Address(format!("the mail server refused the address for good ({code})"))
        }
        _ => trouble(error, "refused the message"),
    }
}

fn words_of(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// Whether a recipient was refused for what it is, and not for who asked. The enhanced code (RFC 3463) says so where there
/// is one; servers that put off refusing a sender do it here.
fn means_the_address(code: &str, words: &str) -> bool {
    match enhanced(words) {
        // "Access denied" is what a large provider says of users whom it does not have.
        Some(detail) => is_of_address(detail) || detail == (4, 1),
        // Mailbox unavailable, not local, too full for good, name not allowed, no such user (RFC 5321, 4.2.3).
        None => ["550", "551", "552", "553", "556"].contains(&code),
    }
}

/// Subject and detail of an enhanced code that is about the recipient; 7 and 8 are about the sender's address.
fn is_of_address((subject, detail): (u16, u16)) -> bool {
    subject == 2 || subject == 1 && !matches!(detail, 7 | 8)
}

/// Subject and detail of the enhanced code at the beginning of a server's words.
fn enhanced(words: &str) -> Option<(u16, u16)> {
    let code = words.split_whitespace().next()?;
    let mut numbers = code.strip_prefix("5.")?.split('.').map(str::parse::<u16>);
    match (numbers.next()?, numbers.next()?, numbers.next()) {
        (Ok(subject), Ok(detail), None) => Some((subject, detail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounce_is_told_from_a_refusal_of_ours() {
        for (code, words) in [
            ("550", "5.1.1 no such user"),
            ("550", "no such user here"),
            ("552", "5.2.2 over quota"),
            ("554", "5.1.6 moved away"),
            ("550", "5.4.1 recipient address rejected: access denied"),
            ("553", ""),
        ] {
            assert!(means_the_address(code, words), "{code} {words}");
        }
        for (code, words) in [
            ("550", "5.7.1 relaying denied"),
            ("554", "relay access denied"),
            ("550", "5.1.8 sender's domain not found"),
            ("553", "5.7.1 not your sender"),
            ("504", "5.5.2 need a whole name"),
            ("530", "5.7.0 authentication required"),
        ] {
            assert!(!means_the_address(code, words), "{code} {words}");
        }
    }

    #[test]
    fn enhanced_codes_are_read_where_they_are_whole() {
        assert_eq!(enhanced("5.1.10 <a@b.test> is nobody"), Some((1, 10)));
        for words in ["", "5.1", "5.1.1.1 x", "4.1.1 x", "5.x.1", "no 5.1.1"] {
            assert_eq!(enhanced(words), None, "{words}");
        }
    }
}
