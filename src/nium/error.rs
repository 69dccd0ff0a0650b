//! What a call to Nium came to, split by what a caller can do about it. Nothing here prints what Nium said.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::domain::status::Standing;

/// Why a client of Nium's API cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NiumError {
    /// The address is not one.
    #[error("nium.base_url cannot be read: {0}")]
    Address(String),
    /// A header that every call carries cannot be made.
    #[error("{0} holds characters that cannot stand in a header")]
    Header(&'static str),
    /// The pace is not above zero.
    #[error("nium.requests_per_second, nium.burst and nium.concurrency must be above zero")]
    Pace,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// Trouble of Nium's, or of the way there: not the customer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// How long Nium asks to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// No connection could be made.
    Connect,
    /// No answer within the total time limit.
    Timeout,
    /// 401: the key is wrong, or our address is not allowed.
    Unauthorized,
    /// 403: the key or the client id is wrong, or our address is not allowed.
    Forbidden,
    /// 429.
    TooMany,
    /// A 5xx status.
    Server(u16),
    /// The connection broke after it was made.
    ConnectionLost,
}

impl TroubleKind {
    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooMany => "too_many",
            Self::Server(_) => "server",
            Self::ConnectionLost => "connection_lost",
        }
    }
}

/// Why a look saw nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookError {
    /// Nium does not know the customer (404).
    NotFound,
    /// Nium is in trouble; the customer waits.
    Trouble(Trouble),
    /// The answer is about this customer and cannot be read; the text is a class of fault, never content.
    Unreadable(&'static str),
}

/// Why a page of the Customer List was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListError {
    /// Nium is in trouble; the page waits.
    Trouble(Trouble),
    /// Neither release of the list gives a page that can be read; the text is a class of fault, never content.
    Unreadable(&'static str),
}

/// What became of one POST to Unified Add Customer.
#[derive(Debug)]
pub enum SubmitAnswer {
    /// 200, readable.
    Taken(Taken),
    /// 400 and its like: the content is refused, nothing changed at Nium.
    Refused(Refusal),
    /// 404.
    NoSuchCustomer,
    /// It certainly did not reach the part of Nium that acts.
    NotTaken(Trouble),
    /// Nobody knows whether Nium acted; the text is a class of fault.
    Unclear(&'static str),
}

/// What became of one write other than a submission.
#[derive(Debug)]
pub enum ActAnswer {
    /// 200, with what Nium said; null where that cannot be read.
    Done(Value),
    /// 400 and its like: nothing changed at Nium; what it said.
    Refused(Refusal),
    /// 404.
    NoSuchCustomer,
    /// It certainly did not reach the part of Nium that acts.
    NotTaken(Trouble),
    /// Nobody knows whether Nium acted; the text is a class of fault.
    Unclear(&'static str),
}

/// What Nium said when it took a submission. Every part is optional (contract section 9).
#[derive(Clone, PartialEq, Eq)]
pub struct Taken {
    /// What `complianceStatus` and `kycStatus` of the answer mean together, if it had any.
    pub standing: Option<Standing>,
    /// Where the customer has to go on, in redirect modes. Whoever has it can act as the customer.
    pub redirect_url: Option<String>,
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").field("standing", &self.standing).finish_non_exhaustive()
    }
}

/// What Nium said when it refused the content. It may repeat what was sent, so it never prints itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The message.
    pub message: String,
    /// One text per fault.
    pub errors: Vec<String>,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("errors", &self.errors.len()).finish_non_exhaustive()
    }
}
