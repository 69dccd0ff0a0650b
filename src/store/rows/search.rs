//! What customers are looked for by, and what is found.

use jiff::Timestamp;

use super::{CaseRow, KeptSnapshot};
use crate::domain::case::{Beside, CaseState};
use crate::domain::id::CustomerHashId;
use crate::domain::remark::RemarkClass;
use crate::domain::snapshot::CustomerKind;
use crate::domain::status::{Compliance, Status};
use crate::domain::view::View;

/// A keyed fingerprint of something that a customer can be found by.
pub type Mark = [u8; 16];

/// Rows that one search looks at before it answers with what it has: a search for what hardly anybody has must not hold
/// up a reader. Whoever asks goes on from there.
pub const SCAN_MAX: usize = 10_000;

/// The same in the order of a view, and of an act on many: their rows lie all over the table.
pub const SCAN_IN_TURN_MAX: usize = 1_000;

/// Customers of one of the sources of a view without an index of its own that are sorted before it is shown: of more, some
/// are not listed until others are gone.
pub const SORT_MAX: usize = 1_000;

/// Characters of a deadline that are compared: a moment to the second.
pub const DEADLINE_CHARS: usize = 19;

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
    /// The verdict on the remarks.
    pub class: Option<RemarkClass>,
    /// Something can be answered until this moment at most.
    pub deadline_until: Option<Timestamp>,
    /// In this view, and in its order.
    pub view: Option<View>,
}

impl CaseFilter {
    /// The view in whose order those who fit come; `None` is that of ids.
    #[must_use]
    pub fn order(&self) -> Option<View> {
        self.view.or_else(|| self.deadline_until.map(|_| View::Deadline))
    }
}

/// Where one stands in a list: after whatever comes first in it, and among equals by the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the list is a view's.
    pub turn: Option<Turn>,
    /// The customer.
    pub customer: CustomerHashId,
}

/// What a view goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Since when, in milliseconds.
    Since(i64),
    /// A deadline: the first 19 characters of the moment.
    Until(String),
}

impl Place {
    /// As it is given out: the id, then the turn as a text.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let turn = match &self.turn {
            None => String::new(),
            Some(Turn::Since(ms)) => ms.to_string(),
            Some(Turn::Until(text)) => text.clone(),
        };
        [self.customer.as_bytes(), turn.as_bytes()].concat()
    }

    /// Reads [`Place::bytes`] of a list in this order back.
    #[must_use]
    pub fn read(order: Option<View>, bytes: &[u8]) -> Option<Self> {
        let (id, turn) = bytes.split_first_chunk()?;
        let turn = std::str::from_utf8(turn).ok()?;
        let turn = match order {
            None if turn.is_empty() => None,
            Some(View::NeedsOfficer | View::Stuck) => Some(Turn::Since(turn.parse().ok()?)),
            Some(View::Deadline) if turn.len() == DEADLINE_CHARS && turn.is_ascii() => {
                Some(Turn::Until(turn.to_owned()))
            }
            None | Some(View::Deadline) => return None,
        };
        Some(Self { turn, customer: CustomerHashId::from_bytes(*id) })
    }
}

/// One who was found.
#[derive(Clone, Debug)]
pub struct FoundCase {
    /// The case.
    pub row: CaseRow,
    /// Where it stands in the list.
    pub place: Place,
}

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct FoundCases {
    /// In the order of the list.
    pub rows: Vec<FoundCase>,
    /// So far was looked, and there may be more; `None` at the end.
    pub looked_to: Option<Place>,
    /// Some customers have no marks yet: they are not found by what is sealed.
    pub unmarked: bool,
}

/// As much of a case as an act on many needs.
#[derive(Clone, Debug)]
pub struct LeanCase {
    /// Who.
    pub customer: CustomerHashId,
    /// The version of the case.
    pub version: u64,
    /// Where they stand.
    pub state: CaseState,
    /// What lies beside it.
    pub beside: Beside,
    /// A company.
    pub is_company: bool,
}

/// Everybody who fits a filter, as far as was looked.
#[derive(Clone, Debug)]
pub struct Everybody {
    /// In the order of the list.
    pub cases: Vec<LeanCase>,
    /// Where to go on looking; `None` at the end.
    pub looked_to: Option<Place>,
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
