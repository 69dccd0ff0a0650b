//! Web addresses and network ranges. No message here shows an address, since a path or a user part may hold a secret.

use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Url;

/// An address that other addresses are built on: http or https, no user, no query, no fragment.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let url = web_url(text)?;
    if url.query().is_some() {
        return Err("must not have a query".to_owned());
    }
    Ok(url)
}

/// An http or https address without a user part or a fragment.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a web address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// (or http://)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    Ok(url)
}

/// The text of a base address, without a slash at its end, so that a path can be appended.
pub(super) fn without_end_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Whether what is sent to `url` can be read on the way: plain http that leaves this machine.
pub(super) fn is_plain_abroad(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

/// Whether `url` names this machine, by a name that no resolver can point elsewhere.
pub(super) fn is_loopback(url: &Url) -> bool {
    host_ip(url).map_or_else(
        || url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost")),
        |ip| ip.is_loopback(),
    )
}

/// Whether `url` names, by its very text, a place that is not on the public internet. A name that resolves to such a
/// place can only be found out when it is used.
pub(super) fn is_private(url: &Url) -> bool {
    let private = |ip| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    is_loopback(url) || host_ip(url).is_some_and(private)
}

fn host_ip(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(ip.to_canonical())
}

/// A range such as `203.0.113.0/24`, or one address.
pub(super) fn range(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let range = text.parse::<IpNet>().ok().or_else(one);
    range
        .map(|range| range.trunc())
        .ok_or_else(|| "must be an address or a range such as 203.0.113.0/24".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_address_is_bare() {
        assert_eq!(
            without_end_slash(&base_url("https://kyc.example.test/a/").unwrap()),
            "https://kyc.example.test/a"
        );
        let refused = [
            ("kyc.example.test", "is not a web address"),
            ("ftp://kyc.example.test", "https://"),
            ("https://ann:s3cret@kyc.example.test", "user name"),
            ("https://kyc.example.test/?a=b", "query"),
            ("https://kyc.example.test/#a", "fragment"),
            ("https://", "is not a web address"),
        ];
        for (text, why) in refused {
            let told = base_url(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("s3cret"), "{text}: {told}");
        }
    }

    #[test]
    fn loopback_and_private_places_are_known_by_their_text() {
        let url = |text: &str| web_url(text).unwrap();
        for text in [
            "http://localhost:1",
            "http://sim.localhost",
            "http://127.1",
            "http://[::1]:9",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(
                is_loopback(&url(text)) && is_private(&url(text)) && !is_plain_abroad(&url(text)),
                "{text}"
            );
        }
        for text in ["http://10.0.0.1", "http://169.254.169.254", "http://[fd00::1]", "http://0.0.0.0"] {
            assert!(
                !is_loopback(&url(text)) && is_private(&url(text)) && is_plain_abroad(&url(text)),
                "{text}"
            );
        }
        for text in ["http://localhost.example.test", "http://203.0.113.1", "http://[2001:db8::1]"] {
            assert!(!is_private(&url(text)) && is_plain_abroad(&url(text)), "{text}");
        }
        assert!(!is_plain_abroad(&url("https://kyc.example.test")));
    }

    #[test]
    fn a_range_may_be_one_address() {
        assert_eq!(range("203.0.113.9").unwrap().to_string(), "203.0.113.9/32");
        assert_eq!(range("203.0.113.9/24").unwrap().to_string(), "203.0.113.0/24");
        assert_eq!(range("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert!(range("203.0.113.0/33").is_err() && range("kyc.example.test").is_err());
    }
}
