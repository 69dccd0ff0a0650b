//! Nium's trouble is not the customer's: when Nium itself is in trouble, everybody waits, and nobody's attempt is spent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::flow::retry::backoff;
use crate::nium::error::{Trouble, TroubleKind};

/// The longest pause of all calls to Nium that we take without being told to.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// The longest pause that Nium may ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// Server errors and timeouts in a row, over all customers, that count as an outage; fewer are one customer's bad luck.
const OUTAGE_AFTER: u32 = 3;

/// Whether calls to Nium go out at present.
#[derive(Debug, Default)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    paused_until: Option<Timestamp>,
    failures: u32,
}

impl Lane {
    /// Until when calls are paused; `None` when they go out.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().paused_until.filter(|until| *until > now)
    }

    /// Nium answered like itself. A pause lasts all the same: the call may have been on its way when it began.
    pub(super) fn well(&self) {
        self.lock().failures = 0;
    }

    /// Nium is in trouble. Gives the pause that follows, if one does.
    pub(super) fn trouble(&self, trouble: &Trouble, now: Timestamp, roll: f64) -> Option<Duration> {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let pause = match (&trouble.kind, trouble.retry_after) {
            (TroubleKind::TooMany, Some(asked)) => asked.min(RETRY_AFTER_MAX),
            (
                TroubleKind::TooMany
                | TroubleKind::Unauthorized
                | TroubleKind::Forbidden
                | TroubleKind::Connect,
                _,
            ) => backoff(state.failures, PAUSE_MAX, roll),
            (TroubleKind::Timeout | TroubleKind::Server(_) | TroubleKind::ConnectionLost, _) => {
                if state.failures < OUTAGE_AFTER {
                    return None;
                }
                backoff(state.failures - OUTAGE_AFTER + 1, PAUSE_MAX, roll)
            }
        };
        let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        state.paused_until = Some(state.paused_until.map_or(until, |earlier| earlier.max(until)));
        Some(pause)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
