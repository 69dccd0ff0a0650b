//! What the two listeners need, out of the configuration: the intake, the hosted page, the console.

use std::sync::Arc;

use anyhow::Context;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::http::access::{self, Access};
use crate::http::api::ApiState;
use crate::http::callback::{self, CallbackState};
use crate::http::console::{self, ConsoleState, SignOn};
use crate::http::correct::{Brand, CorrectState};
use crate::http::health::HealthState;
use crate::http::knock::LastKnock;
use crate::http::serve;
use crate::metrics::Metrics;
use crate::ops::Ops;
use crate::spool::Spool;
use crate::store::Store;
use crate::traces::Traces;

/// The hosted page, where the public listener has an address.
pub(super) fn page_state(config: &Config, ops: &Arc<Ops>) -> Option<Arc<CorrectState>> {
    let url = config.public.url.as_ref()?;
    let brand = Brand {
        name: config.page.name.clone(),
        logo: config.page.logo.as_ref().map(|logo| (logo.kind, logo.bytes.clone())),
        colour: config.page.colour,
        contact: config.page.contact.clone(),
        language: config.page.language,
        documents: config.page.documents.clone(),
    };
    Some(Arc::new(CorrectState::new(Arc::clone(ops), brand, url)))
}

/// The pages of those who watch over cases.
pub(super) fn console_state(
    config: &Config,
    api: &ApiState,
    health: &Arc<HealthState>,
) -> anyhow::Result<Arc<ConsoleState>> {
    let sign_on = |on: &config::SignOn| -> anyhow::Result<SignOn> {
        let groups_header = on.groups_header.as_ref().map(|name| name.parse()).transpose();
        Ok(SignOn {
            header: on.header.parse().context("admin.sign_on_header")?,
            groups_header: groups_header.context("admin.sign_on_groups_header")?,
            from: on.from.clone(),
            admins: on.admins.clone(),
            officers: on.officers.clone(),
            viewers: on.viewers.clone(),
        })
    };
    let settings = config.settings.iter().cloned().map(|setting| {
        let config::Setting { key, value, place } = setting;
        console::Setting { key, value, place }
    });
    let options = console::Options {
        url: config.admin.url.clone(),
        bootstrap_hash: api.bootstrap_hash,
        sign_on: config.admin.sign_on.as_ref().map(sign_on).transpose()?,
        settings: settings.collect(),
    };
    Ok(Arc::new(ConsoleState::new(Arc::clone(&api.ops), Arc::clone(health), options)))
}

pub(super) fn callback_state(
    config: &Config,
    store: &Arc<Store>,
    spool: &Arc<Spool>,
    metrics: &Metrics,
    clock: Clock,
    (last_knock, traces): (&Arc<LastKnock>, &Traces),
) -> anyhow::Result<CallbackState> {
    let rules = &config.callback;
    let static_header = match &rules.static_header {
        Some(header) => {
            let values = header.values.iter().map(|value| value.expose().to_owned()).collect();
            Some((header.name.parse().context("callback.static_header_name")?, values))
        }
        None => None,
    };
    let hmac = match &rules.hmac {
        Some(hmac) => {
            let secrets = hmac.secrets.iter().map(|secret| secret.expose().to_vec()).collect();
            Some((hmac.header.parse().context("callback.hmac_header")?, secrets))
        }
        None => None,
    };
    let access = Access::new(access::Options {
        secret_path: rules.secret_path.as_ref().map(|secret| secret.expose().to_owned()),
        allow_from: rules.allow_from.clone(),
        trusted_proxies: rules.trusted_proxies.clone(),
        static_header,
        hmac,
    });
    let options = callback::Options {
        client_hash_id: config.nium.client_hash_id.to_string().into(),
        body_wait: config.public.body_timeout,
        store_wait: callback::STORE_WAIT,
    };
    let places = callback::Places {
        store: Arc::clone(store),
        spool: Arc::clone(spool),
        clock,
        access: Arc::new(access),
        last_knock: Arc::clone(last_knock),
        traces: traces.clone(),
    };
    Ok(CallbackState::new(places, &metrics.intake, options))
}

pub(super) async fn public_options(config: &Config) -> anyhow::Result<serve::Options> {
    let public = &config.public;
    let tls = match &public.tls {
        Some(files) => {
            let read = serve::tls_from_files(&files.cert, &files.key).await;
            Some(read.with_context(|| format!("reading {} and public.tls_key", files.cert.display()))?)
        }
        None => None,
    };
    Ok(serve::Options {
        tls,
        handshake_wait: public.handshake_timeout,
        first_request_wait: public.header_timeout,
        ..serve::Options::default()
    })
}
