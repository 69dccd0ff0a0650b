//! The listener: plain HTTP or TLS, with a limit on everything a stranger can hold on to. A connection must finish what
//! stands before it (PROXY protocol, handshake), send its first request, and later requests, in time; no more than a fixed
//! number are open at once, and those that come after wait in the kernel's queue. What one peer may hold is in `peers`.

mod guest;
mod patient;
mod peers;
mod proxy;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ipnet::IpNet;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::guest::Guest;
use self::patient::Patient;
pub use self::peers::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, Known, Limits, PEER_CONNECTIONS_MAX, PEER_REQUESTS_PER_SECOND,
    REQUESTS_MAX,
};
use self::peers::{Busy, Peers, Visit};
pub use self::tls::{Certificates, Files, TlsError};
use crate::metrics::DoorMetrics;

/// How long a TLS handshake may take, and as long what stands before it.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How long a new connection may take to send the head of its first request.
pub const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(10);

/// How long a connection may be idle before the next head is complete. Longer than the 60 s after which common proxies
/// and clients drop an idle connection: if we dropped it first, a callback just sent into it would be lost.
pub const NEXT_REQUEST_WAIT: Duration = Duration::from_secs(75);

/// How long a peer may take nothing of an answer. A full socket is noticed at once, a peer of HTTP/2 that makes no room for one
/// of its answers when its connection is looked at next ([`NEXT_REQUEST_WAIT`]).
pub const ANSWER_WAIT: Duration = Duration::from_mins(1);

/// Most requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(20);

/// How long the answer to that may take.
const HTTP2_PING_WAIT: Duration = Duration::from_secs(10);

/// Most bytes of a request's head, its target included.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most headers of a request.
const HEADERS_MAX: usize = 100;

/// Most streams of one HTTP/2 connection that its peer has reset and that wait to be cleared away, and most that we reset for
/// its mistakes: who makes more of them is not making requests (rapid reset), and the connection ends.
const HTTP2_RESETS_MAX: usize = 20;

/// How long to wait after the system could not give us a connection, before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Stops a server. Clones stop the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    soft: CancellationToken,
    hard: CancellationToken,
    grace: Arc<OnceLock<Duration>>,
}

impl Default for Handle {
    fn default() -> Self {
        Self::new()
    }
}

impl Handle {
    /// A handle for one server.
    #[must_use]
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        Self { soft: hard.child_token(), hard, grace: Arc::default() }
    }

    /// Closes the listener, and lets requests under way finish within the grace period.
    pub fn graceful_shutdown(&self, grace: Duration) {
        let _earlier = self.grace.set(grace);
        self.soft.cancel();
    }

    /// Ends everything at once.
    pub fn shutdown(&self) {
        self.hard.cancel();
    }
}

