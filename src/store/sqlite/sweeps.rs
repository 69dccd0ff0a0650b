//! Walks over Nium's customer list. Each function is the inside of one transaction: what a page shows and how far the
//! walk has come are written together, so that a crash between two pages loses nothing and repeats at most one page.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ask::once;
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::findings;
use super::work::put_history;
use crate::domain::snapshot::{Difference, Listed};
use crate::store::error::StoreError;
use crate::store::rows::watch::{SweepRow, SweepTrouble, SweptPage};
use crate::store::rows::{HistoryLine, Once, Recorder};

const COLUMNS: &str =
    "id, kind, asked_by, asked_at, page, pages, total, seen, found, unreadable, failures, trouble,
     due_at, ended_at, outcome, back";

// The callback is what clears `historic`; a difference that the baseline did not bring clears it too.
const NUDGE: &str = "INSERT INTO head (customer, rank, wanted, due_at, historic) VALUES (?1, 3, 1, ?2, ?3)
     ON CONFLICT (customer) DO UPDATE SET
         wanted = wanted + 1, handled = min(handled, wanted), historic = historic AND ?3,
         due_at = CASE WHEN lease_until IS NOT NULL OR failures > 0 THEN due_at ELSE min(coalesce(due_at, ?2), ?2) END";

/// The sweep that runs.
pub(super) fn running(connection: &Connection) -> Result<Option<SweepRow>, StoreError> {
    one(connection, "WHERE ended_at IS NULL")
}

/// The sweep that was asked for last.
pub(super) fn newest(connection: &Connection) -> Result<Option<SweepRow>, StoreError> {
    one(connection, "ORDER BY id DESC LIMIT 1")
}

fn one(connection: &Connection, rest: &str) -> Result<Option<SweepRow>, StoreError> {
    let mut read = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sweep {rest}"))?;
    let mut rows = read.query([])?;
    rows.next()?.map(sweep_of).transpose()
}

/// Sweeps, newest first, before number `before`.
pub(super) fn list(
    connection: &Connection,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<SweepRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sweep WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
    let mut read = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = read.query(params![before.unwrap_or(i64::MAX), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(sweep_of(row)?);
    }
    Ok(found)
}

fn sweep_of(row: &Row<'_>) -> Result<SweepRow, StoreError> {
    let count = |index: usize| -> Result<u64, StoreError> {
        Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or_default())
    };
    Ok(SweepRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        asked_by: row.get(2)?,
        asked_at: timestamp(row.get(3)?)?,
        page: row.get(4)?,
        pages: row.get(5)?,
        total: row.get::<_, Option<i64>>(6)?.and_then(|total| u64::try_from(total).ok()),
        seen: count(7)?,
        found: count(8)?,
        unreadable: count(9)?,
        failures: row.get(10)?,
        trouble: row.get(11)?,
        due_at: maybe_timestamp(row.get(12)?)?,
        ended_at: maybe_timestamp(row.get(13)?)?,
        outcome: row.get(14)?,
        back: row.get(15)?,
    })
}

/// Law: one sweep runs at a time; whoever asks while one runs gets that one. Until one has reached the end of the list,
/// a sweep is a baseline. True: it begins with this call.
pub(super) fn ask(
    connection: &Connection,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<(SweepRow, bool)>, StoreError> {
    once(connection, recorder, now, || {
        let before = running(connection)?;
        let begins = before.is_none();
        let row = match before {
            Some(row) => row,
            None => begin(connection, by, now)?,
        };
        let answer = serde_json::to_value(&row).ok();
        Ok(((row, begins), answer))
    })
}

fn begin(connection: &Connection, by: &str, now: Timestamp) -> Result<SweepRow, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO sweep (kind, asked_by, asked_at, due_at)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM sweep WHERE outcome = 'complete') THEN 'full' ELSE 'baseline' END,
                    ?1, ?2, ?2",
        )?
        .execute(params![by, ms(now)])?;
    running(connection)?.ok_or_else(|| corrupt("sweep", "new", "it ended before it began"))
}

