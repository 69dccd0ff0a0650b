//! `[sweep]`: how often Nium is asked by ourselves, for what callbacks did not say.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::{Reader, Told};

/// Seconds between two looks at a fresh case; a day is the longest pause anyway.
const ACTIVE_EVERY: RangeInclusive<u64> = 1..=86_400;

/// Seconds between two walks over Nium's whole list; beyond a month a lost callback would be lost for long.
const FULL_EVERY: RangeInclusive<u64> = 60..=2_592_000;

/// Customers on a page; Nium publishes no limit, and more are not asked for (contract section 12.2).
const PAGE_SIZE: RangeInclusive<u64> = 1..=50;

/// Seconds that a callback may be late before it counts as missing.
const GRACE: RangeInclusive<u64> = 1..=86_400;

/// Asking Nium by ourselves.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The shortest pause between two looks at a case that is not final.
    pub active_every: Duration,
    /// The pause between two walks over Nium's whole list.
    pub full_every: Duration,
    /// Customers on a page of it.
    pub page_size: u32,
    /// How late a callback may be.
    pub grace: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Result<Sweep, Told> {
    let active_every = reader.seconds("sweep.active_every_seconds", &ACTIVE_EVERY);
    let full_every = reader.seconds("sweep.full_every_seconds", &FULL_EVERY);
    let page_size = reader.whole("sweep.page_size", &PAGE_SIZE);
    let grace = reader.seconds("sweep.grace_seconds", &GRACE);
    Ok(Sweep { active_every: active_every?, full_every: full_every?, page_size: page_size?, grace: grace? })
}
