//! What was done, for whoever watches traces: a customer attended to, a decision, an attempt to tell. What led to each is a link,
//! since time has passed; its place is made of what is stored.

use std::time::Instant;

use super::Worker;
use super::inbox::Attendance;
use crate::domain::decision::Decision;
use crate::domain::id::CustomerHashId;
use crate::store::rows::Claimed;
use crate::store::rows::events::TellLease;
use crate::traces::{self, Kind, Place, Span};

/// Callbacks that one look has links to.
const LINKS_MAX: usize = 8;

impl Worker {
    /// Attends to one claimed customer until the lease is given back.
    pub(super) async fn attend(&self, claimed: Claimed) {
        let customer = claimed.lease.customer;
        let (nudged, swept) = (claimed.nudged, claimed.swept);
        // Boxed: what wraps it would hold it twice.
        let work = Box::pin(self.attend_to(claimed));
        let Some(place) = self.traces.begin(customer) else { return work.await };
        let links = if nudged { self.callbacks_behind(customer).await } else { Vec::new() };
        let begun = Instant::now();
        traces::within(place, work).await;
        self.traces.record(Span {
            name: "attend",
            kind: Kind::Consumer,
            place,
            parent: None,
            links,
            ended_at: self.clock.now(),
            took: begun.elapsed(),
            attributes: vec![
                ("customer", customer.to_string()),
                ("nudged", nudged.to_string()),
                ("swept", swept.to_string()),
            ],
            failed: false,
        });
    }

    /// The callbacks that came since the last look.
    async fn callbacks_behind(&self, customer: CustomerHashId) -> Vec<Place> {
        let (Ok(case), Ok(callbacks)) =
            (self.store.case(customer).await, self.store.callbacks(Some(customer), None, LINKS_MAX).await)
        else {
            return Vec::new();
        };
        let looked_at = case.and_then(|case| case.snapshot).map(|snapshot| snapshot.looked_at);
        let since =
            callbacks.iter().filter(|callback| looked_at.is_none_or(|at| callback.last_received_at >= at));
        since
            .map(|callback| {
                Place::of_callback(customer, callback.last_received_at, callback.request_id.as_deref())
            })
            .collect()
    }

    /// A decision is on disk.
    pub(super) fn trace_decision(&self, attendance: &Attendance, decision: &Decision, begun: Instant) {
        let customer = attendance.lease.customer;
        let Some(here) = traces::here() else { return };
        self.traces.record(Span {
            name: "decide",
            kind: Kind::Internal,
            place: Place::of_decision(customer, decision.case.version),
            parent: None,
            links: vec![here],
            ended_at: self.clock.now(),
            took: begun.elapsed(),
            attributes: vec![
                ("customer", customer.to_string()),
                ("version", decision.case.version.to_string()),
                ("from", attendance.case.state.name().to_owned()),
                ("to", decision.case.state.name().to_owned()),
                ("because", decision.because.to_owned()),
            ],
            failed: false,
        });
    }

    /// An attempt to tell somebody has ended.
    pub(super) fn trace_telling(
        &self,
        (name, place): (&'static str, Place),
        lease: &TellLease,
        outcome: &'static str,
        begun: Instant,
    ) {
        self.traces.record(Span {
            name,
            kind: Kind::Client,
            place,
            parent: None,
            // An event about the service itself was decided by nobody.
            links: version_of(lease)
                .filter(|_| lease.customer != CustomerHashId::NOBODY)
                .map(|version| Place::of_decision(lease.customer, version))
                .into_iter()
                .collect(),
            ended_at: self.clock.now(),
            took: begun.elapsed(),
            attributes: vec![
                ("customer", lease.customer.to_string()),
                ("event", lease.event.clone()),
                ("to", lease.destination.clone()),
                ("attempt", lease.attempts.saturating_add(1).to_string()),
                ("outcome", outcome.to_owned()),
            ],
            failed: outcome != "delivered",
        });
    }
}

/// The version of the case whose decision wanted this: the sixth part of the key's name.
fn version_of(lease: &TellLease) -> Option<u64> {
    lease.key.as_str().split('-').nth(5)?.parse().ok()
}
