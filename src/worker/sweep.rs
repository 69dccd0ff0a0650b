//! The slow lane: walks over Nium's customer list, one page at a time, and nudges whoever stands there differently from
//! what we hold. Where it is, is on file; a restart goes on one page before.
//!
//! Pages are numbers into a list that moves (see `nium::list`): each page is read again after the one that follows it, so
//! that whoever slid to it meanwhile is met. Reading a customer twice is harmless.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::flow::retry::backoff;
use crate::nium::error::ListError;
use crate::nium::list::ListPage;
use crate::nium::pace::Class;
use crate::store::error::StoreError;
use crate::store::rows::Once;
use crate::store::rows::watch::{SCHEDULE, SweepRow, SweepTrouble, SweptPage};

/// How often it is looked whether there is anything to do, in the machine's time.
const POLL: Duration = Duration::from_millis(500);
/// Attempts at one page that Nium answers but that cannot be read.
const PAGE_ATTEMPTS_MAX: u32 = 5;
/// The longest wait between two attempts at one page.
const PAGE_BACKOFF_MAX: Duration = Duration::from_mins(15);
/// Pages of one sweep: a list without an end is not walked for ever.
const PAGES_MAX: u32 = 200_000;

/// Runs until `soft` is cancelled. A page that is being read then is read again after the next start.
pub async fn sweep(worker: Arc<Worker>, soft: CancellationToken) {
    loop {
        let went_on = tokio::select! {
            stepped = step(&worker) => stepped.unwrap_or_else(|error| {
                tracing::error!(%error, "the sweep could not go on; it is tried again");
                false
            }),
            () = soft.cancelled() => return,
        };
        if went_on {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = soft.cancelled() => return,
        }
    }
}

/// Begins a sweep, or reads one page of it. False: there is nothing to do now.
async fn step(worker: &Worker) -> Result<bool, StoreError> {
    let now = worker.clock.now();
    if worker.lane.paused_until(now).is_some() || !worker.is_on_duty().await {
        return Ok(false);
    }
    if let Some(running) = worker.store.sweep_running().await? {
        let is_due = running.due_at.is_some_and(|due| due <= now);
        if is_due {
            page(worker, running).await?;
        }
        return Ok(is_due);
    }
    let newest = worker.store.newest_sweep().await?;
    let due_at = newest.and_then(|newest| newest.asked_at.checked_add(worker.options.sweep.full_every).ok());
    if due_at.is_some_and(|at| at > now) {
        return Ok(false);
    }
    if let Once::First((begun, true)) = worker.store.ask_sweep(SCHEDULE, None).await? {
        tracing::info!(sweep = begun.id, kind = begun.kind, "a sweep begins");
    }
    Ok(true)
}

async fn page(worker: &Worker, sweep: SweepRow) -> Result<(), StoreError> {
    let options = &worker.options.sweep;
    let permit = worker.nium.permit(Class::Sweep).await;
    let begun_at = worker.clock.now();
    match worker.nium.list(sweep.page, options.page_size, worker.chance.uuid(), permit).await {
        Ok(listed) => {
            worker.lane.well();
            worker.metrics.sweep_page("read");
            let next = next_page(&sweep, &listed);
            let (id, ended) = (sweep.id, next.is_none());
            let page = SweptPage {
                before: sweep,
                customers: listed.customers,
                unreadable: listed.unreadable,
                pages: listed.total_pages,
                total: listed.total_customers,
                begun_at,
                judge_at: worker.later(options.grace),
                next,
            };
            let Some(found) = worker.store.swept(page).await? else { return Ok(()) };
            worker.metrics.sweep_found.inc_by(found);
            if ended {
                let row = worker.store.newest_sweep().await?.filter(|row| row.id == id);
                let (seen, found) = row.map_or((0, 0), |row| (row.seen, row.found));
                tracing::info!(sweep = id, seen, found, "a sweep has reached the end of Nium's list");
            }
            Ok(())
        }
        Err(error) => troubled(worker, sweep, error).await,
    }
}

async fn troubled(worker: &Worker, sweep: SweepRow, error: ListError) -> Result<(), StoreError> {
    let wait = backoff(sweep.failures.saturating_add(1), PAGE_BACKOFF_MAX, worker.chance.roll());
    let (follows, why) = match error {
        // Nium's trouble passes; the sweep waits for it.
        ListError::Trouble(trouble) => {
            worker.metrics.sweep_page("trouble");
            worker.pause_lane(&trouble, worker.clock.now());
            let wait = wait.max(trouble.retry_after.unwrap_or_default());
            (SweepTrouble::Again(worker.later(wait)), trouble.kind.as_str())
        }
        ListError::Unreadable(why) => {
            worker.metrics.sweep_page("unreadable");
            worker.lane.well();
            (after_unreadable(&sweep, worker.later(wait)), why)
        }
    };
    tracing::warn!(sweep = sweep.id, page = sweep.page, why, follows = ?follows, "a page of Nium's list was not read");
    worker.store.sweep_trouble(sweep, follows, why).await
}

/// One bad page is left out after a few attempts, if there is a page after it; a list that begins so is given up until
/// the next sweep.
fn after_unreadable(sweep: &SweepRow, again_at: jiff::Timestamp) -> SweepTrouble {
    let goes_on = (sweep.page > 0 || sweep.back)
        && sweep.pages.is_some_and(|pages| sweep.page.saturating_add(1) < pages);
    match sweep.failures.saturating_add(1) {
        attempts if attempts < PAGE_ATTEMPTS_MAX => SweepTrouble::Again(again_at),
        _ if goes_on => SweepTrouble::Skip,
        _ => SweepTrouble::GiveUp,
    }
}

/// Where to go on, and whether that page was read before; `None` at the end of the list. Each page is read again after
/// the one that follows it: 0, 1, 0, 2, 1, 3, 2, …
fn next_page(sweep: &SweepRow, listed: &ListPage) -> Option<(u32, bool)> {
    let shrank = matches!((sweep.total, listed.total_customers), (Some(before), Some(now)) if now < before);
    let goes_on = |page: u32| page < PAGES_MAX && listed.total_pages.is_none_or(|pages| page < pages);
    match (sweep.page, sweep.back) {
        // Whoever was at the head of a page that was not read yet may be on the one that was read last.
        (page, true) if shrank => Some((page.saturating_add(1), false)),
        (page, true) => Some(page.saturating_add(2)).filter(|next| goes_on(*next)).map(|next| (next, false)),
        (0, false) => (!listed.last).then_some((1, false)),
        // Without a number of pages an empty one is the end.
        (_, false) if listed.last && listed.total_pages.is_none() => None,
        (page, false) => Some((page - 1, true)),
    }
}
