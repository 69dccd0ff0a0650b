//! What one release did with a PostgreSQL database, statement by statement and with its values, done again on the newest
//! schema: during a rolling update the release before writes there, with CHECKs, keys and columns that it does not know.
//!
//! The journal is taken from the database's own log. Each of its statements is one line, `session <TAB> statement`, in the
//! order in which they ended; `\n` and `\\` stand for themselves. The first line says what there was at the end.
//!
//! `REINSTATE_TEST_UPDATE=1` writes down what this release does, if its schema has no journal yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use reinstate::clock::Clock;
use reinstate::store::wake::Wake;
use reinstate::store::{Place, Store, Use};
use tokio::sync::{mpsc, oneshot};

use crate::database::Database;
use crate::house::spawn;
use crate::postgres::{self, Cluster};
use crate::releases::life;
use crate::replicas::Fleet;

/// How often a transaction that changes nothing but a clock is worth writing down.
const TIMES: usize = 2;
/// How long a statement may take before the next one begins: it waits for one that comes later in the journal.
const IN_THE_WAY: Duration = Duration::from_millis(300);
/// What there is at the end.
const THERE: &str = "SELECT concat_ws(' ',
     (SELECT string_agg(state || ':' || version || ':' || attempts_used, ',' ORDER BY customer) FROM cases),
     (SELECT string_agg(lane || ':' || kind || ':' || status, ',' ORDER BY lane, kind, status) FROM effect WHERE lane <> 'webhook'),
     (SELECT count(*) || ' events' FROM event),
     (SELECT count(*) || ' told' FROM effect WHERE status = 'done' AND lane = 'webhook'),
     (SELECT string_agg(what || ':' || n, ',' ORDER BY what) FROM
         (SELECT what, count(*) AS n FROM history GROUP BY what) AS lines),
     (SELECT count(*) || ' snapshots' FROM snapshot), (SELECT count(*) || ' marks' FROM mark),
     (SELECT count(*) || ' held' FROM head WHERE lease_until IS NOT NULL))";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/releases")
}

/// One statement of one session.
#[derive(Clone)]
struct Said {
    session: String,
    text: String,
}

/// A literal with the kind that it was sent as, as far as that can be told.
fn literal(value: &str) -> String {
    let inside = value.trim_matches('\'');
    if value == "NULL" {
        "NULL".to_owned()
    } else if inside.starts_with(r"\x") {
        format!("{value}::bytea")
    } else if inside.parse::<i64>().is_ok() {
        format!("{value}::bigint")
    } else if inside.starts_with('{') && inside.ends_with('}') && !inside.contains(':') {
        // A list, whose kind stands beside it.
        value.to_owned()
    } else {
        format!("{value}::text")
    }
}

/// The values behind `$1 = '…', $2 = NULL, …`.
fn values(detail: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = detail;
    while let Some((_, after)) = rest.split_once(&format!("${} = ", found.len() + 1)) {
        if let Some(null) = after.strip_prefix("NULL") {
            found.push("NULL".to_owned());
            rest = null;
            continue;
        }
        let mut end = 1;
        let bytes = after.as_bytes();
        while end < bytes.len() {
            match (bytes[end], bytes.get(end + 1)) {
                (b'\'', Some(b'\'')) => end += 2,
                (b'\'', _) => break,
                _ => end += 1,
            }
        }
        found.push(after[..=end].to_owned());
        rest = &after[end + 1..];
    }
    found
}

/// The statement with its values in it.
fn filled(text: &str, values: &[String]) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        written.push_str(before);
        let value = after[..digits].parse::<usize>().ok().and_then(|number| values.get(number - 1));
        written.push_str(&value.map_or_else(|| "$".to_owned() + &after[..digits], |value| literal(value)));
        rest = &after[digits..];
    }
    written + rest
}

