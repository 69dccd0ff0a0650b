//! `[store]`: where cases are kept.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::problem::shown;
use super::reader::{Reader, Told};
use crate::secret::Secret;

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

/// Mebibytes that the spool takes; one holds about 5,000 callbacks.
const SPOOL_MIB: RangeInclusive<u64> = 1..=1024;
/// Connections of one replica to PostgreSQL.
const CONNECTIONS: RangeInclusive<u64> = 2..=200;
/// The spool's folder beside a database that is not a file.
const SPOOL_DIR: &str = "data/spool";

/// The database, and what stands in for it.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which database, and where.
    pub url: StoreUrl,
    /// Connections to PostgreSQL at most, besides four for intake, fold and hints.
    pub connections: usize,
    /// Whether replicas wake each other.
    pub wake_ups: bool,
    /// The folder of the spool.
    pub spool_dir: PathBuf,
    /// The size of the spool, in bytes.
    pub spool_bytes: u64,
}

impl Store {
    /// A database by itself, for a command; a spool is not used then.
    #[must_use]
    pub fn at(url: StoreUrl, connections: usize) -> Self {
        Self { url, connections, wake_ups: false, spool_dir: PathBuf::new(), spool_bytes: 0 }
    }
}

/// A database that this release can open.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// One file, relative to the working directory; missing folders above it are created.
    Sqlite(PathBuf),
    /// A PostgreSQL database that several replicas share.
    Postgres(PostgresUrl),
}

/// Where a PostgreSQL database is.
#[derive(Clone, Debug)]
pub struct PostgresUrl {
    /// The address without what it says about TLS.
    pub url: Secret,
    /// The same database without the pooler before it, for LISTEN.
    pub listen: Option<Box<Self>>,
    /// How the connection is protected.
    pub tls: PostgresTls,
    /// Whether the way there is unprotected and leaves this machine.
    pub is_plain_abroad: bool,
    /// Hosts and database, for people: no user, no password.
    pub shown: String,
}

/// How a connection to PostgreSQL is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresTls {
    /// Not at all.
    Off,
    /// Encrypted; certificate and name are verified by this file, or by what the system trusts.
    Verified(Option<PathBuf>),
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(address) => f.write_str(&address.shown),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<Store, Told> {
    const LISTEN_URL: &str = "store.listen_url";
    let url = reader.value("store.url", parse);
    let listen = reader.optional(LISTEN_URL, parse_postgres);
    let connections = reader.whole::<usize>("store.connections", &CONNECTIONS);
    let wake_ups = reader.flag("store.wake_ups");
    let spool_dir = reader.optional("store.spool_dir", folder);
    let spool_mib = reader.whole::<u64>("store.spool_mib", &SPOOL_MIB);
    let (mut url, listen) = (url?, listen?);
    match (&mut url, listen) {
        (_, None) => {}
        (StoreUrl::Sqlite(_), Some(_)) => {
            return Err(reader.tell(LISTEN_URL, "is for PostgreSQL, but store.url names an SQLite file"));
        }
        // Each has its own TLS: the pooler may be on this machine, and the database not.
        (StoreUrl::Postgres(address), Some(listen)) => {
            address.is_plain_abroad |= listen.is_plain_abroad;
            address.listen = Some(Box::new(listen));
        }
    }
    let beside = || match &url {
        StoreUrl::Sqlite(path) => PathBuf::from(format!("{}.spool", path.display())),
        StoreUrl::Postgres(_) => PathBuf::from(SPOOL_DIR),
    };
    let spool_dir = spool_dir?.unwrap_or_else(beside);
    let (connections, wake_ups) = (connections?, wake_ups?);
    Ok(Store { url, connections, wake_ups, spool_dir, spool_bytes: spool_mib? * MIB })
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_file() { Err(format!("names a file, not a folder: {}", shown(text))) } else { Ok(path) }
}

/// Reads a value of `store.url`. The error never shows what may be a password.
pub fn parse(text: &str) -> Result<StoreUrl, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return parse_postgres(text).map(StoreUrl::Postgres);
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return Err(
            "must be sqlite: and a file name, such as sqlite:data/reinstate.db, or an address such as \
             postgres://user:password@db.example.com/reinstate"
                .to_owned(),
        );
    };
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(
            "must not have two slashes: write sqlite:data/file.db or sqlite:/var/lib/file.db".to_owned()
        );
    }
    if path.contains(":memory:") {
        return Err("must be a file: what is only in memory is lost with the process".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("must be a file name without options".to_owned());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("must name a file, such as sqlite:data/reinstate.db".to_owned());
    }
    // Three slashes are how other programs write an absolute path.
    Ok(StoreUrl::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path))))
}

