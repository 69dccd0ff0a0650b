//! What is counted about requests that are answered with a refusal: by which part of the service, and how.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Statuses that have a series of their own: those with which we refuse.
const STATUSES: [(u16, &str); 12] = [
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
];

/// The label of every other status from 400 to 499: what a framework may say one day.
const OTHER: &str = "other";

/// Labels that say by which part of the service, and with which status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPartAndStatus {
    part: &'static str,
    status: &'static str,
}

/// The refusals of every part.
#[derive(Clone, Debug, Default)]
pub struct RefusalMetrics {
    refusals: Family<ByPartAndStatus, Counter>,
}

impl RefusalMetrics {
    /// The counters of one part, all of them at zero until something is refused there.
    #[must_use]
    pub fn of(&self, part: &'static str) -> Refusals {
        let of = |status| self.refusals.get_or_create_owned(&ByPartAndStatus { part, status });
        Refusals { counters: STATUSES.map(|(status, label)| (status, of(label))), other: of(OTHER) }
    }

    /// Makes the metrics visible to a scrape.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "refusals",
            "Requests answered with a status from 400 to 499, by part of the service and status; callbacks and webhooks \
             have intake_refused and intake_bad_requests",
            self.refusals.clone(),
        );
    }
}

/// The refusals of one part of the service.
#[derive(Clone, Debug)]
pub struct Refusals {
    counters: [(u16, Counter); STATUSES.len()],
    other: Counter,
}

impl Refusals {
    /// Counts an answer, if it refuses. Takes no lock.
    pub fn count(&self, status: u16) {
        if (400..500).contains(&status) {
            let own = self.counters.iter().find(|(known, _)| *known == status);
            own.map_or(&self.other, |(_, counter)| counter).inc();
        }
    }
}
