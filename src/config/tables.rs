//! Values that are lists of tables: each table is read whole, and every fault of it is told with its number and name.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::layers::Raw;
use super::problem::shown;
use super::reader::{Reader, Told};

/// One table as it was written.
pub(super) type Table = BTreeMap<String, Raw>;

/// Reads every table of `key`. `noun` is what one is called; `read` collects the faults of one, and gives `None` if there are
/// any; `name` of what was read must be nobody else's, and none of `taken`.
pub(super) fn each<T>(
    reader: &mut Reader,
    key: &'static str,
    noun: &str,
    taken: &[&str],
    read: impl Fn(&Table, &mut Vec<String>) -> Option<T>,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Told> {
    let tables = reader.tables(key)?;
    let count = tables.len();
    let mut good: Vec<T> = Vec::with_capacity(count);
    for (number, table) in (1..).zip(&tables) {
        let mut faults = Vec::new();
        let one = read(table, &mut faults);
        let is_taken =
            |one: &T| taken.contains(&name(one)) || good.iter().any(|earlier| name(earlier) == name(one));
        if one.as_ref().is_some_and(is_taken) {
            faults.push(format!("has the name of an earlier {noun}"));
        }
        if faults.is_empty() {
            good.extend(one);
            continue;
        }
        let called = match table.get("name") {
            Some(Raw::Text(name)) => format!("{noun} {number} ({})", shown(name)),
            _ => format!("{noun} {number}"),
        };
        for fault in &faults {
            reader.tell(key, format!("{called} {fault}"));
        }
    }
    if good.len() == count { Ok(good) } else { Err(Told) }
}

/// Tells of keys that such a table does not have.
pub(super) fn only(table: &Table, known: &[&str], noun: &str, faults: &mut Vec<String>) {
    let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
    let known = known.join(", ");
    faults.extend(unknown.map(|key| format!("has the unknown key {}; {noun} has {known}", shown(key))));
}

/// The value, or its fault among the others.
pub(super) fn keep<T>(faults: &mut Vec<String>, read: Result<T, String>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

/// A text that has to be there.
pub(super) fn text<'a>(table: &'a Table, key: &str) -> Result<&'a str, String> {
    maybe_text(table, key)?.ok_or_else(|| format!("has no {key}"))
}

/// A text that may be left out.
pub(super) fn maybe_text<'a>(table: &'a Table, key: &str) -> Result<Option<&'a str>, String> {
    match table.get(key) {
        Some(Raw::Text(text)) => Ok(Some(text)),
        Some(other) => Err(format!("has as {key} {} instead of text", other.describe())),
        None => Ok(None),
    }
}

/// A list of texts; an absent one is empty.
pub(super) fn texts<'a>(table: &'a Table, key: &str) -> Result<Vec<&'a str>, String> {
    let items = match table.get(key) {
        Some(Raw::List(items)) => items.as_slice(),
        Some(other) => return Err(format!("has as {key} {} instead of a list", other.describe())),
        None => &[],
    };
    items
        .iter()
        .map(|item| match item {
            Raw::Text(text) => Ok(text.as_str()),
            other => Err(format!("has in {key} {} instead of text", other.describe())),
        })
        .collect()
}

/// True or false; false if it is left out.
pub(super) fn flag(table: &Table, key: &str) -> Result<bool, String> {
    match table.get(key) {
        Some(Raw::Flag(flag)) => Ok(*flag),
        Some(other) => Err(format!("has as {key} {} instead of true or false", other.describe())),
        None => Ok(false),
    }
}

/// A whole number within `range`; `otherwise` if it is left out.
pub(super) fn whole(
    table: &Table,
    key: &str,
    range: &RangeInclusive<u64>,
    otherwise: u64,
) -> Result<u64, String> {
    let number = match table.get(key) {
        Some(Raw::Whole(number)) => u64::try_from(*number).ok().filter(|number| range.contains(number)),
        Some(other) => return Err(format!("has as {key} {} instead of a whole number", other.describe())),
        None => Some(otherwise),
    };
    number.ok_or_else(|| format!("has a {key} that must be between {} and {}", range.start(), range.end()))
}

/// A name of small letters, digits and hyphens.
pub(super) fn name(text: &str, chars_max: usize) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > chars_max || !text.bytes().all(allowed) {
        return Err(format!("must have a name of 1 to {chars_max} small letters, digits and hyphens"));
    }
    Ok(text.to_owned())
}
