//! The disk fails: it tears what was being written when the power went, it is full, it is read-only, a row is damaged.
//! The real binary, on real files: what was acknowledged is there afterwards, and what cannot be done is said.
//!
//! `REINSTATE_TEST_SEED` repeats a run, `REINSTATE_TEST_CUTS` makes the torn writes more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reinstate::sim::Sim;
use reqwest::{Client, Method};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::database::Database;
use crate::house::{Ear, TOKEN, client, environment, lasting_address, number, start_sim};

/// Torn writes of each file in an ordinary run.
const CUTS: u64 = 20;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A service on a disk that misbehaves.
struct Ground {
    http: Client,
    sim: Sim,
    public: SocketAddr,
    admin: SocketAddr,
    env: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

/// What `/readyz` says.
type Ready = (u16, String);

impl Ground {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ear = Ear::default().listen().await;
        let (public, admin) = (lasting_address(), lasting_address());
        let sim = start_sim(public);
        let mut env = environment(
            &sim.base_url(),
            ear,
            &Database::Sqlite(folder.path().join("data/reinstate.db")),
            folder.path(),
        );
        for (key, value) in [
            ("PUBLIC__LISTEN", public.to_string()),
            ("ADMIN__LISTEN", admin.to_string()),
            ("TELEMETRY__LOG", "warn".to_owned()),
        ] {
            env.insert(format!("REINSTATE__{key}"), value);
        }
        for (key, value) in settings {
            env.insert(format!("REINSTATE__{key}"), (*value).to_owned());
        }
        Self { http: client(), sim, public, admin, env, folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn database(&self) -> PathBuf {
        self.data().join("reinstate.db")
    }

    /// Where everything is put that the service says.
    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    fn spool(&self) -> PathBuf {
        self.data().join("reinstate.db.spool/callbacks.spool")
    }

    /// Starts the service, and waits until it answers. With a limit no file may grow beyond so many bytes.
    async fn start(&self, file_bytes_max: Option<u64>) -> Child {
        let binary = env!("CARGO_BIN_EXE_reinstate");
        let mut command = match file_bytes_max {
            None => Command::new(binary),
            Some(bytes) => {
                let mut command = Command::new("sh");
                let limited = format!("trap '' XFSZ; exec prlimit --fsize={bytes} {binary} serve");
                command.args(["-c", &limited]);
                command
            }
        };
        if file_bytes_max.is_none() {
            command.arg("serve");
        }
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        command.envs(&self.env).stdin(Stdio::null()).stderr(log);
        let child = command.kill_on_drop(true).spawn().unwrap();
        self.eventually("the service answers", async || {
            self.http.get(format!("http://{}/livez", self.admin)).send().await.is_ok()
        })
        .await;
        child
    }

    /// The first start takes the space of the spool. Gives the size of the database.
    async fn first_start(&self) -> u64 {
        let mut service = self.start(None).await;
        let process = service.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().await.unwrap().success());
        assert!(service.wait().await.unwrap().success());
        fs::metadata(self.database()).unwrap().len()
    }

    /// Runs `serve` where it must refuse.
    async fn refused(&self, settings: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reinstate"));
        command.arg("serve").envs(&self.env).stdin(Stdio::null()).kill_on_drop(true);
        for (key, value) in settings {
            command.env(format!("REINSTATE__{key}"), value);
        }
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap()
    }

    async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < PATIENCE, "it never happened: {what}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A callback as Nium sends it; gives the status.
    async fn knock(&self, customer: &str, request_id: &str) -> u16 {
        let url = format!("http://{}/callback/compliance?customerHashId={customer}", self.public);
        self.http.post(url).header("x-request-id", request_id).send().await.unwrap().status().as_u16()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.admin);
        let answer = self.http.request(Method::GET, url).bearer_auth(TOKEN).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn ready(&self) -> Ready {
        let (status, body) = self.get("/readyz").await;
        (status, body["status"].as_str().unwrap().to_owned())
    }

