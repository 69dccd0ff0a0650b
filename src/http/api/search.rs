//! `GET /v1/customers`, `POST /v1/customers/search`: finding customers. What is personal stands in the body, never in an
//! address, which proxies and histories keep.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::auth::{self, Caller};
use super::take::{self, Params};
use super::{ApiState, problem_of};
use crate::domain::role::Need;
use crate::domain::view::View;
use crate::http::error::{FieldError, Problem};
use crate::ops::search::{
    Found, NIUM_PAGE_MAX, NiumTrouble, NiumTroubleKind, NiumWish, VIEW_COUNT_MAX, Wish,
};
use crate::store::rows::search::Place;

/// `GET /v1/customers?view=&state=&status=&complianceStatus=&kind=&class=&tag=&olderThan=&newerThan=&deadlineWithin=&cursor=&limit=`
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let known = [&Wish::OPEN[..], &["tag", "cursor", "limit"]].concat();
    let params = Params::read(&uri, &known)?;
    let mut wish = state.ops.wish();
    for name in Wish::OPEN {
        if let Some(text) = params.get(name) {
            wish.set(name, text).map_err(|message| take::bad_parameter(name, message))?;
        }
    }
    if let Some(tag) = params.get("tag") {
        let (key, value) = tag.split_once(':').map_or((tag, None), |(key, value)| (key, Some(value)));
        wish.tag(key, value).map_err(|message| take::bad_parameter("tag", message))?;
    }
    let after = params.cursor()?.map(|bytes| place_of(&wish, &bytes)).transpose()?;
    let limit = params.limit()?;
    let found = state.ops.find(wish, after, limit).await.map_err(|error| problem_of(&error))?;
    Ok(answer(found, |place| take::cursor_of(&place.bytes())))
}

/// `POST /v1/customers/search` `{"source": "ours" | "nium", …, "cursor", "limit"}`
pub(super) async fn search(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Problem> {
    let value = take::json(&body)?;
    let fields = value.as_object().ok_or_else(|| invalid(vec![wrong("body", "is an object")]))?;
    match fields.get("source").and_then(Value::as_str) {
        Some("ours") => ours(&state, fields).await,
        // Names and addresses come back from there: not for those who only read.
        Some("nium") if !caller.role.may(Need::Correct) => Err(auth::not_allowed(caller.role)),
        Some("nium") => at_nium(&state, fields).await,
        Some(_) | None => Err(invalid(vec![wrong("source", "is one of: ours, nium")])),
    }
}

async fn ours(state: &ApiState, fields: &Map<String, Value>) -> Result<Response, Problem> {
    let mut wish = state.ops.wish();
    let page = read(fields, &[&Wish::OPEN[..], &Wish::PERSONAL].concat(), |name, text, value| match name {
        "tag" => wish.tag(text, value),
        _ => wish.set(name, text),
    })?;
    let after = page.cursor.map(|bytes| place_of(&wish, &bytes)).transpose()?;
    let limit = page.limit.unwrap_or(take::LIMIT_DEFAULT);
    if limit > take::LIMIT_MAX {
        return Err(bad_limit(take::LIMIT_MAX));
    }
    let found = state.ops.find(wish, after, limit).await.map_err(|error| problem_of(&error))?;
    Ok(answer(found, |place| take::cursor_of(&place.bytes())))
}

/// `GET /v1/views`: the lists that officers work through, what they mean, and how many stand in them.
pub(super) async fn views(State(state): State<Arc<ApiState>>) -> Result<Response, Problem> {
    let views = state.ops.views().await.map_err(|error| problem_of(&error))?;
    let shown = |(view, count): (View, usize)| {
        json!({
            "view": view.as_str(), "title": view.title(), "means": view.means(), "count": count,
            "orMore": count >= VIEW_COUNT_MAX,
        })
    };
    let items: Vec<Value> = views.into_iter().map(shown).collect();
    Ok(Json(json!({ "items": items })).into_response())
}

async fn at_nium(state: &ApiState, fields: &Map<String, Value>) -> Result<Response, Problem> {
    let mut wish = NiumWish::default();
    let page = read(fields, &NiumWish::NAMES, |name, text, value| match name {
        "tag" => wish.tag(text, value),
        _ => wish.set(name, text),
    })?;
    let size = match page.limit.map(u32::try_from) {
        None => NIUM_PAGE_MAX,
        Some(Ok(limit)) if limit <= NIUM_PAGE_MAX => limit,
        Some(_) => return Err(bad_limit(usize::try_from(NIUM_PAGE_MAX).unwrap_or(usize::MAX))),
    };
    // A page number means something only for the size of page that it was counted in.
    let number = match page.cursor {
        None => 0,
        Some(bytes) => page_of(&bytes, size).ok_or_else(bad_cursor)?,
    };
    let found = state.ops.find_at_nium(&wish, number, size).await.map_err(|error| problem_of(&error))?;
    Ok(answer(found, |next| take::cursor_of(&[&b"n"[..], &size.to_be_bytes(), &next.to_be_bytes()].concat())))
}

struct Page {
    cursor: Option<Vec<u8>>,
    limit: Option<usize>,
}

/// Hands every condition to `set`, a tag as key and value. Everything that is wrong is said at once.
fn read(
    fields: &Map<String, Value>,
    known: &[&str],
    mut set: impl FnMut(&str, &str, Option<&str>) -> Result<(), String>,
) -> Result<Page, Problem> {
    let is_known = |name: &str| known.contains(&name) || ["source", "tag", "cursor", "limit"].contains(&name);
    let unknown: Vec<FieldError> = fields
        .keys()
        .filter(|name| !is_known(name))
        .map(|name| FieldError::new(name.clone(), "is not known for this source"))
        .collect();
    if !unknown.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_keys")
            .hint(format!("Known for this source: {}, tag, cursor, limit.", known.join(", ")))
            .errors(unknown));
    }
    let faults = faults(fields, known, &mut set);
    if faults.is_empty() { page(fields) } else { Err(invalid(faults)) }
}

