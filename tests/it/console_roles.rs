//! Every page and form of the console with everybody who may come: signed out, with the app backend's token, and as each role.
//! What is refused has no effect. And what belongs to one customer, or to one person, is of no use at another.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::browser::{Browser, written};
use crate::console::{administrator, command, person, sign_in};
use crate::house::{House, TOKEN};

/// Who must be signed in for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Nobody,
    Viewer,
    Officer,
    Admin,
}
use Least::{Admin, Nobody, Officer, Viewer};

/// What a form says; `{…}` stands for what a [`Stage`] has.
type Fields = &'static [(&'static str, &'static str)];

/// Nothing moves any more once nothing has for so long.
const QUIET: Duration = Duration::from_millis(1_500);

/// Every route of the console: who may, what its form says so that it does something, and what whoever may is answered. In the
/// order in which one person can walk them.
const ROUTES: [(&str, &str, Least, Fields, &[u16]); 38] = [
    ("get", "/", Viewer, &[], &[200]),
    ("get", "/journeys", Viewer, &[], &[200]),
    ("get", "/cases", Viewer, &[], &[200]),
    ("post", "/cases", Viewer, &[("state", "awaiting_correction")], &[200]),
    ("get", "/cases/{id}", Viewer, &[], &[200]),
    ("get", "/bulk", Viewer, &[], &[200]),
    ("get", "/bulk/{id}", Viewer, &[], &[200]),
    ("post", "/bulk/preview", Officer, &[("state", "needs_officer"), ("word", "final")], &[200]),
    (
        "post",
        "/bulk",
        Officer,
        &[("state", "needs_officer"), ("word", "final"), ("confirm", "1")],
        // Once there was somebody; whoever comes later is told that the number has changed.
        &[303, 409],
    ),
    ("post", "/bulk/{id}/cancel", Officer, &[], &[409]),
    ("get", "/approvals", Viewer, &[], &[200]),
    ("post", "/approvals/{id}", Officer, &[("verdict", "refuse")], &[303]),
    ("get", "/callbacks", Viewer, &[], &[200]),
    ("get", "/jobs", Viewer, &[], &[200]),
    ("post", "/jobs/retry", Officer, &[("kind", "email"), ("confirm", "0")], &[303]),
    ("get", "/sweeps", Viewer, &[], &[200]),
    ("post", "/sweeps", Officer, &[], &[303]),
    ("get", "/audit", Officer, &[], &[200]),
    ("get", "/settings", Viewer, &[], &[200]),
    ("post", "/settings/endpoints/test", Officer, &[("endpoint", "default")], &[303]),
    ("post", "/settings/sessions/end", Viewer, &[("session", "{session}")], &[303]),
    ("get", "/console/live", Viewer, &[], &[200]),
    ("get", "/console/style.css", Nobody, &[], &[200]),
    ("get", "/console/script.js", Nobody, &[], &[200]),
    ("get", "/sign-in", Nobody, &[], &[200]),
    ("post", "/sign-in", Nobody, &[("token", "rst_nobody")], &[401]),
    ("post", "/cases/{id}/refresh", Viewer, &[], &[303]),
    ("post", "/cases/{id}/tags", Officer, &[("key", "tier"), ("value", "gold")], &[303]),
    ("post", "/cases/{id}/link", Officer, &[], &[200]),
    ("post", "/cases/{id}/link/revoke", Officer, &[], &[303]),
    ("post", "/cases/{id}/personal", Officer, &[], &[200]),
    ("post", "/cases/{id}/bundle", Officer, &[], &[200]),
    ("post", "/cases/{id}/export", Admin, &[], &[200]),
    (
        "post",
        "/cases/{id}/block",
        Officer,
        &[("action", "TEMPORARY_BLOCK"), ("reason", "CLIENT_REQUEST"), ("comment", "Asked to")],
        &[303],
    ),
    ("post", "/cases/{id}/word", Officer, &[("word", "final")], &[303]),
    ("post", "/cases/{id}/erase", Admin, &[("sure", "yes")], &[303]),
    (
        "post",
        "/cases/{id}/hold",
        Officer,
        &[("action", "set"), ("reason", "A court asks")],
        // Of whoever was erased there is nothing to hold.
        &[303, 404],
    ),
    ("post", "/sign-out", Viewer, &[], &[303]),
];

