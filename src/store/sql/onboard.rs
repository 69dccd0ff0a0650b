//! Somebody who is to become a customer. Until Nium has named them, they go by an id of ours: a row of `head` that is
//! claimed like a customer's, and the effect that holds the application. Each function is the inside of one transaction.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::params;

use super::ask::{Rank, keep_data_key, make_due, once, put_effect};
use super::audit;
use super::column::{ms, timestamp};
use super::erase::refuse_the_erased;
use super::work::{change_effect, put_application, put_history};
use crate::domain::audit::{BECAME, SERVICE};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{
    Applied, Became, Finished, HistoryLine, KeptRedirect, Lease, NewAct, Once, Recorder,
};
use crate::store::tx::{Lock, Tx};

/// Law: an application is stored once for its `Idempotency-Key`, with the key that seals it, and somebody attends to it
/// before everybody else.
pub(in crate::store) fn apply(
    tx: &Tx<'_>,
    new: &NewAct,
    wrapped: &[u8],
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<EffectKey>, StoreError> {
    once(tx, recorder, now, || {
        // An application that was stored before leaves no key behind.
        keep_data_key(tx, new.customer, wrapped, now)?;
        put_effect(tx, new.customer, &new.key, ("nium", new.kind.as_str()), Some(&new.sealed), now)?;
        let detail = serde_json::json!({
            "kind": new.kind.as_str(), "by": new.by, "effectId": new.key, "what": new.summary,
        });
        put_history(tx, new.customer, 0, &new.by, &HistoryLine { what: "act_asked", detail }, now)?;
        make_due(tx, new.customer, Rank::Act, now)?;
        Ok((new.key.clone(), Some(serde_json::json!({ "effectId": new.key }))))
    })
}

/// Law: an application ends once, by whoever holds the lease. If the applicant became a customer, everything that was
/// filed under our id is theirs from now on, in the same transaction, and a look at them is owed.
pub(in crate::store) fn applied(
    tx: &Tx<'_>,
    lease: &Lease,
    applied: &Applied,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    let applicant = lease.customer.as_bytes();
    let became = applied.became.as_ref().map(|became| became.customer);
    for customer in [Some(lease.customer), became].into_iter().flatten().collect::<BTreeSet<_>>() {
        tx.lock(Lock::Customer(customer))?;
    }
    let ours = tx.execute(
        "DELETE FROM head WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
        params![applicant, lease.epoch],
    )?;
    if ours == 0 {
        return Ok(Finished::LeaseLost);
    }
    change_effect(tx, &applied.effect, now)?;
    match &applied.became {
        Some(became) => hand_over(tx, lease.customer, &applied.effect.key, became, now)?,
        None => put_history(tx, lease.customer, 0, SERVICE, &applied.line, now)?,
    }
    if let Some(became) = &applied.became {
        put_history(tx, became.customer, 0, SERVICE, &applied.line, now)?;
    }
    Ok(Finished::Done)
}

fn hand_over(
    tx: &Tx<'_>,
    applicant: CustomerHashId,
    key: &EffectKey,
    became: &Became,
    now: Timestamp,
) -> Result<(), StoreError> {
    refuse_the_erased(tx, became.customer)?;
    let (from, to) = (applicant.as_bytes(), became.customer.as_bytes());
    tx.execute("UPDATE effect SET customer = ?2 WHERE key = ?1", params![key.as_str(), to])?;
    tx.execute("UPDATE history SET customer = ?2 WHERE customer = ?1", params![from, to])?;
    tx.execute(
        "UPDATE legal_hold SET customer = ?2 WHERE customer = ?1
             AND NOT EXISTS (SELECT 1 FROM legal_hold AS other WHERE other.customer = ?2)",
        params![from, to],
    )?;
    for note in &became.notes {
        let id = note.id.to_string();
        tx.execute(
            "UPDATE note SET customer = ?2, sealed = ?3 WHERE id = ?1 AND customer = ?4",
            params![id, to, note.sealed, from],
        )?;
    }
    // The record only grows: what was done about the applicant is found through this.
    let detail = serde_json::json!({ "applicant": applicant });
    audit::note(tx, SERVICE, Some(became.customer), BECAME, &detail, now)?;
    tx.execute("DELETE FROM data_key WHERE customer = ?1", params![from])?;
    put_application(tx, became.customer, &became.application, now)?;
    if let Some(redirect) = &became.redirect {
        put_redirect(tx, became.customer, redirect, now)?;
    }
    // The first sweep may have met them already: they are no history.
    tx.execute("UPDATE head SET historic = 0 WHERE customer = ?1", params![to])?;
    make_due(tx, became.customer, Rank::Act, now)
}

/// Keeps the newest address of a customer's check.
pub(in crate::store) fn put_redirect(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    redirect: &KeptRedirect,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO redirect (customer, sealed, stored_at, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (customer) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at,
             expires_at = excluded.expires_at",
        params![customer.as_bytes(), redirect.sealed, ms(now), ms(redirect.expires_at)],
    )?;
    Ok(())
}

/// Once the check is over its address is of no use any more.
pub(in crate::store) fn drop_redirect(tx: &Tx<'_>, customer: CustomerHashId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM redirect WHERE customer = ?1", params![customer.as_bytes()])?;
    Ok(())
}

/// Where a customer goes on, if they have to.
pub(in crate::store) fn redirect(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<KeptRedirect>, StoreError> {
    let row: Option<(Vec<u8>, i64)> = tx.first(
        "SELECT sealed, expires_at FROM redirect WHERE customer = ?1",
        params![customer.as_bytes()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    row.map(|(sealed, at)| Ok(KeptRedirect { sealed, expires_at: timestamp(at)? })).transpose()
}
