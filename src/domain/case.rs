//! A *case* is our own record of where one customer stands. There is one per `customerHashId`; its version only grows.
//!
//! The state is an enum whose variants carry exactly what that state needs. Only `flow::decide` chooses a state, only
//! `Store::commit` writes one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::effect::EffectKey;
use super::id::CustomerHashId;
use super::remark::Grounds;
use super::snapshot::{BlockedBy, Sighting};

/// Where one customer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Whom it is about.
    pub id: CustomerHashId,
    /// Grows by one with every decision that is written; 0 before the first.
    pub version: u64,
    /// The state, with its data.
    pub state: CaseState,
    /// Since when the customer is in this state.
    pub since: Timestamp,
    /// Submissions that Nium has taken since the customer was last approved.
    pub attempts_used: u32,
    /// What lies beside the state and comes and goes without disturbing it.
    pub beside: Beside,
}

impl Case {
    /// A case that nobody has decided about yet.
    #[must_use]
    pub fn unseen(id: CustomerHashId, now: Timestamp) -> Self {
        let state = CaseState::Watching { after_rejection: false };
        Self { id, version: 0, state, since: now, attempts_used: 0, beside: Beside::default() }
    }
}

/// Attributes beside the state (design, section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Nium wants information from the customer.
    #[serde(default)]
    pub rfi: Option<Rfi>,
    /// A block, if there is one.
    pub block: Option<Block>,
    /// The way back was opened in spite of a permanent block: until Nium moves away from it, the block closes nothing.
    #[serde(default)]
    pub reapplication: bool,
}

/// An open request for information (contract section 6). Nium names no end of it; ours is the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfi {
    /// Until when it should be answered.
    pub deadline: Timestamp,
    /// The deadline passed, and was told.
    pub overdue: bool,
    /// Tells this request from the next; `None` until its items were fetched.
    #[serde(default)]
    pub mark: Option<u32>,
}

/// A block on the customer's account (contract section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// A permanent block cannot be lifted.
    pub permanent: bool,
    /// Who set it; only they can lift it.
    pub by: BlockedBy,
}

/// The states of a case (design, section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CaseState {
    /// Nium is working; the next look leads on.
    Watching {
        /// The customer was rejected before, so that an approval counts as a reinstatement.
        after_rejection: bool,
    },
    /// REJECT was seen while `status` lagged behind it: one more read decides.
    Rejected {
        /// What the rejection is about, as first read.
        grounds: Grounds,
        /// When to read once more.
        reread_at: Timestamp,
    },
    /// The customer may hand in a correction.
    AwaitingCorrection {
        /// What to correct.
        grounds: Grounds,
        /// Until when.
        deadline: Timestamp,
        /// When to remind the customer, earliest first; those that were told are gone.
        #[serde(default)]
        reminders: Vec<Timestamp>,
    },
    /// A correction was handed in; it is on its way to Nium.
    Submitting {
        /// What was to be corrected, in case the submission comes back.
        grounds: Grounds,
        /// Until when it may be corrected again, in case it comes back.
        deadline: Timestamp,
        /// The effect that holds the submission.
        effect: EffectKey,
        /// How far it got.
        stage: Stage,
    },
    /// Nium has the corrected information and decides.
    UnderReview {
        /// What the last look before sending saw: an unchanged REJECT is that old one.
        before: Sighting,
        /// When Nium took the submission.
        taken_at: Timestamp,
        /// A state other than REJECT was seen since.
        moved: bool,
    },
    /// COMPLETED and Clear after a rejection.
    Reinstated,
    /// COMPLETED and Clear, never rejected.
    Approved,
    /// Resubmitting does not help, or is not open any more. Only an officer, or Nium itself, leads on.
    FinallyRejected {
        /// Why.
        why: FinalReason,
    },
    /// A person has to decide.
    NeedsOfficer {
        /// The question.
        why: OfficerReason,
        /// The customer was rejected before, so that an approval counts as a reinstatement.
        after_rejection: bool,
    },
}

