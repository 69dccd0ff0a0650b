//! What is read for people and metrics. Read transactions are short and bounded: a checkpoint cannot pass them.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{case_of, corrupt, effect_key, maybe_timestamp, next_of, timestamp};
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::store::error::{StoreError, UNNAMED};
use crate::store::rows::officer::InHand;
use crate::store::rows::people::KnownToken;
use crate::store::rows::{CallbackRow, CaseRow, EffectRow, KeptSnapshot, TimelineRow};
use crate::store::tx::{Row, Tx};

/// The columns of [`case_row_of`], and the tables that they stand in.
pub(super) const CASE_COLUMNS: &str =
    "c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note";
pub(super) const CASE_TABLES: &str = "cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer";
/// The column behind those.
pub(super) const AFTER_CASE: usize = 14;

/// One case with what Nium said last.
pub(in crate::store) fn case_row(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<CaseRow>, StoreError> {
    let sql = format!("SELECT {CASE_COLUMNS} FROM {CASE_TABLES} WHERE c.customer = ?1");
    let rows = tx.query(&sql, params![customer.as_bytes()])?;
    rows.first().map(case_row_of).transpose()
}

pub(in crate::store) fn case_row_of(row: &Row) -> Result<CaseRow, StoreError> {
    let case = case_of(row)?;
    let snapshot = snapshot_of(row).map_err(|error| error.in_row("snapshot", &case.id))?;
    let next = next_of(row).map_err(|error| error.in_row("cases", &case.id))?;
    let in_hand = in_hand_of(row, 11).map_err(|error| error.in_row("in_hand", &case.id))?;
    Ok(CaseRow { case, next, snapshot, in_hand })
}

/// Who has a case in hand, from three columns.
pub(in crate::store) fn in_hand_of(row: &Row, first: usize) -> Result<Option<InHand>, StoreError> {
    let Some(by) = row.get(first)? else { return Ok(None) };
    Ok(Some(InHand { by, since: timestamp(row.get(first + 1)?)?, note: row.get(first + 2)? }))
}

/// The snapshot from the columns after those of a case.
pub(in crate::store) fn snapshot_of(row: &Row) -> Result<Option<KeptSnapshot>, StoreError> {
    let Some(looked_at) = row.get::<Option<i64>>(8)? else { return Ok(None) };
    let facts: String = row.get(9)?;
    let facts =
        serde_json::from_str(&facts).map_err(|error| corrupt(UNNAMED, UNNAMED, &error.to_string()))?;
    Ok(Some(KeptSnapshot { looked_at: timestamp(looked_at)?, facts, sealed: row.get(10)? }))
}

/// Everything that happened to one customer, newest last, at most the newest `most` lines.
pub(in crate::store) fn timeline(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    most: usize,
) -> Result<Vec<TimelineRow>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    let rows = tx.query(
        "SELECT at, what, version, detail FROM history WHERE customer = ?1 ORDER BY id DESC LIMIT ?2",
        params![customer.as_bytes(), limit],
    )?;
    for row in &rows {
        let detail: String = row.get(3)?;
        lines.push(TimelineRow {
            at: timestamp(row.get(0)?)?,
            what: row.get(1)?,
            version: Some(row.get::<i64>(2)?).filter(|&version| version > 0),
            detail: serde_json::from_str(&detail)
                .map_err(|error| corrupt("history", &customer.to_string(), &error.to_string()))?,
        });
    }
    lines.reverse();
    for callback in callbacks(tx, Some(customer), None, most)? {
        let detail = serde_json::json!({
            "source": callback.source, "requestId": callback.request_id, "template": callback.template,
            "deliveries": callback.deliveries,
        });
        lines.push(TimelineRow {
            at: callback.received_at,
            what: "nudged".to_owned(),
            version: None,
            detail,
        });
    }
    // Stable: lines of one moment keep the order they were written in, and the nudge stands before what it led to.
    lines.sort_by_key(|line| (line.at, line.what != "nudged"));
    let surplus = lines.len().saturating_sub(most);
    Ok(lines.split_off(surplus))
}

