//! What the background work counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::timing::Timing;
use crate::domain::case::CaseState;
use crate::domain::effect::Event;

/// A label that says what something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// A label that says what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

/// A label for calls to Nium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    endpoint: &'static str,
    outcome: &'static str,
}

/// A label for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

/// A label for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEvent {
    event: &'static str,
    outcome: &'static str,
}

/// A label that says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCause {
    cause: &'static str,
}

/// Why somebody was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasing {
    /// Somebody asked for it.
    Asked,
    /// By a rule of `privacy`.
    Retention,
    /// The file of erasures names them, and the database had them again.
    Ledger,
}

impl Erasing {
    const ALL: [Self; 3] = [Self::Asked, Self::Retention, Self::Ledger];

    fn label(self) -> ByCause {
        let cause = match self {
            Self::Asked => "asked",
            Self::Retention => "retention",
            Self::Ledger => "ledger",
        };
        ByCause { cause }
    }
}

/// What looks come to.
pub const LOOK_OUTCOMES: [&str; 4] = ["seen", "not_found", "trouble", "unreadable"];
/// What pages of Nium's list come to.
pub const PAGE_OUTCOMES: [&str; 3] = ["read", "trouble", "unreadable"];
/// What submissions come to.
pub const SUBMIT_OUTCOMES: [&str; 5] = ["taken", "refused", "not_taken", "unclear", "no_such_customer"];
/// What an attempt to notify comes to.
pub const TELL_OUTCOMES: [&str; 4] = ["delivered", "later", "given_up", "overtaken"];
/// What is told by an event of a newer release.
const UNKNOWN_EVENT: &str = "unknown";
/// Outcomes of an attempt to write to a customer.
const MAIL_OUTCOMES: [&str; 4] = ["delivered", "later", "given_up", "overtaken"];
/// The endpoints of Nium that are called.
const ENDPOINTS: [&str; 11] = [
    "details",
    "add_customer",
    "list_v3",
    "list_v2",
    "block",
    "tags",
    "update",
    "onboard_corporate",
    "regenerate",
    "rfi",
    "rfi_answer",
];
/// What lets time run out.
const DEADLINES: [&str; 2] = ["offer", "rfi"];
/// What a call to Nium comes to.
pub const CALL_OUTCOMES: [&str; 12] = [
    "ok",
    "refused",
    "not_found",
    "unreadable",
    "connect",
    "timeout",
    "unauthorized",
    "forbidden",
    "too_many",
    "server",
    "connection_lost",
    "unclear",
];

/// Calls to Nium as they are counted.
#[derive(Debug, Default)]
struct CallCells {
    outcomes: [AtomicU64; CALL_OUTCOMES.len()],
    pauses: AtomicU64,
    millis: AtomicU64,
    /// Milliseconds since 1970; in the past while calls go out.
    paused_until: AtomicI64,
}

/// Calls to Nium since this process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// By what they came to.
    pub outcomes: [(&'static str, u64); CALL_OUTCOMES.len()],
    /// Pauses of all calls.
    pub pauses: u64,
    /// Milliseconds that all of them took together.
    pub millis: u64,
}

impl CallCounts {
    /// What came after an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut more = self.clone();
        for ((_, count), (_, before)) in more.outcomes.iter_mut().zip(&earlier.outcomes) {
            *count -= before;
        }
        Self { pauses: self.pauses - earlier.pauses, millis: self.millis - earlier.millis, ..more }
    }
}

