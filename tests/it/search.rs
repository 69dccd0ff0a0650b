//! Finding customers: ours by what lies open and by marks of what is sealed, Nium's by its own list.

use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::database::{Database, about_sqlite, on_postgres};
use crate::house::{House, TOKEN, application, client, environment, lasting_address, start_sim};

async fn search(house: &House, body: Value) -> (u16, Value) {
    house.ask(Method::POST, "/v1/customers/search", Some(body)).await
}

/// The ids that a search among ours finds, in order.
async fn found(house: &House, mut conditions: Value) -> Vec<String> {
    conditions["source"] = json!("ours");
    let (status, page) = search(house, conditions.clone()).await;
    assert_eq!(status, 200, "{conditions} {page}");
    ids(&page)
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["customerHashId"].as_str().unwrap().to_owned()).collect()
}

/// A customer with a tag, a mobile and a name of their own, whom we know.
async fn known(house: &House, name: &str, mobile: &str, tag: &str) -> String {
    let mut sent = application(name);
    sent["mobile"] = json!(mobile);
    sent["lastName"] = json!("O'Neil-Smith");
    sent["tags"] = json!([{ "key": "Tier", "value": tag }]);
    let answer = house.nium(Method::POST, &api("customer"), sent).await;
    let id = answer["customerHashId"].as_str().unwrap().to_owned();
    house.until(&id, "watching").await;
    id
}

