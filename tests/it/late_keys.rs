//! The database is away when the service starts: the master keys are compared with it once it is back, before anything is
//! sealed or opened with them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::database::Database;
use crate::house::{TOKEN, application, lasting_address, spawn};
use crate::postgres::Cluster;
use crate::restart::Ground;

const RIGHT: &[u8; 32] = b"thirty-two bytes for the tests..";
const WRONG: &[u8; 32] = b"another thirty-two bytes of them";
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
const KEYS: &str = "SELECT count(*) FROM data_key";

fn key(id: &str, bytes: &[u8; 32]) -> String {
    format!("{id}:{}", STANDARD.encode(bytes))
}

fn start_with(ground: &Ground, keys: &str, log: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .arg("serve")
        .envs(ground.env())
        .env("REINSTATE__PRIVACY__MASTER_KEYS", keys)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "it never happened: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn is_degraded(ground: &Ground) -> bool {
    let url = format!("http://{}/readyz", ground.doors[0].public);
    let Ok(answer) = ground.http.get(url).send().await else { return false };
    answer.json::<Value>().await.is_ok_and(|said| said["status"] == "degraded")
}

/// Somebody at Nium, about whom a callback has come; of whom nothing was sealed yet.
async fn knocked(ground: &Ground) -> String {
    let url = format!("{}/__sim/customers", ground.sim.base_url());
    let made = ground.http.post(url).json(&json!({})).send().await.unwrap();
    let id = made.json::<Value>().await.unwrap()["customerHashId"].as_str().unwrap().to_owned();
    let url = format!("http://{}/callback/compliance?customerHashId={id}", ground.doors[0].public);
    let answer = ground.http.post(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    id
}

fn looks(ground: &Ground, id: &str) -> usize {
    let journal = serde_json::to_value(ground.sim.journal()).unwrap();
    let about = |entry: &&Value| entry["customerHashId"] == id && entry["endpoint"] == "details";
    journal.as_array().unwrap().iter().filter(about).count()
}

/// Wants something sealed, for somebody new each time, until nobody listens any more. Gives the answers.
fn insists(ground: &Ground) -> tokio::task::JoinHandle<Vec<u16>> {
    let (http, admin) = (ground.http.clone(), ground.doors[0].admin);
    spawn(async move {
        let mut answers = Vec::new();
        loop {
            let url = format!("http://{admin}/v1/customers/{}/application", Uuid::new_v4());
            let asked = http.put(url).bearer_auth(TOKEN).json(&application("Bo")).send().await;
            let Ok(answer) = asked else { return answers };
            answers.push(answer.status().as_u16());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_compared_with_a_database_that_comes_later_before_anything_is_sealed() {
    let cluster = Arc::new(Cluster::own());
    let order = async |what: fn(&Cluster)| {
        let cluster = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || what(&cluster)).await.unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let public = lasting_address();
    let database = Database::Postgres(cluster.fresh());
    let ground = Ground::with(&[public], public, database, folder.path()).await.set("TELEMETRY__LOG", "warn");
    let mut service = ground.start();
    ground.first_sweep_is_over().await;
    ground.insist(Method::POST, "/v1/customers", "ana", &application("Ana"), 201).await;
    service.kill().await.unwrap();
    let on_file = ground.database.number(KEYS);
    assert!(on_file > 0);

    let log = folder.path().join("log");
    let mut met = Vec::new();
    for (keys, why) in [
        (key("k1", WRONG), "the master key `k1` in privacy.master_keys is not the one"),
        (key("k2", WRONG), "the master key `k1`, which is not in privacy.master_keys"),
    ] {
        order(Cluster::stop_at_once).await;
        let mut service = start_with(&ground, &keys, &log);
        until("it spools", async || is_degraded(&ground).await).await;
        met.push(knocked(&ground).await);
        let insists = insists(&ground);
        order(Cluster::start).await;
        let ended = tokio::time::timeout(PATIENCE, service.wait()).await.unwrap().unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        assert_eq!(ended.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        // Nothing was sealed with a key that is none, and nobody was looked at.
        let answers = insists.await.unwrap();
        assert!(answers.len() > 10 && answers.iter().all(|status| *status == 503), "{answers:?}");
        assert_eq!(ground.database.number(KEYS), on_file);
        assert!(met.iter().all(|id| looks(&ground, id) == 0), "{said}");
    }

    // With the right key the work begins as soon as the database is there.
    order(Cluster::stop_at_once).await;
    let mut service = start_with(&ground, &key("k1", RIGHT), &log);
    until("it spools", async || is_degraded(&ground).await).await;
    order(Cluster::start).await;
    for id in &met {
        until("the customer is looked at", async || ground.state(id).await.is_some()).await;
        assert!(looks(&ground, id) > 0);
    }
    let path = format!("/v1/customers/{}/application", Uuid::new_v4());
    ground.insist(Method::PUT, &path, "bo", &application("Bo"), 200).await;
    service.kill().await.unwrap();
}
