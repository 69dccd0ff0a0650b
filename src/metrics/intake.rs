//! What the intake counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::timing::Timing;
use crate::domain::nudge::Source;

/// A label that says through which door something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    source: &'static str,
}

/// A label that says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// What the intake counts: how many nudges were taken, how many not and why, and how long an answer took.
#[derive(Clone, Debug, Default)]
pub struct IntakeMetrics {
    acks: Family<BySource, Counter>,
    refused: Family<ByReason, Counter>,
    bad_requests: Family<ByReason, Counter>,
    /// Nudges answered 503 because neither database nor spool took them.
    pub store_failures: Counter,
    /// Nudges that went to the spool because the store was away.
    pub spooled: Counter,
    /// Time from the request's head to the 200, in seconds.
    pub ack_seconds: Timing,
}

impl IntakeMetrics {
    /// The counter of 200s sent through one door. Keep the handle: looking it up takes a lock.
    #[must_use]
    pub fn acks(&self, source: Source) -> Counter {
        self.acks.get_or_create_owned(&BySource { source: source.as_str() })
    }

    /// The counter of callers turned away for `reason`.
    #[must_use]
    pub fn refused(&self, reason: &'static str) -> Counter {
        self.refused.get_or_create_owned(&ByReason { reason })
    }

    /// The counter of requests that could not be understood for `reason`.
    #[must_use]
    pub fn bad_requests(&self, reason: &'static str) -> Counter {
        self.bad_requests.get_or_create_owned(&ByReason { reason })
    }

    /// Makes the metrics visible to a scrape.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("intake_acks", "Callbacks and webhooks answered 200, by source", self.acks.clone());
        registry.register(
            "intake_refused",
            "Callers turned away by the access rules, by reason",
            self.refused.clone(),
        );
        registry.register(
            "intake_bad_requests",
            "Requests at the intake that could not be understood, by reason",
            self.bad_requests.clone(),
        );
        registry.register(
            "intake_store_failures",
            "Callbacks and webhooks answered 503 because neither database nor spool took them",
            self.store_failures.clone(),
        );
        registry.register(
            "intake_spooled",
            "Callbacks and webhooks kept in the spool because the database did not take them",
            self.spooled.clone(),
        );
        registry.register_with_unit(
            "intake_ack",
            "Time from the request's head to its 200",
            Unit::Seconds,
            self.ack_seconds.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scrape(metrics: &IntakeMetrics) -> String {
        let mut registry = Registry::with_prefix("reinstate");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_duration_is_counted_in_its_bucket_and_every_larger_one() {
        let metrics = IntakeMetrics::default();
        metrics.ack_seconds.observe(Duration::from_micros(250));
        metrics.ack_seconds.observe(Duration::from_micros(251));
        metrics.ack_seconds.observe(Duration::from_mins(1));
        let text = scrape(&metrics);
        for line in [
            "reinstate_intake_ack_seconds_bucket{le=\"0.00025\"} 1",
            "reinstate_intake_ack_seconds_bucket{le=\"0.0005\"} 2",
            "reinstate_intake_ack_seconds_bucket{le=\"5.0\"} 2",
            "reinstate_intake_ack_seconds_bucket{le=\"+Inf\"} 3",
            "reinstate_intake_ack_seconds_count 3",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_counter_that_was_asked_for_shows_zero() {
        let metrics = IntakeMetrics::default();
        let _ = (metrics.acks(Source::Callback), metrics.refused("signature"));
        let text = scrape(&metrics);
        assert!(text.contains("reinstate_intake_acks_total{source=\"callback\"} 0"), "{text}");
        assert!(text.contains("reinstate_intake_refused_total{reason=\"signature\"} 0"), "{text}");
    }
}
