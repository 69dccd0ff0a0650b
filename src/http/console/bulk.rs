//! `/bulk`: an officer's word to everybody who fits: what it would do, its confirmation, how far it came.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cases::{Conditions, WORDS};
use super::door::trouble;
use super::form::Form;
use super::lists::{List, told};
use super::shell::{Frame, Here, Moment, Said, notice, words};
use super::table::{Asked, Cell, ROWS, Table, Tone, cut};
use super::{Console, ConsoleState, Signed};
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;
use crate::domain::role::Need;
use crate::http::web::page;
use crate::ops::OpsError;
use crate::ops::bulk::{self, BulkRefused, ToMany};
use crate::ops::officer::note;
use crate::ops::search::Wish;

/// What a form asks for.
struct Wanted {
    conditions: Conditions,
    wish: Wish,
    word: OfficerWord,
    note: Option<String>,
}

/// `None` where something is missing, or cannot be read: nobody acts on more than was meant.
fn wanted(state: &ConsoleState, form: &Form) -> Option<Wanted> {
    let conditions = Conditions::of_form(form);
    let (wish, unread) = conditions.wish(&state.ops);
    let word = form.get("word").and_then(OfficerWord::parse).filter(|word| bulk::WORDS.contains(word))?;
    let noted = form.get("note").map(|text| Value::String(text.to_owned()));
    let note = note(noted.as_ref()).ok()?;
    (unread.is_empty() && !wish.is_empty()).then_some(Wanted { conditions, wish, word, note })
}

fn label(word: &str) -> &str {
    WORDS.iter().find(|(known, _)| *known == word).map_or(word, |(_, label)| label)
}

/// What can be done about it when a word to many is not said.
fn refused(state: &ConsoleState, who: &Signed, error: &OpsError) -> Response {
    let text = match error {
        OpsError::Bulk(BulkRefused::TooMany) => {
            "More customers fit than one act may take (10,000). Narrow the filter: by a state, a tag, or for how long."
        }
        OpsError::Bulk(BulkRefused::TooWide) => {
            "Hardly anybody among very many fits. Add a state, Nium's compliance or a tag, which are looked up."
        }
        OpsError::Bulk(BulkRefused::NoSuch) => "There is no such act.",
        OpsError::Bulk(BulkRefused::Ended) => "It was through before; there was nothing left to stop.",
        OpsError::CountChanged(_) => {
            "Their number has changed meanwhile, and nothing was done. Go back, count again, and confirm that."
        }
        OpsError::KeyReused => "This form was sent before with something else in it. Nothing was done.",
        _ => return trouble(state, error),
    };
    let frame = state.frame(who, Here::Cases, "Not done");
    notice(StatusCode::CONFLICT, frame, text, Some(("/cases", "Back to the cases")))
}

/// What a word would do, to be confirmed.
#[derive(Template)]
#[template(path = "console_bulk_preview.html")]
struct Preview<'a> {
    frame: Frame<'a>,
    form: &'a str,
    once: String,
    filter: String,
    label: &'a str,
    word: &'static str,
    note: Option<String>,
    count: u64,
    said: u64,
    reasons: Vec<(String, u64)>,
    notes: Vec<String>,
    hidden: Vec<(&'static str, String)>,
    table: Table,
}

/// `POST /bulk/preview`: nothing is done yet.
pub(super) async fn preview(
    State(state): Console,
    Extension(who): Extension<Signed>,
    form: Form,
) -> Response {
    let Some(Wanted { conditions, wish, word, note }) = wanted(&state, &form) else {
        return state.say("/cases", "incomplete");
    };
    let seen = match state.ops.preview_bulk(wish, word).await {
        Ok(seen) => seen,
        Err(error) => return refused(&state, &who, &error),
    };
    let (count, said) = (number(&seen, "count"), number(&seen, "said"));
    let rows: Vec<Vec<Cell>> = parts(&seen, "preview").map(preview_cells).collect();
    let shown = rows.len();
    let table = Table {
        caption: format!("The first {shown} of {count}."),
        heads: vec!["Customer", "State", "What happens"],
        rows,
        empty: "Nobody fits any more.",
        next: None,
    };
    let preview = Preview {
        frame: state.frame(&who, Here::Cases, format!("{} to many?", label(word.as_str()))),
        form: &who.form,
        once: (state.ops.fresh_id)().to_string(),
        filter: conditions.told(),
        label: label(word.as_str()),
        word: word.as_str(),
        note,
        count,
        said,
        reasons: reasons(&seen),
        notes: parts(&seen, "notes").filter_map(Value::as_str).map(str::to_owned).collect(),
        hidden: conditions.hidden(),
        table,
    };
    page(StatusCode::OK, &preview)
}

fn parts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// Why customers are left out, and how many.
fn reasons(shown: &Value) -> Vec<(String, u64)> {
    parts(shown, "reasons")
        .filter_map(|reason| Some((text(reason, "leftOut")?.to_owned(), number(reason, "count"))))
        .collect()
}

fn customer(one: &Value) -> Cell {
    text(one, "customerHashId").and_then(CustomerHashId::parse).map_or(Cell::Nothing, Cell::Case)
}

fn preview_cells(one: &Value) -> Vec<Cell> {
    let name = text(one, "state").unwrap_or_default();
    let what = match (text(one, "would"), text(one, "leftOut")) {
        (Some(would), _) => Cell::Text(would.to_owned()),
        (None, Some(why)) => Cell::Soft(format!("Left out: {why}")),
        (None, None) => Cell::Nothing,
    };
    vec![customer(one), Cell::Badge(Tone::of_state(name), words(name)), what]
}

