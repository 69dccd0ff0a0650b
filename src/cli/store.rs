//! `reinstate store`: moving everything to another database, backups, and the way back.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;

use super::{audit, runtime};
use crate::app::open_store;
use crate::clock::Clock;
use crate::config::{self, Config, Sources, StoreUrl};
use crate::domain::audit::COMMAND_LINE;
use crate::store::copy::{self, Progress};
use crate::store::wake::Wake;
use crate::store::{self, Store, Use};

/// Connections to PostgreSQL while everything moves.
const CONNECTIONS: usize = 2;
/// How often a line of progress is drawn anew on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);

const TOOLS: &str = "is for SQLite files; for PostgreSQL use its own tools or your provider's:\n  \
    pg_dump --format=custom --file=reinstate.dump \"$URL\"\n  \
    pg_restore --no-owner --dbname=\"$EMPTY_DATABASE_URL\" reinstate.dump";
const NOT_IN_IT: &str =
    "not in it: privacy.master_keys, without which it cannot be read, and the spool's folder";

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Copy everything into another, empty database, and compare both sides.
    ///
    /// Stop every `reinstate serve` on both sides first. A copy that was interrupted goes on where it was when it is run
    /// again. The source stays as it is but for a row of its audit record; afterwards set store.url and start the service. A URL with a password is seen by
    /// others on the command line: put it into a file.
    ///
    /// Examples:
    ///   reinstate store copy --from sqlite:data/reinstate.db --to-file /run/secrets/store-url
    ///   reinstate store copy --from-file old-url --to sqlite:data/reinstate.db
    ///   reinstate store copy --verify-only --from sqlite:data/reinstate.db --to-file /run/secrets/store-url
    #[command(verbatim_doc_comment)]
    Copy {
        /// The source, written like store.url.
        #[arg(long, value_name = "URL", required_unless_present = "from_file")]
        from: Option<String>,
        /// A file that holds the source's URL.
        #[arg(long, value_name = "FILE", conflicts_with = "from")]
        from_file: Option<PathBuf>,
        /// The target, written like store.url.
        #[arg(long, value_name = "URL", required_unless_present = "to_file")]
        to: Option<String>,
        /// A file that holds the target's URL.
        #[arg(long, value_name = "FILE", conflicts_with = "to")]
        to_file: Option<PathBuf>,
        /// Copy nothing, only compare.
        #[arg(long)]
        verify_only: bool,
    },
    /// Write a backup of the configured SQLite file while the service runs.
    ///
    /// Example:
    ///   reinstate store backup --to /backup/reinstate-2026-11-24.db
    #[command(verbatim_doc_comment)]
    Backup {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup at the configured place; nobody may serve from it.
    ///
    /// Example:
    ///   reinstate store restore --from /backup/reinstate-2026-11-24.db --replace
    #[command(verbatim_doc_comment)]
    Restore {
        /// The backup.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Put aside what is there.
        #[arg(long)]
        replace: bool,
    },
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Copy { from, from_file, to, to_file, verify_only } => {
            let (from, to) = (url("from", from, from_file)?, url("to", to, to_file)?);
            copy_all(&from, &to, verify_only)?;
        }
        Command::Backup { to } => {
            let holds = store::backup(&file(sources, "backup")?, &to)?;
            note(sources, "store_backed_up", holds);
            println!("{}: {} customers, {} callbacks", to.display(), holds.cases, holds.callbacks);
            eprintln!("{NOT_IN_IT}");
        }
        Command::Restore { from, replace } => {
            let place = file(sources, "restore")?;
            let stamp = Clock::System.now().strftime("%Y%m%dT%H%M%SZ").to_string();
            let (holds, aside) = store::restore(&from, &place, replace, &stamp)?;
            note(sources, "store_restored", holds);
            println!("{}: {} customers, {} callbacks", place.display(), holds.cases, holds.callbacks);
            if let Some(aside) = aside {
                eprintln!("what was there is {} now", aside.display());
            }
            eprintln!("what happened at Nium since the backup is found by the sweep; start the service");
        }
    }
    Ok(0)
}

