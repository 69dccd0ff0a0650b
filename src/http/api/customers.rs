//! `/v1/customers/{id}`, `…/timeline`, `…/decision`: where customers stand.

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
use crate::domain::decision::OfficerWord;
use crate::http::error::{FieldError, Problem};

/// `GET /v1/customers/{id}?refresh=`: with `refresh=true` Nium is asked first.
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    if Params::read(&uri, &["refresh"])?.flag("refresh")? {
        let fresh = state.ops.refresh(take::customer(&id)?).await.map_err(|error| problem_of(&error))?;
        if !fresh && state.ops.show(take::customer(&id)?).await.is_ok() {
            return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "nium_has_not_answered").hint(
                "Nium has not answered within a few seconds; ask without refresh for what is on file.",
            ));
        }
    }
    let view = state.ops.show(take::customer(&id)?).await.map_err(|error| problem_of(&error))?;
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
