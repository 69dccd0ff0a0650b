//! `[public]` and `[admin]`: where the service listens, and how long it waits for those who knock.

use std::fs::File;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::address::{base_url, range, without_end_slash};
use super::problem::shown;
use super::reader::{Reader, Told, token};
use super::sign_on::{self, SignOn};
use crate::secret::Secret;

/// Seconds that intake stays open after a stop signal; container platforms kill after 30 s, few wait longer than 300.
const DRAIN_SECONDS: RangeInclusive<u64> = 0..=300;

/// Milliseconds to wait for a part of a request; less cuts off honest callers, more lets slow ones hold connections.
const WAIT_MS: RangeInclusive<u64> = 100..=60_000;

/// Connections at once; what is more than the system lets a process have open is of no use.
const CONNECTIONS: RangeInclusive<u64> = 10..=200_000;

/// Connections of one peer at once.
const PEER_CONNECTIONS: RangeInclusive<u64> = 1..=200_000;

/// Requests of one peer in a second.
const PEER_REQUESTS: RangeInclusive<u64> = 1..=1_000_000;

/// Characters of the first administrator's token; 16 are beyond guessing over a network.
const TOKEN_CHARS: RangeInclusive<usize> = 16..=512;

/// The listener that Nium and customers reach.
#[derive(Clone, Debug)]
pub struct Public {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address by which the world knows this listener, without a slash at its end; `None` while there is none.
    pub url: Option<String>,
    /// Certificate and key for https; `None` listens on plain http.
    pub tls: Option<Tls>,
    /// Balancers that begin every connection with the PROXY protocol; empty for none.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most connections of one peer at once.
    pub peer_connections_max: usize,
    /// Most requests of one peer in a second, on average.
    pub peer_requests_per_second: u32,
    /// How long intake stays open after a stop signal, so that a load balancer notices first.
    pub drain: Duration,
    /// How long a caller may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a caller may take for the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a caller may take to send a request's body.
    pub body_timeout: Duration,
}

/// A certificate and its key; both files could be opened when the configuration was read.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities that sign certificates of clients; `None` asks clients for none.
    pub client_ca: Option<PathBuf>,
}

/// The listener of officers, operators and the app backend.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address by which browsers know this listener, without a slash at its end.
    pub url: String,
    /// Certificate and key for https; `None` listens on plain http.
    pub tls: Option<Tls>,
    /// What the commands of this program show where clients need a certificate.
    pub command_certificate: Option<(PathBuf, PathBuf)>,
    /// Balancers that begin every connection with the PROXY protocol; empty for none.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Whether it may be open to other machines with nothing that keeps strangers out, or readers on the way.
    pub exposed: bool,
    /// A bearer token with the role `admin` that is valid from the first start.
    pub bootstrap_token: Option<Secret>,
    /// Whose word is taken for who comes; `None` takes nobody's.
    pub sign_on: Option<SignOn>,
}

/// Reads both sections, since the listeners must not be in each other's way.
pub(super) fn read(reader: &mut Reader) -> (Result<Public, Told>, Result<Admin, Told>) {
    let public_listen = listen(reader, "public.listen");
    let admin_listen = listen(reader, "admin.listen");
    if let (Ok(public), Ok(admin)) = (public_listen, admin_listen)
        && collide(public, admin)
    {
        let message = format!("takes the same port as public.listen ({public})");
        reader.tell_with_hint("admin.listen", message, "give it a port of its own; 127.0.0.1:9090 is usual");
    }
    (read_public(reader, public_listen), read_admin(reader, admin_listen))
}

fn read_public(reader: &mut Reader, listen: Result<SocketAddr, Told>) -> Result<Public, Told> {
    let url = reader.optional("public.url", |text| base_url(text).map(|url| without_end_slash(&url)));
    let tls = read_tls(reader, &PUBLIC_TLS);
    let proxy_protocol_from = reader.list("public.proxy_protocol_from", balancer);
    let connections_max = reader.whole("public.connections_max", &CONNECTIONS);
    let peer_connections_max = reader.whole("public.peer_connections_max", &PEER_CONNECTIONS);
    let peer_requests = reader.whole("public.peer_requests_per_second", &PEER_REQUESTS);
    let drain = reader.whole("public.drain_seconds", &DRAIN_SECONDS).map(Duration::from_secs);
    let header_timeout = reader.millis("public.header_timeout_ms", &WAIT_MS);
    let handshake_timeout = reader.millis("public.handshake_timeout_ms", &WAIT_MS);
    let body_timeout = reader.millis("public.body_timeout_ms", &WAIT_MS);
    Ok(Public {
        listen: listen?,
        url: url?,
        tls: tls?,
        proxy_protocol_from: proxy_protocol_from?,
        connections_max: connections_max?,
        peer_connections_max: peer_connections_max?,
        peer_requests_per_second: peer_requests?,
        drain: drain?,
        header_timeout: header_timeout?,
        handshake_timeout: handshake_timeout?,
        body_timeout: body_timeout?,
    })
}

