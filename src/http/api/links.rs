//! `POST|DELETE /v1/customers/{id}/correction-link`: letting a customer in at the hosted page.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;

use super::auth::Caller;
use super::{ApiState, problem_of, take};
use crate::domain::texts::Language;
use crate::http::error::{FieldError, Problem};

/// `POST /v1/customers/{id}/correction-link`: a new link, in place of the last of the same caller.
pub(super) async fn issue(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let language = language(&body)?;
    let link = state.ops.issue_link(customer, &caller.name, language).await;
    Ok((StatusCode::CREATED, Json(link.map_err(|error| problem_of(&error))?)).into_response())
}

/// `DELETE /v1/customers/{id}/correction-link`: ends all links of the customer.
pub(super) async fn revoke(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let customer = take::customer(&id)?;
    let revoked = state.ops.revoke_links(customer, &caller.name).await;
    Ok(Json(revoked.map_err(|error| problem_of(&error))?).into_response())
}

/// `{"language": "de"}`, or nothing at all.
fn language(body: &Bytes) -> Result<Option<Language>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let wrong = |field: String, message: &'static str| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields")
            .hint("Send {\"language\": \"de\"}, or no body at all.")
            .errors([FieldError::new(field, message)])
    };
    let value = take::json(body)?;
    let Some(given) = value.as_object() else { return Err(wrong("body".to_owned(), "is an object")) };
    if let Some(unknown) = given.keys().find(|key| *key != "language") {
        let shown: String = unknown.chars().take(40).collect();
        return Err(wrong(shown, "is not known here"));
    }
    match given.get("language") {
        None | Some(Value::Null) => Ok(None),
        Some(tag) => {
            let language = tag.as_str().and_then(Language::parse);
            language
                .map(Some)
                .ok_or_else(|| wrong("language".to_owned(), "is one of en, fr, de, es, pt, ja, zh"))
        }
    }
}
