//! What is sent to Nium, against the vendor's shapes made strict, where those are at hand: they are not part of this
//! repository. `REINSTATE_NIUM_SCHEMA` names the file; else it is looked for beside the repository.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::{Value, json};

use crate::house::{House, PNG, Plan, application, client, listener, spawn};

/// Stands between the service and the pretend Nium, and keeps what passes.
#[derive(Clone)]
struct Between {
    nium: Arc<OnceLock<String>>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    http: Client,
}

async fn pass(
    State(between): State<Between>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(nium) = between.nium.get() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    if let Ok(value) = serde_json::from_slice(&body) {
        between.seen.lock().unwrap().push((uri.path().to_owned(), value));
    }
    let mut request = between.http.request(method, format!("{nium}{uri}")).body(body);
    for name in ["x-api-key", "x-request-id", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.bytes().await.unwrap()).into_response()
}

/// The definition for what goes to this address; `None` where the vendor's file has none.
fn definition(path: &str) -> Option<&'static str> {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "customer" => Some("addCustomer"),
        "updateCustomer" => Some("updateCustomer"),
        "block" => Some("block"),
        "tags" => Some("tags"),
        "rfi" if !path.contains("/corporate/") => Some("rfiRespond"),
        _ => None,
    }
}

fn schema_file() -> Option<PathBuf> {
    let named = std::env::var_os("REINSTATE_NIUM_SCHEMA").map(PathBuf::from);
    let beside =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/nium/requests.strict.schema.json"));
    named.or_else(|| beside.exists().then_some(beside))
}

fn everything(name: &str) -> Value {
    let mut body = application(name);
    let more = json!({
        "middleName": "M", "preferredName": "A", "nativeLanguageName": "A", "gender": "Female", "countryOfBirth": "SG",
        "pep": false, "estimatedMonthlyFunding": "MF002", "estimatedMonthlyFundingCurrency": "SGD",
        "internationalPaymentsSupported": true, "expectedCountriesToSendReceiveFrom": ["FR"],
        "taxDetails": [{ "countryOfResidence": "SG", "taxIdNumber": "T0000000A" }], "occupation": "OC0001",
        "employeeId": "e1", "segment": "s", "tags": [{ "key": "tier", "value": "gold" }], "ipAddress": "192.0.2.1",
        "countryIP": "SG", "deviceInfo": "android", "sessionId": "s1", "additionalInfo": { "note": "n" },
        "correspondenceAddress1": "1 Example Street", "correspondenceCity": "Singapore", "correspondenceCountry": "SG",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn done(house: &House, method: Method, path: &str, body: Value) -> Value {
    let (status, done) = house.ask(method, path, Some(body)).await;
    assert!(status < 300, "{path}: {status} {done}");
    done
}

/// Every write that we make, of every shape.
async fn a_whole_life(house: &House) {
    let made = done(house, Method::POST, "/v1/customers", everything("Ana")).await;
    let id = made["customerHashId"].as_str().unwrap().to_owned();
    let path = |last: &str| format!("/v1/customers/{id}{last}");
    house.until(&id, "watching").await;
    house
        .nium(
            Method::POST,
            &format!("/__sim/customers/{id}/rfi"),
            json!({ "ask": ["firstName", "passport", "isPep"] }),
        )
        .await;
    house.heard(&id, "customer.rfi_requested").await;
    let (_, asked) = house.get(&path("/rfi")).await;
    let item = |place: usize| asked["items"][place]["rfiHashId"].clone();
    let passport = json!({ "identificationType": "Passport", "identificationValue": "X0000001",
        "identificationDocument": [{ "fileName": "p.png", "fileType": "image/png", "document": PNG }] });
    let answers = json!({ "answers": [
        { "rfiHashId": item(0), "fields": { "firstName": "Ada" } },
        { "rfiHashId": item(1), "fields": { "identificationDoc": passport } },
        { "rfiHashId": item(2), "fields": { "isPep": true } } ] });
    done(house, Method::POST, &path("/rfi"), answers).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    done(
        house,
        Method::PATCH,
        &path(""),
        json!({ "email": "new@example.test", "mobile": "80000001",
        "billingCity": "Singapore", "deliveryZipCode": "018900", "segment": "b" }),
    )
    .await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    house.until(&id, "reinstated").await;
    done(house, Method::POST, &path("/tags"), json!({ "set": { "tier": "silver" } })).await;
    done(house, Method::POST, &path("/tags"), json!({ "delete": ["tier"] })).await;
    for reason in ["CLIENT_REQUEST", "CUSTOMER_REQUEST", "POTENTIAL_SANCTION", "SUSPICIOUS_ACTIVITY"] {
        done(
            house,
            Method::POST,
            &path("/block"),
            json!({ "action": "TEMPORARY_BLOCK", "reason": reason, "comment": "c" }),
        )
        .await;
        done(
            house,
            Method::POST,
            &path("/block"),
            json!({ "action": "UNBLOCK", "reason": "CLIENT_REQUEST", "comment": "c" }),
        )
        .await;
    }
    let mut order = json!({ "action": "PERMANENT_BLOCK", "reason": "DECEASED", "comment": "c".repeat(255) });
    order["receipt"] = done(house, Method::POST, &path("/block"), order.clone()).await["receipt"].clone();
    done(house, Method::POST, &path("/block"), order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_has_the_vendors_shapes() {
    let Some(file) = schema_file() else {
        eprintln!(
            "skipped: requests are not checked against the vendor's shapes, which are not here (REINSTATE_NIUM_SCHEMA)"
        );
        return;
    };
    let whole: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let (listener, address) = listener();
    let between = Between { nium: Arc::default(), seen: Arc::default(), http: client() };
    let router = Router::new().fallback(pass).with_state(between.clone());
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let serving = spawn(async move { axum::serve(listener, router).await });
    let env = vec![("NIUM__BASE_URL", format!("http://{address}"))];
    let nium_is_at = Arc::clone(&between.nium);
    let house = House::build(Plan { env, nium_is_at, ..Plan::default() }).await;
    a_whole_life(&house).await;
    let seen = between.seen.lock().unwrap().clone();
    let mut checked = std::collections::BTreeMap::new();
    for (path, body) in &seen {
        let Some(name) = definition(path) else { continue };
        let mut schema = whole["definitions"][name].clone();
        assert!(schema.is_object(), "{name} is not in {}", file.display());
        schema["definitions"] = whole["definitions"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{path}: {wrong:?}");
        *checked.entry(name).or_insert(0) += 1;
    }
    assert_eq!(
        checked.keys().copied().collect::<Vec<_>>(),
        ["addCustomer", "block", "rfiRespond", "tags", "updateCustomer"]
    );
    assert!(checked["addCustomer"] == 2 && checked["block"] == 9, "{checked:?}");
    house.close().await;
    serving.abort();
}
