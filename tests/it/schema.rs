//! Migrations of a PostgreSQL database that has grown, while the release before works on it.

use std::path::Path;
use std::time::{Duration, Instant};

use reinstate::clock::Clock;
use reinstate::store::error::StoreError;
use reinstate::store::wake::Wake;
use reinstate::store::{Store, Use};

use crate::database::Database;
use crate::house::spawn;
use crate::postgres;

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
    // More than any statement of the work may take, and than we wait for its answer.
    database
        .sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(17); RETURN NULL; END $$;
             CREATE TRIGGER slow BEFORE UPDATE ON effect FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .unwrap();
    let (client, connection) =
        tokio_postgres::connect(database.url().split('?').next().unwrap(), tokio_postgres::NoTls)
            .await
            .unwrap();
    spawn(connection);
    // The release before is at work, for longer than a step waits.
    client.batch_execute("BEGIN; SELECT 1 FROM effect WHERE seq = 1 FOR UPDATE").await.unwrap();
    let at_work = spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.batch_execute("COMMIT").await.unwrap();
    });
    let database = Database::Postgres(database);
    let store = Store::open(&database.place(), Use::Serve, Clock::System, Wake::default()).unwrap();
    let (begun, mut refused, mut tries) = (Instant::now(), Vec::new(), 0);
    while let Err(error) = store.ready().await {
        assert!(begun.elapsed() < Duration::from_mins(2), "{error}");
        tries += 1;
        if !matches!(&error, StoreError::Unavailable(why) if why.contains("goes on in a moment")) {
            refused.push(error.to_string());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    at_work.await.unwrap();
    assert!(refused.iter().any(|why| why.contains("lock timeout")), "{refused:?}");
    assert!(refused.len() <= 4 && tries > refused.len(), "there is a pause between two tries: {refused:?}");
    assert!(begun.elapsed() > Duration::from_secs(17), "the step took as long as it had to");
    let told = "SELECT count(*) FROM effect WHERE destination = 'default'";
    assert_eq!(database.number(told), i64::from(GROWN));
    assert_eq!(database.number("SELECT count(*) FROM event"), i64::from(GROWN));
}
