//! What the two listeners need, out of the configuration: the intake, the hosted page, the console.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;

use super::reload::{Shared, THIS_MACHINE};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::http::api::ApiState;
use crate::http::callback::{self, CallbackState};
use crate::http::console::{self, ConsoleState, SignOn};
use crate::http::correct::{Brand, CorrectState};
use crate::http::health::HealthState;
use crate::http::serve::{self, Certificates};
use crate::metrics::Metrics;
use crate::ops::Ops;
use crate::spool::Spool;
use crate::store::Store;

/// Most connections of the admin listener; officers and the app backend are few.
const ADMIN_CONNECTIONS_MAX: usize = 2_000;

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
    shared: &Shared,
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
    let options = console::Options {
        url: config.admin.url.clone(),
        bootstrap: Arc::clone(&api.bootstrap),
        sign_on: config.admin.sign_on.as_ref().map(sign_on).transpose()?,
        settings: Arc::clone(&shared.settings),
    };
    Ok(Arc::new(ConsoleState::new(Arc::clone(&api.ops), Arc::clone(health), options)))
}

pub(super) fn callback_state(
    config: &Config,
    (store, spool): (&Arc<Store>, &Arc<Spool>),
    metrics: &Metrics,
    clock: Clock,
    shared: &Shared,
) -> CallbackState {
    let options = callback::Options {
        client_hash_id: config.nium.client_hash_id.to_string().into(),
        body_wait: config.public.body_timeout,
        store_wait: callback::STORE_WAIT,
    };
    let places = callback::Places {
        store: Arc::clone(store),
        spool: Arc::clone(spool),
        clock,
        access: Arc::clone(&shared.access),
        last_knock: Arc::clone(&shared.last_knock),
    };
    CallbackState::new(places, &metrics.intake, options)
}

async fn certificates(tls: Option<&config::Tls>) -> anyhow::Result<Option<Certificates>> {
    let Some(tls) = tls else { return Ok(None) };
    let files = serve::Files {
        certificate: tls.cert.clone(),
        key: tls.key.clone(),
        client_authority: tls.client_ca.clone(),
    };
    Ok(Some(Certificates::load(files).await?))
}

pub(super) async fn public_options(
    config: &Config,
    metrics: &Metrics,
    shared: &Shared,
) -> anyhow::Result<serve::Options> {
    let public = &config.public;
    Ok(serve::Options {
        name: "public",
        tls: certificates(public.tls.as_ref()).await.context("public.tls_cert")?,
        balancers: public.proxy_protocol_from.clone(),
        limits: serve::Limits {
            connections_max: public.connections_max,
            peer_connections_max: public.peer_connections_max,
            peer_requests_per_second: public.peer_requests_per_second,
            known: Arc::clone(&shared.known),
            ..serve::Limits::default()
        },
        handshake_wait: public.handshake_timeout,
        first_request_wait: public.header_timeout,
        metrics: metrics.doors.clone(),
        ..serve::Options::default()
    })
}

pub(super) async fn admin_options(config: &Config, metrics: &Metrics) -> anyhow::Result<serve::Options> {
    let admin = &config.admin;
    Ok(serve::Options {
        name: "admin",
        tls: certificates(admin.tls.as_ref()).await.context("admin.tls_cert")?,
        balancers: admin.proxy_protocol_from.clone(),
        limits: serve::Limits {
            connections_max: ADMIN_CONNECTIONS_MAX,
            known: Arc::new(ArcSwap::from_pointee(THIS_MACHINE.to_vec())),
            ..serve::Limits::default()
        },
        metrics: metrics.doors.clone(),
        ..serve::Options::default()
    })
}