/// Conditions without a page, for an act on everybody who fits. Everything that is wrong is said at once.
pub(super) fn conditions(fields: &Map<String, Value>, wish: &mut Wish) -> Vec<FieldError> {
    let known = [&Wish::OPEN[..], &Wish::PERSONAL].concat();
    let is_known = |name: &str| known.contains(&name) || name == "tag";
    let mut wrong: Vec<FieldError> = fields
        .keys()
        .filter(|name| !is_known(name))
        .map(|name| {
            FieldError::new(name.clone(), format!("is not known here; known are: {}, tag", known.join(", ")))
        })
        .collect();
    wrong.extend(faults(fields, &known, &mut |name, text, value| match name {
        "tag" => wish.tag(text, value),
        _ => wish.set(name, text),
    }));
    wrong
}

/// What takes a condition: its name and text, of a tag its key and value.
type Set<'a> = &'a mut dyn FnMut(&str, &str, Option<&str>) -> Result<(), String>;

/// Hands every condition to `set`. Gives what is wrong.
fn faults(fields: &Map<String, Value>, known: &[&str], set: Set<'_>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for name in known {
        let said = match fields.get(*name) {
            None => continue,
            Some(value) => value.as_str().ok_or_else(|| "is a text".to_owned()),
        };
        if let Err(message) = said.and_then(|text| set(name, text, None)) {
            faults.push(FieldError::new((*name).to_owned(), message));
        }
    }
    if let Some(tag) = fields.get("tag")
        && let Err(message) = read_tag(tag).and_then(|(key, value)| set("tag", key, value))
    {
        faults.push(FieldError::new("tag", message));
    }
    faults
}

fn read_tag(tag: &Value) -> Result<(&str, Option<&str>), String> {
    let wrong = || "is {\"key\": …} or {\"key\": …, \"value\": …}".to_owned();
    let tag = tag.as_object().ok_or_else(wrong)?;
    let key = tag.get("key").and_then(Value::as_str).ok_or_else(wrong)?;
    let value = tag.get("value").map(|value| value.as_str().ok_or_else(wrong)).transpose()?;
    if tag.len() != 1 + usize::from(value.is_some()) {
        return Err(wrong());
    }
    Ok((key, value))
}

