//! How many stand where. Counting goes through whole tables and is done by the side; whoever asks reads a few rows.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{maybe_timestamp, ms, timestamp};
use super::{hourly, read, tally};
use crate::store::error::StoreError;
use crate::store::rows::Gauges;
use crate::store::rows::overview::{
    DUE, FAILED_EFFECT, FAILING_EFFECT, FAILING_LOOK, LANE_PREFIX, OPEN_APPROVAL, OPEN_RFI, OverviewRows,
    Standing, UNFOLDED, UNLINKED,
};
use crate::store::tx::{Row, Tx};

/// Cases by their state. The longest of the counts: a transaction of its own.
pub(in crate::store) fn count_cases(tx: &Tx<'_>) -> Result<Vec<Standing>, StoreError> {
    tx.all("SELECT state, count(*), min(since) FROM cases GROUP BY state", params![], |row| {
        standing_of(row.get(0)?, row, 1)
    })
}

/// Everything else that is counted.
pub(in crate::store) fn count_others(tx: &Tx<'_>, now: Timestamp) -> Result<Vec<Standing>, StoreError> {
    // `seq` and `rank` say which index fits: the one that has only those rows.
    let counts = [
        (OPEN_RFI, "SELECT count(*), min(fetched_at) FROM rfi"),
        (OPEN_APPROVAL, "SELECT count(*), min(asked_at) FROM approval WHERE status = 'open'"),
        (FAILING_LOOK, "SELECT count(*), NULL FROM head WHERE failures > 0"),
        (
            FAILING_EFFECT,
            "SELECT count(*), min(created_at) FROM effect WHERE ended_at IS NULL AND attempts > forgiven",
        ),
        (
            FAILED_EFFECT,
            "SELECT count(*), min(created_at) FROM effect
                 WHERE status = 'failed' AND destination IS NOT NULL AND seq > 0",
        ),
        (UNLINKED, "SELECT count(*), NULL FROM audit WHERE seq IS NULL"),
    ];
    let mut found = Vec::new();
    for (what, sql) in counts {
        found.push(tx.one(sql, params![], |row| standing_of(what.to_owned(), row, 0))?);
    }
    let lanes = "SELECT lane, count(*), min(created_at) FROM effect WHERE ended_at IS NULL GROUP BY lane";
    found.extend(tx.all(lanes, params![], |row| {
        standing_of(format!("{LANE_PREFIX}{}", row.get::<String>(0)?), row, 1)
    })?);
    let due = "SELECT count(*), min(due_at) FROM head
         WHERE rank IN (0, 1, 2, 3) AND due_at <= ?1 AND lease_until IS NULL";
    found.push(tx.one(due, params![ms(now)], |row| standing_of(DUE.to_owned(), row, 0))?);
    let unfolded: i64 = tx.one(tx.dialect().unfolded, params![], |row| row.get(0))?;
    let count = u64::try_from(unfolded).unwrap_or(0);
    found.push(Standing { what: UNFOLDED.to_owned(), count, oldest: None });
    Ok(found)
}

fn standing_of(what: String, row: &Row, first: usize) -> Result<Standing, StoreError> {
    let count = u64::try_from(row.get::<i64>(first)?).unwrap_or(0);
    Ok(Standing { what, count, oldest: maybe_timestamp(row.get(first + 1)?)? })
}

/// Law: what was counted at `at` replaces what was counted before, all of it at once.
pub(in crate::store) fn put(tx: &Tx<'_>, standings: &[Standing], at: Timestamp) -> Result<(), StoreError> {
    let mut sorted: Vec<&Standing> = standings.iter().collect();
    sorted.sort_by_key(|standing| &standing.what);
    for standing in sorted {
        tx.execute(
            "INSERT INTO standing (what, count, oldest, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (what) DO UPDATE SET count = excluded.count, oldest = excluded.oldest, at = excluded.at",
            params![
                standing.what,
                i64::try_from(standing.count).unwrap_or(i64::MAX),
                standing.oldest.map(ms),
                ms(at)
            ],
        )?;
    }
    // A state in which nobody is any more was not counted.
    tx.execute("DELETE FROM standing WHERE at <> ?1", params![ms(at)]).map(drop)
}

/// What was counted last, and when; `None` before the first time.
fn counted(tx: &Tx<'_>) -> Result<(Vec<Standing>, Option<Timestamp>), StoreError> {
    let rows = tx.query("SELECT what, count, oldest, at FROM standing ORDER BY what", params![])?;
    let standings = rows.iter().map(|row| standing_of(row.get(0)?, row, 1)).collect::<Result<_, _>>()?;
    let counted_at = rows.first().map(|row| timestamp(row.get(3)?)).transpose()?;
    Ok((standings, counted_at))
}

/// Counts and ages for the metrics: what was counted by the side, and a few rows that are read where they are.
pub(in crate::store) fn gauges(tx: &Tx<'_>) -> Result<Gauges, StoreError> {
    let (standings, counted_at) = counted(tx)?;
    let swept = "SELECT max(ended_at) FROM sweep WHERE outcome = 'complete'";
    let unlinked = "SELECT count(*) FROM (SELECT 1 FROM audit WHERE seq IS NULL LIMIT 10000) AS waiting";
    Ok(Gauges {
        standings,
        counted_at,
        unfolded: tx.one(tx.dialect().unfolded, params![], |row| row.get(0))?,
        oldest_unfolded: maybe_timestamp(
            tx.first(tx.dialect().oldest_unfolded, params![], |row| row.get(0))?,
        )?,
        last_callback: read::last_callback(tx)?,
        unlinked: tx.one(unlinked, params![], |row| row.get(0))?,
        swept_at: maybe_timestamp(tx.one(swept, params![], |row| row.get(0))?)?,
    })
}

/// Everything that an overview shows: a few rows, however many customers.
pub(in crate::store) fn overview(
    tx: &Tx<'_>,
    since: Timestamp,
    hours_since: Timestamp,
) -> Result<OverviewRows, StoreError> {
    let (standings, counted_at) = counted(tx)?;
    let alarm = "SELECT raised_at FROM alarm WHERE name = 'silence'";
    let disabled = "SELECT count(*) FROM endpoint WHERE disabled_at IS NOT NULL";
    let disabled: i64 = tx.one(disabled, params![], |row| row.get(0))?;
    Ok(OverviewRows {
        tally: tally::read(tx, since)?,
        standings,
        counted_at,
        hours: hourly::read(tx, hours_since)?,
        last_callback: read::last_callback(tx)?,
        silent_since: maybe_timestamp(tx.first(alarm, params![], |row| row.get(0))?)?,
        disabled_endpoints: u64::try_from(disabled).unwrap_or(0),
    })
}
