//! Signing on by the word of a proxy: an identity-aware proxy in front says in a header who comes. It is believed only
//! where the request comes from an address that the configuration names; from anywhere else the header is nothing.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::domain::role::Role;

/// Longest name or list of groups that is read, in bytes.
const HEADER_BYTES_MAX: usize = 4_096;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Stands for everybody whom the proxy lets through.
const EVERYBODY: &str = "*";

/// Whose word is taken for who comes.
#[derive(Clone, Debug)]
pub struct SignOn {
    /// The header with the name.
    pub header: HeaderName,
    /// The header with the groups, separated by commas.
    pub groups_header: Option<HeaderName>,
    /// Where the proxy is.
    pub from: Vec<IpNet>,
    /// Names and groups of administrators.
    pub admins: Vec<String>,
    /// Names and groups of officers.
    pub officers: Vec<String>,
    /// Names and groups of those who only read.
    pub viewers: Vec<String>,
}

/// Who comes, as the proxy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vouched {
    pub(super) name: String,
    /// `None`: the proxy lets them through, and no list of ours has them.
    pub(super) role: Option<Role>,
}

impl SignOn {
    /// Who comes; `None` where nobody says so whose word is taken.
    pub(super) fn who(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Vouched> {
        let peer = peer.to_canonical();
        if !self.from.iter().any(|range| range.contains(&peer)) {
            return None;
        }
        let name = single(headers, &self.header)?.trim();
        let is_name =
            (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !crate::domain::audit::is_reserved(name);
        if !is_name {
            return None;
        }
        let groups = self.groups_header.as_ref().and_then(|header| single(headers, header)).unwrap_or("");
        let groups: Vec<&str> = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).collect();
        let is_among = |list: &[String]| {
            list.iter().any(|entry| entry == EVERYBODY || entry == name || groups.contains(&entry.as_str()))
        };
        let role = if is_among(&self.admins) {
            Some(Role::Admin)
        } else if is_among(&self.officers) {
            Some(Role::Officer)
        } else {
            is_among(&self.viewers).then_some(Role::Viewer)
        };
        Some(Vouched { name: name.to_owned(), role })
    }
}

/// A header that is there once; a second one may be a stranger's.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && value.len() <= HEADER_BYTES_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn sign_on() -> SignOn {
        SignOn {
            header: HeaderName::from_static("x-auth-request-email"),
            groups_header: Some(HeaderName::from_static("x-auth-request-groups")),
            from: vec!["10.0.0.0/8".parse().unwrap()],
            admins: vec!["root@example.test".to_owned()],
            officers: vec!["compliance".to_owned()],
            viewers: vec![],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn who(peer: &str, pairs: &[(&'static str, &'static str)]) -> Option<(String, Option<Role>)> {
        let found = sign_on().who(peer.parse().unwrap(), &headers(pairs))?;
        Some((found.name, found.role))
    }

    #[test]
    fn the_header_of_a_stranger_is_nothing() {
        let mail = [("x-auth-request-email", "root@example.test")];
        assert_eq!(who("10.1.2.3", &mail), Some(("root@example.test".to_owned(), Some(Role::Admin))));
        assert_eq!(who("::ffff:10.1.2.3", &mail).and_then(|(_, role)| role), Some(Role::Admin));
        assert_eq!(who("192.0.2.1", &mail), None);
        assert_eq!(who("::1", &mail), None);
    }

    #[test]
    fn a_group_gives_a_role_and_no_list_gives_none() {
        let ada = ("x-auth-request-email", "ada@example.test");
        assert_eq!(
            who("10.0.0.1", &[ada, ("x-auth-request-groups", "staff, compliance")]).unwrap().1,
            Some(Role::Officer)
        );
        assert_eq!(who("10.0.0.1", &[ada, ("x-auth-request-groups", "compliance-readers")]).unwrap().1, None);
        assert_eq!(who("10.0.0.1", &[ada]).unwrap().1, None);
    }

    #[test]
    fn two_names_are_none_and_so_is_a_name_of_ours() {
        let mut two = headers(&[("x-auth-request-email", "ada@example.test")]);
        two.append("x-auth-request-email", HeaderValue::from_static("root@example.test"));
        assert_eq!(sign_on().who("10.0.0.1".parse().unwrap(), &two), None);
        assert_eq!(who("10.0.0.1", &[("x-auth-request-email", "service")]), None);
        assert_eq!(who("10.0.0.1", &[("x-auth-request-email", " ")]), None);
    }
}
