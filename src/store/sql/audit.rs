//! The audit record: rows are written in the transaction of what they record, and take their places in the chain a moment
//! later, one step after the other. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::ToSql;
use serde_json::{Value, json};

use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use crate::domain::audit::{
    BECAME, BEGINNING, Checkpoint, ERASED, Entry, Head, SERVICE, commitment, link_text,
};
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::audit::{
    AuditEnds, AuditFilter, AuditRow, CheckpointRule, Linker, ProvenRow, ReadEntry,
};
use crate::store::tx::{Lock, Row, Tx};

/// Whoever gives out places, or erases what has one, is alone.
pub(super) const CHAIN: Lock<'static> = Lock::Name("audit");

/// Records what `actor` did, in the transaction that does it. Nothing personal belongs into `detail`.
pub(in crate::store) fn note(
    tx: &Tx<'_>,
    actor: &str,
    customer: Option<CustomerHashId>,
    what: &str,
    detail: &Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    let customer = customer.filter(|customer| *customer != CustomerHashId::NOBODY);
    tx.execute(
        "INSERT INTO audit (at, customer, actor, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![ms(now), customer.as_ref().map(CustomerHashId::as_bytes), actor, what, detail.to_string()],
    )?;
    Ok(())
}

/// A row that has no place yet.
struct Unlinked {
    id: i64,
    at: i64,
    customer: Option<Vec<u8>>,
    actor: String,
    what: String,
    detail: Option<String>,
    erased_at: Option<i64>,
}

/// Whether any row waits for its place.
pub(in crate::store) fn waits(tx: &Tx<'_>) -> Result<bool, StoreError> {
    tx.exists("SELECT 1 FROM audit WHERE seq IS NULL LIMIT 1", params![])
}

/// Law: rows get the places after the head, in the order of their ids, and the head moves with them. A row that is
/// committed late gets a later place. Gives how many were linked; fails if the head is not the one that was signed.
pub(in crate::store) fn link(tx: &Tx<'_>, linker: &Linker) -> Result<usize, StoreError> {
    tx.lock(CHAIN)?;
    let (mut seq, mut previous) = match trusted_head(tx, linker)? {
        Some(head) => (head.seq, head.mac),
        None => (0, BEGINNING.to_vec()),
    };
    let rows = tx.all(
        "SELECT id, at, customer, actor, what, detail, erased_at FROM audit WHERE seq IS NULL ORDER BY id LIMIT ?1",
        params![i64::try_from(linker.most).unwrap_or(i64::MAX)],
        |row| {
            Ok(Unlinked {
                id: row.get(0)?,
                at: row.get(1)?,
                customer: row.get(2)?,
                actor: row.get(3)?,
                what: row.get(4)?,
                detail: row.get(5)?,
                erased_at: row.get(6)?,
            })
        },
    )?;
    for row in &rows {
        seq += 1;
        let salt = (linker.salt)();
        let committed = commitment(&salt, row.customer.as_deref(), row.detail.as_deref());
        let text = link_text(seq, &previous, row.at, &row.actor, &row.what, &committed);
        let mac = signed(linker, &text)?;
        tx.execute(
            "UPDATE audit SET seq = ?2, salt = ?3, commitment = ?4, mac = ?5, key_id = ?6 WHERE id = ?1",
            // Who was erased before this has no salt either.
            params![row.id, seq, row.erased_at.is_none().then_some(salt), committed, mac, linker.key_id],
        )?;
        previous = mac;
    }
    if !rows.is_empty() {
        put_head(tx, linker, seq, previous)?;
    }
    Ok(rows.len())
}

fn signed(linker: &Linker, text: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mac = (linker.keys)(&linker.key_id, text);
    mac.map(|mac| mac.to_vec()).ok_or_else(|| corrupt("audit", "new", "there is no key for its MAC"))
}

