//! Who may knock. A callback carries no signature (contract section 3), so the operator chooses what stands at the
//! door: an address list, a secret in the path, a header with a fixed value, a signature of a gateway in front. Every
//! rule that is set must be met, and all are checked before anything is stored.
//!
//! The rules that need only the head of a request are asked first, cheapest first ([`Access::check_head`]), so that a
//! stranger's body is not even read; the signature covers the body and comes last ([`Access::check_signature`]).
//! Secrets are compared in constant time, and every accepted value is compared, so that the time says nothing about
//! which of them is close.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use ipnet::{IpNet, Ipv4Net};

use super::error::Problem;
use crate::secret::{Secret, SecretBytes};

/// The header in which proxies name the addresses a request came through.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Length of an HMAC-SHA256, in bytes.
const TAG_BYTES: usize = 32;

/// Leading bits of an IPv6 range that holds nothing but IPv4 addresses (`::ffff:0:0/96`).
const MAPPED_PREFIX_BITS: u8 = 96;

/// The rules as they are configured. It holds secrets and therefore has no `Debug`.
#[derive(Clone, Default)]
pub struct Options {
    /// The first segment of the path, compared byte for byte as it was received; `None` for no such segment.
    pub secret_path: Option<Secret>,
    /// Addresses that may knock; empty for everybody.
    pub allow_from: Vec<IpNet>,
    /// Proxies of ours, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A header and the values it may have; several while one is being replaced.
    pub static_header: Option<(HeaderName, Vec<Secret>)>,
    /// A header with the hex HMAC-SHA256 of request target, newline and body, and the keys it may be made with.
    pub hmac: Option<(HeaderName, Vec<SecretBytes>)>,
    /// Set once a caller that is no proxy of ours has sent `X-Forwarded-For` although there is an address list.
    pub undeclared_proxy: Arc<AtomicBool>,
}

/// The rules, ready to be asked. It holds digests and keys and therefore has no `Debug`.
pub struct Access {
    secret_path: Option<digest::Digest>,
    allow_from: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
    static_header: Option<(HeaderName, Vec<digest::Digest>)>,
    hmac: Option<(HeaderName, Vec<hmac::Key>)>,
    undeclared_proxy: Arc<AtomicBool>,
}

/// The rules of a running service, which can be exchanged.
pub type SharedAccess = Arc<ArcSwap<Access>>;

/// Why a caller was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The address is not in the list.
    AddressNotAllowed,
    /// A trusted proxy forwarded the request for an address that cannot be read.
    ForwardedUnreadable,
    /// The secret segment of the path is missing or wrong.
    SecretPath,
    /// The fixed header is missing or wrong.
    StaticHeader,
    /// The signature is missing or wrong.
    Signature,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Refusal; 5] = [
        Self::AddressNotAllowed,
        Self::ForwardedUnreadable,
        Self::SecretPath,
        Self::StaticHeader,
        Self::Signature,
    ];

    /// The word used as a problem's code and as a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "address_not_allowed",
            Self::ForwardedUnreadable => "forwarded_unreadable",
            Self::SecretPath => "secret_path",
            Self::StaticHeader => "static_header",
            Self::Signature => "signature",
        }
    }

    /// The status of the answer: 401 where proof is missing, 403 where there is nothing to prove.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::StaticHeader | Self::Signature => StatusCode::UNAUTHORIZED,
            Self::AddressNotAllowed | Self::ForwardedUnreadable | Self::SecretPath => StatusCode::FORBIDDEN,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let hint = match refusal {
            Refusal::AddressNotAllowed => {
                "Add the caller's address to callback.allow_from, or the proxy's to callback.trusted_proxies."
            }
            Refusal::ForwardedUnreadable => {
                "The trusted proxy must write addresses, separated by commas, into X-Forwarded-For."
            }
            Refusal::SecretPath => {
                "The URL configured at Nium must begin with the value of callback.secret_path."
            }
            Refusal::StaticHeader => "Send the header of callback.static_header_name with one of its values.",
            Refusal::Signature => {
                "Send the HMAC-SHA256 of target, newline and body in the header of callback.hmac_header."
            }
        };
        Problem::new(refusal.status(), refusal.as_str()).title("The caller is not allowed").hint(hint)
    }
}

