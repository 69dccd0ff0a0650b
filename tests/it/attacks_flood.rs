//! The attack journal, what is sent in masses, against the real binary: idle connections, bodies of a gigabyte, floods of
//! HTTP/2 frames. Whoever calls honestly meanwhile is served, and memory stays bounded.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::reload::Service;

const ACK: &[u8] =
    b"POST /callback/compliance?customerHashId=0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01 HTTP/1.1\r\n\
    host: x\r\ncontent-length: 0\r\n\r\n";

/// After this time a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that are open and do nothing.
const IDLE: u64 = 10_000;

/// Acks of one measurement, one after the other, so that only the service's own time counts.
const ACKS: usize = 1_000;

/// Measurements of either kind; the best of each is what the service can do, whatever else the machine does.
const ROUNDS: usize = 3;

/// Connections that are opened at once.
const AT_ONCE: usize = 100;

/// How long a head or a body may take: the most that can be set.
const LIMIT: Duration = Duration::from_mins(1);

/// What a clock and a scheduler of a busy machine add to either.
const NOISE: Duration = Duration::from_micros(500);

/// Room for descriptors of connections, as much as this machine gives.
fn room_for_connections() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(1_000);
    if room < IDLE {
        println!("only {room} connections instead of {IDLE}: that is what this machine allows");
    }
    room.min(IDLE)
}

