//! Who was erased, in a file beside the database: a database that is put back from a backup has them once more, and the
//! file says so. Every process writes its own, and whatever is missing in it; reading it twice is as once.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::id::CustomerHashId;
use crate::metrics::{Erasing, WorkMetrics};
use crate::store::Store;
use crate::store::rows::privacy::Erasure;

/// How often it is looked whether somebody was erased, in the machine's time.
const EVERY: Duration = Duration::from_secs(1);
/// Erasures that are written at once.
const STEP: usize = 500;

/// Erases whom the file calls erased and the database has. Fails if the file is there and cannot be read: whoever it names
/// must not come back unseen.
///
/// Whom the database calls erased as well is passed over without a write: the file only grows, and nobody is served until it is
/// read.
pub async fn apply(store: &Store, file: &Path, metrics: &WorkMetrics) -> anyhow::Result<()> {
    let erasures = read(file.to_owned()).await?;
    let (mut known, mut last) = (HashSet::new(), 0);
    while !erasures.is_empty() {
        let page = store.erasures(last, STEP).await?;
        let Some((newest, _)) = page.last() else { break };
        last = *newest;
        known.extend(page.into_iter().map(|(_, erasure)| erasure.customer_hash_id));
    }
    for erasure in erasures.into_iter().filter(|erasure| !known.contains(&erasure.customer_hash_id)) {
        let customer = erasure.customer_hash_id;
        if store.erase_again(erasure).await? {
            tracing::warn!(%customer, "erased again: the database was put back from before");
            metrics.erased(Erasing::Ledger);
        }
    }
    Ok(())
}

/// What the file says. A line that a crash cut short was not told to anybody as written.
async fn read(file: PathBuf) -> anyhow::Result<Vec<Erasure>> {
    let shown = file.display().to_string();
    let text = match tokio::task::spawn_blocking(move || std::fs::read(file)).await? {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("privacy.erasure_file: {shown}")),
    };
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        match serde_json::from_slice(line) {
            Ok(erasure) => found.push(erasure),
            Err(_) if line.is_empty() => {}
            Err(error) if error.is_eof() => {
                tracing::warn!(number, "a line of privacy.erasure_file was cut short and is passed over");
            }
            Err(error) => {
                return Err(error).with_context(|| format!("privacy.erasure_file: line {number} of {shown}"));
            }
        }
    }
    Ok(found)
}

/// Runs until `soft` is cancelled.
pub async fn keep(worker: Arc<Worker>, soft: CancellationToken) {
    let (mut written, mut told) = (None, false);
    while !soft.is_cancelled() {
        match write_down(&worker, &mut written).await {
            Ok(()) => told = false,
            // What goes wrong every second is told once.
            Err(error) => {
                if !told {
                    tracing::error!(%error, "privacy.erasure_file is behind: who was erased would come back with a backup");
                }
                (written, told) = (None, true);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// What the file is known to hold: everybody up to a number.
type Written = Option<(i64, HashSet<CustomerHashId>)>;

/// Writes what the file does not have yet, in the order in which it happened.
async fn write_down(worker: &Worker, written: &mut Written) -> anyhow::Result<()> {
    let file = &worker.options.erasure_file;
    let (mut last, mut known) = if let Some(written) = written.take() {
        written
    } else {
        // What could not be read or written the last time may be from before what the file says.
        apply(&worker.store, file, &worker.metrics).await?;
        let known = read(file.clone()).await?.into_iter().map(|erasure| erasure.customer_hash_id);
        (0, known.collect())
    };
    loop {
        let erasures = worker.store.erasures(last, STEP).await?;
        let Some((newest, _)) = erasures.last() else { break };
        last = *newest;
        let missing = erasures.into_iter().map(|(_, erasure)| erasure);
        let missing: Vec<Erasure> =
            missing.filter(|erasure| known.insert(erasure.customer_hash_id)).collect();
        if !missing.is_empty() {
            let file = file.clone();
            tokio::task::spawn_blocking(move || append(&file, &missing)).await??;
        }
    }
    *written = Some((last, known));
    Ok(())
}

/// Lines at the end of the file, on disk when this returns. The first stands on a line of its own, whatever was cut short
/// before it.
fn append(file: &Path, erasures: &[Erasure]) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut text = String::from("\n");
    for erasure in erasures {
        text += &serde_json::to_string(erasure)?;
        text.push('\n');
    }
    let mut open = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()
}
