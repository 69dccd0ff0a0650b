//! `[store]`: where cases are kept.

use std::path::PathBuf;

use super::reader::{Reader, Told};

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which database, and where.
    pub url: StoreUrl,
}

/// A database that this release can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file, relative to the working directory; missing folders above it are created.
    Sqlite(PathBuf),
}

pub(super) fn read(reader: &mut Reader) -> Result<Store, Told> {
    let url = reader.value("store.url", parse);
    Ok(Store { url: url? })
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
