//! The first page: how far rejected customers have come, who waits for whom, and how the service has been doing. Every number
//! leads to its list.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;

use super::chart::{Column, Columns, Ink, Part, bar, flow, grouped, patterns};
use super::door::trouble;
use super::lists::List;
use super::shell::{Frame, Here, Moment, span, words};
use super::table::{Asked, Cell, Field, ROWS, Table, Tone, cut};
use super::{Console, Signed};
use crate::domain::journey::{Reach, Step};
use crate::http::api::overview::{bytes_of, place_of};
use crate::http::web::page;
use crate::ops::overview::{DAYS_DEFAULT, DAYS_MAX, Funnel, Hour, Overview, Times, Waits};

/// The spans that the funnel is shown for, in days.
const SPANS: [u32; 3] = [7, 30, 90];
/// Rows of the audit record that may wait for their place without anybody wondering.
const UNLINKED_CALM: u64 = 400;
/// Seconds after which it is worth a look that somebody waits for us.
const LONG: i64 = 24 * 3_600;

/// The page.
#[derive(Template)]
#[template(path = "console_overview.html")]
struct Page<'a> {
    frame: Frame<'a>,
    days: u32,
    spans: Vec<(u32, bool)>,
    signs: Vec<Sign>,
    steps: Vec<StepShown>,
    ends: Vec<End>,
    behind: Option<String>,
    sides: Vec<Side>,
    counted: Option<Moment>,
    patterns: String,
    charts: Vec<Chart>,
    hours: Table,
}

/// A word about how the service is.
struct Sign {
    name: &'static str,
    tone: Tone,
    badge: String,
    text: String,
    href: &'static str,
}

/// A step of the funnel.
struct StepShown {
    name: &'static str,
    href: String,
    count: String,
    of_all: Option<String>,
    bar: String,
    /// How many went on to it from the step before, and how fast.
    onward: Option<(String, Option<String>, String)>,
}

/// What became of those who are not on their way any more, and how long it took.
struct End {
    name: &'static str,
    value: String,
    href: Option<String>,
}

/// Those who are waited for.
struct Side {
    name: &'static str,
    about: &'static str,
    rows: Vec<WaitShown>,
}

struct WaitShown {
    name: String,
    href: &'static str,
    count: String,
    oldest: Option<Moment>,
    is_long: bool,
    /// Nothing where nobody waits.
    bar: Option<String>,
}

