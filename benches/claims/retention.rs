//! What callbacks that come in feel of the cleaning up of old ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use reinstate::clock::Clock;
use reinstate::domain::id::CustomerHashId;
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::{Place, Store};

use crate::fill::run as sql;
use crate::histogram;

/// Old callbacks.
const OLD: u32 = 1_000_000;
/// Rounds of callbacks, with and without, one after the other.
const ROUNDS: usize = 3;
/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(15);
/// Callbacks at once.
const AT_ONCE: usize = 16;
/// Rows that go in one transaction, and the rest after it, as the service has it.
const STEP: usize = 500;
const REST: Duration = Duration::from_millis(20);

/// Rounds with and without cleaning up, in turn, and what a callback waited in each.
pub(crate) async fn run(store: &Store, place: &Place) -> Result<()> {
    let Place::Postgres(options) = place else {
        bail!("--retention is about PostgreSQL: name it with --store-url")
    };
    let old = format!(
        "INSERT INTO callback (id, customer, request_id, source, first_at, last_at, deliveries)
         SELECT -i, decode(lpad(to_hex(i % 50000 + 1), 32, '0'), 'hex'), 'old-' || i, 'callback', 1, 1, 1
         FROM generate_series(1, {OLD}) AS n (i)"
    );
    sql(options, &[&old, "VACUUM (ANALYZE) callback"]).await?;
    let (mut alone, mut beside) = (histogram(), histogram());
    let mut place = i64::MIN;
    for _ in 0..ROUNDS {
        round(store, &mut alone).await?;
        let over = AtomicBool::new(false);
        let cleaning = async {
            while !over.load(Ordering::Relaxed) {
                match store.drop_callbacks(Duration::from_hours(24), place, STEP).await? {
                    Some(next) => place = next,
                    None => break,
                }
                tokio::time::sleep(REST).await;
            }
            anyhow::Ok(())
        };
        let coming = async {
            let came = round(store, &mut beside).await;
            over.store(true, Ordering::Relaxed);
            came
        };
        let (cleaned, came) = tokio::join!(cleaning, coming);
        cleaned?;
        came?;
    }
    let gone = sql(options, &["SELECT count(*) FROM callback WHERE id < 0"]).await?;
    println!(
        "{OLD} old callbacks, {} left",
        gone.first().and_then(|row| row.first()).map_or("", String::as_str)
    );
    for (what, took) in [("alone", &alone), ("beside retention", &beside)] {
        println!(
            "{what:<17} {:>6} callbacks, p50 {:>6} µs, p99 {:>6} µs",
            took.len(),
            took.value_at_quantile(0.5),
            took.value_at_quantile(0.99)
        );
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
