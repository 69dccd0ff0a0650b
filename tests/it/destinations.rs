//! Several destinations in the store: what was there before is kept by the migration, each destination has its own order, and
//! what waits for one holds up no other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use reinstate::clock::{Clock, ManualClock};
use reinstate::domain::case::Case;
use reinstate::domain::effect::{EffectKey, Event};
use reinstate::domain::id::CustomerHashId;
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::events::{EventFilter, NewTell, TellLane, TellLease, TellOutcome, TellSeats};
use reinstate::store::rows::watch::{JobFilter, JobKind, JobStatus};
use reinstate::store::rows::{Claimed, Commit, Finished, Seats};
use reinstate::store::wake::Wake;
use reinstate::store::{Store, Use};

use crate::database::{Database, on_postgres};

const LEASE: Duration = Duration::from_mins(1);
/// Steps of the schema before there were destinations.
const BEFORE: usize = 8;

fn id(number: u8) -> CustomerHashId {
    CustomerHashId::from_bytes([number; 16])
}

struct Ground {
    store: Store,
    clock: ManualClock,
    database: Database,
    folder: tempfile::TempDir,
}

fn begin() -> (Database, ManualClock, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_second(1_780_000_000).unwrap());
    (Database::fresh(folder.path()), clock, folder)
}

async fn open((database, clock, folder): (Database, ManualClock, tempfile::TempDir)) -> Ground {
    let clocks = Clock::Manual(clock.clone());
    let store = Store::open(&database.place(), Use::Serve, clocks, Wake::default()).unwrap();
    store.ready().await.unwrap();
    Ground { store, clock, database, folder }
}

