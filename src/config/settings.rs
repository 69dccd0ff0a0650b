//! Every key as it was written, for a reader: what is secret is only said to be set.

use super::keys::{KEYS, Kind};
use super::layers::{Raw, Values};

/// A key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in TOML with its section.
    pub key: &'static str,
    /// Its value, or what may be said of it.
    pub value: String,
    /// Where it was written.
    pub place: String,
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
            Setting { key: key.path, value, place }
        })
        .collect()
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
