//! `…/decision`, `/v1/approvals`: an officer's word, and a second person's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};
use crate::ops::approvals::Verdict;
use crate::ops::officer::{Saying, Word, note};
use crate::store::rows::officer::ApprovalPlace;

/// `POST /v1/customers/{id}/decision` `{"decision": "offer" | "reapply" | …, "note"?}`
pub(super) async fn decide(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "decision", customer)?;
    let (word, note) = word(&take::json(&body)?)?;
    let saying = Saying { word, note, by: &caller.name, body: &body, once: once.as_ref() };
    let answered = state.ops.word(customer, saying).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

fn word(body: &Value) -> Result<(Word, Option<String>), Problem> {
    let invalid = |faults: Vec<FieldError>| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_decision")
            .errors(faults)
            .hint("Send {\"decision\": \"offer\"}, with a note if there is something to say about it.")
    };
    let (fields, note) = with_note(body, "decision").map_err(invalid)?;
    let said = fields.get("decision").and_then(Value::as_str).and_then(Word::parse);
    let words = "is one of: offer, final, retry, close, reapply, take_over";
    let word = said.ok_or_else(|| invalid(vec![FieldError::new("decision", words)]))?;
    Ok((word, note))
}

/// The fields of a body, and the note among them.
type Noted<'a> = (&'a Map<String, Value>, Option<String>);

/// An object with one key and perhaps a note.
fn with_note<'a>(body: &'a Value, key: &'static str) -> Result<Noted<'a>, Vec<FieldError>> {
    let fields = body.as_object().ok_or_else(|| vec![FieldError::new("body", "is an object")])?;
    let unknown = fields.keys().filter(|name| *name != key && *name != "note");
    let unknown: Vec<FieldError> =
        unknown.map(|name| FieldError::new(name.clone(), "is not known here")).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    match note(fields.get("note")) {
        Ok(note) => Ok((fields, note)),
        Err(problem) => Err(vec![FieldError::new(problem.field, problem.message)]),
    }
}

/// `GET /v1/approvals?cursor=&limit=`: the open ones first.
pub(super) async fn approvals(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["cursor", "limit"])?;
    let after = params.cursor()?.map(|bytes| place_of(&bytes).ok_or_else(take::bad_cursor)).transpose()?;
    let limit = params.limit()?;
    let mut items = state.ops.approvals(after, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&bytes_of(last.place)));
    let items: Vec<Value> = items.into_iter().map(|item| item.shown).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

/// A place in the list, as a cursor holds it.
pub(in crate::http) fn bytes_of(place: ApprovalPlace) -> Vec<u8> {
    match place {
        ApprovalPlace::Open(seq) => [b"o", seq.to_be_bytes().as_slice()].concat(),
        ApprovalPlace::Closed(seq) => [b"c", seq.to_be_bytes().as_slice()].concat(),
    }
}

/// Reads [`bytes_of`] back.
pub(in crate::http) fn place_of(bytes: &[u8]) -> Option<ApprovalPlace> {
    let (letter, rest) = bytes.split_first()?;
    let seq = i64::from_be_bytes(rest.try_into().ok()?);
    match letter {
        b'o' => Some(ApprovalPlace::Open(seq)),
        b'c' => Some(ApprovalPlace::Closed(seq)),
        _ => None,
    }
}

/// `POST /v1/approvals/{id}` `{"verdict": "approve" | "refuse", "note"?}`
pub(super) async fn verdict(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| no_such_approval())?.to_string();
    let route = format!("approvals/{id}");
    let once = take::once(&headers, &caller, &route, CustomerHashId::NOBODY)?;
    let (approve, note) = read_verdict(&take::json(&body)?)?;
    let verdict = Verdict { approve, note, by: &caller.name, body: &body, once: once.as_ref() };
    let answered = state.ops.decide_approval(&id, verdict).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

fn read_verdict(body: &Value) -> Result<(bool, Option<String>), Problem> {
    let invalid = |faults: Vec<FieldError>| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_verdict")
            .errors(faults)
            .hint("Send {\"verdict\": \"approve\"} or {\"verdict\": \"refuse\"}, with a note if you like.")
    };
    let (fields, note) = with_note(body, "verdict").map_err(invalid)?;
    match fields.get("verdict").and_then(Value::as_str) {
        Some("approve") => Ok((true, note)),
        Some("refuse") => Ok((false, note)),
        Some(_) | None => Err(invalid(vec![FieldError::new("verdict", "is one of: approve, refuse")])),
    }
}

/// What is said about an id that no answer gave.
pub(super) fn no_such_approval() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_approval").hint("GET /v1/approvals lists them.")
}
