//! What operators and the app backend write: applications, corrections, officers' words, keys, tokens. Each function is
//! the inside of one transaction; the intent and the first answer to its `Idempotency-Key` are stored together.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::column::{maybe_timestamp, ms, timestamp};
use super::work::{case, put_application, put_history};
use crate::domain::case::CaseState;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{
    Acceptance, Asked, FirstAnswer, HistoryLine, NewAct, NewSubmission, Once, Recorder, Remember, TokenRow,
};

/// Law: a correction is stored only while an offer is open for the very version it was prepared for, only once, and
/// together with the first answer to it.
pub(super) fn correct(
    connection: &Connection,
    submission: &NewSubmission,
    now: Timestamp,
) -> Result<Acceptance, StoreError> {
    if let Some(remember) = &submission.remember
        && let Some(first) = first_answer(connection, &remember.key)?
    {
        return Ok(Acceptance::Replay(first));
    }
    let customer = submission.customer;
    let Some((case, _)) = case(connection, customer)? else {
        return Ok(Acceptance::NoOffer(None));
    };
    if open_write(connection, customer)? || matches!(case.state, CaseState::Submitting { .. }) {
        return Ok(Acceptance::UnderWay);
    }
    match case.state {
        CaseState::AwaitingCorrection { deadline, .. } if deadline > now => {}
        other => return Ok(Acceptance::NoOffer(Some(other.name().to_owned()))),
    }
    if case.version != submission.version {
        return Ok(Acceptance::Moved);
    }
    put_effect(connection, customer, &submission.key, ("nium", "submit"), Some(&submission.sealed), now)?;
    let detail = serde_json::json!({
        "correctionId": submission.correction_id, "effectId": submission.key, "fields": submission.fields,
    });
    put_history(
        connection,
        customer,
        case.version,
        &HistoryLine { what: "correction_handed_in", detail },
        now,
    )?;
    if let Some(remember) = &submission.remember {
        put_first_answer(connection, customer, remember, now)?;
    }
    make_due(connection, customer, Rank::Act, now)?;
    Ok(Acceptance::Stored(submission.key.clone()))
}

/// Whether a write at Nium is under way for the customer.
pub(super) fn open_write(connection: &Connection, customer: CustomerHashId) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM effect WHERE customer = ?1 AND lane = 'nium' AND status IN ('pending', 'sending', 'unclear')",
        )?
        .exists(params![customer.as_bytes()])?)
}

/// Whose act makes a customer due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// Somebody waits for it.
    Act,
    /// One of many at once.
    Known,
}

/// Law: a write with an `Idempotency-Key` is done once, and its answer stored with it; `work` gives no answer where
/// nothing was done.
pub(super) fn once<T>(
    connection: &Connection,
    recorder: Option<&Recorder>,
    now: Timestamp,
    work: impl FnOnce() -> Result<(T, Option<Value>), StoreError>,
) -> Result<Once<T>, StoreError> {
    if let Some(recorder) = recorder
        && let Some(first) = first_answer(connection, &recorder.key)?
    {
        return Ok(Once::Again(first));
    }
    let (done, answer) = work()?;
    if let (Some(recorder), Some(answer)) = (recorder, answer) {
        let answer = (recorder.seal)(&answer).map_err(StoreError::Unavailable)?;
        let remember = Remember { key: recorder.key, answer };
        put_first_answer(connection, CustomerHashId::NOBODY, &remember, now)?;
    }
    Ok(Once::First(done))
}

/// Law: an act is stored only while no other write is under way for the customer, for the version it was asked for, and
/// once for its `Idempotency-Key`.
pub(super) fn act(
    connection: &Connection,
    new: &NewAct,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Asked>, StoreError> {
    once(connection, recorder, now, || {
        let Some((case, _)) = case(connection, new.customer)? else { return Ok((Asked::NoCase, None)) };
        if open_write(connection, new.customer)? || matches!(case.state, CaseState::Submitting { .. }) {
            return Ok((Asked::UnderWay, None));
        }
        if new.version.is_some_and(|version| version != case.version) {
            return Ok((Asked::Moved, None));
        }
        put_effect(connection, new.customer, &new.key, ("nium", new.kind.as_str()), Some(&new.sealed), now)?;
        let detail = serde_json::json!({ "kind": new.kind.as_str(), "by": new.by, "effectId": new.key, "what": new.summary });
        put_history(connection, new.customer, case.version, &HistoryLine { what: "act_asked", detail }, now)?;
        make_due(connection, new.customer, Rank::Act, now)?;
        Ok((Asked::Stored(new.key.clone()), Some(serde_json::json!({ "effectId": new.key }))))
    })
}

/// Law: somebody wants to know how the customer stands: a look follows, before everybody else's.
pub(super) fn refresh(
    connection: &Connection,
    customer: CustomerHashId,
    now: Timestamp,
) -> Result<(), StoreError> {
    make_due(connection, customer, Rank::Act, now)
}

/// Stores an effect of the `nium` or `officer` lane.
pub(super) fn put_effect(
    connection: &Connection,
    customer: CustomerHashId,
    key: &EffectKey,
    (lane, kind): (&str, &str),
    sealed: Option<&Vec<u8>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO effect (key, customer, lane, kind, status, created_at, sealed)
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6)",
        )?
        .execute(params![key.as_str(), customer.as_bytes(), lane, kind, ms(now), sealed])?;
    Ok(())
}

