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
const AT_ONCE_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
enum DrainError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far draining has come in this process.
#[derive(Debug)]
struct Progress {
    /// Everything before this is on file.
    from: u64,
    /// Records to read next; after a failure one by one, so that none is written again and again.
    at_once: usize,
}

/// Drains the spool whenever something is in it, until `soft` is cancelled; what is left stays for the next start.
pub async fn drain(worker: Arc<Worker>, soft: CancellationToken) {
    let mut progress = Progress { from: 0, at_once: AT_ONCE_MAX };
    while !soft.is_cancelled() {
        if (worker.spool.waiting() > 0 || worker.spool.on_detour())
            && let Err(error) = pass(&worker, &mut progress).await
        {
            progress.at_once = 1;
            tracing::debug!(%error, waiting = worker.spool.waiting(), "the spool cannot be drained yet");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// From where the last pass ended to the last record. The spool is only cleared when every record is on file; after a
/// restart draining begins again, which is harmless: a nudge recorded twice is recognised.
async fn pass(worker: &Worker, progress: &mut Progress) -> Result<(), DrainError> {
    // Whether the store writes again is found out by one question, not by a batch that waits for its limit.
    worker.store.ping().await?;
    loop {
        let page = worker.spool.read(progress.from, progress.at_once).await?;
        if page.next == progress.from {
            break;
        }
        let drained = u64::try_from(page.records.len()).unwrap_or(u64::MAX);
        // Begun in order, so that they reach the writer in the order in which they came; it groups them.
        let writes =
            page.records.into_iter().map(|spooled| worker.store.record_again(spooled.nudge, spooled.at));
        for written in join_all(writes).await {
            written?;
        }
        worker.metrics.drained.inc_by(drained);
        progress.from = page.next;
        progress.at_once = (progress.at_once * 2).min(AT_ONCE_MAX);
        worker.spool.set_detour(false);
    }
    worker.spool.set_detour(false);
    if worker.spool.clear(progress.from).await? {
        if progress.from > 0 {
            tracing::info!("the database is back; the spooled callbacks are on file");
        }
        progress.from = 0;
    }
    Ok(())
}