/// The last line of the timeline and the last callback, of one customer (with when they were looked at) or of all.
pub(in crate::store) fn stamp(tx: &Tx<'_>, customer: Option<CustomerHashId>) -> Result<String, StoreError> {
    let read = |row: &Row| {
        let parts: [Option<i64>; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok(parts.map(|part| part.unwrap_or(0).to_string()).join("-"))
    };
    match customer {
        Some(id) => tx.one(
            "SELECT (SELECT max(id) FROM history WHERE customer = ?1), (SELECT max(id) FROM callback WHERE customer = ?1),
                 (SELECT looked_at FROM snapshot WHERE customer = ?1)",
            params![id.as_bytes()],
            read,
        ),
        None => tx.one(
            "SELECT (SELECT max(id) FROM history), (SELECT max(id) FROM callback), NULL",
            params![],
            read,
        ),
    }
}

const CALLBACK: &str =
    "SELECT id, customer, request_id, source, template, first_at, last_at, deliveries FROM callback";

/// Callbacks, newest first, before receipt id `before`, of one customer or all.
pub(in crate::store) fn callbacks(
    tx: &Tx<'_>,
    customer: Option<CustomerHashId>,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<CallbackRow>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let read = |row: &Row| {
        let id = row.get(0)?;
        callback_of(row, id).map_err(|error| error.in_row("callback", &id))
    };
    match customer {
        Some(id) => {
            let sql = format!("{CALLBACK} WHERE customer = ?2 AND id < ?1 ORDER BY id DESC");
            tx.readable(&sql, params![before, id.as_bytes()], most, read)
        }
        None => {
            tx.readable(&format!("{CALLBACK} WHERE id < ?1 ORDER BY id DESC"), params![before], most, read)
        }
    }
}

fn callback_of(row: &Row, id: i64) -> Result<CallbackRow, StoreError> {
    Ok(CallbackRow {
        id,
        customer_hash_id: row.get::<Option<[u8; 16]>>(1)?.map(CustomerHashId::from_bytes),
        request_id: row.get(2)?,
        source: row.get(3)?,
        template: row.get(4)?,
        received_at: timestamp(row.get(5)?)?,
        last_received_at: timestamp(row.get(6)?)?,
        deliveries: row.get(7)?,
    })
}

/// One effect.
pub(in crate::store) fn effect(tx: &Tx<'_>, key: &EffectKey) -> Result<Option<EffectRow>, StoreError> {
    let rows = tx.query(
        "SELECT key, customer, lane, kind, status, attempts, created_at, ended_at, outcome, said FROM effect
             WHERE key = ?1",
        params![key.as_str()],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let status: String = row.get(4)?;
    Ok(Some(EffectRow {
        key: effect_key(row, 0)?,
        customer: CustomerHashId::from_bytes(row.get(1)?),
        lane: row.get(2)?,
        kind: row.get(3)?,
        status: EffectStatus::parse(&status)
            .ok_or_else(|| corrupt("effect", key.as_str(), "its status is not known"))?,
        attempts: row.get(5)?,
        created_at: timestamp(row.get(6)?)?,
        ended_at: maybe_timestamp(row.get(7)?)?,
        outcome: row.get(8)?,
        said: row.get(9)?,
    }))
}

/// The wrapped data key of a customer.
pub(in crate::store) fn data_key(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<Vec<u8>>, StoreError> {
    one(tx, "SELECT wrapped FROM data_key WHERE customer = ?1", customer)
}

/// The sealed application on file.
pub(in crate::store) fn application(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<Vec<u8>>, StoreError> {
    one(tx, "SELECT sealed FROM application WHERE customer = ?1", customer)
}

fn one(tx: &Tx<'_>, sql: &str, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first(sql, params![customer.as_bytes()], |row| row.get(0))
}

/// The token of this hash, unless it was revoked.
pub(in crate::store) fn token(tx: &Tx<'_>, hash: &[u8; 32]) -> Result<Option<KnownToken>, StoreError> {
    let sql = "SELECT id, role, name FROM token WHERE hash = ?1 AND revoked_at IS NULL";
    tx.first(sql, params![hash], |row| {
        Ok(KnownToken { id: row.get(0)?, role: row.get(1)?, name: row.get(2)? })
    })
}

/// When the last callback or webhook came.
pub(in crate::store) fn last_callback(tx: &Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    maybe_timestamp(tx.first(tx.dialect().last_callback, params![], |row| row.get(0))?)
}
