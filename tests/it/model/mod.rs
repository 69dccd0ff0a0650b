//! One customer, everywhere they can get to. The real `flow::decide` runs in a small world in which callbacks come
//! late, twice or never, processes die or sleep between any two steps, leases are lost, Nium's answers are lost before
//! and after it acted, and Nium changes its mind by itself. Every state that can be reached within a bound is visited
//! and held against the laws (`laws`); `twins` shows that each law can be broken.
//!
//! What the world takes for granted: Nium shows a write within `settle` of the end of the call; its clock is at most a
//! second from ours; nobody sleeps between checking the lease and the first byte.

mod laws;
mod search;
mod step;
mod twins;
mod work;
mod world;

use laws::Law;
use search::{Broken, Search};
use step::Rules;
use world::{Left, SECOND, Says, World};

/// Set to `long`, this goes farther, and takes minutes.
const LENGTH: &str = "REINSTATE_TEST_MODEL";

/// Visits everything that can follow the first callback about a customer whom Nium has just rejected, or works on.
fn explore(rules: &Rules, laws: &[Law], skew: i64, left: Left) -> Result<usize, Broken> {
    let starts = [Says::Rejected, Says::Working].map(|says| World::begin(says, skew, left));
    Search::new(rules, laws).run(&starts)
}

/// The same for a customer who is blocked for good: only an officer's word leads on from there.
fn explore_blocked(rules: &Rules, laws: &[Law], skew: i64, left: Left) -> Result<usize, Broken> {
    Search::new(rules, laws).run(&[World::begin(Says::Blocked, skew, left)])
}

/// Together they would be too many: each bound lets another kind of trouble go deep, with all the rest around it small.
fn bounds(is_long: bool) -> Vec<(&'static str, i64, Left)> {
    let one = Left { corrections: 1, waits: 2, ..Left::NOTHING };
    let late = -SECOND;
    if !is_long {
        return vec![
            ("callbacks late and repeated", late, Left { nudges: 1, ..one }),
            ("two crashes", 0, Left { mishaps: 2, ..one }),
            ("Nium changes its mind", late, Left { moves: 1, ..one }),
            ("an officer speaks", 0, Left { words: 1, ..one }),
            ("two corrections", SECOND, Left { corrections: 2, waits: 3, ..one }),
        ];
    }
    let all = Left { nudges: 1, corrections: 1, words: 1, moves: 1, mishaps: 1, waits: 1 };
    vec![
        ("callbacks late and repeated", late, Left { nudges: 3, ..one }),
        ("a crash, and more time", late, Left { mishaps: 1, waits: 3, ..one }),
        ("an officer speaks, and more time", 0, Left { words: 1, waits: 3, ..one }),
        ("two corrections, and more time", SECOND, Left { corrections: 2, waits: 4, ..one }),
        ("all at once", 0, all),
        ("all but officers, and more time", late, Left { words: 0, waits: 2, ..all }),
    ]
}

#[test]
fn every_law_holds_wherever_a_customer_can_get_to() {
    let is_long = std::env::var(LENGTH).is_ok_and(|length| length == "long");
    let mut sum = 0;
    for (what, skew, left) in bounds(is_long) {
        match explore(&Rules::OURS, &Law::ALL, skew, left) {
            Ok(states) => {
                println!("{what}: {states} states");
                sum += states;
            }
            Err(broken) => panic!("{what}: {}", broken.trace),
        }
    }
    let one = Left { corrections: 1, words: 1, waits: 2, ..Left::NOTHING };
    let more =
        if is_long { Left { mishaps: 1, words: 2, waits: 3, ..one } } else { Left { mishaps: 1, ..one } };
    for (what, skew, left) in
        [("a blocked customer re-applies", 0, more), ("the same, on a late clock", -SECOND, one)]
    {
        match explore_blocked(&Rules::OURS, &Law::ALL, skew, left) {
            Ok(states) => println!("{what}: {states} states"),
            Err(broken) => panic!("{what}: {}", broken.trace),
        }
    }
    println!("{sum} states in all");
    let least = if is_long { 1_000_000 } else { 100_000 };
    assert!(sum >= least, "a world of only {sum} states proves little");
}
