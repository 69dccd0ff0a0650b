//! `GET /approvals`: what waits for a second person, and what was decided; `POST /approvals/{id}`: the verdict.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

use super::door::trouble;
use super::form::Form;
use super::shell::{Frame, Here, Moment, Said, words};
use super::table::{Asked, ROWS, cut};
use super::{Console, Signed};
use crate::domain::id::CustomerHashId;
use crate::domain::role::Need;
use crate::http::api::officer::{bytes_of, place_of};
use crate::http::web::page;
use crate::ops::OpsError;
use crate::ops::approvals::Verdict;
use crate::ops::officer::note;

/// One approval in words.
struct Item {
    id: String,
    customer: String,
    what: String,
    /// Reason and comment of a block.
    particulars: Option<String>,
    asked: String,
    note: Option<String>,
    status: String,
    is_open: bool,
    ends: Option<String>,
    decided: Option<String>,
    decided_note: Option<String>,
    /// Why whoever looks cannot decide.
    why_not: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "console_approvals.html")]
struct Approvals<'a> {
    frame: Frame<'a>,
    form: &'a str,
    once: String,
    items: Vec<Item>,
    next: Option<String>,
}

/// `GET /approvals?cursor=`
pub(super) async fn list(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let after = asked.cursor().and_then(|bytes| place_of(&bytes));
    let found = match state.ops.approvals(after, ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/approvals", &bytes_of(last.place)));
    let items = found.iter().map(|view| item(&view.shown, &who, now)).collect();
    let mut frame = state.frame(&who, Here::Approvals, "Approvals");
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    let once = (state.ops.fresh_id)().to_string();
    page(StatusCode::OK, &Approvals { frame, form: &who.form, once, items, next })
}

fn item(shown: &Value, who: &Signed, now: jiff::Timestamp) -> Item {
    let text = |pointer: &str| shown.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let moment = |pointer: &str| {
        let at = text(pointer)?.parse().ok()?;
        let at = Moment::new(at, now);
        Some(format!("{} ({})", at.text, at.age))
    };
    let asked_by = text("/askedBy").unwrap_or_default();
    let status = text("/status").unwrap_or_default();
    let particulars = match (text("/act/reason"), text("/act/comment")) {
        (Some(reason), Some(comment)) => Some(format!("{reason}: {comment}")),
        _ => {
            shown.pointer("/act/unreadable").map(|_| "It cannot be read, and cannot be approved.".to_owned())
        }
    };
    let why_not = if !who.may(Need::Decide) {
        Some("Your role only reads.")
    } else if asked_by == *who.name {
        Some("You asked; somebody else has to decide.")
    } else {
        None
    };
    Item {
        id: text("/approvalId").unwrap_or_default(),
        customer: text("/customerHashId").unwrap_or_default(),
        what: words(&text("/what").unwrap_or_default()),
        particulars,
        asked: format!("{asked_by}, {}", moment("/askedAt").unwrap_or_default()),
        note: text("/note"),
        is_open: status == "open",
        ends: moment("/expiresAt").filter(|_| status == "open"),
        status,
        decided: text("/decidedBy").map(|by| format!("{by}, {}", moment("/decidedAt").unwrap_or_default())),
        decided_note: text("/decidedNote"),
        why_not,
    }
}

/// `POST /approvals/{id}`
pub(super) async fn verdict(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(id): Path<String>,
    form: Form,
) -> Response {
    let noted = form.get("note").map(|text| Value::String(text.to_owned()));
    let approve = match form.get("verdict") {
        Some("approve") => Some(true),
        Some("refuse") => Some(false),
        _ => None,
    };
    let (Some(approve), Ok(note)) = (approve, note(noted.as_ref())) else {
        return state.say("/approvals", "incomplete");
    };
    let body = json!({ "verdict": form.get("verdict"), "note": note }).to_string();
    let once = form.once(&who, &format!("approvals/{id}"), CustomerHashId::NOBODY);
    let verdict = Verdict { approve, note, by: &who.name, body: body.as_bytes(), once: once.as_ref() };
    let word = match state.ops.decide_approval(&id, verdict).await {
        Ok(_) => "decided",
        Err(OpsError::NoSuchApproval) => "gone",
        Err(OpsError::SamePerson) => "same-person",
        Err(OpsError::ApprovalClosed(_)) => "closed",
        Err(OpsError::Moved) => "moved",
        Err(OpsError::UnderWay) => "under-way",
        Err(OpsError::KeyReused) => "twice",
        Err(error) => return trouble(&state, &error),
    };
    state.say("/approvals", word)
}
