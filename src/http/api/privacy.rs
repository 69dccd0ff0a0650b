//! `…/erase`, `…/hold`, `…/export`, `/v1/onboardings/{id}/erase`: one person's data, and the door that closes behind whoever was erased.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::auth::Caller;
use super::take;
use super::{ApiState, answer, fields, problem_of};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::http::error::Problem;
use crate::ops::acts::Asking;
use crate::ops::privacy::HoldWish;

/// `POST /v1/customers/{id}/erase`
pub(super) async fn erase(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "erase", customer)?;
    let asking = Asking { by: &caller.name, body: &body, once: once.as_ref(), dry_run: false };
    let answered = state.ops.erase(customer, &asking).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// `POST /v1/onboardings/{id}/erase`: the id is the `effectId` of the onboarding.
pub(super) async fn erase_onboarding(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let key = EffectKey::parse(&id).ok_or_else(no_such_onboarding)?;
    // The route says whose: two onboardings have two answers.
    let once = take::once(&headers, &caller, &format!("erase {key}"), CustomerHashId::NOBODY)?;
    let asking = Asking { by: &caller.name, body: &body, once: once.as_ref(), dry_run: false };
    let answered = state.ops.erase_onboarding(&key, &asking).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// `POST /v1/customers/{id}/hold` `{"action": "set" | "lift", "reason"}`
pub(super) async fn hold(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let once = take::once(&headers, &caller, "hold", customer)?;
    let wish = HoldWish::parse(&take::json(&body)?).map_err(|faults| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_hold")
            .errors(fields(&faults))
            .hint("Send {\"action\": \"set\", \"reason\": \"…\"}, or lift.")
    })?;
    let asking = Asking { by: &caller.name, body: &body, once: once.as_ref(), dry_run: false };
    let answered = state.ops.change_hold(customer, &wish, &asking).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

/// `GET /v1/customers/{id}/export`
pub(super) async fn export(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let export = state.ops.export(customer, &caller.name).await.map_err(|error| problem_of(&error))?;
    Ok(Json(export).into_response())
}

/// Answers 410 about somebody who was erased, whatever is asked.
pub(super) async fn gone(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
    request: Request,
    next: Next,
) -> Response {
    let Some(customer) = CustomerHashId::parse(&id) else { return next.run(request).await };
    match state.ops.erasure(customer).await {
        Ok(None) => next.run(request).await,
        Ok(Some(_)) => erased().into_response(),
        Err(error) => problem_of(&error).into_response(),
    }
}

/// What is said about somebody who was erased.
pub(super) fn erased() -> Problem {
    Problem::new(StatusCode::GONE, "customer_erased")
        .hint("The customer was erased; nothing is kept about them, and nothing is taken in again.")
}

/// Nothing goes under a legal hold.
pub(super) fn held() -> Problem {
    Problem::new(StatusCode::CONFLICT, "legal_hold").hint(
        "A legal hold is set; whoever set it, or another officer, lifts it with a reason before anything is erased.",
    )
}

/// There is no such onboarding.
pub(super) fn no_such_onboarding() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_onboarding")
        .hint("Use the effectId that POST /v1/customers answered with.")
}

/// The onboarding led to a customer, to whom everything belongs.
pub(super) fn became(customer: CustomerHashId) -> Problem {
    Problem::new(StatusCode::CONFLICT, "became_a_customer")
        .detail(format!("The applicant became the customer {customer}; nothing was done."))
        .hint("Erase the customer instead; that takes the onboarding along.")
}
