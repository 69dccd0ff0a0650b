//! Taking requests apart: ids, queries, JSON bodies, `Idempotency-Key`. Whatever is wrong is said as a problem.

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::auth::Caller;
use super::{ApiState, problem_of};
use crate::domain::id::CustomerHashId;
use crate::http::error::{FieldError, Problem};
use crate::ops::once::{KEY_CHARS_MAX, Once};

/// Largest body of the API, in bytes: 10 MiB of documents in base64, and room for the fields around them.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items of a list in one answer, at most.
pub const LIMIT_MAX: usize = 200;
/// Items of a list in one answer, if nothing is said.
pub const LIMIT_DEFAULT: usize = 50;

/// The customer in the path.
pub(super) fn customer(text: &str) -> Result<CustomerHashId, Problem> {
    CustomerHashId::parse(text).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "customer_hash_id_malformed")
            .hint("The id is a UUID with hyphens.")
    })
}

/// Asks Nium first, if the request says `refresh=true`.
pub(super) async fn refreshed(
    state: &ApiState,
    caller: &Caller,
    uri: &Uri,
    customer: CustomerHashId,
) -> Result<(), Problem> {
    if !Params::read(uri, &["refresh"])?.flag("refresh")? {
        return Ok(());
    }
    let fresh = state.ops.refresh(customer, &caller.name).await.map_err(|error| problem_of(&error))?;
    if !fresh && state.ops.show(customer).await.is_ok() {
        return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "nium_has_not_answered")
            .hint("Nium has not answered within a few seconds; ask without refresh for what is on file."));
    }
    Ok(())
}

/// A JSON body.
pub(super) fn json(body: &Bytes) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        // The position is worth telling; the message may quote what was sent.
        Problem::new(StatusCode::BAD_REQUEST, "body_not_json")
            .detail(format!(
                "The body is not readable JSON: line {}, column {}.",
                error.line(),
                error.column()
            ))
            .hint("Send one JSON object with content-type application/json.")
    })
}

/// The `Idempotency-Key` of a write, if it carries one.
pub(super) fn once(
    headers: &HeaderMap,
    caller: &Caller,
    route: &str,
    customer: CustomerHashId,
) -> Result<Option<Once>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let is_key = |key: &&str| {
        (1..=KEY_CHARS_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    let key = value.to_str().ok().filter(is_key);
    let key = key.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_malformed")
            .hint("Send 1 to 255 visible ASCII characters; a UUID is a good key.")
    })?;
    Ok(Some(Once::new(&caller.name, route, customer, key)))
}

/// The parameters of a list, each at most once, none unknown.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads the query of a request that may have these parameters.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_parameter")
                .hint("The query cannot be read; encode it as a form.")
        })?;
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let message = format!("is not known here; known are: {}", known.join(", "));
                return Err(bad_parameter(name, message));
            }
            if pairs.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(bad_parameter(name, "is given more than once".to_owned()));
            }
        }
        Ok(Self { pairs })
    }

    /// One parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is true or false; false if it is not given.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(bad_parameter(name, "is true or false".to_owned())),
        }
    }

    /// `limit`: 1 to 200, 50 if it is not given.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(LIMIT_DEFAULT);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| bad_parameter("limit", format!("is a number from 1 to {LIMIT_MAX}")))
    }

    /// `cursor` of a list that goes by numbers.
    pub(super) fn number_cursor(&self) -> Result<Option<i64>, Problem> {
        let bytes = self.cursor()?;
        bytes.map(|bytes| bytes.try_into().map(i64::from_be_bytes).map_err(|_| bad_cursor())).transpose()
    }

    /// `cursor`, as an answer gave it.
    pub(super) fn cursor(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.get("cursor") else {
            return Ok(None);
        };
        cursor_bytes(text).map(Some)
    }
}

/// A cursor as an answer gave it.
pub(super) fn cursor_bytes(text: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| bad_cursor())
}

/// A cursor for the next page.
pub(super) fn cursor_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is said about a cursor that no answer gave.
pub(super) fn bad_cursor() -> Problem {
    bad_parameter("cursor", "is not one; use `next` of the page before, unchanged".to_owned())
}

/// What is said about a parameter.
pub(super) fn bad_parameter(name: &str, message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_parameter")
        .hint("Correct the parameter that is named, or leave it out.")
        .errors([FieldError::new(name.to_owned(), message)])
}
