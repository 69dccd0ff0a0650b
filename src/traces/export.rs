//! The queue of spans, and the thread that sends them. It has a runtime of its own: however slow the collector is, nobody else
//! waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter as Exporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};
use prometheus_client::metrics::counter::Counter;
use uuid::Uuid;

use super::{Kind, Place, Span};

/// Spans that may wait to be sent: a few MiB. What comes beyond is dropped and counted.
const QUEUE: usize = 8_192;
/// Spans in one message to the collector.
const BATCH: usize = 512;
/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(1);
/// How long one message may take.
const SEND_WAIT: Duration = Duration::from_secs(5);
/// How long everything that waits may take when the service stops.
const FLUSH_WAIT: Duration = Duration::from_secs(5);
/// Bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where traces go.
pub struct Options {
    /// The collector, without the path of traces and without a slash at the end.
    pub endpoint: String,
    /// Headers of every message; they may hold a secret.
    pub headers: Vec<(String, String)>,
    /// The share of customers that is traced, from 0 to 1.
    pub ratio: f64,
    /// The name of this process among its kind.
    pub instance: String,
    /// Where random ids come from.
    pub fresh: fn() -> Uuid,
    /// Counts spans that a collector took.
    pub sent: Counter,
    /// Counts spans that nobody took.
    pub dropped: Counter,
}

/// Why traces cannot be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The client or its thread cannot be made.
    #[error("the client of the collector cannot be made: {0}")]
    Client(String),
}

/// Takes spans and sends them.
pub(super) struct Courier {
    queue: SyncSender<Option<Box<Span>>>,
    is_ending: Arc<AtomicBool>,
    dropped: Counter,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Courier {
    pub(super) fn start(options: Options) -> Result<Self, ExportError> {
        let failed = |error: &dyn std::fmt::Display| ExportError::Client(error.to_string());
        let (queue, waiting) = sync_channel(QUEUE);
        let is_ending = Arc::new(AtomicBool::new(false));
        let dropped = options.dropped.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let sender = Sender::new(options)?;
        let ending = Arc::clone(&is_ending);
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || sender.serve(&runtime, &waiting, &ending))
            .map_err(|error| failed(&error))?;
        Ok(Self { queue, is_ending, dropped, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn take(&self, span: Span) {
        if self.queue.try_send(Some(Box::new(span))).is_err() {
            self.dropped.inc();
        }
    }

    pub(super) fn close(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // Wakes the thread; if there is no room for it, it is awake.
        let _ = self.queue.try_send(None);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the traces ended badly");
        }
    }
}

/// What the thread has.
struct Sender {
    exporter: Exporter,
    scope: InstrumentationScope,
    sent: Counter,
    dropped: Counter,
    is_in_trouble: bool,
}

impl Sender {
    fn new(options: Options) -> Result<Self, ExportError> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(SEND_WAIT);
        if options.endpoint.starts_with("http:") {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| ExportError::Client(error.without_url().to_string()))?;
        let mut exporter = Exporter::builder()
            .with_http()
            .with_http_client(Collector(client))
            .with_endpoint(format!("{}/v1/traces", options.endpoint))
            .with_headers(options.headers.into_iter().collect::<HashMap<_, _>>())
            .with_timeout(SEND_WAIT)
            .build()
            .map_err(|error| ExportError::Client(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name("reinstate")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", options.instance),
            ])
            .build();
        exporter.set_resource(&resource);
        let scope =
            InstrumentationScope::builder("reinstate").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { exporter, scope, sent: options.sent, dropped: options.dropped, is_in_trouble: false })
    }

    fn serve(
        mut self,
        runtime: &tokio::runtime::Runtime,
        waiting: &Receiver<Option<Box<Span>>>,
        is_ending: &AtomicBool,
    ) {
        while !is_ending.load(Ordering::Relaxed) {
            let batch = gather(waiting);
            if !batch.is_empty() {
                runtime.block_on(self.send(batch));
            }
        }
        let rest: Vec<Span> = waiting.try_iter().flatten().map(|span| *span).collect();
        let count = count_of(rest.len());
        let flush = async {
            let mut rest = rest.into_iter().peekable();
            while rest.peek().is_some() {
                self.send(rest.by_ref().take(BATCH).collect()).await;
            }
        };
        if runtime.block_on(async { tokio::time::timeout(FLUSH_WAIT, flush).await }).is_err() {
            tracing::warn!(count, "the collector did not take the last traces in time");
        }
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let count = count_of(batch.len());
        let spans = batch.into_iter().map(|span| self.data_of(span)).collect();
        // Why says little and may repeat what the collector sent: it is one line, and the counter tells.
        let is_taken = self.exporter.export(spans).await.is_ok();
        if is_taken {
            self.sent.inc_by(count);
        } else {
            self.dropped.inc_by(count);
        }
        if !is_taken && !self.is_in_trouble {
            tracing::warn!(
                "the collector does not take traces; they are dropped and counted until it does (telemetry.otlp_endpoint)"
            );
        }
        if is_taken && self.is_in_trouble {
            tracing::info!("the collector takes traces again");
        }
        self.is_in_trouble = !is_taken;
    }

    fn data_of(&self, span: Span) -> SpanData {
        let end = SystemTime::from(span.ended_at);
        let mut links = SpanLinks::default();
        links.links = span.links.iter().map(|place| Link::new(context(place), Vec::new(), 0)).collect();
        SpanData {
            span_context: context(&span.place),
            parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span)),
            parent_span_is_remote: false,
            span_kind: match span.kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Consumer => SpanKind::Consumer,
                Kind::Internal => SpanKind::Internal,
            },
            name: span.name.into(),
            start_time: end.checked_sub(span.took).unwrap_or(end),
            end_time: end,
            attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: if span.failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// What has come, once there is a whole message of it or the first has waited long enough.
fn gather(waiting: &Receiver<Option<Box<Span>>>) -> Vec<Span> {
    let mut batch = Vec::new();
    let begun = std::time::Instant::now();
    while batch.len() < BATCH {
        match waiting.recv_timeout(EVERY.saturating_sub(begun.elapsed())) {
            Ok(Some(span)) => batch.push(*span),
            Ok(None) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

fn count_of(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

fn context(place: &Place) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(place.trace), SpanId::from_bytes(place.span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// Our HTTP client as the exporter wants it: the one that the rest of the service has, and no second one.
#[derive(Debug)]
struct Collector(reqwest::Client);

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.try_into().map_err(reqwest::Error::without_url)?;
        let mut answer = self.0.execute(request).await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long".into());
            }
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}
