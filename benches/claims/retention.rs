//! What callbacks that come in feel of the cleaning up of old ones, and of what closed cases need no more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use reinstate::clock::Clock;
use reinstate::domain::id::CustomerHashId;
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::privacy::ClosedPlace;
use reinstate::store::{Place, Store};

use crate::fill::{each, number};
use crate::histogram;

/// Old callbacks, and cases that were closed long ago.
const OLD: u32 = 1_000_000;
const CLOSED: u32 = 200_000;
/// Rounds of callbacks: alone, beside the one and beside the other, in turn.
const ROUNDS: usize = 3;
/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(15);
/// Callbacks at once.
const AT_ONCE: usize = 16;
/// What goes in one transaction, and the rest after it, as the service has it.
const CALLBACKS_STEP: usize = 500;
const CLOSED_STEP: usize = 50;
const REST: Duration = Duration::from_millis(20);
/// How old is old.
const KEPT: Duration = Duration::from_hours(24);

const FILL: [(u32, &str); 4] = [
    (
        OLD,
        "INSERT INTO callback (id, customer, request_id, source, first_at, last_at, deliveries)
         SELECT -i, {id}, 'old-' || i, 'callback', 1, 1, 1 FROM n",
    ),
    (
        CLOSED,
        "INSERT INTO cases (customer, version, state, data, since, attempts_used, beside)
         SELECT {id}, 3, 'reinstated', '{\"state\":\"reinstated\"}', i, 1,
             '{\"rfi\":null,\"block\":null,\"reapplication\":false}' FROM n",
    ),
    (CLOSED, "INSERT INTO application (customer, sealed, stored_at) SELECT {id}, {blob}, 1 FROM n"),
    (
        CLOSED,
        "INSERT INTO effect (key, customer, lane, kind, status, created_at, ended_at, sealed)
         SELECT 'sent-' || i, {id}, 'nium', 'submit', 'done', 1, 2, {blob} FROM n",
    ),
];

/// What goes on beside the callbacks.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    OldCallbacks,
    ClosedCases,
}

/// Where each kind of cleaning up goes on.
struct Places {
    callbacks: Option<i64>,
    closed: Option<ClosedPlace>,
}

/// Rounds with and without cleaning up, in turn, and what a callback waited in each.
pub(crate) async fn run(store: &Store, place: &Place) -> Result<()> {
    eprintln!("making {OLD} old callbacks and {CLOSED} closed cases");
    for (most, statement) in FILL {
        each(place, most, statement).await?;
    }
    let mut took = [
        (Beside::Nothing, "alone", histogram()),
        (Beside::OldCallbacks, "beside old callbacks", histogram()),
        (Beside::ClosedCases, "beside closed cases", histogram()),
    ];
    let mut places = Places { callbacks: Some(i64::MIN), closed: Some((i64::MIN, Vec::new())) };
    for _ in 0..ROUNDS {
        for (beside, _, took) in &mut took {
            let over = AtomicBool::new(false);
            let coming = async {
                let came = round(store, took).await;
                over.store(true, Ordering::Relaxed);
                came
            };
            let (cleaned, came) = tokio::join!(clean(store, *beside, &mut places, &over), coming);
            cleaned?;
            came?;
        }
    }
    let callbacks = number(place, "SELECT count(*) FROM callback WHERE id < 0").await?;
    let applications = number(place, "SELECT count(*) FROM application").await?;
    println!(
        "{callbacks} of {OLD} old callbacks are left, {applications} applications of {CLOSED} closed cases"
    );
    for (_, what, took) in &took {
        println!(
            "{what:<20} {:>6} callbacks, p50 {:>6} µs, p99 {:>6} µs, longest {:>6} µs",
            took.len(),
            took.value_at_quantile(0.5),
            took.value_at_quantile(0.99),
            took.max()
        );
    }
    Ok(())
}

async fn clean(store: &Store, beside: Beside, places: &mut Places, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        match beside {
            Beside::Nothing => {}
            Beside::OldCallbacks => {
                if let Some(place) = places.callbacks {
                    places.callbacks = store.drop_callbacks(KEPT, place, CALLBACKS_STEP).await?;
                }
            }
            Beside::ClosedCases => {
                if let Some(place) = places.closed.take() {
                    places.closed = store.clear_closed("reinstated", KEPT, place, CLOSED_STEP).await?;
                }
            }
        }
        tokio::time::sleep(REST).await;
    }
    Ok(())
}

async fn round(store: &Store, took: &mut Histogram<u64>) -> Result<()> {
    let begun = Instant::now();
    let mut number = 0_u128;
    while begun.elapsed() < ROUND {
        let some = (0..AT_ONCE).map(|_| {
            number += 1;
            let customer = Some(CustomerHashId::from_bytes((number % 500 + 1).to_be_bytes()));
            let nudge =
                Nudge { customer, looks: true, source: Source::Callback, request_id: None, template: None };
            async move {
                let begun = Instant::now();
                store.record(nudge, Clock::System.now()).await?;
                anyhow::Ok(begun.elapsed())
            }
        });
        for one in join_all(some).await {
            took.record(u64::try_from(one?.as_micros())?)?;
        }
    }
    Ok(())
}
