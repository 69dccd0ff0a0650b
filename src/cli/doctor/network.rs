//! Names, clocks, and the way from outside.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Url};

use super::report::Report;
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};

/// How long a name may take to resolve.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);
/// How far our clock may be from Nium's before something goes wrong: signatures of webhooks are good for five minutes.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(30);
/// How far it is off before that is worth a word. The header has whole seconds, and the answer took a moment.
const CLOCK_OFF_SEEN: SignedDuration = SignedDuration::from_secs(3);

/// Every name that the service has to resolve.
pub(super) async fn names(config: &Config, report: &mut Report) {
    for (what, host, port) in hosts(config) {
        let found = tokio::time::timeout(RESOLVE_WAIT, tokio::net::lookup_host((host.as_str(), port))).await;
        let count = match found {
            Ok(Ok(found)) => found.count(),
            Ok(Err(_)) | Err(_) => 0,
        };
        if count > 0 {
            report.good("dns", format!("{host} ({what}) has {count} addresses"));
        } else {
            let fix = "the name in that setting, /etc/resolv.conf, and whether this network may ask for it";
            report.bad("dns", format!("{host} ({what}) does not resolve"), fix);
        }
    }
}

fn hosts(config: &Config) -> Vec<(String, String, u16)> {
    let mut urls = vec![("nium.base_url".to_owned(), config.nium.base_url.clone())];
    urls.extend(config.public.url.clone().map(|url| ("public.url".to_owned(), url)));
    let endpoints = config.notify.all().into_iter();
    urls.extend(endpoints.map(|endpoint| (format!("endpoint {}", endpoint.name), endpoint.webhook.url)));
    if let StoreUrl::Postgres(address) = &config.store.url {
        urls.push(("store.url".to_owned(), address.url.expose().to_owned()));
    }
    let mut hosts: Vec<(String, String, u16)> = urls
        .into_iter()
        .filter_map(|(what, url)| {
            let url = Url::parse(&url).ok()?;
            // What is an address already, or a socket's folder, needs no name server.
            let host = url.domain().filter(|host| !host.is_empty() && !host.contains('%'))?.to_owned();
            Some((what, host, url.port_or_known_default().unwrap_or_default()))
        })
        // A database may be at several, of which one answers.
        .flat_map(|(what, hosts, port)| {
            let each = hosts.split(',').map(|host| (what.clone(), host.to_owned(), port));
            each.collect::<Vec<_>>()
        })
        .collect();
    if let Some(email) = &config.notify.email {
        hosts.push(("notify.email.smtp_url".to_owned(), email.host.clone(), email.port));
    }
    hosts
}

/// Our clock beside Nium's.
pub(super) async fn clock(config: &Config, client: &Client, report: &mut Report) {
    let Ok(answer) = client.get(&config.nium.base_url).send().await else {
        // That Nium does not answer is said elsewhere.
        return;
    };
    let Some(theirs) = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(read_date)
    else {
        return report.note("clock", "Nium's answer has no date to hold our clock against");
    };
    let off = Clock::System.now().duration_since(theirs);
    let text = format!("our clock is {} s from Nium's", off.as_secs().unsigned_abs());
    if off.abs() > CLOCK_OFF_MAX {
        report.bad("clock", text, "time synchronisation of this machine (chrony, systemd-timesyncd)");
    } else if off.abs() > CLOCK_OFF_SEEN {
        report.note("clock", text);
    } else {
        report.good("clock", "our clock agrees with Nium's");
    }
}

/// A date as HTTP has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn read_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    jiff::fmt::strtime::parse("%d %b %Y %H:%M:%S GMT %z", format!("{rest} +0000")).ok()?.to_timestamp().ok()
}

/// The way that a callback takes, as far as it can be walked from here.
pub(super) async fn outside(config: &Config, client: &Client, report: &mut Report) {
    let Some(url) = &config.public.url else {
        return report.note("outside", "public.url is not set, so the way from outside is not tried");
    };
    match client.get(format!("{url}/livez")).send().await {
        Ok(answer) if answer.status().is_success() => report.good("outside", format!("{url} answers")),
        Ok(answer) => report.bad(
            "outside",
            format!("{url}/livez answers {}", answer.status().as_u16()),
            "the proxy in front: it must hand every path on to public.listen",
        ),
        Err(error) => {
            let why = if is_about_trust(&error) { "its certificate is not trusted" } else { "no connection" };
            report.bad(
                "outside",
                format!("{url} cannot be reached from here: {why}"),
                "DNS, firewall, certificate (the whole chain, for this name), and the proxy in front of public.listen",
            );
        }
    }
}

/// Whether TLS failed, somewhere down the chain of causes.
fn is_about_trust(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        let inner = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if found.is::<rustls::Error>()
            || inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        {
            return true;
        }
        cause = found.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        let read = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.to_string(), "1994-11-06T08:49:37Z");
        for text in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET", "Sunday, 06-Nov-94 08:49:37 GMT"] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }
}
