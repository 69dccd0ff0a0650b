//! One transaction on a connection of the pool. Callers are on a thread where blocking is allowed: a transaction that was
//! begun is always ended, whatever becomes of whoever asked for it.

use std::cell::Cell;
use std::time::Duration;

use deadpool_postgres::Object;
use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{ToSqlOutput, Value};
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::store::error::StoreError;
use crate::store::tx::{Lock, Row, Values};

/// What a transaction may take. Its limits are sent with BEGIN, in one trip, and hold for the transaction alone, so that a
/// transaction pooler may stand between. The last of them frees what a replica holds that was stopped in the middle.
pub(super) struct Limits {
    set: &'static str,
    /// How long one statement may take with its way there and back; the database gives up before we do. `None`: as long as
    /// the connection stands.
    answer: Option<Duration>,
}

/// The limits of what somebody waits for.
pub(super) const WORK: Limits = Limits {
    set: "; SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '5s'; \
         SET LOCAL idle_in_transaction_session_timeout = '10s'",
    answer: Some(Duration::from_secs(15)),
};

/// The limits of what takes as long as there are rows: a step of a migration, a count of everything. Only waiting for
/// somebody else has one.
pub(super) const LONG: Limits = Limits {
    set: "; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '5s'; \
         SET LOCAL idle_in_transaction_session_timeout = '60s'",
    answer: None,
};

/// How often it is told that a statement without a limit still runs.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Rows fetched at once of a query that may give very many.
const FETCH: usize = 256;
/// The first half of the key of a lock that has a name; customers and keys use the other kind.
const NAMES: i32 = 7_451_893;

/// A connection with an open transaction, or between two.
pub(crate) struct Session {
    /// `None` once the connection must not be used again.
    client: Option<Object>,
    runtime: Handle,
    /// Lease times are the database's clock; with a clock that is moved by hand they are that clock's.
    machine_clock: bool,
    /// A statement failed: the transaction cannot be committed.
    failed: Cell<bool>,
    /// The connection is of no use to anybody: it leads to a server that takes no writes, or that is going down.
    spent: Cell<bool>,
    limits: &'static Limits,
    /// How far our clock is ahead of the database's.
    ahead: Cell<Option<SignedDuration>>,
}

impl Session {
    pub(super) fn new(client: Object, runtime: Handle, machine_clock: bool, limits: &'static Limits) -> Self {
        let (failed, spent) = (Cell::new(false), Cell::new(false));
        let (client, ahead) = (Some(client), Cell::new(None));
        Self { client, runtime, machine_clock, failed, spent, limits, ahead }
    }

    /// Runs `work` in a transaction: all of it is written, or nothing. If the answer to the COMMIT is lost, nobody knows;
    /// that is an error like any other, and every caller looks before it repeats.
    pub(super) fn transact<T>(
        &mut self,
        begin: &'static str,
        work: &mut impl FnMut(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.failed.set(false);
        self.ahead.set(None);
        if let Err(error) = self.batch(&format!("{begin}{}", self.limits.set)) {
            // It may still begin, and whoever had the connection next would be in it.
            self.discard();
            return Err(error);
        }
        let outcome = work(self);
        let outcome = match outcome {
            Ok(_) if self.failed.get() => {
                Err(StoreError::Unavailable("a statement of the transaction failed".to_owned()))
            }
            outcome => outcome,
        };
        let ended = self.batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" });
        if ended.is_err() || self.spent.get() {
            // Whatever state it is in, the database undoes what was not committed when it is closed.
            self.discard();
        }
        match (outcome, ended) {
            (Ok(value), Ok(())) => Ok(value),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    }

    fn discard(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }

    /// Waits before another try.
    pub(super) fn pause(&self, span: Duration) {
        self.runtime.block_on(tokio::time::sleep(span));
    }

    fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or_else(|| StoreError::Unavailable("the connection was closed".to_owned()))
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let answer = self.runtime.block_on(within(self.limits.answer, answer));
        if answer.is_err() {
            self.failed.set(true);
        }
        answer.map_err(|error| {
            if error.as_ref().is_none_or(is_about_the_server) {
                self.spent.set(true);
            }
            error.map_or_else(no_answer, StoreError::from)
        })
    }

    /// Statements without values, one after the other.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.wait(self.client()?.batch_execute(sql))
    }

    pub(in crate::store) fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize, StoreError> {
        let values = typed(values)?;
        let written = self.wait(self.client()?.execute_typed(&dollars(sql), &refs(&values)))?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    pub(in crate::store) fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        let values = typed(values)?;
        let rows = self.wait(self.client()?.query_typed(&dollars(sql), &refs(&values)))?;
        rows.iter().map(row_of).collect()
    }

    /// Gives row after row of a query that may give very many, until `take` has enough.
    pub(in crate::store) fn scroll(
        &self,
        sql: &str,
        values: Values<'_>,
        take: &mut dyn FnMut(&Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.execute(&format!("DECLARE scroll NO SCROLL CURSOR FOR {sql}"), values)?;
        let fetch = format!("FETCH {FETCH} FROM scroll");
        'all: loop {
            let rows = self.query(&fetch, &[])?;
            for row in &rows {
                if !take(row)? {
                    break 'all;
                }
            }
            if rows.len() < FETCH {
                break;
            }
        }
        self.batch("CLOSE scroll")
    }

