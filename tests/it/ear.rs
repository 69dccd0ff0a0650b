//! The app backend's ear: what it was told, and what it refuses to hear.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::house::spawn;

/// One webhook as the app backend received it.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub headers: HeaderMap,
    pub raw: Bytes,
    pub body: Value,
}

/// The app backend's ear.
#[derive(Clone, Default)]
pub struct Ear {
    told: Arc<Mutex<Vec<Told>>>,
    /// Statuses to answer with before answering 204 again.
    refusals: Arc<Mutex<Vec<u16>>>,
    /// A type of event that is always refused.
    unwanted: Arc<Mutex<Option<&'static str>>>,
}

impl Ear {
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(hear).with_state(self.clone());
        spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Whatever was to be refused is taken now.
    pub fn forgive(&self) {
        self.refusals.lock().unwrap().clear();
        *self.unwanted.lock().unwrap() = None;
    }

    /// Answers 500 to this type of event, and takes the others.
    pub fn refuse_all(&self, kind: &'static str) {
        *self.unwanted.lock().unwrap() = Some(kind);
    }

    pub fn refuse_next(&self, statuses: &[u16]) {
        self.refusals.lock().unwrap().extend(statuses);
    }
}

async fn hear(State(ear): State<Ear>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let body: Value = serde_json::from_slice(&raw).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let is_unwanted = ear.unwanted.lock().unwrap().is_some_and(|kind| body["type"] == kind);
    ear.told.lock().unwrap().push(Told { id, headers, raw, body });
    if is_unwanted {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let mut refusals = ear.refusals.lock().unwrap();
    if refusals.is_empty() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::from_u16(refusals.remove(0)).unwrap()
    }
}
