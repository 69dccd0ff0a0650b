//! What is kept only for a while. Rows go a few at a time, along the primary key.

use jiff::Timestamp;
use rusqlite::params;

use super::column::ms;
use crate::store::error::StoreError;
use crate::store::tx::Tx;

/// Law: among the `most` callbacks after `after`, those that were last delivered before `before` go. Gives where to go on;
/// `None` once callbacks are met that came first after that moment, since ids grow with time.
pub(in crate::store) fn drop_callbacks(
    tx: &Tx<'_>,
    before: Timestamp,
    after: i64,
    most: usize,
) -> Result<Option<i64>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let window = "SELECT id, first_at FROM callback WHERE id > ?1 ORDER BY id LIMIT ?2";
    let rows = tx.query(window, params![after, limit])?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let (end, first_at): (i64, i64) = (last.get(0)?, last.get(1)?);
    tx.execute(
        "DELETE FROM callback WHERE id > ?1 AND id <= ?2 AND last_at < ?3",
        params![after, end, ms(before)],
    )?;
    if let Some(drop_log) = tx.dialect().drop_log {
        tx.execute(drop_log, params![after, end, ms(before)])?;
    }
    Ok((first_at < ms(before)).then_some(end))
}
