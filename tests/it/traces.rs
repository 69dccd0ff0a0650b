//! Traces from a callback to what was told, as a collector gets them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::house::{House, Plan, lasting_address, spawn};

/// A collector that keeps what it is given, from whoever has the right header.
#[derive(Clone, Default)]
pub struct Collector {
    kept: Arc<Mutex<Vec<Span>>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

/// What the header must say.
pub const KEY: &str = "Bearer of-the-collector";

impl Collector {
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/traces", post(keep)).with_state(self.clone());
        spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub fn spans(&self) -> Vec<Span> {
        self.kept.lock().unwrap().clone()
    }

    /// Every byte that came.
    pub fn raw(&self) -> Vec<u8> {
        self.raw.lock().unwrap().clone()
    }
}

async fn keep(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get("authorization").is_none_or(|value| value != KEY) {
        return StatusCode::UNAUTHORIZED;
    }
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let told = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let spans =
        told.resource_spans.into_iter().flat_map(|spans| spans.scope_spans).flat_map(|spans| spans.spans);
    collector.kept.lock().unwrap().extend(spans);
    collector.raw.lock().unwrap().extend_from_slice(&body);
    StatusCode::OK
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
        Some(Any::StringValue(text)) => text,
        _ => "",
    }
}

/// The span that the only link of another leads to.
#[track_caller]
fn behind<'a>(spans: &'a [Span], later: &Span, name: &str) -> &'a Span {
    let found = spans.iter().find(|span| {
        span.name == name
            && later.links.iter().any(|link| link.trace_id == span.trace_id && link.span_id == span.span_id)
    });
    found.unwrap_or_else(|| panic!("no link of {} leads to a {name}: {:?}", later.name, later.links))
}

async fn traced(collector: &Collector, ratio: &str) -> House {
    let address = collector.listen().await;
    House::build(Plan {
        env: vec![
            ("TELEMETRY__OTLP_ENDPOINT", format!("http://{address}")),
            ("TELEMETRY__OTLP_HEADERS", format!("authorization={KEY}")),
            ("TELEMETRY__SAMPLE_RATIO", ratio.to_owned()),
        ],
        ..Plan::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_from_what_was_told_back_to_the_callback_also_when_the_service_was_restarted_between() {
    let collector = Collector::default();
    let house = traced(&collector, "1").await;
    house.ear.refuse_all("customer.rejected");
    let id = house.rejected("Ana").await;
    house.eventually("it was tried", async || !house.ear.all().is_empty()).await;
    // Whoever stops sends what waits.
    let house = house.restart().await;
    assert!(collector.spans().iter().any(|span| span.name == "decide" && attribute(span, "customer") == id));
    house.ear.forgive();
    let count = house.ear.all().len();
    house
        .eventually("it is told again", async || {
            house.advance(std::time::Duration::from_secs(1));
            house.ear.all()[count..].iter().any(|told| told.body["type"] == "customer.rejected")
        })
        .await;
    let told = house.ear.all().into_iter().rfind(|told| told.body["type"] == "customer.rejected").unwrap();
    assert!(!String::from_utf8_lossy(&told.raw).contains("traceparent"), "what is signed is as it was");
    house.close().await;

    let spans = collector.spans();
    let of_ana = |span: &&Span| attribute(span, "customer") == id;
    let traceparent = told.headers["traceparent"].to_str().unwrap().to_owned();
    let is_it = |span: &&Span| {
        format!("00-{}-{}-01", hex::encode(&span.trace_id), hex::encode(&span.span_id)) == traceparent
    };
    let tell = spans.iter().find(is_it).expect("the receiver can go on with the trace");
    assert_eq!((tell.name.as_str(), attribute(tell, "outcome")), ("tell", "delivered"));
    assert_eq!((attribute(tell, "event"), attribute(tell, "to")), ("customer.rejected", "default"));
    assert!(tell.parent_span_id.is_empty(), "days may lie between: a link, no parent");
    let decided = behind(&spans, tell, "decide");
    assert!(["rejected", "awaiting_correction"].contains(&attribute(decided, "to")), "{decided:?}");
    let attended = behind(&spans, decided, "attend");
    let called = behind(&spans, attended, "callback");
    assert_eq!(attribute(called, "kept_in"), "store");
    for span in [decided, attended, called] {
        assert!(of_ana(&span) && span.parent_span_id.is_empty());
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let asked: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == attended.span_id).collect();
    assert!(
        asked.iter().any(|span| span.name == "details" && span.trace_id == attended.trace_id),
        "{asked:?}"
    );
    let failed =
        spans.iter().filter(of_ana).any(|span| span.name == "tell" && attribute(span, "outcome") == "later");
    assert!(failed, "the attempts that failed are there too");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_customer_everything_is_traced_or_nothing() {
    let collector = Collector::default();
    let house = traced(&collector, "0.5").await;
    let mut ids = BTreeSet::new();
    for number in 1..=60_u128 {
        let id = uuid::Uuid::from_u128(number << 90 | number).to_string();
        let url = format!("http://{}/callback/compliance?customerHashId={id}", house.public);
        assert_eq!(house.http.post(url).send().await.unwrap().status(), 200);
        ids.insert(id);
    }
    house
        .eventually("all were looked at", async || {
            house.metric("reinstate_looks_total{outcome=\"not_found\"}").await == 60
        })
        .await;
    house.close().await;
    let spans = collector.spans();
    let of = |name: &str| -> BTreeSet<String> {
        let named = spans.iter().filter(|span| span.name == name);
        named.map(|span| attribute(span, "customer").to_owned()).filter(|id| ids.contains(id)).collect()
    };
    let (called, attended) = (of("callback"), of("attend"));
    assert_eq!(called, attended);
    assert!((10..50).contains(&called.len()), "{}", called.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_refuses_costs_a_count_and_nothing_else() {
    let nobody = lasting_address();
    let refusing = Collector::default().listen().await;
    for endpoint in [nobody, refusing] {
        let env = ("TELEMETRY__OTLP_ENDPOINT", format!("http://{endpoint}"));
        let house = House::build(Plan { env: vec![env], ..Plan::default() }).await;
        let id = house.rejected("Ana").await;
        assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
        house.until(&id, "reinstated").await;
        house
            .eventually("it is counted", async || house.metric("reinstate_traces_dropped_total").await > 3)
            .await;
        assert_eq!(house.metric("reinstate_traces_sent_total").await, 0);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_is_traced() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let told = house.heard(&id, "customer.rejected").await;
    assert!(!told.headers.contains_key("traceparent"));
    assert_eq!(house.metric("reinstate_traces_dropped_total").await, 0);
    house.close().await;
}
