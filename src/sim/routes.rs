//! Nium's endpoints, as far as they are pretended: Unified Add Customer, Customer Details V2, the Customer List, block,
//! tags, update, companies, a new address for a check, client details, and the simulation of a transition with Nium's own strictness (contract sections 5, 7, 9, 12.2 and 14).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::faults::{Kind, take};
use super::state::{Customer, Entry, Outcome, State};
use super::{Asked, Reply, World, acts, callbacks, corporate, list, rfi, strict};

/// Bytes of a huge answer: more than anybody should read.
const HUGE_BYTES: usize = 8 * 1024 * 1024;

/// What a request is for.
struct Call {
    endpoint: &'static str,
    client: Option<String>,
    customer: Option<String>,
    query: String,
}

/// Answers one request of the client's.
pub(super) async fn answer(world: &Arc<World>, asked: &Asked) -> Reply {
    let begun = Instant::now();
    let call = read(asked);
    let body = serde_json::from_slice::<Value>(&asked.body).ok();
    let reinitiates = body.as_ref().and_then(|body| body.get("customerHashId")).and_then(Value::as_str);
    let customer = call.customer.clone().or_else(|| reinitiates.map(str::to_owned));
    let entry = Entry {
        kind: "request",
        method: asked.method.clone(),
        endpoint: call.endpoint,
        customer_hash_id: customer.clone(),
        request_id: asked.request_id.clone(),
        client_name: asked.client_name.clone(),
        reinitiation: call.endpoint == "add_customer" && reinitiates.is_some(),
        ..Entry::default()
    };
    let seq = world.state().note(entry);
    let reply = match refused_at_the_door(world, asked, &call) {
        Some(reply) => reply,
        None => misbehave(world, &call, customer.as_deref(), body, seq).await,
    };
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    world.state().amend(seq, |entry| {
        entry.took_micros = took;
        entry.status = match &reply {
            Reply::Json(status, _) | Reply::Text(status, ..) | Reply::Later(status, _) => Some(*status),
            Reply::Huge(_) => Some(200),
            Reply::Drop => None,
        };
    });
    reply
}

fn read(asked: &Asked) -> Call {
    let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    let (endpoint, client, customer) = match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["api", "v4", "client", client, "customer"]) => ("add_customer", Some(*client), None),
        ("GET", ["api", "v2", "client", client, "customer", customer]) => {
            ("details", Some(*client), Some(*customer))
        }
        ("GET", ["api", "v3", "client", client, "customers"]) => ("list_v3", Some(*client), None),
        ("GET", ["api", "v2", "client", client, "customers"]) => ("list_v2", Some(*client), None),
        ("GET", ["api", "v1", "client", client]) => ("client", Some(*client), None),
        ("PUT", ["api", "v1", "client", client, "customer", customer, "block"]) => {
            ("block", Some(*client), Some(*customer))
        }
        ("POST", ["api", "v1", "client", client, "customer", customer, "tags"]) => {
            ("tags", Some(*client), Some(*customer))
        }
        ("POST", ["api", "v1", "client", client, "customer", customer, "updateCustomer"]) => {
            ("update", Some(*client), Some(*customer))
        }
        ("POST", ["api", "v1", "client", client, "customer", customer, "regenerateKYCURL"]) => {
            ("regenerate", Some(*client), Some(*customer))
        }
        ("POST", ["api", "v1", "client", client, "corporate"]) => ("onboard_corporate", Some(*client), None),
        ("GET", ["api", "v1", "client", client, "customer", customer, "rfi"]) => {
            ("rfi", Some(*client), Some(*customer))
        }
        ("POST", ["api", "v1", "client", client, "customer", customer, "rfi"]) => {
            ("rfi_answer", Some(*client), Some(*customer))
        }
        ("GET", ["api", "v1", "client", client, "corporate", "rfi"]) => {
            ("corporate_rfi", Some(*client), None)
        }
        ("POST", ["api", "v1", "client", client, "corporate", "rfi"]) => {
            ("corporate_rfi_answer", Some(*client), None)
        }
        ("POST", ["api", "v1", "simulations", "onboard", customer, "transition"]) => {
            ("simulate", None, Some(*customer))
        }
        _ => ("unknown", None, None),
    };
    let (client, customer) = (client.map(str::to_owned), customer.map(str::to_lowercase));
    Call { endpoint, client, customer, query: asked.query.clone() }
}

