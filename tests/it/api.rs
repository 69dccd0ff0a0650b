//! The admin API at its edges: who may ask, what is refused and how, and writes that come twice.

use std::time::Duration;

use reinstate::http::api::take::BODY_BYTES_MAX;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, PNG, TOKEN, application};

const UNKNOWN: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

async fn problem(
    house: &House,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Vec<u8>>,
) -> (u16, Value) {
    let mut request = house.http.request(method, format!("http://{}{path}", house.admin));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.body(body.unwrap_or_default()).send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}: {status}");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["code"].is_string() && problem["hint"].is_string(), "{problem}");
    (status, problem)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_goes_wrong_is_a_problem() {
    let house = House::start().await;
    let id = UNKNOWN;
    let customer = format!("/v1/customers/{id}");
    let corrections = format!("{customer}/corrections");
    let application = format!("{customer}/application");
    let json = |text: &str| Some(text.as_bytes().to_vec());
    for (method, path, body, status, code) in [
        (Method::GET, "/v1/nothing", None, 404, "no_such_route"),
        (Method::DELETE, customer.as_str(), None, 405, "method_not_allowed"),
        (Method::GET, customer.as_str(), None, 404, "no_such_customer"),
        (Method::GET, "/v1/customers/ana", None, 400, "customer_hash_id_malformed"),
        (Method::GET, "/v1/customers?state=lost", None, 400, "bad_parameter"),
        (Method::GET, "/v1/customers?limit=0", None, 400, "bad_parameter"),
        (Method::GET, "/v1/customers?cursor=!", None, 400, "bad_parameter"),
        (Method::GET, "/v1/callbacks?cursor=AAAA", None, 400, "bad_parameter"),
        (Method::GET, "/v1/customers?colour=red", None, 400, "bad_parameter"),
        (Method::GET, "/v1/effects/nothing", None, 404, "no_such_effect"),
        (Method::POST, corrections.as_str(), json("{"), 400, "body_not_json"),
        (
            Method::POST,
            corrections.as_str(),
            json("{\"fields\":{\"firstName\":\"Ana\"}}"),
            404,
            "no_such_customer",
        ),
        (Method::POST, corrections.as_str(), json("{\"fields\":{\"name\":\"Ana\"}}"), 400, "unknown_keys"),
        (
            Method::POST,
            corrections.as_str(),
            json("{\"fields\":{\"nationality\":\"XYZ\"}}"),
            422,
            "invalid_fields",
        ),
        (Method::PUT, application.as_str(), json("[]"), 422, "invalid_fields"),
        (Method::PUT, application.as_str(), Some(vec![b' '; BODY_BYTES_MAX + 1]), 413, "body_too_large"),
    ] {
        let (got, problem) = problem(&house, method.clone(), path, Some(TOKEN), body).await;
        assert_eq!((got, problem["code"].as_str().unwrap()), (status, code), "{method} {path}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_sees_anything() {
    let house = House::start().await;
    let path = format!("/v1/customers/{UNKNOWN}");
    for token in [None, Some("wrong-token-wrong-token"), Some("")] {
        assert_eq!(problem(&house, Method::GET, &path, token, None).await.0, 401);
    }
    for open in ["/livez", "/readyz", "/metrics"] {
        let answer = house.http.get(format!("http://{}{open}", house.admin)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{open}");
    }
    let public = house
        .http
        .get(format!("http://{}/v1/customers", house.public))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(public.status(), 404, "the API is not on the public listener");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_hold() {
    let house = House::start().await;
    let create = |role: &'static str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["token", "create", "--role", role, "--name", role])
            .env("REINSTATE__STORE__URL", house.database.url())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let status = async |token: String, method: Method, path: &str| {
        let request =
            house.http.request(method, format!("http://{}/v1/customers/{UNKNOWN}{path}", house.admin));
        request.bearer_auth(token).body("{}").send().await.unwrap().status().as_u16()
    };
    for (role, reads, corrects, decides) in [
        ("viewer", 404, 403, 403),
        ("officer", 404, 422, 422),
        ("admin", 404, 422, 422),
        ("app", 404, 422, 403),
    ] {
        let token = create(role);
        assert_eq!(status(token.clone(), Method::GET, "").await, reads, "{role}");
        assert_eq!(status(token.clone(), Method::POST, "/corrections").await, corrects, "{role}");
        assert_eq!(status(token, Method::POST, "/decision").await, decides, "{role}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_first_answer_and_another_body_is_refused() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "review").await;
    let send = async |key: &str, first_name: &str| {
        let answer = house
            .http
            .post(format!("http://{}/v1/customers/{id}/corrections", house.admin))
            .bearer_auth(TOKEN)
            .header("idempotency-key", key)
            .json(&json!({ "fields": { "firstName": first_name } }))
            .send()
            .await
            .unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        (answer.status().as_u16(), replayed, answer.json::<Value>().await.unwrap())
    };
    let (status, replayed, first) = send("one", "Ana Maria").await;
    assert_eq!((status, replayed), (202, false));
    house.until(&id, "under_review").await;
    let (status, replayed, again) = send("one", "Ana Maria").await;
    assert_eq!((status, replayed, again), (202, true, first), "even now that no offer is open");
    let (status, _, problem) = send("one", "Ana Luisa").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("idempotency_key_reused")));
    let (status, _, problem) = send("two", "Ana Luisa").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("no_offer_open")));
    assert_eq!(house.submissions(&id), (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_corrections_at_once_are_one_submission() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let (one, two) = tokio::join!(
        house.correct(&id, json!({ "firstName": "Ana Maria" })),
        house.correct(&id, json!({ "firstName": "Ana Luisa" }))
    );
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_changes_nothing_is_refused_and_the_preview_says_what_would_be_sent() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let (status, problem) = house.correct(&id, json!({ "firstName": "Ana", "lastName": " Sample " })).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("nothing_changed")));
    let path = format!("/v1/customers/{id}/corrections/preview");
    let correction = json!({ "fields": { "firstName": "Ana Maria" }, "documents": [
        { "identificationType": "Passport", "identificationValue": "X0000002",
          "identificationDocument": [{ "fileName": "new.png", "fileType": "image/png", "document": PNG }] }] });
    let (status, preview) = house.ask(Method::POST, &path, Some(correction)).await;
    assert_eq!(status, 200, "{preview}");
    assert_eq!(preview["request"]["customerHashId"], json!(id));
    assert_eq!(preview["request"]["deliveryCity"], "Singapore");
    assert_eq!(preview["difference"][0], json!({ "field": "firstName", "from": "Ana", "to": "Ana Maria" }));
    assert_eq!(preview["problems"], json!([]));
    assert!(!preview.to_string().contains(PNG), "a preview holds no document");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn field_problems_come_one_by_one() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let fields = json!({ "firstName": "A".repeat(41), "dateOfBirth": "1990-02-30", "email": "nobody", "billingCountry": "sg" });
    let (status, problem) = house.correct(&id, fields).await;
    assert_eq!(status, 422);
    let mut named: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["billingCountry", "dateOfBirth", "email", "firstName"]);
    assert!(!problem.to_string().contains("nobody"), "a problem repeats no value");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_with_gaps_is_kept_with_warnings() {
    let house = House::start().await;
    let mut partial = application("Ana");
    partial.as_object_mut().unwrap().remove("billingCity");
    let (status, answer) =
        house.ask(Method::PUT, &format!("/v1/customers/{UNKNOWN}/application"), Some(partial)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["warnings"][0]["field"], "billingCity");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_by_key() {
    let house = House::start().await;
    let mut ids = Vec::new();
    for name in ["Ana", "Bo", "Cy"] {
        let id = house.onboard(name).await;
        house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
        house.until(&id, "approved").await;
        ids.push(id);
    }
    ids.sort_unstable();
    let (mut cursor, mut listed) = (String::new(), Vec::new());
    for _ in 0..3 {
        let (_, page) = house.get(&format!("/v1/customers?state=approved&limit=1{cursor}")).await;
        listed.push(page["items"][0]["customerHashId"].as_str().unwrap().to_owned());
        cursor = page["next"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((listed, cursor), (ids, String::new()));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_from_the_start() {
    let house = House::start().await;
    let text =
        house.http.get(format!("http://{}/metrics", house.admin)).send().await.unwrap().text().await.unwrap();
    for series in [
        "reinstate_intake_acks_total{source=\"callback\"} 0",
        "reinstate_intake_refused_total{reason=\"signature\"} 0",
        "reinstate_intake_store_failures_total 0",
        "reinstate_looks_total{outcome=\"seen\"} 0",
        "reinstate_submissions_total{outcome=\"unclear\"} 0",
        "reinstate_tells_total{event=\"customer.reinstated\",outcome=\"delivered\"} 0",
        "reinstate_nium_calls_total{endpoint=\"add_customer\",outcome=\"ok\"} 0",
        "reinstate_cases{state=\"needs_officer\"} 0",
        "reinstate_oldest_case_age_seconds{state=\"awaiting_correction\"} 0",
        "reinstate_effects_open{lane=\"nium\"} 0",
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_verify_with_the_reference_implementation_and_repeat_themselves_exactly() {
    let secrets = format!(
        "whsec_{},whsec_{}",
        crate::house::SECRET,
        "d2hvIGtub3dzIHdoYXQgdGhlIG90aGVyIHNlY3JldCBpcw=="
    );
    let house = House::with(&[("NOTIFY__WEBHOOK__SECRETS", &secrets)]).await;
    house.ear.refuse_next(&[500]);
    let id = house.rejected("Ana").await;
    let rejected = house.heard(&id, "customer.rejected").await;
    house
        .eventually("it was told again", async || {
            // Slowly: whoever verifies compares with the machine's clock, and the lease of an attempt ends by this one.
            house.advance(Duration::from_millis(50));
            house.ear.all().iter().filter(|told| told.id == rejected.id).count() == 2
        })
        .await;
    house.heard(&id, "customer.correction_requested").await;
    let all = house.ear.all();
    let twice: Vec<_> = all.iter().filter(|told| told.id == rejected.id).collect();
    assert_eq!(twice[0].raw, twice[1].raw, "the same bytes");
    let order: Vec<&str> = all.iter().map(|told| told.body["type"].as_str().unwrap()).collect();
    assert_eq!(
        order,
        ["customer.rejected", "customer.rejected", "customer.correction_requested"],
        "in order, whatever fails"
    );
    for secret in secrets.split(',') {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        for told in &all {
            verifier.verify(&told.raw, &told.headers).unwrap();
        }
    }
    let data = &house.heard(&id, "customer.correction_requested").await.body["data"];
    assert!(
        data["correction"]["url"].as_str().unwrap().ends_with(&format!("/v1/customers/{id}/corrections"))
    );
    assert!(data["correction"]["deadline"].is_string());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_lies_open_in_the_database_or_in_events() {
    let house = House::start().await;
    let id = house.rejected("Zebedee").await;
    house.correct(&id, json!({ "firstName": "Zebedee Quartz" })).await;
    house.until(&id, "reinstated").await;
    house.heard(&id, "customer.reinstated").await;
    for told in house.ear.all() {
        assert!(!told.body.to_string().contains("Zebedee"));
    }
    house.database.hides(&[
        "Zebedee",
        "Quartz",
        "example.test",
        "X0000001",
        "POI does not match",
        "1990-02-03",
    ]);
    house.close().await;
}
