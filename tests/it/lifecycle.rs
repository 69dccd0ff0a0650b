//! The customer's life on Nium beside the way back: details, block and unblock, tags, updates. Each with its refusals, its
//! lost answers, and the proof that it was done once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Plan, TOKEN, done, spawn};

async fn approved(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    // Else the look that follows the second callback may come later than this.
    house.until(&id, "watching").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    id
}

async fn post(house: &House, id: &str, what: &str, body: Value) -> (u16, Value) {
    done(house.http.post(format!("http://{}/v1/customers/{id}/{what}", house.admin)).json(&body)).await
}

async fn patch(house: &House, id: &str, body: Value) -> (u16, Value) {
    done(house.http.patch(format!("http://{}/v1/customers/{id}", house.admin)).json(&body)).await
}

/// The clocks go on while nobody is in hand: a lease lasts on a busy machine too.
async fn time_passes(house: &House) {
    let (_, held) = house.get("/v1/jobs?kind=look&status=held").await;
    if held["items"] == json!([]) {
        house.advance(Duration::from_secs(1));
    }
}

fn block(action: &str, reason: &str) -> Value {
    json!({ "action": action, "reason": reason, "comment": "Case 1001" })
}

/// How often Nium was asked to do this, and how often it did.
fn writes(house: &House, id: &str, endpoint: &str) -> (usize, usize) {
    let journal = serde_json::to_value(house.sim.journal()).unwrap();
    let entries = journal.as_array().unwrap().iter();
    let mine: Vec<&Value> =
        entries.filter(|entry| entry["endpoint"] == endpoint && entry["customerHashId"] == id).collect();
    (mine.len(), mine.iter().filter(|entry| entry["applied"] == true).count())
}

