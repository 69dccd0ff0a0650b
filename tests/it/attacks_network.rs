//! The attack journal, what comes in at the door: addresses that are made up, heads that are too much, bodies that unfold,
//! words that would break a log. Each is refused with its status and counted, and leaves nothing behind.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, TOKEN};
use crate::reload::Service;

const CUSTOMER: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

fn callback(house: &House) -> RequestBuilder {
    house.http.post(format!("http://{}/callback/compliance?customerHashId={CUSTOMER}", house.public))
}

/// Nothing of what was tried is on file.
async fn nothing_happened(house: &House) {
    let (status, callbacks) = house.get("/v1/callbacks").await;
    assert_eq!((status, &callbacks["items"]), (200, &serde_json::json!([])));
    assert_eq!(house.get(&format!("/v1/customers/{CUSTOMER}")).await.0, 404);
}

async fn refused(house: &House, reason: &str) -> i64 {
    house.metric(&format!("reinstate_intake_refused_total{{reason=\"{reason}\"}}")).await
}

/// Ways to say "I am 198.51.100.7", which the list allows.
fn spellings() -> Vec<Vec<(&'static str, String)>> {
    let forwarded = |text: &str| vec![("x-forwarded-for", text.to_owned())];
    let mut all: Vec<_> = [
        "198.51.100.7",
        "198.51.100.7:4711",
        "2001:db8::7",
        "[2001:db8::7]:443",
        "::ffff:198.51.100.7",
        "::ffff:c633:6407",
        "64:ff9b::c633:6407",
        "2001:db8::7%eth0",
        "198.51.100.007",
        "198.51.25607",
        "3325256711",
        "0xc6336407",
        "for=198.51.100.7",
        "\"198.51.100.7\"",
        "127.0.0.1, 198.51.100.7",
        ", 198.51.100.7",
        "198.51.100.7,,",
        "198.51.100.7;198.51.100.7",
        "198.51.100.7 198.51.100.7",
        "unknown, 198.51.100.7",
    ]
    .map(forwarded)
    .into();
    all.push(forwarded(&["198.51.100.7"; 500].join(", ")));
    all.push(vec![
        ("x-forwarded-for", "203.0.113.9".to_owned()),
        ("x-forwarded-for", "198.51.100.7".to_owned()),
    ]);
    all.push(vec![
        ("x-forwarded-for", "198.51.100.7".to_owned()),
        ("x-forwarded-for", "203.0.113.9".to_owned()),
    ]);
    for name in [
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-forwarded-for",
        "x_forwarded_for",
        "x-forwarded-for-original",
        "x-cluster-client-ip",
    ] {
        let value = if name == "forwarded" { "for=198.51.100.7;proto=https" } else { "198.51.100.7" };
        all.push(vec![(name, value.to_owned())]);
    }
    all
}

