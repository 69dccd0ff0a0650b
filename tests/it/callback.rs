//! The compliance callback over real sockets: who may knock, what is taken, and what is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::HeaderName;
use prometheus_client::registry::Registry;
use reinstate::clock::Clock;
use reinstate::domain::id::{CustomerHashId, RequestId};
use reinstate::domain::nudge::{Nudge, Source, Template};
use reinstate::http::access::{self, Access};
use reinstate::http::callback::{self, BODY_WAIT, CallbackState};
use reinstate::http::serve;
use reinstate::metrics::IntakeMetrics;
use reinstate::spool::{self, Spool};
use reinstate::store::wake::Wake;
use reinstate::store::{Place, Store, Use};
use reqwest::{Body, Response};
use rusqlite::Connection;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) const ID: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
pub(crate) const CLIENT: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a test may choose.
pub(crate) struct Options {
    access: access::Options,
    mood: Mood,
    body_wait: Duration,
    store_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access: access::Options::default(),
            mood: Mood::default(),
            body_wait: BODY_WAIT,
            // A disk that takes its time is another test's matter.
            store_wait: Duration::from_secs(30),
        }
    }
}

/// How the database is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    /// It takes nudges.
    #[default]
    Well,
    /// It was closed.
    Away,
    /// Somebody else holds it locked.
    Silent,
    /// It was closed, and so was the spool.
    BothAway,
}

/// A running intake on a port of its own; it ends with the test.
pub(crate) struct Door {
    address: SocketAddr,
    folder: tempfile::TempDir,
    _locked: Option<Connection>,
    spool: Arc<Spool>,
    registry: Registry,
    client: reqwest::Client,
    _server: JoinSet<()>,
}

/// The one place that knows how an intake is put together.
pub(crate) fn start(options: Options) -> Door {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reinstate.db");
    let store = Store::open(&Place::Sqlite(path.clone()), Use::Serve, Clock::System, Wake::default());
    let store = Arc::new(store.unwrap());
    let mut locked = None;
    let spool = Spool::open(&spool::Options { folder: folder.path().join("spool"), bytes: 1 << 20 });
    let spool = Arc::new(spool.unwrap());
    match options.mood {
        Mood::Well => {}
        Mood::Away => store.close(),
        Mood::BothAway => {
            store.close();
            spool.close();
        }
        Mood::Silent => {
            let other = Connection::open(&path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            locked = Some(other);
        }
    }
    let metrics = IntakeMetrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let doors = callback::Options {
        client_hash_id: CLIENT.into(),
        body_wait: options.body_wait,
        store_wait: options.store_wait,
    };
    let access = Arc::new(ArcSwap::from_pointee(Access::new(options.access)));
    let places = callback::Places {
        last_knock: Arc::default(),
        traces: reinstate::traces::Traces::default(),
        store: Arc::clone(&store),
        spool: Arc::clone(&spool),
        clock: Clock::System,
        access,
    };
    let router = callback::router(CallbackState::new(places, &metrics, doors));
    let mut server = JoinSet::new();
    server.spawn(async move {
        serve::serve(listener, router, serve::Options::default(), serve::Handle::new()).await.unwrap();
    });
    let client = client_builder().build().unwrap();
    Door { address, folder, _locked: locked, spool, registry, client, _server: server }
}

fn with_access(access: access::Options) -> Door {
    start(Options { access, ..Options::default() })
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(30))
}

