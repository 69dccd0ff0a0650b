//! What the app backend is told: several endpoints, each with its own filter, secrets and order; the feed; redelivery;
//! endpoints that fail for long or are not there any more; a test event; addresses that must not be reached.

use std::net::ToSocketAddrs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::process::Command;

use crate::house::{Ear, House, Plan, Told};

/// The secrets of the endpoint `b`: two, because one is about to replace the other.
const SECRETS_OF_B: [&str; 2] = ["YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"];
const HOUR: Duration = Duration::from_hours(1);

/// `notify.endpoints` with one endpoint called `b`.
fn b_at(address: &str, more: &str) -> String {
    let secrets = SECRETS_OF_B.map(|secret| format!("\"whsec_{secret}\"")).join(", ");
    format!(
        "[{{ name = \"b\", url = \"http://{address}/b?key=s3cret\", secrets = [{secrets}], allow_private = true {more} }}]"
    )
}

/// A house whose backend also listens as `b`.
async fn with_b(more: &str) -> (House, Ear) {
    let ear = Ear::default();
    let address = ear.listen().await.to_string();
    let env = vec![("NOTIFY__ENDPOINTS", b_at(&address, more))];
    (House::build(Plan { env, ..Plan::default() }).await, ear)
}

fn types(ear: &Ear, about: &str) -> Vec<String> {
    let told = ear.all().into_iter().filter(|told| told.body["data"]["customerHashId"] == about);
    told.map(|told| told.body["type"].as_str().unwrap().to_owned()).collect()
}

async fn until(house: &House, what: &str, mut is_so: impl FnMut() -> bool) {
    house
        .eventually(what, async || {
            house.advance(Duration::from_millis(100));
            is_so()
        })
        .await;
}

/// Whether one of the signatures is what this secret makes of it.
fn is_signed(told: &Told, secret: &str) -> bool {
    let header = |name: &str| told.headers[name].to_str().unwrap();
    let mut mac = <Hmac<Sha256>>::new_from_slice(&STANDARD.decode(secret).unwrap()).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&told.raw);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header("webhook-signature").split(' ').any(|signature| signature == wanted)
}

async fn items(house: &House, path: &str) -> Vec<Value> {
    let (status, page) = house.get(path).await;
    assert_eq!(status, 200, "{path}: {page}");
    page["items"].as_array().unwrap().clone()
}

