//! `/v1/customers/{id}`, `…/timeline`: where customers stand.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::take::{self, Params};
use super::{ApiState, problem_of};
use crate::http::error::Problem;

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
