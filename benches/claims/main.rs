//! What a claim costs, and whether it stays so: with few and very many waiting customers on either database, and on
//! PostgreSQL through an hour's worth of churn in a few minutes.
//!
//! ```text
//! cargo bench --bench claims                                      SQLite: 1 k and 1 M waiting customers
//! cargo bench --bench claims -- --sizes 1000,1000000,10000000
//! cargo bench --bench claims -- --store-url postgres://…          the same on an empty PostgreSQL database
//! cargo bench --bench claims -- --store-url postgres://… --churn  callbacks, folds, claims, commits, events
//!   … --churn plain                                               the same without the settings of the tables
//! cargo bench --bench claims -- --retention                       intake beside cleaning up, on either database
//! ```
//!
//! Figures are ratios within one run: absolute times move from machine to machine. These were had beside others on two cores,
//! from an unoptimised build (`--profile dev`), on PostgreSQL 15:
//!
//! - A claim with 1 k, 1 M, 10 M waiting customers: PostgreSQL 1, 0.6, 0.4 (less load at the end); SQLite in memory 1, 0.7, 0.7.
//!   SQLite on a disk 1, 0.9, and 8.9 just after ten million rows were written beside other work: that is the disk, which still
//!   writes them; alone on the machine 1, 0.78, 0.83.
//! - Intake beside the cleaning up of a million old callbacks, in turn with intake alone, on PostgreSQL: p50 0.9, p99 0.9. On SQLite:
//!   p50 1.2, p99 1.0; beside what 200,000 closed cases need no more p50 1.0, p99 1.2.
//! - Churn with the settings of the tables and without, side by side, 7,000 callbacks about 3,000 customers: fill factor 85 pays
//!   for `cases` (99 % of updates are HOT, 93 % without). For `head` and `effect` it does not: none of their updates is HOT
//!   either way, since `due_at` is in an index, and the tables are 18 % and 7 % larger. The log keeps up to 5,000 dead rows
//!   (400 KiB) with its settings and none without. `head`, `cases` and the log did not grow in the second part; the claim cost
//!   1.12 of the first with, 1.17 without.

mod churn;
mod fill;
mod retention;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use reinstate::clock::Clock;
use reinstate::config::{StoreUrl, parse_store_url};
use reinstate::store::rows::{Commit, Seats};
use reinstate::store::wake::Wake;
use reinstate::store::{Place, PostgresOptions, PostgresTls, Store, Use};

/// A claim with 10 M waiting customers may cost so many times what one with 1 k costs.
const BAR: f64 = 1.3;
/// How long a claimed customer is held.
const LEASE: Duration = Duration::from_mins(5);

/// What does a claim cost?
#[derive(Parser)]
struct Args {
    /// Numbers of waiting customers, separated by commas, smallest first.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    sizes: Vec<u64>,
    /// Claims measured at each size.
    #[arg(long, default_value_t = 2_000)]
    claims: u32,
    /// An empty PostgreSQL database.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// An hour's worth of callbacks and what follows from them, as fast as it goes; PostgreSQL only.
    /// `plain` takes fill factors and autovacuum settings away first.
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "set")]
    churn: Option<Settings>,
    /// Callbacks come in while a million old ones are cleaned up, and what many closed cases need no more.
    #[arg(long)]
    retention: bool,
    /// Customers of the churn.
    #[arg(long, default_value_t = 200_000)]
    customers: u64,
    /// Callbacks of the churn: 50 a second for an hour.
    #[arg(long, default_value_t = 180_000)]
    callbacks: u64,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What becomes of the settings of the tables.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Settings {
    /// They stay.
    Set,
    /// They are taken away.
    Plain,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let place = place(&args, dir.path().join("claims.db"))?;
    let store = Store::open(&place, Use::Serve, Clock::System, Wake::silent())?;
    store.serves_as("bench".to_owned());
    store.ready().await?;
    if let Some(settings) = args.churn {
        churn::run(&store, &place, (args.customers, args.callbacks), settings).await?;
    } else if args.retention {
        retention::run(&store, &place).await?;
    } else {
        sizes(&store, &place, &args).await?;
    }
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(())
}

fn place(args: &Args, file: PathBuf) -> Result<Place> {
    let Some(text) = &args.store_url else { return Ok(Place::Sqlite(file)) };
    match parse_store_url(text).map_err(anyhow::Error::msg)? {
        StoreUrl::Sqlite(path) => Ok(Place::Sqlite(path)),
        StoreUrl::Postgres(address) => Ok(Place::Postgres(Box::new(PostgresOptions {
            url: address.url.expose().to_owned(),
            tls: PostgresTls::Off,
            listen: None,
            wake_ups: false,
            connections: 10,
        }))),
    }
}

/// Times in microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "three digits are always allowed")]
    Histogram::new(3).expect("three digits")
}

/// Claims one customer and gives them back for later. Gives how long the claim alone took.
pub(crate) async fn claim_one(store: &Store) -> Result<Option<Duration>> {
    let begun = Instant::now();
    let claimed = store.claim(LEASE, Seats { all: 1, swept: 1, turn: 1 }).await?.pop();
    let took = begun.elapsed();
    let Some(claimed) = claimed else { return Ok(None) };
    let later = Clock::System.now() + Duration::from_hours(24);
    let _ = store
        .commit(&claimed.lease, Commit { due_at: Some(later), looked: true, ..Commit::default() })
        .await?;
    Ok(Some(took))
}

async fn sizes(store: &Store, place: &Place, args: &Args) -> Result<()> {
    let (mut there, mut first) = (0, None);
    println!("{:>12}  {:>10}  {:>10}  {:>7}", "waiting", "p50 µs", "p99 µs", "ratio");
    for size in &args.sizes {
        fill::heads(place, there, *size).await?;
        there = *size;
        for _ in 0..200 {
            claim_one(store).await?;
        }
        let mut took = histogram();
        for _ in 0..args.claims.min(u32::try_from(*size / 2)?) {
            if let Some(one) = claim_one(store).await? {
                took.record(u64::try_from(one.as_micros())?)?;
            }
        }
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "microseconds are small")]
        let p50 = took.value_at_quantile(0.5) as f64;
        let ratio = p50 / *first.get_or_insert(p50);
        println!("{size:>12}  {p50:>10.0}  {:>10}  {ratio:>7.2}", took.value_at_quantile(0.99));
        if ratio > BAR {
            println!("the bar of {BAR} is missed");
        }
    }
    Ok(())
}
