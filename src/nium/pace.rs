//! The pace towards Nium: a rate with a burst, and how many calls run at once. No limit is published (contract
//! section 2), so ours is modest unless an operator knows better.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::error::NiumError;

/// Longest time that a whole burst may take to come back; far beyond any use, far below what the limiter can count.
const REFILL_MAX: Duration = Duration::from_hours(24 * 365);

/// Live calls that go out between two calls of a sweep while live work waits: a sweep has a third of the rate then.
const LIVE_PER_SWEEP: u32 = 2;

/// How late a call may go after its turn; later ones take another. What others send meanwhile is counted with it.
const LATE_MAX: Duration = Duration::from_millis(100);
/// The pause before a turn is asked for again, when nobody could give one.
const NO_TURN: Duration = Duration::from_millis(500);
/// The most that a call pays for an answer that comes late: whoever shares the turns out is hardly there then.
const SLOW_MAX: Duration = Duration::from_secs(10);

/// The answer to whoever asks for a turn: how long until then, or that there is none now; `None` where nobody shares.
type Turn = Pin<Box<dyn Future<Output = Option<Result<Duration, ()>>> + Send>>;

/// A budget of turns that several processes share. It is asked with the time between two calls, and with how far ahead
/// of that a call may be after a quiet time.
#[derive(Clone)]
pub struct SharedTurns(Arc<dyn Fn(Duration, Duration) -> Turn + Send + Sync>);

impl SharedTurns {
    /// Turns come from `ask`.
    pub fn new(ask: impl Fn(Duration, Duration) -> Turn + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Nobody else spends the budget.
    #[must_use]
    pub fn alone() -> Self {
        Self::new(|_, _| Box::pin(std::future::ready(None)))
    }
}

impl fmt::Debug for SharedTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedTurns")
    }
}

/// Who asks for leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A customer whom somebody is waiting for.
    Live,
    /// The sweep, and customers whom it alone has named.
    Sweep,
}

/// Leave for one call. It holds one of the places for calls that run at once until it is dropped, so it is used soon
/// or given back; a task that holds one must not wait for another (where assertions are on, it is stopped). Its turn is
/// over a moment later: whoever had to wait for something else meanwhile asks for another, see
/// [`Nium::on_time`](super::Nium::on_time).
#[derive(Debug)]
pub struct Permit {
    _place: Option<OwnedSemaphorePermit>,
    /// Until when the call may go.
    until: Instant,
    _held: Held,
}

/// That a task holds a permit.
#[derive(Debug)]
struct Held(Option<(tokio::task::Id, Arc<Mutex<HashSet<tokio::task::Id>>>)>);

