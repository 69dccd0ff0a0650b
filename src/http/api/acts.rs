//! `PATCH /v1/customers/{id}`, `…/block`, `…/tags`: writes at Nium, guarded by its rules.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::act::ActKind;
use crate::http::error::{FieldError, Problem};
use crate::ops::acts::Asking;

/// `PATCH /v1/customers/{id}`
pub(super) async fn update(
    state: State<Arc<ApiState>>,
    caller: Extension<Caller>,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    act(ActKind::Update, state, caller, id, &uri, &headers, &body).await
}

/// `POST /v1/customers/{id}/block` `{"action", "reason", "comment", "receipt"?}`
pub(super) async fn block(
    state: State<Arc<ApiState>>,
    caller: Extension<Caller>,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    act(ActKind::Block, state, caller, id, &uri, &headers, &body).await
}

/// `POST /v1/customers/{id}/tags` `{"set": {key: value}, "delete": [key]}`
pub(super) async fn tags(
    state: State<Arc<ApiState>>,
    caller: Extension<Caller>,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    act(ActKind::Tags, state, caller, id, &uri, &headers, &body).await
}

/// `GET /v1/customers/{id}/rfi?refresh=`: what Nium asks of the customer.
pub(super) async fn rfi(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    take::refreshed(&state, &caller, &uri, customer).await?;
    Ok(Json(state.ops.rfi(customer).await.map_err(|error| problem_of(&error))?).into_response())
}

/// `POST /v1/customers/{id}/rfi` `{"answers": [{"rfiHashId", "fields": {…}}]}`
pub(super) async fn answer_rfi(
    state: State<Arc<ApiState>>,
    caller: Extension<Caller>,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    act(ActKind::Rfi, state, caller, id, &uri, &headers, &body).await
}

async fn act(
    kind: ActKind,
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let dry_run = Params::read(uri, &["dryRun"])?.flag("dryRun")?;
    let once = take::once(headers, &caller, kind.as_str(), customer)?;
    let value = take::json(body)?;
    let asking = Asking { by: &caller.name, body, once: once.as_ref(), dry_run };
    let done = match kind {
        ActKind::Block => state.ops.block(customer, &value, &asking).await,
        ActKind::Tags => state.ops.tags(customer, &value, &asking).await,
        ActKind::Update => state.ops.update(customer, &value, &asking).await,
        ActKind::Rfi => state.ops.answer_rfi(customer, &value, &asking).await,
        // These have routes of their own, with other bodies.
        ActKind::Onboard => state.ops.onboard(&value, &asking).await,
        ActKind::Regenerate => state.ops.regenerate(customer, &asking).await,
    };
    Ok(answer(done.map_err(|error| problem_of(&error))?))
}

/// A refusal, by a rule of ours or by Nium, whose own words reach the caller whole.
pub(super) fn refused(effect: &Value) -> Problem {
    let text = |pointer: &str| effect.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let message = text("/said/message").unwrap_or_default();
    if let Some(rule) = text("/said/rule") {
        return Problem::new(StatusCode::CONFLICT, "refused_by_rule")
            .detail(message)
            .hint(
                "The rule that is named forbids this while the customer stands so; nothing was sent to Nium.",
            )
            .errors([FieldError::new("rule", rule)])
            .effect(text("/effectId"));
    }
    let errors = effect.pointer("/said/errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(Value::as_str);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused_by_nium")
        .detail(message)
        .hint("Nium refused it and changed nothing; its own words stand under errors.")
        .errors(errors.map(|error| FieldError::new("nium", error.to_owned())))
        .effect(text("/effectId"))
}
