//! What happened in each hour, as a few counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::column::{ms, timestamp};
use crate::store::error::StoreError;
use crate::store::rows::overview::HourCount;
use crate::store::tx::Tx;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Adds to the counts of an hour. Last in a transaction, and rows in the order of their keys: those who count beside each
/// other never wait for each other in a circle.
pub(in crate::store) const ADD: &str = "INSERT INTO hourly AS h (hour, what, count) VALUES (?1, ?2, ?3)
     ON CONFLICT (hour, what) DO UPDATE SET count = h.count + excluded.count";

/// The hour of a moment in milliseconds.
pub(in crate::store) fn hour_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(HOUR_MS)
}

/// Adds to the counts of these hours (of [`hour_of`]).
pub(in crate::store) fn add(
    tx: &Tx<'_>,
    counts: &BTreeMap<(i64, &'static str), i64>,
) -> Result<(), StoreError> {
    for ((hour, what), count) in counts {
        tx.execute(ADD, params![hour, what, count])?;
    }
    Ok(())
}

/// Adds to the counts of the hour of `now`.
pub(in crate::store) fn add_now(
    tx: &Tx<'_>,
    counts: &[(String, u64)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let sorted: BTreeMap<&str, u64> = counts.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    for (what, count) in sorted {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        tx.execute(ADD, params![hour_of(ms(now)), what, count])?;
    }
    Ok(())
}

/// The hours from that of `since` on.
pub(in crate::store) fn read(tx: &Tx<'_>, since: Timestamp) -> Result<Vec<HourCount>, StoreError> {
    let rows = tx.query(
        "SELECT hour, what, count FROM hourly WHERE hour >= ?1 ORDER BY hour, what",
        params![hour_of(ms(since))],
    )?;
    let read = rows.iter().map(|row| {
        let hour = row.get::<i64>(0)?.saturating_mul(HOUR_MS);
        let count = u64::try_from(row.get::<i64>(2)?).unwrap_or(0);
        Ok(HourCount { hour: timestamp(hour)?, what: row.get(1)?, count })
    });
    read.collect()
}

/// Law: hours before that of `before` go, at most `most` counts at a time. Gives how many went.
pub(in crate::store) fn drop_old(tx: &Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM hourly WHERE (hour, what) IN (
             SELECT hour, what FROM hourly WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![hour_of(ms(before)), i64::try_from(most).unwrap_or(i64::MAX)],
    )
}