impl Access {
    /// Prepares the rules. A rule with an empty list of accepted values lets nobody in.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let nets = |nets: Vec<IpNet>| nets.into_iter().map(canonical_net).collect();
        Self {
            secret_path: options.secret_path.map(|secret| digest_of(secret.expose().as_bytes())),
            allow_from: nets(options.allow_from),
            trusted_proxies: nets(options.trusted_proxies),
            static_header: options.static_header.map(|(name, values)| {
                (name, values.iter().map(|value| digest_of(value.expose().as_bytes())).collect())
            }),
            hmac: options.hmac.map(|(name, secrets)| {
                (
                    name,
                    secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose())).collect(),
                )
            }),
            undeclared_proxy: options.undeclared_proxy,
        }
    }

    /// Whether the paths of the intake begin with a secret segment.
    #[must_use]
    pub fn has_secret_path(&self) -> bool {
        self.secret_path.is_some()
    }

    /// Whether [`Access::check_signature`] needs the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.hmac.is_some()
    }

    /// Asks every rule that the head of a request can answer: address, secret path, fixed header.
    pub fn check_head(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        secret_segment: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check_address(peer, headers)?;
        self.check_secret_path(secret_segment)?;
        self.check_static_header(headers)
    }

    /// Asks whether the signature fits the request target (path and query exactly as received) and the body.
    pub fn check_signature(&self, headers: &HeaderMap, target: &str, body: &[u8]) -> Result<(), Refusal> {
        let Some((name, keys)) = &self.hmac else {
            return Ok(());
        };
        let given = headers.get(name).and_then(|value| tag_from_hex(value.as_bytes()));
        let given = given.ok_or(Refusal::Signature)?;
        let fits = |key: &hmac::Key| {
            let mut signing = hmac::Context::with_key(key);
            signing.update(target.as_bytes());
            signing.update(b"\n");
            signing.update(body);
            verify_slices_are_equal(signing.sign().as_ref(), &given).is_ok()
        };
        any_without_haste(keys, fits).then_some(()).ok_or(Refusal::Signature)
    }

    fn check_address(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.allow_from.is_empty() {
            return Ok(());
        }
        let client = self.client_address(peer, headers)?;
        holds(&self.allow_from, client).then_some(()).ok_or(Refusal::AddressNotAllowed)
    }

    /// The address the request comes from: the peer, unless it is a proxy of ours. Then `X-Forwarded-For` is walked
    /// from its end, where our own proxies write, and the first address that is not ours is the client; whatever
    /// stands before it was written by a stranger and is not looked at.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Refusal> {
        let mut client = peer.to_canonical();
        if !holds(&self.trusted_proxies, client) {
            self.note_undeclared_proxy(headers);
            return Ok(client);
        }
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            let line = line.to_str().map_err(|_| Refusal::ForwardedUnreadable)?;
            for entry in line.rsplit(',') {
                client = forwarded_address(entry).ok_or(Refusal::ForwardedUnreadable)?;
                if !holds(&self.trusted_proxies, client) {
                    return Ok(client);
                }
            }
        }
        Ok(client)
    }

    /// Tells once that a proxy may stand in front which nobody has named: then the list judges the proxy.
    fn note_undeclared_proxy(&self, headers: &HeaderMap) {
        let is_news = !self.undeclared_proxy.load(Ordering::Relaxed) && headers.contains_key(FORWARDED_FOR);
        if is_news && !self.undeclared_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "X-Forwarded-For came from an address that is not in callback.trusted_proxies: if that is a proxy of \
                 yours, callback.allow_from judges the proxy and not who calls; name it in callback.trusted_proxies"
            );
        }
    }

    fn check_secret_path(&self, segment: Option<&str>) -> Result<(), Refusal> {
        let Some(secret) = &self.secret_path else {
            return Ok(());
        };
        let given = digest_of(segment.unwrap_or_default().as_bytes());
        verify_slices_are_equal(secret.as_ref(), given.as_ref()).map_err(|_| Refusal::SecretPath)
    }

    fn check_static_header(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some((name, values)) = &self.static_header else {
            return Ok(());
        };
        let given = headers.get(name).ok_or(Refusal::StaticHeader)?;
        let given = digest_of(given.as_bytes());
        let fits = |value: &digest::Digest| verify_slices_are_equal(value.as_ref(), given.as_ref()).is_ok();
        any_without_haste(values, fits).then_some(()).ok_or(Refusal::StaticHeader)
    }
}

