//! `/v1/callbacks`: the evidence. What knocked, when, and how often it was delivered.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::take::{self, Params};
use super::{ApiState, problem_of};
use crate::http::error::Problem;

/// `GET /v1/callbacks?customerHashId=&cursor=&limit=`
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["customerHashId", "cursor", "limit"])?;
    let customer = params.get("customerHashId").map(take::customer).transpose()?;
    let before = params.number_cursor()?;
    let limit = params.limit()?;
    let mut items =
        state.ops.callbacks(customer, before, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&last.id.to_be_bytes()));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}
