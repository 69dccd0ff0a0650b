//! One row is damaged, in every way that a disk can damage one. It is one customer's trouble: everybody else is served to
//! the end, sweeps and lists go on, and whoever asks for the damaged one hears that it cannot be read.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::database::on_postgres;
use crate::house::House;

/// Houses at once.
const AT_ONCE: usize = 6;
/// A text that is not UTF-8, as a flipped bit leaves it.
const TORN: &str = "CAST(x'7bff22' AS TEXT)";

/// On PostgreSQL many of them cannot be made: its texts are UTF-8, and what JSON and numbers may be is in its CHECKs, which
/// nothing turns off. So many can.
const MADE_ON_POSTGRES: usize = 8;

/// What is damaged, by which statement (`?1` is the customer, `TORN` a torn text), and how the customer is shown then.
const DAMAGES: &[(&str, &str, u16)] = &[
    ("a state that nobody knows", "UPDATE cases SET data = '{\"state\":\"x\"}' WHERE customer = ?1", 500),
    ("a state that is no JSON", "UPDATE cases SET data = '{\"state\":' WHERE customer = ?1", 500),
    ("a state that is no text", "UPDATE cases SET data = TORN WHERE customer = ?1", 500),
    ("what is beside the state", "UPDATE cases SET beside = TORN WHERE customer = ?1", 500),
    ("a count below zero", "UPDATE cases SET attempts_used = -1 WHERE customer = ?1", 500),
    ("a moment that is none", "UPDATE cases SET since = 9223372036854775807 WHERE customer = ?1", 500),
    ("facts that are no JSON", "UPDATE snapshot SET facts = 'x' WHERE customer = ?1", 500),
    ("facts that are no text", "UPDATE snapshot SET facts = TORN WHERE customer = ?1", 500),
    ("what is sealed", "UPDATE snapshot SET sealed = x'00' WHERE customer = ?1", 500),
    ("a wrapped key", "UPDATE data_key SET wrapped = x'00' WHERE customer = ?1", 500),
    ("failures below zero", "UPDATE head SET failures = -1, due_at = 0 WHERE customer = ?1", 200),
    ("more handled than wanted", "UPDATE head SET handled = wanted + 5, due_at = 0 WHERE customer = ?1", 200),
    ("a timeline", "UPDATE history SET detail = TORN WHERE customer = ?1", 200),
    (
        "the key of a notification",
        "UPDATE effect SET key = 'x' || seq, status = 'pending', ended_at = NULL, due_at = 0 WHERE customer = ?1",
        200,
    ),
    (
        "the kind of a notification",
        "UPDATE effect SET kind = TORN, status = 'pending', ended_at = NULL, due_at = 0 WHERE customer = ?1",
        200,
    ),
    (
        "the kind of an officer's word",
        "INSERT INTO effect (key, customer, lane, kind, status, created_at)
         VALUES ('x', ?1, 'officer', 'sing', 'pending', 0)",
        200,
    ),
    (
        "a callback that was not folded yet",
        "INSERT INTO callback_log (at, customer, looks, source, request_id) VALUES (0, ?1, 1, 'callback', TORN)",
        200,
    ),
    (
        "a callback that was not folded yet, and whom it is about",
        "INSERT INTO callback_log (at, customer, looks, source) VALUES (0, substr(?1, 2), 1, 'callback')",
        200,
    ),
    ("a note", "INSERT INTO note (id, customer, sealed) VALUES ('x', ?1, x'00')", 200),
    (
        "an act that waits for a second person",
        "INSERT INTO approval (id, customer, version, what, asked_by, asked_at, expires_at, sealed)
         VALUES ('x', ?1, 1, 'permanent_block', 'a', 0, 9, x'00')",
        200,
    ),
    (
        "what waits for a second person",
        "INSERT INTO approval (id, customer, version, what, asked_by, asked_at, expires_at)
         VALUES ('x', ?1, 1, TORN, 'a', 0, 9)",
        200,
    ),
    (
        "who has the case in hand",
        "INSERT INTO in_hand (customer, taken_by, since) VALUES (?1, 'a', 9223372036854775807)",
        500,
    ),
    ("a callback on file", "UPDATE callback SET request_id = TORN || id WHERE customer = ?1", 200),
];

