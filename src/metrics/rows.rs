//! Counts and ages of what is in the store and the spool, set when they are scraped. Nothing goes through a table for it:
//! whoever is on duty counts by the side, and `counted_age_seconds` says how long ago that was.

use std::sync::atomic::AtomicI64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::case::CaseState;

/// The lanes in which effects wait.
const LANES: [&str; 4] = ["nium", "officer", "webhook", "email"];
/// Before a lane among what was counted.
const LANE_PREFIX: &str = "lane_";
/// What else waits or fails, and is counted by the side.
const WAITING: [&str; 5] = ["rfi", "approval", "failing_look", "failing_effect", "failed_effect"];
/// Customers that are due, among what was counted.
const DUE: &str = "due";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLane {
    lane: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEndpoint {
    endpoint: String,
}

type Whole = Gauge<i64, AtomicI64>;

/// How many of something, and how old the oldest is.
#[derive(Clone, Debug, Default)]
struct Crowd<L: Clone + std::hash::Hash + Eq> {
    count: Family<L, Whole>,
    oldest: Family<L, Whole>,
}

/// What waits, and for how long.
#[derive(Clone, Debug, Default)]
pub struct RowMetrics {
    store_up: Whole,
    cases: Crowd<ByState>,
    effects: Crowd<ByLane>,
    waiting: Crowd<ByWhat>,
    due: Whole,
    oldest_due: Whole,
    counted: Whole,
    unfolded: Whole,
    fold_lag: Whole,
    last_callback: Whole,
    spool_records: Whole,
    spool_bytes: Whole,
    spool_has_room: Whole,
    missing_day: Whole,
    expected: Whole,
    silent: Whole,
    disabled: Family<ByEndpoint, Whole>,
    unlinked: Whole,
    swept: Whole,
}

/// A word, how many rows it has, and since when the oldest waits.
pub type Count = (String, u64, Option<Timestamp>);

/// One reading of the store.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was counted by the side.
    pub counts: Vec<Count>,
    /// When that was counted; `None` before the first time.
    pub counted_at: Option<Timestamp>,
    /// Callbacks on file that the fold has not read yet.
    pub unfolded: i64,
    /// When the oldest of those came.
    pub oldest_unfolded: Option<Timestamp>,
    /// When the last callback or webhook came.
    pub last_callback: Option<Timestamp>,
    /// Rows of the audit record that wait for the chain.
    pub unlinked: i64,
    /// When a sweep last reached the end of Nium's list.
    pub swept_at: Option<Timestamp>,
    /// The present moment.
    pub now: Timestamp,
}

impl RowMetrics {
    /// Sets every gauge from one reading of the store; what the reading does not name is zero.
    pub fn set(&self, reading: &Reading) {
        let age = |at: Option<Timestamp>| at.map_or(0, |at| reading.now.duration_since(at).as_secs().max(0));
        let find = |word: &str| {
            let found = reading.counts.iter().find(|(name, ..)| name == word);
            found.map_or((0, 0), |(_, count, oldest)| {
                (i64::try_from(*count).unwrap_or(i64::MAX), age(*oldest))
            })
        };
        for state in CaseState::NAMES {
            self.cases.set(&ByState { state }, find(state));
        }
        for lane in LANES {
            self.effects.set(&ByLane { lane }, find(&format!("{LANE_PREFIX}{lane}")));
        }
        for what in WAITING {
            self.waiting.set(&ByWhat { what }, find(what));
        }
        let (due, oldest_due) = find(DUE);
        self.due.set(due);
        self.oldest_due.set(oldest_due);
        self.counted.set(age(reading.counted_at));
        self.unfolded.set(reading.unfolded);
        self.fold_lag.set(age(reading.oldest_unfolded));
        self.last_callback.set(age(reading.last_callback));
        self.unlinked.set(reading.unlinked);
        self.swept.set(age(reading.swept_at));
    }

    /// Says whether the store answered this scrape.
    pub fn set_store_up(&self, up: bool) {
        self.store_up.set(i64::from(up));
    }

    /// Sets what waits in the spool, and whether it takes more.
    pub fn set_spool(&self, records: u64, bytes: u64, has_room: bool) {
        self.spool_records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.spool_has_room.set(i64::from(has_room));
    }

