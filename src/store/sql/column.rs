//! Columns into values. A value that cannot be believed is an error with the row's name, never a default.

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::decision::{Next, NextWhat};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::{StoreError, UNNAMED};
use crate::store::tx::Row;

/// A moment as it is stored: milliseconds since 1970.
pub(in crate::store) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// [`ms`] back.
pub(in crate::store) fn timestamp(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|_| corrupt(UNNAMED, UNNAMED, &format!("{ms} is not a moment")))
}

/// A moment that may be missing.
pub(in crate::store) fn maybe_timestamp(ms: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    ms.map(timestamp).transpose()
}

/// An effect's key in column `index`.
pub(in crate::store) fn effect_key(row: &Row, index: usize) -> Result<EffectKey, StoreError> {
    let text: String = row.get(index)?;
    EffectKey::parse(&text).ok_or_else(|| corrupt("effect", &text, "its key is malformed"))
}

/// The case in a row of `customer, version, data, since, attempts_used, beside, …`.
pub(in crate::store) fn case_of(row: &Row) -> Result<Case, StoreError> {
    let id = CustomerHashId::from_bytes(row.get(0)?);
    case_columns(row, id).map_err(|error| error.in_row("cases", &id))
}

fn case_columns(row: &Row, id: CustomerHashId) -> Result<Case, StoreError> {
    let (data, beside): (String, String) = (row.get(2)?, row.get(5)?);
    let unreadable = |error: serde_json::Error| corrupt(UNNAMED, UNNAMED, &error.to_string());
    Ok(Case {
        id,
        version: u64::try_from(row.get::<i64>(1)?).unwrap_or(0),
        state: serde_json::from_str(&data).map_err(unreadable)?,
        since: timestamp(row.get(3)?)?,
        attempts_used: row.get(4)?,
        beside: serde_json::from_str(&beside).map_err(unreadable)?,
    })
}

/// What happens next, from the columns after those of [`case_of`].
pub(in crate::store) fn next_of(row: &Row) -> Result<Option<Next>, StoreError> {
    let (what, at): (Option<String>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let (Some(what), Some(at)) = (what, at) else {
        return Ok(None);
    };
    let what =
        NextWhat::parse(&what).ok_or_else(|| corrupt(UNNAMED, UNNAMED, "what happens next is not known"))?;
    Ok(Some(Next { what, at: timestamp(at)? }))
}

/// A row that cannot be believed.
pub(in crate::store) fn corrupt(table: &'static str, row: &str, why: &str) -> StoreError {
    StoreError::Corrupt { table, row: row.to_owned(), why: why.to_owned() }
}
