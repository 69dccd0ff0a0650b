//! What can be read and meant, and must not be served: each with the sentence that says why, and the way out.

use std::net::IpAddr;

use super::problem::Problem;
use super::{Config, address};

/// What the pretend Nium takes, as everybody knows.
const SANDBOX_KEY: &str = "sandbox-key";

/// Everything that keeps this configuration from being served.
pub(super) fn of(config: &Config) -> Vec<Problem> {
    let dangers = [open_to_strangers(config), readable_abroad(config), judged_by_its_proxy(config)];
    let keys = [zero_key(config), pretended_key(config)];
    dangers.into_iter().chain(keys).flatten().collect()
}

fn open_to_strangers(config: &Config) -> Option<Problem> {
    let admin = &config.admin;
    let nobody_asks = admin.bootstrap_token.is_none() && admin.sign_on.is_none() && admin.tls.is_none();
    (!admin.listen.ip().is_loopback() && nobody_asks && !admin.exposed).then(|| {
        Problem::new(
            "admin.listen",
            "is reached from other machines, and the first token for it would travel where others can read it: nothing \
             here says who may come",
        )
        .hint(
            "listen on 127.0.0.1, or set admin.bootstrap_token, admin.sign_on_header or admin.tls_cert; admin.exposed = \
             true serves it all the same",
        )
    })
}

fn readable_abroad(config: &Config) -> Option<Problem> {
    let admin = &config.admin;
    (is_public(admin.listen.ip()) && admin.tls.is_none() && !admin.exposed).then(|| {
        Problem::new(
            "admin.listen",
            "is a public address and speaks plain http: tokens and personal data would cross the internet readable",
        )
        .hint("set admin.tls_cert and admin.tls_key, or listen on a private address; admin.exposed = true serves it all the same")
    })
}

/// A listener on this machine alone is reached through something on this machine.
fn judged_by_its_proxy(config: &Config) -> Option<Problem> {
    let callback = &config.callback;
    let is_hidden = config.public.listen.ip().is_loopback() && config.public.proxy_protocol_from.is_empty();
    (is_hidden && !callback.allow_from.is_empty() && callback.trusted_proxies.is_empty()).then(|| {
        Problem::new(
            "callback.allow_from",
            "would judge the proxy and not who calls: public.listen is on this machine alone, so whoever calls comes \
             through a proxy here, and none is named",
        )
        .hint("name it in callback.trusted_proxies (127.0.0.1), or in public.proxy_protocol_from")
    })
}

fn zero_key(config: &Config) -> Option<Problem> {
    config.privacy.has_zero_key().then(|| {
        Problem::new(
            "privacy.master_keys",
            "holds a key of zeros, which is an example: whatever is sealed with it is readable to everybody",
        )
        .hint("make a key with: openssl rand -base64 32")
    })
}

fn pretended_key(config: &Config) -> Option<Problem> {
    let is_real = address::base_url(&config.nium.base_url).is_ok_and(|url| !address::is_loopback(&url));
    (is_real && config.nium.api_key.matches(SANDBOX_KEY)).then(|| {
        Problem::new(
            "nium.api_key",
            "is the key of the pretend Nium, and nium.base_url is not on this machine",
        )
        .hint("set the key that Nium gave you")
    })
}

/// Whether an address is one of the internet's: whoever knows it can reach it unless a firewall says otherwise.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_documentation()
                || is_shared)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            (first & 0xe000) == 0x2000 && (first, second) != (0x2001, 0x0db8)
        }
    }
}
