//! What is fuzzed: each target takes any bytes as somebody outside might send them, hands them to the code that reads them in
//! production, and fails if that panics, answers 500, or breaks what is said at the target.
//!
//! `tests/it/fuzz.rs` runs the kept corpora as plain tests; `tests/fuzz/run` lets libFuzzer look for more.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use jiff::civil::Date;
use reinstate::app::{App, Surroundings};
use reinstate::clock::Clock;
use reinstate::config::{Config, Sources};
use reinstate::domain::application::{Application, Region};
use reinstate::domain::correction::Correction;
use reinstate::domain::correction::merge;
use reinstate::domain::documents::Document;
use reinstate::domain::id::{CustomerHashId, RequestId};
use reinstate::domain::link;
use reinstate::domain::rfi::Answers;
use reinstate::domain::view::View;
use reinstate::nium::answer::readers_of;
use reinstate::spool::record;
use reinstate::store::rows::search::Place;
use reinstate::store::wake::Wake;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// One of them.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("callback", callback),
    ("webhook", webhook),
    ("answer", answer),
    ("correction", correction),
    ("configuration", configuration),
    ("token", token),
    ("spool", spool),
    ("cursor", cursor),
];

const CLIENT: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
const TOKEN: &str = "a-token-for-the-fuzzer";
const ID: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
/// Headers of one request that are made of the input.
const HEADERS_MAX: usize = 16;

/// The service, put together as in production and not running: both listeners' routers, on a database of its own.
struct House {
    runtime: Runtime,
    routers: [Router; 2],
    _folder: TempDir,
}

thread_local! {
    static HOUSE: RefCell<Option<House>> = const { RefCell::new(None) };
}

impl House {
    fn build() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let env = [
            ("STORE__URL", format!("sqlite:{}", at("reinstate.db"))),
            ("STORE__SPOOL_DIR", at("spool")),
            ("STORE__SPOOL_MIB", "1".to_owned()),
            ("PUBLIC__URL", "http://127.0.0.1:1".to_owned()),
            ("ADMIN__BOOTSTRAP_TOKEN", TOKEN.to_owned()),
            ("NIUM__BASE_URL", "http://127.0.0.1:1".to_owned()),
            ("NIUM__CLIENT_HASH_ID", CLIENT.to_owned()),
            ("NIUM__API_KEY", "key".to_owned()),
            ("PRIVACY__MASTER_KEYS", format!("k1:{}=", "B".repeat(42) + "A")),
            ("CALLBACK__TRUSTED_PROXIES", "10.0.0.0/8".to_owned()),
        ];
        let env = env.map(|(key, value)| (format!("REINSTATE__{key}"), value));
        let config = Config::load(&Sources { file: None, env: BTreeMap::from(env) }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let surroundings = Surroundings {
            clock: Clock::System,
            public: listener(),
            admin: listener(),
            wake: Wake::default(),
        };
        let routers = runtime.block_on(App::build(&config, surroundings)).unwrap().routers();
        Self { runtime, routers, _folder: folder }
    }

    /// What the public (0) or the admin listener (1) answers.
    fn ask(which: usize, request: Request<Body>) -> StatusCode {
        HOUSE.with_borrow_mut(|house| {
            let house = house.get_or_insert_with(Self::build);
            let answer = house.runtime.block_on(house.routers[which].clone().oneshot(request)).unwrap();
            assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            answer.status()
        })
    }
}