/// What a database was asked for, from its log.
fn journal(log: &str, database: &str) -> Vec<Said> {
    // A line that goes on begins with a tab.
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    let mut said: Vec<Said> = Vec::new();
    let mut waits = BTreeSet::new();
    for entry in &entries {
        let Some((session, rest)) =
            entry.strip_prefix(database).and_then(|rest| rest.trim_start().split_once(' '))
        else {
            continue;
        };
        let statement = rest.split_once("execute <unnamed>: ").or_else(|| rest.split_once("statement: "));
        if rest.starts_with("LOG:")
            && let Some((_, text)) = statement
        {
            waits.insert(session.to_owned());
            said.push(Said { session: session.to_owned(), text: text.to_owned() });
        } else if let Some((_, detail)) = rest.split_once("parameters: ")
            && rest.starts_with("DETAIL:")
            && waits.remove(session)
            && let Some(last) = said.iter_mut().rev().find(|said| said.session == session)
        {
            last.text = filled(&last.text, &values(detail));
        }
    }
    said
}

/// Leaves out what is said again and again and changes nothing: polls, the pace, and who is on duty.
fn worth_it(all: Vec<Said>) -> Vec<Said> {
    let mut open: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut transactions: Vec<Vec<usize>> = Vec::new();
    for (place, said) in all.iter().enumerate() {
        let current = open.entry(said.session.clone()).or_default();
        current.push(place);
        if ["COMMIT", "ROLLBACK"].contains(&said.text.as_str()) || !all[current[0]].text.starts_with("BEGIN")
        {
            transactions.push(std::mem::take(current));
        }
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for transaction in transactions {
        let texts = || transaction.iter().map(|place| all[*place].text.as_str());
        let is_small = texts().all(|text| {
            let writes = ["INSERT", "UPDATE", "DELETE"].iter().any(|word| text.contains(word));
            !writes
                || ["pace", "INTO duty", "FROM duty", "0, 0, 'callback'", "callback_log WHERE id ="]
                    .iter()
                    .any(|one| text.contains(one))
                || text.ends_with("SKIP LOCKED")
        });
        let shape: String =
            texts().map(|text| text.split_once(char::is_numeric).map_or(text, |(head, _)| head)).collect();
        let times = seen.entry(shape).or_default();
        *times += 1;
        if !is_small || *times <= TIMES {
            kept.extend(transaction);
        }
    }
    all.into_iter().enumerate().filter(|(place, _)| kept.contains(place)).map(|(_, said)| said).collect()
}

/// A statement, and whom to tell once it is done.
type Order = (String, oneshot::Sender<()>);

/// Says everything again, each session on a connection of its own.
async fn replay(database: &Database, said: &[Said]) {
    let Place::Postgres(options) = database.place() else { panic!("this is about PostgreSQL") };
    let (watch, connection) = tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await.unwrap();
    spawn(connection);
    let mut sessions: BTreeMap<&str, (i32, mpsc::UnboundedSender<Order>)> = BTreeMap::new();
    let mut running = tokio::task::JoinSet::new();
    for one in said {
        if !sessions.contains_key(one.session.as_str()) {
            let (client, connection) =
                tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await.unwrap();
            spawn(connection);
            let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
            let (orders, mut inbox) = mpsc::unbounded_channel::<Order>();
            running.spawn(async move {
                while let Some((text, done)) = inbox.recv().await {
                    if let Err(why) = client.batch_execute(&text).await {
                        panic!(
                            "{}: {text:.2000}",
                            why.as_db_error().map_or(why.to_string(), ToString::to_string)
                        );
                    }
                    let _ = done.send(());
                }
            });
            sessions.insert(&one.session, (pid, orders));
        }
        let (done, mut is_done) = oneshot::channel();
        let (pid, orders) = &sessions[one.session.as_str()];
        let _ = orders.send((one.text.clone(), done));
        // Who waits for another one's lock is passed over, and nobody else; who failed is heard of below.
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)";
        while tokio::time::timeout(IN_THE_WAY, &mut is_done).await.is_err() {
            if watch.query_one(waits, &[pid]).await.unwrap().get(0) {
                break;
            }
        }
    }
    drop(sessions);
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// A database with the newest schema, and nothing in it.
async fn newest() -> Database {
    let database = Database::Postgres(postgres::cluster().fresh());
    let store = Store::open(&database.place(), Use::Tool, Clock::System, Wake::default()).unwrap();
    store.ready().await.unwrap();
    database
}

fn text_of(there: &str, said: &[Said]) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = format!("{there}\n");
    for one in said {
        let next = numbers.len();
        let number = *numbers.entry(&one.session).or_insert(next);
        let _ = writeln!(text, "{number}\t{}", one.text.replace('\\', r"\\").replace('\n', r"\n"));
    }
    text
}

