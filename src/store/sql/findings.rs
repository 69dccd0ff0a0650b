//! Changes at Nium that we learned of by asking: was there a callback for them? Judged when it has had time to come.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use serde_json::json;

use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::hourly;
use super::read::last_callback;
use super::work::put_history;
use crate::domain::audit::SERVICE;
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::{Difference, Facts};
use crate::store::error::StoreError;
use crate::store::rows::HistoryLine;
use crate::store::rows::events::NewTell;
use crate::store::rows::overview::{FOUND_LATE, FOUND_MISSING};
use crate::store::rows::watch::{Judged, Silence};
use crate::store::tx::{Lock, Tx};

/// The name of the alarm that callbacks do not come.
const SILENCE: &str = "silence";
/// What a day counts as missing.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What we hold of a customer.
pub(in crate::store) struct Held {
    pub(in crate::store) facts: Facts,
    pub(in crate::store) looked_at: Timestamp,
}

/// What the last look saw; `None` before the first.
pub(in crate::store) fn held(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Option<Held>, StoreError> {
    let row = tx.first(
        "SELECT looked_at, facts FROM snapshot WHERE customer = ?1",
        params![customer.as_bytes()],
        |row| Ok((row.get(0)?, row.bytes(1)?.to_vec())),
    )?;
    let Some((looked_at, facts)) = row else { return Ok(None) };
    let read = serde_json::from_slice(&facts)
        .map_err(|error| corrupt("snapshot", &customer.to_string(), &error.to_string()))
        .and_then(|facts| Ok(Held { facts, looked_at: timestamp(looked_at)? }));
    // The next look replaces it; until then it is as if we held nothing.
    Ok(read.inspect_err(|error| tracing::error!(%error, "a row cannot be read")).ok())
}

/// A look that nobody asked for is about to replace what we hold.
pub(in crate::store) fn note_look(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    facts: &Facts,
    judge_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(held) = held(tx, customer)? else { return Ok(()) };
    if facts.listed(customer).difference(Some(&held.facts)) != Difference::Untold {
        return Ok(());
    }
    note(tx, customer, "look", Some(&held), judge_at, now)
}

/// Notes that a callback is expected, unless one is expected already.
pub(in crate::store) fn note(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &'static str,
    held: Option<&Held>,
    judge_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let since = held.map_or(0, |held| ms(held.looked_at));
    let noted = tx.execute(
        "INSERT INTO finding (customer, found_by, found_at, since, judge_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        params![customer.as_bytes(), by, ms(now), since, ms(judge_at)],
    )?;
    if noted == 1 {
        let line =
            HistoryLine { what: "found_by_sweep", detail: json!({ "by": by, "callbackBy": judge_at }) };
        put_history(tx, customer, 0, SERVICE, &line, now)?;
    }
    Ok(())
}

/// Law: a finding is judged once, and not before its time.
pub(in crate::store) fn judge(tx: &Tx<'_>, now: Timestamp, most: usize) -> Result<Judged, StoreError> {
    tx.lock(Lock::Name("judge"))?;
    let due: Vec<(i64, [u8; 16], String, i64, i64)> = tx.all(
        "SELECT id, customer, found_by, found_at, since FROM finding
             WHERE judge_at <= ?1 ORDER BY judge_at LIMIT ?2",
        params![ms(now), i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
    )?;
    let (mut judged, mut hours) = (Judged::default(), BTreeMap::new());
    for (id, customer, by, found_at, since) in due {
        let came = tx.exists(
            "SELECT 1 FROM callback WHERE customer = ?1 AND last_at >= ?2",
            params![customer, since],
        )?;
        tx.execute("UPDATE finding SET judge_at = NULL, missing = ?2 WHERE id = ?1", params![id, !came])?;
        let what = if came { FOUND_LATE } else { FOUND_MISSING };
        *hours.entry((hourly::hour_of(found_at), what)).or_insert(0) += 1;
        if came {
            judged.told += 1;
            continue;
        }
        judged.missing += 1;
        let detail = json!({ "foundBy": by, "foundAt": timestamp(found_at)? });
        let line = HistoryLine { what: "callback_missing", detail };
        put_history(tx, CustomerHashId::from_bytes(customer), 0, SERVICE, &line, now)?;
    }
    hourly::add(tx, &hours)?;
    Ok(judged)
}

/// What is known of callbacks that should have come.
pub(in crate::store) fn silence(tx: &Tx<'_>, now: Timestamp) -> Result<Silence, StoreError> {
    let number = |sql: &str, value: i64| -> Result<u64, StoreError> {
        let count: i64 = tx.one(sql, params![value], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    let last_callback_at = last_callback(tx)?;
    let missing = "SELECT count(*) FROM finding WHERE missing = 1 AND found_at > ?1";
    let raised = "SELECT raised_at FROM alarm WHERE name = ?1";
    let day = now.checked_sub(DAY).unwrap_or(Timestamp::MIN);
    Ok(Silence {
        last_callback_at,
        missing_since: number(missing, last_callback_at.map_or(i64::MIN, ms))?,
        missing_day: number(missing, ms(day))?,
        due: number("SELECT count(*) FROM finding WHERE judge_at <= ?1", ms(now))?,
        waiting: number("SELECT count(*) FROM finding WHERE judge_at IS NOT NULL AND ?1 = ?1", 0)?,
        alarm_since: maybe_timestamp(tx.first(raised, params![SILENCE], |row| row.get(0))?)?,
    })
}

/// Law: the alarm is raised once and lifted once, each together with the word about it. False: it stood so already.
pub(in crate::store) fn alarm(
    tx: &Tx<'_>,
    raised: bool,
    tell: Option<&NewTell>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = if raised {
        tx.execute(
            "INSERT INTO alarm (name, raised_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![SILENCE, ms(now)],
        )?
    } else {
        tx.execute("DELETE FROM alarm WHERE name = ?1", params![SILENCE])?
    };
    if changed == 1
        && let Some(tell) = tell
    {
        super::events::put_tell(tx, CustomerHashId::NOBODY, tell, now)?;
    }
    Ok(changed == 1)
}
