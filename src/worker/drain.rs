//! What the spool holds goes into the store as soon as the store takes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::spool::SpoolError;
use crate::store::error::StoreError;

/// How often the spool is looked at, in the machine's time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Records read from the spool, and given to the store, at once.
const AT_ONCE: usize = 256;

#[derive(Debug, thiserror::Error)]
enum DrainError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Drains the spool whenever something is in it, until `soft` is cancelled; what is left stays for the next start.
pub async fn drain(worker: Arc<Worker>, soft: CancellationToken) {
    while !soft.is_cancelled() {
        if (worker.spool.waiting() > 0 || worker.spool.on_detour())
            && let Err(error) = drain_once(&worker).await
        {
            tracing::debug!(%error, waiting = worker.spool.waiting(), "the spool cannot be drained yet");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// One pass from the first record to the last. The spool is only cleared when every record is on file; a pass that
/// fails half-way begins again, which is harmless: a nudge recorded twice is recognised.
async fn drain_once(worker: &Worker) -> Result<(), DrainError> {
    // Whether the store writes again is found out by one question, not by a batch that waits for its limit.
    worker.store.ping().await?;
    let (mut from, mut drained) = (0, 0);
    loop {
        let page = worker.spool.read(from, AT_ONCE).await?;
        if page.next == from {
            break;
        }
        from = page.next;
        drained += page.records.len();
        // Begun in order, so that they reach the writer in the order in which they came; it groups them.
        let writes =
            page.records.into_iter().map(|spooled| worker.store.record_again(spooled.nudge, spooled.at));
        for written in join_all(writes).await {
            written?;
        }
        worker.spool.set_detour(false);
    }
    worker.spool.set_detour(false);
    if worker.spool.clear(from).await? && drained > 0 {
        worker.metrics.drained.inc_by(u64::try_from(drained).unwrap_or(u64::MAX));
        tracing::info!(drained, "the database is back; the spooled callbacks are on file");
    }
    Ok(())
}