/// The limits of a listener; the default is what production uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the listener is called in metrics.
    pub name: &'static str,
    /// Certificate and key; `None` for plain HTTP.
    pub tls: Option<Certificates>,
    /// Balancers that begin every connection with the PROXY protocol; empty for a listener without it.
    pub balancers: Vec<IpNet>,
    /// What peers may hold on to.
    pub limits: Limits,
    /// Limit of a TLS handshake, and of what stands before it.
    pub handshake_wait: Duration,
    /// Limit of the first request's head.
    pub first_request_wait: Duration,
    /// Limit of every later head, idle time included.
    pub next_request_wait: Duration,
    /// Limit of the time in which a peer takes no byte of an answer.
    pub answer_wait: Duration,
    /// What is counted.
    pub metrics: DoorMetrics,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "public",
            tls: None,
            balancers: Vec::new(),
            limits: Limits::default(),
            handshake_wait: HANDSHAKE_WAIT,
            first_request_wait: FIRST_REQUEST_WAIT,
            next_request_wait: NEXT_REQUEST_WAIT,
            answer_wait: ANSWER_WAIT,
            metrics: DoorMetrics::default(),
        }
    }
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
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(options.limits.connections_max));
    let door = Arc::new(Door::new(router, options, handle.clone()));
    let guests = TaskTracker::new();
    loop {
        let (stream, address) = tokio::select! {
            biased;
            () = handle.soft.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Failing again and again, out of file descriptors for example, must not take the whole processor.
                    tracing::warn!(%error, "the listener cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // With one connection in hand we wait for a place; everybody else waits in the kernel's queue.
        let place = tokio::select! {
            () = handle.soft.cancelled() => break,
            place = Arc::clone(&room).acquire_owned() => place.map_err(io::Error::other)?,
        };
        let door = Arc::clone(&door);
        guests.spawn(async move {
            door.receive(stream, address).await;
            drop(place);
        });
    }
    drop(listener);
    guests.close();
    tokio::select! {
        () = guests.wait() => return Ok(()),
        () = handle.hard.cancelled() => {}
        () = tokio::time::sleep(handle.grace.get().copied().unwrap_or_default()) => handle.hard.cancel(),
    }
    guests.wait().await;
    Ok(())
}

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The listener has the PROXY protocol on, and this is no balancer of ours.
    NoBalancer,
    /// A balancer did not say whom it speaks for, or not in time.
    NoProxyHeader,
    /// Its peer has too many connections.
    PeerConnections,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// The head of a request did not come in time.
    SlowHead,
    /// The head of a request was too large.
    HeadTooLarge,
    /// Its peer took nothing of an answer.
    SlowReader,
    /// What came was no request.
    NotHttp,
    /// HTTP/2 was spoken wrongly, or as an attack.
    Http2,
}

impl Ended {
    const ALL: [Self; 9] = [
        Self::NoBalancer,
        Self::NoProxyHeader,
        Self::PeerConnections,
        Self::Handshake,
        Self::SlowHead,
        Self::HeadTooLarge,
        Self::SlowReader,
        Self::NotHttp,
        Self::Http2,
    ];

    /// The word used as a metric's label.
    fn as_str(self) -> &'static str {
        match self {
            Self::NoBalancer => "no_balancer",
            Self::NoProxyHeader => "no_proxy_header",
            Self::PeerConnections => "peer_connections",
            Self::Handshake => "handshake",
            Self::SlowHead => "slow_head",
            Self::HeadTooLarge => "head_too_large",
            Self::SlowReader => "slow_reader",
            Self::NotHttp => "not_http",
            Self::Http2 => "http2",
        }
    }

    /// What an error of the connection means; `None` for one that the other side or the network made.
    fn why(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let error = error.downcast_ref::<hyper::Error>()?;
        if error.is_parse_too_large() {
            return Some(Self::HeadTooLarge);
        }
        if error.is_parse() {
            return Some(Self::NotHttp);
        }
        if error.is_timeout() {
            return Some(Self::SlowHead);
        }
        let cause = std::error::Error::source(error)?;
        let http2 = cause.downcast_ref::<h2::Error>();
        let io = cause.downcast_ref::<io::Error>().or_else(|| http2?.get_io());
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return Some(Self::SlowReader);
        }
        let http2 = http2?;
        (!http2.is_io() && !http2.is_remote()).then_some(Self::Http2)
    }
}

/// What stands between the socket and the router.
struct Door {
    router: Router,
    options: Options,
    http: Builder<TokioExecutor>,
    peers: Arc<Peers>,
    open: Gauge,
    handle: Handle,
}

impl Door {
    fn new(router: Router, options: Options, handle: Handle) -> Self {
        for ended in Ended::ALL {
            let _at_zero = options.metrics.connections_refused(options.name, ended.as_str());
        }
        for busy in Busy::ALL {
            let _at_zero = options.metrics.requests_refused(options.name, busy.as_str());
        }
        Self {
            // Giving it its state makes the router's routes ready once, and not anew for every request.
            router: router.with_state(()),
            http: http(&options),
            peers: Peers::new(options.limits.clone()),
            open: options.metrics.open(options.name),
            options,
            handle,
        }
    }