fn page(fields: &Map<String, Value>) -> Result<Page, Problem> {
    let cursor = match fields.get("cursor") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(take::cursor_bytes(text).map_err(|_| bad_cursor())?),
        Some(_) => return Err(bad_cursor()),
    };
    let limit = fields.get("limit").map(|limit| {
        let limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok());
        limit.filter(|limit| *limit > 0).ok_or_else(|| invalid(vec![wrong("limit", "is a number from 1")]))
    });
    Ok(Page { cursor, limit: limit.transpose()? })
}

fn answer<T: Serialize, C>(found: Found<T, C>, cursor: impl Fn(C) -> String) -> Response {
    let mut body = json!({ "items": found.items, "next": found.next.map(cursor) });
    if !found.notes.is_empty()
        && let Some(body) = body.as_object_mut()
    {
        body.insert("notes".to_owned(), json!(found.notes));
    }
    Json(body).into_response()
}

/// A cursor belongs to a list in the same order.
fn place_of(wish: &Wish, bytes: &[u8]) -> Result<Place, Problem> {
    Place::read(wish.order(), bytes).ok_or_else(take::bad_cursor)
}

fn page_of(bytes: &[u8], size: u32) -> Option<u32> {
    let (counted, page) = bytes.strip_prefix(b"n")?.split_at_checked(4)?;
    (counted == size.to_be_bytes()).then(|| page.try_into().ok().map(u32::from_be_bytes)).flatten()
}

fn wrong(field: &'static str, message: &'static str) -> FieldError {
    FieldError::new(field, message)
}

fn invalid(faults: Vec<FieldError>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_search")
        .hint("Correct the conditions that are named, or leave them out.")
        .errors(faults)
}

fn bad_cursor() -> Problem {
    invalid(vec![wrong(
        "cursor",
        "is not one; use `next` of the page before, with the same source and limit",
    )])
}

fn bad_limit(most: usize) -> Problem {
    invalid(vec![FieldError::new("limit", format!("is a number from 1 to {most} for this source"))])
}

/// Nium could not be asked: whose trouble it is, and what helps.
pub(super) fn nium_trouble(trouble: &NiumTrouble) -> Problem {
    let (status, code, hint) = match trouble.kind {
        NiumTroubleKind::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "nium_too_many",
            "Nium wants fewer calls; wait, or lower nium.requests_per_second.",
        ),
        NiumTroubleKind::Silent => (
            StatusCode::GATEWAY_TIMEOUT,
            "nium_has_not_answered",
            "Nium, or the wait for its pace, took too long; try again.",
        ),
        NiumTroubleKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "nium_unavailable", "Nium says it is not available; try again.")
        }
        NiumTroubleKind::RefusesUs => (
            StatusCode::BAD_GATEWAY,
            "nium_refuses_us",
            "Nium does not take our key, client id or address; `reinstate doctor` says what to check.",
        ),
        NiumTroubleKind::InTrouble => (
            StatusCode::BAD_GATEWAY,
            "nium_in_trouble",
            "Nium cannot be reached or failed; try again in a moment.",
        ),
        NiumTroubleKind::Unreadable(_) => (
            StatusCode::BAD_GATEWAY,
            "nium_unreadable",
            "Leave out a condition that Nium may not take, or search with source \"ours\".",
        ),
    };
    let problem = Problem::new(status, code).hint(hint);
    match (trouble.kind, trouble.retry_after) {
        (NiumTroubleKind::Unreadable(fault), _) => {
            problem.detail(format!("Neither release of Nium's customer list can be used: {fault}."))
        }
        (_, Some(wait)) => {
            problem.detail(format!("Nium asks to be left alone for {} seconds.", wait.as_secs()))
        }
        (_, None) => problem,
    }
}
