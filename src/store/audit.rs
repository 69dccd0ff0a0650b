//! The record of who did what. Rows are written by the transactions that they record; here they get their places in the
//! chain, and are read.

use super::Store;
use super::error::StoreError;
use super::rows::audit::{AuditEnds, AuditFilter, AuditRow, Bundle, CheckpointRule, Linker, ReadEntry};
use super::sql::{audit, bundle};
use crate::domain::audit::Checkpoint;
use crate::domain::id::CustomerHashId;
use serde_json::Value;

/// Rows of each kind in one customer's bundle.
const BUNDLE_ROWS_MAX: usize = 50_000;

impl Store {
    /// Law: what somebody did that no other transaction records is recorded now.
    pub async fn note(
        &self,
        actor: &str,
        customer: Option<CustomerHashId>,
        what: &'static str,
        detail: Value,
    ) -> Result<(), StoreError> {
        let (actor, now) = (actor.to_owned(), self.clock.now());
        self.write(move |tx| audit::note(tx, &actor, customer, what, &detail, now)).await
    }

    /// Law: rows that wait get their places after the head, in order, and the head moves with them; at most as many
    /// as the linker takes. Gives how many. Fails if the head is not as the service left it.
    pub async fn link_audit(&self, linker: Linker) -> Result<usize, StoreError> {
        if !self.read(audit::waits).await? {
            return Ok(0);
        }
        self.write(move |tx| audit::link(tx, &linker)).await
    }

    /// Law: a checkpoint that is due is made once, with the next number. `None`: none is due.
    pub async fn checkpoint_audit(
        &self,
        linker: Linker,
        rule: CheckpointRule,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let now = self.clock.now();
        if !self.read(move |tx| audit::checkpoint_is_due(tx, rule, now)).await? {
            return Ok(None);
        }
        self.write(move |tx| audit::checkpoint(tx, &linker, rule, now)).await
    }

    /// Checkpoints after a number, oldest first.
    pub async fn checkpoints(&self, after: i64, most: usize) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(move |tx| audit::checkpoints(tx, after, most)).await
    }

    /// Law: nothing in the record says any more about whom a customer's rows were, and how many they were is recorded.
    pub async fn erase_audit(&self, actor: &str, customer: CustomerHashId) -> Result<usize, StoreError> {
        let (actor, now) = (actor.to_owned(), self.clock.now());
        self.write(move |tx| audit::erase(tx, &actor, customer, now)).await
    }

    /// Where the chain stands.
    pub async fn audit_ends(&self) -> Result<AuditEnds, StoreError> {
        self.read(audit::ends).await
    }

    /// Rows of the chain after a place, up to and with another.
    pub async fn audit_chain(
        &self,
        after: i64,
        last: i64,
        most: usize,
    ) -> Result<Vec<ReadEntry>, StoreError> {
        self.read(move |tx| audit::chain(tx, after, last, most)).await
    }

    /// The particulars of rows after a place that tell of erasures.
    pub async fn erasures_after(&self, last: i64) -> Result<Vec<Option<String>>, StoreError> {
        self.read(move |tx| audit::erasures_after(tx, last)).await
    }

    /// Rows of a filter, newest first, before number `before`.
    pub async fn audit(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |tx| audit::list(tx, &filter, before, most)).await
    }

    /// Everything on file about a customer that is not sealed, as of one moment; at most `BUNDLE_ROWS_MAX` rows of
    /// each kind.
    pub async fn bundle(&self, customer: CustomerHashId) -> Result<Bundle, StoreError> {
        self.read(move |tx| bundle::read_all(tx, customer, BUNDLE_ROWS_MAX)).await
    }
}
