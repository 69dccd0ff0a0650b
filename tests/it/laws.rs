//! The laws of the store, straight at its door: what a claim, a commit and a fold promise, on either database. Beside each
//! law stands a store that breaks it, by a trigger or a table that is not as it should be: there the law must fail.

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use reinstate::clock::{Clock, ManualClock};
use reinstate::domain::case::{Case, CaseState, Rfi};
use reinstate::domain::decision::OfficerWord;
use reinstate::domain::effect::{EffectKey, Event};
use reinstate::domain::id::{CustomerHashId, RequestId};
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::events::{NewTell, TellLane, TellOutcome, TellSeats};
use reinstate::store::rows::officer::NewWord;
use reinstate::store::rows::watch::{JobFilter, JobStatus};
use reinstate::store::rows::{Commit, Finished, Lease, LookTrouble, Seats};
use reinstate::store::wake::Wake;
use reinstate::store::{Store, Use};

use crate::database::{Database, on_postgres};

const LEASE: Duration = Duration::from_mins(1);
/// How long a bell may take to be heard.
const RING_WAIT: Duration = Duration::from_secs(5);
/// How long a law may take to fail.
const BROKEN_WAIT: Duration = Duration::from_secs(10);

fn seats(all: usize) -> Seats {
    Seats { all, swept: all, turn: 1 }
}

struct Ground {
    store: Store,
    clock: ManualClock,
    wake: Wake,
    database: Database,
    folder: tempfile::TempDir,
}

fn open(database: &Database, clock: &ManualClock, wake: &Wake) -> Store {
    Store::open(&database.place(), Use::Serve, Clock::Manual(clock.clone()), wake.clone()).unwrap()
}

impl Ground {
    fn new(wake: Wake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_second(1_780_000_000).unwrap());
        let database = Database::fresh(folder.path());
        let store = open(&database, &clock, &wake);
        Self { store, clock, wake, database, folder }
    }

    fn pass(&self, span: Duration) {
        self.clock.set(self.clock.now() + span);
    }

    async fn nudge(&self, id: CustomerHashId, request_id: Option<&str>) {
        let request_id = request_id.map(|text| RequestId::parse(text).unwrap());
        let nudge =
            Nudge { customer: Some(id), looks: true, source: Source::Callback, request_id, template: None };
        self.store.record(nudge, self.clock.now()).await.unwrap();
        self.folded().await;
    }

    async fn folded(&self) {
        while self.store.gauges().await.unwrap().unfolded > 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn claim(&self) -> Option<Lease> {
        self.store.claim(LEASE, seats(1)).await.unwrap().pop().map(|claimed| claimed.lease)
    }

    /// Whether the bell rang; afterwards it is silent.
    async fn rang(&self, what: &str) {
        let rung = tokio::time::timeout(RING_WAIT, self.wake.rung()).await;
        assert!(rung.is_ok(), "{what} rings nobody");
        while self.wake.rung().now_or_never().is_some() {}
    }

    fn sql(&self, statement: &str) -> Result<(), String> {
        self.database.sql(statement)
    }
}

/// How a store is broken.
enum Broken {
    /// Nobody hears of work.
    Silent,
    /// Something is not as the schema has it.
    Sql(String),
}

impl Broken {
    /// A trigger that changes a row as soon as it is written; `@` stands before a column of that row.
    fn row(table: &str, event: &str, set: &[(&str, &str)]) -> Self {
        let write = |to: &str, of: &str| -> String {
            let parts =
                set.iter().map(|(column, value)| format!("{to}{column} {of} {}", value.replace('@', "NEW.")));
            parts.collect::<Vec<_>>().join(if of == "=" { ", " } else { "; " })
        };
        let key = match table {
            "head" | "cases" => "customer",
            "effect" | "event" => "seq",
            _ => "id",
        };
        Self::Sql(if on_postgres() {
            format!(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN {}; RETURN NEW; END $$;
                 CREATE TRIGGER broken BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION broken()",
                write("NEW.", ":=")
            )
        } else {
            format!(
                "CREATE TRIGGER broken AFTER {event} ON {table} BEGIN
                 UPDATE {table} SET {} WHERE {key} = NEW.{key}; END",
                write("", "=")
            )
        })
    }
}

