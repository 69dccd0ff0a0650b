//! The listener, over real sockets: what a stranger can hold on to, and for how long.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use reinstate::http::serve::{self, Handle, Limits, Options};
use reinstate::metrics::DoorMetrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A limit short enough for a test, and long enough for a busy machine to answer an honest request within it.
pub const SHORT: Duration = Duration::from_millis(300);

/// Longer than any test: a limit that is not the one being tested.
const NEVER: Duration = Duration::from_mins(10);

/// After this time a test gives up. Shorter than the library's own limits, so that they cannot stand in for ours.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// More than what the system keeps of an answer that nobody reads.
const LARGE: usize = 64 * 1024 * 1024;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

pub struct Server {
    pub address: SocketAddr,
    pub metrics: DoorMetrics,
    handle: Handle,
    running: JoinSet<()>,
}

pub fn start(options: Options) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    let slow = || async { std::future::pending::<()>().await };
    let large = || async { vec![b'x'; LARGE] };
    let router = Router::new().route("/", get(peer)).route("/slow", get(slow)).route("/large", get(large));
    let handle = Handle::new();
    let mut running = JoinSet::new();
    let (stop, metrics) = (handle.clone(), options.metrics.clone());
    running.spawn(async move { serve::serve(listener, router, options, stop).await.unwrap() });
    Server { address, metrics, handle, running }
}

/// Only the limit under test is short.
pub fn unlimited() -> Options {
    Options {
        handshake_wait: NEVER,
        first_request_wait: NEVER,
        next_request_wait: NEVER,
        answer_wait: NEVER,
        ..Options::default()
    }
}

impl Server {
    /// Waits until no connection is open.
    async fn is_left_by_all(&self) {
        let open = self.metrics.open("public");
        until(async || open.get() <= 0).await;
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until the server has ended by itself.
    async fn ended(&mut self) {
        tokio::time::timeout(PATIENCE, self.running.join_next()).await.unwrap().unwrap().unwrap();
    }
}

/// Sends one request and reads its answer, which ends with our own address.
pub async fn exchange(socket: &mut TcpStream) {
    socket.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"127.0.0.1") {
        assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
}

/// Waits for something that happens by itself.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// Waits until the server closes the connection, with or without a last word.
pub async fn closed(socket: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn half_a_first_head_is_cut_off() {
    let server = start(Options { first_request_wait: SHORT, ..unlimited() });
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.write_all(&REQUEST[..20]).await.unwrap();
    closed(&mut half).await;
    closed(&mut silent).await;
}

#[tokio::test]
async fn half_a_later_head_is_cut_off() {
    let server = start(Options { next_request_wait: SHORT, ..unlimited() });
    let mut idle = server.connect().await;
    exchange(&mut idle).await;
    let mut half = server.connect().await;
    exchange(&mut half).await;
    half.write_all(&REQUEST[..20]).await.unwrap();
    closed(&mut half).await;
    closed(&mut idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_is_left_and_who_reads_gets_all_of_it() {
    let server = start(Options { answer_wait: 4 * SHORT, ..unlimited() });
    let ask = async |how: &str| {
        let mut socket = server.connect().await;
        let request = format!("GET /large HTTP/1.1\r\nhost: x\r\nconnection: {how}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    };
    let silent = [ask("keep-alive").await, ask("close").await];
    let mut answer = Vec::new();
    let mut honest = ask("close").await;
    tokio::time::timeout(PATIENCE, honest.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.len() > LARGE, "{}", answer.len());
    server.is_left_by_all().await;
    let refused = server.metrics.connections_refused("public", "slow_reader");
    until(async || refused.get() >= 2).await;
    assert_eq!(refused.get(), 2);
    drop(silent);
}

#[tokio::test]
async fn who_makes_no_room_for_an_answer_by_http2_is_left_whatever_else_it_asks() {
    let wait = 2 * SHORT;
    let server = start(Options {
        first_request_wait: wait,
        next_request_wait: SHORT,
        answer_wait: wait,
        ..unlimited()
    });
    let mut shut = h2::client::Builder::new();
    let shut = shut.initial_window_size(0).handshake::<_, Bytes>(server.connect().await);
    let (mut client, connection) = shut.await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(connection);
    let mut held = Vec::new();
    tokio::time::timeout(PATIENCE, async {
        // A connection that goes on asking is not idle, and an answer that waits is not over.
        while let Ok(ready) = client.clone().ready().await {
            client = ready;
            let request = Request::get("http://x/").body(()).unwrap();
            let Ok((answer, _)) = client.send_request(request, true) else { break };
            let Ok(answer) = answer.await else { break };
            assert_eq!(answer.status().as_u16(), 200);
            if held.is_empty() {
                held.push(answer);
            }
        }
    })
    .await
    .unwrap();
    server.is_left_by_all().await;
    assert_eq!(server.metrics.connections_refused("public", "slow_reader").get(), 1);
}

#[tokio::test]
async fn http2_that_only_answers_to_pings_is_cut_off_too() {
    let server = start(Options { next_request_wait: SHORT, first_request_wait: SHORT, ..unlimited() });
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).http2_prior_knowledge();
    let client =
        client.http2_keep_alive_interval(SHORT / 10).http2_keep_alive_while_idle(true).build().unwrap();
    let url = format!("http://{}/", server.address);
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
    server.is_left_by_all().await;
}

#[tokio::test]
async fn who_comes_when_it_is_full_waits_for_a_place() {
    let server = start(Options { limits: Limits { connections_max: 2, ..Limits::default() }, ..unlimited() });
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    exchange(&mut first).await;
    exchange(&mut second).await;

    let mut third = server.connect().await;
    third.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, third.read(&mut byte)).await.is_err(), "served without a place");
    exchange(&mut first).await;

    drop(second);
    assert_eq!(tokio::time::timeout(PATIENCE, third.read(&mut byte)).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_graceful_stop_closes_what_is_idle_and_ends() {
    let mut server = start(unlimited());
    let mut idle = server.connect().await;
    exchange(&mut idle).await;
    server.handle.graceful_shutdown(PATIENCE);
    closed(&mut idle).await;
    server.ended().await;
    // A child process that another test is just starting has our sockets too, for a moment.
    until(async || TcpStream::connect(server.address).await.is_err()).await;
}

#[tokio::test]
async fn the_grace_period_ends_what_does_not_end() {
    let mut server = start(unlimited());
    let mut busy = server.connect().await;
    exchange(&mut busy).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.handle.graceful_shutdown(SHORT);
    server.ended().await;
    closed(&mut busy).await;
}
