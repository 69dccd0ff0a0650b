//! Every write at Nium but a submission (`restart` has those): the real binary is killed with SIGKILL while the write is on
//! its way, once after Nium took it and once before. It is found out by looking, and done once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{TOKEN, application, spawn};
use crate::restart::Ground;

/// How long a step may take in real time.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

struct Write {
    endpoint: &'static str,
    method: Method,
    /// Behind the customer's path; `None` for one who is no customer yet.
    last: Option<&'static str>,
    body: Value,
}

fn every_write(name: &str) -> Vec<Write> {
    let block =
        |action: &str| json!({ "action": action, "reason": "CLIENT_REQUEST", "comment": "Case 1001" });
    let write = |endpoint, method, last, body| Write { endpoint, method, last: Some(last), body };
    vec![
        write("update", Method::PATCH, "", json!({ "mobile": "80000009" })),
        write("tags", Method::POST, "/tags", json!({ "set": { "tier": "gold" } })),
        write("block", Method::POST, "/block", block("TEMPORARY_BLOCK")),
        write("block", Method::POST, "/block", block("UNBLOCK")),
        // What is asked is only known once it is; see `asked`.
        write("rfi_answer", Method::POST, "/rfi", Value::Null),
        Write { endpoint: "add_customer", method: Method::POST, last: None, body: application(name) },
    ]
}

impl Ground {
    async fn control(&self, path: &str, body: Value) {
        let url = format!("{}/__sim/{path}", self.sim.base_url());
        let method = if path == "faults" && body.is_null() { Method::DELETE } else { Method::POST };
        let status = self.http.request(method, url).json(&body).send().await.unwrap().status();
        assert!(status.is_success(), "{path}: {status}");
    }

    /// How often Nium was asked for this, and how often it did it.
    fn counted(&self, endpoint: &str) -> (usize, usize) {
        let journal = self.sim.journal();
        let mine: Vec<_> = journal.iter().filter(|entry| entry.endpoint == endpoint).collect();
        (mine.len(), mine.iter().filter(|entry| entry.applied).count())
    }

    async fn wait(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < PATIENCE, "it never happened: {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Nium asks for something; gives an answer to it.
    async fn asked(&self, id: &str) -> Value {
        self.control(&format!("customers/{id}/rfi"), json!({ "ask": ["firstName"] })).await;
        let mut item = Value::Null;
        self.wait("it is shown", async || {
            let shown = self.api(Method::GET, &format!("/v1/customers/{id}/rfi"), None, None).await;
            item = shown.map(|(_, shown)| shown["items"][0]["rfiHashId"].clone()).unwrap_or_default();
            item.is_string()
        })
        .await;
        json!({ "answers": [{ "rfiHashId": item, "fields": { "firstName": "Ana Maria" } }] })
    }

    /// The items of a list, as soon as the service gives it.
    async fn listed(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        self.wait(path, async || {
            let answer = self.api(Method::GET, path, None, None).await;
            let Some((200, page)) = answer else { return false };
            items.clone_from(page["items"].as_array().unwrap());
            true
        })
        .await;
        items
    }

    /// How many customers the service knows.
    async fn known(&self) -> usize {
        self.listed("/v1/customers?limit=200").await.len()
    }

    /// Acts of this customer that have ended.
    async fn ended(&self, id: &str) -> usize {
        let lines = self.listed(&format!("/v1/customers/{id}/timeline")).await;
        lines.iter().filter(|line| line["what"] == "act_ended").count()
    }
}

/// Kills the service during each write; `taken`: after Nium took it.
async fn killed_during_every_write(taken: bool) {
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground::new(folder.path()).await;
    let mut service = ground.start();
    ground.first_sweep_is_over().await;
    let ana = ground.insist(Method::POST, "/v1/customers", "ana", &application("Ana"), 201).await;
    let id = ana["customerHashId"].as_str().unwrap().to_owned();
    ground.control(&format!("customers/{id}/transition"), json!({ "complianceStatus": "COMPLETED" })).await;
    ground.wait("Ana is approved", async || ground.state(&id).await.as_deref() == Some("approved")).await;
    for (number, mut write) in every_write("Bo").into_iter().enumerate() {
        if write.endpoint == "rfi_answer" {
            write.body = ground.asked(&id).await;
        }
        let before = ground.counted(write.endpoint);
        let (ended_before, customers) = (ground.ended(&id).await, ground.known().await);
        let fault = if taken {
            json!({ "endpoint": write.endpoint, "kind": "wait", "name": format!("gate{number}") })
        } else {
            json!({ "endpoint": write.endpoint, "kind": "hang", "ms": 600_000, "applied": false })
        };
        ground.control("faults", fault).await;
        let path = write.last.map_or("/v1/customers".to_owned(), |last| format!("/v1/customers/{id}{last}"));
        let (url, http) = (format!("http://{}{path}", ground.door().admin), ground.http.clone());
        let asked = spawn({
            let (method, body) = (write.method.clone(), write.body.clone());
            async move { http.request(method, url).bearer_auth(TOKEN).json(&body).send().await.is_ok() }
        });
        ground
            .wait("Nium is asked", async || {
                let now = ground.counted(write.endpoint);
                (now.0 - before.0, now.1 - before.1) == (1, usize::from(taken))
            })
            .await;
        service.kill().await.unwrap();
        drop(asked);
        service = ground.start();
        ground
            .wait("it has ended", async || match write.last {
                Some(_) => ground.ended(&id).await > ended_before,
                None => ground.known().await > customers,
            })
            .await;
        let now = ground.counted(write.endpoint);
        let expected = if taken { (1, 1) } else { (2, 1) };
        assert_eq!((now.0 - before.0, now.1 - before.1), expected, "{} {}", write.endpoint, write.body);
        ground
            .wait("nothing is left over", async || {
                let jobs = ground.api(Method::GET, "/v1/jobs", None, None).await;
                jobs.is_some_and(|(_, jobs)| jobs["items"] == json!([]))
            })
            .await;
    }
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_nium_took_it_nothing_is_sent_again() {
    killed_during_every_write(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_nium_took_it_everything_is_done_after_all() {
    killed_during_every_write(false).await;
}