/// A request made of the input: the target up to the first line end, headers up to an empty line, and the body, which is
/// given beside it.
fn request<'a>(method: &str, prefix: &str, input: &'a [u8]) -> Option<(Request<Body>, &'a [u8])> {
    let (target, rest) = cut(input);
    let target = format!("{prefix}{}", std::str::from_utf8(target).ok()?);
    let peer: SocketAddr = "10.0.0.1:4711".parse().unwrap();
    let mut request = Request::builder().method(method).uri(target).extension(ConnectInfo(peer));
    let mut body = rest;
    for _ in 0..HEADERS_MAX {
        let (line, rest) = cut(body);
        body = rest;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some((request.body(Body::from(body.to_vec())).ok()?, body))
}

fn cut(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// The compliance callback: whatever is taken names one customer, once.
fn callback(input: &[u8]) {
    let Some((request, _)) = request("POST", "/callback/compliance", input) else { return };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let status = House::ask(0, request);
    // Where nothing is escaped, it is easily seen from here which customer is named.
    if path == "/callback/compliance" && !query.contains(['%', '+']) {
        let named: Vec<&str> =
            query.split('&').filter_map(|pair| pair.strip_prefix("customerHashId=")).collect();
        let bare = query.split('&').any(|pair| pair == "customerHashId");
        let one = matches!(named.as_slice(), [id] if id.len() == 36 && uuid::Uuid::parse_str(id).is_ok());
        let unread = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::PAYLOAD_TOO_LARGE];
        if !unread.contains(&status) {
            assert_eq!(status == StatusCode::OK, one && !bare, "{query}: {status}");
        }
    }
}

/// The JSON flavour: what is no JSON object is never taken.
fn webhook(input: &[u8]) {
    let Some((request, body)) = request("POST", "/webhook", input) else { return };
    let is_webhook = request.uri().path() == "/webhook";
    let is_object = serde_json::from_slice::<Map<String, Value>>(body).is_ok();
    let status = House::ask(0, request);
    assert!(is_object || !is_webhook || status != StatusCode::OK, "{status}");
}

/// Everything that Nium answers, given to every reader of its answers; read twice it says the same.
fn answer(input: &[u8]) {
    assert_eq!(readers_of(input), readers_of(input));
}

/// Corrections, applications, documents and answers to a request for information: what is taken can be taken again.
fn correction(input: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(input) else { return };
    let application = Application::parse(&body);
    if let Ok(correction) = Correction::parse(&body) {
        assert!(correction.names().next().is_some());
        let held = body.get("fields").and_then(|fields| Application::parse(fields).ok());
        let merged = merge(held.as_ref(), &Map::new(), &correction);
        let before = held.map_or(0, |held| held.as_map().len());
        assert!(merged.preview().len() <= before + correction.names().count());
    }
    if let Ok(application) = application {
        let kept = Value::Object(application.as_map().clone());
        assert!(Application::parse(&kept).is_ok_and(|again| again == application));
        for region in [None, Some(Region::Sg), Some(Region::Eu)] {
            let _ = application.gaps(region, Date::constant(2026, 11, 30));
        }
    }
    let _ = Document::parse_all("documents", &body);
    let _ = Answers::parse(&body, &[], false);
}

/// A configuration file, and the environment: a problem names its place and never holds a secret's value.
fn configuration(input: &[u8]) {
    thread_local! {
        static FOLDER: TempDir = TempDir::new().unwrap();
    }
    let file = FOLDER.with(|folder| folder.path().join("reinstate.toml"));
    std::fs::write(&file, input).unwrap();
    let env = |input: &[u8]| -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(input);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (format!("REINSTATE__{name}"), value.to_owned())).collect()
    };
    for sources in
        [Sources { file: Some(file.clone()), env: BTreeMap::new() }, Sources { file: None, env: env(input) }]
    {
        match Config::load(&sources) {
            Ok(config) => drop((config.fingerprint(), config.warnings())),
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
        let _ = Config::load_for_store(&sources);
    }
}

/// Tokens of links, visits and the API, and ids: only the right one opens.
fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(id) = CustomerHashId::parse(text) {
        assert_eq!(CustomerHashId::parse(&id.to_string()), Some(id));
    }
    let _ = RequestId::parse(text);
    let _ = link::hash_of(text);
    let Ok(value) = HeaderValue::from_str(text) else { return };
    let with = |name: &str, value: HeaderValue| {
        let request = Request::builder().uri("/v1/views").header(name, value);
        House::ask(1, request.body(Body::empty()).unwrap())
    };
    let status = with("authorization", value.clone());
    let is_ours = text.split_once(' ').is_some_and(|(_, token)| token.trim() == TOKEN);
    assert!(is_ours || status == StatusCode::UNAUTHORIZED, "{status}");
    assert_eq!(with("cookie", value.clone()), StatusCode::UNAUTHORIZED);
    let page = Request::builder().uri("/correct/x").header("cookie", value);
    assert!(!House::ask(0, page.body(Body::empty()).unwrap()).is_success());
}

/// The spool's journal, torn and damaged in any way: whatever is read of it can be written again as it was.
fn spool(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((content, length))) = record::next_record(&mut rest) {
        assert!(length > 0);
        let Some(spooled) = content.as_deref().and_then(record::decode) else { continue };
        let written = record::encode(&spooled.nudge, spooled.at).unwrap();
        let again = record::next_record(&mut written.as_slice()).unwrap().unwrap().0.unwrap();
        assert_eq!(record::decode(&again), Some(spooled));
    }
    // As the content of a record whose checksum is right.
    let _ = record::decode(input);
}

