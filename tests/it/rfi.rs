//! Requests for information: asked, shown, answered once and as a whole, followed to their end; of persons and companies, and
//! beside an approval.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, PNG, TOKEN, spawn};

async fn ask_for(house: &House, id: &str, what: &[&str]) {
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": what })).await;
}

async fn asked(house: &House, id: &str, items: usize) -> Value {
    let path = format!("/v1/customers/{id}/rfi");
    house
        .eventually("it is asked", async || {
            let (_, shown) = house.get(&path).await;
            shown["open"] == true && shown["items"].as_array().unwrap().len() == items
        })
        .await;
    house.get(&path).await.1
}

async fn answer(house: &House, id: &str, body: Value) -> (u16, Value) {
    house.ask(Method::POST, &format!("/v1/customers/{id}/rfi"), Some(body)).await
}

/// An answer to everything that is shown as open.
fn whole(shown: &Value) -> Value {
    let open = shown["items"].as_array().unwrap().iter();
    let answers =
        open.filter(|item| item["status"] == "RFI_REQUESTED" && item["fields"] != json!([])).map(|item| {
            let mut fields = json!({});
            for field in item["fields"].as_array().unwrap() {
                match field["name"].as_str().unwrap() {
                    "document" | "identificationValue" => fields["identificationDoc"] = passport(),
                    "isPep" => fields["isPep"] = json!(false),
                    "dateOfBirth" => fields["dateOfBirth"] = json!("1990-02-03"),
                    "tradeName" => fields["businessInfo"] = json!({ "tradeName": "Quartz" }),
                    name => fields[name] = json!("Ada Mary"),
                }
            }
            json!({ "rfiHashId": item["rfiHashId"], "fields": fields })
        });
    json!({ "answers": answers.collect::<Vec<_>>() })
}

fn passport() -> Value {
    json!({ "identificationType": "Passport", "identificationValue": "X0000001",
        "identificationDocument": [{ "fileName": "p.png", "fileType": "image/png", "document": PNG }] })
}

/// How often Nium was answered, and how often it took it.
fn answered(house: &House, id: &str) -> (usize, usize) {
    let journal = house.sim.journal();
    let mine = journal
        .iter()
        .filter(|entry| entry.endpoint == "rfi_answer" && entry.customer_hash_id.as_deref() == Some(id));
    let mine: Vec<_> = mine.collect();
    (mine.len(), mine.iter().filter(|entry| entry.applied).count())
}

async fn at_nium(house: &House, id: &str) -> Value {
    house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await
}

