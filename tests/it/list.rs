//! The Customer List through our client, against the pretend Nium: pages, both releases, and everything between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reinstate::domain::status::{Compliance, Status};
use reinstate::nium::error::{ListError, TroubleKind};
use reinstate::nium::list::{ListPage, PAGE_CUSTOMERS_MAX, Release};
use reinstate::nium::pace::Class;
use reinstate::nium::{Nium, Options};
use reinstate::sim::Sim;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{API_KEY, CLIENT, client, lasting_address, spawn, start_sim};

/// Pages after which a walk is lost.
const PAGES_MAX: u32 = 20;

type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

/// A pretend Nium and a client of it, and nothing else.
struct Pair {
    sim: Sim,
    http: Client,
    nium: Nium,
    /// What the calls came to: `list_v3 ok` and how often.
    calls: Calls,
}

impl Pair {
    fn start() -> Self {
        let http = client();
        // Nobody listens for callbacks.
        let sim = start_sim(lasting_address());
        let calls = Calls::default();
        let nium = nium_client(&sim, &calls);
        Self { sim, http, nium, calls }
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/__sim/{path}", self.sim.base_url());
        let answer = self.http.request(method, url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn fault(&self, fault: Value) {
        self.control(Method::POST, "faults", fault).await;
    }

    /// So many customers, in the order of their creation.
    async fn customers(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let made = self.control(Method::POST, "customers", json!({})).await;
            ids.push(made["customerHashId"].as_str().unwrap().to_owned());
        }
        ids
    }

    async fn page(&self, page: u32, size: u32) -> Result<ListPage, ListError> {
        self.nium.list(page, size, Uuid::new_v4(), self.nium.permit(Class::Sweep).await).await
    }

    /// Every page until the last.
    async fn walk(&self, size: u32) -> Vec<ListPage> {
        let mut pages = Vec::new();
        for number in 0..PAGES_MAX {
            let page = self.page(number, size).await.unwrap();
            let last = page.last;
            pages.push(page);
            if last {
                return pages;
            }
        }
        panic!("no last page among {PAGES_MAX}");
    }

    fn calls(&self) -> BTreeMap<String, usize> {
        self.calls.lock().unwrap().clone()
    }

    /// Asks without the client, and gives the status and the body.
    async fn ask(&self, path: &str, key: &str) -> (u16, Value) {
        let url = format!("{}/api/{path}", self.sim.base_url());
        let answer = self.http.get(url).header("x-api-key", key).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn nium_client(sim: &Sim, calls: &Calls) -> Nium {
    let calls = Arc::clone(calls);
    let options = Options {
        base_url: sim.base_url(),
        client_hash_id: CLIENT.to_owned(),
        api_key: API_KEY.to_owned().into(),
        client_name: "tests".to_owned(),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        requests_per_second: 1000.0,
        burst: 1000,
        concurrency: 1,
        shared: reinstate::nium::pace::SharedTurns::alone(),
        observer: Arc::new(move |endpoint, outcome, _| {
            *calls.lock().unwrap().entry(format!("{} {outcome}", endpoint.as_str())).or_default() += 1;
        }),
    };
    Nium::new(options).unwrap()
}

fn ids(pages: &[ListPage]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.customers).map(|customer| customer.id.to_string()).collect()
}

fn counted(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_customer_is_met_once_oldest_first_in_either_release() {
    let pair = Pair::start();
    let made = pair.customers(120).await;
    let newer = pair.walk(PAGE_CUSTOMERS_MAX).await;
    assert_eq!(ids(&newer), made);
    assert!(newer.iter().all(|page| page.release == Release::V3 && page.total_pages == Some(3)));
    assert_eq!(pair.calls(), counted(&[("list_v3 ok", 3)]));

    pair.fault(json!({ "endpoint": "list_v3", "kind": "not_found" })).await;
    let older = pair.walk(PAGE_CUSTOMERS_MAX).await;
    assert_eq!(ids(&older), made);
    assert!(older.iter().all(|page| page.release == Release::V2 && page.total_customers == Some(120)));
    let all = [("list_v3 ok", 3), ("list_v3 not_found", 1), ("list_v2 ok", 3)];
    assert_eq!(pair.calls(), counted(&all), "V3 is asked once, then V2 alone");
    let same = newer.iter().zip(&older).all(|(newer, older)| newer.customers == older.customers);
    assert!(same, "both say the same about everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_release_is_asked_where_the_newer_is_not_there_or_no_list() {
    let faults = [
        json!({ "kind": "status", "code": 404 }),
        json!({ "kind": "status", "code": 405 }),
        json!({ "kind": "status", "code": 410 }),
        json!({ "kind": "status", "code": 501 }),
        json!({ "kind": "status", "code": 200 }),
        json!({ "kind": "html200" }),
        json!({ "kind": "truncated" }),
        json!({ "kind": "huge" }),
    ];
    let mut pair = Pair::start();
    let made = pair.customers(3).await;
    for mut fault in faults {
        fault["endpoint"] = json!("list_v3");
        pair.fault(fault.clone()).await;
        let page = pair.page(0, 50).await.unwrap();
        assert_eq!((page.release, ids(&[page])), (Release::V2, made.clone()), "{fault}");
        // The next process tries the newer again.
        pair.nium = nium_client(&pair.sim, &pair.calls);
        assert_eq!(pair.page(0, 50).await.unwrap().release, Release::V3, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_release_is_not_kept_to_before_it_gave_a_page() {
    let pair = Pair::start();
    for release in ["list_v3", "list_v2"] {
        pair.fault(json!({ "endpoint": release, "kind": "not_found" })).await;
    }
    assert_eq!(pair.page(0, 50).await, Err(ListError::Unreadable("Nium has no such list")));
    assert_eq!(pair.page(0, 50).await.unwrap().release, Release::V3);
}

#[tokio::test(flavor = "multi_thread")]
async fn niums_trouble_is_trouble_and_not_a_reason_to_ask_the_older() {
    let pair = Pair::start();
    let wanted = [
        (401, TroubleKind::Unauthorized),
        (403, TroubleKind::Forbidden),
        (429, TroubleKind::TooMany),
        (500, TroubleKind::Server(500)),
        (503, TroubleKind::Server(503)),
    ];
    for (code, kind) in wanted {
        pair.fault(json!({ "endpoint": "list_v3", "kind": "status", "code": code, "retryAfterSeconds": 7 }))
            .await;
        let Err(ListError::Trouble(trouble)) = pair.page(0, 50).await else {
            panic!("{code} is trouble");
        };
        assert_eq!((trouble.kind, trouble.retry_after), (kind, Some(Duration::from_secs(7))));
    }
    pair.fault(json!({ "endpoint": "list_v3", "kind": "drop" })).await;
    let Err(ListError::Trouble(trouble)) = pair.page(0, 50).await else {
        panic!("a lost connection is trouble");
    };
    assert_eq!(trouble.kind, TroubleKind::ConnectionLost);
    assert!(pair.calls().keys().all(|call| call.starts_with("list_v3")), "{:?}", pair.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_spoils_nobody_else() {
    let pair = Pair::start();
    let made = pair.customers(5).await;
    for (at, how) in [(1, "no_id"), (2, "odd_compliance"), (3, "no_object")] {
        pair.fault(
            json!({ "endpoint": "list_item", "customerHashId": made[at], "kind": "item", "how": how }),
        )
        .await;
    }
    let page = pair.page(0, 50).await.unwrap();
    assert_eq!(ids(std::slice::from_ref(&page)), [0, 2, 4].map(|at| made[at].clone()));
    assert_eq!((page.unreadable, page.total_customers, page.last), (2, Some(5), true));
    let words: Vec<_> = page.customers.iter().map(|customer| customer.compliance.clone()).collect();
    assert_eq!(words, [Some(Compliance::ActionRequired), None, Some(Compliance::ActionRequired)]);
    assert_eq!(page.customers[1].status, Some(Status::Pending));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_goes_between_two_pages_hides_the_next_one() {
    let pair = Pair::start();
    let mut made = pair.customers(5).await;
    let first = pair.page(0, 2).await.unwrap();
    pair.control(Method::DELETE, &format!("customers/{}", made[0]), json!({})).await;
    made.extend(pair.customers(1).await);
    let second = pair.page(1, 2).await.unwrap();
    let third = pair.page(2, 2).await.unwrap();
    assert!(!second.last && third.last);
    let met = ids(&[first, second, third]);
    assert_eq!(met, [0, 1, 3, 4, 5].map(|at| made[at].clone()), "the third moved to the page before");
    pair.fault(
        json!({ "endpoint": "list_item", "customerHashId": made[4], "kind": "item", "how": "left_out" }),
    )
    .await;
    assert_eq!(ids(&pair.walk(2).await), [1, 2, 3, 5].map(|at| made[at].clone()));
    assert_eq!(ids(&pair.walk(2).await), [1, 2, 3, 4, 5].map(|at| made[at].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_call_waits_for_leave_of_its_own() {
    let pair = Arc::new(Pair::start());
    pair.customers(1).await;
    pair.fault(json!({ "endpoint": "list_v3", "kind": "not_found" })).await;
    // There is one place for calls at a time: holding on to it would wait for ever.
    let asking = Arc::clone(&pair);
    let asked = spawn(async move { asking.page(0, 50).await });
    let page = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap().unwrap();
    assert_eq!(page.release, Release::V2);
    let journal = pair.sim.journal();
    let ids: Vec<_> = journal
        .iter()
        .filter(|entry| entry.endpoint.starts_with("list_"))
        .map(|entry| &entry.request_id)
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0].is_some() && ids[0] == ids[1], "one operation, one id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pretend_list_is_strict_and_filters() {
    let pair = Pair::start();
    pair.customers(2).await;
    let said = json!({ "email": "kim@example.test", "tags": [{ "key": "tier", "value": "Gold" }] });
    let kim = pair.control(Method::POST, "customers", said).await["customerHashId"].clone();
    for version in ["v2", "v3"] {
        let list = format!("{version}/client/{CLIENT}/customers");
        assert_eq!(pair.ask(&list, "another key").await, (401, json!("Unauthorized")));
        let foreign = format!("{version}/client/{}/customers?page=0&size=5", Uuid::new_v4());
        assert_eq!(pair.ask(&foreign, API_KEY).await.0, 403);
        for wrong in ["", "?page=0", "?page=0&size=51", "?page=0&size=5&limit=5"] {
            assert_eq!(pair.ask(&format!("{list}{wrong}"), API_KEY).await.0, 400, "{wrong}");
        }
        let newest = pair.ask(&format!("{list}?page=0&size=1&order=DESC"), API_KEY).await.1;
        assert_eq!(newest["content"][0]["customerHashId"], kim);
        for (filter, count) in [
            ("email=kim@example.test", 1),
            ("email=lee@example.test", 0),
            ("tagKey=tier&tagValue=gol", 1),
            ("tagKey=tie", 0),
            ("businessRegistrationNumber=1", 0),
        ] {
            let found = pair.ask(&format!("{list}?page=0&size=5&{filter}"), API_KEY).await.1;
            assert_eq!(found["content"].as_array().unwrap().len(), count, "{filter}");
        }
    }
}
