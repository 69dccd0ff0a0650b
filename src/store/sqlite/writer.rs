//! The one thread that writes. It drains whatever waits, does it in one `BEGIN IMMEDIATE` transaction, and answers
//! everybody after COMMIT: the disk is flushed once for all who waited, and nobody hears "yes" before it is.
//!
//! A request that fails is undone by itself (a savepoint) and cannot take the others with it; if the COMMIT fails,
//! each is tried once more alone, so that one that cannot be stored does not refuse its neighbours.
//!
//! Between groups the thread folds (see [`super::fold`]): at once when nobody waits, and in small bites under load,
//! which take a tenth of its time so that acknowledgements never wait for work that can wait.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::COMPLAIN_EVERY;
use super::fold::{Entry, Fold};
use crate::store::error::StoreError;
use crate::store::wake::Wake;

/// Writes that may wait at once; beyond it callers hear `Busy` instead of growing the memory.
pub(super) const QUEUE_MAX: usize = 16_384;
/// Writes in one transaction: bounds how long the first of a group waits for the last.
const GROUP_MAX: usize = 512;
/// While acknowledgements keep coming, the fold rests this many times as long as its last bite took: it has a tenth of
/// the thread, and what a flood leaves behind is folded when it ends.
const FOLD_REST: u32 = 9;
/// How long the fold rests after it failed.
const FOLD_AGAIN: Duration = Duration::from_millis(500);
/// How often the thread looks whether the fold may go on while nothing is written.
const GLANCE: Duration = Duration::from_millis(1);
/// A pause this long in the stream of writes lets the fold have the whole thread. Shorter ones are only clients that
/// were all answered at once and have not asked again yet.
const QUIET: Duration = Duration::from_millis(20);
/// How long an idle writer sleeps before it looks around; only a backstop, any write wakes it.
const IDLE: Duration = Duration::from_mins(1);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer thread is asked to do.
pub(super) enum Request {
    /// Append one nudge to the log: the hot path.
    Record { entry: Entry, reply: Reply<i64> },
    /// Any other transaction.
    Work(Box<dyn Work>),
    /// Finish what waits, then end.
    Stop,
}

/// One transaction and the place its answer goes. It may be run twice, if the group's COMMIT fails.
pub(super) trait Work: Send {
    /// Does the work; the outcome is kept until [`Work::answer`].
    fn run(&mut self, connection: &Connection) -> Result<(), ()>;
    /// Tells the caller: what was kept if `committed`, otherwise that error.
    fn answer(&mut self, committed: Result<(), &StoreError>);
}

struct Job<F, T> {
    work: F,
    outcome: Option<Result<T, StoreError>>,
    reply: Option<Reply<T>>,
}

impl<F, T> Work for Job<F, T>
where
    F: FnMut(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), ()> {
        let outcome = (self.work)(connection);
        let verdict = outcome.as_ref().map(|_| ()).map_err(|_| ());
        self.outcome = Some(outcome);
        verdict
    }

    fn answer(&mut self, committed: Result<(), &StoreError>) {
        let Some(reply) = self.reply.take() else { return };
        let answer = match (committed, self.outcome.take()) {
            (Ok(()), Some(outcome)) => outcome,
            (Err(error), _) => Err(StoreError::Unavailable(error.to_string())),
            (Ok(()), None) => Err(StoreError::Unavailable("the write was not reached".to_owned())),
        };
        // The caller may have stopped waiting; the write stands all the same.
        let _ = reply.send(answer);
    }
}

/// A handle to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    requests: SyncSender<Request>,
}

impl Writer {
    /// Starts the thread on `connection`; `wake` is told when a fold made somebody due.
    pub(super) fn start(connection: Connection, wake: Wake) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (requests, inbox) = sync_channel(QUEUE_MAX);
        let now = Instant::now();
        let fold = Fold::resume(&connection)?;
        let mut desk = Desk {
            connection,
            fold,
            wake,
            unfolded: true,
            fold_not_before: now,
            last_write: now,
            failed: None,
            told: None,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.serve(&inbox))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok((Self { requests }, thread))
    }

    /// Appends one nudge and waits until it is on disk.
    pub(super) async fn record(&self, entry: Entry) -> Result<i64, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Record { entry, reply })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs one transaction and waits until it is on disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Work(Box::new(Job { work, outcome: None, reply: Some(reply) })))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Asks the thread to finish what waits and to end.
    pub(super) fn stop(&self) {
        // A full queue is emptied soon; a closed one has stopped already.
        let _ = self.requests.send(Request::Stop);
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy(QUEUE_MAX),
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".to_owned())
}

/// What the thread has in front of it.
struct Desk {
    connection: Connection,
    fold: Fold,
    wake: Wake,
    /// Log rows wait for the fold.
    unfolded: bool,
    /// Until when the fold rests, unless it is quiet.
    fold_not_before: Instant,
    last_write: Instant,
    /// When the fold failed, if it has not gone well since.
    failed: Option<Instant>,
    /// When that was said the last time.
    told: Option<Instant>,
}

