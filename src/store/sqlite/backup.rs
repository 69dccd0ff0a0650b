//! A copy of an SQLite database that is whole by itself, made while the service runs, and its way back.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{cannot, own, read_only};
use crate::store::error::StoreError;
use crate::store::migrate;

/// What a database holds, for whoever made a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Customers with a case.
    pub cases: i64,
    /// Callbacks on file, folded or not.
    pub callbacks: i64,
}

/// What a database consists of, by the ends of the names; the database itself last.
const FILES: [&str; 3] = ["-wal", "-shm", ""];

/// Writes a copy of the database at `from` to the new file `to`. Writers go on meanwhile: the copy is of the moment at
/// which it begins. It is checked before it gets its name, and on disk when this returns.
pub fn backup(from: &Path, to: &Path) -> Result<Holds, StoreError> {
    if to.exists() {
        return Err(StoreError::Unavailable(format!("{} is there already; name a new file", to.display())));
    }
    let part = copied(from, to)?;
    let holds = check(&part)?;
    settle(&part, to)?;
    Ok(holds)
}

/// Puts the copy `from` at `to`, from which nobody serves. What is there keeps lying beside it under the name that this
/// gives; without `replace` nothing may be there.
pub fn restore(
    from: &Path,
    to: &Path,
    replace: bool,
    stamp: &str,
) -> Result<(Holds, Option<PathBuf>), StoreError> {
    let holds = check(from)?;
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    }
    let _owner = own(to)?;
    if to.exists() && !replace {
        return Err(StoreError::Unavailable(format!(
            "{} holds a database already; --replace puts it aside and takes its place",
            to.display()
        )));
    }
    let part = copied(from, to)?;
    // Also where the file itself is gone already: a log that it left behind would be played into the new one.
    let is_there = FILES.iter().any(|ending| beside(to, ending).exists());
    let aside = is_there.then(|| beside(to, &format!(".{stamp}")));
    if let Some(aside) = &aside {
        // Its write-ahead log goes with it: it belongs to no other database.
        for ending in FILES {
            let (old, new) = (beside(to, ending), beside(aside, ending));
            if old.exists() {
                std::fs::rename(&old, &new).map_err(|error| cannot(&old, &error))?;
            }
        }
    }
    settle(&part, to)?;
    Ok((holds, aside))
}

/// Copies a database, with what stands in its write-ahead log, to a file beside `to`; whatever an earlier attempt left there goes.
fn copied(from: &Path, to: &Path) -> Result<PathBuf, StoreError> {
    let part = beside(to, ".part");
    if part.exists() {
        std::fs::remove_file(&part).map_err(|error| cannot(&part, &error))?;
    }
    // One read transaction; a copy in steps would begin anew with every write of the service.
    read_only(from)?.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    Ok(part)
}

/// Flushes a finished file and gives it its name.
fn settle(part: &Path, to: &Path) -> Result<(), StoreError> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(part).and_then(|file| file.sync_all()).map_err(|error| cannot(part, &error))?;
    std::fs::rename(part, to).map_err(|error| cannot(to, &error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| cannot(folder, &error))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether a file is a sound database that this release can read.
fn check(path: &Path) -> Result<Holds, StoreError> {
    let unsound = |why: String| StoreError::Unavailable(format!("{}: {why}", path.display()));
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| unsound(error.to_string()))?;
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0));
    let said: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| unsound(error.to_string()))?;
    if said != "ok" {
        return Err(unsound(said));
    }
    migrate::sqlite_is_known(&database)?;
    let unfolded =
        "SELECT count(*) FROM callback_log WHERE id > (SELECT position FROM cursor WHERE name = 'fold')";
    let callbacks = number("SELECT count(*) FROM callback")? + number(unfolded)?;
    Ok(Holds { cases: number("SELECT count(*) FROM cases")?, callbacks })
}
