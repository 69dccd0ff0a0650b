//! `/v1/customers/{id}`, `…/timeline`: where customers stand.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::auth::Caller;
use super::take;
use super::{ApiState, problem_of};
use crate::http::error::Problem;

/// `GET /v1/customers/{id}?refresh=`: with `refresh=true` Nium is asked first.
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    take::refreshed(&state, &caller, &uri, customer).await?;
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
