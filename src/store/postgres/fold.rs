//! The fold: takes callbacks out of the log, recognises redeliveries, and makes customers due.
//!
//! differs: SQLite's fold reads the log from a stored cursor. Here rows become visible out of their order, and a cursor
//! would have to wait for the oldest transaction of the whole cluster, ours or not; so the fold takes rows out of the log
//! instead, in the same transaction as what it makes of them. Whatever is in the log is not folded. Replicas fold beside
//! each other; each passes over the rows that another one has in hand.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::connect::Connector;
use super::hints::Hints;
use super::intake::Line;
use crate::store::error::StoreError;
use crate::store::rows::overview::{CALLBACK, REDELIVERY};
use crate::store::sql::hourly::hour_of;

/// Rows folded in one transaction.
const BITE: usize = 1_024;
/// How often the fold looks without having heard of anything.
const POLL: Duration = Duration::from_millis(500);
/// While there is more than one bite, each begins where the last ended, so that it need not pass over what is gone and not
/// cleaned up yet. A row that became visible late lies before that: the log is read from its beginning this often.
const FROM_THE_START: Duration = Duration::from_secs(2);
/// While callbacks keep coming, the fold rests this many times as long as its last bite took: what a flood leaves behind
/// is folded when it ends.
const REST: u32 = 9;
/// A pause this long in the stream of callbacks lets the fold go on at once.
const QUIET: Duration = Duration::from_millis(20);
/// How often the same trouble is told: a database that is away for an hour must not fill the log.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);
/// How long one bite may take.
const BITE_WAIT: Duration = Duration::from_secs(30);

const LIMITS: &str = "SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '10s'";

const TAKE: &str = "DELETE FROM callback_log WHERE id IN (
         SELECT id FROM callback_log WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, at, customer, looks, source, request_id, template, again";

// Each customer and request id stands here once.
const DELIVER: &str =
    "INSERT INTO callback AS c (id, customer, request_id, source, template, first_at, last_at, deliveries)
     SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
         $8::bigint[])
     ON CONFLICT (customer, request_id) DO UPDATE SET deliveries = c.deliveries + excluded.deliveries,
         first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
     RETURNING xmax = 0, first_at";

// A spooled nudge of the same millisecond is the same delivery: its insert took too long, and it came both ways.
const DELIVER_AGAIN: &str =
    "INSERT INTO callback AS c (id, customer, request_id, source, template, first_at, last_at, deliveries)
     VALUES ($1, $2, $3, $4, $5, $6, $6, 1)
     ON CONFLICT (customer, request_id) DO UPDATE SET deliveries = c.deliveries + 1,
         first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
         WHERE excluded.last_at NOT IN (c.first_at, c.last_at)
     RETURNING xmax = 0";

// A held lease keeps its end in `due_at`, and a customer in backoff keeps waiting: both only count the nudge. Customers
// come in the order of their ids, as everywhere. `at` is the clock of whoever took the callback, which may be ahead.
const NUDGE: &str = "INSERT INTO head AS h (customer, rank, wanted, due_at)
     SELECT customer, 2, nudges, least(at, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)) FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS one (customer, nudges, at)
     ORDER BY customer
     ON CONFLICT (customer) DO UPDATE SET
         wanted = h.wanted + excluded.wanted, historic = 0, rank = least(h.rank, 2),
         due_at = CASE WHEN h.lease_until IS NOT NULL OR h.failures > 0 THEN h.due_at
             ELSE least(h.due_at, excluded.due_at) END";

const LAST: &str = "UPDATE cursor SET position = $1 WHERE name = 'last_callback' AND position < $1";

// Replicas that fold beside each other wait for each other here in one order: after everything else, hour by hour.
const HOURS: &str = "INSERT INTO hourly AS h (hour, what, count)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS one (hour, what, count) ORDER BY hour, what
     ON CONFLICT (hour, what) DO UPDATE SET count = h.count + excluded.count";

struct LogRow {
    id: i64,
    at: i64,
    customer: Option<Vec<u8>>,
    looks: bool,
    source: String,
    request_id: Option<String>,
    template: Option<String>,
    again: bool,
}

/// What one bite did.
struct Folded {
    rows: usize,
    /// The highest id that it took.
    last: i64,
    made_due: bool,
}

