//! When to try again, and when to ask Nium by ourselves. Times are arguments; so is the roll of the dice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::case::{Case, CaseState, OfficerReason, Stage};
use crate::domain::decision::{Next, NextWhat};

/// The first wait after a failure; each further one doubles it.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The shortest and longest pause between two looks at a customer whom Nium is working on.
const WATCH_PAUSE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(15), SignedDuration::from_hours(24));
/// The same after a submission was taken, where an answer may come within seconds.
const REVIEW_PAUSE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(2), SignedDuration::from_hours(24));

/// How long to wait after `failures` failures in a row (1 is the first): between half and the whole of
/// 1, 2, 4 … s, at most `most`. `roll` is between 0 and 1 and spreads those who failed together.
#[must_use]
pub fn backoff(failures: u32, most: Duration, roll: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = BACKOFF_FIRST.saturating_mul(1 << doublings).min(most);
    whole.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
}

/// What happens to this case by itself, and when; `None` where only a nudge or a person leads on.
#[must_use]
pub fn next(case: &Case, now: Timestamp) -> Option<Next> {
    let look = |at| Some(Next { what: NextWhat::Look, at });
    match &case.state {
        CaseState::Watching { .. } => look(pause(case.since, now, WATCH_PAUSE)),
        CaseState::Rejected { reread_at, .. } => look(*reread_at),
        CaseState::AwaitingCorrection { deadline, .. } => {
            Some(Next { what: NextWhat::Deadline, at: *deadline })
        }
        CaseState::Submitting { stage: Stage::Intended { .. } | Stage::Sending { .. }, .. } => {
            Some(Next { what: NextWhat::Submit, at: now })
        }
        CaseState::Submitting { stage: Stage::Unclear { settled_at, .. }, .. } => look(*settled_at),
        CaseState::UnderReview { taken_at, .. } => look(pause(*taken_at, now, REVIEW_PAUSE)),
        CaseState::NeedsOfficer { why, .. } => match why {
            OfficerReason::UnknownWord | OfficerReason::NothingSaid | OfficerReason::LooksFail => {
                look(pause(case.since, now, WATCH_PAUSE))
            }
            OfficerReason::UnclearRemark
            | OfficerReason::CorporateRejection
            | OfficerReason::NotAtNium
            | OfficerReason::CannotTell
            | OfficerReason::CannotSend => None,
        },
        CaseState::Reinstated | CaseState::Approved | CaseState::FinallyRejected { .. } => None,
    }
}

/// Half as long as it has lasted so far, within bounds: asked often while it is fresh, seldom when it is old.
fn pause(since: Timestamp, now: Timestamp, (least, most): (SignedDuration, SignedDuration)) -> Timestamp {
    let half = now.duration_since(since) / 2;
    now.saturating_add(half.clamp(least, most)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: Duration = Duration::from_mins(15);

    #[test]
    fn the_first_retries_come_after_one_two_and_four_seconds() {
        let waits: Vec<_> = (1..=3).map(|failures| backoff(failures, MOST, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4]);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_zero_and_never_above_the_bound(failures in 0_u32..u32::MAX, roll in -1.0_f64..2.0) {
            let wait = backoff(failures, MOST, roll);
            prop_assert!(wait >= BACKOFF_FIRST / 2 && wait <= MOST);
        }
    }
}