fn with(mut request: RequestBuilder, headers: &[(&'static str, String)]) -> RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
}

const ALLOWED: (&str, &str) = ("CALLBACK__ALLOW_FROM", "198.51.100.0/24,2001:db8::/32");

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_proxy_of_ours_says_in_vain_who_it_is() {
    let house = House::with(&[ALLOWED, ("CALLBACK__TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let spellings = spellings();
    for headers in &spellings {
        let status = with(callback(&house), headers).send().await.unwrap().status().as_u16();
        assert_eq!(status, 403, "{headers:?}");
    }
    assert_eq!(refused(&house, "address_not_allowed").await, i64::try_from(spellings.len()).unwrap());
    let (_, ready) = house.get("/readyz?verbose").await;
    assert_eq!(ready["undeclaredProxySeen"], true);
    nothing_happened(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_of_ours_only_what_the_proxy_wrote_counts() {
    let house = House::with(&[ALLOWED, ("CALLBACK__TRUSTED_PROXIES", "127.0.0.0/8,::1")]).await;
    let mut tried = 0;
    for headers in spellings().into_iter().filter(|headers| headers[0].0 == "x-forwarded-for") {
        // The proxy adds whom it saw to whatever was there: at the end, or in a header of its own.
        let seen = [
            [&headers[..], &[("x-forwarded-for", "203.0.113.9".to_owned())]].concat(),
            vec![("x-forwarded-for", format!("{}, 203.0.113.9", headers[0].1))],
            vec![("x-forwarded-for", format!("{}, [2001:db9::1]:443, 127.0.0.1", headers[0].1))],
        ];
        for headers in &seen {
            let status = with(callback(&house), headers).send().await.unwrap().status().as_u16();
            assert_eq!(status, 403, "{headers:?}");
            tried += 1;
        }
    }
    // What nobody can read as an address is not skipped to find one that fits.
    for unreadable in
        ["for=198.51.100.7", "2001:db8::7%eth0", "198.51.100.007", "3325256711", "", "198.51.100.7,"]
    {
        let headers = [("x-forwarded-for", unreadable.to_owned())];
        assert_eq!(
            with(callback(&house), &headers).send().await.unwrap().status().as_u16(),
            403,
            "{unreadable}"
        );
        tried += 1;
    }
    let counted =
        refused(&house, "address_not_allowed").await + refused(&house, "forwarded_unreadable").await;
    assert_eq!((counted, refused(&house, "forwarded_unreadable").await), (tried, 6));
    nothing_happened(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_much_are_refused_and_counted() {
    let house = House::start().await;
    let target = format!("/callback/compliance?customerHashId={CUSTOMER}");
    let many = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect::<Vec<_>>().concat();
    let long = format!("x-long: {}\r\n", "a".repeat(1 << 20));
    let heads = [
        (format!("POST {target} HTTP/1.1\r\nhost: x\r\n{many}\r\n"), "431"),
        (format!("POST {target} HTTP/1.1\r\nhost: x\r\n{long}\r\n"), "431"),
        (format!("POST {target}&x={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)), "4"),
        (format!("POST {target} HTTP/1.1\r\nhost: x\r\n{}", "x-a: b\r\n".repeat(1 << 17)), "431"),
    ];
    for listener in [house.public, house.admin] {
        for (head, status) in &heads {
            let mut socket = TcpStream::connect(listener).await.unwrap();
            // It is refused, and the connection closed, before all of it is sent.
            let _ = socket.write_all(head.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer);
            // A reset may take the answer with it.
            assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
    }
    for listener in ["public", "admin"] {
        let sample = format!(
            "reinstate_connections_refused_total{{listener=\"{listener}\",reason=\"head_too_large\"}}"
        );
        house.eventually(&sample, async || house.metric(&sample).await == 4).await;
    }
    let http2 =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}{target}", house.public);
    let bomb = with(http2.post(url), &[("x-long", "a".repeat(1 << 17))]).send().await;
    assert!(bomb.is_err() || bomb.unwrap().status().as_u16() == 431);
    nothing_happened(&house).await;
    house.close().await;
}

/// 64 KiB of zeros in 96 bytes; any number of them in a row are one gzip file.
const ZEROS: &str = "1f8b0800000000000203edc101010000008090feafee080a0000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000006aeb8e97d7\
    00000100";

/// `{}` as a gzip file.
const EMPTY_OBJECT: &str = "1f8b0800000000000203abae050043bfa6a302000000";

/// Every route of the API that has a body, with ids in its path.
async fn routes_with_bodies(house: &House) -> Vec<(Method, String)> {
    let (_, document) = house.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["requestBody"].is_object() && path.starts_with("/v1") {
                let parts = path.split('/').map(|part| if part.starts_with('{') { CUSTOMER } else { part });
                let method = method.to_uppercase().parse().unwrap();
                routes.push((method, parts.collect::<Vec<_>>().join("/")));
            }
        }
    }
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_is_not_unfolded_on_any_route() {
    let house = House::start().await;
    let bomb = hex::decode(ZEROS).unwrap().repeat(600);
    let small = hex::decode(EMPTY_OBJECT).unwrap();
    for (method, path) in routes_with_bodies(&house).await {
        for body in [&bomb, &small] {
            let request = house.http.request(method.clone(), format!("http://{}{path}", house.admin));
            let request = request.bearer_auth(TOKEN).header("content-type", "application/json");
            let answer = request.header("content-encoding", "gzip").body(body.clone()).send().await.unwrap();
            assert!((400..500).contains(&answer.status().as_u16()), "{method} {path}: {}", answer.status());
        }
    }
    for body in [&bomb, &small] {
        let request = house.http.post(format!("http://{}/webhook", house.public));
        let answer = request.header("content-encoding", "gzip").body(body.clone()).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["code"], "body_not_json");
    }
    assert_eq!(house.metric("reinstate_intake_bad_requests_total{reason=\"body_not_json\"}").await, 2);
    nothing_happened(&house).await;
    house.close().await;
}

/// Writes `bytes` one by one until the other side has heard enough; gives its last words.
async fn dribble(address: std::net::SocketAddr, head: &str, bytes: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let mut answer = Vec::new();
    let slowly = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(40));
        for byte in bytes.as_bytes().iter().cycle() {
            ticks.tick().await;
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = reading.read_to_end(&mut answer) => {}
        () = slowly => {}
        () = tokio::time::sleep(Duration::from_secs(15)) => panic!("nobody cuts off {head:?}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_come_byte_by_byte_are_cut_off_while_others_are_served() {
    let house =
        House::with(&[("PUBLIC__HEADER_TIMEOUT_MS", "500"), ("PUBLIC__BODY_TIMEOUT_MS", "500")]).await;
    let webhook = "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n";
    let chunked = "POST /webhook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let half = "POST /webhook HTTP/1.1\r\nhost: x\r\nx-a: ";
    let slow = futures_util::future::join_all((0..30).map(|number| {
        let (head, bytes) = [(half, "a"), (webhook, " "), (chunked, "1\r\n \r\n")][number % 3];
        dribble(house.public, head, bytes)
    }));
    // Each on a connection of its own: one that is kept for later sends no head, and would be cut off and counted too.
    let plain =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(0).build().unwrap();
    let honest = async {
        let url = format!("http://{}/callback/compliance?customerHashId={CUSTOMER}", house.public);
        for _ in 0..20 {
            assert_eq!(plain.post(&url).send().await.unwrap().status().as_u16(), 200);
        }
    };
    let (answers, ()) = futures_util::future::join(slow, honest).await;
    for (number, answer) in answers.iter().enumerate() {
        let expected = if number % 3 == 0 { "" } else { "HTTP/1.1 408" };
        assert!(
            answer.starts_with(expected) && answer.is_empty() == expected.is_empty(),
            "{number}: {answer}"
        );
    }
    let heads = "reinstate_connections_refused_total{listener=\"public\",reason=\"slow_head\"}";
    house.eventually("the last is counted", async || house.metric(heads).await >= 10).await;
    assert_eq!(house.metric(heads).await, 10);
    assert_eq!(house.metric("reinstate_intake_bad_requests_total{reason=\"body_too_slow\"}").await, 20);
    house.close().await;
}

/// Everything a stranger can write that may end up in a line of the log.
async fn injections(service: &Service) {
    let evil = "x%0a2026-01-01T00:00:00Z%20ERROR%20INJECTED%0d%0a%1b[31mRED";
    let raw = "x\t\u{9b}31mINJECTED \u{2028}INJECTED";
    let http = &service.http;
    for base in [&service.public, &service.admin] {
        for path in [
            format!("/{evil}"),
            format!("/callback/compliance?customerHashId={evil}"),
            format!("/callback/compliance?customerHashId={CUSTOMER}&{evil}"),
            format!("/v1/customers/{evil}"),
            format!("/v1/customers?cursor={evil}"),
            format!("/correct/{evil}"),
            format!("/sign-in?next={evil}"),
        ] {
            for method in [Method::GET, Method::POST] {
                let request = http.request(method, format!("http://{base}{path}"));
                let bytes = reqwest::header::HeaderValue::from_bytes(raw.as_bytes()).unwrap();
                let request =
                    ["x-request-id", "user-agent", "x-forwarded-for", "referer", "authorization", "x-key"]
                        .into_iter()
                        .fold(request, |request, name| request.header(name, bytes.clone()));
                let body = "{\"template\":\"x\\n2026 ERROR INJECTED\",\"name\":\"\u{1b}[31mINJECTED\"}";
                let _answer = request.body(body).send().await.unwrap();
            }
        }
        // What no client library would send.
        for head in [
            "GET / HTTP/1.1\r\nhost: x\r\nuser-agent: \u{1b}[31mINJECTED\r\n\r\n",
            "GET /\u{1b}[31mINJECTED HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\nx-request-id: a\nERROR INJECTED: b\r\n\r\n",
            "INJECTED\r\n\r\n",
        ] {
            let mut socket = TcpStream::connect(base).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_stranger_makes_a_line_of_the_log() {
    for format in ["text", "json"] {
        let env = [("TELEMETRY__LOG", "debug".to_owned()), ("TELEMETRY__FORMAT", format.to_owned())];
        let service = Service::start("", &env).await;
        injections(&service).await;
        let sample = "reinstate_intake_bad_requests_total{reason=\"customer_hash_id_malformed\"}";
        assert!(service.metric(sample).await.unwrap() >= 1);
        let log = service.log();
        assert!(log.lines().count() > 10, "{log}");
        for line in log.lines() {
            let is_ours = match format {
                "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line["timestamp"].is_string()),
                _ => line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"),
            };
            let is_plain = line.chars().all(|c| !c.is_control() && c != '\u{2028}');
            assert!(is_ours && is_plain, "{format}: {line:?}");
        }
        assert!(!log.contains("ERROR INJECTED"), "{log}");
    }
}
