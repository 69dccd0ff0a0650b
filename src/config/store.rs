//! `[store]`: where cases are kept.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::problem::shown;
use super::reader::{Reader, Told};

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

/// Mebibytes that the spool takes; one holds about 5,000 callbacks.
const SPOOL_MIB: RangeInclusive<u64> = 1..=1024;

/// The database, and what stands in for it.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which database, and where.
    pub url: StoreUrl,
    /// The folder of the spool; beside the database if it is not set.
    pub spool_dir: Option<PathBuf>,
    /// The size of the spool, in bytes.
    pub spool_bytes: u64,
}

/// A database that this release can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file, relative to the working directory; missing folders above it are created.
    Sqlite(PathBuf),
}

pub(super) fn read(reader: &mut Reader) -> Result<Store, Told> {
    let url = reader.value("store.url", parse);
    let spool_dir = reader.optional("store.spool_dir", folder);
    let spool_mib = reader.whole::<u64>("store.spool_mib", &SPOOL_MIB);
    Ok(Store { url: url?, spool_dir: spool_dir?, spool_bytes: spool_mib? * MIB })
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_file() { Err(format!("names a file, not a folder: {}", shown(text))) } else { Ok(path) }
}

fn parse(text: &str) -> Result<StoreUrl, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err(
            "names PostgreSQL, but this release has SQLite only; write sqlite: and a file name".to_owned()
        );
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return Err("must be sqlite: and a file name, such as sqlite:data/reinstate.db".to_owned());
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
            assert_eq!(parse(text), Ok(StoreUrl::Sqlite(PathBuf::from(path))));
        }
        let refused = [
            ("postgres://ann:s3cret@db/kyc", "SQLite only"),
            ("mysql://db", "must be sqlite:"),
            ("sqlite://data.db", "two slashes"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:data.db?mode=ro", "without options"),
            ("sqlite:", "name a file"),
            ("sqlite:data/", "name a file"),
        ];
        for (text, why) in refused {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("s3cret"), "{text}: {told}");
        }
    }
}
