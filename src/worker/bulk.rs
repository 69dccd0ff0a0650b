//! An officer's word to many customers is said to a few at a time, with a rest between, so that no callback waits for it.
//! How far it came is on file with the words themselves: whoever goes on, after whatever, goes on there.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{WorkError, Worker};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::bulk::{BulkRow, BulkStep, Chosen, NewStep};
use crate::store::rows::officer::NewNote;
use crate::vault::Place;

/// Customers in one transaction.
const STEP: usize = 10;
/// The rest after a step.
const REST: Duration = Duration::from_millis(40);
/// How often it is looked whether there is anything to do.
const EVERY: Duration = Duration::from_millis(500);
/// The wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Runs until `soft` is cancelled.
pub async fn carry_out(worker: Arc<Worker>, soft: CancellationToken) {
    loop {
        let stepped = if worker.is_on_duty().await { step(&worker).await } else { Ok(false) };
        let wait = match stepped {
            Ok(true) => REST,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "an officer's word to many could not go on; it is tried again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = soft.cancelled() => return,
        }
    }
}

/// Says the word to the next few. False when there was nothing to do.
async fn step(worker: &Worker) -> Result<bool, WorkError> {
    let Some(step) = worker.store.next_bulk(STEP).await? else { return Ok(false) };
    let notes = worker.notes_of(&step).await?;
    let takes_two = worker.options.override_needs_approval;
    worker.store.step_bulk(NewStep { step, notes, takes_two }).await?;
    Ok(true)
}

impl Worker {
    /// The note of an act, sealed for each customer: erasing one takes their copy along.
    async fn notes_of(&self, step: &BulkStep) -> Result<Vec<Option<NewNote>>, WorkError> {
        let Some(text) = self.note_of(&step.bulk).await? else { return Ok(Vec::new()) };
        let mut notes = Vec::new();
        for Chosen { customer, .. } in &step.chosen {
            let id = self.chance.uuid();
            let place = Place::of_note(&id.to_string());
            notes.push(match self.data_key(*customer).await.and_then(|key| Ok(key.seal(&place, &text)?)) {
                Ok(sealed) => Some(NewNote { id, sealed }),
                Err(WorkError::Store(StoreError::Erased)) => None,
                // One key that does not open must not keep everybody else waiting.
                Err(WorkError::Vault(error)) => {
                    tracing::error!(%customer, %error, "an officer's word goes without its note");
                    None
                }
                Err(error) => return Err(error),
            });
        }
        Ok(notes)
    }

    async fn note_of(&self, bulk: &BulkRow) -> Result<Option<Vec<u8>>, WorkError> {
        let Some(sealed) = &bulk.note else { return Ok(None) };
        let place = Place { table: "bulk", column: "note", row: bulk.id.clone() };
        let key = self.data_key(CustomerHashId::NOBODY).await?;
        Ok(Some(key.open(&place, sealed)?.to_vec()))
    }
}
