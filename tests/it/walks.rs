//! Random walks: customers of one house are rejected, approved, asked, corrected and decided about in any order, while
//! callbacks are lost, repeated and late, answers are lost and spoilt, the backend refuses, the service is restarted, and
//! time jumps. When the noise ends, everybody must stand where Nium says, and nothing was done twice.
//!
//! `REINSTATE_TEST_SEED` repeats a run, `REINSTATE_TEST_WALKS` makes it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, application, number};

/// Walks in an ordinary run.
const WALKS: u64 = 200;
/// Customers who walk through one house together.
const TOGETHER: u64 = 20;
/// Steps of one house.
const STEPS: usize = 300;
/// Looks at the jobs before the noise counts as not ending.
const QUIET_AFTER: usize = 2_000;

const WORDS: [(&str, &str); 9] = [
    ("IN_PROGRESS", "Pending"),
    ("REJECT", "Failed"),
    ("REJECT", "Failed"),
    ("REJECT", "Failed"),
    ("COMPLETED", "Clear"),
    ("RFI_REQUESTED", "Pending"),
    ("ACTION_REQUIRED", "Pending"),
    ("EXPIRED", "Pending"),
    ("PONDERING", "Pending"),
];
const REMARKS: [&str; 4] = ["DOB mismatch", "the passport is blurred", "OFAC hit", "unusual"];
const OUTCOMES: [&str; 6] = ["complete", "complete", "lagging", "review", "reject", "refuse"];

/// One customer on the way.
struct Walker {
    id: String,
    name: String,
    /// Corrections that were accepted.
    corrections: usize,
}

struct Walk {
    house: House,
    chance: StdRng,
    walkers: Vec<Walker>,
    seed: u64,
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let house = House::with(&[("NIUM__CONCURRENCY", "3"), ("NIUM__SETTLE_MS", "1000")]).await;
        let mut walkers = Vec::new();
        for number in 0..TOGETHER {
            let name = format!("Ana{seed}x{number}");
            let heard = chance.random_bool(0.7);
            let id = if heard { house.onboard(&name).await } else { house.unheard(&name).await };
            walkers.push(Walker { id, name, corrections: 0 });
        }
        Self { house, chance, walkers, seed }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.choose(&mut self.chance).unwrap()
    }

    async fn step(mut self) -> Self {
        let which = self.chance.random_range(0..self.walkers.len());
        let id = self.walkers[which].id.clone();
        match self.chance.random_range(0..100) {
            0..25 => self.nium_decides(&id).await,
            25..50 => self.correct(which).await,
            50..64 => self.spoil(&id).await,
            64..70 => {
                let word = self.pick(&["offer", "final", "retry", "close", "reapply", "take_over"]);
                let path = format!("/v1/customers/{id}/decision");
                self.house.ask(Method::POST, &path, Some(json!({ "decision": word }))).await;
            }
            70..73 => self.house.ear.refuse_next(&[500, 404]),
            73..78 => {
                self.house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
            }
            78..80 => {
                self.house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
            }
            80..82 => {
                let away = Duration::from_secs(self.chance.random_range(0..7200));
                self.house = self.house.restart_after(away).await;
            }
            82..95 => self.house.advance(Duration::from_millis(self.chance.random_range(1..20_000))),
            _ => self.house.advance(Duration::from_mins(self.chance.random_range(1..2_000))),
        }
        self
    }

    async fn nium_decides(&mut self, id: &str) {
        let (compliance, status) = self.pick(&WORDS);
        let silent = self.chance.random_bool(0.2);
        let mishap = match self.chance.random_range(0..6) {
            0 => Some("drop_callback"),
            1 => Some("duplicate"),
            2 => Some("delay"),
            _ => None,
        };
        if let Some(kind) = mishap {
            let fault = json!({ "endpoint": "callback", "customerHashId": id, "kind": kind, "ms": 30 });
            self.house.fault(fault).await;
        }
        // `updatedAt` has whole seconds; a change within the same one is another test's business.
        self.house.advance(Duration::from_secs(2));
        let says = json!({ "complianceStatus": compliance, "status": status, "remarks": self.pick(&REMARKS), "silent": silent });
        self.house.nium_says(id, says).await;
    }

    async fn correct(&mut self, which: usize) {
        let outcome = self.pick(&OUTCOMES);
        let fault = self.chance.random_range(0..8);
        let id = self.walkers[which].id.clone();
        self.house.resubmission(&id, outcome).await;
        let kinds = [
            json!({ "kind": "answer_lost" }),
            json!({ "kind": "drop" }),
            json!({ "kind": "status", "code": 503 }),
            json!({ "kind": "truncated" }),
        ];
        if let Some(kind) = kinds.get(fault) {
            let mut fault = kind.clone();
            fault["endpoint"] = json!("add_customer");
            fault["customerHashId"] = json!(id);
            self.house.fault(fault).await;
        }
        let turn: u32 = self.chance.random();
        let fields = json!({ "firstName": format!("{} {turn:x}", self.walkers[which].name) });
        let (mut status, mut answer) = self.house.correct(&id, fields.clone()).await;
        // The files went when Nium accepted the customer; whoever is rejected later is asked for them again.
        if status == 422 && answer["errors"][0]["field"] == "identificationDoc" {
            let documents = application(&self.walkers[which].name)["identificationDoc"].clone();
            let correction = json!({ "fields": fields, "documents": documents });
            let path = format!("/v1/customers/{id}/corrections");
            (status, answer) = self.house.ask(Method::POST, &path, Some(correction)).await;
        }
        assert!([202, 404, 409].contains(&status), "seed {}: {status} {answer}", self.seed);
        self.walkers[which].corrections += usize::from(status == 202);
    }

    async fn spoil(&mut self, id: &str) {
        let kind = self.pick(&["status", "html200", "truncated", "drop", "not_found", "huge"]);
        let code = self.pick(&[429, 500, 503]);
        let times = self.chance.random_range(1..4);
        let fault = json!({ "endpoint": "details", "customerHashId": id, "kind": kind, "code": code, "times": times, "retryAfterSeconds": 2 });
        self.house.fault(fault).await;
    }

    /// The noise ends, and time passes: long enough for every schedule and one sweep.
    async fn end(&self) {
        self.house.nium(Method::DELETE, "/__sim/faults", Value::Null).await;
        for _ in 0..4 {
            self.quiet().await;
            self.house.advance(Duration::from_hours(13));
        }
        self.quiet().await;
        // What a day's sweep would do; the machine's time is too short for it to begin by itself.
        self.house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
        self.quiet().await;
    }

    async fn quiet(&self) {
        for _ in 0..QUIET_AFTER {
            let (_, jobs) = self.house.get("/v1/jobs?limit=200").await;
            let open =
                jobs["items"].as_array().unwrap().iter().filter(|job| job["status"] != "parked").count();
            let (_, sweeps) = self.house.get("/v1/sweeps?limit=1").await;
            let submitting = self.house.get("/v1/customers?state=submitting").await.1;
            let rejected = self.house.get("/v1/customers?state=rejected").await.1;
            let under_way = [submitting, rejected].iter().any(|list| list["items"] != json!([]));
            if open == 0 && !under_way && !sweeps["items"][0]["endedAt"].is_null() {
                return;
            }
            self.house.advance(Duration::from_secs(3));
            tokio::task::yield_now().await;
        }
        let (_, jobs) = self.house.get("/v1/jobs").await;
        panic!("seed {}: it never gets quiet: {jobs}", self.seed);
    }

    async fn check(&self, ends: &mut BTreeMap<String, u32>) {
        let journal = serde_json::to_value(self.house.sim.journal()).unwrap();
        for walker in &self.walkers {
            let id = &walker.id;
            let seed = self.seed;
            let nium = self.house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await;
            let (_, case) = self.house.get(&format!("/v1/customers/{id}")).await;
            let state = case["state"].as_str().unwrap_or("unknown to us").to_owned();
            let (compliance, status) =
                (nium["complianceStatus"].as_str().unwrap(), nium["status"].as_str().unwrap());
            let story = self.house.story(id).await;
            assert!(
                agree(compliance, status, &state, case["reason"].as_str()),
                "seed {seed}: {id} is {compliance}/{status} at Nium and {state} with us: {case}\n{story}"
            );
            *ends.entry(format!("{compliance} {state}")).or_default() += 1;
            let applied: Vec<String> = journal
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["customerHashId"] == id.as_str() && entry["reinitiation"] == true)
                .filter(|entry| entry["applied"] == true)
                .map(|entry| entry["requestId"].to_string())
                .collect();
            let once: BTreeSet<&String> = applied.iter().collect();
            assert_eq!(once.len(), applied.len(), "seed {seed}: {id} was submitted twice\n{story}");
            assert!(applied.len() <= walker.corrections, "seed {seed}: {id} was submitted unasked\n{story}");
            *ends.entry("submissions".to_owned()).or_default() += u32::try_from(applied.len()).unwrap();
        }
        let mut bodies = BTreeMap::new();
        for told in self.house.ear.all() {
            let first = bodies.entry(told.id.clone()).or_insert_with(|| told.raw.clone());
            assert_eq!(*first, told.raw, "seed {}: two bodies under one id", self.seed);
        }
    }
}

