//! What was measured, as medians and ratios, and the bars it is held against.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::Run;
use crate::servers::Kind;

/// The bars hold for this many connections.
pub(crate) const BAR_CONNECTIONS: u32 = 64;

/// Least share of the bare handler's callbacks per second.
const BARE_SHARE_MIN: f64 = 0.5;

/// Least share of the file log's callbacks per second.
const FILE_LOG_SHARE_MIN: f64 = 0.75;

/// Most processor time per callback, in that of the bare handler.
const CPU_RATIO_MAX: f64 = 2.5;

/// Longest 99th percentile of an answer, in median flushes of the disk.
const FLUSHES_MAX: f64 = 25.0;

/// Longest 99th percentile among idle connections, in that without them.
const IDLE_RATIO_MAX: f64 = 3.0;

/// One measurement, or the medians of several.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    per_second: f64,
    p50_millis: f64,
    p99_millis: f64,
    cpu_micros: f64,
}

impl Measured {
    pub(crate) fn new(run: &Run, cpu: Duration) -> Self {
        let acks = number(run.acks()).max(1.0);
        let millis = |quantile| number(run.latencies.value_at_quantile(quantile)) / 1000.0;
        Self {
            per_second: acks / run.took.as_secs_f64(),
            p50_millis: millis(0.5),
            p99_millis: millis(0.99),
            cpu_micros: cpu.as_secs_f64() * 1e6 / acks,
        }
    }

    fn medians(all: &[Measured]) -> Self {
        let of = |part: fn(&Measured) -> f64| median(all.iter().map(part).collect());
        Self {
            per_second: of(|one| one.per_second),
            p50_millis: of(|one| one.p50_millis),
            p99_millis: of(|one| one.p99_millis),
            cpu_micros: of(|one| one.cpu_micros),
        }
    }
}

/// Everything that was measured.
pub(crate) struct Report {
    flush: Duration,
    measured: BTreeMap<(u32, Kind), Vec<Measured>>,
    alone: Vec<Measured>,
    among_idle: Vec<Measured>,
}

impl Report {
    /// An empty report on a disk that takes this long for a flush.
    pub(crate) fn new(flush: Duration) -> Self {
        Self { flush, measured: BTreeMap::new(), alone: Vec::new(), among_idle: Vec::new() }
    }

    pub(crate) fn add(&mut self, connections: u32, kind: Kind, measured: Measured) {
        self.measured.entry((connections, kind)).or_default().push(measured);
    }

    /// Adds a pair of measurements of the service, without and with idle connections.
    pub(crate) fn add_idle(&mut self, alone: Measured, among_idle: Measured) {
        self.alone.push(alone);
        self.among_idle.push(among_idle);
    }

    fn medians(&self, connections: u32, kind: Kind) -> Option<Measured> {
        self.measured.get(&(connections, kind)).map(|all| Measured::medians(all))
    }

    /// Prints the table and the bars, and answers whether every bar is met.
    pub(crate) fn print(&self) -> bool {
        println!("fdatasync of 4 KiB, median: {:.3} ms\n", self.flush.as_secs_f64() * 1e3);
        println!("| connections | server | acks/s | p50 ms | p99 ms | CPU µs/ack | × bare | × file log |");
        println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        for (connections, kind) in self.measured.keys().copied() {
            let share =
                |of: Kind| self.share(connections, kind, of).map_or("-".to_owned(), |x| format!("{x:.2}"));
            let Some(one) = self.medians(connections, kind) else {
                continue;
            };
            println!(
                "| {connections} | {} | {:.0} | {:.3} | {:.3} | {:.1} | {} | {} |",
                kind.name(),
                one.per_second,
                one.p50_millis,
                one.p99_millis,
                one.cpu_micros,
                share(Kind::Bare),
                share(Kind::FileLog),
            );
        }
        println!();
        self.print_bars()
    }

    fn share(&self, connections: u32, kind: Kind, of: Kind) -> Option<f64> {
        let (one, other) = (self.medians(connections, kind)?, self.medians(connections, of)?);
        Some(one.per_second / other.per_second)
    }

    fn print_bars(&self) -> bool {
        let at = |kind| self.medians(BAR_CONNECTIONS, kind);
        let (Some(bare), Some(log), Some(ours)) = (at(Kind::Bare), at(Kind::FileLog), at(Kind::Reinstate))
        else {
            println!("bars: not judged, they need a run with {BAR_CONNECTIONS} connections");
            return false;
        };
        let flushes = ours.p99_millis / (self.flush.as_secs_f64() * 1e3);
        let mut verdicts = vec![
            at_least("acks/s against bare", ours.per_second / bare.per_second, BARE_SHARE_MIN),
            at_least("acks/s against the file log", ours.per_second / log.per_second, FILE_LOG_SHARE_MIN),
            at_most("CPU per ack against bare", ours.cpu_micros / bare.cpu_micros, CPU_RATIO_MAX),
            at_most("p99 against one fdatasync", flushes, FLUSHES_MAX),
        ];
        if !self.among_idle.is_empty() {
            let p99 = |all: &[Measured]| Measured::medians(all).p99_millis;
            let ratio = p99(&self.among_idle) / p99(&self.alone);
            verdicts.push(at_most("p99 among idle connections", ratio, IDLE_RATIO_MAX));
        }
        verdicts.into_iter().all(|met| met)
    }
}

fn at_least(what: &str, value: f64, bar: f64) -> bool {
    verdict(what, value, "≥", bar, value >= bar)
}

fn at_most(what: &str, value: f64, bar: f64) -> bool {
    verdict(what, value, "≤", bar, value <= bar)
}

fn verdict(what: &str, value: f64, sign: &str, bar: f64, met: bool) -> bool {
    println!("{} {what}: {value:.2} (bar {sign} {bar})", if met { "met   " } else { "MISSED" });
    met
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Counts and microseconds of a run fit 32 bits by far; a larger one shows as the largest.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
