//! JSON under `/v1`: one file per resource. A handler takes the request apart, calls `ops`, and answers; what an error
//! looks like outside is decided in `problem_of` alone.

mod acts;
mod audit;
pub mod auth;
mod bulk;
mod callbacks;
mod corrections;
mod customers;
mod events;
pub(super) mod jobs;
mod links;
pub(super) mod officer;
mod onboard;
pub(super) mod overview;
mod privacy;
mod search;
pub mod take;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch, post, put};
use axum::{Json, Router};

use self::auth::{Bootstrap, guard};
use super::error::{FieldError, Problem};
use super::health::HealthState;
use crate::domain::correction::FieldProblem;
use crate::domain::role::Need;
use crate::ops::once::Answered;
use crate::ops::{Failure, Ops, OpsError};
use crate::vault::VaultError;

/// Says that an answer was given before, and nothing was done this time.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What the API's handlers need.
#[derive(Debug)]
pub struct ApiState {
    /// What operators and the app backend may ask for.
    pub ops: Arc<Ops>,
    /// The hash of the token that the configuration gives, if it does.
    pub bootstrap: Bootstrap,
    /// How the intake is.
    pub health: Arc<HealthState>,
}

/// Every route under `/v1`, with what a token must be allowed to do.
pub fn router(state: &Arc<ApiState>) -> Router {
    // The guard stands inside each route, so that an unknown path is 404 and a wrong method 405 whoever asks.
    let route = |need: Need, methods: MethodRouter<Arc<ApiState>>| {
        methods.route_layer(from_fn_with_state((Arc::clone(state), need), guard))
    };
    // Nothing is said or done about whoever was erased, but that they were.
    let person = |need: Need, methods: MethodRouter<Arc<ApiState>>| {
        route(need, methods.route_layer(from_fn_with_state(Arc::clone(state), privacy::gone)))
    };
    Router::new()
        .route(
            "/v1/customers",
            route(Need::Read, get(search::list)).merge(route(Need::Correct, post(onboard::onboard))),
        )
        .route("/v1/customers/search", route(Need::Read, post(search::search)))
        .route("/v1/customers/bulk", route(Need::Decide, post(bulk::ask)))
        .route("/v1/bulk", route(Need::Read, get(bulk::list)))
        .route("/v1/bulk/{id}", route(Need::Read, get(bulk::show)))
        .route("/v1/bulk/{id}/cancel", route(Need::Decide, post(bulk::cancel)))
        .route("/v1/views", route(Need::Read, get(search::views)))
        .route(
            "/v1/customers/{id}",
            route(Need::Read, get(customers::show)).merge(person(Need::Correct, patch(acts::update))),
        )
        .route(
            "/v1/customers/{id}/redirect",
            person(Need::Correct, get(onboard::redirect).post(onboard::regenerate)),
        )
        .route(
            "/v1/customers/{id}/rfi",
            person(Need::Read, get(acts::rfi)).merge(person(Need::Correct, post(acts::answer_rfi))),
        )
        .route("/v1/customers/{id}/block", person(Need::Decide, post(acts::block)))
        .route("/v1/customers/{id}/tags", person(Need::Correct, post(acts::tags)))
        .route("/v1/customers/{id}/timeline", person(Need::Read, get(customers::timeline)))
        .route("/v1/customers/{id}/decision", person(Need::Decide, post(officer::decide)))
        .route("/v1/customers/{id}/application", person(Need::Correct, put(corrections::keep_application)))
        .route("/v1/customers/{id}/corrections", person(Need::Correct, post(corrections::correct)))
        .route("/v1/customers/{id}/corrections/preview", person(Need::Correct, post(corrections::preview)))
        .route(
            "/v1/customers/{id}/correction-link",
            person(Need::Correct, post(links::issue).delete(links::revoke)),
        )
        .route("/v1/customers/{id}/hold", person(Need::Decide, post(privacy::hold)))
        .route("/v1/customers/{id}/export", person(Need::Manage, get(privacy::export)))
        .route("/v1/customers/{id}/erase", route(Need::Manage, post(privacy::erase)))
        .route("/v1/onboardings/{id}/erase", route(Need::Manage, post(privacy::erase_onboarding)))
        .route("/v1/effects/{id}", route(Need::Read, get(corrections::effect)))
        .route("/v1/approvals", route(Need::Read, get(officer::approvals)))
        .route("/v1/approvals/{id}", route(Need::Decide, post(officer::verdict)))
        .route("/v1/audit", route(Need::Decide, get(audit::list)))
        .route("/v1/customers/{id}/bundle", person(Need::Decide, get(audit::bundle)))
        .route("/v1/callbacks", route(Need::Read, get(callbacks::list)))
        .route("/v1/events", route(Need::Read, get(events::feed)))
        .route("/v1/deliveries", route(Need::Read, get(events::deliveries)))
        .route("/v1/deliveries/redeliver", route(Need::Correct, post(events::redeliver)))
        .route("/v1/endpoints", route(Need::Read, get(events::endpoints)))
        .route("/v1/endpoints/{id}/test", route(Need::Correct, post(events::test)))
        .route("/v1/overview", route(Need::Read, get(overview::overview)))
        .route("/v1/journeys", route(Need::Read, get(overview::journeys)))
        .route("/v1/jobs", route(Need::Read, get(jobs::list)))
        .route("/v1/jobs/retry", route(Need::Decide, post(jobs::retry)))
        .route(
            "/v1/sweeps",
            route(Need::Read, get(jobs::sweeps)).merge(route(Need::Decide, post(jobs::sweep))),
        )
        .layer(DefaultBodyLimit::max(take::BODY_BYTES_MAX))
        .with_state(Arc::clone(state))
}

