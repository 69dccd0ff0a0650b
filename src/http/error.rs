//! What a caller is told when something is wrong: an RFC 9457 problem with a stable `code` for programs, a `detail`
//! for the reader and a `hint` that says what to do about it. A problem never carries personal data or secrets.

use std::borrow::Cow;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error answer. Boxed, so that a `Result` with it stays small.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Serialize)]
struct Inner {
    #[serde(rename = "type")]
    kind: &'static str,
    title: Cow<'static, str>,
    #[serde(serialize_with = "status_as_number")]
    status: StatusCode,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(rename = "effectId", skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
}

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where in the request, in the request's own words.
    pub field: Cow<'static, str>,
    /// What is wrong with it, without repeating its value.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// Says `message` about `field`.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Problem {
    /// A problem with this status and this stable `code`; its title is the status in words until it gets its own.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self(Box::new(Inner {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").into(),
            status,
            code,
            detail: None,
            hint: None,
            errors: Vec::new(),
            effect: None,
        }))
    }

    /// The problem in a few words, the same for every occurrence.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = title.into();
        self
    }

    /// What happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What is wrong field by field.
    #[must_use]
    pub fn errors(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// What it was about, by the id of its effect.
    #[must_use]
    pub fn effect(mut self, effect: Option<String>) -> Self {
        self.0.effect = effect;
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Strings and a number always serialise; were it ever otherwise, the status alone still tells the truth.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (self.0.status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn status_as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_says_everything_it_was_given_and_nothing_else() {
        let bare = Problem::new(StatusCode::NOT_FOUND, "unknown_customer").into_response();
        assert_eq!(bare.headers()[CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(bare.into_body(), 4096).await.unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&body),
            @r#"{"type":"about:blank","title":"Not Found","status":404,"code":"unknown_customer"}"#);

        let full = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_correction")
            .title("The correction cannot be sent")
            .detail("One field is not acceptable.")
            .hint("Correct the field and send it again.")
            .errors([FieldError::new("fields.email", "is not an e-mail address")]);
        let body = axum::body::to_bytes(full.into_response().into_body(), 4096).await.unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&body),
            @r#"{"type":"about:blank","title":"The correction cannot be sent","status":422,"code":"invalid_correction","detail":"One field is not acceptable.","hint":"Correct the field and send it again.","errors":[{"field":"fields.email","message":"is not an e-mail address"}]}"#);
    }
}