/// What keeps an older release from a newer database, gone.
fn forget_versions() -> Broken {
    Broken::Sql(if on_postgres() {
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
         CREATE TRIGGER broken BEFORE UPDATE ON schema_version FOR EACH ROW EXECUTE FUNCTION broken()"
            .to_owned()
    } else {
        // The number lies in the file's head, where no trigger reaches; see the law.
        "CREATE TABLE broken (number INTEGER)".to_owned()
    })
}

/// The law holds on a sound store and fails on a broken one.
macro_rules! law {
    ($law:ident, $broken:expr) => {
        mod $law {
            use super::*;

            #[tokio::test]
            async fn holds() {
                super::$law(Ground::new(Wake::default())).await;
            }

            #[tokio::test]
            async fn its_broken_twin_fails() {
                let ground = match $broken {
                    Broken::Silent => Ground::new(Wake::silent()),
                    Broken::Sql(sql) => {
                        let ground = Ground::new(Wake::default());
                        ground.store.ready().await.unwrap();
                        ground.sql(&sql).unwrap();
                        ground
                    }
                };
                let law = crate::house::spawn(tokio::time::timeout(BROKEN_WAIT, super::$law(ground)));
                assert!(!matches!(law.await, Ok(Ok(()))), "the law does not see what breaks it");
            }
        }
    };
}

mod fleet;

law!(two_claimers_never_share, Broken::row("head", "UPDATE", &[("lease_until", "NULL"), ("due_at", "0")]));
law!(
    many_nudges_are_one_look_and_one_more_for_those_that_came_during_it,
    Broken::row("head", "UPDATE", &[("handled", "@wanted")])
);
law!(whatever_makes_work_rings, Broken::Silent);
law!(a_lost_lease_changes_nothing, Broken::row("head", "UPDATE", &[("epoch", "1")]));
law!(
    a_customer_in_backoff_is_not_hurried_by_nudges,
    Broken::row("head", "UPDATE", &[("lease_until", "NULL"), ("due_at", "0")])
);
law!(
    a_redelivery_raises_a_count_and_makes_the_customer_due_again,
    Broken::row("callback", "INSERT", &[("request_id", "CAST(@id AS TEXT)")])
);
law!(a_decision_on_an_older_case_is_not_written, Broken::row("cases", "UPDATE", &[("version", "1")]));
law!(
    what_was_not_folded_is_folded_after_the_next_start,
    Broken::row("callback_log", "INSERT", &[("looks", "0")])
);
law!(
    one_write_that_fails_does_not_take_its_neighbours_with_it,
    Broken::row("callback_log", "INSERT", &[("source", "(SELECT max(state) FROM cases)")])
);
law!(what_was_spooled_and_stored_is_one_delivery, Broken::row("callback", "UPDATE", &[("deliveries", "9")]));
law!(
    the_schema_defends_the_state,
    Broken::Sql(
        "DROP TABLE token; CREATE TABLE token (id TEXT, hash TEXT, role TEXT, name TEXT, created_at TEXT)"
            .to_owned()
    )
);
law!(a_newer_schema_refuses_to_start, forget_versions());
law!(a_state_reads_back_as_it_was_written, Broken::row("cases", "INSERT", &[("beside", "'{}'")]));

fn id(number: u8) -> CustomerHashId {
    CustomerHashId::from_bytes([number; 16])
}

/// What a finished look writes when Nium is working.
fn looked(lease: &Lease, version: u64, now: Timestamp) -> Commit {
    let mut case = Case::unseen(lease.customer, now);
    case.version = version;
    Commit { case: Some((case, None)), looked: true, ..Commit::default() }
}