fn told(house: &House, id: &str) -> usize {
    house.events(id).iter().filter(|event| *event == "rfi_requested").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_shown_in_plain_words_answered_and_followed_to_its_end() {
    for (object, end, state) in [(false, "COMPLETED", "approved"), (true, "REJECT", "awaiting_correction")] {
        let house = House::start().await;
        let id = house.onboard("Ana").await;
        house.until(&id, "watching").await;
        house
            .nium(
                Method::POST,
                &format!("/__sim/customers/{id}/quirk"),
                json!({ "rfi_object": object, "spaced_words": object }),
            )
            .await;
        ask_for(&house, &id, &["firstName", "passport", "isPep", "internal"]).await;
        let shown = asked(&house, &id, 4).await;
        assert!(shown["items"][0]["question"].as_str().unwrap().contains("first name"), "{shown}");
        assert!(shown["items"][1]["question"].as_str().unwrap().contains("passport"), "{shown}");
        assert_eq!(
            shown["items"][1]["fields"][1],
            json!({ "name": "document", "label": "Passport", "kind": "document", "required": true })
        );
        assert_eq!((&shown["items"][3]["fields"], &shown["overdue"]), (&json!([]), &json!(false)));
        assert!(shown["deadline"].is_string() && shown["fetchedAt"].is_string());
        house.heard(&id, "customer.rfi_requested").await;

        let (status, done) = answer(&house, &id, whole(&shown)).await;
        assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
        let there = at_nium(&house, &id).await;
        assert_eq!(there["rfiAnswers"][0]["firstName"], "Ada Mary");
        assert!(there["rfiAnswers"][1]["identificationDoc"].is_object());
        assert_eq!(there["rfiAnswers"][2]["isPep"], "false");
        let (_, after) = house.get(&format!("/v1/customers/{id}/rfi")).await;
        assert_eq!((&after["open"], &after["items"]), (&json!(false), &json!([])), "{after}");
        let (status, refused) = answer(&house, &id, whole(&shown)).await;
        assert_eq!((status, &refused["code"]), (409, &json!("no_rfi_open")), "{refused}");
        let path = format!("/api/v1/simulations/onboard/{id}/transition");
        house.nium(Method::POST, &path, json!({ "nextStatus": end })).await;
        house.until(&id, state).await;
        assert_eq!((answered(&house, &id), told(&house, &id)), ((1, 1), 1));
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_is_told_again_also_when_nobody_looked_in_between() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    ask_for(&house, &id, &["firstName"]).await;
    let first = asked(&house, &id, 1).await;
    answer(&house, &id, whole(&first)).await;
    ask_for(&house, &id, &["lastName"]).await;
    let second = asked(&house, &id, 2).await;
    assert_eq!(second["items"][0]["status"], "RFI_RESPONDED");
    house.eventually("it is told", async || told(&house, &id) == 2).await;
    let callbacks = format!("/v1/callbacks?customerHashId={id}");
    house
        .eventually("nobody looks any more", async || {
            let is_in = house.get(&callbacks).await.1["items"].as_array().unwrap().len() == 4;
            is_in && house.get("/v1/jobs").await.1["items"] == json!([])
        })
        .await;
    // Nium asks for something else before anybody answered.
    house.fault(json!({ "endpoint": "callback", "kind": "drop_callback" })).await;
    ask_for(&house, &id, &["dateOfBirth"]).await;
    let (status, refused) = answer(&house, &id, whole(&second)).await;
    assert_eq!((status, &refused["errors"][0]["message"]), (409, &json!("rfi_changed")), "{refused}");
    let third = asked(&house, &id, 3).await;
    house.eventually("it is told", async || told(&house, &id) == 3).await;
    let (status, done) = answer(&house, &id, whole(&third)).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    assert_eq!(answered(&house, &id), (2, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_is_refused_before_nium_is_asked() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    let (status, none) = answer(&house, &id, json!({ "answers": [] })).await;
    assert_eq!((status, &none["code"]), (409, &json!("no_rfi_open")), "{none}");
    ask_for(&house, &id, &["firstName", "passport"]).await;
    let shown = asked(&house, &id, 2).await;
    let (name, pass) =
        (shown["items"][0]["rfiHashId"].as_str().unwrap(), shown["items"][1]["rfiHashId"].as_str().unwrap());
    let good = whole(&shown);
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let mut one = good.clone();
    one["answers"].as_array_mut().unwrap().pop();
    let document = "/answers/1/fields/identificationDoc";
    for (body, field) in [
        (one, format!("answers.{pass}")),
        (with("/answers/0/fields/firstName", json!("n".repeat(41))), format!("answers.{name}.firstName")),
        (with("/answers/0/fields/firstName", json!("")), format!("answers.{name}.firstName")),
        (with("/answers/0/fields", json!({ "first_name": "Ada" })), format!("answers.{name}.first_name")),
        (with("/answers/0/rfiHashId", json!("other")), "answers[0].rfiHashId".to_owned()),
        (with(document, json!([passport()])), format!("answers.{pass}.identificationDoc")),
        (
            with(&format!("{document}/identificationDocument/0/document"), json!("PGh0bWw+")),
            format!("answers.{pass}.identificationDoc.identificationDocument[0].fileType"),
        ),
        (
            with(document, json!({ "identificationType": "Passport", "identificationValue": "X0000001" })),
            format!("answers.{pass}.document"),
        ),
        (json!({ "answers": good["answers"], "note": 1 }), "answers".to_owned()),
    ] {
        let (status, refused) = answer(&house, &id, body).await;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_fields")), "{field}: {refused}");
        let fields: Vec<&str> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert!(fields.contains(&field.as_str()), "{field}: {refused}");
    }
    assert_eq!(answered(&house, &id), (0, 0));
    let (status, shown) =
        house.ask(Method::POST, &format!("/v1/customers/{id}/rfi?dryRun=true"), Some(good)).await;
    assert_eq!((status, &shown["method"]), (200, &json!("POST")), "{shown}");
    assert!(shown.to_string().contains("characters of base64)") && !shown.to_string().contains(PNG));
    assert_eq!(answered(&house, &id), (0, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_by_looking_and_given_once() {
    let house = House::start().await;
    for (kind, sent) in [("answer_lost", 1), ("drop", 2), ("truncated", 1), ("status", 2)] {
        let id = house.onboard(&format!("Ana{kind}")).await;
        house.until(&id, "watching").await;
        ask_for(&house, &id, &["firstName"]).await;
        let shown = asked(&house, &id, 1).await;
        house
            .fault(json!({ "endpoint": "rfi_answer", "customerHashId": id, "kind": kind, "code": 503 }))
            .await;
        let (url, http) = (format!("http://{}/v1/customers/{id}/rfi", house.admin), house.http.clone());
        let given = spawn(async move {
            let body = whole(&shown);
            let answer = http
                .post(url)
                .bearer_auth(TOKEN)
                .header("idempotency-key", "k")
                .json(&body)
                .send()
                .await
                .unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap(), body)
        });
        house
            .eventually("it is answered", async || {
                // Little, so that a lease lasts on a busy machine too.
                house.advance(Duration::from_millis(200));
                given.is_finished()
            })
            .await;
        let (status, done, _) = given.await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("done")), "{kind} {done}");
        assert_eq!(answered(&house, &id), (sent, 1), "{kind}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_and_cannot_be_read_is_asked_again_and_the_look_is_kept() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    for kind in ["html200", "truncated", "status", "huge"] {
        house.fault(json!({ "endpoint": "rfi", "customerHashId": id, "kind": kind, "code": 500 })).await;
    }
    ask_for(&house, &id, &["firstName"]).await;
    house.heard(&id, "customer.rfi_requested").await;
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(
        (&case["nium"]["complianceStatus"], &case["rfi"]["open"]),
        (&json!("RFI_REQUESTED"), &json!(true))
    );
    house
        .eventually("it is had after all", async || {
            house.advance(Duration::from_secs(5));
            house.get(&format!("/v1/customers/{id}/rfi")).await.1["items"] != json!([])
        })
        .await;
    assert_eq!(told(&house, &id), 1, "it is the same request");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beside_an_approval_disturbs_nothing() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    ask_for(&house, &id, &["bankStatement"]).await;
    let shown = asked(&house, &id, 1).await;
    house.until(&id, "approved").await;
    let tags = Some(json!({ "set": { "tier": "gold" } }));
    let (status, done) = house.ask(Method::POST, &format!("/v1/customers/{id}/tags"), tags).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    let mobile = Some(json!({ "mobile": "80000009" }));
    assert_eq!(house.ask(Method::PATCH, &format!("/v1/customers/{id}"), mobile).await.0, 200);
    let (status, done) = answer(&house, &id, whole(&shown)).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house
        .eventually("it is over", async || house.get(&format!("/v1/customers/{id}")).await.1["rfi"].is_null())
        .await;
    let events = house.events(&id);
    assert_eq!(events.iter().filter(|event| *event == "approved").count(), 1, "{events:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_asked_and_answers_under_its_own_names() {
    let house = House::start().await;
    let company = house.nium(Method::POST, "/__sim/customers", json!({ "customerType": "CORPORATE" })).await;
    let id = company["customerHashId"].as_str().unwrap().to_owned();
    house.until(&id, "watching").await;
    ask_for(&house, &id, &["tradeName"]).await;
    let shown = asked(&house, &id, 1).await;
    assert_eq!(shown["items"][0]["question"], "Tell us: tradeName");
    let (status, refused) = answer(&house, &id, json!({ "answers": [{ "rfiHashId": shown["items"][0]["rfiHashId"], "fields": { "firstName": "Ada" } }] })).await;
    assert_eq!(status, 422, "{refused}");
    let (status, done) = answer(&house, &id, whole(&shown)).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    let there = at_nium(&house, &id).await;
    assert_eq!(there["rfiAnswers"][0]["businessInfo"]["tradeName"], "Quartz");
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_asked_or_answered_lies_in_clear() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    ask_for(&house, &id, &["firstName"]).await;
    let shown = asked(&house, &id, 1).await;
    let body = json!({ "answers": [{ "rfiHashId": shown["items"][0]["rfiHashId"], "fields": { "firstName": "Zebedee" } }] });
    assert_eq!(answer(&house, &id, body).await.0, 200);
    house.database.hides(&["Zebedee", "Please check", "First Name"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_look_before_sending_meets_does_not_stop_all_calls() {
    // One call at a time: whoever holds the only place and waits for another waits for ever, and everybody else too.
    let house = House::with(&[("NIUM__CONCURRENCY", "1")]).await;
    let id = house.rejected("Ana").await;
    house.fault(json!({ "endpoint": "callback", "kind": "drop_callback" })).await;
    ask_for(&house, &id, &["firstName"]).await;
    let (status, answer) = house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    assert_eq!(status, 202, "{answer}");
    let other = house.onboard("Bo").await;
    house.until(&other, "watching").await;
    house
        .eventually("the correction is not under way any more", async || {
            house.get(&format!("/v1/customers/{id}")).await.1["state"] != "submitting"
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_checked_waits_and_does_not_spin() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    ask_for(&house, &id, &["firstName"]).await;
    let shown = asked(&house, &id, 1).await;
    house.fault(json!({ "endpoint": "rfi", "kind": "html200", "times": 100_000 })).await;
    let looks = || house.sim.journal().iter().filter(|entry| entry.endpoint == "details").count();
    let before = looks();
    // The clocks stand still, so that nothing is due again while it is waited for.
    let (status, waits) = answer(&house, &id, whole(&shown)).await;
    assert_eq!(status, 202, "{waits}");
    assert!(looks() - before <= 5, "Nium was asked {} times", looks() - before);
    house.nium(Method::DELETE, "/__sim/faults", json!({})).await;
    house
        .eventually("it is given", async || {
            house.advance(Duration::from_millis(200));
            answered(&house, &id) == (1, 1)
        })
        .await;
    house.close().await;
}
