//! Who of several replicas does what the fleet does once. Whoever is on duty renews it as long as they live; when they are
//! gone, another takes over within seconds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Worker;

/// How long a duty lasts without being renewed.
const SPAN: Duration = Duration::from_secs(8);
/// How long it is taken for granted before it is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(3);
/// How often one who is not on duty asks, in the machine's time.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Duty {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// On duty, until then without asking.
    until: Option<Timestamp>,
    /// Asked last, in vain.
    refused: Option<Instant>,
    /// We have had an answer before.
    has_begun: bool,
}

impl Worker {
    /// Whether this replica does what the fleet does once. Nobody is on duty while the database is away.
    pub(super) async fn is_on_duty(&self) -> bool {
        let now = self.clock.now();
        let begins = {
            let state = self.duty.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.until.is_some_and(|until| until > now) {
                return true;
            }
            if state.refused.is_some_and(|at| at.elapsed() < ASK_EVERY) {
                return false;
            }
            !state.has_begun
        };
        let taken = self.store.take_duty(begins, SPAN).await;
        let mut state = self.duty.state.lock().unwrap_or_else(PoisonError::into_inner);
        match taken {
            Ok(true) => {
                // Measured from before we asked, so that we never think that we have it longer than we do.
                state.until = now.checked_add(RENEW_AFTER).ok();
                (state.refused, state.has_begun) = (None, true);
                true
            }
            Ok(false) => {
                (state.until, state.refused, state.has_begun) = (None, Some(Instant::now()), true);
                false
            }
            Err(error) => {
                tracing::debug!(%error, "nobody knows who is on duty; it is asked again");
                (state.until, state.refused) = (None, Some(Instant::now()));
                false
            }
        }
    }
}