async fn ack(socket: &mut TcpStream) {
    socket.write_all(ACK).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

async fn p99(service: &Service) -> Duration {
    let mut socket = TcpStream::connect(&service.public).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut took = Vec::with_capacity(ACKS);
    for _ in 0..ACKS {
        let begun = Instant::now();
        ack(&mut socket).await;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[ACKS * 99 / 100]
}

/// Opens a connection that does nothing, or next to nothing, from then on.
async fn hold(service: &Service, number: u64) -> TcpStream {
    let mut socket = TcpStream::connect(&service.public).await.unwrap();
    match number % 4 {
        0 => ack(&mut socket).await,
        1 => socket.write_all(&ACK[..60]).await.unwrap(),
        2 => socket
            .write_all(b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
            .await
            .unwrap(),
        _ => {}
    }
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_and_slow_connections_do_not_slow_an_ack_down() {
    let limit = LIMIT.as_millis().to_string();
    let env = [("PUBLIC__HEADER_TIMEOUT_MS", limit.clone()), ("PUBLIC__BODY_TIMEOUT_MS", limit)];
    let (alone, service) = (Service::start("", &env).await, Service::start("", &env).await);
    let room = room_for_connections();
    let begun = Instant::now();
    let mut held = Vec::new();
    for some in (0..room).collect::<Vec<_>>().chunks(AT_ONCE) {
        held.extend(join_all(some.iter().map(|number| hold(&service, *number))).await);
    }
    let open = "reinstate_connections_open{listener=\"public\"}";
    service.eventually("they are all open", async || service.metric(open).await.unwrap() >= room).await;
    // In turn, so that whatever else the machine does hits both alike.
    let (mut without, mut with) = (Duration::MAX, Duration::MAX);
    for round in 1..=2 * ROUNDS {
        without = without.min(p99(&alone).await);
        with = with.min(p99(&service).await);
        if round >= ROUNDS && with <= without * 2 + NOISE {
            break;
        }
    }
    println!("p99 of an ack: {without:?} alone, {with:?} beside {room} idle and slow connections");
    assert!(with <= without * 2 + NOISE, "{with:?} beside {room} connections, {without:?} without");
    // Later the limits themselves end those that send a part of a request.
    if begun.elapsed() < LIMIT * 5 / 6 {
        service
            .eventually("nobody was cut off meanwhile", async || service.metric(open).await == Some(room))
            .await;
    }
}

/// Resident memory of the service, in MiB.
fn resident(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// Sends up to `bytes` after `head`, in chunks if it says so; gives what was answered, and how much was taken.
async fn pour(address: &str, head: &str, bytes: usize) -> (String, usize) {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = socket.into_split();
    let block = vec![b' '; 1 << 16];
    let is_chunked = head.contains("chunked");
    let pouring = async {
        let mut sent = 0;
        let _ = writing.write_all(head.as_bytes()).await;
        while sent < bytes {
            let framed =
                if is_chunked { [b"10000\r\n", &block[..], b"\r\n"].concat() } else { block.clone() };
            if writing.write_all(&framed).await.is_err() {
                break;
            }
            sent += block.len();
        }
        sent
    };
    let listening = async {
        let mut answer = vec![0; 4096];
        let length = reading.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let (sent, answer) =
        tokio::time::timeout(PATIENCE, futures_util::future::join(pouring, listening)).await.unwrap();
    (answer, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_a_gigabyte_are_refused_and_memory_stays_bounded() {
    const GIGABYTE: usize = 1 << 30;
    let url = ("PUBLIC__URL", "http://localhost".to_owned());
    let service = Service::start("", &[url]).await;
    let before = resident(&service);
    let customer = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    let token = std::fs::read_to_string(service.path("token")).unwrap();
    for (address, target) in [
        (&service.public, "/webhook".to_owned()),
        (&service.public, format!("/callback/compliance?customerHashId={customer}")),
        (&service.public, "/correct".to_owned()),
        (&service.public, "/nowhere".to_owned()),
        (&service.admin, format!("/v1/customers/{customer}/corrections")),
        (&service.admin, "/sign-in".to_owned()),
    ] {
        for framing in [format!("content-length: {GIGABYTE}"), "transfer-encoding: chunked".to_owned()] {
            let head = format!(
                "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 authorization: Bearer {token}\r\n{framing}\r\n\r\n"
            );
            let (answer, sent) = pour(address, &head, GIGABYTE).await;
            // A reset may take the answer with it.
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
            assert!(sent < GIGABYTE / 4, "{target}, {framing}: {sent} bytes were taken");
        }
    }
    let after = resident(&service);
    println!("resident memory at most: {before} MiB before, {after} MiB after");
    assert!(after < before + 64, "{before} MiB, then {after} MiB");
    let too_large = "reinstate_intake_bad_requests_total{reason=\"body_too_large\"}";
    assert_eq!(service.metric(too_large).await, Some(4));
    ack(&mut TcpStream::connect(&service.public).await.unwrap()).await;
}

/// What opens HTTP/2, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends the preface and then these frames until the other side ends the connection; gives the error of its GOAWAY.
async fn flood(service: &Service, mut frames: impl FnMut(u32) -> Vec<u8>) -> (u32, Option<u32>) {
    let socket = TcpStream::connect(&service.public).await.unwrap();
    let (mut reading, mut writing) = socket.into_split();
    let mut heard = Vec::new();
    let sending = async {
        let _ = writing.write_all(PREFACE).await;
        for number in 0..200_000 {
            if writing.write_all(&frames(number)).await.is_err() {
                return number;
            }
        }
        200_000
    };
    let ended = async { while reading.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {} };
    let (sent, ()) =
        tokio::time::timeout(PATIENCE, futures_util::future::join(sending, ended)).await.unwrap();
    let mut rest = &heard[..];
    let mut last = None;
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
        if payload.len() < length {
            break;
        }
        if *kind == GOAWAY {
            last = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = &payload[length..];
    }
    (sent, last)
}

/// `GET /` to the host `x`, in HPACK.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'x'];

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_end_their_own_connection_and_no_other() {
    let service = Service::start("", &[]).await;
    let mut honest = TcpStream::connect(&service.public).await.unwrap();
    ack(&mut honest).await;
    let before = resident(&service);

    // Rapid reset: a request, and its cancellation, as fast as they can be written.
    let reset = |number: u32| {
        let stream = number * 2 + 1;
        [frame(1, 0x5, stream, GET), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let (sent, goaway) = flood(&service, reset).await;
    assert!(sent < 200_000 && goaway.is_none_or(|error| error == 11), "{sent} {goaway:?}");

    // A head that never ends.
    let endless = |number: u32| match number {
        0 => frame(1, 0x1, 1, GET),
        _ => frame(9, 0, 1, &[&[0x40, 1, b'a', 0x7f, 0x81, 0x7e][..], &vec![b'b'; 255]].concat().repeat(60)),
    };
    let (sent, goaway) = flood(&service, endless).await;
    assert!(sent < 2_000, "{sent} {goaway:?}");
    let empty = |number: u32| if number == 0 { frame(1, 0x1, 1, GET) } else { frame(9, 0, 1, &[]) };
    let (sent, goaway) = flood(&service, empty).await;
    assert!(sent < 200_000, "{sent} {goaway:?}");

    let sample = "reinstate_connections_refused_total{listener=\"public\",reason=\"http2\"}";
    service.eventually(sample, async || service.metric(sample).await >= Some(3)).await;
    ack(&mut honest).await;
    let after = resident(&service);
    assert!(after < before + 64, "{before} MiB, then {after} MiB");
}
