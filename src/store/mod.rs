//! FLOOR 1: the one door to the database. Knows the domain and nothing above.
//!
//! - One method is one transaction; its law stands in its doc comment. A transaction is never handed out, so nothing
//!   can wait for the network while one is open.
//! - A *lease* is a claim with a fencing token and an end. An expired lease is claimable like any due row; whoever
//!   finishes with a lost one changes nothing and hears so.
//! - What is personal comes in sealed and goes out sealed.
//! - `sqlite/` is the store of one machine: `writer` (group commit), `fold`, `work`, `tells`, `ask`, `read`.

pub mod error;
mod migrate;
mod officer;
pub mod rows;
mod search;
mod sqlite;
pub mod wake;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use self::error::StoreError;
use self::rows::{
    Acceptance, Applied, Asked, CallbackRow, CaseRow, Claimed, Commit, EffectRow, Finished, FirstAnswer,
    Gauges, KeptRedirect, KeptRfi, Lease, NewAct, NewSubmission, Once, Recorder, Remember, Seats, TellLease,
    TellOutcome, TimelineRow, TokenRow,
};
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
}

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The service: it owns an SQLite database alone.
    Serve,
    /// A command beside a running service.
    Tool,
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Sqlite),
}

/// The store. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    clock: Clock,
    wake: Wake,
}

