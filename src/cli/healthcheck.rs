//! `reinstate healthcheck`: asks `/livez` of the service that this configuration describes.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;

use super::client::{beside, reachable};
use super::runtime;
use crate::config::{Config, Sources};

/// How long the service may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) fn run(sources: &Sources) -> anyhow::Result<u8> {
    let config = Config::load(sources)?;
    let wants_certificate = config.public.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if wants_certificate || !config.public.proxy_protocol_from.is_empty() {
        if !config.admin.proxy_protocol_from.is_empty() {
            // Both want a balancer to speak for whoever comes: that somebody listens is all that can be asked.
            let address = reachable(config.admin.listen);
            TcpStream::connect_timeout(&address, LIMIT)
                .with_context(|| format!("{address} does not answer"))?;
            return Ok(0);
        }
        // We have no certificate to show there, or are no balancer; the other listener has the same probe.
        let (client, base) = beside(&config.admin)?;
        return ask(&client.timeout(LIMIT).connect_timeout(LIMIT).build()?, &format!("{base}/livez"));
    }
    let address = reachable(config.public.listen);
    let tls = config.public.tls.is_some();
    let url = format!("{}://{address}/livez", if tls { "https" } else { "http" });
    let mut client = reqwest::Client::builder().timeout(LIMIT).connect_timeout(LIMIT).no_proxy();
    client = client.tls_certs_only([]);
    if tls {
        // We ask ourselves on a local address, which no certificate names; what counts is that somebody answers.
        client = client.tls_danger_accept_invalid_certs(true);
    }
    ask(&client.build()?, &url)
}

fn ask(client: &reqwest::Client, url: &str) -> anyhow::Result<u8> {
    let status = runtime()?.block_on(async { client.get(url).send().await }).map(|answer| answer.status());
    let status =
        status.map_err(reqwest::Error::without_url).with_context(|| format!("{url} does not answer"))?;
    if status.is_success() {
        return Ok(0);
    }
    eprintln!("reinstate: {url} answered {status}");
    Ok(1)
}
