//! The console, on the admin listener: the pages of those who watch over cases. Rendered here, readable without a script, kept
//! up to date by one.
//!
//! - `door`: signing in and out, and the guard before every page; `sign_on`: the word of a proxy about who comes
//! - `shell`: what is around every page; `form`: what a page's form says, if it is one of ours
//! - one file for each page

mod acts;
mod approvals;
mod bulk;
mod case;
mod cases;
mod chart;
mod door;
mod form;
mod lists;
mod live;
mod offers;
mod overview;
mod privacy;
mod settings;
mod shell;
mod sign_on;
mod table;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use zeroize::Zeroizing;

use self::door::guard;
use self::live::Live;
use self::shell::{Frame, Here};
use super::api::auth::Bootstrap;
use super::health::HealthState;
use super::web;
use crate::domain::role::{Need, Role};
use crate::ops::Ops;

pub use self::sign_on::SignOn;

/// Largest form, in bytes: a note, and room for more that is refused in plain words.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// The longest a page may take.
const PAGE_WAIT: Duration = Duration::from_secs(30);
/// Like the hosted page's, and it may ask us whether something has changed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);

/// A setting as it is shown.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// Its value, or that it is secret.
    pub value: String,
    /// Where it was written.
    pub place: String,
}

/// Every setting of a running service.
pub type SharedSettings = Arc<ArcSwap<Vec<Setting>>>;

/// What an operator has settled about the console.
#[derive(Debug)]
pub struct Options {
    /// Where browsers reach the admin listener.
    pub url: String,
    /// The hash of the token that the configuration gives, if it does.
    pub bootstrap: Bootstrap,
    /// Whose word is taken for who comes.
    pub sign_on: Option<SignOn>,
    /// Every setting; they can be exchanged.
    pub settings: SharedSettings,
}

/// What the console's handlers need.
pub struct ConsoleState {
    ops: Arc<Ops>,
    health: Arc<HealthState>,
    bootstrap: Bootstrap,
    sign_on: Option<SignOn>,
    settings: SharedSettings,
    live: Live,
    /// The path of the address, which stands before every path.
    base: String,
    /// Browsers come over https.
    secure: bool,
}

/// Whoever is signed in.
#[derive(Clone, Debug)]
struct Signed {
    /// Their name in the record.
    name: Arc<str>,
    role: Role,
    /// The session's name.
    session: String,
    /// What their forms carry.
    form: String,
}

impl Signed {
    fn may(&self, need: Need) -> bool {
        self.role.may(need)
    }
}

type Console = State<Arc<ConsoleState>>;

impl ConsoleState {
    /// The console of this service.
    #[must_use]
    pub fn new(ops: Arc<Ops>, health: Arc<HealthState>, options: Options) -> Self {
        let Options { url, bootstrap, sign_on, settings } = options;
        let path = url.parse().map(|url: Uri| url.path().trim_end_matches('/').to_owned());
        let secure = url.starts_with("https://");
        let live = Live::default();
        Self { ops, health, bootstrap, sign_on, settings, live, base: path.unwrap_or_default(), secure }
    }

    /// Sends a browser on.
    fn see(&self, path: &str) -> Response {
        let place = HeaderValue::from_str(&format!("{}{path}", self.base));
        let place = place.unwrap_or_else(|_| HeaderValue::from_static("/"));
        (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
    }

    /// Sends a browser on, and says what became of what it asked for.
    fn say(&self, path: &str, word: &str) -> Response {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.see(&format!("{path}{mark}said={word}"))
    }

    /// What is around a page.
    fn frame<'a>(
        &'a self,
        who: &'a Signed,
        here: Here,
        title: impl Into<std::borrow::Cow<'a, str>>,
    ) -> Frame<'a> {
        Frame { title: title.into(), base: &self.base, who: Some(who), here, said: None, live: None }
    }

    fn is_bootstrap(&self, hash: &[u8; 32]) -> bool {
        let expected = self.bootstrap.load();
        expected.as_ref().is_some_and(|expected| {
            aws_lc_rs::constant_time::verify_slices_are_equal(&**expected, hash).is_ok()
        })
    }

    /// Whether a session was opened with the token that the configuration gives now.
    fn is_bootstrap_named(&self, source_id: &str) -> bool {
        self.bootstrap.load().as_ref().is_some_and(|expected| hex::encode(**expected) == source_id)
    }

    fn cookie_name(&self) -> &'static str {
        if self.secure { "__Host-console" } else { "console" }
    }

    fn set_cookie(&self, token: &Zeroizing<String>) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = Zeroizing::new(format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict{secure}",
            self.cookie_name(),
            token.as_str()
        ));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn drop_cookie(&self) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.cookie_name();
        HeaderValue::from_str(&format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}")).ok()
    }
}

