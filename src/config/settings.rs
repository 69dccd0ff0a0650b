//! Every key as it was written, for a reader: what is secret is only said to be set.

use std::fmt;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use super::keys::{FILE_SUFFIX, KEYS, Kind};
use super::layers::{Raw, Values, secrets_in};

/// A key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in TOML with its section.
    pub key: &'static str,
    /// Its value, or what may be said of it.
    pub value: String,
    /// Where it was written.
    pub place: String,
    /// Tells one value from another, also of a secret.
    pub mark: Mark,
}

/// The digest of a value as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 32]);

impl fmt::Debug for Mark {
    /// Of a short secret even the digest would tell something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

/// The one key whose value is an address of somebody else's.
const WEBHOOK: &str = "notify.webhook.url";

/// Every key with its value.
pub(super) fn shown(values: &Values) -> Vec<Setting> {
    KEYS.iter()
        .map(|key| {
            let written = values.get(key.path);
            let value = written.map_or_else(|| "not set".to_owned(), |written| said(&written.raw, key.kind));
            let value = if key.path == WEBHOOK && written.is_some() { without_path(&value) } else { value };
            let place = written.map(|written| written.place.to_string()).unwrap_or_default();
            Setting { key: key.path, value, place, mark: mark(written.map(|written| &written.raw)) }
        })
        .collect()
}

fn mark(raw: Option<&Raw>) -> Mark {
    let mut all = Context::new(&SHA256);
    if let Some(raw) = raw {
        add(raw, &mut all);
    }
    Mark(all.finish().as_ref().try_into().unwrap_or_default())
}

/// Adds a value, so that no other value adds the same bytes.
fn add(raw: &Raw, all: &mut Context) {
    let mut text = |kind: u8, text: &str| {
        all.update(&[kind]);
        all.update(&text.len().to_be_bytes());
        all.update(text.as_bytes());
    };
    match raw {
        // How it was written is no matter.
        Raw::Text(found) | Raw::Word(found) => text(0, found),
        Raw::Whole(number) => text(0, &number.to_string()),
        Raw::Real(number) => text(0, &number.to_string()),
        Raw::Flag(flag) => text(0, &flag.to_string()),
        Raw::InFile(path) => text(1, &path.display().to_string()),
        Raw::Other(_) | Raw::Told => text(2, raw.describe()),
        Raw::List(list) => {
            text(3, &list.len().to_string());
            for item in list {
                add(item, all);
            }
        }
        Raw::Table(table) => {
            text(4, &table.len().to_string());
            for (key, item) in table {
                all.update(key.as_bytes());
                add(item, all);
                // The file may hold something else now.
                if let (Some(_), Raw::Text(file)) = (key.strip_suffix(FILE_SUFFIX), item) {
                    let found = secrets_in(Path::new(file.as_str())).unwrap_or_default();
                    for secret in found {
                        all.update(secret.as_bytes());
                    }
                }
            }
        }
    }
}

fn said(raw: &Raw, kind: Kind) -> String {
    match (kind, raw) {
        (Kind::Secret | Kind::SecretList, Raw::List(list)) if list.is_empty() => "not set".to_owned(),
        (Kind::Secret | Kind::SecretList, _) => "set, and secret".to_owned(),
        // A table may hold secrets of its own.
        (Kind::Tables, Raw::List(list)) => format!("{} of them", list.len()),
        (Kind::Tables, _) => "set".to_owned(),
        (Kind::One | Kind::List, raw) => text(raw),
    }
}

/// Scheme and host of an address of somebody else's: paths and queries of webhooks hold secrets.
fn without_path(address: &str) -> String {
    let whole = reqwest::Url::parse(address).ok();
    let parts = whole.as_ref().and_then(|url| Some((url.scheme(), url.host_str()?)));
    parts.map_or_else(|| "set".to_owned(), |(scheme, host)| format!("{scheme}://{host}/…"))
}

fn text(raw: &Raw) -> String {
    match raw {
        Raw::Whole(number) => number.to_string(),
        Raw::Real(number) => number.to_string(),
        Raw::Flag(flag) => flag.to_string(),
        Raw::List(list) if list.is_empty() => "none".to_owned(),
        Raw::Text(text) | Raw::Word(text) if text.is_empty() => "empty".to_owned(),
        Raw::Text(text) | Raw::Word(text) => text.to_string(),
        Raw::List(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        Raw::InFile(path) => format!("in {}", path.display()),
        Raw::Table(_) | Raw::Other(_) | Raw::Told => raw.describe().to_owned(),
    }
}
