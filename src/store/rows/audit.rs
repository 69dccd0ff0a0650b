//! Rows about the audit record.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::domain::audit::{Checkpoint, Entry, Head, Keys, SALT_BYTES};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{CallbackRow, CaseRow, EffectRow, TimelineRow};

/// One row of the record as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number; grows with time, with gaps.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who: a token's name, `service`, or `command line`.
    pub actor: String,
    /// What was done.
    pub what: String,
    /// About whom, if about somebody; `None` once they are erased.
    pub customer_hash_id: Option<CustomerHashId>,
    /// The particulars; `None` once the person is erased.
    pub detail: Option<Value>,
    /// Its place in the chain; `None` for the moment until it has one.
    pub seq: Option<i64>,
    /// When the person was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

/// Which rows are wanted; what is `None` takes any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// About this customer.
    pub customer: Option<CustomerHashId>,
    /// By this one.
    pub actor: Option<String>,
    /// Saying this.
    pub what: Option<String>,
}

/// What puts rows into the chain.
#[derive(Clone)]
pub struct Linker {
    /// Makes MACs.
    pub keys: Arc<Keys>,
    /// The key that goes on.
    pub key_id: String,
    /// Gives a fresh salt for each row.
    pub salt: Arc<dyn Fn() -> [u8; SALT_BYTES] + Send + Sync>,
    /// Rows linked at most.
    pub most: usize,
}

impl fmt::Debug for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linker").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointRule {
    /// After so long, if there is anything new.
    pub every: Duration,
    /// After so many rows, whatever the time.
    pub rows: i64,
}

/// Where the chain stands at one moment.
#[derive(Clone, Debug)]
pub struct AuditEnds {
    /// Where the service says that it ends.
    pub head: Option<Head>,
    /// The highest place that a row has; 0 without any.
    pub last: i64,
    /// Rows that wait for their place.
    pub unlinked: i64,
    /// Every checkpoint.
    pub checkpoints: Vec<Checkpoint>,
}

/// A row of the chain, or why it cannot be read, with its place.
pub type ReadEntry = (i64, Result<Entry, StoreError>);

/// Everything on file about one customer that is not sealed.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The case, with what Nium said last; `None` before the first look.
    pub case: Option<CaseRow>,
    /// Everything that happened, oldest first, callbacks included.
    pub timeline: Vec<TimelineRow>,
    /// Callbacks, newest first.
    pub callbacks: Vec<CallbackRow>,
    /// What was done to the outside, and what the app backend was told.
    pub effects: Vec<BundledEffect>,
    /// The ids of ours under which they applied, before Nium named them.
    pub applicants: Vec<CustomerHashId>,
    /// Who did what, with what proves it.
    pub audit: Vec<ProvenRow>,
    /// Where the chain ends, to whom these rows belong.
    pub head: Option<Head>,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Something has more rows than are given.
    pub is_cut: bool,
}

/// An effect with its attempts.
#[derive(Clone, Debug)]
pub struct BundledEffect {
    /// The effect.
    pub effect: EffectRow,
    /// What the app backend was told, to the byte.
    pub told: Option<Vec<u8>>,
    /// Each attempt: its number, when, and what it came to.
    pub attempts: Vec<(i64, Timestamp, String)>,
}

/// One row of somebody's bundle, with everything by which its place in the chain can be recomputed.
#[derive(Clone, Debug)]
pub struct ProvenRow {
    /// The row.
    pub row: AuditRow,
    /// The particulars as they are committed to, to the byte.
    pub detail: Option<String>,
    /// The rest; `None` for the moment until it has its place.
    pub entry: Option<Entry>,
    /// The MAC of the row before, if that is there.
    pub previous: Option<Vec<u8>>,
}