/// Counters of the worker.
#[derive(Clone, Debug, Default)]
pub struct WorkMetrics {
    looks: Family<ByOutcome, Counter>,
    submissions: Family<ByOutcome, Counter>,
    decisions: Family<ByState, Counter>,
    tells: Family<ByEvent, Counter>,
    mails: Family<ByOutcome, Counter>,
    calls: Family<ByCall, Counter>,
    pauses: Family<ByOutcome, Counter>,
    /// The same calls and pauses, for people.
    so_far: Arc<CallCells>,
    paused: Gauge,
    /// Work whose lease was gone when it finished: nothing was written.
    pub leases_lost: Counter,
    sweep_pages: Family<ByOutcome, Counter>,
    deadlines: Family<ByWhat, Counter>,
    erased: Family<ByCause, Counter>,
    on_duty: Gauge,
    /// Customers about whom Nium's list said something new.
    pub sweep_found: Counter,
    /// Changes found by ourselves, whose callback never came.
    pub callbacks_missing: Counter,
    /// Changes found by ourselves before their callback came.
    pub callbacks_late: Counter,
    /// Spooled callbacks that went on file.
    pub drained: Counter,
    /// Attempts of the worker that ended in an error of ours.
    pub failures: Counter,
    /// How long calls to Nium took.
    pub call_seconds: Timing,
}

