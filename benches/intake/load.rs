//! The load: keep-alive HTTP/1.1 connections that send one callback after another, each about another customer. The
//! requests are built once and only their ids are overwritten, so that the generator costs as little as possible: it
//! shares the machine with what it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest latency that is told apart, in microseconds: one minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// Decimal digits of a latency that are told apart.
const LATENCY_DIGITS: u8 = 3;

/// Longest head of an answer, in bytes; a 200 of any of the servers is under 200.
const HEAD_BYTES_MAX: usize = 2048;

/// A UUID (version 4) with nothing in it; its first group numbers the connection, its last the request.
const BLANK_ID: &str = "00000000-0000-4000-8000-000000000000";

/// How many hex digits at the start of an id number the connection.
const CONNECTION_DIGITS: usize = 8;

/// How many hex digits at the end of an id number the request.
const REQUEST_DIGITS: usize = 12;

/// Gives every connection of a run a number of its own, so that no customer occurs twice.
#[derive(Default)]
pub(crate) struct Numbering(u32);

impl Numbering {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// What a run saw.
pub(crate) struct Run {
    /// Time from each request's first byte to its answer's last, in microseconds.
    pub(crate) latencies: Histogram<u32>,
    /// How long it took altogether.
    pub(crate) took: Duration,
}

impl Run {
    /// How many callbacks were answered 200.
    pub(crate) fn acks(&self) -> u64 {
        self.latencies.len()
    }
}

/// Sends callbacks over `connections` connections for `length`. Any answer but 200 ends the run with an error.
pub(crate) async fn run(
    address: SocketAddr,
    connections: u32,
    length: Duration,
    numbering: &mut Numbering,
) -> Result<Run> {
    let mut knocking = Vec::new();
    for _ in 0..connections {
        knocking.push(Knocker::connect(address, numbering.next()).await?);
    }
    let begun = Instant::now();
    let until = begun + length;
    let mut running: JoinSet<Result<Histogram<u32>>> =
        knocking.into_iter().map(|knocker| knocker.knock_until(until)).collect();
    let mut latencies = Histogram::new_with_max(LATENCY_MICROS_MAX, LATENCY_DIGITS)?;
    while let Some(ended) = running.join_next().await {
        latencies.add(ended??)?;
    }
    Ok(Run { latencies, took: begun.elapsed() })
}

/// Connections that have sent one callback each and then nothing, until they are dropped.
pub(crate) struct Idle {
    held: Vec<Knocker>,
}

impl Idle {
    /// Opens `count` connections.
    pub(crate) async fn open(address: SocketAddr, count: u32, numbering: &mut Numbering) -> Result<Self> {
        let mut held = Vec::new();
        for _ in 0..count {
            let mut knocker = Knocker::connect(address, numbering.next()).await?;
            knocker.knock().await?;
            held.push(knocker);
        }
        Ok(Self { held })
    }

    /// How many callbacks were answered 200 while opening.
    pub(crate) fn acks(&self) -> Result<u64> {
        Ok(u64::try_from(self.held.len())?)
    }
}

/// One connection.
struct Knocker {
    socket: TcpStream,
    request: Vec<u8>,
    /// Where the two ids begin in the request: the customer's and the event's.
    ids: [usize; 2],
    sent: u64,
}

impl Knocker {
    async fn connect(address: SocketAddr, number: u32) -> Result<Self> {
        let socket = TcpStream::connect(address).await.context("connecting")?;
        socket.set_nodelay(true)?;
        let id = format!("{number:0CONNECTION_DIGITS$x}{}", BLANK_ID.split_at(CONNECTION_DIGITS).1);
        let before = "POST /callback/compliance?customerHashId=";
        let between = format!(
            " HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nx-client-name: bench\r\n\
             content-length: 0\r\nx-request-id: "
        );
        let ids = [before.len(), before.len() + id.len() + between.len()];
        let request = format!("{before}{id}{between}{id}\r\n\r\n").into_bytes();
        Ok(Self { socket, request, ids, sent: 0 })
    }

    async fn knock_until(mut self, until: Instant) -> Result<Histogram<u32>> {
        let mut latencies = Histogram::new_with_max(LATENCY_MICROS_MAX, LATENCY_DIGITS)?;
        let mut begun = Instant::now();
        while begun < until {
            self.knock().await?;
            let now = Instant::now();
            let micros = u64::try_from((now - begun).as_micros()).unwrap_or(u64::MAX);
            latencies.saturating_record(micros);
            begun = now;
        }
        Ok(latencies)
    }

    /// Sends one callback and waits for its answer.
    async fn knock(&mut self) -> Result<()> {
        self.renumber()?;
        self.socket.write_all(&self.request).await.context("sending a callback")?;
        self.answered().await
    }

    /// Writes the number of the next request into both ids.
    fn renumber(&mut self) -> Result<()> {
        self.sent += 1;
        let digits = format!("{:0REQUEST_DIGITS$x}", self.sent);
        for id in self.ids {
            let end = id + BLANK_ID.len();
            let place = self.request.get_mut(end - REQUEST_DIGITS..end).context("the id is not there")?;
            place.copy_from_slice(digits.as_bytes());
        }
        Ok(())
    }

    /// Reads one answer, which must be a 200 without a body.
    async fn answered(&mut self) -> Result<()> {
        let mut head = [0; HEAD_BYTES_MAX];
        let mut length = 0;
        loop {
            let room = head.get_mut(length..).unwrap_or_default();
            let read = self.socket.read(room).await.context("reading an answer")?;
            if read == 0 {
                bail!("the connection ended, or the head of an answer is too long");
            }
            length += read;
            let so_far = head.get(..length).unwrap_or_default();
            if so_far.ends_with(b"\r\n\r\n") {
                let ok = so_far.starts_with(b"HTTP/1.1 200 ");
                anyhow::ensure!(ok, "not a 200: {}", String::from_utf8_lossy(so_far));
                return Ok(());
            }
        }
    }
}
