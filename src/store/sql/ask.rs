//! What operators and the app backend write: applications, corrections, officers' words, keys, tokens. Each function is
//! the inside of one transaction; the intent and the first answer to its `Idempotency-Key` are stored together.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::Value;

use super::audit;
use super::column::{maybe_timestamp, ms, timestamp};
use super::erase::refuse_the_erased;
use super::work::{case, put_application, put_history};
use crate::domain::case::CaseState;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{
    Acceptance, Asked, FirstAnswer, HistoryLine, NewAct, NewSubmission, Once, Recorder, Remember, TokenRow,
};
use crate::store::tx::{Lock, Tx};

/// Law: a correction is stored only while an offer is open for the very version it was prepared for, only once, and
/// together with the first answer to it.
pub(in crate::store) fn correct(
    tx: &Tx<'_>,
    submission: &NewSubmission,
    now: Timestamp,
) -> Result<Acceptance, StoreError> {
    if let Some(remember) = &submission.remember {
        tx.lock(Lock::Key(&remember.key))?;
        if let Some(first) = first_answer(tx, &remember.key)? {
            return Ok(Acceptance::Replay(first));
        }
    }
    let customer = submission.customer;
    tx.lock(Lock::Customer(customer))?;
    let Some((case, _)) = case(tx, customer)? else {
        return Ok(Acceptance::NoOffer(None));
    };
    if open_write(tx, customer)? || matches!(case.state, CaseState::Submitting { .. }) {
        return Ok(Acceptance::UnderWay);
    }
    match case.state {
        CaseState::AwaitingCorrection { deadline, .. } if deadline > now => {}
        other => return Ok(Acceptance::NoOffer(Some(other.name().to_owned()))),
    }
    if case.version != submission.version {
        return Ok(Acceptance::Moved);
    }
    put_effect(tx, customer, &submission.key, ("nium", "submit"), Some(&submission.sealed), now)?;
    tx.execute(
        "INSERT INTO correction (effect, customer, sealed) VALUES (?1, ?2, ?3)",
        params![submission.key.as_str(), customer.as_bytes(), submission.difference],
    )?;
    let detail = serde_json::json!({
        "correctionId": submission.correction_id, "effectId": submission.key, "fields": submission.fields,
        "by": submission.by,
    });
    let line = HistoryLine { what: "correction_handed_in", detail };
    put_history(tx, customer, case.version, &submission.by, &line, now)?;
    if let Some(remember) = &submission.remember {
        put_first_answer(tx, customer, remember, now)?;
    }
    make_due(tx, customer, Rank::Act, now)?;
    Ok(Acceptance::Stored(submission.key.clone()))
}

/// Whether a write at Nium is under way for the customer.
pub(in crate::store) fn open_write(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    tx.exists(
        "SELECT 1 FROM effect
             WHERE customer = ?1 AND lane = 'nium' AND status IN ('pending', 'sending', 'unclear')",
        params![customer.as_bytes()],
    )
}

/// Whose act makes a customer due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Rank {
    /// Somebody waits for it.
    Act,
    /// One of many at once.
    Known,
}

/// Law: a write with an `Idempotency-Key` is done once, and its answer stored with it; `work` gives no answer where
/// nothing was done.
pub(in crate::store) fn once<T>(
    tx: &Tx<'_>,
    recorder: Option<&Recorder>,
    now: Timestamp,
    work: impl FnOnce() -> Result<(T, Option<Value>), StoreError>,
) -> Result<Once<T>, StoreError> {
    if let Some(recorder) = recorder {
        tx.lock(Lock::Key(&recorder.key))?;
        if let Some(first) = first_answer(tx, &recorder.key)? {
            return Ok(Once::Again(first));
        }
    }
    let (done, answer) = work()?;
    if let (Some(recorder), Some(answer)) = (recorder, answer) {
        let answer = (recorder.seal)(&answer).map_err(StoreError::Unavailable)?;
        let remember = Remember { key: recorder.key, answer };
        put_first_answer(tx, CustomerHashId::NOBODY, &remember, now)?;
    }
    Ok(Once::First(done))
}

/// Law: an act is stored only while no other write is under way for the customer, for the version it was asked for, and
/// once for its `Idempotency-Key`.
pub(in crate::store) fn act(
    tx: &Tx<'_>,
    new: &NewAct,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Asked>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(new.customer))?;
        let Some((case, _)) = case(tx, new.customer)? else { return Ok((Asked::NoCase, None)) };
        if open_write(tx, new.customer)? || matches!(case.state, CaseState::Submitting { .. }) {
            return Ok((Asked::UnderWay, None));
        }
        if new.version.is_some_and(|version| version != case.version) {
            return Ok((Asked::Moved, None));
        }
        put_effect(tx, new.customer, &new.key, ("nium", new.kind.as_str()), Some(&new.sealed), now)?;
        let detail = serde_json::json!({
            "kind": new.kind.as_str(), "by": new.by, "effectId": new.key, "what": new.summary,
        });
        put_history(
            tx,
            new.customer,
            case.version,
            &new.by,
            &HistoryLine { what: "act_asked", detail },
            now,
        )?;
        make_due(tx, new.customer, Rank::Act, now)?;
        Ok((Asked::Stored(new.key.clone()), Some(serde_json::json!({ "effectId": new.key }))))
    })
}

