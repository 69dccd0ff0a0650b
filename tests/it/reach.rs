//! What an endpoint's address and its answers can make us do: reach nothing that is not public, follow nobody, wait for
//! nobody, and give up in the end what is refused for days while other things are taken.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use reinstate::config::{Config, Sources};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::house::{Ear, House, Plan, spawn};

/// An endpoint of this name and address.
fn endpoint(name: &str, url: &str, private: bool) -> String {
    format!(
        "{{ name = \"{name}\", url = \"{url}\", allow_private = {private}, timeout_ms = 15000, \
         secrets = [\"whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi\"] }}"
    )
}

async fn with(endpoints: &[String]) -> House {
    let env = vec![("NOTIFY__ENDPOINTS", format!("[{}]", endpoints.join(", ")))];
    House::build(Plan { env, ..Plan::default() }).await
}

async fn test(house: &House, name: &str) -> Value {
    house.ask(Method::POST, &format!("/v1/endpoints/{name}/test"), None).await.1
}

async fn deliveries(house: &House, query: &str) -> Vec<Value> {
    let (_, page) = house.get(&format!("/v1/deliveries?limit=200&{query}")).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn private_places_are_refused_in_any_spelling_before_anybody_is_called() {
    // What the configuration can see is refused there.
    let house = House::start().await;
    for url in [
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://localhost/",
        "https://user@10.0.0.1/",
    ] {
        let mut env = house.env().clone();
        env.insert("REINSTATE__NOTIFY__ENDPOINTS".to_owned(), format!("[{}]", endpoint("x", url, false)));
        let refused = Config::load(&Sources { file: None, env }).unwrap_err().to_string();
        assert!(refused.contains("private") || refused.contains("user"), "{url}: {refused}");
    }
    house.close().await;
    // Everything else when it is used.
    let urls = [
        "https://100.64.0.1/",
        "https://[::ffff:100.100.100.200]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[64:ff9b:1:a9fe:a9:fe00:808:808]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:808:808::1]/",
        "https://168.63.129.16/",
        "https://192.0.0.192/",
        "https://198.18.0.1/",
        "https://[fec0::1]/",
        "https://224.0.0.1/",
        "https://localhost./",
    ];
    let endpoints: Vec<String> =
        (0..).zip(urls).map(|(number, url): (u32, _)| endpoint(&format!("e{number}"), url, false)).collect();
    let house = with(&endpoints).await;
    for (number, url) in (0..).zip(urls) {
        let number: u32 = number;
        let tried = test(&house, &format!("e{number}")).await;
        let why = tried["error"].as_str().unwrap_or_default();
        assert!(tried["delivered"] == false && why.contains("not"), "{url}: {tried}");
        assert!(why.contains("not public") || why.contains("not allowed"), "{url}: {tried}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Ear::default();
    let inside = elsewhere.listen().await;
    let mut endpoints = Vec::new();
    for status in [301_u16, 302, 303, 307, 308] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = format!("http://{inside}/internal");
        let router = Router::new().fallback(move || async move {
            (StatusCode::from_u16(status).unwrap(), [(LOCATION, to.clone())]).into_response()
        });
        spawn(async move { axum::serve(listener, router).await.unwrap() });
        endpoints.push(endpoint(&format!("r{status}"), &format!("http://{address}/"), true));
    }
    let house = with(&endpoints).await;
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    for status in [301, 302, 303, 307, 308] {
        let tried = test(&house, &format!("r{status}")).await;
        assert_eq!((&tried["delivered"], &tried["status"]), (&json!(false), &json!(status)), "{tried}");
        house
            .eventually("it fails", async || {
                let failing = deliveries(&house, &format!("endpoint=r{status}&status=failing")).await;
                failing.iter().any(|one| one["lastAnswer"] == format!("the receiver answered {status}"))
            })
            .await;
    }
    assert!(elsewhere.all().is_empty(), "nobody was followed");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_or_with_too_much_of_it_holds_up_nobody() {
    // One says yes and never stops talking; one never says the end of its first line.
    let mut endpoints = Vec::new();
    for (name, first) in [("endless", "HTTP/1.1 200 OK\r\n\r\n"), ("headless", "HTTP/1.1 200 OK\r\nx-a: ")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                spawn(async move {
                    let mut request = [0; 16 * 1024];
                    let _ = socket.read(&mut request).await;
                    let _ = socket.write_all(first.as_bytes()).await;
                    while socket.write_all(&[b'x'; 8 * 1024]).await.is_ok() {}
                });
            }
        });
        endpoints.push(endpoint(name, &format!("http://{address}/"), true));
    }
    let house = with(&endpoints).await;
    let tried = test(&house, "endless").await;
    assert_eq!((&tried["delivered"], &tried["status"]), (&json!(true), &json!(200)), "{tried}");
    let tried = test(&house, "headless").await;
    assert!(tried["delivered"] == false && tried["error"].is_string(), "{tried}");
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    house
        .eventually("the endless one has both", async || {
            house.advance(Duration::from_millis(200));
            deliveries(&house, "endpoint=endless&status=delivered").await.len() == 2
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_days_is_given_up_and_its_customers_next_event_follows() {
    let picky = Ear::default();
    let address = picky.listen().await;
    let house = with(&[endpoint("picky", &format!("http://{address}/"), true)]).await;
    picky.refuse_all("customer.rejected");
    let id = house.rejected("Ana").await;
    let begun = house.now();
    while deliveries(&house, "endpoint=picky&status=failed").await.is_empty() {
        assert!(house.now().as_second() - begun.as_second() < 12 * 86_400, "it is never given up");
        house.advance(Duration::from_mins(30));
        // It takes other things meanwhile, so that it is not left alone as a whole.
        assert_eq!(test(&house, "picky").await["delivered"], true);
        let due = format!(
            "SELECT count(*) FROM effect WHERE destination = 'picky' AND status = 'pending' AND behind = 0
             AND (lease_until IS NOT NULL OR due_at <= {})",
            house.now().as_millisecond()
        );
        house.eventually("what was due was tried", async || house.database.number(&due) == 0).await;
    }
    let days = (house.now().as_second() - begun.as_second()) / 86_400;
    assert!(days >= 3, "it was given up after {days} days");
    let failed = deliveries(&house, "endpoint=picky&status=failed").await;
    assert_eq!((failed.len(), &failed[0]["type"]), (1, &json!("customer.rejected")));
    house
        .eventually("the next one arrives", async || {
            house.advance(Duration::from_secs(1));
            picky.all().iter().any(|told| {
                told.body["type"] == "customer.correction_requested"
                    && told.body["data"]["customerHashId"] == id.as_str()
            })
        })
        .await;
    // In order until then: nothing of hers came before.
    let kinds: Vec<Value> = picky
        .all()
        .iter()
        .filter(|told| told.body["data"]["customerHashId"] == id.as_str())
        .map(|told| told.body["type"].clone())
        .collect();
    let first = kinds.iter().position(|kind| kind == "customer.correction_requested").unwrap();
    assert!(kinds[..first].iter().all(|kind| kind == "customer.rejected") && first > 100, "{first}");
    house.close().await;
}
