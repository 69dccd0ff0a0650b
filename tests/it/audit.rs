//! The audit record: every act has its row with the right name, a change of any row shows, an erased person does not break
//! the chain, and a death between an act and its place in the chain loses nothing.

mod log;
mod many;
mod tampering;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reinstate::clock::Clock;
use reinstate::domain::audit::{commitment, link_text};
use reinstate::domain::id::CustomerHashId;
use reinstate::store::rows::audit::Linker;
use reinstate::store::wake::Wake;
use reinstate::store::{Store, Use};
use reinstate::vault::{MasterKey, Vault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Plan, TOKEN, application, spawn};
use crate::restart::Ground;

/// The master key of a house.
const KEY: &[u8; 32] = b"thirty-two bytes for the tests..";

/// Runs a command beside the service.
fn run(house: &House, args: &[&str], env: &[(&str, &str)]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(args)
        .envs(house.env())
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What `audit verify` says, and its exit code.
fn verify(house: &House, more: &[&str]) -> (i32, String) {
    let output = run(house, &[&["audit", "verify"], more].concat(), &[]);
    (output.status.code().unwrap(), said(&output))
}

fn token(house: &House, role: &str, name: &str) -> String {
    let made = run(house, &["token", "create", "--role", role, "--name", name], &[]);
    assert!(made.status.success(), "{}", said(&made));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

async fn ask_as(house: &House, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}{path}", house.admin);
    let answer = house.http.request(method, url).bearer_auth(token).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Asks as somebody, and is not refused.
async fn done(house: &House, token: &str, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = ask_as(house, token, method, path, body).await;
    assert!(status < 300, "{path}: {status} {answer}");
    answer
}

/// Rows of the record, newest first.
async fn rows(house: &House, query: &str) -> Vec<Value> {
    let (status, page) = house.get(&format!("/v1/audit?limit=200&{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

/// What somebody did, oldest first.
async fn acts(house: &House, actor: &str) -> Vec<String> {
    let rows = rows(house, &format!("actor={}", actor.replace(' ', "%20"))).await;
    rows.iter().rev().map(|row| row["what"].as_str().unwrap().to_owned()).collect()
}

/// Waits until every row has its place.
async fn linked(house: &House) {
    house
        .eventually("the rows are linked", async || house.metric("reinstate_audit_unlinked").await == 0)
        .await;
}

/// Waits until a checkpoint has seen everything.
async fn sealed(house: &House) -> i64 {
    linked(house).await;
    house.advance(Duration::from_secs(20));
    let end = house.database.number("SELECT max(seq) FROM audit");
    let newest = "SELECT coalesce(max(seq), 0) FROM audit_checkpoint";
    house.eventually("there is a checkpoint", async || house.database.number(newest) >= end).await;
    linked(house).await;
    house.database.number("SELECT max(seq) FROM audit")
}

/// A house with something in its record, and its checkpoints in a file.
async fn busy(folder: &Path) -> (House, PathBuf) {
    let file = folder.join("checkpoints.jsonl");
    let env = vec![
        ("AUDIT__CHECKPOINT_EVERY_SECONDS", "10".to_owned()),
        ("AUDIT__CHECKPOINT_FILE", file.display().to_string()),
    ];
    let house = House::build(Plan { env, ..Plan::default() }).await;
    sealed(&house).await;
    house.rejected("Bo").await;
    let id = house.rejected("Ana").await;
    house.heard(&id, "customer.correction_requested").await;
    done(
        &house,
        TOKEN,
        Method::POST,
        &format!("/v1/customers/{id}/decision"),
        json!({ "decision": "final" }),
    )
    .await;
    house.until(&id, "finally_rejected").await;
    house.heard(&id, "customer.finally_rejected").await;
    let open = "SELECT count(*) FROM effect WHERE ended_at IS NULL";
    house.eventually("what was told is on record", async || house.database.number(open) == 0).await;
    assert!(sealed(&house).await > 8);
    (house, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_backend_and_every_command_has_its_row() {
    let house = House::start().await;
    let backend = token(&house, "app", "backend");
    let post = async |path: String, body: Value| done(&house, &backend, Method::POST, &path, body).await;
    let id = house.rejected("Ana").await;
    let path = format!("/v1/customers/{id}");
    done(&house, &backend, Method::PUT, &format!("{path}/application"), application("Ana")).await;
    post(format!("{path}/tags"), json!({ "set": { "tier": "gold" } })).await;
    house.resubmission(&id, "complete").await;
    post(format!("{path}/corrections"), json!({ "fields": { "firstName": "Ana Maria" } })).await;
    house.until(&id, "reinstated").await;
    let made = post("/v1/customers".to_owned(), application("Bo")).await;
    let bo = made["customerHashId"].as_str().unwrap().to_owned();
    assert_eq!(
        acts(&house, "backend").await,
        ["application_kept", "act_asked", "correction_handed_in", "act_asked"]
    );
    let fresh = async |path: String| ask_as(&house, &backend, Method::GET, &path, Value::Null).await.0;
    assert_eq!((fresh(format!("{path}?refresh=true")).await, fresh(path.clone()).await), (200, 200));
    let looked = rows(&house, &format!("actor=backend&customerHashId={id}&what=refresh_asked")).await;
    assert_eq!((looked.len(), &looked[0]["detail"]), (1, &json!({})), "who had Nium asked, and nothing else");
    let asked = rows(&house, "actor=backend&what=act_asked").await;
    assert_eq!(asked[1]["customerHashId"], json!(id), "{asked:?}");
    let became = rows(&house, &format!("customerHashId={bo}&what=applicant_became_customer")).await;
    assert_eq!(became[0]["detail"]["applicant"], asked[0]["customerHashId"], "the applicant is found again");

    let listed = said(&run(&house, &["token", "list"], &[]));
    let own = listed.lines().find(|line| line.contains("backend")).unwrap().split(' ').next().unwrap();
    assert!(run(&house, &["token", "revoke", own], &[]).status.success());
    assert_eq!(acts(&house, "command line").await, ["token_created", "token_revoked"]);
    let own = rows(&house, &format!("actor=service&customerHashId={id}")).await;
    for what in ["decided", "act_ended", "told"] {
        assert!(own.iter().any(|row| row["what"] == what), "{what} is missing in {own:?}");
    }
    assert_eq!(
        acts(&house, "bootstrap").await,
        ["application_kept"],
        "of the house itself, and nothing else"
    );
    linked(&house).await;
    let (code, told) = verify(&house, &[]);
    assert_eq!(code, 0, "{told}");
    house.database.hides(&["Ana Maria"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_of_an_officer_has_its_row_with_their_name() {
    let env = [("FLOW__SECOND_PERSON", "permanent_block,override_final")];
    let house = House::with(&env).await;
    let (kim, lee) = (token(&house, "officer", "kim"), token(&house, "officer", "lee"));
    let post =
        async |who: &str, path: String, body: Value| done(&house, who, Method::POST, &path, body).await;
    let (id, bo) = (house.onboard("Ana").await, house.onboard("Bo").await);
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    let path = format!("/v1/customers/{id}");
    let mut order =
        json!({ "action": "PERMANENT_BLOCK", "reason": "FRAUDULENT_ACTIVITY", "comment": "Case Quetzal" });
    let first = post(&kim, format!("{path}/block"), order.clone()).await;
    order["receipt"] = first["receipt"].clone();
    let mut approvals = Vec::new();
    for verdict in ["refuse", "approve"] {
        let asked = post(&kim, format!("{path}/block"), order.clone()).await;
        let approval = format!("/v1/approvals/{}", asked["approvalId"].as_str().unwrap());
        post(&lee, approval, json!({ "verdict": verdict })).await;
        approvals.push(asked["approvalId"].clone());
    }
    house.nium_says(&bo, json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&bo, "needs_officer").await;
    post(&lee, format!("/v1/customers/{bo}/decision"), json!({ "decision": "take_over" })).await;
    post(&kim, "/v1/jobs/retry".to_owned(), json!({ "status": "parked", "confirm": 1 })).await;
    post(&kim, "/v1/sweeps".to_owned(), json!({})).await;
    done(&house, &lee, Method::GET, &format!("{path}/bundle"), Value::Null).await;
    assert_eq!(
        acts(&house, "kim").await,
        ["approval_asked", "approval_asked", "act_asked", "officer", "jobs_retried", "sweep_asked"]
    );
    assert_eq!(acts(&house, "lee").await, ["approval", "approval", "taken_over", "bundle_exported"]);
    let verdicts = rows(&house, "actor=lee&what=approval").await;
    for (verdict, became, approval) in
        [(&verdicts[0], "approved", &approvals[1]), (&verdicts[1], "refused", &approvals[0])]
    {
        let detail = &verdict["detail"];
        assert_eq!((&detail["became"], &detail["approvalId"]), (&json!(became), approval));
        assert_eq!(verdict["customerHashId"], json!(id));
    }
    house.database.hides(&["Case Quetzal"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_is_refused_or_repeated_leaves_no_row() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let path = format!("/v1/customers/{id}/decision");
    assert_eq!(ask_as(&house, TOKEN, Method::POST, &path, json!({ "decision": "take_over" })).await.0, 409);
    assert_eq!(ask_as(&house, TOKEN, Method::POST, &path, json!({ "decision": "sing" })).await.0, 422);
    assert!(rows(&house, "what=taken_over").await.is_empty());
    for _ in 0..3 {
        let url = format!("http://{}{path}", house.admin);
        let asked = house.http.post(url).bearer_auth(TOKEN).header("idempotency-key", "one");
        assert_eq!(asked.json(&json!({ "decision": "final" })).send().await.unwrap().status(), 202);
    }
    assert_eq!(rows(&house, "what=officer").await.len(), 1);
    for name in ["service", "Service", "command line", "bootstrap"] {
        let made = run(&house, &["token", "create", "--role", "app", "--name", name], &[]);
        assert_eq!(made.status.code(), Some(64), "{name}: {}", said(&made));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_listed_page_by_page_for_officers_only() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let of_her = format!("customerHashId={id}");
    house.eventually("there is more than a page", async || rows(&house, &of_her).await.len() > 2).await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = house.get(&format!("/v1/audit?customerHashId={id}&limit=2{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        paged.extend(page["items"].as_array().unwrap().iter().map(|row| row["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    // What came meanwhile stands before the first page.
    let mut ids: Vec<Value> = rows(&house, &of_her).await.iter().map(|row| row["id"].clone()).collect();
    ids.retain(|id| id.as_i64() <= paged[0].as_i64());
    assert!(paged.len() > 2 && paged == ids, "{paged:?} {ids:?}");
    for (role, wanted) in [("viewer", 403), ("app", 403), ("officer", 200)] {
        let token = token(&house, role, role);
        for path in ["/v1/audit".to_owned(), format!("/v1/customers/{id}/bundle")] {
            let (status, answer) = ask_as(&house, &token, Method::GET, &path, Value::Null).await;
            assert_eq!(status, wanted, "{role} {path} {answer}");
        }
    }
    assert_eq!(house.get("/v1/audit?actor=nobody").await.1["items"], json!([]));
    assert_eq!(house.get("/v1/audit?colour=red").await.0, 400);
    let stranger = "/v1/customers/0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01/bundle";
    assert_eq!(house.get(stranger).await.1["code"], "no_such_customer");
    house.close().await;
}

/// Does something to the tables, looks, and puts back what was there.
fn with_tables(house: &House, sql: &str, look: impl FnOnce()) {
    let tables = ["audit", "audit_head", "audit_checkpoint"];
    for table in tables {
        house.database.sql(&format!("CREATE TABLE aside_{table} AS SELECT * FROM {table}")).unwrap();
    }
    house.database.sql(sql).unwrap();
    look();
    for table in tables {
        house
            .database
            .sql(&format!(
                // At once: a checkpoint that is made between the two would have the number of another.
                "BEGIN; DELETE FROM {table}; INSERT INTO {table} SELECT * FROM aside_{table}; DROP TABLE aside_{table}; COMMIT"
            ))
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_keys_nothing_is_called_whole() {
    let house = House::start().await;
    house.rejected("Ana").await;
    linked(&house).await;
    let other = STANDARD.encode([7; 32]);
    let with = |keys: &str| {
        let output =
            run(&house, &["audit", "verify", "--json"], &[("REINSTATE__PRIVACY__MASTER_KEYS", keys)]);
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), verdict)
    };
    let (code, verdict) = with(&format!("k2:{other}"));
    assert_eq!((code, &verdict["whole"]), (1, &json!(false)));
    assert_eq!(verdict["verdict"]["findings"][0]["kind"], "unknown_key", "{verdict}");
    assert_eq!(with(&format!("k1:{other}")).0, 1);
    let (code, verdict) = with(&format!("k2:{other},k1:{}", STANDARD.encode(KEY)));
    assert_eq!((code, &verdict["whole"]), (0, &json!(true)), "{verdict}");
    let none = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["audit", "verify"])
        .env("REINSTATE__STORE__URL", house.database.url())
        .output()
        .unwrap();
    assert!(none.status.code() == Some(64) && said(&none).contains("privacy.master_keys"), "{}", said(&none));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_person_leaves_the_chain_whole_and_nothing_of_them() {
    let house = House::with(&[("AUDIT__CHECKPOINT_EVERY_SECONDS", "10")]).await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    sealed(&house).await;
    let id = CustomerHashId::parse(&ana).unwrap();
    let store = tool(&house).await;
    let erased = store.erase_audit("kim", id).await.unwrap();
    assert!(erased > 3);
    // At once, before the row that tells of it has its place.
    let (code, told) = verify(&house, &[]);
    assert!(code == 0 && told.contains(&format!("{erased} of them erased")), "{told}");
    linked(&house).await;
    let (code, told) = verify(&house, &[]);
    assert!(code == 0 && told.contains(&format!("{erased} of them erased")), "{told}");
    assert!(rows(&house, &format!("customerHashId={ana}")).await.is_empty());
    assert!(!rows(&house, &format!("customerHashId={bo}")).await.is_empty());
    let kept = "SELECT count(*) FROM audit WHERE erased_at IS NOT NULL AND (customer IS NOT NULL OR detail IS NOT NULL
         OR salt IS NOT NULL)";
    assert_eq!(house.database.number(kept), 0);
    let told = rows(&house, "actor=kim").await;
    assert_eq!((&told[0]["what"], &told[0]["detail"]["rows"]), (&json!("audit_erased"), &json!(erased)));
    // What is left of them is still held by the chain.
    let one = house.database.number("SELECT min(seq) FROM audit WHERE erased_at IS NOT NULL");
    with_tables(&house, &format!("UPDATE audit SET actor = 'kim' WHERE seq = {one}"), || {
        let (code, told) = verify(&house, &[]);
        assert!(code == 1 && told.contains(&format!("row {one} was edited")), "{told}");
    });
    store.close();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applied_is_erased_with_whom_they_became() {
    let house = House::start().await;
    let (_, made) = house.applied(&application("Ana")).await;
    let id = made["customerHashId"].as_str().unwrap();
    let applicant = rows(&house, &format!("customerHashId={id}&what=applicant_became_customer")).await;
    let applicant = applicant[0]["detail"]["applicant"].as_str().unwrap();
    assert!(!rows(&house, &format!("customerHashId={applicant}")).await.is_empty());
    let store = tool(&house).await;
    // Some of the rows may not have their places yet: they get them all the same.
    store.erase_audit("kim", CustomerHashId::parse(id).unwrap()).await.unwrap();
    store.close();
    linked(&house).await;
    for gone in [id, applicant] {
        assert!(rows(&house, &format!("customerHashId={gone}&what=act_asked")).await.is_empty());
    }
    let (code, told) = verify(&house, &[]);
    assert_eq!(code, 0, "{told}");
    house.close().await;
}

/// The store, opened beside the service.
async fn tool(house: &House) -> Store {
    let store = Store::open(&house.database.place(), Use::Tool, Clock::System, Wake::default()).unwrap();
    store.ready().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_link_at_once_make_one_chain() {
    let house = House::start().await;
    let store = Arc::new(tool(&house).await);
    let vault = Arc::new(Vault::new(vec![MasterKey::new("k1", KEY).unwrap()]).unwrap());
    let linkers = (0..3).map(|_| {
        let (store, vault) = (Arc::clone(&store), Arc::clone(&vault));
        spawn(async move {
            for turn in 0..40 {
                let vault = Arc::clone(&vault);
                let linker = Linker {
                    keys: Arc::new(move |id, text| vault.audit_mac(id, text)),
                    key_id: "k1".to_owned(),
                    salt: Arc::new(|| *uuid::Uuid::new_v4().as_bytes()),
                    most: 2,
                };
                store.note("kim", None, "turned", json!({ "turn": turn })).await.unwrap();
                store.link_audit(linker).await.unwrap();
            }
        })
    });
    for linker in linkers.collect::<Vec<_>>() {
        linker.await.unwrap();
    }
    linked(&house).await;
    assert_eq!(house.database.number("SELECT count(*) FROM audit WHERE what = 'turned'"), 120);
    let (code, told) = verify(&house, &[]);
    assert_eq!(code, 0, "{told}");
    store.close();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_proves_what_happened_to_one_customer() {
    let folder = tempfile::tempdir().unwrap();
    let (house, _) = busy(folder.path()).await;
    let (_, made) = house.applied(&application("Quetzal")).await;
    let id = made["customerHashId"].as_str().unwrap();
    sealed(&house).await;
    let out = folder.path().join("bundle.json");
    let export = ["audit", "export", id, "--out", out.to_str().unwrap()];
    let exported = run(&house, &export, &[]);
    assert!(exported.status.success(), "{}", said(&exported));
    assert!(!run(&house, &export, &[]).status.success(), "what is there is not overwritten");
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(!text.contains("Quetzal"), "nothing sealed is in it");
    let bundle: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bundle["customerHashId"], &bundle["isWhole"]), (&json!(id), &json!(true)));
    for list in ["timeline", "effects", "audit", "appliedAs"] {
        assert!(!bundle[list].as_array().unwrap().is_empty(), "{list} is empty");
    }
    let acts: Vec<&str> =
        bundle["audit"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert!(acts.contains(&"act_asked") && acts.contains(&"onboarded"), "{acts:?}");
    for row in bundle["audit"].as_array().unwrap() {
        is_proven(row);
    }
    assert_eq!(acts_of(&house, id, "command line").await, ["bundle_exported"]);
    let unknown =
        run(&house, &["audit", "export", "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01", "--out", "-"], &[]);
    assert!(unknown.status.code() == Some(1) && said(&unknown).contains("nothing is on file"));
    assert_eq!(run(&house, &["audit", "export", "Ana", "--out", "-"], &[]).status.code(), Some(64));
    house.close().await;
}

async fn acts_of(house: &House, id: &str, actor: &str) -> Vec<Value> {
    let rows = rows(house, &format!("customerHashId={id}&actor={}", actor.replace(' ', "%20"))).await;
    rows.into_iter().map(|row| row["what"].clone()).collect()
}

/// Recomputes a row's commitment and MAC from nothing but the row and the key.
fn is_proven(row: &Value) {
    let bytes =
        |name: &str| hex::decode(row[name].as_str().unwrap_or_else(|| panic!("{name} of {row}"))).unwrap();
    let customer = row["customerHashId"].as_str().map(|id| CustomerHashId::parse(id).unwrap());
    let customer = customer.as_ref().map(|id| id.as_bytes().as_slice());
    let committed = commitment(&bytes("salt"), customer, row["committedDetail"].as_str());
    assert_eq!(hex::encode(committed), row["commitment"].as_str().unwrap(), "{row}");
    let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
    let (seq, at) = (row["seq"].as_i64().unwrap(), at.as_millisecond());
    let (actor, what) = (row["actor"].as_str().unwrap(), row["what"].as_str().unwrap());
    let text = link_text(seq, &bytes("previousMac"), at, actor, what, &committed);
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), b"reinstate audit v1");
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), &text);
    assert_eq!(hex::encode(mac), row["mac"].as_str().unwrap(), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_an_act_and_its_place_in_the_chain_nothing_is_lost_and_keys_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut ground = Ground::new(folder.path()).await;
    let waiting = "SELECT count(*) FROM audit WHERE seq IS NULL";
    let placed = "SELECT count(*) FROM audit WHERE seq IS NOT NULL";
    let mut acts = 0;
    for round in 0..3 {
        if round == 2 {
            let keys = format!("k2:{},k1:{}", STANDARD.encode([2; 32]), STANDARD.encode(KEY));
            ground = ground.set("PRIVACY__MASTER_KEYS", &keys);
        }
        let mut service = ground.start();
        loop {
            let path = format!("/v1/customers/{}/application", uuid::Uuid::new_v4());
            let body = application("Ana");
            ground.insist(Method::PUT, &path, "kept", &body, 200).await;
            acts += 1;
            // Some rows have their place by then, under the key of that time.
            let is_linked = round == 0 || ground.database.number(placed) > 0;
            if is_linked && ground.database.number(waiting) > 0 {
                break;
            }
        }
        service.start_kill().unwrap();
        service.wait().await.unwrap();
    }
    let mut service = ground.start();
    while ground.database.number(waiting) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kept = "SELECT count(*) FROM audit WHERE what = 'application_kept' AND actor = 'bootstrap' AND seq IS NOT NULL";
    assert_eq!(ground.database.number(kept), acts);
    let keys = "SELECT count(DISTINCT key_id) FROM audit";
    assert_eq!(ground.database.number(keys), 2);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["audit", "verify"])
        .envs(ground.env())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    service.start_kill().unwrap();
    service.wait().await.unwrap();
}
