//! What goes in and out of the store: plain values, already sealed where they are personal.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::case::Case;
use crate::domain::decision::{Next, OfficerWord};
use crate::domain::effect::{EffectKey, EffectStatus, Event};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::{Facts, Listed};

/// A snapshot as it is kept.
#[derive(Clone, Debug)]
pub struct KeptSnapshot {
    /// When the look that brought it began.
    pub looked_at: Timestamp,
    /// The part in clear.
    pub facts: Facts,
    /// The whole, sealed.
    pub sealed: Vec<u8>,
}

/// A claim on one customer: nobody else looks at or writes to them at Nium until it ends.
#[derive(Clone, Debug)]
pub struct Lease {
    /// On whom.
    pub customer: CustomerHashId,
    /// The fencing token: a later claim has a higher one.
    pub epoch: i64,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Nudges counted when it was claimed; later ones are not handled by it.
    pub wanted: i64,
}

/// Failed looks in a row at one customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookTrouble {
    /// All of them.
    pub failures: u32,
    /// Those that were about this customer's data, not about Nium.
    pub unreadable: u32,
}

/// What a claim found.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The claim.
    pub lease: Lease,
    /// The case; `None` for a customer nobody has looked at yet.
    pub case: Option<Case>,
    /// What was to happen next by itself.
    pub next: Option<Next>,
    /// A nudge waits for a look.
    pub nudged: bool,
    /// What went wrong with the last looks.
    pub trouble: LookTrouble,
    /// Known from the first sweep alone, and no callback has come since.
    pub historic: bool,
    /// Only the sweep has named this customer so far.
    pub swept: bool,
    /// The oldest open effect of the lanes that run under this lease.
    pub open: Option<OpenEffect>,
}

/// An open effect of the `nium` or `officer` lane.
#[derive(Clone, Debug)]
pub struct OpenEffect {
    /// Its key.
    pub key: EffectKey,
    /// What it is.
    pub kind: OpenKind,
    /// Where it stands.
    pub status: EffectStatus,
    /// The sealed request of a submission.
    pub sealed: Option<Vec<u8>>,
}

/// The kinds of effects that run under a customer's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// One POST to Unified Add Customer.
    Submit,
    /// An officer's word, to be decided about.
    Officer(OfficerWord),
}

/// Everything one decision writes, in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The case and what happens next; `None` leaves it as it is.
    pub case: Option<(Case, Option<Next>)>,
    /// What Nium said.
    pub snapshot: Option<KeptSnapshot>,
    /// The application that Nium now has, sealed.
    pub application: Option<Vec<u8>>,
    /// Lines for the timeline.
    pub history: Vec<HistoryLine>,
    /// Who is to be told what.
    pub tells: Vec<NewTell>,
    /// What becomes of the effect under way.
    pub effect: Option<EffectChange>,
    /// This answers the nudges that were counted at the claim.
    pub looked: bool,
    /// Nobody asked for this look: a change that it found is one that no callback has told so far. Until when the
    /// callback may be late.
    pub unasked: Option<Timestamp>,
    /// What went wrong with the last looks, from now on.
    pub trouble: LookTrouble,
    /// When to be due again; after a failed look it holds even against nudges.
    pub due_at: Option<Timestamp>,
    /// Keep the lease and go on.
    pub hold: bool,
}

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct HistoryLine {
    /// What kind of thing happened.
    pub what: &'static str,
    /// The particulars; nothing personal.
    pub detail: Value,
}

/// A webhook to the app backend, with the bytes it will always have.
#[derive(Clone, Debug)]
pub struct NewTell {
    /// Its key, which is also its `webhook-id`.
    pub key: EffectKey,
    /// What it tells.
    pub event: Event,
    /// The body.
    pub body: Vec<u8>,
}

/// What becomes of an effect.
#[derive(Clone, Debug)]
pub struct EffectChange {
    /// Which.
    pub key: EffectKey,
    /// Where it stands now.
    pub status: EffectStatus,
    /// What an attempt came to, for the list of attempts; nothing personal.
    pub attempt: Option<String>,
    /// What the other side said about it, sealed.
    pub said: Option<Vec<u8>>,
    /// A short word on the outcome; nothing personal.
    pub outcome: Option<String>,
}

/// Whether a claim was still ours when we finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Finished {
    /// Written.
    Done,
    /// Somebody else has the customer now: nothing was written.
    LeaseLost,
}

/// A claim on one notification.
#[derive(Clone, Debug)]
pub struct TellLease {
    /// The row.
    pub seq: i64,
    /// The fencing token.
    pub epoch: i64,
    /// Its key, which is also its `webhook-id`.
    pub key: EffectKey,
    /// About whom.
    pub customer: CustomerHashId,
    /// What it tells.
    pub event: String,
    /// The body, the same bytes every time.
    pub body: Vec<u8>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Those among them that a retry has forgiven.
    pub forgiven: u32,
}

/// What became of one attempt to notify.
#[derive(Clone, Debug)]
pub enum TellOutcome {
    /// The receiver answered 2xx.
    Delivered,
    /// Try again then; the text says what went wrong.
    Later(Timestamp, String),
    /// Given up; the text says what went wrong.
    GivenUp(String),
}

