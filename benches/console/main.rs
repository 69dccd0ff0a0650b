//! Whether every page stays usable with very many customers: a database is filled, the service is started on it, and each page
//! is asked for again and again.
//!
//! ```text
//! cargo bench --bench console                                       SQLite, 1 M customers
//! cargo bench --bench console -- --store-url postgres://…           the same on an empty PostgreSQL database
//! cargo bench --bench console -- --customers 20000 --only journeys  fewer, and only pages whose address has this in it
//! cargo bench --bench console -- --folder /var/tmp/million          fills it the first time and keeps it
//! ```
//!
//! Had on two cores with both databases measured at once, release build, 1 M customers: every page of the console within 24 ms at
//! p95 on SQLite and 104 ms on PostgreSQL 15. `/readyz?verbose` and `/metrics`, which count cases by state, took 269 and 240 ms on
//! SQLite, 332 and 295 ms on PostgreSQL.

mod fill;
mod pages;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use hdrhistogram::Histogram;
use reinstate::app::{App, Surroundings};
use reinstate::clock::Clock;
use reinstate::config::{Config, Sources};
use reinstate::store::wake::Wake;
use tokio::sync::Notify;

use crate::pages::{PAGES, Page, TOKEN};

/// The most that a page may take at p95, in milliseconds.
const BAR_MS: f64 = 300.0;
/// Asked for before anything is measured.
const WARM_UP: u32 = 3;

/// How long do pages take?
#[derive(Parser)]
struct Args {
    /// Customers in the database.
    #[arg(long, default_value_t = 1_000_000)]
    customers: u64,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 50)]
    requests: u32,
    /// An empty PostgreSQL database, or one that this has filled before.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// Where the SQLite database is kept; without it, it goes when this ends.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Only pages whose address has this in it.
    #[arg(long)]
    only: Option<String>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let passing = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let folder = args.folder.as_deref().unwrap_or(passing.path());
    std::fs::create_dir_all(folder)?;
    let config = config(&args, folder)?;
    fill::fill(&config, args.customers).await?;
    let missed = run(&config, &args).await?;
    if missed > 0 {
        bail!("{missed} pages miss the bar of {BAR_MS} ms");
    }
    Ok(())
}

fn config(args: &Args, folder: &Path) -> Result<Config> {
    let file = format!("sqlite:{}", folder.join("console.db").display());
    // Nobody answers there: what is measured are pages.
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let env = [
        ("ADMIN__BOOTSTRAP_TOKEN", TOKEN.to_owned()),
        ("STORE__URL", args.store_url.clone().unwrap_or(file)),
        ("STORE__SPOOL_DIR", folder.join("spool").display().to_string()),
        ("PUBLIC__URL", "http://127.0.0.1:1".to_owned()),
        ("PUBLIC__DRAIN_SECONDS", "0".to_owned()),
        ("NIUM__BASE_URL", format!("http://{nobody}")),
        ("NIUM__CLIENT_HASH_ID", "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11".to_owned()),
        ("NIUM__API_KEY", "bench-key".to_owned()),
        ("NIUM__REGION", "SG".to_owned()),
        ("PRIVACY__MASTER_KEYS", "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned()),
    ];
    let env = env.into_iter().map(|(key, value)| (format!("REINSTATE__{key}"), value)).collect();
    Config::load(&Sources { file: None, env }).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// Starts the service and asks for every page. Gives how many miss the bar.
async fn run(config: &Config, args: &Args) -> Result<u32> {
    let bound = || -> Result<TcpListener> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let (public, admin) = (bound()?, bound()?);
    let base = format!("http://{}", admin.local_addr()?);
    let surroundings = Surroundings { clock: Clock::System, public, admin, wake: Wake::default() };
    let app = App::build(config, surroundings).await?;
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    let serving = app.run(move || {
        let asked = Arc::clone(&asked);
        async move { asked.notified().await }
    });
    let asking = async {
        let asked = pages(&base, args).await;
        stop.notify_one();
        asked
    };
    let (well, missed) = tokio::join!(serving, asking);
    if !well {
        bail!("the service did not stop well");
    }
    missed
}

async fn pages(base: &str, args: &Args) -> Result<u32> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1));
    let http = http.redirect(reqwest::redirect::Policy::none()).build()?;
    until_counted(&http, base).await?;
    let cookie = sign_in(&http, base).await?;
    println!("{:>9}  {:>9}  {:>9}  page", "p50 ms", "p95 ms", "KiB");
    let mut missed = 0;
    let wanted = |page: &&Page| args.only.as_ref().is_none_or(|part| page.address.contains(part.as_str()));
    for page in PAGES.iter().filter(wanted) {
        let (took, bytes) = one(&http, &cookie, base, page, args.requests).await?;
        let (p50, p95) = (millis(&took, 0.5), millis(&took, 0.95));
        let verdict = if p95 > BAR_MS { "  MISSED" } else { "" };
        missed += u32::from(p95 > BAR_MS);
        println!("{p50:>9.1}  {p95:>9.1}  {:>9}  {}{verdict}", bytes / 1024, page.address);
    }
    Ok(missed)
}

/// Waits until it is counted who stands where, as it is whenever somebody looks.
async fn until_counted(http: &reqwest::Client, base: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = http.get(format!("{base}/v1/overview")).bearer_auth(TOKEN).send().await;
        if let Ok(answer) = answer {
            let shown: serde_json::Value = answer.json().await?;
            if shown.pointer("/waiting/countedAt").is_some_and(|at| !at.is_null()) {
                eprintln!("counted after {:.1} s", begun.elapsed().as_secs_f64());
                return Ok(());
            }
        }
        if begun.elapsed() > Duration::from_mins(2) {
            bail!("it was never counted who stands where");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The cookie of somebody who is signed in.
async fn sign_in(http: &reqwest::Client, base: &str) -> Result<String> {
    let form = http.post(format!("{base}/sign-in"));
    let form =
        form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={TOKEN}"));
    let answer = form.send().await?;
    let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next());
    Ok(cookie.with_context(|| format!("signing in: {}", answer.status()))?.to_owned())
}

async fn one(
    http: &reqwest::Client,
    cookie: &str,
    base: &str,
    page: &Page,
    requests: u32,
) -> Result<(Histogram<u64>, usize)> {
    #[expect(clippy::expect_used, reason = "three digits are always allowed")]
    let mut took = Histogram::new(3).expect("three digits");
    let mut bytes = 0;
    for round in 0..WARM_UP + requests {
        let begun = Instant::now();
        let request = http.get(format!("{base}{}", page.address)).bearer_auth(TOKEN);
        let answer = request.header("cookie", cookie).send().await?;
        let status = answer.status();
        bytes = answer.bytes().await.with_context(|| page.address.to_owned())?.len();
        if status != 200 {
            bail!("{}: {status}", page.address);
        }
        if round >= WARM_UP {
            took.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
    }
    Ok((took, bytes))
}

fn millis(took: &Histogram<u64>, quantile: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "microseconds are small")]
    let micros = took.value_at_quantile(quantile) as f64;
    micros / 1_000.0
}
