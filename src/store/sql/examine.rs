//! What `doctor` wants to know of a database. Some of it goes through a table, and is asked by a person alone.

use std::fmt::Write as _;

use rusqlite::ToSql;
use rusqlite::params;

use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::tx::Tx;

/// Name and version of the database, and the number of its schema.
pub(in crate::store) fn version(tx: &Tx<'_>) -> Result<(String, i64), StoreError> {
    tx.one(tx.dialect().version, params![], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A data key that begins so, with whose it is.
pub(in crate::store) fn key_beginning(
    tx: &Tx<'_>,
    beginning: &[u8],
) -> Result<Option<(CustomerHashId, Vec<u8>)>, StoreError> {
    let sql = format!(
        "SELECT customer, wrapped FROM data_key WHERE substr(wrapped, 1, {}) = ?1 LIMIT 1",
        beginning.len()
    );
    tx.first(&sql, params![beginning], |row| Ok((CustomerHashId::from_bytes(row.get(0)?), row.get(1)?)))
}

/// A data key that begins like none of these.
pub(in crate::store) fn key_beginning_otherwise(
    tx: &Tx<'_>,
    beginnings: &[Vec<u8>],
) -> Result<Option<Vec<u8>>, StoreError> {
    // A key that was destroyed is no key any more.
    let mut sql = "SELECT wrapped FROM data_key WHERE length(wrapped) > 0".to_owned();
    for (number, beginning) in (1..).zip(beginnings) {
        let _ = write!(sql, " AND substr(wrapped, 1, {}) <> ?{number}", beginning.len());
    }
    sql.push_str(" LIMIT 1");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for beginning in beginnings {
        values.push(beginning);
    }
    tx.first(&sql, &values, |row| row.get(0))
}
