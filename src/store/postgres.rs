//! The store of several replicas: PostgreSQL. One thread of its own takes the callbacks in and folds them (see
//! [`intake`] and [`fold`]) and passes hints between replicas ([`hints`]); everything else is a transaction on a pool of
//! connections, on threads where blocking is allowed ([`session`]).
//!
//! Every statement is sent unnamed with the kinds of its values, so that a transaction pooler may stand in between, and
//! nothing that was prepared outlives a migration.

mod connect;
mod fold;
mod hints;
mod intake;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use jiff::Timestamp;
use rusqlite::params;
use tokio::sync::{Notify, OnceCell, Semaphore};

use self::connect::Connector;
use self::intake::{Entry, Intake};
pub(super) use self::session::Session;
use self::session::{LONG, Limits, WORK};
use super::dialect::Dialect;
use super::error::StoreError;
use super::migrate::Schema;
use super::sql::duty;
use super::tx::Tx;
use super::{Turns, Use, migrate, wake::Wake};
use crate::clock::Clock;
use crate::domain::nudge::Nudge;

/// What PostgreSQL says in its own words.
pub(super) const DIALECT: Dialect = Dialect {
    // differs: several replicas claim at once
    skip_locked: "FOR UPDATE SKIP LOCKED",
    // differs: what is deleted goes with the next VACUUM
    overwrite: None,
    // differs: the version is a table
    version: "SELECT 'PostgreSQL ' || current_setting('server_version'), version FROM schema_version",
    // differs: the fold takes rows out of the log, see `fold`; more than this many are as bad as this many
    unfolded: "SELECT count(*) FROM (SELECT 1 FROM callback_log LIMIT 100000) AS waiting",
    // differs: what was folded is not in the log any more
    oldest_unfolded: "SELECT at FROM callback_log ORDER BY id LIMIT 1",
    // differs: what was folded is not in the log any more
    last_callback: "SELECT position FROM cursor WHERE name = 'last_callback' AND position > 0",
    // differs: what was folded is not in the log any more
    drop_log: None,
    // differs: damaged facts are kept out by a CHECK
    compliance: "(facts::json ->> 'compliance')",
    status: "(facts::json ->> 'status')",
    kind: "(facts::json ->> 'kind')",
    class: "(data::json -> 'grounds' ->> 'class')",
    // differs: texts sort by the database's language, unless they are told not to
    deadline: "(CASE WHEN state = 'awaiting_correction' THEN substr(data::json ->> 'deadline', 1, 19)
         WHEN strpos(beside, '\"overdue\":false') > 0
         THEN substr(beside::json -> 'rfi' ->> 'deadline', 1, 19) END COLLATE \"C\")",
};

/// The next turn: the budget is whole again an interval later than it would have been, and who comes too early waits. The
/// clock is read once the row is ours, however long that took. A clock that was set back leaves a moment that never comes:
/// nobody waits longer than ?3.
const TURN: &str = "INSERT INTO pace AS p (name, next_at)
     VALUES ('nium', CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + ?1)
     ON CONFLICT (name) DO UPDATE SET next_at = ?1 + least(
         greatest(p.next_at, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)),
         CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + ?3)
     RETURNING next_at - ?1 - ?2 - CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)";
/// Nobody waits longer for a turn than this, or than this many intervals: more calls than that never wait at once.
const TURN_WAIT_MAX: (Duration, u32) = (Duration::from_mins(10), 1_000);

/// How often a transaction that was in another's way is tried.
const TRIES: u32 = 8;
/// The pause before the second try; each further one is as much longer.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// How long a caller waits for a free connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// One connection in so many, and at least one, is kept for what writes: slow reads must not hold up the work.
const KEPT_FOR_WRITES: usize = 4;
/// The pause after a step of a migration that did not succeed: those who were in its way, and were held up by it, go first.
const MIGRATE_AGAIN: Duration = Duration::from_secs(1);
/// What others hear meanwhile.
const MIGRATES: &str = "it is being brought to this release's schema";

