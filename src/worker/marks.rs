//! Snapshots that cannot be searched yet, because they are from before there were marks, get theirs: in small steps with
//! a rest between, so that no callback waits for it. Where it stopped needs no note: what is not marked is left to do.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{WorkError, Worker};
use crate::domain::id::CustomerHashId;
use crate::domain::search::terms;
use crate::domain::snapshot::Snapshot;
use crate::store::rows::search::{Mark, NewMarks, Unmarked};
use crate::vault::Place;

/// Snapshots marked in one transaction.
const STEP: usize = 25;
/// The rest after a step.
const REST: Duration = Duration::from_millis(50);
/// How often it is looked whether anything was left; what could not be marked is then tried again.
const EVERY: Duration = Duration::from_mins(1);
/// How often one who is not on duty looks whether they are by now.
const STAND_BY: Duration = Duration::from_secs(3);

/// Runs until `soft` is cancelled.
pub async fn mark(worker: Arc<Worker>, soft: CancellationToken) {
    let mut after = None;
    loop {
        let on_duty = worker.is_on_duty().await;
        let stepped = if on_duty { step(&worker, after).await } else { Ok(None) };
        let wait = match stepped {
            Ok(Some(last)) => {
                after = Some(last);
                REST
            }
            Ok(None) => {
                after = None;
                if on_duty { EVERY } else { STAND_BY }
            }
            Err(error) => {
                tracing::warn!(%error, "customers could not be marked for searching; it is tried again");
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = soft.cancelled() => return,
        }
    }
}

/// Marks a few. Gives the last of them; `None` when there was nobody left.
async fn step(worker: &Worker, after: Option<CustomerHashId>) -> Result<Option<CustomerHashId>, WorkError> {
    let found = worker.store.unmarked(after, STEP).await?;
    let Some(last) = found.last().map(|row| row.customer) else { return Ok(None) };
    let mut marks = Vec::new();
    for row in found {
        match worker.marks_of_kept(&row).await {
            Ok(made) => {
                marks.push(NewMarks {
                    customer: row.customer,
                    looked_at: row.snapshot.looked_at,
                    marks: made,
                });
            }
            // One that does not open must not keep the others from being found.
            Err(error) => {
                tracing::warn!(customer = %row.customer, %error, "a customer cannot be marked for searching");
            }
        }
    }
    worker.store.put_marks(marks).await?;
    Ok(Some(last))
}

impl Worker {
    async fn marks_of_kept(&self, row: &Unmarked) -> Result<Vec<Mark>, WorkError> {
        let key = self.data_key(row.customer).await?;
        let place = Place { table: "snapshot", column: "sealed", row: row.customer.to_string() };
        let snapshot: Snapshot = serde_json::from_slice(&key.open(&place, &row.snapshot.sealed)?)?;
        self.marks_of(&snapshot).await
    }

    /// What a customer can be found by, marked. One key for all of them: it must not matter whose the text is.
    pub(super) async fn marks_of(&self, snapshot: &Snapshot) -> Result<Vec<Mark>, WorkError> {
        let key = self.search_key.get_or_try_init(|| self.data_key(CustomerHashId::NOBODY)).await?;
        Ok(terms(&snapshot.profile).iter().map(|term| key.mark_bytes(&term.bytes())).collect())
    }
}
