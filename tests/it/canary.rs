//! Nothing personal leaves the service but to whom it belongs: everything else that it emits through a whole journey is searched
//! for what was planted. The real binary, at the most talkative level of its log, in both formats.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use self::visits::Trail;
use crate::house::{PNG, TOKEN, application};
use crate::restart::Ground;
use crate::smtp;
use crate::traces::{Collector, KEY};

mod visits;

/// What is planted: nothing else holds these words.
const PLANTED: [&str; 12] = [
    "Zanzibarella",
    "Quillfeather",
    "Wrongnamed",
    "canary.mail",
    "91827364",
    "1971-07-13",
    "Quetzal Lane",
    "Xanadu Quarter",
    "ZQ090807",
    "XK9C4N4RY",
    "canary-passport",
    "canaries sing of it",
];

/// What the mail server wants to hear.
const MAIL_PASSWORD: &str = "sesame-of-the-canaries";

/// The remark of the rejections.
const REMARK: &str = "Name mismatch: canaries sing of it";

/// The application of a customer who is planted.
fn planted(email: &str) -> Value {
    let mut form = application("Wrongnamed");
    for (field, value) in [
        ("lastName", "Quillfeather"),
        ("email", email),
        ("mobile", "91827364"),
        ("dateOfBirth", "1971-07-13"),
        ("billingAddress1", "77 Quetzal Lane"),
        ("billingAddress2", "Xanadu Quarter"),
        ("billingZipCode", "ZQ090807"),
        ("deliveryAddress1", "77 Quetzal Lane"),
    ] {
        form[field] = json!(value);
    }
    let document = &mut form["identificationDoc"][0];
    document["identificationValue"] = json!("XK9C4N4RY");
    document["identificationDocument"][0]["fileName"] = json!("canary-passport.png");
    form
}

