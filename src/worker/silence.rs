//! Callbacks that should have come: each change that we found by ourselves is judged when its callback has had time, and
//! when none come at all, an alarm is raised once, told to the app backend, and lifted when one comes again.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::effect::Event;
use crate::store::error::StoreError;
use crate::store::rows::watch::Silence;

/// How often it is judged, in the machine's time.
const EVERY: Duration = Duration::from_secs(1);
/// Findings judged in one transaction.
const STEP: usize = 200;
/// Missing callbacks in a row, with none heard between them, that are an alarm. Where none was ever heard, one is enough:
/// Nium probably has no address, or a wrong one.
const SILENT_AFTER: u64 = 3;

/// Runs until `soft` is cancelled.
pub async fn watch(worker: Arc<Worker>, soft: CancellationToken) {
    while !soft.is_cancelled() {
        if worker.is_on_duty().await
            && let Err(error) = look(&worker).await
        {
            tracing::warn!(%error, "missing callbacks could not be counted; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

async fn look(worker: &Worker) -> Result<(), StoreError> {
    let mut seen = worker.store.silence().await?;
    if seen.due > 0 {
        let judged = worker.store.judge(STEP).await?;
        worker.metrics.callbacks_missing.inc_by(judged.missing);
        worker.metrics.callbacks_late.inc_by(judged.told);
        if judged.missing > 0 {
            tracing::warn!(
                missing = judged.missing,
                "callbacks that should have come did not; see `reinstate doctor`"
            );
        }
        seen = worker.store.silence().await?;
    }
    match is_silent(&seen) {
        Some(raised) => alarm(worker, raised, &seen).await,
        None => Ok(()),
    }
}

/// Whether to raise the alarm or to lift it; `None` leaves it as it is.
fn is_silent(seen: &Silence) -> Option<bool> {
    let enough = if seen.last_callback_at.is_none() { 1 } else { SILENT_AFTER };
    match seen.alarm_since {
        None => (seen.missing_since >= enough).then_some(true),
        Some(since) => seen.last_callback_at.is_some_and(|at| at > since).then_some(false),
    }
}

async fn alarm(worker: &Worker, raised: bool, seen: &Silence) -> Result<(), StoreError> {
    let event = if raised { Event::CallbacksSilent } else { Event::CallbacksHeard };
    let tell = worker.about_silence(event, seen).ok();
    if worker.store.alarm(raised, tell).await? {
        if raised {
            tracing::error!(
                missing = seen.missing_since,
                "no callbacks come although customers change; check the address that Nium has (`reinstate doctor`)"
            );
        } else {
            tracing::info!("callbacks come again");
        }
    }
    Ok(())
}
