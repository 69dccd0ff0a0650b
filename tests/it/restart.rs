//! The real binary is killed with SIGKILL again and again while customers are rejected, corrected and resubmitted.
//! Nothing that was acknowledged is lost, and nothing is done twice: asserted on the pretend Nium's journal. All the
//! while other callbacks come in; each that was answered 200 must be on file and lead to a look that began after it.
//!
//! `REINSTATE_TEST_SEED` repeats a run, `REINSTATE_TEST_KILLS` makes it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reinstate::clock::Clock;
use reinstate::sim::Sim;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::database::Database;
use crate::house::{
    Ear, TOKEN, Told, application, client, environment, lasting_address, number, spawn, start_sim,
    submissions_in,
};

/// Kills in an ordinary run.
const KILLS: u32 = 100;
/// Customers on their way at once.
const CUSTOMERS: usize = 12;
/// Customers whom the load is about.
const BYSTANDERS: usize = 5;
/// How long everything may take after the last kill.
const PATIENCE: Duration = Duration::from_secs(90);

/// How far Nium's clock is behind ours.
const BEHIND: SignedDuration = SignedDuration::from_secs(4);
/// Between two callbacks of the load, and two sweeps of an impatient operator.
const PAUSE: Duration = Duration::from_millis(15);
const SWEEP_PAUSE: Duration = Duration::from_millis(300);

/// A callback of the load that was answered 200.
pub struct Acknowledged {
    customer: String,
    request_id: String,
    /// When it set out: whoever waits for the answer to arrive may see a look that is quicker.
    sent_at: Timestamp,
}

/// Where one process of the service listens, and what it is started with.
pub struct Door {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    env: BTreeMap<String, String>,
}

impl Door {
    /// Where it spools.
    pub fn spool(&self) -> PathBuf {
        self.env["REINSTATE__STORE__SPOOL_DIR"].clone().into()
    }
}

/// The real binary, once or several times, a pretend Nium and a backend, on addresses that outlive it.
pub struct Ground {
    pub doors: Vec<Door>,
    /// Whom to ask next: callers go round.
    next: AtomicUsize,
    pub http: Client,
    pub sim: Sim,
    ear: Ear,
    pub database: Database,
}

impl Ground {
    pub async fn new(folder: &Path) -> Self {
        let public = lasting_address();
        let ground = Self::with(&[public], public, Database::fresh(folder), folder).await;
        ground.set("TELEMETRY__LOG", "warn")
    }

    /// A process for each of these addresses, all on one database; Nium calls back at `callbacks`.
    pub async fn with(
        publics: &[SocketAddr],
        callbacks: SocketAddr,
        database: Database,
        folder: &Path,
    ) -> Self {
        let ear = Ear::default();
        let ear_address = ear.listen().await;
        let sim = start_sim(callbacks);
        let doors = publics.iter().enumerate().map(|(number, public)| {
            let own = folder.join(number.to_string());
            std::fs::create_dir_all(&own).unwrap();
            let mut env = environment(&sim.base_url(), ear_address, &database, &own);
            let admin = lasting_address();
            for (key, value) in [
                ("PUBLIC__LISTEN", public.to_string()),
                ("ADMIN__LISTEN", admin.to_string()),
                ("NIUM__SETTLE_MS", "150".to_owned()),
                ("NIUM__TIMEOUT_MS", "2000".to_owned()),
                ("NIUM__CONNECT_TIMEOUT_MS", "1000".to_owned()),
            ] {
                env.insert(format!("REINSTATE__{key}"), value);
            }
            Door { public: *public, admin, env }
        });
        let doors = doors.collect();
        Self { doors, next: AtomicUsize::new(0), http: client(), sim, ear, database }
    }

