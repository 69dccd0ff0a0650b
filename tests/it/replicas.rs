//! Several processes of the real binary on one PostgreSQL database: killed, stopped and continued, started together,
//! restarted one by one under load; the database restarted, gone for a while, its connections cut. Nothing that was
//! acknowledged is lost, nothing is done twice, and Nium's budget is kept.
//!
//! `REINSTATE_TEST_SEED` repeats a run, `REINSTATE_TEST_KILLS` makes it longer.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::database::Database;
use crate::house::{lasting_address, number, spawn};
use crate::postgres::{self, Cluster, Pooler};
use crate::proxy::Proxy;
use crate::restart::{Ground, nothing_was_lost_and_nothing_was_done_twice};
use crate::serve::signal;

/// How long everything may take after the last trouble.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// Customers on their way at once.
const CUSTOMERS: usize = 10;
/// Between two callbacks of the load: 50 a second.
pub const PAUSE: Duration = Duration::from_millis(20);
/// For what a stopped process had under way.
const SETTLED: Duration = Duration::from_millis(500);
/// Between two looks at whether the machine goes on.
const MOMENT: Duration = Duration::from_millis(10);

/// Several processes behind one address.
pub struct Fleet {
    pub ground: Arc<Ground>,
    balancer: Proxy,
    running: Vec<Child>,
    /// The longest time for which the machine let nobody work.
    stood_still_ms: Arc<AtomicU64>,
}

