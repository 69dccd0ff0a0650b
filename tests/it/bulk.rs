//! A word to many customers: counted, shown, confirmed, said once to each, whatever happens meanwhile.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN};

const BULK: &str = "/v1/customers/bulk";

async fn bulk(house: &House, body: Value) -> (u16, Value) {
    house.ask(Method::POST, BULK, Some(body)).await
}

async fn act(house: &House, id: &Value) -> Value {
    house.get(&format!("/v1/bulk/{}", id.as_str().unwrap())).await.1
}

/// Waits until an act has ended.
async fn ended(house: &House, id: &Value) -> Value {
    house.eventually("the act ends", async || !act(house, id).await["endedAt"].is_null()).await;
    act(house, id).await
}

/// Counts, and confirms the count. Gives the act's id.
async fn begun(house: &House, filter: Value, word: &str) -> Value {
    let mut body = json!({ "filter": filter, "decision": word });
    let (status, seen) = bulk(house, body.clone()).await;
    assert_eq!(status, 200, "{seen}");
    body["confirm"] = seen["count"].clone();
    let (status, act) = bulk(house, body).await;
    assert_eq!(status, 202, "{act}");
    act["bulkId"].clone()
}

/// How often an officer's word stands in a customer's timeline.
async fn words(house: &House, id: &str) -> usize {
    house.story(id).await.lines().filter(|line| *line == "officer").count()
}

/// A house where an officer is asked about every rejection that no rule knows.
async fn with_officers() -> House {
    House::with(&[("FLOW__UNKNOWN_REMARK", "officer")]).await
}

async fn parked(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": "Mislaid" })).await;
    house.until(&id, "needs_officer").await;
    id
}

