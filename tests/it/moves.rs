//! Moving house and coming back from a backup, with the real binary: everything is there, and what was open goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use reinstate::store::copy::{LEFT, TABLES};
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::database::{Database, about_sqlite};
use crate::house::lasting_address;
use crate::postgres;
use crate::restart::Ground;

async fn store(args: &[&str], env: &[(&str, String)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reinstate"));
    command.arg("store").args(args).stdin(Stdio::null());
    command.envs(env.iter().map(|(name, value)| (*name, value.as_str()))).output().await.unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Rows of the audit record that say this of the command line.
fn recorded(what: &str) -> String {
    format!("SELECT count(*) FROM audit WHERE actor = 'command line' AND what = '{what}'")
}

async fn copy(from: &Database, to: &Database) -> Output {
    store(&["copy", "--from", &from.url(), "--to", &to.url()], &[]).await
}

fn on_postgres() -> Database {
    Database::Postgres(postgres::cluster().fresh())
}

/// A service on an SQLite file that has somebody reinstated, and somebody to whom an offer is open.
async fn grown(folder: &Path) -> (Ground, tokio::process::Child, String) {
    let public = lasting_address();
    let database = Database::Sqlite(folder.join("reinstate.db"));
    let ground = Ground::with(&[public], public, database, folder).await.set("TELEMETRY__LOG", "off");
    ground.nium_is_behind().await;
    let service = ground.start();
    ground.first_sweep_is_over().await;
    ground.journey(0).await;
    let application = crate::house::application("Bo");
    let answer = ground.insist(Method::POST, "/v1/customers", "bo", &application, 201).await;
    let open = answer["customerHashId"].as_str().unwrap().to_owned();
    let transition = format!("{}/__sim/customers/{open}/transition", ground.sim.base_url());
    ground.http.post(transition).json(&json!({ "complianceStatus": "REJECT" })).send().await.unwrap();
    until(&ground, &open, "awaiting_correction").await;
    (ground, service, open)
}

async fn until(ground: &Ground, id: &str, wanted: &str) {
    for _ in 0..2_000 {
        if ground.state(id).await.is_some_and(|state| state == wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} is not {wanted}: {:?}", ground.state(id).await);
}

/// The open offer is taken up, and ends well.
async fn goes_on(ground: &Ground, open: &str) {
    let correction = json!({ "fields": { "firstName": "Bo Maria" } });
    ground.insist(Method::POST, &format!("/v1/customers/{open}/corrections"), "late", &correction, 202).await;
    until(ground, open, "reinstated").await;
}

#[test]
fn every_table_and_column_moves_or_is_left_on_purpose() {
    let folder = tempfile::tempdir().unwrap();
    let file = Database::Sqlite(folder.path().join("reinstate.db"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let postgres = postgres::cluster().fresh();
    let listed: BTreeSet<String> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(|column| format!("{}.{column}", table.name)))
        .collect();
    let of_both = [
        (Database::Postgres(postgres), "SELECT string_agg(table_name || '.' || column_name, ' ')
             FROM information_schema.columns WHERE table_schema = 'public'"),
        (file, "SELECT group_concat(m.name || '.' || c.name, ' ') FROM sqlite_master AS m, pragma_table_info(m.name) AS c
             WHERE m.type = 'table'"),
    ];
    for (database, sql) in of_both {
        let _inside = runtime.enter();
        let store = reinstate::store::Store::open(
            &database.place(),
            reinstate::store::Use::Tool,
            reinstate::clock::Clock::System,
            reinstate::store::wake::Wake::default(),
        );
        runtime.block_on(store.unwrap().ready()).unwrap();
        let there: BTreeSet<String> = database
            .text(sql)
            .split_whitespace()
            .filter(|name| !LEFT.contains(&name.split('.').next().unwrap()))
            .map(str::to_owned)
            .collect();
        assert_eq!(there, listed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_moves_to_postgres_and_back_and_what_was_open_goes_on() {
    about_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let (ground, mut service, open) = grown(folder.path()).await;
    let (there, back) = (on_postgres(), Database::Sqlite(folder.path().join("back.db")));
    let refused = copy(&ground.database, &there).await;
    assert!(!refused.status.success() && told(&refused).contains("in use by another"), "{}", told(&refused));
    service.kill().await.unwrap();
    let moved = copy(&ground.database, &there).await;
    assert!(moved.status.success() && told(&moved).contains("are the same"), "{}", told(&moved));
    assert!(!told(&moved).contains("planted") && !told(&moved).contains("reinstate:"), "{}", told(&moved));
    // The copy has folded what was still in the log.
    let callbacks = ground.database.number("SELECT count(*) FROM callback");
    let journal = ground.sim.journal();
    let answered = journal.iter().filter(|call| call.kind == "callback" && call.status == Some(200)).count();
    assert!(callbacks >= i64::try_from(answered).unwrap(), "{callbacks} of {answered}");
    assert_eq!(there.number("SELECT count(*) FROM callback"), callbacks);
    for side in [&ground.database, &there] {
        assert_eq!(side.number(&recorded("store_copied")), 1, "who moved it, and when, stands on both sides");
    }
    let again = copy(&ground.database, &there).await;
    assert!(told(&again).contains("copy into an empty database"), "{}", told(&again));
    let ground = ground.set("STORE__URL", &there.url());
    let mut service = ground.start();
    goes_on(&ground, &open).await;
    ground.journey(2).await;
    let busy = copy(&there, &back).await;
    assert!(told(&busy).contains("stop all of them first"), "{}", told(&busy));
    std::process::Command::new("kill").args(["-TERM", &service.id().unwrap().to_string()]).status().unwrap();
    assert!(service.wait().await.unwrap().success());
    let returned = copy(&there, &back).await;
    assert!(returned.status.success(), "{}", told(&returned));
    assert_eq!(
        there.number("SELECT count(*) FROM duty WHERE name = 'copy'"),
        0,
        "whoever wants to may serve"
    );
    let ground = ground.set("STORE__URL", &back.url());
    let mut service = ground.start();
    ground.journey(3).await;
    until(&ground, &open, "reinstated").await;
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_goes_on_where_it_was_and_what_differs_is_found() {
    about_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let from = Database::Sqlite(folder.path().join("reinstate.db"));
    let made = store(&["copy", "--from", &from.url(), "--to", &on_postgres().url()], &[]).await;
    assert!(told(&made).contains("is not there"), "{}", told(&made));
    let empty = reinstate::store::Store::open(
        &from.place(),
        reinstate::store::Use::Tool,
        reinstate::clock::Clock::System,
        reinstate::store::wake::Wake::default(),
    );
    empty.unwrap().close();
    from.sql(
        "INSERT INTO history (customer, at, version, what, detail)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         SELECT unhex(printf('%032x', i)), i, 1, 'looked', '{}' FROM n",
    )
    .unwrap();
    let to = on_postgres();
    let (mut kills, mut before, mut patience) = (0, 0, Duration::from_millis(60));
    loop {
        let mut copying = Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["store", "copy", "--from", &from.url(), "--to", &to.url()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ended = tokio::time::timeout(patience, copying.wait()).await;
        if let Ok(status) = ended {
            assert!(status.unwrap().success());
            break;
        }
        copying.kill().await.unwrap();
        kills += 1;
        patience = patience * 5 / 4;
        assert!(kills < 100, "it gets nowhere");
        if to.sql("SELECT 1 FROM copy_progress").is_err() {
            if before > 0 {
                // Killed when it was through and had not ended yet: what follows compares both sides.
                break;
            }
            continue;
        }
        let now = to.number("SELECT count(*) FROM history");
        assert!(now >= before, "what was copied stays");
        before = now;
        let serve = Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["token", "list"])
            .env("REINSTATE__STORE__URL", to.url())
            .output()
            .await
            .unwrap();
        assert!(told(&serve).contains("was not finished"), "{}", told(&serve));
    }
    println!("killed {kills} times");
    assert!(kills > 0);
    let only = ["copy", "--verify-only", "--from", &from.url(), "--to", &to.url()].map(str::to_owned);
    let only: Vec<&str> = only.iter().map(String::as_str).collect();
    assert!(store(&only, &[]).await.status.success());
    to.sql("UPDATE history SET at = at + 1 WHERE id = 12345").unwrap();
    let differs = store(&only, &[]).await;
    assert!(!differs.status.success() && told(&differs).contains("history differs"), "{}", told(&differs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_while_callbacks_come_and_a_restored_one_goes_on() {
    about_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let (ground, mut service, open) = grown(folder.path()).await;
    let env = [("REINSTATE__STORE__URL", ground.database.url())];
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ground = std::sync::Arc::new(ground);
    let load = crate::house::spawn({
        let (ground, over) = (std::sync::Arc::clone(&ground), std::sync::Arc::clone(&over));
        async move { ground.load(&over, Duration::from_millis(20)).await.len() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = ground.database.number("SELECT max(id) FROM callback_log");
    let file = folder.path().join("backup.db");
    let place = file.display().to_string();
    let made = store(&["backup", "--to", &place], &env).await;
    assert!(made.status.success() && told(&made).contains("privacy.master_keys"), "{}", told(&made));
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent = load.await.unwrap();
    println!("{sent} callbacks came meanwhile");
    assert!(Database::Sqlite(file.clone()).number("SELECT max(id) FROM callback_log") >= before);
    assert_eq!(ground.database.number(&recorded("store_backed_up")), 1);
    let twice = store(&["backup", "--to", &place], &env).await;
    assert!(told(&twice).contains("is there already"), "{}", told(&twice));
    let busy = store(&["restore", "--from", &place, "--replace"], &env).await;
    assert!(told(&busy).contains("in use by another"), "{}", told(&busy));
    service.kill().await.unwrap();
    let kept = store(&["restore", "--from", &place], &env).await;
    assert!(told(&kept).contains("--replace"), "{}", told(&kept));
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "not a database, but long enough to be looked at as if it were one").unwrap();
    let unsound = store(&["restore", "--from", &garbage.display().to_string(), "--replace"], &env).await;
    assert!(!unsound.status.success() && ground.database.file().exists(), "{}", told(&unsound));
    let back = store(&["restore", "--from", &place, "--replace"], &env).await;
    assert!(back.status.success(), "{}", told(&back));
    let of_backup = ["store_restored", "store_backed_up"].map(|what| ground.database.number(&recorded(what)));
    assert_eq!(of_backup, [1, 0], "the backup is of the moment before it was recorded");
    let mut service = ground.start();
    goes_on(&ground, &open).await;
    service.kill().await.unwrap();
    let elsewhere = [("REINSTATE__STORE__URL", on_postgres().url())];
    let refused = store(&["backup", "--to", &place], &elsewhere).await;
    assert!(!refused.status.success() && told(&refused).contains("pg_dump"), "{}", told(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_what_was_looked_at_with_its_log_and_nobody_elses() {
    about_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let (ground, mut service, open) = grown(folder.path()).await;
    let env = [("REINSTATE__STORE__URL", ground.database.url())];
    let backup = folder.path().join("backup.db").display().to_string();
    assert!(store(&["backup", "--to", &backup], &env).await.status.success());
    // Somebody reads for long, so that what comes now stays in the write-ahead log.
    let reader = rusqlite::Connection::open(ground.database.file()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM callback").unwrap();
    ground.journey(2).await;
    service.kill().await.unwrap();
    let newest = "SELECT count(*) FROM cases";
    let (grown, before) =
        (ground.database.number(newest), Database::Sqlite(backup.clone().into()).number(newest));
    assert!(grown > before);
    // The file is moved away by hand, and its log is left lying there.
    let (file, moved) = (ground.database.file(), folder.path().join("moved.db"));
    let (log, moved_log) = (file.with_file_name("reinstate.db-wal"), folder.path().join("moved.db-wal"));
    std::fs::copy(&file, &moved).unwrap();
    std::fs::copy(&log, &moved_log).unwrap();
    // The last one to leave takes the log away.
    drop(reader);
    std::fs::remove_file(&file).unwrap();
    std::fs::copy(&moved_log, &log).unwrap();
    let restored = store(&["restore", "--from", &backup], &env).await;
    assert!(restored.status.success(), "{}", told(&restored));
    assert_eq!(ground.database.text("PRAGMA integrity_check").trim(), "ok");
    assert_eq!(ground.database.number(newest), before);
    // And a file that has a log brings it along.
    let again = ["restore", "--from", &moved.display().to_string(), "--replace"].map(str::to_owned);
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    let restored = store(&again, &env).await;
    assert!(restored.status.success(), "{}", told(&restored));
    assert_eq!(ground.database.number(newest), grown);
    let mut service = ground.start();
    goes_on(&ground, &open).await;
    service.kill().await.unwrap();
}

const IN_LOG: &str = "SELECT count(*) FROM callback_log";

/// Waits until every callback of Nium's has arrived and is folded.
async fn log_is_empty(ground: &Ground, in_log: impl Fn() -> i64) {
    for _ in 0..1_000 {
        let journal = ground.sim.journal();
        let mut callbacks = journal.iter().filter(|call| call.kind == "callback");
        if callbacks.all(|call| call.status.is_some()) && in_log() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("callbacks stay in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_postgres_is_restored_and_goes_on_also_with_callbacks_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let public = lasting_address();
    let (from, to) = (postgres::cluster().fresh(), postgres::cluster().fresh());
    let (first, second) = (from.url(), to.url());
    let ground = Ground::with(&[public], public, Database::Postgres(from), folder.path()).await;
    let ground = ground.set("TELEMETRY__LOG", "off");
    ground.nium_is_behind().await;
    let mut service = ground.start();
    ground.first_sweep_is_over().await;
    ground.journey(0).await;
    log_is_empty(&ground, || ground.database.number(IN_LOG)).await;
    service.kill().await.unwrap();
    // A callback that was acknowledged, and nothing came of it yet.
    let waiting = "INSERT INTO callback_log (at, customer, looks, source)
                   SELECT 1, customer, 1, 'callback' FROM cases LIMIT 1";
    ground.database.sql(waiting).unwrap();
    let dump = folder.path().join("reinstate.dump").display().to_string();
    postgres::cluster().program("pg_dump", &["--format=custom", "--file", &dump, &first]).unwrap();
    postgres::cluster()
        .program("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &second, &dump])
        .unwrap();
    assert_eq!(to.sql(IN_LOG).unwrap().trim(), "1");
    let ground = ground.set("STORE__URL", &second);
    let mut service = ground.start();
    ground.journey(1).await;
    log_is_empty(&ground, || to.sql(IN_LOG).unwrap().trim().parse().unwrap()).await;
    service.kill().await.unwrap();
}
