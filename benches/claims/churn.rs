//! An hour's worth of callbacks with everything that follows from them, as fast as it goes.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use reinstate::clock::Clock;
use reinstate::domain::case::Case;
use reinstate::domain::effect::{EffectKey, Event};
use reinstate::domain::id::CustomerHashId;
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::events::{NewTell, TellLane, TellOutcome, TellSeats};
use reinstate::store::rows::overview::DUE;
use reinstate::store::rows::{Claimed, Commit, HistoryLine, Seats};
use reinstate::store::{Place, PostgresOptions, Store};

use crate::fill::run as sql;
use crate::{BAR, LEASE, Settings, histogram};

/// Parts of the hour that are reported one by one.
const PARTS: u64 = 10;
/// Workers at once, like those of a replica.
const WORKERS: usize = 8;
/// Callbacks recorded at once.
const AT_ONCE: u64 = 64;

const SIZES: &str = "SELECT relname, n_dead_tup, pg_total_relation_size(relid) / 1024, autovacuum_count,
         100 * n_tup_hot_upd / greatest(n_tup_upd, 1)
     FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd > 500 ORDER BY relname";

/// Takes every setting of every table back.
const PLAIN: &str = "DO $$ DECLARE one RECORD; BEGIN
     FOR one IN SELECT oid::regclass AS name, (SELECT string_agg(split_part(option, '=', 1), ', ')
             FROM unnest(reloptions) AS option) AS settings
         FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL LOOP
         EXECUTE format('ALTER TABLE %s RESET (%s)', one.name, one.settings);
     END LOOP; END $$";

/// Runs the hour, and says of each part what a claim cost and how large the tables are.
pub(crate) async fn run(
    store: &Store,
    place: &Place,
    (customers, callbacks): (u64, u64),
    settings: Settings,
) -> Result<()> {
    let Place::Postgres(options) = place else {
        bail!("--churn is about PostgreSQL: name it with --store-url")
    };
    if settings == Settings::Plain {
        sql(options, &[PLAIN]).await?;
    }
    crate::fill::heads(place, 0, customers).await?;
    sql(options, &["UPDATE head SET due_at = NULL, handled = wanted", "VACUUM FULL head", "ANALYZE"]).await?;
    let (mut first, mut middle) = (None, None);
    for part in 0..PARTS {
        let begun = Instant::now();
        let took = one_part(store, customers, callbacks / PARTS, part).await?;
        let p50 = took.value_at_quantile(0.5);
        let first = *first.get_or_insert(p50);
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "microseconds are small")]
        let ratio = p50 as f64 / first as f64;
        let sizes = shown(options).await?;
        println!(
            "part {:>2}: {:.0} s, claim p50 {p50} µs, p99 {} µs, {ratio:.2} x the first{}\n{sizes}",
            part + 1,
            begun.elapsed().as_secs_f64(),
            took.value_at_quantile(0.99),
            if ratio > BAR { ": the bar is missed" } else { "" }
        );
        if part == PARTS / 2 {
            middle = Some(sizes);
        }
    }
    println!("in the middle:\n{}", middle.unwrap_or_default());
    Ok(())
}

async fn shown(options: &PostgresOptions) -> Result<String> {
    let rows = sql(options, &[SIZES]).await?;
    let lines = rows.iter().map(|row| match row.as_slice() {
        [name, dead, kib, vacuums, hot] => {
            format!("    {name:<13} {dead:>8} dead  {kib:>9} KiB  {vacuums:>3} vacuums  {hot:>3} % HOT")
        }
        _ => String::new(),
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// How many customers are due.
async fn due(store: &Store) -> Result<u64> {
    let (standings, _) = store.count_standings().await?;
    Ok(standings.iter().find(|standing| standing.what == DUE).map_or(0, |standing| standing.count))
}

async fn one_part(store: &Store, customers: u64, callbacks: u64, part: u64) -> Result<Histogram<u64>> {
    let recording = async {
        for from in (0..callbacks).step_by(usize::try_from(AT_ONCE)?) {
            let some = (from..(from + AT_ONCE).min(callbacks)).map(|number| {
                // Customers come in no order.
                let who = (part * callbacks + number).wrapping_mul(48_271) % customers + 1;
                let nudge = Nudge {
                    customer: Some(CustomerHashId::from_bytes((u128::from(who) * 7_919).to_be_bytes())),
                    looks: true,
                    source: Source::Callback,
                    request_id: None,
                    template: None,
                };
                store.record(nudge, Clock::System.now())
            });
            for receipt in join_all(some).await {
                receipt?;
            }
            // No faster than the work is done, so that queues stay as short as in an hour.
            while due(store).await? > 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        anyhow::Ok(())
    };
    let mut took = histogram();
    let working = async {
        let mut idle = Instant::now();
        while idle.elapsed() < Duration::from_secs(2) {
            let begun = Instant::now();
            let seats = Seats { all: WORKERS, swept: WORKERS, turn: 1 };
            let claimed = store.claim(LEASE, seats).await?;
            if claimed.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            took.record(u64::try_from(begun.elapsed().as_micros())?)?;
            idle = Instant::now();
            for done in join_all(claimed.into_iter().map(|claimed| attend(store, claimed))).await {
                done?;
            }
            let (destination, most) = ("default".to_owned(), WORKERS * 2);
            let seats = vec![TellSeats { lane: TellLane::Webhook, destination, most }];
            let tells = store.claim_tells(LEASE, seats).await?;
            for told in
                join_all(tells.iter().map(|tell| store.finish_tell(tell, TellOutcome::Delivered))).await
            {
                let _ = told?;
            }
        }
        anyhow::Ok(())
    };
    let (recorded, worked) = tokio::join!(recording, working);
    recorded?;
    worked?;
    Ok(took)
}

/// What a look leaves behind: the case, two lines, something to tell.
async fn attend(store: &Store, claimed: Claimed) -> Result<()> {
    let now = Clock::System.now();
    let customer = claimed.lease.customer;
    let mut case = claimed.case.unwrap_or_else(|| Case::unseen(customer, now));
    case.version += 1;
    let line = || HistoryLine { what: "looked", detail: serde_json::json!({ "compliance": "IN_PROGRESS" }) };
    let key = EffectKey::new(customer, case.version, "t0");
    let (version, to) = (case.version, vec!["default".to_owned()]);
    let tell = NewTell { key, event: Event::ALL[0], version, body: vec![b'x'; 300], to };
    let commit = Commit {
        case: Some((case, None)),
        history: vec![line(), line()],
        tells: vec![tell],
        looked: true,
        ..Commit::default()
    };
    let _ = store.commit(&claimed.lease, commit).await?;
    Ok(())
}
