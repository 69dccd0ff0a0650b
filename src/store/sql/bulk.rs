//! An officer's word to many customers. Each function is the inside of one transaction: who fits is chosen once, when it
//! is confirmed, and a step says the word and writes how far it came together.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::json;

use super::ask::{Rank, once};
use super::audit;
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::officer::{Said, put_note, put_word};
use super::work::case;
use crate::domain::audit::SERVICE;
use crate::domain::decision::OfficerWord;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::word::fits_among_many;
use crate::store::error::StoreError;
use crate::store::rows::bulk::{BulkRow, BulkShown, BulkStep, Cancelled, Chosen, LeftOut, NewBulk, NewStep};
use crate::store::rows::officer::NewNote;
use crate::store::rows::{Once, Recorder};
use crate::store::tx::{Lock, Row, Tx};

/// Bytes of one chosen customer: the id, and the version of the case.
const CHOSEN_BYTES: usize = 24;
/// Customers who were left out that are shown with an act.
const LEFT_OUT_SHOWN: usize = 20;
/// A step, and whatever ends an act, has all of them to itself.
const ALL: Lock<'static> = Lock::Name("bulk");

const BULK: &str = "SELECT seq, id, word, filter, asked_by, asked_at, note, total, place, said, ended_at, cancelled_by FROM bulk";

/// Law: an act is stored with everybody it is for, once for its `Idempotency-Key`; whoever fits later is not one of them.
pub(in crate::store) fn begin(
    tx: &Tx<'_>,
    new: &NewBulk,
    recorder: Option<&Recorder>,
    answer: &dyn Fn(&BulkRow) -> serde_json::Value,
    now: Timestamp,
) -> Result<Once<BulkRow>, StoreError> {
    once(tx, recorder, now, || {
        let id = new.id.to_string();
        tx.execute(
            "INSERT INTO bulk (id, word, filter, asked_by, asked_at, note, chosen, total)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id,
                new.word.as_str(),
                new.filter.to_string(),
                new.by,
                ms(now),
                new.note,
                packed(&new.chosen),
                number(new.chosen.len()),
            ],
        )?;
        let detail = json!({
            "bulkId": id, "word": new.word.as_str(), "filter": new.filter, "customers": new.chosen.len(),
        });
        audit::note(tx, &new.by, None, "bulk_asked", &detail, now)?;
        let row = row(tx, &id)?.ok_or_else(|| corrupt("bulk", &id, "it is not there"))?;
        let answer = answer(&row);
        Ok((row, Some(answer)))
    })
}

fn packed(chosen: &[Chosen]) -> Vec<u8> {
    chosen
        .iter()
        .flat_map(|chosen| [&chosen.customer.as_bytes()[..], &chosen.version.to_be_bytes()[..]].concat())
        .collect()
}