    /// Sets what is known of callbacks that should have come.
    pub fn set_silence(&self, missing_day: u64, expected: u64, silent: bool) {
        self.missing_day.set(i64::try_from(missing_day).unwrap_or(i64::MAX));
        self.expected.set(i64::try_from(expected).unwrap_or(i64::MAX));
        self.silent.set(i64::from(silent));
    }

    /// Sets which endpoints are left alone; those that are not named are not there any more.
    pub fn set_endpoints<'a>(&self, endpoints: impl Iterator<Item = (&'a str, bool)>) {
        self.disabled.clear();
        for (name, disabled) in endpoints {
            let label = ByEndpoint { endpoint: name.to_owned() };
            self.disabled.get_or_create(&label).set(i64::from(disabled));
        }
    }

    /// Makes the metrics visible to a scrape, every series at zero.
    pub fn register(&self, registry: &mut Registry) {
        self.touch();
        self.register_crowds(registry);
        self.register_intake(registry);
        registry.register("store_up", "1 if the database answered this scrape", self.store_up.clone());
        registry.register("customers_due", "Customers that are due and not claimed", self.due.clone());
        let ages = [
            ("oldest_due_age", "How long the customer that is due for longest has waited", &self.oldest_due),
            (
                "counted_age",
                "How long ago cases, effects and whoever is due were counted; 0 before the first time",
                &self.counted,
            ),
            (
                "last_sweep_age",
                "How long ago a sweep reached the end of Nium's list; 0 before the first",
                &self.swept,
            ),
        ];
        for (name, help, gauge) in ages {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
        registry.register(
            "endpoint_disabled",
            "1 while an endpoint of the app backend has failed for so long that its events wait",
            self.disabled.clone(),
        );
        registry.register(
            "audit_unlinked",
            "Rows of the audit record that wait for their place in the chain, at most 10000",
            self.unlinked.clone(),
        );
    }

    fn touch(&self) {
        self.set(&Reading {
            counts: Vec::new(),
            counted_at: None,
            unfolded: 0,
            oldest_unfolded: None,
            last_callback: None,
            unlinked: 0,
            swept_at: None,
            now: Timestamp::UNIX_EPOCH,
        });
    }

    fn register_crowds(&self, registry: &mut Registry) {
        registry.register("cases", "Cases, by state", self.cases.count.clone());
        registry.register_with_unit(
            "oldest_case_age",
            "How long the oldest case has been in its state, by state",
            Unit::Seconds,
            self.cases.oldest.clone(),
        );
        registry.register("effects_open", "Effects that have not ended, by lane", self.effects.count.clone());
        registry.register_with_unit(
            "oldest_effect_age",
            "How long the oldest open effect has waited, by lane",
            Unit::Seconds,
            self.effects.oldest.clone(),
        );
        registry.register(
            "waiting",
            "Requests for information and for approval that are open, and what fails or was given up, by what it is",
            self.waiting.count.clone(),
        );
        registry.register_with_unit(
            "oldest_waiting_age",
            "How long the oldest of those has waited, by what it is; 0 where that is not known",
            Unit::Seconds,
            self.waiting.oldest.clone(),
        );
    }

    fn register_intake(&self, registry: &mut Registry) {
        let gauges = [
            ("callbacks_unfolded", "Callbacks on file that the fold has not read yet", &self.unfolded),
            ("spool_records", "Callbacks in the spool that wait for the database", &self.spool_records),
            ("spool_has_room", "1 while the spool takes callbacks", &self.spool_has_room),
            (
                "callbacks_missing_day",
                "Changes found by asking Nium within the last day, whose callback never came",
                &self.missing_day,
            ),
            (
                "callbacks_expected",
                "Changes found by asking Nium, whose callback may still come",
                &self.expected,
            ),
            ("callbacks_silent", "1 while callbacks do not come although customers change", &self.silent),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register_with_unit("spool", "Bytes that they take", Unit::Bytes, self.spool_bytes.clone());
        registry.register_with_unit(
            "fold_lag",
            "How long the oldest callback on file has waited for the fold",
            Unit::Seconds,
            self.fold_lag.clone(),
        );
        registry.register_with_unit(
            "last_callback_age",
            "How long ago the last callback or webhook came; 0 before the first",
            Unit::Seconds,
            self.last_callback.clone(),
        );
    }
}

impl<L> Crowd<L>
where
    L: Clone + std::hash::Hash + Eq,
{
    fn set(&self, label: &L, (count, age): (i64, i64)) {
        self.count.get_or_create(label).set(count);
        self.oldest.get_or_create(label).set(age);
    }
}
