//! The database is away for a while: callbacks are kept all the same, and nothing is forgotten afterwards.

use reinstate::http::callback::STORE_WAIT;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;

use crate::database::about_sqlite;
use crate::house::House;

async fn readiness(house: &House) -> (u16, String) {
    let (status, body) = house.get("/readyz").await;
    (status, body["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn callbacks_that_come_while_the_database_is_locked_lead_to_a_look_on_sqlite() {
    about_sqlite();
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    assert_eq!(readiness(&house).await, (200, "ready".to_owned()));

    let locked = Connection::open(house.database.file()).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house
        .eventually("the callback is spooled", async || house.metric("reinstate_spool_records").await == 1)
        .await;
    // Once the store has failed nobody waits for it again.
    let begun = std::time::Instant::now();
    let url = format!("http://{}/callback/compliance?customerHashId={id}", house.public);
    let again = house.http.request(Method::POST, url).header("x-request-id", "again").send().await.unwrap();
    assert_eq!(again.status().as_u16(), 200);
    assert!(begun.elapsed() < STORE_WAIT, "{:?}", begun.elapsed());
    assert_eq!(readiness(&house).await, (200, "degraded".to_owned()));

    locked.execute_batch("ROLLBACK").unwrap();
    house.until(&id, "awaiting_correction").await;
    house.eventually("the spool is empty", async || house.metric("reinstate_spool_records").await == 0).await;
    assert_eq!(readiness(&house).await, (200, "ready".to_owned()));
    let (_, callbacks) = house.get(&format!("/v1/callbacks?customerHashId={id}")).await;
    let callbacks = callbacks["items"].as_array().unwrap();
    assert!(callbacks.iter().all(|callback| callback["deliveries"] == 1), "{callbacks:?}");
    house.close().await;
}
