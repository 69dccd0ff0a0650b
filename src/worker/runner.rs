//! The one loop. It takes permits before it claims, so it never claims what it cannot start; it registers for the
//! wake-up before it looks, so no hint is lost; and without any hint the poll alone suffices.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Worker, mail};
use crate::store::error::StoreError;
use crate::store::rows::Seats;
use crate::store::rows::events::{TellLane, TellLease, TellSeats};

/// How far clocks and schedulers may be off between checking a lease and sending the first byte.
pub(super) const SKEW: Duration = Duration::from_secs(5);
/// Waiting for Nium's pace, on top of the calls themselves, that a customer's lease leaves room for.
const PACE_ROOM: Duration = Duration::from_mins(1);
/// Notifications sent at once to one destination: a slow one has its own seats, and takes nobody else's.
const TELLS_AT_ONCE: usize = 16;
/// A notification's lease: longer than any attempt's limit.
const TELL_LEASE: Duration = Duration::from_mins(5);
/// The longest the loop waits without looking, in the machine's time.
const POLL: Duration = Duration::from_millis(500);

/// How often the same trouble is told: a database that is away for an hour must not fill the log.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// Where notifications to one destination are sent from.
struct Desk {
    lane: TellLane,
    destination: String,
    free: Arc<Semaphore>,
}

impl Desk {
    fn new((lane, destination): (TellLane, String)) -> Self {
        Self { lane, destination, free: Arc::new(Semaphore::new(TELLS_AT_ONCE)) }
    }

    fn seats(&self) -> TellSeats {
        let (destination, most) = (self.destination.clone(), self.free.available_permits());
        TellSeats { lane: self.lane, destination, most }
    }

    fn is_for(&self, lease: &TellLease) -> bool {
        self.lane == lease.lane && self.destination == lease.destination
    }
}

/// When something was complained about last.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

/// Runs the work until `soft` is cancelled, then finishes what it holds. When `hard` is cancelled too, what is left is
/// dropped; its leases end by themselves.
pub async fn run(worker: Arc<Worker>, soft: CancellationToken, hard: CancellationToken) {
    let tasks = TaskTracker::new();
    let customers = Arc::new(Semaphore::new(worker.options.customers_at_once));
    // Live work always finds a seat.
    let swept = Arc::new(Semaphore::new((worker.options.customers_at_once / 2).max(1)));
    let tells: Vec<Desk> = worker.destinations().into_iter().map(Desk::new).collect();
    let mut complaint = Complaint::default();
    take_over(&worker, &soft, &mut complaint).await;
    while !soft.is_cancelled() {
        let rung = worker.wake.rung();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let claimed = match worker.let_go().await {
            Ok(()) => claim_and_start(&worker, (&customers, &swept), &tells, &tasks).await,
            Err(error) => Err(error),
        };
        let wait = match claimed {
            Ok(0) => wait_for_more(&worker).await,
            Ok(_) => continue,
            Err(error) => {
                worker.hands.doubt();
                if complaint.is_due() {
                    tracing::error!(%error, "claiming work failed; it is tried again and again");
                }
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
async fn take_over(worker: &Worker, soft: &CancellationToken, complaint: &mut Complaint) {
    while !soft.is_cancelled() {
        match worker.store.release_the_dead().await {
            Ok(0) => return,
            Ok(released) => {
                tracing::info!(released, "an earlier process ended with work in hand; it is taken up again");
                return;
            }
            Err(error) if complaint.is_due() => {
                tracing::error!(%error, "what an earlier process held cannot be taken over yet; it is tried again and again");
            }
            Err(_) => {}
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
    tells: &[Desk],
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
            let grip = worker.hands.customer(claimed.lease.customer);
            started += 1;
            tasks.spawn(async move {
                worker.attend(claimed).await;
                drop((permit, place, grip));
                worker.wake.wake();
            });
        }
    }
    let seats: Vec<TellSeats> = tells.iter().map(Desk::seats).filter(|seats| seats.most > 0).collect();
    if !seats.is_empty() {
        for lease in worker.store.claim_tells(TELL_LEASE, seats).await? {
            let desk = tells.iter().find(|desk| desk.is_for(&lease));
            let Some(permit) = desk.and_then(|desk| take(&desk.free)) else { break };
            let worker = Arc::clone(worker);
            let grip = worker.hands.tell(lease.seq);
            started += 1;
            tasks.spawn(async move {
                worker.deliver(lease).await;
                drop((permit, grip));
                worker.wake.wake();
            });
        }
    }
    Ok(started)
}

impl Worker {
    /// Where notifications may go.
    fn destinations(&self) -> Vec<(TellLane, String)> {
        let endpoints = self.endpoints.iter().map(|one| (TellLane::Webhook, one.name().to_owned()));
        let mail = self.mailer.as_ref().map(|_| (TellLane::Email, mail::DESTINATION.to_owned()));
        endpoints.chain(mail).collect()
    }

    /// One attempt at one claimed notification.
    async fn deliver(&self, lease: TellLease) {
        match lease.lane {
            TellLane::Webhook => self.notify(lease).await,
            TellLane::Email => self.write_to_customer(lease).await,
        }
    }
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
