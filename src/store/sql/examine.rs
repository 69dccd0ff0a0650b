//! What `doctor` wants to know of a database.

use rusqlite::params;

use crate::store::error::StoreError;
use crate::store::tx::Tx;

/// Name and version of the database, and the number of its schema.
pub(in crate::store) fn version(tx: &Tx<'_>) -> Result<(String, i64), StoreError> {
    tx.one(tx.dialect().version, params![], |row| Ok((row.get(0)?, row.get(1)?)))
}
