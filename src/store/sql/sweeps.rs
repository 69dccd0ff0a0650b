//! Walks over Nium's customer list. Each function is the inside of one transaction: what a page shows and how far the
//! walk has come are written together, so that a crash between two pages loses nothing and repeats at most one page.

use jiff::Timestamp;
use rusqlite::params;

use super::ask::once;
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::work::put_history;
use super::{audit, erase, findings};
use crate::domain::audit::SERVICE;
use crate::domain::snapshot::{Difference, Listed};
use crate::store::error::StoreError;
use crate::store::rows::watch::{SCHEDULE, SweepRow, SweepTrouble, SweptPage};
use crate::store::rows::{HistoryLine, Once, Recorder};
use crate::store::tx::{Lock, Row, Tx};

const COLUMNS: &str =
    "id, kind, asked_by, asked_at, page, pages, total, seen, found, unreadable, failures, trouble,
     due_at, ended_at, outcome, back";

// The callback is what clears `historic`; a difference that the baseline did not bring clears it too.
const NUDGE: &str = "INSERT INTO head (customer, rank, wanted, due_at, historic) VALUES (?1, 3, 1, ?2, ?3)
     ON CONFLICT (customer) DO UPDATE SET
         wanted = head.wanted + 1, historic = head.historic * ?3,
         handled = CASE WHEN head.handled < head.wanted THEN head.handled ELSE head.wanted END,
         due_at = CASE WHEN head.lease_until IS NOT NULL OR head.failures > 0 OR head.due_at < ?2 THEN head.due_at
             ELSE ?2 END";

/// The sweep that runs.
pub(in crate::store) fn running(tx: &Tx<'_>) -> Result<Option<SweepRow>, StoreError> {
    one(tx, "WHERE ended_at IS NULL")
}

/// The sweep that was asked for last.
pub(in crate::store) fn newest(tx: &Tx<'_>) -> Result<Option<SweepRow>, StoreError> {
    one(tx, "ORDER BY id DESC LIMIT 1")
}

fn one(tx: &Tx<'_>, rest: &str) -> Result<Option<SweepRow>, StoreError> {
    let rows = tx.query(&format!("SELECT {COLUMNS} FROM sweep {rest}"), params![])?;
    rows.first().map(sweep_of).transpose()
}

/// Sweeps, newest first, before number `before`.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<SweepRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sweep WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = tx.query(&sql, params![before.unwrap_or(i64::MAX), limit])?;
    let mut found = Vec::new();
    for row in &rows {
        found.push(sweep_of(row)?);
    }
    Ok(found)
}

fn sweep_of(row: &Row) -> Result<SweepRow, StoreError> {
    let count = |index: usize| -> Result<u64, StoreError> {
        Ok(u64::try_from(row.get::<i64>(index)?).unwrap_or_default())
    };
    Ok(SweepRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        asked_by: row.get(2)?,
        asked_at: timestamp(row.get(3)?)?,
        page: row.get(4)?,
        pages: row.get(5)?,
        total: row.get::<Option<i64>>(6)?.and_then(|total| u64::try_from(total).ok()),
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
pub(in crate::store) fn ask(
    tx: &Tx<'_>,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<(SweepRow, bool)>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Name("sweep"))?;
        let before = running(tx)?;
        let begins = before.is_none();
        let row = match before {
            Some(row) => row,
            None => begin(tx, by, now)?,
        };
        let answer = serde_json::to_value(&row).ok();
        Ok(((row, begins), answer))
    })
}

