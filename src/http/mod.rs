//! FLOOR 3: what the outside sees, on axum. Every route is on this screen or in the table of [`api::router`].
//!
//! - the public listener takes Nium's callbacks, with as little in the way as possible, and has the page on which customers
//!   correct what was rejected
//! - the admin listener answers operators and the app backend, and has the console

pub mod access;
pub mod api;
mod body;
pub mod callback;
pub mod console;
pub mod correct;
pub mod error;
pub mod health;
pub mod knock;
mod openapi;
pub mod serve;
mod web;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use self::api::ApiState;
use self::callback::CallbackState;
use self::console::ConsoleState;
use self::correct::CorrectState;
use self::error::Problem;
use self::health::HealthState;
use crate::metrics::Refusals;

/// The longest an admin request may take: an upload of 16 MiB over a slow line included.
const ADMIN_LIMIT: Duration = Duration::from_mins(1);

/// Headers that an answer of the framework keeps when it becomes a problem.
const HEADERS_KEPT: [HeaderName; 2] = [header::ALLOW, header::RETRY_AFTER];

/// What the public listener serves. No layer stands before the callback but the catcher of panics.
pub fn public_router(
    callbacks: CallbackState,
    correct: Option<Arc<CorrectState>>,
    health: &Arc<HealthState>,
) -> Router {
    let page = correct.map(correct::router).unwrap_or_default();
    let page = counted(page.method_not_allowed_fallback(method_not_allowed), health, "page");
    let elsewhere = counted(Router::new().fallback(not_found), health, "elsewhere");
    callback::router(callbacks)
        .merge(page)
        .merge(health::router(health))
        .method_not_allowed_fallback(method_not_allowed)
        .merge(elsewhere)
        .layer(CatchPanicLayer::custom(panicked))
}

/// What the admin listener serves.
pub fn admin_router(api: &Arc<ApiState>, console: &Arc<ConsoleState>, health: &Arc<HealthState>) -> Router {
    let nosniff = SetResponseHeaderLayer::overriding(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let no_store =
        SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let layers = ServiceBuilder::new()
        // Outermost, so that the line tells what the caller really got.
        .layer(from_fn(log_request))
        // Answers hold personal data: no cache keeps them, no browser guesses their type.
        .layer(nosniff)
        .layer(no_store)
        // Turns plain refusals (a body over the limit, a request that takes too long) into problems.
        .layer(from_fn(plain_to_problem))
        // A slow upload must not hold a place for ever.
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ADMIN_LIMIT))
        // Innermost: a panic is one request's trouble.
        .layer(CatchPanicLayer::custom(panicked));
    let api = api::router(api)
        .merge(health::metrics_router(health))
        .merge(openapi::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers);
    // Pages for people have answers of their own, with headers of their own.
    let console =
        console::router(console).layer(CatchPanicLayer::custom(panicked)).layer(from_fn(log_request));
    counted(api, health, "api").merge(counted(console, health, "console")).merge(health::admin_router(health))
}

/// Counts what a part of the service refuses, as the caller sees it.
fn counted(router: Router, health: &HealthState, part: &'static str) -> Router {
    router.layer(from_fn_with_state(Arc::new(health.metrics.refusals.of(part)), count_refusal))
}

async fn count_refusal(State(refusals): State<Arc<Refusals>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    refusals.count(response.status().as_u16());
    response
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_route").hint("The README lists the routes of each listener.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        .hint("The Allow header names what works here.")
}

fn panicked(_payload: Box<dyn std::any::Any + Send + 'static>) -> Response {
    // The payload may hold anything; the panic hook has logged where it happened.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
        .hint("This is ours; the service's log has the cause.")
        .into_response()
}

/// One line per request: method, route (never the path, which may come from anywhere), status, time.
async fn log_request(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let begun = std::time::Instant::now();
    let method = request.method().clone();
    let route = matched.map_or_else(|| "unmatched".to_owned(), |matched| matched.as_str().to_owned());
    let response = next.run(request).await;
    let (status, took_ms) = (response.status().as_u16(), begun.elapsed().as_millis());
    tracing::info!(%method, route, status, took_ms, "admin request");
    response
}

/// Plain-text refusals of the framework become problems, with the headers (Allow) they carried.
async fn plain_to_problem(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(status, "body_too_large")
            .hint("Send at most 16 MiB: documents of 2 MiB each and 10 MiB together, in base64."),
        StatusCode::REQUEST_TIMEOUT => Problem::new(status, "request_too_slow")
            .hint("Send the request whole within a minute; what had begun goes on, and can be asked for."),
        other => Problem::new(other, "request_not_readable")
            .hint("The request could not be read as HTTP promises."),
    };
    let mut answer = problem.into_response();
    for name in HEADERS_KEPT {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
