//! Bugs that peers have shipped, each as a test of its own name, so that it does not come here too. Those that other files
//! hold, by the number under which we collect them:
//!
//! | Bug | Held by |
//! | --- | --- |
//! | 1 a requeue kept the spent retry count | `jobs::a_webhook_that_was_given_up_is_retried_with_a_fresh_budget_and_the_same_id` |
//! | 5 finished work counted against the room for new work | `spool::tests`: `what_was_drained_takes_no_room_any_more`; attempts have a budget, as under 1 |
//! | 8 a batch half applied | `laws::one_write_that_fails_does_not_take_its_neighbours_with_it` |
//! | 9 wake-ups on enqueue but not on retry | `laws::whatever_makes_work_rings`; without any, `journeys::the_poll_alone_suffices` |
//! | 10 an API that is open until it has a token | `serve::without_a_token_in_the_configuration_the_api_is_closed_not_open`, and below |
//! | 12 no time limit on a request's head | `listener::half_a_first_head_is_cut_off`, `listener::half_a_later_head_is_cut_off`, and below on both listeners |
//! | 13 an address list satisfied by any spelling | `worker::guard`: `private_loopback_and_metadata_addresses_are_not_public_in_any_spelling` |
//! | 14, 19 a revoked secret kept working | `serve::tokens_are_made_listed_and_revoked_beside_a_running_service` |
//! | 20 somebody else's data | `api::roles_hold` |
//! | 22 one row that cannot be read wedges a batch | `damage::a_damaged_row_holds_up_nobody_else`, `disk::a_damaged_row_is_one_customers_trouble` |
//! | 23 the vendor's error body in our texts | `nium::tests`, `api::nothing_personal_lies_open_in_the_database_or_in_events` |
//! | 24 a signature over JSON written anew | `callback::a_signature_covers_the_target_and_the_body` |
//!
//! 3 (reload), 6 in part and 18 (retention), 16 and 17 (other stores) are about what is not built yet.

use std::collections::BTreeSet;
use std::time::Duration;

use reinstate::config::{Config, Sources};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, Plan, TOKEN, listener};

/// A write with an `Idempotency-Key`.
async fn write(house: &House, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}{path}", house.admin);
    let request = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", key);
    let answer = request.json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What the table above says must be there.