async fn two_claimers_never_share(ground: Ground) {
    for number in 0..20 {
        ground.nudge(id(number), None).await;
    }
    let (one, two) = tokio::join!(ground.store.claim(LEASE, seats(15)), ground.store.claim(LEASE, seats(15)));
    let mut claimed: Vec<_> =
        one.unwrap().into_iter().chain(two.unwrap()).map(|claimed| claimed.lease.customer).collect();
    assert_eq!(claimed.len(), 20);
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), 20);
    assert!(ground.claim().await.is_none(), "nobody is left");
}

async fn many_nudges_are_one_look_and_one_more_for_those_that_came_during_it(ground: Ground) {
    for request_id in ["a", "b", "c"] {
        ground.nudge(id(1), Some(request_id)).await;
    }
    let lease = ground.claim().await.unwrap();
    assert!(ground.claim().await.is_none(), "at most one at a time");
    ground.nudge(id(1), Some("d")).await;
    assert!(ground.claim().await.is_none(), "a nudge does not break a lease");
    assert_eq!(
        ground.store.commit(&lease, looked(&lease, 1, ground.clock.now())).await.unwrap(),
        Finished::Done
    );
    let second = ground.claim().await.expect("a look begins after every nudge");
    assert_eq!(
        ground.store.commit(&second, looked(&second, 1, ground.clock.now())).await.unwrap(),
        Finished::Done
    );
    assert!(ground.claim().await.is_none(), "and then no more");
}

fn tell_seats(most: usize) -> Vec<TellSeats> {
    vec![TellSeats { lane: TellLane::Webhook, destination: "default".to_owned(), most }]
}

async fn whatever_makes_work_rings(ground: Ground) {
    ground.nudge(id(1), None).await;
    ground.rang("a callback").await;
    let lease = ground.claim().await.unwrap();
    let trouble = LookTrouble { failures: 1, unreadable: 1 };
    let later = Some(ground.clock.now() + Duration::from_hours(1));
    let tell = NewTell {
        key: EffectKey::new(id(1), 1, "t0"),
        event: Event::ALL[0],
        version: 1,
        body: b"{}".to_vec(),
        to: vec!["default".to_owned()],
    };
    let failed = Commit {
        trouble,
        due_at: later,
        tells: vec![tell],
        looked: false,
        ..looked(&lease, 1, ground.clock.now())
    };
    assert_eq!(ground.store.commit(&lease, failed).await.unwrap(), Finished::Done);
    ground.rang("something to tell").await;
    let tell = ground.store.claim_tells(LEASE, tell_seats(1)).await.unwrap().pop().unwrap();
    let refused = TellOutcome::Later(ground.clock.now(), "refused".to_owned());
    assert_eq!(ground.store.finish_tell(&tell, refused).await.unwrap(), Finished::Done);
    ground.rang("something to tell again").await;
    let failing = JobFilter { status: Some(JobStatus::Failing), ..JobFilter::default() };
    let jobs = ground.store.count_jobs(failing.clone()).await.unwrap();
    assert!(jobs > 0);
    let _ = ground.store.retry_jobs(failing, jobs, "ops", None).await.unwrap();
    ground.rang("a retry").await;
    let word = NewWord { customer: id(1), word: OfficerWord::Retry, by: "ops".to_owned(), note: None };
    let _ = ground.store.word(word, None).await.unwrap();
    ground.rang("an officer").await;
    let _ = ground.store.ask_sweep("ops", None).await.unwrap();
    ground.rang("a sweep").await;
}

async fn a_lost_lease_changes_nothing(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lost = ground.claim().await.unwrap();
    ground.pass(LEASE);
    let held = ground.claim().await.expect("an expired lease is claimable");
    assert!(held.epoch > lost.epoch);
    assert_eq!(
        ground.store.commit(&lost, looked(&lost, 1, ground.clock.now())).await.unwrap(),
        Finished::LeaseLost
    );
    assert!(ground.store.case(id(1)).await.unwrap().is_none(), "nothing was written");
    assert_eq!(ground.store.forget(&lost).await.unwrap(), Finished::LeaseLost);
    assert_eq!(
        ground.store.commit(&held, looked(&held, 1, ground.clock.now())).await.unwrap(),
        Finished::Done
    );
    assert_eq!(
        ground.store.commit(&held, looked(&held, 2, ground.clock.now())).await.unwrap(),
        Finished::LeaseLost
    );
}