/// 401 and 403 are bare JSON strings (contract section 2.1, E2), but for the simulation's (E3).
fn refused_at_the_door(world: &World, asked: &Asked, call: &Call) -> Option<Reply> {
    if asked.api_key.as_deref() != Some(world.options.api_key.as_str()) {
        if call.endpoint == "simulate" {
            return Some(Reply::Json(401, json!({ "code": "unauthorized", "description": "Access Denied" })));
        }
        return Some(Reply::Json(401, json!("Unauthorized")));
    }
    let foreign = call
        .client
        .as_ref()
        .is_some_and(|client| !client.eq_ignore_ascii_case(&world.options.client_hash_id));
    foreign.then(|| Reply::Json(403, json!("Forbidden")))
}

/// Does what was asked, unless a fault was set that fits.
async fn misbehave(
    world: &Arc<World>,
    call: &Call,
    customer: Option<&str>,
    body: Option<Value>,
    seq: usize,
) -> Reply {
    let fault = take(&mut world.state().faults, call.endpoint, customer);
    let act = || act(world, call, body.clone(), seq);
    match fault {
        None
        | Some(
            Kind::DropCallback
            | Kind::Duplicate { .. }
            | Kind::DuplicateNewId
            | Kind::Delay { .. }
            | Kind::Item { .. },
        ) => {
            let (reply, moved) = act();
            call_back(world, moved);
            reply
        }
        Some(Kind::Status { code, retry_after_seconds: Some(seconds) }) => Reply::Later(code, seconds),
        Some(Kind::Status { code, .. }) => envelope(code, "SIMULATED", "set by a fault"),
        Some(Kind::Html) => Reply::Text(502, "text/html", "<html><body>Bad Gateway</body></html>".to_owned()),
        Some(Kind::Html200) => {
            Reply::Text(200, "text/html", "<html><body>Maintenance</body></html>".to_owned())
        }
        Some(Kind::Huge) => Reply::Huge(HUGE_BYTES),
        Some(Kind::NotFound) => envelope(404, "NOT_FOUND", "Customer not found"),
        Some(Kind::Truncated) => {
            let (reply, moved) = act();
            call_back(world, moved);
            let Reply::Json(status, value) = reply else {
                return reply;
            };
            let text = value.to_string();
            Reply::Text(status, "application/json", text.chars().take(text.chars().count() / 2).collect())
        }
        Some(Kind::Hang { ms, applied: true }) => {
            let (reply, moved) = act();
            call_back(world, moved);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            reply
        }
        Some(Kind::Hang { ms, applied: false }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Reply::Drop
        }
        Some(Kind::Drop { applied: false }) => Reply::Drop,
        Some(Kind::Drop { applied: true } | Kind::AnswerLost) => {
            let (_, moved) = act();
            call_back(world, moved);
            Reply::Drop
        }
        Some(Kind::Wait { name }) => {
            let (reply, moved) = act();
            call_back(world, moved);
            released(world, &name).await;
            reply
        }
        Some(Kind::BeforeAnswer) => {
            let (reply, moved) = act();
            if let Some(customer) = moved {
                callbacks::deliver(world, &customer).await;
            }
            reply
        }
    }
}

fn call_back(world: &Arc<World>, moved: Option<String>) {
    if let Some(customer) = moved {
        callbacks::send(world, &customer);
    }
}

async fn released(world: &World, name: &str) {
    loop {
        let rung = world.released.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        if world.state().released.remove(name) || world.stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = rung => {}
            () = world.stop.cancelled() => return,
        }
    }
}

/// Does it. Gives the answer, and whose status moved.
fn act(world: &World, call: &Call, body: Option<Value>, seq: usize) -> (Reply, Option<String>) {
    let mut state = world.state();
    match (call.endpoint, &call.customer) {
        ("add_customer", _) => {
            let Some(Value::Object(application)) = body else {
                return (envelope(400, "BAD_REQUEST", "the body is not a JSON object"), None);
            };
            let (reply, moved) = add_customer(&mut state, &world.options.region, application, seq);
            (reply, moved)
        }
        ("onboard_corporate", _) => {
            let Some(Value::Object(company)) = body else {
                return (envelope(400, "BAD_REQUEST", "the body is not a JSON object"), None);
            };
            corporate::onboard(&mut state, &world.options.region, company, seq)
        }
        ("rfi", Some(id)) => (rfi::fetch(&state, id, false), None),
        ("rfi_answer", Some(id)) => rfi::answer(&mut state, id, false, body.as_ref(), seq),
        ("corporate_rfi", _) => (rfi::fetch(&state, &named_in(&call.query), true), None),
        ("corporate_rfi_answer", _) => {
            let named = body.as_ref().and_then(|body| body.get("customerHashId")).and_then(Value::as_str);
            let id = named.unwrap_or_default().to_lowercase();
            rfi::answer(&mut state, &id, true, body.as_ref(), seq)
        }
        ("regenerate", Some(id)) => (corporate::regenerate(&mut state, id, seq), None),
        ("details", Some(id)) => (details(&mut state, id), None),
        ("list_v3", _) => (list::answer(&mut state, list::Release::V3, &call.query, seq), None),
        ("list_v2", _) => (list::answer(&mut state, list::Release::V2, &call.query, seq), None),
        ("client", _) => {
            let url = state.callback_url.clone().or_else(|| world.options.callback_url.clone());
            let client = json!({
                "clientHashId": world.options.client_hash_id, "name": world.options.client_name,
                "regulatoryRegion": world.options.region, "complianceStatusCallbackUrl": url,
            });
            (Reply::Json(200, client), None)
        }
        (endpoint @ ("block" | "tags" | "update"), Some(id)) => {
            (acts::answer(&mut state, endpoint, id, &world.options.region, body.as_ref(), seq), None)
        }
        ("simulate", Some(id)) => simulate(&mut state, id, body.as_ref(), seq),
        _ => (envelope(404, "NOT_FOUND", "no such endpoint"), None),
    }
}

