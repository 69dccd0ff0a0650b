//! Every metric as a field with its help text. Every label set exists from the start at zero, so that a rate over
//! something that has not happened yet is zero and not "no data". Rows are counted when they are scraped.

mod doors;
mod intake;
mod refusals;
mod reload;
mod rows;
mod timing;
mod work;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

pub use self::doors::DoorMetrics;
pub use self::intake::IntakeMetrics;
pub use self::refusals::{RefusalMetrics, Refusals};
pub use self::reload::ReloadMetrics;
pub use self::rows::{Reading, RowMetrics};
pub use self::timing::Timing;
pub use self::work::{CallCounts, Erasing, WorkMetrics};

/// All metrics of one service, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What the listeners count.
    pub doors: DoorMetrics,
    /// What was refused, and by which part.
    pub refusals: RefusalMetrics,
    /// Which configuration runs.
    pub reload: ReloadMetrics,
    /// What the intake counts.
    pub intake: IntakeMetrics,
    /// What the background work counts.
    pub work: WorkMetrics,
    /// What waits in the store.
    pub rows: RowMetrics,
    /// Spans that the collector took.
    pub traces_sent: Counter,
    /// Spans that were dropped.
    pub traces_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Fresh metrics, every series at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("reinstate");
        let (doors, refusals) = (DoorMetrics::default(), RefusalMetrics::default());
        doors.register(&mut registry);
        refusals.register(&mut registry);
        let reload = ReloadMetrics::default();
        reload.register(&mut registry);
        let (intake, work, rows) = (IntakeMetrics::default(), WorkMetrics::default(), RowMetrics::default());
        intake.register(&mut registry);
        work.register(&mut registry);
        rows.register(&mut registry);
        let (traces_sent, traces_dropped) = (Counter::default(), Counter::default());
        registry.register("traces_sent", "Spans that the collector of traces took", traces_sent.clone());
        registry.register(
            "traces_dropped",
            "Spans that were dropped: the collector did not take them, or the queue was full",
            traces_dropped.clone(),
        );
        Self { registry, doors, refusals, reload, intake, work, rows, traces_sent, traces_dropped }
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
