//! What goes in and out of the store: plain values, already sealed where they are personal.

pub mod audit;
pub mod bulk;
pub mod dossier;
pub mod events;
pub mod links;
pub mod officer;
pub mod overview;
pub mod people;
pub mod privacy;
pub mod search;
pub mod watch;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use self::events::{NewMail, NewTell};
use self::overview::Standing;
use crate::domain::act::{ActKind, ActStage};
use crate::domain::case::Case;
use crate::domain::decision::{Next, OfficerWord};
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::Facts;

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
    /// The sealed request of a submission, or the sealed act.
    pub sealed: Option<Vec<u8>>,
    /// How far an act got.
    pub stage: ActStage,
    /// A second person has approved it.
    pub approved: bool,
}

/// The kinds of effects that run under a customer's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// One POST to Unified Add Customer.
    Submit,
    /// Another write at Nium.
    Act(ActKind),
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
    /// What the customer of that snapshot can be found by; without them they are marked by the side.
    pub marks: Option<Vec<search::Mark>>,
    /// The application that Nium now has, sealed.
    pub application: Option<Vec<u8>>,
    /// Where the customer goes on with a check.
    pub redirect: Option<KeptRedirect>,
    /// What Nium asks of the customer.
    pub rfi: RfiChange,
    /// Lines for the timeline.
    pub history: Vec<HistoryLine>,
    /// Who is to be told what.
    pub tells: Vec<NewTell>,
    /// What is written to the customer.
    pub mails: Vec<NewMail>,
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
    /// A look is owed, whatever was counted at the claim.
    pub look_again: bool,
}

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct HistoryLine {
    /// What kind of thing happened.
    pub what: &'static str,
    /// The particulars; nothing personal.
    pub detail: Value,
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
    /// How far an act got.
    pub stage: Option<ActStage>,
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

/// An act ready to be stored as an effect.
#[derive(Clone, Debug)]
pub struct NewAct {
    /// About whom.
    pub customer: CustomerHashId,
    /// What.
    pub kind: ActKind,
    /// The act, sealed for [`NewAct::key`].
    pub sealed: Vec<u8>,
    /// Its effect's key.
    pub key: EffectKey,
    /// The version of the case that it was asked for; `None` takes any.
    pub version: Option<u64>,
    /// For the timeline; nothing personal.
    pub summary: Value,
    /// Whose wish it was.
    pub by: String,
}

/// What became of asking for an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Stored.
    Stored(EffectKey),
    /// We have never heard of this customer.
    NoCase,
    /// Another write is under way.
    UnderWay,
    /// The case has another version by now.
    Moved,
}

/// What becomes of the items that are on file.
#[derive(Clone, Debug, Default)]
pub enum RfiChange {
    /// They stay as they are.
    #[default]
    Keep,
    /// Nothing is asked any more.
    Drop,
    /// These are asked now, sealed.
    Put(Vec<u8>),
}

/// What Nium asks of a customer, as it is kept.
#[derive(Clone, Debug)]
pub struct KeptRfi {
    /// The items, sealed.
    pub sealed: Vec<u8>,
    /// When they were fetched.
    pub fetched_at: Timestamp,
}

/// An address at a vendor as it is kept.
#[derive(Clone, Debug)]
pub struct KeptRedirect {
    /// The address, sealed.
    pub sealed: Vec<u8>,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// How an application to become a customer ends.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What becomes of its effect; it ends.
    pub effect: EffectChange,
    /// The customer that the applicant became, if so.
    pub became: Option<Became>,
    /// For the timeline.
    pub line: HistoryLine,
}

/// Whom an applicant became.
#[derive(Clone, Debug)]
pub struct Became {
    /// Nium's id.
    pub customer: CustomerHashId,
    /// The application, sealed with that customer's key.
    pub application: Vec<u8>,
    /// Where they go on, if they have to.
    pub redirect: Option<KeptRedirect>,
    /// What was noted about them before, sealed with that customer's key.
    pub notes: Vec<officer::NewNote>,
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
    /// What differs from what is on file, sealed.
    pub difference: Vec<u8>,
    /// For the timeline: names of the fields that differ.
    pub fields: Vec<String>,
    /// Whose wish it was.
    pub by: String,
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
    /// Who has it in hand, while it stands before the officers.
    pub in_hand: Option<officer::InHand>,
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

/// Counts and ages for the metrics: a few rows, however many customers.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Who stands where, counted by the side.
    pub standings: Vec<Standing>,
    /// When that was counted; `None` before the first time.
    pub counted_at: Option<Timestamp>,
    /// Log rows that the fold has not read yet.
    pub unfolded: i64,
    /// When the oldest of them came.
    pub oldest_unfolded: Option<Timestamp>,
    /// When the last callback came.
    pub last_callback: Option<Timestamp>,
    /// Rows of the audit record that wait for their place in the chain; 10,000 stands for any more.
    pub unlinked: i64,
    /// When a sweep last reached the end of Nium's list.
    pub swept_at: Option<Timestamp>,
}

impl Gauges {
    /// How many of this were counted by the side; `None` where nothing was counted yet.
    #[must_use]
    pub fn count(&self, what: &str) -> Option<u64> {
        self.counted_at?;
        let found = self.standings.iter().find(|standing| standing.what == what);
        Some(found.map_or(0, |standing| standing.count))
    }
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
