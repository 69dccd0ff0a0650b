//! What is read for people and metrics. Read transactions are short and bounded: a checkpoint cannot pass them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use super::column::{case_of, corrupt, effect_key, maybe_timestamp, ms, next_of, timestamp};
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::store::error::{StoreError, UNNAMED};
use crate::store::rows::officer::InHand;
use crate::store::rows::{CallbackRow, CaseRow, EffectRow, Gauges, KeptSnapshot, TimelineRow};

pub(super) const CASE_ROW: &str =
    "SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note
     FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer";

/// One case with what Nium said last.
pub(super) fn case_row(
    connection: &Connection,
    customer: CustomerHashId,
) -> Result<Option<CaseRow>, StoreError> {
    let mut read = connection.prepare_cached(&format!("{CASE_ROW} WHERE c.customer = ?1"))?;
    let mut rows = read.query(params![customer.as_bytes()])?;
    rows.next()?.map(case_row_of).transpose()
}

/// The first `most` rows that can be read. Rows come as they are asked for; a limit in the query would count those that
/// are left out.
pub(super) fn readable<T>(
    rows: &mut Rows<'_>,
    most: usize,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        match read(row) {
            Ok(value) => found.push(value),
            // The others are still worth showing; who asks for this one alone hears that it cannot be read.
            Err(error @ StoreError::Corrupt { .. }) => tracing::error!(%error, "a row is left out of a list"),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

pub(super) fn case_row_of(row: &Row<'_>) -> Result<CaseRow, StoreError> {
    let case = case_of(row)?;
    let snapshot = snapshot_of(row).map_err(|error| error.in_row("snapshot", &case.id))?;
    let next = next_of(row).map_err(|error| error.in_row("cases", &case.id))?;
    let in_hand = in_hand_of(row, 11).map_err(|error| error.in_row("in_hand", &case.id))?;
    Ok(CaseRow { case, next, snapshot, in_hand })
}

/// Who has a case in hand, from three columns.
pub(super) fn in_hand_of(row: &Row<'_>, first: usize) -> Result<Option<InHand>, StoreError> {
    let Some(by) = row.get(first)? else { return Ok(None) };
    Ok(Some(InHand { by, since: timestamp(row.get(first + 1)?)?, note: row.get(first + 2)? }))
}

/// The snapshot from the columns after those of a case.
pub(super) fn snapshot_of(row: &Row<'_>) -> Result<Option<KeptSnapshot>, StoreError> {
    let Some(looked_at) = row.get::<_, Option<i64>>(8)? else { return Ok(None) };
    let facts: String = row.get(9)?;
    let facts =
        serde_json::from_str(&facts).map_err(|error| corrupt(UNNAMED, UNNAMED, &error.to_string()))?;
    Ok(Some(KeptSnapshot { looked_at: timestamp(looked_at)?, facts, sealed: row.get(10)? }))
}

/// Everything that happened to one customer, newest last, at most the newest `most` lines.
pub(super) fn timeline(
    connection: &Connection,
    customer: CustomerHashId,
    most: usize,
) -> Result<Vec<TimelineRow>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    let mut read = connection.prepare_cached(
        "SELECT at, what, version, detail FROM history WHERE customer = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let mut rows = read.query(params![customer.as_bytes(), limit])?;
    while let Some(row) = rows.next()? {
        let detail: String = row.get(3)?;
        lines.push(TimelineRow {
            at: timestamp(row.get(0)?)?,
            what: row.get(1)?,
            version: Some(row.get::<_, i64>(2)?).filter(|&version| version > 0),
            detail: serde_json::from_str(&detail)
                .map_err(|error| corrupt("history", &customer.to_string(), &error.to_string()))?,
        });
    }
    lines.reverse();
    for callback in callbacks(connection, Some(customer), None, most)? {
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

/// Callbacks, newest first, before receipt id `before`, of one customer or all.
pub(super) fn callbacks(
    connection: &Connection,
    customer: Option<CustomerHashId>,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<CallbackRow>, StoreError> {
    let wanted = if customer.is_some() { "customer = ?1" } else { "?1 IS NULL" };
    let sql = format!(
        "SELECT id, customer, request_id, source, template, first_at, last_at, deliveries FROM callback
         WHERE {wanted} AND id < ?2 ORDER BY id DESC"
    );
    let mut read = connection.prepare_cached(&sql)?;
    let id = customer.as_ref().map(CustomerHashId::as_bytes);
    let mut rows = read.query(params![id, before.unwrap_or(i64::MAX)])?;
    readable(&mut rows, most, |row| {
        let id = row.get(0)?;
        callback_of(row, id).map_err(|error| error.in_row("callback", &id))
    })
}

fn callback_of(row: &Row<'_>, id: i64) -> Result<CallbackRow, StoreError> {
    Ok(CallbackRow {
        id,
        customer_hash_id: row.get::<_, Option<[u8; 16]>>(1)?.map(CustomerHashId::from_bytes),
        request_id: row.get(2)?,
        source: row.get(3)?,
        template: row.get(4)?,
        received_at: timestamp(row.get(5)?)?,
        last_received_at: timestamp(row.get(6)?)?,
        deliveries: row.get(7)?,
    })
}

/// One effect.
pub(super) fn effect(connection: &Connection, key: &EffectKey) -> Result<Option<EffectRow>, StoreError> {
    let mut read = connection.prepare_cached(
        "SELECT key, customer, lane, kind, status, attempts, created_at, ended_at, outcome, said FROM effect WHERE key = ?1",
    )?;
    let mut rows = read.query(params![key.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
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
pub(super) fn data_key(
    connection: &Connection,
    customer: CustomerHashId,
) -> Result<Option<Vec<u8>>, StoreError> {
    one(connection, "SELECT wrapped FROM data_key WHERE customer = ?1", customer)
}

/// The sealed application on file.
pub(super) fn application(
    connection: &Connection,
    customer: CustomerHashId,
) -> Result<Option<Vec<u8>>, StoreError> {
    one(connection, "SELECT sealed FROM application WHERE customer = ?1", customer)
}

fn one(connection: &Connection, sql: &str, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(connection
        .prepare_cached(sql)?
        .query_row(params![customer.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// The role and name behind a token's hash, unless it was revoked.
pub(super) fn token(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<(String, String)>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT role, name FROM token WHERE hash = ?1 AND revoked_at IS NULL")?
        .query_row(params![hash], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Row counts and ages for the metrics.
pub(super) fn gauges(connection: &Connection, now: Timestamp) -> Result<Gauges, StoreError> {
    let number = |sql: &str| -> Result<Option<i64>, StoreError> {
        Ok(connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get::<_, Option<i64>>(0))
            .optional()?
            .flatten())
    };
    let grouped = |sql: &str| -> Result<Vec<(String, i64, Option<Timestamp>)>, StoreError> {
        let mut read = connection.prepare_cached(sql)?;
        let mut rows = read.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?, maybe_timestamp(row.get(2)?)?));
        }
        Ok(found)
    };
    let due: i64 = connection
        .prepare_cached("SELECT count(*) FROM head WHERE due_at <= ?1 AND lease_until IS NULL")?
        .query_row(params![ms(now)], |row| row.get(0))?;
    let last_log = number("SELECT max(id) FROM callback_log")?.unwrap_or(0);
    let folded = number("SELECT position FROM cursor WHERE name = 'fold'")?.unwrap_or(0);
    Ok(Gauges {
        states: grouped("SELECT state, count(*), min(since) FROM cases GROUP BY state")?,
        effects: grouped(
            "SELECT lane, count(*), min(created_at) FROM effect WHERE ended_at IS NULL GROUP BY lane",
        )?,
        due,
        unfolded: (last_log - folded).max(0),
        last_callback: maybe_timestamp(number("SELECT at FROM callback_log ORDER BY id DESC LIMIT 1")?)?,
    })
}
