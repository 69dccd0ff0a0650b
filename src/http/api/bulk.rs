//! `/v1/customers/bulk`, `/v1/bulk`: an officer's word to everybody who fits a filter.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of, search};
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};
use crate::ops::bulk::{BulkRefused, ToMany, WORDS};
use crate::ops::officer::note;
use crate::ops::search::Wish;
use crate::store::rows::bulk::BULK_MAX;

/// A body taken apart.
struct Asked {
    wish: Wish,
    filter: Value,
    word: OfficerWord,
    note: Option<String>,
    confirm: Option<usize>,
}

/// `POST /v1/customers/bulk` `{"filter": {…}, "decision", "note"?, "confirm"?}`: without `confirm` it only counts and shows.
pub(super) async fn ask(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let once = take::once(&headers, &caller, "customers/bulk", CustomerHashId::NOBODY)?;
    let asked = read(&take::json(&body)?, state.ops.wish()).map_err(invalid)?;
    let Asked { wish, filter, word, note, confirm } = asked;
    let Some(expected) = confirm else {
        let shown = state.ops.preview_bulk(wish, word).await.map_err(|error| problem_of(&error))?;
        return Ok(Json(shown).into_response());
    };
    let asked = ToMany { word, note, filter, by: &caller.name, body: &body, once: once.as_ref() };
    let answered = state.ops.begin_bulk(wish, expected, asked).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// Everything that is wrong is said at once.
fn read(body: &Value, mut wish: Wish) -> Result<Asked, Vec<FieldError>> {
    let known = ["filter", "decision", "note", "confirm"];
    let fields = body.as_object().ok_or_else(|| vec![FieldError::new("body", "is an object")])?;
    let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
    let mut wrong: Vec<FieldError> =
        unknown.map(|name| FieldError::new(name.clone(), "is not known here")).collect();
    let said = fields.get("filter").and_then(Value::as_object);
    match said {
        Some(said) => wrong.extend(search::conditions(said, &mut wish)),
        None => {
            wrong.push(FieldError::new("filter", "is an object of conditions, as a search among ours has"));
        }
    }
    if wrong.is_empty() && wish.is_empty() {
        wrong.push(FieldError::new("filter", "has at least one condition: this is not for everybody"));
    }
    let word = fields.get("decision").and_then(Value::as_str).and_then(OfficerWord::parse);
    let word = word.filter(|word| WORDS.contains(word));
    if word.is_none() {
        let words = WORDS.map(OfficerWord::as_str).join(", ");
        wrong.push(FieldError::new("decision", format!("is one of: {words}")));
    }
    let note = note(fields.get("note")).unwrap_or_else(|problem| {
        wrong.push(FieldError::new(problem.field, problem.message));
        None
    });
    let confirm = fields.get("confirm").map(|count| count.as_u64().and_then(|count| count.try_into().ok()));
    if confirm == Some(None) {
        wrong.push(FieldError::new("confirm", "is the count of the first call"));
    }
    match word.filter(|_| wrong.is_empty()) {
        Some(word) => {
            let filter = said.map_or(Value::Null, on_record);
            Ok(Asked { wish, filter, word, note, confirm: confirm.flatten() })
        }
        None => Err(wrong),
    }
}

/// The conditions as they go on record: of what is personal, only that it was asked for.
fn on_record(said: &Map<String, Value>) -> Value {
    let (open, personal): (Vec<_>, Vec<_>) =
        said.iter().partition(|(name, _)| Wish::OPEN.contains(&name.as_str()));
    let mut record: Map<String, Value> =
        open.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if !personal.is_empty() {
        record.insert("personal".to_owned(), personal.into_iter().map(|(name, _)| json!(name)).collect());
    }
    Value::Object(record)
}

fn invalid(faults: Vec<FieldError>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_bulk")
        .hint("Send {\"filter\": {…}, \"decision\": \"offer\"}; add confirm with the count to go ahead.")
        .errors(faults)
}

/// `GET /v1/bulk?cursor=&limit=`: newest first.
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["cursor", "limit"])?;
    let before = params.number_cursor()?;
    let limit = params.limit()?;
    let mut items = state.ops.bulks(before, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&last.seq.to_be_bytes()));
    let items: Vec<Value> = items.into_iter().map(|item| item.shown).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

/// `GET /v1/bulk/{id}`
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shown = state.ops.bulk(&id).await.map_err(|error| problem_of(&error))?;
    Ok(Json(shown.ok_or_else(no_such)?).into_response())
}

/// `POST /v1/bulk/{id}/cancel`: again and again it is the same.
pub(super) async fn cancel(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shown = state.ops.cancel_bulk(&id, &caller.name).await.map_err(|error| problem_of(&error))?;
    Ok(Json(shown).into_response())
}

/// How it looks outside that a word to many is not said, or not stopped.
pub(super) fn problem(refused: BulkRefused) -> Problem {
    match refused {
        BulkRefused::TooMany => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_customers")
            .detail(format!("More than {BULK_MAX} customers fit; nothing was done."))
            .hint("Narrow the filter: a state, a tag, or olderThan and newerThan for a part of the time."),
        BulkRefused::TooWide => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "filter_too_wide").hint(
            "Hardly anybody among very many fits; add a state, a complianceStatus or a tag, which are looked up.",
        ),
        BulkRefused::NoSuch => no_such(),
        BulkRefused::Ended => Problem::new(StatusCode::CONFLICT, "bulk_ended")
            .hint("Every customer of it is done; each customer's own route says what may be done now."),
    }
}

fn no_such() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_bulk").hint("GET /v1/bulk lists them.")
}