async fn at_nium(house: &House, id: &str) -> Value {
    house.nium(Method::GET, &format!("/__sim/customers/{id}"), Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_suspended_and_unblocked_and_the_backend_hears_of_both() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    let (status, done) = post(&house, &id, "block", block("TEMPORARY_BLOCK", "SUSPICIOUS_ACTIVITY")).await;
    assert_eq!((status, &done["status"], &done["outcome"]), (200, &json!("done"), &json!("done")), "{done}");
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((&case["state"], &case["nium"]["status"]), (&json!("approved"), &json!("Suspended")));
    assert_eq!((&case["block"]["permanent"], &case["block"]["by"]), (&json!(false), &json!("CLIENT")));
    assert_eq!(case["block"]["reason"], "SUSPICIOUS_ACTIVITY");
    house.heard(&id, "customer.suspended").await;

    // Asked again, it is so already, and Nium is not bothered.
    let (status, again) = post(&house, &id, "block", block("TEMPORARY_BLOCK", "CLIENT_REQUEST")).await;
    assert_eq!((status, &again["outcome"]), (200, &json!("already_so")));
    assert_eq!(writes(&house, &id, "block"), (1, 1));

    let (status, done) = post(&house, &id, "block", block("UNBLOCK", "CLIENT_REQUEST")).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    house.heard(&id, "customer.unblocked").await;
    assert_eq!(at_nium(&house, &id).await["status"], "Clear");
    let (status, refused) = post(&house, &id, "block", block("UNBLOCK", "CLIENT_REQUEST")).await;
    assert_eq!((status, &refused["errors"][0]["message"]), (409, &json!("not_blocked")), "{refused}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_unblock_is_judged_by_a_fresh_look() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    // Nium suspends, and no callback tells: what is on file still says Clear.
    let by_nium = json!({ "complianceStatus": "COMPLETED", "status": "Suspended", "silent": true });
    house.nium_says(&id, by_nium).await;
    let (status, refused) = post(&house, &id, "block", block("UNBLOCK", "CUSTOMER_REQUEST")).await;
    assert_eq!((status, &refused["code"]), (409, &json!("refused_by_rule")), "{refused}");
    assert_ne!(refused["errors"][0]["message"], "not_blocked");
    assert_eq!(writes(&house, &id, "block"), (0, 0), "Nium was not asked");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_block_needs_a_receipt_of_the_customer_as_they_stand() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    let order = block("PERMANENT_BLOCK", "FRAUDULENT_ACTIVITY");
    let (status, first) = post(&house, &id, "block", order.clone()).await;
    assert_eq!((status, first["would"]["nium"]["status"].as_str()), (200, Some("Clear")), "{first}");
    assert_eq!(writes(&house, &id, "block"), (0, 0), "a receipt does nothing");
    let with = |receipt: &Value, order: &Value| {
        let mut order = order.clone();
        order["receipt"] = receipt.clone();
        order
    };
    let other = block("PERMANENT_BLOCK", "DECEASED");
    assert_eq!(post(&house, &id, "block", with(&first["receipt"], &other)).await.0, 409);
    assert_eq!(post(&house, &id, "block", with(&json!("no receipt"), &order)).await.0, 409);
    // The customer moves: the receipt is about somebody else now.
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    let (status, moved) = post(&house, &id, "block", with(&first["receipt"], &order)).await;
    assert_eq!((status, &moved["code"]), (409, &json!("customer_moved")), "{moved}");

    let (_, second) = post(&house, &id, "block", order.clone()).await;
    let asked = async || {
        let url = format!("http://{}/v1/customers/{id}/block", house.admin);
        let request = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", "for-good");
        let answer = request.json(&with(&second["receipt"], &order)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let begun = std::time::Instant::now();
    let (mut status, mut done) = asked().await;
    while status == 202 && begun.elapsed() < Duration::from_mins(1) {
        (status, done) = asked().await;
    }
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    // The answer was lost: the same key gives it again, although the customer has moved.
    let (status, again) = asked().await;
    assert_eq!((status, &again["effectId"]), (200, &done["effectId"]), "{again}");
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!((&case["reason"], &case["block"]["permanent"]), (&json!("blocked"), &json!(true)));
    let (status, refused) = post(&house, &id, "block", block("UNBLOCK", "CLIENT_REQUEST")).await;
    assert_eq!((status, &refused["errors"][0]["message"]), (409, &json!("permanently_blocked")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nium_refuses_reaches_the_caller_whole() {
    let house = House::with(&[("NIUM__NEWER_BLOCK_REASONS", "true")]).await;
    let id = approved(&house, "Ana").await;
    house
        .nium(Method::POST, &format!("/__sim/customers/{id}/quirk"), json!({ "unknown_status": "ODD" }))
        .await;
    let (status, refused) = post(&house, &id, "block", block("UNBLOCK", "CLIENT_REQUEST")).await;
    assert_eq!((status, &refused["code"]), (422, &json!("refused_by_nium")), "{refused}");
    assert_eq!(refused["detail"], "Customer cannot be blocked or unblocked");
    assert_eq!(refused["errors"], json!([{ "field": "nium", "message": "Customer is not blocked" }]));
    // The same key gives the same answer, whatever it was.
    let url = format!("http://{}/v1/customers/{id}/block", house.admin);
    for _ in 0..2 {
        let request = house.http.post(&url).bearer_auth(TOKEN).header("idempotency-key", "the key");
        let answer = request.json(&block("UNBLOCK", "CLIENT_REQUEST")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 422);
    }
    assert_eq!(writes(&house, &id, "block"), (2, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_set_deleted_counted_and_verified_one_by_one() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    let (status, done) =
        post(&house, &id, "tags", json!({ "set": { "tier": "gold", "campaign": "x" } })).await;
    assert_eq!(
        (status, &done["said"]["tags"]),
        (200, &json!({ "campaign": "done", "tier": "done" })),
        "{done}"
    );
    let (_, done) =
        post(&house, &id, "tags", json!({ "set": { "tier": "platinum" }, "delete": ["campaign"] })).await;
    assert_eq!(done["said"]["onFile"], json!({ "tier": "platinum" }), "{done}");
    let many: serde_json::Map<String, Value> = (0..15).map(|n| (format!("k{n}"), json!("v"))).collect();
    let (status, refused) = post(&house, &id, "tags", json!({ "set": many })).await;
    assert_eq!((status, &refused["errors"][0]["message"]), (409, &json!("too_many_tags")));
    for body in [
        json!({}),
        json!({ "set": { "": "v" } }),
        json!({ "set": { "k": 1 } }),
        json!({ "set": { "k": "v" }, "delete": ["k"] }),
        json!({ "x": 1 }),
    ] {
        assert_eq!(post(&house, &id, "tags", body.clone()).await.0, 422, "{body}");
    }
    assert_eq!(writes(&house, &id, "tags"), (2, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_follows_niums_rules_and_a_fresh_look() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    let (status, done) =
        patch(&house, &id, json!({ "email": "new@example.test", "mobile": "80000001" })).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    assert_eq!(at_nium(&house, &id).await["application"]["email"], "new@example.test");
    for field in ["deliveryCity", "correspondenceCity", "billingCity", "occupation"] {
        let value = if field == "occupation" { "OC2110" } else { "Elsewhere" };
        let (status, refused) = patch(&house, &id, json!({ field: value })).await;
        assert_eq!(
            (status, &refused["errors"][0]["message"]),
            (409, &json!("completed_allows_contact_only")),
            "{field}"
        );
    }
    for (body, field) in [
        (json!({ "firstName": "Bo" }), "firstName"),
        (json!({ "dateOfBirth": "1990-01-01" }), "dateOfBirth"),
        (json!({ "nationality": "SG" }), "nationality"),
        (json!({ "email": "no address" }), "email"),
        (json!({ "colour": "red" }), "colour"),
        (json!({ "email": "a@example.test", "authenticationCode": "x" }), "authenticationCode"),
        (json!({}), "body"),
    ] {
        let (status, refused) = patch(&house, &id, body.clone()).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!(field)), "{body} {refused}");
    }
    // Nium takes it up again, and nobody tells us: the fresh look decides.
    house
        .nium_says(&id, json!({ "complianceStatus": "ACTION_REQUIRED", "status": "Pending", "silent": true }))
        .await;
    let (status, done) = patch(&house, &id, json!({ "billingCity": "Elsewhere" })).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authentication_code_is_demanded_in_the_eu_and_never_lies_open() {
    let house = House::build(Plan { env: vec![("NIUM__REGION", "EU".to_owned())], ..Plan::default() }).await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    assert_eq!(patch(&house, &id, json!({ "mobile": "80000001" })).await.0, 422);
    let body = json!({ "mobile": "80000001", "authenticationCode": "planted-sca-code" });
    let (_, shown) =
        house.ask(Method::PATCH, &format!("/v1/customers/{id}?dryRun=true"), Some(body.clone())).await;
    assert_eq!(
        (&shown["body"]["authenticationCode"], &shown["method"]),
        (&json!("***"), &json!("POST")),
        "{shown}"
    );
    // The pretend Nium of these tests is in Singapore: it refuses the code, which proves that it was sent.
    let (status, refused) = patch(&house, &id, body).await;
    assert_eq!(
        (status, &refused["errors"][0]["message"]),
        (422, &json!("authenticationCode: not allowed")),
        "{refused}"
    );
    house.database.hides(&["planted-sca-code"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_by_looking_and_nothing_is_done_twice() {
    let house = House::start().await;
    for (kind, sent) in [("answer_lost", 1), ("drop", 2), ("truncated", 1), ("status", 2)] {
        let id = approved(&house, &format!("Ana{kind}")).await;
        house.fault(json!({ "endpoint": "block", "customerHashId": id, "kind": kind, "code": 503 })).await;
        let (url, http) = (format!("http://{}/v1/customers/{id}/block", house.admin), house.http.clone());
        let order = block("TEMPORARY_BLOCK", "CLIENT_REQUEST");
        let asked = spawn(done(http.post(url).json(&order)));
        house
            .eventually("it is done", async || {
                time_passes(&house).await;
                at_nium(&house, &id).await["status"] == "Suspended" && asked.is_finished()
            })
            .await;
        let (status, done) = asked.await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("done")), "{kind} {done}");
        assert_eq!(writes(&house, &id, "block"), (sent, 1), "{kind}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_survives_a_restart_and_is_done_once() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    house.fault(json!({ "endpoint": "tags", "customerHashId": id, "kind": "wait", "name": "gate" })).await;
    let (url, http) = (format!("http://{}/v1/customers/{id}/tags", house.admin), house.http.clone());
    let asked = spawn(async move {
        let body = json!({ "set": { "tier": "gold" } });
        http.post(url).bearer_auth(TOKEN).json(&body).send().await.map(|answer| answer.status().as_u16())
    });
    house.eventually("Nium has it", async || writes(&house, &id, "tags").1 == 1).await;
    let (_, blocked) = post(&house, &id, "block", block("TEMPORARY_BLOCK", "CLIENT_REQUEST")).await;
    assert_eq!(blocked["code"], "write_under_way", "{blocked}");
    house.nium(Method::POST, "/__sim/release/gate", json!({})).await;
    let house = house.restart().await;
    drop(asked);
    house
        .eventually("it has ended", async || {
            house.advance(Duration::from_secs(1));
            house.story(&id).await.contains("act ended")
        })
        .await;
    assert_eq!(writes(&house, &id, "tags"), (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn details_are_fresh_when_asked_for() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    house.advance(Duration::from_secs(2));
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "silent": true })).await;
    let (_, stale) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(stale["nium"]["complianceStatus"], "COMPLETED");
    let (status, fresh) = house.get(&format!("/v1/customers/{id}?refresh=true")).await;
    assert_eq!(
        (status, &fresh["nium"]["complianceStatus"], &fresh["nium"]["status"]),
        (200, &json!("REJECT"), &json!("Failed")),
        "{fresh}"
    );
    assert_eq!(house.get(&format!("/v1/customers/{id}?refresh=maybe")).await.0, 400);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_another_type_than_it_should_is_refused_not_passed_over() {
    let house = House::start().await;
    let id = approved(&house, "Ana").await;
    for (last, body, field) in [
        ("tags", json!({ "set": { "tier": "gold" }, "delete": {} }), "delete"),
        ("tags", json!({ "set": [], "delete": ["campaign"] }), "set"),
        (
            "block",
            json!({ "action": "TEMPORARY_BLOCK", "reason": "CLIENT_REQUEST", "comment": "c", "receipt": {} }),
            "receipt",
        ),
    ] {
        let (status, refused) = post(&house, &id, last, body).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!(field)), "{refused}");
    }
    let url = format!("http://{}/v1/customers/{id}/tags", house.admin);
    let request = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", "two\twords");
    let answer = request.json(&json!({ "set": { "a": "b" } })).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_is_done_twice_for_a_lost_answer() {
    let house = House::start().await;
    for (kind, sent) in [("answer_lost", 1), ("drop", 2), ("truncated", 1), ("status", 2)] {
        let id = approved(&house, &format!("Bo{kind}")).await;
        for (endpoint, method, last, body) in [
            ("tags", Method::POST, "/tags", json!({ "set": { "tier": "gold" } })),
            ("tags", Method::POST, "/tags", json!({ "delete": ["tier"] })),
            ("update", Method::PATCH, "", json!({ "mobile": "80000077" })),
            ("block", Method::POST, "/block", block("TEMPORARY_BLOCK", "CUSTOMER_REQUEST")),
            ("block", Method::POST, "/block", block("UNBLOCK", "CUSTOMER_REQUEST")),
        ] {
            let before = writes(&house, &id, endpoint);
            house
                .fault(json!({ "endpoint": endpoint, "customerHashId": id, "kind": kind, "code": 500 }))
                .await;
            let (url, http) = (format!("http://{}/v1/customers/{id}{last}", house.admin), house.http.clone());
            let asked = spawn(done(http.request(method, url).json(&body)));
            house
                .eventually("it is answered", async || {
                    time_passes(&house).await;
                    asked.is_finished()
                })
                .await;
            let (status, done) = asked.await.unwrap();
            assert_eq!((status, &done["status"]), (200, &json!("done")), "{kind} {body}: {done}");
            let after = writes(&house, &id, endpoint);
            assert_eq!((after.0 - before.0, after.1 - before.1), (sent, 1), "{kind} {body}");
        }
    }
    house.close().await;
}
