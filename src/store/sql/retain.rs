//! What is kept only for a while. Rows go a few at a time, along the primary key.

use jiff::Timestamp;
use rusqlite::params;

use super::ask::open_write;
use super::column::ms;
use super::holds::hold;
use super::work::case;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::privacy::{ClosedPlace, KeptFiles};
use crate::store::tx::{Lock, Tx};

/// States in which a case has come to an end.
pub(in crate::store) const CLOSED: [&str; 3] = ["approved", "finally_rejected", "reinstated"];
/// What a closed case needs no more.
const NEEDED: [&str; 9] =
    ["application", "correction", "note", "draft", "visit", "link", "rfi", "redirect", "idempotency"];

/// Law: among the `most` callbacks after `after`, those that were last delivered before `before` go, and none of a customer
/// under a legal hold. Gives where to go on;
/// `None` once callbacks are met that came first after that moment, since ids grow with time.
pub(in crate::store) fn drop_callbacks(
    tx: &Tx<'_>,
    before: Timestamp,
    after: i64,
    most: usize,
) -> Result<Option<i64>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let window = "SELECT id, first_at FROM callback WHERE id > ?1 ORDER BY id LIMIT ?2";
    let rows = tx.query(window, params![after, limit])?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let (end, first_at): (i64, i64) = (last.get(0)?, last.get(1)?);
    tx.execute(
        "DELETE FROM callback WHERE id > ?1 AND id <= ?2 AND last_at < ?3
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = callback.customer)",
        params![after, end, ms(before)],
    )?;
    if let Some(drop_log) = tx.dialect().drop_log {
        tx.execute(drop_log, params![after, end, ms(before)])?;
    }
    Ok((first_at < ms(before)).then_some(end))
}

/// Nium has accepted the customer: the documents on file are of no more use from now on.
pub(super) fn accept_documents(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE application SET accepted_at = ?2 WHERE customer = ?1 AND documents = 1 AND accepted_at IS NULL",
        params![customer.as_bytes(), ms(now)],
    )?;
    Ok(())
}

/// Applications that may hold documents of customers whom Nium accepted before a moment; none under a legal hold.
pub(in crate::store) fn files_to_drop(
    tx: &Tx<'_>,
    before: Timestamp,
    most: usize,
) -> Result<Vec<KeptFiles>, StoreError> {
    tx.readable(
        "SELECT customer, sealed FROM application
         WHERE documents = 1 AND accepted_at IS NOT NULL AND accepted_at <= ?1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = application.customer)
         ORDER BY accepted_at",
        params![ms(before)],
        most,
        |row| Ok(KeptFiles { customer: CustomerHashId::from_bytes(row.get(0)?), sealed: row.get(1)? }),
    )
}

/// Law: an application loses its files only while it is the one that was read. `None` stands for one that could not be
/// opened: it is not tried again. Gives how many changed.
pub(in crate::store) fn drop_files(
    tx: &Tx<'_>,
    rows: &[(KeptFiles, Option<Vec<u8>>)],
) -> Result<usize, StoreError> {
    let mut changed = 0;
    for (kept, without) in rows {
        tx.lock(Lock::Customer(kept.customer))?;
        changed += tx.execute(
            "UPDATE application SET sealed = coalesce(?3, sealed), documents = 0
             WHERE customer = ?1 AND sealed = ?2 AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE customer = ?1)",
            params![kept.customer.as_bytes(), kept.sealed, without],
        )?;
    }
    Ok(changed)
}

/// Law: of the `most` cases that came to this end before a moment and stand after `after`, what they need no more goes;
/// nothing of anybody under a legal hold, about whom a write is under way, or whom Nium asks for something. Gives where to go on; `None` at the end.
pub(in crate::store) fn clear_closed(
    tx: &Tx<'_>,
    state: &str,
    before: Timestamp,
    after: &ClosedPlace,
    most: usize,
) -> Result<Option<ClosedPlace>, StoreError> {
    let rows = tx.all(
        "SELECT since, customer FROM cases WHERE state = ?1 AND since < ?2 AND (since, customer) > (?3, ?4)
         ORDER BY since, customer LIMIT ?5",
        params![state, ms(before), after.0, after.1, i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok((row.get::<i64>(0)?, row.get::<Vec<u8>>(1)?)),
    )?;
    let last = rows.last().cloned();
    let mut customers: Vec<CustomerHashId> = rows
        .into_iter()
        .filter_map(|(_, bytes)| Some(CustomerHashId::from_bytes(bytes.try_into().ok()?)))
        .collect();
    customers.sort_unstable();
    for customer in customers {
        tx.lock(Lock::Customer(customer))?;
        let stays = "SELECT 1 FROM cases WHERE customer = ?1 AND state = ?2 AND since < ?3";
        let is_closed = tx.exists(stays, params![customer.as_bytes(), state, ms(before)])?;
        if is_closed
            && hold(tx, customer)?.is_none()
            && !open_write(tx, customer)?
            && !is_asked(tx, customer)?
        {
            clear(tx, customer, before)?;
        }
    }
    Ok(last)
}

/// An approved customer may be asked for more. A case that cannot be read may be such a one.
fn is_asked(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    match case(tx, customer) {
        Ok(found) => Ok(found.is_some_and(|(case, _)| case.beside.rfi.is_some())),
        Err(StoreError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

fn clear(tx: &Tx<'_>, customer: CustomerHashId, before: Timestamp) -> Result<(), StoreError> {
    let id = customer.as_bytes();
    for table in NEEDED {
        tx.execute(&format!("DELETE FROM {table} WHERE customer = ?1"), params![id])?;
    }
    tx.execute("DELETE FROM approval WHERE customer = ?1 AND status <> 'open'", params![id])?;
    tx.execute(
        "UPDATE effect SET sealed = NULL, said = NULL, payload = CASE WHEN lane = 'webhook' THEN payload END
         WHERE customer = ?1 AND ended_at < ?2
             AND (sealed IS NOT NULL OR said IS NOT NULL OR (payload IS NOT NULL AND lane <> 'webhook'))",
        params![id, ms(before)],
    )?;
    Ok(())
}