fn begin(tx: &Tx<'_>, by: &str, now: Timestamp) -> Result<SweepRow, StoreError> {
    tx.execute("INSERT INTO sweep (kind, asked_by, asked_at, due_at)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM sweep WHERE outcome = 'complete') THEN 'full' ELSE 'baseline' END,
                    ?1, ?2, ?2", params![by, ms(now)])?;
    let begun = running(tx)?.ok_or_else(|| corrupt("sweep", "new", "it ended before it began"))?;
    let actor = if by == SCHEDULE { SERVICE } else { by };
    let detail = serde_json::json!({ "sweep": begun.id, "kind": begun.kind });
    audit::note(tx, actor, None, "sweep_asked", &detail, now)?;
    Ok(begun)
}

/// Law: what a page shows is written once, with how far the sweep has come. Gives about how many customers it said
/// something new; `None`: the sweep has moved on without it.
pub(in crate::store) fn page(
    tx: &Tx<'_>,
    page: &SweptPage,
    now: Timestamp,
) -> Result<Option<u64>, StoreError> {
    tx.lock(Lock::Name("sweep"))?;
    let baseline = page.before.kind == "baseline";
    let mut found = 0_i64;
    let outcome = page.next.is_none().then_some("complete");
    let due = page.next.map(|_| ms(now));
    let moved = tx.execute(
        "UPDATE sweep SET page = ?3, pages = ?4, total = ?5, seen = seen + ?6, unreadable = unreadable + ?7,
                 failures = 0, trouble = NULL, due_at = ?8, ended_at = ?9, outcome = ?10, back = ?11
             WHERE id = ?1 AND page = ?2 AND back = ?12 AND ended_at IS NULL",
        params![
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
        ],
    )?;
    if moved == 0 {
        return Ok(None);
    }
    let mut customers: Vec<&Listed> = page.customers.iter().collect();
    customers.sort_by_key(|listed| listed.id);
    for listed in customers {
        tx.lock(Lock::Customer(listed.id))?;
        found += i64::from(compare(tx, listed, page, baseline, now)?);
    }
    tx.execute("UPDATE sweep SET found = found + ?2 WHERE id = ?1", params![page.before.id, found])?;
    Ok(u64::try_from(found).ok())
}

/// Nudges a customer about whom the list says something new.
fn compare(
    tx: &Tx<'_>,
    listed: &Listed,
    page: &SweptPage,
    baseline: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let id = listed.id.as_bytes();
    let pending = tx
        .first("SELECT wanted > handled FROM head WHERE customer = ?1", params![id], |row| {
            row.get::<bool>(0)
        })?
        .unwrap_or(false);
    if pending {
        return Ok(false);
    }
    let held = findings::held(tx, listed.id)?;
    if held.is_none() && erase::erasure(tx, listed.id)?.is_some() {
        return Ok(false);
    }
    if held.as_ref().is_some_and(|held| held.looked_at >= page.begun_at) {
        return Ok(false);
    }
    let difference = listed.difference(held.as_ref().map(|held| &held.facts));
    if difference == Difference::Nothing {
        return Ok(false);
    }
    let historic = baseline && held.is_none();
    tx.execute(NUDGE, params![id, ms(now), historic])?;
    if difference == Difference::Untold && !historic {
        findings::note(tx, listed.id, "list", held.as_ref(), page.judge_at, now)?;
    } else if held.is_none() {
        // Of a customer we know, the look tells whether anything has come of it.
        let detail = serde_json::json!({ "by": "list", "sweep": page.before.id, "baseline": historic });
        put_history(tx, listed.id, 0, SERVICE, &HistoryLine { what: "found_by_sweep", detail }, now)?;
    }
    Ok(true)
}

/// Law: a page that could not be read changes nothing but how the sweep goes on.
pub(in crate::store) fn trouble(
    tx: &Tx<'_>,
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
    tx.execute(
        "UPDATE sweep SET page = ?3, failures = ?4, trouble = ?5, due_at = ?6, ended_at = ?7, outcome = ?8,
                 unreadable = unreadable + ?9, back = CASE WHEN ?9 = 1 THEN 0 ELSE back END
             WHERE id = ?1 AND page = ?2 AND ended_at IS NULL",
        params![
            before.id,
            before.page,
            page,
            failures,
            why,
            due,
            due.is_none().then(|| ms(now)),
            outcome,
            i64::from(matches!(trouble, SweepTrouble::Skip)),
        ],
    )?;
    Ok(())
}

/// After a restart a sweep goes on one page before where it was: the list may have moved meanwhile.
pub(in crate::store) fn resume(tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sweep SET page = CASE WHEN page > 0 THEN page - 1 ELSE 0 END, back = 0, due_at = ?1
             WHERE ended_at IS NULL",
        params![ms(now)],
    )?;
    Ok(())
}
