//! `reinstate serve`: configuration, listeners, service. SIGHUP reads the configuration again.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::{process, runtime};
use crate::app::{App, Surroundings};
use crate::clock::Clock;
use crate::config::{Config, LogFormat, Problems, Sources};
use crate::lifecycle::{StopSignals, reload_signal};
use crate::store::wake::Wake;
use crate::telemetry;

pub(super) fn run(file: Option<&PathBuf>) -> anyhow::Result<u8> {
    let config = load(file)?;
    let format = match config.telemetry.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start(&config.telemetry.log, format)?;
    process::keep_memory_private();
    process::open_many_files(config.public.connections_max);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(serve(config, file.cloned()))
}

/// What the sources say now.
fn load(file: Option<&PathBuf>) -> Result<Config, Problems> {
    let sources = Sources::from_process(file.cloned());
    let loaded = Config::load(&sources);
    sources.forget();
    loaded
}

async fn serve(config: Config, file: Option<PathBuf>) -> anyhow::Result<u8> {
    let signals = Arc::new(StopSignals::listen().context("listening for signals")?);
    let mut reload = reload_signal().context("listening for signals")?;
    let surroundings = Surroundings {
        clock: Clock::System,
        public: bind(config.public.listen, "public.listen")?,
        admin: bind(config.admin.listen, "admin.listen")?,
        wake: Wake::default(),
    };
    let app = App::build(&config, surroundings).await?;
    let (public, admin) = (app.public_addr()?, app.admin_addr()?);
    let (version, fingerprint) = (super::VERSION, config.fingerprint());
    let tls = config.public.tls.is_some();
    tracing::info!(version, %public, %admin, tls, fingerprint, "serving");
    drop(config);
    let reloader = app.reloader();
    let stop = || {
        let signals = Arc::clone(&signals);
        async move { signals.next().await }
    };
    let reloads = async {
        while reload.recv().await.is_some() {
            let file = file.clone();
            if let Ok(loaded) = tokio::task::spawn_blocking(move || load(file.as_ref())).await {
                reloader.reload(loaded).await;
            }
        }
        std::future::pending().await
    };
    let well = tokio::select! {
        well = app.run(stop) => well,
        well = reloads => well,
    };
    Ok(u8::from(!well))
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!("{key} = {address}: the address cannot be listened on; is another process using it?")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
