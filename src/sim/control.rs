//! Everything under `/__sim/`: a tool on loopback, not a part of Nium.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::Fault;
use super::state::{Outcome, Quirks, State};
use super::{Asked, Reply, World, callbacks, rfi, routes};

const HELP: &str = "The pretend Nium's controls (JSON, no key needed):

GET    /__sim/journal                        everything received and sent
GET    /__sim/customers                      every customer
GET    /__sim/customers/{id}                 one customer
POST   /__sim/customers                      a made-up customer; the body may hold fields of Unified Add Customer, or
                                              {\"customerType\": \"CORPORATE\"} for a company
DELETE /__sim/customers/{id}                 forget one: whoever comes later moves up in the Customer List
POST   /__sim/customers/{id}/transition      {\"complianceStatus\": \"REJECT\", \"status\"?, \"remarks\"?, \"complianceRemarks\"?, \"silent\"?}
POST   /__sim/customers/{id}/outcome         {\"onResubmission\": complete|lagging|review|bare|reject|refuse|redirect, \"looks\"?,
                                              \"refusesReapplication\"?}; who was blocked for good is reviewed where others complete,
                                              and shows the block for so many looks more
POST   /__sim/customers/{id}/rfi             {\"ask\": [firstName|lastName|dateOfBirth|isPep|passport|driversLicence|
                                              bankStatement|internal]}; of a company the name of any field
POST   /__sim/customers/{id}/quirk           {\"null_strings\", \"status_lags\", \"no_compliance\", \"no_updated_at\", \"kyc_status\",
                                              \"spaced_words\", \"lower_case\", \"unknown_status\", \"unknown_compliance\", \"extra_fields\",
                                              \"rfi_object\"}
POST   /__sim/callbacks                      {\"customerHashId\", \"requestId\"?}: call back about anybody
POST   /__sim/faults                         {\"endpoint\": add_customer|onboard_corporate|regenerate|rfi|rfi_answer|details|block|tags|update|list_v3|list_v2|list_item|callback, \"kind\",
                                              \"customerHashId\"?, \"times\"?}; kinds:
                                              status {code, retryAfterSeconds?}, html, html200, truncated, hang {ms}, drop {applied},
                                              answer_lost, huge, not_found, wait {name}, before_answer;
                                              for callbacks: drop_callback, duplicate {copies}, duplicate_new_id, delay {ms};
                                              for items of either list: item {how: no_id|odd_compliance|no_object|left_out}
DELETE /__sim/faults                         none of them any more
POST   /__sim/release/{name}                 let go of an answer that `wait` holds
POST   /__sim/clock                          {\"advanceMs\"}: move Nium's clock
GET    /__sim/mail                           a page with what was written to customers; mail.json for programs
PUT    /__sim/settings                       {\"callbackUrl\"?, \"webhookUrl\"?, \"callbackHeader\"?: [name, value]}

For example: curl -XPOST http://127.0.0.1:7070/__sim/customers -d '{}'
";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Transition {
    compliance_status: String,
    status: Option<String>,
    remarks: Option<String>,
    compliance_remarks: Option<String>,
    #[serde(default)]
    silent: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ahead {
    on_resubmission: Outcome,
    looks: Option<u32>,
    #[serde(default)]
    refuses_reapplication: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    ask: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Knock {
    customer_hash_id: String,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hands {
    advance_ms: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    callback_url: Option<String>,
    webhook_url: Option<String>,
    callback_header: Option<(String, String)>,
}

/// Answers a request under `/__sim/`.
pub(super) async fn answer(world: &Arc<World>, asked: &Asked, rest: &str) -> Reply {
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let answered = match (asked.method.as_str(), parts.as_slice()) {
        ("GET", []) => Ok(Reply::Text(200, "text/plain; charset=utf-8", HELP.to_owned())),
        ("GET", ["journal"]) => Ok(Reply::Json(200, json!(world.state().journal))),
        ("GET", ["mail" | "mail.json"] | ["mail", _]) => Ok(super::mailbox::answer(world, rest)),
        ("GET", ["customers"]) => {
            let all: Vec<Value> =
                world.state().customers.values().map(super::state::Customer::described).collect();
            Ok(Reply::Json(200, json!(all)))
        }
        ("GET", ["customers", id]) => Ok(one(&world.state(), id)),
        ("POST", ["customers"]) => create(world, asked).await,
        ("DELETE", ["customers", id]) => {
            let known = world.state().forget(&id.to_lowercase());
            if known { Ok(done()) } else { Err(no_such_customer()) }
        }
        ("POST", ["customers", id, act]) => customer_act(world, asked, &id.to_lowercase(), act),
        ("POST", ["callbacks"]) => knock(world, asked),
        ("POST", ["faults"]) => said::<Fault>(asked).map(|fault| {
            world.state().faults.push(fault);
            done()
        }),
        ("DELETE", ["faults"]) => {
            world.state().faults.clear();
            Ok(done())
        }
        ("POST", ["release", name]) => {
            world.state().released.insert((*name).to_owned());
            world.released.notify_waiters();
            Ok(done())
        }
        ("POST", ["clock"]) => said::<Hands>(asked).map(|hands| {
            world.state().advance_ms(hands.advance_ms);
            done()
        }),
        ("PUT", ["settings"]) => said::<Settings>(asked).map(|settings| settle(&mut world.state(), settings)),
        _ => Err(Reply::Json(404, json!({ "error": "no such control; GET /__sim/ lists them" }))),
    };
    answered.unwrap_or_else(|refused| refused)
}

fn done() -> Reply {
    Reply::Json(200, json!({ "done": true }))
}

/// The body, or an answer that says what is wrong with it.
fn said<T: DeserializeOwned>(asked: &Asked) -> Result<T, Reply> {
    serde_json::from_slice(&asked.body)
        .map_err(|error| Reply::Json(400, json!({ "error": error.to_string() })))
}

fn one(state: &State, id: &str) -> Reply {
    match state.customers.get(&id.to_lowercase()) {
        Some(customer) => Reply::Json(200, customer.described()),
        None => no_such_customer(),
    }
}

fn no_such_customer() -> Reply {
    Reply::Json(404, json!({ "error": "no such customer" }))
}

/// A made-up customer, created through the front door with the fields that were said.
async fn create(world: &Arc<World>, asked: &Asked) -> Result<Reply, Reply> {
    let mut said: serde_json::Map<String, Value> = said(asked)?;
    let number = world.state().created() + 1;
    if said.remove("customerType").is_some_and(|kind| kind.as_str() == Some("CORPORATE")) {
        let mut company = super::corporate::made_up(number, &world.options.region);
        if let Some(company) = company.as_object_mut() {
            company.extend(said);
        }
        let path = format!("/api/v1/client/{}/corporate", world.options.client_hash_id);
        return Ok(routes::answer(world, &of_ours(world, path, &company)).await);
    }
    let mut application = json!({
        "email": format!("customer{number}@example.test"), "mobile": format!("8{number:07}"), "countryCode": "SG",
        "firstName": "Ada", "lastName": "Sample", "dateOfBirth": "1990-02-03", "nationality": "SG",
        "kycMode": "MANUAL_KYC", "complianceLevel": "SCREENING_KYC", "billingAddress1": "1 Example Street",
        "billingCity": "Singapore", "billingState": "Singapore", "billingZipCode": "018900", "billingCountry": "SG",
        "identificationDoc": [{ "identificationType": "Passport", "identificationValue": "X0000001",
            "identificationDocument": [{ "fileName": "passport.png", "fileType": "image/png", "document": "iVBORw0KGgo=" }] }],
    });
    if let Some(application) = application.as_object_mut() {
        application.extend(said);
    }
    let path = format!("/api/v4/client/{}/customer", world.options.client_hash_id);
    Ok(routes::answer(world, &of_ours(world, path, &application)).await)
}

/// A request as the client would send it.
fn of_ours(world: &World, path: String, body: &Value) -> Asked {
    Asked {
        method: "POST".to_owned(),
        path,
        query: String::new(),
        api_key: Some(world.options.api_key.clone()),
        request_id: None,
        client_name: None,
        body: body.to_string().into_bytes().into(),
    }
}

fn customer_act(world: &Arc<World>, asked: &Asked, id: &str, act: &str) -> Result<Reply, Reply> {
    match act {
        "transition" => {
            let transition: Transition = said(asked)?;
            let silent = transition.silent;
            let reply = {
                let mut state = world.state();
                move_customer(&mut state, id, transition).ok_or_else(no_such_customer)?
            };
            if !silent {
                callbacks::send(world, id);
            }
            Ok(reply)
        }
        "outcome" => {
            let Ahead { on_resubmission, looks, refuses_reapplication } = said(asked)?;
            let mut state = world.state();
            let customer = state.customers.get_mut(id).ok_or_else(no_such_customer)?;
            customer.on_resubmission = on_resubmission;
            customer.refuses_reapplication = refuses_reapplication;
            customer.looks_until_clear = looks.unwrap_or_default();
            Ok(done())
        }
        "rfi" => {
            let Request { ask } = said(asked)?;
            {
                let mut state = world.state();
                let now = state.now_text();
                let customer = state.customers.get_mut(id).ok_or_else(no_such_customer)?;
                let item = |word: &String| match customer.case_id {
                    Some(_) => Some(rfi::company_item(word)),
                    None => rfi::person_item(word),
                };
                let items: Option<Vec<Value>> = ask.iter().map(item).collect();
                let unknown = || Reply::Json(400, json!({ "error": "nothing of that name can be asked" }));
                rfi::raise(customer, items.ok_or_else(unknown)?, &now);
            }
            callbacks::send(world, id);
            Ok(done())
        }
        "quirk" => {
            let quirks: Quirks = said(asked)?;
            let mut state = world.state();
            state.customers.get_mut(id).ok_or_else(no_such_customer)?.quirks = quirks;
            Ok(done())
        }
        _ => Err(Reply::Json(404, json!({ "error": "no such control; GET /__sim/ lists them" }))),
    }
}

/// Moves a customer anywhere: what Nium's own simulation cannot do (contract section 14).
fn move_customer(state: &mut State, id: &str, transition: Transition) -> Option<Reply> {
    let now = state.now_text();
    let customer = state.customers.get_mut(id)?;
    let usual = match transition.compliance_status.as_str() {
        "REJECT" => "Failed",
        "COMPLETED" => "Clear",
        _ => "Pending",
    };
    customer.move_to(&transition.compliance_status, transition.status.as_deref().unwrap_or(usual), &now);
    let rejected = transition.compliance_status == "REJECT";
    customer.remarks = transition.remarks.or_else(|| rejected.then(|| "KYC FAILED".to_owned()));
    customer.compliance_remarks = transition
        .compliance_remarks
        .or_else(|| rejected.then(|| "POI does not match the declared name".to_owned()));
    Some(Reply::Json(200, customer.described()))
}

fn knock(world: &Arc<World>, asked: &Asked) -> Result<Reply, Reply> {
    let Knock { customer_hash_id, request_id } = said(asked)?;
    let request_id = request_id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let world_of_task = Arc::clone(world);
    world.tasks.spawn(async move { callbacks::call(&world_of_task, &customer_hash_id, &request_id).await });
    Ok(done())
}

fn settle(state: &mut State, settings: Settings) -> Reply {
    state.callback_url = settings.callback_url.or(state.callback_url.take());
    state.webhook_url = settings.webhook_url.or(state.webhook_url.take());
    state.callback_header = settings.callback_header.or(state.callback_header.take());
    done()
}