/// Where the database is, and how to talk to it.
#[derive(Clone)]
pub struct Options {
    /// `postgres://user:password@host:port/database`, without `sslmode`. Secret.
    pub url: String,
    /// How the connection is protected.
    pub tls: Tls,
    /// The same database without the transaction pooler that stands before it, for LISTEN, and how that connection is
    /// protected. Secret.
    pub listen: Option<(String, Tls)>,
    /// Whether replicas wake each other; without that they poll.
    pub wake_ups: bool,
    /// Connections at most, besides four for intake, fold and hints.
    pub connections: usize,
}

/// How a connection to the database is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: the way to the database is trusted.
    Off,
    /// Encrypted, with the server's certificate and name verified: by this file of certificates (PEM), or by what the
    /// system trusts.
    Verified(Option<PathBuf>),
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// A PostgreSQL database. It need not be there when it is opened.
pub(super) struct Postgres {
    pool: Pool,
    /// Seats for what only reads.
    reads: Arc<Semaphore>,
    intake: Intake,
    rings: Arc<Notify>,
    schema: OnceCell<()>,
    steps: Arc<Steps>,
    used: Use,
    clock: Clock,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How a migration goes, whether or not somebody still waits for it.
#[derive(Default)]
struct Steps {
    /// A step is under way.
    under_way: AtomicBool,
    /// When one failed last.
    failed: Mutex<Option<Instant>>,
}

/// A step of a migration, until this is dropped.
struct Step(Arc<Steps>);

impl Step {
    /// Begins one, unless one is under way or has just failed.
    fn begin(steps: &Arc<Steps>) -> Option<Self> {
        let failed = *steps.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_resting = failed.is_some_and(|at| at.elapsed() < MIGRATE_AGAIN);
        let begins = !is_resting && !steps.under_way.swap(true, Ordering::SeqCst);
        begins.then(|| Self(Arc::clone(steps)))
    }

    fn take(&self, session: &Session) -> Result<(), StoreError> {
        let taken = migrate::postgres_step(session);
        *self.0.failed.lock().unwrap_or_else(PoisonError::into_inner) = taken.is_err().then(Instant::now);
        taken
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::SeqCst);
    }
}

