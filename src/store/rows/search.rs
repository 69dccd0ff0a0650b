//! What customers are looked for by, and what is found.

use jiff::Timestamp;

use super::{CaseRow, KeptSnapshot};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
use crate::domain::status::{Compliance, Status};

/// A keyed fingerprint of something that a customer can be found by.
pub type Mark = [u8; 16];

/// Rows that one search looks at before it answers with what it has: a search for what hardly anybody has must not hold
/// up a reader. Whoever asks goes on from there.
pub const SCAN_MAX: usize = 10_000;

/// What a customer must be like; everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// The state's name.
    pub state: Option<String>,
    /// What Nium said last of compliance.
    pub compliance: Option<Compliance>,
    /// What Nium's platform said last.
    pub status: Option<Status>,
    /// Person or company.
    pub kind: Option<CustomerKind>,
    /// In this state since this moment or before.
    pub since_until: Option<Timestamp>,
    /// In this state since this moment or after.
    pub since_from: Option<Timestamp>,
    /// All of these.
    pub marks: Vec<Mark>,
    /// From this id to that.
    pub ids: Option<(CustomerHashId, CustomerHashId)>,
}

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct FoundCases {
    /// In the order of their ids.
    pub rows: Vec<CaseRow>,
    /// So far was looked, and there may be more; `None` at the end.
    pub looked_to: Option<CustomerHashId>,
    /// Some customers have no marks yet: they are not found by what is sealed.
    pub unmarked: bool,
}

/// A snapshot whose marks are not written.
#[derive(Clone, Debug)]
pub struct Unmarked {
    /// About whom.
    pub customer: CustomerHashId,
    /// The snapshot.
    pub snapshot: KeptSnapshot,
}

/// The marks of a snapshot.
#[derive(Clone, Debug)]
pub struct NewMarks {
    /// About whom.
    pub customer: CustomerHashId,
    /// Of the snapshot that began at this moment; a later one has marks of its own.
    pub looked_at: Timestamp,
    /// The marks.
    pub marks: Vec<Mark>,
}
