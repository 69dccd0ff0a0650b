//! The overview: how far rejected customers have come, who waits for whom, and how the service has been doing. Everything is
//! counted by the side (`worker::tally`) and read here from a few rows, however many customers there are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::domain::journey::{Journey, Measure, Outcome, Reach, Step, quantile};
use crate::store::rows::overview::{
    CALLBACK, DUE, FAILED_EFFECT, FAILING_EFFECT, FAILING_LOOK, FOUND_LATE, FOUND_MISSING, HourCount,
    JourneyPlace, JourneyRow, NIUM_MILLIS, NIUM_PAUSE, NIUM_PREFIX, OPEN_APPROVAL, OPEN_RFI, OverviewRows,
    REDELIVERY, Standing, Tally, UNFOLDED, UNLINKED,
};

/// Days of rejections that an overview shows, if nothing is said.
pub const DAYS_DEFAULT: u32 = 30;
/// Days of rejections that an overview shows at most.
pub const DAYS_MAX: u32 = 90;
/// Hours that an overview shows.
pub const HOURS_SHOWN: u32 = 48;

const DAY_MS: i64 = 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;

/// What Nium's calls come to when Nium is well.
const WELL: [&str; 3] = ["ok", "refused", "not_found"];

/// Everything at a glance.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// When it was read.
    pub at: Timestamp,
    /// Days of rejections that the funnel counts, today included.
    pub days: u32,
    /// When the first of them began, in UTC.
    pub since: Timestamp,
    /// From rejected to reinstated.
    pub funnel: Funnel,
    /// Who waits for whom.
    pub waiting: Waiting,
    /// The last hours, oldest first; the last one is not over.
    pub hours: Vec<Hour>,
    /// How calls to Nium go.
    pub nium: NiumPace,
    /// What else an operator watches.
    pub service: Service,
}

/// The journeys that began within some days, and how far they have come.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Funnel {
    /// The five steps of the way back, in order.
    pub steps: Vec<FunnelStep>,
    /// Journeys that ended without a way back.
    pub finally_rejected: u64,
    /// Journeys that have not ended.
    pub under_way: u64,
    /// Among the reinstated: those for whom nothing was submitted.
    pub unaided: u64,
    /// From the rejection to the reinstatement.
    pub whole_way: Times,
    /// Events that are not counted yet.
    pub behind: u64,
}

/// One step of the way back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunnelStep {
    /// Its word.
    pub step: &'static str,
    /// Journeys that have reached it.
    pub count: u64,
    /// Their share of all journeys.
    pub of_all: Option<f64>,
    /// Their share of those that reached the step before, where they came that way.
    pub of_previous: Option<f64>,
    /// How long it took from the step before.
    #[serde(flatten)]
    pub times: Times,
}

/// How long something took, in seconds, to two figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Half of them took no longer.
    pub median_seconds: Option<i64>,
    /// Nine in ten took no longer.
    pub p90_seconds: Option<i64>,
}

/// Who waits for whom.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// When it was counted; `None` before the first time.
    pub counted_at: Option<Timestamp>,
    /// For the customer.
    pub customer: Vec<Waits>,
    /// For Nium.
    pub nium: Vec<Waits>,
    /// For us.
    pub us: Vec<Waits>,
}

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// A state of cases, or another word.
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// Since when the oldest, where that is known.
    pub oldest_since: Option<Timestamp>,
}

/// What happened in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// When it begins.
    pub hour: Timestamp,
    /// Callbacks and webhooks, each once.
    pub callbacks: u64,
    /// Further deliveries of the same.
    pub redeliveries: u64,
    /// Changes found by asking, whose callback came later.
    pub found_late: u64,
    /// Changes found by asking, whose callback never came.
    pub found_missing: u64,
    /// Calls to Nium.
    pub nium_calls: u64,
    /// Those among them that Nium did not answer as it should.
    pub nium_errors: u64,
    /// Pauses of all calls.
    pub nium_pauses: u64,
}

/// How calls to Nium go.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NiumPace {
    /// Since when the following is counted: the hour before the present one.
    pub since: Timestamp,
    /// Calls.
    pub calls: u64,
    /// Those among them that Nium did not answer as it should.
    pub errors: u64,
    /// Calls by what they came to.
    pub outcomes: BTreeMap<String, u64>,
    /// Pauses of all calls.
    pub pauses: u64,
    /// How long a call took on average.
    pub mean_millis: Option<u64>,
    /// Calls a second that are allowed in the long run.
    pub requests_per_second: f64,
    /// Until when this process makes no calls, if it does not.
    pub paused_until: Option<Timestamp>,
}

