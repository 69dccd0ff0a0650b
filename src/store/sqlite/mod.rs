//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer thread (see [`writer`]), a few read-only
//! connections, and a thread that checkpoints so that the writer need not.

mod ask;
mod column;
mod findings;
mod fold;
mod jobs;
mod officer;
mod onboard;
mod read;
mod rfi;
mod search;
mod sweeps;
mod tells;
mod work;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use self::fold::Entry;
use self::writer::Writer;
use super::error::StoreError;
use super::rows::watch::{
    JobFilter, JobPlace, JobRow, Judged, Retried, Silence, SweepRow, SweepTrouble, SweptPage,
};
use super::rows::{
    Acceptance, Applied, Asked, CallbackRow, CaseRow, Claimed, Commit, EffectRow, Finished, FirstAnswer,
    Gauges, KeptRedirect, KeptRfi, Lease, NewAct, NewSubmission, NewTell, Once, Recorder, Remember, Seats,
    TellLease, TellOutcome, TimelineRow, TokenRow,
};
use super::{Use, migrate, wake::Wake};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::nudge::Nudge;

/// The oldest SQLite that is safe here: earlier ones can lose a commit when the write-ahead log is reset.
const SQLITE_LEAST: i32 = 3_051_003;
/// Connections that read at once.
const READERS: usize = 4;
/// How often the write-ahead log is copied into the database, off the writer.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// Frames in the write-ahead log at which the writer itself checkpoints: the other thread could not keep up.
const CHECKPOINT_FRAMES: i64 = 16_000;
/// How long a connection waits for another process's lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// An open SQLite database.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop_checkpoints: SyncSender<()>,
    /// Held for as long as we serve; the operating system lets go of it when we die.
    _owner: Option<File>,
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
            Use::Serve => Some(own(path)?),
            Use::Tool => None,
        };
        let mut connection = Connection::open(path)?;
        prepare(&connection)?;
        migrate::sqlite(&mut connection)?;
        let readers = (0..READERS).map(|_| read_only(path)).collect::<Result<Vec<_>, _>>()?;
        let (stop_checkpoints, stopped) = sync_channel(1);
        let checkpoints = checkpoint_by_the_side(read_write(path)?, stopped)?;
        let (writer, thread) = Writer::start(connection, wake)?;
        Ok(Self {
            writer,
            readers: Arc::new(Readers { idle: Mutex::new(readers), seats: Semaphore::new(READERS) }),
            threads: Mutex::new(vec![thread, checkpoints]),
            stop_checkpoints,
            _owner: owner,
        })
    }

    pub(super) async fn record(&self, nudge: Nudge, at: Timestamp, again: bool) -> Result<i64, StoreError> {
        self.writer.record(Entry { nudge, at_ms: column::ms(at), again }).await
    }

    pub(super) async fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        seats: Seats,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.writer.run(move |connection| work::claim(connection, now, until, seats)).await
    }

    pub(super) async fn commit(
        &self,
        lease: Lease,
        commit: Commit,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        self.writer.run(move |connection| work::commit(connection, &lease, &commit, now)).await
    }

    pub(super) async fn forget(&self, lease: Lease, now: Timestamp) -> Result<Finished, StoreError> {
        self.writer.run(move |connection| work::forget(connection, &lease, now)).await
    }

    pub(super) async fn release_the_dead(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.writer.run(move |connection| work::release_the_dead(connection, now)).await
    }

    pub(super) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| work::next_due(connection, now)).await
    }

    pub(super) async fn claim_tells(
        &self,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<TellLease>, StoreError> {
        self.writer.run(move |connection| tells::claim(connection, now, until, most)).await
    }

    pub(super) async fn finish_tell(
        &self,
        lease: TellLease,
        outcome: TellOutcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        self.writer.run(move |connection| tells::finish(connection, &lease, &outcome, now)).await
    }

    pub(super) async fn correct(
        &self,
        submission: NewSubmission,
        now: Timestamp,
    ) -> Result<Acceptance, StoreError> {
        self.writer.run(move |connection| ask::correct(connection, &submission, now)).await
    }

    pub(super) async fn act(
        &self,
        act: NewAct,
        recorder: Option<Recorder>,
        now: Timestamp,
    ) -> Result<Once<Asked>, StoreError> {
        self.writer.run(move |connection| ask::act(connection, &act, recorder.as_ref(), now)).await
    }

    pub(super) async fn apply(
        &self,
        act: NewAct,
        recorder: Option<Recorder>,
        now: Timestamp,
    ) -> Result<Once<EffectKey>, StoreError> {
        self.writer.run(move |connection| onboard::apply(connection, &act, recorder.as_ref(), now)).await
    }

    pub(super) async fn applied(
        &self,
        lease: Lease,
        applied: Applied,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        self.writer.run(move |connection| onboard::applied(connection, &lease, &applied, now)).await
    }

    pub(super) async fn redirect(
        &self,
        customer: CustomerHashId,
    ) -> Result<Option<KeptRedirect>, StoreError> {
        self.read(move |connection| onboard::redirect(connection, customer)).await
    }

    pub(super) async fn rfi(&self, customer: CustomerHashId) -> Result<Option<KeptRfi>, StoreError> {
        self.read(move |connection| rfi::kept(connection, customer)).await
    }

    pub(super) async fn refresh(&self, customer: CustomerHashId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.run(move |connection| ask::refresh(connection, customer, now)).await
    }

    pub(super) async fn keep_application(
        &self,
        customer: CustomerHashId,
        sealed: Vec<u8>,
        remember: Option<Remember>,
        now: Timestamp,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        self.writer
            .run(move |connection| {
                ask::keep_application(connection, customer, &sealed, remember.as_ref(), now)
            })
            .await
    }

    pub(super) async fn keep_data_key(
        &self,
        customer: CustomerHashId,
        wrapped: Vec<u8>,
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        self.writer.run(move |connection| ask::keep_data_key(connection, customer, &wrapped, now)).await
    }

    pub(super) async fn drop_first_answers(
        &self,
        before: Timestamp,
        most: usize,
    ) -> Result<usize, StoreError> {
        self.writer.run(move |connection| ask::drop_first_answers(connection, before, most)).await
    }

    pub(super) async fn put_token(&self, token: TokenRow, hash: [u8; 32]) -> Result<(), StoreError> {
        self.writer.run(move |connection| ask::put_token(connection, &token, &hash)).await
    }

    pub(super) async fn revoke_token(&self, id: String, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.run(move |connection| ask::revoke_token(connection, &id, now)).await
    }

    pub(super) async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(ask::tokens).await
    }

    pub(super) async fn token(&self, hash: [u8; 32]) -> Result<Option<(String, String)>, StoreError> {
        self.read(move |connection| read::token(connection, &hash)).await
    }

    pub(super) async fn first_answer(&self, key: [u8; 32]) -> Result<Option<FirstAnswer>, StoreError> {
        self.read(move |connection| ask::first_answer(connection, &key)).await
    }

    pub(super) async fn case(&self, customer: CustomerHashId) -> Result<Option<CaseRow>, StoreError> {
        self.read(move |connection| read::case_row(connection, customer)).await
    }

    pub(super) async fn timeline(
        &self,
        customer: CustomerHashId,
        most: usize,
    ) -> Result<Vec<TimelineRow>, StoreError> {
        self.read(move |connection| read::timeline(connection, customer, most)).await
    }

    pub(super) async fn callbacks(
        &self,
        customer: Option<CustomerHashId>,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<CallbackRow>, StoreError> {
        self.read(move |connection| read::callbacks(connection, customer, before, most)).await
    }

    pub(super) async fn effect(&self, key: EffectKey) -> Result<Option<EffectRow>, StoreError> {
        self.read(move |connection| read::effect(connection, &key)).await
    }

    pub(super) async fn data_key(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| read::data_key(connection, customer)).await
    }

    pub(super) async fn application(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| read::application(connection, customer)).await
    }

    pub(super) async fn gauges(&self, now: Timestamp) -> Result<Gauges, StoreError> {
        self.read(move |connection| read::gauges(connection, now)).await
    }

    pub(super) async fn sweep_running(&self) -> Result<Option<SweepRow>, StoreError> {
        self.read(sweeps::running).await
    }

    pub(super) async fn newest_sweep(&self) -> Result<Option<SweepRow>, StoreError> {
        self.read(sweeps::newest).await
    }

    pub(super) async fn sweeps(&self, before: Option<i64>, most: usize) -> Result<Vec<SweepRow>, StoreError> {
        self.read(move |connection| sweeps::list(connection, before, most)).await
    }

    pub(super) async fn ask_sweep(
        &self,
        by: String,
        recorder: Option<Recorder>,
        now: Timestamp,
    ) -> Result<Once<(SweepRow, bool)>, StoreError> {
        self.writer.run(move |connection| sweeps::ask(connection, &by, recorder.as_ref(), now)).await
    }

    pub(super) async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobPlace>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |connection| jobs::list(connection, &filter, after.as_ref(), most, now)).await
    }

    pub(super) async fn count_jobs(&self, filter: JobFilter, now: Timestamp) -> Result<usize, StoreError> {
        self.read(move |connection| jobs::count(connection, &filter, now)).await
    }

    pub(super) async fn retry_jobs(
        &self,
        filter: JobFilter,
        expected: usize,
        by: String,
        recorder: Option<Recorder>,
        now: Timestamp,
    ) -> Result<Once<Retried>, StoreError> {
        self.writer
            .run(move |connection| {
                ask::once(connection, recorder.as_ref(), now, || {
                    let retried = jobs::retry(connection, &filter, expected, &by, now)?;
                    let answer = match retried {
                        Retried::Done(count) => Some(serde_json::json!({ "retried": count })),
                        Retried::Moved(_) => None,
                    };
                    Ok((retried, answer))
                })
            })
            .await
    }

    pub(super) async fn swept(&self, page: SweptPage, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.run(move |connection| sweeps::page(connection, &page, now)).await
    }

    pub(super) async fn sweep_trouble(
        &self,
        before: SweepRow,
        trouble: SweepTrouble,
        why: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer.run(move |connection| sweeps::trouble(connection, &before, &trouble, &why, now)).await
    }

    pub(super) async fn judge(&self, now: Timestamp, most: usize) -> Result<Judged, StoreError> {
        self.writer.run(move |connection| findings::judge(connection, now, most)).await
    }

    pub(super) async fn silence(&self, now: Timestamp) -> Result<Silence, StoreError> {
        self.read(move |connection| findings::silence(connection, now)).await
    }

    pub(super) async fn alarm(
        &self,
        raised: bool,
        tell: Option<NewTell>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer.run(move |connection| findings::alarm(connection, raised, tell.as_ref(), now)).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.writer.run(work::touch).await
    }

    /// Runs one short read on a thread where blocking is allowed.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let _seat = self.readers.seats.acquire().await.map_err(|_| closed())?;
        tokio::task::spawn_blocking(move || {
            let taken = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(connection) = taken else {
                return Err(closed());
            };
            let answer = query(&connection);
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
) -> Result<JoinHandle<()>, StoreError> {
    let every = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(CHECKPOINT_EVERY) {
            let passed = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = passed {
                tracing::warn!(%error, "a checkpoint failed; it is tried again");
            }
        }
    };
    std::thread::Builder::new()
        .name("store-checkpoint".to_owned())
        .spawn(every)
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}
