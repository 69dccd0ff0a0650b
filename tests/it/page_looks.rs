//! Every page of the hosted page and every e-mail as it is written, as snapshots: what changes in them is seen before it is
//! shipped. What differs from run to run is masked.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Plan, lasting_address};
use crate::visitor::{Browser, Seen, link};

/// A page without what differs from run to run: the form's token, dates, addresses, and the long lists of countries.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (before, after) in
        [("name=\"form\" value=\"", "\""), ("/correct/stop/", "?"), ("/correct/", "?lang=")]
    {
        text = between(&text, before, after, |inside| inside.len() == 43 || inside.len() == 64);
    }
    let text = dates(&text);
    let mut lines: Vec<&str> = text.lines().collect();
    // The list of countries is the standard's: its first is enough.
    lines.retain(|line| !is_country(line) || line.contains("selected") || line.contains("\"AF\""));
    let lines = lines.into_iter().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn between(text: &str, before: &str, after: &str, is_it: impl Fn(&str) -> bool) -> String {
    let mut pieces = text.split(before);
    let mut masked = pieces.next().unwrap().to_owned();
    for piece in pieces {
        masked.push_str(before);
        match piece.split_once(after) {
            Some((inside, rest)) if is_it(inside) => {
                masked.push_str("MASKED");
                masked.push_str(after);
                masked.push_str(rest);
            }
            _ => masked.push_str(piece),
        }
    }
    masked
}

/// Days become `DAY`: they depend on when the tests run.
fn dates(text: &str) -> String {
    let is_day = |word: &[u8]| {
        word.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes.get(at..at + 10).is_some_and(is_day) {
            out.extend(b"DAY");
            at += 10;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

fn is_country(line: &str) -> bool {
    let code = line.split_once("<option value=\"").and_then(|(_, rest)| rest.split_once('"'));
    code.is_some_and(|(code, _)| code.len() == 2 && code.chars().all(|c| c.is_ascii_uppercase()))
}

fn looks(name: &str, seen: &Seen) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("page_{name}"), format!("{}\n{}", seen.status, masked(&seen.text)));
    });
}

fn env(mail: std::net::SocketAddr) -> Vec<(&'static str, String)> {
    vec![
        ("NOTIFY__EMAIL__SMTP_URL", format!("smtp://{mail}?tls=none")),
        ("NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
        ("PUBLIC__URL", "https://pay.example.test".to_owned()),
        ("PAGE__NAME", "Example Pay".to_owned()),
        ("PAGE__CONTACT", "help@example.test".to_owned()),
    ]
}

async fn house() -> House {
    House::with(&[("PAGE__NAME", "Example Pay"), ("PAGE__CONTACT", "help@example.test")]).await
}

async fn rejected(house: &House, name: &str, remark: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": remark })).await;
    house.until(&id, "awaiting_correction").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_a_correction() {
    let house = house().await;
    let id = rejected(&house, "Ana", "declared name differs from the expired document").await;
    let mut browser = Browser::new(&house);
    looks("nothing", &browser.get("/correct").await);
    let url = link(&house, &id).await;
    looks("landing", &browser.get(&url).await);
    looks("stop", &browser.get(&url.replace("/correct/", "/correct/stop/")).await);
    let page = browser.enter(&url).await;
    looks("form", &page);
    let form = page.form();
    let wrong = [
        ("form", None, form.as_bytes()),
        ("f-email", None, b"no address"),
        ("f-billingCity", None, b"A city whose name is far too long"),
        ("doc-file", Some("p.exe"), b"MZ"),
    ];
    browser.submit("/correct", &wrong).await.leads_to("/correct");
    looks("form_with_problems", &browser.get("/correct").await);
    looks("form_in_japanese", &browser.get("/correct?lang=ja").await);
    let right = [
        ("form", None, form.as_bytes()),
        ("f-firstName", None, &b"Ana Maria"[..]),
        ("f-email", None, b"new@example.test"),
        ("f-billingCity", None, b"Singapore"),
        ("f-nationality", None, b"MY"),
    ];
    browser.submit("/correct?lang=en", &right).await.leads_to("/correct/review");
    browser.get("/correct?lang=en").await;
    let review = browser.get("/correct/review").await;
    looks("review", &review);
    house.resubmission(&id, "review").await;
    browser.post("/correct/send", &format!("form={}", review.form())).await.leads_to("/correct");
    house.until(&id, "under_review").await;
    looks("under_review", &browser.get("/correct").await);
    looks("stopped", &browser.post(&url.replace("/correct/", "/correct/stop/"), "").await);
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "reinstated").await;
    looks("verified", &browser.get("/correct").await);
    house.ask(Method::DELETE, &format!("/v1/customers/{id}/correction-link"), None).await;
    looks("ended", &browser.get(&url).await);
    looks("over", &browser.get("/correct").await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_information_and_other_ends() {
    let house = house().await;
    let ana = house.onboard("Ana").await;
    house.until(&ana, "watching").await;
    let company = house.nium(Method::POST, "/__sim/customers", json!({ "customerType": "CORPORATE" })).await;
    let company = company["customerHashId"].as_str().unwrap().to_owned();
    house.until(&company, "watching").await;
    for (id, ask, name) in [
        (&ana, json!(["firstName", "passport", "isPep"]), "asked"),
        (&company, json!(["tradeName"]), "asked_of_a_company"),
    ] {
        house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ask })).await;
        let rfi = format!("/v1/customers/{id}/rfi");
        house.eventually("it is asked", async || house.get(&rfi).await.1["open"] == true).await;
        let mut browser = Browser::new(&house);
        looks(name, &browser.enter(&link(&house, id).await).await);
    }
    let bo = rejected(&house, "Bo", "expired").await;
    let mut browser = Browser::new(&house);
    browser.enter(&link(&house, &bo).await).await;
    let word = json!({ "decision": "final" });
    house.ask(Method::POST, &format!("/v1/customers/{bo}/decision"), Some(word)).await;
    house.until(&bo, "finally_rejected").await;
    looks("closed", &browser.get("/correct").await);
    house.close().await;
}

