//! FLOOR 1: speaks to Nium. Knows the domain and nothing above; one method per endpoint, one attempt per call.
//!
//! - `wire`: answers as they come, leniently
//! - `parse`: answers into our nouns
//! - `list`: the Customer List, in either of its releases
//! - `find`: the same list, for whoever fits
//! - `error`: what a call came to
//! - `act`, `onboard`: writes other than a submission, and what is read from their answers
//! - `rfi`: what is asked of a customer
//! - `pace`: leave to call
//!
//! A call takes a [`Permit`], so that whoever has something to commit before sending can wait for the
//! pace first. Nothing is retried here, and nothing below us may: see [`Nium::new`].

pub mod act;
pub mod answer;
pub mod error;
pub mod find;
pub mod list;
pub mod onboard;
pub mod pace;
mod parse;
mod rfi;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use self::error::{LookError, NiumError, Refusal, SubmitAnswer, Trouble, TroubleKind};
use self::pace::{Class, Pace, Permit, SharedTurns};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::Snapshot;

/// Longest answer that is read, in bytes; a customer's details have a few thousand.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest wait that Nium may ask for: whatever it says, a customer is looked at again.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// The header with our key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// An endpoint of Nium's (contract section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Customer Details V2.
    Details,
    /// Unified Add Customer.
    AddCustomer,
    /// Customer List V3.
    ListV3,
    /// Customer List V2, where V3 is not there.
    ListV2,
    /// Block/Unblock Customer.
    Block,
    /// Manage Customer Tags.
    Tags,
    /// Customer Update.
    Update,
    /// Onboard Corporate Customer.
    OnboardCorporate,
    /// Regenerate KYC URL.
    Regenerate,
    /// Fetching what is asked of a customer.
    Rfi,
    /// Answering it.
    RfiAnswer,
}

impl Endpoint {
    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Details => "details",
            Self::AddCustomer => "add_customer",
            Self::ListV3 => "list_v3",
            Self::ListV2 => "list_v2",
            Self::Block => "block",
            Self::Tags => "tags",
            Self::Update => "update",
            Self::OnboardCorporate => "onboard_corporate",
            Self::Regenerate => "regenerate",
            Self::Rfi => "rfi",
            Self::RfiAnswer => "rfi_answer",
        }
    }
}

