//! During a rolling update the release before runs on the schema of the next one. What each release says to PostgreSQL is
//! kept in `tests/it/releases`; the newest schema must understand all of it. What a whole life of it did is done again by
//! `replay`.
//!
//! `REINSTATE_TEST_UPDATE=1` writes down what this release says; do that before a release, and never to an older file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::database::Database;
use crate::postgres::{self, Cluster};
use crate::replicas::Fleet;

/// What this release's statements are kept as.
const THIS: &str = concat!(env!("CARGO_PKG_VERSION"), ".postgres.sql");
/// Between two statements of a file.
const BETWEEN: &str = "\n;\n";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/releases")
}

/// Does a little of everything that touches the database.
pub async fn life(fleet: &Fleet) {
    let ground = &fleet.ground;
    let (one, two) = tokio::join!(ground.journey(0), ground.journey(1));
    let ask = async |method: Method, path: &str, body: Option<serde_json::Value>| {
        ground.api(method, path, Some(&uuid::Uuid::new_v4().to_string()), body.as_ref()).await
    };
    let post = async |path: String, body: serde_json::Value| ask(Method::POST, &path, Some(body)).await;
    post(format!("/v1/customers/{one}/tags"), json!({ "set": { "tier": "gold" } })).await;
    let block = json!({ "action": "TEMPORARY_BLOCK", "reason": "CLIENT_REQUEST" });
    post(format!("/v1/customers/{one}/block"), block).await;
    let transition = format!("{}/__sim/customers/{two}/transition", ground.sim.base_url());
    ground.http.post(transition).json(&json!({ "complianceStatus": "PONDERING" })).send().await.unwrap();
    while ground.state(&two).await.is_none_or(|state| state != "needs_officer") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    post(format!("/v1/customers/{two}/decision"), json!({ "decision": "take_over", "note": "mine" })).await;
    post("/v1/jobs/retry".to_owned(), json!({ "kind": "decision" })).await;
    post("/v1/jobs/retry".to_owned(), json!({ "kind": "decision", "confirm": 1 })).await;
    post("/v1/customers/search".to_owned(), json!({ "source": "ours", "email": "ana@example.test" })).await;
    post("/v1/sweeps".to_owned(), json!({})).await;
    for path in [
        "/v1/customers?complianceStatus=CLEAR&kind=individual&olderThan=1h",
        "/v1/customers?state=reinstated&status=Clear",
        "/v1/callbacks",
        "/v1/jobs",
        "/v1/sweeps",
        "/v1/approvals",
        "/v1/audit?actor=bootstrap&what=officer",
        "/readyz?verbose",
        "/metrics",
    ] {
        ask(Method::GET, path, None).await;
    }
    for part in ["", "/timeline", "/redirect", "/rfi"] {
        ask(Method::GET, &format!("/v1/customers/{one}{part}?refresh=true"), None).await;
    }
}

/// The statements that a database was asked for, from its log.
fn statements(log: &str, database: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut current: Option<String> = None;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some(text) = &mut current {
                text.push('\n');
                text.push_str(more);
            }
            continue;
        }
        found.extend(current.take());
        let of_ours = line.strip_prefix(database).and_then(|line| line.split_once("  parse <unnamed>: "));
        current = of_ours.map(|(_, text)| text.to_owned());
    }
    found.extend(current);
    // Cursors are not there when they are asked about alone.
    found.retain(|text| {
        !text.starts_with("FETCH") && !text.contains("schema_version") && !text.contains("pg_class")
    });
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_release_says_is_understood_by_the_newest_schema() {
    let cluster = Cluster::own();
    let database = cluster.fresh();
    let name = database.name().to_owned();
    database.sql("ALTER SYSTEM SET log_line_prefix = '%d '").unwrap();
    database.sql("SELECT pg_reload_conf()").unwrap();
    database.sql(&format!("ALTER DATABASE {name} SET log_min_duration_statement = 0")).unwrap();
    let (fleet, _folder) = Fleet::start(1, Database::Postgres(database), &[]).await;
    life(&fleet).await;
    let said = statements(&cluster.log(), &name);
    assert!(said.len() > 60, "only {} statements were heard", said.len());
    let this = folder().join(THIS);
    if std::env::var_os("REINSTATE_TEST_UPDATE").is_some() {
        // Not every run says everything: what is there stays.
        let kept = std::fs::read_to_string(&this).unwrap_or_default();
        let kept = kept.split(BETWEEN).filter(|text| !text.is_empty()).map(str::to_owned);
        let all: BTreeSet<String> = said.iter().cloned().chain(kept).collect();
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&this, all.into_iter().collect::<Vec<_>>().join(BETWEEN)).unwrap();
    }
    let kept = std::fs::read_to_string(&this).unwrap_or_default();
    let kept: BTreeSet<&str> = kept.split(BETWEEN).collect();
    let new: Vec<&String> = said.iter().filter(|text| !kept.contains(text.as_str())).collect();
    assert!(
        new.is_empty(),
        "not in {}; write it down with REINSTATE_TEST_UPDATE=1: {new:#?}",
        this.display()
    );
    let newest = &fleet.ground.database;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "sql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for statement in text.split(BETWEEN) {
            understood(newest, statement)
                .unwrap_or_else(|why| panic!("{}: {statement}: {why}", path.display()));
        }
    }
}

/// Whether a statement can be prepared. It was sent with the kinds of its values; where the database cannot tell one by
/// itself, it is a whole number.
fn understood(database: &Database, statement: &str) -> Result<(), String> {
    let mut statement = statement.trim_start_matches("DECLARE scroll NO SCROLL CURSOR FOR").to_owned();
    loop {
        let Err(why) = database.sql(&format!("PREPARE it AS {statement}")) else { return Ok(()) };
        let Some((_, rest)) = why.split_once("parameter $") else { return Err(why) };
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let (bare, cast) = (format!("${number}"), format!("CAST(${number} AS bigint)"));
        if statement.contains(&cast) {
            return Err(why);
        }
        let parts: Vec<&str> = statement.split(&bare).collect();
        let mut written = parts[0].to_owned();
        for part in &parts[1..] {
            let is_longer = part.starts_with(|c: char| c.is_ascii_digit());
            written.push_str(if is_longer { &bare } else { &cast });
            written.push_str(part);
        }
        statement = written;
    }
}

#[test]
fn a_schema_that_lost_a_column_is_noticed() {
    let database = Database::Postgres(postgres::cluster().fresh());
    database.sql("CREATE TABLE head (customer BYTEA)").unwrap();
    assert!(understood(&database, "SELECT customer FROM head WHERE customer = $1 LIMIT $2").is_ok());
    assert!(understood(&database, "SELECT due_at FROM head").is_err());
}
