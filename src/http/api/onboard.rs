//! `POST /v1/customers`: making somebody a customer. `/v1/customers/{id}/redirect`: where they go on with the check.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::act::ActKind;
use crate::domain::id::CustomerHashId;
use crate::http::error::Problem;
use crate::ops::acts::Asking;

/// `POST /v1/customers`: a Unified Add Customer body, or an Onboard Corporate Customer body.
pub(super) async fn onboard(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let dry_run = Params::read(&uri, &["dryRun"])?.flag("dryRun")?;
    let once = take::once(&headers, &caller, ActKind::Onboard.as_str(), CustomerHashId::NOBODY)?;
    let value = take::json(&body)?;
    let asking = Asking { by: &caller.name, body: &body, once: once.as_ref(), dry_run };
    Ok(answer(state.ops.onboard(&value, &asking).await.map_err(|error| problem_of(&error))?))
}

/// `GET /v1/customers/{id}/redirect`
pub(super) async fn redirect(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    match state.ops.redirect(customer).await.map_err(|error| problem_of(&error))? {
        Some(view) => Ok(Json(view).into_response()),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "no_redirect")
            .detail("Nium gave no address at which this customer goes on, or the check is over.")
            .hint("POST to the same path asks Nium for a new address while a check is under way.")),
    }
}

/// `POST /v1/customers/{id}/redirect`: a new address. There is nothing to say about it, so a body is not read.
pub(super) async fn regenerate(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let dry_run = Params::read(&uri, &["dryRun"])?.flag("dryRun")?;
    let once = take::once(&headers, &caller, ActKind::Regenerate.as_str(), customer)?;
    let asking = Asking { by: &caller.name, body: &body, once: once.as_ref(), dry_run };
    Ok(answer(state.ops.regenerate(customer, &asking).await.map_err(|error| problem_of(&error))?))
}
