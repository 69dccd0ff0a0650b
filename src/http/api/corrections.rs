//! `…/application`, `…/corrections`, `…/corrections/preview`, `/v1/effects/{id}`: the way back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;

use super::auth::Caller;
use super::{ApiState, answer, problem_of, take};
use crate::domain::effect::EffectKey;
use crate::domain::role::Need;
use crate::http::error::Problem;

/// What Nium said that only those may see who act for customers.
const ADDRESSES: [&str; 2] = ["redirectUrl", "stakeholderKycUrls"];

/// `PUT /v1/customers/{id}/application`
pub(super) async fn keep_application(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "application", customer)?;
    let value = take::json(&body)?;
    let answered = state.ops.keep_application(customer, &caller.name, &body, &value, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// `POST /v1/customers/{id}/corrections`
pub(super) async fn correct(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "corrections", customer)?;
    let value = take::json(&body)?;
    let answered = state.ops.correct(customer, &caller.name, &body, &value, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// `POST /v1/customers/{id}/corrections/preview`
pub(super) async fn preview(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let preview =
        state.ops.preview(customer, &take::json(&body)?).await.map_err(|error| problem_of(&error))?;
    Ok(Json(preview).into_response())
}

/// `GET /v1/effects/{id}`
pub(super) async fn effect(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let missing = || {
        Problem::new(StatusCode::NOT_FOUND, "no_such_effect").hint("Use an effectId as an answer gave it.")
    };
    let key = EffectKey::parse(&id).ok_or_else(missing)?;
    let mut effect = state.ops.effect(&key).await.map_err(|error| problem_of(&error))?.ok_or_else(missing)?;
    if !caller.role.may(Need::Correct)
        && let Some(said) = effect.get_mut("said").and_then(Value::as_object_mut)
    {
        // Whoever has such an address can act as the customer.
        said.retain(|name, _| !ADDRESSES.contains(&name.as_str()));
    }
    Ok(Json(effect).into_response())
}
