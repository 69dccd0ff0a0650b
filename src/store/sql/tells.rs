//! The lanes of notifications, with leases of their own: in order per customer and destination. They never move or block a
//! case, and what waits for one destination never holds up another.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use super::column::{effect_key, ms};
use super::endpoints::{Gate, gate, note};
use super::work::SET_ASIDE;
use crate::domain::audit::SERVICE;
use crate::domain::id::CustomerHashId;
use crate::store::end_of;
use crate::store::error::StoreError;
use crate::store::rows::events::{TellLane, TellLease, TellOutcome, TellSeats};
use crate::store::rows::{Finished, HistoryLine};
use crate::store::tx::{Lock, Row, Tx};

// Of one customer, one notification has the turn at a destination (`behind = 0`): however many wait behind it, the index
// gives the oldest due one at once.
const TELL: &str =
    "SELECT seq, epoch, key, customer, kind, coalesce((SELECT body FROM event WHERE id = event_id), payload),
         attempts, forgiven, destination, event_id, sealed FROM effect";

const DUE: &str = "WHERE lane = ?1 AND destination = ?2 AND destination IS NOT NULL AND status = 'pending' AND behind = 0 AND due_at <= ?3
     ORDER BY due_at LIMIT ?4";

// The one that was not tried for longest, whenever it would be due: one that is always refused keeps nobody else from being tried.
const OLDEST: &str = "WHERE lane = ?1 AND destination = ?2 AND destination IS NOT NULL AND status = 'pending'
         AND (lease_until IS NULL OR lease_until <= ?3) AND behind = 0
     ORDER BY due_at LIMIT ?4";

/// Law: a notification is claimed by one, and never before the older ones of its customer to the same destination have
/// ended.
pub(in crate::store) fn claim(
    tx: &Tx<'_>,
    local: Timestamp,
    span: Duration,
    seats: &[TellSeats],
    holder: &str,
) -> Result<Vec<TellLease>, StoreError> {
    let now = tx.now(local)?;
    let mut claimed = Vec::new();
    for seats in seats.iter().filter(|seats| seats.most > 0) {
        claim_some(tx, now, seats, &mut claimed)?;
    }
    let until = end_of(now, span);
    for tell in &claimed {
        tx.execute(
            "UPDATE effect SET epoch = ?2, lease_until = ?3, due_at = ?3, holder = ?4 WHERE seq = ?1",
            params![tell.seq, tell.epoch, ms(until), holder],
        )?;
    }
    Ok(claimed)
}

