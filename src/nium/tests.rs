//! Every way a call can end, played by a server that answers raw bytes: what a look and a submission come to, what
//! goes out, how often, and that no text of ours repeats the key or what Nium said about a person.

mod canned;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpSocket;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::canned::{After, Canned, header};
use super::error::{LookError, NiumError, SubmitAnswer, Trouble, TroubleKind};
use super::pace::Class;
use super::{Nium, Options, RESPONSE_BYTES_MAX};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::Snapshot;
use crate::domain::status::Standing;

const KEY: &str = "planted-key-5f1c";
const CLIENT: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
const CUSTOMER: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
const REQUEST: Uuid = Uuid::from_u128(0x5eed);
/// Stands in every body of these tests and in the request; may stand in no text of ours.
const NAME: &str = "Zebulon-Planted";

const BOTH: &str = r#"{"individualCustomer":{"firstName":"Zebulon-Planted"},"complianceStatus":"REJECT",
    "kycStatus":"Failed","remarks":"Zebulon-Planted's passport is unreadable"}"#;

/// A client under test, and the words that its observer heard.
struct Bench {
    nium: Nium,
    words: Arc<Mutex<Vec<String>>>,
}

fn options(base_url: &str) -> Options {
    Options {
        base_url: base_url.to_owned(),
        client_hash_id: CLIENT.to_owned(),
        api_key: Zeroizing::new(KEY.to_owned()),
        client_name: "client1".to_owned(),
        connect_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        requests_per_second: 1000.0,
        burst: 1000,
        concurrency: 1,
        shared: crate::nium::pace::SharedTurns::alone(),
        observer: Arc::new(|_, _, _| {}),
    }
}

impl Bench {
    fn new(base_url: &str) -> Self {
        Self::with(options(base_url))
    }

    fn with(mut options: Options) -> Self {
        let words: Arc<Mutex<Vec<String>>> = Arc::default();
        let ear = Arc::clone(&words);
        options.observer = Arc::new(move |endpoint, word, _| {
            ear.lock().unwrap().push(format!("{} {word}", endpoint.as_str()));
        });
        Self { nium: Nium::new(options).unwrap(), words }
    }

    async fn look(&self) -> Result<Snapshot, LookError> {
        let permit = self.nium.permit(Class::Live).await;
        self.nium.details(customer(), REQUEST, permit).await
    }

    async fn submit(&self) -> SubmitAnswer {
        let permit = self.nium.permit(Class::Live).await;
        self.nium.add_customer(&application(), customer(), REQUEST, permit).await
    }

    fn words(&self) -> Vec<String> {
        self.words.lock().unwrap().clone()
    }
}

fn customer() -> CustomerHashId {
    CustomerHashId::parse(CUSTOMER).unwrap()
}

fn application() -> Map<String, Value> {
    let fields =
        json!({ "firstName": NAME, "middleName": null, "lastName": "", "pep": false, "customerHashId": "x" });
    fields.as_object().unwrap().clone()
}

/// An answer with its length said.
fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Plays `bytes` to one look: what it came to, and the observer's word. Asked once, nothing of a person printed.
async fn look_at(bytes: &str) -> (Result<Snapshot, LookError>, String) {
    let server = Canned::start(bytes, After::Close).await;
    let bench = Bench::new(&server.url());
    let looked = bench.look().await;
    assert_eq!((server.heard().len(), server.connections()), (1, 1), "asked once: {bytes:.60}");
    assert_discreet(&format!("{looked:?} {:?}", bench.nium));
    (looked, bench.words().join(", "))
}

/// Plays `bytes` to one submission, as above.
async fn submit_to(bytes: &str) -> (SubmitAnswer, String) {
    let server = Canned::start(bytes, After::Close).await;
    let bench = Bench::new(&server.url());
    let submitted = bench.submit().await;
    assert_eq!((server.heard().len(), server.connections()), (1, 1), "sent once: {bytes:.60}");
    assert_discreet(&format!("{submitted:?}"));
    (submitted, bench.words().join(", "))
}

fn assert_discreet(text: &str) {
    assert!(!text.contains(KEY) && !text.contains(NAME), "{text}");
}

fn trouble(kind: TroubleKind) -> Trouble {
    Trouble { kind, retry_after: None }
}

