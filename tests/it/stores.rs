//! Several replicas' stores at the door of one PostgreSQL database, without a service around them: how it is reached, what
//! they hold and share, and what becomes of a statement that nobody answers.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use reinstate::clock::{Clock, ManualClock};
use reinstate::domain::id::{CustomerHashId, RequestId};
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::{Finished, Lease, Seats};
use reinstate::store::wake::Wake;
use reinstate::store::{Place, PostgresOptions, PostgresTls, Store, Turns, Use};

use crate::database::Database;
use crate::house::spawn;
use crate::postgres::{self, Cluster};

fn shared() -> Database {
    Database::Postgres(postgres::cluster().fresh())
}

/// Two replicas at the door of one database, with clocks that are moved by hand.
async fn two_stores(clock: &ManualClock) -> (Database, Store, Store) {
    let database = shared();
    let open = |name: &str| {
        let store = Store::open(&database.place(), Use::Serve, Clock::Manual(clock.clone()), Wake::default())
            .unwrap();
        store.serves_as(name.to_owned());
        store
    };
    let (one, two) = (open("one"), open("two"));
    one.ready().await.unwrap();
    (database, one, two)
}

fn a_clock() -> ManualClock {
    ManualClock::new(Timestamp::from_second(1_780_000_000).unwrap())
}

/// The law must fail on a database that is broken in this way.
async fn broken<L: Future<Output = ()> + Send + 'static>(
    law: impl FnOnce(ManualClock, Database, Store, Store) -> L,
    table: &str,
    set: &str,
) {
    let clock = a_clock();
    let (database, one, two) = two_stores(&clock).await;
    let breaks = format!(
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {set}; RETURN NEW; END $$;
         CREATE TRIGGER broken BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION broken()"
    );
    database.sql(&breaks).unwrap();
    assert!(spawn(law(clock, database, one, two)).await.is_err(), "the law does not see what breaks it");
}

#[tokio::test]
async fn one_replica_is_on_duty_at_a_time_and_a_new_one_goes_back_a_page() {
    let clock = a_clock();
    let (database, one, two) = two_stores(&clock).await;
    duty(clock, database, one, two).await;
}

#[tokio::test]
async fn a_duty_that_ends_at_once_is_noticed() {
    broken(duty, "duty", "NEW.until := 0").await;
}

async fn duty(clock: ManualClock, database: Database, one: Store, two: Store) {
    let span = Duration::from_secs(8);
    one.ask_sweep("tests", None).await.unwrap();
    database.sql("UPDATE sweep SET page = 7").unwrap();
    assert!(one.take_duty(true, span).await.unwrap());
    assert_eq!(database.number("SELECT page FROM sweep"), 6, "nobody knows how far the one before had come");
    assert!(one.take_duty(false, span).await.unwrap() && !two.take_duty(true, span).await.unwrap());
    clock.set(clock.now() + span);
    let (first, second) = tokio::join!(one.take_duty(false, span), two.take_duty(false, span));
    assert!(first.unwrap() ^ second.unwrap(), "one of them, whoever comes first");
    clock.set(clock.now() + span);
    assert!(two.take_duty(false, span).await.unwrap() && !one.take_duty(false, span).await.unwrap());
    two.leave_duty().await.unwrap();
    assert!(one.take_duty(false, span).await.unwrap(), "whoever stops leaves it to others");
}

#[tokio::test]
async fn what_a_replica_held_is_given_back_under_its_name_alone() {
    let clock = a_clock();
    let (_database, one, two) = two_stores(&clock).await;
    for number in 1..=4_u8 {
        one.refresh(CustomerHashId::from_bytes([number; 16]), "tests").await.unwrap();
    }
    let (lease, seats) = (Duration::from_mins(1), |all| Seats { all, swept: all, turn: 1 });
    let mine = one.claim(lease, seats(2)).await.unwrap();
    let theirs = two.claim(lease, seats(2)).await.unwrap();
    assert_eq!((mine.len(), theirs.len()), (2, 2));
    let kept = HashSet::from([mine[0].lease.customer]);
    assert_eq!(one.release_lost(kept, HashSet::new()).await.unwrap(), 1, "what is not in hand");
    let again = two.claim(lease, seats(9)).await.unwrap();
    assert_eq!(
        again.iter().map(|claimed| claimed.lease.customer).collect::<Vec<_>>(),
        [mine[1].lease.customer]
    );
    assert_eq!(one.forget(&mine[1].lease).await.unwrap(), Finished::LeaseLost, "it is another's now");
    assert_eq!(one.release_the_dead().await.unwrap(), 1, "an earlier process of its name");
    assert_eq!(two.release_the_dead().await.unwrap(), 3);
}

