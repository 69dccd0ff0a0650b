//! The pace towards Nium: a rate with a burst, and how many calls run at once. No limit is published (contract
//! section 2), so ours is modest unless an operator knows better.

use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
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
/// or given back; a task that holds one must not wait for another.
#[derive(Debug)]
pub struct Permit {
    _place: Option<OwnedSemaphorePermit>,
}

/// The budget.
pub(super) struct Pace {
    rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    places: Arc<Semaphore>,
    live: Live,
    shared: SharedTurns,
    /// What the shared budget is asked with.
    turns: (Duration, Duration),
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
        Ok(Self { rate, places, live: Live::default(), shared: SharedTurns::alone(), turns })
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
        // The semaphore is never closed; were it, the rate alone would still hold.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        self.rate.until_ready().await;
        self.turn().await;
        Permit { _place: place }
    }

    /// Waits for a turn of the budget that others spend too.
    async fn turn(&self) {
        let (interval, ahead) = self.turns;
        while let Some(turn) = (self.shared.0)(interval, ahead).await {
            let Ok(wait) = turn else {
                tokio::time::sleep(NO_TURN).await;
                continue;
            };
            let at = Instant::now() + wait;
            tokio::time::sleep_until(at.into()).await;
            // A process that was stopped meanwhile has missed its turn: others have theirs now.
            if at.elapsed() <= LATE_MAX {
                return;
            }
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