impl Store {
    /// Opens the database, brings it to this release's schema, and starts its threads. Fails if another process serves
    /// from it, if it was written by a newer release, or if it cannot be opened.
    pub fn open(place: &Place, used: Use, clock: Clock, wake: Wake) -> Result<Self, StoreError> {
        let backend = match place {
            Place::Sqlite(path) => Backend::Sqlite(sqlite::Sqlite::open(path, used, wake.clone())?),
        };
        Ok(Self { backend, clock, wake })
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
        let Backend::Sqlite(store) = &self.backend;
        match tokio::time::timeout(RECORD_WAIT, store.record(nudge, at, again)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Unavailable(format!("the disk did not answer within {RECORD_WAIT:?}"))),
        }
    }

    /// Law: a claimed customer is due for nobody else for `span`; the claim is on disk before this returns.
    pub async fn claim(&self, span: Duration, seats: Seats) -> Result<Vec<Claimed>, StoreError> {
        let now = self.clock.now();
        let Backend::Sqlite(store) = &self.backend;
        store.claim(now, end_of(now, span), seats).await
    }

    /// Law: everything a decision writes, in one transaction, and only while the lease is still ours. Nudges counted
    /// after the claim make the customer due again at once.
    pub async fn commit(&self, lease: &Lease, commit: Commit) -> Result<Finished, StoreError> {
        let rings = !commit.tells.is_empty() || !commit.hold;
        let Backend::Sqlite(store) = &self.backend;
        let finished = store.commit(lease.clone(), commit, self.clock.now()).await?;
        if rings {
            self.wake.wake();
        }
        Ok(finished)
    }

    /// Law: a customer whom Nium does not know leaves nothing but the callback that named them.
    pub async fn forget(&self, lease: &Lease) -> Result<Finished, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.forget(lease.clone(), self.clock.now()).await
    }

    /// Law: only for the one process that owns the database, before it claims anything. What the dead held is due now.
    pub async fn release_the_dead(&self) -> Result<usize, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.release_the_dead(self.clock.now()).await
    }

    /// When the next customer or notification becomes due; `None` when nothing waits for time alone.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.next_due(self.clock.now()).await
    }

    /// Law: a notification is claimed by one for `span`, and never before the older ones of its customer have ended.
    pub async fn claim_tells(&self, span: Duration, most: usize) -> Result<Vec<TellLease>, StoreError> {
        let now = self.clock.now();
        let Backend::Sqlite(store) = &self.backend;
        store.claim_tells(now, end_of(now, span), most).await
    }

    /// Law: what became of an attempt is written only by whoever still holds the notification.
    pub async fn finish_tell(&self, lease: &TellLease, outcome: TellOutcome) -> Result<Finished, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let finished = store.finish_tell(lease.clone(), outcome, self.clock.now()).await?;
        self.wake.wake();
        Ok(finished)
    }

    /// Law: a correction is stored only while an offer is open for the version it was prepared for, only once, and
    /// together with the first answer to it.
    pub async fn correct(&self, submission: NewSubmission) -> Result<Acceptance, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let acceptance = store.correct(submission, self.clock.now()).await?;
        self.wake.wake();
        Ok(acceptance)
    }

    /// Law: an act is stored only while no other write is under way for the customer, for the version it was asked for,
    /// and once for its `Idempotency-Key`.
    pub async fn act(&self, act: NewAct, recorder: Option<Recorder>) -> Result<Once<Asked>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let asked = store.act(act, recorder, self.clock.now()).await?;
        self.wake.wake();
        Ok(asked)
    }

    /// Law: an application to become a customer is stored once for its `Idempotency-Key`.
    pub async fn apply(
        &self,
        act: NewAct,
        recorder: Option<Recorder>,
    ) -> Result<Once<EffectKey>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let key = store.apply(act, recorder, self.clock.now()).await?;
        self.wake.wake();
        Ok(key)
    }

    /// Law: an application ends once, by whoever holds the lease; what was filed under our id is the customer's then.
    pub async fn applied(&self, lease: &Lease, applied: Applied) -> Result<Finished, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let finished = store.applied(lease.clone(), applied, self.clock.now()).await?;
        self.wake.wake();
        Ok(finished)
    }

    /// Where a customer goes on with a check, if they have to.
    pub async fn redirect(&self, customer: CustomerHashId) -> Result<Option<KeptRedirect>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.redirect(customer).await
    }

    /// What Nium asks of a customer; `None` when nothing is, or it was not fetched yet.
    pub async fn rfi(&self, customer: CustomerHashId) -> Result<Option<KeptRfi>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.rfi(customer).await
    }

    /// Law: a look at the customer follows, before everybody else's.
    pub async fn refresh(&self, customer: CustomerHashId) -> Result<(), StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.refresh(customer, self.clock.now()).await?;
        self.wake.wake();
        Ok(())
    }

    /// Law: an application replaces the one on file, together with the first answer to it; with a key that was used
    /// before nothing is written and that first answer comes back.
    pub async fn keep_application(
        &self,
        customer: CustomerHashId,
        sealed: Vec<u8>,
        remember: Option<Remember>,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.keep_application(customer, sealed, remember, self.clock.now()).await
    }

    /// Law: the first data key of a customer stays; whoever comes second gets that one back.
    pub async fn keep_data_key(
        &self,
        customer: CustomerHashId,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.keep_data_key(customer, wrapped, self.clock.now()).await
    }

    /// Law: first answers older than `age` go, at most `most` at a time. Gives how many went.
    pub async fn drop_first_answers(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let Backend::Sqlite(store) = &self.backend;
        store.drop_first_answers(before, most).await
    }

    /// Law: a token is stored as its hash.
    pub async fn put_token(&self, token: TokenRow, hash: [u8; 32]) -> Result<(), StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.put_token(token, hash).await
    }

    /// Law: a revoked token stays on file and opens nothing. False: no such token, or revoked before.
    pub async fn revoke_token(&self, id: &str) -> Result<bool, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.revoke_token(id.to_owned(), self.clock.now()).await
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.tokens().await
    }

    /// The role and name behind a token's hash, unless it was revoked.
    pub async fn token(&self, hash: [u8; 32]) -> Result<Option<(String, String)>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.token(hash).await
    }

    /// The stored first answer under this key.
    pub async fn first_answer(&self, key: [u8; 32]) -> Result<Option<FirstAnswer>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.first_answer(key).await
    }

    /// One case with what Nium said last.
    pub async fn case(&self, customer: CustomerHashId) -> Result<Option<CaseRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.case(customer).await
    }

    /// Everything that happened to one customer, oldest first, at most the newest [`TIMELINE_MAX`] lines.
    pub async fn timeline(&self, customer: CustomerHashId) -> Result<Vec<TimelineRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.timeline(customer, TIMELINE_MAX).await
    }

    /// Callbacks, newest first, before receipt id `before`, of one customer or all.
    pub async fn callbacks(
        &self,
        customer: Option<CustomerHashId>,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<CallbackRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.callbacks(customer, before, most).await
    }

    /// One effect.
    pub async fn effect(&self, key: &EffectKey) -> Result<Option<EffectRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.effect(key.clone()).await
    }

    /// The wrapped data key of a customer.
    pub async fn data_key(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.data_key(customer).await
    }

    /// The sealed application on file.
    pub async fn application(&self, customer: CustomerHashId) -> Result<Option<Vec<u8>>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.application(customer).await
    }

    /// Row counts and ages for the metrics.
    pub async fn gauges(&self) -> Result<Gauges, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.gauges(self.clock.now()).await
    }

    /// Whether a write reaches the disk.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.ping().await
    }

    /// Finishes what waits and closes the store. Blocks until its threads have ended.
    pub fn close(&self) {
        let Backend::Sqlite(store) = &self.backend;
        store.close();
    }
}

fn end_of(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}