/// Answers with a status that says that Nium is in trouble, and what they are.
fn troubles() -> Vec<(&'static str, TroubleKind)> {
    vec![
        ("401 Unauthorized", TroubleKind::Unauthorized),
        ("403 Forbidden", TroubleKind::Forbidden),
        ("429 Too Many Requests", TroubleKind::TooMany),
        ("500 Internal Server Error", TroubleKind::Server(500)),
        ("502 Bad Gateway", TroubleKind::Server(502)),
        ("503 Service Unavailable", TroubleKind::Server(503)),
        ("504 Gateway Timeout", TroubleKind::Server(504)),
    ]
}

#[tokio::test]
async fn a_look_sees_what_nium_says() {
    let (looked, word) = look_at(&answer("200 OK", "content-type: application/json", BOTH)).await;
    let seen = looked.unwrap();
    assert_eq!(seen.facts.standing(), Standing::Rejected { lagging: false });
    assert_eq!(seen.profile["firstName"], NAME);
    assert_eq!(word, "details ok");
}

#[tokio::test]
async fn the_body_decides_and_not_the_content_type() {
    for content_type in ["content-type: text/html", "content-type: ???", ""] {
        let (looked, _) = look_at(&answer("200 OK", content_type, BOTH)).await;
        assert!(looked.is_ok(), "{content_type}: {looked:?}");
        let (submitted, _) = submit_to(&answer("200 OK", content_type, BOTH)).await;
        assert!(matches!(submitted, SubmitAnswer::Taken(_)), "{content_type}: {submitted:?}");
    }
}

#[tokio::test]
async fn a_status_of_trouble_is_trouble_for_a_look_whatever_the_body() {
    for (status, kind) in troubles() {
        for body in [r#""Zebulon-Planted is denied""#, "<html>Zebulon-Planted</html>", "", BOTH] {
            let (looked, word) = look_at(&answer(status, "", body)).await;
            assert_eq!(looked.err(), Some(LookError::Trouble(trouble(kind))), "{status}");
            assert_eq!(word, format!("details {}", kind.as_str()));
        }
    }
}

#[tokio::test]
async fn a_submission_is_certainly_not_taken_only_where_it_was_turned_away_at_the_door() {
    for (status, kind) in troubles() {
        let (submitted, word) = submit_to(&answer(status, "", BOTH)).await;
        match kind {
            TroubleKind::Unauthorized | TroubleKind::Forbidden | TroubleKind::TooMany => {
                let SubmitAnswer::NotTaken(found) = submitted else { panic!("{status}: {submitted:?}") };
                assert_eq!(found, trouble(kind));
                assert_eq!(word, format!("add_customer {}", kind.as_str()));
            }
            _ => {
                assert!(matches!(submitted, SubmitAnswer::Unclear("server")), "{status}: {submitted:?}");
                assert_eq!(word, "add_customer unclear");
            }
        }
    }
}

#[tokio::test]
async fn a_404_is_a_customer_that_nium_does_not_know() {
    let body = r#"{"status":"NOT_FOUND","message":"no Zebulon-Planted here","errors":null}"#;
    let (looked, word) = look_at(&answer("404 Not Found", "", body)).await;
    assert_eq!((looked.err(), word.as_str()), (Some(LookError::NotFound), "details not_found"));
    let (submitted, word) = submit_to(&answer("404 Not Found", "", body)).await;
    assert!(matches!(submitted, SubmitAnswer::NoSuchCustomer), "{submitted:?}");
    assert_eq!(word, "add_customer not_found");
}

