//! Rows of the hosted page: links, visits, drafts.

use jiff::Timestamp;

use crate::domain::id::CustomerHashId;

/// Times that a link opens the page: another device, a visit that ended. A link that is passed around runs out.
pub const VISITS_MAX: u32 = 20;

/// A link that is made.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its name in the timeline; tells nothing about the token.
    pub id: String,
    /// Whom it is for.
    pub customer: CustomerHashId,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Who made it: a token's name, or the service itself.
    pub made_by: String,
    /// Its end.
    pub expires_at: Timestamp,
}

/// A link on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Its name.
    pub id: String,
    /// Whom it is for.
    pub customer: CustomerHashId,
    /// Its end.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Times it opened the page.
    pub visits: u32,
}

/// A visit that is to begin.
#[derive(Clone, Debug)]
pub struct NewVisit {
    /// SHA-256 of the cookie.
    pub hash: [u8; 32],
    /// Its end.
    pub ends_at: Timestamp,
}

/// A visit that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitRow {
    /// The link with which it began.
    pub link: String,
    /// Whom it is about.
    pub customer: CustomerHashId,
}

/// What a visitor wrote and has not sent.
#[derive(Clone, Debug)]
pub struct KeptDraft {
    /// The link with which they came.
    pub link: String,
    /// When it was written last.
    pub at: Timestamp,
    /// The draft, sealed.
    pub sealed: Vec<u8>,
}

/// What became of a link that somebody wanted to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// A visit began.
    Begun(LinkRow),
    /// There is no such link.
    Unknown,
    /// It expired, or was revoked.
    Ended,
    /// It was used [`VISITS_MAX`] times.
    Spent,
}