    /// Sets a key of every process.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        for door in &mut self.doors {
            door.env.insert(format!("REINSTATE__{key}"), value.to_owned());
        }
        self
    }

    /// What the backend was told.
    pub fn told(&self) -> Vec<Told> {
        self.ear.all()
    }

    /// What the first process is started with.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.doors[0].env
    }

    /// One of the processes, each in its turn.
    pub fn door(&self) -> &Door {
        &self.doors[self.next.fetch_add(1, Ordering::Relaxed) % self.doors.len()]
    }

    pub fn start(&self) -> Child {
        self.start_at(0)
    }

    pub fn start_at(&self, number: usize) -> Child {
        self.begin(&mut Command::new(env!("CARGO_BIN_EXE_reinstate")), number)
    }

    /// Another release of the service, which has another configuration and does not read ours.
    pub fn start_as(&self, program: &Path, number: usize) -> Child {
        self.begin(Command::new(program).current_dir(program.parent().unwrap()), number)
    }

    fn begin(&self, program: &mut Command, number: usize) -> Child {
        program
            .arg("serve")
            .envs(&self.doors[number].env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    pub async fn api(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let mut request =
            self.http.request(method, format!("http://{}{path}", self.door().admin)).bearer_auth(TOKEN);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.timeout(Duration::from_secs(5)).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Asks until the service, dead or alive at the moment, gives this status.
    pub async fn insist(&self, method: Method, path: &str, key: &str, body: &Value, wanted: u16) -> Value {
        loop {
            match self.api(method.clone(), path, Some(key), Some(body)).await {
                Some((status, answer)) if status == wanted => return answer,
                // It is under way (the same key tells how it ends), the offer is not there yet, or the service is not.
                Some((202 | 404 | 409 | 503, _)) | None => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some((status, answer)) => panic!("{path}: {status} {answer}"),
            }
        }
    }

    pub async fn state(&self, id: &str) -> Option<String> {
        let (_, case) = self.api(Method::GET, &format!("/v1/customers/{id}"), None, None).await?;
        case["state"].as_str().map(str::to_owned)
    }

    /// One customer's journey, with a backend that insists.
    pub async fn journey(&self, number: usize) -> String {
        let name = format!("Ana{number}");
        let answer = self
            .insist(Method::POST, "/v1/customers", &format!("onboard-{number}"), &application(&name), 201)
            .await;
        let id = answer["customerHashId"].as_str().unwrap().to_owned();
        let transition = format!("{}/__sim/customers/{id}/transition", self.sim.base_url());
        self.http.post(transition).json(&json!({ "complianceStatus": "REJECT" })).send().await.unwrap();
        // A callback that met a dead service is lost, and Nium does not call again: the sweep finds it.
        while self.state(&id).await.is_none_or(|state| state != "awaiting_correction") {
            self.api(Method::POST, "/v1/sweeps", None, Some(&json!({}))).await;
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
        let correction = json!({ "fields": { "firstName": format!("{name} Maria") } });
        self.insist(Method::POST, &format!("/v1/customers/{id}/corrections"), "correction", &correction, 202)
            .await;
        while self.state(&id).await.is_none_or(|state| state != "reinstated") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        id
    }

    /// Customers whom Nium is working on, for the load.
    async fn bystanders(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..BYSTANDERS {
            let url = format!("{}/__sim/customers", self.sim.base_url());
            let made = self.http.post(url).json(&json!({})).send().await.unwrap();
            ids.push(made.json::<Value>().await.unwrap()["customerHashId"].as_str().unwrap().to_owned());
        }
        ids
    }

    /// Calls back about bystanders again and again, whether the service lives or not, until it is told to stop.
    pub async fn load(&self, over: &AtomicBool, pause: Duration) -> Vec<Acknowledged> {
        let bystanders = self.bystanders().await;
        let mut acknowledged = Vec::new();
        for (number, customer) in bystanders.iter().cycle().enumerate() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let request_id = format!("load-{number}");
            let public = self.door().public;
            let url = format!("http://{public}/callback/compliance?customerHashId={customer}");
            let sent_at = Clock::System.now();
            let answer = self.http.post(url).header("x-request-id", &request_id).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                acknowledged.push(Acknowledged { customer: customer.clone(), request_id, sent_at });
            }
            tokio::time::sleep(pause).await;
        }
        acknowledged
    }

    /// A customer of ours whom Nium has rejected with this remark, and to whom reinstatement is offered.
    pub async fn rejected(&self, application: &Value, remark: &str) -> String {
        let key = application["email"].to_string();
        let made = self.insist(Method::POST, "/v1/customers", &key, application, 201).await;
        let id = made["customerHashId"].as_str().unwrap().to_owned();
        let transition = format!("{}/__sim/customers/{id}/transition", self.sim.base_url());
        let says = json!({ "complianceStatus": "REJECT", "complianceRemarks": remark });
        self.http.post(transition).json(&says).send().await.unwrap();
        while self.state(&id).await.is_none_or(|state| state != "awaiting_correction") {
            tokio::time::sleep(PAUSE).await;
        }
        id
    }

    pub async fn what_is_stuck(&self) -> String {
        let mut told = String::new();
        for path in ["/v1/jobs", "/v1/sweeps?limit=3", "/v1/customers?limit=200"] {
            let answer = self.api(Method::GET, path, None, None).await;
            let _ = write!(told, "\n{path}: {answer:?}");
        }
        told
    }

    /// Nium's seconds lie a little behind ours, so that a submission need not wait for the rejection's second to pass.
    pub async fn nium_is_behind(&self) {
        let url = format!("{}/__sim/clock", self.sim.base_url());
        let by = json!({ "advanceMs": -i64::try_from(BEHIND.as_millis()).unwrap() });
        self.http.post(url).json(&by).send().await.unwrap();
    }

    /// What was there before us is history; everybody of these tests comes later.
    pub async fn first_sweep_is_over(&self) {
        loop {
            if let Some((200, sweeps)) = self.api(Method::GET, "/v1/sweeps", None, None).await
                && !sweeps["items"][0]["endedAt"].is_null()
            {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost_and_nothing_is_done_twice() {
    let seed = number("REINSTATE_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    let kills = number("REINSTATE_TEST_KILLS").map_or(KILLS, |kills| u32::try_from(kills).unwrap());
    println!("REINSTATE_TEST_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let ground = std::sync::Arc::new(Ground::new(folder.path()).await);
    ground.nium_is_behind().await;
    let mut service = ground.start();
    ground.first_sweep_is_over().await;
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let load = spawn({
        let (ground, over) = (std::sync::Arc::clone(&ground), std::sync::Arc::clone(&over));
        async move { ground.load(&over, PAUSE).await }
    });
    let mut journeys = tokio::task::JoinSet::new();
    let mut ids = BTreeSet::new();
    let mut started = 0;
    for _ in 0..kills {
        while journeys.len() < CUSTOMERS {
            let (ground, number) = (std::sync::Arc::clone(&ground), started);
            journeys.spawn(async move { ground.journey(number).await });
            started += 1;
        }
        tokio::time::sleep(Duration::from_millis(chance.random_range(30..500))).await;
        service.kill().await.unwrap();
        service = ground.start();
        while let Some(done) = journeys.try_join_next() {
            ids.insert(done.unwrap());
        }
    }
    match tokio::time::timeout(PATIENCE, journeys.join_all()).await {
        Ok(rest) => ids.extend(rest),
        Err(tokio::time::error::Elapsed { .. }) => {
            panic!("seed {seed}: not everybody came back in time: {}", ground.what_is_stuck().await)
        }
    }
    over.store(true, Ordering::Relaxed);
    let acknowledged = load.await.unwrap();
    nothing_was_lost_and_nothing_was_done_twice(&ground, &ids, &acknowledged, seed).await;
    println!(
        "{} customers came back through {kills} kills, and {} callbacks of the load were answered 200",
        ids.len(),
        acknowledged.len()
    );
    let stopped = spawn(async move { service.kill().await });
    stopped.await.unwrap().unwrap();
}

/// What must hold once everything is quiet.
pub async fn nothing_was_lost_and_nothing_was_done_twice(
    ground: &Ground,
    ids: &BTreeSet<String>,
    acknowledged: &[Acknowledged],
    seed: u64,
) {
    every_acknowledged_callback_led_to_a_look(ground, acknowledged, seed).await;
    let journal = serde_json::to_value(ground.sim.journal()).unwrap();
    let made = journal.as_array().unwrap().iter().filter(|entry| {
        entry["endpoint"] == "add_customer" && entry["reinitiation"] == false && entry["applied"] == true
    });
    assert_eq!(made.count(), ids.len() + BYSTANDERS, "seed {seed}: every applicant became one customer");
    let submissions = resubmissions(&journal);
    for id in ids {
        let (applied, request_ids) = submissions_in(&submissions, id);
        assert_eq!((applied, request_ids), (1, 1), "seed {seed}: submissions of {id}");
    }
    every_acknowledged_callback_is_on_file(ground, &journal, acknowledged, seed).await;
    every_event_was_told_once(ground, ids, seed).await;
    every_customer_was_told_in_order(ground, seed);
}

/// What comes again does not count; what comes for the first time is never older than what came before.
fn every_customer_was_told_in_order(ground: &Ground, seed: u64) {
    let (mut heard, mut newest) = (BTreeSet::new(), BTreeMap::<String, u64>::new());
    for told in ground.ear.all() {
        let data = &told.body["data"];
        let (Some(customer), Some(version)) = (data["customerHashId"].as_str(), data["version"].as_u64())
        else {
            continue;
        };
        if heard.insert(told.id) {
            let before = newest.insert(customer.to_owned(), version).unwrap_or_default();
            assert!(version >= before, "seed {seed}: {customer} was told {version} after {before}");
        }
    }
    assert!(!newest.is_empty());
}

/// Each customer's last callback is enough: a look that began after it began after all the earlier ones.
async fn every_acknowledged_callback_led_to_a_look(
    ground: &Ground,
    acknowledged: &[Acknowledged],
    seed: u64,
) {
    assert!(!acknowledged.is_empty());
    let last: BTreeMap<&str, Timestamp> =
        acknowledged.iter().map(|ack| (ack.customer.as_str(), ack.sent_at)).collect();
    let begun = std::time::Instant::now();
    for (customer, at) in last {
        loop {
            let journal = serde_json::to_value(ground.sim.journal()).unwrap();
            let looks = journal
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["endpoint"] == "details" && entry["customerHashId"] == customer);
            let last_look =
                looks.map(|look| look["at"].as_str().unwrap().parse::<Timestamp>().unwrap()).max();
            if last_look.is_some_and(|look| look + BEHIND >= at) {
                break;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "seed {seed}: no look at {customer} after {at}, only at {last_look:?}, {BEHIND:#} behind"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn every_acknowledged_callback_is_on_file(
    ground: &Ground,
    journal: &Value,
    load: &[Acknowledged],
    seed: u64,
) {
    let mut acknowledged: BTreeSet<String> = journal
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == "callback" && entry["status"] == 200)
        .map(|entry| entry["requestId"].as_str().unwrap().to_owned())
        .collect();
    acknowledged.extend(load.iter().map(|ack| ack.request_id.clone()));
    assert!(!acknowledged.is_empty());
    let begun = std::time::Instant::now();
    loop {
        let on_file = callbacks_on_file(ground).await;
        let lost: Vec<_> = acknowledged.difference(&on_file).collect();
        if lost.is_empty() {
            return;
        }
        // What came last may still be in a spool or in the log.
        assert!(begun.elapsed() < PATIENCE, "seed {seed}: acknowledged and lost: {lost:?}");
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

async fn callbacks_on_file(ground: &Ground) -> BTreeSet<String> {
    let begun = std::time::Instant::now();
    let mut on_file = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/callbacks?limit=200{cursor}");
        let Some((200, page)) = ground.api(Method::GET, &path, None, None).await else {
            assert!(begun.elapsed() < PATIENCE, "the service answers");
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let items = page["items"].as_array().unwrap();
        on_file.extend(items.iter().filter_map(|item| item["requestId"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return on_file,
        }
    }
}

/// A receiver may see an id again (its answer was lost); two ids for one event would be a second telling.
async fn every_event_was_told_once(ground: &Ground, ids: &BTreeSet<String>, seed: u64) {
    let wanted = [
        "customer.rejected",
        "customer.correction_requested",
        "customer.correction_received",
        "customer.submitted",
        "customer.reinstated",
    ];
    let begun = std::time::Instant::now();
    let told = loop {
        let told = told_by_customer(ground);
        if ids.iter().all(|id| told.contains_key(&(id.clone(), "customer.reinstated".to_owned()))) {
            break told;
        }
        assert!(begun.elapsed() < PATIENCE, "seed {seed}: not everybody was told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for id in ids {
        for event in wanted {
            let told = told.get(&(id.clone(), event.to_owned())).cloned().unwrap_or_default();
            // A submission that was found out by a look may reach its end without the step in between.
            let least = usize::from(event != "customer.submitted");
            assert!((least..=1).contains(&told.len()), "seed {seed}: {event} of {id} was told as {told:?}");
        }
    }
}

/// The part of the journal that is about resubmissions: a long run's journal is too long to be read for each customer.
fn resubmissions(journal: &Value) -> Value {
    let entries = journal.as_array().unwrap().iter();
    entries.filter(|entry| entry["reinitiation"] == true).cloned().collect()
}

/// The ids under which each event of each customer was told.
fn told_by_customer(ground: &Ground) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut by: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for told in ground.ear.all() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&told.body["data"]["customerHashId"]), text(&told.body["type"]));
        by.entry(key).or_default().insert(told.id);
    }
    by
}
