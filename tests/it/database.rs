//! The databases that the tests run on: SQLite, or PostgreSQL where `REINSTATE_TEST_STORE=postgres` says so. The tests
//! are the same; `tests/run` runs them on both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reinstate::store::{Place, PostgresOptions, PostgresTls};

use crate::postgres;

/// Whether the tests run on PostgreSQL.
pub fn on_postgres() -> bool {
    match std::env::var("REINSTATE_TEST_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("REINSTATE_TEST_STORE is sqlite or postgres, not {other}"),
    }
}

/// Fails where the tests run on PostgreSQL: a test that is about SQLite itself is left out there by its name, which ends
/// with `on_sqlite`, or with its whole module; see `tests/run`.
pub fn about_sqlite() {
    assert!(!on_postgres(), "this is about SQLite itself: leave it out with --skip on_sqlite");
}

/// A database of one test.
pub enum Database {
    Sqlite(PathBuf),
    Postgres(postgres::Database),
}

impl Database {
    /// A new one; whatever needs a file has it in `folder`.
    pub fn fresh(folder: &Path) -> Self {
        if on_postgres() {
            Self::Postgres(postgres::cluster().fresh())
        } else {
            Self::Sqlite(folder.join("reinstate.db"))
        }
    }

    /// As `store.url` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// As the store itself is told.
    pub fn place(&self) -> Place {
        match self {
            Self::Sqlite(file) => Place::Sqlite(file.clone()),
            Self::Postgres(database) => Place::Postgres(Box::new(PostgresOptions {
                url: database.url().split('?').next().unwrap().to_owned(),
                tls: PostgresTls::Off,
                listen: None,
                wake_ups: true,
                connections: 6,
            })),
        }
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(file) => file.clone(),
            Self::Postgres(_) => panic!("this test is about SQLite"),
        }
    }

    /// Runs statements beside the service.
    pub fn sql(&self, statements: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(file) => open(file).execute_batch(statements).map_err(|error| error.to_string()),
            Self::Postgres(database) => database.sql(statements).map(drop),
        }
    }

    /// The one number that a query gives.
    pub fn number(&self, query: &str) -> i64 {
        match self {
            Self::Sqlite(file) => open(file).query_row(query, [], |row| row.get(0)).unwrap(),
            Self::Postgres(database) => database.sql(query).unwrap().trim().parse().unwrap(),
        }
    }

    /// The one text that a query gives.
    pub fn text(&self, query: &str) -> String {
        match self {
            Self::Sqlite(file) => open(file).query_row(query, [], |row| row.get(0)).unwrap(),
            Self::Postgres(database) => database.sql(query).unwrap(),
        }
    }

    /// Fails if one of these texts lies open anywhere in it.
    pub fn hides(&self, canaries: &[&str]) {
        let everything = self.everything();
        assert!(everything.len() > 1_000, "there is nothing to look at");
        for canary in canaries {
            let found = everything.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} lies open in the database");
        }
    }

    /// Whether these bytes stand anywhere in it.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        self.everything().windows(bytes.len()).any(|window| window == bytes)
    }

    fn everything(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(file) => {
                let wal = format!("{}-wal", file.display());
                [file.clone(), wal.into()]
                    .iter()
                    .flat_map(|path| std::fs::read(path).unwrap_or_default())
                    .collect()
            }
            Self::Postgres(database) => {
                let tables = database.sql(
                    "SELECT string_agg('COPY ' || quote_ident(tablename) || ' TO STDOUT', ';')
                     FROM pg_tables WHERE schemaname = 'public'",
                );
                // Bytes come out as hex; what is text comes out as text.
                let rows = database.sql(tables.unwrap().trim()).unwrap();
                let unhexed = rows.split("\\\\x").flat_map(|part| {
                    let end = part.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(part.len());
                    hex::decode(&part[..end / 2 * 2]).unwrap_or_default()
                });
                let mut everything: Vec<u8> = unhexed.collect();
                everything.extend_from_slice(rows.as_bytes());
                everything
            }
        }
    }
}

fn open(file: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}
