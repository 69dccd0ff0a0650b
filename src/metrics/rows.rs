//! Row counts and ages, read from the store when they are scraped, never counted along.

use std::sync::atomic::AtomicI64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::case::CaseState;

/// The lanes in which effects wait.
const LANES: [&str; 4] = ["nium", "officer", "webhook", "email"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLane {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEndpoint {
    endpoint: String,
}

type Whole = Gauge<i64, AtomicI64>;

/// What waits, and for how long.
#[derive(Clone, Debug, Default)]
pub struct RowMetrics {
    cases: Family<ByState, Whole>,
    oldest_case: Family<ByState, Whole>,
    effects: Family<ByLane, Whole>,
    oldest_effect: Family<ByLane, Whole>,
    due: Whole,
    unfolded: Whole,
    last_callback: Whole,
    spool_records: Whole,
    spool_bytes: Whole,
    missing_day: Whole,
    expected: Whole,
    silent: Whole,
    disabled: Family<ByEndpoint, Whole>,
    unlinked: Whole,
}

/// A word, how many rows it has, and since when the oldest waits.
type Count = (String, i64, Option<Timestamp>);

impl RowMetrics {
    /// Sets every gauge from one reading of the store; what the reading does not name is zero.
    pub fn set(
        &self,
        states: &[Count],
        lanes: &[Count],
        due: i64,
        unfolded: i64,
        last_callback: Option<Timestamp>,
        now: Timestamp,
    ) {
        let age = |at: Option<Timestamp>| at.map_or(0, |at| now.duration_since(at).as_secs().max(0));
        for state in CaseState::NAMES {
            let (count, oldest) = find(states, state);
            self.cases.get_or_create(&ByState { state }).set(count);
            self.oldest_case.get_or_create(&ByState { state }).set(age(oldest));
        }
        for lane in LANES {
            let (count, oldest) = find(lanes, lane);
            self.effects.get_or_create(&ByLane { lane }).set(count);
            self.oldest_effect.get_or_create(&ByLane { lane }).set(age(oldest));
        }
        self.due.set(due);
        self.unfolded.set(unfolded);
        self.last_callback.set(age(last_callback));
    }

    /// Sets what waits in the spool.
    pub fn set_spool(&self, records: u64, bytes: u64) {
        self.spool_records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
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

    /// Sets how many rows of the audit record wait for the chain.
    pub fn set_unlinked(&self, unlinked: i64) {
        self.unlinked.set(unlinked);
    }

    /// Makes the metrics visible to a scrape, every series at zero.
    pub fn register(&self, registry: &mut Registry) {
        self.set(&[], &[], 0, 0, None, Timestamp::UNIX_EPOCH);
        registry.register("cases", "Cases, by state", self.cases.clone());
        registry.register_with_unit(
            "oldest_case_age",
            "How long the oldest case has been in its state, by state",
            Unit::Seconds,
            self.oldest_case.clone(),
        );
        registry.register("effects_open", "Effects that have not ended, by lane", self.effects.clone());
        registry.register_with_unit(
            "oldest_effect_age",
            "How long the oldest open effect has waited, by lane",
            Unit::Seconds,
            self.oldest_effect.clone(),
        );
        registry.register("customers_due", "Customers that are due and not claimed", self.due.clone());
        registry.register(
            "callbacks_unfolded",
            "Callbacks on file that the fold has not read yet",
            self.unfolded.clone(),
        );
        registry.register(
            "spool_records",
            "Callbacks in the spool that wait for the database",
            self.spool_records.clone(),
        );
        registry.register_with_unit("spool", "Bytes that they take", Unit::Bytes, self.spool_bytes.clone());
        registry.register(
            "callbacks_missing_day",
            "Changes found by asking Nium within the last day, whose callback never came",
            self.missing_day.clone(),
        );
        registry.register(
            "callbacks_expected",
            "Changes found by asking Nium, whose callback may still come",
            self.expected.clone(),
        );
        registry.register(
            "callbacks_silent",
            "1 while callbacks do not come although customers change",
            self.silent.clone(),
        );
        registry.register(
            "endpoint_disabled",
            "1 while an endpoint of the app backend has failed for so long that its events wait",
            self.disabled.clone(),
        );
        registry.register(
            "audit_unlinked",
            "Rows of the audit record that wait for their place in the chain",
            self.unlinked.clone(),
        );
        registry.register_with_unit(
            "last_callback_age",
            "How long ago the last callback or webhook came; 0 before the first",
            Unit::Seconds,
            self.last_callback.clone(),
        );
    }
}

fn find(counts: &[Count], word: &str) -> (i64, Option<Timestamp>) {
    counts.iter().find(|(name, ..)| name == word).map_or((0, None), |(_, count, oldest)| (*count, *oldest))
}