/// Takes an address apart as far as TLS is concerned; the rest is for the client to read.
fn parse_postgres(text: &str) -> Result<PostgresUrl, String> {
    const USUAL: &str = "postgres://user:password@db.example.com:5432/reinstate";
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| format!("must be an address of PostgreSQL, such as {USUAL}"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let (mut sslmode, mut root, mut kept) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            // The client decodes names too, and what we did not recognise would still be done.
            Some((name, _)) if name.contains(['%', '+']) => {
                return Err("has an option whose name is written with % or +: write it out".to_owned());
            }
            Some(("sslmode", mode)) => sslmode = Some(mode),
            Some(("sslrootcert", "system")) => {}
            Some(("sslrootcert", file)) => root = Some(certificates(file)?),
            _ => kept.push(pair),
        }
    }
    let is_local = hosts.split(',').all(is_local) && !kept.iter().any(|pair| pair.starts_with("host"));
    let tls = match (sslmode, is_local) {
        // Whoever names an authority wants it asked.
        (None | Some("prefer" | "allow"), true) if root.is_some() => PostgresTls::Verified(root),
        (None | Some("prefer" | "allow"), true) | (Some("disable"), _) => PostgresTls::Off,
        (None | Some("require" | "verify-ca" | "verify-full"), _) => PostgresTls::Verified(root),
        (Some("prefer" | "allow"), false) => {
            return Err(
                "has an sslmode that gives in to whoever stands in between: write sslmode=verify-full, \
                 or sslmode=disable if the way to the database is trusted"
                    .to_owned(),
            );
        }
        (Some(_), _) => {
            return Err(
                "has an unknown sslmode: write verify-full, or disable if the way to the database is trusted"
                    .to_owned(),
            );
        }
    };
    let options = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let url = format!("postgres://{place}{options}");
    if url.parse::<tokio_postgres::Config>().is_err() {
        return Err(format!(
            "is not an address of PostgreSQL, or has an option that is not known; such as {USUAL}"
        ));
    }
    let is_plain_abroad = tls == PostgresTls::Off && !is_local;
    let shown = format!("postgres://{hosts}/{database}");
    Ok(PostgresUrl { url: url.into(), listen: None, tls, is_plain_abroad, shown })
}

fn certificates(file: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(file.replace("%2F", "/").replace("%2f", "/"));
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("has an sslrootcert that is no file: {}", shown(file)))
    }
}

/// Whether a host is this machine: its name, an address that loops back, or a socket's folder.
fn is_local(host: &str) -> bool {
    let is_socket =
        host.is_empty() || host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f");
    let name = match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or(inside),
        None => host.split(':').next().unwrap_or(host),
    };
    is_socket || name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_address_is_a_file_name() {
        let good = [
            ("sqlite:data/reinstate.db", "data/reinstate.db"),
            ("sqlite:/var/lib/r.db", "/var/lib/r.db"),
            ("sqlite:///var/lib/r.db", "/var/lib/r.db"),
        ];
        for (text, path) in good {
            assert!(
                matches!(parse(text), Ok(StoreUrl::Sqlite(file)) if file.as_path() == std::path::Path::new(path)),
                "{text}"
            );
        }
        let refused = [
            ("mysql://db", "must be sqlite:"),
            ("sqlite://data.db", "two slashes"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:data.db?mode=ro", "without options"),
            ("sqlite:", "name a file"),
            ("sqlite:data/", "name a file"),
        ];
        for (text, why) in refused {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn tls_is_at_least_as_strict_as_asked_and_never_gives_in_on_the_way_abroad() {
        let verified = PostgresTls::Verified(None);
        let named = PostgresTls::Verified(Some(PathBuf::from("Cargo.toml")));
        let good = [
            ("postgres://ann:s3cret@db.example.com/kyc", &verified, false),
            ("postgresql://ann@db:6432/kyc?sslmode=require", &verified, false),
            ("postgres://ann@db/kyc?sslmode=verify-ca&application_name=kyc", &verified, false),
            ("postgres://ann@db/kyc?sslmode=verify-full&sslrootcert=system", &verified, false),
            ("postgres://ann@db1,db2:5433/kyc", &verified, false),
            ("postgres://ann@localhost/kyc", &PostgresTls::Off, false),
            ("postgres://ann@127.0.0.1:5433/kyc?sslmode=prefer", &PostgresTls::Off, false),
            ("postgres://ann@[::1]:5433/kyc", &PostgresTls::Off, false),
            ("postgres://ann@%2Frun%2Fpostgresql/kyc", &PostgresTls::Off, false),
            ("postgres://ann@localhost/kyc?sslmode=require", &verified, false),
            ("postgres://ann@db/kyc?sslmode=disable", &PostgresTls::Off, true),
            ("postgres://ann@localhost,db/kyc", &verified, false),
            ("postgres:///kyc?host=db&user=ann", &verified, false),
            ("postgres://ann@localhost/kyc?sslrootcert=Cargo.toml", &named, false),
            ("postgres://ann@localhost/kyc?sslmode=prefer&sslrootcert=Cargo.toml", &named, false),
        ];
        for (text, tls, plain_abroad) in good {
            let read = parse_postgres(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((&read.tls, read.is_plain_abroad), (tls, plain_abroad), "{text}");
            assert!(!read.url.expose().contains("ssl") && !read.shown.contains("s3cret"), "{}", read.shown);
        }
        let refused = [
            ("postgres://ann:s3cret@db/kyc?sslmode=prefer", "gives in to whoever"),
            ("postgres://ann:s3cret@db/kyc?sslmode=allow", "gives in to whoever"),
            ("postgres://ann:s3cret@db/kyc?sslmode=s3cret", "unknown sslmode"),
            ("postgres://ann:s3cret@db/kyc?sslrootcert=/nowhere.pem", "no file"),
            ("postgres://ann:s3cret@db:port/kyc", "not an address"),
            ("postgres://ann:s3cret@db/kyc?colour=blue", "option that is not known"),
            ("postgres://ann:s3cret@localhost/kyc?%68ost=db.example.com", "written with %"),
            ("postgres://ann:s3cret@localhost/kyc?ssl%6dode=disable", "written with %"),
        ];
        for (text, why) in refused {
            let told = parse_postgres(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("s3cret"), "{text}: {told}");
        }
    }
}