/// Damages the customer's row. False: the database does not let it happen.
fn damage(house: &House, what: &str, statement: &str, customer: &str) -> bool {
    let customer = Uuid::parse_str(customer).unwrap();
    if on_postgres() {
        let bytes = format!("'\\x{}'::bytea", hex::encode(customer.as_bytes()));
        let torn = r"convert_from('\x7bff22', 'UTF8')";
        let statement =
            statement.replace("TORN", torn).replace("x'00'", r"'\x00'::bytea").replace("?1", &bytes);
        let Err(refused) = house.database.sql(&statement) else { return true };
        let by_itself =
            ["violates check constraint", "invalid byte sequence", "invalid input syntax for type json"];
        assert!(by_itself.iter().any(|why| refused.contains(why)), "{what}: {refused}");
        return false;
    }
    let database = Connection::open(house.database.file()).unwrap();
    database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let changed = database.execute(&statement.replace("TORN", TORN), [customer.as_bytes()]).unwrap();
    assert!(changed > 0, "{what}: nothing was damaged");
    true
}

/// False: the database does not let it happen.
async fn damaged(what: &str, statement: &str, shown: u16) -> bool {
    let house = House::start().await;
    let (bad, good) = (house.rejected("Ana").await, house.onboard("Bo").await);
    house.heard(&bad, "customer.correction_requested").await;

    if !damage(&house, what, statement, &bad) {
        house.close().await;
        return false;
    }
    let house = house.restart().await;

    // Everybody is due, the damaged one first.
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": bad })).await;
    house.nium_says(&good, json!({ "complianceStatus": "REJECT" })).await;
    // Before any time passes, in which a sweep would find what callbacks had said.
    house
        .eventually(&format!("{what}: callbacks are folded"), async || {
            let (_, ready) = house.get("/readyz?verbose").await;
            ready["callbacksUnfolded"] == 0
                && names(&house.get(&format!("/v1/callbacks?customerHashId={good}")).await.1, &good)
        })
        .await;
    house.until(&good, "awaiting_correction").await;
    assert_eq!(house.correct(&good, json!({ "firstName": "Bo Maria" })).await.0, 202, "{what}");
    house.until(&good, "reinstated").await;
    house.heard(&good, "customer.reinstated").await;

    house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    house
        .eventually(&format!("{what}: a sweep passes over it"), async || {
            house.get("/v1/sweeps").await.1["items"][0]["outcome"] == "complete"
        })
        .await;
    let (status, problem) = house.get(&format!("/v1/customers/{bad}")).await;
    // A look may have made it good again.
    assert!(status == shown || status == 200, "{what}: {status} {problem}");
    if status == 500 {
        assert!(problem["code"] == "internal" && problem["hint"].is_string(), "{what}: {problem}");
    }
    for list in ["/v1/customers", "/v1/callbacks", "/v1/jobs", "/v1/approvals"] {
        let (status, page) = house.get(list).await;
        assert_eq!(status, 200, "{what}: {list}: {page}");
        assert!(
            ["/v1/jobs", "/v1/approvals"].contains(&list) || names(&page, &good),
            "{what}: {list}: {page}"
        );
    }
    house.close().await;
    true
}

fn names(page: &Value, customer: &str) -> bool {
    page["items"].as_array().unwrap().iter().any(|item| item["customerHashId"] == customer)
}

/// Each house has a thread and a runtime of its own: `DROP DATABASE` at the end of one waits for whoever is signing in to
/// any other, which somebody on the same thread would never finish.
#[test]
fn a_damaged_row_holds_up_nobody_else() {
    let mut made = 0;
    for some in DAMAGES.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let houses: Vec<_> = some
                .iter()
                .map(|(what, statement, shown)| {
                    scope.spawn(|| Runtime::new().unwrap().block_on(damaged(what, statement, *shown)))
                })
                .collect();
            made += houses.into_iter().filter_map(|house| house.join().unwrap().then_some(())).count();
        });
    }
    assert!(made >= if on_postgres() { MADE_ON_POSTGRES } else { DAMAGES.len() }, "{made} were made");
}
