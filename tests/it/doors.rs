//! What stands before the first request: the PROXY protocol, and how much one peer may hold.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use reinstate::http::serve::{Limits, Options};
use reinstate::metrics::DoorMetrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::listener::{PATIENCE, SHORT, Server, closed, exchange, start, unlimited};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn behind_balancers(from: &str) -> Options {
    Options { balancers: vec![from.parse().unwrap()], ..unlimited() }
}

/// What comes back for these bytes until the server closes; nothing if it only closes.
async fn say(server: &Server, parts: &[&[u8]]) -> String {
    let mut socket = server.connect().await;
    for part in parts {
        // A server that has heard enough closes while we still talk.
        let _ = socket.write_all(part).await;
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A header of version 2 that names an IPv4 address.
fn version_2(address: [u8; 4]) -> Vec<u8> {
    let start = *b"\r\n\r\n\0\r\nQUIT\n";
    [&start[..], &[0x21, 0x11, 0, 12], &address, &[10, 0, 0, 1, 0x12, 0x67, 0, 80]].concat()
}

fn counted(metrics: &DoorMetrics, sample: &str) -> u64 {
    let mut registry = Registry::with_prefix("reinstate");
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

fn refused(metrics: &DoorMetrics, reason: &str) -> u64 {
    counted(
        metrics,
        &format!("reinstate_connections_refused_total{{listener=\"public\",reason=\"{reason}\"}}"),
    )
}

#[tokio::test]
async fn a_balancer_names_the_peer_in_either_version() {
    let server = start(behind_balancers("127.0.0.0/8"));
    for header in [b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(), version_2([203, 0, 113, 9])] {
        assert!(say(&server, &[&header, REQUEST]).await.ends_with("\r\n\r\n203.0.113.9"));
        assert!(say(&server, &[&[&header[..], REQUEST].concat()]).await.ends_with("\r\n\r\n203.0.113.9"));
    }
    assert!(
        say(&server, &[b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n", REQUEST]).await.ends_with("2001:db8::9")
    );
    // A balancer that speaks for itself, to see whether we are there.
    assert!(say(&server, &[b"PROXY UNKNOWN\r\n", REQUEST]).await.ends_with("\r\n\r\n127.0.0.1"));
}

#[tokio::test]
async fn with_the_protocol_on_whoever_does_not_speak_it_is_turned_away() {
    let server = start(behind_balancers("127.0.0.0/8"));
    let metrics = server.metrics.clone();
    for bytes in [REQUEST, b"PROXY TCP4 nonsense\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"] {
        assert_eq!(say(&server, &[bytes]).await, "");
    }
    assert_eq!(refused(&metrics, "no_proxy_header"), 3);
    // Twice is once too often: the second is no request.
    let header = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n";
    assert!(say(&server, &[header, header, REQUEST]).await.starts_with("HTTP/1.1 400"));
    assert_eq!(refused(&metrics, "not_http"), 1);
}

#[tokio::test]
async fn who_is_no_balancer_is_turned_away_whatever_it_says() {
    let server = start(behind_balancers("203.0.113.0/24"));
    let header = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n";
    assert_eq!(say(&server, &[header, REQUEST]).await, "");
    assert_eq!(refused(&server.metrics, "no_balancer"), 1);
}

#[tokio::test]
async fn without_the_protocol_its_header_is_no_request() {
    let server = start(unlimited());
    let header = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n";
    assert!(say(&server, &[header, REQUEST]).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut_off() {
    let server = start(Options { handshake_wait: SHORT, ..behind_balancers("127.0.0.0/8") });
    let (mut silent, mut half) = (server.connect().await, server.connect().await);
    half.write_all(b"PROXY TCP4 203.0.113.9 ").await.unwrap();
    closed(&mut half).await;
    closed(&mut silent).await;
    assert_eq!(refused(&server.metrics, "no_proxy_header"), 2);
}

async fn named(server: &Server, address: &str) -> TcpStream {
    let mut socket = server.connect().await;
    socket.write_all(format!("PROXY TCP4 {address} 10.0.0.1 4711 80\r\n").as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn connections_are_counted_by_the_address_that_the_balancer_names() {
    let limits = Limits { peer_connections_max: 1, ..Limits::default() };
    let server = start(Options { limits, ..behind_balancers("127.0.0.0/8") });
    let mut first = named(&server, "203.0.113.9").await;
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(first.read_u8().await.unwrap(), 0);
    let mut second = named(&server, "203.0.113.9").await;
    closed(&mut second).await;
    assert_eq!(refused(&server.metrics, "peer_connections"), 1);
    let mut other = named(&server, "203.0.113.10").await;
    other.write_all(REQUEST).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'H');
}

#[tokio::test]
async fn a_peer_that_asks_too_often_is_told_so_and_others_are_served() {
    let limits = Limits { peer_requests_per_second: 1, ..Limits::default() };
    let server = start(Options { limits, ..behind_balancers("127.0.0.0/8") });
    let mut busy = named(&server, "203.0.113.9").await;
    let mut answers = String::new();
    busy.write_all(&[b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(5), REQUEST.to_vec()].concat())
        .await
        .unwrap();
    busy.read_to_string(&mut answers).await.unwrap();
    assert!(answers.matches("HTTP/1.1 200").count() <= 3, "{answers}");
    assert!(answers.contains("HTTP/1.1 429") && answers.contains("retry-after: 1"), "{answers}");
    let sample = "reinstate_requests_refused_total{listener=\"public\",reason=\"peer_rate\"}";
    assert!(counted(&server.metrics, sample) >= 3);
    assert!(
        say(&server, &[b"PROXY TCP4 203.0.113.10 10.0.0.1 1 80\r\n", REQUEST])
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_peer_that_waits_for_many_answers_at_once_gets_its_share_and_others_are_served() {
    let limits = Limits { requests_max: 8, ..Limits::default() };
    let server = start(Options { limits, ..behind_balancers("127.0.0.0/8") });
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut slow = named(&server, "203.0.113.9").await;
        slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        held.push(slow);
    }
    let answers = async |from: &str| {
        let header = format!("PROXY TCP4 {from} 10.0.0.1 1 80\r\n");
        say(&server, &[header.as_bytes(), REQUEST]).await
    };
    let turned_away = async {
        loop {
            let answer = answers("203.0.113.9").await;
            if answer.starts_with("HTTP/1.1 429") {
                break answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, turned_away).await.unwrap();
    assert!(answer.contains("retry-after: 1"), "{answer}");
    let sample = "reinstate_requests_refused_total{listener=\"public\",reason=\"peer_requests\"}";
    let seven = async {
        while counted(&server.metrics, sample) < 7 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seven).await.unwrap();
    assert!(answers("203.0.113.10").await.starts_with("HTTP/1.1 200"));
    drop(held);
}

#[tokio::test]
async fn those_who_are_known_may_have_any_number() {
    let known = Arc::new(ArcSwap::from_pointee(vec!["127.0.0.0/8".parse().unwrap()]));
    let limits = Limits { peer_connections_max: 1, peer_requests_per_second: 1, known, ..Limits::default() };
    let server = start(Options { limits, ..unlimited() });
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    for _ in 0..10 {
        exchange(&mut one).await;
        exchange(&mut other).await;
    }
    let open = "reinstate_connections_open{listener=\"public\"}";
    assert_eq!(counted(&server.metrics, open), 2);
}
