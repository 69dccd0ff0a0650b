//! What can go wrong at the store's door, split by what a caller can do about it.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already; try again in a moment.
    #[error("the store is busy: {0} writes wait already")]
    Busy(usize),
    /// The database cannot be reached, written or waited for; nothing is known to have been stored.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Another transaction was in the way again and again; nothing was stored.
    #[error("another transaction was in the way: {0}")]
    InTheWay(String),
    /// A row cannot be believed; a person has to look.
    #[error("the stored {table} of {row} cannot be read: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it, without its content.
        why: String,
    },
    /// The customer was erased; nothing about them is stored again.
    #[error("the customer was erased")]
    Erased,
    /// The database was written by a newer release.
    #[error(
        "the database has schema {found}, this release knows up to {known}: start the newer release, or restore a backup"
    )]
    Newer {
        /// The schema that was found.
        found: u32,
        /// The newest this release knows.
        known: u32,
    },
    /// The database was written by an older release, which may still run on it.
    #[error(
        "the database has schema {found}, this release has {known}: start the service of this release, which brings it there, \
         or use the command of the release that runs"
    )]
    Older {
        /// The schema that was found.
        found: u32,
        /// The newest this release knows.
        known: u32,
    },
    /// Everything is being copied out of the database.
    #[error(
        "a `reinstate store copy` out of this database is under way: what is written now would be left behind"
    )]
    Moving,
    /// A copy into the database was not finished.
    #[error(
        "a `reinstate store copy` into this database was not finished: run it again with the same source"
    )]
    HalfACopy,
    /// The database says that something is stored before it is on disk.
    #[error(
        "the database acknowledges commits before they are on disk (synchronous_commit = off), and a callback that was answered \
         200 could be lost: ALTER ROLE … SET synchronous_commit = on"
    )]
    NotDurable,
    /// Another process serves from this database.
    #[error("{0} is in use by another `reinstate serve`; one process owns an SQLite database")]
    InUse(String),
}

/// The table and the row of an error that does not know them yet; see [`StoreError::in_row`].
pub(super) const UNNAMED: &str = "row";

impl StoreError {
    /// Whether the database may answer if it is asked again in a moment.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy(_) | Self::InTheWay(_))
    }

    /// Says which row it was, if the error is about a row and nobody has said so yet.
    pub(super) fn in_row(self, table: &'static str, row: &impl ToString) -> Self {
        match self {
            Self::Corrupt { table: UNNAMED, why, .. } => Self::Corrupt { table, row: row.to_string(), why },
            named => named,
        }
    }
}

/// Whether a value was read that its column cannot have: the trouble of that row, while the database itself is well.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // Messages of SQLite name tables and constraints, never values.
        let why = error.to_string();
        if is_damage(&error) {
            Self::Corrupt { table: UNNAMED, row: UNNAMED.to_owned(), why }
        } else {
            Self::Unavailable(why)
        }
    }
}
