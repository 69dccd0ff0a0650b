//! E-mail to customers: what is written when, that it arrives once under one Message-ID, what happens when the server is in
//! trouble or refuses an address, and that reminders can be stopped.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Plan, lasting_address};

/// A house that writes to customers; the mail server takes mail only once it is told to.
async fn house(mail: SocketAddr) -> House {
    let env = vec![
        ("NOTIFY__EMAIL__SMTP_URL", format!("smtp://{mail}?tls=none")),
        ("NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
        ("PAGE__NAME", "Example Pay".to_owned()),
        ("PAGE__CONTACT", "help@example.test".to_owned()),
        ("PAGE__LANGUAGE", "en".to_owned()),
    ];
    House::build(Plan { env, ..Plan::default() }).await
}

async fn with_mail() -> House {
    let mail = lasting_address();
    let house = house(mail).await;
    house.sim.take_mail(TcpListener::bind(mail).unwrap()).unwrap();
    house
}

async fn mails(house: &House, to: &str) -> Vec<Value> {
    let all = house.nium(Method::GET, "/__sim/mail.json", Value::Null).await;
    all["items"].as_array().unwrap().iter().filter(|mail| mail["to"] == to).cloned().collect()
}

/// Waits until so many messages have come for somebody.
async fn written(house: &House, to: &str, count: usize) -> Vec<Value> {
    house
        .eventually("they are written to", async || {
            house.advance(Duration::from_millis(200));
            mails(house, to).await.len() >= count
        })
        .await;
    mails(house, to).await
}

fn subjects(mails: &[Value]) -> Vec<&str> {
    mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect()
}

fn link_in(mail: &Value, what: &str) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("http") && word.contains(what));
    link.unwrap_or_else(|| panic!("no {what} in {text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_written_to_at_every_step_and_the_link_opens_the_page() {
    let house = with_mail().await;
    let id = house.rejected("Ana").await;
    let first = written(&house, "ana@example.test", 1).await.remove(0);
    assert_eq!(first["subject"], "Please check your details");
    assert_eq!(first["from"], "kyc@example.test");
    let (text, html, raw) =
        (first["text"].as_str().unwrap(), first["html"].as_str().unwrap(), first["raw"].as_str().unwrap());
    let link = link_in(&first, "/correct/");
    let token = link.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    // A token is any letters.
    for body in [text, html].map(|body| body.replace(&token, "")) {
        assert!(
            body.contains("Example Pay") && body.contains("/correct/") && body.contains("help@example.test")
        );
        // Whoever reads over a shoulder learns no name, no reason, no id.
        assert!(!body.contains("Ana") && !body.contains(&id) && !body.contains("KYC FAILED"), "{body}");
    }
    assert!(
        raw.contains("Auto-Submitted: auto-generated")
            && raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    );
    house.database.hides(&[&token, "ana@example.test"]);
    let page = house.http.get(&link).send().await.unwrap();
    assert_eq!(page.status(), 200);

    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "reinstated").await;
    let all = written(&house, "ana@example.test", 3).await;
    assert_eq!(subjects(&all), ["Please check your details", "We have your corrections", "You are verified"]);
    assert!(house.story(&id).await.contains("mail sent"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_busy_delays_and_an_address_that_bounces_parks_its_own_case_alone() {
    let mail = lasting_address();
    let house = house(mail).await;
    let id = house.rejected("Ana").await;
    house
        .eventually("it was tried", async || {
            house.metric("reinstate_mails_total{outcome=\"later\"}").await >= 1
        })
        .await;
    house.sim.take_mail(TcpListener::bind(mail).unwrap()).unwrap();
    written(&house, "ana@example.test", 1).await;

    let bounces = house.rejected("Bounce").await;
    let busy = house.rejected("Busy").await;
    let other = house.rejected("Bo").await;
    written(&house, "bo@example.test", 1).await;
    house
        .eventually("it is given up", async || {
            house.metric("reinstate_mails_total{outcome=\"given_up\"}").await == 1
        })
        .await;
    let (_, jobs) = house.get("/v1/jobs?status=failed").await;
    let failed: Vec<&Value> = jobs["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|job| job["customerHashId"] == bounces.as_str())
        .collect();
    assert_eq!(failed.len(), 1, "{jobs}");
    assert!(!jobs.to_string().contains("bounce@"), "an address lies open: {jobs}");
    for case in [&id, &bounces, &busy, &other] {
        assert_eq!(house.get(&format!("/v1/customers/{case}")).await.1["state"], "awaiting_correction");
    }
    assert!(mails(&house, "busy@example.test").await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_come_and_can_be_stopped() {
    let house = with_mail().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    written(&house, "ana@example.test", 1).await;
    let first = written(&house, "bo@example.test", 1).await.remove(0);
    let stop = link_in(&first, "/correct/stop/");
    // Reading the page stops nothing; mail programs post by themselves when their reader says so.
    assert_eq!(house.http.get(&stop).send().await.unwrap().status(), 200);
    assert!(!house.story(&bo).await.contains("reminders stopped"));
    let posted = house.http.post(&stop).body("List-Unsubscribe=One-Click").send().await.unwrap();
    assert_eq!(posted.status(), 200);
    house.advance(Duration::from_hours(24 * 3 + 1));
    let all = written(&house, "ana@example.test", 2).await;
    assert_eq!(subjects(&all)[1], "Reminder: please check your details");
    house
        .eventually("the reminder is left out", async || house.story(&bo).await.contains("telling left out"))
        .await;
    assert_eq!(mails(&house, "bo@example.test").await.len(), 1);
    assert!(house.story(&bo).await.contains("reminders stopped"));
    // What is decided is told all the same.
    house.correct(&bo, json!({ "firstName": "Bo Erik" })).await;
    house.until(&bo, "reinstated").await;
    written(&house, "bo@example.test", 3).await;
    assert_ne!(ana, bo);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_of_no_use_any_more_is_left_out_and_a_new_address_is_used() {
    let mail = lasting_address();
    let house = house(mail).await;
    let id = house.rejected("Ana").await;
    house
        .eventually("it was tried", async || {
            house.metric("reinstate_mails_total{outcome=\"later\"}").await >= 1
        })
        .await;
    // While the server is away the customer corrects through the app, their address among the rest.
    let fields = json!({ "firstName": "Ana Maria", "email": "new@example.test" });
    house.correct(&id, fields).await;
    house.until(&id, "reinstated").await;
    house.sim.take_mail(TcpListener::bind(mail).unwrap()).unwrap();
    let all = written(&house, "new@example.test", 2).await;
    assert_eq!(subjects(&all), ["We have your corrections", "You are verified"]);
    assert!(mails(&house, "ana@example.test").await.is_empty(), "the offer is over");
    let ids: Vec<&str> = all.iter().map(|mail| mail["messageId"].as_str().unwrap()).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.ends_with("@example.test")));
    house.close().await;
}
