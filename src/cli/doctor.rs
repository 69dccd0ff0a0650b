//! `reinstate doctor`: what is wrong, and what to check, from the configuration to the callbacks that do not come.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use super::client::beside;
use super::runtime;
use crate::app;
use crate::config::{Config, Sources};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What was found: bad things make the exit code 1.
#[derive(Default)]
struct Report {
    bad: u32,
}

impl Report {
    fn good(text: &str) {
        println!("  ok    {text}");
    }

    fn worth_knowing(text: &str) {
        println!("  note  {text}");
    }

    fn bad(&mut self, text: &str, check: &str) {
        self.bad += 1;
        println!("  BAD   {text}\n        check: {check}");
    }
}

pub(super) fn run(sources: &Sources) -> anyhow::Result<u8> {
    let config = Config::load(sources)?;
    Report::good("the configuration can be read");
    for warning in config.warnings() {
        Report::worth_knowing(&warning);
    }
    let mut report = Report::default();
    runtime()?.block_on(examine(&config, &mut report))?;
    println!("\n{}", if report.bad == 0 { "nothing is wrong" } else { "something is wrong, see BAD above" });
    Ok(u8::from(report.bad > 0))
}

async fn examine(config: &Config, report: &mut Report) -> anyhow::Result<()> {
    let client = Client::builder().timeout(LIMIT).build()?;
    nium(config, report).await;
    outside(config, &client, report).await;
    let (client, admin) = beside(&config.admin)?;
    let client = client.timeout(LIMIT).build()?;
    match client.get(format!("{admin}/readyz?verbose")).send().await {
        Ok(answer) => {
            let seen: Value = answer.json().await.unwrap_or_default();
            service(&seen, report);
            proxies(&seen, report);
            callbacks(&seen["callbacks"], config, report);
        }
        Err(_) => report.bad(
            &format!("no service answers at {admin}"),
            "start `reinstate serve` with this configuration, and look at its log",
        ),
    }
    Ok(())
}

async fn nium(config: &Config, report: &mut Report) {
    match app::knock_at_nium(config).await {
        Ok(Some(total)) => Report::good(&format!("Nium answers, with {total} customers on its list")),
        Ok(None) => Report::good("Nium answers"),
        Err(why) => report.bad(
            &format!("Nium does not answer our question: {why}"),
            "nium.base_url, nium.client_hash_id and nium.api_key; the way out of this network; Nium's status page",
        ),
    }
}

/// The way that a callback takes, as far as it can be walked from here.
async fn outside(config: &Config, client: &Client, report: &mut Report) {
    let Some(url) = &config.public.url else {
        Report::worth_knowing("public.url is not set, so the way from outside is not tried");
        return;
    };
    match client.get(format!("{url}/livez")).send().await {
        Ok(answer) if answer.status().is_success() => Report::good(&format!("{url} answers")),
        Ok(answer) => report.bad(
            &format!("{url}/livez answers {}", answer.status().as_u16()),
            "the proxy in front: it must hand every path on to public.listen",
        ),
        Err(_) => report.bad(
            &format!("{url} cannot be reached from here"),
            "DNS, firewall, certificate, and the proxy in front of public.listen",
        ),
    }
}

fn service(seen: &Value, report: &mut Report) {
    let status = seen["status"].as_str().unwrap_or("unknown");
    match status {
        "ready" => Report::good("the service is ready"),
        "stopping" => Report::worth_knowing("the service is stopping"),
        _ => report.bad(
            &format!(
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
            "X-Forwarded-For came from an address that is not in callback.trusted_proxies",
            "if a proxy of yours stands in front, name it there: callback.allow_from judges the proxy now; if none does, \
             somebody made the header up, which did them no good",
        );
    }
}

fn callbacks(seen: &Value, config: &Config, report: &mut Report) {
    let number = |name: &str| seen[name].as_u64().unwrap_or_default();
    let last = seen["lastCallbackAt"].as_str().map_or_else(|| "never".to_owned(), str::to_owned);
    Report::worth_knowing(&format!("last callback: {last}"));
    if !seen["alarmSince"].is_null() || number("missingDay") > 0 {
        let secret = if config.callback.secret_path.is_some() { "/SECRET" } else { "" };
        report.bad(
            &format!(
                "{} changes of the last day were found by asking, and no callback told of them",
                number("missingDay")
            ),
            &format!(
                "ask Nium for complianceStatusCallbackUrl of this client: it should be \
                 https://YOUR-HOST{secret}/callback/compliance?customerHashId=%s; then callback.allow_from, the \
                 firewall, the certificate, and reinstate_intake_refused_total"
            ),
        );
    } else {
        Report::good("no callback is known to be missing");
    }
    if number("waiting") > 0 {
        Report::worth_knowing(&format!("{} callbacks are expected and may still come", number("waiting")));
    }
}
