//! Master keys: replaced while the service runs, and missed with a sentence when one is lost or another.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::{Database, on_postgres};
use crate::house::House;
use crate::privacy::{command, erase, house, is_gone, somebody, vault, verify, wrapped};

const OLD: &[u8; 32] = b"thirty-two bytes for the tests..";
const NEW: &[u8; 32] = b"another thirty-two bytes of them";

fn key(id: &str, bytes: &[u8; 32]) -> String {
    format!("{id}:{}", STANDARD.encode(bytes))
}

/// What `keys list` says of each master key in use.
async fn in_use(house: &House) -> Value {
    let done = command(house, &["keys", "list", "--json"]).await;
    let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
    shown["items"].clone()
}

/// Data keys of people about whom nothing else is on file.
fn many(database: &Database, count: usize) {
    let vault = vault();
    for _ in 0..count / 100 {
        let rows: Vec<String> = (0..100)
            .map(|_| {
                let id = Uuid::new_v4();
                let wrapped = hex::encode(vault.new_data_key(&id.to_string()).unwrap().as_bytes());
                let id = hex::encode(id.as_bytes());
                if on_postgres() {
                    format!("('\\x{id}', '\\x{wrapped}', 0)")
                } else {
                    format!("(x'{id}', x'{wrapped}', 0)")
                }
            })
            .collect();
        database
            .sql(&format!("INSERT INTO data_key (customer, wrapped, created_at) VALUES {}", rows.join(", ")))
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_is_replaced_while_the_service_runs_and_the_old_one_can_go() {
    let mut house = house(&[]).await;
    let id = somebody(&house, "Canary").await;
    let other = somebody(&house, "Bystander").await;
    let before = wrapped(&house.database, &id);
    house.set("PRIVACY__MASTER_KEYS", Some(format!("{},{}", key("k2", NEW), key("k1", OLD))));
    let mut house = house.restart().await;
    let used = in_use(&house).await;
    assert_eq!((&used[0]["id"], &used[0]["seals"]), (&json!("k1"), &json!(false)), "{used}");
    let done = command(&house, &["keys", "rotate"]).await;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("nothing is left under another key"), "{said}");
    let used = in_use(&house).await;
    assert_eq!((used.as_array().unwrap().len(), &used[0]["id"]), (1, &json!("k2")));
    // Once more changes nothing.
    let again = command(&house, &["keys", "rotate"]).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 wrapped anew"));
    verify(&house).await;

    house.set("PRIVACY__MASTER_KEYS", Some(key("k2", NEW)));
    let house = house.restart().await;
    // Everything opens, is found, goes on, and the record is whole, also where the old key signed it.
    let (status, export) = house.get(&format!("/v1/customers/{id}/export")).await;
    assert_eq!((status, &export["personal"]["application"]["firstName"]), (200, &json!("CanaryTwo")));
    let body = json!({ "source": "ours", "email": "canary@example.test" });
    let (_, found) = house.ask(reqwest::Method::POST, "/v1/customers/search", Some(body)).await;
    assert_eq!(found["items"][0]["customerHashId"], json!(id), "{found}");
    verify(&house).await;
    assert!(house.database.number("SELECT count(*) FROM audit WHERE key_id = 'k1'") > 0);
    // A backup from before holds keys that nobody can open any more.
    let now = wrapped(&house.database, &id);
    assert!(before.starts_with(b"\x01\x02k1") && now.starts_with(b"\x01\x02k2"));
    assert_eq!(erase(&house, &other).await.0, 200);
    is_gone(&house.database, &other);
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_goes_on_and_nothing_is_lost() {
    let mut house = house(&[]).await;
    house.set("PRIVACY__MASTER_KEYS", Some(format!("{},{}", key("k2", NEW), key("k1", OLD))));
    let house = house.restart().await;
    many(&house.database, 3_000);
    for round in 0..5_u64 {
        let mut rotating = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["keys", "rotate"])
            .envs(house.env())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(40 + 50 * round)).await;
        let _ = rotating.kill().await;
        house
            .eventually("every key is under one of the two", async || {
                let used = in_use(&house).await;
                let used = used.as_array().unwrap().iter();
                let held: i64 = used.map(|used| used["dataKeys"].as_i64().unwrap()).sum();
                held >= 3_000 && held == house.database.number("SELECT count(*) FROM data_key")
            })
            .await;
        // Work goes on meanwhile.
        let id = house.rejected(&format!("Ana{round}")).await;
        assert_eq!(erase(&house, &id).await.0, 200);
    }
    let done = command(&house, &["keys", "rotate"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let used = in_use(&house).await;
    assert_eq!((used.as_array().unwrap().len(), &used[0]["id"]), (1, &json!("k2")));
    verify(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_another_master_key_is_named_at_the_start() {
    let house = house(&[]).await;
    house.rejected("Ana").await;
    let mut env = house.env().clone();
    let house = house
        .restart_with(|| {
            let mut serve = |keys: String| {
                env.insert("REINSTATE__PRIVACY__MASTER_KEYS".to_owned(), keys);
                let done = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
                    .arg("serve")
                    .envs(&env)
                    .env("REINSTATE__PUBLIC__LISTEN", "127.0.0.1:0")
                    .env("REINSTATE__ADMIN__LISTEN", "127.0.0.1:0")
                    .output()
                    .unwrap();
                (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
            };
            let (code, said) = serve(key("k2", NEW));
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("the master key `k1`, which is not in privacy.master_keys"), "{said}");
            let (code, said) = serve(key("k1", NEW));
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("`k1`") && said.contains("its bytes are others"), "{said}");
        })
        .await;
    assert_eq!(house.database.number("SELECT count(*) FROM cases"), 1);
    house.close().await;
}
