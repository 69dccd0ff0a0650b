//! What the app backend is told: each event once, and a delivery for each destination that wants it.

use jiff::Timestamp;
use rusqlite::params;

use super::column::ms;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::events::{EventFilter, EventPage, EventRow, NewDelivery, NewTell, TellLane};
use crate::store::tx::{Lock, Tx};

/// Events that one look at the feed goes through, however few of them are wanted.
const SCAN_MAX: i64 = 5_000;

/// Stores an event, and a delivery for each of its endpoints.
pub(in crate::store) fn put_tell(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    tell: &NewTell,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO event (id, customer, kind, version, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            tell.key.as_str(),
            customer.as_bytes(),
            tell.event.as_str(),
            i64::try_from(tell.version).unwrap_or(i64::MAX),
            ms(now),
            tell.body
        ],
    )?;
    for (place, destination) in tell.to.iter().enumerate() {
        // With one endpoint, an event and its delivery go by one name.
        let key = if place == 0 { tell.key.clone() } else { tell.key.at(destination) };
        let delivery = NewDelivery {
            key,
            lane: TellLane::Webhook,
            destination: destination.clone(),
            kind: tell.event.as_str().to_owned(),
            event_id: Some(tell.key.clone()),
            payload: None,
            sealed: None,
        };
        put_delivery(tx, customer, &delivery, now)?;
    }
    Ok(())
}

/// Stores a notification for one destination, due at once; it has its turn when the older ones of its customer to the same
/// destination have ended.
pub(in crate::store) fn put_delivery(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Whoever ends the older one meanwhile would not see this one, and nobody would give it the turn.
    tx.lock(Lock::Customer(customer))?;
    let waits = tx.exists(
        "SELECT 1 FROM effect
             WHERE customer = ?1 AND lane = ?2 AND destination = ?3 AND status = 'pending' LIMIT 1",
        params![customer.as_bytes(), delivery.lane.as_str(), delivery.destination],
    )?;
    tx.execute(
        "INSERT INTO effect (key, customer, lane, kind, status, due_at, created_at, payload, sealed, destination,
                 event_id, behind)
             VALUES (?1, ?2, ?3, ?4, 'pending', ?11, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            delivery.key.as_str(),
            customer.as_bytes(),
            delivery.lane.as_str(),
            delivery.kind,
            ms(now),
            delivery.payload,
            delivery.sealed,
            delivery.destination,
            delivery.event_id.as_ref().map(EffectKey::as_str),
            waits,
            ms(tx.due(now, now)?)
        ],
    )?;
    Ok(())
}

/// Gives the events that have none their place in the feed, at most `most`. Numbers of rows are given out before a commit,
/// and a commit may come late; places are given out afterwards, to what everybody sees, by one transaction at a time. So
/// whoever has seen a place has seen all before it. Gives whether there may be more.
pub(in crate::store) fn give_places(tx: &Tx<'_>, most: i64) -> Result<bool, StoreError> {
    tx.lock(Lock::Name("feed"))?;
    let last: i64 = tx.one("SELECT coalesce(max(position), 0) FROM event", params![], |row| row.get(0))?;
    // Events of one customer are stored one transaction after the other: their numbers are in order.
    let given = tx.execute(
        "UPDATE event SET position = CAST(?1 AS BIGINT) + placed.number FROM (
             SELECT seq, row_number() OVER (ORDER BY seq) AS number FROM (
                 SELECT seq FROM event WHERE position IS NULL ORDER BY seq LIMIT ?2) AS waiting) AS placed
         WHERE event.seq = placed.seq",
        params![last, most],
    )?;
    Ok(i64::try_from(given).unwrap_or(i64::MAX) >= most)
}

/// Whether events wait for their place in the feed.
pub(in crate::store) fn waits_for_place(tx: &Tx<'_>) -> Result<bool, StoreError> {
    tx.exists("SELECT 1 FROM event WHERE position IS NULL LIMIT 1", params![])
}

/// Events after a place, in order.
pub(in crate::store) fn page(
    tx: &Tx<'_>,
    after: i64,
    filter: &EventFilter,
    most: usize,
) -> Result<EventPage, StoreError> {
    let whose = if filter.customer.is_some() { "AND customer = ?2" } else { "AND ?2 = ?2" };
    let nobody = CustomerHashId::NOBODY;
    let customer = filter.customer.as_ref().unwrap_or(&nobody).as_bytes();
    let scan = format!(
        "SELECT coalesce(max(position), CAST(?1 AS BIGINT)), count(*) FROM (
             SELECT position FROM event WHERE position > ?1 {whose} ORDER BY position LIMIT ?3) AS scanned"
    );
    let (ceiling, scanned): (i64, i64) =
        tx.one(&scan, params![after, customer, SCAN_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT id, position, body FROM event
             WHERE position > ?1 {whose} AND position <= ?3 AND kind = coalesce(CAST(?4 AS TEXT), kind)
             ORDER BY position LIMIT ?5"
    );
    let kind = filter.event.map(crate::domain::effect::Event::as_str);
    let items = tx.all(&sql, params![after, customer, ceiling, kind, limit], |row| {
        Ok(EventRow { id: row.get(0)?, position: row.get(1)?, body: row.get(2)? })
    })?;
    let is_full = items.len() >= most;
    let next = items.last().filter(|_| is_full).map_or(ceiling, |last| last.position);
    Ok(EventPage { more: next < ceiling || scanned >= SCAN_MAX, next, items })
}