/// Records what was done. It is done by then, and a backup is wanted most when the database takes no row any more: what cannot
/// be recorded is said.
fn note(sources: &Sources, what: &'static str, holds: store::Holds) {
    let detail = json!({ "customers": holds.cases, "callbacks": holds.callbacks });
    let noted = Config::load_for_store(sources).map_err(anyhow::Error::from).and_then(|config| {
        audit::with_store(&config, async |store| {
            store.note(COMMAND_LINE, None, what, detail).await?;
            Ok(0)
        })
    });
    if let Err(error) = noted {
        eprintln!("it is done, but the audit record has no row of it: {error:#}");
    }
}

fn file(sources: &Sources, what: &str) -> anyhow::Result<PathBuf> {
    match Config::load_for_store(sources)?.store.url {
        StoreUrl::Sqlite(path) => Ok(path),
        StoreUrl::Postgres(_) => bail!("`store {what}` {TOOLS}\n{NOT_IN_IT}"),
    }
}

fn url(side: &str, given: Option<String>, file: Option<PathBuf>) -> anyhow::Result<StoreUrl> {
    let text = match (given, file) {
        (Some(text), _) => text,
        (None, Some(file)) => read(&file)?,
        (None, None) => bail!("--{side} is missing"),
    };
    config::parse_store_url(text.trim()).map_err(|why| anyhow::anyhow!("--{side} {why}"))
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn copy_all(from: &StoreUrl, to: &StoreUrl, verify_only: bool) -> anyhow::Result<()> {
    if from.to_string() == to.to_string() {
        bail!("--from and --to name the same database: {from}");
    }
    if let StoreUrl::Sqlite(path) = from
        && !path.exists()
    {
        bail!("{} is not there", path.display());
    }
    let runtime = runtime()?;
    let opened = |url: &StoreUrl| -> anyhow::Result<Store> {
        let config = config::Store::at(url.clone(), CONNECTIONS);
        let store = open_store(&config, Use::Move, Clock::System, Wake::silent())?;
        runtime.block_on(store.ready()).with_context(|| format!("opening {url}"))?;
        Ok(store)
    };
    let _inside = runtime.enter();
    let (from_store, to_store) = (opened(from)?, opened(to)?);
    let shown = Shown::default();
    let tell = |progress| shown.tell(progress);
    let copied = runtime.block_on(async {
        if verify_only {
            copy::compare(&from_store, &to_store, tell).await
        } else {
            copy::copy(&from_store, &to_store, &from.to_string(), tell).await
        }
    });
    from_store.close();
    to_store.close();
    let done = copied?;
    println!("{} rows of {} tables are the same in {from} and {to}", done.rows, done.tables);
    if !verify_only {
        eprintln!(
            "now set store.url to the target and start the service; keep the source until it runs well"
        );
        eprintln!("{NOT_IN_IT}: take both along");
    }
    Ok(())
}

/// Progress on standard error: drawn anew on a terminal, a line for each table otherwise.
#[derive(Default)]
struct Shown(Mutex<Option<(Progress, Instant)>>);

impl Shown {
    fn tell(&self, now: Progress) {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_end = now.rows >= now.of;
        if std::io::stderr().is_terminal() {
            let is_due = last.as_ref().is_none_or(|(_, at)| at.elapsed() >= DRAW_EVERY);
            if !is_due && !is_end {
                return;
            }
            eprint!("\r\x1b[K{}", line(&now));
            if is_end && now.of > 0 {
                eprintln!();
            }
        } else {
            let told = last.as_ref().is_some_and(|(before, _)| {
                before.table == now.table && before.compares == now.compares && before.rows >= before.of
            });
            if told || !is_end || now.of == 0 {
                return;
            }
            eprintln!("{}", line(&now));
        }
        *last = Some((now, Instant::now()));
    }
}

fn line(progress: &Progress) -> String {
    let Progress { table, rows, of, compares } = progress;
    let percent = if *of == 0 { 100 } else { (rows * 100 / of).min(100) };
    format!("{} {table}: {rows} of {of} rows, {percent} %", if *compares { "comparing" } else { "copying" })
}
