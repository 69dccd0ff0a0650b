//! The intake: callbacks that wait at the same time go into the log together, in one statement. Its transaction, with what
//! the database allows for it, is sent as a whole: the database never waits for us, so a replica that is stopped holds
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_util::sync::CancellationToken;

use super::connect::Connector;
use super::fold;
use super::hints::{self, Hints};
use crate::domain::id::{CustomerHashId, RequestId};
use crate::domain::nudge::{Nudge, Template};
use crate::store::error::StoreError;

/// Callbacks that may wait at once; beyond it callers hear `Busy` instead of growing the memory.
const QUEUE_MAX: usize = 16_384;
/// Callbacks in one statement: bounds how long the first of a group waits for the last.
const GROUP_MAX: usize = 512;
/// How long one group may take; its callers have given up by then.
const GROUP_WAIT: Duration = Duration::from_secs(6);
/// What the database itself allows for a group; after that nobody waits for it any more.
const LIMITS: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// The pause after a connection that could not be made.
const AGAIN: Duration = Duration::from_millis(200);

const APPEND: &str = "INSERT INTO callback_log (at, customer, looks, source, request_id, template, again)
     SELECT at, customer, looks, source, request_id, template, again
     FROM unnest($1::bigint[], $2::bytea[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::smallint[])
         WITH ORDINALITY AS one (at, customer, looks, source, request_id, template, again, place)
     ORDER BY place RETURNING id";

/// One nudge on its way into the log.
pub(super) struct Entry {
    pub(super) nudge: Nudge,
    /// When it knocked, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// It comes out of the spool.
    pub(super) again: bool,
}

struct Waiting {
    entry: Entry,
    reply: oneshot::Sender<Result<i64, StoreError>>,
}

/// A handle to the thread that takes callbacks in.
pub(super) struct Intake {
    queue: mpsc::Sender<Waiting>,
    stop: CancellationToken,
    is_open: Arc<AtomicBool>,
    opened: Arc<Notify>,
}

impl Intake {
    /// One that takes nothing: a command beside the service has no callbacks.
    pub(super) fn closed() -> Self {
        let (queue, _) = mpsc::channel(1);
        Self { queue, stop: CancellationToken::new(), is_open: Arc::default(), opened: Arc::default() }
    }

    /// The tables are there.
    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        self.opened.notify_one();
    }

    /// Appends one nudge and waits until it is on disk in the database.
    pub(super) async fn record(&self, entry: Entry) -> Result<i64, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Waiting { entry, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy(QUEUE_MAX),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Asks the thread to finish what waits and to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        self.opened.notify_one();
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the intake has stopped".to_owned())
}

/// Starts the thread: intake, fold and hints, beside each other, away from the threads that serve requests.
pub(super) fn start(connector: Connector, hints: Hints) -> Result<(Intake, JoinHandle<()>), StoreError> {
    let cannot = |error: std::io::Error| StoreError::Unavailable(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let (queue, inbox) = mpsc::channel(QUEUE_MAX);
    let intake =
        Intake { queue, stop: CancellationToken::new(), is_open: Arc::default(), opened: Arc::default() };
    let (stop, is_open, opened) =
        (intake.stop.clone(), Arc::clone(&intake.is_open), Arc::clone(&intake.opened));
    let serve = async move {
        let appended = Notify::new();
        while !is_open.load(Ordering::SeqCst) && !stop.is_cancelled() {
            opened.notified().await;
        }
        tokio::select! {
            () = take_in(inbox, &connector, &appended, &stop) => {}
            ((), ()) = async {
                tokio::join!(fold::run(&connector, &appended, &hints), hints::run(&hints))
            } => {}
        }
    };
    let thread = std::thread::Builder::new()
        .name("store-postgres".to_owned())
        .spawn(move || runtime.block_on(serve))
        .map_err(cannot)?;
    Ok((intake, thread))
}

/// A connection that is made when it is needed and made anew when it is lost.
pub(super) struct Line<'a> {
    connector: &'a Connector,
    open: Option<(Client, tokio::task::JoinHandle<()>)>,
}

impl<'a> Line<'a> {
    pub(super) fn new(connector: &'a Connector) -> Self {
        Self { connector, open: None }
    }

    pub(super) async fn client(&mut self) -> Result<&mut Client, StoreError> {
        if self.open.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            let (client, connection) = self.connector.connect().await?;
            #[expect(
                clippy::disallowed_methods,
                reason = "it ends with its client, on the store's own thread"
            )]
            let driver = tokio::spawn(async move {
                // Whoever uses the client hears the error.
                let _ = connection.await;
            });
            self.open = Some((client, driver));
        }
        self.open.as_mut().map(|(client, _)| client).ok_or_else(stopped)
    }

    /// Closes the connection: what it was doing is not known.
    pub(super) fn hang_up(&mut self) {
        if let Some((_, driver)) = self.open.take() {
            driver.abort();
        }
    }
}