/// The lists of the API.
const LISTS: [&str; 9] =
    ["customers", "callbacks", "jobs", "approvals", "audit", "events", "deliveries", "sweeps", "journeys"];

/// Cursors and the other parameters of every list: one that no answer gave is refused or leads somewhere, and never fails.
fn cursor(input: &[u8]) {
    for order in [None, Some(View::Stuck), Some(View::Deadline), Some(View::NeedsOfficer)] {
        if let Some(place) = Place::read(order, input) {
            assert_eq!(Place::read(order, &place.bytes()).as_ref(), Some(&place));
        }
    }
    let Some((which, query)) = input.split_first() else { return };
    let list = LISTS[usize::from(*which) % LISTS.len()];
    let query: String =
        query.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    let Ok(request) = Request::builder()
        .uri(format!("/v1/{list}?{query}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty())
    else {
        return;
    };
    let status = House::ask(1, request);
    assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{list}: {status}");
}

/// Inputs to begin with.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let text = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    let json = |values: &[Value]| values.iter().map(|value| value.to_string().into_bytes()).collect();
    match target {
        "callback" => text(&[
            &format!("?customerHashId={ID}\nx-request-id: r-1\n\n"),
            &format!("?a=1&customerHashId={ID}\nx-forwarded-for: 203.0.113.9, 10.0.0.1\n\nbody"),
        ]),
        "webhook" => text(&[&format!(
            "\ncontent-type: application/json\n\n{{\"clientHashId\":\"{CLIENT}\",\"customerHashId\":\"{ID}\",\"template\":\"CUSTOMER_COMPLIANCE_STATUS\"}}"
        )]),
        "answer" => json(&[
            json!({"customerHashId": ID, "status": "Failed", "complianceStatus": "REJECT", "remarks": "name", "updatedAt": "2026-11-30 10:00:00",
                "individualCustomer": {"firstName": "A", "taxDetails": [{"country": "SG", "taxNumber": "1"}]}, "tags": {"a": "b"}}),
            json!({"content": [{"customerHashId": ID}], "totalPages": 1, "pagination": {"totalElements": "1"}}),
            json!({"errors": ["a"], "message": "null", "status": "BAD_REQUEST"}),
            json!({"rfiTemplates": [{"rfiHashId": "r", "requiredData": [{"label": "x", "value": "y"}], "documentType": "POI"}]}),
            json!({"redirectUrl": "https://x.example", "expiryDate": "60"}),
        ]),
        "correction" => json(&[
            json!({"fields": {"firstName": "Ana", "middleName": null}, "documents": [{"identificationType": "Passport", "identificationDocumentName": "a",
                "identificationDocHolderName": "b", "document": [{"fileName": "a.png", "fileType": "image/png", "document": "iVBORw0KGgo="}]}]}),
            json!({"firstName": "Ana", "lastName": "B", "dateOfBirth": "1990-02-28", "email": "a@example.com", "countryCode": "SG", "mobile": "81234567"}),
            json!({"answers": [{"rfiHashId": "r", "fields": {"a": "b"}}]}),
        ]),
        "configuration" => text(&[
            include_str!("../../config/reinstate.toml"),
            "[public]\nlisten = \"0.0.0.0:1\"\n[[flow.rules]]\nname = \"a\"\nclass = \"final\"\ncontains = [\"b\"]\n",
            "NIUM__API_KEY=key\nCALLBACK__ALLOW_FROM=10.0.0.0/8,::1\nPRIVACY__MASTER_KEYS=k1:AAAA\n",
        ]),
        "token" => text(&[ID, &format!("Bearer {TOKEN}"), &"A".repeat(43), "__Host-session=x; visit=y"]),
        "spool" => vec![b"\x02\0\0\0\0\0\0\0{}".to_vec(), record_of("request-1")],
        "cursor" => text(&[
            "\0limit=2&cursor=AAAAAAAAAAA",
            "\u{2}kind=look&status=failing",
            "\u{4}actor=a&what=b&cursor=AA",
            "\u{5}after=1",
        ]),
        _ => Vec::new(),
    }
}

fn record_of(request: &str) -> Vec<u8> {
    use reinstate::domain::nudge::{Nudge, Source};
    let nudge = Nudge {
        customer: CustomerHashId::parse(ID),
        looks: true,
        source: Source::Callback,
        request_id: RequestId::parse(request),
        template: None,
    };
    record::encode(&nudge, jiff::Timestamp::UNIX_EPOCH).unwrap()
}
