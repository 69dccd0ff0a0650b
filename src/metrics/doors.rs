//! What the listeners count: who is here, and who was shown out and why.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A label that says at which listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListener {
    listener: &'static str,
}

/// Labels that say at which listener, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListenerAndReason {
    listener: &'static str,
    reason: &'static str,
}

/// What the listeners count.
#[derive(Clone, Debug, Default)]
pub struct DoorMetrics {
    open: Family<ByListener, Gauge>,
    connections_refused: Family<ByListenerAndReason, Counter>,
    requests_refused: Family<ByListenerAndReason, Counter>,
}

impl DoorMetrics {
    /// Connections open at a listener. Keep the handle: looking it up takes a lock.
    #[must_use]
    pub fn open(&self, listener: &'static str) -> Gauge {
        self.open.get_or_create_owned(&ByListener { listener })
    }

    /// The counter of connections that a listener ended for `reason`.
    #[must_use]
    pub fn connections_refused(&self, listener: &'static str, reason: &'static str) -> Counter {
        self.connections_refused.get_or_create_owned(&ByListenerAndReason { listener, reason })
    }

    /// The counter of requests that a listener turned away for `reason`, before any route saw them.
    #[must_use]
    pub fn requests_refused(&self, listener: &'static str, reason: &'static str) -> Counter {
        self.requests_refused.get_or_create_owned(&ByListenerAndReason { listener, reason })
    }

    /// Makes the metrics visible to a scrape.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Connections open now, by listener", self.open.clone());
        registry.register(
            "connections_refused",
            "Connections that a listener ended, by listener and reason",
            self.connections_refused.clone(),
        );
        registry.register(
            "requests_refused",
            "Requests that a listener turned away because of its limits, by listener and reason",
            self.requests_refused.clone(),
        );
    }
}
