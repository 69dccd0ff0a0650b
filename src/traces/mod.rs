//! Traces from a callback to what was told, for whoever watches (OpenTelemetry, OTLP over HTTP).
//!
//! A *span* is something that took time; a *trace* is what happened in one go: a callback taken, a customer attended to with its
//! calls to Nium, an attempt to tell. Where time passes in between, which may be days, the later trace has a *link* to the
//! earlier one and not a parent, so that no trace is ever open for long. The places of links are made of what is stored (see
//! `place`), and whether a customer is traced is settled by their id, so that either all of their traces are kept or none.
//!
//! Without a collector nothing is done, and with one that is dead nothing but counted: what is recorded goes into a bounded
//! queue, and a thread of its own sends it.

mod export;
mod place;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use self::export::Courier;
pub use self::export::{ExportError, Options};
pub use self::place::Place;
use crate::domain::id::CustomerHashId;
use crate::domain::nudge::Nudge;

tokio::task_local! {
    /// The span that the present task is inside of. It ends with the work, and no other task sees it.
    static HERE: Place;
}

/// What a span is towards the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It answered somebody.
    Server,
    /// It asked somebody.
    Client,
    /// It took something up that was left earlier.
    Consumer,
    /// It stayed inside.
    Internal,
}

/// Something that took time. Nothing in it is personal: ids, words of ours, counts.
#[derive(Clone, Debug)]
pub struct Span {
    /// What it was, in words of ours.
    pub name: &'static str,
    /// What it was towards the outside.
    pub kind: Kind,
    /// Its ids.
    pub place: Place,
    /// The span that it was a part of, of the same trace.
    pub parent: Option<Place>,
    /// What led to it, some time ago.
    pub links: Vec<Place>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What else is worth knowing.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether it came to nothing.
    pub failed: bool,
}

/// Where spans are recorded. Without a collector it does nothing.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    courier: Courier,
    /// Customers whose hash is below this are traced; the largest number traces all.
    below: u64,
    fresh: fn() -> Uuid,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("on", &self.0.is_some()).finish()
    }
}

impl Traces {
    /// Traces that go to a collector.
    pub fn start(options: Options) -> Result<Self, ExportError> {
        let (ratio, fresh) = (options.ratio, options.fresh);
        Ok(Self(Some(Arc::new(Inner { courier: Courier::start(options)?, below: share(ratio), fresh }))))
    }

    /// Whether this customer is traced: always the same answer, so that links lead somewhere.
    #[must_use]
    pub fn wants(&self, customer: CustomerHashId) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.below == u64::MAX || hash(customer) < inner.below)
    }

    /// A place for a customer who is traced; `None` for anybody else.
    #[must_use]
    pub fn begin(&self, customer: CustomerHashId) -> Option<Place> {
        let inner = self.0.as_ref().filter(|_| self.wants(customer))?;
        Some(Place::fresh((inner.fresh)(), (inner.fresh)()))
    }

    /// Records a span, or counts that it was dropped. Never waits.
    pub fn record(&self, span: Span) {
        if let Some(inner) = &self.0 {
            inner.courier.take(span);
        }
    }

    /// Records that a callback is on disk.
    pub fn callback(&self, nudge: &Nudge, at: Timestamp, took: Duration, kept_in: &'static str) {
        let Some(customer) = nudge.customer.filter(|customer| self.wants(*customer)) else { return };
        let request_id = nudge.request_id.as_ref().map(crate::domain::id::RequestId::as_str);
        self.record(Span {
            name: "callback",
            kind: Kind::Server,
            place: Place::of_callback(customer, at, request_id),
            parent: None,
            links: Vec::new(),
            ended_at: at.saturating_add(signed(took)).unwrap_or(at),
            took,
            attributes: vec![
                ("customer", customer.to_string()),
                ("source", nudge.source.as_str().to_owned()),
                ("kept_in", kept_in.to_owned()),
            ],
            failed: false,
        });
    }

    /// Records a call to Nium that has just ended, as a part of what the task is doing; of nobody's if that is not traced.
    pub fn call(&self, endpoint: &'static str, outcome: &'static str, now: Timestamp, took: Duration) {
        let (Some(inner), Some(here)) = (&self.0, here()) else { return };
        self.record(Span {
            name: endpoint,
            kind: Kind::Client,
            place: here.beside((inner.fresh)()),
            parent: Some(here),
            links: Vec::new(),
            ended_at: now,
            took,
            attributes: vec![("outcome", outcome.to_owned()), ("peer.service", "nium".to_owned())],
            failed: outcome != "ok",
        });
    }

    /// Sends what waits, within a bounded time, and ends. Blocks.
    pub fn close(&self) {
        if let Some(inner) = &self.0 {
            inner.courier.close();
        }
    }
}

/// Does something inside of a span: calls to Nium become parts of it, and each line of the log names its trace.
pub async fn within<T>(place: Place, work: impl Future<Output = T>) -> T {
    let line = tracing::info_span!("trace", trace_id = %place.trace_id());
    HERE.scope(place, work.instrument(line)).await
}

/// The same where that is traced, and else just does it.
pub async fn maybe_within<T>(place: Option<Place>, work: impl Future<Output = T>) -> T {
    match place {
        Some(place) => within(place, work).await,
        None => work.await,
    }
}

/// The span that the present task is inside of.
#[must_use]
pub fn here() -> Option<Place> {
    HERE.try_with(|place| *place).ok()
}

fn signed(span: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX)
}

fn hash(customer: CustomerHashId) -> u64 {
    let hash: [u8; 32] = Sha256::digest(customer.as_bytes()).into();
    u64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
}

/// A share of all hashes.
fn share(ratio: f64) -> u64 {
    if ratio >= 1.0 {
        return u64::MAX;
    }
    // A share in millionths is as fine as anybody wants it.
    let millionths =
        (0..=1_000_000_u32).rev().find(|share| f64::from(*share) <= ratio * 1_000_000.0).unwrap_or(0);
    u64::MAX / 1_000_000 * u64::from(millionths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_customers_is_traced() {
        let below = share(0.25);
        let traced = (0_u128..4_000)
            .filter(|number| hash(CustomerHashId::from_bytes(number.to_be_bytes())) < below)
            .count();
        assert!((900..1_100).contains(&traced), "{traced}");
        assert_eq!((share(0.0), share(1.0)), (0, u64::MAX));
        assert!(!Traces::default().wants(CustomerHashId::NOBODY));
    }
}
