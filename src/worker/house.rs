//! Keeping house: what is kept only for a while goes, in small steps that nobody has to wait for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::store::error::StoreError;

/// How long first answers to `Idempotency-Key`s are kept (design, section 7).
const FIRST_ANSWERS_KEPT: Duration = Duration::from_hours(24);
/// How long a link that ended is still known as one: a visitor is told so.
const LINKS_KEPT: Duration = Duration::from_hours(24 * 30);
/// How long a session that is over stays on file: no longer than its browser may still show it.
const SESSIONS_KEPT: Duration = Duration::from_hours(1);
/// How long what a visitor wrote and did not send is kept.
const DRAFTS_KEPT: Duration = Duration::from_hours(24 * 3);
/// How long it is known what happened in which hour.
const HOURS_KEPT: Duration = Duration::from_hours(24 * 90);
/// How long it is counted how far journeys have come: longer than any overview shows.
const TALLY_KEPT: Duration = Duration::from_hours(24 * 100);
/// How often the house is kept.
const EVERY: Duration = Duration::from_mins(10);
/// How often one who is not on duty looks whether they are by now.
const STAND_BY: Duration = Duration::from_secs(3);
/// Rows that go in one transaction.
const STEP: usize = 500;
/// The rest after such a step, several times as long as it takes: whoever writes meanwhile has the database most of the time.
const REST: Duration = Duration::from_millis(20);

/// Runs until `soft` is cancelled.
pub async fn keep(worker: Arc<Worker>, soft: CancellationToken) {
    while !soft.is_cancelled() {
        let on_duty = worker.is_on_duty().await;
        if on_duty {
            tokio::select! {
                kept = sweep_out(&worker) => if let Err(error) = kept {
                    tracing::warn!(%error, "what is kept only for a while could not all go; it is tried again");
                },
                () = soft.cancelled() => return,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(if on_duty { EVERY } else { STAND_BY }) => {}
            () = soft.cancelled() => {}
        }
    }
}

async fn sweep_out(worker: &Worker) -> Result<(), StoreError> {
    while worker.store.drop_first_answers(FIRST_ANSWERS_KEPT, STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    while worker.store.expire_approvals(STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    while worker.store.drop_ended_links(LINKS_KEPT, DRAFTS_KEPT, STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    while worker.store.drop_ended_sessions(SESSIONS_KEPT, STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    while worker.store.drop_hours(HOURS_KEPT, STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    while worker.store.drop_tally(TALLY_KEPT, STEP).await? == STEP {
        tokio::time::sleep(REST).await;
    }
    let Some(kept) = worker.options.keep_callbacks else { return Ok(()) };
    let mut after = Some(0);
    while let Some(place) = after {
        after = worker.store.drop_callbacks(kept, place, STEP).await?;
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