fn claim_some(
    tx: &Tx<'_>,
    now: Timestamp,
    seats: &TellSeats,
    claimed: &mut Vec<TellLease>,
) -> Result<(), StoreError> {
    let gate = match seats.lane {
        TellLane::Webhook => gate(tx, &seats.destination, now)?,
        TellLane::Email => Gate::Open,
    };
    let (which, limit) = match gate {
        Gate::Open => (DUE, i64::try_from(seats.most).unwrap_or(i64::MAX)),
        Gate::Probe => (OLDEST, 1),
        Gate::Shut => return Ok(()),
    };
    let rows = tx.query(
        &format!("{TELL} {which} {}", tx.dialect().skip_locked),
        params![seats.lane.as_str(), seats.destination, ms(now), limit],
    )?;
    for row in &rows {
        let seq: i64 = row.get(0)?;
        match tell_of(row, seats.lane).map_err(|error| error.in_row("effect", &seq)) {
            Ok(tell) => claimed.push(TellLease { probe: gate == Gate::Probe, ..tell }),
            Err(error @ StoreError::Corrupt { .. }) => {
                // It stays open, and with it whatever its customer is to be told later; nobody else waits.
                tracing::error!(seq, %error, "a notification cannot be read; it is left alone for a while");
                let again_at = now.saturating_add(SET_ASIDE).unwrap_or(Timestamp::MAX);
                tx.execute(
                    "UPDATE effect SET lease_until = NULL, due_at = ?2 WHERE seq = ?1",
                    params![seq, ms(again_at)],
                )?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn tell_of(row: &Row, lane: TellLane) -> Result<TellLease, StoreError> {
    let key = effect_key(row, 2)?;
    let names_event = row.get::<Option<String>>(9)?.is_some();
    Ok(TellLease {
        seq: row.get(0)?,
        epoch: row.get::<i64>(1)? + 1,
        event_id: if names_event { effect_key(row, 9)? } else { key.clone() },
        key,
        lane,
        destination: row.get(8)?,
        customer: CustomerHashId::from_bytes(row.get(3)?),
        event: row.get(4)?,
        body: row.get::<Option<Vec<u8>>>(5)?.unwrap_or_default(),
        sealed: row.get(10)?,
        attempts: row.get(6)?,
        forgiven: row.get(7)?,
        probe: false,
    })
}

/// Law: the outcome of an attempt is written only by whoever still holds the notification.
pub(in crate::store) fn finish(
    tx: &Tx<'_>,
    lease: &TellLease,
    outcome: &TellOutcome,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    let (status, due, said) = match outcome {
        TellOutcome::Delivered => ("done", None, "delivered"),
        TellOutcome::Later(at, why) => ("pending", Some(ms(tx.due(*at, now)?)), why.as_str()),
        TellOutcome::GivenUp(why) => ("failed", None, why.as_str()),
        TellOutcome::Overtaken(why) => ("overtaken", None, why.as_str()),
    };
    let ended = due.is_none().then(|| ms(now));
    let number = lease.attempts.saturating_add(1);
    tx.lock(Lock::Customer(lease.customer))?;
    let changed = tx.execute(
        "UPDATE effect SET status = ?3, due_at = ?4, lease_until = NULL, ended_at = ?5, attempts = ?6,
             outcome = ?7, sealed = CASE WHEN ?8 = 0 THEN sealed END
             WHERE seq = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
        params![
            lease.seq,
            lease.epoch,
            status,
            due,
            ended,
            number,
            said,
            matches!(status, "done" | "overtaken")
        ],
    )?;
    if changed == 0 {
        return Ok(Finished::LeaseLost);
    }
    tx.execute(
        "INSERT INTO attempt (effect, number, at, outcome) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![lease.seq, number, ms(now), said],
    )?;
    if ended.is_some() {
        pass_the_turn(tx, lease.customer, lease.lane.as_str(), &lease.destination)?;
        let what = match (lease.lane, outcome) {
            (TellLane::Webhook, TellOutcome::Delivered) => "told",
            (TellLane::Email, TellOutcome::Delivered) => "mail_sent",
            (_, TellOutcome::Overtaken(_)) => "telling_left_out",
            (_, TellOutcome::GivenUp(_) | TellOutcome::Later(..)) => "telling_given_up",
        };
        let detail = serde_json::json!({
            "event": lease.event, "id": lease.event_id, "to": lease.destination, "attempts": number,
        });
        super::work::put_history(tx, lease.customer, 0, SERVICE, &HistoryLine { what, detail }, now)?;
    }
    if lease.lane == TellLane::Webhook {
        note(tx, &lease.destination, matches!(outcome, TellOutcome::Delivered), now)?;
    }
    Ok(Finished::Done)
}

/// The oldest open notification of a customer to a destination has its turn, now that another has ended. Whoever calls this
/// holds the customer's lock.
pub(in crate::store) fn pass_the_turn(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    lane: &str,
    destination: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE effect SET behind = 0 WHERE behind = 1 AND seq = (SELECT min(seq) FROM effect
             WHERE customer = ?1 AND lane = ?2 AND destination = ?3 AND destination IS NOT NULL AND status = 'pending')
             AND NOT EXISTS (SELECT 1 FROM effect WHERE customer = ?1 AND lane = ?2 AND destination = ?3
                 AND destination IS NOT NULL AND status = 'pending' AND behind = 0)",
        params![customer.as_bytes(), lane, destination],
    )?;
    Ok(())
}

/// Given-up, failing and delivered notifications begin again, each when it says and with a fresh budget of attempts; those
/// in hand go on as they are. The turns of their customers are kept.
pub(in crate::store) fn revive(
    tx: &Tx<'_>,
    tells: &[(i64, CustomerHashId, Timestamp)],
) -> Result<usize, StoreError> {
    let customers: BTreeSet<CustomerHashId> = tells.iter().map(|(_, customer, _)| *customer).collect();
    for customer in customers {
        tx.lock(Lock::Customer(customer))?;
    }
    let mut revived = 0;
    for (seq, customer, due_at) in tells {
        // What was sealed for a customer is gone once it was delivered.
        revived += tx.execute(
            "UPDATE effect SET status = 'pending', ended_at = NULL, forgiven = attempts, due_at = ?2,
                 behind = CASE WHEN status = 'pending' THEN behind ELSE 1 END
                 WHERE seq = ?1 AND destination IS NOT NULL AND lease_until IS NULL
                     AND (status IN ('pending', 'failed') OR (status = 'done' AND lane = 'webhook'))",
            params![seq, ms(*due_at)],
        )?;
        let place = tx.first(
            "SELECT lane, destination FROM effect WHERE seq = ?1 AND destination IS NOT NULL",
            params![seq],
            |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
        )?;
        if let Some((lane, destination)) = place {
            pass_the_turn(tx, *customer, &lane, &destination)?;
        }
    }
    Ok(revived)
}
