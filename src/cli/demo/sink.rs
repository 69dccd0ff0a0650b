//! A small app backend: receives the webhooks, verifies their signatures, remembers them.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::watch;

/// One webhook as it was received.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// `webhook-id`.
    pub(super) id: String,
    /// `type`.
    pub(super) event: String,
    /// `data.customerHashId`.
    pub(super) customer: String,
    /// The whole body.
    pub(super) body: Value,
    /// The signature was right.
    pub(super) genuine: bool,
}

/// The receiver's memory.
#[derive(Clone)]
pub(super) struct Sink {
    secret: Arc<[u8]>,
    told: Arc<watch::Sender<Vec<Told>>>,
}

impl Sink {
    /// A receiver that expects signatures made with `secret`.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self { secret: secret.into(), told: Arc::new(watch::Sender::new(Vec::new())) }
    }

    /// What it serves.
    pub(super) fn router(&self) -> Router {
        Router::new().route("/webhook", post(receive)).with_state(self.clone())
    }

    /// Everything received so far.
    pub(super) fn all(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Waits until `event` was told about `customer`.
    pub(super) async fn hear(&self, customer: &str, event: &str, within: Duration) -> Option<Told> {
        let mut news = self.told.subscribe();
        let is_it = |told: &&Told| told.customer == customer && told.event == event;
        let heard =
            tokio::time::timeout(within, news.wait_for(|all| all.iter().any(|told| is_it(&told)))).await;
        let all = heard.ok()?.ok()?;
        all.iter().find(is_it).cloned()
    }
}

async fn receive(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, timestamp, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &sink.secret);
    let genuine = signatures
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .any(|one| STANDARD.decode(one).is_ok_and(|tag| hmac::verify(&key, &signed, &tag).is_ok()));
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let told = Told { id, event: text("/type"), customer: text("/data/customerHashId"), body, genuine };
    sink.told.send_modify(|all| all.push(told));
    StatusCode::NO_CONTENT
}
