//! Lists that officers work through: what stands in them, in which order, page by page.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::House;

const HOUR: Duration = Duration::from_hours(1);

async fn list(house: &House, query: &str) -> Vec<String> {
    let (status, page) = house.get(&format!("/v1/customers?{query}")).await;
    assert_eq!(status, 200, "{query} {page}");
    ids(&page)
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["customerHashId"].as_str().unwrap().to_owned()).collect()
}

/// Everybody in a list, one to a page.
async fn one_by_one(house: &House, query: &str) -> Vec<String> {
    let (mut cursor, mut met) = (String::new(), Vec::new());
    for _ in 0..20 {
        let (status, page) = house.get(&format!("/v1/customers?{query}&limit=1{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        met.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { return met };
        cursor = format!("&cursor={next}");
    }
    panic!("{query} does not end");
}

async fn parked(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&id, "needs_officer").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_waited_longest_for_an_officer_comes_first_whatever_their_id() {
    let house = House::start().await;
    let mut waiting = Vec::new();
    for name in ["Ana", "Bo", "Cy", "Di", "Ed"] {
        waiting.push(parked(&house, name).await);
        house.advance(Duration::from_secs(30));
    }
    house.rejected("Flo").await;
    assert_eq!(list(&house, "view=needs_officer").await, waiting);
    assert_eq!(one_by_one(&house, "view=needs_officer").await, waiting);
    assert_eq!(one_by_one(&house, "view=needs_officer&kind=individual").await, waiting, "with a condition");
    assert_eq!(list(&house, "view=needs_officer&state=watching").await, Vec::<String>::new());
    let body = json!({ "source": "ours", "view": "needs_officer", "text": "cy" });
    let (_, page) = house.ask(Method::POST, "/v1/customers/search", Some(body)).await;
    assert_eq!(ids(&page), [waiting[2].clone()]);
    let (_, page) = house.get("/v1/customers?view=needs_officer&limit=1").await;
    let cursor = page["next"].as_str().unwrap();
    for other in ["state=needs_officer", "view=deadline"] {
        let (status, problem) = house.get(&format!("/v1/customers?{other}&cursor={cursor}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_parameter")), "{other}: {problem}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_deadline_comes_first_and_only_what_is_open_has_one() {
    let house = House::start().await;
    let ana = house.rejected("Ana").await;
    house.advance(HOUR * 24);
    let bo = house.rejected("Bo").await;
    house.advance(HOUR * 24);
    // Asked for information: that has a deadline too.
    let cy = house.onboard("Cy").await;
    house.nium_says(&cy, json!({ "complianceStatus": "RFI_REQUESTED" })).await;
    house
        .eventually("it is asked", async || {
            house.get(&format!("/v1/customers/{cy}")).await.1["rfi"]["open"] == true
        })
        .await;
    let days = |id: &str| {
        let path = format!("/v1/customers/{id}");
        let house = &house;
        async move {
            let (_, case) = house.get(&path).await;
            let deadline = case["correction"]["deadline"].as_str().or(case["rfi"]["deadline"].as_str());
            deadline.unwrap().parse::<jiff::Timestamp>().unwrap()
        }
    };
    let mut wanted =
        vec![(days(&ana).await, ana.clone()), (days(&bo).await, bo.clone()), (days(&cy).await, cy.clone())];
    wanted.sort();
    let wanted: Vec<String> = wanted.into_iter().map(|(_, id)| id).collect();
    assert_eq!(list(&house, "deadlineWithin=60d").await, wanted);
    assert_eq!(one_by_one(&house, "deadlineWithin=60d").await, wanted);
    assert_eq!(one_by_one(&house, "deadlineWithin=60d&kind=individual").await, wanted);
    assert!(list(&house, "view=deadline").await.is_empty(), "all of them have time");
    assert_eq!(list(&house, "view=needs_officer&deadlineWithin=60d").await, Vec::<String>::new());
    let day = days(&ana).await;
    assert_eq!(
        list(&house, &format!("deadlineWithin={day}&state=awaiting_correction")).await,
        std::slice::from_ref(&ana)
    );
    let (_, case) = house.get(&format!("/v1/customers/{ana}")).await;
    let class = case["correction"]["class"].as_str().unwrap();
    let mut both = vec![ana.clone(), bo.clone()];
    both.sort_unstable();
    assert_eq!(list(&house, &format!("class={class}")).await, both, "in the order of ids");
    assert_eq!(one_by_one(&house, &format!("class={class}&newerThan=100d")).await, both);
    assert!(list(&house, "class=final").await.is_empty());
    for wrong in ["class=odd", "view=all", "deadlineWithin=soon"] {
        assert_eq!(house.get(&format!("/v1/customers?{wrong}")).await.0, 400, "{wrong}");
    }
    // Whoever has answered has no deadline any more.
    let decision = json!({ "decision": "final" });
    house.ask(Method::POST, &format!("/v1/customers/{ana}/decision"), Some(decision)).await;
    house.until(&ana, "finally_rejected").await;
    assert!(!list(&house, "deadlineWithin=60d").await.contains(&ana));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_should_have_moved_and_did_not_is_stuck_and_nobody_else() {
    let house = House::start().await;
    let well = house.rejected("Ana").await;
    let late = house.onboard("Bo").await;
    house.until(&late, "watching").await;
    // Nium's answers about this customer cannot be had for a long while.
    house.fault(json!({ "endpoint": "details", "customerHashId": late, "kind": "status", "code": 500, "times": 400 })).await;
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": late })).await;
    house
        .eventually("it is stuck", async || {
            house.advance(Duration::from_mins(1));
            list(&house, "view=stuck").await.contains(&late)
        })
        .await;
    let (_, views) = house.get("/v1/views").await;
    let stuck = views["items"].as_array().unwrap().iter().find(|view| view["view"] == "stuck").unwrap();
    assert!(
        stuck["count"].as_u64().unwrap() >= 1 && stuck["means"].as_str().unwrap().contains("an hour"),
        "{views}"
    );
    house.nium(Method::DELETE, "/__sim/faults", json!({})).await;
    house
        .eventually("nobody is stuck", async || {
            house.advance(Duration::from_secs(20));
            list(&house, "view=stuck").await.is_empty()
        })
        .await;
    let (_, views) = house.get("/v1/views").await;
    assert!(views["items"].as_array().unwrap().iter().all(|view| view["orMore"] == false), "{views}");
    assert_eq!(house.get(&format!("/v1/customers/{well}")).await.0, 200);
    house.close().await;
}
