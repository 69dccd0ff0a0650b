//! Legal holds: while one is set, nothing about the customer is erased or goes by a rule. Each function is the inside of one
//! transaction.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::json;

use super::ask::once;
use super::column::{ms, timestamp};
use super::erase::{is_known, refuse_the_erased};
use super::officer::put_note;
use super::work::{case, put_history};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::privacy::{HoldDone, HoldRow, NewHold};
use crate::store::rows::{HistoryLine, Once, Recorder};
use crate::store::tx::{Lock, Tx};

/// The hold on a customer, if one is set.
pub(in crate::store) fn hold(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Option<HoldRow>, StoreError> {
    let sql = "SELECT set_by, since, note FROM legal_hold WHERE customer = ?1";
    tx.first(sql, params![customer.as_bytes()], |row| {
        Ok(HoldRow { by: row.get(0)?, since: timestamp(row.get(1)?)?, note: row.get(2)? })
    })
}

/// Law: a hold is set, or lifted, with who did it and why in the timeline and on record.
pub(in crate::store) fn change(
    tx: &Tx<'_>,
    new: &NewHold,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<HoldDone>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(new.customer))?;
        refuse_the_erased(tx, new.customer)?;
        if !is_known(tx, new.customer)? {
            return Ok((HoldDone::Nobody, None));
        }
        let answer = json!({ "customerHashId": new.customer, "held": new.set });
        if hold(tx, new.customer)?.is_some() == new.set {
            return Ok((HoldDone::Already, Some(answer)));
        }
        put(tx, new, now)?;
        Ok((HoldDone::Done, Some(answer)))
    })
}

fn put(tx: &Tx<'_>, new: &NewHold, now: Timestamp) -> Result<(), StoreError> {
    let customer = new.customer.as_bytes();
    let note = put_note(tx, new.customer, Some(&new.note))?;
    let what = if new.set {
        tx.execute(
            "INSERT INTO legal_hold (customer, set_by, since, note) VALUES (?1, ?2, ?3, ?4)",
            params![customer, new.by, ms(now), note],
        )?;
        "legal_hold_set"
    } else {
        tx.execute("DELETE FROM legal_hold WHERE customer = ?1", params![customer])?;
        "legal_hold_lifted"
    };
    let version = case(tx, new.customer)?.map_or(0, |(case, _)| case.version);
    let detail = json!({ "by": new.by, "noteId": note });
    put_history(tx, new.customer, version, &new.by, &HistoryLine { what, detail }, now)
}