#[test]
fn the_tests_of_the_table_exist() {
    let table = include_str!("peers.rs").lines().filter(|line| line.starts_with("//! |"));
    let mut named = 0;
    for name in table.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let Some((module, test)) = name.split_once("::") else { continue };
        let path = format!("{}/tests/it/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let Ok(source) = std::fs::read_to_string(path) else { continue };
        assert!(source.contains(&format!("fn {test}(")), "{name}");
        named += 1;
    }
    assert!(named >= 10, "{named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_2_a_refused_write_does_not_use_its_key_up() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    let path = format!("/v1/customers/{id}/corrections");
    let correction = json!({ "fields": { "firstName": "Ana Maria" } });
    house.until(&id, "watching").await;
    assert_eq!(write(&house, &path, "the key", &correction).await.0, 409);
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    assert_eq!(write(&house, &path, "the key", &correction).await.0, 202);
    house.until(&id, "reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_4_every_secret_signs_and_every_secret_opens() {
    use standardwebhooks::Webhook;
    const OTHER: &str = "whsec_b3RoZXItc2VjcmV0LW9mLXRoZS10ZXN0cy0wMDAwMDAw";
    let both = format!("whsec_{},{OTHER}", crate::house::SECRET);
    let house = House::build(Plan { env: vec![("NOTIFY__WEBHOOK__SECRETS", both)], ..Plan::default() }).await;
    let id = house.rejected("Ana").await;
    let told = house.heard(&id, "customer.rejected").await;
    for secret in [format!("whsec_{}", crate::house::SECRET), OTHER.to_owned()] {
        let webhook = Webhook::new(&secret).unwrap();
        assert!(
            webhook.verify(&told.raw, &told.headers).is_ok(),
            "the second signature counts as much as the first"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_7_the_same_callback_twenty_times_at_once_is_one() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    let url = format!("http://{}/callback/compliance?customerHashId={id}", house.public);
    let knocks = (0..20).map(|_| house.http.post(&url).header("x-request-id", "the-same").send());
    for answer in futures_util::future::join_all(knocks).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    house
        .eventually("one callback, twenty deliveries", async || {
            let (_, list) = house.get(&format!("/v1/callbacks?customerHashId={id}")).await;
            let of_it: Vec<&Value> = list["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|item| item["requestId"] == "the-same")
                .collect();
            of_it.len() == 1 && of_it[0]["deliveries"] == 20
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_10_a_token_that_is_none_of_ours_opens_nothing() {
    let house = House::start().await;
    for token in ["", "null", "undefined", "Bearer", TOKEN.trim_end_matches('s')] {
        for path in ["/v1/customers", "/v1/jobs", "/v1/sweeps", "/v1/callbacks"] {
            let url = format!("http://{}{path}", house.admin);
            let status = house.http.get(url).bearer_auth(token).send().await.unwrap().status();
            assert_eq!(status, 401, "{path} with {token:?}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_11_a_secret_that_names_another_place_is_not_taken_as_the_secret() {
    let house = House::start().await;
    for reference in ["env:NIUM_KEY", "file:/run/secrets/nium", "${NIUM_KEY}"] {
        let mut env = house.env().clone();
        env.insert("REINSTATE__NIUM__API_KEY".to_owned(), reference.to_owned());
        let told = Config::load(&Sources { file: None, env }).map(|_| ()).unwrap_err().to_string();
        assert!(told.starts_with("nium.api_key"), "{told}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_12_half_a_request_is_cut_off_on_both_listeners() {
    let house = House::start().await;
    for address in [house.public, house.admin] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\nx-slow: ").await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{address} waits for ever");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_15_whoever_never_answers_holds_up_nobody() {
    let (silent, address) = listener();
    let env = vec![
        ("NOTIFY__WEBHOOK__URL", format!("http://{address}/silent")),
        ("NOTIFY__WEBHOOK__TIMEOUT_MS", "200".to_owned()),
        ("NIUM__CONNECT_TIMEOUT_MS", "1000".to_owned()),
        ("NIUM__TIMEOUT_MS", "1000".to_owned()),
    ];
    let house = House::build(Plan { env, ..Plan::default() }).await;
    let slow = house.onboard("Ana").await;
    house.fault(json!({ "endpoint": "details", "customerHashId": slow, "kind": "hang", "ms": 60_000, "times": 2 })).await;
    house.nium_says(&slow, json!({ "complianceStatus": "REJECT" })).await;
    house.rejected("Bo").await;
    house.until(&slow, "awaiting_correction").await;
    let later = "reinstate_tells_total{event=\"customer.rejected\",outcome=\"later\"}";
    house.eventually("the receiver is given up for now", async || house.metric(later).await >= 2).await;
    house.close().await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_21_what_nobody_asked_for_is_on_record_too() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.advance(Duration::from_hours(15 * 24));
    house.until(&id, "finally_rejected").await;
    let story = house.story(&id).await;
    assert!(story.contains("-> finally_rejected: Nobody corrected before the deadline"), "{story}");
    let (_, sweeps) = house.get("/v1/sweeps").await;
    let by: BTreeSet<String> =
        sweeps["items"].as_array().unwrap().iter().map(|row| row["askedBy"].to_string()).collect();
    assert_eq!(by, BTreeSet::from(["\"schedule\"".to_owned()]));
    // Whoever asks during one is given that one.
    house
        .eventually("the sweep that was due is over", async || {
            let (_, sweeps) = house.get("/v1/sweeps").await;
            let rows = sweeps["items"].as_array().unwrap();
            rows.len() >= 2 && rows.iter().all(|row| !row["endedAt"].is_null())
        })
        .await;
    house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    let (_, sweeps) = house.get("/v1/sweeps").await;
    assert!(sweeps.to_string().contains("\"bootstrap\""), "{sweeps}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_25_readiness_goes_the_way_that_a_callback_goes() {
    let house = House::start().await;
    // Everything answers, and yet no callback could be stored: a table that only they use is gone.
    house.database.sql("ALTER TABLE callback_log RENAME TO elsewhere").unwrap();
    house
        .eventually("readiness says so", async || house.get("/readyz").await.1["status"] == "degraded")
        .await;
    house.database.sql("ALTER TABLE elsewhere RENAME TO callback_log").unwrap();
    house.eventually("and is over it", async || house.get("/readyz").await.1["status"] == "ready").await;
    house.close().await;
}
