//! Whom the service talks to: Nium, the endpoints of the app backend, the mail server, the collector of traces; and how
//! `doctor` knocks at each.

use std::sync::Arc;

use anyhow::Context;

use super::reload::{mail_options, signing_secrets};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::nium::error::ListError;
use crate::nium::pace::{Class, SharedTurns};
use crate::nium::{self, Nium};
use crate::ops::events::{Endpoints, Knocked, Knocking, KnownEndpoint};
use crate::store::{self, Store};
use crate::traces::{self, Traces};
use crate::worker::mail::Mailer;
use crate::worker::notify::{self, Notifier};

/// The budget towards Nium as the store shares it out among the replicas.
pub(super) fn shared_turns(store: &Arc<Store>) -> SharedTurns {
    let store = Arc::clone(store);
    SharedTurns::new(move |interval, ahead| {
        let store = Arc::clone(&store);
        Box::pin(async move {
            let turn = store.take_turn(store::Turns { interval, ahead }).await?;
            Some(turn.map_err(|error| tracing::debug!(%error, "no turn to call Nium; it is asked for again")))
        })
    })
}

/// Traces, if there is a collector.
pub(super) fn start_traces(config: &Config, metrics: &Metrics, instance: &str) -> anyhow::Result<Traces> {
    let Some(otlp) = &config.telemetry.otlp else { return Ok(Traces::default()) };
    let headers = otlp.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
    let options = traces::Options {
        endpoint: otlp.endpoint.clone(),
        headers: headers.collect(),
        ratio: otlp.ratio,
        instance: instance.to_owned(),
        fresh: uuid::Uuid::new_v4,
        sent: metrics.traces_sent.clone(),
        dropped: metrics.traces_dropped.clone(),
    };
    Traces::start(options).context("telemetry.otlp_endpoint")
}

/// Whether the collector of traces takes a message with nothing in it; `None` where there is none. The error is a sentence.
pub async fn knock_at_collector(config: &Config, client: &reqwest::Client) -> Option<Result<(), String>> {
    let otlp = config.telemetry.otlp.as_ref()?;
    let mut request =
        client.post(format!("{}/v1/traces", otlp.endpoint)).header("content-type", "application/x-protobuf");
    for (name, value) in &otlp.headers {
        request = request.header(name, value.expose());
    }
    Some(match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the collector of traces answers {}", answer.status().as_u16())),
        Err(_) => Err("the collector of traces cannot be reached".to_owned()),
    })
}

pub(super) fn nium_client(
    config: &Config,
    (metrics, traces, clock): (&Metrics, &Traces, &Clock),
    shared: SharedTurns,
) -> anyhow::Result<Nium> {
    let (work, traces, clock) = (metrics.work.clone(), traces.clone(), clock.clone());
    let options = nium::Options {
        base_url: config.nium.base_url.clone(),
        client_hash_id: config.nium.client_hash_id.to_string(),
        api_key: config.nium.api_key.expose().to_owned().into(),
        client_name: config.nium.client_name.clone(),
        connect_timeout: config.nium.connect_timeout,
        timeout: config.nium.timeout,
        requests_per_second: config.nium.requests_per_second,
        burst: config.nium.burst,
        concurrency: config.nium.concurrency,
        shared,
        observer: Arc::new(move |endpoint, outcome, took| {
            work.call(endpoint.as_str(), outcome, took);
            traces.call(endpoint.as_str(), outcome, clock.now(), took);
        }),
    };
    Nium::new(options).context("the client of Nium's API")
}

/// Asks Nium for the first customer of its list: whether address, client and key are right. Gives how many customers it
/// has, if it says; the error is a sentence.
pub async fn knock_at_nium(config: &Config) -> Result<Option<u64>, String> {
    let seen = (&Metrics::new(), &Traces::default(), &Clock::System);
    let nium = nium_client(config, seen, SharedTurns::alone()).map_err(|error| error.to_string())?;
    let permit = nium.permit(Class::Sweep).await;
    match nium.list(0, 1, uuid::Uuid::new_v4(), permit).await {
        Ok(page) => Ok(page.total_customers),
        Err(ListError::Trouble(trouble)) => Err(trouble.kind.as_str().to_owned()),
        Err(ListError::Unreadable(why)) => Err(why.to_owned()),
    }
}

/// Connects to the mail server and logs in; `None` where there is none. The error is a sentence.
pub async fn knock_at_mail_server(config: &Config) -> Option<Result<(), String>> {
    match mail_options(config).map(Mailer::new)? {
        Ok(mailer) => Some(mailer.knock().await),
        Err(error) => Some(Err(error.to_string())),
    }
}

pub(super) fn endpoints(config: &Config) -> anyhow::Result<Arc<[Notifier]>> {
    let notifier = |endpoint: config::Endpoint| {
        let secrets = signing_secrets(&endpoint)?;
        let config::Endpoint { name, events, webhook } = endpoint;
        let options = notify::Options {
            name: name.clone(),
            events,
            url: webhook.url,
            secrets,
            allow_private: webhook.allow_private,
            limit: webhook.timeout,
        };
        Notifier::new(options).with_context(|| format!("the endpoint {name}"))
    };
    config.notify.all().into_iter().map(notifier).collect()
}

/// The endpoints as `ops` shows them, and the way to try one.
pub(super) fn known_endpoints(config: &Config, notifiers: &Arc<[Notifier]>, clock: &Clock) -> Endpoints {
    let known = config.notify.all().into_iter().map(|endpoint| KnownEndpoint {
        host: host_of(&endpoint.webhook.url),
        name: endpoint.name,
        events: endpoint.events,
    });
    let (notifiers, clock) = (Arc::clone(notifiers), clock.clone());
    let knock = move |name: String| -> Knocking {
        let (notifiers, clock) = (Arc::clone(&notifiers), clock.clone());
        Box::pin(async move {
            let endpoint = notifiers.iter().find(|endpoint| endpoint.name() == name)?;
            let begun = std::time::Instant::now();
            let (id, answer) = endpoint.knock(clock.now(), uuid::Uuid::new_v4()).await;
            Some(Knocked { id, answer, took: begun.elapsed() })
        })
    };
    Endpoints::new(known.collect(), knock)
}

/// The host of an address, which says enough: paths and queries of webhooks hold secrets.
fn host_of(url: &str) -> String {
    reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
