//! The two doors Nium knocks at: `POST /callback/compliance?customerHashId=…`, whose body is never parsed, and
//! `POST /webhook`, the JSON flavour. Both do the same: ask who knocks, make one *nudge* durable, answer exactly 200
//! with nothing in it. The 200 is a promise that the nudge is on disk (invariant 1); nothing else stands between the
//! request and it.
//!
//! The router reads the request target as it was received, for the signature covers it: merge it into others, do not
//! nest it under a path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use super::access::{Refusal, SharedAccess};
use super::body::{self, BodyFault};
use super::error::{FieldError, Problem};
use super::knock::LastKnock;
use super::webhook::{self, WebhookFault};
use crate::clock::Clock;
use crate::domain::id::{CustomerHashId, RequestId};
use crate::domain::nudge::{Nudge, Source};
use crate::metrics::IntakeMetrics;
use crate::spool::Spool;
use crate::store::Store;

/// The path of the compliance callback, after the secret segment if there is one.
pub const CALLBACK_PATH: &str = "/callback/compliance";

/// The path of the webhooks, after the secret segment if there is one.
pub const WEBHOOK_PATH: &str = "/webhook";

/// How long a caller may take to send its body. Nium's callback has none, and a webhook fits into one packet or two.
pub const BODY_WAIT: Duration = Duration::from_secs(10);

/// How long the store may take to make a nudge durable before the spool does; a group commit takes milliseconds. The
/// nudge may be on disk all the same: when the spool is drained it is recognised as the same delivery.
pub const STORE_WAIT: Duration = Duration::from_secs(2);

/// The query parameter that says which customer a callback is about.
const CUSTOMER_PARAMETER: &str = "customerHashId";

/// The header with Nium's id of the event.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the doors need to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our client id at Nium: a webhook of another client is refused.
    pub client_hash_id: Box<str>,
    /// Longest wait for a body; [`BODY_WAIT`] unless a test is in a hurry.
    pub body_wait: Duration,
    /// Longest wait for the store; [`STORE_WAIT`] unless a test is in a hurry.
    pub store_wait: Duration,
}

/// Who is behind the doors.
pub struct Places {
    /// The one door to the database.
    pub store: Arc<Store>,
    /// The last resort while it is away.
    pub spool: Arc<Spool>,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Who may knock.
    pub access: SharedAccess,
    /// Where it is noted who was not answered 200.
    pub last_knock: Arc<LastKnock>,
}

/// Everything behind the doors.
pub struct CallbackState {
    store: Arc<Store>,
    spool: Arc<Spool>,
    clock: Clock,
    access: SharedAccess,
    last_knock: Arc<LastKnock>,
    options: Options,
    metrics: IntakeMetrics,
    callback_acks: Counter,
    webhook_acks: Counter,
}

impl CallbackState {
    /// Puts the doors together and sets every counter they use to zero.
    #[must_use]
    pub fn new(places: Places, metrics: &IntakeMetrics, options: Options) -> Self {
        let Places { store, spool, clock, access, last_knock } = places;
        for refusal in Refusal::ALL {
            let _at_zero = metrics.refused(refusal.as_str());
        }
        for flaw in Flaw::ALL {
            let _at_zero = metrics.bad_requests(flaw.as_str());
        }
        Self {
            store,
            spool,
            clock,
            access,
            last_knock,
            options,
            metrics: metrics.clone(),
            callback_acks: metrics.acks(Source::Callback),
            webhook_acks: metrics.acks(Source::Webhook),
        }
    }
}

/// The two routes. They need the peer's address as `ConnectInfo<SocketAddr>`, as [`super::serve::serve`] provides it;
/// without it an address list refuses everybody.
pub fn router(state: CallbackState) -> Router {
    let callback = || post(take_callback).fallback(only_post);
    let webhook = || post(take_webhook).fallback(only_post);
    let mut router = Router::new().route(CALLBACK_PATH, callback()).route(WEBHOOK_PATH, webhook());
    // With a secret path the plain paths stay, so that a call without the secret is refused and counted.
    if state.access.load().has_secret_path() {
        router = router
            .route(&format!("/{{secret}}{CALLBACK_PATH}"), callback())
            .route(&format!("/{{secret}}{WEBHOOK_PATH}"), webhook());
    }
    router.with_state(Arc::new(state))
}

