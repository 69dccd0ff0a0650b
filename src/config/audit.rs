//! `[audit]`: when the record of who did what is signed, and where that is written down.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::shown;
use super::reader::{Reader, Told};

/// Seconds between two checkpoints; what came after the last one could be cut off unseen by whoever also has the keys.
const EVERY: RangeInclusive<u64> = 10..=86_400;

/// The record of who did what.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The pause between two checkpoints, while anything happens.
    pub checkpoint_every: Duration,
    /// Where checkpoints are written beside the database.
    pub checkpoint_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> Result<Audit, Told> {
    let checkpoint_every = reader.seconds("audit.checkpoint_every_seconds", &EVERY);
    let checkpoint_file = reader.optional("audit.checkpoint_file", path);
    Ok(Audit { checkpoint_every: checkpoint_every?, checkpoint_file: checkpoint_file? })
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Err(format!("names a folder, not a file: {}", shown(text))) } else { Ok(path) }
}