/// `POST /bulk`: it begins, if there are still as many.
pub(super) async fn begin(State(state): Console, Extension(who): Extension<Signed>, form: Form) -> Response {
    let expected = form.get("confirm").and_then(|count| count.parse().ok());
    let (Some(Wanted { conditions, wish, word, note }), Some(expected)) = (wanted(&state, &form), expected)
    else {
        return state.say("/cases", "incomplete");
    };
    let filter = conditions.on_record();
    let body =
        json!({ "filter": conditions.hidden(), "word": word.as_str(), "note": note, "confirm": expected });
    let body = body.to_string();
    let once = form.once(&who, "bulk", CustomerHashId::NOBODY);
    let asked = ToMany { word, note, filter, by: &who.name, body: body.as_bytes(), once: once.as_ref() };
    match state.ops.begin_bulk(wish, expected, asked).await {
        Ok(answered) => match text(&answered.body, "bulkId") {
            Some(id) => state.say(&format!("/bulk/{id}"), "bulk-begun"),
            None => state.see("/bulk"),
        },
        Err(error) => refused(&state, &who, &error),
    }
}

/// `GET /bulk?cursor=`
pub(super) async fn list(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let found = match state.ops.bulks(asked.number(), ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let (found, more) = cut(found);
    let next = found.last().filter(|_| more).map(|last| asked.onward("/bulk", &last.seq.to_be_bytes()));
    let table = Table {
        caption: "Newest first; times are UTC.".to_owned(),
        heads: vec!["Word", "By", "When", "To whom", "Done", "Told", "Left out", "Standing"],
        rows: found.iter().map(|item| list_cells(&item.shown, now)).collect(),
        empty: "No word was said to many so far. Filter the cases first.",
        next,
    };
    let mut frame = state.frame(&who, Here::Cases, "Words to many");
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    let lead = "An officer's word to everybody who fitted a filter when it was confirmed.";
    let (fields, acts) = (Vec::new(), Vec::new());
    page(StatusCode::OK, &List { frame, path: "/bulk", lead, unread: asked.unread, fields, acts, table })
}

fn moment(shown: &Value, name: &str) -> Option<Timestamp> {
    text(shown, name)?.parse().ok()
}

fn standing(shown: &Value) -> Cell {
    let (tone, said) = match text(shown, "status") {
        Some("running") => (Tone::Warn, "running"),
        Some("complete") => (Tone::Good, "complete"),
        _ => (Tone::Bad, "cancelled"),
    };
    Cell::Badge(tone, said.to_owned())
}

fn list_cells(shown: &Value, now: Timestamp) -> Vec<Cell> {
    let word = label(text(shown, "decision").unwrap_or_default()).to_owned();
    let id = text(shown, "bulkId").unwrap_or_default();
    let count = |name: &str| number(shown, name).to_string();
    vec![
        Cell::Link(word, format!("/bulk/{id}")),
        Cell::maybe(text(shown, "askedBy")),
        Cell::maybe_at(moment(shown, "askedAt"), now),
        Cell::Soft(shown.get("filter").map(told).unwrap_or_default()),
        Cell::Text(format!("{} of {}", count("done"), count("count"))),
        Cell::Number(count("said")),
        Cell::Number(count("leftOut")),
        standing(shown),
    ]
}

#[derive(Template)]
#[template(path = "console_bulk.html")]
struct Act<'a> {
    frame: Frame<'a>,
    form: &'a str,
    id: String,
    standing: Cell,
    count: u64,
    done: u64,
    said: u64,
    by: String,
    at: Option<Moment>,
    ended: Option<Moment>,
    cancelled_by: Option<String>,
    filter: String,
    note: Option<String>,
    reasons: Vec<(String, u64)>,
    table: Table,
    may_cancel: bool,
}

/// `GET /bulk/{id}`: how far it came.
pub(super) async fn show(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    let shown = match state.ops.bulk(&id).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return refused(&state, &who, &BulkRefused::NoSuch.into()),
        Err(error) => return trouble(&state, &error),
    };
    let now = state.ops.clock.now();
    let runs = text(&shown, "status") == Some("running");
    let title = label(text(&shown, "decision").unwrap_or_default()).to_owned();
    let mut frame = state.frame(&who, Here::Cases, title);
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    let rows =
        parts(&shown, "leftOutFirst").map(|one| vec![customer(one), Cell::maybe(text(one, "leftOut"))]);
    let rows: Vec<Vec<Cell>> = rows.collect();
    let table = Table {
        caption: format!("The first {} who were left out.", rows.len()),
        heads: vec!["Customer", "Why"],
        rows,
        empty: "Nobody was left out so far.",
        next: None,
    };
    let act = Act {
        frame,
        form: &who.form,
        id,
        standing: standing(&shown),
        count: number(&shown, "count"),
        done: number(&shown, "done"),
        said: number(&shown, "said"),
        by: text(&shown, "askedBy").unwrap_or_default().to_owned(),
        at: moment(&shown, "askedAt").map(|at| Moment::new(at, now)),
        ended: moment(&shown, "endedAt").map(|at| Moment::new(at, now)),
        cancelled_by: text(&shown, "cancelledBy").map(str::to_owned),
        filter: shown.get("filter").map(told).unwrap_or_default(),
        note: text(&shown, "note").map(str::to_owned),
        reasons: reasons(&shown),
        table,
        may_cancel: runs && who.may(Need::Decide),
    };
    page(StatusCode::OK, &act)
}

/// `POST /bulk/{id}/cancel`
pub(super) async fn cancel(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(id): Path<String>,
    _form: Form,
) -> Response {
    match state.ops.cancel_bulk(&id, &who.name).await {
        Ok(_) => state.say(&format!("/bulk/{}", super::table::encoded(&id)), "bulk-cancelled"),
        Err(error) => refused(&state, &who, &error),
    }
}