fn unpacked(bytes: &[u8]) -> Vec<Chosen> {
    let (whole, _) = bytes.as_chunks::<CHOSEN_BYTES>();
    let one = |bytes: &[u8; CHOSEN_BYTES]| {
        let (id, version) = bytes.split_first_chunk::<16>()?;
        let version = u64::from_be_bytes(version.try_into().ok()?);
        Some(Chosen { customer: CustomerHashId::from_bytes(*id), version })
    };
    whole.iter().filter_map(one).collect()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The next few customers of the act that was asked for first; `None` when none runs.
pub(in crate::store) fn next(tx: &Tx<'_>, most: usize) -> Result<Option<BulkStep>, StoreError> {
    let rows = tx.query(&format!("{BULK} WHERE ended_at IS NULL ORDER BY seq LIMIT 1"), params![])?;
    let Some(bulk) = rows.first().map(row_of).transpose()? else { return Ok(None) };
    let from = number(bulk.place.saturating_mul(CHOSEN_BYTES).saturating_add(1));
    // A part of nothing is NULL.
    let bytes: Option<Vec<u8>> = tx.one(
        "SELECT substr(chosen, CAST(?2 AS INTEGER), CAST(?3 AS INTEGER)) FROM bulk WHERE seq = ?1",
        params![bulk.seq, from, number(most.saturating_mul(CHOSEN_BYTES))],
        |row| row.get(0),
    )?;
    Ok(Some(BulkStep { bulk, chosen: unpacked(&bytes.unwrap_or_default()) }))
}

/// Law: the word is said to each customer of a step once, and how far the act came is written with it. False: the act has
/// moved on, or ended, without this step.
pub(in crate::store) fn step(tx: &Tx<'_>, new: &NewStep, now: Timestamp) -> Result<bool, StoreError> {
    tx.lock(ALL)?;
    let BulkStep { bulk, chosen } = &new.step;
    let there = "SELECT 1 FROM bulk WHERE seq = ?1 AND place = ?2 AND ended_at IS NULL";
    if !tx.exists(there, params![bulk.seq, number(bulk.place)])? {
        return Ok(false);
    }
    let mut said = 0;
    for (nth, chosen) in chosen.iter().enumerate() {
        tx.lock(Lock::Customer(chosen.customer))?;
        let note = new.notes.get(nth).and_then(Option::as_ref);
        let outcome = say(tx, bulk, *chosen, note, new.takes_two, now)?;
        said += usize::from(outcome.is_ok());
        let (effect, why) = match outcome {
            Ok(key) => (Some(key.to_string()), None),
            Err(why) => (None, Some(why)),
        };
        tx.execute(
            "INSERT INTO bulk_customer (bulk, customer, effect, left_out) VALUES (?1, ?2, ?3, ?4)",
            params![bulk.seq, chosen.customer.as_bytes(), effect, why],
        )?;
    }
    let (place, said) = (bulk.place.saturating_add(chosen.len()), bulk.said.saturating_add(said));
    let is_through = place >= bulk.total || chosen.is_empty();
    tx.execute(
        "UPDATE bulk SET place = ?2, said = ?3, ended_at = ?4 WHERE seq = ?1",
        params![bulk.seq, number(place), number(said), is_through.then(|| ms(now))],
    )?;
    if is_through {
        let detail = json!({ "bulkId": bulk.id, "said": said, "leftOut": place.saturating_sub(said) });
        audit::note(tx, SERVICE, None, "bulk_ended", &detail, now)?;
    }
    Ok(true)
}

/// Says the word to one customer, or says why not.
fn say(
    tx: &Tx<'_>,
    bulk: &BulkRow,
    chosen: Chosen,
    note: Option<&NewNote>,
    takes_two: bool,
    now: Timestamp,
) -> Result<Result<EffectKey, &'static str>, StoreError> {
    let customer = chosen.customer;
    let case = match case(tx, customer) {
        Ok(Some((case, _))) => case,
        Ok(None) => return Ok(Err("The customer is not on file any more")),
        // One row that cannot be believed must not keep everybody else waiting.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "a row cannot be read; the customer is left out of an act on many");
            return Ok(Err("The customer's case cannot be read"));
        }
        Err(error) => return Err(error),
    };
    if case.version != chosen.version {
        return Ok(Err("The customer moved after this was confirmed"));
    }
    if waits(tx, customer)? {
        return Ok(Err("Another officer's word about the customer waits already"));
    }
    if let Err(why) =
        fits_among_many(&case.state, &case.beside, is_company(tx, customer)?, takes_two, bulk.word)
    {
        return Ok(Err(why));
    }
    let note = put_note(tx, customer, note)?;
    let said = Said { word: bulk.word, by: &bulk.by, note, approved_by: None, bulk: Some(&bulk.id) };
    Ok(Ok(put_word(tx, &case, &said, Rank::Known, now)?))
}

/// Whether an officer's word waits to be decided about.
fn waits(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM effect WHERE customer = ?1 AND lane = 'officer' AND ended_at IS NULL LIMIT 1";
    tx.exists(sql, params![customer.as_bytes()])
}