/// Law: what a page shows is written once, with how far the sweep has come. False: the sweep has moved on without it.
pub(super) fn page(connection: &Connection, page: &SweptPage, now: Timestamp) -> Result<bool, StoreError> {
    let baseline = page.before.kind == "baseline";
    let mut found = 0_i64;
    let outcome = page.next.is_none().then_some("complete");
    let due = page.next.map(|_| ms(now));
    let moved = connection
        .prepare_cached(
            "UPDATE sweep SET page = ?3, pages = ?4, total = ?5, seen = seen + ?6, unreadable = unreadable + ?7,
                 failures = 0, trouble = NULL, due_at = ?8, ended_at = ?9, outcome = ?10, back = ?11
             WHERE id = ?1 AND page = ?2 AND back = ?12 AND ended_at IS NULL",
        )?
        .execute(params![
            page.before.id,
            page.before.page,
            page.next.map_or(page.before.page, |(next, _)| next),
            page.pages,
            page.total.and_then(|total| i64::try_from(total).ok()),
            // Who is met again is not counted again.
            if page.before.back { 0 } else { i64::try_from(page.customers.len()).unwrap_or(i64::MAX) },
            if page.before.back { 0 } else { i64::try_from(page.unreadable).unwrap_or(i64::MAX) },
            due,
            due.is_none().then(|| ms(now)),
            outcome,
            page.next.is_some_and(|(_, back)| back),
            page.before.back,
        ])?;
    if moved == 0 {
        return Ok(false);
    }
    for listed in &page.customers {
        found += i64::from(compare(connection, listed, page, baseline, now)?);
    }
    connection
        .prepare_cached("UPDATE sweep SET found = found + ?2 WHERE id = ?1")?
        .execute(params![page.before.id, found])?;
    Ok(true)
}

/// Nudges a customer about whom the list says something new.
fn compare(
    connection: &Connection,
    listed: &Listed,
    page: &SweptPage,
    baseline: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let id = listed.id.as_bytes();
    let pending = connection
        .prepare_cached("SELECT wanted > handled FROM head WHERE customer = ?1")?
        .query_row(params![id], |row| row.get::<_, bool>(0))
        .optional()?
        .unwrap_or(false);
    if pending {
        return Ok(false);
    }
    let held = findings::held(connection, listed.id)?;
    if held.as_ref().is_some_and(|held| held.looked_at >= page.begun_at) {
        return Ok(false);
    }
    let difference = listed.difference(held.as_ref().map(|held| &held.facts));
    if difference == Difference::Nothing {
        return Ok(false);
    }
    let historic = baseline && held.is_none();
    connection.prepare_cached(NUDGE)?.execute(params![id, ms(now), historic])?;
    if difference == Difference::Untold && !historic {
        findings::note(connection, listed.id, "list", held.as_ref(), page.judge_at, now)?;
    } else if held.is_none() {
        // Of a customer we know, the look tells whether anything has come of it.
        let detail = serde_json::json!({ "by": "list", "sweep": page.before.id, "baseline": historic });
        put_history(connection, listed.id, 0, &HistoryLine { what: "found_by_sweep", detail }, now)?;
    }
    Ok(true)
}

/// Law: a page that could not be read changes nothing but how the sweep goes on.
pub(super) fn trouble(
    connection: &Connection,
    before: &SweepRow,
    trouble: &SweepTrouble,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (page, failures, due, outcome) = match trouble {
        SweepTrouble::Again(at) => (before.page, before.failures.saturating_add(1), Some(ms(*at)), None),
        SweepTrouble::Skip => {
            let next = before.page.saturating_add(1 + u32::from(before.back));
            (next, 0, Some(ms(now)), None)
        }
        SweepTrouble::GiveUp => (before.page, before.failures.saturating_add(1), None, Some("given_up")),
    };
    connection
        .prepare_cached(
            "UPDATE sweep SET page = ?3, failures = ?4, trouble = ?5, due_at = ?6, ended_at = ?7, outcome = ?8,
                 unreadable = unreadable + ?9, back = CASE WHEN ?9 THEN 0 ELSE back END
             WHERE id = ?1 AND page = ?2 AND ended_at IS NULL",
        )?
        .execute(params![
            before.id,
            before.page,
            page,
            failures,
            why,
            due,
            due.is_none().then(|| ms(now)),
            outcome,
            i64::from(matches!(trouble, SweepTrouble::Skip)),
        ])?;
    Ok(())
}

/// After a restart a sweep goes on one page before where it was: the list may have moved meanwhile.
pub(super) fn resume(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE sweep SET page = max(page - 1, 0), back = 0, due_at = ?1 WHERE ended_at IS NULL",
        )?
        .execute(params![ms(now)])?;
    Ok(())
}
