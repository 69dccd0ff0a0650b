//! Whatever is refused is counted once, under the part of the service that refused it and the status that was given, and leaves
//! nothing behind.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::console::command;
use crate::house::{House, TOKEN};

const CUSTOMER: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
const PARTS: [&str; 4] = ["api", "console", "page", "elsewhere"];
const STATUSES: [&str; 13] =
    ["400", "401", "403", "404", "405", "408", "409", "410", "413", "415", "422", "429", "other"];

/// `{}` as a gzip file.
const EMPTY_OBJECT: &str = "1f8b0800000000000203abae050043bfa6a302000000";

/// What was counted so far, by part and status.
async fn counted(house: &House) -> BTreeMap<(String, String), u64> {
    let url = format!("http://{}/metrics", house.admin);
    let text = house.http.get(url).send().await.unwrap().text().await.unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("reinstate_refusals_total{part=\""));
    series
        .map(|series| {
            let (part, rest) = series.split_once("\",status=\"").unwrap();
            let (status, count) = rest.split_once("\"} ").unwrap();
            ((part.to_owned(), status.to_owned()), count.parse().unwrap())
        })
        .collect()
}

/// One request that is refused.
struct Attack {
    part: &'static str,
    status: u16,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn attack(part: &'static str, status: u16, method: Method, path: &str) -> Attack {
    Attack { part, status, method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
}

impl Attack {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with("content-type", kind)
    }

    fn form(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }
}

fn at_the_api(app: &str) -> Vec<Attack> {
    let zipped = || hex::decode(EMPTY_OBJECT).unwrap();
    let api = |status, method, path| attack("api", status, method, path);
    let customers = "/v1/customers";
    let tags = &format!("/v1/customers/{CUSTOMER}/tags");
    vec![
        api(401, Method::GET, "/v1/callbacks"),
        api(401, Method::GET, "/v1/callbacks").token("rst_nobody"),
        api(401, Method::GET, "/v1/callbacks").token(&"x".repeat(600)),
        api(401, Method::GET, "/v1/callbacks").with("authorization", &format!("Basic {TOKEN}")),
        api(401, Method::POST, customers).body("application/json", "{}"),
        api(403, Method::POST, "/v1/jobs/retry").token(app).body("application/json", "{\"confirm\":0}"),
        api(403, Method::GET, "/v1/audit").token(app),
        api(400, Method::POST, customers).token(TOKEN).body("text/xml", "<customer/>"),
        api(400, Method::POST, customers).token(TOKEN).body("multipart/form-data; boundary=x", "--x--"),
        api(400, Method::POST, customers).token(TOKEN).body("application/x-www-form-urlencoded", "a=b"),
        api(400, Method::POST, customers)
            .token(TOKEN)
            .with("content-encoding", "gzip")
            .body("application/json", zipped()),
        api(400, Method::POST, customers).token(TOKEN).body("application/json", vec![0xff; 64]),
        api(422, Method::POST, tags).token(TOKEN).body("application/json", "{\"set\":[]}"),
        api(404, Method::GET, &format!("/v1/customers/{CUSTOMER}")).token(TOKEN),
        api(400, Method::GET, "/v1/customers/nobody").token(TOKEN),
        api(400, Method::GET, "/v1/customers?cursor=%00").token(TOKEN),
        api(404, Method::GET, "/v1/nothing").token(TOKEN),
        api(405, Method::DELETE, customers).token(TOKEN),
        api(405, Method::POST, "/metrics"),
    ]
}

fn at_the_console(app: &str) -> Vec<Attack> {
    let console = |status, method, path| attack("console", status, method, path);
    let sign_in = |status, body: &str| console(status, Method::POST, "/sign-in").form(body);
    let word = format!("/cases/{CUSTOMER}/word");
    vec![
        sign_in(401, "token=rst_nobody"),
        sign_in(401, "name=ada&password=wrong"),
        sign_in(403, &format!("token={app}")),
        sign_in(422, &format!("name={}", "x".repeat(2_000))),
        sign_in(413, &format!("name={}", "x".repeat(70_000))),
        sign_in(403, &format!("token={TOKEN}")).with("sec-fetch-site", "cross-site"),
        console(415, Method::POST, "/sign-in").body("application/json", "{}"),
        console(403, Method::POST, &word).form("word=final"),
        console(403, Method::POST, &word).form("word=final").token(TOKEN),
        console(403, Method::POST, &word).form("word=final").with("cookie", "console=guessed"),
        console(405, Method::DELETE, &word),
    ]
}

fn at_the_page() -> Vec<Attack> {
    let page = |status, method, path| attack("page", status, method, path);
    let guessed = format!("/correct/{}", "A".repeat(43));
    vec![
        page(410, Method::GET, &guessed),
        page(410, Method::POST, &guessed).form("lang=en"),
        page(410, Method::POST, &guessed.replace("correct/", "correct/stop/")),
        page(413, Method::POST, &guessed).form("x".repeat(70_000)),
        page(403, Method::GET, "/correct"),
        page(403, Method::GET, "/correct/review").with("cookie", "visit=guessed"),
        page(403, Method::POST, "/correct/send").form("form=guessed"),
        page(403, Method::POST, "/correct").body("multipart/form-data; boundary=x", "--x--\r\n"),
        page(400, Method::POST, "/correct").form("f-firstName=Eve"),
        page(404, Method::GET, "/correct/logo"),
        page(405, Method::DELETE, "/correct/review"),
        attack("elsewhere", 404, Method::GET, "/wp-login.php"),
        attack("elsewhere", 404, Method::POST, "/v1/customers").token(TOKEN),
    ]
}

/// Sends more than may be, until the other side has heard enough.
async fn pour(address: SocketAddr, target: &str, bytes: usize) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {bytes}\r\n\
         content-type: application/json\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..bytes / chunk.len() {
        if socket.write_all(&chunk).await.is_err() {
            break;
        }
    }
    // A reset may take the answer with it.
    let _ = socket.read(&mut [0; 1024]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_once_where_it_was_refused_and_leaves_nothing() {
    let house = House::start().await;
    let (ok, said) = command(&house, &["token", "create", "--role", "app", "--name", "backend"], "");
    assert!(ok, "{said}");
    let app = said.lines().find(|line| line.starts_with("rst_")).unwrap();
    let mut expected = counted(&house).await;
    let all =
        PARTS.into_iter().flat_map(|part| STATUSES.map(|status| ((part.to_owned(), status.to_owned()), 0)));
    assert_eq!(expected, all.collect(), "everything is at zero before anything is refused");
    let on_record = async || house.get("/v1/audit").await.1["items"].as_array().unwrap().len();
    let before = on_record().await;

    let attacks = [at_the_api(app), at_the_console(app), at_the_page()];
    for Attack { part, status, method, path, headers, body } in attacks.into_iter().flatten() {
        let base = if ["page", "elsewhere"].contains(&part) { house.public } else { house.admin };
        let request = house.http.request(method.clone(), format!("http://{base}{path}")).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{part}: {method} {path} {headers:?}");
        *expected.get_mut(&(part.to_owned(), status.to_string())).unwrap() += 1;
        assert_eq!(counted(&house).await, expected, "{part}: {method} {path} {headers:?}");
    }
    for (part, target) in [("api", "/v1/customers"), ("console", "/sign-in")] {
        pour(house.admin, target, 1 << 30).await;
        let status = if part == "api" { "413" } else { "415" };
        *expected.get_mut(&(part.to_owned(), status.to_owned())).unwrap() += 1;
        house.eventually("a gigabyte is refused", async || counted(&house).await == expected).await;
    }
    // Nothing that is let in is counted, and what the intake refuses is counted there.
    assert_eq!(house.get("/v1/callbacks").await.1["items"], Value::Array(Vec::new()));
    let callback = format!("http://{}/callback/compliance?customerHashId=nobody", house.public);
    assert_eq!(house.http.post(callback).send().await.unwrap().status(), 400);
    assert_eq!(counted(&house).await, expected);
    assert_eq!(on_record().await, before, "nothing was done");
    assert_eq!(house.get("/v1/customers").await.1["items"], Value::Array(Vec::new()));
    house.close().await;
}
