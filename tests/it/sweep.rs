//! What callbacks did not say is found by asking: the fast lane, the walk over Nium's list, and the alarm when callbacks
//! do not come.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{CLIENT, House, Plan, application};

const HOUR: Duration = Duration::from_hours(1);
/// More than a callback may be late (`sweep.grace_seconds`).
const GRACE: Duration = Duration::from_secs(601);

/// Runs a sweep to its end and gives its row.
async fn sweep(house: &House) -> Value {
    let (status, begun) = house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    assert_eq!(status, 202, "{begun}");
    ended(house, &begun["id"]).await
}

async fn ended(house: &House, id: &Value) -> Value {
    let mut row = Value::Null;
    house
        .eventually("the sweep ends", async || {
            house.advance(Duration::from_millis(100));
            let (_, sweeps) = house.get("/v1/sweeps").await;
            row = sweeps["items"].as_array().unwrap().iter().find(|row| row["id"] == *id).cloned().unwrap();
            !row["endedAt"].is_null()
        })
        .await;
    row
}

async fn silently(house: &House, id: &str, compliance: &str) {
    // `updatedAt` has whole seconds.
    house.advance(Duration::from_secs(2));
    house.nium_says(id, json!({ "complianceStatus": compliance, "silent": true })).await;
}

async fn count(house: &House, metric: &str, wanted: i64) {
    house.eventually(metric, async || house.metric(metric).await == wanted).await;
}