/// So many customers who were rejected before our time, beside whatever the service does.
fn fill(house: &House, count: usize) {
    let ids = if crate::database::on_postgres() {
        format!(
            "SELECT decode(lpad(to_hex(i), 32, '0'), 'hex') AS id FROM generate_series(1, {count}) AS n (i)"
        )
    } else {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT unhex(printf('%032x', i)) AS id FROM n"
        )
    };
    let insert = format!(
        r#"INSERT INTO cases (customer, version, state, data, since, attempts_used, beside)
           SELECT id, 1, 'finally_rejected', '{{"state":"finally_rejected","why":"historic"}}', 0, 0, '{{"rfi":null,"block":null}}'
           FROM ({ids}) AS made"#
    );
    house.database.sql(&insert).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_counted_and_shown_then_confirmed_and_said_to_each() {
    let house = with_officers().await;
    let [ana, bo] = [parked(&house, "Ana").await, parked(&house, "Bo").await];
    let offer = json!({ "decision": "offer" });
    house.ask(Method::POST, &format!("/v1/customers/{ana}/decision"), Some(offer)).await;
    house.until(&ana, "awaiting_correction").await;
    let cy = house.onboard("Cy").await;
    house.until(&cy, "watching").await;
    let filter = json!({ "newerThan": "30d" });
    let note = "Quartzite: rule 7 was wrong";
    let mut body = json!({ "filter": filter, "decision": "final", "note": note });
    let (status, seen) = bulk(&house, body.clone()).await;
    assert_eq!((status, &seen["count"], &seen["said"]), (200, &json!(3), &json!(2)), "{seen}");
    let deciding = "Nium is deciding; decide when it has, or block the account";
    assert_eq!(seen["reasons"], json!([{ "leftOut": deciding, "count": 1 }]));
    for one in seen["preview"].as_array().unwrap() {
        assert_eq!(one["customerHashId"] == cy, one["leftOut"] == deciding, "{one}");
        assert_eq!(one["customerHashId"] == cy, one["would"].is_null(), "{one}");
    }
    assert_eq!(house.get("/v1/bulk").await.1["items"], json!([]), "nothing was done");

    body["confirm"] = json!(2);
    let (status, problem) = bulk(&house, body.clone()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("count_changed")), "{problem}");
    body["confirm"] = json!(3);
    let (status, begun) = bulk(&house, body).await;
    assert_eq!(
        (status, &begun["status"], &begun["askedBy"]),
        (202, &json!("running"), &json!("bootstrap")),
        "{begun}"
    );
    let done = ended(&house, &begun["bulkId"]).await;
    assert_eq!(
        (&done["status"], &done["said"], &done["leftOut"]),
        (&json!("complete"), &json!(2), &json!(1)),
        "{done}"
    );
    assert_eq!((&done["note"], &done["filter"]), (&json!(note), &filter), "{done}");
    assert_eq!(done["leftOutFirst"], json!([{ "customerHashId": cy, "leftOut": deciding }]));
    for id in [&ana, &bo] {
        house.until(id, "finally_rejected").await;
        let (_, timeline) = house.get(&format!("/v1/customers/{id}/timeline")).await;
        let said =
            timeline["items"].as_array().unwrap().iter().rfind(|line| line["what"] == "officer").unwrap();
        let said = &said["detail"];
        assert_eq!((&said["by"], &said["note"]), (&json!("bootstrap"), &json!(note)), "{said}");
        assert_eq!(said["bulkId"], begun["bulkId"]);
    }
    assert_eq!(words(&house, &cy).await, 0);
    let (_, audit) = house.get("/v1/audit?what=bulk_asked").await;
    assert_eq!(
        (&audit["items"][0]["actor"], &audit["items"][0]["detail"]["customers"]),
        (&json!("bootstrap"), &json!(3)),
        "{audit}"
    );
    assert_eq!(house.get("/v1/audit?what=bulk_ended").await.1["items"][0]["detail"]["said"], 2);
    house.database.hides(&["uartzite"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_where_it_was_and_says_nothing_twice() {
    let mut house = House::start().await;
    fill(&house, 400);
    let id = begun(&house, json!({ "state": "finally_rejected" }), "offer").await;
    house.eventually("it has begun", async || act(&house, &id).await["done"].as_u64() > Some(0)).await;
    // However often it is stopped, each step is there with its words or not at all.
    for _ in 0..2 {
        assert!(act(&house, &id).await["endedAt"].is_null(), "it is stopped in the middle");
        house = house.restart().await;
    }
    let done = ended(&house, &id).await;
    assert_eq!(
        (&done["count"], &done["said"], &done["leftOut"]),
        (&json!(400), &json!(400), &json!(0)),
        "{done}"
    );
    let number = |query: &str| house.database.number(query);
    assert_eq!(number("SELECT count(*) FROM effect WHERE lane = 'officer' AND kind = 'offer'"), 400);
    assert_eq!(number("SELECT count(DISTINCT customer) FROM effect WHERE lane = 'officer'"), 400);
    let decided = "SELECT count(*) FROM effect WHERE lane = 'officer' AND status = 'done'";
    // In two parts, so that each has its own patience.
    for many in [200, 400] {
        house
            .eventually("every word is decided about", async || {
                house.advance(Duration::from_millis(100));
                house.database.number(decided) >= many
            })
            .await;
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_say_one_word_to_each_and_whoever_moved_is_left_alone() {
    let house = with_officers().await;
    let mut ids = Vec::new();
    for name in ["Ana", "Bo", "Cy"] {
        ids.push(parked(&house, name).await);
    }
    // Long enough that the second is confirmed before the first is through.
    fill(&house, 300);
    let all = begun(&house, json!({ "olderThan": "0s", "kind": "individual" }), "offer").await;
    let parked = begun(&house, json!({ "state": "needs_officer" }), "close").await;
    let first = ended(&house, &all).await;
    let second = ended(&house, &parked).await;
    assert_eq!((&first["said"], &first["count"]), (&json!(303), &json!(303)), "{first}");
    assert_eq!((&second["said"], &second["leftOut"]), (&json!(0), &json!(3)), "{second}");
    for one in second["leftOutFirst"].as_array().unwrap() {
        let why = one["leftOut"].as_str().unwrap();
        assert!(why.contains("moved after") || why.contains("waits already"), "{why}");
    }
    for id in &ids {
        house.until(id, "awaiting_correction").await;
        assert_eq!(words(&house, id).await, 1);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_it_goes_no_further_and_whoever_fits_later_was_not_meant() {
    let house = House::start().await;
    let later = house.rejected("Ana").await;
    fill(&house, 2_000);
    let id = begun(&house, json!({ "state": "finally_rejected" }), "offer").await;
    house
        .ask(Method::POST, &format!("/v1/customers/{later}/decision"), Some(json!({ "decision": "final" })))
        .await;
    house.until(&later, "finally_rejected").await;
    let path = format!("/v1/bulk/{}/cancel", id.as_str().unwrap());
    let (status, cancelled) = house.ask(Method::POST, &path, None).await;
    assert_eq!(
        (status, &cancelled["status"], &cancelled["cancelledBy"]),
        (200, &json!("cancelled"), &json!("bootstrap")),
        "{cancelled}"
    );
    assert!(cancelled["done"].as_u64() < Some(2_000), "{cancelled}");
    let (status, again) = house.ask(Method::POST, &path, None).await;
    assert_eq!((status, &again["done"]), (200, &cancelled["done"]));
    let other = begun(&house, json!({ "text": later }), "offer").await;
    ended(&house, &other).await;
    assert_eq!(act(&house, &id).await["done"], cancelled["done"], "no further");
    let said = house.database.number("SELECT count(*) FROM bulk_customer WHERE bulk = 1");
    assert_eq!(json!(said), cancelled["done"]);
    let path = format!("/v1/bulk/{}/cancel", other.as_str().unwrap());
    assert_eq!(house.ask(Method::POST, &path, None).await.1["code"], "bulk_ended");
    assert_eq!(house.get("/v1/audit?what=bulk_cancelled").await.1["items"].as_array().unwrap().len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_on_nobody_ends_and_holds_up_no_other() {
    let house = House::start().await;
    let nobody = begun(&house, json!({ "state": "finally_rejected" }), "offer").await;
    fill(&house, 1);
    let somebody = begun(&house, json!({ "state": "finally_rejected" }), "offer").await;
    assert_eq!(ended(&house, &nobody).await["done"], 0);
    assert_eq!(ended(&house, &somebody).await["done"], 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_second_person_and_companies_are_left_out() {
    let house = House::with(&[("FLOW__SECOND_PERSON", "override_final")]).await;
    fill(&house, 3);
    let rejected = house.rejected("Ana").await;
    let (_, seen) = bulk(&house, json!({ "filter": { "kind": "individual" }, "decision": "offer" })).await;
    assert_eq!((&seen["count"], &seen["said"]), (&json!(4), &json!(1)), "{seen}");
    assert!(seen["reasons"][0]["leftOut"].as_str().unwrap().contains("second person"), "{seen}");
    let id = begun(&house, json!({ "kind": "individual" }), "offer").await;
    let done = ended(&house, &id).await;
    assert_eq!((&done["said"], &done["reasons"]), (&json!(1), &seen["reasons"]), "{done}");
    assert_eq!(words(&house, &rejected).await, 1);
    let sql = r#"INSERT INTO snapshot (customer, looked_at, facts, sealed) SELECT customer, 0, '{"kind":"CORPORATE"}', customer
           FROM cases WHERE state = 'finally_rejected'"#;
    house.database.sql(sql).unwrap();
    let (_, seen) = bulk(&house, json!({ "filter": { "kind": "corporate" }, "decision": "offer" })).await;
    assert_eq!((&seen["count"], &seen["said"]), (&json!(3), &json!(0)), "{seen}");
    assert!(seen["reasons"][0]["leftOut"].as_str().unwrap().contains("company"), "{seen}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_begins_it_once_and_what_is_none_is_refused() {
    let house = with_officers().await;
    let id = parked(&house, "Ana").await;
    let ask = async |body: &Value| {
        let url = format!("http://{}{BULK}", house.admin);
        let request = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", "one key");
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let body = json!({ "filter": { "text": "ana" }, "decision": "close", "confirm": 1 });
    let first = ask(&body).await;
    assert_eq!(first.0, 202, "{first:?}");
    house.until(&id, "finally_rejected").await;
    assert_eq!(ask(&body).await, first, "although nobody moved back");
    assert_eq!(act(&house, &first.1["bulkId"]).await["filter"], json!({ "personal": ["text"] }));
    assert_eq!(
        ask(&json!({ "filter": { "text": "bo" }, "decision": "close", "confirm": 0 })).await.1["code"],
        "idempotency_key_reused"
    );
    assert_eq!(house.get("/v1/bulk").await.1["items"].as_array().unwrap().len(), 1);
    for wrong in [
        json!([]),
        json!({ "decision": "offer" }),
        json!({ "filter": {}, "decision": "offer" }),
        json!({ "filter": { "state": "odd" }, "decision": "offer" }),
        json!({ "filter": { "source": "ours", "state": "rejected" }, "decision": "offer" }),
        json!({ "filter": { "state": "rejected" }, "decision": "reapply" }),
        json!({ "filter": { "state": "rejected" }, "decision": "take_over" }),
        json!({ "filter": { "state": "rejected" }, "decision": "offer", "note": "" }),
        json!({ "filter": { "state": "rejected" }, "decision": "offer", "confirm": "1" }),
        json!({ "filter": { "state": "rejected" }, "decision": "offer", "sure": true }),
    ] {
        let (status, problem) = bulk(&house, wrong.clone()).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_bulk")), "{wrong}");
    }
    assert_eq!(house.get("/v1/bulk/none").await.1["code"], "no_such_bulk");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_act_may_take_are_refused_and_the_command_follows_it_to_its_end() {
    let house = with_officers().await;
    fill(&house, 10_001);
    let filter = json!({ "state": "finally_rejected" });
    let (status, problem) = bulk(&house, json!({ "filter": filter, "decision": "close" })).await;
    assert_eq!((status, &problem["code"]), (422, &json!("too_many_customers")), "{problem}");
    let id = parked(&house, "Ana").await;
    let command = async |more: &[&str]| {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["customers", "bulk", "--view", "needs_officer", "--decision", "close"])
            .args(more)
            .args(["--url", &format!("http://{}", house.admin)])
            .envs(house.env())
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code(), said)
    };
    let (code, said) = command(&[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&id) && said.contains("1 of 1 customers") && said.contains("nothing was done"),
        "{said}"
    );
    let (code, said) = command(&["--yes", "--note", "Seen"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 of 1 done, told 1, left out 0; complete"), "{said}");
    house.until(&id, "finally_rejected").await;
    let (code, said) = command(&["--yes"]).await;
    assert!(code == Some(0) && said.contains("nothing to do"), "{said}");
    house.close().await;
}
