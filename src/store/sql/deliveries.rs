//! Deliveries to endpoints: what is listed, and what goes out again.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use rusqlite::types::ToSql;

use super::ask::once;
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::tells::revive;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::events::{AttemptRow, DeliveryFilter, DeliveryPage, DeliveryRow, DeliveryStatus};
use crate::store::rows::watch::Retried;
use crate::store::rows::{Once, Recorder};
use crate::store::tx::{Lock, Row, Tx};

/// Deliveries that one page goes through, however few of them are wanted.
const SCAN_MAX: i64 = 5_000;
/// Attempts that are shown of one delivery: the newest.
const ATTEMPTS_SHOWN: i64 = 20;
/// Between two deliveries that go out again, so that a receiver that was down is not met by all of them at once.
const STAGGER: SignedDuration = SignedDuration::from_millis(20);

/// What a filter says, as a condition and what stands in it. Only what restricts is in it, so that an index serves it.
struct Wanted {
    condition: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Wanted {
    fn new(filter: &DeliveryFilter, now: Timestamp) -> Self {
        let mut wanted =
            Self { condition: "lane = 'webhook' AND destination IS NOT NULL".to_owned(), values: Vec::new() };
        if let Some(endpoint) = &filter.endpoint {
            wanted.and("destination = ?", endpoint.clone());
        }
        if let Some(customer) = &filter.customer {
            wanted.and("customer = ?", customer.as_bytes().to_vec());
        }
        if let Some(event) = filter.event {
            wanted.and("kind = ?", event.as_str());
        }
        if let Some(from) = filter.from {
            wanted.and("created_at >= ?", ms(from));
        }
        if let Some(to) = filter.to {
            wanted.and("created_at < ?", ms(to));
        }
        match filter.status {
            None => {}
            Some(DeliveryStatus::Failed) => wanted.condition.push_str(" AND status = 'failed'"),
            Some(DeliveryStatus::Delivered) => wanted.condition.push_str(" AND status = 'done'"),
            Some(DeliveryStatus::Held) => wanted.and("status = 'pending' AND lease_until > ?", ms(now)),
            Some(DeliveryStatus::Failing) => wanted
                .and("status = 'pending' AND attempts > forgiven AND coalesce(lease_until, 0) <= ?", ms(now)),
            Some(DeliveryStatus::Waiting) => wanted.and(
                "status = 'pending' AND attempts <= forgiven AND coalesce(lease_until, 0) <= ?",
                ms(now),
            ),
        }
        wanted
    }

    /// Adds a condition with one value in it.
    fn and(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        let place = format!("?{}", self.values.len());
        self.condition.push_str(" AND ");
        self.condition.push_str(&condition.replace('?', &place));
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(AsRef::as_ref).collect()
    }
}

const COLUMNS: &str =
    "seq, event_id, destination, kind, customer, status, created_at, due_at, ended_at, outcome, attempts,
     forgiven, lease_until";

/// Deliveries before a number, newest first.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    filter: &DeliveryFilter,
    before: Option<i64>,
    most: usize,
    now: Timestamp,
) -> Result<DeliveryPage, StoreError> {
    // The type alone has no index: so far it is looked for, and no farther.
    let mut scan = Wanted::new(&DeliveryFilter { event: None, ..filter.clone() }, now);
    scan.and("seq < ?", before.unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT min(seq), count(*) FROM (
             SELECT seq FROM effect WHERE {} ORDER BY seq DESC LIMIT {SCAN_MAX}) AS scanned",
        scan.condition
    );
    let (floor, scanned): (Option<i64>, i64) =
        tx.one(&sql, &scan.values(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(floor) = floor else { return Ok(DeliveryPage { items: Vec::new(), next: None }) };
    let mut wanted = Wanted::new(filter, now);
    wanted.and("seq < ?", before.unwrap_or(i64::MAX));
    wanted.and("seq >= ?", floor);
    let sql = format!("SELECT {COLUMNS} FROM effect WHERE {} ORDER BY seq DESC", wanted.condition);
    let mut items = tx.readable(&sql, &wanted.values(), most.saturating_add(1), |row| {
        let seq: i64 = row.get(0)?;
        delivery_of(row, seq, now).map_err(|error| error.in_row("effect", &seq))
    })?;
    let is_full = items.len() > most;
    items.truncate(most);
    let next = match items.last() {
        Some(last) if is_full => Some(last.seq),
        _ => (scanned >= SCAN_MAX).then_some(floor),
    };
    for item in &mut items {
        item.attempts = attempts(tx, item.seq)?;
    }
    Ok(DeliveryPage { items, next })
}

fn delivery_of(row: &Row, seq: i64, now: Timestamp) -> Result<DeliveryRow, StoreError> {
    let (attempts, forgiven): (u32, u32) = (row.get(10)?, row.get(11)?);
    let held = row.get::<Option<i64>>(12)?.is_some_and(|until| until > ms(now));
    let status: String = row.get(5)?;
    let about = CustomerHashId::from_bytes(row.get(4)?);
    Ok(DeliveryRow {
        seq,
        id: row.get(1)?,
        endpoint: row.get(2)?,
        r#type: row.get(3)?,
        customer_hash_id: Some(about).filter(|about| *about != CustomerHashId::NOBODY),
        status: match status.as_str() {
            "done" => DeliveryStatus::Delivered,
            "failed" => DeliveryStatus::Failed,
            "pending" if held => DeliveryStatus::Held,
            "pending" if attempts > forgiven => DeliveryStatus::Failing,
            "pending" => DeliveryStatus::Waiting,
            _ => return Err(corrupt("effect", &seq.to_string(), "its status is not one of a delivery")),
        },
        created_at: timestamp(row.get(6)?)?,
        due_at: maybe_timestamp(row.get(7)?)?,
        ended_at: maybe_timestamp(row.get(8)?)?,
        last_answer: row.get(9)?,
        attempt_count: attempts,
        attempts: Vec::new(),
    })
}

fn attempts(tx: &Tx<'_>, seq: i64) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = "SELECT number, at, outcome FROM attempt WHERE effect = ?1 ORDER BY number DESC LIMIT ?2";
    tx.all(sql, params![seq, ATTEMPTS_SHOWN], |row| {
        Ok(AttemptRow { number: row.get(0)?, at: timestamp(row.get(1)?)?, answer: row.get(2)? })
    })
}

/// The deliveries that would go out again, oldest first: of the status that the filter names, or else those that fail or were
/// given up.
fn meant(
    tx: &Tx<'_>,
    filter: &DeliveryFilter,
    now: Timestamp,
) -> Result<Vec<(i64, CustomerHashId)>, StoreError> {
    let wanted = Wanted::new(filter, now);
    let unless_named = if filter.status.is_some() {
        ""
    } else {
        "AND (status = 'failed' OR (status = 'pending' AND attempts > forgiven))"
    };
    let sql = format!(
        "SELECT seq, customer FROM effect WHERE {} {unless_named} AND lease_until IS NULL ORDER BY seq LIMIT {}",
        wanted.condition,
        DeliveryFilter::REDELIVER_MAX
    );
    tx.all(&sql, &wanted.values(), |row| Ok((row.get(0)?, CustomerHashId::from_bytes(row.get(1)?))))
}

/// How many deliveries would go out again.
pub(in crate::store) fn count(
    tx: &Tx<'_>,
    filter: &DeliveryFilter,
    now: Timestamp,
) -> Result<usize, StoreError> {
    Ok(meant(tx, filter, now)?.len())
}

/// Law: just as many deliveries go out again as were counted, or none; each with the id and the bytes that it
/// always had. Who asked is recorded.
pub(in crate::store) fn redeliver(
    tx: &Tx<'_>,
    filter: &DeliveryFilter,
    expected: usize,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Retried>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Name("retry"))?;
        let meant = meant(tx, filter, now)?;
        if meant.len() != expected {
            return Ok((Retried::Moved(meant.len()), None));
        }
        let mut due_at = now;
        let mut tells = Vec::with_capacity(meant.len());
        for (seq, customer) in meant {
            tells.push((seq, customer, due_at));
            due_at = due_at.saturating_add(STAGGER).unwrap_or(Timestamp::MAX);
        }
        let revived = revive(tx, &tells)?;
        let detail = serde_json::json!({ "endpoint": filter.endpoint, "deliveries": revived });
        super::audit::note(tx, by, filter.customer, "events_redelivered", &detail, now)?;
        Ok((Retried::Done(revived), Some(serde_json::json!({ "redelivered": revived }))))
    })
}
