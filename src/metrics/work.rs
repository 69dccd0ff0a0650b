//! What the background work counts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::timing::Timing;
use crate::domain::case::CaseState;
use crate::domain::effect::Event;

/// A label that says what something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
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

/// What looks come to.
pub const LOOK_OUTCOMES: [&str; 4] = ["seen", "not_found", "trouble", "unreadable"];
/// What pages of Nium's list come to.
pub const PAGE_OUTCOMES: [&str; 3] = ["read", "trouble", "unreadable"];
/// What submissions come to.
pub const SUBMIT_OUTCOMES: [&str; 5] = ["taken", "refused", "not_taken", "unclear", "no_such_customer"];
/// What an attempt to notify comes to.
pub const TELL_OUTCOMES: [&str; 3] = ["delivered", "later", "given_up"];
/// Outcomes of an attempt to write to a customer.
const MAIL_OUTCOMES: [&str; 4] = ["delivered", "later", "given_up", "overtaken"];
/// The endpoints of Nium that are called.
pub const ENDPOINTS: [&str; 7] = ["details", "add_customer", "list_v3", "list_v2", "block", "tags", "update"];
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
    /// Work whose lease was gone when it finished: nothing was written.
    pub leases_lost: Counter,
    sweep_pages: Family<ByOutcome, Counter>,
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
    }

    /// Counts a pause of all calls to Nium.
    pub fn pause(&self, reason: &'static str) {
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
            "sweep_pages",
            "Pages of Nium's customer list, by what they came to",
            self.sweep_pages.clone(),
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

    /// Every series is there from the start.
    fn touch(&self) {
        for outcome in LOOK_OUTCOMES {
            let _ = self.looks.get_or_create(&ByOutcome { outcome });
        }
        for outcome in PAGE_OUTCOMES {
            let _ = self.sweep_pages.get_or_create(&ByOutcome { outcome });
        }
        for outcome in SUBMIT_OUTCOMES {
            let _ = self.submissions.get_or_create(&ByOutcome { outcome });
        }
        for state in CaseState::NAMES {
            let _ = self.decisions.get_or_create(&ByState { state });
        }
        for event in Event::ALL {
            for outcome in TELL_OUTCOMES {
                let _ = self.tells.get_or_create(&ByEvent { event: event.as_str(), outcome });
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
