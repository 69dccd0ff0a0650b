//! Rows about what the service notices by itself: sweeps, missing callbacks, work that is stuck.

use jiff::Timestamp;
use serde::Serialize;

use super::officer::InHand;
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::Listed;

/// Who asks for a sweep that nobody asked for.
pub const SCHEDULE: &str = "schedule";

/// One walk over Nium's customer list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepRow {
    /// Its number.
    pub id: i64,
    /// `baseline` (the first of an installation) or `full`.
    pub kind: String,
    /// Whose wish it was: a token's name, or `schedule`.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// The page to ask for next, counted from 0.
    pub page: u32,
    /// It was read before, and is read again for whoever slid to it meanwhile.
    pub back: bool,
    /// How many pages there are, if Nium has said.
    pub pages: Option<u32>,
    /// How many customers there are, if Nium has said.
    pub total: Option<u64>,
    /// Customers read so far; one who stood on two pages counts twice.
    pub seen: u64,
    /// Customers who are looked at because of it.
    pub found: u64,
    /// Items that could not be read.
    pub unreadable: u64,
    /// Failed attempts at the present page.
    pub failures: u32,
    /// What went wrong with the last of them.
    pub trouble: Option<String>,
    /// When the next page is asked for; `None` once it has ended.
    pub due_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// `complete`, or `given_up` where Nium's list could not be read to its end.
    pub outcome: Option<String>,
}

/// What a page of the list said, and where to go on.
#[derive(Clone, Debug)]
pub struct SweptPage {
    /// The sweep as it was before this page.
    pub before: SweepRow,
    /// The customers.
    pub customers: Vec<Listed>,
    /// Items that could not be read.
    pub unreadable: usize,
    /// How many pages there are now.
    pub pages: Option<u32>,
    /// How many customers there are now.
    pub total: Option<u64>,
    /// When the page was asked for: looks that began later know more than it does.
    pub begun_at: Timestamp,
    /// Until when a callback about what it shows may be late.
    pub judge_at: Timestamp,
    /// The page to ask for next, and whether it was read before; `None` ends the sweep.
    pub next: Option<(u32, bool)>,
}

/// What became of a page that could not be read.
#[derive(Clone, Debug)]
pub enum SweepTrouble {
    /// It is asked for again then.
    Again(Timestamp),
    /// It is left out.
    Skip,
    /// The sweep ends.
    GiveUp,
}

/// What is known of callbacks that should have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// When the last callback or webhook came.
    pub last_callback_at: Option<Timestamp>,
    /// Changes found by ourselves since then, whose callback never came.
    pub missing_since: u64,
    /// Such changes within the last day.
    pub missing_day: u64,
    /// Changes found by ourselves, whose callback may still come.
    pub waiting: u64,
    /// Those among them whose time is over: they are to be judged.
    #[serde(skip)]
    pub due: u64,
    /// Since when the alarm stands, if it does.
    pub alarm_since: Option<Timestamp>,
}

/// What judging came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The callback came, if late.
    pub told: u64,
    /// It never came.
    pub missing: u64,
}

/// The kinds of work that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// An officer has to decide.
    Decision,
    /// Nium is to be asked.
    Look,
    /// A submission is under way.
    Submit,
    /// A block is under way.
    Block,
    /// Tags are under way.
    Tags,
    /// An update is under way.
    Update,
    /// Somebody is to become a customer; they go by an id of ours until then.
    Onboard,
    /// A new address for a check is asked for.
    Regenerate,
    /// An answer to what Nium asks is under way.
    Rfi,
    /// An officer's word is to be decided about.
    Officer,
    /// The app backend is to be told.
    Webhook,
    /// A customer is to be told.
    Email,
}

impl JobKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 12] = [
        Self::Decision,
        Self::Look,
        Self::Submit,
        Self::Block,
        Self::Tags,
        Self::Update,
        Self::Onboard,
        Self::Regenerate,
        Self::Rfi,
        Self::Officer,
        Self::Webhook,
        Self::Email,
    ];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Look => "look",
            Self::Submit => "submit",
            Self::Block => "block",
            Self::Tags => "tags",
            Self::Update => "update",
            Self::Onboard => "onboard",
            Self::Regenerate => "regenerate",
            Self::Rfi => "rfi",
            Self::Officer => "officer",
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }

    /// Reads [`JobKind::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a piece of work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Due, and nobody has taken it up.
    Waiting,
    /// Somebody works on it.
    Held,
    /// It failed, and is tried again.
    Failing,
    /// It was given up.
    Failed,
    /// It waits for a person.
    Parked,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Held, Self::Failing, Self::Failed, Self::Parked];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Parked => "parked",
        }
    }

    /// Reads [`JobStatus::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Which jobs are meant; what is `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// Standing so.
    pub status: Option<JobStatus>,
    /// About this customer.
    pub customer: Option<CustomerHashId>,
}

impl JobFilter {
    /// Jobs that one retry takes at most.
    pub const RETRY_MAX: usize = 500;

    /// Whether jobs of this kind are meant.
    #[must_use]
    pub fn wants(&self, kind: JobKind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// Where a job stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPlace {
    /// Among the customers an officer has to decide about.
    Decision(CustomerHashId),
    /// Among the looks.
    Look(CustomerHashId),
    /// Among the effects, by their number.
    Effect(i64),
}

/// One piece of work as it is listed.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Where it stands in the list.
    pub place: JobPlace,
    /// What it is.
    pub kind: JobKind,
    /// How it stands.
    pub status: JobStatus,
    /// About whom; nobody, where it is about the service itself.
    pub customer: CustomerHashId,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried next, or its lease ends.
    pub due_at: Option<Timestamp>,
    /// Attempts that failed in a row, or that were made since the last retry.
    pub attempts: u32,
    /// Why it stands so.
    pub reason: Option<String>,
    /// Which officer has it in hand.
    pub in_hand: Option<InHand>,
}

/// What a retry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// So many jobs begin again.
    Done(usize),
    /// Nothing was done: there are so many now, not as many as were confirmed.
    Moved(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::act::ActKind;

    #[test]
    fn every_act_can_be_listed() {
        for kind in ActKind::ALL {
            assert!(JobKind::parse(kind.as_str()).is_some(), "{kind:?}");
        }
    }
}
