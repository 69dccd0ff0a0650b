//! What is kept only for a while, what a legal hold keeps, and what a person may ask for.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, PNG, application};
use crate::privacy::{command, hold, house, rows_about, somebody};
use crate::visitor::{Browser, link};

const DAY: Duration = Duration::from_hours(24);

/// Somebody whom Nium has accepted, with an application on file.
async fn accepted(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    id
}

async fn document(house: &House, id: &str) -> Value {
    let (status, export) = house.get(&format!("/v1/customers/{id}/export")).await;
    assert_eq!(status, 200, "{export}");
    export["personal"]["application"]["identificationDoc"][0].clone()
}

async fn lost_their_files(house: &House, number: i64) {
    house
        .eventually("the files go", async || {
            house.database.number("SELECT count(*) FROM application WHERE documents = 0") == number
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_go_once_nium_has_accepted_the_customer_and_not_before() {
    let house = house(&[]).await;
    let waits = house.rejected("Bo").await;
    let id = accepted(&house, "Ana").await;
    lost_their_files(&house, 1).await;
    let kept = document(&house, &id).await;
    assert_eq!(
        (&kept["identificationType"], &kept["identificationDocument"]),
        (&json!("Passport"), &Value::Null)
    );
    assert_eq!(document(&house, &waits).await["identificationDocument"][0]["document"], PNG);
    // Who is rejected later is asked for the document again.
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    let path = format!("/v1/customers/{id}/corrections/preview");
    let body = json!({ "fields": { "firstName": "Anna" } });
    let (_, preview) = house.ask(Method::POST, &path, Some(body)).await;
    assert!(preview.to_string().contains("add a document with a file"), "{preview}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_as_long_as_the_rule_says_and_longer_under_a_hold() {
    let house = house(&[("PRIVACY__KEEP_DOCUMENTS_DAYS", "30".to_owned())]).await;
    let (id, held) = (accepted(&house, "Ana").await, accepted(&house, "Bo").await);
    hold(&house, &held, "set", "Case 7").await;
    let house = house.restart_after(29 * DAY).await;
    assert_eq!(document(&house, &id).await["identificationDocument"][0]["document"], PNG);
    house.advance(2 * DAY);
    lost_their_files(&house, 1).await;
    assert_eq!(document(&house, &held).await["identificationDocument"][0]["document"], PNG);
    hold(&house, &held, "lift", "over").await;
    lost_their_files(&house, 2).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_ended_long_ago_keeps_its_state_and_nothing_that_brought_it_there() {
    let house = house(&[("PRIVACY__KEEP_CLOSED_DAYS", "30".to_owned())]).await;
    let (id, held) = (accepted(&house, "Ana").await, accepted(&house, "Bo").await);
    let open = somebody(&house, "Cy").await;
    hold(&house, &held, "set", "Case 7").await;
    let held_rows = rows_about(&house.database, "note", &held);
    let house = house.restart_after(31 * DAY).await;
    house
        .eventually("the application goes", async || rows_about(&house.database, "application", &id) == 0)
        .await;
    for (id, kept) in [(&held, 1), (&open, 1)] {
        assert_eq!(rows_about(&house.database, "application", id), kept);
    }
    assert_eq!(rows_about(&house.database, "note", &held), held_rows);
    let (status, shown) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((status, &shown["state"]), (200, &json!("approved")));
    assert!(house.story(&id).await.contains("approved"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_one_person_is_handed_out_and_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(&[]).await;
    somebody(&house, "Bystander").await;
    let id = somebody(&house, "Canary").await;
    let out = folder.path().join("canary.json");
    let done = command(&house, &["customers", "export", &id, "--out", &out.display().to_string()]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&out).unwrap();
    for part in
        ["CanaryTwo", "Canaryreason", "canary@example.test", PNG, "awaiting_correction", "legal_hold_set"]
    {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(!text.contains("ystander"));
    let (_, audit) = house.get(&format!("/v1/audit?customerHashId={id}&what=personal_data_exported")).await;
    assert_eq!(
        (audit["items"].as_array().unwrap().len(), &audit["items"][0]["actor"]),
        (1, &json!("bootstrap"))
    );
    // What cannot be handed out leaves no file behind.
    let nobody = uuid::Uuid::new_v4().to_string();
    let none = folder.path().join("nobody.json");
    let done = command(&house, &["customers", "export", &nobody, "--out", &none.display().to_string()]).await;
    assert!(done.status.code() == Some(1) && !none.exists());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_yet_and_what_waits_for_a_second_person_are_handed_out_too() {
    let house = house(&[("FLOW__SECOND_PERSON", "permanent_block".to_owned())]).await;
    let id = house.rejected("Ana").await;
    let url = link(&house, &id).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&url).await.form();
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("form", None, form.as_bytes()), ("f-lastName", None, b"Quartzova"), ("go", None, b"more")];
    browser.submit("/correct", parts).await.leads_to("/correct");
    let path = format!("/v1/customers/{id}/block");
    let mut order =
        json!({ "action": "PERMANENT_BLOCK", "reason": "FRAUDULENT_ACTIVITY", "comment": "Case Quetzal" });
    let (_, receipt) = house.ask(Method::POST, &path, Some(order.clone())).await;
    order["receipt"] = receipt["receipt"].clone();
    assert_eq!(house.ask(Method::POST, &path, Some(order)).await.0, 202);
    house.database.hides(&["Quartzova", "Quetzal"]);

    let (_, export) = house.get(&format!("/v1/customers/{id}/export")).await;
    let (drafts, approvals) = (&export["personal"]["drafts"], &export["personal"]["approvals"]);
    assert_eq!(drafts[0]["written"]["fields"]["lastName"], "Quartzova", "{drafts}");
    assert_eq!((&approvals[0]["what"], &approvals[0]["status"]), (&json!("permanent_block"), &json!("open")));
    assert!(approvals[0]["act"].to_string().contains("Case Quetzal"), "{approvals}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nium_asks_for_something_keeps_what_the_answer_needs() {
    let house = house(&[("PRIVACY__KEEP_CLOSED_DAYS", "30".to_owned())]).await;
    let (id, other) = (accepted(&house, "Ana").await, accepted(&house, "Bo").await);
    house.advance(31 * DAY);
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ["firstName"] })).await;
    let rfi = format!("/v1/customers/{id}/rfi");
    let asked = async |house: &House| house.get(&rfi).await.1["items"].as_array().unwrap().len();
    house.eventually("it is asked", async || asked(&house).await == 1).await;
    let state = house.get(&format!("/v1/customers/{id}")).await.1["state"].clone();
    link(&house, &id).await;
    let links = rows_about(&house.database, "link", &id);
    let house = house.restart().await;
    house
        .eventually("the other one's application goes", async || {
            rows_about(&house.database, "application", &other) == 0
        })
        .await;
    assert_eq!((state, asked(&house).await), (json!("approved"), 1));
    assert_eq!(rows_about(&house.database, "link", &id), links);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_and_drafts_are_kept_under_a_hold_too() {
    let house = house(&[("PRIVACY__KEEP_CALLBACKS_DAYS", "1".to_owned())]).await;
    let (goes, held) = (somebody(&house, "Ana").await, somebody(&house, "Bo").await);
    for id in [&goes, &held] {
        let mut browser = Browser::new(&house);
        let form = browser.enter(&link(&house, id).await).await.form();
        let parts = [("form", None, form.as_bytes()), ("f-firstName", None, &b"Quartz"[..])];
        browser.submit("/correct", &parts).await.leads_to("/correct/review");
    }
    hold(&house, &held, "set", "Case 7").await;
    let kept = rows_about(&house.database, "callback", &held);
    let house = house.restart_after(4 * DAY).await;
    let rows = |table: &str, id: &str| rows_about(&house.database, table, id);
    house
        .eventually("the other one's go", async || rows("callback", &goes) + rows("draft", &goes) == 0)
        .await;
    assert_eq!((rows("callback", &held), rows("draft", &held)), (kept, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_go_also_when_an_answer_was_lost_or_the_application_came_later() {
    let house = house(&[]).await;
    let id = house.rejected("Ana").await;
    house.fault(json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "answer_lost" })).await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    house.until(&id, "reinstated").await;
    lost_their_files(&house, 1).await;
    let late = accepted(&house, "Bo").await;
    lost_their_files(&house, 2).await;
    let path = format!("/v1/customers/{late}/application");
    assert_eq!(house.ask(Method::PUT, &path, Some(application("Bo"))).await.0, 200);
    house.advance(DAY);
    lost_their_files(&house, 2).await;
    house.close().await;
}