/// Where the chain ends, believed or not.
pub(super) fn head(tx: &Tx<'_>) -> Result<Option<Head>, StoreError> {
    tx.first("SELECT seq, mac, key_id, signature FROM audit_head WHERE name = 'chain'", params![], |row| {
        Ok(Head { seq: row.get(0)?, mac: row.get(1)?, key_id: row.get(2)?, signature: row.get(3)? })
    })
}

/// The head as the service has signed it. One whose key is not configured any more is taken as it is: the check of the
/// whole chain says so.
fn trusted_head(tx: &Tx<'_>, linker: &Linker) -> Result<Option<Head>, StoreError> {
    let Some(head) = head(tx)? else {
        if tx.exists("SELECT 1 FROM audit WHERE seq IS NOT NULL LIMIT 1", params![])? {
            return Err(corrupt("audit_head", "chain", "it is missing; see `reinstate audit verify`"));
        }
        return Ok(None);
    };
    match (linker.keys)(&head.key_id, &head.text()) {
        Some(signature) if signature.as_slice() != head.signature => {
            Err(corrupt("audit_head", "chain", "its signature does not fit; see `reinstate audit verify`"))
        }
        Some(_) | None => Ok(Some(head)),
    }
}

fn put_head(tx: &Tx<'_>, linker: &Linker, seq: i64, mac: Vec<u8>) -> Result<(), StoreError> {
    let mut head = Head { seq, mac, key_id: linker.key_id.clone(), signature: Vec::new() };
    head.signature = signed(linker, &head.text())?;
    tx.execute(
        "INSERT INTO audit_head (name, seq, mac, key_id, signature) VALUES ('chain', ?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, mac = excluded.mac, key_id = excluded.key_id,
             signature = excluded.signature",
        params![head.seq, head.mac, head.key_id, head.signature],
    )?;
    Ok(())
}

const CHECKPOINT: &str = "SELECT number, seq, at, mac, key_id, signature FROM audit_checkpoint";

fn checkpoint_of(row: &Row) -> Result<Checkpoint, StoreError> {
    Ok(Checkpoint {
        number: row.get(0)?,
        seq: row.get(1)?,
        at: timestamp(row.get(2)?)?,
        mac: row.get(3)?,
        key_id: row.get(4)?,
        signature: row.get(5)?,
    })
}

/// The checkpoint that was made last.
pub(in crate::store) fn newest_checkpoint(tx: &Tx<'_>) -> Result<Option<Checkpoint>, StoreError> {
    tx.first(&format!("{CHECKPOINT} ORDER BY number DESC LIMIT 1"), params![], checkpoint_of)
}

/// Checkpoints after a number, oldest first.
pub(in crate::store) fn checkpoints(
    tx: &Tx<'_>,
    after: i64,
    most: usize,
) -> Result<Vec<Checkpoint>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    tx.all(
        &format!("{CHECKPOINT} WHERE number > ?1 ORDER BY number LIMIT ?2"),
        params![after, limit],
        checkpoint_of,
    )
}

/// Whether a checkpoint is due: there is something new, and the last one is old, or much has happened since.
pub(in crate::store) fn checkpoint_is_due(
    tx: &Tx<'_>,
    rule: CheckpointRule,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let seq = head(tx)?.map_or(0, |head| head.seq);
    let Some(last) = newest_checkpoint(tx)? else { return Ok(seq > 0) };
    let old = now.duration_since(last.at) >= jiff::SignedDuration::try_from(rule.every).unwrap_or_default();
    Ok(seq > last.seq && (old || seq.saturating_sub(last.seq) >= rule.rows))
}

