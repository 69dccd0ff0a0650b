//! A whole house in one process: the service on port 0, the pretend Nium, an app backend that listens, and clocks that
//! are moved by hand. Tests come in through the front door, over HTTP.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reinstate::app::{App, Surroundings};
use reinstate::clock::{Clock, ManualClock};
use reinstate::config::{Config, Sources};
use reinstate::sim::{Options, Sim};
use reinstate::store::wake::Wake;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::database::Database;
pub use crate::ear::{Ear, Told};

pub const CLIENT: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
pub const API_KEY: &str = "test-key";
pub const TOKEN: &str = "bootstrap-token-of-the-tests";
pub const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjU";
pub const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// How long anything may take in real time before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// With nothing going on for this long, the clocks are moved on by a second.
const QUIET: Duration = Duration::from_millis(15);

#[expect(clippy::disallowed_methods, reason = "tasks of a test end with its runtime")]
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

pub fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    });
}

pub fn client() -> Client {
    install_crypto();
    Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap()
}

/// A bound listener for the service, and where it is.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port for a service that is started again at the same place, given once in this process. It is none of those that
/// the system gives to outgoing connections: while the service is down, nobody else may take its place.
pub fn lasting_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if let Ok(free) = TcpListener::bind(("127.0.0.1", port)) {
            return free.local_addr().unwrap();
        }
    }
}

/// The environment of a service that works with this Nium and this backend.
pub fn environment(
    nium: &str,
    ear: SocketAddr,
    database: &Database,
    folder: &Path,
) -> BTreeMap<String, String> {
    [
        ("ADMIN__BOOTSTRAP_TOKEN", TOKEN.to_owned()),
        ("PUBLIC__DRAIN_SECONDS", "0".to_owned()),
        ("STORE__URL", database.url()),
        ("NIUM__BASE_URL", nium.to_owned()),
        ("NIUM__CLIENT_HASH_ID", CLIENT.to_owned()),
        ("NIUM__API_KEY", API_KEY.to_owned()),
        ("NIUM__REGION", "SG".to_owned()),
        ("NIUM__REQUESTS_PER_SECOND", "1000".to_owned()),
        ("NIUM__BURST", "1000".to_owned()),
        ("NIUM__CONCURRENCY", "4".to_owned()),
        ("NOTIFY__WEBHOOK__URL", format!("http://{ear}/webhook")),
        ("NOTIFY__WEBHOOK__SECRETS", format!("whsec_{SECRET}")),
        ("NOTIFY__WEBHOOK__ALLOW_PRIVATE", "true".to_owned()),
        ("PRIVACY__MASTER_KEYS", format!("k1:{}", STANDARD.encode(*b"thirty-two bytes for the tests.."))),
    ]
    .into_iter()
    .chain(
        matches!(database, Database::Postgres(_))
            .then(|| ("STORE__SPOOL_DIR", folder.join("spool").display().to_string())),
    )
    .map(|(key, value)| (format!("REINSTATE__{key}"), value))
    .collect()
}

/// What is special about one house.
#[derive(Default)]
pub struct Plan {
    /// Keys (`NIUM__SETTLE_MS`) and values on top of the usual ones.
    pub env: Vec<(&'static str, String)>,
    /// No wake-ups: the poll alone.
    pub silent: bool,
    /// Customers whom Nium has before the service starts for the first time, by where they stand.
    pub already: Vec<Value>,
    /// Told where the pretend Nium is, before the service starts.
    pub nium_is_at: Arc<OnceLock<String>>,
}

pub struct House {
    pub sim: Sim,
    pub ear: Ear,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub http: Client,
    /// The customers of [`Plan::already`].
    pub already: Vec<String>,
    pub database: Database,
    env: BTreeMap<String, String>,
    clock: ManualClock,
    stop: Arc<Notify>,
    running: JoinHandle<bool>,
    folder: tempfile::TempDir,
}

impl House {
    pub async fn start() -> Self {
        Self::build(Plan::default()).await
    }