/// Law: somebody wants to know how the customer stands: a look follows, before everybody else's, and who asked is on record.
pub(in crate::store) fn refresh(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    refuse_the_erased(tx, customer)?;
    audit::note(tx, by, Some(customer), "refresh_asked", &serde_json::json!({}), now)?;
    make_due(tx, customer, Rank::Act, now)
}

/// Stores an effect of the `nium` or `officer` lane.
pub(in crate::store) fn put_effect(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    key: &EffectKey,
    (lane, kind): (&str, &str),
    sealed: Option<&Vec<u8>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO effect (key, customer, lane, kind, status, created_at, sealed)
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6)",
        params![key.as_str(), customer.as_bytes(), lane, kind, ms(now), sealed],
    )?;
    Ok(())
}

/// A person or the backend asked. Under a lease only the count grows, and the holder's commit sees it.
pub(in crate::store) fn make_due(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    rank: Rank,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = match rank {
        Rank::Act => 0,
        Rank::Known => 1,
    };
    tx.execute(
        "INSERT INTO head (customer, rank, wanted, due_at) VALUES (?1, ?3, 1, ?2)
             ON CONFLICT (customer) DO UPDATE SET wanted = head.wanted + 1,
                 rank = CASE WHEN head.rank < ?3 THEN head.rank ELSE ?3 END,
                 due_at = CASE WHEN head.lease_until IS NOT NULL OR head.due_at < ?2 THEN head.due_at
                     ELSE ?2 END",
        params![customer.as_bytes(), ms(tx.due(now, now)?), number],
    )?;
    Ok(())
}

/// Law: an application replaces the one on file, together with the first answer to it.
pub(in crate::store) fn keep_application(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    sealed: &[u8],
    remember: Option<&Remember>,
    now: Timestamp,
) -> Result<Option<FirstAnswer>, StoreError> {
    if let Some(remember) = remember {
        tx.lock(Lock::Key(&remember.key))?;
        if let Some(first) = first_answer(tx, &remember.key)? {
            return Ok(Some(first));
        }
        tx.lock(Lock::Customer(customer))?;
        refuse_the_erased(tx, customer)?;
        put_first_answer(tx, customer, remember, now)?;
    }
    tx.lock(Lock::Customer(customer))?;
    refuse_the_erased(tx, customer)?;
    put_application(tx, customer, sealed, now)?;
    let line = HistoryLine { what: "application_kept", detail: serde_json::json!({ "by": by }) };
    put_history(tx, customer, 0, by, &line, now)?;
    Ok(None)
}

/// The stored first answer under this key.
pub(in crate::store) fn first_answer(tx: &Tx<'_>, key: &[u8; 32]) -> Result<Option<FirstAnswer>, StoreError> {
    tx.first("SELECT body_mark, status, sealed FROM idempotency WHERE key = ?1", params![key], |row| {
        Ok(FirstAnswer { body_mark: row.get(0)?, status: row.get(1)?, sealed: row.get(2)? })
    })
}

fn put_first_answer(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    remember: &Remember,
    now: Timestamp,
) -> Result<(), StoreError> {
    let answer = &remember.answer;
    tx.execute(
        "INSERT INTO idempotency (key, customer, body_mark, status, sealed, stored_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![remember.key, customer.as_bytes(), answer.body_mark, answer.status, answer.sealed, ms(now)],
    )?;
    Ok(())
}

/// Law: old first answers go in small steps, so that nobody waits for them.
pub(in crate::store) fn drop_first_answers(
    tx: &Tx<'_>,
    before: Timestamp,
    most: usize,
) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE stored_at < ?1 LIMIT ?2)",
        params![ms(before), i64::try_from(most).unwrap_or(i64::MAX)],
    )
}

/// Law: the first data key of a customer stays; whoever comes second gets that one back. Who was erased gets none.
pub(in crate::store) fn keep_data_key(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    wrapped: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, StoreError> {
    tx.lock(Lock::Customer(customer))?;
    refuse_the_erased(tx, customer)?;
    tx.execute(
        "INSERT INTO data_key (customer, wrapped, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![customer.as_bytes(), wrapped, ms(now)],
    )?;
    tx.one("SELECT wrapped FROM data_key WHERE customer = ?1", params![customer.as_bytes()], |row| row.get(0))
}

/// Law: a token is stored as its hash; who made it is recorded with it.
pub(in crate::store) fn put_token(
    tx: &Tx<'_>,
    token: &TokenRow,
    hash: &[u8; 32],
    by: &str,
) -> Result<(), StoreError> {
    let detail = serde_json::json!({ "tokenId": token.id, "role": token.role, "name": token.name });
    audit::note(tx, by, None, "token_created", &detail, token.created_at)?;
    tx.execute(
        "INSERT INTO token (id, hash, role, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![token.id, hash, token.role, token.name, ms(token.created_at)],
    )?;
    Ok(())
}

/// Law: a revoked token stays on file. False when there is no such token, or it was revoked before.
pub(in crate::store) fn revoke_token(
    tx: &Tx<'_>,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![id, ms(now)],
    )?;
    if changed == 1 {
        audit::note(tx, by, None, "token_revoked", &serde_json::json!({ "tokenId": id }), now)?;
    }
    Ok(changed == 1)
}

/// Every token, oldest first.
pub(in crate::store) fn tokens(tx: &Tx<'_>) -> Result<Vec<TokenRow>, StoreError> {
    let mut found = Vec::new();
    let rows = tx.query(
        "SELECT id, role, name, created_at, revoked_at FROM token ORDER BY created_at, id",
        params![],
    )?;
    for row in &rows {
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