/// The customer whom a query names.
fn named_in(query: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut named =
        pairs.filter(|(name, _)| *name == "customerHashId").map(|(_, value)| value.to_lowercase());
    named.next().unwrap_or_default()
}

/// The customer APIs' error envelope (E1), with and without Nium's numeric prefix.
pub(super) fn envelope(code: u16, word: &str, error: &str) -> Reply {
    Reply::Json(
        code,
        json!({ "status": word, "message": "Validation failed for input provided", "errors": [error] }),
    )
}

fn add_customer(
    state: &mut State,
    region: &str,
    mut application: Map<String, Value>,
    seq: usize,
) -> (Reply, Option<String>) {
    let today = state.now().to_zoned(TimeZone::UTC).date();
    let known = application.remove("customerHashId");
    let id = known.as_ref().and_then(Value::as_str).map(str::to_lowercase);
    let mut faults = strict::faults(&application, today);
    if known.is_some() && id.is_none() {
        faults.push("customerHashId: not valid".to_owned());
    }
    let email = application.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
    if state.email_taken(&email, id.as_deref()) {
        faults.push("email: belongs to another customer".to_owned());
    }
    if !faults.is_empty() {
        state.amend(seq, |entry| entry.problems.clone_from(&faults));
        let reply = json!({ "status": "400 BAD_REQUEST", "message": "Validation failed for input provided", "errors": faults });
        return (Reply::Json(400, reply), None);
    }
    match id {
        Some(id) => reinitiate(state, &id, application, &email, seq),
        None => create(state, region, application, &email, seq),
    }
}

fn create(
    state: &mut State,
    region: &str,
    application: Map<String, Value>,
    email: &str,
    seq: usize,
) -> (Reply, Option<String>) {
    let now = state.now_text();
    let mode = application.get("kycMode").and_then(Value::as_str).unwrap_or_default();
    let redirects = mode == "E_DOC_VERIFY" || (mode == "E_KYC" && region == "SG");
    let id = Uuid::new_v4().to_string();
    let mut customer = Customer::new(id.clone(), application, state.next_place(), &now);
    if redirects {
        "INITIATED".clone_into(&mut customer.compliance_status);
    }
    let answer = taken(&customer, redirects);
    state.keep_email(email, &id);
    state.customers.insert(id.clone(), customer);
    state.amend(seq, |entry| {
        entry.applied = true;
        entry.customer_hash_id = Some(id.clone());
    });
    (Reply::Json(200, answer), Some(id))
}

