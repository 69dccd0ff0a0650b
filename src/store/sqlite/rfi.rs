//! What Nium asks of a customer, as last fetched.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::column::{ms, timestamp};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{KeptRfi, RfiChange};

/// Writes what a look found out about it.
pub(super) fn change(
    connection: &Connection,
    customer: CustomerHashId,
    change: &RfiChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        RfiChange::Keep => {}
        RfiChange::Drop => {
            connection
                .prepare_cached("DELETE FROM rfi WHERE customer = ?1")?
                .execute(params![customer.as_bytes()])?;
        }
        RfiChange::Put(sealed) => {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO rfi (customer, sealed, fetched_at) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![customer.as_bytes(), sealed, ms(now)])?;
        }
    }
    Ok(())
}

/// What is asked of a customer; `None` when nothing is, or it was not fetched yet.
pub(super) fn kept(connection: &Connection, customer: CustomerHashId) -> Result<Option<KeptRfi>, StoreError> {
    let row: Option<(Vec<u8>, i64)> = connection
        .prepare_cached("SELECT sealed, fetched_at FROM rfi WHERE customer = ?1")?
        .query_row(params![customer.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(sealed, at)| Ok(KeptRfi { sealed, fetched_at: timestamp(at)? })).transpose()
}
