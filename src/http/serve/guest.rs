//! The router as one connection sees it: every request is counted while it is being answered, and its body while it is in
//! memory. A callback has no body and an answer without one: for it nothing here takes a lock or memory.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::future::RouteFuture;
use futures_util::future::Either;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::Service as _;

use super::peers::{Busy, Leave, Stay, Visit, Weight};
use crate::http::error::Problem;
use crate::metrics::DoorMetrics;

/// Seconds after which somebody who was turned away may come again.
const AGAIN_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The router as one connection sees it.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) router: Router,
    pub(super) peer: ConnectInfo<SocketAddr>,
    pub(super) visit: Arc<Visit>,
    pub(super) listener: &'static str,
    pub(super) metrics: DoorMetrics,
}

impl Service<Request<Incoming>> for Guest {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Self::Response, Infallible>>, Answering>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let expected = request.body().size_hint().lower().max(u64::from(!request.body().is_end_stream()));
        let stay = match self.visit.ask(expected) {
            Ok(stay) => stay,
            Err(busy) => return Either::Left(ready(Ok(self.turn_away(busy)))),
        };
        let weight = (expected > 0).then(|| Weight::of(&self.visit));
        let mut request = match &weight {
            Some(weight) => request.map(|body| Body::new(Weighed { body, weight: Arc::clone(weight) })),
            None => request.map(Body::new),
        };
        request.extensions_mut().insert(self.peer);
        let answer = self.router.clone().call(request);
        Either::Right(Answering { answer, held: Some((stay, weight)) })
    }
}

impl Guest {
    fn turn_away(&self, busy: Busy) -> Response<Body> {
        self.metrics.requests_refused(self.listener, busy.as_str()).inc();
        if self.visit.first_told() {
            tracing::debug!(
                listener = self.listener,
                reason = busy.as_str(),
                "requests of a peer are turned away"
            );
        }
        let problem = match busy {
            Busy::Peer => Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
                .hint("Ask less often; public.peer_requests_per_second says how often."),
            Busy::PeerRequests => Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
                .hint("Wait for answers before asking for more; one peer may have a quarter of what is answered at once."),
            Busy::Requests | Busy::Bodies => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy")
                .hint("Too much is being answered at once; try again in a moment."),
        };
        let mut answer = problem.into_response();
        answer.headers_mut().insert(header::RETRY_AFTER, AGAIN_AFTER);
        answer
    }
}

/// What a request holds until its answer is on its way.
type Held = (Stay, Option<Arc<Weight>>);

/// A request that is being answered.
pub(super) struct Answering {
    answer: RouteFuture<Infallible>,
    held: Option<Held>,
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let held = self.held.take();
        Poll::Ready(answer.map(|answer| {
            // It is answered when its body is: as long as the reader takes something of it.
            if answer.body().is_end_stream() {
                answer
            } else {
                let (leave, weight) = held.map(|(stay, weight)| (Leave::of(stay), weight)).unzip();
                answer.map(|body| Body::new(Leaving { body, leave, _weight: weight.flatten() }))
            }
        }))
    }
}

/// The body of an answer, and what its request holds.
struct Leaving {
    body: Body,
    leave: Option<Leave>,
    _weight: Option<Arc<Weight>>,
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(leave) = &self.leave {
            leave.asked();
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request, weighed as it comes.
struct Weighed {
    body: Incoming,
    weight: Arc<Weight>,
}

impl HttpBody for Weighed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        if bytes.is_some_and(|bytes| !self.weight.add(bytes)) {
            return Poll::Ready(Some(Err("too many bodies are being read at once".into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
