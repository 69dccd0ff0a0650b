//! What officers write, take in hand, and ask each other to approve.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::act::ActKind;
use crate::domain::decision::OfficerWord;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;

/// A note, sealed for its id.
#[derive(Clone, Debug)]
pub struct NewNote {
    /// Its id.
    pub id: Uuid,
    /// The text, sealed.
    pub sealed: Vec<u8>,
}

/// An officer's word ready to be stored.
#[derive(Clone, Debug)]
pub struct NewWord {
    /// About whom.
    pub customer: CustomerHashId,
    /// The word.
    pub word: OfficerWord,
    /// Whose.
    pub by: String,
    /// Why.
    pub note: Option<NewNote>,
}

/// Who has a parked case in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InHand {
    /// The token's name.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// The note that was left, by its id.
    pub note: Option<String>,
}

/// What became of taking a case in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOver {
    /// Since then.
    Done(Timestamp),
    /// We have never heard of this customer.
    NoCase,
    /// The case is in this state: no officer is asked.
    NotParked(String),
}

/// What may take a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// A permanent block.
    PermanentBlock,
    /// Offering reinstatement after a final rejection.
    Offer,
    /// Letting a blocked customer re-apply.
    Reapply,
}

impl ApprovalKind {
    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PermanentBlock => "permanent_block",
            Self::Offer => "offer",
            Self::Reapply => "reapply",
        }
    }

    /// Reads [`ApprovalKind::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::PermanentBlock, Self::Offer, Self::Reapply].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The officer's word that it is about; `None` for an act.
    #[must_use]
    pub fn word(self) -> Option<OfficerWord> {
        match self {
            Self::PermanentBlock => None,
            Self::Offer => Some(OfficerWord::Offer),
            Self::Reapply => Some(OfficerWord::Reapply),
        }
    }
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// A second person is awaited.
    Open,
    /// It was done.
    Approved,
    /// A second person said no.
    Refused,
    /// The customer moved before anybody decided.
    Lapsed,
    /// Nobody decided in time.
    Expired,
}

impl ApprovalStatus {
    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Lapsed => "lapsed",
            Self::Expired => "expired",
        }
    }

    /// Reads [`ApprovalStatus::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Approved, Self::Refused, Self::Lapsed, Self::Expired]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Something that a second person is asked to approve.
#[derive(Clone, Debug)]
pub struct NewApproval {
    /// Its id.
    pub id: Uuid,
    /// About whom.
    pub customer: CustomerHashId,
    /// The version of the case that was seen.
    pub version: u64,
    /// What.
    pub kind: ApprovalKind,
    /// The act, sealed for the id.
    pub sealed: Option<Vec<u8>>,
    /// Who asks.
    pub by: String,
    /// Why.
    pub note: Option<NewNote>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What became of asking for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalAsked {
    /// Stored.
    Stored,
    /// We have never heard of this customer.
    NoCase,
    /// The case has another version by now.
    Moved,
    /// The same is asked already, under this id.
    Open(String),
}

/// An approval as it stands.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// Its place in the order of asking.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// About whom.
    pub customer: CustomerHashId,
    /// What.
    pub kind: ApprovalKind,
    /// The version of the case that was seen.
    pub version: u64,
    /// The version that the case has now.
    pub case_version: Option<u64>,
    /// Who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// The act, sealed.
    pub sealed: Option<Vec<u8>>,
    /// The asker's note, by its id.
    pub note: Option<String>,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// The second person.
    pub decided_by: Option<String>,
    /// When it was decided, or ended by itself.
    pub decided_at: Option<Timestamp>,
    /// The second person's note, by its id.
    pub decided_note: Option<String>,
    /// What was done, by its effect's key.
    pub effect: Option<String>,
}

impl ApprovalRow {
    /// Where it stands at a moment: one that nobody may approve any more is not open, whatever is on file.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> ApprovalStatus {
        match self.status {
            ApprovalStatus::Open if self.expires_at <= now => ApprovalStatus::Expired,
            ApprovalStatus::Open if self.case_version != Some(self.version) => ApprovalStatus::Lapsed,
            status => status,
        }
    }
}

/// Where one stands in the list: the open ones, oldest first, then the others, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalPlace {
    /// After this open one.
    Open(i64),
    /// After this one, which is not open.
    Closed(i64),
}

/// The act of an approved approval, sealed for its effect.
#[derive(Clone, Debug)]
pub struct ApprovedAct {
    /// Its effect's key.
    pub key: EffectKey,
    /// What kind it is.
    pub kind: ActKind,
    /// The act.
    pub sealed: Vec<u8>,
    /// For the timeline; nothing personal.
    pub summary: Value,
}

/// A second person's verdict.
#[derive(Clone, Debug)]
pub struct NewVerdict {
    /// About which approval.
    pub id: String,
    /// Whether it is done.
    pub approve: bool,
    /// The second person.
    pub by: String,
    /// Why.
    pub note: Option<NewNote>,
    /// What is done, where it is an act.
    pub act: Option<ApprovedAct>,
}

/// What became of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is done, by this effect.
    Approved(String),
    /// It is not done.
    Refused,
    /// There is no such approval.
    NoSuch,
    /// Whoever asked cannot approve.
    SamePerson,
    /// It was decided, or ended, before.
    Closed(ApprovalStatus),
    /// The customer moved: it has lapsed.
    Moved,
    /// It came too late: it has expired.
    Expired,
    /// Another write is under way for the customer; it stays open.
    UnderWay,
}