async fn take_callback(State(state): State<Arc<CallbackState>>, request: Request) -> Response {
    let begun = Instant::now();
    let taken = state.callback(request).await;
    state.answer(taken, &state.callback_acks, begun)
}

async fn take_webhook(State(state): State<Arc<CallbackState>>, request: Request) -> Response {
    let begun = Instant::now();
    let taken = state.webhook(request).await;
    state.answer(taken, &state.webhook_acks, begun)
}

async fn only_post() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        .hint("Nium sends POST requests here; there is nothing to read.")
}

impl CallbackState {
    async fn callback(&self, request: Request) -> Result<(), NotTaken> {
        let (head, _) = self.admit(request, CALLBACK_PATH, false).await?;
        let customer = customer_of(&head.uri).inspect_err(|flaw| self.note(&head, flaw.as_str()))?;
        self.keep(Nudge {
            customer: Some(customer),
            looks: true,
            source: Source::Callback,
            request_id: request_id(&head.headers),
            template: None,
        })
        .await
    }

    async fn webhook(&self, request: Request) -> Result<(), NotTaken> {
        let (head, body) = self.admit(request, WEBHOOK_PATH, true).await?;
        let webhook = webhook::read(&body, &self.options.client_hash_id)?;
        self.keep(Nudge {
            looks: webhook.is_nudge(),
            customer: webhook.customer,
            source: Source::Webhook,
            request_id: request_id(&head.headers),
            template: webhook.template,
        })
        .await
    }

    /// Asks the access rules and reads the body; the body comes back if it is wanted, or if its signature is. Rules that
    /// change meanwhile are for the next request.
    async fn admit(&self, request: Request, path: &str, wanted: bool) -> Result<(Parts, Vec<u8>), NotTaken> {
        let (head, body) = request.into_parts();
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        // Without an address there is nothing to hold against the list.
        let peer = peer.ok_or(Refusal::AddressNotAllowed)?.0.ip();
        let access = self.access.load_full();
        access.check_head(peer, &head.headers, secret_segment(head.uri.path(), path)).inspect_err(|why| {
            // Not above debug: whoever is turned away could fill the log. The counter tells.
            tracing::debug!(%peer, why = why.as_str(), "a caller is turned away");
            self.note(&head, why.as_str());
        })?;
        let body = body::read(body, wanted || access.needs_body(), self.options.body_wait).await?;
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        access
            .check_signature(&head.headers, target, &body)
            .inspect_err(|why| self.note(&head, why.as_str()))?;
        Ok((head, body))
    }

    /// Remembers who is not answered 200.
    fn note(&self, head: &Parts, why: &'static str) {
        let Some(peer) = head.extensions.get::<ConnectInfo<SocketAddr>>() else { return };
        let peer = peer.0.ip();
        self.last_knock.note(self.clock.now(), peer, &head.headers, why);
        // Not above debug: whoever is turned away could fill the log. The counter tells.
        tracing::debug!(%peer, why, "a caller is turned away");
    }

    /// Makes the nudge durable: in the store, or in the spool while the store is away. Once the store has failed the
    /// spool comes first, so that nobody waits for the limit again and again.
    async fn keep(&self, nudge: Nudge) -> Result<(), NotTaken> {
        let at = self.clock.now();
        if self.spool.on_detour() && self.spooled(&nudge, at).await {
            return Ok(());
        }
        let source = nudge.source.as_str();
        match tokio::time::timeout(self.options.store_wait, self.store.record(nudge.clone(), at)).await {
            Ok(Ok(receipt)) => {
                tracing::debug!(source, receipt, "nudge recorded");
                return Ok(());
            }
            // Not above debug: one line per callback would bury the one error of the store itself. The counter tells.
            Ok(Err(error)) => tracing::debug!(source, %error, "nudge not recorded"),
            Err(_) => tracing::debug!(source, "the store did not answer in time"),
        }
        if !self.spool.on_detour() {
            tracing::warn!("the store does not take callbacks; they go to the spool until it does");
            self.spool.set_detour(true);
        }
        if self.spooled(&nudge, at).await { Ok(()) } else { Err(NotTaken::Unkept) }
    }

