//! The JSON flavour of the callback, over real sockets: which webhooks are nudges, which are only recorded, and which
//! are refused.

use reinstate::domain::nudge::{Source, Template};
use reqwest::Response;
use serde_json::{Value, json};

use crate::callback::{BODY_BYTES_MAX, CLIENT, Door, ID, Options, problem, start};

async fn webhook(door: &Door, body: &Value) -> Response {
    door.post("/webhook", &[("content-type", "application/json")], body.to_string()).await
}

#[tokio::test]
async fn a_webhook_of_the_customer_family_is_a_nudge() {
    let door = start(Options::default());
    for template in [
        "CUSTOMER_COMPLIANCE_STATUS",
        "CARD_CLIENT_KYB_STATUS_WEBHOOK",
        "CUSTOMER_STATUS_WEBHOOK",
        "CUSTOMER_ODD_STATUS_WEBHOOK",
        "CARD_CUSTOMER_REGISTRATION_WEBHOOK",
        "CARD_CUSTOMER_UPDATE_WEBHOOK",
        "CUSTOMER_ENTITY_KYC_STATUS",
    ] {
        let body =
            json!({"clientHashId": CLIENT, "customerHashId": ID, "status": "Failed", "template": template});
        let answer = webhook(&door, &body).await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-length"], "0");
        let nudge = door.recorded().pop().unwrap();
        assert_eq!((nudge.looks, nudge.source), (true, Source::Webhook));
        assert_eq!(nudge.customer.unwrap().to_string(), ID);
        assert_eq!(nudge.template.unwrap().as_str(), template);

        let nobody = webhook(&door, &json!({"clientHashId": CLIENT, "template": template})).await;
        assert_eq!(problem(nobody, 400).await, "customer_hash_id_malformed");
    }
    assert_eq!(door.recorded().len(), 7);
    door.assert_counted("intake_acks_total{source=\"webhook\"} 7");
}

#[tokio::test]
async fn any_other_webhook_is_recorded_and_makes_nobody_due() {
    let door = start(Options::default());
    for (body, template) in [
        (json!({}), None),
        (json!({"clientHashId": CLIENT, "customerHashId": ID}), None),
        (json!({"template": "CARD_PAYMENT", "customerHashId": "not an id"}), Some("CARD_PAYMENT")),
        (json!({"template": "Ann Example"}), Some("other")),
        (json!({"template": "T".repeat(65)}), Some("other")),
        (json!({"template": 17}), Some("other")),
    ] {
        assert_eq!(webhook(&door, &body).await.status().as_u16(), 200, "{body}");
        let nudge = door.recorded().pop().unwrap();
        assert!(!nudge.looks, "{body}");
        assert_eq!(nudge.template.as_ref().map(Template::as_str), template, "{body}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_not_for_us_or_not_json_is_refused() {
    let door = start(Options::default());
    let foreign = json!({"clientHashId": ID, "customerHashId": ID, "template": "CUSTOMER_STATUS_WEBHOOK"});
    assert_eq!(problem(webhook(&door, &foreign).await, 403).await, "foreign_client");
    for body in ["", "not json", "[]", "{", "{}{}"] {
        let answer = door.post("/webhook", &[], body).await;
        assert_eq!(problem(answer, 400).await, "body_not_json", "{body}");
    }
    let over = door.post("/webhook", &[], vec![b' '; BODY_BYTES_MAX + 1]).await;
    assert_eq!(problem(over, 413).await, "body_too_large");
    assert_eq!(door.recorded(), []);

    let padded = format!("{{}}{}", " ".repeat(BODY_BYTES_MAX - 2));
    assert_eq!(door.post("/webhook", &[], padded).await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_hostile_webhook_is_harmless() {
    let door = start(Options::default());
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(32_000), "]".repeat(32_000));
    let numbers = format!(r#"{{"x":1e999999999,"x":-{},"x":0.0000001}}"#, "9".repeat(60_000));
    for body in [deep, numbers] {
        assert_eq!(door.post("/webhook", &[], body).await.status().as_u16(), 200);
    }
    let twice = format!(
        r#"{{"clientHashId":"{CLIENT}","clientHashId":"{ID}","template":"CUSTOMER_STATUS_WEBHOOK","customerHashId":"{ID}"}}"#
    );
    assert_eq!(problem(door.post("/webhook", &[], twice).await, 400).await, "body_not_json");
    assert!(door.recorded().iter().all(|nudge| !nudge.looks && nudge.customer.is_none()));
}
