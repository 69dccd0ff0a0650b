//! The laws of the store, straight at its door: what a claim, a commit and a fold promise.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use reinstate::clock::{Clock, ManualClock};
use reinstate::domain::case::{Case, CaseState, Rfi};
use reinstate::domain::decision::OfficerWord;
use reinstate::domain::effect::{EffectKey, Event};
use reinstate::domain::id::{CustomerHashId, RequestId};
use reinstate::domain::nudge::{Nudge, Source};
use reinstate::store::rows::officer::NewWord;
use reinstate::store::rows::watch::{JobFilter, JobStatus};
use reinstate::store::rows::{Commit, Finished, Lease, LookTrouble, NewTell, Seats, TellOutcome};
use reinstate::store::wake::Wake;
use reinstate::store::{Place, Store, Use};
use rusqlite::Connection;

const LEASE: Duration = Duration::from_mins(1);

fn seats(all: usize) -> Seats {
    Seats { all, swept: all, turn: 1 }
}

struct Ground {
    store: Store,
    clock: ManualClock,
    wake: Wake,
    folder: tempfile::TempDir,
}

fn open(folder: &Path, clock: &ManualClock, wake: &Wake) -> Store {
    let place = Place::Sqlite(folder.join("laws.db"));
    Store::open(&place, Use::Serve, Clock::Manual(clock.clone()), wake.clone()).unwrap()
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_second(1_780_000_000).unwrap());
        let wake = Wake::default();
        let store = open(folder.path(), &clock, &wake);
        Self { store, clock, wake, folder }
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
        let rung = tokio::time::timeout(Duration::from_secs(20), self.wake.rung()).await;
        assert!(rung.is_ok(), "{what} rings nobody");
        while self.wake.rung().now_or_never().is_some() {}
    }

    fn sql(&self, statement: &str) -> rusqlite::Result<usize> {
        Connection::open(self.folder.path().join("laws.db")).unwrap().execute(statement, [])
    }
}

fn id(number: u8) -> CustomerHashId {
    CustomerHashId::from_bytes([number; 16])
}

/// What a finished look writes when Nium is working.
fn looked(lease: &Lease, version: u64, now: Timestamp) -> Commit {
    let mut case = Case::unseen(lease.customer, now);
    case.version = version;
    Commit { case: Some((case, None)), looked: true, ..Commit::default() }
}

#[tokio::test]
async fn two_claimers_never_share() {
    let ground = Ground::new();
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
}

#[tokio::test]
async fn many_nudges_are_one_look_and_one_more_for_those_that_came_during_it() {
    let ground = Ground::new();
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

#[tokio::test]
async fn whatever_makes_work_rings() {
    let ground = Ground::new();
    ground.nudge(id(1), None).await;
    ground.rang("a callback").await;
    let lease = ground.claim().await.unwrap();
    let trouble = LookTrouble { failures: 1, unreadable: 1 };
    let later = Some(ground.clock.now() + Duration::from_hours(1));
    let tell = NewTell { key: EffectKey::new(id(1), 1, "t0"), event: Event::ALL[0], body: b"{}".to_vec() };
    let failed = Commit {
        trouble,
        due_at: later,
        tells: vec![tell],
        looked: false,
        ..looked(&lease, 1, ground.clock.now())
    };
    assert_eq!(ground.store.commit(&lease, failed).await.unwrap(), Finished::Done);
    ground.rang("something to tell").await;
    let tell = ground.store.claim_tells(LEASE, 1).await.unwrap().pop().unwrap();
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

#[tokio::test]
async fn a_lost_lease_changes_nothing() {
    let ground = Ground::new();
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

#[tokio::test]
async fn a_customer_in_backoff_is_not_hurried_by_nudges() {
    let ground = Ground::new();
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

#[tokio::test]
async fn a_redelivery_raises_a_count_and_makes_the_customer_due_again() {
    let ground = Ground::new();
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

#[tokio::test]
async fn a_decision_on_an_older_case_is_not_written() {
    let ground = Ground::new();
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

#[tokio::test]
async fn what_was_not_folded_is_folded_after_the_next_start() {
    let ground = Ground::new();
    ground.nudge(id(1), None).await;
    ground.store.close();
    // As after a crash between append and fold: the row is in the log, the cursor stands before it.
    ground.sql("DELETE FROM head").unwrap();
    ground.sql("DELETE FROM callback").unwrap();
    ground.sql("UPDATE cursor SET position = 0").unwrap();
    let Ground { store, clock, wake, folder } = ground;
    drop(store);
    let again = Ground { store: open(folder.path(), &clock, &wake), clock, wake, folder };
    again.folded().await;
    assert_eq!(again.claim().await.unwrap().customer, id(1));
}

#[tokio::test]
async fn one_write_that_fails_does_not_take_its_neighbours_with_it() {
    let ground = Ground::new();
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

#[tokio::test]
async fn what_was_spooled_and_stored_is_one_delivery() {
    let ground = Ground::new();
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
}

#[tokio::test]
async fn the_schema_defends_the_state() {
    let ground = Ground::new();
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
        assert!(ground.sql(broken).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn a_newer_schema_refuses_to_start() {
    let ground = Ground::new();
    ground.store.close();
    ground.sql("PRAGMA user_version = 99").unwrap();
    let place = Place::Sqlite(ground.folder.path().join("laws.db"));
    let refused = Store::open(&place, Use::Tool, Clock::System, Wake::default()).unwrap_err().to_string();
    assert!(refused.contains("schema 99"), "{refused}");
}

#[tokio::test]
async fn a_state_reads_back_as_it_was_written() {
    let ground = Ground::new();
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