async fn a_customer_in_backoff_is_not_hurried_by_nudges(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lease = ground.claim().await.unwrap();
    let due_at = Some(ground.clock.now() + Duration::from_mins(2));
    let trouble = LookTrouble { failures: 1, unreadable: 0 };
    let commit = Commit { trouble, due_at, ..Commit::default() };
    assert_eq!(ground.store.commit(&lease, commit).await.unwrap(), Finished::Done);
    ground.nudge(id(1), None).await;
    assert!(ground.claim().await.is_none());
    ground.pass(Duration::from_mins(2));
    assert!(ground.claim().await.is_some());
}

async fn a_redelivery_raises_a_count_and_makes_the_customer_due_again(ground: Ground) {
    ground.nudge(id(1), Some("same")).await;
    let lease = ground.claim().await.unwrap();
    assert_eq!(
        ground.store.commit(&lease, looked(&lease, 1, ground.clock.now())).await.unwrap(),
        Finished::Done
    );
    ground.nudge(id(1), Some("same")).await;
    ground.nudge(id(2), Some("same")).await;
    let rows = ground.store.callbacks(Some(id(1)), None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.deliveries).collect::<Vec<_>>(), [2]);
    assert_eq!(ground.store.claim(LEASE, seats(10)).await.unwrap().len(), 2, "both customers are due");
}

async fn a_decision_on_an_older_case_is_not_written(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lease = ground.claim().await.unwrap();
    let now = ground.clock.now();
    let hold = |version| Commit { hold: true, ..looked(&lease, version, now) };
    assert_eq!(ground.store.commit(&lease, hold(1)).await.unwrap(), Finished::Done);
    assert_eq!(ground.store.commit(&lease, hold(2)).await.unwrap(), Finished::Done);
    assert!(ground.store.commit(&lease, hold(1)).await.is_err());
    assert!(ground.store.commit(&lease, hold(9)).await.is_err());
    assert_eq!(ground.store.case(id(1)).await.unwrap().unwrap().case.version, 2);
}

async fn what_was_not_folded_is_folded_after_the_next_start(ground: Ground) {
    ground.nudge(id(1), None).await;
    ground.store.close();
    // As after a crash between append and fold: the row is in the log, and nothing came of it yet.
    ground.sql("DELETE FROM head").unwrap();
    ground.sql("DELETE FROM callback").unwrap();
    let unfold = if on_postgres() {
        r"INSERT INTO callback_log (at, customer, looks, source)
          VALUES (1, '\x01010101010101010101010101010101', 1, 'callback')"
    } else {
        "UPDATE cursor SET position = 0"
    };
    ground.sql(unfold).unwrap();
    let Ground { store, clock, wake, database, folder } = ground;
    drop(store);
    let again = Ground { store: open(&database, &clock, &wake), clock, wake, database, folder };
    again.folded().await;
    assert_eq!(again.claim().await.unwrap().customer, id(1));
}

async fn one_write_that_fails_does_not_take_its_neighbours_with_it(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lease = ground.claim().await.unwrap();
    let bad = looked(&lease, 7, ground.clock.now());
    let held = Commit { hold: true, ..looked(&lease, 1, ground.clock.now()) };
    assert_eq!(ground.store.commit(&lease, held).await.unwrap(), Finished::Done);
    let nudge = Nudge {
        customer: Some(id(2)),
        looks: true,
        source: Source::Callback,
        request_id: None,
        template: None,
    };
    // All of them wait for the same thread; the middle one breaks a law.
    let (first, broken, last) = tokio::join!(
        ground.store.record(nudge.clone(), ground.clock.now()),
        ground.store.commit(&lease, bad),
        ground.store.record(nudge, ground.clock.now())
    );
    assert!(first.is_ok() && broken.is_err() && last.is_ok());
}