/// Folds for as long as the intake lives.
pub(super) async fn run(connector: &Connector, appended: &Notify, hints: &Hints) {
    let mut line = Line::new(connector);
    let (mut after, mut from_the_start) = (0, Instant::now());
    let mut complained: Option<Instant> = None;
    loop {
        if from_the_start.elapsed() >= FROM_THE_START {
            (after, from_the_start) = (0, Instant::now());
        }
        let begun = Instant::now();
        let more = match tokio::time::timeout(BITE_WAIT, bite(&mut line, after)).await {
            Ok(Ok(folded)) => {
                if folded.made_due {
                    hints.ring();
                }
                let more = folded.rows == BITE;
                after = if more { folded.last } else { 0 };
                more
            }
            Ok(Err(error)) => {
                // Nothing is lost: the rows are still in the log.
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    tracing::warn!(%error, "the fold failed; it is tried again and again");
                }
                line.hang_up();
                after = 0;
                false
            }
            Err(_) => {
                tracing::warn!("the fold took too long; it is tried again");
                line.hang_up();
                false
            }
        };
        if more {
            rest(appended, begun.elapsed() * REST).await;
        } else {
            let _ = tokio::time::timeout(POLL, appended.notified()).await;
        }
    }
}

/// Rests for `span`, or until callbacks have not come for a while.
async fn rest(appended: &Notify, span: Duration) {
    let until = Instant::now() + span;
    loop {
        let quiet = tokio::time::timeout(QUIET, appended.notified()).await.is_err();
        if quiet || Instant::now() >= until {
            return;
        }
    }
}

async fn bite(line: &mut Line<'_>, after: i64) -> Result<Folded, StoreError> {
    let client = line.client().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(LIMITS).await?;
    let limit = i64::try_from(BITE).unwrap_or(i64::MAX);
    let rows = transaction.query_typed(TAKE, &[(&after, Type::INT8), (&limit, Type::INT8)]).await?;
    let mut rows = rows.iter().map(log_row).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| row.id);
    let (Some(last), Some(newest)) = (rows.last().map(|row| row.id), rows.iter().map(|row| row.at).max())
    else {
        transaction.rollback().await?;
        return Ok(Folded { rows: 0, last: after, made_due: false });
    };
    let folded = rows.len();
    let made_due = nudge(&transaction, &rows).await?;
    let hours = deliver(&transaction, rows).await?;
    transaction.query_typed(LAST, &[(&newest, Type::INT8)]).await?;
    count(&transaction, &hours).await?;
    transaction.commit().await?;
    Ok(Folded { rows: folded, last, made_due })
}

fn log_row(row: &tokio_postgres::Row) -> Result<LogRow, tokio_postgres::Error> {
    Ok(LogRow {
        id: row.try_get(0)?,
        at: row.try_get(1)?,
        customer: row.try_get(2)?,
        looks: row.try_get::<_, i16>(3)? != 0,
        source: row.try_get(4)?,
        request_id: row.try_get(5)?,
        template: row.try_get(6)?,
        again: row.try_get::<_, i16>(7)? != 0,
    })
}

/// Makes customers due. True: a customer may have become so.
async fn nudge(transaction: &Transaction<'_>, rows: &[LogRow]) -> Result<bool, StoreError> {
    let mut nudged: BTreeMap<&[u8], (i64, i64)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.looks) {
        let Some(customer) = &row.customer else { continue };
        let (count, first) = nudged.entry(customer).or_insert((0, row.at));
        *count += 1;
        *first = row.at.min(*first);
    }
    if nudged.is_empty() {
        return Ok(false);
    }
    let customers: Vec<&[u8]> = nudged.keys().copied().collect();
    let (counts, firsts): (Vec<i64>, Vec<i64>) = nudged.values().copied().unzip();
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&customers, Type::BYTEA_ARRAY), (&counts, Type::INT8_ARRAY), (&firsts, Type::INT8_ARRAY)];
    transaction.query_typed(NUDGE, &values).await?;
    Ok(true)
}

