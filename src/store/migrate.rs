//! Migrations: numbered, one list, each step for both databases. A newer schema than this release knows refuses to start,
//! unless it says that this release may still run on it.

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::StoreError;
use super::postgres::Session;
use super::tx::Lock;

/// One step, for each database; its number is its place, from 1.
struct Step {
    sqlite: &'static str,
    postgres: &'static str,
    /// The oldest schema whose release still runs beside this step: a rolling update has both for a while.
    runs_from: u32,
}

/// A step that lies in two files of the same name.
macro_rules! step {
    ($name:literal, runs_from $runs_from:literal) => {
        Step {
            sqlite: include_str!(concat!("migrations/", $name, ".sqlite.sql")),
            postgres: include_str!(concat!("migrations/", $name, ".postgres.sql")),
            runs_from: $runs_from,
        }
    };
}

const STEPS: &[Step] = &[
    step!("0001_main_job", runs_from 1),
    step!("0002_never_lose", runs_from 2),
    step!("0003_life_cycle", runs_from 3),
    step!("0004_onboarding", runs_from 4),
    step!("0005_rfi", runs_from 5),
    step!("0006_search", runs_from 6),
    step!("0007_officer", runs_from 7),
    step!("0008_replicas", runs_from 7),
    step!("0009_destinations", runs_from 9),
    step!("0010_links", runs_from 9),
    step!("0011_audit", runs_from 9),
    step!("0012_console", runs_from 9),
    step!("0013_overview", runs_from 9),
    step!("0014_lists", runs_from 9),
    step!("0015_privacy", runs_from 9),
];

fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The steps after `found`, with their numbers.
fn after(found: u32) -> impl Iterator<Item = (u32, &'static Step)> {
    (1_u32..).zip(STEPS).filter(move |(number, _)| *number > found)
}

/// The schema of an SQLite database, if this release knows it.
pub(super) fn sqlite_is_known(connection: &Connection) -> Result<u32, StoreError> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known() { Err(StoreError::Newer { found, known: known() }) } else { Ok(found) }
}

/// A command changes nothing beside a service of the release before, which would not start again; an empty file is nobody's yet.
// differs: on PostgreSQL it is asked together with the rest
pub(super) fn sqlite_is_current(connection: &Connection) -> Result<(), StoreError> {
    let (found, known) = (sqlite_is_known(connection)?, known());
    if (1..known).contains(&found) { Err(StoreError::Older { found, known }) } else { Ok(()) }
}

/// Brings an SQLite database to the schema of this release; each step is one transaction with its number.
pub(super) fn sqlite(connection: &mut Connection) -> Result<(), StoreError> {
    let found = sqlite_is_known(connection)?;
    for (number, step) in after(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        // Another process may have taken this step while we waited for the lock.
        let now_at: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if now_at < number {
            transaction.execute_batch(step.sqlite)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
            tracing::info!(step = number, "database migrated");
        }
    }
    Ok(())
}

/// What a PostgreSQL database is to this release.
pub(super) enum Schema {
    /// It runs on it.
    Runs,
    /// It was written by an older release.
    Older { found: u32, known: u32 },
    /// There is nothing in it.
    Empty,
}

/// What a PostgreSQL database is to this release. Fails if that is nothing it may touch.
// differs: the version is a table, and beside it stands the oldest schema whose release may still run
pub(super) fn postgres_schema(session: &Session) -> Result<Schema, StoreError> {
    let there = "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('schema_version')";
    if session.query(there, &[])?.is_empty() {
        return Ok(Schema::Empty);
    }
    match version(session)? {
        None | Some((0, _)) => Ok(Schema::Empty),
        Some((found, _)) if found < known() => Ok(Schema::Older { found, known: known() }),
        Some((found, runs_from)) if known() < runs_from => Err(StoreError::Newer { found, known: known() }),
        Some(_) => Ok(Schema::Runs),
    }
}

/// How long a step waits for a table that somebody works on. Everybody who comes after it waits as long.
const TABLE_WAIT: &str = "SET LOCAL lock_timeout = '3s'";

/// Takes the next step towards the schema of this release on PostgreSQL, or all of them where there is nothing yet; the step
/// and its number are one transaction. Ten replicas may start at once; one takes the step, and the others wait for it.
pub(super) fn postgres_step(session: &Session) -> Result<(), StoreError> {
    session.lock(Lock::Name("migrate"))?;
    session.batch(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, runs_from BIGINT NOT NULL)",
    )?;
    let (found, _) = version(session)?.unwrap_or((0, 0));
    session.batch(TABLE_WAIT)?;
    for (number, step) in after(found).take(if found == 0 { STEPS.len() } else { 1 }) {
        tracing::info!(step = number, "a step of the database's migration begins");
        session.batch(step.postgres)?;
        session.batch("DELETE FROM schema_version")?;
        let write = "INSERT INTO schema_version (version, runs_from) VALUES (?1, ?2)";
        session.execute(write, params![number, step.runs_from])?;
        tracing::info!(step = number, "database migrated");
    }
    Ok(())
}

/// The schema that is there, and the oldest that may still run on it.
fn version(session: &Session) -> Result<Option<(u32, u32)>, StoreError> {
    let rows = session.query("SELECT version, runs_from FROM schema_version", &[])?;
    rows.first().map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// Whether a copy into the database was not finished.
pub(super) fn sqlite_is_half_a_copy(connection: &Connection) -> Result<bool, StoreError> {
    let there = "SELECT 1 FROM sqlite_master WHERE name = 'copy_progress'";
    Ok(connection.prepare(there)?.exists([])?)
}

/// Whether a copy into the database was not finished.
// differs: tables are listed elsewhere
pub(super) fn postgres_is_half_a_copy(session: &Session) -> Result<bool, StoreError> {
    let there = "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('copy_progress')";
    Ok(!session.query(there, &[])?.is_empty())
}
