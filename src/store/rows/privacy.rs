//! Rows of erasing, holding and keeping.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::officer::NewNote;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;

/// Somebody was erased. As JSON it is a line of `privacy.erasure_file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Whom.
    pub customer_hash_id: CustomerHashId,
    /// When.
    pub erased_at: Timestamp,
    /// By whom.
    pub erased_by: String,
}

impl Erasure {
    /// What is said of it where it was an onboarding: the applicant never had an id of Nium's.
    #[must_use]
    pub fn of_onboarding(&self, key: &EffectKey) -> Value {
        json!({ "effectId": key, "erasedAt": self.erased_at, "erasedBy": self.erased_by })
    }
}

/// What became of the wish to erase somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// They are erased now.
    Done(Erasure),
    /// They were erased before.
    Before(Erasure),
    /// It was an onboarding, and led to this customer.
    Became(CustomerHashId),
    /// Nothing is on file about them.
    Nobody,
    /// A write about them is on its way to Nium.
    UnderWay,
    /// A legal hold is set.
    Held,
}

impl Erased {
    /// That they are erased, if they are.
    #[must_use]
    pub fn erasure(&self) -> Option<&Erasure> {
        match self {
            Self::Done(erasure) | Self::Before(erasure) => Some(erasure),
            Self::Became(_) | Self::Nobody | Self::UnderWay | Self::Held => None,
        }
    }
}

/// A legal hold that is asked for.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// On whom.
    pub customer: CustomerHashId,
    /// Set, or lifted.
    pub set: bool,
    /// By whom.
    pub by: String,
    /// Why, sealed.
    pub note: NewNote,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldDone {
    /// It stands, or is lifted, as asked for.
    Done,
    /// It was so already; nothing was written.
    Already,
    /// Nothing is on file about the customer.
    Nobody,
}

/// A legal hold that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// Who set it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// The id of the note that says why.
    pub note: String,
}

/// A wrapped data key, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedRow {
    /// Whose.
    pub customer: CustomerHashId,
    /// As it is kept.
    pub wrapped: Vec<u8>,
}

/// A data key that is wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// What was read.
    pub was: WrappedRow,
    /// What takes its place.
    pub wrapped: Vec<u8>,
}

/// A master key that wraps something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterUse {
    /// Its id.
    pub id: String,
    /// How many data keys; 0 if they were not counted.
    pub keys: u64,
    /// A few of them.
    pub examples: Vec<WrappedRow>,
}

/// An application that may hold documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFiles {
    /// Whose.
    pub customer: CustomerHashId,
    /// The application, sealed.
    pub sealed: Vec<u8>,
}

/// A place among closed cases: since when, and the bytes of the id.
pub type ClosedPlace = (i64, Vec<u8>);