/// Digests are compared in place of the secrets, so that not even a secret's length shows in the time.
fn digest_of(secret: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, secret)
}

/// Like `Iterator::any`, but asks about every item, so that the time does not say which one fits.
fn any_without_haste<T>(items: &[T], fits: impl Fn(&T) -> bool) -> bool {
    items.iter().fold(false, |found, item| found | fits(item))
}

fn holds(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// A range of IPv4-mapped IPv6 addresses becomes the IPv4 range it stands for, because addresses are compared in
/// their canonical form.
fn canonical_net(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_PREFIX_BITS));
    mapped.and_then(|(addr, prefix)| Ipv4Net::new(addr, prefix).ok()).map_or(net, IpNet::V4)
}

/// One entry of `X-Forwarded-For`: an address, perhaps with a port, IPv6 perhaps in brackets.
fn forwarded_address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bracketed = || entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = entry
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(|| bracketed().and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok()).map(IpAddr::V6));
    address.map(|address| address.to_canonical())
}

/// The bytes of a MAC written as hex, upper or lower case.
fn tag_from_hex(text: &[u8]) -> Option<[u8; TAG_BYTES]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != TAG_BYTES || !rest.is_empty() {
        return None;
    }
    let mut tag = [0; TAG_BYTES];
    for (byte, [high, low]) in tag.iter_mut().zip(pairs) {
        *byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
    }
    Some(tag)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const STRANGER: &str = "203.0.113.9";

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        headers(&lines.iter().map(|line| ("x-forwarded-for", *line)).collect::<Vec<_>>())
    }

    fn by_address() -> Access {
        Access::new(Options {
            allow_from: nets(&["198.51.100.0/24", "2001:db8::/32"]),
            trusted_proxies: nets(&["10.0.0.0/8", "::ffff:192.0.2.0/120"]),
            ..Options::default()
        })
    }

    fn check_address(peer: &str, lines: &[&str]) -> Result<(), Refusal> {
        by_address().check_head(peer.parse().unwrap(), &forwarded(lines), None)
    }

    #[test]
    fn no_rule_lets_everybody_in() {
        let access = Access::new(Options::default());
        let nothing = HeaderMap::new();
        assert_eq!(access.check_head(STRANGER.parse().unwrap(), &nothing, None), Ok(()));
        assert_eq!(access.check_signature(&nothing, "/webhook", b"{}"), Ok(()));
    }

    #[test]
    fn a_peer_is_judged_by_its_own_address() {
        for peer in ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1"] {
            assert_eq!(check_address(peer, &[]), Ok(()), "{peer}");
        }
        for peer in [STRANGER, "10.0.0.1", "2001:db9::1"] {
            assert_eq!(check_address(peer, &[]), Err(Refusal::AddressNotAllowed), "{peer}");
        }
        // What a stranger writes about itself is not read, not even to find it unreadable.
        for line in ["198.51.100.7", "nonsense", ""] {
            assert_eq!(check_address(STRANGER, &[line]), Err(Refusal::AddressNotAllowed), "{line}");
        }
        assert_eq!(check_address("198.51.100.7", &["nonsense"]), Ok(()));
    }

    #[test]
    fn behind_trusted_proxies_the_first_untrusted_address_counts() {
        for lines in [
            &["198.51.100.7"][..],
            &["198.51.100.7:4711"],
            &["[2001:db8::7]:4711"],
            &["[2001:db8::7]"],
            &["::ffff:198.51.100.7"],
            &[" 198.51.100.7 , 10.1.2.3,192.0.2.9"],
            &["198.51.100.7", "10.1.2.3", "::ffff:10.1.2.4"],
            &["nonsense, 203.0.113.9, 198.51.100.7, 10.1.2.3"],
        ] {
            assert_eq!(check_address("10.0.0.1", lines), Ok(()), "{lines:?}");
            assert_eq!(check_address("::ffff:10.0.0.1", lines), Ok(()), "{lines:?}");
        }
        for lines in [
            &["203.0.113.9"][..],
            &["198.51.100.7, 203.0.113.9"],
            &["198.51.100.7", "203.0.113.9"],
            &["198.51.100.7, 203.0.113.9, 10.1.2.3"],
            &["10.1.2.3"],
        ] {
            assert_eq!(check_address("10.0.0.1", lines), Err(Refusal::AddressNotAllowed), "{lines:?}");
        }
    }

    #[test]
    fn an_unreadable_entry_before_the_client_refuses() {
        for lines in [
            &["unknown"][..],
            &[""],
            &["198.51.100.7,"],
            &["198.51.100.7, _hidden, 10.1.2.3"],
            &["198.51.100.7", "10.1.2.3:port"],
            &["[198.51.100.7]"],
        ] {
            assert_eq!(check_address("10.0.0.1", lines), Err(Refusal::ForwardedUnreadable), "{lines:?}");
        }
    }

    #[test]
    fn the_secret_path_and_the_header_must_fit() {
        let access = Access::new(Options {
            secret_path: Some("s3cret".into()),
            static_header: Some((HeaderName::from_static("x-partner-key"), vec!["old".into(), "new".into()])),
            ..Options::default()
        });
        let check = |segment, value: &str| {
            access.check_head(STRANGER.parse().unwrap(), &headers(&[("x-partner-key", value)]), segment)
        };
        assert_eq!(check(Some("s3cret"), "old"), Ok(()));
        assert_eq!(check(Some("s3cret"), "new"), Ok(()));
        for wrong in ["", "ol", "olds", "OLD"] {
            assert_eq!(check(Some("s3cret"), wrong), Err(Refusal::StaticHeader), "{wrong}");
        }
        for wrong in [None, Some(""), Some("s3cre"), Some("s3cret2"), Some("S3CRET")] {
            assert_eq!(check(wrong, "old"), Err(Refusal::SecretPath), "{wrong:?}");
        }
        let without = access.check_head(STRANGER.parse().unwrap(), &HeaderMap::new(), Some("s3cret"));
        assert_eq!(without, Err(Refusal::StaticHeader));
    }

    #[test]
    fn the_signature_covers_target_and_body() {
        let access = Access::new(Options {
            hmac: Some((
                HeaderName::from_static("x-signature"),
                vec![b"old".to_vec().into(), b"new".to_vec().into()],
            )),
            ..Options::default()
        });
        let check = |signature: &str, target, body: &[u8]| {
            access.check_signature(&headers(&[("x-signature", signature)]), target, body)
        };
        // printf '/webhook?a=1\n{}' | openssl dgst -sha256 -hmac old (and new)
        let old = "f466463b8e96a2090208785826ce235d79dba8ba8337abcc7583412168d1e2c3";
        let new = "a0034e28dd2a656c12c123b89b6c37cbb35921ebdc92c3386ef47c03be3f2336";
        assert_eq!(check(old, "/webhook?a=1", b"{}"), Ok(()));
        assert_eq!(check(new, "/webhook?a=1", b"{}"), Ok(()));
        assert_eq!(check(&new.to_uppercase(), "/webhook?a=1", b"{}"), Ok(()));
        assert_eq!(check(old, "/webhook?a=2", b"{}"), Err(Refusal::Signature));
        assert_eq!(check(old, "/webhook?a=1", b"{ }"), Err(Refusal::Signature));
        for wrong in ["", "00", &old[..63], &format!("{old}0"), &format!("+{}", &old[1..])] {
            assert_eq!(check(wrong, "/webhook?a=1", b"{}"), Err(Refusal::Signature), "{wrong}");
        }
        let without = access.check_signature(&HeaderMap::new(), "/webhook?a=1", b"{}");
        assert_eq!(without, Err(Refusal::Signature));
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_judged_by_its_address_whatever_it_writes(
            peer in prop_oneof![any::<IpAddr>(), (any::<u8>(), 90_u8..110).prop_map(|(d, c)| IpAddr::from([198, 51, c, d]))],
            lines in prop::collection::vec("[ -~]{0,60}|198\\.51\\.100\\.7(, 10\\.0\\.0\\.1)*", 0..4),
        ) {
            let access = by_address();
            prop_assume!(!holds(&access.trusted_proxies, peer.to_canonical()));
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let answer = access.check_head(peer, &forwarded(&lines), None);
            prop_assert_eq!(answer.is_ok(), holds(&access.allow_from, peer.to_canonical()));
        }

        #[test]
        fn no_header_makes_a_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(FORWARDED_FOR, value)]);
                let _ = by_address().check_head("10.0.0.1".parse().unwrap(), &headers, None);
            }
            let _ = tag_from_hex(&bytes);
        }
    }
}
