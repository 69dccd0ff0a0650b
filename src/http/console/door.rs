//! Who is let in: signing in and out, and the guard that stands before every page.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::shell::{Frame, Here, notice};
use super::table::encoded;
use super::{Console, ConsoleState, Signed};
use crate::domain::role::{Need, Role};
use crate::http::api::auth::token_hash;
use crate::http::web::{self, form_token, is_from_here, page};
use crate::ops::OpsError;
use crate::ops::people::{Begun, Comer, NotLetIn};
use crate::store::rows::people::{SessionRow, SessionSource};

/// Longest name, password or token that is looked at, in bytes.
const FIELD_BYTES_MAX: usize = 1_024;
/// Where a page waits to be told that something has changed.
const LIVE: &str = "/console/live";
/// A page says with this header that it reads itself anew: nobody is in front of it for all we know.
const BY_ITSELF: &str = "x-by-itself";

/// The page that lets people in.
#[derive(Template)]
#[template(path = "console_sign_in.html")]
struct SignIn<'a> {
    frame: Frame<'a>,
    /// Where to go on.
    next: &'a str,
    name: &'a str,
    wrong: Option<&'static str>,
}

fn sign_in_page(
    state: &ConsoleState,
    status: StatusCode,
    next: &str,
    name: &str,
    wrong: Option<&'static str>,
) -> Response {
    let frame = Frame {
        title: "Sign in".into(),
        base: &state.base,
        who: None,
        here: Here::Elsewhere,
        said: None,
        live: None,
    };
    page(status, &SignIn { frame, next, name, wrong })
}

/// A way within the console to go on at, as an address or a form has it; anything else leads to its beginning.
fn way_on(next: Option<&str>) -> &str {
    let is_ours = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_ours).unwrap_or("/")
}

#[derive(Deserialize)]
pub(super) struct Way {
    next: Option<String>,
}

/// `GET /sign-in?next=`
pub(super) async fn ask(
    State(state): Console,
    axum::extract::Query(way): axum::extract::Query<Way>,
) -> Response {
    sign_in_page(&state, StatusCode::OK, way_on(way.next.as_deref()), "", None)
}

/// What the form says.
#[derive(Deserialize)]
pub(super) struct Filled {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    token: String,
    next: Option<String>,
}

/// `POST /sign-in`: a name with its password, or a token.
pub(super) async fn enter(State(state): Console, headers: HeaderMap, Form(filled): Form<Filled>) -> Response {
    let next = way_on(filled.next.as_deref());
    let name = filled.name.trim();
    if !is_from_here(&headers) {
        let wrong = Some("The form came from another site. Fill it in here.");
        return sign_in_page(&state, StatusCode::FORBIDDEN, next, "", wrong);
    }
    let is_short = |text: &str| text.len() <= FIELD_BYTES_MAX;
    if !(is_short(name) && is_short(&filled.password) && is_short(&filled.token)) {
        let wrong = Some("That is too long to be right.");
        return sign_in_page(&state, StatusCode::UNPROCESSABLE_ENTITY, next, "", wrong);
    }
    let let_in = if filled.token.trim().is_empty() {
        state.ops.sign_in(name, &filled.password).await
    } else {
        by_token(&state, filled.token.trim()).await
    };
    let (status, wrong) = match let_in {
        Ok(Ok(begun)) => return with_cookie(&state, state.see(next), &begun),
        Ok(Err(NotLetIn::Wrong)) => {
            (StatusCode::UNAUTHORIZED, "Name and password, or the token, are not right.")
        }
        Ok(Err(NotLetIn::TooMany)) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong passwords just now. Wait a second, and try again.",
        ),
        Ok(Err(NotLetIn::NotForPeople)) => (
            StatusCode::FORBIDDEN,
            "This token is for the app backend. The console is for viewers, officers and administrators.",
        ),
        Err(error) => return trouble(&state, &error),
    };
    let mut response = sign_in_page(&state, status, next, name, Some(wrong));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn by_token(state: &ConsoleState, token: &str) -> Result<Result<Begun, NotLetIn>, OpsError> {
    let hash = token_hash(token);
    if !state.is_bootstrap(&hash) {
        return state.ops.sign_in_with_token(hash).await;
    }
    let comer = Comer {
        actor: "bootstrap",
        role: Role::Admin,
        source: SessionSource::Bootstrap,
        source_id: &hex::encode(hash),
        version: 0,
    };
    Ok(Ok(state.ops.begin_session(&comer).await?))
}

