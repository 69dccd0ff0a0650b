//! How a connection to the database is made, and what its errors mean.

use std::error::Error as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::PoolError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Tls;
use crate::store::error::StoreError;

/// How long one address may take to take a connection; then the next one is tried.
const ADDRESS_WAIT: Duration = Duration::from_secs(2);
/// Addresses of one name that are waited for.
const ADDRESSES: u32 = 3;
/// How long the handshake may take after that: TLS, password, and what kind of server it is.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(3);
/// How long what was sent may stay unacknowledged before the connection counts as cut.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// After how much silence the other side is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(15);

type Stream = <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream;

/// Everything that a new connection takes.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    /// How long making a connection may take, whichever of its addresses answers.
    pub(super) wait: Duration,
}

impl Connector {
    pub(super) fn new(url: &str, tls: &Tls) -> Result<Self, StoreError> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
            StoreError::Unavailable("store.url is not an address of a PostgreSQL database".to_owned())
        })?;
        let mode = if *tls == Tls::Off { SslMode::Disable } else { SslMode::Require };
        config
            .ssl_mode(mode)
            .connect_timeout(ADDRESS_WAIT)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .keepalives_idle(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("reinstate");
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // Of several servers the one that takes writes.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let addresses = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) if name.parse::<IpAddr>().is_err() => ADDRESSES,
            _ => 1,
        });
        let wait = ADDRESS_WAIT * addresses.sum::<u32>().max(1) + HANDSHAKE_WAIT;
        Ok(Self { config, tls: MakeRustlsConnect::new(client_config(tls)?), wait })
    }

    /// A new connection; whoever asks drives it.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), StoreError> {
        match tokio::time::timeout(self.wait, self.config.connect(self.tls.clone())).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                Err(StoreError::Unavailable(format!("the database did not answer within {:?}", self.wait)))
            }
        }
    }
}

fn client_config(tls: &Tls) -> Result<ClientConfig, StoreError> {
    let cannot =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("TLS to the database: {error}"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| cannot(&error))?;
    let builder = match tls {
        Tls::Verified(None) => builder.with_platform_verifier().map_err(|error| cannot(&error))?,
        Tls::Verified(Some(file)) => builder.with_root_certificates(roots(file)?),
        Tls::Off => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn roots(file: &Path) -> Result<RootCertStore, StoreError> {
    let cannot = |error: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!("sslrootcert {}: {error}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| cannot(&error))? {
        let certificate = certificate.map_err(|error| cannot(&error))?;
        roots.add(certificate).map_err(|error| cannot(&error))?;
    }
    if roots.is_empty() {
        return Err(cannot(&"it holds no certificate"));
    }
    Ok(roots)
}

/// Why the pool has no connection.
pub(super) fn away(error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => StoreError::Unavailable(told(error)),
        PoolError::Timeout(_) => {
            StoreError::Unavailable("no connection to the database was free in time".to_owned())
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let in_the_way = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
        if error.code().is_some_and(|code| in_the_way.contains(code)) {
            return Self::InTheWay(told(&error));
        }
        Self::Unavailable(told(&error))
    }
}

/// The error in words. What the database says of itself is its code and its message, which name tables and constraints;
/// the detail, which may hold a row, is left out.
fn told(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("the database says: {} ({})", said.message(), said.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
