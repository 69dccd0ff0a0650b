//! Erasing a person: their data key, everything that was sealed with it, and what else tells of them. What remains is that
//! they were erased, when, and by whom. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::params;

use super::ask::{once, open_write};
use super::audit::{self, CHAIN};
use super::column::{ms, timestamp};
use super::holds;
use super::tally::TALLY;
use super::work::case;
use crate::domain::case::CaseState;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::privacy::{Erased, Erasure};
use crate::store::rows::{Once, Recorder};
use crate::store::tx::{Lock, Row, Tx};

/// Tables whose rows about a person go as a whole. Those that hold what is only counted (callbacks, events) stay: the id in
/// them is the one that the erasure names.
const GONE: [&str; 21] = [
    "data_key",
    "application",
    "snapshot",
    "mark",
    "rfi",
    "redirect",
    "note",
    "legal_hold",
    "in_hand",
    "approval",
    "bulk_customer",
    "correction",
    "draft",
    "visit",
    "link",
    "quiet",
    "journey",
    "finding",
    "idempotency",
    "history",
    "cases",
];
/// Why nothing about somebody who was erased is sent.
const OUTCOME: &str = "erased";

const ERASURE: &str = "SELECT customer, at, erased_by FROM erasure";

fn erasure_of(row: &Row) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        customer_hash_id: CustomerHashId::from_bytes(row.get(0)?),
        erased_at: timestamp(row.get(1)?)?,
        erased_by: row.get(2)?,
    })
}

/// That, when and by whom somebody was erased.
pub(in crate::store) fn erasure(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<Erasure>, StoreError> {
    tx.first(&format!("{ERASURE} WHERE customer = ?1"), params![customer.as_bytes()], erasure_of)
}

/// Fails for somebody who was erased: nothing about them is stored again.
pub(in crate::store) fn refuse_the_erased(tx: &Tx<'_>, customer: CustomerHashId) -> Result<(), StoreError> {
    if tx.exists("SELECT 1 FROM erasure WHERE customer = ?1", params![customer.as_bytes()])? {
        return Err(StoreError::Erased);
    }
    Ok(())
}

/// Erasures after number `after`, in order, each with its number.
pub(in crate::store) fn after(
    tx: &Tx<'_>,
    after: i64,
    most: usize,
) -> Result<Vec<(i64, Erasure)>, StoreError> {
    let sql =
        "SELECT customer, at, erased_by, number FROM erasure WHERE number > ?1 ORDER BY number LIMIT ?2";
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    tx.all(sql, params![after, limit], |row| Ok((row.get(3)?, erasure_of(row)?)))
}

/// Law: somebody is erased as a whole or not at all; not while a write about them is on its way, and not while a legal hold
/// is set. Erased twice is as once.
pub(in crate::store) fn erase(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Erased>, StoreError> {
    // Locks are taken in their order.
    tx.lock(CHAIN)?;
    tx.lock(TALLY)?;
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(customer))?;
        let erased = erase_one(tx, customer, by, now)?;
        let answer = match &erased {
            Erased::Done(erasure) => serde_json::to_value(erasure).ok(),
            Erased::Nobody | Erased::UnderWay | Erased::Held => None,
        };
        Ok((erased, answer))
    })
}

fn erase_one(tx: &Tx<'_>, customer: CustomerHashId, by: &str, now: Timestamp) -> Result<Erased, StoreError> {
    if let Some(before) = erasure(tx, customer)? {
        return Ok(Erased::Done(before));
    }
    if !is_known(tx, customer)? {
        return Ok(Erased::Nobody);
    }
    if holds::hold(tx, customer)?.is_some() {
        return Ok(Erased::Held);
    }
    let submits =
        matches!(case(tx, customer)?, Some((case, _)) if matches!(case.state, CaseState::Submitting { .. }));
    if submits || open_write(tx, customer)? {
        return Ok(Erased::UnderWay);
    }
    // As it is stored: whole milliseconds.
    let erased_at = timestamp(ms(now))?;
    let erasure = Erasure { customer_hash_id: customer, erased_at, erased_by: by.to_owned() };
    destroy(tx, &erasure, now)?;
    Ok(Erased::Done(erasure))
}

/// Whether anything is on file about somebody, beside that they were named.
pub(in crate::store) fn is_known(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    for table in ["data_key", "cases", "history"] {
        let sql = format!("SELECT 1 FROM {table} WHERE customer = ?1 LIMIT 1");
        if tx.exists(&sql, params![customer.as_bytes()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Law: whom an earlier record calls erased is erased again, whatever stands in the way: a database that was put back from a
/// backup has them once more. False if they are.
pub(in crate::store) fn erase_again(
    tx: &Tx<'_>,
    erasure: &Erasure,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.lock(CHAIN)?;
    tx.lock(TALLY)?;
    tx.lock(Lock::Customer(erasure.customer_hash_id))?;
    if self::erasure(tx, erasure.customer_hash_id)?.is_some() {
        return Ok(false);
    }
    destroy(tx, erasure, now)?;
    Ok(true)
}

fn destroy(tx: &Tx<'_>, erasure: &Erasure, now: Timestamp) -> Result<(), StoreError> {
    let customer = erasure.customer_hash_id;
    let id = customer.as_bytes();
    overwrite(tx, true)?;
    for table in GONE {
        tx.execute(&format!("DELETE FROM {table} WHERE customer = ?1"), params![id])?;
    }
    // Whoever holds the customer finds the lease lost.
    tx.execute("DELETE FROM head WHERE customer = ?1", params![id])?;
    tx.execute(
        "DELETE FROM attempt WHERE effect IN (SELECT seq FROM effect WHERE customer = ?1)",
        params![id],
    )?;
    tx.execute(
        "UPDATE effect SET status = 'overtaken', due_at = NULL, lease_until = NULL, ended_at = ?2, outcome = ?3
         WHERE customer = ?1 AND ended_at IS NULL",
        params![id, ms(now), OUTCOME],
    )?;
    tx.execute(
        "UPDATE effect SET sealed = NULL, said = NULL, payload = NULL, progress = NULL,
             outcome = CASE WHEN lane = 'email' THEN ?2 ELSE outcome END
         WHERE customer = ?1",
        params![id, OUTCOME],
    )?;
    audit::erase(tx, &erasure.erased_by, customer, now)?;
    // Whoever erases is alone, as the lock of the chain has it.
    let last: i64 = tx.one("SELECT coalesce(max(number), 0) FROM erasure", params![], |row| row.get(0))?;
    tx.execute(
        "INSERT INTO erasure (customer, number, at, erased_by) VALUES (?1, ?2, ?3, ?4)",
        params![id, last + 1, ms(erasure.erased_at), erasure.erased_by],
    )?;
    overwrite(tx, false)
}

/// Whether what is deleted is overwritten, where the database can.
fn overwrite(tx: &Tx<'_>, on: bool) -> Result<(), StoreError> {
    let words = tx.dialect().overwrite;
    match if on { words.map(|(on, _)| on) } else { words.map(|(_, off)| off) } {
        Some(sql) => tx.query(sql, params![]).map(drop),
        None => Ok(()),
    }
}
