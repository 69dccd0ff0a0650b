//! FLOOR 1: the one door to the database. Knows the domain and nothing above.
//!
//! - One method is one transaction; its law stands in its doc comment. A transaction is never handed out, so nothing
//!   can wait for the network while one is open.
//! - A *lease* is a claim with a fencing token and an end. An expired lease is claimable like any due row; whoever
//!   finishes with a lost one changes nothing and hears so.
//! - What is personal comes in sealed and goes out sealed.
//! - `sql/` is what a transaction does, written once for both databases against `tx`; `sqlite` and `postgres` are what
//!   they do differently: intake, fold, connections, and the words of their `dialect`.

mod audit;
mod bulk;
pub mod copy;
mod dialect;
pub mod error;
mod events;
mod examine;
mod links;
mod migrate;
mod officer;
mod overview;
mod people;
mod postgres;
mod privacy;
pub mod rows;
mod search;
mod sql;
mod sqlite;
mod tx;
pub mod wake;
mod watch;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;

use self::error::StoreError;
pub use self::postgres::{Options as PostgresOptions, Tls as PostgresTls};
use self::rows::dossier::KeptCorrection;
use self::rows::events::{TellLease, TellOutcome, TellSeats};
use self::rows::people::KnownToken;
use self::rows::{
    Acceptance, Applied, Asked, CallbackRow, CaseRow, Claimed, Commit, EffectRow, Finished, FirstAnswer,
    Gauges, KeptRedirect, KeptRfi, Lease, NewAct, NewSubmission, Once, Recorder, Remember, Seats,
    TimelineRow, TokenRow,
};
use self::sql::{ask, dossier, duty, onboard, read, retain, rfi, standing, sweeps, tells, work};
pub use self::sqlite::{Holds, backup, restore};
use self::tx::Tx;
use self::wake::Wake;
use crate::clock::Clock;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::nudge::Nudge;

/// How long an acknowledgement may wait for the disk before the caller hears that the store is not available.
pub const RECORD_WAIT: Duration = Duration::from_secs(5);
/// Lines of a timeline that are shown at most: the newest.
pub const TIMELINE_MAX: usize = 1_000;

/// Which database, and where.
#[derive(Clone, Debug)]
pub enum Place {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<PostgresOptions>),
}

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The service: it owns an SQLite database alone.
    Serve,
    /// A command beside a running service.
    Tool,
    /// A command that moves everything: nobody may serve from the database meanwhile.
    Move,
}

/// A budget of calls that replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Between two calls in the long run.
    pub interval: Duration,
    /// How much earlier than that a call may go after a quiet time.
    pub ahead: Duration,
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// The store. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    clock: Clock,
    wake: Wake,
    /// Who we are among the replicas.
    replica: OnceLock<String>,
}

impl Store {
    /// Opens the database and starts its threads. SQLite is brought to this release's schema here, and refused if
    /// another process serves from it; PostgreSQL may be away, see [`Store::ready`].
    pub fn open(place: &Place, used: Use, clock: Clock, wake: Wake) -> Result<Self, StoreError> {
        let backend = match place {
            Place::Sqlite(path) => Backend::Sqlite(sqlite::Sqlite::open(path, used, wake.clone())?),
            Place::Postgres(options) => {
                Backend::Postgres(postgres::Postgres::open(options, used, clock.clone(), wake.clone())?)
            }
        };
        Ok(Self { backend, clock, wake, replica: OnceLock::new() })
    }