/// The keys of a listener's certificate.
struct TlsKeys {
    cert: &'static str,
    key: &'static str,
    client_ca: &'static str,
}

const PUBLIC_TLS: TlsKeys =
    TlsKeys { cert: "public.tls_cert", key: "public.tls_key", client_ca: "public.client_ca" };

const ADMIN_TLS: TlsKeys =
    TlsKeys { cert: "admin.tls_cert", key: "admin.tls_key", client_ca: "admin.client_ca" };

fn read_tls(reader: &mut Reader, keys: &TlsKeys) -> Result<Option<Tls>, Told> {
    let client_ca = reader.optional(keys.client_ca, readable_file);
    let pair = read_pair(reader, keys.cert, keys.key)?;
    match (pair, client_ca?) {
        (Some((cert, key)), client_ca) => Ok(Some(Tls { cert, key, client_ca })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let message = format!("needs {}: without TLS a client cannot show a certificate", keys.cert);
            Err(reader.tell(keys.client_ca, message))
        }
    }
}

/// A certificate and its key: both, or neither.
fn read_pair(
    reader: &mut Reader,
    cert_key: &'static str,
    key_key: &'static str,
) -> Result<Option<(PathBuf, PathBuf)>, Told> {
    let cert = reader.optional(cert_key, readable_file);
    let key = reader.optional(key_key, readable_file);
    match (cert?, key?) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(reader.tell(key_key, format!("is missing: {cert_key} needs its key"))),
        (None, Some(_)) => Err(reader.tell(cert_key, format!("is missing: {key_key} needs its certificate"))),
    }
}

fn read_admin(reader: &mut Reader, listen: Result<SocketAddr, Told>) -> Result<Admin, Told> {
    let url = reader.optional("admin.url", |text| base_url(text).map(|url| without_end_slash(&url)));
    let tls = read_tls(reader, &ADMIN_TLS);
    let command_certificate = read_pair(reader, "admin.command_cert", "admin.command_key");
    let proxy_protocol_from = reader.list("admin.proxy_protocol_from", balancer);
    let exposed = reader.flag("admin.exposed");
    let bootstrap_token =
        reader.optional("admin.bootstrap_token", |text| token(text, &TOKEN_CHARS).map(Secret::from));
    let sign_on = sign_on::read(reader);
    let (listen, tls) = (listen?, tls?);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let admin = Admin {
        listen,
        url: url?.unwrap_or_else(|| format!("{scheme}://{listen}")),
        tls,
        command_certificate: command_certificate?,
        proxy_protocol_from: proxy_protocol_from?,
        exposed: exposed?,
        bootstrap_token: bootstrap_token?,
        sign_on: sign_on?,
    };
    Ok(admin)
}

fn balancer(text: &str) -> Result<IpNet, String> {
    let range = range(text)?;
    if range.prefix_len() == 0 {
        return Err("believes everybody: any caller could name any address as its own".to_owned());
    }
    Ok(range)
}

fn listen(reader: &mut Reader, key: &'static str) -> Result<SocketAddr, Told> {
    reader.value(key, |text| {
        text.parse()
            .map_err(|_| format!("must be an address with a port, such as 0.0.0.0:8080, not {}", shown(text)))
    })
}

/// Whether the second listener could not open its port; port 0 is always a free one.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_place = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_place
}

fn readable_file(text: &str) -> Result<PathBuf, String> {
    let readable = File::open(text).and_then(|file| file.metadata());
    match readable {
        Ok(metadata) if metadata.is_file() => Ok(PathBuf::from(text)),
        Ok(_) => Err(format!("names something that is not a file: {}", shown(text))),
        Err(error) => Err(format!("names a file that cannot be read, {}: {error}", shown(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_collide_on_a_shared_port_only() {
        let collide = |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());
        assert!(collide("127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(collide("0.0.0.0:8080", "127.0.0.1:8080"));
        assert!(!collide("127.0.0.2:8080", "127.0.0.1:8080"));
        assert!(!collide("127.0.0.1:8080", "127.0.0.1:8081"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
    }

    #[test]
    fn a_folder_is_not_a_file() {
        assert!(readable_file("/").unwrap_err().contains("not a file"));
        assert!(readable_file("/nowhere/at/all").unwrap_err().contains("cannot be read"));
    }
}
