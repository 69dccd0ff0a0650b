//! Migrations of a PostgreSQL database that has grown, while the release before works on it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reinstate::clock::Clock;
use reinstate::store::error::StoreError;
use reinstate::store::wake::Wake;
use reinstate::store::{Store, Use};

use crate::database::Database;
use crate::house::{lasting_address, spawn};
use crate::postgres;
use crate::restart::Ground;

/// Notifications from before there were destinations.
const GROWN: u32 = 100_000;

/// The statements of the first `steps` steps.
fn steps(steps: usize) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let twins = files.iter().filter(|path| path.display().to_string().ends_with(".postgres.sql"));
    let mut all: String = twins.take(steps).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let version = format!(
        "CREATE TABLE schema_version (version BIGINT NOT NULL, runs_from BIGINT NOT NULL);
         INSERT INTO schema_version VALUES ({steps}, {steps});"
    );
    all.push_str(&version);
    all
}

/// A step that changes notifications takes so long: more than any statement of the work may.
fn slow(seconds: u32) -> String {
    format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
         CREATE TRIGGER slow BEFORE UPDATE ON effect FOR EACH STATEMENT EXECUTE FUNCTION slow()"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_takes_callbacks_while_a_step_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let database = postgres::cluster().fresh();
    database.sql(&steps(8)).unwrap();
    database.sql(&slow(25)).unwrap();
    let public = lasting_address();
    let ground = Ground::with(&[public], public, Database::Postgres(database), folder.path()).await;
    let ground = ground.set("TELEMETRY__LOG", "off");
    let _running = ground.start_at(0);
    let begun = Instant::now();
    let readiness = async || {
        let answer = ground.http.get(format!("http://{public}/readyz")).send().await.ok()?;
        let body: serde_json::Value = answer.json().await.ok()?;
        body["status"].as_str().map(str::to_owned)
    };
    while readiness().await.is_none_or(|word| word != "degraded") {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not answer while it migrates");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let url = format!("http://{public}/callback/compliance?customerHashId={}", uuid::Uuid::from_u128(7));
    assert_eq!(ground.http.post(url).send().await.unwrap().status(), 200);
    while readiness().await.is_none_or(|word| word != "ready") {
        assert!(begun.elapsed() < Duration::from_mins(1), "the step ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "it was under way all the time");
    let kept = "SELECT (SELECT count(*) FROM callback_log) + (SELECT count(*) FROM callback)";
    while ground.database.number(kept) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(2), "what was spooled is on file");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_long_is_taken_and_whoever_is_in_its_way_goes_first() {
    let database = postgres::cluster().fresh();
    database.sql(&steps(8)).unwrap();
    database
        .sql(&format!(
            "INSERT INTO effect (key, customer, lane, kind, status, due_at, created_at, ended_at, payload)
             SELECT 'k-' || n, decode(lpad(to_hex(n % 1000 + 1), 32, '0'), 'hex'), 'webhook', 'customer.rejected',
                 CASE n % 50 WHEN 0 THEN 'pending' ELSE 'done' END, CASE n % 50 WHEN 0 THEN 5 END, 5,
                 CASE n % 50 WHEN 0 THEN NULL ELSE 6 END, '{{}}'::bytea
             FROM generate_series(1, {GROWN}) AS n"
        ))
        .unwrap();
    database.sql(&slow(17)).unwrap();
    let (client, connection) =
        tokio_postgres::connect(database.url().split('?').next().unwrap(), tokio_postgres::NoTls)
            .await
            .unwrap();
    spawn(connection);
    // The release before is at work, until a step has given way to it.
    client.batch_execute("BEGIN; SELECT 1 FROM effect WHERE seq = 1 FOR UPDATE").await.unwrap();
    let database = Arc::new(Database::Postgres(database));
    let at_work = spawn({
        let database = Arc::clone(&database);
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'effect'::regclass
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        async move {
            while database.number(waits) == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let begun = Instant::now();
            while database.number(waits) > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let took = begun.elapsed();
            client.batch_execute("COMMIT").await.unwrap();
            took
        }
    });
    let store = Store::open(&database.place(), Use::Serve, Clock::System, Wake::default()).unwrap();
    let (begun, mut meanwhile, mut left_alone) = (Instant::now(), 0, 0);
    loop {
        assert!(begun.elapsed() < Duration::from_mins(2), "the step is not taken");
        match tokio::time::timeout(Duration::from_secs(4), store.ready()).await {
            Ok(Ok(())) => break,
            Ok(Err(StoreError::Unavailable(why))) if why.contains("being brought") => meanwhile += 1,
            Ok(Err(error)) => println!("{error}"),
            // Whoever asked has gone; the step goes on.
            Err(_) => left_alone += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let gave_way_after = at_work.await.unwrap();
    assert!(gave_way_after < Duration::from_secs(6), "a step held everybody up for {gave_way_after:?}");
    assert!(meanwhile > 10 && left_alone >= 1, "others hear that it is under way: {meanwhile}, {left_alone}");
    assert!(begun.elapsed() > Duration::from_secs(17), "the step took as long as it had to");
    let told = "SELECT count(*) FROM effect WHERE destination = 'default'";
    assert_eq!(database.number(told), i64::from(GROWN));
    assert_eq!(database.number("SELECT count(*) FROM event"), i64::from(GROWN));
}