/// Re-initiation: only a known customer, only from where Nium allows it (contract sections 10 and 14).
fn reinitiate(
    state: &mut State,
    id: &str,
    application: Map<String, Value>,
    email: &str,
    seq: usize,
) -> (Reply, Option<String>) {
    let now = state.now_text();
    let Some(customer) = state.customers.get_mut(id) else {
        return (envelope(404, "NOT_FOUND", "Customer not found"), None);
    };
    // Nobody has written down what becomes of somebody who was blocked for good; here they are looked at anew.
    let blocked = customer.status == "Blocked";
    let from = ["REJECT", "ERROR", "EXPIRED", "IN_PROGRESS"].contains(&customer.compliance_status.as_str());
    let allowed = if blocked { !customer.refuses_reapplication } else { from };
    if !allowed {
        let reply = envelope(400, "BAD_REQUEST", "Re-initiation is not allowed in this compliance status");
        state.amend(seq, |entry| {
            entry.problems.push("re-initiation not allowed".to_owned());
        });
        return (reply, None);
    }
    let outcome = customer.on_resubmission;
    if outcome == Outcome::Refuse {
        return (envelope(400, "BAD_REQUEST", "firstName: does not match"), None);
    }
    customer.application = application;
    customer.submissions += 1;
    if blocked {
        customer.block_updated_by = None;
        customer.block_reason = None;
        customer.block_comment = None;
        customer.quirks.status_lags = std::mem::take(&mut customer.looks_until_clear);
    }
    let (compliance, status) = match outcome {
        Outcome::Complete if blocked => ("IN_PROGRESS", "Pending"),
        Outcome::Complete | Outcome::Lagging => ("COMPLETED", "Clear"),
        Outcome::Review | Outcome::Bare => ("ACTION_REQUIRED", "Pending"),
        Outcome::Redirect => ("INITIATED", "Pending"),
        Outcome::Reject | Outcome::Refuse => ("REJECT", "Failed"),
    };
    customer.move_to(compliance, status, &now);
    if outcome == Outcome::Lagging {
        customer.looks_until_clear = customer.looks_until_clear.max(2);
        "Pending".clone_into(&mut customer.status);
    }
    let answer = match outcome {
        Outcome::Bare => json!({
            "customerHashId": id, "walletHashId": customer.wallet_hash_id, "paymentIds": [],
        }),
        Outcome::Redirect => taken(customer, true),
        Outcome::Complete | Outcome::Lagging | Outcome::Review | Outcome::Reject | Outcome::Refuse => {
            taken(customer, false)
        }
    };
    state.keep_email(email, id);
    state.amend(seq, |entry| entry.applied = true);
    (Reply::Json(200, answer), Some(id.to_owned()))
}

fn taken(customer: &Customer, redirects: bool) -> Value {
    let mut answer = json!({
        "customerHashId": customer.id, "walletHashId": customer.wallet_hash_id,
        "kycStatus": customer.status, "complianceStatus": customer.compliance_status, "paymentIds": [],
    });
    if redirects && let Some(answer) = answer.as_object_mut() {
        answer.insert("redirectUrl".to_owned(), json!("https://kyc.example.test/session/abc123"));
    }
    answer
}

fn details(state: &mut State, id: &str) -> Reply {
    let Some(customer) = state.customers.get_mut(id) else {
        return envelope(404, "NOT_FOUND", "Customer not found");
    };
    let reply = Reply::Json(200, super::details::of(customer));
    if customer.looks_until_clear > 0 {
        customer.looks_until_clear -= 1;
        if customer.looks_until_clear == 0 && customer.compliance_status == "COMPLETED" {
            "Clear".clone_into(&mut customer.status);
        }
    }
    customer.quirks.status_lags = customer.quirks.status_lags.saturating_sub(1);
    reply
}

/// Nium's own simulation endpoint, with its strictness: REJECT and COMPLETED cannot be left.
fn simulate(state: &mut State, id: &str, body: Option<&Value>, seq: usize) -> (Reply, Option<String>) {
    let now = state.now_text();
    let refused = |code: &str, description: &str| {
        (Reply::Json(422, json!({ "errors": [{ "code": code, "description": description }] })), None)
    };
    let Some(customer) = state.customers.get_mut(id) else {
        return refused("sim_invalid_customer_hashId", "Customer not found");
    };
    let next = body.and_then(|body| body.get("nextStatus")).and_then(Value::as_str).unwrap_or_default();
    let corporate = customer.case_id.is_some();
    match (customer.compliance_status.as_str(), next) {
        ("ACTION_REQUIRED", "RFI_REQUESTED") => {
            let wanted = body.and_then(|body| body.get("requestInfoFor"));
            // One example of the vendor's gives the word alone, against its own schema (contract section 14).
            let word = wanted.and_then(|wanted| wanted.as_str().or_else(|| wanted.get("request")?.as_str()));
            let item =
                word.and_then(
                    |word| {
                        if corporate { Some(rfi::company_item(word)) } else { rfi::person_item(word) }
                    },
                );
            let Some(item) = item else {
                return refused("sim_invalid_request_info", "requestInfoFor names nothing that can be asked");
            };
            rfi::raise(customer, vec![item], &now);
        }
        ("RFI_RESPONDED", "COMPLETED") => customer.move_to(next, "Clear", &now),
        ("RFI_RESPONDED", "REJECT") => customer.move_to(next, "Failed", &now),
        (from, _) => {
            let allowed = match from {
                "ACTION_REQUIRED" => "RFI_REQUESTED",
                "RFI_RESPONDED" => "COMPLETED, REJECT",
                _ => "none",
            };
            let why = format!("Next Status allowed from current status {from} is {allowed}");
            return refused("sim_invalid_next_status", &why);
        }
    }
    state.amend(seq, |entry| entry.applied = true);
    let message = format!("Status has been updated to {next} successfully");
    (Reply::Json(200, json!({ "message": message })), Some(id.to_owned()))
}