async fn redeliver(house: &House, filter: Value) -> u64 {
    let path = "/v1/deliveries/redeliver";
    let (status, counted) = house.ask(Method::POST, path, Some(json!({ "filter": filter }))).await;
    assert_eq!(status, 200, "{counted}");
    let body = json!({ "filter": filter, "confirm": counted["count"] });
    let (status, done) = house.ask(Method::POST, path, Some(body)).await;
    assert_eq!(status, 202, "{done}");
    assert_eq!(done["redelivered"], counted["count"]);
    done["redelivered"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_hears_what_it_wants_signed_with_its_own_secrets() {
    let (house, b) = with_b(", events = [\"customer.correction_requested\", \"customer.reinstated\"]").await;
    let id = house.rejected("Ana").await;
    house.correct(&id, json!({ "firstName": "Anna" })).await;
    house.until(&id, "reinstated").await;
    house.heard(&id, "customer.reinstated").await;
    until(&house, "b hears the end", || types(&b, &id).len() == 2).await;
    assert_eq!(types(&b, &id), ["customer.correction_requested", "customer.reinstated"]);
    assert!(house.events(&id).len() > 3, "the other hears everything: {:?}", house.events(&id));
    let (ours, theirs) = (house.ear.all(), b.all());
    for told in &theirs {
        let twin =
            ours.iter().find(|ours| ours.id == told.id).expect("the id is the same for every endpoint");
        assert_eq!(twin.raw, told.raw);
        assert!(SECRETS_OF_B.iter().all(|secret| is_signed(told, secret)), "every secret signs");
        assert!(!is_signed(told, crate::house::SECRET) && is_signed(twin, crate::house::SECRET));
    }
    let endpoints = items(&house, "/v1/endpoints").await;
    assert_eq!(endpoints[1]["events"], json!(["customer.correction_requested", "customer.reinstated"]));
    assert_eq!((&endpoints[0]["name"], &endpoints[1]["name"]), (&json!("default"), &json!("b")));
    assert!(
        endpoints[1]["lastSuccessAt"].is_string() && endpoints[1]["host"] == "127.0.0.1",
        "{}",
        endpoints[1]
    );
    assert!(
        !Value::from(endpoints).to_string().contains("s3cret"),
        "the rest of an address is nobody's business"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_delays_nobody_and_keeps_its_order() {
    let (house, b) = with_b("").await;
    b.refuse_next(&[503; 9]);
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    assert!(types(&b, &id).iter().all(|kind| kind == "customer.rejected"), "the first has not ended");
    house.correct(&id, json!({ "firstName": "Anna" })).await;
    house.until(&id, "reinstated").await;
    house.heard(&id, "customer.reinstated").await;
    // It may be on its way just now.
    let failing = async || items(&house, "/v1/deliveries?endpoint=b&status=failing").await;
    house.eventually("b's first is failing", async || failing().await.len() == 1).await;
    let failing = failing().await;
    assert_eq!(failing[0]["lastAnswer"], "the receiver answered 503");
    assert_eq!(failing[0]["attempts"][0]["answer"], "the receiver answered 503");
    assert!(items(&house, "/v1/deliveries?endpoint=b&status=waiting").await.len() > 2);
    house
        .eventually("b hears the end", async || {
            house.advance(Duration::from_secs(5));
            types(&b, &id).last().is_some_and(|kind| kind == "customer.reinstated")
        })
        .await;
    let mut heard = types(&b, &id);
    heard.dedup();
    let short: Vec<&str> = heard.iter().map(|kind| kind.trim_start_matches("customer.")).collect();
    assert_eq!(short, house.events(&id));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_takes_nobody_elses_seat() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let env = vec![("NOTIFY__ENDPOINTS", b_at(&address, ", timeout_ms = 60000"))];
    let house = House::build(Plan { env, ..Plan::default() }).await;
    // More customers than there are seats at one endpoint.
    for number in 0..20 {
        let id = house.onboard(&format!("Ana{number}")).await;
        house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
        house.heard(&id, "customer.correction_requested").await;
    }
    assert_eq!(items(&house, "/v1/deliveries?endpoint=b&status=delivered").await.len(), 0);
    drop(silent);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_has_everything_in_order_also_with_no_endpoint_at_all() {
    let mut house = House::start().await;
    house.set("NOTIFY__WEBHOOK__URL", None);
    house.set("NOTIFY__WEBHOOK__SECRETS", None);
    let house = house.restart().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    house.correct(&ana, json!({ "firstName": "Anna" })).await;
    house.until(&ana, "reinstated").await;
    let (mut after, mut all) = ("0".to_owned(), Vec::new());
    loop {
        let (status, page) = house.get(&format!("/v1/events?after={after}&limit=2")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().clone());
        after = page["next"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    let kinds = |about: &str| -> Vec<&str> {
        let of = all.iter().filter(|event| event["data"]["customerHashId"] == about);
        of.map(|event| event["type"].as_str().unwrap()).collect()
    };
    assert_eq!(kinds(&bo), ["customer.rejected", "customer.correction_requested"]);
    assert_eq!(
        (kinds(&ana).first(), kinds(&ana).last()),
        (Some(&"customer.rejected"), Some(&"customer.reinstated"))
    );
    let (_, rest) = house.get(&format!("/v1/events?after={after}")).await;
    assert_eq!((&rest["items"], &rest["next"]), (&json!([]), &json!(after)), "a cursor is always given");
    let only = items(&house, &format!("/v1/events?customerHashId={bo}&type=customer.rejected")).await;
    assert_eq!(only.len(), 1);
    let from = all[0]["position"].as_str().unwrap();
    assert_eq!(items(&house, &format!("/v1/events?after={from}&limit=1")).await[0], all[1]);
    for wrong in ["after=-1", "after=x", "type=customer.sung", "limit=0", "customerHashId=1"] {
        assert_eq!(house.get(&format!("/v1/events?{wrong}")).await.0, 400, "{wrong}");
    }
    assert!(items(&house, "/v1/deliveries").await.is_empty());
    let house = house.restart().await;
    assert_eq!(items(&house, "/v1/events?limit=200").await, all, "the same after a restart");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_goes_out_again_with_the_same_id_and_bytes() {
    let (house, b) = with_b("").await;
    let ana = house.rejected("Ana").await;
    house.rejected("Bo").await;
    let both = || [&house.ear, &b].iter().all(|ear| ear.all().len() == 4);
    until(&house, "both have heard of both", both).await;
    let written_down = async || items(&house, "/v1/deliveries?status=delivered").await.len() == 8;
    house.eventually("it is written down", written_down).await;
    let before = b.all();
    let ours = house.ear.all().len();
    let all = json!({ "endpoint": "b", "status": "delivered", "customerHashId": ana });
    let answered = async |body: Value| house.ask(Method::POST, "/v1/deliveries/redeliver", Some(body)).await;
    let (status, problem) = answered(json!({ "filter": all, "confirm": 1 })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("count_changed")), "{problem}");
    assert_eq!(redeliver(&house, json!({ "endpoint": "b" })).await, 0, "nothing failed");
    assert_eq!(redeliver(&house, all.clone()).await, 2);
    until(&house, "b has heard of Ana again", || types(&b, &ana).len() == 4).await;
    let again = b.all();
    let of_ana = |told: &&Told| told.body["data"]["customerHashId"] == json!(ana);
    let of_ana: Vec<&Told> = again.iter().filter(of_ana).collect();
    for (first, second) in [(0, 2), (1, 3)] {
        assert_eq!((&of_ana[first].id, &of_ana[first].raw), (&of_ana[second].id, &of_ana[second].raw));
    }
    assert_eq!(again.len(), before.len() + 2);
    assert_eq!(house.ear.all().len(), ours, "the other endpoint was not meant");
    for wrong in [
        json!({}),
        json!({ "filter": { "status": "held" } }),
        json!({ "filter": {}, "confirm": -1 }),
        json!({ "filter": { "colour": "red" } }),
        json!({ "filter": { "from": "soon" } }),
    ] {
        let (status, problem) = answered(wrong.clone()).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_filter")), "{wrong}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_days_is_left_alone_and_comes_back() {
    let (house, b) = with_b("").await;
    b.refuse_next(&[500; 2_000]);
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    until(&house, "b fails", || !b.all().is_empty()).await;
    for _ in 0..73 {
        house.advance(HOUR);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house
        .eventually("b is disabled", async || {
            house.advance(Duration::from_mins(1));
            items(&house, "/v1/endpoints").await[1]["disabledSince"].is_string()
        })
        .await;
    let disabled = "service.endpoint_disabled";
    until(&house, "the other is told", || house.ear.all().iter().any(|told| told.body["type"] == disabled))
        .await;
    assert_eq!(house.metric("reinstate_endpoint_disabled{endpoint=\"b\"}").await, 1);
    assert_eq!(house.metric("reinstate_endpoint_disabled{endpoint=\"default\"}").await, 0);
    let pending = items(&house, "/v1/deliveries?endpoint=b").await;
    assert!(pending.iter().all(|delivery| delivery["endedAt"].is_null()), "nothing is lost: {pending:?}");

    // One event an hour, always the oldest.
    let tried = b.all().len();
    for hour in 1..=3 {
        house.advance(HOUR);
        until(&house, "a probe", || b.all().len() >= tried + hour).await;
        assert_eq!(b.all().len(), tried + hour, "a probe an hour");
    }
    assert!(b.all()[tried..].iter().all(|told| told.id == b.all()[0].id));
    let house = house.restart().await;
    let there = items(&house, "/v1/endpoints").await.remove(1);
    assert!(there["disabledSince"].is_string(), "also after a restart: {there}");
    b.forgive();
    house
        .eventually("everything arrives", async || {
            house.advance(Duration::from_mins(1));
            items(&house, "/v1/deliveries?endpoint=b&status=delivered").await.len() >= 3
        })
        .await;
    let enabled = "service.endpoint_enabled";
    until(&house, "both are told", || {
        [&house.ear, &b].iter().all(|ear| ear.all().iter().any(|told| told.body["type"] == enabled))
    })
    .await;
    assert!(b.all().iter().all(|told| told.body["type"] != disabled));
    assert_eq!(house.metric("reinstate_endpoint_disabled{endpoint=\"b\"}").await, 0);
    assert!(items(&house, "/v1/endpoints").await[1]["failingSince"].is_null());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_removed_endpoint_is_given_up_and_goes_nowhere_else() {
    let (mut house, b) = with_b("").await;
    b.refuse_next(&[500; 100]);
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    until(&house, "b fails", || !b.all().is_empty()).await;
    let ours = house.ear.all().len();
    house.set("NOTIFY__ENDPOINTS", None);
    let mut house = house.restart().await;
    house
        .eventually("it is given up", async || {
            house.advance(Duration::from_mins(1));
            items(&house, "/v1/deliveries?endpoint=b&status=failed").await.len() == 2
        })
        .await;
    let failed = items(&house, "/v1/deliveries?endpoint=b").await;
    assert!(
        failed.iter().all(|one| one["lastAnswer"] == "the endpoint was removed from the configuration"),
        "{failed:?}"
    );
    assert_eq!(house.ear.all().len(), ours);
    assert!(house.story(&id).await.contains("telling given up"));
    // It is configured again, and its events are sent again.
    let b = Ear::default();
    let address = b.listen().await.to_string();
    house.set("NOTIFY__ENDPOINTS", Some(b_at(&address, "")));
    let house = house.restart().await;
    assert_eq!(redeliver(&house, json!({ "endpoint": "b" })).await, 2);
    until(&house, "b hears of it after all", || types(&b, &id).len() == 2).await;
    assert_eq!(types(&b, &id), ["customer.rejected", "customer.correction_requested"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_goes_the_way_of_all_events_and_says_what_came_of_it() {
    let (house, b) = with_b(", events = [\"customer.approved\"]").await;
    let (status, tried) = house.ask(Method::POST, "/v1/endpoints/b/test", None).await;
    assert_eq!(
        (status, &tried["delivered"], &tried["statusClass"]),
        (200, &json!(true), &json!("2xx")),
        "{tried}"
    );
    let told = b.all().remove(0);
    assert_eq!(
        (&told.body["type"], &told.body["data"]),
        (&json!("service.test"), &json!({ "endpoint": "b" }))
    );
    assert_eq!(tried["id"], told.id);
    assert!(is_signed(&told, SECRETS_OF_B[1]) && house.ear.all().is_empty());
    b.refuse_next(&[418]);
    let (_, tried) = house.ask(Method::POST, "/v1/endpoints/b/test", None).await;
    assert_eq!((&tried["delivered"], &tried["status"]), (&json!(false), &json!(418)));
    let (status, problem) = house.ask(Method::POST, "/v1/endpoints/c/test", None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("no_such_endpoint")));
    assert!(items(&house, "/v1/events").await.is_empty(), "nothing happened, and nothing is kept");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_that_is_taken_makes_an_endpoint_well_again() {
    let (house, b) = with_b("").await;
    b.refuse_all("customer.rejected");
    house.rejected("Ana").await;
    let failing = async || items(&house, "/v1/endpoints").await[1]["failingSince"].is_string();
    // And is not in hand any more.
    let at_rest = async || items(&house, "/v1/deliveries?endpoint=b&status=failing").await.len() == 1;
    house.eventually("b fails", async || failing().await && at_rest().await).await;
    let (_, tried) = house.ask(Method::POST, "/v1/endpoints/b/test", None).await;
    assert_eq!(tried["delivered"], true);
    assert!(!failing().await);
    house.close().await;
}

/// A name of this machine, other than `localhost`, and a listener where it leads.
async fn private_name() -> Option<(String, tokio::net::TcpListener)> {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts.split_whitespace().filter(|word| word.parse::<std::net::IpAddr>().is_err());
    for name in names.filter(|name| !name.contains("localhost") && !name.starts_with('#')) {
        let Ok(mut found) = (name, 0).to_socket_addrs() else { continue };
        if let Some(address) = found.find(|address| address.ip().is_loopback())
            && let Ok(listener) = tokio::net::TcpListener::bind(address).await
        {
            return Some((name.to_owned(), listener));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_a_private_place_is_not_followed() {
    let Some((name, listener)) = private_name().await else {
        eprintln!("this machine has no such name");
        return;
    };
    let url = format!("https://{name}:{}/hook", listener.local_addr().unwrap().port());
    let endpoint = |allow: bool| {
        format!(
            "[{{ name = \"b\", url = \"{url}\", secrets = [\"whsec_{}\"], allow_private = {allow} }}]",
            SECRETS_OF_B[0]
        )
    };
    let mut house =
        House::build(Plan { env: vec![("NOTIFY__ENDPOINTS", endpoint(false))], ..Plan::default() }).await;
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    house
        .eventually("it fails", async || {
            house.advance(Duration::from_secs(1));
            !items(&house, "/v1/deliveries?endpoint=b&status=failing").await.is_empty()
        })
        .await;
    let (_, tried) = house.ask(Method::POST, "/v1/endpoints/b/test", None).await;
    assert!(tried["error"].as_str().unwrap().contains("not allowed"), "{tried}");
    let knocked = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(knocked.is_err(), "nobody knocks");
    // With a word, it is.
    house.set("NOTIFY__ENDPOINTS", Some(endpoint(true)));
    let house = house.restart().await;
    let knock = house.ask(Method::POST, "/v1/endpoints/b/test", None);
    let (knocked, _) = tokio::join!(
        async {
            let knocked = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
            // Nobody here speaks TLS.
            knocked.map(drop)
        },
        knock
    );
    assert!(knocked.is_ok());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_the_same_bytes_also_after_a_restart() {
    let (house, b) = with_b("").await;
    b.refuse_next(&[500]);
    let id = house.rejected("Ana").await;
    until(&house, "b was tried", || !b.all().is_empty()).await;
    let house = house.restart().await;
    until(&house, "b hears of it", || types(&b, &id).len() >= 3).await;
    let told = b.all();
    assert_eq!((&told[0].id, &told[0].raw), (&told[1].id, &told[1].raw));
    assert_eq!(types(&b, &id), ["customer.rejected", "customer.rejected", "customer.correction_requested"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_tries_and_sends_again() {
    let (house, b) = with_b("").await;
    let id = house.rejected("Ana").await;
    until(&house, "b hears of it", || types(&b, &id).len() == 2).await;
    let events = async |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .arg("events")
            .args(args)
            .envs(house.env())
            .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
            .env_remove("REINSTATE_TOKEN")
            .output()
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    let (code, out, err) = events(&["list", "--endpoint", "b", "--type", "customer.rejected"]).await;
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}{err}");
    assert!(out.contains("delivered") && out.contains(&id), "{out}");
    let (_, out, _) = events(&["endpoints"]).await;
    assert!(out.lines().count() == 2 && out.contains("127.0.0.1") && !out.contains("s3cret"), "{out}");
    let (code, out, _) = events(&["test", "b"]).await;
    assert!(code == Some(0) && out.contains("answered 204"), "{out}");
    let again = ["redeliver", "--endpoint", "b", "--status", "delivered"];
    let (code, _, err) = events(&again).await;
    assert!(code == Some(1) && err.contains("2 deliveries go out again") && err.contains("--yes"), "{err}");
    let (code, _, err) = events(&[again.as_slice(), &["--yes"]].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    until(&house, "b hears of it again", || types(&b, &id).len() == 4).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_that_is_never_taken_does_not_keep_an_endpoint_shut() {
    let (house, b) = with_b("").await;
    b.refuse_all("customer.rejected");
    house.rejected("Ana").await;
    until(&house, "b fails", || !b.all().is_empty()).await;
    for _ in 0..73 {
        house.advance(HOUR);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let disabled = async || items(&house, "/v1/endpoints").await[1]["disabledSince"].is_string();
    house
        .eventually("b is disabled", async || {
            house.advance(Duration::from_mins(1));
            disabled().await
        })
        .await;
    // Something that b would take waits behind what it does not.
    let bo = house.onboard("Bo").await;
    house.until(&bo, "watching").await;
    house.nium(Method::POST, &format!("/__sim/customers/{bo}/rfi"), json!({ "ask": ["firstName"] })).await;
    house
        .eventually("b is tried with another event", async || {
            house.advance(Duration::from_mins(10));
            b.all().iter().any(|told| told.body["type"] == "customer.rfi_requested")
        })
        .await;
    house.eventually("b is open again", async || !disabled().await).await;
    house.close().await;
}
