//! `/livez`: the process answers. `/readyz`: a callback would be taken. `/metrics`: everything that is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Problem;
use super::knock::LastKnock;
use crate::clock::Clock;
use crate::metrics::{Metrics, Reading};
use crate::spool::Spool;
use crate::store::Store;
use crate::store::rows::Gauges;
use crate::store::rows::overview::DUE;

/// How long the writer may take to answer a readiness question.
const PING_WAIT: Duration = Duration::from_secs(2);

/// What the health routes need.
#[derive(Debug)]
pub struct HealthState {
    /// The one door to the database.
    pub store: Arc<Store>,
    /// The last resort of the intake.
    pub spool: Arc<Spool>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Set when the service is stopping: it still takes callbacks, but should get no new ones.
    pub stopping: Arc<AtomicBool>,
    /// Who was last not answered 200 at the intake.
    pub last_knock: Arc<LastKnock>,
    /// Set once a proxy seems to stand in front that nobody has named (see `access::Options`).
    pub undeclared_proxy: Arc<AtomicBool>,
}

/// How the intake is, as far as can be said without writing.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IntakeHealth {
    /// `ready`, `degraded` or `stopping`.
    pub status: &'static str,
    /// Whether the spool takes callbacks.
    pub spool_has_room: bool,
    /// Callbacks in the spool that wait for the database.
    pub callbacks_spooled: u64,
}

impl HealthState {
    /// How the intake is, for whoever has just read from the database.
    #[must_use]
    pub fn intake(&self) -> IntakeHealth {
        let spool_has_room = self.spool.has_room();
        let status = match (self.stopping.load(Ordering::Relaxed), spool_has_room, self.spool.on_detour()) {
            (true, ..) => "stopping",
            (false, true, false) => "ready",
            (false, ..) => "degraded",
        };
        IntakeHealth { status, spool_has_room, callbacks_spooled: self.spool.waiting() }
    }
}

/// `/livez` and `/readyz`, on the public listener.
pub fn router(state: &Arc<HealthState>) -> Router {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).with_state(Arc::clone(state))
}

/// The same on the admin listener, where `?verbose` also says who knocked last in vain.
pub fn admin_router(state: &Arc<HealthState>) -> Router {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready_inside)).with_state(Arc::clone(state))
}

/// `/metrics`, on the admin listener.
pub fn metrics_router(state: &Arc<HealthState>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(state))
}

async fn live() -> &'static str {
    "ok\n"
}

async fn ready(State(state): State<Arc<HealthState>>, RawQuery(query): RawQuery) -> Response {
    let (status, body) = readiness(&state, query).await;
    (status, Json(body)).into_response()
}

async fn ready_inside(State(state): State<Arc<HealthState>>, RawQuery(query): RawQuery) -> Response {
    let (status, mut body) = readiness(&state, query).await;
    // Addresses of callers are nobody's business outside.
    if let (Some(detail), Some(knock)) =
        (body.as_object_mut().filter(|body| body.len() > 1), state.last_knock.last())
    {
        detail.insert("lastKnockInVain".to_owned(), json!(knock));
    }
    (status, Json(body)).into_response()
}

async fn readiness(state: &HealthState, query: Option<String>) -> (StatusCode, Value) {
    let verbose = query
        .is_some_and(|query| query.split('&').any(|part| part == "verbose" || part.starts_with("verbose=")));
    let stopping = state.stopping.load(Ordering::Relaxed);
    let store = match tokio::time::timeout(PING_WAIT, state.store.ping()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(_)) => "unavailable",
        Err(_) => "slow",
    };
    // Ready means that a callback would be kept, wherever.
    let (status, word) = match (stopping, store == "ok", state.spool.has_room()) {
        (true, ..) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, true, true) if !state.spool.on_detour() => (StatusCode::OK, "ready"),
        (false, true, _) | (false, false, true) => (StatusCode::OK, "degraded"),
        (false, false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    if !verbose {
        return (status, json!({ "status": word }));
    }
    let gauges = state.store.gauges().await.ok();
    let silence = state.store.silence().await.ok();
    let now = state.clock.now();
    let detail = json!({
        "status": word,
        "store": store,
        "spool": if state.spool.has_room() { "ok" } else { "full or unavailable" },
        "callbacksSpooled": state.spool.waiting(),
        "customersDue": gauges.as_ref().and_then(|gauges| gauges.count(DUE)),
        "callbacksUnfolded": gauges.as_ref().map(|gauges| gauges.unfolded),
        "lastCallbackSecondsAgo":
            gauges.as_ref().and_then(|gauges| gauges.last_callback).map(|at| now.duration_since(at).as_secs()),
        "callbacks": silence,
        "undeclaredProxySeen": state.undeclared_proxy.load(Ordering::Relaxed),
    });
    (status, detail)
}

fn reading(gauges: Gauges, now: Timestamp) -> Reading {
    let counts =
        gauges.standings.into_iter().map(|standing| (standing.what, standing.count, standing.oldest));
    Reading {
        counts: counts.collect(),
        counted_at: gauges.counted_at,
        unfolded: gauges.unfolded,
        oldest_unfolded: gauges.oldest_unfolded,
        last_callback: gauges.last_callback,
        unlinked: gauges.unlinked,
        swept_at: gauges.swept_at,
        now,
    }
}

async fn metrics(State(state): State<Arc<HealthState>>) -> Response {
    match state.store.gauges().await {
        Ok(gauges) => {
            state.metrics.rows.set(&reading(gauges, state.clock.now()));
            state.metrics.rows.set_store_up(true);
        }
        // The rest is still worth scraping, above all while the store is away.
        Err(error) => {
            state.metrics.rows.set_store_up(false);
            tracing::warn!(%error, "row counts could not be read for a scrape");
        }
    }
    if let Ok(silence) = state.store.silence().await {
        let silent = silence.alarm_since.is_some();
        state.metrics.rows.set_silence(silence.missing_day, silence.waiting, silent);
    }
    if let Ok(endpoints) = state.store.endpoints().await {
        let disabled = endpoints.iter().map(|row| (row.name.as_str(), row.disabled_at.is_some()));
        state.metrics.rows.set_endpoints(disabled);
    }
    state.metrics.rows.set_spool(state.spool.waiting(), state.spool.bytes(), state.spool.has_room());
    match state.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal").into_response()
        }
    }
}
