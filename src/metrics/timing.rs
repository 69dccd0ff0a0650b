//! Durations in buckets, counted without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of the buckets of a [`Timing`], in microseconds: from one group commit on a fast disk to the longest
/// wait for the store.
const TIMING_BOUNDS_MICROS: [u32; 14] = [
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// How many nanoseconds a microsecond has.
const NANOS_PER_MICRO: u64 = 1_000;

/// A histogram of durations without a lock, because one observation is made per callback and the library's takes one.
///
/// A scrape that runs beside observations may count one of them in a bucket and not yet in the sum; the next scrape
/// has both.
#[derive(Clone, Default)]
pub struct Timing {
    inner: Arc<TimingCells>,
}

#[derive(Default)]
struct TimingCells {
    within: [AtomicU64; TIMING_BOUNDS_MICROS.len()],
    beyond: AtomicU64,
    nanos: AtomicU64,
}

impl Timing {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = TIMING_BOUNDS_MICROS
            .iter()
            .zip(&self.inner.within)
            .find(|(bound, _)| nanos <= u64::from(**bound).saturating_mul(NANOS_PER_MICRO))
            .map_or(&self.inner.beyond, |(_, cell)| cell);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.inner.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets().iter().map(|(_, count)| count).sum()
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        let within = TIMING_BOUNDS_MICROS.iter().zip(&self.inner.within).map(|(bound, cell)| {
            let seconds = Duration::from_micros(u64::from(*bound)).as_secs_f64();
            (seconds, cell.load(Ordering::Relaxed))
        });
        within.chain([(f64::INFINITY, self.inner.beyond.load(Ordering::Relaxed))]).collect()
    }
}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl TypedMetric for Timing {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Timing {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        let buckets = self.buckets();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.inner.nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
