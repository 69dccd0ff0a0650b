//! `/v1/customers`, `/v1/customers/{id}`, `…/timeline`, `…/decision`: where customers stand.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::case::CaseState;
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};

/// `GET /v1/customers?state=&cursor=&limit=`
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["state", "cursor", "limit"])?;
    let wanted = params.get("state");
    if wanted.is_some_and(|wanted| !CaseState::NAMES.contains(&wanted)) {
        return Err(take::bad_parameter("state", format!("is one of: {}", CaseState::NAMES.join(", "))));
    }
    let after = match params.cursor()? {
        Some(bytes) => Some(CustomerHashId::from_bytes(bytes.try_into().map_err(|_| take::bad_cursor())?)),
        None => None,
    };
    let limit = params.limit()?;
    // One more than is shown tells whether there is a next page.
    let mut items = state.ops.list(wanted, after, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(last.id().as_bytes()));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

/// `GET /v1/customers/{id}?refresh=`: with `refresh=true` Nium is asked first.
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    take::refreshed(&state, &uri, customer).await?;
    let view = state.ops.show(customer).await.map_err(|error| problem_of(&error))?;
    Ok(Json(view).into_response())
}

/// `GET /v1/customers/{id}/timeline`
pub(super) async fn timeline(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let lines = state.ops.timeline(take::customer(&id)?).await.map_err(|error| problem_of(&error))?;
    Ok(Json(json!({ "items": lines, "next": null })).into_response())
}

/// `POST /v1/customers/{id}/decision` `{"decision": "offer" | "final" | "retry" | "close"}`
pub(super) async fn decide(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "decision", customer)?;
    let word = word(&take::json(&body)?)?;
    let answered = state.ops.word(customer, word, &caller.name, &body, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

fn word(body: &Value) -> Result<OfficerWord, Problem> {
    let known = [OfficerWord::Offer, OfficerWord::Final, OfficerWord::Retry, OfficerWord::Close];
    let only_key = body.as_object().is_some_and(|body| body.len() == 1);
    let said = body.get("decision").and_then(Value::as_str).filter(|_| only_key);
    said.and_then(|said| known.into_iter().find(|word| word.as_str() == said)).ok_or_else(|| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_decision")
            .errors([FieldError::new("decision", "is one of: offer, final, retry, close")])
            .hint("Send {\"decision\": \"offer\"} and nothing else.")
    })
}
