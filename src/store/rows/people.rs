//! Rows of the console: people who sign in with a password, and sessions.

use jiff::Timestamp;
use serde::Serialize;

/// A person as they are listed; the password stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonRow {
    /// The name that they sign in with, and that the record has.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// When they were let in.
    pub made_at: Timestamp,
    /// When password or role were last changed: sessions from before are over.
    pub changed_at: Timestamp,
}

/// A person who is let in, or changed.
#[derive(Clone)]
pub struct NewPerson {
    /// Their name.
    pub name: String,
    /// What they may do; `None` leaves it.
    pub role: Option<String>,
    /// The hash of their password, with its salt and costs; `None` leaves it.
    pub password: Option<String>,
}

/// What a session was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionSource {
    /// A person's password.
    Password,
    /// An API token.
    Token,
    /// The token of the configuration.
    Bootstrap,
    /// A proxy that knows who comes.
    Proxy,
}

impl SessionSource {
    /// Every source.
    const ALL: [Self; 4] = [Self::Password, Self::Token, Self::Bootstrap, Self::Proxy];

    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::Bootstrap => "bootstrap",
            Self::Proxy => "proxy",
        }
    }

    /// Reads [`SessionSource::as_str`] back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of the cookie.
    pub hash: [u8; 32],
    /// Its name in lists; tells nothing about the cookie.
    pub id: String,
    /// Who signed in.
    pub actor: String,
    /// What they may do.
    pub role: String,
    /// What with.
    pub source: SessionSource,
    /// The person or token.
    pub source_id: String,
    /// The version of the person whose password it was; 0 for anything else.
    pub version: i64,
    /// Its end, however busy it is.
    pub ends_at: Timestamp,
}

/// A session that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    /// Its name in lists.
    pub id: String,
    /// Who signed in.
    pub actor: String,
    /// What they may do now.
    pub role: String,
    /// What they signed in with.
    pub source: SessionSource,
    /// The person or token.
    #[serde(skip)]
    pub source_id: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
}

/// What a person who signs in is held against.
#[derive(Clone)]
pub struct KnownPerson {
    /// The hash of their password, with its salt and costs.
    pub password: String,
    /// What they may do.
    pub role: String,
    /// Grows with every change of them.
    pub version: i64,
}

/// A token that opens something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// Its id, as `token list` shows it.
    pub id: String,
    /// What it may do.
    pub role: String,
    /// Whose it is.
    pub name: String,
}
