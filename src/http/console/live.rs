//! `GET /console/live`: tells a page that something has changed, as server-sent events; the page then reads itself anew. The
//! events carry no data but a stamp, so that nothing is shown that the page would not show.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Console, ConsoleState};
use crate::domain::id::CustomerHashId;

/// Pages that are kept up to date at once; whoever comes later reads anew by hand.
const FOLLOWERS_MAX: usize = 256;
/// How often it is looked whether something has changed.
const EVERY: Duration = Duration::from_secs(2);
/// A stamp that is this young serves everybody who asks.
const FRESH: Duration = Duration::from_millis(900);
/// Customers whose stamps are remembered.
const STAMPS_MAX: usize = 512;
/// How long a page is followed; its browser begins anew, and shows who it is again.
const SPAN: Duration = Duration::from_mins(30);
/// How long a browser waits before it comes again.
const AGAIN: Duration = Duration::from_secs(5);

/// Who follows, and what was seen last.
pub(super) struct Live {
    room: Arc<Semaphore>,
    stamps: Mutex<HashMap<Option<CustomerHashId>, (Instant, String)>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(FOLLOWERS_MAX)), stamps: Mutex::default() }
    }
}

impl Live {
    fn remembered(&self, of: Option<CustomerHashId>) -> Option<String> {
        let stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.get(&of).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, stamp)| stamp.clone())
    }

    fn remember(&self, of: Option<CustomerHashId>, stamp: &str) {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps.len() >= STAMPS_MAX {
            stamps.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if stamps.len() < STAMPS_MAX {
            stamps.insert(of, (Instant::now(), stamp.to_owned()));
        }
    }
}

/// What is followed.
#[derive(Deserialize)]
pub(super) struct Followed {
    customer: Option<String>,
}

/// `GET /console/live?customer=`
pub(super) async fn follow(State(state): Console, Query(followed): Query<Followed>) -> Response {
    let Ok(place) = Arc::clone(&state.live.room).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let of = followed.customer.as_deref().and_then(CustomerHashId::parse);
    let keep = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(changes(state, of, place)).keep_alive(keep).into_response()
}

struct Follower {
    state: Arc<ConsoleState>,
    of: Option<CustomerHashId>,
    last: Option<String>,
    begun: Instant,
    _place: OwnedSemaphorePermit,
}

/// An event whenever the stamp is another one; ends when the service stops, so that nobody waits for its followers.
fn changes(
    state: Arc<ConsoleState>,
    of: Option<CustomerHashId>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let follower = Follower { state, of, last: None, begun: Instant::now(), _place: place };
    stream::unfold(follower, |mut follower| async move {
        loop {
            if follower.last.is_some() {
                tokio::time::sleep(EVERY).await;
            }
            let stopping = follower.state.health.stopping.load(Ordering::Relaxed);
            if stopping || follower.begun.elapsed() > SPAN {
                return None;
            }
            // While the database is away there is nothing new to show.
            let Some(stamp) = stamp(&follower.state, follower.of).await else {
                follower.last.get_or_insert_default();
                continue;
            };
            if follower.last.as_ref() != Some(&stamp) {
                let event = Event::default().event("stamp").data(&stamp).retry(AGAIN);
                follower.last = Some(stamp);
                return Some((Ok(event), follower));
            }
        }
    })
}

/// Tells one standing of the database from another; asked for at most about once a second, whoever follows.
async fn stamp(state: &ConsoleState, of: Option<CustomerHashId>) -> Option<String> {
    if let Some(stamp) = state.live.remembered(of) {
        return Some(stamp);
    }
    let stamp = state.ops.stamp(of).await.ok()?;
    state.live.remember(of, &stamp);
    Some(stamp)
}
