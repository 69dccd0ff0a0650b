//! How endpoints have been doing: who failed for how long, who is left alone, and who is not there any more.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use serde_json::json;

use super::column::{maybe_timestamp, ms, timestamp};
use super::events::put_tell;
use super::tells::pass_the_turn;
use super::work::put_history;
use crate::domain::audit::SERVICE;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::HistoryLine;
use crate::store::rows::events::{EndpointRow, NewTell, TellLane};
use crate::store::tx::{Lock, Tx};

/// Between two probes of a disabled endpoint.
const PROBE_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How often a success is written down while there is nothing else to say.
const SUCCESS_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// What is said of deliveries to an endpoint that nobody has configured any more.
const REMOVED: &str = "the endpoint was removed from the configuration";

/// Says that these endpoints are configured.
pub(in crate::store) fn declare(tx: &Tx<'_>, names: &[String], now: Timestamp) -> Result<(), StoreError> {
    let mut names: Vec<&String> = names.iter().collect();
    // In one order, so that two replicas never wait for each other.
    names.sort_unstable();
    for name in names {
        tx.execute(
            "INSERT INTO endpoint (name, seen_at) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at WHERE endpoint.seen_at < excluded.seen_at",
            params![name, ms(now)],
        )?;
    }
    Ok(())
}

/// What may be sent to an endpoint now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Whatever is due.
    Open,
    /// The oldest delivery, to try it.
    Probe,
    /// Nothing.
    Shut,
}

/// What may be sent to an endpoint now; a probe is given to one who asks.
pub(super) fn gate(tx: &Tx<'_>, name: &str, now: Timestamp) -> Result<Gate, StoreError> {
    let disabled = "SELECT 1 FROM endpoint WHERE name = ?1 AND disabled_at IS NOT NULL";
    if !tx.exists(disabled, params![name])? {
        return Ok(Gate::Open);
    }
    let next = now.saturating_add(PROBE_EVERY).unwrap_or(Timestamp::MAX);
    let taken = tx.execute(
        "UPDATE endpoint SET probe_at = ?2 WHERE name = ?1 AND disabled_at IS NOT NULL AND probe_at <= ?3",
        params![name, ms(next), ms(now)],
    )?;
    Ok(if taken == 1 { Gate::Probe } else { Gate::Shut })
}

/// An attempt has ended. The last thing that its transaction writes: many of them meet at this row.
pub(in crate::store) fn note(
    tx: &Tx<'_>,
    name: &str,
    took_it: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = now.checked_sub(SUCCESS_EVERY).unwrap_or(Timestamp::MIN);
    let sql = if took_it {
        "UPDATE endpoint SET last_success_at = ?2, failing_since = NULL, disabled_at = NULL, probe_at = NULL
             WHERE name = ?1 AND (failing_since IS NOT NULL OR coalesce(last_success_at, 0) <= ?3)"
    } else {
        "UPDATE endpoint SET failing_since = ?2 WHERE name = ?1 AND failing_since IS NULL AND ?3 = ?3"
    };
    tx.execute(sql, params![name, ms(now), ms(known)]).map(drop)
}

const ENDPOINTS: &str =
    "SELECT endpoint.name, last_success_at, failing_since, disabled_at, probe_at, raised_at
     FROM endpoint LEFT JOIN alarm ON alarm.name = 'endpoint:' || endpoint.name ORDER BY endpoint.name";

const OLDEST: &str = "SELECT created_at, attempts > forgiven FROM effect
     WHERE lane = 'webhook' AND destination = ?1 AND destination IS NOT NULL AND status = 'pending'
     ORDER BY seq LIMIT 1";

/// Every endpoint that is configured, or was a short while ago.
pub(in crate::store) fn list(tx: &Tx<'_>) -> Result<Vec<EndpointRow>, StoreError> {
    let mut found = tx.all(ENDPOINTS, params![], |row| {
        Ok(EndpointRow {
            name: row.get(0)?,
            last_success_at: maybe_timestamp(row.get(1)?)?,
            failing_since: maybe_timestamp(row.get(2)?)?,
            disabled_at: maybe_timestamp(row.get(3)?)?,
            probe_at: maybe_timestamp(row.get(4)?)?,
            oldest: None,
            alarm_since: maybe_timestamp(row.get(5)?)?,
        })
    })?;
    for endpoint in &mut found {
        endpoint.oldest =
            tx.first(OLDEST, params![endpoint.name], |row| Ok((timestamp(row.get(0)?)?, row.get(1)?)))?;
    }
    Ok(found)
}