impl Ground {
    /// A callback comes for each of these.
    async fn nudge(&self, customers: &[CustomerHashId]) {
        for customer in customers {
            let nudge = Nudge {
                customer: Some(*customer),
                looks: true,
                source: Source::Callback,
                request_id: None,
                template: None,
            };
            self.store.record(nudge, self.clock.now()).await.unwrap();
        }
        while self.store.gauges().await.unwrap().unfolded > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Decisions about these customers, all at once, tell these endpoints.
    async fn tell_all(&self, customers: &[CustomerHashId], version: u64, to: &[&str]) {
        self.nudge(customers).await;
        let claimed = self.store.claim(LEASE, Seats { all: 99, swept: 99, turn: 1 }).await.unwrap();
        assert_eq!(claimed.len(), customers.len());
        join_all(claimed.into_iter().map(|claimed| self.decide(claimed, version, to))).await;
    }

    /// A decision about a customer tells these endpoints.
    async fn tell(&self, customer: CustomerHashId, version: u64, to: &[&str]) -> EffectKey {
        self.tell_all(&[customer], version, to).await;
        EffectKey::new(customer, version, "0")
    }

    async fn decide(&self, claimed: Claimed, version: u64, to: &[&str]) {
        let customer = claimed.lease.customer;
        let mut case = claimed.case.unwrap_or_else(|| Case::unseen(customer, self.clock.now()));
        case.version = version;
        let tell = NewTell {
            key: EffectKey::new(customer, version, "0"),
            event: Event::Rejected,
            version,
            body: format!("{{\"n\":{version}}}").into_bytes(),
            to: to.iter().map(|name| (*name).to_owned()).collect(),
        };
        let commit =
            Commit { case: Some((case, None)), tells: vec![tell], looked: true, ..Commit::default() };
        assert_eq!(self.store.commit(&claimed.lease, commit).await.unwrap(), Finished::Done);
    }

    async fn claim(&self, destination: &str) -> Vec<TellLease> {
        let destination = destination.to_owned();
        let seats = vec![TellSeats { lane: TellLane::Webhook, destination, most: 50 }];
        self.store.claim_tells(LEASE, seats).await.unwrap()
    }

    async fn finish(&self, lease: &TellLease, outcome: TellOutcome) {
        assert_eq!(self.store.finish_tell(lease, outcome).await.unwrap(), Finished::Done);
    }
}

#[tokio::test]
async fn one_event_goes_to_each_destination_in_the_order_of_its_customer() {
    let ground = open(begin()).await;
    let first = ground.tell(id(1), 1, &["a", "b"]).await;
    let second = ground.tell(id(1), 2, &["a", "b"]).await;
    let other = ground.tell(id(2), 1, &["b"]).await;

    let a = ground.claim("a").await;
    assert_eq!(a.len(), 1, "the second waits for the first");
    assert_eq!((&a[0].event_id, &a[0].key), (&first, &first));
    let b = ground.claim("b").await;
    let ids: Vec<_> = b.iter().map(|lease| &lease.event_id).collect();
    assert_eq!(
        ids,
        [&first, &other],
        "one destination does not wait for another, nor one customer for another"
    );
    assert_eq!(b[0].key, first.at("b"));
    assert_eq!(b[0].body, a[0].body, "the same bytes everywhere");
    assert_eq!(ground.database.number("SELECT count(*) FROM event"), 3, "an event is stored once");

    // `a` fails and waits; `b` goes on.
    let later = ground.clock.now() + Duration::from_hours(1);
    ground.finish(&a[0], TellOutcome::Later(later, "503".to_owned())).await;
    ground.finish(&b[0], TellOutcome::Delivered).await;
    assert!(ground.claim("a").await.is_empty());
    let b = ground.claim("b").await;
    assert_eq!(b.len(), 1);
    assert_eq!(b[0].event_id, second);
    ground.clock.set(later);
    let a = ground.claim("a").await;
    assert_eq!((a.len(), &a[0].event_id, a[0].attempts), (1, &first, 1));
    ground.finish(&a[0], TellOutcome::GivenUp("no".to_owned())).await;
    assert_eq!(ground.claim("a").await[0].event_id, second, "what was given up ends its turn");
}

#[tokio::test]
async fn a_retry_of_what_was_given_up_takes_its_turn_again() {
    let ground = open(begin()).await;
    let first = ground.tell(id(1), 1, &["a"]).await;
    let lease = ground.claim("a").await.remove(0);
    ground.finish(&lease, TellOutcome::GivenUp("no".to_owned())).await;
    let second = ground.tell(id(1), 2, &["a"]).await;
    let third = ground.tell(id(1), 3, &["a"]).await;
    let held = ground.claim("a").await.remove(0);
    assert_eq!(held.event_id, second);
    let failed =
        JobFilter { kind: Some(JobKind::Webhook), status: Some(JobStatus::Failed), ..JobFilter::default() };
    let _ = ground.store.retry_jobs(failed, 1, "ops", None).await.unwrap();
    ground.clock.set(ground.clock.now() + Duration::from_secs(1));
    assert!(ground.claim("a").await.is_empty(), "one at a time, also after a retry");
    ground.finish(&held, TellOutcome::Delivered).await;
    let again = ground.claim("a").await.remove(0);
    assert_eq!((&again.event_id, again.forgiven), (&first, 1));
    ground.finish(&again, TellOutcome::Delivered).await;
    assert_eq!(ground.claim("a").await[0].event_id, third);
}

#[tokio::test]
async fn nobody_is_left_without_a_turn_however_ends_and_beginnings_meet() {
    let ground = open(begin()).await;
    for round in 0..20 {
        let version = round * 2 + 1;
        ground.tell(id(1), version, &["a"]).await;
        let lease = ground.claim("a").await.remove(0);
        // The next one is stored while this one ends.
        let (_, ()) = tokio::join!(
            ground.tell(id(1), version + 1, &["a"]),
            ground.finish(&lease, TellOutcome::Delivered)
        );
        let next = ground.claim("a").await;
        assert_eq!(next.len(), 1, "round {round}");
        ground.finish(&next[0], TellOutcome::Delivered).await;
    }
}

/// Everything in the feed after a place, by pages of this size, and where to go on.
async fn feed(ground: &Ground, mut after: i64, size: usize) -> (Vec<String>, i64) {
    let mut seen = Vec::new();
    loop {
        let page = ground.store.events(after, EventFilter::default(), size).await.unwrap();
        seen.extend(page.items.into_iter().map(|row| row.id));
        after = page.next;
        if !page.more {
            return (seen, after);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_misses_nothing_while_many_write() {
    const CUSTOMERS: u8 = 6;
    const EVENTS: u64 = 15;
    let ground = open(begin()).await;
    let written = AtomicBool::new(false);
    let writing = async {
        let customers: Vec<CustomerHashId> = (1..=CUSTOMERS).map(id).collect();
        for version in 1..=EVENTS {
            ground.tell_all(&customers, version, &["a", "b"]).await;
        }
        written.store(true, Ordering::SeqCst);
    };
    // Two who ask, with pages of different sizes.
    let asking = async |size: usize| {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let last = written.load(Ordering::SeqCst);
            let (some, next) = feed(&ground, after, size).await;
            all.extend(some);
            after = next;
            if last {
                return all;
            }
        }
    };
    let ((), one, two) = tokio::join!(writing, asking(1), asking(7));
    assert_eq!(one, two, "everybody sees the same order");
    assert_eq!(one.len(), usize::from(CUSTOMERS) * usize::try_from(EVENTS).unwrap());
    for number in 1..=CUSTOMERS {
        let wanted = (1..=EVENTS).map(|version| EffectKey::new(id(number), version, "0").to_string());
        let of_one = one.iter().filter(|key| key.starts_with(&id(number).to_string()));
        assert!(of_one.eq(wanted.collect::<Vec<_>>().iter()), "in the order of the customer");
    }
    assert_eq!(feed(&ground, 0, 200).await.0, one, "and it stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_late_is_not_skipped_by_the_feed() {
    // SQLite has one writer at a time: this is about the other one, wherever the tests run.
    let (_, clock, folder) = begin();
    let ground = open((Database::Postgres(crate::postgres::cluster().fresh()), clock, folder)).await;
    let Database::Postgres(database) = &ground.database else { panic!("it is on PostgreSQL") };
    let (late, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.unwrap();
    crate::house::spawn(connection);
    let early = ground.tell(id(1), 1, &[]).await.to_string();
    let mine = EffectKey::new(id(9), 1, "0").to_string();
    late.batch_execute(&format!(
        "BEGIN; INSERT INTO event (id, customer, kind, version, at, body)
             VALUES ('{mine}', '\\x{}', 'customer.rejected', 1, 0, '{{}}')",
        hex::encode([9; 16])
    ))
    .await
    .unwrap();
    let between = ground.tell(id(2), 1, &[]).await.to_string();
    let (seen, after) = feed(&ground, 0, 50).await;
    assert_eq!(seen, [early.clone(), between.clone()], "nobody waits for it");
    late.batch_execute("COMMIT").await.unwrap();
    let afterwards = ground.tell(id(1), 2, &[]).await.to_string();
    let (rest, _) = feed(&ground, after, 50).await;
    assert_eq!(rest, [mine.clone(), afterwards.clone()], "and it comes after what was seen");
    assert_eq!(feed(&ground, 0, 50).await.0, [early, between, mine, afterwards]);
}

#[tokio::test]
async fn what_a_dead_process_was_sending_goes_out_again_as_it_was() {
    let ground = open(begin()).await;
    ground.store.serves_as("one".to_owned());
    ground.tell(id(1), 1, &["a", "b"]).await;
    ground.tell(id(1), 2, &["a", "b"]).await;
    let sent = ground.claim("b").await.remove(0);
    let done = ground.claim("a").await.remove(0);
    ground.finish(&done, TellOutcome::Delivered).await;
    let Ground { store, clock, database, folder } = ground;
    store.close();
    drop(store);
    let ground = open((database, clock, folder)).await;
    ground.store.serves_as("one".to_owned());
    assert_eq!(ground.store.release_the_dead().await.unwrap(), 1);
    let again = ground.claim("b").await.remove(0);
    assert_eq!((&again.event_id, &again.body), (&sent.event_id, &sent.body));
    assert!(again.epoch > sent.epoch);
    let too_late = ground.store.finish_tell(&sent, TellOutcome::Delivered).await.unwrap();
    assert_eq!(too_late, Finished::LeaseLost);
    assert_ne!(ground.claim("a").await[0].event_id, sent.event_id, "what was delivered is not sent again");
}

/// The statements of the steps before this one, as one text.
fn steps_before(twin: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let names = files.iter().filter(|path| path.display().to_string().ends_with(twin));
    names.take(BEFORE).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test]
async fn what_was_to_be_told_before_there_were_destinations_is_told_in_its_order() {
    let ground = begin();
    let (hex, uuid) = (hex::encode([7; 16]), "07070707-0707-0707-0707-070707070707");
    let (bytes, body, numbers, version) = if on_postgres() {
        let version = "CREATE TABLE schema_version (version BIGINT NOT NULL, runs_from BIGINT NOT NULL);
             INSERT INTO schema_version VALUES (8, 7)";
        (format!("'\\x{hex}'::bytea"), "'{}'::bytea", "SELECT setval('effect_seq_seq', 90)", version)
    } else {
        (
            format!("x'{hex}'"),
            "x'7b7d'",
            "UPDATE sqlite_sequence SET seq = 90 WHERE name = 'effect'",
            "PRAGMA user_version = 8",
        )
    };
    let row = |seq: u32, key: &str, lane: &str, status: &str, due: &str, ended: &str| {
        format!(
            "INSERT INTO effect (seq, key, customer, lane, kind, status, due_at, created_at, ended_at, payload, attempts, progress)
             VALUES ({seq}, '{key}', {bytes}, '{lane}', 'customer.rejected', '{status}', {due}, 5, {ended}, {body}, 3, '{{}}');"
        )
    };
    let twin = if on_postgres() { ".postgres.sql" } else { ".sqlite.sql" };
    let statements = [
        steps_before(twin),
        row(3, &format!("{uuid}-12-0"), "webhook", "done", "NULL", "6"),
        row(4, &format!("{uuid}-13-0"), "webhook", "pending", "7", "NULL"),
        row(5, &format!("{uuid}-14-0"), "webhook", "pending", "7", "NULL"),
        row(6, "mangled", "webhook", "failed", "NULL", "6"),
        row(7, &format!("{uuid}-14-w1"), "officer", "done", "NULL", "6"),
        format!("{numbers};"),
        version.to_owned(),
    ];
    ground.0.sql(&statements.concat()).unwrap();
    let ground = open(ground).await;

    let first = ground.claim("default").await;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].event_id.as_str(), first[0].attempts), (&*format!("{uuid}-13-0"), 3));
    assert_eq!(first[0].body, b"{}");
    ground.finish(&first[0], TellOutcome::Delivered).await;
    assert_eq!(ground.claim("default").await[0].event_id.as_str(), format!("{uuid}-14-0"));
    let number = |query: &str| ground.database.number(query);
    assert_eq!(number("SELECT count(*) FROM event"), 4);
    assert_eq!(number("SELECT sum(version) FROM event"), 12 + 13 + 14);
    assert_eq!(number("SELECT count(*) FROM effect WHERE lane = 'officer' AND payload IS NOT NULL"), 1);
    assert_eq!(number("SELECT count(*) FROM effect WHERE lane = 'webhook' AND payload IS NULL"), 4);
    ground.tell(id(1), 1, &["default"]).await;
    assert!(number("SELECT max(seq) FROM effect") > 90, "a number is never given out twice");
    let wrong = ["lane = 'letter'", "destination = NULL", "behind = 2", "due_at = NULL"];
    for wrong in wrong {
        let sql = format!("UPDATE effect SET {wrong} WHERE lane = 'webhook' AND status = 'pending'");
        assert!(ground.database.sql(&sql).is_err(), "{wrong}");
    }
}
