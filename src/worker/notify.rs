//! Telling the app backend, in the form of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`
//! over `id.timestamp.body` with HMAC-SHA256, one signature per secret, so that secrets can be rotated.
//!
//! The body is made once, with the decision, and is the same bytes at every attempt; so is the id. A receiver that
//! answered but whose answer was lost gets the same id again.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Serialize;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Worker, guard};
use crate::domain::case::{Case, CaseState};
use crate::domain::decision::Tell;
use crate::domain::effect::{EffectKey, Event};
use crate::domain::id::CustomerHashId;
use crate::flow::retry::backoff;
use crate::store::rows::Finished;
use crate::store::rows::events::{NewTell, TellLease, TellOutcome};
use crate::store::rows::watch::Silence;

/// The longest wait between two attempts at one notification.
const TELL_BACKOFF_MAX: Duration = Duration::from_hours(1);
/// Attempts at one notification: with the waits between them, four to five days, and never less than 73 hours. An endpoint that
/// takes nothing at all is left alone before that (`notify.disable_after_hours` is 72 at most), so that what is given up is
/// what it did not take while it took other things.
const TELL_ATTEMPTS_MAX: u32 = 160;
/// How much of a receiver's answer is read, in bytes: enough to reuse the connection, and no more.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The bytes that a signature is made with.
pub type SigningSecret = Zeroizing<Vec<u8>>;

