//! Calling the client back: one POST, no body, no signature, no retry (contract section 3); and the JSON webhook
//! (section 4), if its address is set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::World;
use super::faults::{Kind, take};
use super::state::Entry;

/// Sends what a change of `customer` brings about, and does not wait for it.
pub(super) fn send(world: &Arc<World>, customer: &str) {
    let (world_of_task, customer) = (Arc::clone(world), customer.to_owned());
    world.tasks.spawn(async move { deliver(&world_of_task, &customer).await });
}

/// Sends it and waits until the client has answered.
pub(super) async fn deliver(world: &World, customer: &str) {
    let fault = take(&mut world.state().faults, "callback", Some(customer));
    let id = Uuid::new_v4().to_string();
    match fault {
        Some(Kind::DropCallback) => return,
        Some(Kind::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Kind::Duplicate { copies }) => {
            for _ in 0..copies {
                call(world, customer, &id).await;
            }
        }
        Some(Kind::DuplicateNewId) => call(world, customer, &Uuid::new_v4().to_string()).await,
        Some(_) | None => {}
    }
    call(world, customer, &id).await;
    webhook(world, customer, &id).await;
}

/// One callback, with this `x-request-id`.
pub(super) async fn call(world: &World, customer: &str, request_id: &str) {
    let (template, header) = {
        let state = world.state();
        let template = state.callback_url.clone().or_else(|| world.options.callback_url.clone());
        (template, state.callback_header.clone().or_else(|| world.options.callback_header.clone()))
    };
    let Some(template) = template else { return };
    let mut request = world
        .client
        .post(template.replace("%s", customer))
        .header("content-type", "application/json")
        .header("x-request-id", request_id)
        .header("x-client-name", &world.options.client_name);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    journaled(world, "callback", customer, request_id, request).await;
}

async fn webhook(world: &World, customer: &str, request_id: &str) {
    let (url, body) = {
        let state = world.state();
        let url = state.webhook_url.clone().or_else(|| world.options.webhook_url.clone());
        let body = state.customers.get(customer).map(|known| match &known.case_id {
            Some(case) => json!({
                "clientHashId": world.options.client_hash_id, "customerHashId": customer,
                "clientId": format!("NIM{:013}", known.place), "caseId": case, "newClientName": "Sample Trading",
                "complianceStatus": known.compliance_status, "status": known.status,
                "template": "CARD_CLIENT_KYB_STATUS_WEBHOOK",
            }),
            None => json!({
                "clientHashId": world.options.client_hash_id, "customerHashId": customer,
                "complianceStatus": known.compliance_status, "status": known.status,
                "customerType": "INDIVIDUAL", "template": "CUSTOMER_COMPLIANCE_STATUS",
            }),
        });
        (url, body)
    };
    let (Some(url), Some(body)) = (url, body) else {
        return;
    };
    let request = world.client.post(url).header("x-request-id", request_id).json(&body);
    journaled(world, "webhook", customer, request_id, request).await;
}

async fn journaled(
    world: &World,
    endpoint: &'static str,
    customer: &str,
    request_id: &str,
    request: reqwest::RequestBuilder,
) {
    let entry = Entry {
        kind: "callback",
        method: "POST".to_owned(),
        endpoint,
        customer_hash_id: Some(customer.to_owned()),
        request_id: Some(request_id.to_owned()),
        ..Entry::default()
    };
    let seq = world.state().note(entry);
    let begun = Instant::now();
    let answer = request.send().await;
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    world.state().amend(seq, |entry| {
        entry.took_micros = took;
        match answer {
            Ok(answer) => entry.status = Some(answer.status().as_u16()),
            Err(error) => entry.problems.push(error.without_url().to_string()),
        }
    });
}