impl Door {
    pub(crate) async fn post(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response {
        let mut request = self.client.post(format!("http://{}{target}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// The status of a callback about [`ID`].
    async fn callback(&self, headers: &[(&str, &str)]) -> u16 {
        self.post(&target(), headers, "").await.status().as_u16()
    }

    /// Sends these bytes and reads what comes back, until the other side has nothing more to say.
    async fn raw(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that leaves a body unread resets the connection after its answer.
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    pub(crate) fn recorded(&self) -> Vec<Nudge> {
        let database = Connection::open(self.folder.path().join("reinstate.db")).unwrap();
        let sql = "SELECT customer, looks, source, request_id, template FROM callback_log ORDER BY id";
        let mut read = database.prepare(sql).unwrap();
        let nudge = |row: &rusqlite::Row<'_>| {
            Ok(Nudge {
                customer: row.get::<_, Option<[u8; 16]>>(0)?.map(CustomerHashId::from_bytes),
                looks: row.get(1)?,
                source: Source::parse(&row.get::<_, String>(2)?).unwrap(),
                request_id: row.get::<_, Option<String>>(3)?.map(|id| RequestId::parse(&id).unwrap()),
                template: row.get::<_, Option<String>>(4)?.map(|name| Template::keep(&name)),
            })
        };
        read.query_map([], nudge).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn scrape(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    #[track_caller]
    pub(crate) fn assert_counted(&self, line: &str) {
        let text = self.scrape();
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}

fn target() -> String {
    format!("/callback/compliance?customerHashId={ID}")
}

/// Checks the whole shape of a problem and answers its code.
pub(crate) async fn problem(answer: Response, status: u16) -> String {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    assert!(body["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{body}");
    body["code"].as_str().unwrap().to_owned()
}

fn chunked(length: usize) -> Body {
    // A file is a stream without a known length.
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &vec![b'x'; length]).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    Body::from(tokio::fs::File::from_std(file))
}

#[tokio::test]
async fn a_callback_is_answered_with_200_and_nothing_else() {
    let door = start(Options::default());
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-request-id: \
         2c9a\r\nx-client-name: client1\r\nconnection: close\r\n\r\n",
        target()
    );
    let answer = door.raw(&request).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-length: 0\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");

    let nudges = door.recorded();
    let [nudge] = nudges.as_slice() else { panic!("{nudges:?}") };
    assert_eq!(nudge.customer.unwrap().to_string(), ID);
    assert!(nudge.looks);
    assert_eq!(nudge.source, Source::Callback);
    assert_eq!(nudge.request_id.as_ref().unwrap().as_str(), "2c9a");
    assert_eq!(nudge.template, None);
    door.assert_counted("intake_acks_total{source=\"callback\"} 1");
    door.assert_counted("intake_ack_seconds_count 1");
}

#[tokio::test]
async fn http2_is_served_the_same() {
    let door = start(Options::default());
    let client = client_builder().http2_prior_knowledge().build().unwrap();
    let answer = client.post(format!("http://{}{}", door.address, target())).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    assert_eq!(door.recorded().len(), 1);
}

#[tokio::test]
async fn the_body_of_a_callback_is_never_parsed() {
    let door = start(Options::default());
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "{}"),
        ("application/json", "{not json"),
        ("text/plain", "hello"),
        ("application/x-www-form-urlencoded", "customerHashId=x"),
        ("nonsense", "\u{0}\u{1}"),
    ] {
        let answer = door.post(&target(), &[("content-type", kind)], body).await;
        assert_eq!(answer.status().as_u16(), 200, "{kind} {body}");
    }
    assert_eq!(door.recorded().len(), 6);
}

#[tokio::test]
async fn a_body_at_the_bound_is_taken_and_one_over_is_not() {
    let door = start(Options::default());
    let full = vec![b'x'; BODY_BYTES_MAX];
    assert_eq!(door.post(&target(), &[], full).await.status().as_u16(), 200);
    assert_eq!(door.post(&target(), &[], chunked(BODY_BYTES_MAX)).await.status().as_u16(), 200);
    assert_eq!(door.recorded().len(), 2);

    let over = door.post(&target(), &[], chunked(BODY_BYTES_MAX + 1)).await;
    assert_eq!(problem(over, 413).await, "body_too_large");
    // A client that writes everything before it reads hears the same, and not that the connection broke.
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n",
        target()
    );
    let answer = door.raw(&(head + &"x".repeat(1_000_000))).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Only the head is sent: the answer comes without reading a huge body, and without asking for it.
    let announced = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        target(),
        2 * 1024 * 1024
    );
    let answer = door.raw(&announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(door.recorded().len(), 2);
    door.assert_counted("intake_bad_requests_total{reason=\"body_too_large\"} 3");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_long() {
    let door = start(Options { body_wait: Duration::from_millis(50), ..Options::default() });
    let request = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nxxx", target());
    let answer = door.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"body_too_slow\""), "{answer}");
    assert_eq!(door.recorded(), []);
}

#[tokio::test]
async fn the_id_must_be_one_uuid() {
    let door = start(Options::default());
    let upper = format!("/callback/compliance?customerHashId={}", ID.to_uppercase());
    let encoded = format!("/callback/compliance?x=1&customerHashId={}", ID.replace('-', "%2d"));
    for good in [&upper, &encoded] {
        assert_eq!(door.post(good, &[], "").await.status().as_u16(), 200, "{good}");
    }
    assert!(door.recorded().iter().all(|nudge| nudge.customer.unwrap().to_string() == ID));

    for (query, code) in [
        (String::new(), "customer_hash_id_missing"),
        ("?customerHashId=".to_owned(), "customer_hash_id_malformed"),
        ("?customerHashId=%s".to_owned(), "customer_hash_id_malformed"),
        (format!("?customerHashId={}", ID.replace('-', "")), "customer_hash_id_malformed"),
        (format!("?customerHashId={ID}&customerHashId={ID}"), "customer_hash_id_repeated"),
    ] {
        let answer = door.post(&format!("/callback/compliance{query}"), &[], "").await;
        assert_eq!(problem(answer, 400).await, code, "{query}");
    }
    assert_eq!(door.recorded().len(), 2);
    door.assert_counted("intake_bad_requests_total{reason=\"customer_hash_id_malformed\"} 3");
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_one() {
    let door = start(Options::default());
    let (longest, over) = ("r".repeat(128), "r".repeat(129));
    for (header, kept) in [
        (longest.as_str(), Some(longest.as_str())),
        (over.as_str(), None),
        ("two words", None),
        ("", None),
        ("~!{}", Some("~!{}")),
    ] {
        assert_eq!(door.callback(&[("x-request-id", header)]).await, 200);
        let last = door.recorded().pop().unwrap();
        assert_eq!(last.request_id.as_ref().map(RequestId::as_str), kept);
    }
    assert_eq!(door.callback(&[]).await, 200);
    assert_eq!(door.recorded().pop().unwrap().request_id, None);
}

#[tokio::test]
async fn a_nudge_that_nobody_keeps_is_not_acknowledged() {
    let door = start(Options { mood: Mood::BothAway, ..Options::default() });
    let answer = door.post(&target(), &[], "").await;
    assert_eq!(problem(answer, 503).await, "not_recorded");
    door.assert_counted("intake_store_failures_total 1");
    door.assert_counted("intake_acks_total{source=\"callback\"} 0");
}

#[tokio::test]
async fn while_the_store_is_away_the_spool_keeps_what_knocks() {
    let hurry = Duration::from_millis(50);
    for mood in [Mood::Away, Mood::Silent] {
        let door = start(Options { mood, store_wait: hurry, ..Options::default() });
        for _ in 0..3 {
            assert_eq!(door.post(&target(), &[], "").await.status().as_u16(), 200);
        }
        door.assert_counted("intake_spooled_total 3");
        door.assert_counted("intake_acks_total{source=\"callback\"} 3");
        assert_eq!(door.spool.waiting(), 3);
        assert!(door.spool.on_detour());
    }
}

#[tokio::test]
async fn every_label_is_there_from_the_start() {
    let text = start(Options::default()).scrape();
    for reason in ["address_not_allowed", "forwarded_unreadable", "secret_path", "static_header", "signature"]
    {
        let line = format!("intake_refused_total{{reason=\"{reason}\"}} 0");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert_eq!(text.matches("intake_acks_total{").count(), 2);
    assert_eq!(text.matches("intake_bad_requests_total{").count(), 8);
}

#[tokio::test]
async fn only_post_is_answered() {
    let door = start(Options::default());
    let answer = door.client.get(format!("http://{}{}", door.address, target())).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST");
    assert_eq!(problem(answer, 405).await, "method_not_allowed");
    assert_eq!(door.post("/callback", &[], "").await.status().as_u16(), 404);
    assert_eq!(door.post(&format!("/x{}", target()), &[], "").await.status().as_u16(), 404);
}

#[tokio::test]
async fn with_a_secret_path_only_that_path_is_open() {
    let door =
        with_access(access::Options { secret_path: Some("s3cret".into()), ..access::Options::default() });
    assert_eq!(door.post(&format!("/s3cret{}", target()), &[], "").await.status().as_u16(), 200);
    let webhook = door.post("/s3cret/webhook", &[], "{}").await;
    assert_eq!(webhook.status().as_u16(), 200);
    for wrong in ["", "/wrong", "/S3CRET", "/s3cret%20"] {
        let answer = door.post(&format!("{wrong}{}", target()), &[], "").await;
        assert_eq!(problem(answer, 403).await, "secret_path", "{wrong}");
        let answer = door.post(&format!("{wrong}/webhook"), &[], "{}").await;
        assert_eq!(problem(answer, 403).await, "secret_path", "{wrong}");
    }
    assert_eq!(door.recorded().len(), 2);
    door.assert_counted("intake_refused_total{reason=\"secret_path\"} 8");
}

#[tokio::test]
async fn an_address_list_is_held_against_the_peer() {
    let here = vec!["127.0.0.0/8".parse().unwrap()];
    let door = with_access(access::Options { allow_from: here, ..access::Options::default() });
    assert_eq!(door.callback(&[]).await, 200);
    assert_eq!(door.callback(&[("x-forwarded-for", "203.0.113.9")]).await, 200);

    let elsewhere = vec!["198.51.100.0/24".parse().unwrap()];
    let door = with_access(access::Options { allow_from: elsewhere, ..access::Options::default() });
    let answer = door.post(&target(), &[], "").await;
    assert_eq!(problem(answer, 403).await, "address_not_allowed");
    // Nobody here is a trusted proxy: what the caller says about itself changes nothing.
    for spoofed in ["198.51.100.7", "198.51.100.7, 198.51.100.8"] {
        assert_eq!(door.callback(&[("x-forwarded-for", spoofed)]).await, 403);
    }
    assert_eq!(door.recorded(), []);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let door = with_access(access::Options {
        allow_from: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        ..access::Options::default()
    });
    for good in ["198.51.100.7", "spoofed, 198.51.100.7:5000", "[2001:db8::1]:443, 10.0.0.2"] {
        assert_eq!(door.callback(&[("x-forwarded-for", good)]).await, 200, "{good}");
    }
    let lines = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.0.0.2, ::ffff:10.0.0.3")];
    assert_eq!(door.callback(&lines).await, 200);
    for bad in ["203.0.113.9", "198.51.100.7, 203.0.113.9", "198.51.100.7, unknown"] {
        assert_eq!(door.callback(&[("x-forwarded-for", bad)]).await, 403, "{bad}");
    }
    assert_eq!(door.callback(&[]).await, 403);
    door.assert_counted("intake_refused_total{reason=\"forwarded_unreadable\"} 1");
}

#[tokio::test]
async fn a_fixed_header_may_have_several_values() {
    let door = with_access(access::Options {
        static_header: Some((HeaderName::from_static("x-partner-key"), vec!["old".into(), "new".into()])),
        ..access::Options::default()
    });
    assert_eq!(door.callback(&[("x-partner-key", "old")]).await, 200);
    assert_eq!(door.callback(&[("X-Partner-Key", "new")]).await, 200);
    let answer = door.post(&target(), &[("x-partner-key", "older")], "").await;
    assert_eq!(problem(answer, 401).await, "static_header");
    assert_eq!(door.callback(&[]).await, 401);
    assert_eq!(door.recorded().len(), 2);
}

/// The hex HMAC-SHA256, made with another library than the one that checks it.
pub(crate) fn sign(secret: &[u8], target: &str, body: &str) -> String {
    use std::fmt::Write;

    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{target}\n{body}").as_bytes());
    let mut hex = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

#[tokio::test]
async fn a_signature_covers_the_target_and_the_body() {
    let door = with_access(access::Options {
        hmac: Some((
            HeaderName::from_static("x-signature"),
            vec![b"old".to_vec().into(), b"new".to_vec().into()],
        )),
        ..access::Options::default()
    });
    let target = format!("{}&region=SG%20x", target());
    for secret in [b"old", b"new"] {
        let signature = sign(secret, &target, "{}");
        for spelling in [signature.clone(), signature.to_uppercase()] {
            let answer = door.post(&target, &[("x-signature", &spelling)], "{}").await;
            assert_eq!(answer.status().as_u16(), 200);
        }
    }
    let signature = sign(b"new", "/webhook", "{}");
    assert_eq!(door.post("/webhook", &[("x-signature", &signature)], "{}").await.status().as_u16(), 200);
    assert_eq!(door.recorded().len(), 5);

    let fit = sign(b"new", &target, "{}");
    let foreign = sign(b"other", &target, "{}");
    for (sent_to, header, body) in [
        (target.as_str(), foreign.as_str(), "{}"),
        (&target, &fit, "{ }"),
        (&target[..target.len() - 1], &fit, "{}"),
        (&target, "not hex", "{}"),
    ] {
        let answer = door.post(sent_to, &[("x-signature", header)], body).await;
        assert_eq!(problem(answer, 401).await, "signature");
    }
    assert_eq!(door.callback(&[]).await, 401);
    assert_eq!(door.recorded().len(), 5);
}
