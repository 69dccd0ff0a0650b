//! The overview through the front door: what happened is in its numbers, once, whoever was stopped when, and each number
//! agrees with its list.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, Seen};
use crate::house::{House, TOKEN};

/// The overview, once the feed is counted to its end.
async fn overview(house: &House, is_so: impl Fn(&Value) -> bool) -> Value {
    let last = std::cell::RefCell::new(Value::Null);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let (status, shown) = house.get("/v1/overview").await;
        assert_eq!(status, 200, "{shown}");
        if shown["funnel"]["behind"] == 0 && is_so(&shown) {
            return shown;
        }
        *last.borrow_mut() = shown;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the overview never became so: {:#}", last.into_inner());
}

fn counts(shown: &Value) -> Vec<u64> {
    let steps = shown["funnel"]["steps"].as_array().unwrap();
    steps.iter().map(|step| step["count"].as_u64().unwrap()).collect()
}

fn funnel_is(expected: [u64; 5], finally: u64) -> impl Fn(&Value) -> bool {
    move |shown| counts(shown) == expected && shown["funnel"]["finallyRejected"] == finally
}

/// Every journey of a step, page by page.
async fn journeys(house: &House, step: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = house.get(&format!("/v1/journeys?step={step}&limit=2{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

async fn lists_agree(house: &House, shown: &Value) {
    for step in shown["funnel"]["steps"].as_array().unwrap() {
        let word = step["step"].as_str().unwrap();
        let list = journeys(house, word).await;
        assert_eq!(list.len(), usize::try_from(step["count"].as_u64().unwrap()).unwrap(), "{word}");
        let times: Vec<&str> = list.iter().map(|journey| journey["rejectedAt"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    }
    let finals = journeys(house, "finally_rejected").await.len();
    assert_eq!(shown["funnel"]["finallyRejected"], finals);
}

async fn decide(house: &House, id: &str, word: &str) {
    let path = format!("/v1/customers/{id}/decision");
    let (status, answer) = house.ask(Method::POST, &path, Some(json!({ "decision": word }))).await;
    assert_eq!(status, 202, "{answer}");
}

/// Somebody who hands in a correction after so long; Nium decides so.
async fn corrected(house: &House, name: &str, after: Duration, outcome: &str) -> String {
    let id = house.rejected(name).await;
    house.resubmission(&id, outcome).await;
    house.advance(after);
    let (status, answer) = house.correct(&id, json!({ "lastName": "Corrected" })).await;
    assert_eq!(status, 202, "{answer}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_who_go_different_ways_are_counted_as_they_went() {
    let house = House::start().await;
    let shown = overview(&house, |_| true).await;
    assert_eq!(counts(&shown), [0; 5], "nobody was rejected yet: {shown}");
    assert_eq!(shown["funnel"]["steps"][4]["ofAll"], Value::Null);

    // Back after two hours; rejected for good; waiting; and one with whom Nium changes its mind.
    let back = corrected(&house, "Ana", Duration::from_hours(2), "complete").await;
    house.until(&back, "reinstated").await;
    let gone = house.rejected("Bo").await;
    decide(&house, &gone, "final").await;
    house.until(&gone, "finally_rejected").await;
    let waits = house.rejected("Cy").await;
    let mercy = house.rejected("Di").await;
    house.nium_says(&mercy, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&mercy, "reinstated").await;

    let shown = overview(&house, funnel_is([4, 4, 1, 1, 2], 1)).await;
    let funnel = &shown["funnel"];
    assert_eq!((&funnel["underWay"], &funnel["unaided"]), (&json!(1), &json!(1)), "{funnel:#}");
    let corrected = &funnel["steps"][2];
    assert_eq!((&corrected["ofAll"], &corrected["ofPrevious"]), (&json!(0.25), &json!(0.25)));
    let median = corrected["medianSeconds"].as_i64().unwrap();
    assert!((6_800..=7_600).contains(&median), "two hours, to two figures: {median}");
    assert_eq!(corrected["p90Seconds"], corrected["medianSeconds"]);
    assert_eq!(funnel["steps"][4]["ofPrevious"], json!(1.0), "without the one who needed no submission");
    lists_agree(&house, &shown).await;

    // An officer offers after all: the end is taken back, and nothing is counted twice.
    decide(&house, &gone, "offer").await;
    house.until(&gone, "awaiting_correction").await;
    let shown = overview(&house, funnel_is([4, 4, 1, 1, 2], 0)).await;
    lists_agree(&house, &shown).await;

    // Who came back is rejected again, later than everybody else: another journey.
    house.advance(Duration::from_secs(1));
    house.nium_says(&back, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&back, "awaiting_correction").await;
    let shown = overview(&house, funnel_is([5, 5, 1, 1, 2], 0)).await;
    lists_agree(&house, &shown).await;
    let all = journeys(&house, "rejected").await;
    let ways = all.iter().filter(|journey| journey["customerHashId"] == back).count();
    assert_eq!(ways, 2);
    assert_eq!(all[0]["state"], "awaiting_correction");

    house.advance(Duration::from_secs(16));
    let waiting = |shown: &Value| shown["waiting"]["customer"][0]["count"] == 3;
    let shown = overview(&house, waiting).await;
    let oldest: jiff::Timestamp =
        shown["waiting"]["customer"][0]["oldestSince"].as_str().unwrap().parse().unwrap();
    let case = house.get(&format!("/v1/customers/{waits}")).await.1;
    assert!(oldest <= case["since"].as_str().unwrap().parse().unwrap(), "{oldest} {case}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_counted_twice_however_often_the_service_stops() {
    let mut house = House::start().await;
    let mut back = Vec::new();
    for round in 0..3_u64 {
        for name in ["Ana", "Bo"] {
            back.push(corrected(&house, &format!("{name}{round}"), Duration::from_mins(5), "complete").await);
        }
        house = house.restart().await;
    }
    for id in &back {
        house.until(id, "reinstated").await;
    }
    overview(&house, funnel_is([6, 6, 6, 6, 6], 0)).await;
    // Counted all over again from the beginning of the feed, it comes to the same.
    let forget = "BEGIN; DELETE FROM feed_reader; DELETE FROM journey; DELETE FROM tally; COMMIT";
    house.database.sql(forget).unwrap();
    let shown = overview(&house, funnel_is([6, 6, 6, 6, 6], 0)).await;
    lists_agree(&house, &shown).await;
    house.close().await;
}

/// All hours of an overview together.
fn of_all_hours(shown: &Value, what: &str) -> u64 {
    let hours = shown["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 48);
    hours.iter().map(|hour| hour[what].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_are_counted_by_the_hour_with_their_redeliveries_and_what_had_to_be_found() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    let before = overview(&house, |shown| of_all_hours(shown, "callbacks") == 1).await;
    assert_eq!(of_all_hours(&before, "redeliveries"), 0);
    let knock = async |request: &str| {
        let url = format!("http://{}/callback/compliance?customerHashId={id}", house.public);
        let answer = house.http.post(url).header("x-request-id", request).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    for request in ["one", "one", "two", "one"] {
        knock(request).await;
    }
    house.advance(Duration::from_hours(3));
    knock("two").await;
    let shown = overview(&house, |shown| {
        (of_all_hours(shown, "callbacks"), of_all_hours(shown, "redeliveries")) == (3, 3)
    })
    .await;
    let hours = shown["hours"].as_array().unwrap();
    assert_eq!((&hours[47]["callbacks"], &hours[47]["redeliveries"]), (&json!(0), &json!(1)));
    let delivered: u64 = house.get("/v1/callbacks").await.1["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|callback| callback["deliveries"].as_u64().unwrap())
        .sum();
    assert_eq!(delivered, 6, "the list says the same");

    // What we hold is from after the last callback, and no look is owed or under way that would find the change first.
    let owed = "SELECT count(*) FROM head WHERE handled < wanted OR lease_until IS NOT NULL";
    house.eventually("every callback was looked into", async || house.database.number(owed) == 0).await;
    house.advance(Duration::from_secs(1));
    assert_eq!(house.get(&format!("/v1/customers/{id}?refresh=true")).await.0, 200);
    // A change that no callback tells is found by asking, and counted in the hour in which it was.
    house.fault(json!({ "endpoint": "callback", "kind": "drop_callback", "times": 1 })).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.advance(Duration::from_hours(4));
    house.until(&id, "awaiting_correction").await;
    house.advance(Duration::from_mins(11));
    overview(&house, |shown| of_all_hours(shown, "foundMissing") == 1).await;
    let house = house.restart().await;
    let shown = overview(&house, |shown| of_all_hours(shown, "niumCalls") > 0).await;
    assert_eq!((of_all_hours(&shown, "callbacks"), of_all_hours(&shown, "foundMissing")), (3, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_answered_during_a_pause_does_not_end_it() {
    let house = House::start().await;
    let (ana, bo) = (house.onboard("Ana").await, house.onboard("Bo").await);
    house.until(&ana, "watching").await;
    house.until(&bo, "watching").await;
    house.fault(json!({ "endpoint": "details", "customerHashId": bo, "kind": "wait", "name": "gate" })).await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": bo })).await;
    house
        .eventually("Bo is being looked at", async || {
            let (_, held) = house.get("/v1/jobs?kind=look&status=held").await;
            held["items"][0]["customerHashId"] == bo.as_str()
        })
        .await;
    house
        .fault(json!({ "endpoint": "details", "customerHashId": ana, "kind": "status", "code": 429, "retryAfterSeconds": 30 }))
        .await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": ana })).await;
    let paused = async || house.get("/v1/overview").await.1["nium"]["pausedUntil"].is_string();
    house.eventually("all calls pause", &paused).await;
    house.nium(Method::POST, "/__sim/release/gate", json!({})).await;
    house
        .eventually("Bo is answered", async || {
            house.get("/v1/jobs?kind=look&status=held").await.1["items"] == json!([])
        })
        .await;
    assert!(paused().await, "Nium asked for thirty seconds");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nium_in_trouble_shows_in_its_pace() {
    let house = House::start().await;
    house
        .fault(json!({ "endpoint": "details", "kind": "status", "code": 429, "retryAfterSeconds": 30 }))
        .await;
    let id = house.onboard("Ana").await;
    overview(&house, |shown| shown["nium"]["pausedUntil"].is_string()).await;
    house.until(&id, "watching").await;
    let shown =
        overview(&house, |shown| shown["nium"]["pausedUntil"].is_null() && shown["nium"]["errors"] == 1)
            .await;
    let nium = &shown["nium"];
    assert_eq!((&nium["outcomes"]["too_many"], &nium["pauses"]), (&json!(1), &json!(1)), "{nium:#}");
    assert_eq!(nium["requestsPerSecond"], json!(1000.0));
    assert_eq!(shown["intake"]["status"], "ready");
    assert!(shown["service"]["lastCallbackAt"].is_string(), "{}", shown["service"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_checked() {
    let house = House::start().await;
    for path in [
        "/v1/overview?days=0",
        "/v1/overview?days=91",
        "/v1/overview?colour=red",
        "/v1/journeys?step=odd",
        "/v1/journeys?days=x",
        "/v1/journeys?cursor=AAAA",
    ] {
        let (status, problem) = house.get(path).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_parameter")), "{path}");
    }
    assert_eq!(house.get("/v1/overview?days=7").await.0, 200);
    house.close().await;
}

/// A browser without a script, signed in as the first administrator.
async fn visitor(house: &House) -> Browser {
    let mut browser = Browser::at(house.admin);
    browser.fill("/sign-in", &[("token", TOKEN)]).await.leads_to("/");
    browser
}

/// Where the links of a page's content lead.
fn links(page: &str) -> Vec<String> {
    let content = page.split("<main").nth(1).unwrap();
    let links = content.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    links.map(|link| link.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_of_the_page_leads_to_its_list() {
    let house = House::start().await;
    let back = corrected(&house, "Ana", Duration::from_hours(2), "complete").await;
    house.until(&back, "reinstated").await;
    let gone = house.rejected("Bo").await;
    decide(&house, &gone, "final").await;
    house.until(&gone, "finally_rejected").await;
    house.rejected("Cy").await;
    overview(&house, funnel_is([3, 3, 1, 1, 1], 1)).await;

    let mut visitor = visitor(&house).await;
    let Seen { status, text: page, .. } = visitor.get("/").await;
    assert_eq!(status, 200, "{page}");
    for text in [
        "33 % went on",
        "Handed in a correction",
        "half within 2 h",
        "role=\"img\"",
        "<caption>Newest hour first.",
    ] {
        assert!(page.contains(text), "{text} is not on the page: {page}");
    }
    for forbidden in ["style=", "<script>", "onclick"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let has_cases = visitor.get("/cases").await.status == 200;
    let found = links(&page);
    assert!(found.len() > 25, "{found:?}");
    for link in found.iter().filter(|link| has_cases || !link.starts_with("/cases")) {
        let Seen { status, text: page, .. } = visitor.get(link.split('#').next().unwrap()).await;
        assert_eq!(status, 200, "{link}");
        assert!(!page.contains("is not known here"), "{link} asks for what its list does not know");
    }
    let Seen { text: list, .. } = visitor.get("/journeys?step=finally_rejected&days=7").await;
    assert!(list.contains(&gone) && !list.contains(&back), "{list}");
    let Seen { text: odd, .. } = visitor.get("/journeys?step=odd&days=1000").await;
    assert_eq!(odd.matches("is not known here").count(), 2, "{odd}");
    let empty = visitor.get("/?days=7").await.text;
    assert!(empty.contains("aria-current=\"true\">7 days"), "{empty}");
    house.close().await;
}
