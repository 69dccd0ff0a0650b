//! Erasing a person: nothing of them is left that opens, the record stays whole, and nobody brings them back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::database::on_postgres;
use crate::house::{House, Plan, lasting_address};

/// Tables in which the id of somebody who was erased may stand: what is only counted, and that they were erased.
const COUNTED: [&str; 5] = ["callback", "callback_log", "event", "effect", "erasure"];

/// A house with a mail server that takes nothing: messages wait, with what is sealed in them.
pub async fn house(env: &[(&'static str, String)]) -> House {
    let mail = lasting_address();
    let mut all = vec![
        ("NOTIFY__EMAIL__SMTP_URL", format!("smtp://{mail}?tls=none")),
        ("NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
    ];
    all.extend(env.iter().cloned());
    House::build(Plan { env: all, ..Plan::default() }).await
}

pub fn hex_of(id: &str) -> String {
    id.replace('-', "")
}

/// How many rows of a table are about somebody.
fn rows_about(house: &House, table: &str, id: &str) -> i64 {
    let is = if on_postgres() { "encode(customer, 'hex')" } else { "lower(hex(customer))" };
    house.database.number(&format!("SELECT count(*) FROM {table} WHERE {is} = '{}'", hex_of(id)))
}

/// Every table with a column of this name.
fn tables_with(house: &House, column: &str) -> Vec<String> {
    let sql = if on_postgres() {
        format!(
            "SELECT string_agg(table_name, ',' ORDER BY table_name) FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = '{column}'"
        )
    } else {
        format!(
            "SELECT group_concat(m.name, ',') FROM sqlite_master AS m
             JOIN pragma_table_info(m.name) AS c ON c.name = '{column}' WHERE m.type = 'table'"
        )
    };
    house.database.text(&sql).trim().split(',').map(str::to_owned).collect()
}

/// The wrapped data key of somebody, in hex.
pub fn wrapped(house: &House, id: &str) -> String {
    let (is, hex) = if on_postgres() {
        ("encode(customer, 'hex')", "encode(wrapped, 'hex')")
    } else {
        ("lower(hex(customer))", "lower(hex(wrapped))")
    };
    let sql = format!("SELECT {hex} FROM data_key WHERE {is} = '{}'", hex_of(id));
    house.database.text(&sql).trim().to_owned()
}

/// Somebody with something in every drawer: application, snapshot, marks, correction, notes, a link, a message that waits.
pub async fn somebody(house: &House, name: &str) -> String {
    let id = house.rejected(name).await;
    house.resubmission(&id, "reject").await;
    assert_eq!(house.correct(&id, json!({ "firstName": format!("{name}Two") })).await.0, 202);
    house
        .eventually("Nium rejects again", async || {
            house.advance(Duration::from_millis(500));
            let (_, shown) = house.get(&format!("/v1/customers/{id}")).await;
            shown["state"] == "awaiting_correction" && shown["attempts"]["used"] == 1
        })
        .await;
    hold(house, &id, "set", "Canaryreason").await;
    hold(house, &id, "lift", "Canaryend").await;
    let link = format!("/v1/customers/{id}/correction-link");
    assert_eq!(house.ask(Method::POST, &link, None).await.0, 201);
    house
        .eventually("a message waits", async || {
            house.database.number("SELECT count(*) FROM effect WHERE lane = 'email' AND sealed IS NOT NULL")
                > 0
        })
        .await;
    id
}

pub async fn hold(house: &House, id: &str, action: &str, reason: &str) {
    let body = json!({ "action": action, "reason": reason });
    let (status, answer) = house.ask(Method::POST, &format!("/v1/customers/{id}/hold"), Some(body)).await;
    assert_eq!(status, 200, "{answer}");
}

pub async fn erase(house: &House, id: &str) -> (u16, Value) {
    house.ask(Method::POST, &format!("/v1/customers/{id}/erase"), None).await
}

/// Nothing about somebody is on file but that they were erased, and what is counted.
pub fn is_gone(house: &House, id: &str) {
    for table in tables_with(house, "customer") {
        if !COUNTED.contains(&table.as_str()) {
            assert_eq!(rows_about(house, &table, id), 0, "{table} still has them");
        }
    }
    assert_eq!(rows_about(house, "erasure", id), 1);
    let is = if on_postgres() { "encode(customer, 'hex')" } else { "lower(hex(customer))" };
    let left = format!(
        "SELECT count(*) FROM effect WHERE {is} = '{}' AND (ended_at IS NULL OR sealed IS NOT NULL
             OR said IS NOT NULL OR payload IS NOT NULL OR progress IS NOT NULL)",
        hex_of(id)
    );
    assert_eq!(house.database.number(&left), 0, "an effect still says something");
}

/// The record of who did what is whole.
pub async fn verify(house: &House) {
    house
        .eventually("the rows are linked", async || house.metric("reinstate_audit_unlinked").await == 0)
        .await;
    let done = command(house, &["audit", "verify"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

pub async fn command(house: &House, args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(args)
        .envs(house.env())
        .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
        .env("REINSTATE__PUBLIC__URL", format!("http://{}", house.public))
        .env_remove("REINSTATE_TOKEN")
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_gone_from_every_table_and_the_record_stays_whole() {
    let house = house(&[]).await;
    let other = somebody(&house, "Bystander").await;
    let id = somebody(&house, "Canary").await;
    let tables = tables_with(&house, "customer");
    let held: Vec<&String> = tables.iter().filter(|table| rows_about(&house, table, &id) > 0).collect();
    for table in
        ["application", "snapshot", "mark", "correction", "note", "link", "journey", "history", "audit"]
    {
        assert!(held.iter().any(|held| *held == table), "nothing to erase in {table}: {held:?}");
    }
    let key = hex::decode(wrapped(&house, &id)).unwrap();
    let neighbour = wrapped(&house, &other);

    let (status, answer) = erase(&house, &id).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["customerHashId"], &answer["erasedBy"]), (&json!(id), &json!("bootstrap")));
    is_gone(&house, &id);
    house.eventually("the key is in no file", async || !house.database.holds(&key)).await;
    verify(&house).await;

    // The row says so, and every other way is closed.
    let (status, shown) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((status, &shown["state"], &shown["since"]), (200, &json!("erased"), &answer["erasedAt"]));
    for (method, path, body) in [
        (Method::GET, "/timeline", None),
        (Method::GET, "/bundle", None),
        (Method::POST, "/decision", Some(json!({ "decision": "retry" }))),
        (Method::PUT, "/application", Some(crate::house::application("Again"))),
        (Method::POST, "/corrections", Some(json!({ "fields": { "firstName": "Again" } }))),
        (Method::POST, "/hold", Some(json!({ "action": "set", "reason": "late" }))),
    ] {
        let (status, said) = house.ask(method, &format!("/v1/customers/{id}{path}"), body).await;
        assert_eq!((status, &said["code"]), (410, &json!("customer_erased")), "{path}");
    }
    // Twice is as once.
    house.advance(Duration::from_secs(60));
    assert_eq!(erase(&house, &id).await, (200, answer));
    // Nobody else lost anything.
    assert_eq!(wrapped(&house, &other), neighbour);
    let (status, shown) = house.get(&format!("/v1/customers/{other}")).await;
    assert_eq!((status, &shown["state"]), (200, &json!("awaiting_correction")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_and_a_sweep_do_not_bring_back_whoever_was_erased() {
    let house = house(&[]).await;
    let id = somebody(&house, "Canary").await;
    assert_eq!(erase(&house, &id).await.0, 200);
    let looks = || house.sim.journal().len();
    let before = looks();
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house
        .eventually("the callback is on file and attended to", async || {
            house.advance(Duration::from_secs(1));
            let waits = "SELECT count(*) FROM head";
            rows_about(&house, "callback", &id) >= 1 && house.database.number(waits) == 0
        })
        .await;
    let done = command(&house, &["sweep", "run"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    is_gone(&house, &id);
    assert_eq!(looks(), before, "Nium was asked about somebody who was erased");
    let (status, said) = house.get(&format!("/v1/customers/{id}?refresh=true")).await;
    assert_eq!((status, &said["code"]), (410, &json!("customer_erased")));
    assert_eq!(house.get(&format!("/v1/customers/{id}")).await.1["state"], "erased");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_under_a_legal_hold_or_while_a_submission_is_on_its_way() {
    let house = house(&[]).await;
    let id = house.rejected("Held").await;
    let stranger = uuid::Uuid::new_v4();
    assert_eq!(erase(&house, &stranger.to_string()).await.0, 404);
    hold(&house, &id, "set", "Case 7").await;
    hold(&house, &id, "set", "Case 7").await;
    let (_, shown) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(
        (&shown["legalHold"]["by"], &shown["legalHold"]["reason"]),
        (&json!("bootstrap"), &json!("Case 7"))
    );
    let (status, said) = erase(&house, &id).await;
    assert_eq!((status, &said["code"]), (409, &json!("legal_hold")));
    assert!(said["hint"].as_str().unwrap().contains("lifts it"), "{said}");
    hold(&house, &id, "lift", "Case 7 closed").await;
    assert_eq!(house.story(&id).await.matches("legal hold").count(), 2);

    house.fault(json!({ "endpoint": "addCustomer", "kind": "unavailable", "times": 1000 })).await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Heldtwo" })).await.0, 202);
    let (status, said) = erase(&house, &id).await;
    assert_eq!((status, &said["code"]), (409, &json!("write_under_way")));
    assert_eq!(house.get(&format!("/v1/customers/{id}/timeline")).await.0, 200);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_erasures_and_a_correction_at_once_leave_one_erasure_or_one_correction() {
    let house = house(&[]).await;
    for round in 0..6 {
        let id = house.rejected(&format!("Race{round}")).await;
        let (one, two, correction) = tokio::join!(
            erase(&house, &id),
            erase(&house, &id),
            house.correct(&id, json!({ "firstName": "Racetwo" }))
        );
        if correction.0 == 202 {
            assert_eq!((one.0, two.0), (409, 409), "{one:?} {two:?}");
        } else {
            assert!([404, 410].contains(&correction.0), "{correction:?}");
            assert_eq!((one.0, &one.1), (200, &two.1));
            is_gone(&house, &id);
        }
    }
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_erases_and_holds_when_somebody_agrees() {
    let house = house(&[]).await;
    let id = house.rejected("Ana").await;
    let asked = command(&house, &["customers", "erase", &id]).await;
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("cannot be undone"));
    let held = command(&house, &["customers", "hold", &id, "--reason", "Case 7"]).await;
    assert_eq!(String::from_utf8_lossy(&held.stdout), "a legal hold is set\n");
    let refused = command(&house, &["customers", "erase", &id, "--yes"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("legal hold"));
    command(&house, &["customers", "hold", &id, "--lift", "--reason", "over"]).await;
    let erased = command(&house, &["customers", "erase", &id, "--yes"]).await;
    assert!(erased.status.success() && String::from_utf8_lossy(&erased.stdout).starts_with("erased "));
    is_gone(&house, &id);
    house.close().await;
}
