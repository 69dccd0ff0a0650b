//! Stuck work is seen, and set going again; a write that is repeated is done once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN};

async fn jobs(house: &House, query: &str) -> Vec<Value> {
    let (status, jobs) = house.get(&format!("/v1/jobs?{query}")).await;
    assert_eq!(status, 200, "{jobs}");
    jobs["items"].as_array().unwrap().clone()
}

async fn retry(house: &House, body: Value) -> (u16, Value) {
    house.ask(Method::POST, "/v1/jobs/retry", Some(body)).await
}

/// A customer about whom Nium's answers could not be read until an officer was asked.
async fn parked(house: &House) -> String {
    let id = house.onboard("Parker").await;
    house.until(&id, "watching").await;
    house
        .fault(json!({ "endpoint": "details", "customerHashId": id, "kind": "html200", "times": 100 }))
        .await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
    house
        .eventually("an officer is asked", async || {
            house.advance(Duration::from_secs(20));
            house.get(&format!("/v1/customers/{id}")).await.1["state"] == "needs_officer"
        })
        .await;
    house.nium(Method::DELETE, "/__sim/faults", json!({})).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_keeps_failing_is_listed_with_every_reason_and_blocks_nobody() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    house
        .fault(json!({ "endpoint": "details", "customerHashId": id, "kind": "truncated", "times": 3 }))
        .await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
    house.eventually("it fails", async || jobs(&house, "status=failing").await.len() == 1).await;
    let job = jobs(&house, "status=failing").await.remove(0);
    assert_eq!((&job["kind"], &job["customerHashId"]), (&json!("look"), &json!(id)), "{job}");
    assert_eq!(job["reason"], "the answer is not readable JSON");
    // No time passes: the next look at Ana is not due, and Bo is served all the same.
    let bo = house.onboard("Bo").await;
    house.nium_says(&bo, json!({ "complianceStatus": "REJECT" })).await;
    let case = format!("/v1/customers/{bo}");
    let is_served = async || house.get(&case).await.1["state"] == "awaiting_correction";
    house.eventually("Bo is served", is_served).await;

    let (_, counted) = retry(&house, json!({ "status": "failing", "kind": "look" })).await;
    assert_eq!(counted["count"], 1);
    let (status, done) = retry(&house, json!({ "status": "failing", "kind": "look", "confirm": 1 })).await;
    assert_eq!((status, &done["retried"]), (202, &json!(1)));
    house
        .eventually("every reason is kept", async || {
            house.advance(Duration::from_secs(5));
            house.story(&id).await.matches("look failed").count() == 3
        })
        .await;
    house
        .eventually("the failures are over", async || {
            house.advance(Duration::from_secs(5));
            jobs(&house, "kind=look").await.is_empty()
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_is_retried_by_count_and_confirmation() {
    let house = House::start().await;
    let id = parked(&house).await;
    let job = jobs(&house, "status=parked").await.remove(0);
    assert_eq!((&job["kind"], &job["reason"]), (&json!("decision"), &json!("looks_fail")), "{job}");
    let (status, problem) = retry(&house, json!({ "status": "parked", "confirm": 2 })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("count_changed")), "{problem}");
    assert_eq!(jobs(&house, "status=parked").await.len(), 1, "nothing was done");
    retry(&house, json!({ "status": "parked", "confirm": 1 })).await;
    house.until(&id, "watching").await;
    house.eventually("nothing is stuck", async || jobs(&house, "").await.is_empty()).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_given_up_is_retried_with_a_fresh_budget_and_the_same_id() {
    let house = House::start().await;
    house.ear.refuse_all("customer.rejected");
    let id = house.rejected("Ana").await;
    for attempt in 1..=160_u64 {
        let tried = || {
            let told = house.ear.all();
            let count = told.iter().filter(|told| told.body["type"] == "customer.rejected").count();
            u64::try_from(count).unwrap()
        };
        house.eventually("an attempt", async || tried() >= attempt).await;
        let is_over = async || match jobs(&house, "kind=webhook").await.first() {
            Some(job) => {
                job["attempts"].as_u64().is_some_and(|made| made >= attempt) && job["status"] != "held"
            }
            None => false,
        };
        house.eventually("it is written down", is_over).await;
        if attempt % 20 == 0 {
            // The endpoint takes other things: it is this event that it does not want.
            house.ask(Method::POST, "/v1/endpoints/default/test", None).await;
        }
        house.advance(Duration::from_secs(3601));
    }
    house
        .eventually("it is given up", async || !jobs(&house, "kind=webhook&status=failed").await.is_empty())
        .await;
    let refused = house.ear.all().first().map(|told| told.id.clone());
    let failed = jobs(&house, "kind=webhook&status=failed").await.remove(0);
    assert_eq!((&failed["attempts"], &failed["reason"]), (&json!(160), &json!("the receiver answered 500")));
    house.ear.forgive();
    // One refusal more must not spend what the retry has given.
    house.ear.refuse_next(&[500]);
    let (_, counted) = retry(&house, json!({ "kind": "webhook", "status": "failed" })).await;
    let (status, _) =
        retry(&house, json!({ "kind": "webhook", "status": "failed", "confirm": counted["count"] })).await;
    assert_eq!(status, 202);
    let told = house.heard(&id, "customer.rejected").await;
    assert_eq!(refused.filter(|refused| *refused != told.id), None, "the same id again");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_paged_and_filters_are_checked() {
    let house = House::start().await;
    house.ear.refuse_next(&[500; 50]);
    for name in ["Ana", "Bo", "Cy"] {
        house.rejected(name).await;
    }
    house.eventually("webhooks fail", async || jobs(&house, "status=failing").await.len() >= 3).await;
    let all = jobs(&house, "kind=webhook").await;
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = house.get(&format!("/v1/jobs?kind=webhook&limit=1{cursor}")).await;
        paged.extend(page["items"].as_array().unwrap().iter().map(|job| job["customerHashId"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all.iter().map(|job| job["customerHashId"].clone()).collect::<Vec<_>>());
    for query in ["kind=dream", "status=odd", "customerHashId=x", "cursor=%20", "colour=red"] {
        assert_eq!(house.get(&format!("/v1/jobs?{query}")).await.0, 400, "{query}");
    }
    for body in [
        json!([]),
        json!({ "kind": 1 }),
        json!({ "status": "waiting" }),
        json!({ "confirm": "1" }),
        json!({ "x": 1 }),
    ] {
        assert_eq!(retry(&house, body.clone()).await.0, 422, "{body}");
    }
    house.close().await;
}

/// The same write twice, and another one, under one `Idempotency-Key`.
async fn thrice(house: &House, path: &str, body: &Value, other: &Value) -> [(u16, Value, bool); 3] {
    let ask = async |body: &Value| {
        let url = format!("http://{}{path}", house.admin);
        let request = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", "one key");
        let answer = request.json(body).send().await.unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        (answer.status().as_u16(), answer.json().await.unwrap(), replayed)
    };
    [ask(body).await, ask(body).await, ask(other).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_done_once_for_its_idempotency_key() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let parked = parked(&house).await;
    let writes = [
        (
            format!("/v1/customers/{id}/decision"),
            json!({ "decision": "offer" }),
            json!({ "decision": "final" }),
        ),
        ("/v1/sweeps".to_owned(), json!({}), json!({ "other": 1 })),
        ("/v1/jobs/retry".to_owned(), json!({ "status": "parked", "confirm": 1 }), json!({ "confirm": 1 })),
    ];
    for (path, body, other) in writes {
        let [first, again, reused] = thrice(&house, &path, &body, &other).await;
        assert_eq!((first.0, first.2), (202, false), "{path} {first:?}");
        assert_eq!((again.0, &again.1, again.2), (202, &first.1, true), "{path}");
        assert_eq!((reused.0, &reused.1["code"]), (409, &json!("idempotency_key_reused")), "{path}");
    }
    house.until(&parked, "watching").await;
    let story = house.story(&parked).await;
    assert_eq!(story.lines().filter(|line| *line == "officer").count(), 1, "{story}");
    house.close().await;
}

/// Found by the walks: the decision about the word took the failed look's turn away.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_failed_is_owed_whatever_an_officer_says_meanwhile() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house
        .fault(json!({ "endpoint": "details", "customerHashId": id, "kind": "truncated", "times": 2 }))
        .await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.eventually("the look fails", async || jobs(&house, "status=failing").await.len() == 1).await;
    let decision = json!({ "decision": "final" });
    house.ask(Method::POST, &format!("/v1/customers/{id}/decision"), Some(decision)).await;
    house.until(&id, "finally_rejected").await;
    house.until(&id, "reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_about_somebody_settled_is_looked_into_however_often_that_fails() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    house.eventually("nothing is due", async || jobs(&house, "").await.is_empty()).await;
    house
        .fault(json!({ "endpoint": "details", "customerHashId": id, "kind": "truncated", "times": 10 }))
        .await;
    house.advance(Duration::from_secs(2));
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house
        .eventually("it is seen after all", async || {
            house.advance(Duration::from_secs(20));
            house.get(&format!("/v1/customers/{id}")).await.1["state"] == "awaiting_correction"
        })
        .await;
    assert_eq!(house.get("/v1/sweeps").await.1["items"].as_array().unwrap().len(), 1, "by no sweep");
    house.close().await;
}
