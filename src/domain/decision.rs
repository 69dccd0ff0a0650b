//! What is learned (*observation*) and what follows from it (*decision*). Made by `flow::decide`, written by
//! `Store::commit`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::case::Case;
use super::effect::{EffectKey, EffectStatus, Event};
use super::remark::Grounds;
use super::snapshot::{BlockedBy, CustomerKind, Sighting};
use super::status::Standing;

/// Anything learned that a decision may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Customer Details V2 answered.
    Looked(Look),
    /// Nium does not know the customer (404).
    Missing,
    /// Nium's answers about this customer could not be read, [`LOOK_FAILURES_MAX`] times in a row.
    LooksFail,
    /// A correction was handed in and checked; the effect holds the submission.
    Corrected(EffectKey),
    /// A submission is about to be sent, after a look; `request_id` is used if it has none yet.
    Answered(Answer),
    /// A claim found a submission that somebody else had begun to send.
    Interrupted,
    /// The deadline of a correction was reached.
    DeadlinePassed,
    /// The customer is to be reminded of an open offer.
    ReminderDue,
    /// The deadline of a request for information was reached.
    RfiDeadlinePassed,
    /// An officer decided.
    Officer(OfficerWord),
    /// An officer's word takes a second person, and none has approved it.
    NotApproved,
}

/// Unreadable answers in a row about one customer before a person is asked.
pub const LOOK_FAILURES_MAX: u32 = 8;

/// What one look saw, without anything personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What Nium's two words mean together.
    pub standing: Standing,
    /// To compare other looks with.
    pub sighting: Sighting,
    /// The verdict on the remarks; only meaningful for a rejection.
    pub grounds: Grounds,
    /// Person or company.
    pub kind: CustomerKind,
    /// Who set the block, where there is one.
    pub blocked_by: Option<BlockedBy>,
    /// The customer is known from the first sweep of this installation alone: nothing that happened before is told.
    pub historic: bool,
    /// What Nium asks of the customer, as a fingerprint; `None` where it asks nothing, or that could not be had.
    pub rfi_mark: Option<u32>,
    /// An `x-request-id` nobody has used, for a submission that this look may release.
    pub fresh_request_id: Uuid,
}

/// What became of one attempt to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nium took it; what it said of the customer's standing, if anything.
    Taken(Option<Standing>),
    /// Nium found the content wrong (400): nothing changed there.
    Refused,
    /// It certainly did not reach the part of Nium that acts: no connection, 401, 403, 429.
    NotTaken,
    /// Timeout, lost connection, 5xx, or an answer that cannot be read: nobody knows.
    Unclear,
    /// Nium does not know the customer (404).
    NoSuchCustomer,
}

/// An officer's word about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfficerWord {
    /// Offer (another) reinstatement.
    Offer,
    /// Reject for good.
    Final,
    /// Ask Nium again and start over from what it says.
    Retry,
    /// Close the case.
    Close,
    /// Let a permanently blocked customer apply again.
    Reapply,
}

impl OfficerWord {
    /// Every word.
    pub const ALL: [Self; 5] = [Self::Offer, Self::Final, Self::Retry, Self::Close, Self::Reapply];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Final => "final",
            Self::Retry => "retry",
            Self::Close => "close",
            Self::Reapply => "reapply",
        }
    }

    /// Reads [`OfficerWord::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.as_str() == text)
    }
}

/// Something the app backend is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// What.
    pub event: Event,
    /// Why, as a stable word.
    pub reason: &'static str,
}

/// What follows from an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The case as it is to be written. Its version is one more than before if anything changed, else the same.
    pub case: Case,
    /// Who is told what, in this order.
    pub tells: Vec<Tell>,
    /// What becomes of the submission or officer's word under way.
    pub effect: Option<(EffectKey, EffectStatus)>,
    /// Why, in a sentence for the timeline.
    pub because: &'static str,
    /// When to do something next even if nobody asks; `None` in states that only a nudge leads out of.
    pub next: Option<Next>,
}

/// What happens next by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// What.
    pub what: NextWhat,
    /// When.
    pub at: Timestamp,
}

/// The kinds of things that happen by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextWhat {
    /// Nium is asked.
    Look,
    /// A submission goes out.
    Submit,
    /// The deadline of a correction passes.
    Deadline,
    /// The customer is reminded of an open offer.
    Reminder,
    /// The deadline of a request for information passes.
    RfiDeadline,
}

impl NextWhat {
    /// Every kind.
    pub const ALL: [NextWhat; 5] =
        [Self::Look, Self::Submit, Self::Deadline, Self::Reminder, Self::RfiDeadline];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Submit => "submit",
            Self::Deadline => "deadline",
            Self::Reminder => "reminder",
            Self::RfiDeadline => "rfi_deadline",
        }
    }

    /// Reads [`NextWhat::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == text)
    }
}

/// What an operator has settled about decisions.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Submissions a customer may use per approval.
    pub submissions_max: u32,
    /// How long a correction may be handed in, in days.
    pub correction_days: u32,
    /// Days after an offer on which the customer is reminded of it, while it stays open.
    pub remind_after_days: Vec<u32>,
    /// How long a request for information may stay unanswered, in days, before somebody is asked about it.
    pub rfi_days: u32,
    /// The shortest pause between two looks that nobody asked for; they become rarer with age.
    pub active_every: jiff::SignedDuration,
    /// What to do about a rejection that no rule knows.
    pub unknown_remark: UnknownRemark,
    /// How long Nium may take to show what an unclear write did.
    pub settle: jiff::SignedDuration,
}

/// What to do about a rejection that no rule knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRemark {
    /// Tell the customer and offer reinstatement: the documented flow.
    Offer,
    /// Ask an officer first.
    Officer,
}
