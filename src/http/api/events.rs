//! `/v1/events`, `/v1/deliveries`, `/v1/endpoints`: what the app backend is told, and how that goes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::effect::{Event, is_destination};
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};
use crate::ops::search::moment;
use crate::store::rows::events::{DeliveryFilter, DeliveryStatus, EventFilter};

/// What deliveries are filtered by, in queries and bodies.
const FILTERS: [&str; 6] = ["endpoint", "status", "type", "customerHashId", "from", "to"];

/// `GET /v1/events?after=&limit=&customerHashId=&type=`
pub(super) async fn feed(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["after", "limit", "customerHashId", "type"])?;
    let bad = || take::bad_parameter("after", "is `next` of an answer, or a `position`".to_owned());
    let after = params.get("after").unwrap_or("0").parse().ok().filter(|after: &i64| *after >= 0);
    let after = after.ok_or_else(bad)?;
    let event = params.get("type").map(event_of).transpose();
    let filter = EventFilter {
        customer: params.get("customerHashId").map(take::customer).transpose()?,
        event: event.map_err(|message| take::bad_parameter("type", message))?,
    };
    let page = state.ops.events(after, filter, params.limit()?).await;
    Ok(Json(page.map_err(|error| problem_of(&error))?).into_response())
}

/// `GET /v1/deliveries?endpoint=&status=&type=&customerHashId=&from=&to=&cursor=&limit=`
pub(super) async fn deliveries(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &[FILTERS.as_slice(), &["cursor", "limit"]].concat())?;
    let mut filter = DeliveryFilter::default();
    for name in FILTERS {
        if let Some(text) = params.get(name) {
            restrict(&mut filter, name, text, state.ops.clock.now())
                .map_err(|message| take::bad_parameter(name, message))?;
        }
    }
    let page = state.ops.deliveries(filter, params.number_cursor()?, params.limit()?).await;
    let page = page.map_err(|error| problem_of(&error))?;
    let next = page.next.map(|seq| take::cursor_of(&seq.to_be_bytes()));
    Ok(Json(json!({ "items": page.items, "next": next })).into_response())
}

/// Narrows a filter by one of [`FILTERS`]. The error is the end of a sentence.
fn restrict(filter: &mut DeliveryFilter, name: &str, text: &str, now: Timestamp) -> Result<(), String> {
    match name {
        "endpoint" if is_destination(text) => filter.endpoint = Some(text.to_owned()),
        "endpoint" => return Err("is the name of an endpoint".to_owned()),
        "status" => {
            let known =
                || format!("is one of: {}", DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", "));
            filter.status = Some(DeliveryStatus::parse(text).ok_or_else(known)?);
        }
        "type" => filter.event = Some(event_of(text)?),
        "customerHashId" => {
            let id = CustomerHashId::parse(text);
            filter.customer = Some(id.ok_or_else(|| "is a UUID with hyphens".to_owned())?);
        }
        "from" => filter.from = Some(moment(text, now)?),
        "to" => filter.to = Some(moment(text, now)?),
        _ => return Err("is not known here".to_owned()),
    }
    Ok(())
}

fn event_of(text: &str) -> Result<Event, String> {
    Event::parse(text).ok_or_else(|| format!("is one of: {}", Event::ALL.map(Event::as_str).join(", ")))
}

/// `POST /v1/deliveries/redeliver` `{"filter": {…}, "confirm"}`: without `confirm` it only counts.
pub(super) async fn redeliver(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let once = take::once(&headers, &caller, "deliveries/redeliver", CustomerHashId::NOBODY)?;
    let (filter, confirm) = wish(&take::json(&body)?, state.ops.clock.now())?;
    let Some(expected) = confirm else {
        let count = state.ops.count_deliveries(filter).await.map_err(|error| problem_of(&error))?;
        return Ok(Json(json!({ "count": count, "most": DeliveryFilter::REDELIVER_MAX })).into_response());
    };
    let answered = state.ops.redeliver(filter, expected, &caller.name, &body, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

fn wish(value: &Value, now: Timestamp) -> Result<(DeliveryFilter, Option<usize>), Problem> {
    let bad = |field: &str, message: String| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_filter")
            .hint("Send a filter of any of endpoint, status, type, customerHashId, from, to; add confirm with the count to go ahead.")
            .errors([FieldError::new(field.to_owned(), message)])
    };
    let fields = value.as_object().ok_or_else(|| bad("body", "is not an object".to_owned()))?;
    if let Some(other) = fields.keys().find(|name| !["filter", "confirm"].contains(&name.as_str())) {
        return Err(bad(other, "is not known here".to_owned()));
    }
    let mut filter = DeliveryFilter::default();
    let named = fields.get("filter").and_then(Value::as_object);
    for (name, value) in named.ok_or_else(|| bad("filter", "is an object".to_owned()))? {
        let text = value.as_str().ok_or_else(|| bad(name, "is text".to_owned()))?;
        restrict(&mut filter, name, text, now).map_err(|message| bad(name, message))?;
    }
    if matches!(filter.status, Some(DeliveryStatus::Held | DeliveryStatus::Waiting)) {
        return Err(bad("status", "is one of: failing, failed, delivered".to_owned()));
    }
    let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
    let confirm = fields
        .get("confirm")
        .map(|value| count(value).ok_or_else(|| bad("confirm", "is the count of the first call".to_owned())));
    Ok((filter, confirm.transpose()?))
}

/// `GET /v1/endpoints`
pub(super) async fn endpoints(State(state): State<Arc<ApiState>>) -> Result<Response, Problem> {
    Ok(Json(state.ops.endpoints().await.map_err(|error| problem_of(&error))?).into_response())
}

/// `POST /v1/endpoints/{id}/test`: sends an event that tells of nothing, now. There is no body.
pub(super) async fn test(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tried = state.ops.try_endpoint(&id, &caller.name).await.map_err(|error| problem_of(&error))?;
    Ok(Json(tried).into_response())
}

/// There is no endpoint of this name.
pub(super) fn no_such_endpoint() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_endpoint")
        .hint("GET /v1/endpoints lists the endpoints that are configured.")
}
