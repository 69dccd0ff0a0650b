//! `GET /cases/{id}`: one customer: where they stand and what happens next, Nium's words beside ours, everything that may be
//! done or why not, and what happened so far.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::door::trouble;
use super::offers::{Acts, acts};
use super::privacy::{self, Keeping};
use super::shell::{Frame, Here, Moment, Said, notice, words};
use super::table::{Cell, Tone};
use super::timeline::{Line, lines};
use super::{Console, ConsoleState, Signed};
use crate::domain::case::{CaseState, Stage};
use crate::domain::id::CustomerHashId;
use crate::domain::role::Need;
use crate::domain::snapshot::{BlockedBy, CustomerKind, NiumTime};
use crate::http::web::page;
use crate::ops::OpsError;
use crate::store::rows::CaseRow;
use crate::store::rows::privacy::HoldRow;

/// A fact with its name.
pub(super) type Fact = (&'static str, Cell);

#[derive(Template)]
#[template(path = "console_case.html")]
struct Case<'a> {
    frame: Frame<'a>,
    id: CustomerHashId,
    form: &'a str,
    once: String,
    state: Cell,
    since: Moment,
    marks: Vec<Cell>,
    sentence: String,
    ours: Vec<Fact>,
    nium: Vec<Fact>,
    asked: Vec<(String, String)>,
    acts: Acts,
    keeping: Keeping,
    may_manage: bool,
    lines: Vec<Line>,
    may_decide: bool,
    may_correct: bool,
}

/// What the case page shows, read in one go.
struct Read {
    row: CaseRow,
    shown: Value,
    lines: Vec<Line>,
    asked: Vec<(String, String)>,
    hold: Option<HoldRow>,
}

async fn read(state: &ConsoleState, id: CustomerHashId) -> Result<Read, OpsError> {
    let row = state.ops.standing(id).await?;
    let shown = serde_json::to_value(state.ops.show(id).await?)?;
    let timeline = state.ops.timeline(id).await?;
    let asked = if row.case.beside.rfi.is_some() { items(&state.ops.rfi(id).await?) } else { Vec::new() };
    let lines = lines(&timeline, state.ops.clock.now());
    let hold = state.ops.hold(id).await?;
    Ok(Read { row, shown, lines, asked, hold })
}

/// What Nium asks, by its own words.
fn items(rfi: &Value) -> Vec<(String, String)> {
    let items = rfi.get("items").and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| {
            let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let standing = if item.get("open") == Some(&Value::Bool(true)) { "open" } else { "answered" };
            (text("label"), standing.to_owned())
        })
        .collect()
}

/// `GET /cases/{id}`
pub(super) async fn show(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    let Some(id) = CustomerHashId::parse(&id) else { return nobody(&state, &who) };
    let read = match read(&state, id).await {
        Ok(read) => read,
        Err(OpsError::NoSuchCustomer) => {
            return match state.ops.erasure(id).await {
                Ok(Some(erasure)) => privacy::gone(&state, &who, &erasure),
                Ok(None) => nobody(&state, &who),
                Err(error) => trouble(&state, &error),
            };
        }
        Err(error) => return trouble(&state, &error),
    };
    let Read { row, shown, lines, asked, hold } = read;
    let now = state.ops.clock.now();
    let mut frame = state.frame(&who, Here::Cases, format!("Case {}", id.short()));
    (frame.said, frame.live) = (Said::of(&uri), Some(format!("?customer={id}")));
    let case = Case {
        id,
        form: &who.form,
        once: (state.ops.fresh_id)().to_string(),
        state: Cell::Badge(Tone::of_state(row.case.state.name()), words(row.case.state.name())),
        since: Moment::new(row.case.since, now),
        marks: marks(&row),
        sentence: sentence(&row, state.ops.submissions_max, now),
        ours: ours(&row, state.ops.submissions_max, now),
        nium: at_nium(&row, &shown, now),
        asked,
        keeping: Keeping::of(
            &row,
            hold.as_ref(),
            shown.pointer("/legalHold/reason").and_then(Value::as_str).map(str::to_owned),
            &who,
            &state,
        ),
        may_manage: who.may(Need::Manage),
        acts: acts(&row, &state.ops, &who),
        lines,
        may_decide: who.may(Need::Decide),
        may_correct: who.may(Need::Correct),
        frame,
    };
    page(StatusCode::OK, &case)
}

/// Nobody of this id is known.
pub(super) fn nobody(state: &ConsoleState, who: &Signed) -> Response {
    let frame = state.frame(who, Here::Cases, "Nobody of this id");
    let text =
        "No callback has named this customer yet, or the id is not one of Nium's: it is a UUID with hyphens.";
    notice(StatusCode::NOT_FOUND, frame, text, Some(("/cases", "All cases")))
}