/// Notes for how long, at most, the machine let nobody work.
async fn watch_the_machine(stood_still_ms: Arc<AtomicU64>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(MOMENT).await;
        let late = begun.elapsed().saturating_sub(MOMENT);
        stood_still_ms.fetch_max(u64::try_from(late.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Fleet {
    /// `count` processes on this database, started.
    pub async fn start(
        count: usize,
        database: Database,
        settings: &[(&str, &str)],
    ) -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let publics: Vec<SocketAddr> = (0..count).map(|_| lasting_address()).collect();
        let balancer = Proxy::to(publics.clone()).await;
        let mut ground = Ground::with(&publics, balancer.address, database, folder.path()).await;
        ground = ground.set("TELEMETRY__LOG", "off");
        for (key, value) in settings {
            ground = ground.set(key, value);
        }
        ground.nium_is_behind().await;
        let running = (0..count).map(|number| ground.start_at(number)).collect();
        let stood_still_ms = Arc::new(AtomicU64::new(0));
        spawn(watch_the_machine(Arc::clone(&stood_still_ms)));
        let fleet = Self { ground: Arc::new(ground), balancer, running, stood_still_ms };
        fleet.ground.first_sweep_is_over().await;
        (fleet, folder)
    }

    async fn kill(&mut self, number: usize) {
        self.running[number].kill().await.unwrap();
    }

    /// Ends a process as an orchestrator does, and starts another release in its place.
    pub async fn replace(&mut self, number: usize, program: &Path) {
        self.signal(number, "TERM");
        let ended = tokio::time::timeout(PATIENCE, self.running[number].wait()).await.unwrap().unwrap();
        assert!(ended.success(), "replica {number} ended with {ended}");
        self.running[number] = self.ground.start_as(program, number);
        self.until_ready(number, "ready").await;
    }

    fn start_at(&mut self, number: usize) {
        self.running[number] = self.ground.start_at(number);
    }

    /// Sends a signal by its name.
    fn signal(&self, number: usize, name: &str) {
        signal(&self.running[number], name);
    }

    /// A callback, at whichever replica answers: one that is starting does not yet.
    async fn call(&self, id: uuid::Uuid) {
        let begun = Instant::now();
        loop {
            let url = format!("http://{}/callback/compliance?customerHashId={id}", self.ground.door().public);
            let answer = self.ground.http.post(url).timeout(Duration::from_secs(10)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody takes a callback");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What one process says of its readiness.
    async fn readiness(&self, number: usize) -> Option<(u16, String)> {
        let url = format!("http://{}/readyz", self.ground.doors[number].public);
        let answer = self.ground.http.get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        Some((status, body["status"].as_str()?.to_owned()))
    }

    async fn until_ready(&self, number: usize, word: &str) {
        let begun = Instant::now();
        loop {
            let said = self.readiness(number).await;
            if said.as_ref().is_some_and(|(status, said)| *status == 200 && said == word) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "replica {number} is not {word}: {said:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The name under which a process holds what it holds.
    fn owner(&self, number: usize) -> String {
        let file = self.ground.doors[number].spool().join("replica");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// One number of a process's `/metrics`.
    async fn metric(&self, number: usize, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.ground.doors[number].admin);
        let text = self.ground.http.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).trim_end_matches(".0").parse().unwrap()
    }

    /// When each call arrived at Nium.
    fn calls(&self) -> Vec<Timestamp> {
        let journal = serde_json::to_value(self.ground.sim.journal()).unwrap();
        let calls = journal.as_array().unwrap().iter().filter(|entry| entry["kind"] == "request");
        calls.map(|call| call["at"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Never more than rate and burst in any second, and what was on its way while the machine stood still.
    fn budget_was_kept(&self, rate: usize, burst: usize) {
        let stood = usize::try_from(self.stood_still_ms.load(Ordering::Relaxed)).unwrap();
        let burst = burst + (rate * stood).div_ceil(1_000);
        let mut calls = self.calls();
        calls.sort_unstable();
        for (place, from) in calls.iter().enumerate() {
            let within = calls[place..].iter().take_while(|at| **at < *from + Duration::from_secs(1)).count();
            assert!(within <= rate + burst, "{within} calls in a second, {rate} + {burst} allowed");
        }
    }

    /// Whose word the database has for this.
    fn number(&self, sql: &str) -> i64 {
        self.ground.database.number(sql)
    }
}

/// Journeys and callbacks that go on until they are told to stop.
pub struct Traffic {
    journeys: tokio::task::JoinSet<String>,
    load: tokio::task::JoinHandle<Vec<crate::restart::Acknowledged>>,
    over: Arc<AtomicBool>,
    ids: BTreeSet<String>,
    started: usize,
}

impl Traffic {
    pub fn start(ground: &Arc<Ground>, pause: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let load = spawn({
            let (ground, over) = (Arc::clone(ground), Arc::clone(&over));
            async move { ground.load(&over, pause).await }
        });
        Self { journeys: tokio::task::JoinSet::new(), load, over, ids: BTreeSet::new(), started: 0 }
    }

    /// Keeps as many journeys on their way as there should be.
    pub fn keep_up(&mut self, ground: &Arc<Ground>) {
        while let Some(done) = self.journeys.try_join_next() {
            self.ids.insert(done.unwrap());
        }
        while self.journeys.len() < CUSTOMERS {
            let (ground, number) = (Arc::clone(ground), self.started);
            self.journeys.spawn(async move { ground.journey(number).await });
            self.started += 1;
        }
    }

    /// Goes on until this many more customers have come back.
    pub async fn until_more_came_back(&mut self, ground: &Arc<Ground>, more: usize) {
        let (begun, wanted) = (Instant::now(), self.ids.len() + more);
        while self.ids.len() < wanted {
            let stuck = if begun.elapsed() > PATIENCE { ground.what_is_stuck().await } else { String::new() };
            assert!(stuck.is_empty(), "not {more} more came back: {stuck}");
            self.keep_up(ground);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Everybody arrives, and then everything must hold.
    pub async fn end(mut self, ground: &Ground, seed: u64) {
        match tokio::time::timeout(PATIENCE, self.journeys.join_all()).await {
            Ok(rest) => self.ids.extend(rest),
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("seed {seed}: not everybody came back in time: {}", ground.what_is_stuck().await)
            }
        }
        self.over.store(true, Ordering::Relaxed);
        let acknowledged = self.load.await.unwrap();
        nothing_was_lost_and_nothing_was_done_twice(ground, &self.ids, &acknowledged, seed).await;
        println!(
            "{} customers came back, {} callbacks were answered 200",
            self.ids.len(),
            acknowledged.len()
        );
    }
}

pub fn shared() -> Database {
    Database::Postgres(postgres::cluster().fresh())
}

pub fn seed() -> u64 {
    let seed = number("REINSTATE_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    println!("REINSTATE_TEST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_at_random_three_replicas_lose_nothing_and_do_nothing_twice() {
    let seed = seed();
    let kills = number("REINSTATE_TEST_KILLS").unwrap_or(60);
    let mut chance = StdRng::seed_from_u64(seed);
    let (rate, burst) = (60, 20);
    let settings = [("NIUM__REQUESTS_PER_SECOND", "60"), ("NIUM__BURST", "20")];
    let (mut fleet, _folder) = Fleet::start(3, shared(), &settings).await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    for _ in 0..kills {
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(Duration::from_millis(chance.random_range(30..500))).await;
        let number = chance.random_range(0..3);
        fleet.kill(number).await;
        if chance.random_bool(0.3) {
            // The others go on alone for a while.
            tokio::time::sleep(Duration::from_millis(chance.random_range(100..1_000))).await;
        }
        fleet.start_at(number);
    }
    traffic.end(&fleet.ground, seed).await;
    fleet.budget_was_kept(rate, burst);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_stopped_beyond_its_leases_is_fenced() {
    let seed = seed();
    let (fleet, _folder) = Fleet::start(3, shared(), &[]).await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    let owner = fleet.owner(0);
    let held = format!(
        "SELECT string_agg(customer::text || epoch, ' ') FROM head WHERE lease_until IS NOT NULL AND holder LIKE '%{owner}'"
    );
    let holds = |fleet: &Fleet| -> BTreeSet<String> {
        fleet.ground.database.text(&held).split_whitespace().map(str::to_owned).collect()
    };
    // Nium is slow, so that whoever is stopped holds something.
    for endpoint in ["details", "add_customer"] {
        let slow = json!({ "endpoint": endpoint, "kind": "hang", "ms": 250, "times": 100_000 });
        let url = format!("{}/__sim/faults", fleet.ground.sim.base_url());
        assert!(fleet.ground.http.post(url).json(&slow).send().await.unwrap().status().is_success());
    }
    for _ in 0..100 {
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(PAUSE).await;
    }
    // In the middle of its work.
    loop {
        let known = holds(&fleet);
        fleet.signal(0, "STOP");
        // What it had asked of the database is still done, which may give back one or take one that it never learns of.
        tokio::time::sleep(SETTLED).await;
        if holds(&fleet).intersection(&known).count() > 1 {
            break;
        }
        fleet.signal(0, "CONT");
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(PAUSE).await;
    }
    fleet.balancer.lead_to(fleet.ground.doors[1..].iter().map(|door| door.public).collect());
    let stopped = Instant::now();
    let leases = "SELECT count(*) FROM head WHERE lease_until < extract(epoch FROM now()) * 1000 - 2000";
    while stopped.elapsed() < Duration::from_secs(75) {
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whose lease has ended has their turn among everybody who is due.
    while fleet.number(leases) > 0 || !holds(&fleet).is_empty() {
        assert!(stopped.elapsed() < Duration::from_secs(150), "seed {seed}: nobody took up what it held");
        tokio::time::sleep(PAUSE).await;
    }
    fleet.signal(0, "CONT");
    let continued = Instant::now();
    while fleet.metric(0, "reinstate_leases_lost_total").await == 0 {
        assert!(continued.elapsed() < Duration::from_secs(30), "seed {seed}: the late one was not fenced");
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(PAUSE).await;
    }
    traffic.end(&fleet.ground, seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_nothing_and_double_nothing() {
    let seed = seed();
    let mut chance = StdRng::seed_from_u64(seed);
    let database = shared();
    let url = database.url();
    let place = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let way = Proxy::to(vec![place.parse().unwrap()]).await;
    let through = url.replace(place, &way.address.to_string());
    let (fleet, _folder) = Fleet::start(2, database, &[("STORE__URL", &through)]).await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    for _ in 0..60 {
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(Duration::from_millis(chance.random_range(20..600))).await;
        way.cut();
    }
    traffic.end(&fleet.ground, seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_may_stand_in_between() {
    let seed = seed();
    let database = shared();
    let direct = database.url();
    let pooler = Pooler::start(&direct);
    let (fleet, _folder) = Fleet::start(
        2,
        database,
        &[("STORE__URL", &pooler.url), ("STORE__LISTEN_URL", &direct), ("STORE__CONNECTIONS", "8")],
    )
    .await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    for _ in 0..60 {
        traffic.keep_up(&fleet.ground);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    traffic.end(&fleet.ground, seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_replicas_need_not_wake_each_other() {
    let database = shared();
    let pooler = Pooler::start(&database.url());
    let listeners = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND (query LIKE 'LISTEN%' OR query LIKE 'NOTIFY%')";
    let settings = [("STORE__URL", &*pooler.url), ("STORE__WAKE_UPS", "false"), ("STORE__CONNECTIONS", "8")];
    let (fleet, _folder) = Fleet::start(2, database, &settings).await;
    tokio::join!(fleet.ground.journey(0), fleet.ground.journey(1), fleet.ground.journey(2));
    assert_eq!(fleet.number(listeners), 0, "nobody listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_and_is_gone_for_a_minute_loses_nothing() {
    let seed = seed();
    let cluster = Arc::new(Cluster::own());
    let order = async |what: fn(&Cluster)| {
        let cluster = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || what(&cluster)).await.unwrap();
    };
    let (mut fleet, _folder) = Fleet::start(3, Database::Postgres(cluster.fresh()), &[]).await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    for mode in [Cluster::stop_fast, Cluster::stop_at_once, Cluster::kill] {
        for _ in 0..50 {
            traffic.keep_up(&fleet.ground);
            tokio::time::sleep(PAUSE).await;
        }
        order(mode).await;
        order(Cluster::start).await;
    }
    order(Cluster::stop_at_once).await;
    let gone = Instant::now();
    fleet.kill(2).await;
    // One that starts while the database is away spools too.
    fleet.start_at(2);
    let (mut asked, mut kept) = (0, 0);
    while gone.elapsed() < Duration::from_mins(1) {
        for number in 0..3 {
            let url = format!(
                "http://{}/callback/compliance?customerHashId={}",
                fleet.ground.doors[number].public,
                uuid::Uuid::from_u128(seed.into())
            );
            let answer = fleet.ground.http.post(url).timeout(Duration::from_secs(10)).send().await;
            asked += 1;
            kept += u32::from(answer.is_ok_and(|answer| answer.status() == 200));
        }
        tokio::time::sleep(PAUSE * 3).await;
    }
    for number in 0..3 {
        fleet.until_ready(number, "degraded").await;
    }
    println!("{asked} callbacks in a minute without a database, {kept} kept");
    assert!(kept + 3 * 5 >= asked, "all but those while one was starting: {kept} of {asked}");
    order(Cluster::start).await;
    for number in 0..3 {
        fleet.until_ready(number, "ready").await;
    }
    traffic.end(&fleet.ground, seed).await;
    let counted = format!(
        "SELECT (SELECT coalesce(sum(deliveries), 0) FROM callback WHERE customer = {id})
             + (SELECT count(*) FROM callback_log WHERE customer = {id})",
        id = format!("decode('{:032x}', 'hex')", u128::from(seed))
    );
    let begun = Instant::now();
    while fleet.number(&counted) < i64::from(kept) {
        assert!(begun.elapsed() < PATIENCE, "{} on file, {kept} answered 200", fleet.number(&counted));
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_no_callback() {
    let (mut fleet, _folder) = Fleet::start(3, shared(), &[("PUBLIC__DRAIN_SECONDS", "30")]).await;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let caller = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let load = spawn({
        let (over, address, caller) = (Arc::clone(&over), fleet.balancer.address, caller.clone());
        let answered = Arc::clone(&answered);
        async move {
            let mut answers = Vec::new();
            let mut number = 0_u128;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                let id = uuid::Uuid::from_u128(number % 7 + 1);
                let url = format!("http://{address}/callback/compliance?customerHashId={id}");
                let answer = caller.post(url).header("x-request-id", format!("r-{number}")).send().await;
                answers
                    .push(answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string()));
                answered.store(answers.len(), Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            answers
        }
    });
    let many = async |count: usize| {
        while answered.load(Ordering::Relaxed) < count {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let publics: Vec<SocketAddr> = fleet.ground.doors.iter().map(|door| door.public).collect();
    for number in 0..3 {
        fleet.signal(number, "TERM");
        // A load balancer that asks for readiness, as an orchestrator does.
        while fleet.readiness(number).await.is_some_and(|(status, _)| status == 200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fleet.balancer.lead_to(publics.iter().copied().filter(|public| *public != publics[number]).collect());
        // Those who were on their way there have their answers; a second signal ends the waiting.
        many(answered.load(Ordering::Relaxed) + 2).await;
        fleet.signal(number, "TERM");
        let ended = tokio::time::timeout(PATIENCE, fleet.running[number].wait()).await.unwrap().unwrap();
        assert!(ended.success(), "replica {number} ended with {ended}");
        fleet.start_at(number);
        fleet.until_ready(number, "ready").await;
        fleet.balancer.lead_to(publics.clone());
    }
    many(101).await;
    over.store(true, Ordering::Relaxed);
    let answers = load.await.unwrap();
    let failed: Vec<_> = answers.iter().filter(|answer| **answer != Ok(200)).collect();
    assert!(failed.is_empty() && answers.len() > 100, "of {}: {failed:?}", answers.len());
    let begun = Instant::now();
    while fleet.number("SELECT count(*) FROM callback WHERE request_id LIKE 'r-%'")
        < i64::try_from(answers.len()).unwrap()
    {
        assert!(begun.elapsed() < PATIENCE, "all of them are on file");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_keeps_to_one_budget_towards_nium() {
    let (rate, burst) = (20_usize, 10_usize);
    let settings = [("NIUM__REQUESTS_PER_SECOND", "20"), ("NIUM__BURST", "10")];
    let (mut fleet, _folder) = Fleet::start(3, shared(), &settings).await;
    for number in 1..=120_u128 {
        fleet.call(uuid::Uuid::from_u128(number)).await;
        if number == 60 {
            fleet.signal(1, "STOP");
        }
        if number == 100 {
            fleet.signal(1, "CONT");
            fleet.kill(2).await;
            fleet.start_at(2);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        if fleet.readiness(1).await.is_none() {
            // It takes nothing while it is stopped.
            fleet.signal(1, "CONT");
        }
    }
    let begun = Instant::now();
    while fleet.calls().len() < 120 {
        assert!(begun.elapsed() < PATIENCE, "{} calls", fleet.calls().len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    fleet.budget_was_kept(rate, burst);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_for_a_while_does_not_make_the_fleet_hurry() {
    let (rate, burst) = (20, 10);
    let settings = [("NIUM__REQUESTS_PER_SECOND", "20"), ("NIUM__BURST", "10")];
    let (fleet, _folder) = Fleet::start(3, shared(), &settings).await;
    let seed = seed();
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    // Turns are waited for, then the commits between a turn and its call.
    for table in ["pace", "effect", "head", "pace", "effect", "head"] {
        for _ in 0..20 {
            traffic.keep_up(&fleet.ground);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let stands = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT");
        let Database::Postgres(database) = &fleet.ground.database else { panic!("a fleet is on PostgreSQL") };
        tokio::task::block_in_place(|| database.sql(&stands)).unwrap();
    }
    traffic.end(&fleet.ground, seed).await;
    fleet.budget_was_kept(rate, burst);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_fleet_does_once_moves_within_seconds_when_its_holder_dies() {
    let (mut fleet, _folder) = Fleet::start(3, shared(), &[]).await;
    fleet.ground.journey(0).await;
    let holder = |fleet: &Fleet| {
        let Database::Postgres(database) = &fleet.ground.database else { panic!("a fleet is on PostgreSQL") };
        database.sql("SELECT holder FROM duty").unwrap()
    };
    let before = holder(&fleet);
    let number = (0..3).find(|number| before.contains(&fleet.owner(*number))).expect("somebody is on duty");
    fleet.kill(number).await;
    let begun = Instant::now();
    // What is kept for a while only, and a customer who cannot be searched for yet.
    let database = &fleet.ground.database;
    database.sql("UPDATE idempotency SET stored_at = 1").unwrap();
    database.sql("DELETE FROM mark; UPDATE snapshot SET marked = 0").unwrap();
    assert!(fleet.number("SELECT count(*) FROM idempotency") > 0);
    while holder(&fleet) == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody took over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("another was on duty after {:.1} s", begun.elapsed().as_secs_f64());
    let left = "SELECT (SELECT count(*) FROM idempotency WHERE stored_at = 1)
         + (SELECT count(*) FROM snapshot WHERE marked = 0)";
    while fleet.number(left) > 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "retention and marks did not move");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("the house was kept after {:.1} s", begun.elapsed().as_secs_f64());
    let (status, _) = fleet
        .ground
        .api(Method::POST, "/v1/sweeps", None, Some(&json!({})))
        .await
        .unwrap_or((202, Value::Null));
    assert!(status < 300);
    let running = "SELECT count(*) FROM sweep WHERE ended_at IS NULL";
    while fleet.number(running) > 0 {
        assert!(begun.elapsed() < PATIENCE, "the sweep ends");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_replicas_that_start_at_once_migrate_once() {
    let (fleet, _folder) = Fleet::start(10, shared(), &[("STORE__CONNECTIONS", "4")]).await;
    for number in 0..10 {
        fleet.until_ready(number, "ready").await;
    }
    assert_eq!(fleet.number("SELECT count(*) FROM schema_version"), 1);
    assert_eq!(fleet.number("SELECT count(*) FROM sweep"), 1, "and one sweep is for all of them");
}