/// A person or the backend asked. Under a lease only the count grows, and the holder's commit sees it.
pub(super) fn make_due(
    connection: &Connection,
    customer: CustomerHashId,
    rank: Rank,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = match rank {
        Rank::Act => 0,
        Rank::Known => 1,
    };
    connection
        .prepare_cached(
            "INSERT INTO head (customer, rank, wanted, due_at) VALUES (?1, ?3, 1, ?2)
             ON CONFLICT (customer) DO UPDATE SET rank = min(rank, ?3), wanted = wanted + 1,
                 due_at = CASE WHEN lease_until IS NOT NULL THEN due_at ELSE min(coalesce(due_at, ?2), ?2) END",
        )?
        .execute(params![customer.as_bytes(), ms(now), number])?;
    Ok(())
}

/// Law: an application replaces the one on file, together with the first answer to it.
pub(super) fn keep_application(
    connection: &Connection,
    customer: CustomerHashId,
    sealed: &[u8],
    remember: Option<&Remember>,
    now: Timestamp,
) -> Result<Option<FirstAnswer>, StoreError> {
    if let Some(remember) = remember {
        if let Some(first) = first_answer(connection, &remember.key)? {
            return Ok(Some(first));
        }
        put_first_answer(connection, customer, remember, now)?;
    }
    put_application(connection, customer, sealed, now)?;
    put_history(
        connection,
        customer,
        0,
        &HistoryLine { what: "application_kept", detail: serde_json::json!({}) },
        now,
    )?;
    Ok(None)
}

/// The stored first answer under this key.
pub(super) fn first_answer(
    connection: &Connection,
    key: &[u8; 32],
) -> Result<Option<FirstAnswer>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT body_mark, status, sealed FROM idempotency WHERE key = ?1")?
        .query_row(params![key], |row| {
            Ok(FirstAnswer { body_mark: row.get(0)?, status: row.get(1)?, sealed: row.get(2)? })
        })
        .optional()?)
}

fn put_first_answer(
    connection: &Connection,
    customer: CustomerHashId,
    remember: &Remember,
    now: Timestamp,
) -> Result<(), StoreError> {
    let answer = &remember.answer;
    connection
        .prepare_cached(
            "INSERT INTO idempotency (key, customer, body_mark, status, sealed, stored_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![remember.key, customer.as_bytes(), answer.body_mark, answer.status, answer.sealed, ms(now)])?;
    Ok(())
}

/// Law: old first answers go in small steps, so that nobody waits for them.
pub(super) fn drop_first_answers(
    connection: &Connection,
    before: Timestamp,
    most: usize,
) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE stored_at < ?1 LIMIT ?2)",
        )?
        .execute(params![ms(before), i64::try_from(most).unwrap_or(i64::MAX)])?)
}

/// Law: the first data key of a customer stays; whoever comes second gets that one back.
pub(super) fn keep_data_key(
    connection: &Connection,
    customer: CustomerHashId,
    wrapped: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO data_key (customer, wrapped, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![customer.as_bytes(), wrapped, ms(now)])?;
    Ok(connection
        .prepare_cached("SELECT wrapped FROM data_key WHERE customer = ?1")?
        .query_row(params![customer.as_bytes()], |row| row.get(0))?)
}

/// Law: a token is stored as its hash.
pub(super) fn put_token(
    connection: &Connection,
    token: &TokenRow,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO token (id, hash, role, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![token.id, hash, token.role, token.name, ms(token.created_at)])?;
    Ok(())
}

/// Law: a revoked token stays on file. False when there is no such token, or it was revoked before.
pub(super) fn revoke_token(connection: &Connection, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached("UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?
        .execute(params![id, ms(now)])?;
    Ok(changed == 1)
}

/// Every token, oldest first.
pub(super) fn tokens(connection: &Connection) -> Result<Vec<TokenRow>, StoreError> {
    let mut found = Vec::new();
    let mut read = connection
        .prepare_cached("SELECT id, role, name, created_at, revoked_at FROM token ORDER BY created_at, id")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        found.push(TokenRow {
            id: row.get(0)?,
            role: row.get(1)?,
            name: row.get(2)?,
            created_at: timestamp(row.get(3)?)?,
            revoked_at: maybe_timestamp(row.get(4)?)?,
        });
    }
    Ok(found)
}
