//! Deadlines and reminders: stored, fired once, also when the service was away when their time came.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::house::House;

const DAY: Duration = Duration::from_hours(24);

/// The reasons of the events of one kind. What is delivered twice counts once: days that pass while an answer is on its way
/// end the lease of the delivery.
fn reasons(house: &House, id: &str, event: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let told = house.ear.all();
    let mine =
        told.iter().filter(|told| told.body["data"]["customerHashId"] == id && told.body["type"] == event);
    let once = mine.filter(|told| seen.insert(told.id.clone()));
    once.map(|told| told.body["data"]["reason"].as_str().unwrap().to_owned()).collect()
}

async fn heard(house: &House, id: &str, event: &str, wanted: &[&str]) {
    house
        .eventually(&format!("{event} {wanted:?}"), async || {
            house.advance(Duration::from_millis(100));
            reasons(house, id, event) == wanted
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_offer_is_reminded_of_and_ends_at_its_deadline() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let requested = "customer.correction_requested";
    heard(&house, &id, requested, &["fixable"]).await;
    house.advance(3 * DAY);
    heard(&house, &id, requested, &["fixable", "reminder"]).await;
    let reminder = house.ear.all().pop().unwrap();
    assert!(reminder.body["data"]["correction"]["deadline"].is_string(), "{}", reminder.body);
    house.advance(7 * DAY);
    heard(&house, &id, requested, &["fixable", "reminder", "reminder"]).await;
    house.advance(4 * DAY);
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "deadline_passed");
    house.heard(&id, "customer.finally_rejected").await;
    assert_eq!(reasons(&house, &id, requested).len(), 3, "nobody is reminded of a closed offer");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_due_while_the_service_was_away_fires_once_afterwards() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    heard(&house, &id, "customer.correction_requested", &["fixable"]).await;
    let house = house.restart_after(11 * DAY).await;
    // Both reminders are due: one word is enough.
    heard(&house, &id, "customer.correction_requested", &["fixable", "reminder"]).await;
    house.until(&id, "awaiting_correction").await;
    let house = house.restart_after(4 * DAY).await;
    house.until(&id, "finally_rejected").await;
    house.heard(&id, "customer.finally_rejected").await;
    let house = house.restart_after(DAY).await;
    house.until(&id, "finally_rejected").await;
    assert_eq!(reasons(&house, &id, "customer.finally_rejected"), ["deadline_passed"]);
    assert_eq!(reasons(&house, &id, "customer.correction_requested"), ["fixable", "reminder"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_passes_even_while_nium_is_away() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.fault(json!({ "endpoint": "details", "kind": "status", "code": 503, "times": 10_000 })).await;
    for _ in 0..16 {
        house.advance(DAY);
        tokio::task::yield_now().await;
    }
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "deadline_passed");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_information_that_nobody_answers_reaches_an_officer() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "RFI_REQUESTED", "status": "Pending" })).await;
    heard(&house, &id, "customer.rfi_requested", &["information_wanted"]).await;
    house.advance(15 * DAY);
    let case = house.until(&id, "needs_officer").await;
    assert_eq!((&case["reason"], &case["rfi"]["overdue"]), (&json!("rfi_overdue"), &json!(true)));
    heard(&house, &id, "customer.rfi_requested", &["information_wanted", "overdue"]).await;
    // Looks go on, and the question stands until Nium has its answer.
    house.advance(2 * DAY);
    house.until(&id, "needs_officer").await;
    house.nium_says(&id, json!({ "complianceStatus": "RFI_RESPONDED", "status": "Pending" })).await;
    house.until(&id, "watching").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    assert_eq!(reasons(&house, &id, "customer.rfi_requested").len(), 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_are_kept_for_as_long_as_they_should_be() {
    let house = House::with(&[("PRIVACY__KEEP_CALLBACKS_DAYS", "30")]).await;
    let (old, fresh) = (house.onboard("Ana").await, house.onboard("Bo").await);
    let kept = async |house: &House, id: &str| {
        let (_, page) = house.get(&format!("/v1/callbacks?customerHashId={id}")).await;
        page["items"].as_array().unwrap().len()
    };
    for id in [&old, &fresh] {
        house.nium_says(id, json!({ "complianceStatus": "IN_PROGRESS" })).await;
        house.eventually("both are on file", async || kept(&house, id).await == 2).await;
    }
    let house = house.restart_after(Duration::from_hours(29 * 24)).await;
    house.nium_says(&fresh, json!({ "complianceStatus": "ACTION_REQUIRED" })).await;
    house.eventually("it is on file", async || kept(&house, &fresh).await == 3).await;
    let house = house.restart_after(Duration::from_hours(2 * 24)).await;
    house.eventually("the old ones are gone", async || kept(&house, &old).await == 0).await;
    assert_eq!(kept(&house, &fresh).await, 1, "what came later is kept");
    let (_, ready) = house.get("/readyz?verbose").await;
    assert_eq!(ready["lastCallbackSecondsAgo"], 2 * 24 * 3600);
    house.close().await;
}