/// One endpoint of the app backend: where and how it is told, and of what.
pub struct Options {
    /// Its name.
    pub name: String,
    /// What it wants to hear of; nothing means everything.
    pub events: Vec<Event>,
    /// The receiver.
    pub url: String,
    /// Every secret signs; the bytes after `whsec_`, decoded.
    pub secrets: Vec<SigningSecret>,
    /// Private, loopback and metadata addresses are allowed.
    pub allow_private: bool,
    /// The total time limit of one attempt.
    pub limit: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a [`Notifier`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The address is not one.
    #[error("the webhook's address cannot be read: {0}")]
    Address(String),
    /// A secret has another form.
    #[error("a webhook secret is `whsec_` and base64")]
    Secret,
    /// There is nothing to sign with.
    #[error("a webhook needs at least one secret")]
    NoSecret,
    /// The client cannot be built.
    #[error("the webhook's client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// The bytes of a secret in the form of Standard Webhooks: `whsec_` and base64.
pub fn secret_bytes(text: &str) -> Result<SigningSecret, NotifierError> {
    let bytes = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
    bytes.map(Zeroizing::new).ok_or(NotifierError::Secret)
}

/// Sends notifications.
pub struct Notifier {
    client: Client,
    url: Url,
    secrets: ArcSwap<Vec<SigningSecret>>,
    options: Options,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Notifier {
    /// A notifier for one receiver.
    pub fn new(mut options: Options) -> Result<Self, NotifierError> {
        let url = Url::parse(&options.url).map_err(|error| NotifierError::Address(error.to_string()))?;
        if options.secrets.is_empty() {
            return Err(NotifierError::NoSecret);
        }
        let mut client = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(options.limit)
            .timeout(options.limit)
            .user_agent(concat!("reinstate/", env!("CARGO_PKG_VERSION")));
        if !options.allow_private {
            client = client.no_proxy().dns_resolver(guard::resolver());
        }
        if url.scheme() == "http" {
            // Plain http goes to loopback only; without this the client would look for certificates it never needs.
            client = client.tls_certs_only([]).no_proxy();
        }
        let secrets = ArcSwap::from_pointee(std::mem::take(&mut options.secrets));
        Ok(Self { client: client.build()?, url, secrets, options })
    }

    /// Signs with these from now on; what is under way keeps its signatures. Without any it goes on as before.
    pub fn renew_secrets(&self, secrets: Vec<SigningSecret>) {
        if !secrets.is_empty() {
            self.secrets.store(Arc::new(secrets));
        }
    }

    /// The endpoint's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    fn wants(&self, event: Event) -> bool {
        self.options.events.is_empty() || self.options.events.contains(&event)
    }

    /// One attempt at a notification. The error says what went wrong without repeating anything the receiver sent.
    async fn send(&self, tell: &TellLease, now: Timestamp) -> Result<(), String> {
        let status = self.post(tell.event_id.as_str(), tell.body.clone(), now).await?;
        if (200..300).contains(&status) { Ok(()) } else { Err(format!("the receiver answered {status}")) }
    }

    /// Tries the endpoint with an event that tells of nothing, the same way as every other goes. Gives its id, and the status
    /// of the answer, or why there was none.
    pub async fn knock(&self, now: Timestamp, fresh: Uuid) -> (EffectKey, Result<u16, String>) {
        let id = service_key(now, fresh);
        let body = match body_of(Event::Test, now, TestData { endpoint: self.name() }) {
            Ok(body) => body,
            Err(error) => return (id, Err(error.to_string())),
        };
        let answer = self.post(id.as_str(), body, now).await;
        (id, answer)
    }

    /// Posts a message, signed. Gives the status of the answer.
    async fn post(&self, id: &str, body: Vec<u8>, now: Timestamp) -> Result<u16, String> {
        if !self.options.allow_private
            && self.literal_address().is_some_and(|address| !guard::is_public(address))
        {
            return Err("the address is not public; see allow_private".to_owned());
        }
        let seconds = now.as_second().to_string();
        let signature = sign(id, &seconds, &body, &self.secrets.load());
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await;
        let mut answer = sent.map_err(|error| reason(&error).to_owned())?;
        let status = answer.status();
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(status.as_u16())
    }

    fn literal_address(&self) -> Option<IpAddr> {
        self.url.host_str()?.trim_matches(['[', ']']).parse().ok()
    }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "the receiver could not be reached, or its address is not allowed"
    } else {
        "the connection to the receiver broke"
    }
}

/// The signatures of one message, newest secret first, separated by spaces.
fn sign(id: &str, timestamp: &str, body: &[u8], secrets: &[SigningSecret]) -> String {
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        // HMAC takes a key of any length.
        let Ok(mut mac) = <Hmac<Sha256>>::new_from_slice(secret) else {
            continue;
        };
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    }
    signatures.join(" ")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<T> {
    r#type: &'static str,
    timestamp: String,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    customer_hash_id: String,
    state: &'static str,
    version: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correction: Option<Offer>,
}

/// Where and until when to correct.
#[derive(Serialize)]
struct Offer {
    url: String,
    deadline: String,
}

/// One event, as it will be sent every time. Nothing in it is personal.
pub(super) fn compose(
    case: &Case,
    tell: &Tell,
    position: u32,
    api_url: &str,
    now: Timestamp,
) -> Result<NewTell, serde_json::Error> {
    let correction = match (&case.state, tell.event) {
        (CaseState::AwaitingCorrection { deadline, .. }, Event::Rejected | Event::CorrectionRequested) => {
            Some(Offer { url: correction_url(api_url, case), deadline: deadline.to_string() })
        }
        _ => None,
    };
    let data = Data {
        customer_hash_id: case.id.to_string(),
        state: case.state.name(),
        version: case.version,
        reason: tell.reason,
        correction,
    };
    Ok(NewTell {
        key: EffectKey::new(case.id, case.version, &position.to_string()),
        event: tell.event,
        version: case.version,
        body: body_of(tell.event, now, data)?,
        to: Vec::new(),
    })
}

/// The id of an event about the service itself. Several things may happen to it in one millisecond.
fn service_key(now: Timestamp, fresh: Uuid) -> EffectKey {
    let number = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let [.., a, b, c, d] = *fresh.as_bytes();
    EffectKey::new(CustomerHashId::NOBODY, number, &hex::encode([a, b, c, d]))
}

#[derive(Serialize)]
struct TestData<'a> {
    endpoint: &'a str,
}