/// Law: a checkpoint is a signed copy of the head; its number is one more than that of the last. `None`: it is not due.
pub(in crate::store) fn checkpoint(
    tx: &Tx<'_>,
    linker: &Linker,
    rule: CheckpointRule,
    now: Timestamp,
) -> Result<Option<Checkpoint>, StoreError> {
    tx.lock(CHAIN)?;
    if !checkpoint_is_due(tx, rule, now)? {
        return Ok(None);
    }
    let Some(head) = trusted_head(tx, linker)? else { return Ok(None) };
    let number = newest_checkpoint(tx)?.map_or(1, |last| last.number.saturating_add(1));
    let mut made = Checkpoint {
        number,
        seq: head.seq,
        // As it is stored: whole milliseconds.
        at: timestamp(ms(now))?,
        mac: head.mac,
        key_id: linker.key_id.clone(),
        signature: Vec::new(),
    };
    made.signature = signed(linker, &made.text())?;
    tx.execute(
        "INSERT INTO audit_checkpoint (number, seq, at, mac, key_id, signature) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![made.number, made.seq, ms(made.at), made.mac, made.key_id, made.signature],
    )?;
    Ok(Some(made))
}

/// Law: whatever says about whom it is goes from this customer's rows, also from those about the applicant they were, and
/// how many they were is recorded with it. The chain stays whole. Gives how many.
pub(in crate::store) fn erase(
    tx: &Tx<'_>,
    actor: &str,
    customer: CustomerHashId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    tx.lock(CHAIN)?;
    let mut rows = 0;
    for id in applicants(tx, customer)?.into_iter().chain([customer]) {
        rows += tx.execute(
            "UPDATE audit SET customer = NULL, detail = NULL, salt = NULL, erased_at = ?2 WHERE customer = ?1",
            params![id.as_bytes(), ms(now)],
        )?;
    }
    note(tx, actor, None, ERASED, &json!({ "rows": rows }), now)?;
    Ok(rows)
}

/// The ids of ours under which a customer went before Nium named them.
pub(super) fn applicants(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Vec<CustomerHashId>, StoreError> {
    let sql = "SELECT detail FROM audit WHERE customer = ?1 AND what = ?2";
    let details: Vec<Option<String>> = tx.all(sql, params![customer.as_bytes(), BECAME], |row| row.get(0))?;
    let applicant = |detail: &String| {
        let detail: Value = serde_json::from_str(detail).ok()?;
        CustomerHashId::parse(detail.get("applicant")?.as_str()?)
    };
    Ok(details.iter().flatten().filter_map(applicant).collect())
}

/// Where the chain stands, with every checkpoint that was made until then.
pub(in crate::store) fn ends(tx: &Tx<'_>) -> Result<AuditEnds, StoreError> {
    // Checkpoints first, and head and last row in one statement: the service may go on meanwhile.
    let checkpoints = tx.all(&format!("{CHECKPOINT} ORDER BY number"), params![], checkpoint_of)?;
    let (last, head) = tx.one(
        "SELECT coalesce(a.last, 0), h.seq, h.mac, h.key_id, h.signature
         FROM (SELECT max(seq) AS last FROM audit) AS a LEFT JOIN audit_head AS h ON h.name = 'chain'",
        params![],
        |row| {
            let head = match row.get::<Option<i64>>(1)? {
                Some(seq) => {
                    Some(Head { seq, mac: row.get(2)?, key_id: row.get(3)?, signature: row.get(4)? })
                }
                None => None,
            };
            Ok((row.get(0)?, head))
        },
    )?;
    Ok(AuditEnds { head, last, unlinked: unlinked(tx)?, checkpoints })
}

/// The particulars of rows after a place that tell of erasures: what they say may show in rows before it already.
pub(in crate::store) fn erasures_after(tx: &Tx<'_>, last: i64) -> Result<Vec<Option<String>>, StoreError> {
    let sql = "SELECT detail FROM audit WHERE what = ?1 AND (seq IS NULL OR seq > ?2)";
    tx.all(sql, params![ERASED, last], |row| row.get(0))
}

/// How many rows wait for their place.
pub(in crate::store) fn unlinked(tx: &Tx<'_>) -> Result<i64, StoreError> {
    tx.one("SELECT count(*) FROM audit WHERE seq IS NULL", params![], |row| row.get(0))
}

const ENTRY: &str =
    "SELECT seq, at, actor, what, customer, detail, salt, erased_at, commitment, mac, key_id, id FROM audit";

fn entry_of(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        seq: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        what: row.get(3)?,
        customer: row.get(4)?,
        detail: row.get(5)?,
        salt: row.get(6)?,
        erased_at: row.get(7)?,
        commitment: row.get(8)?,
        mac: row.get(9)?,
        key_id: row.get(10)?,
    })
}

