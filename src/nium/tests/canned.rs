//! A server of one answer: it reads a request, writes the same bytes to everybody, and tells what it heard.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens on a connection after its request was heard and the bytes were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The connection is closed.
    Close,
    /// The next request on it gets the same bytes.
    Keep,
    /// Nothing, for ever.
    Hold,
}

/// The server; it ends with its value.
pub(super) struct Canned {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    _running: JoinSet<()>,
}

impl Canned {
    pub(super) async fn start(bytes: impl Into<Vec<u8>>, after: After) -> Self {
        let bytes = bytes.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let (ear, count) = (Arc::clone(&heard), Arc::clone(&connections));
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(attend(stream, bytes.clone(), after, Arc::clone(&ear)));
            }
        });
        Self { address, heard, connections, _running: running }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request, head and body, as it came.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn attend(mut stream: TcpStream, bytes: Vec<u8>, after: After, heard: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        heard.lock().unwrap().push(request);
        // A client that has heard enough hangs up in the middle of a long answer.
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        match after {
            After::Close => {
                stream.shutdown().await.ok();
                return;
            }
            After::Keep => {}
            After::Hold => std::future::pending().await,
        }
    }
}

/// One request, or nothing when the client hung up.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        match stream.read_buf(&mut got).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// The value of a header of a request; fails the test when it came more than once.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let head = request.split("\r\n\r\n").next().unwrap();
    let mut values = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim());
    let value = values.next();
    assert_eq!(values.next(), None, "{name} was sent twice");
    value
}
