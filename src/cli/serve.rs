//! `reinstate serve`: configuration, listeners, service.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;

use super::runtime;
use crate::app::{App, Surroundings};
use crate::clock::Clock;
use crate::config::{Config, LogFormat, Sources};
use crate::lifecycle::StopSignals;
use crate::store::wake::Wake;
use crate::telemetry;

pub(super) fn run(sources: &Sources) -> anyhow::Result<u8> {
    let config = Config::load(sources)?;
    let format = match config.telemetry.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start(&config.telemetry.log, format)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(serve(&config))
}

async fn serve(config: &Config) -> anyhow::Result<u8> {
    let signals = Arc::new(StopSignals::listen().context("listening for signals")?);
    let surroundings = Surroundings {
        clock: Clock::System,
        public: bind(config.public.listen, "public.listen")?,
        admin: bind(config.admin.listen, "admin.listen")?,
        wake: Wake::default(),
    };
    let app = App::build(config, surroundings).await?;
    let (public, admin) = (app.public_addr()?, app.admin_addr()?);
    let (version, fingerprint) = (super::VERSION, config.fingerprint());
    let tls = config.public.tls.is_some();
    tracing::info!(version, %public, %admin, tls, fingerprint, "serving");
    let stop = || {
        let signals = Arc::clone(&signals);
        async move { signals.next().await }
    };
    let well = app.run(stop).await;
    Ok(u8::from(!well))
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!("{key} = {address}: the address cannot be listened on; is another process using it?")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