/// Fails if `text` holds something planted, as it is or as it is written in addresses and in base64.
#[track_caller]
fn clean(what: &str, text: &str) {
    for word in PLANTED {
        for spelling in
            [word.to_owned(), word.replace(' ', "%20"), word.replace(' ', "+"), STANDARD.encode(word)]
        {
            let found = text.to_lowercase().find(&spelling.to_lowercase());
            if let Some(at) = found {
                let from = text.floor_char_boundary(at.saturating_sub(200));
                let to = text.ceil_char_boundary((at + 100).min(text.len()));
                panic!("{what} holds {spelling}: …{}…", &text[from..to]);
            }
        }
    }
    assert!(!text.contains(&PNG[20..60]), "{what} holds a document");
    for secret in [TOKEN, crate::house::API_KEY, crate::house::SECRET, KEY, MAIL_PASSWORD] {
        assert!(!text.contains(secret), "{what} holds a secret");
    }
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Another customer opens the link of the mail and corrects on the page; an officer looks at the case.
async fn visits(ground: &Ground, server: &smtp::Server) -> Trail {
    let (mut trail, address) = (Trail::default(), "canary.mail.two@example.test");
    let id = ground.rejected(&planted(address), REMARK).await;
    until(async || !server.mails(address).is_empty()).await;
    visits::corrects(ground, server, address, &mut trail).await;
    until(async || ground.state(&id).await.is_some_and(|state| state == "reinstated")).await;
    until(async || !server.mails("canary.mail.new@example.test").is_empty()).await;
    visits::reads(ground, &id, REMARK, &mut trail).await;
    trail
}

/// A rejected customer is found, corrects, and comes back; wrong questions are asked on the way. Gives every answer that is an
/// error, and every address that was asked.
async fn journey(ground: &Ground) -> (String, String) {
    let mut errors = Vec::new();
    let id = ground.rejected(&planted("canary.mail@example.test"), REMARK).await;
    let corrections = format!("/v1/customers/{id}/corrections");
    for (path, body) in [
        (corrections.clone(), json!({ "fields": { "dateOfBirth": "1971-07-13T canary.mail" } })),
        // Names of fields are told back to whoever sent them, values never.
        (corrections.clone(), json!({ "fields": { "nickname": "Zanzibarella" } })),
        (corrections.clone(), json!({ "fields": { "nationality": "Zanzibarella" } })),
        (
            format!("/v1/customers/{id}/tags"),
            json!({ "set": { "tier": "canary.mail@example.test".repeat(40) } }),
        ),
        (format!("/v1/customers/{id}/block"), json!({ "action": "Zanzibarella", "reason": "canary.mail" })),
        (
            format!("/v1/customers/{id}/decision"),
            json!({ "decision": "canary.mail", "note": "Zanzibarella" }),
        ),
        ("/v1/customers/search".to_owned(), json!({ "source": "Zanzibarella", "email": "canary.mail" })),
        (
            "/v1/customers".to_owned(),
            json!({ "email": "canary.mail@example.test", "firstName": ["Zanzibarella"] }),
        ),
        ("/v1/customers/canary.mail@example.test/tags".to_owned(), json!({})),
    ] {
        if let Some((status, answer)) = ground.api(Method::POST, &path, None, Some(&body)).await {
            assert!(status >= 400, "{path}: {answer}");
            errors.push(answer.to_string());
        }
    }
    let found = json!({ "source": "ours", "email": "canary.mail@example.test" });
    ground.api(Method::POST, "/v1/customers/search", None, Some(&found)).await.unwrap();
    let callback =
        format!("http://{}/callback/compliance?customerHashId=Zanzibarella", ground.doors[0].public);
    errors.push(ground.http.post(callback).send().await.unwrap().text().await.unwrap());
    let fields = json!({ "fields": { "firstName": "Zanzibarella" } });
    ground.insist(Method::POST, &corrections, "canary-correction", &fields, 202).await;
    until(async || ground.state(&id).await.is_some_and(|state| state == "reinstated")).await;
    for event in ["customer.rejected", "customer.reinstated"] {
        until(async || ground.told().iter().any(|told| told.body["type"] == event)).await;
    }
    let urls = serde_json::to_string(&ground.sim.journal()).unwrap();
    (errors.join("\n"), urls)
}

async fn nothing_personal_is_emitted(format: &str) {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let address = collector.listen().await;
    let server = smtp::Server::start("starttls", &["--login", &format!("canaries:{MAIL_PASSWORD}")]);
    let ground = Ground::new(folder.path()).await;
    let page = format!("http://{}", ground.door().public);
    let ground = ground
        .set("PUBLIC__URL", &page)
        .set("NOTIFY__EMAIL__FROM", "kyc@example.test")
        .set("NOTIFY__EMAIL__SMTP_URL", &server.url(&format!("canaries:{MAIL_PASSWORD}@")))
        .set("NOTIFY__EMAIL__CA_FILE", &server.authority().display().to_string())
        .set("TELEMETRY__LOG", "trace")
        .set("TELEMETRY__FORMAT", format)
        .set("TELEMETRY__OTLP_ENDPOINT", &format!("http://{address}"))
        .set("TELEMETRY__OTLP_HEADERS", &format!("authorization={KEY}"));
    let log = folder.path().join("log");
    let mut running = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .arg("serve")
        .envs(ground.env())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    ground.first_sweep_is_over().await;
    ground.nium_is_behind().await;
    let (errors, urls) = journey(&ground).await;
    let trail = visits(&ground, &server).await;
    let scrape = format!("http://{}/metrics", ground.doors[0].admin);
    let scrape = ground.http.get(scrape).send().await.unwrap().text().await.unwrap();
    let id = running.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert!(tokio::time::timeout(Duration::from_secs(30), running.wait()).await.unwrap().unwrap().success());

    let mut logged = String::new();
    std::fs::File::open(&log).unwrap().read_to_string(&mut logged).unwrap();
    let (traced, told) = (collector.raw(), ground.told());
    let told: Vec<String> = told.iter().map(|told| format!("{:?} {}", told.headers, told.body)).collect();
    // It is there to be searched.
    assert!(logged.contains("told the app backend") && logged.contains("TRACE"), "{}", logged.len());
    assert!(collector.spans().len() > 20 && told.len() > 2 && errors.len() > 500 && scrape.len() > 5_000);
    clean("the log", &logged);
    clean("the metrics", &scrape);
    clean("a trace", &String::from_utf8_lossy(&traced));
    clean("an event", &told.join("\n").replace(KEY, ""));
    clean("an error", &errors);
    clean("an address that was asked", &urls);
    trail.is_clean(&server, &logged);
    // A line of the log leads to its trace.
    let line = logged.lines().find(|line| line.contains("told the app backend")).unwrap();
    let is_traced =
        |span: &opentelemetry_proto::tonic::trace::v1::Span| line.contains(&hex::encode(&span.trace_id));
    assert!(collector.spans().iter().any(is_traced), "{line}");
    if format == "json" {
        for line in logged.lines() {
            assert!(
                serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"].is_string()),
                "{line}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_emitted_with_a_log_for_people() {
    nothing_personal_is_emitted("text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_emitted_with_a_log_for_machines() {
    nothing_personal_is_emitted("json").await;
}