/// Law: an endpoint is left alone once it has taken nothing for `after` and what waits longest has waited so long; one who
/// has taken something meanwhile is not.
pub(in crate::store) fn disable(
    tx: &Tx<'_>,
    name: &str,
    after: Duration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let before = now.checked_sub(after).unwrap_or(Timestamp::MIN);
    let probe_at = now.saturating_add(PROBE_EVERY).unwrap_or(Timestamp::MAX);
    let changed = tx.execute(
        "UPDATE endpoint SET disabled_at = ?2, probe_at = ?3
             WHERE name = ?1 AND disabled_at IS NULL AND failing_since <= ?4",
        params![name, ms(now), ms(probe_at), ms(before)],
    )?;
    Ok(changed == 1)
}

/// Law: the alarm about an endpoint is raised once and lifted once, each together with the word about it. False: it stood
/// so already.
pub(in crate::store) fn alarm(
    tx: &Tx<'_>,
    name: &str,
    raised: bool,
    tell: &NewTell,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let alarm = alarm_of(name);
    let changed = if raised {
        tx.execute(
            "INSERT INTO alarm (name, raised_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![alarm, ms(now)],
        )?
    } else {
        tx.execute("DELETE FROM alarm WHERE name = ?1", params![alarm])?
    };
    if changed == 1 {
        put_tell(tx, CustomerHashId::NOBODY, tell, now)?;
    }
    Ok(changed == 1)
}

fn alarm_of(name: &str) -> String {
    format!("endpoint:{name}")
}

/// Law: what waits for an endpoint that nobody has named since `unseen` is given up with that reason, at most `most` of it at
/// a time, and never goes elsewhere. Gives how much.
pub(in crate::store) fn give_up_removed(
    tx: &Tx<'_>,
    unseen: Timestamp,
    most: usize,
    now: Timestamp,
) -> Result<usize, StoreError> {
    tx.lock(Lock::Name("endpoints"))?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let waiting: Vec<(i64, [u8; 16], String, String, String, i64)> = tx.all(
        "SELECT seq, customer, kind, event_id, destination, attempts FROM effect
             WHERE lane = 'webhook' AND destination IS NOT NULL AND status = 'pending'
                 AND (lease_until IS NULL OR lease_until <= ?3)
                 AND NOT EXISTS (SELECT 1 FROM endpoint WHERE name = destination AND seen_at > ?1)
             ORDER BY destination, seq LIMIT ?2",
        params![ms(unseen), limit, ms(now)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
    )?;
    let customers: BTreeSet<[u8; 16]> = waiting.iter().map(|(_, customer, ..)| *customer).collect();
    for customer in customers {
        tx.lock(Lock::Customer(CustomerHashId::from_bytes(customer)))?;
    }
    let mut given_up = 0;
    for (seq, customer, kind, id, to, attempts) in waiting {
        let customer = CustomerHashId::from_bytes(customer);
        given_up += tx.execute(
            "UPDATE effect SET status = 'failed', due_at = NULL, lease_until = NULL, ended_at = ?2, outcome = ?3
                 WHERE seq = ?1 AND status = 'pending'",
            params![seq, ms(now), REMOVED],
        )?;
        pass_the_turn(tx, customer, TellLane::Webhook.as_str(), &to)?;
        let detail = json!({ "event": kind, "id": id, "to": to, "attempts": attempts, "why": REMOVED });
        put_history(tx, customer, 0, SERVICE, &HistoryLine { what: "telling_given_up", detail }, now)?;
    }
    if given_up < most {
        tx.execute("DELETE FROM endpoint WHERE seen_at <= ?1", params![ms(unseen)])?;
        tx.execute(
            "DELETE FROM alarm WHERE name LIKE 'endpoint:%'
                 AND NOT EXISTS (SELECT 1 FROM endpoint WHERE 'endpoint:' || endpoint.name = alarm.name)",
            params![],
        )?;
    }
    Ok(given_up)
}