/// What was delivered in which hour.
type Hours = BTreeMap<(i64, &'static str), i64>;

/// Files the evidence: a callback that was delivered several times is one row with a delivery count.
async fn deliver(transaction: &Transaction<'_>, rows: Vec<LogRow>) -> Result<Hours, StoreError> {
    let (again, fresh): (Vec<LogRow>, Vec<LogRow>) = rows.into_iter().partition(|row| row.again);
    let mut hours = Hours::new();
    for row in &fresh {
        *hours.entry((hour_of(row.at), REDELIVERY)).or_insert(0) += 1;
    }
    let filed = grouped(fresh);
    if !filed.is_empty() {
        for row in file(transaction, &filed).await? {
            let (is_new, first_at): (bool, i64) = (row.try_get(0)?, row.try_get(1)?);
            if is_new {
                *hours.entry((hour_of(first_at), REDELIVERY)).or_insert(0) -= 1;
                *hours.entry((hour_of(first_at), CALLBACK)).or_insert(0) += 1;
            }
        }
    }
    for row in again {
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 6] = [
            (&row.id, Type::INT8),
            (&row.customer, Type::BYTEA),
            (&row.request_id, Type::TEXT),
            (&row.source, Type::TEXT),
            (&row.template, Type::TEXT),
            (&row.at, Type::INT8),
        ];
        // No row: it is the same delivery.
        if let Some(filed) = transaction.query_typed(DELIVER_AGAIN, &values).await?.first() {
            let what = if filed.try_get(0)? { CALLBACK } else { REDELIVERY };
            *hours.entry((hour_of(row.at), what)).or_insert(0) += 1;
        }
    }
    hours.retain(|_, count| *count != 0);
    Ok(hours)
}

/// One row for each customer and request, with when it was delivered last, and how often.
fn grouped(fresh: Vec<LogRow>) -> Vec<(LogRow, i64, i64)> {
    let mut groups: HashMap<(Vec<u8>, String), usize> = HashMap::new();
    let mut filed: Vec<(LogRow, i64, i64)> = Vec::new();
    for row in fresh {
        if let (Some(customer), Some(request_id)) = (&row.customer, &row.request_id) {
            let place = *groups.entry((customer.clone(), request_id.clone())).or_insert(filed.len());
            if let Some((first, last_at, deliveries)) = filed.get_mut(place) {
                first.at = first.at.min(row.at);
                *last_at = row.at.max(*last_at);
                *deliveries += 1;
                continue;
            }
        }
        let at = row.at;
        filed.push((row, at, 1));
    }
    filed
}

/// Files what was grouped. Gives whether each is new, and when it was first delivered.
async fn file(
    transaction: &Transaction<'_>,
    filed: &[(LogRow, i64, i64)],
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let column = |pick: fn(&LogRow) -> i64| filed.iter().map(|(row, ..)| pick(row)).collect::<Vec<i64>>();
    let (ids, first_at) = (column(|row| row.id), column(|row| row.at));
    let customers: Vec<Option<&[u8]>> = filed.iter().map(|(row, ..)| row.customer.as_deref()).collect();
    let requests: Vec<Option<&str>> = filed.iter().map(|(row, ..)| row.request_id.as_deref()).collect();
    let sources: Vec<&str> = filed.iter().map(|(row, ..)| row.source.as_str()).collect();
    let templates: Vec<Option<&str>> = filed.iter().map(|(row, ..)| row.template.as_deref()).collect();
    let last_at: Vec<i64> = filed.iter().map(|(_, last_at, _)| *last_at).collect();
    let deliveries: Vec<i64> = filed.iter().map(|(.., deliveries)| *deliveries).collect();
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 8] = [
        (&ids, Type::INT8_ARRAY),
        (&customers, Type::BYTEA_ARRAY),
        (&requests, Type::TEXT_ARRAY),
        (&sources, Type::TEXT_ARRAY),
        (&templates, Type::TEXT_ARRAY),
        (&first_at, Type::INT8_ARRAY),
        (&last_at, Type::INT8_ARRAY),
        (&deliveries, Type::INT8_ARRAY),
    ];
    Ok(transaction.query_typed(DELIVER, &values).await?)
}

/// Adds to the counts of these hours.
async fn count(transaction: &Transaction<'_>, hours: &Hours) -> Result<(), StoreError> {
    let of: Vec<i64> = hours.keys().map(|(hour, _)| *hour).collect();
    let what: Vec<&str> = hours.keys().map(|(_, what)| *what).collect();
    let counts: Vec<i64> = hours.values().copied().collect();
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&of, Type::INT8_ARRAY), (&what, Type::TEXT_ARRAY), (&counts, Type::INT8_ARRAY)];
    transaction.query_typed(HOURS, &values).await.map(drop)?;
    Ok(())
}