async fn what_was_spooled_and_stored_is_one_delivery(ground: Ground) {
    let request_id = RequestId::parse("r-1");
    let nudge =
        Nudge { customer: Some(id(1)), looks: true, source: Source::Callback, request_id, template: None };
    let at = ground.clock.now();
    let earlier = at - Duration::from_mins(1);
    ground.store.record(nudge.clone(), at).await.unwrap();
    ground.store.record_again(nudge.clone(), at).await.unwrap();
    ground.folded().await;
    let count = async || ground.store.callbacks(None, None, 9).await.unwrap()[0].deliveries;
    assert_eq!(count().await, 1);
    ground.store.record(nudge.clone(), at).await.unwrap();
    ground.store.record_again(nudge, earlier).await.unwrap();
    ground.folded().await;
    assert_eq!(count().await, 3);
    let callbacks = ground.store.callbacks(None, None, 9).await.unwrap();
    assert_eq!((callbacks[0].received_at, callbacks[0].last_received_at), (earlier, at));
    // Without an id two callbacks of one moment cannot be told apart: evidence is rather there twice than not at all.
    let nameless = Nudge {
        customer: Some(id(2)),
        looks: true,
        source: Source::Callback,
        request_id: None,
        template: None,
    };
    ground.store.record(nameless.clone(), at).await.unwrap();
    ground.store.record_again(nameless, at).await.unwrap();
    ground.folded().await;
    assert_eq!(ground.store.callbacks(Some(id(2)), None, 9).await.unwrap().len(), 2);
}

async fn the_schema_defends_the_state(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lease = ground.claim().await.unwrap();
    let _ = ground.store.commit(&lease, looked(&lease, 1, ground.clock.now())).await.unwrap();
    for broken in [
        "UPDATE cases SET state = 'approved'",
        "UPDATE cases SET state = 'lost', data = '{\"state\":\"lost\"}'",
        "UPDATE cases SET version = 0",
        "UPDATE head SET lease_until = 5, due_at = 6",
        "UPDATE head SET handled = wanted + 1",
        "INSERT INTO callback_log (at, customer, looks, source) VALUES (1, x'00', 1, 'callback')",
        "INSERT INTO callback_log (at, looks, source) VALUES (1, 1, 'rumour')",
        "INSERT INTO token (id, hash, role, name, created_at) VALUES ('a', x'00', 'admin', 'n', 1)",
    ] {
        let broken = if on_postgres() { broken.replace("x'00'", r"'\x00'") } else { broken.to_owned() };
        assert!(ground.sql(&broken).is_err(), "{broken}");
    }
}

async fn a_newer_schema_refuses_to_start(ground: Ground) {
    ground.store.ready().await.unwrap();
    ground.store.close();
    let newer = if on_postgres() {
        "UPDATE schema_version SET version = 99, runs_from = 99"
    } else if ground.sql("SELECT number FROM broken").is_ok() {
        "SELECT 1"
    } else {
        "PRAGMA user_version = 99"
    };
    ground.sql(newer).unwrap();
    let opened = Store::open(&ground.database.place(), Use::Tool, Clock::System, Wake::default());
    let refused = match opened {
        Ok(store) => store.ready().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(refused.contains("schema 99"), "{refused}");
}

async fn a_state_reads_back_as_it_was_written(ground: Ground) {
    ground.nudge(id(1), None).await;
    let lease = ground.claim().await.unwrap();
    let mut commit = looked(&lease, 1, ground.clock.now());
    let (case, _) = commit.case.as_mut().unwrap();
    case.state = CaseState::Watching { after_rejection: true };
    case.beside.rfi = Some(Rfi { deadline: ground.clock.now(), overdue: false, mark: None });
    let written = case.clone();
    let _ = ground.store.commit(&lease, commit).await.unwrap();
    assert_eq!(ground.store.case(id(1)).await.unwrap().unwrap().case, written);
}
