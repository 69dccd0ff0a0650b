//! An officer's word: with a note, about a parked case, for somebody who was blocked for good, and with a second person.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN};

const WEEK: Duration = Duration::from_hours(7 * 24);

/// Makes a token, and gives it.
fn token(house: &House, name: &str) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["token", "create", "--role", "officer", "--name", name])
        .env("REINSTATE__STORE__URL", house.database.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Asks as somebody, perhaps with an `Idempotency-Key`.
async fn ask_as(house: &House, token: &str, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
    let url = format!("http://{}{path}", house.admin);
    let mut request = house.http.post(url).bearer_auth(token).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn decide(house: &House, id: &str, body: Value) -> (u16, Value) {
    ask_as(house, TOKEN, &format!("/v1/customers/{id}/decision"), &body, None).await
}

async fn verdict(house: &House, token: &str, id: &Value, body: Value) -> (u16, Value) {
    ask_as(house, token, &format!("/v1/approvals/{}", id.as_str().unwrap()), &body, None).await
}

async fn shown(house: &House, id: &str) -> Value {
    house.get(&format!("/v1/customers/{id}")).await.1
}

/// Lines of a timeline of one kind.
async fn lines(house: &House, id: &str, what: &str) -> Vec<Value> {
    let (_, timeline) = house.get(&format!("/v1/customers/{id}/timeline")).await;
    let lines = timeline["items"].as_array().unwrap().iter();
    lines.filter(|line| line["what"] == what).map(|line| line["detail"].clone()).collect()
}

/// What becomes of an effect.
async fn ended(house: &House, effect: &Value) -> Value {
    let path = format!("/v1/effects/{}", effect.as_str().unwrap());
    house.eventually("the effect ends", async || house.get(&path).await.1["ended"] == true).await;
    house.get(&path).await.1
}

async fn approved(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    id
}

async fn parked(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&id, "needs_officer").await;
    id
}

async fn closed(house: &House, name: &str) -> String {
    let id = house.rejected(name).await;
    assert_eq!(decide(house, &id, json!({ "decision": "final" })).await.0, 202);
    house.until(&id, "finally_rejected").await;
    id
}

/// The permanent block, with its receipt; gives the second answer.
async fn block_for_good(house: &House, id: &str) -> (u16, Value) {
    let path = format!("/v1/customers/{id}/block");
    let mut order =
        json!({ "action": "PERMANENT_BLOCK", "reason": "FRAUDULENT_ACTIVITY", "comment": "Case Quetzal" });
    let (status, first) = ask_as(house, TOKEN, &path, &order, None).await;
    assert_eq!(status, 200, "{first}");
    order["receipt"] = first["receipt"].clone();
    ask_as(house, TOKEN, &path, &order, None).await
}

async fn blocked(house: &House, name: &str) -> String {
    let id = approved(house, name).await;
    let (status, done) = block_for_good(house, &id).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("done")), "{done}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_shown_in_the_timeline_and_lies_open_nowhere() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let body = json!({ "decision": "final", "note": "Xylophonist, see passport" });
    assert_eq!(decide(&house, &id, body).await.0, 202);
    house.until(&id, "finally_rejected").await;
    let said = lines(&house, &id, "officer").await.remove(0);
    assert_eq!((&said["word"], &said["by"]), (&json!("final"), &json!("bootstrap")));
    assert_eq!(said["note"], "Xylophonist, see passport");
    assert!(said["noteId"].is_null(), "{said}");
    house.heard(&id, "customer.finally_rejected").await;
    assert!(house.ear.all().iter().all(|told| !told.body.to_string().contains("ylophonist")));
    house.database.hides(&["ylophonist"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_decision_is_refused() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    for body in [
        json!([]),
        json!({}),
        json!({ "decision": "sing" }),
        json!({ "decision": "offer", "colour": "red" }),
        json!({ "decision": "offer", "note": "" }),
        json!({ "decision": "offer", "note": 1 }),
        json!({ "decision": "offer", "note": "n".repeat(1_001) }),
    ] {
        let (status, problem) = decide(&house, &id, body.clone()).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_decision")), "{body}");
    }
    let longest = "n".repeat(1_000);
    assert_eq!(decide(&house, &id, json!({ "decision": "offer", "note": longest })).await.0, 202);
    assert!(lines(&house, &id, "officer").await[0]["note"].as_str().is_some_and(|note| note.len() == 1_000));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_case_is_taken_in_hand_by_one_and_then_another_until_it_is_decided() {
    let house = House::start().await;
    let id = parked(&house, "Ana").await;
    assert!(shown(&house, &id).await["officer"].is_null());
    let (status, taken) =
        decide(&house, &id, json!({ "decision": "take_over", "note": "Calling Ana" })).await;
    assert_eq!((status, &taken["officer"]["by"]), (200, &json!("bootstrap")), "{taken}");
    let case = shown(&house, &id).await;
    assert_eq!(
        (&case["officer"]["by"], &case["officer"]["note"]),
        (&json!("bootstrap"), &json!("Calling Ana"))
    );
    assert_eq!(
        (&case["officer"]["since"], &case["state"]),
        (&taken["officer"]["since"], &json!("needs_officer"))
    );
    let (_, jobs) = house.get("/v1/jobs?status=parked").await;
    assert_eq!(jobs["items"][0]["officer"]["by"], "bootstrap", "{jobs}");

    let kim = token(&house, "kim");
    let path = format!("/v1/customers/{id}/decision");
    let (status, _) = ask_as(&house, &kim, &path, &json!({ "decision": "take_over" }), None).await;
    assert_eq!(status, 200);
    let house = house.restart().await;
    let case = shown(&house, &id).await;
    assert_eq!((&case["officer"]["by"], &case["officer"]["note"]), (&json!("kim"), &Value::Null));
    let (_, list) = house.get("/v1/customers?state=needs_officer").await;
    assert_eq!(list["items"][0]["officer"]["by"], "kim");
    assert_eq!(lines(&house, &id, "taken_over").await.len(), 2);

    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    assert!(shown(&house, &id).await["officer"].is_null(), "nobody has it in hand any more");
    let (status, problem) = decide(&house, &id, json!({ "decision": "take_over" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_parked")), "{problem}");
    house.nium_says(&id, json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&id, "needs_officer").await;
    assert!(shown(&house, &id).await["officer"].is_null(), "what was taken then is not taken now");
    house.database.hides(&["Calling Ana"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_twice_with_one_key_is_once_and_nobody_unknown_is_taken_over() {
    let house = House::start().await;
    let id = parked(&house, "Ana").await;
    let path = format!("/v1/customers/{id}/decision");
    let body = json!({ "decision": "take_over" });
    let first = ask_as(&house, TOKEN, &path, &body, Some("one key")).await;
    house.advance(Duration::from_mins(1));
    assert_eq!(ask_as(&house, TOKEN, &path, &body, Some("one key")).await, first);
    assert_eq!(lines(&house, &id, "taken_over").await.len(), 1);
    let (status, problem) = decide(&house, "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01", body).await;
    assert_eq!((status, &problem["code"]), (404, &json!("no_such_customer")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_customer_re_applies_and_is_reinstated_with_the_same_id() {
    let house = House::start().await;
    let id = blocked(&house, "Ana").await;
    let (_, stored) = decide(&house, &id, json!({ "decision": "offer" })).await;
    assert_eq!(ended(&house, &stored["effectId"]).await["status"], "refused", "an offer is another word");
    let (_, stored) = decide(&house, &id, json!({ "decision": "reapply", "note": "Appeal" })).await;
    assert_eq!(ended(&house, &stored["effectId"]).await["status"], "done");
    let case = house.until(&id, "awaiting_correction").await;
    assert_eq!(
        (&case["correction"]["reapplication"], &case["block"]["permanent"]),
        (&json!(true), &json!(true))
    );
    // Nium goes on showing the block: nothing is closed again by looking.
    for _ in 0..3 {
        house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
        house.advance(Duration::from_mins(30));
        house.get(&format!("/v1/customers/{id}?refresh=true")).await;
    }
    assert_eq!(shown(&house, &id).await["state"], "awaiting_correction");
    // The block lingers for three looks after Nium took it.
    let outcome = json!({ "onResubmission": "complete", "looks": 3 });
    house.nium(Method::POST, &format!("/__sim/customers/{id}/outcome"), outcome).await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    house.until(&id, "under_review").await;
    house
        .eventually("the block is gone", async || {
            house.advance(Duration::from_secs(1));
            shown(&house, &id).await["nium"]["status"] == "Pending"
        })
        .await;
    let story = house.story(&id).await;
    assert_eq!(story.matches("closed").count() + story.matches("permanently blocked").count(), 1, "{story}");
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    let case = house.until(&id, "reinstated").await;
    assert_eq!((&case["block"], &case["nium"]["status"]), (&Value::Null, &json!("Clear")));
    assert_eq!(house.submissions(&id), (1, 1));
    house.heard(&id, "customer.reinstated").await;
    // Another block is news again.
    block_for_good(&house, &id).await;
    house.heard(&id, "customer.blocked").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_re_application_that_nium_does_not_take_leaves_the_offer_open_until_its_deadline() {
    let house = House::start().await;
    let id = blocked(&house, "Ana").await;
    let outcome = json!({ "onResubmission": "complete", "refusesReapplication": true });
    house.nium(Method::POST, &format!("/__sim/customers/{id}/outcome"), outcome).await;
    decide(&house, &id, json!({ "decision": "reapply" })).await;
    house.until(&id, "awaiting_correction").await;
    let (_, handed_in) = house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "awaiting_correction").await;
    house
        .eventually("Nium refuses it", async || {
            house.advance(Duration::from_secs(1));
            house.get(&format!("/v1/effects/{}", handed_in["effectId"].as_str().unwrap())).await.1["status"]
                == "refused"
        })
        .await;
    assert_eq!(
        (house.submissions(&id).0, &shown(&house, &id).await["state"]),
        (0, &json!("awaiting_correction"))
    );
    house.advance(WEEK * 3);
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "deadline_passed");
    // And once more, as the customer is still blocked.
    decide(&house, &id, json!({ "decision": "reapply" })).await;
    house.until(&id, "awaiting_correction").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_re_applies() {
    let house = House::start().await;
    let (approved, rejected) = (approved(&house, "Ana").await, house.rejected("Bo").await);
    for id in [&approved, &rejected] {
        let before = shown(&house, id).await["state"].clone();
        let (status, stored) = decide(&house, id, json!({ "decision": "reapply" })).await;
        assert_eq!(status, 202);
        assert_eq!(ended(&house, &stored["effectId"]).await["status"], "refused");
        assert_eq!(shown(&house, id).await["state"], before);
    }
    house.close().await;
}

/// A house in which both kinds of things take two.
async fn house_of_two() -> (House, String) {
    let house = House::with(&[("FLOW__SECOND_PERSON", "permanent_block,override_final")]).await;
    let kim = token(&house, "kim");
    (house, kim)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_block_waits_for_a_second_person_and_is_done_in_both_names() {
    let (house, kim) = house_of_two().await;
    let id = approved(&house, "Ana").await;
    let (status, asked) = block_for_good(&house, &id).await;
    assert_eq!((status, &asked["needs"]), (202, &json!("second person")), "{asked}");
    let approval = asked["approvalId"].clone();
    assert_eq!(shown(&house, &id).await["nium"]["status"], "Clear", "nothing was done");
    let (status, problem) = block_for_good(&house, &id).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("approval_open")),
        "one question at a time: {problem}"
    );

    let (_, list) = house.get("/v1/approvals").await;
    let item = &list["items"][0];
    assert_eq!(
        (&item["approvalId"], &item["status"], &item["askedBy"]),
        (&approval, &json!("open"), &json!("bootstrap"))
    );
    assert_eq!(
        item["act"],
        json!({ "action": "PERMANENT_BLOCK", "reason": "FRAUDULENT_ACTIVITY", "comment": "Case Quetzal" })
    );
    let approve = json!({ "verdict": "approve", "note": "Agreed with Kim Yodeller" });
    let (status, problem) = verdict(&house, TOKEN, &approval, approve.clone()).await;
    assert_eq!((status, &problem["code"]), (403, &json!("second_person_needed")), "{problem}");
    assert!(problem["hint"].is_string());

    // What was asked before a restart is approved after it.
    let house = house.restart().await;
    let (status, done) = verdict(&house, &kim, &approval, approve.clone()).await;
    assert_eq!((status, &done["status"]), (202, &json!("approved")), "{done}");
    assert_eq!(ended(&house, &done["effectId"]).await["status"], "done");
    assert_eq!(shown(&house, &id).await["nium"]["status"], "Blocked");
    assert_eq!(verdict(&house, &kim, &approval, approve).await, (202, done), "the same again is the same");
    let asked = lines(&house, &id, "act_asked").await;
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0]["by"], &asked[0]["approvedBy"]), (&json!("bootstrap"), &json!("kim")));
    let decided = lines(&house, &id, "approval").await.remove(0);
    assert_eq!(
        (&decided["became"], &decided["note"]),
        (&json!("approved"), &json!("Agreed with Kim Yodeller"))
    );
    house.database.hides(&["odeller", "Quetzal"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overriding_a_final_rejection_takes_two_and_a_refusal_leaves_it() {
    let (house, kim) = house_of_two().await;
    let id = closed(&house, "Ana").await;
    let (status, asked) = decide(&house, &id, json!({ "decision": "offer", "note": "New documents" })).await;
    assert_eq!((status, &asked["needs"]), (202, &json!("second person")), "{asked}");
    let (status, refused) = verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "refuse" })).await;
    assert_eq!((status, &refused["status"]), (200, &json!("refused")));
    for body in [json!({ "verdict": "approve" })] {
        let (status, problem) = verdict(&house, &kim, &asked["approvalId"], body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("approval_closed")), "{problem}");
    }
    assert_eq!(shown(&house, &id).await["state"], "finally_rejected");

    let (_, asked) = decide(&house, &id, json!({ "decision": "offer" })).await;
    let (_, done) = verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "approve" })).await;
    assert_eq!(ended(&house, &done["effectId"]).await["status"], "done");
    house.until(&id, "awaiting_correction").await;
    let said = lines(&house, &id, "officer").await.pop().unwrap();
    assert_eq!((&said["by"], &said["approvedBy"]), (&json!("bootstrap"), &json!("kim")));
    let (_, list) = house.get("/v1/approvals").await;
    let statuses: Vec<&Value> =
        list["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, ["approved", "refused"], "newest first");
    assert_eq!(list["items"][1]["note"], "New documents");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn re_applying_after_a_final_rejection_takes_two_as_well() {
    let (house, kim) = house_of_two().await;
    let id = house.rejected("Ana").await;
    let (_, asked) = block_for_good(&house, &id).await;
    verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "approve" })).await;
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "blocked");
    let (_, asked) = decide(&house, &id, json!({ "decision": "reapply" })).await;
    let (status, done) = verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "approve" })).await;
    assert_eq!(status, 202, "{done}");
    let case = house.until(&id, "awaiting_correction").await;
    assert_eq!(case["correction"]["reapplication"], true);
    let story = house.story(&id).await;
    let order = ["approval asked", "approval", "officer", "-> awaiting_correction: An officer let"];
    let places: Vec<usize> = order.iter().map(|line| story.rfind(&format!("\n{line}")).unwrap()).collect();
    assert!(places.is_sorted(), "{story}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_words_of_one_person_do_not_stand_for_two_persons() {
    let (house, _) = house_of_two().await;
    let id = house.rejected("Ana").await;
    let (callbacks, open) = (
        format!("/v1/callbacks?customerHashId={id}"),
        "SELECT count(*) FROM head WHERE handled < wanted OR lease_until IS NOT NULL",
    );
    house
        .eventually("nobody looks any more", async || {
            let is_in = house.get(&callbacks).await.1["items"].as_array().unwrap().len() == 2;
            is_in && house.database.number(open) == 0
        })
        .await;
    // The offer is stored before anybody has decided about the word before it.
    house.fault(json!({ "endpoint": "details", "customerHashId": id, "kind": "wait", "name": "look" })).await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
    house
        .eventually("a look is held", async || {
            !house.get("/v1/jobs?kind=look&status=held").await.1["items"].as_array().unwrap().is_empty()
        })
        .await;
    assert_eq!(decide(&house, &id, json!({ "decision": "final" })).await.0, 202);
    let (_, stored) = decide(&house, &id, json!({ "decision": "offer" })).await;
    assert!(stored["effectId"].is_string(), "the case is not final yet: {stored}");
    house.nium(Method::POST, "/__sim/release/look", json!({})).await;
    let offer = ended(&house, &stored["effectId"]).await;
    assert_eq!(
        (&offer["status"], &shown(&house, &id).await["state"]),
        (&json!("refused"), &json!("finally_rejected"))
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_lapses_when_the_customer_moves_and_expires_when_nobody_decides() {
    let (house, kim) = house_of_two().await;
    let id = approved(&house, "Ana").await;
    let (_, asked) = block_for_good(&house, &id).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    assert_eq!(house.get("/v1/approvals").await.1["items"][0]["status"], "lapsed");
    let (status, problem) =
        verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "approve" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("customer_moved")), "{problem}");
    assert_eq!(lines(&house, &id, "approval").await[0]["became"], "lapsed");
    let (status, problem) =
        verdict(&house, &kim, &asked["approvalId"], json!({ "verdict": "approve" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("approval_closed")), "{problem}");

    let bo = closed(&house, "Bo").await;
    let (_, early) = decide(&house, &bo, json!({ "decision": "offer" })).await;
    house.advance(Duration::from_hours(72) - Duration::from_secs(1));
    assert_eq!(house.get("/v1/approvals").await.1["items"][0]["status"], "open");
    house.advance(Duration::from_secs(1));
    assert_eq!(house.get("/v1/approvals").await.1["items"][0]["status"], "expired");
    let (status, problem) =
        verdict(&house, &kim, &early["approvalId"], json!({ "verdict": "approve" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("approval_closed")), "{problem}");
    assert_eq!(lines(&house, &bo, "approval").await[0]["became"], "expired");
    let (status, asked) = decide(&house, &bo, json!({ "decision": "offer" })).await;
    assert_eq!(status, 202, "it may be asked anew: {asked}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_decided_expires_by_itself() {
    let (house, _) = house_of_two().await;
    let id = closed(&house, "Ana").await;
    decide(&house, &id, json!({ "decision": "offer" })).await;
    let house = house.restart_after(Duration::from_hours(73)).await;
    house
        .eventually("it has expired", async || {
            lines(&house, &id, "approval").await.first().is_some_and(|line| line["became"] == "expired")
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_wins() {
    let (house, kim) = house_of_two().await;
    let lee = token(&house, "lee");
    for round in 0..5 {
        let id = closed(&house, &format!("Ana{round}")).await;
        let (_, asked) = decide(&house, &id, json!({ "decision": "offer" })).await;
        let approve = json!({ "verdict": "approve" });
        let (one, two) = tokio::join!(
            verdict(&house, &kim, &asked["approvalId"], approve.clone()),
            verdict(&house, &lee, &asked["approvalId"], approve.clone())
        );
        let mut statuses = [one.0, two.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409], "{one:?} {two:?}");
        house.until(&id, "awaiting_correction").await;
        let said = lines(&house, &id, "officer").await;
        assert_eq!(said.iter().filter(|line| line["word"] == "offer").count(), 1);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_waits_while_another_write_is_on_its_way() {
    let (house, kim) = house_of_two().await;
    let id = approved(&house, "Ana").await;
    let (_, asked) = block_for_good(&house, &id).await;
    house.fault(json!({ "endpoint": "update", "customerHashId": id, "kind": "wait", "name": "hold" })).await;
    let approve = json!({ "verdict": "approve" });
    let path = format!("/v1/customers/{id}");
    let (patched, early) =
        tokio::join!(house.ask(Method::PATCH, &path, Some(json!({ "mobile": "81234567" }))), async {
            let is_held = async || house.sim.journal().iter().any(|entry| entry.endpoint == "update");
            house.eventually("an update is on its way", is_held).await;
            let early = verdict(&house, &kim, &asked["approvalId"], approve.clone()).await;
            house.nium(Method::POST, "/__sim/release/hold", json!({})).await;
            early
        });
    assert_eq!((early.0, &early.1["code"]), (409, &json!("write_under_way")), "{early:?}");
    assert_eq!(patched.0, 200, "{patched:?}");
    let (status, done) = verdict(&house, &kim, &asked["approvalId"], approve).await;
    assert_eq!(status, 202, "it was open still: {done}");
    assert_eq!(ended(&house, &done["effectId"]).await["status"], "done");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_are_paged_open_ones_first_and_odd_requests_refused() {
    let (house, kim) = house_of_two().await;
    let mut wanted = Vec::new();
    for name in ["Ana", "Bo", "Cy", "Di"] {
        let id = closed(&house, name).await;
        let (_, asked) = decide(&house, &id, json!({ "decision": "offer" })).await;
        wanted.push(asked["approvalId"].clone());
    }
    for at in [0, 1] {
        verdict(&house, &kim, &wanted[at], json!({ "verdict": "refuse" })).await;
    }
    let (mut cursor, mut paged) = (String::new(), Vec::new());
    for _ in 0..4 {
        let (_, page) = house.get(&format!("/v1/approvals?limit=1{cursor}")).await;
        paged.push(page["items"][0]["approvalId"].clone());
        cursor = page["next"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((paged, cursor), ([2, 3, 1, 0].map(|at| wanted[at].clone()).to_vec(), String::new()));
    for query in ["cursor=AAAA", "limit=0", "status=open"] {
        assert_eq!(house.get(&format!("/v1/approvals?{query}")).await.0, 400, "{query}");
    }
    for body in [
        json!({}),
        json!({ "verdict": "maybe" }),
        json!({ "verdict": "approve", "x": 1 }),
        json!({ "verdict": "refuse", "note": "" }),
    ] {
        let (status, problem) = verdict(&house, &kim, &wanted[2], body.clone()).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_verdict")), "{body}");
    }
    for id in ["x", "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01"] {
        let (status, problem) = verdict(&house, &kim, &json!(id), json!({ "verdict": "approve" })).await;
        assert_eq!((status, &problem["code"]), (404, &json!("no_such_approval")), "{id}");
    }
    let path = format!("/v1/approvals/{}", wanted[2].as_str().unwrap());
    let first = ask_as(&house, &kim, &path, &json!({ "verdict": "refuse" }), Some("one key")).await;
    assert_eq!(ask_as(&house, &kim, &path, &json!({ "verdict": "refuse" }), Some("one key")).await, first);
    let (status, problem) =
        ask_as(&house, &kim, &path, &json!({ "verdict": "approve" }), Some("one key")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("idempotency_key_reused")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_refuses_one_person_for_two() {
    let (house, _) = house_of_two().await;
    let id = closed(&house, "Ana").await;
    decide(&house, &id, json!({ "decision": "offer" })).await;
    let alone = "UPDATE approval SET status = 'refused', decided_by = asked_by, decided_at = 1";
    assert!(house.database.sql(alone).is_err());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_one_officer_is_enough() {
    let house = House::start().await;
    let id = closed(&house, "Ana").await;
    let (_, stored) = decide(&house, &id, json!({ "decision": "offer" })).await;
    assert_eq!(ended(&house, &stored["effectId"]).await["status"], "done");
    assert_eq!(house.get("/v1/approvals").await.1, json!({ "items": [], "next": null }));
    house.close().await;
}