/// Every page of the console, with what whoever is signed in must be allowed to do.
pub fn router(state: &Arc<ConsoleState>) -> Router {
    let route = |need: Need, methods: MethodRouter<Arc<ConsoleState>>| {
        methods.route_layer(from_fn_with_state((Arc::clone(state), need), guard))
    };
    Router::new()
        .route("/cases", route(Need::Read, get(cases::list).post(cases::find)))
        .route("/bulk", route(Need::Read, get(bulk::list)).merge(route(Need::Decide, post(bulk::begin))))
        .route("/bulk/preview", route(Need::Decide, post(bulk::preview)))
        .route("/bulk/{id}", route(Need::Read, get(bulk::show)))
        .route("/bulk/{id}/cancel", route(Need::Decide, post(bulk::cancel)))
        .route("/cases/{id}", route(Need::Read, get(case::show)))
        .route("/cases/{id}/refresh", route(Need::Read, post(acts::refresh)))
        .route("/cases/{id}/word", route(Need::Decide, post(acts::word)))
        .route("/cases/{id}/block", route(Need::Decide, post(acts::block)))
        .route("/cases/{id}/tags", route(Need::Decide, post(acts::tags)))
        .route("/cases/{id}/link", route(Need::Correct, post(acts::link)))
        .route("/cases/{id}/link/revoke", route(Need::Correct, post(acts::revoke)))
        .route("/cases/{id}/personal", route(Need::Decide, post(acts::personal)))
        .route("/cases/{id}/bundle", route(Need::Decide, post(acts::bundle)))
        .route("/cases/{id}/hold", route(Need::Decide, post(privacy::hold)))
        .route("/cases/{id}/export", route(Need::Manage, post(privacy::export)))
        .route("/cases/{id}/erase", route(Need::Manage, post(privacy::erase)))
        .route("/approvals", route(Need::Read, get(approvals::list)))
        .route("/approvals/{id}", route(Need::Decide, post(approvals::verdict)))
        .route("/", route(Need::Read, get(overview::show)))
        .route("/journeys", route(Need::Read, get(overview::journeys)))
        .route("/callbacks", route(Need::Read, get(lists::callbacks)))
        .route("/jobs", route(Need::Read, get(lists::jobs)))
        .route("/jobs/retry", route(Need::Decide, post(lists::retry)))
        .route(
            "/sweeps",
            route(Need::Read, get(lists::sweeps)).merge(route(Need::Decide, post(lists::sweep))),
        )
        .route("/audit", route(Need::Decide, get(lists::audit)))
        .route("/settings", route(Need::Read, get(settings::show)))
        .route("/settings/sessions/end", route(Need::Read, post(settings::end_session)))
        .route("/settings/endpoints/test", route(Need::Correct, post(settings::test_endpoint)))
        .route("/console/live", route(Need::Read, get(live::follow)))
        .route("/sign-out", route(Need::Read, post(door::leave)))
        .route("/sign-in", get(door::ask).post(door::enter))
        .route("/console/style.css", get(style))
        .route("/console/script.js", get(script))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(state), dress))
        .with_state(Arc::clone(state))
}

/// The headers of every answer, and the time that a page may take.
async fn dress(State(state): Console, request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(PAGE_WAIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in web::headers(state.secure, POLICY) {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("style.css"))
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("script.js"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    // A release brings its own; an hour is as long as a browser may show an older one's.
    let cached = HeaderValue::from_static("public, max-age=3600");
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    ([kind, (header::CACHE_CONTROL, cached)], text).into_response()
}
