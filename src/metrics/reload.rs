//! What is counted about a configuration that is read again while the service runs.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A label that says what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// Labels that say whose, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListenerAndOutcome {
    listener: &'static str,
    outcome: &'static str,
}

/// The name of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFingerprint {
    fingerprint: String,
}

/// Which configuration runs, and what came of reading it again.
#[derive(Clone, Debug, Default)]
pub struct ReloadMetrics {
    reloads: Family<ByOutcome, Counter>,
    certificates: Family<ByListenerAndOutcome, Counter>,
    fingerprint: Family<ByFingerprint, Gauge>,
    /// Keys that were changed and wait for a restart.
    pub restart_needed: Gauge,
}

impl ReloadMetrics {
    /// The counter of reloads that came to `outcome`.
    #[must_use]
    pub fn reloads(&self, outcome: &'static str) -> Counter {
        self.reloads.get_or_create_owned(&ByOutcome { outcome })
    }

    /// The counter of changed certificates of a listener that came to `outcome`.
    #[must_use]
    pub fn certificates(&self, listener: &'static str, outcome: &'static str) -> Counter {
        self.certificates.get_or_create_owned(&ByListenerAndOutcome { listener, outcome })
    }

    /// Says which configuration runs now, and no other.
    pub fn runs(&self, fingerprint: &str) {
        self.fingerprint.clear();
        self.fingerprint.get_or_create_owned(&ByFingerprint { fingerprint: fingerprint.to_owned() }).set(1);
    }

    /// Makes the metrics visible to a scrape.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "config_reload",
            "Times that the configuration was read again, by outcome",
            self.reloads.clone(),
        );
        registry.register(
            "config_restart_needed",
            "Settings that were changed and take effect at the next start only",
            self.restart_needed.clone(),
        );
        registry.register(
            "config_fingerprint",
            "1 for the configuration that runs, under its short name",
            self.fingerprint.clone(),
        );
        registry.register(
            "certificate_reload",
            "Changed certificates of a listener that were read, by outcome",
            self.certificates.clone(),
        );
    }
}
