//! How long to wait before trying again. The roll of the dice is an argument.

use std::time::Duration;

use jiff::SignedDuration;

/// The first wait after a failure; each further one doubles it.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// How long to wait after `failures` failures in a row (1 is the first): between half and the whole of
/// 1, 2, 4 … s, at most `most`. `roll` is between 0 and 1 and spreads those who failed together.
#[must_use]
pub fn backoff(failures: u32, most: Duration, roll: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = BACKOFF_FIRST.saturating_mul(1 << doublings).min(most);
    whole.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
}

/// How long Nium is left alone after a write of which nobody knows: at least `settle`, in which it shows what it took, and longer
/// after each further one. An outage of one endpoint is not the customer's, and is not over after five seconds. `sends` counts
/// from 1.
#[must_use]
pub fn rest_after(sends: u32, settle: SignedDuration) -> SignedDuration {
    settle.max(match sends {
        0 | 1 => SignedDuration::ZERO,
        2 => SignedDuration::from_secs(10),
        3 => SignedDuration::from_mins(1),
        _ => SignedDuration::from_mins(10),
    })
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
