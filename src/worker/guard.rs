//! Which addresses a notification may go to. Whoever can set a webhook's address must not reach our own network or the
//! machine's metadata service through us, so names are checked after they are resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names, and drops every address that is not on the public internet.
#[derive(Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(public_only(found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// What a name may be used for. These very addresses are connected to: a name that changes afterwards changes nothing.
fn public_only(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, &'static str> {
    // One private address among public ones is how a rebinding attack looks: nothing of it is used.
    if found.is_empty() || found.iter().any(|address| !is_public(address.ip())) {
        return Err("the name resolves to an address that is not public; see allow_private");
    }
    Ok(found)
}

/// The resolver to use for notifications.
pub(super) fn resolver() -> Arc<PublicOnly> {
    Arc::new(PublicOnly)
}

/// Whether an address is on the public internet: not loopback, private, link-local (metadata services live there),
/// shared, documentation, multicast or reserved, also when written inside an IPv6 address.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, d] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarking = a == 198 && (b == 18 || b == 19);
    let protocol_assignments = a == 192 && b == 0 && c == 0;
    let relays = a == 192 && b == 88 && c == 99;
    // A cloud's own service for its machines, at an address that looks like anybody's.
    let platform = [a, b, c, d] == [168, 63, 129, 16];
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || a == 0
        || a >= 240
        || shared
        || benchmarking
        || protocol_assignments
        || relays
        || platform)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    // Only global unicast (2000::/3) is public, less the documentation ranges, and protocols' own addresses (2001::/23): Teredo
    // leads to an IPv4 address that is hidden in it.
    let [first, second, ..] = v6.segments();
    let global = (first & 0xe000) == 0x2000;
    let documentation = (first == 0x2001 && second == 0x0db8) || first == 0x3fff;
    let protocols = first == 0x2001 && second < 0x0200;
    global && !documentation && !protocols
}

/// The IPv4 address inside a mapped, NAT64 or 6to4 address: it is where the packet ends up. A network's own NAT64 prefix
/// (`64:ff9b:1::/48`) does not say where in it the address stands: nothing of it is public.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = v6.octets();
    let four = |at: usize| {
        octets.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(Ipv4Addr::from)
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => four(12),
        [0x2002, ..] => four(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_loopback_and_metadata_addresses_are_not_public_in_any_spelling() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "192.0.2.1",
            "198.18.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "2001:db8::1",
            "64:ff9b:1:a9fe:a9:fe00:808:808",
            "::8.8.8.8",
            "2001:0:808:808::1",
            "168.63.129.16",
            "192.88.99.1",
            "192.0.0.192",
            "::ffff:100.100.100.200",
            "fec0::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_name_is_used_whole_or_not_at_all() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let public = addresses(&["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(public_only(public.clone()), Ok(public));
        for found in [&["8.8.8.8", "10.0.0.1"][..], &["::1", "8.8.8.8"], &[]] {
            assert!(public_only(addresses(found)).is_err(), "{found:?}");
        }
    }
}