#[tokio::test]
async fn turns_are_counted_for_all_replicas_together() {
    let clock = a_clock();
    let (database, one, two) = two_stores(&clock).await;
    turns(clock, database, one, two).await;
}

#[tokio::test]
async fn a_pace_that_forgets_is_noticed() {
    broken(turns, "pace", "NEW.next_at := 0").await;
}

async fn turns(_clock: ManualClock, _database: Database, one: Store, two: Store) {
    let turns = Turns { interval: Duration::from_secs(10), ahead: Duration::from_secs(30) };
    let (begun, mut waits) = (Instant::now(), Vec::new());
    for _ in 0..3 {
        for store in [&one, &two] {
            waits.push(store.take_turn(turns).await.unwrap().unwrap().as_secs_f64());
        }
    }
    assert!(waits[..4].iter().all(|wait| *wait == 0.0), "a burst of four: {waits:?}");
    let took = begun.elapsed().as_secs_f64();
    let expected = [(waits[4], 10.0), (waits[5], 20.0)];
    assert!(expected.iter().all(|(wait, most)| (most - took..=*most).contains(wait)), "{waits:?} in {took}");
}

#[tokio::test]
async fn a_database_that_says_yes_too_early_is_refused() {
    let database = postgres::cluster().fresh();
    let name = database.name().to_owned();
    database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    let early = Database::Postgres(database);
    let store = Store::open(&early.place(), Use::Serve, Clock::System, Wake::default()).unwrap();
    let refused = store.ready().await.unwrap_err().to_string();
    assert!(refused.contains("synchronous_commit"), "{refused}");
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
}