    async fn spooled(&self, nudge: &Nudge, at: Timestamp) -> bool {
        match self.spool.append(nudge, at).await {
            Ok(()) => {
                self.metrics.spooled.inc();
                true
            }
            Err(error) => {
                tracing::debug!(%error, "nudge not spooled");
                false
            }
        }
    }

    fn answer(&self, taken: Result<(), NotTaken>, acks: &Counter, begun: Instant) -> Response {
        match taken {
            Ok(()) => {
                acks.inc();
                self.metrics.ack_seconds.observe(begun.elapsed());
                StatusCode::OK.into_response()
            }
            Err(why) => {
                self.count(&why);
                Problem::from(why).into_response()
            }
        }
    }

    fn count(&self, why: &NotTaken) {
        match why {
            NotTaken::Refused(refusal) => self.metrics.refused(refusal.as_str()).inc(),
            NotTaken::Flawed(flaw) => self.metrics.bad_requests(flaw.as_str()).inc(),
            NotTaken::Unkept => self.metrics.store_failures.inc(),
        };
    }
}

/// The segment before `path`, as it was received; `None` if there is none.
fn secret_segment<'a>(received: &'a str, path: &str) -> Option<&'a str> {
    received.strip_suffix(path)?.strip_prefix('/')
}

fn request_id(headers: &HeaderMap) -> Option<RequestId> {
    headers.get(REQUEST_ID)?.to_str().ok().and_then(RequestId::parse)
}

/// The customer a callback is about. Two values would leave open which one is meant, even if they are the same.
fn customer_of(uri: &Uri) -> Result<CustomerHashId, Flaw> {
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| Flaw::CustomerMalformed)?;
    let mut values = pairs.iter().filter(|(name, _)| name == CUSTOMER_PARAMETER);
    let (_, value) = values.next().ok_or(Flaw::CustomerMissing)?;
    if values.next().is_some() {
        return Err(Flaw::CustomerRepeated);
    }
    CustomerHashId::parse(value).ok_or(Flaw::CustomerMalformed)
}

/// Why a request was not answered 200.
#[derive(Debug)]
enum NotTaken {
    Refused(Refusal),
    Flawed(Flaw),
    Unkept,
}

/// What is wrong with a request of a caller that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    CustomerMissing,
    CustomerRepeated,
    CustomerMalformed,
    NotJson,
    ForeignClient,
    BodyTooLarge,
    BodyTooSlow,
    BodyBroken,
}

impl Flaw {
    const ALL: [Flaw; 8] = [
        Self::CustomerMissing,
        Self::CustomerRepeated,
        Self::CustomerMalformed,
        Self::NotJson,
        Self::ForeignClient,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyBroken,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::CustomerMissing => "customer_hash_id_missing",
            Self::CustomerRepeated => "customer_hash_id_repeated",
            Self::CustomerMalformed => "customer_hash_id_malformed",
            Self::NotJson => "body_not_json",
            Self::ForeignClient => "foreign_client",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyBroken => "body_broken",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::ForeignClient => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::CustomerMissing => "Send the customer's id, as in ?customerHashId={customerHashId}.",
            Self::CustomerRepeated => "Send customerHashId once.",
            Self::CustomerMalformed => "customerHashId is a UUID with hyphens.",
            Self::NotJson => "Send one JSON object that says each member once.",
            Self::ForeignClient => "Compare nium.client_hash_id with the clientHashId of the webhook.",
            Self::BodyTooLarge => "Send at most 65,536 bytes; the callback needs no body at all.",
            Self::BodyTooSlow => "Send the body without pauses; the callback needs no body at all.",
            Self::BodyBroken => "Send the body whole.",
        }
    }
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Flaw> for NotTaken {
    fn from(flaw: Flaw) -> Self {
        Self::Flawed(flaw)
    }
}

