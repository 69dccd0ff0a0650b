//! Keeping house: what is kept only for a while goes, in small steps that nobody has to wait for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;

/// How long first answers to `Idempotency-Key`s are kept (design, section 7).
const FIRST_ANSWERS_KEPT: Duration = Duration::from_hours(24);
/// How often the house is kept.
const EVERY: Duration = Duration::from_mins(10);
/// Rows that go in one transaction.
const STEP: usize = 500;

/// Runs until `soft` is cancelled.
pub async fn keep(worker: Arc<Worker>, soft: CancellationToken) {
    loop {
        match worker.store.drop_first_answers(FIRST_ANSWERS_KEPT, STEP).await {
            Ok(gone) if gone == STEP => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old first answers could not be dropped; it is tried again"),
        }
        match worker.store.expire_approvals(STEP).await {
            Ok(expired) if expired == STEP => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "approvals could not expire; it is tried again"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => return,
        }
    }
}