impl Held {
    /// Notes it for the task that runs, if any does.
    fn by_this_task(holders: &Arc<Mutex<HashSet<tokio::task::Id>>>) -> Self {
        let task = tokio::task::try_id().filter(|_| cfg!(debug_assertions));
        Self(task.map(|task| {
            let is_first = holders.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
            debug_assert!(is_first, "a task that holds a permit must not wait for another");
            (task, Arc::clone(holders))
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((task, holders)) = self.0.take() {
            holders.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
        }
    }
}

/// The budget.
pub(super) struct Pace {
    rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    places: Arc<Semaphore>,
    live: Live,
    shared: SharedTurns,
    /// What the shared budget is asked with.
    turns: (Duration, Duration),
    /// Tasks that hold a permit.
    holders: Arc<Mutex<HashSet<tokio::task::Id>>>,
}

/// Live work that waits for leave, and what it has left for sweeps.
#[derive(Default)]
struct Live {
    waiting: AtomicUsize,
    /// Live calls since the last call of a sweep, at most [`LIVE_PER_SWEEP`].
    since_sweep: AtomicU32,
    changed: Notify,
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a Live);

impl Live {
    fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    fn went(&self) {
        let more = |count: u32| Some((count + 1).min(LIVE_PER_SWEEP));
        let _ = self.since_sweep.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        self.changed.notify_waiters();
    }

    /// Waits until a sweep may ask: nobody else waits, or enough of them have gone.
    async fn sweeps_turn(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let spend = |count: u32| (count >= LIVE_PER_SWEEP).then_some(0);
            let earned = self.since_sweep.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).is_ok();
            if earned || self.waiting.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Pace {
    /// At most `per_second` calls in the long run, `burst` at once after a pause, and `places` running at any moment.
    pub(super) fn new(per_second: f64, burst: u32, places: u32) -> Result<Self, NiumError> {
        let places = usize::try_from(places).ok().filter(|places| *places > 0).ok_or(NiumError::Pace)?;
        let rate = RateLimiter::direct(quota(per_second, burst)?);
        let places = Arc::new(Semaphore::new(places));
        let turns = turns(per_second, burst)?;
        let (live, holders) = (Live::default(), Arc::default());
        Ok(Self { rate, places, live, shared: SharedTurns::alone(), turns, holders })
    }

    /// The same, within a budget that others spend too.
    pub(super) fn shared(self, shared: SharedTurns) -> Self {
        Self { shared, ..self }
    }

    /// Waits for leave. The rate is spent last, so that nobody spends it and then waits for a place.
    pub(super) async fn permit(&self, class: Class) -> Permit {
        match class {
            Class::Live => {
                let waiting = self.live.wait();
                let permit = self.next().await;
                drop(waiting);
                self.live.went();
                permit
            }
            Class::Sweep => {
                self.live.sweeps_turn().await;
                self.next().await
            }
        }
    }

    async fn next(&self) -> Permit {
        // Noted before it waits: a task that waits for itself would never be seen.
        let held = Held::by_this_task(&self.holders);
        // The semaphore is never closed; were it, the rate alone would still hold.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        Permit { _place: place, until: self.turn().await, _held: held }
    }

    /// Waits for another turn, if that of the permit is over. Its place is kept.
    pub(super) async fn on_time(&self, permit: &mut Permit) {
        if Instant::now() > permit.until {
            permit.until = self.turn().await;
        }
    }

    /// Waits for a turn of the rate, and of the budget that others spend too. Gives until when it may be used.
    ///
    /// The turn is at some moment between the question and the answer, and after the wait: no call goes before that may
    /// be, or later than [`LATE_MAX`] after it. Where the answer alone takes longer than that, the next turn is asked for
    /// with as much more time until the one after it, and may be as much later.
    async fn turn(&self) -> Instant {
        let (interval, ahead) = self.turns;
        let mut slow = Duration::ZERO;
        loop {
            self.rate.until_ready().await;
            let asked = Instant::now();
            let Some(turn) = (self.shared.0)(interval.saturating_add(slow), ahead).await else {
                return Instant::now() + LATE_MAX;
            };
            let Ok(wait) = turn else {
                tokio::time::sleep(NO_TURN).await;
                continue;
            };
            let (took, until) = (asked.elapsed(), asked + wait + LATE_MAX + slow);
            tokio::time::sleep(wait).await;
            // A process that was stopped meanwhile has missed its turn: others have theirs now.
            if Instant::now() <= until {
                return until;
            }
            slow = took.saturating_mul(2).min(SLOW_MAX);
        }
    }
}

/// What the shared budget is asked with. A call may be late by [`LATE_MAX`], so a second at Nium may have the turns of a
/// second and that much: the budget is smaller by as much, first of all its burst.
fn turns(per_second: f64, burst: u32) -> Result<(Duration, Duration), NiumError> {
    let late = LATE_MAX.as_secs_f64();
    let at_once = (f64::from(burst) - per_second * late).max(1.0);
    let per_second = ((per_second + f64::from(burst) - at_once) / (1.0 + late)).min(per_second);
    let interval = Duration::try_from_secs_f64(1.0 / per_second).map_err(|_| NiumError::Pace)?;
    let ahead = Duration::try_from_secs_f64((at_once - 1.0) / per_second).map_err(|_| NiumError::Pace)?;
    Ok((interval, ahead))
}

fn quota(per_second: f64, burst: u32) -> Result<Quota, NiumError> {
    let burst = NonZeroU32::new(burst).ok_or(NiumError::Pace)?;
    let period = Duration::try_from_secs_f64(1.0 / per_second).map_err(|_| NiumError::Pace)?;
    // The limiter counts nanoseconds in 64 bits, and panics where a whole burst takes longer.
    let refill = period.checked_mul(burst.get()).ok_or(NiumError::Pace)?;
    if refill > REFILL_MAX {
        return Err(NiumError::Pace);
    }
    Ok(Quota::with_period(period).ok_or(NiumError::Pace)?.allow_burst(burst))
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").field("places", &self.places.available_permits()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    /// So slow that the rate gives nothing back while a test runs.
    const SLOW: f64 = 0.001;

    /// Asks for leave once, without waiting.
    fn at_once(pace: &Pace) -> Option<Permit> {
        match pin!(pace.permit(Class::Live)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_burst_goes_at_once_and_nothing_after_it() {
        let pace = Pace::new(SLOW, 3, 10).unwrap();
        let burst: Vec<Permit> = std::iter::from_fn(|| at_once(&pace)).take(10).collect();
        assert_eq!(burst.len(), 3);
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_places_and_a_place_comes_back() {
        let pace = Pace::new(SLOW, 100, 2).unwrap();
        let (first, second) = (at_once(&pace).unwrap(), at_once(&pace).unwrap());
        assert!(at_once(&pace).is_none());
        drop(first);
        let third = at_once(&pace).unwrap();
        assert!(at_once(&pace).is_none());
        drop((second, third));
        assert_eq!(pace.places.available_permits(), 2);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_and_goes_away_has_spent_nothing() {
        let pace = Pace::new(SLOW, 2, 1).unwrap();
        let held = at_once(&pace).unwrap();
        for _ in 0..5 {
            assert!(at_once(&pace).is_none(), "the only place is taken");
        }
        drop(held);
        assert!(at_once(&pace).is_some(), "the second of the burst is still there");
    }

    #[tokio::test]
    async fn leave_comes_no_faster_than_the_rate_on_the_real_clock() {
        let (per_second, burst, wanted) = (1000.0, 5, 25);
        let pace = Pace::new(per_second, burst, 10).unwrap();
        let begun = Instant::now();
        for given in 1..=wanted {
            drop(pace.permit(Class::Live).await);
            let earned = f64::from(burst) + begun.elapsed().as_secs_f64() * per_second;
            assert!(f64::from(given) <= earned * 1.01, "{given} given, {earned} earned");
        }
    }

    #[tokio::test]
    async fn a_sweep_has_a_share_while_live_work_waits_and_all_of_it_otherwise() {
        let pace = Pace::new(100_000.0, 1000, 1).unwrap();
        let done = std::cell::Cell::new(0_u32);
        let ask = async || {
            for _ in 0..20 {
                let permit = pace.permit(Class::Live).await;
                tokio::task::yield_now().await;
                drop(permit);
            }
            done.set(done.get() + 1);
        };
        let sweep = async || {
            let mut swept = 0;
            while done.get() < 4 {
                drop(pace.permit(Class::Sweep).await);
                tokio::task::yield_now().await;
                swept += 1;
            }
            swept
        };
        let (.., swept) = tokio::join!(ask(), ask(), ask(), ask(), sweep());
        assert!((8..=40).contains(&swept), "{swept} of a sweep beside 80 live ones");
        for _ in 0..50 {
            drop(pace.permit(Class::Sweep).await);
        }
    }

    #[tokio::test]
    async fn whoever_holds_a_permit_and_waits_for_another_is_found_out() {
        let pace = Arc::new(Pace::new(SLOW, 9, 9).unwrap());
        let (one, both) = (Arc::clone(&pace), Arc::clone(&pace));
        #[expect(clippy::disallowed_methods, reason = "a task of its own is what this is about")]
        let (after_each_other, at_once) = (
            tokio::spawn(async move {
                drop(one.permit(Class::Live).await);
                drop(one.permit(Class::Live).await);
            }),
            tokio::spawn(async move {
                let _held = both.permit(Class::Live).await;
                let _second = both.permit(Class::Live).await;
            }),
        );
        after_each_other.await.unwrap();
        assert!(at_once.await.unwrap_err().is_panic());
    }

    /// Turns that are answered after `answers`, each told to wait for `wait`; gives with how much time to the next one
    /// each was asked for.
    fn slow_turns(answers: &[u64], wait: Duration) -> (SharedTurns, Arc<Mutex<Vec<Duration>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, answers) = (Arc::clone(&asked), answers.to_vec());
        let turns = SharedTurns::new(move |interval, _| {
            let place = heard.lock().unwrap().len();
            heard.lock().unwrap().push(interval);
            let after = Duration::from_millis(answers.get(place).copied().unwrap_or(0));
            Box::pin(async move {
                tokio::time::sleep(after).await;
                Some(Ok(wait))
            })
        });
        (turns, asked)
    }

    #[tokio::test]
    async fn an_answer_that_comes_too_late_is_no_turn() {
        let (turns, asked) = slow_turns(&[300], Duration::ZERO);
        let pace = Pace::new(10.0, 3, 1).unwrap().shared(turns);
        drop(pace.permit(Class::Live).await);
        assert_eq!(asked.lock().unwrap().len(), 2, "the first answer may be 300 ms old");
    }

    #[tokio::test]
    async fn where_every_answer_is_slow_calls_go_all_the_same_and_pay_for_it() {
        let (turns, asked) = slow_turns(&[150; 20], Duration::from_millis(5));
        let pace = Pace::new(10.0, 3, 1).unwrap().shared(turns);
        drop(pace.permit(Class::Live).await);
        let asked = asked.lock().unwrap().clone();
        assert!(asked.len() == 2 && asked[1] >= asked[0] + Duration::from_millis(300), "{asked:?}");
    }

    #[tokio::test]
    async fn a_permit_that_was_kept_waiting_takes_another_turn_and_keeps_its_place() {
        let (turns, asked) = slow_turns(&[], Duration::ZERO);
        let pace = Pace::new(100.0, 9, 1).unwrap().shared(turns);
        let mut permit = pace.permit(Class::Live).await;
        pace.on_time(&mut permit).await;
        assert_eq!(asked.lock().unwrap().len(), 1, "it is on time");
        permit.until = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        pace.on_time(&mut permit).await;
        assert_eq!((asked.lock().unwrap().len(), pace.places.available_permits()), (2, 0));
    }

    #[test]
    fn a_pace_of_nothing_is_refused() {
        for per_second in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300, 1e300] {
            assert!(matches!(Pace::new(per_second, 1, 1), Err(NiumError::Pace)), "{per_second}");
        }
        assert!(matches!(Pace::new(1.0, 0, 1), Err(NiumError::Pace)));
        assert!(matches!(Pace::new(1.0, 1, 0), Err(NiumError::Pace)));
    }

    proptest! {
        #[test]
        fn any_numbers_make_a_pace_or_are_refused(
            per_second: f64, exponent in -20_i32..20, burst: u32, places: u32,
        ) {
            for per_second in [per_second, 10_f64.powi(exponent)] {
                if let Ok(pace) = Pace::new(per_second, burst, places) {
                    prop_assert!(at_once(&pace).is_some());
                }
            }
        }

        #[test]
        fn no_second_has_more_than_rate_and_burst(
            per_second in 0.5_f64..50.0, burst in 1_u32..20, waits in proptest::collection::vec(0_u64..300, 1..300),
        ) {
            let clock = FakeRelativeClock::default();
            let rate = RateLimiter::direct_with_clock(quota(per_second, burst).unwrap(), clock.clone());
            let mut now = 0;
            let mut given = Vec::new();
            for wait in waits {
                clock.advance(Duration::from_millis(wait));
                now += wait;
                while rate.check().is_ok() {
                    given.push(now);
                }
            }
            prop_assert!(given.iter().filter(|at| **at == given[0]).count() == usize::try_from(burst).unwrap());
            for from in &given {
                let within = given.iter().filter(|at| (*from..from + 1000).contains(at)).count();
                let most = per_second + f64::from(burst);
                prop_assert!(f64::from(u32::try_from(within).unwrap()) <= most, "{within} in a second, {most} allowed");
            }
        }
    }
}