    /// Waits until the database is there and has this release's schema: at once for SQLite, which is opened with it.
    /// Fails if the database was written by a newer release, or is away.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(store) => store.ready().await,
        }
    }

    /// One transaction that writes. It may be run more than once until it is committed.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite(store) => store.write(work).await,
            Backend::Postgres(store) => store.write(work).await,
        }
    }

    /// One transaction that only reads.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite(store) => store.read(work).await,
            Backend::Postgres(store) => store.read(work).await,
        }
    }

    /// There may be something to do, here or in another replica.
    fn ring(&self) {
        self.wake.wake();
        if let Backend::Postgres(store) = &self.backend {
            store.ring();
        }
    }

    async fn append(&self, nudge: Nudge, at: Timestamp, again: bool) -> Result<i64, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.record(nudge, at, again).await,
            Backend::Postgres(store) => store.record(nudge, at, again).await,
        }
    }

    /// Law: when this returns a receipt, the nudge that knocked at `at` is on disk. A caller that hears an error may find
    /// it stored all the same.
    pub async fn record(&self, nudge: Nudge, at: Timestamp) -> Result<i64, StoreError> {
        self.record_as(nudge, at, false).await
    }

    /// Law: like [`Store::record`], for a nudge that was spooled: if it is on file already, it is the same delivery.
    pub async fn record_again(&self, nudge: Nudge, at: Timestamp) -> Result<i64, StoreError> {
        self.record_as(nudge, at, true).await
    }

    async fn record_as(&self, nudge: Nudge, at: Timestamp, again: bool) -> Result<i64, StoreError> {
        match tokio::time::timeout(RECORD_WAIT, self.append(nudge, at, again)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Unavailable(format!("the disk did not answer within {RECORD_WAIT:?}"))),
        }
    }

    /// Law: a claimed customer is due for nobody else for `span`; the claim is on disk before this returns.
    pub async fn claim(&self, span: Duration, seats: Seats) -> Result<Vec<Claimed>, StoreError> {
        let (now, holder) = (self.clock.now(), self.replica());
        self.write(move |tx| work::claim(tx, now, span, seats, &holder)).await
    }

    /// Law: everything a decision writes, in one transaction, and only while the lease is still ours. Nudges counted
    /// after the claim make the customer due again at once.
    pub async fn commit(&self, lease: &Lease, commit: Commit) -> Result<Finished, StoreError> {
        let rings = !commit.tells.is_empty() || !commit.hold;
        let (lease, now) = (lease.clone(), self.clock.now());
        let finished = self.write(move |tx| work::commit(tx, &lease, &commit, now)).await?;
        if rings {
            self.ring();
        }
        Ok(finished)
    }

    /// Law: a customer whom Nium does not know leaves nothing but the callback that named them.
    pub async fn forget(&self, lease: &Lease) -> Result<Finished, StoreError> {
        let (lease, now) = (lease.clone(), self.clock.now());
        self.write(move |tx| work::forget(tx, &lease, now)).await
    }

    /// Who we are among the replicas: a name that nobody else has while we live, and that we have again when we come back.
    /// It is set once, before anything is claimed.
    pub fn serves_as(&self, replica: String) {
        let _ = self.replica.set(replica);
    }

    fn replica(&self) -> String {
        self.replica.get().cloned().unwrap_or_default()
    }

    /// Law: before anything is claimed. What a dead process held is due now: any, where one process owns the database,
    /// or an earlier one of our name. What other replicas held becomes due when their leases end.
    pub async fn release_the_dead(&self) -> Result<usize, StoreError> {
        let (now, replica) = (self.clock.now(), self.replica());
        let shared = matches!(self.backend, Backend::Postgres(_));
        let work = move |tx: &Tx<'_>| {
            if !shared {
                sweeps::resume(tx, now)?;
            }
            work::release_the_dead(tx, shared.then_some(replica.as_str()), now)
        };
        self.write(work).await
    }

    /// Law: what is held under our name and is not in our hands was claimed by an answer that was lost; it is due now.
    /// Nobody else's is touched.
    pub async fn release_lost(
        &self,
        customers: HashSet<CustomerHashId>,
        tells: HashSet<i64>,
    ) -> Result<usize, StoreError> {
        match &self.backend {
            // No answer is lost inside a process.
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(store) => {
                let (now, replica) = (self.clock.now(), self.replica());
                store.write(move |tx| work::release_lost(tx, &replica, &customers, &tells, now)).await
            }
        }
    }

    /// Law: one replica at a time does what the whole fleet does once, for `span` at most without asking again; where one
    /// process owns the database, it always does. `begins` is whether this process asks for the first time.
    pub async fn take_duty(&self, begins: bool, span: Duration) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(true),
            Backend::Postgres(store) => {
                let (now, replica) = (self.clock.now(), self.replica());
                store.write(move |tx| duty::take(tx, &replica, begins, now, span)).await
            }
        }
    }

    /// Gives back what only lasts while we live, as far as others wait for it.
    pub async fn leave_duty(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(store) => {
                let replica = self.replica();
                store.write(move |tx| duty::leave(tx, &replica)).await
            }
        }
    }

    /// Law: a call to Nium is counted once, for all replicas together; gives how long to wait until its turn. `None` where
    /// one process has the whole budget: it counts for itself.
    pub async fn take_turn(&self, budget: Turns) -> Option<Result<Duration, StoreError>> {
        match &self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(store) => Some(store.take_turn(budget).await),
        }
    }

    /// When the next customer or notification becomes due; `None` when nothing waits for time alone.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| work::next_due(tx, now)).await
    }

    /// Law: a notification is claimed by one for `span`, and never before the older ones of its customer to the same
    /// destination have ended. What waits for one destination never holds up another.
    pub async fn claim_tells(
        &self,
        span: Duration,
        seats: Vec<TellSeats>,
    ) -> Result<Vec<TellLease>, StoreError> {
        let (now, holder) = (self.clock.now(), self.replica());
        self.write(move |tx| tells::claim(tx, now, span, &seats, &holder)).await
    }

    /// Law: what became of an attempt is written only by whoever still holds the notification.
    pub async fn finish_tell(&self, lease: &TellLease, outcome: TellOutcome) -> Result<Finished, StoreError> {
        let (lease, now) = (lease.clone(), self.clock.now());
        let finished = self.write(move |tx| tells::finish(tx, &lease, &outcome, now)).await?;
        self.ring();
        Ok(finished)
    }

    /// Law: a correction is stored only while an offer is open for the version it was prepared for, only once, and
    /// together with the first answer to it.
    pub async fn correct(&self, submission: NewSubmission) -> Result<Acceptance, StoreError> {
        let now = self.clock.now();
        let acceptance = self.write(move |tx| ask::correct(tx, &submission, now)).await?;
        self.ring();
        Ok(acceptance)
    }

    /// Law: an act is stored only while no other write is under way for the customer, for the version it was asked for,
    /// and once for its `Idempotency-Key`.
    pub async fn act(&self, act: NewAct, recorder: Option<Recorder>) -> Result<Once<Asked>, StoreError> {
        let now = self.clock.now();
        let asked = self.write(move |tx| ask::act(tx, &act, recorder.as_ref(), now)).await?;
        self.ring();
        Ok(asked)
    }

    /// Law: an application to become a customer is stored once for its `Idempotency-Key`, with the wrapped data key.
    pub async fn apply(
        &self,
        act: NewAct,
        wrapped: Vec<u8>,
        recorder: Option<Recorder>,
    ) -> Result<Once<EffectKey>, StoreError> {
        let now = self.clock.now();
        let key = self.write(move |tx| onboard::apply(tx, &act, &wrapped, recorder.as_ref(), now)).await?;
        self.ring();
        Ok(key)
    }

    /// Law: an application ends once, by whoever holds the lease; what was filed under our id is the customer's then.
    pub async fn applied(&self, lease: &Lease, applied: Applied) -> Result<Finished, StoreError> {
        let (lease, now) = (lease.clone(), self.clock.now());
        let finished = self.write(move |tx| onboard::applied(tx, &lease, &applied, now)).await?;
        self.ring();
        Ok(finished)
    }

    /// Where a customer goes on with a check, if they have to.
    pub async fn redirect(&self, customer: CustomerHashId) -> Result<Option<KeptRedirect>, StoreError> {
        self.read(move |tx| onboard::redirect(tx, customer)).await
    }

    /// What Nium asks of a customer; `None` when nothing is, or it was not fetched yet.
    pub async fn rfi(&self, customer: CustomerHashId) -> Result<Option<KeptRfi>, StoreError> {
        self.read(move |tx| rfi::kept(tx, customer)).await
    }

    /// Law: a look at the customer follows, before everybody else's, and who asked is on record.
    pub async fn refresh(&self, customer: CustomerHashId, by: &str) -> Result<(), StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        self.write(move |tx| ask::refresh(tx, customer, &by, now)).await?;
        self.ring();
        Ok(())
    }

    /// Law: an application replaces the one on file, together with the first answer to it; with a key that was used
    /// before nothing is written and that first answer comes back.
    pub async fn keep_application(
        &self,
        customer: CustomerHashId,
        by: &str,
        sealed: Vec<u8>,
        remember: Option<Remember>,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        self.write(move |tx| ask::keep_application(tx, customer, &by, &sealed, remember.as_ref(), now)).await
    }

    /// Law: the first data key of a customer stays; whoever comes second gets that one back.
    pub async fn keep_data_key(
        &self,
        customer: CustomerHashId,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| ask::keep_data_key(tx, customer, &wrapped, now)).await
    }

    /// Law: first answers older than `age` go, at most `most` at a time. Gives how many went.
    pub async fn drop_first_answers(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.write(move |tx| ask::drop_first_answers(tx, before, most)).await
    }

    /// Law: callbacks that were last delivered more than `age` ago go, among `most` after receipt id `after`; none that
    /// was not folded yet. Gives where to go on, `None` at the end.
    pub async fn drop_callbacks(
        &self,
        age: Duration,
        after: i64,
        most: usize,
    ) -> Result<Option<i64>, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.write(move |tx| retain::drop_callbacks(tx, before, after, most)).await
    }

    /// Law: a token is stored as its hash; who made it is recorded with it.
    pub async fn put_token(&self, token: TokenRow, hash: [u8; 32], by: &str) -> Result<(), StoreError> {
        let by = by.to_owned();
        self.write(move |tx| ask::put_token(tx, &token, &hash, &by)).await
    }

    /// Law: a revoked token stays on file and opens nothing. False: no such token, or revoked before.
    pub async fn revoke_token(&self, id: &str, by: &str) -> Result<bool, StoreError> {
        let (id, by, now) = (id.to_owned(), by.to_owned(), self.clock.now());
        self.write(move |tx| ask::revoke_token(tx, &id, &by, now)).await
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(ask::tokens).await
    }

    /// The token of this hash, unless it was revoked.
    pub async fn token(&self, hash: [u8; 32]) -> Result<Option<KnownToken>, StoreError> {
        self.read(move |tx| read::token(tx, &hash)).await
    }

    /// The stored first answer under this key.
    pub async fn first_answer(&self, key: [u8; 32]) -> Result<Option<FirstAnswer>, StoreError> {
        self.read(move |tx| ask::first_answer(tx, &key)).await
    }

    /// One case with what Nium said last.
    pub async fn case(&self, customer: CustomerHashId) -> Result<Option<CaseRow>, StoreError> {
        self.read(move |tx| read::case_row(tx, customer)).await
    }

    /// Everything that happened to one customer, oldest first, at most the newest [`TIMELINE_MAX`] lines.
    pub async fn timeline(&self, customer: CustomerHashId) -> Result<Vec<TimelineRow>, StoreError> {
        self.read(move |tx| read::timeline(tx, customer, TIMELINE_MAX)).await
    }

    /// Tells one standing of a customer, or of everything, from another.
    pub async fn stamp(&self, customer: Option<CustomerHashId>) -> Result<String, StoreError> {
        self.read(move |tx| read::stamp(tx, customer)).await
    }

    /// Corrections that were handed in for a customer, newest first.
    pub async fn corrections(
        &self,
        customer: CustomerHashId,
        most: usize,
    ) -> Result<Vec<KeptCorrection>, StoreError> {
        self.read(move |tx| dossier::corrections(tx, customer, most)).await
    }

    /// Callbacks, newest first, before receipt id `before`, of one customer or all.
    pub async fn callbacks(
        &self,
        customer: Option<CustomerHashId>,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<CallbackRow>, StoreError> {
        self.read(move |tx| read::callbacks(tx, customer, before, most)).await
    }

    /// One effect.
    pub async fn effect(&self, key: &EffectKey) -> Result<Option<EffectRow>, StoreError> {
        let key = key.clone();
        self.read(move |tx| read::effect(tx, &key)).await
    }

    /// The wrapped data key of a customer.
    pub async fn data_key(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |tx| read::data_key(tx, customer)).await
    }

    /// The sealed application on file.
    pub async fn application(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |tx| read::application(tx, customer)).await
    }

    /// Counts and ages for the metrics.
    pub async fn gauges(&self) -> Result<Gauges, StoreError> {
        self.read(standing::gauges).await
    }

    /// Whether a write reaches the disk.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write(work::touch).await
    }

    /// Finishes what waits and closes the store. Blocks until its threads have ended.
    pub fn close(&self) {
        match &self.backend {
            Backend::Sqlite(store) => store.close(),
            Backend::Postgres(store) => store.close(),
        }
    }
}

fn end_of(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}