    pub async fn with(env: &[(&'static str, &str)]) -> Self {
        let env = env.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Self::build(Plan { env, ..Plan::default() }).await
    }

    pub async fn build(plan: Plan) -> Self {
        install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let ear = Ear::default();
        let ear_address = ear.listen().await;
        let listeners = (listener(), listener());
        let sim = start_sim(listeners.0.1);
        let _ = plan.nium_is_at.set(sim.base_url());
        let database = Database::fresh(folder.path());
        let mut env = environment(&sim.base_url(), ear_address, &database, folder.path());
        env.extend(plan.env.into_iter().map(|(key, value)| (format!("REINSTATE__{key}"), value)));
        let clock = ManualClock::new(real_now());
        let wake = if plan.silent { Wake::silent() } else { Wake::default() };
        let already = already(&sim, &plan.already).await;
        let (stop, running) = run(&env, &clock, wake, listeners.0.0, listeners.1.0).await;
        let (public, admin, http) = (listeners.0.1, listeners.1.1, client());
        let house =
            Self { sim, ear, public, admin, http, already, database, env, clock, stop, running, folder };
        house.settle().await;
        house
    }

    /// Stops the service and starts it again on the same database, at new addresses.
    pub async fn restart(self) -> Self {
        self.restart_after(Duration::ZERO).await
    }

    /// The same, with something happening to the database while the service is away.
    pub async fn restart_with(self, meanwhile: impl FnOnce()) -> Self {
        self.restart_while(Duration::ZERO, meanwhile).await
    }

    /// The same, with time passing in between.
    pub async fn restart_after(self, away: Duration) -> Self {
        self.restart_while(away, || ()).await
    }

    async fn restart_while(self, away: Duration, meanwhile: impl FnOnce()) -> Self {
        let Self { sim, ear, http, already, database, env, clock, stop, running, folder, .. } = self;
        stop.notify_one();
        assert!(running.await.unwrap(), "the service did not stop well");
        meanwhile();
        sim.advance(away);
        clock.set(clock.now() + away);
        let ((public_listener, public), (admin_listener, admin)) = (listener(), listener());
        let (stop, running) = run(&env, &clock, Wake::default(), public_listener, admin_listener).await;
        let house =
            Self { sim, ear, public, admin, http, already, database, env, clock, stop, running, folder };
        let url = format!("http://{public}/callback/compliance?customerHashId=%s");
        house.nium(Method::PUT, "/__sim/settings", json!({ "callbackUrl": url })).await;
        house.eventually("the service is live", async || house.get("/livez").await.0 == 200).await;
        house
    }

    /// What the service is told at its next start.
    pub fn set(&mut self, key: &str, value: Option<String>) {
        let key = format!("REINSTATE__{key}");
        match value {
            Some(value) => self.env.insert(key, value),
            None => self.env.remove(&key),
        };
    }

    /// The environment of the service, for commands beside it.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Waits until the service is live and its first sweep is over, so that nobody who comes later is history.
    async fn settle(&self) {
        self.eventually("the service is live", async || self.get("/livez").await.0 == 200).await;
        self.eventually("the first sweep is over", async || {
            let (_, sweeps) = self.get("/v1/sweeps").await;
            if sweeps["items"][0]["trouble"].is_string() {
                // Nium did not answer in time. The next try is due by the clock.
                self.advance(Duration::from_secs(1));
            }
            !sweeps["items"][0]["endedAt"].is_null()
        })
        .await;
    }

    /// The present moment of the service.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the service's clock and Nium's.
    pub fn advance(&self, by: Duration) {
        self.sim.advance(by);
        self.clock.set(self.clock.now() + by);
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request =
            self.http.request(method, format!("http://{}{path}", self.admin)).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Applies for a customer, and waits until Nium has said what becomes of it.
    pub async fn applied(&self, application: &Value) -> (u16, Value) {
        done(self.http.post(format!("http://{}/v1/customers", self.admin)).json(application)).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    /// One sample of `/metrics`, by its name and labels.
    pub async fn metric(&self, name: &str) -> i64 {
        let url = format!("http://{}/metrics", self.admin);
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        value.trim_end_matches(".0").parse().unwrap_or_else(|error| panic!("{name} {value}: {error}"))
    }

    /// The pretend Nium's controls.
    pub async fn nium(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sim.base_url());
        let answer =
            self.http.request(method, url).header("x-api-key", API_KEY).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.json().await.unwrap_or(Value::Null);
        assert!(status < 300, "{path}: {status} {body}");
        body
    }

    /// A customer at Nium, and the application on file with us.
    pub async fn onboard(&self, name: &str) -> String {
        let application = application(name);
        let path = format!("/api/v4/client/{CLIENT}/customer");
        let answer = self.nium(Method::POST, &path, application.clone()).await;
        let id = answer["customerHashId"].as_str().unwrap().to_owned();
        let (status, answer) =
            self.ask(Method::PUT, &format!("/v1/customers/{id}/application"), Some(application)).await;
        assert_eq!(status, 200, "{answer}");
        id
    }

    /// A customer at Nium of whom no callback has told us yet.
    pub async fn unheard(&self, name: &str) -> String {
        self.fault(json!({ "endpoint": "callback", "kind": "drop_callback", "times": 1 })).await;
        self.onboard(name).await
    }

    /// Nium's compliance decides, and calls back.
    pub async fn nium_says(&self, id: &str, says: Value) {
        self.nium(Method::POST, &format!("/__sim/customers/{id}/transition"), says).await;
    }

    /// A customer whom Nium has rejected, and to whom reinstatement is offered.
    pub async fn rejected(&self, name: &str) -> String {
        let id = self.onboard(name).await;
        self.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
        self.until(&id, "awaiting_correction").await;
        id
    }

    pub async fn resubmission(&self, id: &str, outcome: &str) {
        self.nium(
            Method::POST,
            &format!("/__sim/customers/{id}/outcome"),
            json!({ "onResubmission": outcome }),
        )
        .await;
    }

    pub async fn fault(&self, fault: Value) {
        self.nium(Method::POST, "/__sim/faults", fault).await;
    }

    pub async fn correct(&self, id: &str, fields: Value) -> (u16, Value) {
        let path = format!("/v1/customers/{id}/corrections");
        self.ask(Method::POST, &path, Some(json!({ "fields": fields }))).await
    }

    /// Waits until a case is in a state; with nothing going on, time passes.
    pub async fn until(&self, id: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            let (_, case) = self.get(&format!("/v1/customers/{id}")).await;
            if case["state"] == state {
                return case;
            }
            if case == last {
                tokio::time::sleep(QUIET).await;
                let (_, again) = self.get(&format!("/v1/customers/{id}")).await;
                if again == case {
                    self.advance(Duration::from_secs(1));
                }
            }
            last = case;
        }
        panic!("not {state} within {PATIENCE:?}; last: {last}");
    }

    pub async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never happened: {what}");
    }

    /// Waits until the backend has heard this event about a customer.
    pub async fn heard(&self, id: &str, event: &str) -> Told {
        let find = || {
            self.ear
                .all()
                .into_iter()
                .find(|told| told.body["data"]["customerHashId"] == id && told.body["type"] == event)
        };
        self.eventually(event, async || {
            self.advance(Duration::from_millis(50));
            find().is_some()
        })
        .await;
        find().unwrap()
    }

    /// The events that the backend heard about a customer, in order, redeliveries left out.
    pub fn events(&self, id: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let mut events = Vec::new();
        for told in self.ear.all() {
            if told.body["data"]["customerHashId"] == id && !seen.contains(&told.id) {
                seen.push(told.id);
                events.push(told.body["type"].as_str().unwrap().trim_start_matches("customer.").to_owned());
            }
        }
        events
    }

    /// A customer's timeline as a story: what happened, without times and ids.
    pub async fn story(&self, id: &str) -> String {
        let (_, timeline) = self.get(&format!("/v1/customers/{id}/timeline")).await;
        let lines = timeline["items"].as_array().unwrap().iter().map(line_of_story);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// How often Nium took a re-initiation of this customer, and under how many request ids it was asked.
    pub fn submissions(&self, id: &str) -> (usize, usize) {
        let journal = serde_json::to_value(self.sim.journal()).unwrap();
        submissions_in(&journal, id)
    }

    /// Stops the service and makes sure that it stopped well.
    pub async fn close(self) {
        self.stop.notify_one();
        assert!(self.running.await.unwrap(), "the service did not stop well");
    }
}

/// Asks for an act, and again with the same key for as long as nobody knows what became of it.
pub async fn done(request: RequestBuilder) -> (u16, Value) {
    let request = request.bearer_auth(TOKEN).header("idempotency-key", Uuid::new_v4().to_string());
    let begun = std::time::Instant::now();
    loop {
        let answer = request.try_clone().unwrap().send().await.unwrap();
        let status = answer.status().as_u16();
        if status != 202 || begun.elapsed() > PATIENCE {
            return (status, answer.json().await.unwrap());
        }
    }
}

/// Customers at Nium from before our time.
async fn already(sim: &Sim, standings: &[Value]) -> Vec<String> {
    let http = client();
    let control = async |path: String, body: &Value| -> Value {
        let url = format!("{}/__sim/{path}", sim.base_url());
        http.post(url).json(body).send().await.unwrap().json().await.unwrap()
    };
    let mut ids = Vec::new();
    for standing in standings {
        control("faults".to_owned(), &json!({ "endpoint": "callback", "kind": "drop_callback", "times": 1 }))
            .await;
        let made = control("customers".to_owned(), &json!({})).await;
        let id = made["customerHashId"].as_str().unwrap().to_owned();
        let mut standing = standing.clone();
        standing["silent"] = json!(true);
        control(format!("customers/{id}/transition"), &standing).await;
        ids.push(id);
    }
    ids
}

async fn run(
    env: &BTreeMap<String, String>,
    clock: &ManualClock,
    wake: Wake,
    public: TcpListener,
    admin: TcpListener,
) -> (Arc<Notify>, JoinHandle<bool>) {
    let mut env = env.clone();
    let url = format!("http://{}", public.local_addr().unwrap());
    env.entry("REINSTATE__PUBLIC__URL".to_owned()).or_insert(url);
    let config = Config::load(&Sources { file: None, env }).unwrap();
    let surroundings = Surroundings { clock: Clock::Manual(clock.clone()), public, admin, wake };
    let app = App::build(&config, surroundings).await.unwrap();
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    let running = spawn(async move {
        app.run(move || {
            let asked = Arc::clone(&asked);
            async move { asked.notified().await }
        })
        .await
    });
    (stop, running)
}

/// How often a re-initiation of this customer was applied, and how many request ids asked for one.
pub fn submissions_in(journal: &Value, id: &str) -> (usize, usize) {
    let entries: Vec<&Value> = journal
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["customerHashId"] == id && entry["reinitiation"] == true)
        .collect();
    let applied = entries.iter().filter(|entry| entry["applied"] == true).count();
    let mut ids: Vec<String> = entries.iter().map(|entry| entry["requestId"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    (applied, ids.len())
}

fn line_of_story(line: &Value) -> String {
    let (what, detail) = (line["what"].as_str().unwrap(), &line["detail"]);
    match what {
        "nudged" => {
            format!("nudged by {}, {} delivery", detail["source"].as_str().unwrap(), detail["deliveries"])
        }
        "decided" => {
            format!("-> {}: {}", detail["to"].as_str().unwrap(), detail["because"].as_str().unwrap())
        }
        "told" => format!("told {}", detail["event"].as_str().unwrap()),
        "correction_handed_in" => format!("correction of {}", detail["fields"]),
        other => other.replace('_', " "),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a house starts at the present moment, like everybody else's clock"
)]
fn real_now() -> Timestamp {
    Timestamp::now()
}

/// A number from the environment: how long a long test runs, or the seed to repeat.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub fn start_sim(public: SocketAddr) -> Sim {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        client_hash_id: CLIENT.to_owned(),
        api_key: API_KEY.to_owned(),
        client_name: "tests".to_owned(),
        region: "SG".to_owned(),
        callback_url: Some(format!("http://{public}/callback/compliance?customerHashId=%s")),
        webhook_url: None,
        callback_header: None,
        callback_ca_pem: None,
    };
    Sim::start(listener, options).unwrap()
}

pub fn application(name: &str) -> Value {
    json!({
        "email": format!("{}@example.test", name.to_lowercase()), "mobile": "80000000", "countryCode": "SG",
        "firstName": name, "lastName": "Sample", "dateOfBirth": "1990-02-03", "nationality": "SG",
        "kycMode": "MANUAL_KYC", "complianceLevel": "SCREENING_KYC",
        "billingAddress1": "1 Example Street", "billingCity": "Singapore", "billingState": "Singapore",
        "billingZipCode": "018900", "billingCountry": "SG", "isTncAccepted": true, "verificationConsent": true,
        "deliveryAddress1": "1 Example Street", "deliveryCity": "Singapore", "deliveryCountry": "SG",
        "intendedUseOfAccount": "IU100",
        "identificationDoc": [{ "identificationType": "Passport", "identificationValue": "X0000001",
            "identificationDocExpiry": "2031-05-04",
            "identificationDocument": [{ "fileName": "passport.png", "fileType": "image/png", "document": PNG }] }],
    })
}