/// Rows of the chain after a place, up to and with another.
pub(in crate::store) fn chain(
    tx: &Tx<'_>,
    after: i64,
    last: i64,
    most: usize,
) -> Result<Vec<ReadEntry>, StoreError> {
    let sql = format!("{ENTRY} WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
    let rows = tx.query(&sql, params![after, last, i64::try_from(most).unwrap_or(i64::MAX)])?;
    rows.iter()
        .map(|row| {
            let seq: i64 = row.get(0)?;
            Ok((seq, entry_of(row).map_err(|error| error.in_row("audit", &seq))))
        })
        .collect()
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    let detail: Option<String> = row.get(5)?;
    Ok(AuditRow {
        id: row.get(11)?,
        at: timestamp(row.get(1)?)?,
        actor: row.get(2)?,
        what: row.get(3)?,
        customer_hash_id: row.get::<Option<[u8; 16]>>(4)?.map(CustomerHashId::from_bytes),
        // What cannot be read is shown as the text that it is.
        detail: detail.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))),
        seq: row.get(0)?,
        erased_at: maybe_timestamp(row.get(7)?)?,
    })
}

/// Rows of a filter, newest first, before number `before`.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    filter: &AuditFilter,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<AuditRow>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let customer = filter.customer.as_ref().map(CustomerHashId::as_bytes);
    let mut values: Vec<&dyn ToSql> = vec![&before];
    let mut wanted = vec!["id < ?1".to_owned()];
    // The first of these has few rows; the others are kept from choosing an index that has many.
    if let Some(customer) = &customer {
        values.push(customer);
        wanted.push(format!("customer = ?{}", values.len()));
    }
    if let Some(actor) = &filter.actor {
        let narrow = customer.is_none() && actor != SERVICE;
        values.push(actor);
        let column = if narrow { "actor <> 'service' AND actor" } else { "actor || ''" };
        wanted.push(format!("{column} = ?{}", values.len()));
    }
    if let Some(what) = &filter.what {
        let narrow = customer.is_none() && filter.actor.as_ref().is_none_or(|actor| actor == SERVICE);
        values.push(what);
        wanted.push(format!("{} = ?{}", if narrow { "what" } else { "what || ''" }, values.len()));
    }
    let wanted = wanted.join(" AND ");
    let read = |row: &Row| audit_row(row).map_err(|error| error.in_row("audit", &"listed"));
    tx.readable(&format!("{ENTRY} WHERE {wanted} ORDER BY id DESC"), &values, most, read)
}

/// Everything that is recorded about a customer, oldest first, with what proves it.
pub(in crate::store) fn proven(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    most: usize,
) -> Result<Vec<ProvenRow>, StoreError> {
    let sql = format!("{ENTRY} WHERE customer = ?1 ORDER BY id LIMIT ?2");
    let rows = tx.query(&sql, params![customer.as_bytes(), i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    for row in &rows {
        let shown = audit_row(row)?;
        let entry = shown.seq.map(|_| entry_of(row)).transpose()?;
        let previous = match shown.seq {
            Some(1) => Some(BEGINNING.to_vec()),
            Some(seq) => {
                tx.first("SELECT mac FROM audit WHERE seq = ?1", params![seq - 1], |row| row.get(0))?
            }
            None => None,
        };
        found.push(ProvenRow { row: shown, detail: row.get(5)?, entry, previous });
    }
    Ok(found)
}
