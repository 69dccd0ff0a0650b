//! The numbers of the overview, counted by the side: journeys from the feed of events, who stands where, and the calls to
//! Nium of this process by the hour. No page waits for any of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::metrics::CallCounts;
use crate::store::error::StoreError;
use crate::store::rows::overview::{NIUM_MILLIS, NIUM_PAUSE, NIUM_PREFIX};

/// How often it is looked whether anything waits, in the machine's time.
const EVERY: Duration = Duration::from_secs(1);
/// Events counted in one transaction.
const STEP: usize = 200;
/// The rest after a full step: whoever writes meanwhile has the database most of the time.
const REST: Duration = Duration::from_millis(20);
/// How old the counts of who stands where may become.
const STANDINGS_EVERY: Duration = Duration::from_secs(15);
/// After counting who stands where, the rest is this many times as long as it took: it goes through whole tables, and has a
/// twentieth of one core at most.
const STANDINGS_REST: u32 = 20;
/// What a count costs at most, as a multiple of the one before: tables grow slowly, and the rest was spent waiting.
const STANDINGS_GROW: u32 = 4;
/// What the first count costs at most.
const STANDINGS_FIRST: Duration = Duration::from_millis(250);
/// How often calls to Nium are written down. What was not is lost with the process.
const CALLS_EVERY: Duration = Duration::from_secs(5);

/// Runs until `soft` is cancelled.
pub async fn count(worker: Arc<Worker>, soft: CancellationToken) {
    let (mut standings, mut calls) = (Standings::default(), Calls::new(&worker));
    while !soft.is_cancelled() {
        worker.metrics.set_paused(worker.lane.paused_until(worker.clock.now()));
        let mut wait = EVERY;
        let on_duty = worker.is_on_duty().await;
        worker.metrics.set_on_duty(on_duty);
        if on_duty {
            match worker.store.follow_journeys(STEP).await {
                Ok(STEP) => wait = REST,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "journeys could not be counted; it is tried again"),
            }
            if let Err(error) = standings.count_if_due(&worker).await {
                tracing::warn!(%error, "who stands where could not be counted; it is tried again");
            }
        }
        if calls.written_at.elapsed() >= CALLS_EVERY {
            calls.write_down(&worker).await;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = soft.cancelled() => {}
        }
    }
    calls.write_down(&worker).await;
}

/// When it was counted last who stands where, and what that cost.
#[derive(Default)]
struct Standings {
    counted_at: Option<Timestamp>,
    cost: Option<Duration>,
    rests_until: Option<Instant>,
}

impl Standings {
    async fn count_if_due(&mut self, worker: &Worker) -> Result<(), StoreError> {
        let fresh = self.counted_at.and_then(|at| at.checked_add(STANDINGS_EVERY).ok());
        let is_fresh = fresh.is_some_and(|until| worker.clock.now() < until);
        if is_fresh || self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let begun = Instant::now();
        let counted = worker.store.count_standings().await;
        let took = begun.elapsed();
        let cost = took.min(self.cost.map_or(STANDINGS_FIRST, |before| before * STANDINGS_GROW));
        self.cost = Some(cost.max(Duration::from_millis(1)));
        self.rests_until = Some(begun + took + cost * STANDINGS_REST);
        let (standings, at) = counted?;
        worker.store.put_standings(standings, at).await?;
        self.counted_at = Some(at);
        tracing::debug!(took_ms = took.as_millis(), "it is counted who stands where");
        Ok(())
    }
}

/// Calls to Nium that are not written down yet.
struct Calls {
    written: CallCounts,
    written_at: Instant,
}

impl Calls {
    fn new(worker: &Worker) -> Self {
        Self { written: worker.metrics.calls_so_far(), written_at: Instant::now() }
    }

    async fn write_down(&mut self, worker: &Worker) {
        self.written_at = Instant::now();
        let seen = worker.metrics.calls_so_far();
        let more = seen.since(&self.written);
        let mut counts: Vec<(String, u64)> = more
            .outcomes
            .iter()
            .map(|(outcome, count)| (format!("{NIUM_PREFIX}{outcome}"), *count))
            .collect();
        counts.push((NIUM_PAUSE.to_owned(), more.pauses));
        counts.push((NIUM_MILLIS.to_owned(), more.millis));
        counts.retain(|(_, count)| *count > 0);
        if counts.is_empty() {
            return;
        }
        match worker.store.count_in_hour(counts).await {
            Ok(()) => self.written = seen,
            // If the answer was lost they are counted twice: these are figures for people, not evidence.
            Err(error) => {
                tracing::debug!(%error, "calls to Nium could not be written down; it is tried again");
            }
        }
    }
}
