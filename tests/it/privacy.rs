//! Erasing a person: nothing of them is left that opens, the record stays whole, and nobody brings them back.

use std::path::PathBuf;
use std::time::Duration;

use reinstate::vault::{DataKey, MasterKey, Place, Vault, WrappedKey};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::browser::Browser;
use crate::database::{Database, about_sqlite, on_postgres};
use crate::house::{House, Plan, TOKEN, application, lasting_address, spawn};
use crate::restart::Ground;

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

/// A column of ids, as hex.
fn is_about(id: &str) -> String {
    let column = if on_postgres() { "encode(customer, 'hex')" } else { "lower(hex(customer))" };
    format!("{column} = '{}'", id.replace('-', ""))
}

/// How many rows of a table are about somebody.
pub fn rows_about(database: &Database, table: &str, id: &str) -> i64 {
    database.number(&format!("SELECT count(*) FROM {table} WHERE {}", is_about(id)))
}

/// Every table with a column of this name.
fn tables_with(database: &Database, column: &str) -> Vec<String> {
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
    database.text(&sql).trim().split(',').map(str::to_owned).collect()
}

/// The wrapped data key of somebody.
pub fn wrapped(database: &Database, id: &str) -> Vec<u8> {
    let hex = if on_postgres() { "encode(wrapped, 'hex')" } else { "lower(hex(wrapped))" };
    let sql = format!("SELECT {hex} FROM data_key WHERE {}", is_about(id));
    hex::decode(database.text(&sql).trim()).unwrap()
}

/// The vault of a house.
pub fn vault() -> Vault {
    Vault::new(vec![MasterKey::new("k1", b"thirty-two bytes for the tests..").unwrap()]).unwrap()
}

/// Everything sealed that there is, with its place: table, column, row.
const SEALED: [(&str, &str, &str); 12] = [
    ("application", "sealed", "customer"),
    ("snapshot", "sealed", "customer"),
    ("rfi", "sealed", "customer"),
    ("redirect", "sealed", "customer"),
    ("note", "sealed", "id"),
    ("approval", "sealed", "id"),
    ("correction", "sealed", "effect"),
    ("draft", "sealed", "link"),
    ("bulk", "note", "id"),
    ("effect", "sealed", "key"),
    ("effect", "said", "key"),
    ("idempotency", "sealed", "key"),
];

/// Walks through every sealed column with these keys, and gives everything that opens.
fn opened(database: &Database, keys: &[DataKey]) -> Vec<u8> {
    let mut plain = Vec::new();
    for (table, column, row) in SEALED {
        let hex = |column: &str| {
            if on_postgres() { format!("encode({column}, 'hex')") } else { format!("lower(hex({column}))") }
        };
        let name = if row == "customer" || table == "idempotency" { hex(row) } else { row.to_owned() };
        let line = format!("{name} || ' ' || {}", hex(column));
        let all = if on_postgres() {
            format!("string_agg({line}, ',')")
        } else {
            format!("group_concat({line}, ',')")
        };
        let sql = format!("SELECT coalesce({all}, '') FROM {table} WHERE {column} IS NOT NULL");
        for line in database.text(&sql).trim().split(',').filter(|line| !line.is_empty()) {
            let (row_name, sealed) = line.split_once(' ').unwrap();
            let row_name = if row == "customer" {
                Uuid::parse_str(row_name).unwrap().to_string()
            } else {
                row_name.to_owned()
            };
            let place = Place { table, column, row: row_name };
            let sealed = hex::decode(sealed).unwrap();
            plain.extend(
                keys.iter().filter_map(|key| key.open(&place, &sealed).ok()).flat_map(|text| text.to_vec()),
            );
        }
    }
    plain
}

/// Every data key that the master key opens.
fn data_keys(database: &Database) -> Vec<DataKey> {
    let hex = |column: &str| {
        if on_postgres() { format!("encode({column}, 'hex')") } else { format!("lower(hex({column}))") }
    };
    let line = format!("{} || ' ' || {}", hex("customer"), hex("wrapped"));
    let all =
        if on_postgres() { format!("string_agg({line}, ',')") } else { format!("group_concat({line}, ',')") };
    let text = database.text(&format!("SELECT {all} FROM data_key"));
    let open = |line: &str| {
        let (owner, wrapped) = line.split_once(' ').unwrap();
        let wrapped = WrappedKey::from_bytes(hex::decode(wrapped).unwrap());
        vault().unwrap(&Uuid::parse_str(owner).unwrap().to_string(), &wrapped).unwrap()
    };
    text.trim().split(',').map(open).collect()
}