/// What else an operator watches.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// When the last callback or webhook came.
    pub last_callback_at: Option<Timestamp>,
    /// Since when callbacks do not come although customers change, if it is so.
    pub callbacks_silent_since: Option<Timestamp>,
    /// Endpoints that are left alone.
    pub disabled_endpoints: u64,
    /// Rows of the audit record that wait for their place.
    pub audit_unlinked: u64,
    /// Customers who are due and not claimed.
    pub customers_due: u64,
    /// Callbacks on file that were not read yet.
    pub callbacks_unfolded: u64,
}

/// One journey as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JourneyView {
    #[serde(skip)]
    place: JourneyPlace,
    #[serde(skip)]
    journey: Journey,
    customer_hash_id: CustomerHashId,
    rejected_at: Timestamp,
    offered_at: Option<Timestamp>,
    corrected_at: Option<Timestamp>,
    submitted_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    outcome: Option<&'static str>,
    state: Option<String>,
}

impl JourneyView {
    /// Where it stands in the list.
    #[must_use]
    pub fn place(&self) -> JourneyPlace {
        self.place
    }

    /// Whose it is.
    #[must_use]
    pub fn customer(&self) -> CustomerHashId {
        self.customer_hash_id
    }

    /// When a step was reached, if it was.
    #[must_use]
    pub fn reached(&self, step: Step) -> Option<Timestamp> {
        self.journey.reached(step)
    }

    /// How it ended, and when.
    #[must_use]
    pub fn end(&self) -> Option<(Outcome, Timestamp)> {
        self.journey.end
    }

    /// The state of the case at present.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl Ops {
    /// Everything at a glance; the funnel is about rejections of the last `days` days.
    pub async fn overview(&self, days: u32) -> Result<Overview, OpsError> {
        let now = self.clock.now();
        let (since, hours_since) = (first_day(now, days), first_hour(now));
        let rows = self.store.overview(since, hours_since).await?;
        let OverviewRows { tally, standings, counted_at, hours, last_callback, .. } = &rows;
        let standing = |what: &str| standings.iter().find(|standing| standing.what == what);
        let count = |what: &str| standing(what).map_or(0, |standing| standing.count);
        Ok(Overview {
            at: now,
            days,
            since,
            funnel: funnel(tally),
            waiting: waiting(standings, *counted_at),
            hours: by_hour(hours, hours_since),
            nium: self.nium_pace(hours, now),
            service: Service {
                last_callback_at: *last_callback,
                callbacks_silent_since: rows.silent_since,
                disabled_endpoints: rows.disabled_endpoints,
                audit_unlinked: count(UNLINKED),
                customers_due: count(DUE),
                callbacks_unfolded: count(UNFOLDED),
            },
        })
    }

    /// Journeys of the last `days` days that came so far, newest first, after a place.
    pub async fn journeys(
        &self,
        reach: Reach,
        days: u32,
        after: Option<JourneyPlace>,
        most: usize,
    ) -> Result<Vec<JourneyView>, OpsError> {
        let since = first_day(self.clock.now(), days);
        let rows = self.store.journeys(reach, since, after, most).await?;
        Ok(rows.into_iter().map(view).collect())
    }

    fn nium_pace(&self, hours: &[HourCount], now: Timestamp) -> NiumPace {
        let since = hour_before(now);
        let recent = hours.iter().filter(|count| count.hour >= since);
        let mut pace = NiumPace {
            since,
            calls: 0,
            errors: 0,
            outcomes: BTreeMap::new(),
            pauses: 0,
            mean_millis: None,
            requests_per_second: self.requests_per_second,
            paused_until: self.work.paused_until(now),
        };
        let mut millis = 0;
        for HourCount { what, count, .. } in recent {
            match what.as_str() {
                NIUM_PAUSE => pace.pauses += count,
                NIUM_MILLIS => millis += count,
                what => {
                    let Some(outcome) = what.strip_prefix(NIUM_PREFIX) else { continue };
                    pace.calls += count;
                    pace.errors += if WELL.contains(&outcome) { 0 } else { *count };
                    *pace.outcomes.entry(outcome.to_owned()).or_insert(0) += count;
                }
            }
        }
        NiumPace { mean_millis: u64::checked_div(millis, pace.calls), ..pace }
    }
}

/// When the first of so many days began, today included, in UTC.
fn first_day(now: Timestamp, days: u32) -> Timestamp {
    let day = now.as_millisecond().div_euclid(DAY_MS) - i64::from(days.saturating_sub(1));
    Timestamp::from_millisecond(day * DAY_MS).unwrap_or(Timestamp::MIN)
}

fn begin_of_hour(now: Timestamp, back: i64) -> Timestamp {
    let hour = now.as_millisecond().div_euclid(HOUR_MS) - back;
    Timestamp::from_millisecond(hour * HOUR_MS).unwrap_or(Timestamp::MIN)
}

