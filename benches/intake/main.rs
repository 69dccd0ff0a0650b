//! Measures how fast callbacks are made durable, side by side with two yardsticks on the same machine in the same run:
//!
//! * **bare**: an axum handler that stores nothing. What HTTP itself costs.
//! * **file log**: appends 128 bytes to a file, one `fdatasync` per group, then answers. What the disk allows.
//! * **reinstate**: the release binary as it is shipped.
//!
//! Absolute figures move from machine to machine; the ratios are what the bars are about. The three take turns within
//! each round, so that a busy neighbour hits all of them, and medians over the rounds are shown. At the end the service
//! is killed, not stopped, and its database must hold every callback that was answered 200.
//!
//! On an empty PostgreSQL database: `cargo bench --bench intake -- --store-url postgres://…`.
//!
//! `cargo bench --bench intake -- --seconds 5 --rounds 5 --connections 1,16,64,256`

mod disk;
mod load;
mod report;
mod servers;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use crate::load::{Idle, Numbering};
use crate::report::{BAR_CONNECTIONS, Measured, Report};
use crate::servers::{Kind, Server};

/// Load before each measurement that is not measured, so that connections, caches and the allocator are warm.
const WARM_UP: Duration = Duration::from_millis(500);

/// How fast are callbacks made durable?
#[derive(Parser)]
pub(crate) struct Args {
    /// Seconds per measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Measurements of each server with each number of connections; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Numbers of keep-alive connections to measure with, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<u32>,
    /// Idle connections to hold open at the service while it is measured once more; 0 leaves that out.
    #[arg(long, default_value_t = 0)]
    idle: u32,
    /// The binary of the service.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_reinstate"))]
    binary: PathBuf,
    /// A folder on the disk to measure; what is written there is removed at the end.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// Measure the service on this empty PostgreSQL database (`postgres://…`) instead of an SQLite file.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// Exit with 1 when a bar is missed.
    #[arg(long)]
    enforce: bool,
    /// Be the bare server.
    #[arg(long, hide = true)]
    bare: bool,
    /// Be the file log, in this file.
    #[arg(long, hide = true)]
    filelog: Option<PathBuf>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.bare {
        servers::be_bare().await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &args.filelog {
        servers::be_file_log(path).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let met = measure(&args).await?;
    Ok(if met || !args.enforce { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs everything, prints the report, and answers whether every bar was met. That something was lost is an error.
async fn measure(args: &Args) -> Result<bool> {
    std::fs::create_dir_all(&args.dir).context("creating the folder to measure in")?;
    let dir = tempfile::tempdir_in(&args.dir).context("creating a folder to measure in")?;
    let flush = disk::flush_median(dir.path())?;
    let mut servers = Vec::new();
    for kind in Kind::ALL {
        servers.push(Server::start(kind, dir.path(), args).await?);
    }
    let mut bench = Bench { args, numbering: Numbering::default(), report: Report::new(flush), acked: 0 };
    bench.take_turns(&servers).await?;
    for server in servers.iter().filter(|server| args.idle > 0 && server.kind == Kind::Reinstate) {
        bench.with_idle(server).await?;
    }
    eprintln!();
    // Killed, not stopped: what was acknowledged must be on disk already.
    drop(servers);
    let met = bench.report.print();
    match &args.store_url {
        Some(url) => disk::check_callbacks_in_postgres(url, bench.acked).await?,
        None => disk::check_callbacks_on_file(dir.path(), bench.acked)?,
    }
    Ok(met)
}

/// What grows while measuring.
struct Bench<'a> {
    args: &'a Args,
    numbering: Numbering,
    report: Report,
    /// Callbacks that the service answered 200.
    acked: u64,
}

impl Bench<'_> {
    async fn take_turns(&mut self, servers: &[Server]) -> Result<()> {
        for connections in &self.args.connections {
            for round in 1..=self.args.rounds {
                for server in servers {
                    let measured = self.one(server, *connections).await?;
                    self.report.add(*connections, server.kind, measured);
                }
                eprint!("\r{connections} connections, round {round} of {} ", self.args.rounds);
                std::io::stderr().flush()?;
            }
        }
        Ok(())
    }

    /// Measures the service alone and among idle connections, in turns.
    async fn with_idle(&mut self, server: &Server) -> Result<()> {
        for _ in 0..self.args.rounds {
            let alone = self.one(server, BAR_CONNECTIONS).await?;
            let idle = Idle::open(server.address, self.args.idle, &mut self.numbering).await?;
            self.acked += idle.acks()?;
            let among = self.one(server, BAR_CONNECTIONS).await?;
            self.report.add_idle(alone, among);
        }
        Ok(())
    }

    /// One measurement of one server.
    async fn one(&mut self, server: &Server, connections: u32) -> Result<Measured> {
        let warm = load::run(server.address, connections, WARM_UP, &mut self.numbering).await?;
        let before = server.cpu_time()?;
        let length = Duration::from_secs(self.args.seconds);
        let run = load::run(server.address, connections, length, &mut self.numbering).await?;
        let cpu = server.cpu_time()?.saturating_sub(before);
        if server.kind == Kind::Reinstate {
            self.acked += warm.acks() + run.acks();
        }
        Ok(Measured::new(&run, cpu))
    }
}