fn parsed(text: &str) -> (String, Vec<Said>) {
    let mut lines = text.lines();
    let there = lines.next().unwrap().to_owned();
    let unescaped = |text: &str| {
        let mut written = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => written.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
                (c, false) => written.push(c),
            }
        }
        written
    };
    let said = lines.filter_map(|line| {
        let (session, text) = line.split_once('\t')?;
        Some(Said { session: session.to_owned(), text: unescaped(text) })
    });
    (there, said.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_release_did_can_be_done_on_the_newest_schema() {
    let schema = newest().await.number("SELECT version FROM schema_version");
    let file = folder().join(format!("schema-{schema}.journal"));
    if std::env::var_os("REINSTATE_TEST_UPDATE").is_some() && !file.exists() {
        let cluster = Cluster::own();
        let database = cluster.fresh();
        let name = database.name().to_owned();
        database.sql("ALTER SYSTEM SET log_line_prefix = '%d %p '").unwrap();
        database.sql("SELECT pg_reload_conf()").unwrap();
        let database = Database::Postgres(database);
        let tool = Store::open(&database.place(), Use::Tool, Clock::System, Wake::default()).unwrap();
        tool.ready().await.unwrap();
        drop(tool);
        database.sql(&format!("ALTER DATABASE {name} SET log_min_duration_statement = 0")).unwrap();
        let (fleet, _folder) = Fleet::start(1, database, &[("STORE__WAKE_UPS", "false")]).await;
        life(&fleet).await;
        let said = worth_it(journal(&cluster.log(), &name));
        let again = newest().await;
        replay(&again, &said).await;
        // The name of this machine is part of every replica's.
        let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let text = text_of(again.text(THERE).trim(), &said).replace(&format!("{}/", here.trim()), "machine/");
        std::fs::write(&file, text).unwrap();
    }
    let mut replayed = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "journal") {
            continue;
        }
        let (there, said) = parsed(&std::fs::read_to_string(&path).unwrap());
        assert!(said.len() > 100, "{} says little", path.display());
        let database = newest().await;
        replay(&database, &said).await;
        assert_eq!(database.text(THERE).trim(), there, "{}", path.display());
        replayed += 1;
    }
    assert!(replayed > 0, "there is no journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_an_older_release_does_not_know_is_noticed() {
    let file = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let file = file.filter(|path| path.extension().is_some_and(|kind| kind == "journal")).max().unwrap();
    let (_, said) = parsed(&std::fs::read_to_string(file).unwrap());
    for breaks in [
        "ALTER TABLE head ADD CHECK (wanted < 2)",
        "ALTER TABLE history ADD COLUMN must BIGINT; ALTER TABLE history ALTER COLUMN must SET NOT NULL",
        "CREATE UNIQUE INDEX broken ON effect (customer)",
    ] {
        let database = newest().await;
        database.sql(breaks).unwrap();
        let said = said.clone();
        let done = spawn(async move { replay(&database, &said).await });
        assert!(done.await.is_err(), "{breaks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_serves_from_a_newer_schema_that_says_it_may() {
    let database = newest().await;
    database
        .sql("UPDATE schema_version SET runs_from = version; UPDATE schema_version SET version = version + 1")
        .unwrap();
    let (fleet, _folder) = Fleet::start(1, database, &[]).await;
    fleet.ground.journey(0).await;
    let (version, from) = (
        fleet.ground.database.number("SELECT version FROM schema_version"),
        fleet.ground.database.number("SELECT runs_from FROM schema_version"),
    );
    assert_eq!(version, from + 1, "it leaves the schema as it is");
}
