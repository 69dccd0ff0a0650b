//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer thread (see [`writer`]), a few read-only
//! connections, and a thread that checkpoints so that the writer need not.

mod backup;
mod fold;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

pub use self::backup::{Holds, backup, restore};
use self::fold::Entry;
use self::writer::Writer;
use super::dialect::Dialect;
use super::error::StoreError;
use super::tx::Tx;
use super::{Use, migrate, wake::Wake};
use crate::domain::nudge::Nudge;

/// What SQLite says in its own words.
pub(super) const DIALECT: Dialect = Dialect {
    skip_locked: "",
    overwrite: Some(("PRAGMA secure_delete = ON", "PRAGMA secure_delete = OFF")),
    version: "SELECT 'SQLite ' || sqlite_version(), user_version FROM pragma_user_version",
    unfolded: "SELECT coalesce((SELECT max(id) FROM callback_log), 0)
         - coalesce((SELECT position FROM cursor WHERE name = 'fold'), 0)",
    oldest_unfolded: "SELECT at FROM callback_log
         WHERE id > coalesce((SELECT position FROM cursor WHERE name = 'fold'), 0) ORDER BY id LIMIT 1",
    last_callback: "SELECT at FROM callback_log ORDER BY id DESC LIMIT 1",
    // The newest row stays: it is what tells when the last callback came.
    drop_log: Some(
        "DELETE FROM callback_log WHERE id > ?1 AND id <= ?2 AND at < ?3
             AND id <= (SELECT position FROM cursor WHERE name = 'fold') AND id < (SELECT max(id) FROM callback_log)
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = callback_log.customer)",
    ),
    compliance: "CASE WHEN json_valid(facts) THEN facts ->> 'compliance' END",
    status: "CASE WHEN json_valid(facts) THEN facts ->> 'status' END",
    kind: "CASE WHEN json_valid(facts) THEN facts ->> 'kind' END",
    class: "CASE WHEN json_valid(data) THEN data ->> '$.grounds.class' END",
    deadline: "CASE WHEN state = 'awaiting_correction'
         THEN CASE WHEN json_valid(data) THEN substr(data ->> '$.deadline', 1, 19) END
         WHEN instr(beside, '\"overdue\":false') > 0 AND json_valid(beside)
         THEN substr(beside ->> '$.rfi.deadline', 1, 19) END",
};

/// The oldest SQLite that is safe here: earlier ones can lose a commit when the write-ahead log is reset.
const SQLITE_LEAST: i32 = 3_051_003;
/// Connections that read at once.
const READERS: usize = 4;
/// How often the write-ahead log is copied into the database, off the writer.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// Frames in the write-ahead log at which the writer itself checkpoints: the other thread could not keep up.
const CHECKPOINT_FRAMES: i64 = 16_000;
/// How long writers may be held up while the write-ahead log is begun anew.
const EMPTY_WAIT: Duration = Duration::from_millis(20);
/// What goes wrong again and again is said this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);
/// How long a connection waits for another process's lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// An open SQLite database.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop_checkpoints: SyncSender<()>,
    /// Set, the write-ahead log is soon begun anew: what was deleted stands in it until then.
    pub(super) empties: Arc<AtomicBool>,
    /// Held for as long as we serve; the operating system lets go of it when we die.
    owner: Mutex<Option<File>>,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    seats: Semaphore,
}

impl Sqlite {
    /// Opens `path`, creating it and its folders, and brings it to this release's schema.
    pub(super) fn open(path: &Path, used: Use, wake: Wake) -> Result<Self, StoreError> {
        if rusqlite::version_number() < SQLITE_LEAST {
            return Err(StoreError::Unavailable(format!("SQLite {} is too old", rusqlite::version())));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
        }
        let owner = match used {
            Use::Serve | Use::Move => Some(own(path)?),
            Use::Tool => None,
        };
        let mut connection = Connection::open(path)?;
        prepare(&connection)?;
        if used == Use::Tool {
            migrate::sqlite_is_current(&connection)?;
        }
        migrate::sqlite(&mut connection)?;
        if used != Use::Move && migrate::sqlite_is_half_a_copy(&connection)? {
            return Err(StoreError::HalfACopy);
        }
        let readers = (0..READERS).map(|_| read_only(path)).collect::<Result<Vec<_>, _>>()?;
        let (stop_checkpoints, stopped) = sync_channel(1);
        let empties = Arc::new(AtomicBool::new(false));
        let checkpoints = checkpoint_by_the_side(read_write(path)?, stopped, Arc::clone(&empties))?;
        let (writer, thread) = Writer::start(connection, wake)?;
        Ok(Self {
            writer,
            readers: Arc::new(Readers { idle: Mutex::new(readers), seats: Semaphore::new(READERS) }),
            threads: Mutex::new(vec![thread, checkpoints]),
            stop_checkpoints,
            empties,
            owner: Mutex::new(owner),
        })
    }

    /// Appends one nudge to the log and waits until it is on disk.
    pub(super) async fn record(&self, nudge: Nudge, at: Timestamp, again: bool) -> Result<i64, StoreError> {
        self.writer.record(Entry { nudge, at_ms: at.as_millisecond(), again }).await
    }

    /// Runs one transaction among those that the writer thread does next.
    pub(super) async fn write<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run(move |connection| work(&Tx::Sqlite(connection))).await
    }

    /// Runs one short read on a thread where blocking is allowed.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let _seat = self.readers.seats.acquire().await.map_err(|_| closed())?;
        tokio::task::spawn_blocking(move || {
            let taken = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(connection) = taken else {
                return Err(closed());
            };
            let answer = query(&Tx::Sqlite(&connection));
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        })
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Finishes what waits and closes the threads. Blocks until they have ended.
    pub(super) fn close(&self) {
        self.writer.stop();
        let _ = self.stop_checkpoints.try_send(());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
        if let Some(owner) = self.owner.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Closing alone leaves the lock with a child process that is just being started: it has all our files for a moment.
            let _ = owner.unlock();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

fn cannot(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Makes sure that one process serves from this database.
fn own(path: &Path) -> Result<File, StoreError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = File::options()
        .create(true)
        .append(true)
        .open(&lock_path)
        .map_err(|error| cannot(&lock_path, &error))?;
    lock.try_lock().map_err(|_| StoreError::InUse(path.display().to_string()))?;
    Ok(lock)
}

/// Settings of the connection that writes. The page size only counts for a database that is still empty.
fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_FRAMES)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn read_write(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Copies the write-ahead log into the database again and again, so that the writer is not held up by it.
fn checkpoint_by_the_side(
    connection: Connection,
    stopped: std::sync::mpsc::Receiver<()>,
    empties: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, StoreError> {
    connection.busy_timeout(EMPTY_WAIT)?;
    let mut told: Option<Instant> = None;
    let every = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(CHECKPOINT_EVERY) {
            let is_to_empty = empties.swap(false, Ordering::Relaxed);
            let how = if is_to_empty { "TRUNCATE" } else { "PASSIVE" };
            let passed = connection
                .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| row.get::<_, bool>(0));
            match passed {
                // Somebody reads; it is tried again.
                Ok(true) if is_to_empty => empties.store(true, Ordering::Relaxed),
                Ok(_) => {}
                Err(error) => {
                    empties.fetch_or(is_to_empty, Ordering::Relaxed);
                    if told.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "a checkpoint failed; it is tried again");
                    }
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("store-checkpoint".to_owned())
        .spawn(every)
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}