/// What a write that may have been made before is answered with.
fn answer(answered: Answered) -> Response {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Json(answered.body)).into_response();
    if answered.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// How an error of `ops` looks outside.
fn problem_of(error: &OpsError) -> Problem {
    match error {
        OpsError::NoSuchCustomer => Problem::new(StatusCode::NOT_FOUND, "no_such_customer")
            .hint("No callback has named this customer yet, or Nium does not know the id."),
        OpsError::Erased => privacy::erased(),
        OpsError::Held => privacy::held(),
        OpsError::NoSuchOnboarding => privacy::no_such_onboarding(),
        OpsError::Became(customer) => privacy::became(*customer),
        OpsError::WrongState(state) => Problem::new(StatusCode::CONFLICT, "no_offer_open")
            .detail(format!("The case is in state {state}."))
            .hint("A correction is taken while the state is awaiting_correction; an officer can open an offer."),
        OpsError::UnderWay => Problem::new(StatusCode::CONFLICT, "write_under_way")
            .hint("One write about this customer is on its way to Nium; wait for what becomes of it."),
        OpsError::UnknownKeys(problems) => Problem::new(StatusCode::BAD_REQUEST, "unknown_keys")
            .hint("Use the field names of Unified Add Customer.")
            .errors(fields(problems)),
        OpsError::Invalid(problems) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields")
            .hint("Correct the fields that are named and send the request again.")
            .errors(fields(problems)),
        OpsError::NothingChanged => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_changed")
            .hint("The correction equals what is on file; Nium would reject it again. Change what the remark is about.")
            .errors([FieldError::new("fields", "change nothing")]),
        OpsError::KeyReused => Problem::new(StatusCode::CONFLICT, "idempotency_key_reused")
            .hint("This Idempotency-Key belongs to another request; choose a new key."),
        OpsError::NothingOpen => Problem::new(StatusCode::CONFLICT, "nothing_open")
            .hint("A link is made while a correction is awaited or a request for information is open."),
        OpsError::NoPage => Problem::new(StatusCode::CONFLICT, "no_public_address")
            .hint("Set public.url to the address by which customers reach the public listener."),
        OpsError::NoRfi => Problem::new(StatusCode::CONFLICT, "no_rfi_open")
            .hint("Nothing of this customer is on file that waits for an answer; GET the same path with refresh=true asks Nium."),
        OpsError::Company => Problem::new(StatusCode::CONFLICT, "customer_is_a_company")
            .hint("Unified Add Customer is for persons; settle a company's rejection with Nium, then look again."),
        OpsError::Moved => Problem::new(StatusCode::CONFLICT, "customer_moved")
            .hint("The customer is not as they were when this was asked for; look again, and ask anew."),
        OpsError::Nium(trouble) => search::nium_trouble(trouble),
        OpsError::NotParked(state) => Problem::new(StatusCode::CONFLICT, "not_parked")
            .detail(format!("The case is in state {state}."))
            .hint("A case is taken over while its state is needs_officer."),
        OpsError::ApprovalOpen(id) => Problem::new(StatusCode::CONFLICT, "approval_open")
            .detail(format!("The approval {id} waits for a second person already."))
            .hint("Let a second person decide about that one first."),
        OpsError::Bulk(refused) => bulk::problem(*refused),
        OpsError::NoSuchEndpoint => events::no_such_endpoint(),
        OpsError::NoSuchApproval => officer::no_such_approval(),
        OpsError::SamePerson => Problem::new(StatusCode::FORBIDDEN, "second_person_needed")
            .hint("Whoever asked cannot decide; somebody with a token of another name has to."),
        OpsError::ApprovalClosed(status) => Problem::new(StatusCode::CONFLICT, "approval_closed")
            .detail(format!("It is {status}; nothing was done."))
            .hint("Ask again if it is still wanted."),
        OpsError::ActRefused(effect) => acts::refused(effect),
        OpsError::CountChanged(count) => Problem::new(StatusCode::CONFLICT, "count_changed")
            .detail(format!("There are {count} of them now; nothing was done."))
            .hint("Send the request without confirm, look at the count, and confirm that one."),
        OpsError::Failed(failure) => failed(failure),
    }
}

/// It is ours.
fn failed(failure: &Failure) -> Problem {
    tracing::error!(error = %failure, "a request failed");
    let is_away = match failure {
        Failure::Store(error) => error.is_away(),
        // Until the keys are compared with a database that was away, it is as if it still were.
        Failure::Vault(error) => *error == VaultError::Unchecked,
        Failure::Unreadable(_) => false,
    };
    if is_away {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            .hint("The store does not answer; try again in a moment.")
    } else {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
            .hint("This is ours; the service's log has the cause.")
    }
}

fn fields(problems: &[FieldProblem]) -> Vec<FieldError> {
    problems.iter().map(|problem| FieldError::new(problem.field.clone(), problem.message.clone())).collect()
}
