//! What the whole fleet does once: sweeps, judging, expiring, cleaning up. Whoever is on duty does it, and whoever waits
//! takes over when the duty ends without being renewed.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use super::column::ms;
use super::sweeps;
use crate::store::end_of;
use crate::store::error::StoreError;
use crate::store::tx::Tx;

/// Law: one replica is on duty at a time, by the clock of the database. Whoever takes it over, or begins, goes back one
/// page of the sweep: nobody knows how far the one before had come.
pub(in crate::store) fn take(
    tx: &Tx<'_>,
    holder: &str,
    begins: bool,
    local: Timestamp,
    span: Duration,
) -> Result<bool, StoreError> {
    let now = tx.now(local)?;
    let before = tx.first("SELECT holder FROM duty WHERE name = 'house'", params![], |row| row.get(0))?;
    let before: Option<String> = before;
    let taken = tx.execute(
        "INSERT INTO duty (name, holder, until) VALUES ('house', ?1, ?2)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE duty.holder = excluded.holder OR duty.until <= ?3",
        params![holder, ms(end_of(now, span)), ms(now)],
    )?;
    if taken == 1 && (begins || before.as_deref() != Some(holder)) {
        sweeps::resume(tx, now)?;
    }
    Ok(taken == 1)
}

/// Whether everything is being copied out of the database.
pub(in crate::store) fn is_moving(tx: &Tx<'_>, local: Timestamp) -> Result<bool, StoreError> {
    let now = tx.now(local)?;
    tx.exists("SELECT 1 FROM duty WHERE name = 'copy' AND until > ?1", params![ms(now)])
}

/// Law: while everything is being copied out, nobody begins to serve. It ends by itself when the copy has ended, however.
pub(in crate::store) fn move_out(tx: &Tx<'_>, local: Timestamp, span: Duration) -> Result<(), StoreError> {
    let now = tx.now(local)?;
    tx.execute(
        "INSERT INTO duty (name, holder, until) VALUES ('copy', 'store copy', ?1)
         ON CONFLICT (name) DO UPDATE SET until = excluded.until",
        params![ms(end_of(now, span))],
    )
    .map(drop)
}

/// The copy has ended.
pub(in crate::store) fn moved_out(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM duty WHERE name = 'copy'", params![]).map(drop)
}

/// Gives the duty back, so that another need not wait for its end.
pub(in crate::store) fn leave(tx: &Tx<'_>, holder: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM duty WHERE name = 'house' AND holder = ?1", params![holder]).map(drop)
}