/// Waits until a message with this subject has come.
async fn mail(house: &House, subject: &str) -> Value {
    let mut found = Value::Null;
    house
        .eventually(subject, async || {
            house.advance(Duration::from_millis(200));
            let kept = house.nium(Method::GET, "/__sim/mail.json", Value::Null).await;
            let items = kept["items"].as_array().unwrap();
            let mail = items.iter().find(|mail| mail["subject"] == subject);
            found = mail.cloned().unwrap_or_default();
            !found.is_null()
        })
        .await;
    found
}

fn reads(name: &str, mail: &Value) {
    let text = |part: &str| masked(mail[part].as_str().unwrap());
    let whole = format!("Subject: {}\n\n{}\n\n{}", text("subject"), text("text"), text("html"));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("mail_{name}"), whole);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mails_of_one_customer() {
    let address = lasting_address();
    let house = House::build(Plan { env: env(address), ..Plan::default() }).await;
    house.sim.take_mail(TcpListener::bind(address).unwrap()).unwrap();
    let id = house.rejected("Ana").await;
    reads("offer", &mail(&house, "Please check your details").await);
    house.advance(Duration::from_hours(24 * 3 + 1));
    reads("reminder", &mail(&house, "Reminder: please check your details").await);
    house.resubmission(&id, "refuse").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    reads("refused", &mail(&house, "Your corrections were not accepted yet").await);
    house.resubmission(&id, "review").await;
    house.correct(&id, json!({ "firstName": "Ana Marie" })).await;
    reads("received", &mail(&house, "We have your corrections").await);
    house.until(&id, "under_review").await;
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ["firstName"] })).await;
    reads("rfi", &mail(&house, "We need some more information").await);
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    reads("reinstated", &mail(&house, "You are verified").await);
    // Another customer is closed for good.
    let again = house.rejected("Bo").await;
    let word = json!({ "decision": "final" });
    house.ask(Method::POST, &format!("/v1/customers/{again}/decision"), Some(word)).await;
    reads("closed", &mail(&house, "We could not verify you").await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_name_logo_and_colour_are_the_configurations() {
    let logo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/config/logo.svg");
    let house =
        House::with(&[("PAGE__NAME", "Acme & Sons"), ("PAGE__LOGO", logo), ("PAGE__COLOUR", "#ffee00")])
            .await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let page = browser.enter(&link(&house, &id).await).await;
    page.has("Acme &#38; Sons").has("src=\"/correct/logo\"");
    let sent = browser.get("/correct/logo").await;
    assert_eq!((sent.status, sent.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
    assert_eq!(sent.text, std::fs::read_to_string(logo).unwrap());
    // Black on yellow: what is written on the colour can be read.
    let style = browser.get("/correct/page.css").await;
    style.has("#ffee00").has("#000000");
    house.close().await;
}