impl CaseState {
    /// The state's name, as the API, the database and the events spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Watching { .. } => "watching",
            Self::Rejected { .. } => "rejected",
            Self::AwaitingCorrection { .. } => "awaiting_correction",
            Self::Submitting { .. } => "submitting",
            Self::UnderReview { .. } => "under_review",
            Self::Reinstated => "reinstated",
            Self::Approved => "approved",
            Self::FinallyRejected { .. } => "finally_rejected",
            Self::NeedsOfficer { .. } => "needs_officer",
        }
    }

    /// Every name, in the order of a case's life.
    pub const NAMES: [&'static str; 9] = [
        "watching",
        "rejected",
        "awaiting_correction",
        "submitting",
        "under_review",
        "reinstated",
        "approved",
        "finally_rejected",
        "needs_officer",
    ];

    /// Whether Nium, or a vendor for it, is checking: an address to go on at is of use.
    #[must_use]
    pub fn is_with_nium(&self) -> bool {
        match self {
            Self::Watching { .. } | Self::UnderReview { .. } => true,
            Self::Rejected { .. }
            | Self::AwaitingCorrection { .. }
            | Self::Submitting { .. }
            | Self::Reinstated
            | Self::Approved
            | Self::FinallyRejected { .. }
            | Self::NeedsOfficer { .. } => false,
        }
    }

    /// Whether an approval from here is a reinstatement.
    #[must_use]
    pub fn after_rejection(&self) -> bool {
        match self {
            Self::Watching { after_rejection } | Self::NeedsOfficer { after_rejection, .. } => {
                *after_rejection
            }
            Self::Approved => false,
            Self::Rejected { .. }
            | Self::AwaitingCorrection { .. }
            | Self::Submitting { .. }
            | Self::UnderReview { .. }
            | Self::Reinstated
            | Self::FinallyRejected { .. } => true,
        }
    }
}

/// How far a submission got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Stored; nothing has been sent.
    Intended {
        /// Times it was sent before and certainly not taken; 0 at first.
        sends: u32,
    },
    /// The first byte may have been sent.
    Sending {
        /// What the look just before sending saw.
        before: Sighting,
        /// The `x-request-id` of this operation; every attempt carries the same.
        request_id: Uuid,
        /// When sending was committed.
        sent_at: Timestamp,
        /// Times it was sent, this one included.
        sends: u32,
    },
    /// Sent, and nobody knows whether Nium took it: look first.
    Unclear {
        /// What the look just before sending saw.
        before: Sighting,
        /// The `x-request-id` of this operation.
        request_id: Uuid,
        /// Nothing seen before this moment is evidence.
        settled_at: Timestamp,
        /// Times it was sent.
        sends: u32,
    },
}

/// Why a case is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalReason {
    /// A rule knows the remark as one that resubmitting does not help.
    RemarkIsFinal,
    /// Nium rejected the submission again at once (contract section 1, fact 7).
    RejectedAtOnce,
    /// Every submission that the policy allows was used.
    AttemptsSpent,
    /// Nobody corrected in time.
    DeadlinePassed,
    /// Nium closed the case.
    ClosedByNium,
    /// The customer is permanently blocked.
    Blocked,
    /// An officer said so.
    Officer,
    /// Rejected before this installation began: known from the first sweep, told to nobody. An officer may offer.
    Historic,
}

impl FinalReason {
    /// The word used in the API and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemarkIsFinal => "remark_is_final",
            Self::RejectedAtOnce => "rejected_at_once",
            Self::AttemptsSpent => "attempts_spent",
            Self::DeadlinePassed => "deadline_passed",
            Self::ClosedByNium => "closed_by_nium",
            Self::Blocked => "blocked",
            Self::Officer => "officer",
            Self::Historic => "historic",
        }
    }
}

/// The question an officer has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfficerReason {
    /// Nium used a word this release does not know.
    UnknownWord,
    /// Nium did not say how compliance stands.
    NothingSaid,
    /// No rule knows the remark, and the policy sends those to an officer.
    UnclearRemark,
    /// A company was rejected.
    CorporateRejection,
    /// Nium does not know the customer any more.
    NotAtNium,
    /// Nium's answers about this customer cannot be read.
    LooksFail,
    /// Whether Nium took a submission cannot be told.
    CannotTell,
    /// A submission was sent several times and never taken.
    CannotSend,
    /// Nium wants information that nobody gave in time.
    RfiOverdue,
}

impl OfficerReason {
    /// The word used in the API and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownWord => "unknown_word",
            Self::NothingSaid => "nothing_said",
            Self::UnclearRemark => "unclear_remark",
            Self::CorporateRejection => "corporate_rejection",
            Self::NotAtNium => "not_at_nium",
            Self::LooksFail => "looks_fail",
            Self::CannotTell => "cannot_tell",
            Self::CannotSend => "cannot_send",
            Self::RfiOverdue => "rfi_overdue",
        }
    }
}