async fn take_in(
    mut inbox: mpsc::Receiver<Waiting>,
    connector: &Connector,
    appended: &Notify,
    stop: &CancellationToken,
) {
    let mut line = Line::new(connector);
    let mut group = Vec::with_capacity(GROUP_MAX);
    loop {
        tokio::select! {
            biased;
            received = inbox.recv_many(&mut group, GROUP_MAX) => if received == 0 { return },
            () = stop.cancelled() => return,
        }
        // Nobody waits for those any more; they are in the spool.
        group.retain(|waiting: &Waiting| !waiting.reply.is_closed());
        if group.is_empty() {
            continue;
        }
        // A connection has its own limit: it may take several addresses.
        if let Err(error) = line.client().await {
            answer(&mut group, |_| Err(StoreError::Unavailable(error.to_string())));
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        match append_in_time(&mut line, &group).await {
            Ok(receipts) => {
                appended.notify_one();
                answer(&mut group, |place| {
                    receipts.get(place).copied().ok_or_else(|| {
                        StoreError::Unavailable("the callback could not be appended to the log".to_owned())
                    })
                });
            }
            // One of them is refused, and nobody knows which: each for itself.
            Err(Failed::Refused(_)) if group.len() > 1 => {
                for waiting in group.drain(..) {
                    let one = std::slice::from_ref(&waiting);
                    let receipt = append_in_time(&mut line, one).await;
                    if receipt.is_ok() {
                        appended.notify_one();
                    }
                    let receipt = receipt
                        .map_err(Failed::into_error)
                        .and_then(|receipts| receipts.first().copied().ok_or_else(stopped));
                    // The caller may have stopped waiting; the row stands all the same.
                    let _ = waiting.reply.send(receipt);
                }
            }
            Err(failed) => {
                let is_away = matches!(failed, Failed::Away(_));
                let error = failed.into_error();
                answer(&mut group, |_| Err(StoreError::Unavailable(error.to_string())));
                if is_away {
                    line.hang_up();
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Why a group was not appended.
enum Failed {
    /// The database works, and refuses something that stands in a row.
    Refused(StoreError),
    /// It does not, or not in time: what became of the group is not known.
    Away(StoreError),
}

impl Failed {
    fn into_error(self) -> StoreError {
        match self {
            Self::Refused(error) | Self::Away(error) => error,
        }
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        // Data exceptions, constraints, and what a trigger raises.
        let refused = |code: &SqlState| ["22", "23", "P0"].iter().any(|class| code.code().starts_with(class));
        if error.code().is_some_and(refused) { Self::Refused(error.into()) } else { Self::Away(error.into()) }
    }
}

async fn append_in_time(line: &mut Line<'_>, group: &[Waiting]) -> Result<Vec<i64>, Failed> {
    match tokio::time::timeout(GROUP_WAIT, append(line, group)).await {
        Ok(appended) => appended,
        Err(_) => {
            Err(Failed::Away(StoreError::Unavailable("the database did not answer in time".to_owned())))
        }
    }
}

fn answer(group: &mut Vec<Waiting>, receipt: impl Fn(usize) -> Result<i64, StoreError>) {
    for (place, waiting) in group.drain(..).enumerate() {
        // The caller may have stopped waiting; the row stands all the same.
        let _ = waiting.reply.send(receipt(place));
    }
}

/// One statement for the whole group. Gives the receipt id of each, in order, once they are on disk.
async fn append(line: &mut Line<'_>, group: &[Waiting]) -> Result<Vec<i64>, Failed> {
    let entries = || group.iter().map(|waiting| &waiting.entry);
    let at: Vec<i64> = entries().map(|entry| entry.at_ms).collect();
    let customer: Vec<Option<&[u8]>> = entries()
        .map(|entry| entry.nudge.customer.as_ref().map(|id| CustomerHashId::as_bytes(id).as_slice()))
        .collect();
    let looks: Vec<i16> = entries().map(|entry| entry.nudge.looks.into()).collect();
    let source: Vec<&str> = entries().map(|entry| entry.nudge.source.as_str()).collect();
    let request: Vec<Option<&str>> =
        entries().map(|entry| entry.nudge.request_id.as_ref().map(RequestId::as_str)).collect();
    let template: Vec<Option<&str>> =
        entries().map(|entry| entry.nudge.template.as_ref().map(Template::as_str)).collect();
    let again: Vec<i16> = entries().map(|entry| entry.again.into()).collect();
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&at, Type::INT8_ARRAY),
        (&customer, Type::BYTEA_ARRAY),
        (&looks, Type::INT2_ARRAY),
        (&source, Type::TEXT_ARRAY),
        (&request, Type::TEXT_ARRAY),
        (&template, Type::TEXT_ARRAY),
        (&again, Type::INT2_ARRAY),
    ];
    let client: &Client = line.client().await.map_err(Failed::Away)?;
    // All three leave at once, in this order; after a statement that failed, COMMIT undoes.
    let (begun, rows, committed) = tokio::join!(
        biased;
        client.batch_execute(LIMITS),
        client.query_typed(APPEND, &values),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let rows = rows?;
    committed?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