/// The answer to a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Stored; this effect will submit it.
    Stored(EffectKey),
    /// No offer is open; the state the case is in, if there is one.
    NoOffer(Option<String>),
    /// Another correction is already on its way.
    UnderWay,
    /// The case moved while this was being prepared; prepare it again.
    Moved,
    /// This idempotency key was used before.
    Replay(FirstAnswer),
}

/// The stored first answer to a write that carried an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAnswer {
    /// A keyed fingerprint of the first body.
    pub body_mark: String,
    /// The HTTP status of the first answer.
    pub status: u16,
    /// The first answer, sealed.
    pub sealed: Vec<u8>,
}

/// An idempotency key with the answer to keep under it.
#[derive(Clone, Debug)]
pub struct Remember {
    /// A hash of caller, route and key.
    pub key: [u8; 32],
    /// The answer.
    pub answer: FirstAnswer,
}

/// A correction ready to be stored as an effect.
#[derive(Clone, Debug)]
pub struct NewSubmission {
    /// For whom.
    pub customer: CustomerHashId,
    /// The version of the case it was prepared for.
    pub version: u64,
    /// Its effect's key.
    pub key: EffectKey,
    /// Its own id, for the caller.
    pub correction_id: Uuid,
    /// The whole request, sealed.
    pub sealed: Vec<u8>,
    /// For the timeline: names of the fields that differ.
    pub fields: Vec<String>,
    /// The first answer, if the caller sent an `Idempotency-Key`.
    pub remember: Option<Remember>,
}

/// One callback as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackRow {
    /// The receipt id of the first delivery.
    pub id: i64,
    /// About whom; a webhook may name nobody.
    pub customer_hash_id: Option<CustomerHashId>,
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// `callback` or `webhook`.
    pub source: String,
    /// The webhook's template.
    pub template: Option<String>,
    /// When it came first.
    pub received_at: Timestamp,
    /// When it came last.
    pub last_received_at: Timestamp,
    /// How often it came.
    pub deliveries: i64,
}

/// One line of a timeline as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineRow {
    /// When.
    pub at: Timestamp,
    /// What kind of thing happened.
    pub what: String,
    /// The case's version then; absent for callbacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The particulars.
    pub detail: Value,
}

/// A case as it is listed or shown.
#[derive(Clone, Debug)]
pub struct CaseRow {
    /// The case.
    pub case: Case,
    /// What happens next by itself.
    pub next: Option<Next>,
    /// What Nium said last; `None` before the first look.
    pub snapshot: Option<KeptSnapshot>,
}

/// An effect as it is shown.
#[derive(Clone, Debug)]
pub struct EffectRow {
    /// Its key.
    pub key: EffectKey,
    /// About whom.
    pub customer: CustomerHashId,
    /// The lane it runs in.
    pub lane: String,
    /// What it is.
    pub kind: String,
    /// Where it stands.
    pub status: EffectStatus,
    /// Attempts made.
    pub attempts: u32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// A short word on the outcome.
    pub outcome: Option<String>,
    /// What the other side said, sealed.
    pub said: Option<Vec<u8>>,
}

/// An API token as it is listed; the token itself is shown once, when it is made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRow {
    /// Its id, for revoking.
    pub id: String,
    /// `viewer`, `officer`, `admin` or `app`.
    pub role: String,
    /// Whose it is.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Row counts and ages for the metrics, read when they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Cases and the oldest `since`, by state.
    pub states: Vec<(String, i64, Option<Timestamp>)>,
    /// Open effects and the oldest creation, by lane.
    pub effects: Vec<(String, i64, Option<Timestamp>)>,
    /// Customers due now.
    pub due: i64,
    /// Log rows that the fold has not read yet.
    pub unfolded: i64,
    /// When the last callback came.
    pub last_callback: Option<Timestamp>,
}

/// How many customers a claim may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    /// All of them.
    pub all: usize,
    /// Those among them whom the sweep alone has named.
    pub swept: usize,
    /// Which claim this is: now and then a lower rank is served first, so that none starves.
    pub turn: u64,
}

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
    /// The page to ask for next; `None` ends the sweep.
    pub next: Option<u32>,
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

/// Makes the sealed record of an answer; the error is a sentence for the log.
pub type SealAnswer = dyn Fn(&Value) -> Result<FirstAnswer, String> + Send + Sync;

/// Writes down the first answer to a write that carries an `Idempotency-Key`, in the transaction that does the work.
#[derive(Clone)]
pub struct Recorder {
    /// A hash of caller, route and key.
    pub key: [u8; 32],
    /// Seals the answer once it is known.
    pub seal: Arc<SealAnswer>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    First(T),
    /// It was done before, and this was the answer.
    Again(FirstAnswer),
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
    /// An officer's word is to be decided about.
    Officer,
    /// The app backend is to be told.
    Webhook,
}

impl JobKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Decision, Self::Look, Self::Submit, Self::Officer, Self::Webhook];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Look => "look",
            Self::Submit => "submit",
            Self::Officer => "officer",
            Self::Webhook => "webhook",
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
}

/// What a retry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// So many jobs begin again.
    Done(usize),
    /// Nothing was done: there are so many now, not as many as were confirmed.
    Moved(usize),
}
