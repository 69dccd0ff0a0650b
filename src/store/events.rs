//! What the app backend is told: the feed, deliveries, and how endpoints have been doing.

use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::rows::events::{DeliveryFilter, DeliveryPage, EndpointRow, EventFilter, EventPage, NewTell};
use super::rows::watch::Retried;
use super::rows::{Once, Recorder};
use super::sql::{deliveries, endpoints, events};
use super::tx::Tx;

/// Events that get their place in the feed in one transaction.
const PLACES_AT_ONCE: i64 = 1_000;
/// Such transactions for one page at most: what is left then gets its place for the next.
const PLACES_TIMES: usize = 20;

impl Store {
    /// Law: events after a place of the feed, in order; whoever goes on at `next` misses none, however late its transaction
    /// ended. Events of one customer come in the order in which they were decided.
    pub async fn events(
        &self,
        after: i64,
        filter: EventFilter,
        most: usize,
    ) -> Result<EventPage, StoreError> {
        for _ in 0..PLACES_TIMES {
            if !self.read(events::waits_for_place).await?
                || !self.write(|tx| events::give_places(tx, PLACES_AT_ONCE)).await?
            {
                break;
            }
        }
        self.read(move |tx| events::page(tx, after, &filter, most)).await
    }

    /// Deliveries of a filter before a number, newest first.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<DeliveryPage, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| deliveries::list(tx, &filter, before, most, now)).await
    }

    /// How many deliveries would go out again.
    pub async fn count_deliveries(&self, filter: DeliveryFilter) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| deliveries::count(tx, &filter, now)).await
    }

    /// Law: just as many deliveries go out again as were counted, or none; each with the id and the bytes that it always
    /// had, in its turn among those of its customer.
    pub async fn redeliver(
        &self,
        filter: DeliveryFilter,
        expected: usize,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<Retried>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let work =
            move |tx: &Tx<'_>| deliveries::redeliver(tx, &filter, expected, &by, recorder.as_ref(), now);
        let done = self.write(work).await?;
        self.ring();
        Ok(done)
    }

    /// Says that these endpoints are configured.
    pub async fn declare_endpoints(&self, names: Vec<String>) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| endpoints::declare(tx, &names, now)).await
    }

    /// An endpoint has taken something that nobody keeps: it is not left alone any more.
    pub async fn endpoint_took(&self, name: &str) -> Result<(), StoreError> {
        let (name, now) = (name.to_owned(), self.clock.now());
        self.write(move |tx| endpoints::note(tx, &name, true, now)).await?;
        self.ring();
        Ok(())
    }

    /// How endpoints have been doing, by name.
    pub async fn endpoints(&self) -> Result<Vec<EndpointRow>, StoreError> {
        self.read(endpoints::list).await
    }

    /// Law: nothing but probes goes to an endpoint that has taken nothing for `after`; what waits stays. False: it is so
    /// already, or it has taken something meanwhile.
    pub async fn disable_endpoint(&self, name: &str, after: Duration) -> Result<bool, StoreError> {
        let (name, now) = (name.to_owned(), self.clock.now());
        self.write(move |tx| endpoints::disable(tx, &name, after, now)).await
    }

    /// Law: the alarm about an endpoint is raised once and lifted once, each together with the word about it. False: it
    /// stood so already.
    pub async fn endpoint_alarm(&self, name: &str, raised: bool, tell: NewTell) -> Result<bool, StoreError> {
        let (name, now) = (name.to_owned(), self.clock.now());
        let changed = self.write(move |tx| endpoints::alarm(tx, &name, raised, &tell, now)).await?;
        self.ring();
        Ok(changed)
    }

    /// Law: what waits for an endpoint that nobody has named since `unseen` is given up with that reason, at most `most` of
    /// it at a time. Gives how much.
    pub async fn give_up_removed(&self, unseen: Timestamp, most: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| endpoints::give_up_removed(tx, unseen, most, now)).await
    }
}
