//! What Nium asks of a customer, as last fetched.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{ms, timestamp};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{KeptRfi, RfiChange};
use crate::store::tx::Tx;

/// Writes what a look found out about it.
pub(in crate::store) fn change(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    change: &RfiChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        RfiChange::Keep => {}
        RfiChange::Drop => {
            tx.execute("DELETE FROM rfi WHERE customer = ?1", params![customer.as_bytes()])?;
        }
        RfiChange::Put(sealed) => {
            tx.execute(
                "INSERT INTO rfi (customer, sealed, fetched_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (customer) DO UPDATE
                 SET sealed = excluded.sealed, fetched_at = excluded.fetched_at",
                params![customer.as_bytes(), sealed, ms(now)],
            )?;
        }
    }
    Ok(())
}

/// What is asked of a customer; `None` when nothing is, or it was not fetched yet.
pub(in crate::store) fn kept(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Option<KeptRfi>, StoreError> {
    let row: Option<(Vec<u8>, i64)> = tx.first(
        "SELECT sealed, fetched_at FROM rfi WHERE customer = ?1",
        params![customer.as_bytes()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    row.map(|(sealed, at)| Ok(KeptRfi { sealed, fetched_at: timestamp(at)? })).transpose()
}
