//! An officer's word to many customers at once.

use serde_json::Value;

use super::Store;
use super::error::StoreError;
use super::rows::bulk::{BulkRow, BulkShown, BulkStep, Cancelled, NewBulk, NewStep};
use super::rows::{Once, Recorder};
use super::sql::bulk;

impl Store {
    /// Law: an act is stored with everybody it is for, once for its `Idempotency-Key`; whoever fits later is not one of
    /// them. `answer` is what the key is answered with from then on.
    pub async fn begin_bulk(
        &self,
        new: NewBulk,
        recorder: Option<Recorder>,
        answer: impl Fn(&BulkRow) -> Value + Send + 'static,
    ) -> Result<Once<BulkRow>, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| bulk::begin(tx, &new, recorder.as_ref(), &answer, now)).await
    }

    /// The next few customers of the act that was asked for first; `None` when none runs.
    pub async fn next_bulk(&self, most: usize) -> Result<Option<BulkStep>, StoreError> {
        self.read(move |tx| bulk::next(tx, most)).await
    }

    /// Law: the word is said to each customer of a step once, and how far the act came is written with it. False: the act
    /// has moved on, or ended, without this step.
    pub async fn step_bulk(&self, step: NewStep) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let done = self.write(move |tx| bulk::step(tx, &step, now)).await?;
        self.ring();
        Ok(done)
    }

    /// Law: an act that was cancelled says no further word; what was said stands.
    pub async fn cancel_bulk(&self, id: &str, by: &str) -> Result<Cancelled, StoreError> {
        let (id, by, now) = (id.to_owned(), by.to_owned(), self.clock.now());
        self.write(move |tx| bulk::cancel(tx, &id, &by, now)).await
    }

    /// Acts, newest first, before number `before`.
    pub async fn bulks(&self, before: Option<i64>, most: usize) -> Result<Vec<BulkRow>, StoreError> {
        self.read(move |tx| bulk::list(tx, before, most)).await
    }

    /// One act, with what became of its customers.
    pub async fn bulk(&self, id: &str) -> Result<Option<BulkShown>, StoreError> {
        let id = id.to_owned();
        self.read(move |tx| bulk::shown(tx, &id)).await
    }
}
