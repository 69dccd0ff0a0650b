//! The pace towards Nium: a rate with a burst, and how many calls run at once. No limit is published (contract
//! section 2), so ours is modest unless an operator knows better.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::NiumError;

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
}

impl Pace {
    /// At most `per_second` calls in the long run, `burst` at once after a pause, and `places` running at any moment.
    pub(super) fn new(per_second: f64, burst: u32, places: u32) -> Result<Self, NiumError> {
        let burst = NonZeroU32::new(burst).ok_or(NiumError::Pace)?;
        let places = usize::try_from(places).ok().filter(|places| *places > 0).ok_or(NiumError::Pace)?;
        let period = Duration::try_from_secs_f64(1.0 / per_second).map_err(|_| NiumError::Pace)?;
        let quota = Quota::with_period(period).ok_or(NiumError::Pace)?.allow_burst(burst);
        Ok(Self { rate: RateLimiter::direct(quota), places: Arc::new(Semaphore::new(places)) })
    }

    /// Waits for leave. The rate is spent last, so that nobody spends it and then waits for a place.
    pub(super) async fn permit(&self) -> Permit {
        // The semaphore is never closed; were it, the rate alone would still hold.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        self.rate.until_ready().await;
        Permit { _place: place }
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").field("places", &self.places.available_permits()).finish_non_exhaustive()
    }
}