/// Hears of every call: where to, what it came to, how long it took.
pub type Observer = Arc<dyn Fn(Endpoint, &'static str, Duration) + Send + Sync>;

/// How Nium is reached.
pub struct Options {
    /// `https://gateway.nium.com`; plain http only towards loopback.
    pub base_url: String,
    /// Our id at Nium.
    pub client_hash_id: String,
    /// Our key.
    pub api_key: Zeroizing<String>,
    /// `x-client-name`; empty sends none.
    pub client_name: String,
    /// Limit for making a connection.
    pub connect_timeout: Duration,
    /// Limit for a whole call.
    pub timeout: Duration,
    /// Calls per second in the long run.
    pub requests_per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
    /// Calls running at any moment.
    pub concurrency: u32,
    /// Turns that are shared with others.
    pub shared: SharedTurns,
    /// Hears of every call.
    pub observer: Observer,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// A key of Nium's, in the form in which it travels.
pub struct ApiKey(HeaderValue);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl ApiKey {
    /// A key; fails if a header cannot hold it.
    pub fn new(key: &str) -> Result<Self, NiumError> {
        let mut key = HeaderValue::from_str(key).map_err(|_| NiumError::Header("nium.api_key"))?;
        key.set_sensitive(true);
        Ok(Self(key))
    }
}

/// A client of Nium's API.
pub struct Nium {
    reader: Client,
    writer: Client,
    base: Url,
    client_id: String,
    headers: ArcSwap<HeaderMap>,
    pace: Pace,
    observer: Observer,
    /// Customer List V3 could not be read, and V2 could: this process asks V2 alone.
    older_list: AtomicBool,
}

impl fmt::Debug for Nium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nium").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

impl Nium {
    /// A client. Fails when an option cannot be used.
    ///
    /// Writes have a client of their own that never reuses a connection: on a reused one, hyper sends a request again
    /// when it believes that not one byte of it left, and reqwest may do so on HTTP/2's word. A submission is never
    /// sent again behind our back.
    pub fn new(options: Options) -> Result<Self, NiumError> {
        let base = format!("{}/api/", options.base_url.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| NiumError::Address(error.to_string()))?;
        let mut headers = HeaderMap::new();
        let key = ApiKey::new(&options.api_key)?;
        headers.insert(API_KEY, key.0);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !options.client_name.is_empty() {
            let name = HeaderValue::from_str(&options.client_name)
                .map_err(|_| NiumError::Header("nium.client_name"))?;
            headers.insert(HeaderName::from_static("x-client-name"), name);
        }
        let client = || -> ClientBuilder {
            let client = Client::builder()
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(options.connect_timeout)
                .timeout(options.timeout)
                .user_agent(concat!("reinstate/", env!("CARGO_PKG_VERSION")));
            // Plain http goes to loopback only: no proxy in between, and no certificates to look for.
            if base.scheme() == "http" { client.no_proxy().tls_certs_only([]) } else { client }
        };
        let pace = Pace::new(options.requests_per_second, options.burst, options.concurrency)?
            .shared(options.shared);
        Ok(Self {
            reader: client().pool_idle_timeout(IDLE).build()?,
            writer: client().pool_max_idle_per_host(0).build()?,
            client_id: options.client_hash_id.clone(),
            base: base.clone(),
            headers: ArcSwap::from_pointee(headers),
            pace,
            observer: options.observer,
            older_list: AtomicBool::new(false),
        })
    }

    /// Calls from now on carry this key; those under way keep theirs.
    pub fn renew_key(&self, key: &ApiKey) {
        let mut headers = (**self.headers.load()).clone();
        headers.insert(API_KEY, key.0.clone());
        self.headers.store(Arc::new(headers));
    }

    /// Waits for leave to call.
    pub async fn permit(&self, class: Class) -> Permit {
        self.pace.permit(class).await
    }

    /// Just before a call that something else was waited for since its permit: waits for another turn, if that one is
    /// over. Whoever asks looks at their lease again.
    pub async fn on_time(&self, permit: &mut Permit) {
        self.pace.on_time(permit).await;
    }

    /// Customer Details V2: what Nium says about a customer now (contract section 7).
    pub async fn details(
        &self,
        customer: CustomerHashId,
        request_id: Uuid,
        permit: Permit,
    ) -> Result<Snapshot, LookError> {
        let begun = Instant::now();
        let request = self
            .request(&self.reader, Method::GET, &format!("v2/client/{}/customer/{customer}", self.client_id))
            .header("x-request-id", request_id.to_string());
        let looked = read_details(request, customer).await;
        drop(permit);
        self.report(Endpoint::Details, outcome_of(&looked), begun, customer);
        looked
    }

    /// Unified Add Customer with the existing `customerHashId` (contract section 9). Every attempt of one operation
    /// carries the same `request_id`.
    pub async fn add_customer(
        &self,
        request: &Map<String, Value>,
        customer: CustomerHashId,
        request_id: Uuid,
        permit: Permit,
    ) -> SubmitAnswer {
        let begun = Instant::now();
        let body = request_body(request, customer);
        let request = self
            .request(&self.writer, Method::POST, &format!("v4/client/{}/customer", self.client_id))
            .header("x-request-id", request_id.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = read_submission(request).await;
        drop(permit);
        let outcome = match &answer {
            SubmitAnswer::Taken(_) => "ok",
            SubmitAnswer::Refused(_) => "refused",
            SubmitAnswer::NoSuchCustomer => "not_found",
            SubmitAnswer::NotTaken(trouble) => trouble.kind.as_str(),
            SubmitAnswer::Unclear(_) => "unclear",
        };
        self.report(Endpoint::AddCustomer, outcome, begun, customer);
        answer
    }

    fn request(&self, client: &Client, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        // Paths are made of ids, which need no escaping.
        url.set_path(&format!("{}{path}", self.base.path()));
        client.request(method, url).headers((**self.headers.load()).clone())
    }

    fn report(&self, endpoint: Endpoint, outcome: &'static str, begun: Instant, customer: CustomerHashId) {
        let took = begun.elapsed();
        (self.observer)(endpoint, outcome, took);
        let took_ms = took.as_millis();
        tracing::debug!(endpoint = endpoint.as_str(), outcome, took_ms, %customer, "called Nium");
    }
}

/// The body of a re-initiation: the merged application and the existing id; what was not said is left out.
fn request_body(request: &Map<String, Value>, customer: CustomerHashId) -> Vec<u8> {
    let said = request.iter().filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
    let mut body: Map<String, Value> = said.map(|(name, value)| (name.clone(), value.clone())).collect();
    body.insert("customerHashId".to_owned(), Value::String(customer.to_string()));
    Value::Object(body).to_string().into_bytes()
}

/// What a read came to, in the words of logs and metrics.
fn outcome_of<T>(read: &Result<T, LookError>) -> &'static str {
    match read {
        Ok(_) => "ok",
        Err(LookError::NotFound) => "not_found",
        Err(LookError::Trouble(trouble)) => trouble.kind.as_str(),
        Err(LookError::Unreadable(_)) => "unreadable",
    }
}

async fn read_details(request: RequestBuilder, customer: CustomerHashId) -> Result<Snapshot, LookError> {
    let value = read_value(request).await?;
    if parse::is_about_another(&value, customer) {
        return Err(LookError::Unreadable("the answer is about another customer"));
    }
    parse::snapshot(&value).ok_or(LookError::Unreadable("the answer is not a JSON object"))
}

/// Sends a read, once, and gives the JSON of a 200.
async fn read_value(request: RequestBuilder) -> Result<Value, LookError> {
    let trouble = |kind| LookError::Trouble(Trouble { kind, retry_after: None });
    let answer = request.send().await.map_err(|error| trouble(kind_of(&error)))?;
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(LookError::NotFound),
        _ => {
            return Err(match trouble_of(&answer) {
                Some(trouble) => LookError::Trouble(trouble),
                None => LookError::Unreadable("Nium answered with a status that a look does not know"),
            });
        }
    }
    let body = match read_body(answer).await {
        Ok(body) => body,
        Err(BodyFault::TooLarge) => return Err(LookError::Unreadable("the answer is too large")),
        Err(BodyFault::Lost(kind)) => return Err(trouble(kind)),
    };
    serde_json::from_slice(&body).map_err(|_| LookError::Unreadable("the answer is not readable JSON"))
}

/// What became of a write; an answer of 200 comes with its JSON, if it has any that can be read.
enum Written {
    Ok(Option<Value>),
    Refused(Refusal),
    NoSuchCustomer,
    NotTaken(Trouble),
    Unclear(&'static str),
}

async fn read_submission(request: RequestBuilder) -> SubmitAnswer {
    match write(request).await {
        Written::Ok(value) => {
            let taken = value.as_ref().and_then(parse::taken);
            taken.map_or(SubmitAnswer::Unclear("unreadable"), SubmitAnswer::Taken)
        }
        Written::Refused(refusal) => SubmitAnswer::Refused(refusal),
        Written::NoSuchCustomer => SubmitAnswer::NoSuchCustomer,
        Written::NotTaken(trouble) => SubmitAnswer::NotTaken(trouble),
        Written::Unclear(why) => SubmitAnswer::Unclear(why),
    }
}

/// Sends a write, once.
async fn write(request: RequestBuilder) -> Written {
    let answer = match request.send().await {
        Ok(answer) => answer,
        // Without a connection not one byte was sent.
        Err(error) if error.is_connect() => {
            return Written::NotTaken(Trouble { kind: TroubleKind::Connect, retry_after: None });
        }
        Err(error) => return Written::Unclear(kind_of(&error).as_str()),
    };
    let status = answer.status();
    if let Some(trouble) = trouble_of(&answer) {
        return match trouble.kind {
            TroubleKind::Unauthorized | TroubleKind::Forbidden | TroubleKind::TooMany => {
                Written::NotTaken(trouble)
            }
            TroubleKind::Connect
            | TroubleKind::Timeout
            | TroubleKind::Server(_)
            | TroubleKind::ConnectionLost => Written::Unclear(trouble.kind.as_str()),
        };
    }
    if status == StatusCode::NOT_FOUND {
        return Written::NoSuchCustomer;
    }
    let body = read_body(answer).await;
    match status {
        StatusCode::OK => Written::Ok(body.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok())),
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => {
            Written::Refused(body.map(|body| parse::refusal(&body)).unwrap_or_default())
        }
        _ => Written::Unclear("unknown status"),
    }
}

/// The trouble that a status tells of, if it tells of one.
fn trouble_of(answer: &Response) -> Option<Trouble> {
    let kind = match answer.status() {
        StatusCode::UNAUTHORIZED => TroubleKind::Unauthorized,
        StatusCode::FORBIDDEN => TroubleKind::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => TroubleKind::TooMany,
        status if status.is_server_error() => TroubleKind::Server(status.as_u16()),
        _ => return None,
    };
    Some(Trouble { kind, retry_after: retry_after(answer.headers()) })
}

/// `Retry-After` in seconds, at most [`RETRY_AFTER_MAX`]. A date would need Nium's clock to agree with ours; our own
/// pause serves as well.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if said.is_empty() || !said.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits that do not fit are a very long time.
    Some(said.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs).min(RETRY_AFTER_MAX))
}

fn kind_of(error: &reqwest::Error) -> TroubleKind {
    if error.is_connect() {
        TroubleKind::Connect
    } else if error.is_timeout() {
        TroubleKind::Timeout
    } else {
        TroubleKind::ConnectionLost
    }
}

enum BodyFault {
    TooLarge,
    Lost(TroubleKind),
}

async fn read_body(mut answer: Response) -> Result<Vec<u8>, BodyFault> {
    let limit = u64::try_from(RESPONSE_BYTES_MAX).unwrap_or(u64::MAX);
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(BodyFault::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| BodyFault::Lost(kind_of(&error)))? {
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            return Err(BodyFault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