impl Postgres {
    /// Prepares everything and connects to nothing yet.
    // differs: the database may be away, so migrations wait until it is there, see `ready`
    pub(super) fn open(options: &Options, used: Use, clock: Clock, wake: Wake) -> Result<Self, StoreError> {
        let connector = Connector::new(&options.url, &options.tls)?;
        let listener = match &options.listen {
            _ if !options.wake_ups => None,
            Some((url, tls)) => Some(Connector::new(url, tls)?),
            None => Some(connector.clone()),
        };
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(connector.config.clone(), connector.tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_WAIT))
            .create_timeout(Some(connector.wait))
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let rings = Arc::new(Notify::new());
        let (intake, thread) = match used {
            Use::Serve | Use::Move => {
                let hints = hints::Hints { listener, wake, rings: Arc::clone(&rings) };
                let (intake, thread) = intake::start(connector, hints)?;
                (intake, Some(thread))
            }
            Use::Tool => (Intake::closed(), None),
        };
        let kept = (options.connections / KEPT_FOR_WRITES).max(1);
        Ok(Self {
            pool,
            reads: Arc::new(Semaphore::new(options.connections.saturating_sub(kept).max(1))),
            intake,
            rings,
            schema: OnceCell::new(),
            steps: Arc::default(),
            used,
            clock,
            thread: Mutex::new(thread),
        })
    }

    /// Waits until the database has this release's schema, which SQLite has once it is open. Fails if it is away, or was written by a newer release.
    // differs: the database may be away when the service starts
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        self.schema
            .get_or_try_init(async || {
                self.migrate().await?;
                let (used, local) = (self.used, self.clock.now());
                self.run("BEGIN", &WORK, move |session| {
                    let durable = "SELECT current_setting('synchronous_commit') <> 'off'";
                    if !session.query(durable, &[])?.first().map_or(Ok(false), |row| row.get(0))? {
                        return Err(StoreError::NotDurable);
                    }
                    if used != Use::Move && migrate::postgres_is_half_a_copy(session)? {
                        return Err(StoreError::HalfACopy);
                    }
                    let moves = used == Use::Serve && duty::is_moving(&Tx::Postgres(session), local)?;
                    if moves { Err(StoreError::Moving) } else { Ok(()) }
                })
                .await?;
                // From now on callbacks go into its tables.
                self.intake.open();
                Ok(())
            })
            .await
            .copied()
    }

    /// Brings the database to this release's schema, a step at a time, each with limits of its own: on a database that has
    /// grown a step takes minutes.
    async fn migrate(&self) -> Result<(), StoreError> {
        loop {
            match self.run("BEGIN READ ONLY", &WORK, migrate::postgres_schema).await? {
                Schema::Runs => return Ok(()),
                // A command beside a service of the release before.
                Schema::Older { found, known } if self.used == Use::Tool => {
                    return Err(StoreError::Older { found, known });
                }
                Schema::Older { .. } | Schema::Empty => {}
            }
            let Some(step) = Step::begin(&self.steps) else {
                return Err(StoreError::Unavailable(MIGRATES.to_owned()));
            };
            self.run("BEGIN", &LONG, move |session| step.take(session)).await?;
        }
    }

    /// Appends one nudge to the log and waits until it is on disk there.
    pub(super) async fn record(&self, nudge: Nudge, at: Timestamp, again: bool) -> Result<i64, StoreError> {
        self.ready().await?;
        self.intake.record(Entry { nudge, at_ms: at.as_millisecond(), again }).await
    }

    /// Runs one transaction.
    // differs: transactions run beside each other; one that was in another's way is tried again
    pub(super) async fn write<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.ready().await?;
        self.run("BEGIN", self.limits(), move |session| work(&Tx::Postgres(session))).await
    }

    /// Runs one transaction that only reads, all of it as of one moment.
    // differs: by itself every statement would see another one
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.ready().await?;
        let seat = tokio::time::timeout(CONNECTION_WAIT, Arc::clone(&self.reads).acquire_owned()).await;
        let Ok(Ok(seat)) = seat else {
            return Err(StoreError::Unavailable("too many reads of the database were under way".to_owned()));
        };
        let mut query = Some((query, seat));
        let work = move |session: &Session| match query.take() {
            Some((query, _seat)) => query(&Tx::Postgres(session)),
            None => Err(StoreError::Unavailable("a read was in the way of another transaction".to_owned())),
        };
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", self.limits(), work).await
    }

    /// Moving house has all the time there is: nobody else works on the database.
    fn limits(&self) -> &'static Limits {
        match self.used {
            Use::Move => &LONG,
            Use::Serve | Use::Tool => &WORK,
        }
    }

    /// Takes the next turn of a budget that all replicas share. Gives how long to wait for it.
    // differs: one process counts for itself
    pub(super) async fn take_turn(&self, turns: Turns) -> Result<Duration, StoreError> {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let (longest, intervals) = TURN_WAIT_MAX;
        let longest = micros(longest.max(turns.interval.saturating_mul(intervals)));
        let (interval, ahead) = (micros(turns.interval), micros(turns.ahead));
        let wait = self
            .write(move |tx| tx.one(TURN, params![interval, ahead, longest], |row| row.get::<i64>(0)))
            .await?;
        Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    /// Tells the other replicas, soon, that there may be something to do.
    // differs: one process has nobody else to tell
    pub(super) fn ring(&self) {
        self.rings.notify_one();
    }

    async fn run<T, F>(
        &self,
        begin: &'static str,
        limits: &'static Limits,
        mut work: F,
    ) -> Result<T, StoreError>
    where
        F: FnMut(&Session) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let client = self.pool.get().await.map_err(|error| connect::away(&error))?;
        let machine_clock = matches!(self.clock, Clock::System);
        let runtime = tokio::runtime::Handle::current();
        let done = tokio::task::spawn_blocking(move || {
            let mut session = Session::new(client, runtime, machine_clock, limits);
            for attempt in 1.. {
                match session.transact(begin, &mut work) {
                    Err(StoreError::InTheWay(_)) if attempt < TRIES => session.pause(BETWEEN_TRIES * attempt),
                    end => return end,
                }
            }
            unreachable!("the last try ends the loop")
        });
        done.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Finishes what waits and closes the connections. Blocks until the thread has ended.
    pub(super) fn close(&self) {
        self.intake.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a store thread panicked");
        }
        self.pool.close();
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}
