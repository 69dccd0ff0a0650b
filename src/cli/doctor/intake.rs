//! Who may knock: we knock ourselves, by the way that Nium takes, with nothing to say, and read how we were seen.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::net::IpAddr;

use reqwest::Client;
use serde_json::Value;

use super::report::Report;
use crate::cli::client::reachable;
use crate::config::Config;

/// The code of the answer to a knock that was let in and names no customer.
const LET_IN: &str = "customer_hash_id_missing";

/// Knocks at the callback address. Nothing is stored: the knock names no customer.
pub(super) async fn knock(config: &Config, client: &Client, admin: &str, report: &mut Report) {
    let rules = &config.callback;
    let base = config.public.url.clone().unwrap_or_else(|| {
        let scheme = if config.public.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reachable(config.public.listen))
    });
    let secret = rules.secret_path.as_ref().map(|secret| format!("/{}", secret.expose())).unwrap_or_default();
    let mut request = client.post(format!("{base}{secret}/callback/compliance"));
    if let Some(header) = &rules.static_header
        && let Some(value) = header.values.first()
    {
        request = request.header(header.name.as_str(), value.expose());
    }
    let Ok(answer) = request.send().await else {
        // That nobody answers there is said elsewhere.
        return;
    };
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    let seen = seen(client, admin).await;
    judge(status, code, config, report);
    if let Some(seen) = seen.filter(|seen| seen["why"] == code) {
        as_seen(&seen, config, report);
    }
}

/// How our knock was seen, as the service tells on the admin listener.
async fn seen(client: &Client, admin: &str) -> Option<Value> {
    let answer = client.get(format!("{admin}/readyz?verbose")).send().await.ok()?;
    let body: Value = answer.json().await.ok()?;
    body.get("lastKnockInVain").cloned()
}

fn judge(status: u16, code: &str, config: &Config, report: &mut Report) {
    let rules = &config.callback;
    let locks = [
        (rules.secret_path.is_some(), "a secret path"),
        (!rules.allow_from.is_empty(), "an address list"),
        (rules.static_header.is_some(), "a header with a fixed value"),
        (rules.hmac.is_some(), "a signature"),
    ];
    let set: Vec<&str> = locks.iter().filter(|(set, _)| *set).map(|(_, what)| *what).collect();
    match code {
        LET_IN if set.is_empty() => report.note("knock", "everybody may knock: no rule of [callback] is set"),
        LET_IN => {
            report.good("knock", format!("our knock is let in; what guards the door: {}", set.join(", ")));
        }
        "address_not_allowed" => {
            report.note(
                "knock",
                "this machine may not knock (callback.allow_from); Nium's addresses must be in the list",
            );
        }
        "signature" => {
            report.good("knock", "a knock without a signature is turned away; the gateway in front signs");
        }
        "forwarded_unreadable" => report.bad(
            "knock",
            "a trusted proxy wrote no address into X-Forwarded-For",
            "the proxy: it must append the address of whoever called it",
        ),
        "secret_path" | "static_header" => report.bad(
            "knock",
            format!("a knock with the right secret is turned away ({code})"),
            "the proxy in front: it must hand path and headers on as they are",
        ),
        _ => report.bad(
            "knock",
            format!("the callback address answers {status} and not as this service would"),
            "what stands at public.url: every path must be handed on to public.listen, with its query",
        ),
    }
}

/// What the service saw of us, beside what it believes.
fn as_seen(seen: &Value, config: &Config, report: &mut Report) {
    let rules = &config.callback;
    let Some(peer) = seen["peer"].as_str().and_then(|peer| peer.parse::<IpAddr>().ok()) else { return };
    let peer = peer.to_canonical();
    let is_trusted = rules.trusted_proxies.iter().any(|range| range.contains(&peer));
    match (seen["forwardedFor"].as_str(), is_trusted) {
        (None, false) => {
            report.note("proxy", format!("we came straight, from {peer}; no proxy spoke for us"));
        }
        (None, true) => report.bad(
            "proxy",
            format!("the trusted proxy {peer} says nothing about who called it"),
            "the proxy: it must append the address of whoever called it to X-Forwarded-For",
        ),
        (Some(said), true) => report.good("proxy", format!("the trusted proxy {peer} spoke for {said}")),
        (Some(said), false) if !rules.allow_from.is_empty() => report.bad(
            "proxy",
            format!(
                "{peer} spoke for {said}, and is not believed: the address list is held against the proxy"
            ),
            "callback.trusted_proxies: add the proxy's address, if it is yours",
        ),
        (Some(said), false) => report.note("proxy", format!("{peer} spoke for {said}, and is not believed")),
    }
}
