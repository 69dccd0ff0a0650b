//! One open transaction, on either database. The work tables are written against it once (see [`super::sql`]), so the
//! two stores cannot drift apart; what a database says in other words stands in its [`Dialect`].
//!
//! Statements number their values `?1`, `?2`; values and cells are SQLite's own kinds (integer, text, blob, null), which
//! are all that the tables hold.

use jiff::Timestamp;
use rusqlite::types::{FromSql, ToSql, Value, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::dialect::Dialect;
use super::error::{StoreError, UNNAMED};
use super::postgres::Session;
use crate::domain::id::CustomerHashId;

/// What stands in a statement, in order.
pub(super) type Values<'v> = &'v [&'v dyn ToSql];

/// An open transaction. Whoever has it ends it; the functions that are given one only work in it.
pub(super) enum Tx<'a> {
    Sqlite(&'a Connection),
    Postgres(&'a Session),
}

/// Whom or what the rest of a transaction has to itself. Locks are taken in the order of the variants, and customers in
/// the order of their ids, so that two transactions never wait for each other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock<'a> {
    /// Something that one transaction does at a time.
    Name(&'static str),
    /// A write that carries this `Idempotency-Key`.
    Key(&'a [u8; 32]),
    /// Writes about one customer.
    Customer(CustomerHashId),
}

impl Tx<'_> {
    /// What this database says in other words.
    pub(super) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &super::sqlite::DIALECT,
            Self::Postgres(_) => &super::postgres::DIALECT,
        }
    }

    /// Waits until nobody else holds the lock, and holds it until the transaction ends. SQLite has one writer at a time
    /// and needs none.
    pub(super) fn lock(&self, lock: Lock<'_>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.lock(lock),
        }
    }

    /// The moment by which leases are measured, `local` being what this process's clock shows. Several processes agree on
    /// the database's clock; the one process of an SQLite database has its own.
    pub(super) fn now(&self, local: Timestamp) -> Result<Timestamp, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(local),
            Self::Postgres(session) => session.now(local),
        }
    }

    /// A moment of this process's clock, which shows `local` now, by the clock that claims go by: a replica whose clock is
    /// ahead keeps nobody waiting.
    pub(super) fn due(&self, at: Timestamp, local: Timestamp) -> Result<Timestamp, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(at),
            Self::Postgres(session) => {
                let ahead = session.ahead(local)?;
                Ok(at.checked_sub(ahead).unwrap_or(at))
            }
        }
    }

    /// Runs a statement. Gives how many rows it wrote.
    pub(super) fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.prepare_cached(sql)?.execute(values)?),
            Self::Postgres(session) => session.execute(sql, values),
        }
    }

    /// Runs a query that gives few rows.
    pub(super) fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                sqlite_rows(&mut statement, values, usize::MAX)
            }
            Self::Postgres(session) => session.query(sql, values),
        }
    }

    /// Every row of a query that gives few, as `read` has it.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.query(sql, values)?.iter().map(read).collect()
    }

    /// The first row of a query, as `read` has it.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let rows = match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                sqlite_rows(&mut statement, values, 1)?
            }
            Self::Postgres(session) => session.query(sql, values)?,
        };
        rows.first().map(read).transpose()
    }

    /// The first row of a query that always gives one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.first(sql, values, read)?
            .ok_or_else(|| StoreError::Unavailable("the database gave no row where one always is".to_owned()))
    }

    /// Whether a query gives any row.
    pub(super) fn exists(&self, sql: &str, values: Values<'_>) -> Result<bool, StoreError> {
        Ok(self.first(sql, values, |_| Ok(()))?.is_some())
    }

    /// The first `most` rows that can be read, of a query that may give very many. Rows come as they are asked for; a
    /// limit in the query would count those that are left out.
    pub(super) fn readable<T>(
        &self,
        sql: &str,
        values: Values<'_>,
        most: usize,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut take = |row: &Row| {
            match read(row) {
                Ok(value) => found.push(value),
                // The others are still worth showing; who asks for this one alone hears that it cannot be read.
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "a row is left out of a list");
                }
                Err(error) => return Err(error),
            }
            Ok(found.len() < most)
        };
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(values)?;
                while let Some(row) = rows.next()? {
                    if !take(&sqlite_row(row)?)? {
                        break;
                    }
                }
            }
            Self::Postgres(session) => session.scroll(sql, values, &mut take)?,
        }
        Ok(found)
    }
}

fn sqlite_rows(
    statement: &mut CachedStatement<'_>,
    values: Values<'_>,
    most: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        found.push(sqlite_row(row)?);
    }
    Ok(found)
}

fn sqlite_row(row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let columns = row.as_ref().column_count();
    let cells = (0..columns).map(|index| Ok(Cell::of(row.get_ref(index)?)));
    Ok(Row { cells: cells.collect::<Result<_, rusqlite::Error>>()? })
}

/// One row of an answer.
pub(super) struct Row {
    cells: Vec<Cell>,
}

/// A value, or text that is not UTF-8: a damaged row must not keep the others from being read.
enum Cell {
    Sound(Value),
    BadText(Vec<u8>),
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        match Value::try_from(value) {
            Ok(value) => Self::Sound(value),
            Err(_) => Self::BadText(value.as_bytes().unwrap_or_default().to_vec()),
        }
    }

    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Sound(value) => value.into(),
            Self::BadText(bytes) => ValueRef::Text(bytes),
        }
    }
}

impl Row {
    /// A row from another database.
    pub(super) fn new(cells: Vec<Value>) -> Self {
        Self { cells: cells.into_iter().map(Cell::Sound).collect() }
    }

    /// The cell in column `index`, counted from 0. A value that its column cannot have is the trouble of this row.
    pub(super) fn get<T: FromSql>(&self, index: usize) -> Result<T, StoreError> {
        let damaged = |why: &dyn std::fmt::Display| StoreError::Corrupt {
            table: UNNAMED,
            row: UNNAMED.to_owned(),
            why: format!("column {index}: {why}"),
        };
        let cell = self.cells.get(index).ok_or_else(|| damaged(&"there is no such column"))?;
        T::column_result(cell.as_ref()).map_err(|error| damaged(&error))
    }

    /// The bytes of a text or a blob in column `index`, whatever they are.
    pub(super) fn bytes(&self, index: usize) -> Result<&[u8], StoreError> {
        let bytes = self.cells.get(index).and_then(|cell| cell.as_ref().as_bytes_or_null().ok().flatten());
        bytes.ok_or_else(|| StoreError::Corrupt {
            table: UNNAMED,
            row: UNNAMED.to_owned(),
            why: format!("column {index} has no bytes"),
        })
    }
}
