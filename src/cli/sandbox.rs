//! `reinstate sandbox`: the pretend Nium alone.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use clap::Args as ClapArgs;

use super::runtime;
use crate::lifecycle::stop_signal;
use crate::sim::{Options, Sim};

/// Serve the pretend Nium.
///
/// Example, beside `reinstate serve` with `nium.base_url = "http://127.0.0.1:7070"`:
///   `reinstate sandbox --callback-url 'http://127.0.0.1:8080/callback/compliance?customerHashId=%s'`
///   `curl -XPOST http://127.0.0.1:7070/__sim/customers -d '{}'`
///   `curl -XPOST http://127.0.0.1:7070/__sim/customers/ID/transition -d '{"complianceStatus":"REJECT"}'`
#[derive(ClapArgs, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Where callbacks go; %s becomes the customer's id. Nothing is called without it.
    #[arg(long)]
    callback_url: Option<String>,
    /// Where JSON webhooks go. Nothing is called without it.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Where to take mail (SMTP without TLS); it is shown on the page /__sim/mail. None is taken without it.
    #[arg(long)]
    mail: Option<SocketAddr>,
    /// The client id that requests must carry.
    #[arg(long, default_value = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11")]
    client_hash_id: String,
    /// The key that requests must carry; it opens nothing but this sandbox.
    #[arg(long, default_value = "sandbox-key")]
    api_key: String,
    /// The client's regulatory region.
    #[arg(long, default_value = "SG")]
    region: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let listener = TcpListener::bind(args.listen).with_context(|| {
        format!("{}: the address cannot be listened on; is another process using it?", args.listen)
    })?;
    let options = Options {
        client_hash_id: args.client_hash_id.clone(),
        api_key: args.api_key.clone(),
        client_name: "sandbox".to_owned(),
        region: args.region.clone(),
        callback_url: args.callback_url.clone(),
        webhook_url: args.webhook_url.clone(),
        callback_header: None,
        callback_ca_pem: None,
    };
    runtime()?.block_on(async {
        let sim = Sim::start(listener, options)?;
        println!("the pretend Nium listens on {}", sim.base_url());
        if let Some(mail) = args.mail {
            let listener = TcpListener::bind(mail)
                .with_context(|| format!("{mail}: the address cannot be listened on"))?;
            let mail = sim.take_mail(listener)?;
            println!("mail goes to smtp://{mail}?tls=none and is shown on {}/__sim/mail", sim.base_url());
        }
        println!("its controls: curl {}/__sim/", sim.base_url());
        stop_signal().await;
        drop(sim.stop().await);
        Ok(0)
    })
}