/// What lies beside the state and should be seen at once.
fn marks(row: &CaseRow) -> Vec<Cell> {
    let mut marks = Vec::new();
    if let Some(block) = row.case.beside.block {
        let by = match block.by {
            BlockedBy::Client => "by us",
            BlockedBy::Nium => "by Nium",
            BlockedBy::Unsaid => "nobody says by whom",
        };
        let kind = if block.permanent { "Blocked for good" } else { "Blocked for now" };
        marks.push(Cell::Badge(Tone::Bad, format!("{kind}, {by}")));
    }
    if let Some(rfi) = row.case.beside.rfi {
        let (tone, text) =
            if rfi.overdue { (Tone::Bad, "information overdue") } else { (Tone::Warn, "information asked") };
        marks.push(Cell::Badge(tone, text.to_owned()));
    }
    if row.case.beside.reapplication {
        marks.push(Cell::Badge(Tone::Warn, "re-application".to_owned()));
    }
    if row.snapshot.as_ref().is_some_and(|kept| kept.facts.kind == CustomerKind::Corporate) {
        marks.push(Cell::Badge(Tone::Calm, "company".to_owned()));
    }
    if let Some(hand) = &row.in_hand {
        marks.push(Cell::Badge(Tone::Calm, format!("in the hands of {}", hand.by)));
    }
    marks
}

/// Where the customer stands and what happens next, in a sentence or two.
fn sentence(row: &CaseRow, submissions_max: u32, now: Timestamp) -> String {
    let age = |at: Timestamp| Moment::new(at, now).age;
    let case = &row.case;
    let stands = match &case.state {
        CaseState::Watching { .. } => "Nium is checking the customer.".to_owned(),
        CaseState::Rejected { .. } => "Nium rejected the customer just now; one more look decides.".to_owned(),
        CaseState::AwaitingCorrection { deadline, .. } => format!(
            "Nium rejected the customer, who was told and may hand in a correction until {} ({}). {} of {} submissions \
             are used.",
            Moment::new(*deadline, now).text,
            age(*deadline),
            case.attempts_used,
            submissions_max,
        ),
        CaseState::Submitting { stage: Stage::Intended { .. }, .. } => {
            "A correction was handed in and goes to Nium next.".to_owned()
        }
        CaseState::Submitting { stage: Stage::Sending { .. }, .. } => {
            "The correction is being sent to Nium.".to_owned()
        }
        CaseState::Submitting { stage: Stage::Unclear { .. }, .. } => {
            "The correction was sent, and nobody knows whether Nium took it: Nium is looked at before anything is sent again."
                .to_owned()
        }
        CaseState::UnderReview { taken_at, .. } => {
            format!("Nium took the correction {} and is deciding.", age(*taken_at))
        }
        CaseState::Reinstated => "The customer was rejected, corrected, and is verified now.".to_owned(),
        CaseState::Approved => "The customer is verified and was never rejected.".to_owned(),
        CaseState::FinallyRejected { why } => {
            format!("The rejection is final ({}). Only an officer, or Nium itself, leads on.", words(why.as_str()))
        }
        CaseState::NeedsOfficer { why, .. } => {
            let hands = row.in_hand.as_ref().map_or_else(
                || "Nobody has taken it in hand.".to_owned(),
                |hand| format!("{} has it in hand.", hand.by),
            );
            format!("An officer has to decide: {}. {hands}", words(why.as_str()))
        }
    };
    match row.next {
        Some(next) => format!("{stands} Next: {}, {}.", words(next.what.as_str()), age(next.at)),
        None => format!("{stands} Nothing is planned."),
    }
}

fn ours(row: &CaseRow, submissions_max: u32, now: Timestamp) -> Vec<Fact> {
    let case = &row.case;
    let mut facts = vec![
        ("State", Cell::Badge(Tone::of_state(case.state.name()), words(case.state.name()))),
        ("Since", Cell::at(case.since, now)),
        ("Version", Cell::Number(case.version.to_string())),
        ("Submissions", Cell::Text(format!("{} of {submissions_max}", case.attempts_used))),
    ];
    if let CaseState::AwaitingCorrection { grounds, deadline, .. } = &case.state {
        facts.push(("Deadline", Cell::at(*deadline, now)));
        let rule = grounds.rule.as_ref().map(|rule| format!(" by the rule {rule}")).unwrap_or_default();
        facts.push(("Remark", Cell::Text(format!("{}{rule}", grounds.class.as_str()))));
        if !grounds.fields.is_empty() {
            facts.push(("To correct", Cell::Text(grounds.fields.join(", "))));
        }
    }
    if let Some(rfi) = case.beside.rfi {
        facts.push(("Information until", Cell::at(rfi.deadline, now)));
    }
    if let Some(next) = row.next {
        facts.push(("Next", Cell::Text(words(next.what.as_str()))));
        facts.push(("At", Cell::at(next.at, now)));
    }
    facts
}

fn at_nium(row: &CaseRow, shown: &Value, now: Timestamp) -> Vec<Fact> {
    let Some(kept) = &row.snapshot else { return Vec::new() };
    let facts = &kept.facts;
    let said = |pointer: &str| Cell::maybe(shown.pointer(pointer).and_then(Value::as_str));
    let mut found = vec![
        ("Status", Cell::maybe(facts.status.as_ref().map(ToString::to_string))),
        ("Compliance", Cell::maybe(facts.compliance.as_ref().map(ToString::to_string))),
        ("Remarks", said("/nium/remarks")),
        ("Compliance remarks", said("/nium/complianceRemarks")),
        ("Changed at Nium", Cell::maybe(facts.updated_at.as_ref().map(NiumTime::as_str))),
        ("Looked at", Cell::at(kept.looked_at, now)),
    ];
    if row.case.beside.block.is_some() {
        found.push(("Block reason", said("/block/reason")));
        found.push(("Block comment", said("/block/comment")));
    }
    found
}
