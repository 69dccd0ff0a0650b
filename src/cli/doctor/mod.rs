//! `reinstate doctor`: what is wrong, and what to check, from the configuration to the callbacks that do not come.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

mod certificate;
mod intake;
mod network;
mod report;
mod storage;

use std::time::Duration;

use clap::Args as ClapArgs;
use reqwest::{Client, redirect};
use serde_json::Value;

use self::report::Report;
use super::client::beside;
use super::runtime;
use crate::app;
use crate::config::{Config, Sources};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Say what is wrong and what to check, with the fix beside each finding; exit code 1 when something is bad.
///
/// Examples:
///   reinstate doctor
///   reinstate doctor --json | jq '.findings[] | select(.level == "bad")'
#[derive(ClapArgs, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Print everything at the end, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(sources: &Sources, args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(sources)?;
    let mut report = Report::new(args.json);
    report.good("configuration", format!("it can be read (fingerprint {})", config.fingerprint()));
    for warning in config.warnings() {
        report.note("configuration", warning);
    }
    runtime()?.block_on(examine(&config, &mut report))?;
    report.end()
}

async fn examine(config: &Config, report: &mut Report) -> anyhow::Result<()> {
    let client = Client::builder().timeout(LIMIT).redirect(redirect::Policy::none()).build()?;
    network::names(config, report).await;
    certificate::own(config, report).await;
    network::clock(config, &client, report).await;
    nium(config, report).await;
    mail(config, report).await;
    network::outside(config, &client, report).await;
    storage::disks(config, report);
    let (client, admin) = beside(&config.admin)?;
    let client = client.timeout(LIMIT).build()?;
    match client.get(format!("{admin}/readyz?verbose")).send().await {
        Ok(answer) => {
            let seen: Value = answer.json().await.unwrap_or_default();
            service(&seen, report);
            intake::knock(config, &client, &admin, report).await;
            storage::database(config, report).await;
            proxies(&seen, report);
            callbacks(&seen["callbacks"], config, report);
        }
        Err(_) => report.bad(
            "service",
            format!(
                "no service answers at {admin}; who may knock, the database and its keys were not looked at"
            ),
            "start `reinstate serve` with this configuration, and look at its log",
        ),
    }
    Ok(())
}

async fn nium(config: &Config, report: &mut Report) {
    match app::knock_at_nium(config).await {
        Ok(Some(total)) => {
            report.good("nium", format!("Nium takes our key and lets us list customers: {total} of them"));
        }
        Ok(None) => report.good("nium", "Nium takes our key and lets us list customers"),
        Err(why) => report.bad(
            "nium",
            format!("Nium does not answer our question: {why}"),
            "nium.base_url, nium.client_hash_id and nium.api_key; the way out of this network; Nium's status page",
        ),
    }
}

async fn mail(config: &Config, report: &mut Report) {
    match app::knock_at_mail_server(config).await {
        None => report.note(
            "mail",
            "notify.email is not set: nobody is written to, and the app backend tells customers",
        ),
        Some(Ok(())) => report.good("mail", "the mail server talks to us and takes our login"),
        Some(Err(why)) => {
            report.bad("mail", why, "notify.email.smtp_url, its user and password, and the firewall");
        }
    }
}

fn service(seen: &Value, report: &mut Report) {
    let status = seen["status"].as_str().unwrap_or("unknown");
    match status {
        "ready" => report.good("service", "the service is ready"),
        "stopping" => report.note("service", "the service is stopping"),
        _ => report.bad(
            "service",
            format!(
                "the service is {status}: store {}, spool {}, {} callbacks spooled",
                seen["store"], seen["spool"], seen["callbacksSpooled"]
            ),
            "space and health of the disk, who else holds the database, and the service's log",
        ),
    }
}

fn proxies(seen: &Value, report: &mut Report) {
    if seen["undeclaredProxySeen"] == true {
        report.bad(
            "proxy",
            "X-Forwarded-For came from an address that is not in callback.trusted_proxies",
            "if a proxy of yours stands in front, name it there: callback.allow_from judges the proxy now; if none does, \
             somebody made the header up, which did them no good",
        );
    }
}

fn callbacks(seen: &Value, config: &Config, report: &mut Report) {
    let number = |name: &str| seen[name].as_u64().unwrap_or_default();
    let last = seen["lastCallbackAt"].as_str().map_or_else(|| "never".to_owned(), str::to_owned);
    report.note("callbacks", format!("last callback: {last}"));
    if !seen["alarmSince"].is_null() || number("missingDay") > 0 {
        let secret = if config.callback.secret_path.is_some() { "/SECRET" } else { "" };
        report.bad(
            "callbacks",
            format!(
                "{} changes of the last day were found by asking, and no callback told of them",
                number("missingDay")
            ),
            format!(
                "ask Nium for complianceStatusCallbackUrl of this client: it should be \
                 https://YOUR-HOST{secret}/callback/compliance?customerHashId=%s; then callback.allow_from, the \
                 firewall, the certificate, and reinstate_intake_refused_total"
            ),
        );
    } else {
        report.good("callbacks", "no callback is known to be missing");
    }
    if number("waiting") > 0 {
        report.note("callbacks", format!("{} callbacks are expected and may still come", number("waiting")));
    }
}