/// The routes that the source has: method and path.
fn in_the_source() -> BTreeSet<(String, String)> {
    let source = include_str!("../../src/http/console/mod.rs");
    let router = source.split_once("pub fn router(").unwrap().1.split_once("\n}\n").unwrap().0;
    for other in [".nest", "fallback", "route_service", "any(", "on(MethodFilter", "MethodRouter::new"] {
        assert!(!router.contains(other), "{other} is not read here");
    }
    let mut found = BTreeSet::new();
    for route in router.split(".route(").skip(1) {
        let path = route.trim_start().strip_prefix('"').unwrap().split('"').next().unwrap();
        for method in ["get", "post", "put", "patch", "delete", "head", "options"] {
            let call = format!("{method}(");
            let is_call = |at: usize| !route[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if route.match_indices(&call).map(|(at, _)| at).any(is_call) {
                found.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_route_of_the_console_is_tried_here() {
    let tried: BTreeSet<_> =
        ROUTES.iter().map(|(how, path, ..)| ((*how).to_owned(), (*path).to_owned())).collect();
    assert_eq!(tried.len(), ROUTES.len(), "a route stands twice");
    assert_eq!(in_the_source(), tried);
    // Routes stand in that one place.
    for file in std::fs::read_dir("src/http/console").unwrap() {
        let path = file.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name != "mod.rs") {
            assert!(!std::fs::read_to_string(&path).unwrap().contains(".route("), "{}", path.display());
        }
    }
}

/// What the routes are about.
struct Stage {
    /// The customer whom the refused ask about.
    ana: String,
    approval: String,
    bulk: String,
    /// Somebody's session, which is nobody else's business.
    session: String,
}

impl Stage {
    /// Where this route is for somebody who asks about this customer.
    fn path(&self, path: &str, customer: &str) -> String {
        let id = match path.split('/').nth(1) {
            Some("bulk") => &self.bulk,
            Some("approvals") => &self.approval,
            _ => customer,
        };
        path.replace("{id}", id)
    }

    /// The form as this session sends it.
    fn form(&self, fields: Fields, form: &str) -> String {
        let fill = |value: &str| value.replace("{session}", &self.session);
        let fields: Vec<(&str, String)> = fields.iter().map(|(name, value)| (*name, fill(value))).collect();
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        written(&fields.chain([("form", form)]).collect::<Vec<_>>())
    }

    async fn ask(
        &self,
        browser: &mut Browser,
        (how, path, _, fields, _): (&str, &str, Least, Fields, &[u16]),
        customer: &str,
        form: &str,
    ) -> Response {
        let path = self.path(path, customer);
        let kind = "application/x-www-form-urlencoded".to_owned();
        let body = (how == "post").then(|| (kind, self.form(fields, form).into_bytes()));
        browser.ask(how.to_uppercase().parse().unwrap(), &path, body).await
    }
}

async fn parked(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "NOBODY_KNOWS" })).await;
    house.until(&id, "needs_officer").await;
    id
}

/// A block for good of this customer, as far as its receipt.
async fn receipt(house: &House, id: &str) -> (Value, Value) {
    let order = json!({ "action": "PERMANENT_BLOCK", "reason": "DECEASED", "comment": "A letter came" });
    let (status, answer) =
        house.ask(Method::POST, &format!("/v1/customers/{id}/block"), Some(order.clone())).await;
    assert_eq!(status, 200, "{answer}");
    (order, answer["receipt"].clone())
}

async fn stage(house: &House) -> Stage {
    let flo = house.rejected("Flo").await;
    let many = json!({ "filter": { "state": "awaiting_correction" }, "decision": "final", "confirm": 1 });
    let (_, begun) = house.ask(Method::POST, "/v1/customers/bulk", Some(many)).await;
    let bulk = begun["bulkId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    house.until(&flo, "finally_rejected").await;
    let (ana, dee) = (house.rejected("Ana").await, house.rejected("Dee").await);
    let (mut order, given) = receipt(house, &dee).await;
    order["receipt"] = given;
    let (_, asked) = house.ask(Method::POST, &format!("/v1/customers/{dee}/block"), Some(order)).await;
    let approval = asked["approvalId"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned();
    parked(house, "Gus").await;
    let mut somebody = administrator(house).await;
    let session = somebody.get("/settings").await.field("session");
    Stage { ana, approval, bulk, session }
}

/// Everything that an act leaves behind.
async fn standing(house: &House) -> Value {
    let mut seen = Vec::new();
    let list = |path: &str| format!("/v1/{path}?limit=200");
    for path in ["audit", "customers", "approvals", "bulk", "sweeps", "callbacks", "deliveries"].map(list) {
        let (status, mut rows) = house.get(&path).await;
        assert_eq!((status, &rows["next"]), (200, &Value::Null), "{path}");
        for row in rows["items"].as_array_mut().unwrap() {
            // The place in the chain is given out a little later.
            row.as_object_mut().unwrap().retain(|name, _| !["seq", "hash", "prev"].contains(&name.as_str()));
            if let (true, Some(id)) = (path.contains("customers"), row["customerHashId"].as_str()) {
                row["timeline"] = house.get(&format!("/v1/customers/{id}/timeline")).await.1;
            }
        }
        seen.push(rows);
    }
    json!({ "rows": seen, "calls": house.sim.journal().len(), "events": house.ear.all().len() })
}

/// The same, once nothing moves any more.
async fn still(house: &House) -> Value {
    let (mut last, mut since) = (Value::Null, Instant::now());
    house
        .eventually("all is quiet", async || {
            let now = standing(house).await;
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() > QUIET
        })
        .await;
    last
}

/// What a form leads to, in a word; its status where it was refused.
fn answered(answer: &Response) -> Option<String> {
    let to = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap());
    let word = to.and_then(|to| to.split_once("said=")).map(|(_, word)| word.to_owned());
    let status = answer.status().as_u16();
    word.or((status >= 400).then(|| status.to_string()))
}

/// What was said; how long Nium takes is no matter here.
fn heard(word: &str) -> &str {
    match word {
        "stored" => "done",
        "silent" => "asked",
        other => other,
    }
}

/// Whoever is not let in at all is sent to sign in, or told that nothing was done.
fn is_shut_out(answer: &Response, how: &str) -> bool {
    let to = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap());
    match how {
        "get" => answer.status() == 303 && to.is_some_and(|to| to.starts_with("/sign-in")),
        _ => answer.status() == 403,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_form_does_for_each_role_what_it_may_and_nothing_for_the_others() {
    let house = House::with(&[
        ("FLOW__SECOND_PERSON", "permanent_block"),
        ("PUBLIC__URL", "https://kyc.example.test"),
    ])
    .await;
    let stage = stage(&house).await;
    let (bo, cy) = (house.rejected("Bo").await, house.rejected("Cy").await);
    for (name, role) in [("vi", "viewer"), ("ada", "officer"), ("root", "admin")] {
        person(&house, name, role);
    }
    let (ok, said) = command(&house, &["token", "create", "--role", "app", "--name", "backend"], "");
    assert!(ok, "{said}");
    let token = said.lines().find(|line| line.starts_with("rst_")).unwrap().to_owned();

    let mut app = Browser::at(house.admin);
    app.fill("/sign-in", &[("token", &token)]).await.is(403);
    app.always.push(("authorization", format!("Bearer {token}")));
    app.cookies.push(("console".to_owned(), token.clone()));
    let mut bearer = Browser::at(house.admin);
    bearer.always.push(("authorization", format!("Bearer {TOKEN}")));
    let before = still(&house).await;
    // Whoever has no session: nobody, the app backend, an administrator's token that is for the API.
    for browser in [&mut Browser::at(house.admin), &mut app, &mut bearer] {
        for route in ROUTES.into_iter().filter(|route| route.2 > Nobody) {
            let answer = stage.ask(browser, route, &stage.ana, &"0".repeat(64)).await;
            assert!(is_shut_out(&answer, route.0), "{} {}: {}", route.0, route.1, answer.status());
        }
    }
    assert_eq!(still(&house).await, before);

    let mut said = Vec::new();
    for (name, role, customer) in [("vi", Viewer, &stage.ana), ("ada", Officer, &bo), ("root", Admin, &cy)] {
        let mut browser = sign_in(&house, name).await;
        let form = browser.get("/settings").await.form();
        let before = still(&house).await;
        for route in ROUTES.into_iter().filter(|route| route.2 > role) {
            let answer = stage.ask(&mut browser, route, &stage.ana, &form).await;
            assert_eq!(answer.status(), 403, "{name}: {} {}", route.0, route.1);
        }
        // What the role may, but with a form of nobody's session.
        let forms = ROUTES.into_iter().filter(|(how, _, least, ..)| *how == "post" && *least > Nobody);
        for route in forms.filter(|route| route.1 != "/sign-out") {
            let answer = stage.ask(&mut browser, route, customer, &"0".repeat(64)).await;
            assert_eq!(answer.status(), 403, "{name}: {} {} with a foreign form", route.0, route.1);
        }
        assert_eq!(still(&house).await, before, "{name}");
        for route in ROUTES.into_iter().filter(|route| route.2 <= role) {
            if route.1.ends_with("/block") {
                // What was asked before may still be under way.
                still(&house).await;
            }
            let answer = stage.ask(&mut browser, route, customer, &form).await;
            let status = answer.status().as_u16();
            assert!(route.4.contains(&status), "{name}: {} {}: {status}", route.0, route.1);
            said.extend(answered(&answer).map(|word| (name, word)));
        }
    }
    // The forms are such that they do something for whoever may: else that the others' did nothing would say little.
    let of = |who: &str| -> Vec<&str> {
        let words = said.iter().filter(|(name, _)| *name == who);
        words.map(|(_, word)| heard(word)).collect()
    };
    assert_eq!(of("vi"), ["gone", "401", "asked"]);
    let officer =
        ["bulk-begun", "409", "decided", "retried", "swept", "endpoint-took", "gone", "401", "asked"];
    assert_eq!(of("ada"), [&officer[..], &["done", "link-revoked", "done", "word", "held"]].concat());
    assert_eq!(house.get(&format!("/v1/customers/{cy}")).await.1["state"], "erased");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_no_route_is_none_for_anybody() {
    let house = House::start().await;
    let mut browser = administrator(&house).await;
    let paths: BTreeSet<&str> = ROUTES.iter().map(|route| route.1).collect();
    for path in paths {
        for method in ["get", "post", "put", "patch", "delete"] {
            if ROUTES.iter().any(|route| (route.0, route.1) == (method, path)) {
                continue;
            }
            let path = path.replace("{id}", "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01");
            let answer = browser.ask(method.to_uppercase().parse().unwrap(), &path, None).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_one_customer_or_person_is_of_no_use_at_another() {
    let house = House::start().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    for id in [&ana, &bo] {
        house
            .nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ["firstName"] }))
            .await;
        let path = format!("/v1/customers/{id}/rfi");
        house.eventually("it is asked", async || house.get(&path).await.1["open"] == true).await;
    }
    let mut somebody = administrator(&house).await;
    let session = somebody.get("/settings").await.field("session");
    person(&house, "ada", "officer");
    let mut ada = sign_in(&house, "ada").await;
    let (mut order, of_ana) = receipt(&house, &ana).await;
    order["receipt"] = of_ana.clone();
    let (_, asked) = house.get(&format!("/v1/customers/{ana}/rfi")).await;
    let before = still(&house).await;

    // The receipt of one customer's block, at another: by the API, and by a form.
    let (status, refused) =
        house.ask(Method::POST, &format!("/v1/customers/{bo}/block"), Some(order.clone())).await;
    assert_eq!((status, &refused["code"]), (409, &json!("customer_moved")), "{refused}");
    let page = ada.get(&format!("/cases/{bo}")).await;
    let fields = [
        ("action", "PERMANENT_BLOCK"),
        ("reason", "DECEASED"),
        ("comment", "A letter came"),
        ("receipt", of_ana.as_str().unwrap()),
    ];
    ada.act(&page, &format!("/cases/{bo}/block"), &fields).await.leads_to(&format!("/cases/{bo}?said=moved"));
    // What Nium asks of one customer, answered for another.
    let answers = json!({ "answers": [{ "rfiHashId": asked["items"][0]["rfiHashId"], "fields": { "firstName": "Eve" } }] });
    let (status, refused) = house.ask(Method::POST, &format!("/v1/customers/{bo}/rfi"), Some(answers)).await;
    assert_eq!(status, 422, "{refused}");
    // Somebody else's session.
    ada.act(&page, "/settings/sessions/end", &[("session", &session)]).await.leads_to("/settings?said=gone");
    ada.get("/settings").await.is(200).lacks(&session);
    somebody.get("/settings").await.is(200);
    assert_eq!(still(&house).await, before);
    house.close().await;
}
