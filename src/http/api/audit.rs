//! `/v1/audit`, `…/bundle`: who did what.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, problem_of};
use crate::http::error::Problem;
use crate::store::rows::audit::AuditFilter;

/// `GET /v1/audit?customerHashId=&actor=&what=&cursor=&limit=`
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["customerHashId", "actor", "what", "cursor", "limit"])?;
    let filter = AuditFilter {
        customer: params.get("customerHashId").map(take::customer).transpose()?,
        actor: params.get("actor").map(str::to_owned),
        what: params.get("what").map(str::to_owned),
    };
    let before = params.number_cursor()?;
    let limit = params.limit()?;
    let mut items = state.ops.audit(filter, before, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&last.id.to_be_bytes()));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

/// `GET /v1/customers/{id}/bundle`
pub(super) async fn bundle(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let bundle = state.ops.bundle(customer, &caller.name).await.map_err(|error| problem_of(&error))?;
    Ok(Json(bundle).into_response())
}