fn api(rest: &str) -> String {
    format!("/api/v4/client/{}/{rest}", crate::house::CLIENT)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_found_by_everything_personal_and_by_whole_words_only() {
    let house = House::start().await;
    let ana = known(&house, "Ana Maria", "81234567", "gold").await;
    let bo = known(&house, "Bo", "87654321", "silver").await;
    let mut both = [ana.clone(), bo.clone()];
    both.sort_unstable();
    for (conditions, wanted) in [
        (json!({ "email": " ANA MARIA@Example.Test" }), vec![&ana]),
        (json!({ "mobile": "8123 4567" }), vec![&ana]),
        (json!({ "text": "maria o'neil" }), vec![&ana]),
        (json!({ "text": "SMITH bo" }), vec![&bo]),
        (json!({ "tag": { "key": "tier" } }), both.iter().collect()),
        (json!({ "tag": { "key": "tier", "value": "Gold" } }), vec![&ana]),
        (json!({ "text": "smith", "tag": { "key": "tier", "value": "silver" } }), vec![&bo]),
        (json!({ "text": ana[..8] }), vec![&ana]),
        (json!({ "text": ana }), vec![&ana]),
        (json!({ "text": "smith", "state": "watching" }), both.iter().collect()),
        // Words match as a whole; what is a mark of one kind is none of another.
        (json!({ "text": "mar" }), vec![]),
        (json!({ "text": "gold" }), vec![]),
        (json!({ "email": "ana" }), vec![]),
        (json!({ "text": "ana bo" }), vec![]),
        (json!({ "text": "smith", "state": "approved" }), vec![]),
    ] {
        assert_eq!(
            found(&house, conditions.clone()).await,
            wanted.into_iter().cloned().collect::<Vec<_>>(),
            "{conditions}"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_follow_what_nium_says_now() {
    let house = House::start().await;
    let id = known(&house, "Ana", "81234567", "gold").await;
    let (status, _) =
        house.ask(Method::PATCH, &format!("/v1/customers/{id}"), Some(json!({ "mobile": "89999999" }))).await;
    assert_eq!(status, 200);
    assert_eq!(found(&house, json!({ "mobile": "89999999" })).await, [id]);
    assert!(found(&house, json!({ "mobile": "81234567" })).await.is_empty(), "the old number is gone");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_by_niums_words_kind_tag_and_age() {
    let house = House::start().await;
    let ana = known(&house, "Ana", "81234567", "gold").await;
    let bo = known(&house, "Bo", "87654321", "gold").await;
    house.nium_says(&ana, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&ana, "awaiting_correction").await;
    house.advance(Duration::from_hours(2));
    house.nium_says(&bo, json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&bo, "needs_officer").await;
    let list = async |query: &str| {
        let (status, page) = house.get(&format!("/v1/customers?{query}")).await;
        assert_eq!(status, 200, "{query} {page}");
        ids(&page)
    };
    let two = {
        let mut two = vec![ana.clone(), bo.clone()];
        two.sort_unstable();
        two
    };
    for (query, wanted) in [
        ("complianceStatus=reject", vec![ana.clone()]),
        ("complianceStatus=PONDERING", vec![bo.clone()]),
        ("complianceStatus=COMPLETED", vec![]),
        ("status=Failed", vec![ana.clone()]),
        ("status=pending&state=needs_officer", vec![bo.clone()]),
        ("status=pending&state=awaiting_correction", vec![]),
        ("kind=individual", two.clone()),
        ("kind=corporate", vec![]),
        ("tag=tier:gold", two.clone()),
        ("tag=tier&olderThan=1h", vec![ana.clone()]),
        ("newerThan=1h", vec![bo.clone()]),
        ("olderThan=3h", vec![]),
        ("olderThan=2020-01-01T00:00:00Z", vec![]),
        ("newerThan=2020-01-01T00:00:00Z", two.clone()),
    ] {
        assert_eq!(list(query).await, wanted, "{query}");
    }
    let (mut cursor, mut paged) = (String::new(), Vec::new());
    for _ in 0..2 {
        let (_, page) = house.get(&format!("/v1/customers?tag=tier:gold&limit=1{cursor}")).await;
        paged.extend(ids(&page));
        cursor = page["next"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((paged, cursor), (two, String::new()));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_found_by_its_name_and_at_nium_by_its_number_too() {
    let house = House::start().await;
    let person = known(&house, "Ana", "81234567", "gold").await;
    let body = crate::onboarding::company("T00000001X");
    let (status, done) = house.applied(&body).await;
    assert_eq!(status, 201, "{done}");
    let company = done["customerHashId"].as_str().unwrap().to_owned();
    house.until(&company, "watching").await;
    assert_eq!(found(&house, json!({ "text": "trading QUARTZ" })).await, std::slice::from_ref(&company));
    assert_eq!(found(&house, json!({ "kind": "corporate" })).await, std::slice::from_ref(&company));
    assert_eq!(found(&house, json!({ "kind": "individual" })).await, std::slice::from_ref(&person));
    for (conditions, wanted) in [
        (json!({ "businessRegistrationNumber": "T00000001X" }), vec![company.clone()]),
        (json!({ "businessRegistrationNumber": "T00000002X" }), vec![]),
        (json!({ "customerType": "CORPORATE" }), vec![company.clone()]),
        (json!({ "customerType": "INDIVIDUAL" }), vec![person]),
    ] {
        let mut body = conditions.clone();
        body["source"] = json!("nium");
        let (_, page) = search(&house, body).await;
        assert_eq!(ids(&page), wanted, "{conditions} {page}");
    }
    let (_, page) = search(&house, json!({ "source": "nium", "customerType": "CORPORATE" })).await;
    let item = &page["items"][0];
    assert_eq!(
        (&item["businessName"], &item["customerType"]),
        (&json!("Quartz Trading"), &json!("CORPORATE"))
    );
    // No way back is open to companies, whatever the word.
    for word in ["offer", "reapply"] {
        let path = format!("/v1/customers/{company}/decision");
        let (status, problem) = house.ask(Method::POST, &path, Some(json!({ "decision": word }))).await;
        assert_eq!((status, &problem["code"]), (409, &json!("customer_is_a_company")), "{problem}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_for_is_said_and_nothing_of_it_repeated() {
    let house = House::start().await;
    for (body, status, code) in [
        (json!([]), 422, "invalid_search"),
        (json!({}), 422, "invalid_search"),
        (json!({ "source": "theirs" }), 422, "invalid_search"),
        (json!({ "source": "ours", "colour": "red" }), 400, "unknown_keys"),
        (json!({ "source": "ours", "order": "ASC" }), 400, "unknown_keys"),
        (json!({ "source": "nium", "text": "ana" }), 400, "unknown_keys"),
        (json!({ "source": "ours", "email": 1 }), 422, "invalid_search"),
        (json!({ "source": "ours", "email": "" }), 422, "invalid_search"),
        (json!({ "source": "ours", "state": "lost" }), 422, "invalid_search"),
        (json!({ "source": "ours", "olderThan": "soon" }), 422, "invalid_search"),
        (json!({ "source": "ours", "tag": "tier" }), 422, "invalid_search"),
        (json!({ "source": "ours", "tag": { "key": "a", "colour": "red" } }), 422, "invalid_search"),
        (json!({ "source": "ours", "limit": 201 }), 422, "invalid_search"),
        (json!({ "source": "ours", "limit": 0 }), 422, "invalid_search"),
        (json!({ "source": "nium", "limit": 51 }), 422, "invalid_search"),
        (json!({ "source": "ours", "cursor": "!" }), 422, "invalid_search"),
        (json!({ "source": "nium", "cursor": "AAAA" }), 422, "invalid_search"),
        (json!({ "source": "nium", "customerType": "ROBOT" }), 422, "invalid_search"),
    ] {
        let (got, problem) = search(&house, body.clone()).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{body} {problem}");
        assert!(!problem.to_string().contains("red"), "{problem}");
    }
    for fine in
        [json!({ "source": "ours", "limit": 200 }), json!({ "source": "nium", "limit": 50, "cursor": null })]
    {
        assert_eq!(search(&house, fine.clone()).await.0, 200, "{fine}");
    }
    for query in
        ["email=ana@example.test", "text=ana", "olderThan=1y", "kind=robot", "tag=", "tag=:gold", "status="]
    {
        let (status, problem) = house.get(&format!("/v1/customers?{query}")).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("bad_parameter")), "{query}");
    }
    house.close().await;
}

async fn pages(house: &House, mut body: Value) -> (Vec<Value>, Vec<usize>) {
    let (mut items, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (status, page) = search(house, body.clone()).await;
        assert_eq!(status, 200, "{page}");
        let here = page["items"].as_array().unwrap().clone();
        sizes.push(here.len());
        items.extend(here);
        if page["next"].is_null() {
            return (items, sizes);
        }
        body["cursor"] = page["next"].clone();
    }
    panic!("no last page");
}

#[tokio::test(flavor = "multi_thread")]
async fn niums_list_is_paged_filtered_and_shows_our_state() {
    let house = House::start().await;
    let ana = known(&house, "Ana", "81234567", "gold").await;
    let stranger = house.unheard("Bo").await;
    house.nium_says(&ana, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&ana, "awaiting_correction").await;
    let (items, sizes) = pages(&house, json!({ "source": "nium", "limit": 1 })).await;
    assert_eq!(sizes, [1, 1]);
    assert_eq!(
        (&items[0]["customerHashId"], &items[0]["state"]),
        (&json!(ana), &json!("awaiting_correction"))
    );
    assert_eq!((&items[1]["customerHashId"], &items[1]["state"]), (&json!(stranger), &Value::Null));
    let shown = json!({ "firstName": "Ana", "email": "ana@example.test", "customerType": "INDIVIDUAL", "complianceStatus": "REJECT", "status": "Failed", "tags": { "Tier": "gold" } });
    for (name, value) in shown.as_object().unwrap() {
        assert_eq!(items[0][name], *value, "{name}");
    }
    for (conditions, wanted) in [
        (json!({ "email": "ana@example.test" }), vec![&ana]),
        (json!({ "mobile": "81234567" }), vec![&ana]),
        (json!({ "tag": { "key": "Tier", "value": "gol" } }), vec![&ana]),
        (json!({ "order": "DESC" }), vec![&stranger, &ana]),
        (json!({ "customerType": "CORPORATE" }), vec![]),
        (json!({ "businessRegistrationNumber": "201912345A" }), vec![]),
        (json!({ "parentCustomerHashId": ana }), vec![]),
    ] {
        let mut body = conditions.clone();
        body["source"] = json!("nium");
        let (_, page) = search(&house, body).await;
        assert_eq!(ids(&page), wanted.into_iter().cloned().collect::<Vec<_>>(), "{conditions} {page}");
        assert!(page["notes"].is_null(), "{page}");
    }
    // A cursor of another size would skip customers.
    let (_, page) = search(&house, json!({ "source": "nium", "limit": 1 })).await;
    assert_eq!(search(&house, json!({ "source": "nium", "limit": 2, "cursor": page["next"] })).await.0, 422);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_list_serves_where_the_newer_is_not_there_and_says_what_it_cannot() {
    let house = House::start().await;
    let ana = known(&house, "Ana", "81234567", "gold").await;
    house.fault(json!({ "endpoint": "list_v3", "kind": "not_found", "times": 2 })).await;
    let (status, page) = search(&house, json!({ "source": "nium", "email": "ana@example.test" })).await;
    assert_eq!((status, ids(&page)), (200, vec![ana.clone()]), "{page}");
    assert_eq!(page["items"][0]["firstName"], "Ana", "the flat shape is read too");
    assert!(page["notes"].is_null(), "{page}");
    let (_, page) = search(&house, json!({ "source": "nium", "customerType": "CORPORATE" })).await;
    assert!(ids(&page).is_empty(), "{page}");
    assert!(page["notes"][0].as_str().unwrap().contains("V2 cannot filter by customerType"), "{page}");
    let (_, page) = search(&house, json!({ "source": "nium", "customerType": "CORPORATE" })).await;
    assert!(page["notes"].is_null(), "the next search asks the newer again: {page}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn niums_trouble_is_told_as_what_it_is() {
    let house = House::with(&[("NIUM__TIMEOUT_MS", "2000"), ("NIUM__CONNECT_TIMEOUT_MS", "2000")]).await;
    for (fault, status, code) in [
        (json!({ "kind": "status", "code": 429, "retryAfterSeconds": 7 }), 429, "nium_too_many"),
        (json!({ "kind": "status", "code": 503 }), 503, "nium_unavailable"),
        (json!({ "kind": "status", "code": 500 }), 502, "nium_in_trouble"),
        (json!({ "kind": "status", "code": 401 }), 502, "nium_refuses_us"),
        (json!({ "kind": "drop" }), 502, "nium_in_trouble"),
        (json!({ "kind": "hang", "ms": 6000 }), 504, "nium_has_not_answered"),
    ] {
        let mut fault = fault.clone();
        fault["endpoint"] = json!("list_v3");
        house.fault(fault.clone()).await;
        let (got, problem) = search(&house, json!({ "source": "nium", "email": "ana@example.test" })).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{fault} {problem}");
        assert!(problem["hint"].is_string() && !problem.to_string().contains("ana@"), "{problem}");
    }
    for release in ["list_v3", "list_v2"] {
        house.fault(json!({ "endpoint": release, "kind": "html200" })).await;
    }
    let (got, problem) = search(&house, json!({ "source": "nium" })).await;
    assert_eq!((got, problem["code"].as_str()), (502, Some("nium_unreadable")), "{problem}");
    house.close().await;
}

/// Takes a database back to before customers could be searched for.
fn before_marks(path: &std::path::Path) {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "DROP TRIGGER snapshot_takes_its_marks; DROP TABLE mark; DROP INDEX snapshot_unmarked;
             ALTER TABLE snapshot DROP COLUMN marked; DROP INDEX snapshot_by_compliance; DROP INDEX snapshot_by_status; DROP TABLE note; DROP TRIGGER in_hand_while_parked;
             DROP TABLE in_hand; DROP TABLE approval; DROP INDEX head_held; ALTER TABLE head DROP COLUMN holder;
             CREATE TABLE was AS SELECT seq, key, customer, lane, kind, status, due_at, epoch, lease_until, attempts,
                 created_at, ended_at, coalesce(payload, (SELECT body FROM event WHERE id = event_id)) AS payload, sealed,
                 said, outcome, forgiven, progress FROM effect;
             DROP TABLE effect; ALTER TABLE was RENAME TO effect; DROP TABLE event; DROP TABLE endpoint;
             DROP TABLE visit; DROP TABLE draft; DROP TABLE link; DROP TABLE quiet;
             DROP TABLE audit; DROP TABLE audit_head; DROP TABLE audit_checkpoint;
             DROP INDEX cases_by_class; DROP INDEX cases_by_deadline; DROP TABLE bulk; DROP TABLE bulk_customer;
             DROP TABLE person; DROP TABLE session; DROP TABLE correction; DROP TABLE journey; DROP TABLE tally;
             DROP TABLE feed_reader; DROP TABLE hourly; DROP TABLE standing;
             DROP TABLE erasure; DROP TABLE legal_hold; DROP TABLE audit_key; DROP INDEX data_key_by_master;
             DROP INDEX application_accepted; ALTER TABLE application DROP COLUMN documents;
             ALTER TABLE application DROP COLUMN accepted_at; PRAGMA user_version = 5",
        )
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_is_marked_by_the_side_on_sqlite() {
    about_sqlite();
    let house = House::start().await;
    let mut made = Vec::new();
    for number in 0..60 {
        made.push(known(&house, &format!("Ana{number}"), "81234567", "gold").await);
    }
    made.sort_unstable();
    let path = house.database.file();
    let house = house.restart_with(|| before_marks(&path)).await;
    assert_eq!(
        house.get("/v1/customers?complianceStatus=ACTION_REQUIRED&limit=200").await.1["items"]
            .as_array()
            .unwrap()
            .len(),
        60
    );
    house
        .eventually("everybody is marked", async || {
            let body = json!({ "source": "ours", "mobile": "81234567", "limit": 200 });
            search(&house, body).await.1["notes"].is_null()
        })
        .await;
    assert_eq!(found(&house, json!({ "mobile": "81234567", "limit": 200 })).await, made);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_what_hardly_anybody_has_looks_at_few_rows_and_goes_on_from_there() {
    let house = House::start().await;
    let (all, fifteen) = if on_postgres() {
        (
            "SELECT decode(lpad(to_hex(i), 32, '0'), 'hex') AS id FROM generate_series(0, 20000) AS n (i)",
            "'\\x00000000000000000000000000003a98'",
        )
    } else {
        (
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             SELECT unhex(printf('%032x', i)) AS id FROM n",
            "x'00000000000000000000000000003a98'",
        )
    };
    let fill = format!(
        r#"INSERT INTO cases (customer, version, state, data, since, attempts_used, beside)
           SELECT id, 1, 'approved', '{{"state":"approved"}}', 0, 0, '{{}}' FROM ({all}) AS made;
           INSERT INTO snapshot (customer, looked_at, facts, sealed)
           VALUES ({fifteen}, 0, '{{"kind":"CORPORATE"}}', {fifteen})"#
    );
    house.database.sql(&fill).unwrap();
    let (mut cursor, mut pages) = (String::new(), Vec::new());
    while pages.len() < 5 {
        let (status, page) = house.get(&format!("/v1/customers?kind=corporate{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        pages.push(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let company = format!("00000000-0000-0000-0000-{:012x}", 15_000);
    assert_eq!(pages, [vec![], vec![company], vec![]], "20,001 rows, 10,000 at a time");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_goes_takes_its_marks_along() {
    let house = House::start().await;
    let id = known(&house, "Ana", "81234567", "gold").await;
    assert_eq!(found(&house, json!({ "mobile": "81234567" })).await, [id]);
    let count = || house.database.number("SELECT count(*) FROM mark");
    assert!(count() >= 6, "e-mail, mobile, three words, tag and tag with value");
    house.database.sql("DELETE FROM snapshot").unwrap();
    assert_eq!(count(), 0);
    assert!(found(&house, json!({ "mobile": "81234567" })).await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_open_keeps_nobody_else_from_being_found_on_sqlite() {
    about_sqlite();
    let house = House::start().await;
    let broken = known(&house, "Ana", "81234567", "gold").await;
    let well = known(&house, "Bo", "81234567", "gold").await;
    let path = house.database.file();
    let bytes = uuid::Uuid::parse_str(&broken).unwrap().into_bytes();
    let house = house
        .restart_with(|| {
            before_marks(&path);
            let database = Connection::open(&path).unwrap();
            database.execute("UPDATE snapshot SET sealed = x'01' WHERE customer = ?1", [bytes]).unwrap();
        })
        .await;
    house
        .eventually("the other is found", async || {
            found(&house, json!({ "mobile": "81234567" })).await == [well.clone()]
        })
        .await;
    let (_, page) = search(&house, json!({ "source": "ours", "mobile": "81234567" })).await;
    assert!(page["notes"][0].as_str().unwrap().contains("cannot be found"), "{page}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_searched_for_lies_open() {
    let house = House::start().await;
    known(&house, "Zebedee", "81234567", "Quartzite").await;
    for source in ["ours", "nium"] {
        let body = json!({ "source": source, "email": "zebedee@example.test", "tag": { "key": "tier", "value": "quartzite" } });
        assert_eq!(search(&house, body).await.0, 200);
    }
    house.database.hides(&["ebedee", "uartzite", "81234567", "example.test", "Neil"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_talkative_log_tells_nothing_that_was_searched_for() {
    let folder = tempfile::tempdir().unwrap();
    let sim = start_sim(lasting_address());
    let database = Database::fresh(folder.path());
    let [public, admin] = [lasting_address(), lasting_address()];
    let mut env = environment(&sim.base_url(), lasting_address(), &database, folder.path());
    env.insert("REINSTATE__PUBLIC__LISTEN".to_owned(), public.to_string());
    env.insert("REINSTATE__ADMIN__LISTEN".to_owned(), admin.to_string());
    env.insert("REINSTATE__TELEMETRY__LOG".to_owned(), "trace".to_owned());
    let log = folder.path().join("log");
    let output = std::fs::File::create(&log).unwrap();
    let mut serve = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .arg("serve")
        .envs(env)
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let http = client();
    let mut statuses = Vec::new();
    for source in ["nium", "ours"] {
        let body = json!({ "source": source, "email": "zebedee@example.test", "mobile": "87654321" });
        let answer = insist(&http, &format!("http://{admin}/v1/customers/search"), &body).await;
        statuses.push(answer);
    }
    assert_eq!(statuses, [200, 200]);
    serve.kill().await.unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("called Nium") && text.contains("/v1/customers/search"), "the log is on");
    for canary in ["zebedee", "87654321", "test-key"] {
        assert!(!text.contains(canary), "{canary} is in the log");
    }
}

/// Asks until the service is there.
async fn insist(http: &reqwest::Client, url: &str, body: &Value) -> u16 {
    for _ in 0..1_000 {
        match http.post(url).bearer_auth(TOKEN).json(body).send().await {
            Ok(answer) => return answer.status().as_u16(),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("the service did not come up");
}