    /// The `x-request-id`s of every callback on file.
    async fn on_file(&self) -> BTreeSet<String> {
        let (mut found, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let (_, page) = self.get(&format!("/v1/callbacks?limit=200{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            found.extend(items.iter().filter_map(|item| item["requestId"].as_str().map(str::to_owned)));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    async fn all_on_file(&self, acknowledged: &BTreeSet<String>, what: &str) {
        self.eventually(&format!("everything acknowledged is on file {what}"), async || {
            acknowledged.is_subset(&self.on_file().await)
        })
        .await;
    }

    /// Everything in the log was folded, and everybody was looked at.
    async fn nothing_is_due(&self, what: &str) {
        self.eventually(&format!("nothing is due any more {what}"), async || {
            let (_, ready) = self.get("/readyz?verbose").await;
            (&ready["customersDue"], &ready["callbacksUnfolded"]) == (&json!(0), &json!(0))
        })
        .await;
    }

    fn the_database_is_whole(&self, what: &str) {
        let database = Connection::open(self.database()).unwrap();
        let said: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(said, "ok", "{what}");
    }

    /// A customer at Nium.
    async fn customer(&self) -> String {
        let url = format!("{}/__sim/customers", self.sim.base_url());
        let made: Value = self.http.post(url).json(&json!({})).send().await.unwrap().json().await.unwrap();
        made["customerHashId"].as_str().unwrap().to_owned()
    }

    /// How often Nium was asked about a customer.
    fn looks(&self, customer: &str) -> usize {
        let journal = serde_json::to_value(self.sim.journal()).unwrap();
        let entries = journal.as_array().unwrap().iter();
        entries.filter(|entry| entry["endpoint"] == "details" && entry["customerHashId"] == customer).count()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Where the frames of a write-ahead log end that belong to its present round: what comes after was never committed, or
/// is left over from before the last checkpoint.
fn committed_end(wal: &[u8]) -> usize {
    let word = |at: usize| wal.get(at..at + 4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    let Some(page) = word(8) else { return 0 };
    let frame = 24 + usize::try_from(page).unwrap();
    let mut end = 32;
    while word(end + 8).is_some()
        && (word(end + 8), word(end + 12)) == (word(16), word(20))
        && wal.len() >= end + frame
    {
        end += frame;
    }
    end
}

fn seed() -> u64 {
    let seed = number("REINSTATE_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    println!("REINSTATE_TEST_SEED={seed}");
    seed
}

/// Where the content of a spool ends: what follows is zero.
fn spooled_end(spool: &[u8]) -> usize {
    spool.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Tears `file` somewhere in `fair`, which begins where everything acknowledged ends.
fn tear(chance: &mut StdRng, file: &Path, fair: &RangeInclusive<usize>) -> String {
    let mut bytes = fs::read(file).unwrap();
    let cut = chance.random_range(fair.clone());
    let mut torn = vec![0; chance.random_range(17..20_000)];
    chance.fill(torn.as_mut_slice());
    let how = match chance.random_range(0..4) {
        0 => {
            torn.clear();
            "nothing after it"
        }
        1 => "noise after it",
        2 => {
            // The head of a frame of this very round, as if only its body had been lost.
            torn[8..16].copy_from_slice(bytes.get(16..24).unwrap_or(&[0; 8]));
            "a frame without its body after it"
        }
        _ => {
            torn.extend(bytes.iter().skip(cut + torn.len()));
            "noise over what follows"
        }
    };
    bytes.truncate(cut);
    bytes.extend(&torn);
    fs::write(file, &bytes).unwrap();
    format!("torn at {cut} of {fair:?}, {how}")
}

/// Callbacks about these customers in turn; every one is answered 200. Gives their request ids.
async fn knocks(ground: &Ground, customers: &[String], word: &str, count: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (number, customer) in customers.iter().cycle().take(count).enumerate() {
        let id = format!("{word}-{number}");
        assert_eq!(ground.knock(customer, &id).await, 200);
        ids.insert(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_torn_loses_nothing_that_was_acknowledged() {
    let seed = seed();
    let mut chance = StdRng::seed_from_u64(seed);
    let ground = Ground::new(&[]).await;
    let mut service = ground.start(None).await;
    let mut customers = Vec::new();
    for _ in 0..5 {
        customers.push(ground.customer().await);
    }
    let acknowledged = knocks(&ground, &customers, "torn", 60).await;
    let wal = ground.data().join("reinstate.db-wal");
    // Whoever reads keeps the checkpoint from copying what is written from now on: it can still be torn.
    let reader = Connection::open(ground.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM callback_log").unwrap();
    let then = fs::read(&wal).unwrap();
    let late = knocks(&ground, &customers, "late", 20).await;
    service.kill().await.unwrap();
    let kept = ground.folder.path().join("kept");
    copy(&ground.data(), &kept);
    drop(reader);
    let now = fs::read(kept.join("reinstate.db-wal")).unwrap();
    // In a new round everything older is in the database.
    let safe = if then[16..24] == now[16..24] { committed_end(&then) } else { 0 };
    let fair = safe..=committed_end(&now);
    let mut lost = 0;
    for cut in 0..number("REINSTATE_TEST_CUTS").unwrap_or(CUTS) {
        fs::remove_dir_all(ground.data()).unwrap();
        copy(&kept, &ground.data());
        let how = format!("(seed {seed}, cut {cut}: {})", tear(&mut chance, &wal, &fair));
        let mut service = ground.start(None).await;
        ground.all_on_file(&acknowledged, &how).await;
        ground.nothing_is_due(&how).await;
        lost += late.difference(&ground.on_file().await).count();
        assert_eq!(ground.knock(&customers[0], "after").await, 200, "{how}");
        service.kill().await.unwrap();
        ground.the_database_is_whole(&how);
    }
    assert!(lost > 0, "seed {seed}: nothing was torn that mattered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_was_torn_loses_nothing_that_was_acknowledged() {
    let seed = seed();
    let mut chance = StdRng::seed_from_u64(seed);
    let ground = Ground::new(&[("STORE__SPOOL_MIB", "1")]).await;
    let mut service = ground.start(None).await;
    let customer = [ground.customer().await];
    let locked = Connection::open(ground.database()).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let acknowledged = knocks(&ground, &customer, "spooled", 40).await;
    let safe = spooled_end(&fs::read(ground.spool()).unwrap());
    let late = knocks(&ground, &customer, "late", 20).await;
    assert_eq!(ground.ready().await, (200, "degraded".to_owned()));
    service.kill().await.unwrap();
    drop(locked);
    let kept = ground.folder.path().join("kept");
    copy(&ground.data(), &kept);
    let fair = safe..=spooled_end(&fs::read(ground.spool()).unwrap());
    let mut lost = 0;
    for cut in 0..number("REINSTATE_TEST_CUTS").unwrap_or(CUTS) {
        fs::remove_dir_all(ground.data()).unwrap();
        copy(&kept, &ground.data());
        let how = format!("(seed {seed}, cut {cut}: {})", tear(&mut chance, &ground.spool(), &fair));
        let looks = ground.looks(&customer[0]);
        let mut service = ground.start(None).await;
        ground.all_on_file(&acknowledged, &how).await;
        ground.eventually(&format!("a look {how}"), async || ground.looks(&customer[0]) > looks).await;
        lost += late.difference(&ground.on_file().await).count();
        service.kill().await.unwrap();
    }
    assert!(lost > 0, "seed {seed}: nothing was torn that mattered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_sends_callbacks_to_the_spool_and_they_lead_to_a_look_afterwards() {
    let ground = Ground::new(&[]).await;
    let limit = ground.first_start().await + 200_000;
    let customer = ground.customer().await;
    let mut service = ground.start(Some(limit)).await;
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    ground
        .eventually("the disk is full", async || {
            for _ in 0..50 {
                number += 1;
                let id = format!("full-{number}");
                assert_eq!(ground.knock(&Uuid::from_u128(number).to_string(), &id).await, 200);
                acknowledged.insert(id);
            }
            ground.ready().await.1 == "degraded"
        })
        .await;
    assert_eq!(ground.knock(&customer, "the-last").await, 200);
    acknowledged.insert("the-last".to_owned());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lines = ["the fold failed", "a checkpoint failed"].map(|what| ground.said().matches(what).count());
    assert!(lines.iter().all(|count| *count <= 2), "the log fills what is left of the disk: {lines:?}");
    service.kill().await.unwrap();

    let mut service = ground.start(None).await;
    ground.all_on_file(&acknowledged, "after the disk has space again").await;
    ground.eventually("the spool is empty", async || ground.ready().await == (200, "ready".to_owned())).await;
    ground.eventually("the customer is looked at", async || ground.looks(&customer) > 0).await;
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_database_and_spool_full_the_answer_is_503_and_nothing_acknowledged_is_lost() {
    let ground = Ground::new(&[("STORE__SPOOL_MIB", "1")]).await;
    let limit = ground.first_start().await + 100_000;
    let mut service = ground.start(Some(limit)).await;
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    ground
        .eventually("both are full", async || {
            let mut refused = false;
            for _ in 0..50 {
                number += 1;
                let id = format!("both-{number}");
                match ground.knock(&Uuid::from_u128(number).to_string(), &id).await {
                    200 => refused |= !acknowledged.insert(id),
                    status => {
                        assert_eq!(status, 503);
                        refused = true;
                    }
                }
            }
            refused
        })
        .await;
    ground
        .eventually("it is not ready", async || ground.ready().await == (503, "not_ready".to_owned()))
        .await;
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    service.kill().await.unwrap();
    let mut service = ground.start(None).await;
    ground.all_on_file(&acknowledged, "after the disk has space again").await;
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_is_refused_with_a_sentence() {
    let ground = Ground::new(&[]).await;
    let file = ground.folder.path().join("a-file");
    fs::write(
        &file,
        "no folder and no database, but long enough to be taken for the head of one\n".repeat(9),
    )
    .unwrap();
    let below = format!("sqlite:{}/reinstate.db", file.display());
    let spool = format!("{}/spool", file.display());
    let other = format!("sqlite:{}", file.display());
    let folder = format!("sqlite:{}", ground.folder.path().display());
    let occupied = ground.folder.path().join("occupied");
    fs::create_dir_all(occupied.join("callbacks.spool")).unwrap();
    let occupied = occupied.display().to_string();
    for (settings, named) in [
        ([("STORE__URL", below.as_str())], file.display().to_string()),
        ([("STORE__URL", "sqlite:/proc/reinstate/reinstate.db")], "/proc/reinstate".to_owned()),
        ([("STORE__SPOOL_DIR", spool.as_str())], spool.clone()),
        ([("STORE__URL", other.as_str())], "file is not a database".to_owned()),
        ([("STORE__URL", folder.as_str())], "unable to open".to_owned()),
        ([("STORE__SPOOL_DIR", occupied.as_str())], occupied.clone()),
    ] {
        let refused = ground.refused(&settings).await;
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&named) && !said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_is_one_customers_trouble() {
    let ground = Ground::new(&[]).await;
    let mut service = ground.start(None).await;
    let (damaged, sound) = (ground.customer().await, ground.customer().await);
    for customer in [&damaged, &sound] {
        ground
            .eventually("both are known", async || {
                ground.get(&format!("/v1/customers/{customer}")).await.0 == 200
            })
            .await;
    }
    service.kill().await.unwrap();
    let database = Connection::open(ground.database()).unwrap();
    let id = Uuid::parse_str(&damaged).unwrap();
    database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    for statement in [
        "UPDATE cases SET data = '{\"state\":' WHERE customer = ?1",
        "UPDATE snapshot SET facts = 'x' WHERE customer = ?1",
    ] {
        assert_eq!(database.execute(statement, [id.as_bytes()]).unwrap(), 1);
    }
    drop(database);

    let mut service = ground.start(None).await;
    let before = ground.looks(&sound);
    for customer in [&damaged, &sound] {
        assert_eq!(ground.knock(customer, "again").await, 200);
    }
    ground.eventually("the others are served", async || ground.looks(&sound) > before).await;
    let row = format!("the stored cases of {damaged} cannot be read");
    ground.eventually("the log names table and row", async || ground.said().contains(&row)).await;
    let (status, problem) = ground.get(&format!("/v1/customers/{damaged}")).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal")), "{problem}");
    let (status, list) = ground.get("/v1/customers").await;
    assert_eq!((status, list["items"].as_array().unwrap().len()), (200, 1), "{list}");
    let url = format!("http://{}/v1/sweeps", ground.admin);
    ground.http.post(url).bearer_auth(TOKEN).json(&json!({})).send().await.unwrap();
    ground
        .eventually("a sweep passes over it", async || {
            ground.get("/v1/sweeps").await.1["items"][0]["outcome"] == "complete"
        })
        .await;
    service.kill().await.unwrap();
}