    async fn receive(&self, stream: TcpStream, address: SocketAddr) {
        self.open.inc();
        let met = self.meet(stream, address).await;
        self.open.dec();
        if let Err(ended) = met {
            self.options.metrics.connections_refused(self.options.name, ended.as_str()).inc();
            tracing::debug!(listener = self.options.name, reason = ended.as_str(), "a connection was ended");
        }
    }

    async fn meet(&self, mut stream: TcpStream, address: SocketAddr) -> Result<(), Ended> {
        // Answers are small and written at once; waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let peer = match self.in_time(self.peer_of(&mut stream, address)).await {
            Some(peer) => peer?,
            None => return Err(Ended::NoProxyHeader),
        };
        // The address that was named is the one that is counted: a balancer's own stands for many.
        let visit = self.peers.enter(peer.ip()).ok_or(Ended::PeerConnections)?;
        let guest = Guest {
            router: self.router.clone(),
            peer: ConnectInfo(peer),
            visit: Arc::clone(&visit),
            listener: self.options.name,
            metrics: self.options.metrics.clone(),
        };
        let stream = Patient::new(stream, self.options.answer_wait);
        let Some(tls) = &self.options.tls else {
            return self.talk(stream, guest, &visit).await;
        };
        match self.in_time(TlsAcceptor::from(tls.current()).accept(stream)).await {
            // Boxed: a handshake's memory is not kept for as long as the connection lives.
            Some(Ok(stream)) => Box::pin(self.talk(stream, guest, &visit)).await,
            Some(Err(_)) | None => Err(Ended::Handshake),
        }
    }

    /// What `step` gives; `None` if it took too long, or the listener is closing.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = step => Some(done),
            () = tokio::time::sleep(self.options.handshake_wait) => None,
            () = self.handle.soft.cancelled() => None,
        }
    }

    /// Whom the connection is from: the address it comes from, or that which a balancer names.
    async fn peer_of(&self, stream: &mut TcpStream, address: SocketAddr) -> Result<SocketAddr, Ended> {
        let balancers = &self.options.balancers;
        if balancers.is_empty() {
            return Ok(address);
        }
        let from = address.ip().to_canonical();
        if !balancers.iter().any(|range| range.contains(&from)) {
            return Err(Ended::NoBalancer);
        }
        match proxy::read(stream).await {
            Ok(named) => Ok(named.unwrap_or(address)),
            Err(proxy::NoHeader) => Err(Ended::NoProxyHeader),
        }
    }

    async fn talk<S>(&self, stream: S, guest: Guest, visit: &Arc<Visit>) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut talking = pin!(self.http.serve_connection(TokioIo::new(stream), guest));
        let mut patience = pin!(tokio::time::sleep(self.options.first_request_wait));
        let (mut begun, mut leaving) = (0, false);
        loop {
            tokio::select! {
                biased;
                () = self.handle.hard.cancelled() => return Ok(()),
                ended = &mut talking => return match ended {
                    Ok(()) => Ok(()),
                    Err(error) => Ended::why(&*error).map_or(Ok(()), Err),
                },
                () = self.handle.soft.cancelled(), if !leaving => {
                    leaving = true;
                    talking.as_mut().graceful_shutdown();
                }
                () = &mut patience => {
                    if visit.is_stuck(self.options.answer_wait) {
                        return Err(Ended::SlowReader);
                    }
                    // HTTP/2 itself lets a connection be idle for as long as its other side answers to pings.
                    let idle = visit.begun() == begun && !visit.is_busy();
                    if idle {
                        return if begun == 0 { Err(Ended::SlowHead) } else { Ok(()) };
                    }
                    begun = visit.begun();
                    patience.as_mut().reset(tokio::time::Instant::now() + self.options.next_request_wait);
                }
            }
        }
    }
}

fn http(options: &Options) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.next_request_wait)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_RESETS_MAX)
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(HTTP2_PING_WAIT);
    http
}
