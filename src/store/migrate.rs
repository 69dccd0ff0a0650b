//! Migrations: numbered, one list. A newer schema than this release knows refuses to start.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// The statements of each step, in order; the number of a step is its place, from 1.
const SQLITE: &[&str] = &[
    include_str!("migrations/0001_main_job.sqlite.sql"),
    include_str!("migrations/0002_never_lose.sqlite.sql"),
    include_str!("migrations/0003_life_cycle.sqlite.sql"),
    include_str!("migrations/0004_onboarding.sqlite.sql"),
    include_str!("migrations/0005_rfi.sqlite.sql"),
    include_str!("migrations/0006_search.sqlite.sql"),
    include_str!("migrations/0007_officer.sqlite.sql"),
];

/// Brings an SQLite database to the schema of this release; each step is one transaction with its number.
pub fn sqlite(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(SQLITE.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, step) in (1_u32..).zip(SQLITE) {
        if number <= found {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        // Another process may have taken this step while we waited for the lock.
        let now_at: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if now_at < number {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
            tracing::info!(step = number, "database migrated");
        }
    }
    Ok(())
}
