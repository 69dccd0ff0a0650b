//! Whoever applied and never became a customer has an end: by the id of the onboarding, or by a rule.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN, application};
use crate::privacy::{command, hold, house, is_gone, rows_about, verify};

const DAY: Duration = Duration::from_hours(24);

/// Somebody whom Nium refuses, since another has their e-mail address already. Gives the id of the onboarding.
async fn refused(house: &House, name: &str) -> String {
    let (status, made) = house.applied(&application(name)).await;
    assert!([201, 422].contains(&status), "{made}");
    let (status, refused) = house.applied(&application(name)).await;
    assert_eq!((status, &refused["code"]), (422, &json!("refused_by_nium")), "{refused}");
    refused["effectId"].as_str().unwrap().to_owned()
}

/// The id of ours under which an applicant goes.
fn applicant(effect: &str) -> &str {
    &effect[..36]
}

async fn erase(house: &House, effect: &str) -> (u16, Value) {
    house.ask(Method::POST, &format!("/v1/onboardings/{effect}/erase"), None).await
}

async fn erased(house: &House, cause: &str) -> i64 {
    house.metric(&format!("reinstate_customers_erased_total{{cause=\"{cause}\"}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_that_led_to_no_customer_is_erased_by_its_own_id() {
    let house = house(&[]).await;
    let effect = refused(&house, "Ana").await;
    let id = applicant(&effect).to_owned();
    for table in ["data_key", "history", "audit", "effect"] {
        assert!(rows_about(&house.database, table, &id) > 0, "nothing to erase in {table}");
    }
    hold(&house, &id, "set", "Case 7").await;
    let (status, said) = erase(&house, &effect).await;
    assert_eq!((status, &said["code"]), (409, &json!("legal_hold")));
    hold(&house, &id, "lift", "over").await;
    assert_eq!(erased(&house, "asked").await, 0);
    let (status, answer) = erase(&house, &effect).await;
    assert_eq!(
        (status, &answer["effectId"], &answer["erasedBy"]),
        (200, &json!(effect), &json!("bootstrap"))
    );
    is_gone(&house.database, &id);
    // Twice is as once, and what is told of it afterwards says nothing of them.
    house.advance(Duration::from_mins(1));
    assert_eq!(erase(&house, &effect).await, (200, answer));
    assert_eq!(erased(&house, "asked").await, 1);
    let (_, shown) = house.get(&format!("/v1/effects/{effect}")).await;
    assert_eq!((&shown["status"], &shown["said"]), (&json!("refused"), &Value::Null), "{shown}");
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_that_led_to_a_customer_or_is_on_its_way_is_not_erased() {
    let house = house(&[]).await;
    let (_, made) = house.applied(&application("Ana")).await;
    let (status, said) = erase(&house, made["effectId"].as_str().unwrap()).await;
    assert_eq!((status, &said["code"]), (409, &json!("became_a_customer")), "{said}");
    assert!(said["detail"].as_str().unwrap().contains(made["customerHashId"].as_str().unwrap()), "{said}");
    for unknown in ["nobody", &format!("{}-0-n", uuid::Uuid::new_v4())] {
        let (status, said) = erase(&house, unknown).await;
        assert_eq!((status, &said["code"]), (404, &json!("no_such_onboarding")));
    }
    house.fault(json!({ "endpoint": "add_customer", "kind": "status", "code": 503, "times": 1000 })).await;
    let (status, waits) = house.ask(Method::POST, "/v1/customers", Some(application("Bo"))).await;
    assert_eq!(status, 202, "{waits}");
    let (status, said) = erase(&house, waits["effectId"].as_str().unwrap()).await;
    assert_eq!((status, &said["code"]), (409, &json!("write_under_way")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_erases_an_onboarding_when_somebody_agrees() {
    let house = house(&[]).await;
    let effect = refused(&house, "Ana").await;
    let asked = command(&house, &["customers", "erase", &effect, "--onboarding"]).await;
    assert_eq!(asked.status.code(), Some(1));
    let done = command(&house, &["customers", "erase", &effect, "--onboarding", "--yes"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stdout).starts_with("erased "));
    is_gone(&house.database, applicant(&effect));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applicants_are_kept_as_long_as_the_rule_says_and_longer_under_a_hold() {
    let house = house(&[("PRIVACY__KEEP_APPLICANTS_DAYS", "30".to_owned())]).await;
    let (goes, held) = (refused(&house, "Ana").await, refused(&house, "Bo").await);
    hold(&house, applicant(&held), "set", "Case 7").await;
    let mut customers: Vec<String> = Vec::new();
    house
        .eventually("both were looked at", async || {
            let (_, page) = house.get("/v1/customers").await;
            let ids = page["items"].as_array().unwrap().iter().map(|item| item["customerHashId"].as_str());
            customers = ids.map(|id| id.unwrap().to_owned()).collect();
            customers.len() == 2
        })
        .await;
    let house = house.restart_after(29 * DAY).await;
    house.fault(json!({ "endpoint": "add_customer", "kind": "status", "code": 503, "times": 1000 })).await;
    let (_, waits) = house.ask(Method::POST, "/v1/customers", Some(application("Cy"))).await;
    assert_eq!(erased(&house, "retention").await, 0);
    house.advance(2 * DAY);
    house.eventually("the applicant goes", async || erased(&house, "retention").await == 1).await;
    is_gone(&house.database, applicant(&goes));
    assert_eq!(house.database.number("SELECT count(*) FROM erasure"), 1);
    for kept in [applicant(&held), applicant(waits["effectId"].as_str().unwrap())] {
        assert_eq!(rows_about(&house.database, "data_key", kept), 1);
    }
    for customer in &customers {
        assert_eq!(rows_about(&house.database, "data_key", customer), 1);
    }
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_sent_again_leaves_no_key_behind() {
    let house = house(&[]).await;
    let keys = || house.database.number("SELECT count(*) FROM data_key");
    let url = format!("http://{}/v1/customers", house.admin);
    let mut before = None;
    for _ in 0..3 {
        let request = house.http.post(&url).bearer_auth(TOKEN).header("idempotency-key", "ana-1");
        let answer = request.json(&application("Ana")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201);
        house
            .until(answer.json::<Value>().await.unwrap()["customerHashId"].as_str().unwrap(), "watching")
            .await;
        assert_eq!(keys(), *before.get_or_insert_with(keys));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_an_applicant_holds_whom_they_become() {
    let house = house(&[]).await;
    house.fault(json!({ "endpoint": "add_customer", "kind": "status", "code": 503, "times": 1000 })).await;
    let (_, waits) = house.ask(Method::POST, "/v1/customers", Some(application("Ana"))).await;
    let effect = waits["effectId"].as_str().unwrap().to_owned();
    hold(&house, applicant(&effect), "set", "Case 7").await;
    house.nium(Method::DELETE, "/__sim/faults", json!({})).await;
    let shown = format!("/v1/effects/{effect}");
    let mut id = Value::Null;
    house
        .eventually("the applicant is a customer", async || {
            house.advance(Duration::from_secs(1));
            id = house.get(&shown).await.1["said"]["customerHashId"].clone();
            id.is_string()
        })
        .await;
    let id = id.as_str().unwrap();
    house.until(id, "watching").await;
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(case["legalHold"]["reason"], "Case 7", "{case}");
    let (status, said) = house.ask(Method::POST, &format!("/v1/customers/{id}/erase"), None).await;
    assert_eq!((status, &said["code"]), (409, &json!("legal_hold")));
    hold(&house, id, "lift", "over").await;
    house.close().await;
}