/// Whether our state is one that a customer may be in while Nium says this.
fn agree(compliance: &str, status: &str, state: &str, reason: Option<&str>) -> bool {
    let asked = state == "needs_officer";
    // An officer may close a case whatever Nium is doing; only an approval overrides it.
    let closed = state == "finally_rejected" && reason == Some("officer");
    match (compliance, status) {
        ("COMPLETED", "Clear") => ["reinstated", "approved"].contains(&state),
        ("REJECT" | "EXPIRED" | "ERROR", _) => {
            asked || ["awaiting_correction", "finally_rejected"].contains(&state)
        }
        ("PONDERING", _) => asked || closed,
        _ => {
            closed
                || state == "watching"
                || state == "under_review"
                || (asked && reason == Some("rfi_overdue"))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_customers_walk_they_end_where_nium_says() {
    let seed = number("REINSTATE_TEST_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let walks = number("REINSTATE_TEST_WALKS").unwrap_or(WALKS);
    println!("REINSTATE_TEST_SEED={seed}");
    let mut ends = BTreeMap::new();
    for house in 0..walks.div_ceil(TOGETHER) {
        let mut walk = Walk::begin(seed + house).await;
        for _ in 0..STEPS {
            walk = walk.step().await;
        }
        walk.end().await;
        walk.check(&mut ends).await;
        walk.house.close().await;
    }
    println!("{walks} walks: {ends:#?}");
    let reached = |end: &str| ends.iter().any(|(name, count)| name.ends_with(end) && *count > 0);
    for end in
        ["submissions", "reinstated", "approved", "awaiting_correction", "finally_rejected", "needs_officer"]
    {
        assert!(reached(end), "seed {seed}: no walk reached {end}, so the walks prove too little");
    }
}