#[tokio::test]
async fn tls_is_verified_and_a_password_is_bound_to_it() {
    let cluster = postgres::cluster();
    let database = cluster.fresh();
    let base = database.url().replace("?sslmode=disable", "");
    let ready = async |url: String, tls: PostgresTls| {
        let options = PostgresOptions { url, tls, listen: None, wake_ups: true, connections: 2 };
        let place = Place::Postgres(Box::new(options));
        match Store::open(&place, Use::Tool, Clock::System, Wake::default()) {
            Ok(store) => store.ready().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    let known = PostgresTls::Verified(Some(cluster.ca()));
    ready(format!("{base}?channel_binding=require"), known.clone()).await.unwrap();
    let unbound = ready(format!("{base}?channel_binding=require"), PostgresTls::Off).await.unwrap_err();
    assert!(!unbound.contains("reinstate:"), "{unbound}");
    let stranger = ready(base.clone(), PostgresTls::Verified(None)).await.unwrap_err();
    assert!(stranger.contains("certificate"), "{stranger}");
    let other_name = base.replace("127.0.0.1", "127.0.0.2");
    assert!(ready(other_name, known.clone()).await.is_err(), "another name than the certificate's");
    let (_, rest) = base.split_once('@').unwrap();
    let wrong = ready(format!("postgres://reinstate:planted@{rest}"), known).await.unwrap_err();
    assert!(wrong.contains("password") && !wrong.contains("planted"), "{wrong}");
}

/// A store by the machine's clock.
async fn a_store(database: &Database) -> Store {
    let store = Store::open(&database.place(), Use::Serve, Clock::System, Wake::default()).unwrap();
    store.ready().await.unwrap();
    store
}

/// Runs statements on a connection of its own, and waits until they have begun.
async fn meanwhile(database: &Database, statements: &str) -> tokio::task::JoinHandle<()> {
    let (place, statements) = (database.place(), statements.to_owned());
    let Place::Postgres(options) = place else { panic!("this is about PostgreSQL") };
    let (client, connection) = tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await.unwrap();
    spawn(connection);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let running = spawn(async move { client.batch_execute(&statements).await.unwrap() });
    let (watch, connection) = tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await.unwrap();
    spawn(connection);
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
    while watch.query_one(sleeps, &[&pid]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!running.is_finished(), "it was over before anybody saw it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running
}

fn nudge(number: u8, request_id: &str) -> Nudge {
    let request_id = RequestId::parse(request_id);
    let customer = Some(CustomerHashId::from_bytes([number; 16]));
    Nudge { customer, looks: true, source: Source::Callback, request_id, template: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_counted_from_when_it_was_given_however_long_that_took() {
    let database = shared();
    let store = a_store(&database).await;
    let turns = Turns { interval: Duration::from_secs(1), ahead: Duration::ZERO };
    store.take_turn(turns).await.unwrap().unwrap();
    let held =
        meanwhile(&database, "BEGIN; UPDATE pace SET next_at = next_at; SELECT pg_sleep(3); COMMIT").await;
    let answers = (0..6).map(|_| async {
        let wait = store.take_turn(turns).await.unwrap().unwrap();
        Instant::now() + wait
    });
    let mut at = join_all(answers).await;
    held.await.unwrap();
    at.sort_unstable();
    let whole = at[5] - at[0];
    // Five intervals, less what an answer may take to arrive.
    assert!(whole >= Duration::from_secs(4), "all six within {whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_does_not_stop_the_calls_for_ever() {
    let database = shared();
    let store = a_store(&database).await;
    let turns = Turns { interval: Duration::from_millis(10), ahead: Duration::ZERO };
    store.take_turn(turns).await.unwrap().unwrap();
    database.sql("UPDATE pace SET next_at = next_at + 30::bigint * 86400 * 1000000").unwrap();
    let wait = store.take_turn(turns).await.unwrap().unwrap();
    assert!(wait <= Duration::from_mins(11), "{wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_due_by_a_clock_that_is_ahead_is_due_all_the_same() {
    let database = shared();
    let store = a_store(&database).await;
    let ahead = Clock::System.now() + Duration::from_mins(5);
    store.record(nudge(1, "r-1"), ahead).await.unwrap();
    let seats = || Seats { all: 1, swept: 1, turn: 1 };
    let begun = Instant::now();
    while store.claim(Duration::from_mins(1), seats()).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the customer waits for a clock");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_reads_do_not_hold_up_what_writes() {
    let database = shared();
    let store = a_store(&database).await;
    let held = meanwhile(&database, "BEGIN; LOCK TABLE cases; SELECT pg_sleep(4); COMMIT").await;
    let reads = join_all((0..20).map(|number| store.case(CustomerHashId::from_bytes([number; 16]))));
    let write = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        store.ping().await.unwrap();
        begun.elapsed()
    };
    let (reads, took) = tokio::join!(reads, write);
    held.await.unwrap();
    assert!(took < Duration::from_secs(3), "a write took {took:?}");
    assert!(reads.iter().any(Result::is_ok), "those who had a seat are answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_lock_beyond_its_limit_and_what_was_given_up_is_not_done_later() {
    let database = shared();
    let store = a_store(&database).await;
    let held = meanwhile(
        &database,
        "BEGIN; LOCK TABLE cases, callback_log IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(12); COMMIT",
    )
    .await;
    let timed = async |what: &str| {
        let begun = Instant::now();
        let refused = match what {
            "a callback" => store.record(nudge(1, "late"), Clock::System.now()).await.map(drop),
            "a write" => store.ping().await,
            _ => store.case(CustomerHashId::from_bytes([1; 16])).await.map(drop),
        };
        assert!(refused.is_err(), "{what}");
        let took = begun.elapsed();
        assert!((4_500..9_500).contains(&took.as_millis()), "{what} was given up after {took:?}");
    };
    tokio::join!(timed("a callback"), timed("a write"), timed("a read"));
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'INSERT INTO callback_log%' AND state = 'active'";
    let begun = Instant::now();
    while database.number(waiting) > 0 {
        assert!(begun.elapsed() < Duration::from_millis(1_500), "the database still works for nobody");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    held.await.unwrap();
    let late = "SELECT (SELECT count(*) FROM callback_log) + (SELECT count(*) FROM callback)";
    assert_eq!(database.number(late), 0, "it is in the spool by then");
    store.record(nudge(1, "later"), Clock::System.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_did_not_answer_is_not_used_again() {
    let database = shared();
    let store = a_store(&database).await;
    let ours = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'COMMIT%' AND application_name = 'reinstate'";
    store.ping().await.unwrap();
    let signal = |name: &str, pid: i64| {
        let sent = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
        assert!(sent.unwrap().success(), "SIG{name} to {pid}");
    };
    let pid = database.number(ours);
    signal("STOP", pid);
    let begun = Instant::now();
    let answer = store.ping().await;
    let took = begun.elapsed();
    signal("CONT", pid);
    assert!(answer.is_err() && (14_000..30_000).contains(&took.as_millis()), "{answer:?} after {took:?}");
    let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    while database.number(&there) > 0 {
        assert!(begun.elapsed() < took + Duration::from_secs(5), "the transaction may still begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_any_more_is_left() {
    let cluster = Cluster::own();
    let database = Database::Postgres(cluster.fresh());
    let store = a_store(&database).await;
    join_all((0..4).map(|_| store.ping())).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let pids = "SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid), '') FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'COMMIT%' AND application_name = 'reinstate'";
    let before = database.text(pids);
    // As it is for who is connected when a primary is demoted.
    database.sql("ALTER SYSTEM SET default_transaction_read_only = on").unwrap();
    database.sql("SELECT pg_reload_conf()").unwrap();
    let begun = Instant::now();
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({})", before.trim());
    while database.number(&gone) > 0 {
        let _ = store.ping().await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{before} are kept");
    }
    database.sql("ALTER SYSTEM RESET default_transaction_read_only").unwrap();
    database.sql("SELECT pg_reload_conf()").unwrap();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(40), "it takes writes again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_silent_is_passed_over() {
    // Nobody takes connections here: there is room for one, and it is taken.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut callers = Vec::new();
    while let Ok(Ok(caller)) =
        tokio::time::timeout(Duration::from_secs(1), tokio::net::TcpStream::connect(address)).await
    {
        callers.push(caller);
    }
    let database = shared();
    let Place::Postgres(mut options) = database.place() else { panic!("this is about PostgreSQL") };
    options.url = options.url.replace("@127.0.0.1", &format!("@{address},127.0.0.1"));
    let store = Store::open(&Place::Postgres(options), Use::Serve, Clock::System, Wake::default()).unwrap();
    let begun = Instant::now();
    store.ready().await.unwrap();
    store.record(nudge(1, "r-1"), Clock::System.now()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    drop(callers);
}

/// A database whose every statement is written down, with what it was asked for so far.
fn heard() -> (Cluster, Database, String) {
    let cluster = Cluster::own();
    let database = cluster.fresh();
    let name = database.name().to_owned();
    database.sql("ALTER SYSTEM SET log_line_prefix = '%d '").unwrap();
    database.sql("SELECT pg_reload_conf()").unwrap();
    database.sql(&format!("ALTER DATABASE {name} SET log_min_duration_statement = 0")).unwrap();
    (cluster, Database::Postgres(database), name)
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_that_wait_at_once_are_one_statement_and_hints_have_a_pace() {
    let (cluster, database, name) = heard();
    let store = a_store(&database).await;
    let said = |what: &str| {
        let log = cluster.log();
        log.lines().filter(|line| line.starts_with(&name) && line.contains(what)).count()
    };
    store.record(nudge(0, "first"), Clock::System.now()).await.unwrap();
    let insert = "execute <unnamed>: INSERT INTO callback_log";
    let before = said(insert);
    let held = meanwhile(&database, "BEGIN; LOCK TABLE callback_log; SELECT pg_sleep(3); COMMIT").await;
    let (store_ref, now) = (&store, Clock::System.now());
    let ids: Vec<String> = (0..300).map(|number| format!("r-{number}")).collect();
    join_all(ids.iter().map(|id| store_ref.record(nudge(1, id), now)))
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    held.await.unwrap();
    let groups = said(insert) - before;
    assert!((1..=3).contains(&groups), "{groups} statements for 300 callbacks");
    let (begun, hints) = (Instant::now(), said("NOTIFY reinstate"));
    for number in 0..100 {
        store.record(nudge(2, &format!("s-{number}")), now).await.unwrap();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (took, hints) = (begun.elapsed(), said("NOTIFY reinstate") - hints);
    let most = usize::try_from(took.as_millis() / 100).unwrap() + 1;
    assert!((5..=most).contains(&hints), "{hints} hints in {took:?}, and at most {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_the_database_refuses_takes_nobody_with_it() {
    let database = shared();
    let store = a_store(&database).await;
    database
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.request_id = 'bad' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON callback_log FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .unwrap();
    let held = meanwhile(&database, "BEGIN; LOCK TABLE callback_log; SELECT pg_sleep(3); COMMIT").await;
    let ids: Vec<String> =
        (0..20).map(|number| if number == 7 { "bad".to_owned() } else { format!("r-{number}") }).collect();
    let now = Clock::System.now();
    let answers = join_all(ids.iter().map(|id| store.record(nudge(1, id), now))).await;
    held.await.unwrap();
    for (id, answer) in ids.iter().zip(&answers) {
        assert_eq!(answer.is_err(), id == "bad", "{id}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_not_migrate_what_a_service_of_an_older_release_runs_on() {
    let database = shared();
    let store = a_store(&database).await;
    database.sql("UPDATE schema_version SET version = version - 1").unwrap();
    let tool = Store::open(&database.place(), Use::Tool, Clock::System, Wake::default()).unwrap();
    let refused = tool.ready().await.unwrap_err().to_string();
    assert!(refused.contains("start the service of this release"), "{refused}");
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_begins_to_serve_from_a_database_that_is_being_copied() {
    let database = shared();
    let store = a_store(&database).await;
    let until = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    database.sql(&format!("INSERT INTO duty VALUES ('copy', 'store copy', {until} + 60000)")).unwrap();
    let late = Store::open(&database.place(), Use::Serve, Clock::System, Wake::default()).unwrap();
    let refused = late.ready().await.unwrap_err().to_string();
    assert!(refused.contains("store copy"), "{refused}");
    database.sql(&format!("UPDATE duty SET until = {until} - 1 WHERE name = 'copy'")).unwrap();
    late.ready().await.unwrap();
    drop(store);
}

/// Claims the one customer there is, as soon as the callback is folded.
async fn the_one_who_is_due(store: &Store) -> Lease {
    let begun = Instant::now();
    loop {
        let seats = Seats { all: 1, swept: 1, turn: 1 };
        if let Some(claimed) = store.claim(Duration::from_mins(5), seats).await.unwrap().pop() {
            return claimed.lease;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody is due");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_slept_over_the_end_of_a_row_changes_nothing_in_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = Database::Sqlite(folder.path().join("reinstate.db"));
    let clock = a_clock();
    let store =
        Store::open(&file.place(), Use::Serve, Clock::Manual(clock.clone()), Wake::default()).unwrap();
    store.record(nudge(1, "r-1"), clock.now()).await.unwrap();
    let slept = the_one_who_is_due(&store).await;
    clock.set(clock.now() + Duration::from_mins(6));
    let second = the_one_who_is_due(&store).await;
    assert_eq!(store.forget(&second).await.unwrap(), Finished::Done);
    // Another callback makes another row.
    clock.set(clock.now() + Duration::from_secs(1));
    store.record(nudge(1, "r-2"), clock.now()).await.unwrap();
    let third = the_one_who_is_due(&store).await;
    assert_eq!(store.forget(&slept).await.unwrap(), Finished::LeaseLost);
    assert_eq!(store.forget(&third).await.unwrap(), Finished::Done);
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_that_is_being_folded_outlives_a_look_that_found_nobody() {
    let database = shared();
    let store = a_store(&database).await;
    store.record(nudge(1, "r-1"), Clock::System.now()).await.unwrap();
    let claimed = the_one_who_is_due(&store).await;
    let folding = "BEGIN; UPDATE head SET wanted = wanted + 1; SELECT pg_sleep(2); COMMIT";
    let folded = meanwhile(&database, folding).await;
    assert_eq!(store.forget(&claimed).await.unwrap(), Finished::Done);
    folded.await.unwrap();
    assert_eq!(database.number("SELECT wanted - handled FROM head WHERE lease_until IS NULL"), 1);
}

#[test]
fn a_command_does_not_bring_the_file_of_an_older_service_to_another_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = Database::Sqlite(folder.path().join("reinstate.db"));
    let open = |used: Use| Store::open(&file.place(), used, Clock::System, Wake::default());
    open(Use::Serve).unwrap().close();
    let newest = file.number("PRAGMA user_version");
    file.sql(&format!("PRAGMA user_version = {}", newest - 1)).unwrap();
    let refused = open(Use::Tool).unwrap_err().to_string();
    assert!(refused.contains("start the service of this release"), "{refused}");
    assert_eq!(file.number("PRAGMA user_version"), newest - 1);
}
