//! The one loop. It takes permits before it claims, so it never claims what it cannot start; it registers for the
//! wake-up before it looks, so no hint is lost; and without any hint the poll alone suffices.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::store::error::StoreError;
use crate::store::rows::Seats;

/// How far clocks and schedulers may be off between checking a lease and sending the first byte.
pub(super) const SKEW: Duration = Duration::from_secs(5);
/// Waiting for Nium's pace, on top of the calls themselves, that a customer's lease leaves room for.
const PACE_ROOM: Duration = Duration::from_mins(1);
/// Notifications sent at once.
const TELLS_AT_ONCE: usize = 16;
/// A notification's lease: longer than any attempt's limit.
const TELL_LEASE: Duration = Duration::from_mins(5);
/// The longest the loop waits without looking, in the machine's time.
const POLL: Duration = Duration::from_millis(500);

/// Runs the work until `soft` is cancelled, then finishes what it holds. When `hard` is cancelled too, what is left is
/// dropped; its leases end by themselves.
pub async fn run(worker: Arc<Worker>, soft: CancellationToken, hard: CancellationToken) {
    let tasks = TaskTracker::new();
    let customers = Arc::new(Semaphore::new(worker.options.customers_at_once));
    // Live work always finds a seat.
    let swept = Arc::new(Semaphore::new((worker.options.customers_at_once / 2).max(1)));
    let tells = Arc::new(Semaphore::new(TELLS_AT_ONCE));
    take_over(&worker, &soft).await;
    while !soft.is_cancelled() {
        let rung = worker.wake.rung();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let claimed = claim_and_start(&worker, (&customers, &swept), &tells, &tasks).await;
        let wait = match claimed {
            Ok(0) => wait_for_more(&worker).await,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(%error, "claiming work failed; it is tried again");
                None
            }
        };
        let due = async {
            match wait {
                Some(at) => worker.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = rung => {}
            () = due => {}
            () = tokio::time::sleep(POLL) => {}
            () = soft.cancelled() => {}
        }
    }
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = hard.cancelled() => tracing::warn!(left = tasks.len(), "work was dropped; it is taken up after the next start"),
    }
}

/// Whatever a dead process held is due now; what it was sending is then found out by looking. A disk that is full at the
/// start must not keep callbacks out, so this is tried until it is done, and nothing is claimed before.
async fn take_over(worker: &Worker, soft: &CancellationToken) {
    while !soft.is_cancelled() {
        match worker.store.release_the_dead().await {
            Ok(0) => return,
            Ok(released) => {
                tracing::info!(released, "an earlier process ended with work in hand; it is taken up again");
                return;
            }
            Err(error) => tracing::error!(%error, "what an earlier process held cannot be taken over yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// Claims what there are permits for and starts it. Gives how much was claimed.
async fn claim_and_start(
    worker: &Arc<Worker>,
    (customers, swept): (&Arc<Semaphore>, &Arc<Semaphore>),
    tells: &Arc<Semaphore>,
    tasks: &TaskTracker,
) -> Result<usize, StoreError> {
    let mut started = 0;
    let free = customers.available_permits();
    if free > 0 && worker.lane.paused_until(worker.clock.now()).is_none() {
        // Two calls (look, then send), each waiting for its turn.
        let lease = worker.options.call_limit * 2 + PACE_ROOM + SKEW;
        let turn = worker.claims.fetch_add(1, Ordering::Relaxed) + 1;
        let seats = Seats { all: free, swept: swept.available_permits(), turn };
        let claimed = worker.store.claim(lease, seats).await?;
        assert!(claimed.len() <= free, "the store claimed more than was asked for");
        for claimed in claimed {
            let Some(permit) = take(customers) else { break };
            let place = if claimed.swept { take(swept) } else { None };
            let worker = Arc::clone(worker);
            started += 1;
            tasks.spawn(async move {
                worker.attend(claimed).await;
                drop((permit, place));
                worker.wake.wake();
            });
        }
    }
    let free = tells.available_permits();
    if free > 0 && worker.notifier.is_some() {
        for lease in worker.store.claim_tells(TELL_LEASE, free).await? {
            let Some(permit) = take(tells) else { break };
            let worker = Arc::clone(worker);
            started += 1;
            tasks.spawn(async move {
                worker.notify(lease).await;
                drop(permit);
                worker.wake.wake();
            });
        }
    }
    Ok(started)
}

fn take(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(permits).try_acquire_owned().ok()
}

/// The moment to look again if nobody rings; `None` leaves it to the poll. What is due already but could not be started
/// (no permits, or Nium is resting) is not a reason to run in circles.
async fn wait_for_more(worker: &Worker) -> Option<Timestamp> {
    let now = worker.clock.now();
    let due = worker.store.next_due().await.ok().flatten();
    let resumed = worker.lane.paused_until(now);
    [due, resumed].into_iter().flatten().filter(|at| *at > now).min()
}
