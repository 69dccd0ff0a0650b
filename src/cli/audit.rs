//! `reinstate audit verify|export`: opens the store itself, beside a running service.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;

use super::{USAGE, runtime};
use crate::app::{adopt_audit_keys, open_store, open_vault};
use crate::clock::Clock;
use crate::config::{Config, Sources, StoreConfig, StoreUrl};
use crate::domain::audit::walk::{Source, Verdict, Walk};
use crate::domain::audit::{COMMAND_LINE, Checkpoint};
use crate::domain::id::CustomerHashId;
use crate::ops::audit::{EXPORTED, is_empty, shown};
use crate::store::wake::Wake;
use crate::store::{Store, Use};
use crate::vault::Vault;

/// Rows read at once.
const PAGE: usize = 1_000;
/// How often progress is drawn anew on a terminal, and told elsewhere.
const DRAW_EVERY: Duration = Duration::from_millis(200);
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Read the record of who did what from its beginning, and say whether anything was edited, moved or taken away.
    ///
    /// Needs privacy.master_keys, also those that no longer seal and were not left behind with `reinstate keys rotate`. Exit 0: whole. Exit 1: something was found; it is
    /// printed, with the place. What came after the last checkpoint is compared with the database's own note of its end.
    ///
    /// Examples:
    ///   reinstate audit verify
    ///   reinstate audit verify --checkpoints /var/log/reinstate/checkpoints.jsonl --json
    #[command(verbatim_doc_comment)]
    Verify {
        /// A file of checkpoints, as audit.checkpoint_file has it; may be given more than once.
        #[arg(long, value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write everything on file about one customer that is not sealed, with what proves it, as JSON.
    ///
    /// Example: reinstate audit export 0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01 --out bundle.json
    #[command(verbatim_doc_comment)]
    Export {
        /// The customerHashId.
        customer: String,
        /// The new file; - writes on standard output.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    let config = Config::load_for_store(sources)?;
    match command {
        Command::Verify { checkpoints, json } => {
            let Ok(vault) = open_vault(&config.master_keys) else {
                eprintln!(
                    "reinstate: privacy.master_keys is needed: nothing can be checked without the keys"
                );
                return Ok(USAGE);
            };
            with_store(&config, async |store| verify(store, vault, &checkpoints, json).await)
        }
        Command::Export { customer, out } => {
            let Some(customer) = CustomerHashId::parse(&customer) else {
                eprintln!("reinstate: {customer} is not a customerHashId: a UUID with hyphens");
                return Ok(USAGE);
            };
            with_store(&config, async |store| export(store, customer, &out).await)
        }
    }
}

/// Work with the store beside a running service.
pub(super) fn with_store(
    config: &StoreConfig,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        bail!("{} is not there", path.display());
    }
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let store = open_store(&config.store, Use::Tool, Clock::System, Wake::default())?;
    let done = runtime.block_on(async {
        store.ready().await?;
        work(&store).await
    });
    store.close();
    done
}

async fn verify(store: &Store, vault: Vault, files: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    adopt_audit_keys(store, &vault).await?;
    let keys = move |id: &str, text: &[u8]| vault.audit_mac(id, text);
    // Files first: the service may make another checkpoint meanwhile.
    let mut read = Vec::new();
    for file in files {
        read.push((file, checkpoints_in(file)?));
    }
    let ends = store.audit_ends().await?;
    let beside = read.iter().flat_map(|(_, (found, _))| found).map(|found| (Source::File, found.clone()));
    let stored = ends.checkpoints.iter().map(|found| (Source::Stored, found.clone()));
    let mut walk = Walk::new(&keys, stored.chain(beside));
    for (file, (_, strange)) in &read {
        for line in strange {
            walk.strange_line(&format!("line {line} of {}", file.display()));
        }
    }
    let (mut after, mut progress) = (i64::MIN, Progress::default());
    loop {
        let page = store.audit_chain(after, ends.last, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (seq, entry) in page {
            match entry {
                Ok(entry) => walk.row(entry),
                Err(error) => walk.unreadable(seq, &error.to_string()),
            }
        }
        progress.tell(after, ends.last);
    }
    for detail in store.erasures_after(ends.last).await? {
        walk.erasure(detail.as_deref());
    }
    let verdict = walk.finish(ends.head.as_ref());
    let whole = verdict.findings.is_empty();
    if json {
        let answer = json!({ "whole": whole, "waiting": ends.unlinked, "verdict": verdict });
        println!("{answer}");
    } else {
        print(&verdict, ends.unlinked);
    }
    Ok(u8::from(!whole))
}

fn print(verdict: &Verdict, waiting: i64) {
    let Verdict { rows, erased, checkpoints, findings, more } = verdict;
    for finding in findings {
        println!("{}", finding.text);
    }
    if *more > 0 {
        println!("and {more} more");
    }
    let read = format!(
        "{rows} rows, {erased} of them erased; {checkpoints} checkpoints; {waiting} rows wait for the chain"
    );
    if findings.is_empty() {
        println!("the audit record is whole: {read}");
    } else {
        eprintln!("reinstate: the audit record was changed ({read})");
    }
}

/// The checkpoints in a file, and the numbers of lines that are none. A line that a crash cut short is passed over.
fn checkpoints_in(file: &Path) -> anyhow::Result<(Vec<Checkpoint>, Vec<usize>)> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        match serde_json::from_slice(line) {
            Ok(checkpoint) => found.push(checkpoint),
            Err(_) if line.is_empty() => {}
            Err(error) if error.is_eof() => {
                eprintln!("line {number} of {} was cut short and is passed over", file.display());
            }
            Err(_) => strange.push(number),
        }
    }
    Ok((found, strange))
}

/// Progress on standard error.
#[derive(Default)]
struct Progress(Option<Instant>);

impl Progress {
    fn tell(&mut self, at: i64, of: i64) {
        let terminal = std::io::stderr().is_terminal();
        let every = if terminal { DRAW_EVERY } else { TELL_EVERY };
        let begun = *self.0.get_or_insert_with(Instant::now);
        let is_end = at >= of;
        if begun.elapsed() < every && !(is_end && terminal) {
            return;
        }
        self.0 = Some(Instant::now());
        let (before, after) =
            if terminal { ("\r\x1b[K", if is_end { "\n" } else { "" }) } else { ("", "\n") };
        eprint!("{before}row {at} of {of}{after}");
    }
}

async fn export(store: &Store, customer: CustomerHashId, out: &Path) -> anyhow::Result<u8> {
    let bundle = store.bundle(customer).await?;
    if is_empty(&bundle) {
        bail!("nothing is on file about {customer}");
    }
    let mut file = if out == Path::new("-") { None } else { Some(new_file(out)?) };
    // Before it is given out: what cannot be recorded is not.
    store.note(COMMAND_LINE, Some(customer), EXPORTED, json!({})).await?;
    let text = serde_json::to_string_pretty(&shown(customer, &bundle, COMMAND_LINE, Clock::System.now()))?;
    match &mut file {
        None => println!("{text}"),
        Some(file) => {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| out.display().to_string())?;
            eprintln!(
                "{}: {} rows of the audit record, {} lines of the timeline, {} callbacks, {} effects",
                out.display(),
                bundle.audit.len(),
                bundle.timeline.len(),
                bundle.callbacks.len(),
                bundle.effects.len()
            );
        }
    }
    Ok(0)
}

/// A file that was not there, for its owner only.
pub(super) fn new_file(path: &Path) -> anyhow::Result<std::fs::File> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).with_context(|| path.display().to_string())
}
