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
use crate::domain::audit::SERVICE;
use crate::domain::case::CaseState;
use crate::domain::effect::EffectKey;
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
        let answer = erased.erasure().and_then(|erasure| serde_json::to_value(erasure).ok());
        Ok((erased, answer))
    })
}

/// Law: an onboarding that led to no customer is erased as a person is, on the same terms. One that did is the customer's.
pub(in crate::store) fn erase_onboarding(
    tx: &Tx<'_>,
    key: &EffectKey,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Erased>, StoreError> {
    tx.lock(CHAIN)?;
    tx.lock(TALLY)?;
    once(tx, recorder, now, || {
        let Some(whose) = whose(tx, key)? else { return Ok((Erased::Nobody, None)) };
        tx.lock(Lock::Customer(whose))?;
        // They may have become a customer before the lock was had.
        let erased = match self::whose(tx, key)? {
            Some(applicant) if is_applicant(applicant, key) => erase_one(tx, applicant, by, now)?,
            Some(customer) => Erased::Became(customer),
            None => Erased::Nobody,
        };
        let answer = erased.erasure().map(|erasure| erasure.of_onboarding(key));
        Ok((erased, answer))
    })
}

/// Under whose id an onboarding is filed.
fn whose(tx: &Tx<'_>, key: &EffectKey) -> Result<Option<CustomerHashId>, StoreError> {
    let sql = "SELECT customer FROM effect WHERE key = ?1 AND kind = 'onboard'";
    tx.first(sql, params![key.as_str()], |row| Ok(CustomerHashId::from_bytes(row.get(0)?)))
}

/// Whether an onboarding is still filed under the id of ours that it began with: there is no customer.
fn is_applicant(customer: CustomerHashId, key: &EffectKey) -> bool {
    *key == EffectKey::onboarding(customer)
}

/// Ids of applicants begin with the moment at which they applied (UUID version 7), and stand before this one until the year
/// 2109: few of Nium's ids, which are random, stand there.
const AFTER_APPLICANTS: [u8; 1] = [0x04];

/// Who may be an applicant whose onboarding ended without a customer before a moment; none under a legal hold. The `most`
/// that stand after `after`.
pub(in crate::store) fn ended_applicants(
    tx: &Tx<'_>,
    before: Timestamp,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<Vec<CustomerHashId>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    tx.all(
        "SELECT data_key.customer FROM data_key JOIN effect ON effect.customer = data_key.customer
         WHERE data_key.customer > ?2 AND data_key.customer < ?3 AND effect.kind = 'onboard' AND effect.ended_at < ?1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = data_key.customer)
             AND NOT EXISTS (SELECT 1 FROM cases WHERE cases.customer = data_key.customer)
         ORDER BY data_key.customer LIMIT ?4",
        params![ms(before), after, AFTER_APPLICANTS, i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok(CustomerHashId::from_bytes(row.get(0)?)),
    )
}

/// Law: by the rule an applicant goes only while their onboarding is one that ended without a customer before that moment: a
/// customer whom nobody has looked at yet has no case either. False if it is none.
pub(in crate::store) fn erase_applicant(
    tx: &Tx<'_>,
    applicant: CustomerHashId,
    before: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.lock(CHAIN)?;
    tx.lock(TALLY)?;
    tx.lock(Lock::Customer(applicant))?;
    let ended = "SELECT 1 FROM effect WHERE key = ?1 AND customer = ?2 AND ended_at < ?3";
    let key = EffectKey::onboarding(applicant);
    let is_due = tx.exists(ended, params![key.as_str(), applicant.as_bytes(), ms(before)])?;
    Ok(is_due && matches!(erase_one(tx, applicant, SERVICE, now)?, Erased::Done(_)))
}

fn erase_one(tx: &Tx<'_>, customer: CustomerHashId, by: &str, now: Timestamp) -> Result<Erased, StoreError> {
    if let Some(before) = erasure(tx, customer)? {
        return Ok(Erased::Before(before));
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
