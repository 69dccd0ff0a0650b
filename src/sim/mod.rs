//! BESIDE the house: a pretend Nium, written from the contract and sharing no types with our client, so that a misspelt
//! field cannot agree with itself. Stateful and strict about what it receives; it fires callbacks with an empty body
//! exactly as Nium does, and misbehaves by name when it is told to.
//!
//! - `state`: customers, the journal of everything received and sent, the clock
//! - `strict`: what Unified Add Customer takes, field by field
//! - `routes`: Nium's endpoints
//! - `details`: what Customer Details V2 prints, quirks included
//! - `corporate`: companies, and new addresses for a check
//! - `rfi`: requests for information
//! - `list`: the Customer List, V2 and V3
//! - `callbacks`: calling the client back
//! - `mailbox`: a mail server whose messages are shown on a page
//! - `faults`: named misbehaviour
//! - `control`: everything under `/__sim/`, which is not Nium's

mod acts;
mod callbacks;
mod control;
mod corporate;
mod details;
mod faults;
mod list;
mod mailbox;
mod rfi;
mod routes;
mod state;
mod strict;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::{Certificate, Client};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::state::State;
pub use self::state::{Entry, Journal};

/// Longest request body that is read, in bytes: 10 MiB of documents in base64 and room around them.
const BODY_BYTES_MAX: usize = 20 * 1024 * 1024;
/// How long a callback may take.
const CALLBACK_LIMIT: Duration = Duration::from_secs(10);

/// Who the client is, and where it is called back.
#[derive(Clone, Debug)]
pub struct Options {
    /// The client id that requests must carry in their path.
    pub client_hash_id: String,
    /// The key that requests must carry in `x-api-key`.
    pub api_key: String,
    /// What callbacks carry in `x-client-name`.
    pub client_name: String,
    /// The client's regulatory region.
    pub region: String,
    /// Where callbacks go; `%s` becomes the customer's id.
    pub callback_url: Option<String>,
    /// Where JSON webhooks go.
    pub webhook_url: Option<String>,
    /// A header and its value that every callback carries.
    pub callback_header: Option<(String, String)>,
    /// A certificate to trust for callbacks over https.
    pub callback_ca_pem: Option<Vec<u8>>,
}

/// Why the pretend Nium did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The listener cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] std::io::Error),
    /// The client for callbacks cannot be built.
    #[error("the client for callbacks cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running pretend Nium.
pub struct Sim {
    world: Arc<World>,
    address: SocketAddr,
}

/// What every request shares.
struct World {
    options: Options,
    state: Mutex<State>,
    client: Client,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Rings when a held answer is released.
    released: Notify,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, taken apart.
struct Asked {
    method: String,
    path: String,
    /// Without the question mark; empty where there is none.
    query: String,
    api_key: Option<String>,
    request_id: Option<String>,
    client_name: Option<String>,
    body: Bytes,
}

/// An answer, or none.
enum Reply {
    Json(u16, Value),
    Text(u16, &'static str, String),
    /// A 429 or 503 that says when to come back.
    Later(u16, u64),
    /// A body of this many bytes that nobody should read to its end.
    Huge(usize),
    /// The connection ends without an answer.
    Drop,
}

impl Sim {
    /// Serves on `listener` until it is stopped or dropped.
    /// Must be called on a runtime.
    pub fn start(listener: TcpListener, options: Options) -> Result<Self, SimError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let mut client =
            Client::builder().timeout(CALLBACK_LIMIT).no_proxy().redirect(reqwest::redirect::Policy::none());
        let trusted = options.callback_ca_pem.as_deref().map(Certificate::from_pem).transpose()?;
        client = client.tls_certs_only(trusted);
        let world = Arc::new(World {
            options,
            state: Mutex::new(State::default()),
            client: client.build()?,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            released: Notify::new(),
        });
        let serving = Arc::clone(&world);
        world.tasks.spawn(async move { accept(serving, listener).await });
        Ok(Self { world, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as the base of URLs.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received and sent so far.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.world.state().journal.clone()
    }

    /// The whole state of one customer, documents described and not shown.
    #[must_use]
    pub fn customer(&self, id: &str) -> Option<Value> {
        self.world.state().customers.get(id).map(state::Customer::described)
    }

    /// Moves its clock on.
    pub fn advance(&self, by: Duration) {
        self.world.state().advance_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Stops and gives the journal. Callbacks on their way are finished first.
    pub async fn stop(self) -> Journal {
        self.world.stop.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
        self.journal()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}

async fn accept(world: Arc<World>, listener: tokio::net::TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = world.stop.cancelled() => return,
        };
        // A connection that died before it was accepted is nobody's trouble.
        let Ok((socket, _)) = accepted else { continue };
        let served = Arc::clone(&world);
        world.tasks.spawn(async move {
            let stop = served.stop.clone();
            let service = service_fn(move |request| serve(Arc::clone(&served), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                // An error is a dropped connection: ours on purpose, or the peer's.
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// An answer was held back on purpose; hyper closes the connection without one.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

async fn serve(
    world: Arc<World>,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = axum::body::to_bytes(Body::new(body), BODY_BYTES_MAX).await.map_err(|_| Dropped)?;
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        api_key: header("x-api-key"),
        request_id: header("x-request-id"),
        client_name: header("x-client-name"),
        body,
    };
    let reply = match asked.path.strip_prefix("/__sim/") {
        Some(rest) => control::answer(&world, &asked, rest).await,
        None => routes::answer(&world, &asked).await,
    };
    respond(reply)
}

fn respond(reply: Reply) -> Result<hyper::Response<Body>, Dropped> {
    let builder =
        |status: u16, kind: &str| hyper::Response::builder().status(status).header("content-type", kind);
    let response = match reply {
        Reply::Json(status, value) => builder(status, "application/json").body(Body::from(value.to_string())),
        Reply::Text(status, kind, text) => builder(status, kind).body(Body::from(text)),
        Reply::Later(status, seconds) => {
            builder(status, "application/json").header("retry-after", seconds).body(Body::empty())
        }
        Reply::Huge(bytes) => builder(200, "application/json").body(Body::from(vec![b' '; bytes])),
        Reply::Drop => return Err(Dropped),
    };
    response.map_err(|_| Dropped)
}