fn says(plain: &[u8], word: &str) -> bool {
    plain.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Somebody with something in every drawer: application, snapshot, marks, correction, notes, a link, a message that waits.
pub async fn somebody(house: &House, name: &str) -> String {
    let id = house.rejected(name).await;
    house.resubmission(&id, "review").await;
    assert_eq!(house.correct(&id, json!({ "firstName": format!("{name}Two") })).await.0, 202);
    house.until(&id, "under_review").await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    hold(house, &id, "set", &format!("{name}reason")).await;
    hold(house, &id, "lift", &format!("{name}end")).await;
    let link = format!("/v1/customers/{id}/correction-link");
    assert_eq!(house.ask(Method::POST, &link, None).await.0, 201);
    house
        .eventually("a message waits", async || {
            house.database.number("SELECT count(*) FROM effect WHERE lane = 'email' AND sealed IS NOT NULL")
                > 0
        })
        .await;
    house
        .eventually("the journey is counted", async || rows_about(&house.database, "journey", &id) > 0)
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
pub fn is_gone(database: &Database, id: &str) {
    for table in tables_with(database, "customer") {
        if !COUNTED.contains(&table.as_str()) {
            assert_eq!(rows_about(database, &table, id), 0, "{table} still has them");
        }
    }
    assert_eq!(rows_about(database, "erasure", id), 1);
    let left = format!(
        "SELECT count(*) FROM effect WHERE {} AND (ended_at IS NULL OR sealed IS NOT NULL
             OR said IS NOT NULL OR payload IS NOT NULL OR progress IS NOT NULL)",
        is_about(id)
    );
    assert_eq!(database.number(&left), 0, "an effect still says something");
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
    let tables = tables_with(&house.database, "customer");
    let held: Vec<&String> =
        tables.iter().filter(|table| rows_about(&house.database, table, &id) > 0).collect();
    for table in
        ["application", "snapshot", "mark", "correction", "note", "link", "journey", "history", "audit"]
    {
        assert!(held.iter().any(|held| *held == table), "nothing to erase in {table}: {held:?}");
    }
    let key = wrapped(&house.database, &id);
    let stolen = vault().unwrap(&id, &WrappedKey::from_bytes(key.clone())).unwrap();
    let stolen = [stolen];
    assert!(says(&opened(&house.database, &stolen), "CanaryTwo"), "the walk finds nothing to open");
    let neighbour = wrapped(&house.database, &other);

    let (status, answer) = erase(&house, &id).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["customerHashId"], &answer["erasedBy"]), (&json!(id), &json!("bootstrap")));
    is_gone(&house.database, &id);
    house.eventually("the key is in no file", async || !house.database.holds(&key)).await;
    verify(&house).await;
    // With the master key, and with the destroyed key itself, nothing of them opens.
    assert!(opened(&house.database, &stolen).is_empty());
    let all = opened(&house.database, &data_keys(&house.database));
    assert!(says(&all, "Bystander") && !says(&all, "Canary") && !says(&all, "canary"));

    // The row says so, and every other way is closed.
    let (status, shown) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((status, &shown["state"], &shown["since"]), (200, &json!("erased"), &answer["erasedAt"]));
    for (method, path, body) in [
        (Method::GET, "/timeline", None),
        (Method::GET, "/bundle", None),
        (Method::POST, "/decision", Some(json!({ "decision": "retry" }))),
        (Method::PUT, "/application", Some(application("Again"))),
        (Method::POST, "/corrections", Some(json!({ "fields": { "firstName": "Again" } }))),
        (Method::POST, "/hold", Some(json!({ "action": "set", "reason": "late" }))),
    ] {
        let (status, said) = house.ask(method, &format!("/v1/customers/{id}{path}"), body).await;
        assert_eq!((status, &said["code"]), (410, &json!("customer_erased")), "{path}");
    }
    // Twice is as once.
    house.advance(Duration::from_mins(1));
    assert_eq!(erase(&house, &id).await, (200, answer));
    assert_eq!(house.metric("reinstate_customers_erased_total{cause=\"asked\"}").await, 1);
    // Nobody else lost anything.
    assert_eq!(wrapped(&house.database, &other), neighbour);
    let (status, shown) = house.get(&format!("/v1/customers/{other}")).await;
    assert_eq!((status, &shown["state"]), (200, &json!("awaiting_correction")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_and_a_sweep_do_not_bring_back_whoever_was_erased() {
    let house = house(&[]).await;
    let id = somebody(&house, "Canary").await;
    assert_eq!(erase(&house, &id).await.0, 200);
    let known = rows_about(&house.database, "callback", &id);
    let looks = || {
        let journal = serde_json::to_value(house.sim.journal()).unwrap();
        let about = |entry: &&Value| entry["customerHashId"] == id && entry["endpoint"] == "details";
        journal.as_array().unwrap().iter().filter(about).count()
    };
    assert!(looks() > 0, "there is nothing to count");
    let before = looks();
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house
        .eventually("the callback is on file and attended to", async || {
            house.advance(Duration::from_secs(1));
            let waits = "SELECT count(*) FROM head";
            rows_about(&house.database, "callback", &id) > known && house.database.number(waits) == 0
        })
        .await;
    let done = command(&house, &["sweep", "run"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    is_gone(&house.database, &id);
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
    let stranger = Uuid::new_v4();
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

    house.fault(json!({ "endpoint": "add_customer", "kind": "status", "code": 503, "times": 1000 })).await;
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
        // One that is folded afterwards is put aside in a moment of its own.
        let both = async || rows_about(&house.database, "callback", &id) == 2;
        house.eventually("both callbacks are in", both).await;
        let (one, two, correction) = tokio::join!(
            erase(&house, &id),
            erase(&house, &id),
            house.correct(&id, json!({ "firstName": "Racetwo" }))
        );
        if correction.0 == 202 {
            assert_eq!((one.0, two.0), (409, 409), "{one:?} {two:?}");
        } else {
            assert!([404, 410, 422].contains(&correction.0), "{correction:?}");
            assert_eq!((one.0, &one.1), (200, &two.1));
            is_gone(&house.database, &id);
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
    is_gone(&house.database, &id);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_file_calls_erased_is_erased_again_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("erasures.jsonl");
    let house = house(&[("PRIVACY__ERASURE_FILE", file.display().to_string())]).await;
    let erased = house.rejected("Ana").await;
    let (_, answer) = erase(&house, &erased).await;
    house
        .eventually("it is written down", async || {
            std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&erased))
        })
        .await;
    // As after a restore: the database has somebody whom the file calls erased, under a hold even.
    let back = somebody(&house, "Canary").await;
    hold(&house, &back, "set", "Case 7").await;
    let line = json!({ "customerHashId": back, "erasedAt": answer["erasedAt"], "erasedBy": "ada" });
    let house = house
        .restart_with(|| {
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, format!("{text}{line}\n{{\"customerHashId\":\"")).unwrap();
        })
        .await;
    is_gone(&house.database, &back);
    assert_eq!(house.metric("reinstate_customers_erased_total{cause=\"ledger\"}").await, 1);
    let (_, shown) = house.get(&format!("/v1/customers/{back}")).await;
    assert_eq!((&shown["state"], &shown["since"]), (&json!("erased"), &answer["erasedAt"]));
    verify(&house).await;
    // What is erased later is written behind the line that was cut short.
    let third = house.rejected("Bo").await;
    assert_eq!(erase(&house, &third).await.0, 200);
    house
        .eventually("it is written down", async || {
            std::fs::read_to_string(&file).unwrap().lines().last().is_some_and(|line| line.contains(&third))
        })
        .await;
    let house = house.restart().await;
    assert_eq!(house.database.number("SELECT count(*) FROM erasure"), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_brings_nobody_back_on_sqlite() {
    about_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let house = house(&[]).await;
    let id = somebody(&house, "Canary").await;
    let key = wrapped(&house.database, &id);
    let backup = folder.path().join("backup.db");
    let done = command(&house, &["store", "backup", "--to", &backup.display().to_string()]).await;
    assert!(done.status.success());
    assert_eq!(erase(&house, &id).await.0, 200);
    let spool = PathBuf::from(format!("{}.spool", house.database.file().display()));
    house
        .eventually("it is written down", async || {
            std::fs::read_to_string(spool.join("erasures.jsonl")).is_ok_and(|text| text.contains(&id))
        })
        .await;
    let env = house.env().clone();
    let house = house
        .restart_with(|| {
            let done = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
                .args(["store", "restore", "--replace", "--from", &backup.display().to_string()])
                .envs(&env)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        })
        .await;
    is_gone(&house.database, &id);
    house.eventually("the key is in no file", async || !house.database.holds(&key)).await;
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_has_erased_somebody_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground::new(folder.path()).await;
    let mut service = ground.start();
    ground.first_sweep_is_over().await;
    let mut everybody = Vec::new();
    for number in 0..12 {
        let key = format!("k{number}");
        let path = "/v1/customers";
        let made = ground.insist(Method::POST, path, &key, &application(&format!("Ana{number}")), 201).await;
        everybody.push(made["customerHashId"].as_str().unwrap().to_owned());
    }
    for (round, ids) in everybody.chunks(4).enumerate() {
        let asked = ids.iter().map(|id| {
            let url = format!("http://{}/v1/customers/{id}/erase", ground.door().admin);
            let request = ground.http.post(url).bearer_auth(TOKEN);
            spawn(async move { request.send().await.is_ok() })
        });
        let asked: Vec<_> = asked.collect();
        tokio::time::sleep(Duration::from_millis(3 * u64::try_from(round).unwrap())).await;
        service.kill().await.unwrap();
        drop(asked);
        for id in ids {
            match rows_about(&ground.database, "erasure", id) {
                0 => assert_eq!(rows_about(&ground.database, "data_key", id), 1),
                _ => is_gone(&ground.database, id),
            }
        }
        service = ground.start();
        for id in ids {
            let path = format!("/v1/customers/{id}/erase");
            ground.insist(Method::POST, &path, &format!("erase {id}"), &json!({}), 200).await;
            is_gone(&ground.database, id);
        }
    }
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_holds_and_erases_and_says_why_not() {
    let house = house(&[]).await;
    let id = somebody(&house, "Canary").await;
    let mut admin = Browser::at(house.admin);
    admin.fill("/sign-in", &[("token", TOKEN)]).await.leads_to("/");
    let case = format!("/cases/{id}");
    let page = admin.get(&case).await;
    page.is(200).has("Set a hold").has("Erase the person</summary>");
    let (form, once) = (page.form(), page.field("once"));
    let path = format!("{case}/hold");
    admin
        .fill(&path, &[("form", &form), ("once", &once), ("action", "set")])
        .await
        .leads_to(&format!("{case}?said=incomplete"));
    let fields = [("form", form.as_str()), ("once", &once), ("action", "set"), ("reason", "Case 7")];
    admin.fill(&path, &fields).await.leads_to(&format!("{case}?said=held"));
    let page = admin.get(&case).await;
    page.has("Set by bootstrap").has("Case 7").has("A legal hold is set; lift it first.");
    let path = format!("{case}/erase");
    let once = page.field("once");
    let fields = [("form", form.as_str()), ("once", &once), ("sure", "yes")];
    admin.fill(&path, &fields).await.leads_to(&format!("{case}?said=is-held"));
    hold(&house, &id, "lift", "over").await;
    let once = admin.get(&case).await.field("once");
    let unsure = [("form", form.as_str()), ("once", &once)];
    admin.fill(&path, &unsure).await.leads_to(&format!("{case}?said=incomplete"));
    let export = admin.fill(&format!("{case}/export"), &[("form", &form)]).await;
    export.is(200).has("CanaryTwo");
    let fields = [("form", form.as_str()), ("once", &once), ("sure", "yes")];
    admin.fill(&path, &fields).await.leads_to(&case);
    admin.get(&case).await.is(410).has("was erased by bootstrap").lacks("CanaryTwo");
    is_gone(&house.database, &id);
    house.close().await;
}
