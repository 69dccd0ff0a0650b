//! Time as a value you are given. Production takes the machine's clock; tests take one they move by hand.
//!
//! Everything that waits asks the clock to wait, so that a test which moves time forward also wakes the waiter.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved.
    Manual(ManualClock),
}

impl Clock {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Clock::System => Timestamp::now(),
            Clock::Manual(clock) => clock.now(),
        }
    }

    /// Waits until the clock shows `at` or later. A moment already past returns at once.
    pub async fn sleep_until(&self, at: Timestamp) {
        match self {
            Clock::System => {
                let left = at.duration_since(self.now());
                if let Ok(left) = Duration::try_from(left) {
                    tokio::time::sleep(left).await;
                }
            }
            Clock::Manual(clock) => clock.reach(at).await,
        }
    }

    /// Waits for `span` of this clock's time.
    pub async fn sleep(&self, span: Duration) {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let at = self.now().saturating_add(span).unwrap_or(Timestamp::MAX);
        self.sleep_until(at).await;
    }
}

/// A clock that stands still until [`ManualClock::set`] moves it. Clones share the same hands.
#[derive(Clone, Debug)]
pub struct ManualClock {
    hands: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { hands: Arc::new(watch::Sender::new(start)) }
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.hands.borrow()
    }

    /// Moves the hands to `at`, never backwards, and wakes whoever waits for that moment.
    pub fn set(&self, at: Timestamp) {
        self.hands.send_modify(|hands| *hands = at.max(*hands));
    }

    async fn reach(&self, at: Timestamp) {
        let mut seen = self.hands.subscribe();
        // The sender lives in `self`, so waiting cannot fail while we are borrowed.
        let _ = seen.wait_for(|hands| *hands >= at).await;
    }
}