fn is_company(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    let sql = format!("SELECT {} FROM snapshot WHERE customer = ?1", tx.dialect().kind);
    let kind: Option<Option<String>> = tx.first(&sql, params![customer.as_bytes()], |row| row.get(0))?;
    Ok(kind.flatten().as_deref() == Some("CORPORATE"))
}

/// Law: an act that was cancelled says no further word; what was said stands.
pub(in crate::store) fn cancel(
    tx: &Tx<'_>,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<Cancelled, StoreError> {
    tx.lock(ALL)?;
    let Some(before) = row(tx, id)? else { return Ok(Cancelled::NoSuch) };
    match (before.ended_at, &before.cancelled_by) {
        (None, _) => {}
        (Some(_), Some(_)) => return Ok(Cancelled::Done(Box::new(before))),
        (Some(_), None) => return Ok(Cancelled::Ended),
    }
    let set = "UPDATE bulk SET ended_at = ?2, cancelled_by = ?3 WHERE id = ?1 AND ended_at IS NULL";
    tx.execute(set, params![id, ms(now), by])?;
    let detail = json!({ "bulkId": id, "said": before.said, "notReached": before.total - before.place });
    audit::note(tx, by, None, "bulk_cancelled", &detail, now)?;
    let row = BulkRow { ended_at: Some(now), cancelled_by: Some(by.to_owned()), ..before };
    Ok(Cancelled::Done(Box::new(row)))
}

/// Acts, newest first, before number `before`.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<BulkRow>, StoreError> {
    let sql = format!("{BULK} WHERE seq < ?1 ORDER BY seq DESC");
    tx.readable(&sql, params![before.unwrap_or(i64::MAX)], most, row_of)
}

/// One act, with what became of its customers.
pub(in crate::store) fn shown(tx: &Tx<'_>, id: &str) -> Result<Option<BulkShown>, StoreError> {
    let Some(row) = row(tx, id)? else { return Ok(None) };
    let counted = "SELECT left_out, count(*) FROM bulk_customer WHERE bulk = ?1 AND left_out IS NOT NULL
         GROUP BY left_out ORDER BY count(*) DESC, left_out";
    let reasons = tx.all(counted, params![row.seq], |row| {
        Ok((row.get(0)?, usize::try_from(row.get::<i64>(1)?).unwrap_or_default()))
    })?;
    let first = "SELECT customer, left_out FROM bulk_customer WHERE bulk = ?1 AND left_out IS NOT NULL
         ORDER BY customer LIMIT ?2";
    let left_out = tx.all(first, params![row.seq, number(LEFT_OUT_SHOWN)], |row| {
        Ok(LeftOut { customer: CustomerHashId::from_bytes(row.get(0)?), why: row.get(1)? })
    })?;
    Ok(Some(BulkShown { row, reasons, left_out }))
}

fn row(tx: &Tx<'_>, id: &str) -> Result<Option<BulkRow>, StoreError> {
    let rows = tx.query(&format!("{BULK} WHERE id = ?1"), params![id])?;
    rows.first().map(row_of).transpose()
}

fn row_of(row: &Row) -> Result<BulkRow, StoreError> {
    let id: String = row.get(1)?;
    let unknown = |why: &str| corrupt("bulk", &id, why);
    let (word, filter): (String, String) = (row.get(2)?, row.get(3)?);
    let count = |at: usize| -> Result<usize, StoreError> {
        Ok(usize::try_from(row.get::<i64>(at)?).unwrap_or_default())
    };
    Ok(BulkRow {
        seq: row.get(0)?,
        word: OfficerWord::parse(&word).ok_or_else(|| unknown("its word is not known"))?,
        filter: serde_json::from_str(&filter).map_err(|error| unknown(&error.to_string()))?,
        by: row.get(4)?,
        asked_at: timestamp(row.get(5)?)?,
        note: row.get(6)?,
        total: count(7)?,
        place: count(8)?,
        said: count(9)?,
        ended_at: maybe_timestamp(row.get(10)?)?,
        cancelled_by: row.get(11)?,
        id,
    })
}