fn body_of(event: Event, now: Timestamp, data: impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body { r#type: event.as_str(), timestamp: now.to_string(), data })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SilenceData {
    /// Changes found by asking, whose callback never came, since the last callback.
    missing: u64,
    last_callback_at: Option<String>,
}

fn correction_url(api_url: &str, case: &Case) -> String {
    format!("{api_url}/v1/customers/{}/corrections", case.id)
}

impl Worker {
    /// The event that callbacks do not come, or come again.
    pub(super) fn about_silence(&self, event: Event, seen: &Silence) -> Result<NewTell, serde_json::Error> {
        let last_callback_at = seen.last_callback_at.map(|at| at.to_string());
        self.about_service(event, SilenceData { missing: seen.missing_since, last_callback_at })
    }

    /// An event about the service itself.
    pub(super) fn about_service(
        &self,
        event: Event,
        data: impl Serialize,
    ) -> Result<NewTell, serde_json::Error> {
        let now = self.clock.now();
        let tell = NewTell {
            key: service_key(now, self.chance.uuid()),
            event,
            version: 0,
            body: body_of(event, now, data)?,
            to: Vec::new(),
        };
        Ok(self.addressed(tell))
    }

    /// The event, with the endpoints that want it.
    pub(super) fn addressed(&self, mut tell: NewTell) -> NewTell {
        let wanting = self.endpoints.iter().filter(|endpoint| endpoint.wants(tell.event));
        tell.to = wanting.map(|endpoint| endpoint.name().to_owned()).collect();
        tell
    }

    /// One attempt at one claimed notification to an endpoint.
    pub(super) async fn notify(&self, lease: TellLease) {
        // What goes to an endpoint that we do not know is not claimed.
        let Some(notifier) = self.endpoints.iter().find(|endpoint| endpoint.name() == lease.destination)
        else {
            return;
        };
        let event = Event::parse(&lease.event);
        let label = event.map_or("unknown", Event::as_str);
        let spent = lease.attempts.saturating_sub(lease.forgiven).saturating_add(1);
        let outcome = match notifier.send(&lease, self.clock.now()).await {
            Ok(()) => TellOutcome::Delivered,
            // What waits for a disabled endpoint is kept.
            Err(why) if spent >= TELL_ATTEMPTS_MAX && !lease.probe => TellOutcome::GivenUp(why),
            Err(why) => {
                let wait = backoff(spent, TELL_BACKOFF_MAX, self.chance.roll());
                TellOutcome::Later(self.later(wait), why)
            }
        };
        let word = match &outcome {
            TellOutcome::Delivered => "delivered",
            TellOutcome::Later(..) => "later",
            TellOutcome::GivenUp(_) => "given_up",
            TellOutcome::Overtaken(_) => "overtaken",
        };
        self.metrics.tell(label, word);
        let (customer, id, to) = (lease.customer, &lease.event_id, lease.destination.as_str());
        let attempt = lease.attempts.saturating_add(1);
        match &outcome {
            TellOutcome::Delivered => {
                tracing::info!(%customer, event = label, %id, to, attempt, "told the app backend");
            }
            TellOutcome::Later(at, why) => {
                tracing::warn!(%customer, event = label, %id, to, attempt, %why, again_at = %at, "the app backend was not told yet");
            }
            TellOutcome::GivenUp(why) | TellOutcome::Overtaken(why) => {
                tracing::error!(%customer, event = label, %id, to, attempt, %why, "telling the app backend was given up");
            }
        }
        self.finish_telling(&lease, outcome).await;
    }

    /// Writes down what became of an attempt.
    pub(super) async fn finish_telling(&self, lease: &TellLease, outcome: TellOutcome) {
        let (customer, id) = (lease.customer, &lease.event_id);
        match self.store.finish_tell(lease, outcome).await {
            Ok(Finished::Done) => {}
            Ok(Finished::LeaseLost) => {
                self.metrics.leases_lost.inc();
            }
            // It is given back once the database answers; the receiver then sees the same id again.
            Err(error) => {
                self.hands.doubt();
                tracing::error!(%customer, %id, %error, "the outcome of a notification could not be stored");
            }
        }
    }
}
