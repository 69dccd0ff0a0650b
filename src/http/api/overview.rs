//! `/v1/overview`, `/v1/journeys`: how far rejected customers have come, and how the service has been doing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::take::{self, Params};
use super::{ApiState, problem_of};
use crate::domain::id::CustomerHashId;
use crate::domain::journey::{Reach, Step};
use crate::http::error::Problem;
use crate::ops::overview::{DAYS_DEFAULT, DAYS_MAX};
use crate::store::rows::overview::JourneyPlace;

/// `GET /v1/overview?days=`
pub(super) async fn overview(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let days = days(&Params::read(&uri, &["days"])?)?;
    let overview = state.ops.overview(days).await.map_err(|error| problem_of(&error))?;
    let mut shown = json!(overview);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("intake".to_owned(), json!(state.health.intake()));
    }
    Ok(Json(shown).into_response())
}

/// `GET /v1/journeys?step=&days=&cursor=&limit=`
pub(super) async fn journeys(State(state): State<Arc<ApiState>>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["step", "days", "cursor", "limit"])?;
    let (reach, days, limit) = (reach(&params)?, days(&params)?, params.limit()?);
    let after = params.cursor()?.map(|bytes| place_of(&bytes).ok_or_else(take::bad_cursor)).transpose()?;
    let items = state.ops.journeys(reach, days, after, limit + 1).await;
    let mut items = items.map_err(|error| problem_of(&error))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| take::cursor_of(&bytes_of(last.place())));
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

fn days(params: &Params) -> Result<u32, Problem> {
    let Some(text) = params.get("days") else { return Ok(DAYS_DEFAULT) };
    text.parse()
        .ok()
        .filter(|days| (1..=DAYS_MAX).contains(days))
        .ok_or_else(|| take::bad_parameter("days", format!("is a number from 1 to {DAYS_MAX}")))
}

fn reach(params: &Params) -> Result<Reach, Problem> {
    let Some(text) = params.get("step") else { return Ok(Reach::Step(Step::Rejected)) };
    Reach::parse(text).ok_or_else(|| {
        take::bad_parameter("step", format!("is one of: {}", Reach::ALL.map(Reach::as_str).join(", ")))
    })
}

/// A place as a cursor has it.
pub(in crate::http) fn bytes_of(place: JourneyPlace) -> Vec<u8> {
    let JourneyPlace { rejected_at, customer, number } = place;
    [&rejected_at.as_millisecond().to_be_bytes()[..], customer.as_bytes(), &number.to_be_bytes()].concat()
}

/// A cursor as a place.
pub(in crate::http) fn place_of(bytes: &[u8]) -> Option<JourneyPlace> {
    let (at, rest) = bytes.split_first_chunk()?;
    let (customer, number) = rest.split_first_chunk()?;
    Some(JourneyPlace {
        rejected_at: jiff::Timestamp::from_millisecond(i64::from_be_bytes(*at)).ok()?,
        customer: CustomerHashId::from_bytes(*customer),
        number: i64::from_be_bytes(number.try_into().ok()?),
    })
}