#[tokio::test]
async fn how_long_to_wait_is_read_in_seconds_only_and_within_reason() {
    let hour = Some(Duration::from_hours(1));
    for (said, wait) in [
        ("7", Some(Duration::from_secs(7))),
        ("0", Some(Duration::ZERO)),
        ("3600", hour),
        ("3601", hour),
        ("18446744073709551615", hour),
        ("99999999999999999999999999", hour),
        ("Mon, 23 Nov 2026 10:00:00 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let bytes = answer("429 Too Many Requests", &format!("Retry-After: {said}"), "");
        let expected = Trouble { kind: TroubleKind::TooMany, retry_after: wait };
        let (looked, _) = look_at(&bytes).await;
        assert_eq!(looked.err(), Some(LookError::Trouble(expected.clone())), "{said}");
        let (submitted, _) = submit_to(&bytes).await;
        let SubmitAnswer::NotTaken(found) = submitted else { panic!("{said}: {submitted:?}") };
        assert_eq!(found, expected, "{said}");
    }
    let (looked, _) = look_at(&answer("503 Service Unavailable", "Retry-After: 9", "")).await;
    let expected = Trouble { kind: TroubleKind::Server(503), retry_after: Some(Duration::from_secs(9)) };
    assert_eq!(looked.err(), Some(LookError::Trouble(expected)));
}

#[tokio::test]
async fn an_answer_that_is_no_json_object_is_unreadable_and_for_a_submission_unclear() {
    let not_json = "the answer is not readable JSON";
    let no_object = "the answer is not a JSON object";
    for (body, why) in [
        ("<html>Zebulon-Planted is being maintained</html>", not_json),
        ("", not_json),
        (r#"{"firstName":"Zebulon-Planted"#, not_json),
        (r#"{"firstName":"Zebulon-Planted"} {}"#, not_json),
        (r#"["Zebulon-Planted"]"#, no_object),
        (r#""Zebulon-Planted""#, no_object),
        ("null", no_object),
    ] {
        let bytes = answer("200 OK", "content-type: application/json", body);
        let (looked, word) = look_at(&bytes).await;
        assert_eq!((looked.err(), word.as_str()), (Some(LookError::Unreadable(why)), "details unreadable"));
        let (submitted, word) = submit_to(&bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("unreadable")), "{body}: {submitted:?}");
        assert_eq!(word, "add_customer unclear");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_a_lost_connection() {
    let whole = BOTH.len() + 50;
    for bytes in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {whole}\r\n\r\n{BOTH}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{BOTH}\r\n", BOTH.len()),
    ] {
        let (looked, word) = look_at(&bytes).await;
        assert_eq!(looked.err(), Some(LookError::Trouble(trouble(TroubleKind::ConnectionLost))));
        assert_eq!(word, "details connection_lost");
        let (submitted, _) = submit_to(&bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("unreadable")), "{submitted:?}");
    }
    // The status line has said that the content is refused; what is lost is only why.
    let (submitted, _) = submit_to("HTTP/1.1 400 Bad Request\r\ncontent-length: 99\r\n\r\n{").await;
    let SubmitAnswer::Refused(refusal) = submitted else { panic!("{submitted:?}") };
    assert!(refusal.message.is_empty() && refusal.errors.is_empty());
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read_and_one_at_the_limit_is() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1);
    let padded = |bytes: usize| format!("{BOTH}{}", " ".repeat(bytes - BOTH.len()));
    let over = padded(RESPONSE_BYTES_MAX + 1);
    let streamed = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{over}\r\n0\r\n\r\n",
        over.len()
    );
    for bytes in [announced, streamed] {
        let (looked, _) = look_at(&bytes).await;
        assert_eq!(looked.err(), Some(LookError::Unreadable("the answer is too large")));
        let (submitted, _) = submit_to(&bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("unreadable")), "{submitted:?}");
    }
    let (looked, _) = look_at(&answer("200 OK", "", &padded(RESPONSE_BYTES_MAX))).await;
    assert!(looked.is_ok(), "{looked:?}");
}

#[tokio::test]
async fn a_connection_that_closes_before_any_answer_leaves_a_submission_unclear() {
    for bytes in ["", "HTTP/1.1 200", "SSH-2.0-not-http\r\n"] {
        let (looked, word) = look_at(bytes).await;
        assert_eq!(looked.err(), Some(LookError::Trouble(trouble(TroubleKind::ConnectionLost))), "{bytes}");
        assert_eq!(word, "details connection_lost");
        let (submitted, word) = submit_to(bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("connection_lost")), "{bytes}: {submitted:?}");
        assert_eq!(word, "add_customer unclear");
    }
}