impl Desk {
    fn serve(&mut self, inbox: &Receiver<Request>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            let wait = match (self.unfolded, self.rests()) {
                (true, false) => GLANCE,
                (true, true) => FOLD_AGAIN,
                (false, _) => IDLE,
            };
            match inbox.recv_timeout(wait) {
                Ok(request) => group.push(request),
                Err(RecvTimeoutError::Timeout) => self.fold_if_it_may(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while group.len() < GROUP_MAX {
                let Ok(request) = inbox.try_recv() else { break };
                group.push(request);
            }
            if group.is_empty() {
                continue;
            }
            let stop = group.iter().any(|request| matches!(request, Request::Stop));
            self.commit_group(&mut group);
            self.last_write = Instant::now();
            self.fold_if_it_may();
            if stop {
                return;
            }
        }
    }

    fn commit_group(&mut self, group: &mut Vec<Request>) {
        match self.transact(group) {
            Ok(receipts) => answer_all(group, Ok(&receipts)),
            Err(error) if group.len() > 1 => {
                tracing::warn!(%error, waiting = group.len(), "a group commit failed; each is tried alone");
                for request in group.drain(..) {
                    let mut alone = vec![request];
                    match self.transact(&mut alone) {
                        Ok(receipts) => answer_all(&mut alone, Ok(&receipts)),
                        Err(error) => answer_all(&mut alone, Err(&error)),
                    }
                }
            }
            Err(error) => answer_all(group, Err(&error)),
        }
    }

    /// One transaction for the whole group. Gives the receipt id of each record, in order; `None` for one that failed.
    fn transact(&mut self, group: &mut [Request]) -> Result<Vec<Option<i64>>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut receipts = Vec::with_capacity(group.len());
        {
            let mut append = transaction.prepare_cached(super::fold::APPEND)?;
            for request in group.iter_mut() {
                if transaction.is_autocommit() {
                    // SQLite undoes a whole transaction by itself on a full disk: what follows would not be in it.
                    return Err(StoreError::Unavailable("the database undid the transaction".to_owned()));
                }
                match request {
                    Request::Record { entry, .. } => {
                        let stored = super::fold::append(&mut append, entry);
                        receipts.push(stored.ok().map(|_| transaction.last_insert_rowid()));
                    }
                    Request::Work(work) => in_savepoint(&transaction, work.as_mut())?,
                    Request::Stop => {}
                }
            }
        }
        transaction.commit()?;
        self.unfolded |= !receipts.is_empty();
        Ok(receipts)
    }

    /// Whether the fold failed a moment ago: a full disk is not empty again within a millisecond.
    fn rests(&self) -> bool {
        self.failed.is_some_and(|at| at.elapsed() < FOLD_AGAIN)
    }

    fn fold_if_it_may(&mut self) {
        if !self.unfolded || self.rests() {
            return;
        }
        if self.last_write.elapsed() >= QUIET {
            self.fold_a_bite(Fold::BITE_QUIET);
        } else if Instant::now() >= self.fold_not_before {
            self.fold_a_bite(Fold::BITE_BUSY);
        }
    }

    fn fold_a_bite(&mut self, rows_max: usize) {
        let begun = Instant::now();
        match self.fold.bite(&mut self.connection, rows_max) {
            Ok(folded) => {
                self.unfolded = folded.rows == rows_max;
                self.failed = None;
                if folded.made_due {
                    self.wake.wake();
                }
            }
            Err(error) => {
                // Nothing is lost: the cursor did not move.
                self.failed = Some(Instant::now());
                if self.told.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    self.told = self.failed;
                    tracing::warn!(%error, "the fold failed; it is tried again");
                }
            }
        }
        self.fold_not_before = Instant::now() + begun.elapsed() * FOLD_REST;
    }
}

fn in_savepoint(connection: &Connection, work: &mut dyn Work) -> Result<(), StoreError> {
    connection.execute_batch("SAVEPOINT one")?;
    let end = if work.run(connection).is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    Ok(connection.execute_batch(end)?)
}

fn answer_all(group: &mut Vec<Request>, committed: Result<&Vec<Option<i64>>, &StoreError>) {
    let mut receipts = committed.ok().into_iter().flatten();
    for request in group.drain(..) {
        match request {
            Request::Record { reply, .. } => {
                let answer = match committed {
                    Ok(_) => receipts.next().copied().flatten().ok_or_else(|| {
                        StoreError::Unavailable("the callback could not be appended to the log".to_owned())
                    }),
                    Err(error) => Err(StoreError::Unavailable(error.to_string())),
                };
                let _ = reply.send(answer);
            }
            Request::Work(mut work) => work.answer(committed.map(|_| ())),
            Request::Stop => {}
        }
    }
}