fn with_cookie(state: &ConsoleState, mut response: Response, begun: &Begun) -> Response {
    if let Some(cookie) = state.set_cookie(&begun.cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /sign-out`
pub(super) async fn leave(State(state): Console, axum::Extension(who): axum::Extension<Signed>) -> Response {
    if let Err(error) = state.ops.end_session(&who.session, &who.name).await {
        return trouble(&state, &error);
    }
    let mut response = state.see("/sign-in");
    if let Some(cookie) = state.drop_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Lets through whoever is signed in and may do what the route needs.
pub(super) async fn guard(
    State((state, need)): State<(Arc<ConsoleState>, Need)>,
    request: Request,
    next: Next,
) -> Response {
    let is_change = request.method() != Method::GET && request.method() != Method::HEAD;
    if is_change && !is_from_here(request.headers()) {
        return refusal(&state, None, "The form came from another site. Nothing was done.");
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let by_itself = request.uri().path() == LIVE || request.headers().contains_key(BY_ITSELF);
    let admitted = match admitted(&state, peer, request.headers(), !by_itself).await {
        Ok(admitted) => admitted,
        Err(error) => return trouble(&state, &error),
    };
    let (who, begun) = match admitted {
        Admitted::Signed(who) => (who, None),
        Admitted::Begun(who, begun) => (who, Some(begun)),
        Admitted::NotListed => {
            return refusal(&state, None, "You are known, and may not work here. Ask an administrator.");
        }
        Admitted::Nobody if is_change => {
            return refusal(&state, None, "Your session is over. Sign in again; nothing was done.");
        }
        Admitted::Nobody => return to_sign_in(&state, request.uri()),
    };
    if !who.role.may(need) {
        let text = format!("Your role is {}; this page needs more.", who.role.as_str());
        return refusal(&state, Some(&who), &text);
    }
    let mut request = request;
    request.extensions_mut().insert(who);
    let response = next.run(request).await;
    match begun {
        Some(begun) => with_cookie(&state, response, &begun),
        None => response,
    }
}

enum Admitted {
    Signed(Signed),
    /// By a proxy's word, just now.
    Begun(Signed, Begun),
    /// A proxy knows them, and no list of ours has them.
    NotListed,
    Nobody,
}

async fn admitted(
    state: &ConsoleState,
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    used: bool,
) -> Result<Admitted, OpsError> {
    let cookie = web::cookie(headers, state.cookie_name());
    let session = match cookie {
        Some(cookie) => state.ops.session(cookie, used).await?,
        None => None,
    };
    let signed = |session: &SessionRow, cookie: &str, role: Role| Signed {
        name: Arc::from(session.actor.as_str()),
        role,
        session: session.id.clone(),
        form: form_token(cookie),
    };
    let vouched = state.sign_on.as_ref().zip(peer).and_then(|(on, peer)| on.who(peer, headers));
    if let Some(vouched) = vouched {
        let Some(role) = vouched.role else { return Ok(Admitted::NotListed) };
        // The role is the proxy's word of this very request; the session is there for its forms.
        if let (Some(cookie), Some(session)) = (cookie, &session)
            && session.source == SessionSource::Proxy
            && session.actor == vouched.name
        {
            return Ok(Admitted::Signed(signed(session, cookie, role)));
        }
        let comer = Comer {
            actor: &vouched.name,
            role,
            source: SessionSource::Proxy,
            source_id: &vouched.name,
            version: 0,
        };
        let begun = state.ops.begin_session(&comer).await?;
        let who = signed(&begun.session, &begun.cookie, role);
        return Ok(Admitted::Begun(who, begun));
    }
    let (Some(cookie), Some(session)) = (cookie, session) else { return Ok(Admitted::Nobody) };
    let still_stands = match session.source {
        // Whoever came by a proxy's word needs it every time.
        SessionSource::Proxy => false,
        SessionSource::Bootstrap => state.is_bootstrap_named(&session.source_id),
        SessionSource::Password | SessionSource::Token => true,
    };
    let role = Role::parse(&session.role).filter(|_| still_stands);
    Ok(role.map_or(Admitted::Nobody, |role| Admitted::Signed(signed(&session, cookie, role))))
}

fn to_sign_in(state: &ConsoleState, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if path == "/" {
        return state.see("/sign-in");
    }
    state.see(&format!("/sign-in?next={}", encoded(way_on(Some(path)))))
}

fn refusal(state: &ConsoleState, who: Option<&Signed>, text: &str) -> Response {
    let frame = Frame {
        title: "Not here".into(),
        base: &state.base,
        who,
        here: Here::Elsewhere,
        said: None,
        live: None,
    };
    let back = if who.is_some() { ("/", "Back to the overview") } else { ("/sign-in", "Sign in") };
    notice(StatusCode::FORBIDDEN, frame, text, Some(back))
}

/// Ours to mend: the log has the cause.
pub(super) fn trouble(state: &ConsoleState, error: &OpsError) -> Response {
    tracing::error!(%error, "a page of the console could not be shown");
    let frame = Frame {
        title: "Not now".into(),
        base: &state.base,
        who: None,
        here: Here::Elsewhere,
        said: None,
        live: None,
    };
    let text = "The database does not answer, or something of ours failed; the service's log has the cause. Callbacks are \
         taken all the same. Try again in a moment.";
    notice(StatusCode::SERVICE_UNAVAILABLE, frame, text, None).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_on_stays_in_the_house() {
        for (next, way) in [
            (Some("/cases?state=rejected"), "/cases?state=rejected"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/a b"), "/"),
            (Some("/a\r\nset-cookie: x"), "/"),
            (None, "/"),
        ] {
            assert_eq!(way_on(next), way, "{next:?}");
        }
    }
}
