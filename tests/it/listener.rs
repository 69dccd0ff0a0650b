//! The listener, over real sockets: what a stranger can hold on to, and for how long.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use reinstate::http::serve::{self, Handle, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::house::install_crypto;

/// A limit short enough for a test, and long enough for a busy machine to answer an honest request within it.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than any test: a limit that is not the one being tested.
const NEVER: Duration = Duration::from_mins(10);

/// After this time a test gives up. Shorter than the library's own limits, so that they cannot stand in for ours.
const PATIENCE: Duration = Duration::from_secs(8);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    address: SocketAddr,
    handle: Handle,
    running: JoinSet<()>,
}

fn start(options: Options) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    let slow = || async { std::future::pending::<()>().await };
    let router = Router::new().route("/", get(peer)).route("/slow", get(slow));
    let handle = Handle::new();
    let mut running = JoinSet::new();
    let stop = handle.clone();
    running.spawn(async move { serve::serve(listener, router, options, stop).await.unwrap() });
    Server { address, handle, running }
}

/// Only the limit under test is short.
fn unlimited() -> Options {
    Options {
        handshake_wait: NEVER,
        first_request_wait: NEVER,
        next_request_wait: NEVER,
        ..Options::default()
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until the server has ended by itself.
    async fn ended(&mut self) {
        tokio::time::timeout(PATIENCE, self.running.join_next()).await.unwrap().unwrap().unwrap();
    }
}

/// Sends one request and reads its answer, which ends with our own address.
async fn exchange(socket: &mut TcpStream) {
    socket.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"127.0.0.1") {
        assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
}

/// Waits until the server closes the connection, with or without a last word.
async fn closed(socket: &mut TcpStream) {
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

#[tokio::test]
async fn who_comes_when_it_is_full_waits_for_a_place() {
    let server = start(Options { connections_max: 2, ..unlimited() });
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
    server.handle.graceful_shutdown(Some(PATIENCE));
    closed(&mut idle).await;
    server.ended().await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn the_grace_period_ends_what_does_not_end() {
    let mut server = start(unlimited());
    let mut busy = server.connect().await;
    exchange(&mut busy).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.handle.graceful_shutdown(Some(SHORT));
    server.ended().await;
    closed(&mut busy).await;
}

/// A certificate for `localhost` as PEM, in files as an operator would have them.
struct Certificate {
    files: tempfile::TempDir,
    pem: String,
}

impl Certificate {
    fn new() -> Self {
        install_crypto();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (files, pem) = (tempfile::tempdir().unwrap(), made.cert.pem());
        std::fs::write(files.path().join("cert.pem"), &pem).unwrap();
        std::fs::write(files.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { files, pem }
    }

    async fn load(&self) -> serve::RustlsConfig {
        let path = self.files.path();
        serve::tls_from_files(&path.join("cert.pem"), &path.join("key.pem")).await.unwrap()
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let trusted = reqwest::Certificate::from_pem(self.pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).timeout(PATIENCE)
    }
}

#[tokio::test]
async fn tls_is_served_with_both_protocols_and_both_versions() {
    let certificate = Certificate::new();
    let server = start(Options { tls: Some(certificate.load().await), ..unlimited() });
    let url = format!("https://localhost:{}/", server.address.port());
    let tls12 = reqwest::tls::Version::TLS_1_2;
    for (client, version) in [
        (certificate.client(), reqwest::Version::HTTP_2),
        (certificate.client().http1_only(), reqwest::Version::HTTP_11),
        (certificate.client().tls_version_max(tls12), reqwest::Version::HTTP_2),
    ] {
        let client = client.resolve("localhost", server.address).build().unwrap();
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let (old, new) = (Certificate::new(), Certificate::new());
    let tls = old.load().await;
    let server = start(Options { tls: Some(tls.clone()), ..unlimited() });
    let url = format!("https://localhost:{}/", server.address.port());
    let client = new.client().resolve("localhost", server.address).build().unwrap();
    assert!(client.get(&url).send().await.is_err());
    let path = new.files.path();
    tls.reload_from_pem_file(path.join("cert.pem"), path.join("key.pem")).await.unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_off() {
    let certificate = Certificate::new();
    let tls = Some(certificate.load().await);
    let server = start(Options { tls, handshake_wait: SHORT, ..unlimited() });
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    // The first bytes of a TLS record that says it has 512 more.
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    closed(&mut half).await;
    closed(&mut silent).await;
}
