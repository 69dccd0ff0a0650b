//! Making individuals and companies customers: what is refused before Nium is asked, what stays on file, lost answers, a
//! restart in the middle, two at once; and the address at which a customer goes on with a vendor's check.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN, application, spawn};

/// How far the clocks go between two looks at what goes on: little, so that a lease lasts on a busy machine too.
const STEP: Duration = Duration::from_millis(200);

async fn onboard(house: &House, body: Value) -> (u16, Value) {
    house.ask(Method::POST, "/v1/customers", Some(body)).await
}

/// Asks in the background, while time passes and Nium misbehaves.
fn asked(house: &House, body: Value, key: Option<&str>) -> tokio::task::JoinHandle<Option<(u16, Value)>> {
    let (url, http) = (format!("http://{}/v1/customers", house.admin), house.http.clone());
    let key = key.map(str::to_owned);
    spawn(async move {
        let mut request = http.post(url).bearer_auth(TOKEN).json(&body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    })
}

fn redirected(name: &str) -> Value {
    let mut body = application(name);
    body["kycMode"] = json!("E_KYC");
    body
}

/// A company that is to become a customer.
pub fn company(number: &str) -> Value {
    json!({
        "tags": [{ "key": "tier", "value": "gold" }],
        "businessDetails": {
            "businessName": "Quartz Trading", "businessRegistrationNumber": number,
            "businessType": "PRIVATE_LIMITED_COMPANY",
            "addresses": { "registeredAddress": { "addressLine1": "1 Example Street", "city": "Singapore",
                "country": "SG", "postcode": "018900" } },
            "legalDetails": { "registeredCountry": "SG", "registeredDate": "2020-01-02" },
            "applicantDetails": { "firstName": "Ada", "contactDetails": { "email": "ada@example.test" } },
            "stakeholders": [{ "stakeholderDetails": { "firstName": "Ada" } }],
        },
        "riskAssessmentInfo": { "annualTurnover": "SG001", "countryOfOperation": ["SG"] },
    })
}

/// Customers at Nium, and how often Nium was asked to make one.
async fn at_nium(house: &House) -> (usize, usize) {
    let customers = house.nium(Method::GET, "/__sim/customers", Value::Null).await;
    let journal = serde_json::to_value(house.sim.journal()).unwrap();
    let asked = journal.as_array().unwrap().iter().filter(|entry| {
        ["add_customer", "onboard_corporate"].contains(&entry["endpoint"].as_str().unwrap_or_default())
    });
    (customers.as_array().unwrap().len(), asked.count())
}

fn id_of(done: &Value) -> String {
    done["customerHashId"].as_str().unwrap_or_else(|| panic!("{done}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_individual_is_onboarded_and_a_later_correction_is_whole() {
    let house = House::start().await;
    let mut body = application("Ana");
    body["tags"] = json!([{ "key": "tier", "value": "gold" }]);
    let (status, done) = onboard(&house, body).await;
    assert_eq!((status, &done["status"], &done["kind"]), (201, &json!("done"), &json!("onboard")), "{done}");
    let id = id_of(&done);
    assert!(done["said"]["walletHashId"].is_string(), "{done}");
    let case = house.until(&id, "watching").await;
    assert_eq!(case["customerType"], "INDIVIDUAL");
    assert_eq!(
        house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await["application"]["tags"]
            [0]["value"],
        "gold"
    );
    let story = house.story(&id).await;
    assert!(story.contains("act_asked") || story.contains("act asked"), "{story}");
    assert!(story.contains("onboarded"), "{story}");

    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    let (status, answer) = house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    assert_eq!(status, 202, "{answer}");
    house.until(&id, "reinstated").await;
    // What Customer Details do not give back was sent again all the same.
    let there = house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await;
    assert_eq!(there["application"]["firstName"], "Ana Maria");
    assert_eq!(there["application"]["deliveryAddress1"], "1 Example Street");
    assert_eq!(there["application"]["intendedUseOfAccount"], "IU100");
    assert!(there["application"]["identificationDoc"][0]["identificationDocument"][0].is_object());
    assert_eq!(there["application"]["tags"][0]["key"], "tier");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_onboarded_and_its_rejection_goes_to_an_officer() {
    let house = House::start().await;
    let (status, done) = onboard(&house, company("T00000001X")).await;
    assert_eq!(status, 201, "{done}");
    let id = id_of(&done);
    assert!(done["said"]["caseId"].is_string() && done["said"]["clientId"].is_string(), "{done}");
    let case = house.until(&id, "watching").await;
    assert_eq!(
        (&case["customerType"], &case["nium"]["complianceStatus"]),
        (&json!("CORPORATE"), &json!("IN_PROGRESS"))
    );
    let there = house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await;
    assert_eq!(
        (&there["application"]["region"], &there["application"]["tags"][0]["value"]),
        (&json!("SG"), &json!("gold"))
    );

    let (status, tagged) = house
        .ask(Method::POST, &format!("/v1/customers/{id}/tags"), Some(json!({ "set": { "tier": "silver" } })))
        .await;
    assert_eq!((status, &tagged["outcome"]), (200, &json!("done")), "{tagged}");
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    let case = house.until(&id, "needs_officer").await;
    assert_eq!(case["reason"], "corporate_rejection");
    house.heard(&id, "customer.rejected").await;
    house.heard(&id, "customer.needs_officer").await;
    let offer = Some(json!({ "decision": "offer" }));
    let (status, refused) = house.ask(Method::POST, &format!("/v1/customers/{id}/decision"), offer).await;
    assert_eq!((status, &refused["code"]), (409, &json!("customer_is_a_company")), "{refused}");
    // Nium settles it with the client after all.
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_refused_before_nium_is_asked() {
    let house = House::start().await;
    let with = |name: &str, value: Value| {
        let mut body = application("Ana");
        body[name] = value;
        body
    };
    let tags = |count: usize| {
        let tag = |n| json!({ "key": format!("k{n}"), "value": "v" });
        with("tags", (0..count).map(tag).collect())
    };
    let mut misspelt = company("T00000001X");
    misspelt["businessDetails"]["busnessName"] = json!("Quartz");
    for (body, field) in [
        (with("kycMode", json!("SCREENING")), "kycMode"),
        (with("firstName", json!("n".repeat(41))), "firstName"),
        (with("lastName", Value::Null), "lastName"),
        (with("nickname", json!("A")), "nickname"),
        (with("dateOfBirth", json!("2020-01-01")), "dateOfBirth"),
        (with("identificationDoc", json!([])), "identificationDoc"),
        (with("customerHashId", json!("0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01")), "customerHashId"),
        (with("customerType", json!("CORPORATE")), "customerType"),
        (tags(16), "tags"),
        (misspelt, "businessDetails.busnessName"),
        (json!([]), "body"),
    ] {
        let (status, refused) = onboard(&house, body).await;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_fields")), "{field}: {refused}");
        let named = refused["errors"].as_array().unwrap().iter().any(|error| error["field"] == field);
        assert!(named, "{field}: {refused}");
    }
    assert_eq!(at_nium(&house).await, (0, 0));
    let (_, jobs) = house.get("/v1/jobs").await;
    assert_eq!(jobs["items"], json!([]));
    let (status, done) = onboard(&house, tags(15)).await;
    assert_eq!(status, 201, "{done}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_request_without_files_and_does_nothing() {
    let house = House::start().await;
    let path = "/v1/customers?dryRun=true";
    let (status, shown) = house.ask(Method::POST, path, Some(application("Ana"))).await;
    assert_eq!((status, &shown["dryRun"], &shown["method"]), (200, &json!(true), &json!("POST")));
    assert!(shown["path"].as_str().unwrap().ends_with("/customer"), "{shown}");
    let file = &shown["body"]["identificationDoc"][0]["identificationDocument"][0]["document"];
    assert!(file.as_str().unwrap().ends_with("characters of base64)"), "{shown}");
    let (_, shown) = house.ask(Method::POST, path, Some(company("T00000001X"))).await;
    assert!(shown["path"].as_str().unwrap().ends_with("/corporate"), "{shown}");
    assert_eq!(at_nium(&house).await, (0, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nium_refusal_reaches_the_caller_whole_and_two_at_once_make_one_customer() {
    let house = House::start().await;
    let answers = futures_util::future::join_all([
        onboard(&house, application("Ana")),
        onboard(&house, application("Ana")),
        onboard(&house, application("Ana")),
    ])
    .await;
    let count = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((count(201), count(422)), (1, 2), "{answers:?}");
    let (_, refused) = answers.iter().find(|(status, _)| *status == 422).unwrap();
    assert_eq!(refused["code"], "refused_by_nium");
    assert_eq!(refused["errors"][0]["message"], "email: belongs to another customer", "{refused}");
    assert_eq!(at_nium(&house).await.0, 1);
    house
        .eventually("nobody has to look after a refused applicant", async || {
            house.get("/v1/jobs").await.1["items"] == json!([])
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_never_makes_a_second_customer() {
    let house = House::start().await;
    for (round, (kind, sent, found)) in [
        ("answer_lost", 1, "found_at_nium"),
        ("drop", 2, "done"),
        ("truncated", 1, "found_at_nium"),
        ("status", 2, "done"),
        ("html200", 2, "done"),
    ]
    .into_iter()
    .enumerate()
    {
        for (endpoint, body) in [
            ("add_customer", application(&format!("Ana{round}"))),
            ("onboard_corporate", company(&format!("T0000000{round}X"))),
        ] {
            let before = at_nium(&house).await;
            house.fault(json!({ "endpoint": endpoint, "kind": kind, "code": 503 })).await;
            let asked = asked(&house, body, None);
            house
                .eventually("it is answered", async || {
                    house.advance(STEP);
                    asked.is_finished()
                })
                .await;
            let (status, done) = asked.await.unwrap().unwrap();
            assert_eq!((status, &done["outcome"]), (201, &json!(found)), "{kind} {endpoint}: {done}");
            house.until(&id_of(&done), "watching").await;
            let after = at_nium(&house).await;
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, sent), "{kind} {endpoint}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_makes_one_customer() {
    let house = House::start().await;
    house.fault(json!({ "endpoint": "add_customer", "kind": "wait", "name": "gate" })).await;
    let body = application("Ana");
    let first = asked(&house, body.clone(), Some("ana-1"));
    house.eventually("Nium has it", async || at_nium(&house).await.0 == 1).await;
    let (_, jobs) = house.get("/v1/jobs?kind=onboard").await;
    assert_eq!(
        (&jobs["items"][0]["kind"], &jobs["items"][0]["status"]),
        (&json!("onboard"), &json!("held")),
        "{jobs}"
    );
    house.nium(Method::POST, "/__sim/release/gate", json!({})).await;
    let house = house.restart().await;
    drop(first);
    let again = asked(&house, body, Some("ana-1"));
    house
        .eventually("it is answered", async || {
            house.advance(STEP);
            again.is_finished()
        })
        .await;
    let (status, done) = again.await.unwrap().unwrap();
    assert_eq!(status, 201, "{done}");
    house.until(&id_of(&done), "watching").await;
    assert_eq!(at_nium(&house).await, (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_applicant() {
    let house = House::start().await;
    let first = asked(&house, application("Ana"), Some("key-1")).await.unwrap().unwrap();
    let again = asked(&house, application("Ana"), Some("key-1")).await.unwrap().unwrap();
    assert_eq!((first.0, &first.1["customerHashId"]), (201, &again.1["customerHashId"]));
    let (status, other) = asked(&house, application("Bo"), Some("key-1")).await.unwrap().unwrap();
    assert_eq!((status, &other["code"]), (409, &json!("idempotency_key_reused")), "{other}");
    assert_eq!(at_nium(&house).await, (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_that_can_be_read_nobody_is_sent() {
    let house = House::start().await;
    for endpoint in ["list_v3", "list_v2"] {
        house.fault(json!({ "endpoint": endpoint, "kind": "html200", "times": 100_000 })).await;
    }
    let asked = asked(&house, application("Ana"), None);
    house
        .eventually("it is given up", async || {
            house.advance(Duration::from_secs(5));
            let (_, jobs) = house.get("/v1/jobs").await;
            asked.is_finished() && jobs["items"] == json!([])
        })
        .await;
    assert_eq!(at_nium(&house).await, (0, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_handed_on_expires_and_is_renewed() {
    let house = House::start().await;
    let (status, done) = onboard(&house, redirected("Ana")).await;
    assert_eq!(status, 201, "{done}");
    let id = id_of(&done);
    let path = format!("/v1/customers/{id}/redirect");
    house.until(&id, "watching").await;
    let (status, there) = house.get(&path).await;
    assert_eq!(
        (status, &there["expired"], &there["url"]),
        (200, &json!(false), &done["said"]["redirectUrl"]),
        "{there}"
    );
    house.advance(Duration::from_mins(61));
    let (_, there) = house.get(&path).await;
    assert_eq!(there["expired"], true);
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((&case["redirect"]["expired"], &case["redirect"]["url"]), (&json!(true), &Value::Null));

    let (status, renewed) = house.ask(Method::POST, &path, None).await;
    assert_eq!((status, &renewed["outcome"]), (200, &json!("done")), "{renewed}");
    let (_, there) = house.get(&path).await;
    assert_eq!((&there["expired"], &there["url"]), (&json!(false), &renewed["said"]["redirectUrl"]));
    house.advance(Duration::from_mins(31));
    assert_eq!(house.get(&path).await.1["expired"], true, "Nium said thirty minutes");

    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    assert_eq!(house.get(&path).await.1["code"], "no_redirect");
    let (status, refused) = house.ask(Method::POST, &path, None).await;
    assert_eq!((status, &refused["errors"][0]["message"]), (409, &json!("no_check_under_way")), "{refused}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resubmission_that_goes_on_at_a_vendor_has_an_address_too() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "redirect").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "under_review").await;
    let (status, there) = house.get(&format!("/v1/customers/{id}/redirect")).await;
    assert_eq!((status, &there["expired"]), (200, &json!(false)), "{there}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applicant_lies_nowhere_in_clear() {
    let house = House::start().await;
    let (_, done) = onboard(&house, application("Zebedee")).await;
    let (_, of_company) = onboard(&house, company("T77777777X")).await;
    onboard(&house, application("Zebedee")).await;
    house.until(&id_of(&done), "watching").await;
    house.until(&id_of(&of_company), "watching").await;
    house.database.hides(&["Zebedee", "zebedee@", "Quartz", "T77777777X", "X0000001", "kyc.example.test"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_does_not_see_where_a_customer_goes_on() {
    let house = House::start().await;
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["token", "create", "--role", "viewer", "--name", "eyes"])
        .envs(house.env())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let viewer =
        said.split_whitespace().find(|word| word.len() > 40).unwrap_or_else(|| panic!("{said}")).to_owned();
    let (_, done) = onboard(&house, redirected("Ana")).await;
    let (id, effect) = (id_of(&done), done["effectId"].as_str().unwrap());
    house.until(&id, "watching").await;
    let see = async |path: String| {
        let url = format!("http://{}{path}", house.admin);
        let answer = house.http.get(url).bearer_auth(&viewer).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, shown) = see(format!("/v1/effects/{effect}")).await;
    assert!(
        status == 200 && shown.contains("walletHashId") && !shown.contains("kyc.example.test"),
        "{shown}"
    );
    assert_eq!(see(format!("/v1/customers/{id}/redirect")).await.0, 403);
    let (status, shown) = see(format!("/v1/customers/{id}")).await;
    assert!(status == 200 && shown.contains("expiresAt") && !shown.contains("kyc.example.test"), "{shown}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_does_not_make_a_double_either() {
    let house = House::start().await;
    house.fault(json!({ "endpoint": "add_customer", "kind": "answer_lost" })).await;
    house.fault(json!({ "endpoint": "list_item", "kind": "item", "how": "left_out", "times": 1 })).await;
    let asked = asked(&house, application("Ana"), None);
    house
        .eventually("it is answered", async || {
            house.advance(STEP);
            asked.is_finished()
        })
        .await;
    let (status, done) = asked.await.unwrap().unwrap();
    assert_eq!((status, &done["outcome"]), (201, &json!("found_at_nium")), "{done}");
    assert_eq!(at_nium(&house).await, (1, 2), "sent again, refused by Nium as a double, and found then");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_a_lost_attempt_is_nium_s_answer() {
    let house = House::start().await;
    assert_eq!(onboard(&house, application("Ana")).await.0, 201);
    house.fault(json!({ "endpoint": "add_customer", "kind": "drop" })).await;
    let asked = asked(&house, application("Ana"), None);
    house
        .eventually("it is answered", async || {
            house.advance(STEP);
            asked.is_finished()
        })
        .await;
    let (status, refused) = asked.await.unwrap().unwrap();
    assert_eq!((status, &refused["code"]), (422, &json!("refused_by_nium")), "{refused}");
    assert_eq!(at_nium(&house).await.0, 1);
    house.close().await;
}
