//! `/v1/jobs`, `/v1/jobs/retry`, `/v1/sweeps`: what is stuck, and what is found by asking.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::auth::Caller;
use super::take::{self, Params};
use super::{ApiState, answer, problem_of};
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};
use crate::store::rows::watch::{JobFilter, JobKind, JobPlace, JobStatus};

/// `GET /v1/jobs?kind=&status=&customerHashId=&cursor=&limit=`
pub(super) async fn list(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["kind", "status", "customerHashId", "cursor", "limit"])?;
    let filter = JobFilter {
        kind: params.get("kind").map(|text| word(text, "kind", JobKind::parse, &kinds())).transpose()?,
        status: params
            .get("status")
            .map(|text| word(text, "status", JobStatus::parse, &statuses()))
            .transpose()?,
        customer: params.get("customerHashId").map(take::customer).transpose()?,
    };
    let after = params.cursor()?.map(|bytes| place_of(&bytes).ok_or_else(take::bad_cursor)).transpose()?;
    let limit = params.limit()?;
    let mut items = state.ops.jobs(filter, after, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&bytes_of(last.place())));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

fn kinds() -> String {
    JobKind::ALL.map(JobKind::as_str).join(", ")
}

fn statuses() -> String {
    JobStatus::ALL.map(JobStatus::as_str).join(", ")
}

fn word<T>(text: &str, name: &str, parse: fn(&str) -> Option<T>, known: &str) -> Result<T, Problem> {
    parse(text).ok_or_else(|| take::bad_parameter(name, format!("is one of: {known}")))
}

/// A place in the list, as a cursor holds it.
pub(in crate::http) fn bytes_of(place: JobPlace) -> Vec<u8> {
    match place {
        JobPlace::Decision(customer) => [b"d", customer.as_bytes().as_slice()].concat(),
        JobPlace::Look(customer) => [b"l", customer.as_bytes().as_slice()].concat(),
        JobPlace::Effect(seq) => [b"e", seq.to_be_bytes().as_slice()].concat(),
    }
}

/// Reads [`bytes_of`] back.
pub(in crate::http) fn place_of(bytes: &[u8]) -> Option<JobPlace> {
    let (letter, rest) = bytes.split_first()?;
    match letter {
        b'd' => Some(JobPlace::Decision(CustomerHashId::from_bytes(rest.try_into().ok()?))),
        b'l' => Some(JobPlace::Look(CustomerHashId::from_bytes(rest.try_into().ok()?))),
        b'e' => Some(JobPlace::Effect(i64::from_be_bytes(rest.try_into().ok()?))),
        _ => None,
    }
}

/// `POST /v1/jobs/retry` `{"kind", "status", "customerHashId", "confirm"}`: without `confirm` it only counts.
pub(super) async fn retry(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let once = take::once(&headers, &caller, "jobs/retry", CustomerHashId::NOBODY)?;
    let value = take::json(&body)?;
    let (filter, confirm) = wish(&value)?;
    let Some(expected) = confirm else {
        let count = state.ops.count_jobs(filter).await.map_err(|error| problem_of(&error))?;
        return Ok(Json(json!({ "count": count, "most": JobFilter::RETRY_MAX })).into_response());
    };
    let answered = state.ops.retry_jobs(filter, expected, &caller.name, &body, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}

fn wish(value: &Value) -> Result<(JobFilter, Option<usize>), Problem> {
    let bad = |field: &str, message: String| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_filter")
            .hint("Send {} or any of kind, status, customerHashId; add confirm with the count to go ahead.")
            .errors([FieldError::new(field.to_owned(), message)])
    };
    let fields = value.as_object().ok_or_else(|| bad("body", "is not an object".to_owned()))?;
    let (mut filter, mut confirm) = (JobFilter::default(), None);
    for (name, value) in fields {
        let text = value.as_str().unwrap_or_default();
        match name.as_str() {
            "kind" => {
                filter.kind =
                    Some(JobKind::parse(text).ok_or_else(|| bad(name, format!("is one of: {}", kinds())))?);
            }
            "status" => {
                let known = || bad(name, "is one of: failing, failed, parked".to_owned());
                let status = JobStatus::parse(text).filter(|status| {
                    matches!(status, JobStatus::Failing | JobStatus::Failed | JobStatus::Parked)
                });
                filter.status = Some(status.ok_or_else(known)?);
            }
            "customerHashId" => {
                let id = CustomerHashId::parse(text);
                filter.customer = Some(id.ok_or_else(|| bad(name, "is a UUID with hyphens".to_owned()))?);
            }
            "confirm" => {
                let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                confirm = Some(count.ok_or_else(|| bad(name, "is the count of the first call".to_owned()))?);
            }
            other => return Err(bad(other, "is not known here".to_owned())),
        }
    }
    Ok((filter, confirm))
}

/// `GET /v1/sweeps?cursor=&limit=`
pub(super) async fn sweeps(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["cursor", "limit"])?;
    let before = params.number_cursor()?;
    let limit = params.limit()?;
    let mut items = state.ops.sweeps(before, limit + 1).await.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&last.id.to_be_bytes()));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

/// `POST /v1/sweeps`: begins one, or answers with the one that runs. Any body is ignored but for its key.
pub(super) async fn sweep(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let once = take::once(&headers, &caller, "sweeps", CustomerHashId::NOBODY)?;
    let answered = state.ops.ask_sweep(&caller.name, &body, once.as_ref()).await;
    Ok(answer(answered.map_err(|error| problem_of(&error))?))
}