/// A chart with what explains it.
struct Chart {
    title: &'static str,
    drawn: Option<String>,
    legend: Vec<Key>,
    facts: Vec<(&'static str, String)>,
}

/// A line of a legend.
struct Key {
    sample: String,
    name: &'static str,
    count: String,
    href: Option<&'static str>,
}

/// `GET /?days=`
pub(super) async fn show(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let days = days_of(&mut asked);
    let overview = match state.ops.overview(days).await {
        Ok(overview) => overview,
        Err(error) => return trouble(&state, &error),
    };
    let now = overview.at;
    let mut frame = state.frame(&who, Here::Overview, "Overview");
    frame.live = Some(String::new());
    let behind = (overview.funnel.behind > 0)
        .then(|| format!("{} events are not counted yet.", grouped(overview.funnel.behind)));
    let shown = Page {
        frame,
        days,
        spans: SPANS.map(|span| (span, span == days)).to_vec(),
        signs: signs(&overview, state.health.intake().status),
        steps: steps(&overview.funnel, days),
        ends: ends(&overview.funnel, days),
        behind,
        sides: sides(&overview, now),
        counted: overview.waiting.counted_at.map(|at| Moment::new(at, now)),
        patterns: patterns(),
        charts: vec![callbacks_chart(&overview.hours), nium_chart(&overview)],
        hours: hours_table(&overview.hours),
    };
    page(StatusCode::OK, &shown)
}

/// `GET /journeys?step=&days=&cursor=`
pub(super) async fn journeys(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let days = days_of(&mut asked);
    let reach = asked.read("step", Reach::parse).unwrap_or(Reach::Step(Step::Rejected));
    let after = asked.cursor().and_then(|bytes| place_of(&bytes));
    let found = match state.ops.journeys(reach, days, after, ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/journeys", &bytes_of(last.place())));
    let rows = found.iter().map(|journey| {
        let state =
            journey.state().map_or(Cell::Nothing, |state| Cell::Badge(Tone::of_state(state), words(state)));
        let mut cells = vec![Cell::customer(Some(journey.customer())), state];
        cells.push(Cell::at(journey.reached(Step::Rejected).unwrap_or(now), now));
        for step in [Step::Offered, Step::Corrected, Step::Submitted] {
            cells.push(after_rejection(journey.reached(Step::Rejected), journey.reached(step)));
        }
        let end = journey.end();
        cells.push(after_rejection(journey.reached(Step::Rejected), end.map(|(_, at)| at)));
        cells.push(Cell::maybe(end.map(|(outcome, _)| words(outcome.step().as_str()))));
        cells
    });
    let table = Table {
        caption: "Newest rejection first; times are UTC, and how long after the rejection.".to_owned(),
        heads: vec!["Customer", "Now", "Rejected", "Offered", "Corrected", "Taken", "Ended", "How"],
        rows: rows.collect(),
        empty: "Nobody has come so far within these days.",
        next,
    };
    let mut frame = state.frame(&who, Here::Overview, format!("Journeys: {}", words(reach.as_str())));
    frame.live = Some(String::new());
    let fields = vec![
        Field::choice("step", "Has come to", &asked, Reach::ALL.map(Reach::as_str)),
        Field::choice("days", "Rejected within days", &asked, ["7", "30", "90"]),
    ];
    let lead =
        "Rejected customers, and how far each has come. Who came back and was rejected again is here twice.";
    page(
        StatusCode::OK,
        &List { frame, path: "/journeys", lead, unread: asked.unread, fields, acts: Vec::new(), table },
    )
}

fn days_of(asked: &mut Asked) -> u32 {
    let days = |text: &str| text.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    asked.read("days", days).unwrap_or(DAYS_DEFAULT)
}

fn after_rejection(rejected: Option<Timestamp>, at: Option<Timestamp>) -> Cell {
    let Some((rejected, at)) = rejected.zip(at) else { return Cell::Nothing };
    Cell::Text(match at.duration_since(rejected).as_secs() {
        ..1 => "at once".to_owned(),
        seconds => format!("after {}", span(seconds)),
    })
}

/// A number of things: "1 callback", "2 callbacks".
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

fn signs(overview: &Overview, intake: &str) -> Vec<Sign> {
    let (service, nium, now) = (&overview.service, &overview.nium, overview.at);
    let heard = service.last_callback_at.map(|at| Moment::new(at, now).age);
    let heard = heard.map_or("None has come yet".to_owned(), |age| format!("The last came {age}"));
    let (tone, badge) = match service.callbacks_silent_since {
        Some(_) => (Tone::Bad, "silent"),
        None if service.last_callback_at.is_none() => (Tone::Calm, "waiting"),
        None => (Tone::Good, "heard"),
    };
    let sign = |name, tone, badge: &str, text, href| Sign { name, tone, badge: badge.to_owned(), text, href };
    let calls =
        format!("{} of {} went wrong lately", grouped(nium.errors), counted(nium.calls, "call", "calls"));
    let (nium_tone, nium_badge) = match nium.paused_until {
        Some(until) => (Tone::Bad, format!("paused, {}", Moment::new(until, now).age)),
        None if nium.errors * 10 > nium.calls => (Tone::Warn, "in trouble".to_owned()),
        None => (Tone::Good, "answers".to_owned()),
    };
    let unlinked = service.audit_unlinked;
    let is_linked = unlinked <= UNLINKED_CALM;
    vec![
        sign("Callbacks", tone, badge, heard, "/callbacks"),
        sign(
            "Intake",
            if intake == "ready" { Tone::Good } else { Tone::Warn },
            intake,
            match service.customers_due {
                0 => "Nobody is due".to_owned(),
                due => format!("{} due", counted(due, "customer is", "customers are")),
            },
            "/jobs?kind=look&status=waiting",
        ),
        Sign { name: "Nium", tone: nium_tone, badge: nium_badge, text: calls, href: "/jobs?kind=look" },
        sign(
            "Endpoints",
            if service.disabled_endpoints == 0 { Tone::Good } else { Tone::Bad },
            if service.disabled_endpoints == 0 { "well" } else { "failing" },
            match service.disabled_endpoints {
                0 => "None is left alone".to_owned(),
                some => format!("{} left alone", counted(some, "is", "are")),
            },
            "/settings#endpoints",
        ),
        sign(
            "Record",
            if is_linked { Tone::Good } else { Tone::Bad },
            if is_linked { "chained" } else { "behind" },
            match unlinked {
                0 => "Every row has its place".to_owned(),
                some => format!("{} for the chain", counted(some, "row waits", "rows wait")),
            },
            "/audit",
        ),
    ]
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 { "under 1 %".to_owned() } else { format!("{:.0} %", share * 100.0) }
}

fn took(times: Times) -> Option<String> {
    let said = |seconds: i64| if seconds < 1 { "a second".to_owned() } else { span(seconds) };
    let (median, p90) = (times.median_seconds?, times.p90_seconds?);
    if p90 < 1 {
        return Some("at once".to_owned());
    }
    Some(format!("half within {}, nine in ten within {}", said(median), said(p90)))
}

fn steps(funnel: &Funnel, days: u32) -> Vec<StepShown> {
    let name = |step: &str| match Step::parse(step) {
        Some(Step::Offered) => "Offered a way back",
        Some(Step::Corrected) => "Handed in a correction",
        Some(Step::Submitted) => "Taken by Nium",
        Some(Step::Reinstated) => "Reinstated",
        Some(Step::Rejected | Step::FinallyRejected) | None => "Rejected",
    };
    let all = funnel.steps.first().map_or(0, |step| step.count);
    let mut before = 0;
    let mut shown = Vec::new();
    for (place, step) in funnel.steps.iter().enumerate() {
        let share = (step.count * 1_000).checked_div(all).unwrap_or(0);
        let went_on =
            step.of_previous.map_or("nobody yet".to_owned(), |share| format!("{} went on", percent(share)));
        let onward = (place > 0).then(|| (went_on, took(step.times), flow(before, share)));
        let kind = if step.step == Step::Reinstated.as_str() { "good" } else { "step" };
        shown.push(StepShown {
            name: name(step.step),
            href: format!("/journeys?step={}&days={days}", step.step),
            count: grouped(step.count),
            of_all: step.of_all.filter(|_| place > 0).map(percent),
            bar: bar(share, kind),
            onward,
        });
        before = share;
    }
    shown
}

fn ends(funnel: &Funnel, days: u32) -> Vec<End> {
    let list = |reach: Reach| Some(format!("/journeys?step={}&days={days}", reach.as_str()));
    let times = funnel.whole_way;
    let said = |seconds: Option<i64>| seconds.map_or("–".to_owned(), |seconds| span(seconds.max(1)));
    vec![
        End { name: "Still on their way", value: grouped(funnel.under_way), href: list(Reach::UnderWay) },
        End {
            name: "Finally rejected",
            value: grouped(funnel.finally_rejected),
            href: list(Reach::Step(Step::FinallyRejected)),
        },
        End {
            name: "Reinstated with nothing submitted",
            value: grouped(funnel.unaided),
            href: list(Reach::Unaided),
        },
        End {
            name: "From rejected to reinstated: half within",
            value: said(times.median_seconds),
            href: None,
        },
        End { name: "Nine in ten within", value: said(times.p90_seconds), href: None },
    ]
}

/// What waits, as people read it, and its list.
fn place_of_wait(what: &str) -> (String, &'static str) {
    let (name, href) = match what {
        "awaiting_correction" => ("Asked for a correction", "/cases?state=awaiting_correction"),
        "rfi" => ("Asked for information", "/cases?complianceStatus=RFI_REQUESTED"),
        "watching" => ("Being checked", "/cases?state=watching"),
        "submitting" => ("Correction on its way", "/cases?state=submitting"),
        "under_review" => ("Correction under review", "/cases?state=under_review"),
        "rejected" => ("Read once more", "/cases?state=rejected"),
        "needs_officer" => ("An officer's decision", "/cases?state=needs_officer"),
        "approval" => ("A second person", "/approvals"),
        "failing_look" => ("Looks that fail", "/jobs?kind=look&status=failing"),
        "failing_effect" => ("Messages that fail", "/jobs?status=failing"),
        "failed_effect" => ("Messages given up", "/jobs?status=failed"),
        other => return (words(other), "/jobs"),
    };
    (name.to_owned(), href)
}

fn sides(overview: &Overview, now: Timestamp) -> Vec<Side> {
    let waiting = &overview.waiting;
    let all = waiting.customer.iter().chain(&waiting.nium).chain(&waiting.us);
    let most = all.map(|waits| waits.count).max().unwrap_or(0).max(1);
    let side = |name, about, waits: &[Waits], is_ours: bool| Side {
        name,
        about,
        rows: waits.iter().map(|waits| wait_shown(waits, most, is_ours, now)).collect(),
    };
    vec![
        side("The customer", "They were asked, and have not answered.", &waiting.customer, false),
        side("Nium", "It checks, or has a correction before it.", &waiting.nium, false),
        side("Us", "Somebody here has to act, or something keeps failing.", &waiting.us, true),
    ]
}

fn wait_shown(waits: &Waits, most: u64, is_ours: bool, now: Timestamp) -> WaitShown {
    let (name, href) = place_of_wait(waits.what);
    let age = waits.oldest_since.map(|at| now.duration_since(at).as_secs());
    WaitShown {
        name,
        href,
        count: grouped(waits.count),
        oldest: waits.oldest_since.filter(|_| waits.count > 0).map(|at| Moment::new(at, now)),
        is_long: is_ours && waits.count > 0 && age.is_some_and(|age| age > LONG),
        bar: (waits.count > 0)
            .then(|| bar(waits.count.saturating_mul(1_000) / most, if is_ours { "ours" } else { "step" })),
    }
}

/// The day and the hour, for whoever points at a column.
fn hour_said(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a %-d %b, %H:00 UTC").to_string()
}

/// What stands below a column: the day at midnight, and noon.
fn tick(at: Timestamp) -> Option<String> {
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    match at.hour() {
        0 => Some(at.strftime("%a %-d").to_string()),
        12 => Some("12:00".to_owned()),
        _ => None,
    }
}

fn key(ink: Ink, name: &'static str, values: &[u64], href: Option<&'static str>) -> Key {
    Key { sample: ink.sample(), name, count: grouped(values.iter().sum()), href }
}

fn callbacks_chart(hours: &[Hour]) -> Chart {
    let of = |pick: fn(&Hour) -> u64| hours.iter().map(pick).collect::<Vec<u64>>();
    let (callbacks, again) = (of(|hour| hour.callbacks), of(|hour| hour.redeliveries));
    let (late, missing) = (of(|hour| hour.found_late), of(|hour| hour.found_missing));
    let columns = hours.iter().map(|hour| Column {
        said: format!(
            "{}: {}, {}, {} late, {} missing",
            hour_said(hour.hour),
            counted(hour.callbacks, "callback", "callbacks"),
            counted(hour.redeliveries, "redelivery", "redeliveries"),
            grouped(hour.found_late),
            grouped(hour.found_missing)
        ),
        tick: tick(hour.hour),
    });
    let legend = vec![
        key(Ink::Plain, "Callbacks", &callbacks, Some("/callbacks")),
        key(Ink::Hatched, "The same again", &again, Some("/callbacks")),
        key(Ink::Dotted, "Found by asking; the callback came late", &late, Some("/sweeps")),
        key(Ink::Crossed, "Found by asking; no callback came", &missing, Some("/sweeps")),
    ];
    let is_empty = [&callbacks, &again, &late, &missing].into_iter().flatten().all(|count| *count == 0);
    let chart = Columns {
        id: "callbacks-chart",
        title: "Callbacks per hour",
        about: "Columns for the last 48 hours; the same numbers stand in the table below.".to_owned(),
        all: columns.collect(),
        parts: vec![
            Part { ink: Ink::Plain, values: callbacks },
            Part { ink: Ink::Hatched, values: again },
            Part { ink: Ink::Dotted, values: late },
            Part { ink: Ink::Crossed, values: missing },
        ],
    };
    Chart {
        title: "Callbacks per hour",
        drawn: (!is_empty).then(|| chart.drawn()),
        legend,
        facts: Vec::new(),
    }
}

fn nium_chart(overview: &Overview) -> Chart {
    let (hours, nium) = (&overview.hours, &overview.nium);
    let well =
        hours.iter().map(|hour| hour.nium_calls.saturating_sub(hour.nium_errors)).collect::<Vec<u64>>();
    let errors = hours.iter().map(|hour| hour.nium_errors).collect::<Vec<u64>>();
    let columns = hours.iter().map(|hour| Column {
        said: format!(
            "{}: {}, {}, {}",
            hour_said(hour.hour),
            counted(hour.nium_calls, "call", "calls"),
            counted(hour.nium_errors, "error", "errors"),
            counted(hour.nium_pauses, "pause", "pauses")
        ),
        tick: tick(hour.hour),
    });
    let legend = vec![
        key(Ink::Plain, "Answered", &well, Some("/jobs?kind=look")),
        key(Ink::Crossed, "Not answered as it should be", &errors, Some("/jobs?kind=look&status=failing")),
    ];
    let is_empty = well.iter().chain(&errors).all(|count| *count == 0);
    let chart = Columns {
        id: "nium-chart",
        title: "Calls to Nium per hour",
        about: "Columns for the last 48 hours; the same numbers stand in the table below.".to_owned(),
        all: columns.collect(),
        parts: vec![Part { ink: Ink::Plain, values: well }, Part { ink: Ink::Crossed, values: errors }],
    };
    let mut facts = vec![("Allowed", format!("{} calls a second", nium.requests_per_second))];
    if let Some(millis) = nium.mean_millis {
        facts.push(("A call takes", format!("{} ms on average", grouped(millis))));
    }
    facts.push(("Pauses lately", grouped(nium.pauses)));
    let wrong = nium
        .outcomes
        .iter()
        .filter(|(outcome, _)| !["ok", "refused", "not_found"].contains(&outcome.as_str()));
    let wrong: Vec<String> =
        wrong.map(|(outcome, count)| format!("{} {}", grouped(*count), words(outcome))).collect();
    if !wrong.is_empty() {
        facts.push(("Errors lately", wrong.join(", ")));
    }
    Chart { title: "Calls to Nium per hour", drawn: (!is_empty).then(|| chart.drawn()), legend, facts }
}

/// The charts as a table, newest hour first.
fn hours_table(hours: &[Hour]) -> Table {
    let cells = |hour: &Hour| {
        let counts = [
            hour.callbacks,
            hour.redeliveries,
            hour.found_late,
            hour.found_missing,
            hour.nium_calls,
            hour.nium_errors,
            hour.nium_pauses,
        ];
        let mut cells = vec![Cell::Text(hour_said(hour.hour))];
        cells.extend(counts.map(|count| Cell::Number(grouped(count))));
        cells
    };
    Table {
        caption: "Newest hour first.".to_owned(),
        heads: vec!["Hour", "Callbacks", "Again", "Found late", "Found missing", "Calls", "Errors", "Pauses"],
        rows: hours.iter().rev().map(cells).collect(),
        empty: "",
        next: None,
    }
}
