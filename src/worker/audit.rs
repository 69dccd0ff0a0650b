//! The audit record: rows get their places in the chain, and now and then its end is signed and told to the log and to a
//! file. Whoever is on duty does it; until then rows wait, and nothing is lost.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::audit::Checkpoint;
use crate::store::error::StoreError;
use crate::store::rows::audit::{CheckpointRule, Linker};

/// How often it is looked whether rows wait, in the machine's time.
const EVERY: Duration = Duration::from_secs(1);
/// Rows linked in one transaction.
const STEP: usize = 200;
/// The rest after a full step: whoever writes meanwhile has the database most of the time.
const REST: Duration = Duration::from_millis(20);
/// A checkpoint is made after so many rows, whatever the time.
const CHECKPOINT_ROWS: i64 = 10_000;
/// Checkpoints that are written to the file at once; those that are missing there are older ones.
const CATCH_UP_MAX: usize = 1_000;

/// What an operator has settled about the audit record.
#[derive(Clone, Debug)]
pub struct Options {
    /// A checkpoint is made after so long, if there is anything new.
    pub every: Duration,
    /// Where checkpoints are written beside the database.
    pub file: Option<PathBuf>,
}

/// Runs until `soft` is cancelled.
pub async fn keep(worker: Arc<Worker>, soft: CancellationToken) {
    let (mut chain, mut file) = (Trouble::default(), Trouble::default());
    let mut filed = None;
    while !soft.is_cancelled() {
        let mut wait = EVERY;
        if worker.is_on_duty().await {
            let linked = link(&worker).await;
            if matches!(linked, Ok(STEP)) {
                wait = REST;
            }
            chain.tell(linked.err(), "the audit record cannot be linked; its rows wait");
            if let Some(path) = &worker.options.audit.file {
                let written = write_down(&worker, path, &mut filed).await;
                file.tell(written.err(), "audit.checkpoint_file is behind");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// What goes wrong every second is told once.
#[derive(Default)]
struct Trouble {
    told: bool,
}

impl Trouble {
    fn tell<E: std::fmt::Display>(&mut self, error: Option<E>, what: &str) {
        match error {
            Some(error) if self.told => tracing::debug!(%error, "{what}"),
            Some(error) => tracing::error!(%error, "{what}"),
            None => {
                self.told = false;
                return;
            }
        }
        self.told = true;
    }
}

/// Gives some rows their places, and makes a checkpoint that is due. Gives how many.
async fn link(worker: &Worker) -> Result<usize, StoreError> {
    let linked = worker.store.link_audit(worker.linker()).await?;
    let rule = CheckpointRule { every: worker.options.audit.every, rows: CHECKPOINT_ROWS };
    if let Some(made) = worker.store.checkpoint_audit(worker.linker(), rule).await? {
        tracing::info!(
            number = made.number,
            seq = made.seq,
            at = %made.at,
            mac = hex::encode(&made.mac),
            key_id = made.key_id,
            signature = hex::encode(&made.signature),
            "audit checkpoint"
        );
    }
    Ok(linked)
}

/// Writes what the file does not have yet: also what was made before the process died, or while the disk was full.
async fn write_down(worker: &Worker, file: &Path, filed: &mut Option<i64>) -> anyhow::Result<()> {
    let last = match *filed {
        Some(last) => last,
        None => last_in(file)?,
    };
    *filed = Some(last);
    let missing = worker.store.checkpoints(last, CATCH_UP_MAX).await?;
    let Some(newest) = missing.last().map(|checkpoint| checkpoint.number) else { return Ok(()) };
    let place = file.to_owned();
    // What became of it is read from the file, should anything go wrong.
    *filed = None;
    tokio::task::spawn_blocking(move || append(&place, &missing)).await??;
    *filed = Some(newest);
    Ok(())
}

/// The number of the last checkpoint in the file; 0 if there is none. A line that was cut short is passed over.
fn last_in(file: &Path) -> std::io::Result<i64> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let numbers = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Checkpoint>(line).ok())
        .map(|checkpoint| checkpoint.number);
    Ok(numbers.max().unwrap_or(0))
}

/// Lines at the end of the file, on disk when this returns.
fn append(file: &Path, checkpoints: &[Checkpoint]) -> std::io::Result<()> {
    let mut text = String::new();
    if !ends_with_a_line(file)? {
        text.push('\n');
    }
    for checkpoint in checkpoints {
        text += &serde_json::to_string(checkpoint)?;
        text.push('\n');
    }
    let mut open = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()
}

fn ends_with_a_line(file: &Path) -> std::io::Result<bool> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(bytes.last().is_none_or(|last| *last == b'\n')),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl Worker {
    /// What puts rows into the chain.
    fn linker(&self) -> Linker {
        let (vault, chance) = (Arc::clone(&self.vault), self.chance.clone());
        Linker {
            most: STEP,
            key_id: self.vault.audit_key().to_owned(),
            keys: Arc::new(move |id, text| vault.audit_mac(id, text)),
            salt: Arc::new(move || chance.uuid().into_bytes()),
        }
    }
}