#[tokio::test]
async fn without_a_connection_a_submission_was_certainly_not_taken() {
    // A port that is taken and that nobody listens at.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bench = Bench::new(&format!("http://{}", socket.local_addr().unwrap()));
    assert_eq!(bench.look().await.err(), Some(LookError::Trouble(trouble(TroubleKind::Connect))));
    let submitted = bench.submit().await;
    let SubmitAnswer::NotTaken(found) = submitted else { panic!("{submitted:?}") };
    assert_eq!(found, trouble(TroubleKind::Connect));
    assert_eq!(bench.words(), ["details connect", "add_customer connect"]);
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout_and_for_a_submission_unclear() {
    let begun = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{{", BOTH.len());
    for (bytes, left_open) in [("", "timeout"), (begun.as_str(), "unreadable")] {
        let server = Canned::start(bytes, After::Hold).await;
        let bench = Bench::with(Options { timeout: Duration::from_millis(60), ..options(&server.url()) });
        assert_eq!(bench.look().await.err(), Some(LookError::Trouble(trouble(TroubleKind::Timeout))));
        let submitted = bench.submit().await;
        assert!(matches!(submitted, SubmitAnswer::Unclear(why) if why == left_open), "{submitted:?}");
        assert_eq!(bench.words(), ["details timeout", "add_customer unclear"]);
        assert_eq!(server.connections(), 2, "each was tried once");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let elsewhere = Canned::start(answer("200 OK", "", BOTH), After::Close).await;
        let bytes = answer(status, &format!("location: {}/api", elsewhere.url()), "");
        let (looked, word) = look_at(&bytes).await;
        assert!(matches!(looked, Err(LookError::Unreadable(_))), "{status}: {looked:?}");
        assert_eq!(word, "details unreadable");
        let (submitted, _) = submit_to(&bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("unknown status")), "{status}: {submitted:?}");
        assert_eq!(elsewhere.connections(), 0, "{status}: the key went elsewhere");
    }
}

#[tokio::test]
async fn statuses_that_the_contract_does_not_know_settle_nothing() {
    for status in
        ["201 Created", "202 Accepted", "204 No Content", "206 Partial", "408 Timeout", "418 Teapot"]
    {
        let bytes = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let (looked, _) = look_at(&bytes).await;
        assert!(matches!(looked, Err(LookError::Unreadable(_))), "{status}: {looked:?}");
        let (submitted, word) = submit_to(&bytes).await;
        assert!(matches!(submitted, SubmitAnswer::Unclear("unknown status")), "{status}: {submitted:?}");
        assert_eq!(word, "add_customer unclear");
    }
}

#[tokio::test]
async fn a_submission_that_is_taken_says_where_the_customer_stands_if_nium_does() {
    for (body, standing, redirect) in [
        (BOTH, Some(Standing::Rejected { lagging: false }), None),
        (r#"{"kycStatus":"Clear","complianceStatus":"COMPLETED"}"#, Some(Standing::Approved), None),
        (
            r#"{"complianceStatus":"INITIATED","kycStatus":"Pending","redirectUrl":"https://kyc.example.test/s/1"}"#,
            Some(Standing::Working { open: false }),
            Some("https://kyc.example.test/s/1"),
        ),
        (r#"{"walletHashId":"c1b2a3d4-1111-4222-8333-444455556666","paymentIds":[]}"#, None, None),
        ("{}", None, None),
    ] {
        let (submitted, word) = submit_to(&answer("200 OK", "", body)).await;
        let SubmitAnswer::Taken(taken) = submitted else { panic!("{body}: {submitted:?}") };
        assert_eq!((taken.standing, taken.redirect_url.as_deref()), (standing, redirect), "{body}");
        assert!(!format!("{taken:?}").contains("kyc.example.test"), "whoever has it can act as the customer");
        assert_eq!(word, "add_customer ok");
    }
}

#[tokio::test]
async fn refused_content_comes_with_what_nium_said_and_does_not_print_it() {
    let body =
        r#"{"status":"BAD_REQUEST","message":"Zebulon-Planted is wrong","errors":["firstName","mobile"]}"#;
    for status in ["400 Bad Request", "409 Conflict", "413 Too Large", "422 Unprocessable"] {
        let (submitted, word) = submit_to(&answer(status, "", body)).await;
        let SubmitAnswer::Refused(refusal) = submitted else { panic!("{status}: {submitted:?}") };
        assert_eq!(refusal.message, "Zebulon-Planted is wrong");
        assert_eq!(refusal.errors, ["firstName", "mobile"]);
        assert_eq!(word, "add_customer refused");
    }
    let (looked, word) = look_at(&answer("400 Bad Request", "", body)).await;
    assert!(matches!(looked, Err(LookError::Unreadable(_))), "{looked:?}");
    assert_eq!(word, "details unreadable");
}

#[tokio::test]
async fn an_answer_about_another_customer_is_not_believed() {
    let about =
        |id: &str| format!(r#"{{"customerHashId":"{id}","complianceStatus":"COMPLETED","status":"Clear"}}"#);
    let other = about("77b0c8f4-0f0b-4f7c-9a57-6b1f5a0e7d02");
    let (looked, _) = look_at(&answer("200 OK", "", &other)).await;
    assert_eq!(looked.err(), Some(LookError::Unreadable("the answer is about another customer")));
    for same in [CUSTOMER.to_uppercase().as_str(), CUSTOMER, "null", "", "not an id"] {
        let (looked, _) = look_at(&answer("200 OK", "", &about(same))).await;
        assert_eq!(looked.unwrap().facts.standing(), Standing::Approved, "{same}");
    }
}

#[tokio::test]
async fn what_goes_out_is_what_the_contract_asks_for() {
    let server = Canned::start(answer("200 OK", "", BOTH), After::Close).await;
    let bench = Bench::new(&server.url());
    bench.look().await.unwrap();
    bench.submit().await;
    let heard = server.heard();
    let [look, submission] = heard.as_slice() else { panic!("{} requests", heard.len()) };
    assert!(
        look.starts_with(&format!("GET /api/v2/client/{CLIENT}/customer/{CUSTOMER} HTTP/1.1\r\n")),
        "{look}"
    );
    assert!(
        submission.starts_with(&format!("POST /api/v4/client/{CLIENT}/customer HTTP/1.1\r\n")),
        "{submission}"
    );
    for request in [look, submission] {
        assert_eq!(header(request, "x-api-key"), Some(KEY));
        assert_eq!(header(request, "x-request-id"), Some(REQUEST.to_string().as_str()));
        assert_eq!(header(request, "x-client-name"), Some("client1"));
        assert_eq!(header(request, "accept"), Some("application/json"));
        assert!(header(request, "user-agent").unwrap().starts_with("reinstate/"));
    }
    assert_eq!(header(submission, "content-type"), Some("application/json"));
    assert_eq!(header(look, "content-length"), None, "a look has no body");
    let body: Value = serde_json::from_str(submission.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, json!({ "firstName": NAME, "pep": false, "customerHashId": CUSTOMER }));
}

#[tokio::test]
async fn an_address_may_have_a_path_or_a_slash_and_a_client_no_name() {
    for (behind, path) in [("", "/api/v2"), ("/", "/api/v2"), ("/nium/", "/nium/api/v2")] {
        let server = Canned::start(answer("200 OK", "", BOTH), After::Close).await;
        let url = format!("{}{behind}", server.url());
        Bench::with(Options { client_name: String::new(), ..options(&url) }).look().await.unwrap();
        let look = server.heard().remove(0);
        assert!(look.starts_with(&format!("GET {path}/client/")), "{look}");
        assert_eq!(header(&look, "x-client-name"), None);
    }
}

#[tokio::test]
async fn a_submission_never_goes_over_a_used_connection_and_a_look_may() {
    let server = Canned::start(answer("200 OK", "", BOTH), After::Keep).await;
    let bench = Bench::new(&server.url());
    for _ in 0..3 {
        assert!(matches!(bench.submit().await, SubmitAnswer::Taken(_)));
    }
    assert_eq!((server.heard().len(), server.connections()), (3, 3));
    for _ in 0..3 {
        bench.look().await.unwrap();
    }
    assert_eq!((server.heard().len(), server.connections()), (6, 4));
}

#[tokio::test]
async fn every_call_gives_its_place_back() {
    let server = Canned::start("", After::Close).await;
    let bench = Bench::new(&server.url());
    for _ in 0..3 {
        // The only place; had a call kept it, this would wait for ever.
        bench.look().await.unwrap_err();
        bench.submit().await;
    }
    assert_eq!(bench.words().len(), 6);
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_most_talkative_log_has_neither_key_nor_person() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, whichever thread meets a line first decides for all of them whether anybody listens.
    let another = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    for status in ["200 OK", "400 Bad Request", "500 Oops", "302 Found"] {
        look_at(&answer(status, "", BOTH)).await.0.ok();
        submit_to(&answer(status, "", BOTH)).await;
    }
    drop((guard, another));
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("called Nium").count(), 8, "{said}");
    assert_discreet(&said);
}

#[test]
fn options_that_cannot_be_used_are_refused_without_being_shown() {
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    let base = || options("http://127.0.0.1:1");
    let cases = [
        (Options { base_url: "planted-key-5f1c".to_owned(), ..base() }, "nium.base_url cannot be read"),
        (Options { api_key: secret("planted-key-5f1c\n"), ..base() }, "nium.api_key holds characters"),
        (
            Options { client_name: "a\r\nx-api-key: b".to_owned(), ..base() },
            "nium.client_name holds characters",
        ),
        (Options { burst: 0, ..base() }, "must be above zero"),
    ];
    for (options, expected) in cases {
        assert_discreet(&format!("{options:?}").replace("base_url: \"planted-key-5f1c\"", ""));
        let error: NiumError = Nium::new(options).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_discreet(&format!("{error} {error:?}"));
    }
}
