//! The listener: plain HTTP or TLS, with a limit on everything a stranger can hold on to. A connection must finish its
//! handshake, send its first request, and later requests, in time; no more than a fixed number are open at once, and
//! those that come after wait in the kernel's queue.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use hyper_util::rt::TokioTimer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::Service;

pub use axum_server::tls_rustls::RustlsConfig;

/// Stops a server: `graceful_shutdown(Some(grace))` closes the listener and lets requests under way finish within the
/// grace period, `shutdown()` ends everything at once.
pub type Handle = axum_server::Handle<SocketAddr>;

/// Most connections open at once. Each costs some 10 KiB when idle, so that all of them stay within 200 MiB; a callback
/// sender needs a few dozen.
pub const CONNECTIONS_MAX: usize = 20_000;

/// How long a TLS handshake may take.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How long a new connection may take to send the head of its first request.
pub const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(10);

/// How long a connection may be idle before the next head is complete. Longer than the 60 s after which common proxies
/// and clients drop an idle connection: if we dropped it first, a callback just sent into it would be lost.
pub const NEXT_REQUEST_WAIT: Duration = Duration::from_secs(75);

/// Most requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(20);

/// How long the answer to that may take.
const HTTP2_PING_WAIT: Duration = Duration::from_secs(10);

/// The limits of a listener; the default is what production uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Certificate and key; `None` for plain HTTP.
    pub tls: Option<RustlsConfig>,
    /// Most connections open at once; at least 1.
    pub connections_max: usize,
    /// Limit of a TLS handshake.
    pub handshake_wait: Duration,
    /// Limit of the first request's head.
    pub first_request_wait: Duration,
    /// Limit of every later head, idle time included.
    pub next_request_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            connections_max: CONNECTIONS_MAX,
            handshake_wait: HANDSHAKE_WAIT,
            first_request_wait: FIRST_REQUEST_WAIT,
            next_request_wait: NEXT_REQUEST_WAIT,
        }
    }
}

/// Reads a certificate chain and its key from PEM files: TLS 1.2 and 1.3, `h2` and `http/1.1`. Needs the process's
/// crypto provider to be installed. The returned value can be told to read the files again
/// (`reload_from_pem_file`); connections made after that use the new certificate.
pub async fn tls_from_files(certificate: &Path, key: &Path) -> io::Result<RustlsConfig> {
    RustlsConfig::from_pem_file(certificate, key).await
}

/// Serves `router` on `listener` until `handle` ends it. Requests carry the peer's address as
/// `ConnectInfo<SocketAddr>`. An error means that the listener could not be used; trouble with one connection only ends
/// that connection.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    options: Options,
    handle: Handle,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle)
        .first_request_timeout(options.first_request_wait)
        .accept_error_handler(report);
    let http = server.http_builder();
    http.http1().timer(TokioTimer::new()).header_read_timeout(options.next_request_wait);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(HTTP2_PING_WAIT);
    let gate = Gate::new(router, options.connections_max);
    // Answers are small and written at once; waiting to fill a packet would only delay them.
    let plain = NoDelayAcceptor::new();
    match options.tls {
        None => server.acceptor(plain).serve(gate).await,
        Some(tls) => {
            let tls = RustlsAcceptor::new(tls).handshake_timeout(options.handshake_wait).acceptor(plain);
            server.acceptor(tls).serve(gate).await
        }
    }
}

/// Failed handshakes are strangers' business; a listener that cannot accept (out of file descriptors) is ours.
fn report(peer: Option<&SocketAddr>, error: &io::Error) {
    if peer.is_some() {
        tracing::debug!(%error, "a connection was not established");
    } else {
        tracing::warn!(%error, "the listener cannot accept connections");
    }
}

/// Hands the router to connections, as many as there is room for. The server asks for readiness with one accepted
/// connection in hand; while there is no room it waits there, and everybody else in the kernel's queue.
struct Gate {
    router: Router,
    room: PollSemaphore,
    place: Option<OwnedSemaphorePermit>,
}

impl Gate {
    fn new(router: Router, connections_max: usize) -> Self {
        let room = PollSemaphore::new(Arc::new(Semaphore::new(connections_max)));
        // Giving it its state makes the router's routes ready once, and not anew for every request.
        Self { router: router.with_state(()), room, place: None }
    }
}

impl Service<SocketAddr> for Gate {
    type Response = Guest;
    type Error = io::Error;
    type Future = Ready<io::Result<Guest>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.is_none() {
            self.place = std::task::ready!(self.room.poll_acquire(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let place = self.place.take().map(Arc::new);
        ready(Ok(Guest { router: self.router.clone(), peer: ConnectInfo(peer), _place: place }))
    }
}

/// The router as one connection sees it. The connection's place is free again when the last clone is gone.
#[derive(Clone)]
struct Guest {
    router: Router,
    peer: ConnectInfo<SocketAddr>,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl<B> Service<axum::http::Request<B>> for Guest
where
    Router: Service<axum::http::Request<B>>,
{
    type Response = <Router as Service<axum::http::Request<B>>>::Response;
    type Error = <Router as Service<axum::http::Request<B>>>::Error;
    type Future = <Router as Service<axum::http::Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(cx)
    }

    fn call(&mut self, mut request: axum::http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}
