//! Somebody who is to become a customer. Until Nium has named them, they go by an id of ours: a row of `head` that is
//! claimed like a customer's, and the effect that holds the application. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::ask::{Rank, make_due, once, put_effect};
use super::column::{ms, timestamp};
use super::work::{change_effect, put_application, put_history};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{
    Applied, Became, Finished, HistoryLine, KeptRedirect, Lease, NewAct, Once, Recorder,
};

/// Law: an application is stored once for its `Idempotency-Key`, and somebody attends to it before everybody else.
pub(super) fn apply(
    connection: &Connection,
    new: &NewAct,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<EffectKey>, StoreError> {
    once(connection, recorder, now, || {
        put_effect(connection, new.customer, &new.key, ("nium", new.kind.as_str()), Some(&new.sealed), now)?;
        let detail = serde_json::json!({ "kind": new.kind.as_str(), "by": new.by, "effectId": new.key, "what": new.summary });
        put_history(connection, new.customer, 0, &HistoryLine { what: "act_asked", detail }, now)?;
        make_due(connection, new.customer, Rank::Act, now)?;
        Ok((new.key.clone(), Some(serde_json::json!({ "effectId": new.key }))))
    })
}

/// Law: an application ends once, by whoever holds the lease. If the applicant became a customer, everything that was
/// filed under our id is theirs from now on, in the same transaction, and a look at them is owed.
pub(super) fn applied(
    connection: &Connection,
    lease: &Lease,
    applied: &Applied,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    let applicant = lease.customer.as_bytes();
    let ours = connection
        .prepare_cached("DELETE FROM head WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL")?
        .execute(params![applicant, lease.epoch])?;
    if ours == 0 {
        return Ok(Finished::LeaseLost);
    }
    change_effect(connection, &applied.effect, now)?;
    match &applied.became {
        Some(became) => hand_over(connection, lease.customer, &applied.effect.key, became, now)?,
        None => put_history(connection, lease.customer, 0, &applied.line, now)?,
    }
    if let Some(became) = &applied.became {
        put_history(connection, became.customer, 0, &applied.line, now)?;
    }
    Ok(Finished::Done)
}

fn hand_over(
    connection: &Connection,
    applicant: CustomerHashId,
    key: &EffectKey,
    became: &Became,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (from, to) = (applicant.as_bytes(), became.customer.as_bytes());
    connection
        .prepare_cached("UPDATE effect SET customer = ?2 WHERE key = ?1")?
        .execute(params![key.as_str(), to])?;
    connection
        .prepare_cached("UPDATE history SET customer = ?2 WHERE customer = ?1")?
        .execute(params![from, to])?;
    connection.prepare_cached("DELETE FROM data_key WHERE customer = ?1")?.execute(params![from])?;
    put_application(connection, became.customer, &became.application, now)?;
    if let Some(redirect) = &became.redirect {
        put_redirect(connection, became.customer, redirect, now)?;
    }
    // The first sweep may have met them already: they are no history.
    connection.prepare_cached("UPDATE head SET historic = 0 WHERE customer = ?1")?.execute(params![to])?;
    make_due(connection, became.customer, Rank::Act, now)
}

/// Keeps the newest address of a customer's check.
pub(super) fn put_redirect(
    connection: &Connection,
    customer: CustomerHashId,
    redirect: &KeptRedirect,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO redirect (customer, sealed, stored_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![customer.as_bytes(), redirect.sealed, ms(now), ms(redirect.expires_at)])?;
    Ok(())
}

/// Once the check is over its address is of no use any more.
pub(super) fn drop_redirect(connection: &Connection, customer: CustomerHashId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM redirect WHERE customer = ?1")?
        .execute(params![customer.as_bytes()])?;
    Ok(())
}

/// Where a customer goes on, if they have to.
pub(super) fn redirect(
    connection: &Connection,
    customer: CustomerHashId,
) -> Result<Option<KeptRedirect>, StoreError> {
    let row: Option<(Vec<u8>, i64)> = connection
        .prepare_cached("SELECT sealed, expires_at FROM redirect WHERE customer = ?1")?
        .query_row(params![customer.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(sealed, at)| Ok(KeptRedirect { sealed, expires_at: timestamp(at)? })).transpose()
}