    /// Holds a lock until the transaction ends.
    pub(in crate::store) fn lock(&self, lock: Lock<'_>) -> Result<(), StoreError> {
        let number = match lock {
            Lock::Name(name) => {
                let sql = "SELECT pg_advisory_xact_lock(CAST(?1 AS int), hashtext(?2))";
                return self.query(sql, &[&NAMES, &name]).map(drop);
            }
            Lock::Key(key) => first_eight(key),
            Lock::Customer(customer) => first_eight(customer.as_bytes()),
        };
        self.query("SELECT pg_advisory_xact_lock(?1)", &[&number]).map(drop)
    }

    /// How far this process's clock is ahead of the database's, read once in a transaction.
    pub(in crate::store) fn ahead(&self, local: Timestamp) -> Result<SignedDuration, StoreError> {
        if let Some(ahead) = self.ahead.get() {
            return Ok(ahead);
        }
        let ahead = local.duration_since(self.now(local)?);
        self.ahead.set(Some(ahead));
        Ok(ahead)
    }

    /// The moment by which leases are measured: the database's, so that replicas whose clocks differ agree.
    pub(in crate::store) fn now(&self, local: Timestamp) -> Result<Timestamp, StoreError> {
        if !self.machine_clock {
            return Ok(local);
        }
        let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
        let rows = self.query(sql, &[])?;
        let ms: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        Timestamp::from_millisecond(ms).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// Waits for an answer for `limit` at most; without one it is told now and then that it goes on. `None`: none came.
async fn within<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Option<tokio_postgres::Error>> {
    if let Some(limit) = limit {
        return tokio::time::timeout(limit, answer).await.map_err(|_| None)?.map_err(Some);
    }
    tokio::pin!(answer);
    let mut waited = Duration::ZERO;
    loop {
        if let Ok(answer) = tokio::time::timeout(TELL_EVERY, &mut answer).await {
            return answer.map_err(Some);
        }
        waited += TELL_EVERY;
        tracing::info!(seconds = waited.as_secs(), "the database is still at it");
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("the database did not answer in time".to_owned())
}

/// Whether an error says that the server behind the connection is of no use: it is going down, or is not the one that
/// takes writes any more.
fn is_about_the_server(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| *code == SqlState::READ_ONLY_SQL_TRANSACTION || code.code().starts_with("57P"))
}

impl Drop for Session {
    fn drop(&mut self) {
        // A panic in the middle of a transaction: it must not go on in somebody else's.
        if std::thread::panicking() {
            self.discard();
        }
    }
}

fn first_eight(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |eight| i64::from_be_bytes(*eight))
}

/// `?1` and `?` as this database writes them: `$1`. Neither stands in a text of ours.
fn dollars(sql: &str) -> String {
    let mut written = String::with_capacity(sql.len() + 8);
    let mut next = 1;
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '?' {
            written.push(c);
            continue;
        }
        written.push('$');
        if !rest.peek().is_some_and(char::is_ascii_digit) {
            written.push_str(&next.to_string());
            next += 1;
        }
    }
    written
}

/// A value with the kind that it is sent as.
#[derive(Debug)]
struct Sent(Value);

fn typed(values: Values<'_>) -> Result<Vec<(Sent, Type)>, StoreError> {
    values.iter().map(|value| value_of(*value)).collect()
}

fn value_of(value: &dyn rusqlite::ToSql) -> Result<(Sent, Type), StoreError> {
    let value = match value.to_sql()? {
        ToSqlOutput::Borrowed(borrowed) => Value::try_from(borrowed).map_err(rusqlite::Error::from)?,
        ToSqlOutput::Owned(owned) => owned,
        _ => return Err(StoreError::Unavailable("a value of a kind that is not stored".to_owned())),
    };
    let kind = match &value {
        // The statement tells what it stands for.
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    };
    Ok((Sent(value), kind))
}

fn refs(values: &[(Sent, Type)]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(|(value, kind)| -> (&(dyn ToSql + Sync), Type) { (value, kind.clone()) }).collect()
}

impl ToSql for Sent {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => number.to_sql(kind, out),
            Value::Real(number) => number.to_sql(kind, out),
            // This database's texts cannot hold it, and none of ours means anything by it.
            Value::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn row_of(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let cells = row.columns().iter().enumerate().map(|(index, column)| cell_of(row, index, column.type_()));
    Ok(Row::new(cells.collect::<Result<_, _>>()?))
}

fn cell_of(row: &tokio_postgres::Row, index: usize, kind: &Type) -> Result<Value, StoreError> {
    let value = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(Value::Integer),
        Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(|number| Value::Integer(number.into())),
        Type::INT2 => row.try_get::<_, Option<i16>>(index)?.map(|number| Value::Integer(number.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(index)?.map(|is_so| Value::Integer(is_so.into())),
        Type::TEXT => row.try_get::<_, Option<String>>(index)?.map(Value::Text),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Value::Blob),
        // What a lock gives back.
        Type::VOID => None,
        ref other => {
            return Err(StoreError::Unavailable(format!(
                "column {index} has the kind {other}, which is not read"
            )));
        }
    };
    Ok(value.unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_as_this_database_does() {
        assert_eq!(dollars("a = ?2 AND b = ?1 LIMIT ?12"), "a = $2 AND b = $1 LIMIT $12");
        assert_eq!(dollars("a = ? AND b = ? OR c = 1"), "a = $1 AND b = $2 OR c = 1");
    }
}
