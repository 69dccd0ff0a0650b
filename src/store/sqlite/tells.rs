//! The `webhook` lane: notifications with leases of their own, in order per customer. They never move or block a case.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::column::{effect_key, ms};
use super::work::SET_ASIDE;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{Finished, HistoryLine, TellLease, TellOutcome};

// Only the oldest open notification of a customer may go out; the index `effect_of_customer` answers the inner question.
const DUE: &str = "SELECT seq, epoch, key, customer, kind, payload, attempts, forgiven FROM effect AS mine
     WHERE lane = 'webhook' AND status = 'pending' AND due_at <= ?1
       AND NOT EXISTS (SELECT 1 FROM effect AS older WHERE older.customer = mine.customer AND older.seq < mine.seq
                       AND older.lane = 'webhook' AND older.status = 'pending')
     ORDER BY due_at LIMIT ?2";

/// Law: a notification is claimed by one, and never before the older ones of its customer have ended.
pub(super) fn claim(
    connection: &Connection,
    now: Timestamp,
    until: Timestamp,
    most: usize,
) -> Result<Vec<TellLease>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let (mut claimed, mut damaged) = (Vec::new(), Vec::new());
    let mut due = connection.prepare_cached(DUE)?;
    let mut rows = due.query(params![ms(now), limit])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        match tell_of(row).map_err(|error| error.in_row("effect", &seq)) {
            Ok(tell) => claimed.push(tell),
            Err(error @ StoreError::Corrupt { .. }) => damaged.push((seq, error)),
            Err(error) => return Err(error),
        }
    }
    for (seq, error) in damaged {
        // It stays open, and with it whatever its customer is to be told later; nobody else waits.
        tracing::error!(seq, %error, "a notification cannot be read; it is left alone for a while");
        let again_at = now.saturating_add(SET_ASIDE).unwrap_or(Timestamp::MAX);
        connection
            .prepare_cached("UPDATE effect SET lease_until = NULL, due_at = ?2 WHERE seq = ?1")?
            .execute(params![seq, ms(again_at)])?;
    }
    for tell in &claimed {
        connection
            .prepare_cached("UPDATE effect SET epoch = ?2, lease_until = ?3, due_at = ?3 WHERE seq = ?1")?
            .execute(params![tell.seq, tell.epoch, ms(until)])?;
    }
    Ok(claimed)
}

fn tell_of(row: &Row<'_>) -> Result<TellLease, StoreError> {
    Ok(TellLease {
        seq: row.get(0)?,
        epoch: row.get::<_, i64>(1)? + 1,
        key: effect_key(row, 2)?,
        customer: CustomerHashId::from_bytes(row.get(3)?),
        event: row.get(4)?,
        body: row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default(),
        attempts: row.get(6)?,
        forgiven: row.get(7)?,
    })
}

/// Law: the outcome of an attempt is written only by whoever still holds the notification.
pub(super) fn finish(
    connection: &Connection,
    lease: &TellLease,
    outcome: &TellOutcome,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    let (status, due, said) = match outcome {
        TellOutcome::Delivered => ("done", None, "delivered"),
        TellOutcome::Later(at, why) => ("pending", Some(ms(*at)), why.as_str()),
        TellOutcome::GivenUp(why) => ("failed", None, why.as_str()),
    };
    let ended = due.is_none().then(|| ms(now));
    let number = lease.attempts.saturating_add(1);
    let changed = connection
        .prepare_cached(
            "UPDATE effect SET status = ?3, due_at = ?4, lease_until = NULL, ended_at = ?5, attempts = ?6, outcome = ?7
             WHERE seq = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
        )?
        .execute(params![lease.seq, lease.epoch, status, due, ended, number, said])?;
    if changed == 0 {
        return Ok(Finished::LeaseLost);
    }
    connection
        .prepare_cached("INSERT INTO attempt (effect, number, at, outcome) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![lease.seq, number, ms(now), said])?;
    if ended.is_some() {
        let what = if matches!(outcome, TellOutcome::Delivered) { "told" } else { "telling_given_up" };
        let detail = serde_json::json!({ "event": lease.event, "id": lease.key, "attempts": number });
        super::work::put_history(connection, lease.customer, 0, &HistoryLine { what, detail }, now)?;
    }
    Ok(Finished::Done)
}