fn first_hour(now: Timestamp) -> Timestamp {
    begin_of_hour(now, i64::from(HOURS_SHOWN) - 1)
}

fn hour_before(now: Timestamp) -> Timestamp {
    begin_of_hour(now, 1)
}

fn funnel(tally: &Tally) -> Funnel {
    let counted = |measure: Measure| -> Vec<(u32, u64)> {
        let of_it = tally.counts.iter().filter(|(counted, ..)| *counted == measure);
        of_it.map(|(_, bucket, count)| (*bucket, *count)).collect()
    };
    let total = |measure: Measure| counted(measure).iter().map(|(_, count)| count).sum::<u64>();
    let times = |measure: Measure| {
        let counts = counted(measure);
        Times { median_seconds: quantile(&counts, 50), p90_seconds: quantile(&counts, 90) }
    };
    let reached = |step: Step| total(Measure::Reached(step));
    let (all, unaided) = (reached(Step::Rejected), total(Measure::Unaided));
    let mut steps = Vec::new();
    let mut before = None;
    for step in Step::ALL.into_iter().filter(|step| *step != Step::FinallyRejected) {
        let count = reached(step);
        let aided = if step == Step::Reinstated { count.saturating_sub(unaided) } else { count };
        steps.push(FunnelStep {
            step: step.as_str(),
            count,
            of_all: share(count, all),
            of_previous: before.and_then(|before| share(aided, before)),
            // A rejection follows upon nothing.
            times: if step == Step::Rejected { Times::default() } else { times(Measure::Reached(step)) },
        });
        before = Some(count);
    }
    let finally_rejected = reached(Step::FinallyRejected);
    Funnel {
        steps,
        finally_rejected,
        under_way: all.saturating_sub(reached(Step::Reinstated)).saturating_sub(finally_rejected),
        unaided,
        whole_way: times(Measure::WholeWay),
        behind: tally.behind,
    }
}

/// A share, to a thousandth; `None` of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    let thousandths = (part.min(whole) * 1_000 + whole / 2).checked_div(whole)?;
    Some(f64::from(u32::try_from(thousandths).ok()?) / 1_000.0)
}

fn waiting(standings: &[Standing], counted_at: Option<Timestamp>) -> Waiting {
    let group = |words: &[&'static str]| -> Vec<Waits> {
        let waits = |what: &&'static str| {
            let found = standings.iter().find(|standing| standing.what == **what);
            let (count, oldest) = found.map_or((0, None), |standing| (standing.count, standing.oldest));
            Waits { what, count, oldest_since: oldest }
        };
        words.iter().map(waits).collect()
    };
    Waiting {
        counted_at,
        customer: group(&["awaiting_correction", OPEN_RFI]),
        nium: group(&["watching", "submitting", "under_review"]),
        us: group(&["rejected", "needs_officer", OPEN_APPROVAL, FAILING_LOOK, FAILING_EFFECT, FAILED_EFFECT]),
    }
}

/// Every hour, also those in which nothing happened.
fn by_hour(counts: &[HourCount], since: Timestamp) -> Vec<Hour> {
    let hour_at = |place: u32| {
        let hours = SignedDuration::from_hours(i64::from(place));
        Hour { hour: since.checked_add(hours).unwrap_or(Timestamp::MAX), ..Hour::default() }
    };
    let mut hours: Vec<Hour> = (0..HOURS_SHOWN).map(hour_at).collect();
    for HourCount { hour, what, count } in counts {
        let Some(shown) = hours.iter_mut().find(|shown| shown.hour == *hour) else { continue };
        match what.as_str() {
            CALLBACK => shown.callbacks += count,
            REDELIVERY => shown.redeliveries += count,
            FOUND_LATE => shown.found_late += count,
            FOUND_MISSING => shown.found_missing += count,
            NIUM_PAUSE => shown.nium_pauses += count,
            NIUM_MILLIS => {}
            what => {
                if let Some(outcome) = what.strip_prefix(NIUM_PREFIX) {
                    shown.nium_calls += count;
                    shown.nium_errors += if WELL.contains(&outcome) { 0 } else { *count };
                }
            }
        }
    }
    hours
}

fn view(row: JourneyRow) -> JourneyView {
    let JourneyRow { place, journey, state } = row;
    JourneyView {
        place,
        journey,
        customer_hash_id: place.customer,
        rejected_at: journey.rejected_at,
        offered_at: journey.offered_at,
        corrected_at: journey.corrected_at,
        submitted_at: journey.submitted_at,
        ended_at: journey.end.map(|(_, at)| at),
        outcome: journey.end.map(|(outcome, _)| outcome.step().as_str()),
        state,
    }
}