/// Names of the service's own events, in order, each once.
fn service_events(house: &House) -> Vec<String> {
    let (told, mut seen) = (house.ear.all(), BTreeSet::new());
    let once = told.iter().filter(|told| seen.insert(&told.id));
    let mine = once.filter_map(|told| told.body["type"].as_str()?.strip_prefix("service."));
    mine.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_whose_callback_was_lost_is_found_by_the_list_and_brought_back() {
    let house = House::start().await;
    let id = house.unheard("Ana").await;
    silently(&house, &id, "REJECT").await;
    let row = sweep(&house).await;
    assert_eq!(
        (&row["kind"], &row["outcome"], &row["found"]),
        (&json!("full"), &json!("complete"), &json!(1))
    );
    house.until(&id, "awaiting_correction").await;
    house.heard(&id, "customer.correction_requested").await;
    house.eventually("both are on file", async || house.story(&id).await.matches("told").count() == 2).await;
    insta::assert_snapshot!(house.story(&id).await, @r"
    application kept
    found by sweep
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    told customer.rejected
    told customer.correction_requested
    ");

    house.advance(GRACE);
    count(&house, "reinstate_callbacks_missing_total", 1).await;
    assert!(house.story(&id).await.ends_with("callback missing"), "{}", house.story(&id).await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fast_lane_finds_what_a_lost_callback_would_have_said() {
    let house = House::start().await;
    let id = house.unheard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "IN_PROGRESS" })).await;
    let case = house.until(&id, "watching").await;
    assert_eq!(case["next"]["what"], "look");
    silently(&house, &id, "REJECT").await;
    house.advance(Duration::from_mins(17));
    house.until(&id, "awaiting_correction").await;
    assert!(house.story(&id).await.contains("found by sweep"), "{}", house.story(&id).await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_that_is_not_final_is_looked_at_again_and_ever_more_seldom() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
        let at: jiff::Timestamp = case["next"]["at"].as_str().unwrap().parse().unwrap();
        assert_eq!(case["next"]["what"], "look");
        let pause = at.duration_since(house.now());
        pauses.push(pause.as_secs());
        house.advance(Duration::try_from(pause).unwrap() + Duration::from_secs(1));
        house
            .eventually("another look", async || {
                // A late callback leads to a look too, before its time.
                let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
                case["nium"]["lookedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= at
            })
            .await;
    }
    assert!((800..=1000).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses.is_sorted() && pauses[7] > 2 * pauses[0] && pauses[7] <= 95_040, "{pauses:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_only_late_is_not_missing() {
    let house = House::start().await;
    let id = house.unheard("Ana").await;
    silently(&house, &id, "REJECT").await;
    sweep(&house).await;
    house.until(&id, "awaiting_correction").await;
    assert_eq!(house.metric("reinstate_callbacks_expected").await, 1);
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
    let on_file = format!("/v1/callbacks?customerHashId={id}");
    house
        .eventually("it is on file", async || {
            let (_, page) = house.get(&on_file).await;
            page["items"].as_array().is_some_and(|items| !items.is_empty())
        })
        .await;
    house.advance(GRACE);
    count(&house, "reinstate_callbacks_late_total", 1).await;
    assert_eq!(house.metric("reinstate_callbacks_missing_total").await, 0);
    assert_eq!(house.metric("reinstate_callbacks_silent").await, 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_alarm_that_is_told_once_and_lifted_when_a_callback_comes() {
    let house = House::start().await;
    let id = house.unheard("Ana").await;
    silently(&house, &id, "REJECT").await;
    sweep(&house).await;
    house.until(&id, "awaiting_correction").await;
    house.advance(GRACE);
    count(&house, "reinstate_callbacks_silent", 1).await;
    house
        .eventually("the backend hears of it", async || service_events(&house) == ["callbacks_silent"])
        .await;
    let (_, ready) = house.get("/readyz?verbose").await;
    assert_eq!(
        (&ready["callbacks"]["missingDay"], &ready["status"]),
        (&json!(1), &json!("ready")),
        "{ready}"
    );

    house.advance(HOUR);
    house.nium_says(&id, json!({ "complianceStatus": "IN_PROGRESS", "status": "Pending" })).await;
    count(&house, "reinstate_callbacks_silent", 0).await;
    let both = ["callbacks_silent", "callbacks_heard"];
    house.eventually("the backend hears of the end", async || service_events(&house) == both).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sweep_records_what_was_and_tells_nobody() {
    let rejected = json!({ "complianceStatus": "REJECT", "remarks": "DOB mismatch" });
    let already =
        vec![rejected.clone(), json!({ "complianceStatus": "COMPLETED", "status": "Clear" }), rejected];
    let house = House::build(Plan { already, ..Plan::default() }).await;
    let [one, two, three] = [0, 1, 2].map(|place| house.already[place].clone());
    assert_eq!(house.until(&one, "finally_rejected").await["reason"], "historic");
    house.until(&two, "approved").await;
    house.until(&three, "finally_rejected").await;
    house.advance(GRACE);
    sweep(&house).await;
    assert_eq!(house.ear.all().len(), 0, "{:?}", house.ear.all());
    assert_eq!(house.metric("reinstate_callbacks_expected").await, 0);

    // An officer may offer; and what happens from now on is news.
    let decision = json!({ "decision": "offer" });
    house.ask(Method::POST, &format!("/v1/customers/{one}/decision"), Some(decision)).await;
    house.until(&one, "awaiting_correction").await;
    house.nium_says(&three, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&three, "awaiting_correction").await;
    house.heard(&three, "customer.rejected").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_items_and_bad_pages_never_stop_a_sweep() {
    let house = House::with(&[("SWEEP__PAGE_SIZE", "2")]).await;
    let mut ids = Vec::new();
    for number in 0..9 {
        let id = house.unheard(&format!("Ana{number}")).await;
        silently(&house, &id, "REJECT").await;
        ids.push(id);
    }
    for how in ["no_id", "odd_compliance", "no_object"] {
        house.fault(json!({ "endpoint": "list_item", "kind": "item", "how": how })).await;
    }
    for kind in ["html200", "truncated", "html"] {
        house.fault(json!({ "endpoint": "list_v3", "kind": kind })).await;
    }
    house.fault(json!({ "endpoint": "list_v2", "kind": "html200", "times": 2 })).await;
    let row = sweep(&house).await;
    assert_eq!(row["outcome"], "complete", "{row}");
    // Who could not be read this time is read the next.
    sweep(&house).await;
    for id in &ids {
        house.until(id, "awaiting_correction").await;
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_goes_on_after_a_restart() {
    let slow = [("SWEEP__PAGE_SIZE", "2"), ("NIUM__REQUESTS_PER_SECOND", "6"), ("NIUM__BURST", "1")];
    let house = House::with(&slow).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let id = house.unheard(&format!("Ana{number}")).await;
        silently(&house, &id, "REJECT").await;
        ids.push(id);
    }
    let (_, begun) = house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    let mut sweeps = Value::Null;
    house
        .eventually("two pages are read", async || {
            sweeps = house.get("/v1/sweeps").await.1;
            sweeps["items"][0]["page"].as_u64().unwrap() >= 2
        })
        .await;
    assert!(sweeps["items"][0]["endedAt"].is_null(), "it was to be interrupted: {sweeps}");
    let house = house.restart().await;
    let row = ended(&house, &begun["id"]).await;
    assert_eq!(row["outcome"], "complete", "{row}");
    for id in &ids {
        house.until(id, "awaiting_correction").await;
        house.heard(id, "customer.rejected").await;
        let rejections = house.events(id).iter().filter(|event| *event == "rejected").count();
        assert_eq!(rejections, 1, "told once");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_runs_by_itself_once_a_day_and_only_once_at_a_time() {
    let house = House::start().await;
    let id = house.unheard("Ana").await;
    silently(&house, &id, "REJECT").await;
    house.advance(25 * HOUR);
    house.until(&id, "awaiting_correction").await;
    let (_, sweeps) = house.get("/v1/sweeps").await;
    let kinds: Vec<_> = sweeps["items"].as_array().unwrap().iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["full", "baseline"], "{sweeps}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_has_less_than_half_of_the_pace_while_live_work_waits() {
    let env = vec![
        ("NIUM__REQUESTS_PER_SECOND", "100".to_owned()),
        ("NIUM__BURST", "1".to_owned()),
        ("NIUM__CONCURRENCY", "1".to_owned()),
        ("SWEEP__PAGE_SIZE", "1".to_owned()),
    ];
    let already = vec![json!({ "complianceStatus": "IN_PROGRESS" }); 30];
    let house = House::build(Plan { env, already, ..Plan::default() }).await;
    let mut live = Vec::new();
    for number in 0..30 {
        live.push(house.unheard(&format!("Ana{number}")).await);
    }
    let (_, begun) = house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    let call = |id: &String| json!({ "customerHashId": id });
    join_all(live.iter().map(|id| house.nium(Method::POST, "/__sim/callbacks", call(id)))).await;
    for id in &live {
        house.until(id, "watching").await;
    }
    ended(&house, &begun["id"]).await;
    let journal = serde_json::to_value(house.sim.journal()).unwrap();
    let calls: Vec<&Value> = journal.as_array().unwrap().iter().collect();
    // From when all of them had been called for.
    let first = calls.iter().rposition(|call| call["kind"] == "callback").unwrap();
    let is_live = |call: &&Value| {
        call["endpoint"] == "details" && live.iter().any(|id| call["customerHashId"] == id.as_str())
    };
    let last = calls.iter().rposition(is_live).unwrap();
    let between = &calls[first..=last];
    let looks = between.iter().filter(|call| is_live(call)).count();
    let pages = between.iter().filter(|call| call["endpoint"] == "list_v3").count();
    assert!(pages < looks, "{pages} pages beside {looks} looks");
    house.close().await;
}

/// The pages that were asked for, in order, since the journal had so many entries.
fn pages_since(house: &House, begin: usize) -> usize {
    let journal = serde_json::to_value(house.sim.journal()).unwrap();
    let entries = journal.as_array().unwrap().iter().skip(begin);
    entries.filter(|entry| entry["endpoint"] == "list_v3").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_slides_to_a_page_that_was_read_is_met_all_the_same() {
    let house =
        House::with(&[("SWEEP__PAGE_SIZE", "2"), ("NIUM__REQUESTS_PER_SECOND", "8"), ("NIUM__BURST", "1")])
            .await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(house.unheard(&format!("Ana{number}")).await);
    }
    for id in &ids {
        silently(&house, id, "REJECT").await;
    }
    house.fault(json!({ "endpoint": "callback", "kind": "drop_callback", "times": 1 })).await;
    let before = serde_json::to_value(house.sim.journal()).unwrap().as_array().unwrap().len();
    let (_, begun) = house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    house.eventually("a page is read", async || pages_since(&house, before) >= 1).await;
    // The first customer goes, and another one comes at once: the number of customers stays, and everybody moves up.
    let (goes, comes) = (format!("/__sim/customers/{}", ids[0]), format!("/api/v4/client/{CLIENT}/customer"));
    tokio::join!(
        house.nium(Method::DELETE, &goes, Value::Null),
        house.nium(Method::POST, &comes, application("Late"))
    );
    let row = ended(&house, &begun["id"]).await;
    assert_eq!((&row["outcome"], &row["seen"]), (&json!("complete"), &json!(8)), "{row}");
    assert_eq!(pages_since(&house, before), 7, "0, 1, 0, 2, 1, 3, 2");
    for id in &ids[1..8] {
        house.until(id, "awaiting_correction").await;
    }
    house.close().await;
}
