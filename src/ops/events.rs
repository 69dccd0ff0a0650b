//! What the app backend is told: the feed for those who ask, deliveries and their attempts, and the endpoints.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::effect::{EffectKey, Event};
use crate::store::rows::events::{DeliveryFilter, DeliveryPage, EndpointRow, EventFilter, EventRow};
use crate::store::rows::watch::Retried;

/// An endpoint as it is configured.
#[derive(Clone, Debug)]
pub struct KnownEndpoint {
    /// Its name.
    pub name: String,
    /// The host of its address; the rest of the address may be secret.
    pub host: String,
    /// What it wants; nothing means everything.
    pub events: Vec<Event>,
}

/// What came of trying an endpoint.
#[derive(Clone, Debug)]
pub struct Knocked {
    /// The id of the event that was sent.
    pub id: EffectKey,
    /// The status of the answer, or why there was none.
    pub answer: Result<u16, String>,
    /// How long it took.
    pub took: Duration,
}

/// An endpoint is being tried; `None`: there is none of that name.
pub type Knocking = Pin<Box<dyn Future<Output = Option<Knocked>> + Send>>;

/// The endpoints of the app backend, and the way to try one.
pub struct Endpoints {
    known: Vec<KnownEndpoint>,
    knock: Arc<dyn Fn(String) -> Knocking + Send + Sync>,
}

impl Endpoints {
    /// These endpoints; `knock` sends one of them, by its name, an event that tells of nothing.
    pub fn new(
        known: Vec<KnownEndpoint>,
        knock: impl Fn(String) -> Knocking + Send + Sync + 'static,
    ) -> Self {
        Self { known, knock: Arc::new(knock) }
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.known).finish()
    }
}

impl Ops {
    /// Events after a place of the feed: `{items, next, more}`.
    pub async fn events(&self, after: i64, filter: EventFilter, most: usize) -> Result<Value, OpsError> {
        let page = self.store.events(after, filter, most).await?;
        // One that cannot be read must not keep the others back.
        let readable = |row: &EventRow| {
            shown(row)
                .inspect_err(|error| tracing::error!(id = row.id, %error, "an event cannot be read"))
                .ok()
        };
        let items: Vec<Value> = page.items.iter().filter_map(readable).collect();
        Ok(json!({ "items": items, "next": page.next.to_string(), "more": page.more }))
    }

    /// Deliveries of a filter before a number, newest first.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<DeliveryPage, OpsError> {
        Ok(self.store.deliveries(filter, before, most).await?)
    }

    /// How many deliveries would go out again; nothing is done.
    pub async fn count_deliveries(&self, filter: DeliveryFilter) -> Result<usize, OpsError> {
        Ok(self.store.count_deliveries(filter).await?)
    }

    /// Sends the deliveries of a filter again, if there are as many as `expected`.
    pub async fn redeliver(
        &self,
        filter: DeliveryFilter,
        expected: usize,
        by: &str,
        body: &[u8],
        once: Option<&Once>,
    ) -> Result<Answered, OpsError> {
        let receipt = self.receipt(once, body, ACCEPTED).await?;
        let done = self.store.redeliver(filter, expected, by, receipt.recorder()).await?;
        receipt.answer(done, |redelivered| match redelivered {
            Retried::Done(count) => Ok(json!({ "redelivered": count })),
            Retried::Moved(count) => Err(OpsError::CountChanged(count)),
        })
    }

    /// The endpoints as they are configured, and how they have been doing.
    pub async fn endpoints(&self) -> Result<Value, OpsError> {
        let rows = self.store.endpoints().await?;
        let items = self.endpoints.known.iter().map(|known| {
            let row = rows.iter().find(|row| row.name == known.name);
            let of = |pick: fn(&EndpointRow) -> Option<jiff::Timestamp>| row.and_then(pick);
            json!({
                "name": known.name, "host": known.host,
                "events": known.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
                "disabledSince": of(|row| row.disabled_at), "failingSince": of(|row| row.failing_since),
                "nextProbeAt": of(|row| row.probe_at), "lastSuccessAt": of(|row| row.last_success_at),
                "oldestPendingSince": of(|row| row.oldest.map(|(at, _)| at)),
            })
        });
        Ok(json!({ "items": items.collect::<Vec<_>>() }))
    }

    /// Sends an event that tells of nothing to an endpoint, now, and says what the endpoint answered.
    pub async fn try_endpoint(&self, name: &str, by: &str) -> Result<Value, OpsError> {
        let Some(knocked) = (self.endpoints.knock)(name.to_owned()).await else {
            return Err(OpsError::NoSuchEndpoint);
        };
        let (status, error) = match knocked.answer {
            Ok(status) => (Some(status), None),
            Err(why) => (None, Some(why)),
        };
        self.store.note(by, None, "endpoint_tried", json!({ "endpoint": name, "status": status })).await?;
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        if delivered {
            self.store.endpoint_took(name).await?;
        }
        Ok(json!({
            "id": knocked.id, "delivered": delivered,
            "status": status, "statusClass": status.map(|status| format!("{}xx", status / 100)), "error": error,
            "milliseconds": u64::try_from(knocked.took.as_millis()).unwrap_or(u64::MAX),
        }))
    }
}

/// An event of the feed: what is posted to endpoints, with the id that it has there.
fn shown(row: &EventRow) -> Result<Value, serde_json::Error> {
    let mut event: Value = serde_json::from_slice(&row.body)?;
    if let Some(event) = event.as_object_mut() {
        event.insert("id".to_owned(), json!(row.id));
        event.insert("position".to_owned(), json!(row.position.to_string()));
    }
    Ok(event)
}