impl From<BodyFault> for NotTaken {
    fn from(fault: BodyFault) -> Self {
        Self::Flawed(match fault {
            BodyFault::TooLarge => Flaw::BodyTooLarge,
            BodyFault::TooSlow => Flaw::BodyTooSlow,
            BodyFault::Broken => Flaw::BodyBroken,
        })
    }
}

impl From<WebhookFault> for NotTaken {
    fn from(fault: WebhookFault) -> Self {
        Self::Flawed(match fault {
            WebhookFault::NotJson => Flaw::NotJson,
            WebhookFault::ForeignClient => Flaw::ForeignClient,
            WebhookFault::NoCustomer => Flaw::CustomerMalformed,
        })
    }
}

impl From<NotTaken> for Problem {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Refused(refusal) => refusal.into(),
            NotTaken::Flawed(flaw) => {
                let problem = Problem::new(flaw.status(), flaw.as_str()).hint(flaw.hint());
                match flaw {
                    Flaw::CustomerMissing | Flaw::CustomerRepeated | Flaw::CustomerMalformed => {
                        problem.errors([FieldError::new(CUSTOMER_PARAMETER, flaw.hint())])
                    }
                    _ => problem,
                }
            }
            NotTaken::Unkept => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_recorded")
                .title("The event could not be made durable")
                .hint("Send it again; nothing was promised."),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

    fn check(query: &str) -> Result<String, Flaw> {
        let uri = format!("{CALLBACK_PATH}{query}").parse().unwrap();
        customer_of(&uri).map(|id| id.to_string())
    }

    #[test]
    fn the_customer_is_named_exactly_once() {
        let ok = Ok(ID.to_owned());
        assert_eq!(check(&format!("?customerHashId={ID}")), ok);
        assert_eq!(check(&format!("?customerHashId={}", ID.to_uppercase())), ok);
        assert_eq!(check(&format!("?token=1&customerHashId={ID}&x")), ok);
        assert_eq!(check(&format!("?customer%48ashId={}", ID.replace('-', "%2D"))), ok);

        for query in ["", "?", "?customerHashId", &format!("?customerhashid={ID}"), &format!("?{ID}")] {
            let expected =
                if query.ends_with("Id") { Flaw::CustomerMalformed } else { Flaw::CustomerMissing };
            assert_eq!(check(query), Err(expected), "{query}");
        }
        let twice = format!("?customerHashId={ID}&customerHashId={ID}");
        assert_eq!(check(&twice), Err(Flaw::CustomerRepeated));
        let (bare, braced) = (ID.replace('-', ""), format!("%7B{ID}%7D"));
        for value in ["", "%s", "x", "%FF", &bare, &braced, &format!("{ID}0"), &format!("+{ID}")] {
            assert_eq!(check(&format!("?customerHashId={value}")), Err(Flaw::CustomerMalformed), "{value}");
        }
    }

    #[test]
    fn the_secret_segment_is_what_stands_before_the_path() {
        assert_eq!(secret_segment("/s3cret/callback/compliance", CALLBACK_PATH), Some("s3cret"));
        assert_eq!(secret_segment("/callback/compliance", CALLBACK_PATH), None);
        assert_eq!(secret_segment("/callback/webhook", WEBHOOK_PATH), Some("callback"));
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "[!-~]{0,120}", value in "[ -~]{0,60}") {
            if let Ok(uri) = format!("{CALLBACK_PATH}?{query}").parse::<Uri>() {
                let _ = customer_of(&uri);
            }
            if let Ok(uri) = format!("{CALLBACK_PATH}?customerHashId={value}&customerHashId").parse::<Uri>() {
                prop_assert!(customer_of(&uri).is_err());
            }
        }
    }
}
