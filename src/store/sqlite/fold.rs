//! The fold: reads the callback log from a stored cursor, recognises redeliveries, and makes customers due.
//!
//! A crash between append and fold loses nothing: the cursor is stored in the same transaction as what was folded.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};

use crate::domain::id::{CustomerHashId, RequestId};
use crate::domain::nudge::{Nudge, Template};
use crate::store::error::{StoreError, is_damage};
use crate::store::rows::overview::{CALLBACK, REDELIVERY};
use crate::store::sql::hourly;

/// One row of the log.
pub(super) const APPEND: &str =
    "INSERT INTO callback_log (at, customer, looks, source, request_id, template, again)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const READ: &str = "SELECT id, at, customer, looks, source, request_id, template, again
     FROM callback_log WHERE id > ?1 ORDER BY id LIMIT ?2";

// A spooled nudge of the same millisecond is the same delivery: its insert took too long, and it came both ways.
const DELIVER: &str =
    "INSERT INTO callback (id, customer, request_id, source, template, first_at, last_at, deliveries)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1)
     ON CONFLICT (customer, request_id) DO UPDATE SET deliveries = deliveries + 1,
         first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)
         WHERE NOT (?7 AND excluded.last_at IN (first_at, last_at))
     RETURNING deliveries";

// A held lease keeps its end in `due_at`, and a customer in backoff keeps waiting: both only count the nudge. A damaged
// `handled` comes back below `wanted`, so that the nudge counts.
const NUDGE: &str = "INSERT INTO head (customer, rank, wanted, due_at) VALUES (?1, 2, 1, ?2)
     ON CONFLICT (customer) DO UPDATE SET
         wanted = wanted + 1, handled = min(handled, wanted), historic = 0, rank = min(rank, 2),
         due_at = CASE WHEN lease_until IS NOT NULL OR failures > 0 THEN due_at ELSE min(coalesce(due_at, ?2), ?2) END";

/// One nudge on its way into the log.
pub(super) struct Entry {
    pub(super) nudge: Nudge,
    /// When it knocked, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// It comes out of the spool.
    pub(super) again: bool,
}

/// Appends one nudge by the statement prepared from [`APPEND`].
pub(super) fn append(statement: &mut CachedStatement<'_>, entry: &Entry) -> rusqlite::Result<usize> {
    let nudge = &entry.nudge;
    statement.execute(params![
        entry.at_ms,
        nudge.customer.as_ref().map(CustomerHashId::as_bytes),
        nudge.looks,
        nudge.source.as_str(),
        nudge.request_id.as_ref().map(RequestId::as_str),
        nudge.template.as_ref().map(Template::as_str),
        entry.again,
    ])
}

/// What one bite did.
pub(super) struct Folded {
    /// Log rows read.
    pub(super) rows: usize,
    /// At least one customer may have become due.
    pub(super) made_due: bool,
}

/// The fold and its cursor. The cursor is kept in memory too, so that an idle fold reads nothing.
pub(super) struct Fold {
    cursor: i64,
}

struct LogRow {
    at: i64,
    customer: Option<[u8; 16]>,
    looks: bool,
    /// What is kept as evidence; the customer is looked at whether it can be read or not.
    evidence: rusqlite::Result<Evidence>,
    again: bool,
}

struct Evidence {
    source: String,
    request_id: Option<String>,
    template: Option<String>,
}

/// The statements of one bite.
struct Pens<'a> {
    deliver: CachedStatement<'a>,
    nudge: CachedStatement<'a>,
    /// What was delivered in which hour.
    hours: BTreeMap<(i64, &'static str), i64>,
}

impl Fold {
    /// Log rows folded at once while acknowledgements wait: well under a millisecond.
    pub(super) const BITE_BUSY: usize = 64;
    /// Log rows folded at once when nobody waits.
    pub(super) const BITE_QUIET: usize = 1_024;

    /// Starts where the last fold ended.
    pub(super) fn resume(connection: &Connection) -> Result<Self, StoreError> {
        let cursor = connection
            .query_row("SELECT position FROM cursor WHERE name = 'fold'", [], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        Ok(Self { cursor })
    }

    /// Folds at most `rows_max` rows in one transaction.
    pub(super) fn bite(
        &mut self,
        connection: &mut Connection,
        rows_max: usize,
    ) -> Result<Folded, StoreError> {
        let rows = self.read(connection, rows_max)?;
        let read = rows.len();
        let Some(last) = rows.last().map(|(id, _)| *id) else {
            return Ok(Folded { rows: 0, made_due: false });
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stored: i64 = transaction
            .prepare_cached("SELECT position FROM cursor WHERE name = 'fold'")?
            .query_row([], |row| row.get(0))?;
        if stored != self.cursor {
            // A command beside the service folds too, and was quicker.
            self.cursor = stored;
            return Ok(Folded { rows: rows_max, made_due: false });
        }
        let mut made_due = false;
        {
            let mut pens = Pens {
                deliver: transaction.prepare_cached(DELIVER)?,
                nudge: transaction.prepare_cached(NUDGE)?,
                hours: BTreeMap::new(),
            };
            for (id, row) in rows {
                match row.and_then(|row| pens.fold(id, row)) {
                    Ok(due) => made_due |= due,
                    // It stays in the log; everybody after it must not wait for it.
                    Err(error) if is_of_one_row(&error) => {
                        tracing::error!(table = "callback_log", id, %error, "a row cannot be folded and is passed over");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let mut add = transaction.prepare_cached(hourly::ADD)?;
            for ((hour, what), count) in &pens.hours {
                add.execute(params![hour, what, count])?;
            }
            transaction
                .prepare_cached("UPDATE cursor SET position = ?1 WHERE name = 'fold'")?
                .execute(params![last])?;
        }
        transaction.commit()?;
        self.cursor = last;
        Ok(Folded { rows: read, made_due })
    }

    fn read(
        &self,
        connection: &Connection,
        rows_max: usize,
    ) -> Result<Vec<(i64, rusqlite::Result<LogRow>)>, StoreError> {
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let mut read = connection.prepare_cached(READ)?;
        let rows = read.query_map(params![self.cursor, limit], |row| Ok((row.get(0)?, log_row(row))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    let evidence = || Ok(Evidence { source: row.get(4)?, request_id: row.get(5)?, template: row.get(6)? });
    Ok(LogRow {
        at: row.get(1)?,
        customer: row.get(2)?,
        looks: row.get(3)?,
        evidence: evidence(),
        again: row.get(7)?,
    })
}

impl Pens<'_> {
    /// True: a customer may have become due.
    fn fold(&mut self, id: i64, row: LogRow) -> rusqlite::Result<bool> {
        let LogRow { at, customer, looks, evidence, again } = row;
        match evidence {
            Ok(Evidence { source, request_id, template }) => {
                let values = params![id, customer, request_id, source, template, at, again];
                // No row: it is the same delivery.
                if let Some(deliveries) =
                    self.deliver.query_row(values, |row| row.get::<_, i64>(0)).optional()?
                {
                    let what = if deliveries == 1 { CALLBACK } else { REDELIVERY };
                    *self.hours.entry((hourly::hour_of(at), what)).or_insert(0) += 1;
                }
            }
            Err(error) => {
                tracing::error!(table = "callback_log", id, %error, "a callback cannot be read; its customer is looked at");
            }
        }
        if looks && customer.is_some() {
            self.nudge.execute(params![customer, at])?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Whether the next row may well be folded.
fn is_of_one_row(error: &rusqlite::Error) -> bool {
    is_damage(error) || error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