impl WorkMetrics {
    /// Counts a look.
    pub fn look(&self, outcome: &'static str) {
        self.looks.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a page of Nium's list.
    pub fn sweep_page(&self, outcome: &'static str) {
        self.sweep_pages.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a deadline that passed without the customer: `offer` or `rfi`.
    pub fn deadline(&self, what: &'static str) {
        self.deadlines.get_or_create(&ByWhat { what }).inc();
    }

    /// Counts somebody who was erased.
    pub fn erased(&self, why: Erasing) {
        self.erased.get_or_create(&why.label()).inc();
    }

    /// Says whether this process does what the fleet does once.
    pub fn set_on_duty(&self, on_duty: bool) {
        self.on_duty.set(i64::from(on_duty));
    }

    /// Counts an attempt to submit.
    pub fn submission(&self, outcome: &'static str) {
        self.submissions.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a case entering `state`.
    pub fn decision(&self, state: &'static str) {
        self.decisions.get_or_create(&ByState { state }).inc();
    }

    /// Counts an attempt to notify.
    pub fn tell(&self, event: &'static str, outcome: &'static str) {
        self.tells.get_or_create(&ByEvent { event, outcome }).inc();
    }

    /// Counts an attempt to write to a customer.
    pub fn mail(&self, outcome: &'static str) {
        self.mails.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a call to Nium and how long it took.
    pub fn call(&self, endpoint: &'static str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&ByCall { endpoint, outcome }).inc();
        self.call_seconds.observe(took);
        let known = CALL_OUTCOMES.iter().zip(&self.so_far.outcomes).find(|(known, _)| **known == outcome);
        if let Some((_, cell)) = known {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.so_far.millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// Calls to Nium since this process began.
    #[must_use]
    pub fn calls_so_far(&self) -> CallCounts {
        let mut counts = CallCounts {
            outcomes: CALL_OUTCOMES.map(|outcome| (outcome, 0)),
            pauses: self.so_far.pauses.load(Ordering::Relaxed),
            millis: self.so_far.millis.load(Ordering::Relaxed),
        };
        for ((_, count), cell) in counts.outcomes.iter_mut().zip(&self.so_far.outcomes) {
            *count = cell.load(Ordering::Relaxed);
        }
        counts
    }

    /// Sets until when calls to Nium are paused; `None` while they go out.
    pub fn set_paused(&self, until: Option<Timestamp>) {
        self.paused.set(i64::from(until.is_some()));
        self.so_far.paused_until.store(until.map_or(0, Timestamp::as_millisecond), Ordering::Relaxed);
    }

    /// Until when calls to Nium are paused, as far as this process knows; `None` while they go out.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.so_far.paused_until.load(Ordering::Relaxed);
        Timestamp::from_millisecond(until).ok().filter(|until| *until > now)
    }

    /// Counts a pause of all calls to Nium.
    pub fn pause(&self, reason: &'static str) {
        self.so_far.pauses.fetch_add(1, Ordering::Relaxed);
        self.pauses.get_or_create(&ByOutcome { outcome: reason }).inc();
    }

    /// Makes the metrics visible to a scrape, every series at zero.
    pub fn register(&self, registry: &mut Registry) {
        self.touch();
        registry.register("looks", "Looks at customers, by what they came to", self.looks.clone());
        registry.register(
            "submissions",
            "Attempts to submit, by what they came to",
            self.submissions.clone(),
        );
        registry.register("decisions", "Cases entering a state", self.decisions.clone());
        registry.register(
            "tells",
            "Attempts to notify the app backend, by event and outcome",
            self.tells.clone(),
        );
        registry.register("mails", "Attempts to write to customers, by outcome", self.mails.clone());
        registry.register("nium_calls", "Calls to Nium, by endpoint and outcome", self.calls.clone());
        registry.register("nium_pauses", "Pauses of all calls to Nium, by reason", self.pauses.clone());
        registry.register(
            "nium_paused",
            "1 while this process makes no calls to Nium, because Nium is in trouble",
            self.paused.clone(),
        );
        registry.register(
            "sweep_pages",
            "Pages of Nium's customer list, by what they came to",
            self.sweep_pages.clone(),
        );
        self.register_watch(registry);
        registry.register(
            "spool_drained",
            "Callbacks that went from the spool into the database",
            self.drained.clone(),
        );
        registry.register(
            "leases_lost",
            "Work whose lease was gone when it finished",
            self.leases_lost.clone(),
        );
        registry.register(
            "work_failures",
            "Attempts of the worker that ended in an error of ours",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "nium_call",
            "How long calls to Nium took",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
    }

    /// What is found by asking, and what time did.
    fn register_watch(&self, registry: &mut Registry) {
        registry.register(
            "sweep_found",
            "Customers about whom Nium's list said something new",
            self.sweep_found.clone(),
        );
        registry.register(
            "deadlines_passed",
            "Deadlines that passed without the customer, by what was awaited",
            self.deadlines.clone(),
        );
        registry.register(
            "customers_erased",
            "Customers and applicants who were erased, by why",
            self.erased.clone(),
        );
        registry.register(
            "on_duty",
            "1 while this process sweeps, counts and cleans up for all replicas",
            self.on_duty.clone(),
        );
        registry.register(
            "callbacks_missing",
            "Changes found by asking Nium, whose callback never came",
            self.callbacks_missing.clone(),
        );
        registry.register(
            "callbacks_late",
            "Changes found by asking Nium before their callback came",
            self.callbacks_late.clone(),
        );
    }

    /// Every series is there from the start.
    fn touch(&self) {
        for outcome in LOOK_OUTCOMES {
            let _ = self.looks.get_or_create(&ByOutcome { outcome });
        }
        for outcome in PAGE_OUTCOMES {
            let _ = self.sweep_pages.get_or_create(&ByOutcome { outcome });
        }
        for what in DEADLINES {
            let _ = self.deadlines.get_or_create(&ByWhat { what });
        }
        for why in Erasing::ALL {
            let _ = self.erased.get_or_create(&why.label());
        }
        for outcome in SUBMIT_OUTCOMES {
            let _ = self.submissions.get_or_create(&ByOutcome { outcome });
        }
        for state in CaseState::NAMES {
            let _ = self.decisions.get_or_create(&ByState { state });
        }
        for event in Event::ALL.map(Event::as_str).into_iter().chain([UNKNOWN_EVENT]) {
            for outcome in TELL_OUTCOMES {
                let _ = self.tells.get_or_create(&ByEvent { event, outcome });
            }
        }
        for outcome in MAIL_OUTCOMES {
            let _ = self.mails.get_or_create(&ByOutcome { outcome });
        }
        for endpoint in ENDPOINTS {
            for outcome in CALL_OUTCOMES {
                let _ = self.calls.get_or_create(&ByCall { endpoint, outcome });
            }
        }
        for outcome in CALL_OUTCOMES {
            let _ = self.pauses.get_or_create(&ByOutcome { outcome });
        }
    }
}
