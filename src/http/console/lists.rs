//! The plain lists: callbacks, jobs, sweeps, deliveries, the audit record.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

use super::door::trouble;
use super::form::Form;
use super::shell::{Frame, Here, Said, words};
use super::table::{Asked, Cell, Field, ROWS, Table, Tone, cut};
use super::{Console, Signed};
use crate::domain::id::CustomerHashId;
use crate::domain::role::Need;
use crate::http::api::jobs::{bytes_of, place_of};
use crate::http::web::page;
use crate::ops::OpsError;
use crate::ops::jobs::JobView;
use crate::store::rows::audit::AuditFilter;
use crate::store::rows::watch::{JobFilter, JobKind, JobStatus, SweepRow};

/// A button with what it sends.
pub(super) struct Act {
    pub(super) path: &'static str,
    pub(super) form: String,
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) button: String,
}

/// A page that is a list.
#[derive(Template)]
#[template(path = "console_list.html")]
pub(super) struct List<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) path: &'static str,
    pub(super) lead: &'a str,
    pub(super) unread: Vec<String>,
    pub(super) fields: Vec<Field>,
    pub(super) acts: Vec<Act>,
    pub(super) table: Table,
}

/// `GET /callbacks?customer=&cursor=`
pub(super) async fn callbacks(
    State(state): Console,
    Extension(who): Extension<Signed>,
    uri: Uri,
) -> Response {
    let mut asked = Asked::of(&uri);
    let (customer, before) = (asked.customer(), asked.number());
    let found = match state.ops.callbacks(customer, before, ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/callbacks", &last.id.to_be_bytes()));
    let rows = found.into_iter().map(|row| {
        let source = match row.template {
            Some(template) => format!("{} {template}", row.source),
            None => row.source,
        };
        vec![
            Cell::at(row.received_at, now),
            Cell::customer(row.customer_hash_id),
            Cell::Text(source),
            Cell::Number(row.deliveries.to_string()),
            if row.deliveries > 1 { Cell::at(row.last_received_at, now) } else { Cell::Nothing },
            row.request_id.map_or(Cell::Nothing, Cell::Code),
        ]
    });
    let table = Table {
        caption: "Newest first; times are UTC.".to_owned(),
        heads: vec!["Received", "Customer", "From", "Deliveries", "Last delivery", "x-request-id"],
        rows: rows.collect(),
        empty: "No callback has come.",
        next,
    };
    let mut frame = state.frame(&who, Here::Callbacks, "Callbacks");
    frame.live = Some(String::new());
    let lead = "What knocked, and when. A callback says only that this customer should be looked at.";
    let fields = vec![Field::text("customer", "Customer", &asked)];
    page(
        StatusCode::OK,
        &List { frame, path: "/callbacks", lead, unread: asked.unread, fields, acts: Vec::new(), table },
    )
}

/// What the address, or a form, asks of jobs.
fn job_filter(kind: Option<&str>, status: Option<&str>, customer: Option<CustomerHashId>) -> JobFilter {
    JobFilter { kind: kind.and_then(JobKind::parse), status: status.and_then(JobStatus::parse), customer }
}

/// `GET /jobs?kind=&status=&customer=&cursor=`
pub(super) async fn jobs(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let filter = JobFilter {
        kind: asked.read("kind", JobKind::parse),
        status: asked.read("status", JobStatus::parse),
        customer: asked.customer(),
    };
    let after = asked.cursor().and_then(|bytes| place_of(&bytes));
    // Only who may set them going again needs to know how many there are.
    let may_retry = who.may(Need::Decide);
    let counted = if may_retry { state.ops.count_jobs(filter.clone()).await } else { Ok(0) };
    let found = state.ops.jobs(filter.clone(), after, ROWS + 1).await;
    let (found, retriable) = match (found, counted) {
        (Ok(found), Ok(retriable)) => (found, retriable),
        (Err(error), _) | (_, Err(error)) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/jobs", &bytes_of(last.place())));
    let table = Table {
        caption: "Those that wait for an officer, looks, then what is to be done to the outside.".to_owned(),
        heads: vec!["Job", "Status", "Customer", "Since", "Next try", "Attempts", "Why"],
        rows: found.iter().map(|job| job_cells(job, now)).collect(),
        empty: "Nothing waits here.",
        next,
    };
    let mut acts = Vec::new();
    if retriable > 0 {
        let mut hidden =
            vec![("confirm", retriable.to_string()), ("once", (state.ops.fresh_id)().to_string())];
        let parts = [
            ("kind", filter.kind.map(|kind| kind.as_str().to_owned())),
            ("status", filter.status.map(|status| status.as_str().to_owned())),
            ("customer", filter.customer.map(|customer| customer.to_string())),
        ];
        hidden.extend(parts.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let button = format!("Set {retriable} of them going again");
        acts.push(Act { path: "/jobs/retry", form: who.form.clone(), hidden, button });
    }
    let mut frame = state.frame(&who, Here::Jobs, "Jobs");
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    let lead = "Work that waits, is held, fails, was given up, or waits for a person.";
    let fields = vec![
        Field::choice("kind", "Job", &asked, JobKind::ALL.map(JobKind::as_str)),
        Field::choice("status", "Status", &asked, JobStatus::ALL.map(JobStatus::as_str)),
        Field::text("customer", "Customer", &asked),
    ];
    page(StatusCode::OK, &List { frame, path: "/jobs", lead, unread: asked.unread, fields, acts, table })
}

fn job_cells(job: &JobView, now: jiff::Timestamp) -> Vec<Cell> {
    let tone = match job.status() {
        JobStatus::Failing => Tone::Warn,
        JobStatus::Failed | JobStatus::Parked => Tone::Bad,
        JobStatus::Waiting | JobStatus::Held => Tone::Calm,
    };
    vec![
        Cell::Text(words(job.kind().as_str())),
        Cell::Badge(tone, job.status().as_str().to_owned()),
        Cell::customer(job.customer()),
        Cell::at(job.since(), now),
        Cell::maybe_at(job.due_at(), now),
        Cell::Number(job.attempts().to_string()),
        Cell::maybe(job.reason().map(words)),
    ]
}

/// `POST /jobs/retry`
pub(super) async fn retry(State(state): Console, Extension(who): Extension<Signed>, form: Form) -> Response {
    let customer = form.get("customer").and_then(CustomerHashId::parse);
    let filter = job_filter(form.get("kind"), form.get("status"), customer);
    let Some(expected) = form.get("confirm").and_then(|count| count.parse().ok()) else {
        return state.say("/jobs", "incomplete");
    };
    let body = json!({ "kind": form.get("kind"), "status": form.get("status"), "customer": customer, "confirm": expected });
    let once = form.once(&who, "jobs/retry", CustomerHashId::NOBODY);
    let body = body.to_string();
    match state.ops.retry_jobs(filter, expected, &who.name, body.as_bytes(), once.as_ref()).await {
        Ok(_) => state.say("/jobs", "retried"),
        Err(OpsError::CountChanged(_)) => state.say("/jobs", "count"),
        Err(OpsError::KeyReused) => state.say("/jobs", "twice"),
        Err(error) => trouble(&state, &error),
    }
}

/// `GET /sweeps?cursor=`
pub(super) async fn sweeps(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let found = match state.ops.sweeps(asked.number(), ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/sweeps", &last.id.to_be_bytes()));
    let runs = found.iter().any(|sweep| sweep.ended_at.is_none());
    let table = Table {
        caption: "Newest first; times are UTC.".to_owned(),
        heads: vec!["Sweep", "Asked by", "Begun", "Progress", "Customers", "Found", "Unreadable", "Outcome"],
        rows: found.iter().map(|sweep| sweep_cells(sweep, now)).collect(),
        empty: "There was no sweep yet.",
        next,
    };
    let mut acts = Vec::new();
    if !runs && who.may(Need::Decide) {
        let hidden = vec![("once", (state.ops.fresh_id)().to_string())];
        let button = "Read Nium's list now".to_owned();
        acts.push(Act { path: "/sweeps", form: who.form.clone(), hidden, button });
    }
    let mut frame = state.frame(&who, Here::Sweeps, "Sweeps");
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    let lead = "Walks over Nium's whole customer list, for what callbacks did not say.";
    let list = List { frame, path: "/sweeps", lead, unread: asked.unread, fields: Vec::new(), acts, table };
    page(StatusCode::OK, &list)
}

fn sweep_cells(sweep: &SweepRow, now: jiff::Timestamp) -> Vec<Cell> {
    let progress = match (sweep.ended_at, sweep.pages) {
        (Some(_), Some(pages)) => format!("{pages} pages"),
        (None, Some(pages)) => format!("page {} of {pages}", sweep.page),
        (_, None) => format!("page {}", sweep.page),
    };
    let outcome = match (sweep.outcome.as_deref(), sweep.trouble.as_deref()) {
        (Some("complete"), _) => Cell::Badge(Tone::Good, "complete".to_owned()),
        (Some(other), _) => Cell::Badge(Tone::Bad, words(other)),
        (None, Some(trouble)) => Cell::Badge(Tone::Warn, words(trouble)),
        (None, None) => Cell::Badge(Tone::Calm, "running".to_owned()),
    };
    vec![
        Cell::Text(format!("{} {}", sweep.id, sweep.kind)),
        Cell::Text(sweep.asked_by.clone()),
        Cell::at(sweep.asked_at, now),
        Cell::Text(progress),
        Cell::Number(sweep.seen.to_string()),
        Cell::Number(sweep.found.to_string()),
        Cell::Number(sweep.unreadable.to_string()),
        outcome,
    ]
}

/// `POST /sweeps`
pub(super) async fn sweep(State(state): Console, Extension(who): Extension<Signed>, form: Form) -> Response {
    let once = form.once(&who, "sweeps", CustomerHashId::NOBODY);
    match state.ops.ask_sweep(&who.name, b"", once.as_ref()).await {
        Ok(_) => state.say("/sweeps", "swept"),
        Err(error) => trouble(&state, &error),
    }
}

/// `GET /audit?customer=&actor=&what=&cursor=`
pub(super) async fn audit(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let filter = AuditFilter {
        customer: asked.customer(),
        actor: asked.get("actor").map(str::to_owned),
        what: asked.get("what").map(str::to_owned),
    };
    let found = match state.ops.audit(filter, asked.number(), ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/audit", &last.id.to_be_bytes()));
    let rows = found.into_iter().map(|row| {
        vec![
            Cell::at(row.at, now),
            Cell::Text(row.actor),
            Cell::Text(words(&row.what)),
            Cell::customer(row.customer_hash_id),
            row.detail.as_ref().map_or(Cell::Soft("erased".to_owned()), |detail| Cell::Soft(told(detail))),
            row.seq.map_or(Cell::Soft("in a moment".to_owned()), |seq| Cell::Number(seq.to_string())),
        ]
    });
    let table = Table {
        caption: "Newest first; times are UTC.".to_owned(),
        heads: vec!["When", "Who", "What", "Customer", "Particulars", "Place in the chain"],
        rows: rows.collect(),
        empty: "Nothing is on record for this.",
        next,
    };
    let mut frame = state.frame(&who, Here::Audit, "Audit");
    frame.live = Some(String::new());
    let lead =
        "Who did what. Each row is chained to the one before: `reinstate audit verify` finds any change.";
    let fields = vec![
        Field::text("customer", "Customer", &asked),
        Field::text("actor", "Who", &asked),
        Field::text("what", "What", &asked),
    ];
    page(
        StatusCode::OK,
        &List { frame, path: "/audit", lead, unread: asked.unread, fields, acts: Vec::new(), table },
    )
}

/// The particulars of a row, in a line.
pub(super) fn told(detail: &Value) -> String {
    let said = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match detail.as_object() {
        Some(parts) => {
            let parts = parts.iter().filter(|(_, value)| !value.is_null());
            parts.map(|(name, value)| format!("{name}: {}", said(value))).collect::<Vec<_>>().join(" · ")
        }
        None => said(detail),
    }
}
