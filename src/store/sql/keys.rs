//! Which master keys the data keys are wrapped by, and wrapping them anew. Each function is the inside of one transaction.

use rusqlite::params;

use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::privacy::{MasterUse, Rewrapped, WrappedRow};
use crate::store::tx::Tx;

/// What stands before the id of the master key in a wrapped key: version and length.
const HEAD_BYTES: usize = 2;
/// As the index has it: head, id, and the beginning of what is sealed.
const START: &str = "substr(wrapped, 1, 34)";

/// Keys that are shown of each master key: one alone may be damaged.
const EXAMPLES: usize = 3;

/// The beginning that all keys wrapped by one master key share; `None` if it is none.
fn shared_start(start: &[u8]) -> Option<&[u8]> {
    let length = start.get(1).copied().map(usize::from)?;
    start.get(..HEAD_BYTES + length)
}

/// What follows every text that begins so.
fn after_all(start: &[u8]) -> Vec<u8> {
    let mut after = start.to_vec();
    // The id of a key is ASCII: its last byte can always grow.
    if let Some(last) = after.last_mut() {
        *last = last.saturating_add(1);
    }
    after
}

/// The master keys that wrap anything, each with a few of the keys it wraps, and how many if `counted`. The index leads
/// from one to the next: it costs as many looks as there are master keys.
pub(in crate::store) fn masters(tx: &Tx<'_>, counted: bool) -> Result<Vec<MasterUse>, StoreError> {
    let (mut found, mut from) = (Vec::new(), Vec::new());
    let next = format!(
        "SELECT {START}, customer, wrapped FROM data_key WHERE {START} >= ?1 ORDER BY {START} LIMIT {EXAMPLES}"
    );
    loop {
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> =
            tx.all(&next, params![from], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let Some((start, ..)) = rows.first() else { return Ok(found) };
        let Some(shared) = shared_start(start) else {
            tracing::error!("a row of data_key holds no wrapped key");
            from = [start.as_slice(), &[0]].concat();
            continue;
        };
        let after = after_all(shared);
        let keys = if counted {
            let count = format!("SELECT count(*) FROM data_key WHERE {START} >= ?1 AND {START} < ?2");
            tx.one(&count, params![shared, after], |row| row.get::<i64>(0))?
        } else {
            0
        };
        let id = String::from_utf8_lossy(shared.get(HEAD_BYTES..).unwrap_or_default()).into_owned();
        let examples = rows.iter().filter(|(start, ..)| start.starts_with(shared)).filter_map(|row| {
            let customer = CustomerHashId::from_bytes(row.1.as_slice().try_into().ok()?);
            Some(WrappedRow { customer, wrapped: row.2.clone() })
        });
        let keys = u64::try_from(keys).unwrap_or_default();
        found.push(MasterUse { id, keys, examples: examples.collect() });
        from = after;
    }
}

/// Data keys in the order of their customers, after one of them.
pub(in crate::store) fn wrapped(
    tx: &Tx<'_>,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<Vec<WrappedRow>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    tx.all(
        "SELECT customer, wrapped FROM data_key WHERE customer > ?1 ORDER BY customer LIMIT ?2",
        params![after, i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok(WrappedRow { customer: CustomerHashId::from_bytes(row.get(0)?), wrapped: row.get(1)? }),
    )
}

/// Law: a key is wrapped anew only if it is the one that was read: who was erased meanwhile stays so. Gives how many.
pub(in crate::store) fn rewrap(tx: &Tx<'_>, rows: &[Rewrapped]) -> Result<usize, StoreError> {
    let mut changed = 0;
    for Rewrapped { was, wrapped } in rows {
        changed += tx.execute(
            "UPDATE data_key SET wrapped = ?3 WHERE customer = ?1 AND wrapped = ?2",
            params![was.customer.as_bytes(), was.wrapped, wrapped],
        )?;
    }
    Ok(changed)
}

/// The keys of the audit record's MACs, by the ids of their master keys.
pub(in crate::store) fn audit_keys(tx: &Tx<'_>) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    tx.all("SELECT id, wrapped FROM audit_key ORDER BY id", params![], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Keeps them, wrapped anew.
pub(in crate::store) fn put_audit_keys(tx: &Tx<'_>, keys: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    for (id, wrapped) in keys {
        tx.execute(
            "INSERT INTO audit_key (id, wrapped) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET wrapped = excluded.wrapped",
            params![id, wrapped],
        )?;
    }
    Ok(())
}
