//! Who may ask what: bearer tokens with roles. A token is looked up by its hash, so the time of the look-up says
//! nothing about it; the token that comes from the configuration is compared in constant time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::ApiState;
use crate::domain::role::{Need, Role};
use crate::http::error::Problem;
use crate::store::Store;

/// The hash of the token that the configuration gives, if it does; it can be exchanged while the service runs.
pub type Bootstrap = Arc<ArcSwapOption<[u8; 32]>>;

/// Longest token that is looked at, in bytes; ours have 47.
const TOKEN_BYTES_MAX: usize = 512;

/// Who is asking; in the extensions of every request that got past the door.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's name, for the record of who did what.
    pub name: Arc<str>,
    /// What the token may do.
    pub role: Role,
}

/// The hash under which a token is stored.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Lets a request through whose token may do what the route needs.
pub(super) async fn guard(
    State((state, need)): State<(Arc<ApiState>, Need)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(&request) else {
        return unauthenticated();
    };
    let known = match who(&state.ops.store, state.bootstrap.load_full().as_deref(), token).await {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "a token could not be looked up");
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
                .hint("The store does not answer; try again in a moment.")
                .into_response();
        }
    };
    let Some((role, name)) = known else {
        return unauthenticated();
    };
    if !role.may(need) {
        return not_allowed(role).into_response();
    }
    request.extensions_mut().insert(Caller { name, role });
    next.run(request).await
}

/// What a token hears whose role is not enough.
pub(super) fn not_allowed(role: Role) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "role_not_allowed")
        .detail(format!("The role of this token is {}.", role.as_str()))
        .hint("Use a token whose role may do this; `reinstate token create --role …` makes one.")
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX)
        .then_some(token)
}

async fn who(
    store: &Store,
    bootstrap: Option<&[u8; 32]>,
    token: &str,
) -> Result<Option<(Role, Arc<str>)>, crate::store::error::StoreError> {
    let hash = token_hash(token);
    let is_bootstrap = bootstrap
        .is_some_and(|expected| aws_lc_rs::constant_time::verify_slices_are_equal(expected, &hash).is_ok());
    if is_bootstrap {
        return Ok(Some((Role::Admin, Arc::from("bootstrap"))));
    }
    let found = store.token(hash).await?;
    Ok(found.and_then(|token| Some((Role::parse(&token.role)?, Arc::from(token.name)))))
}

fn unauthenticated() -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "token_missing_or_unknown")
        .hint("Send `Authorization: Bearer <token>`; `reinstate token create` makes a token.");
    let mut response = problem.into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    response
}
