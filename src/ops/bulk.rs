//! An officer's word to everybody who fits a filter: counted and shown first, confirmed by the count, carried out by the
//! worker a few at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::once::{Answered, Once};
use super::search::{UNMARKED, Wish};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;
use crate::domain::word::{fits_among_many, would};
use crate::store::rows::bulk::{BULK_MAX, BulkRow, BulkShown, Cancelled, Chosen, NewBulk};
use crate::store::rows::search::LeanCase;
use crate::vault::Place;

/// Customers who are shown before it is confirmed.
const PREVIEW: usize = 20;
/// Looks at the database that one filter may take, at a thousand customers and more each.
const LOOKS_MAX: usize = 50;

/// The words that many can be told at once.
pub const WORDS: [OfficerWord; 4] =
    [OfficerWord::Offer, OfficerWord::Final, OfficerWord::Retry, OfficerWord::Close];

/// Why a word to many is not said, or not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkRefused {
    /// More customers fit than one act may take.
    #[error("more customers fit than one act may take")]
    TooMany,
    /// Too many customers have to be looked at to find those who fit.
    #[error("the filter goes through too many customers")]
    TooWide,
    /// There is no such act.
    #[error("there is no such act")]
    NoSuch,
    /// The act is through already.
    #[error("the act is through")]
    Ended,
}

/// A word to many, and who says it.
#[derive(Clone, Debug)]
pub struct ToMany<'a> {
    /// What.
    pub word: OfficerWord,
    /// Why, in the officer's own words.
    pub note: Option<String>,
    /// The conditions as they go on record: nothing personal.
    pub filter: Value,
    /// The token's name.
    pub by: &'a str,
    /// The body, for the `Idempotency-Key`.
    pub body: &'a [u8],
    /// The key, if there is one.
    pub once: Option<&'a Once>,
}

/// An act as it is listed.
#[derive(Clone, Debug)]
pub struct BulkItem {
    /// Its place in the list.
    pub seq: i64,
    /// The API's shape.
    pub shown: Value,
}

impl Ops {
    /// What a word would do to everybody who fits; nothing is done.
    pub async fn preview_bulk(&self, wish: Wish, word: OfficerWord) -> Result<Value, OpsError> {
        let (cases, unmarked) = self.everybody(wish).await?;
        let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
        for why in cases.iter().filter_map(|case| self.judged(case, word).err()) {
            *reasons.entry(why).or_default() += 1;
        }
        let left_out: usize = reasons.values().sum();
        let preview = cases.iter().take(PREVIEW).map(|case| {
            let (key, text) = match self.judged(case, word) {
                Ok(()) => ("would", would(&case.state, word)),
                Err(why) => ("leftOut", why),
            };
            json!({ "customerHashId": case.customer, "state": case.state.name(), key: text })
        });
        Ok(json!({
            "count": cases.len(), "most": BULK_MAX, "said": cases.len().saturating_sub(left_out),
            "reasons": shown_reasons(reasons), "preview": preview.collect::<Vec<_>>(),
            "notes": if unmarked { vec![UNMARKED] } else { Vec::new() },
        }))
    }

    /// Begins an act on everybody who fits, if there are as many as `expected`.
    pub async fn begin_bulk(
        &self,
        wish: Wish,
        expected: usize,
        asked: ToMany<'_>,
    ) -> Result<Answered, OpsError> {
        let receipt = self.receipt(asked.once, asked.body, ACCEPTED).await?;
        let key = self.data_key(CustomerHashId::NOBODY).await?;
        // Whoever was chosen the first time has moved since.
        if let Some(first) = self.answered_before(asked.once, &key, asked.body).await? {
            return Ok(first);
        }
        let (cases, _) = self.everybody(wish).await?;
        if cases.len() != expected {
            return Err(OpsError::CountChanged(cases.len()));
        }
        let mut chosen: Vec<Chosen> =
            cases.iter().map(|case| Chosen { customer: case.customer, version: case.version }).collect();
        chosen.sort_unstable_by_key(|chosen| chosen.customer);
        let id = (self.fresh_id)();
        let note = asked.note.as_ref().map(|note| key.seal(&place_of_note(&id.to_string()), note.as_bytes()));
        let new = NewBulk {
            id,
            word: asked.word,
            filter: asked.filter,
            by: asked.by.to_owned(),
            note: note.transpose()?,
            chosen,
        };
        let done = self.store.begin_bulk(new, receipt.recorder(), listed).await?;
        receipt.answer(done, |row| Ok(listed(&row)))
    }

    /// Acts, newest first, before number `before`.
    pub async fn bulks(&self, before: Option<i64>, most: usize) -> Result<Vec<BulkItem>, OpsError> {
        let rows = self.store.bulks(before, most).await?;
        Ok(rows.iter().map(|row| BulkItem { seq: row.seq, shown: listed(row) }).collect())
    }

    /// One act, with its note and what became of its customers; `None` when there is no such act.
    pub async fn bulk(&self, id: &str) -> Result<Option<Value>, OpsError> {
        let Some(BulkShown { row, reasons, left_out }) = self.store.bulk(id).await? else { return Ok(None) };
        let mut shown = listed(&row);
        if let Some(shown) = shown.as_object_mut() {
            let first =
                left_out.into_iter().map(|one| json!({ "customerHashId": one.customer, "leftOut": one.why }));
            shown.insert("reasons".to_owned(), shown_reasons(reasons));
            shown.insert("leftOutFirst".to_owned(), first.collect());
            if let Some(sealed) = &row.note {
                let key = self.data_key(CustomerHashId::NOBODY).await?;
                let text = key.open(&place_of_note(&row.id), sealed)?;
                shown.insert("note".to_owned(), json!(String::from_utf8_lossy(&text)));
            }
        }
        Ok(Some(shown))
    }

    /// Ends an act before it is through; what was said stands.
    pub async fn cancel_bulk(&self, id: &str, by: &str) -> Result<Value, OpsError> {
        match self.store.cancel_bulk(id, by).await? {
            Cancelled::Done(row) => Ok(listed(&row)),
            Cancelled::NoSuch => Err(BulkRefused::NoSuch.into()),
            Cancelled::Ended => Err(BulkRefused::Ended.into()),
        }
    }

    /// Why a word is not said to this one among many.
    fn judged(&self, case: &LeanCase, word: OfficerWord) -> Result<(), &'static str> {
        let takes_two = self.second_person.override_final;
        fits_among_many(&case.state, &case.beside, case.is_company, takes_two, word)
    }

    /// Everybody who fits, and whether some could not be found.
    async fn everybody(&self, wish: Wish) -> Result<(Vec<LeanCase>, bool), OpsError> {
        let filter = self.filter_of(wish).await?;
        let (mut cases, mut after, mut unmarked) = (Vec::new(), None, false);
        for _ in 0..LOOKS_MAX {
            let found = self.store.everybody(filter.clone(), after).await?;
            cases.extend(found.cases);
            unmarked |= found.unmarked;
            if cases.len() > BULK_MAX {
                return Err(BulkRefused::TooMany.into());
            }
            match found.looked_to {
                Some(place) => after = Some(place),
                None => return Ok((cases, unmarked)),
            }
        }
        Err(BulkRefused::TooWide.into())
    }
}

fn shown_reasons<T: Into<String>>(reasons: impl IntoIterator<Item = (T, usize)>) -> Value {
    reasons.into_iter().map(|(why, count)| json!({ "leftOut": why.into(), "count": count })).collect()
}

/// An act as the API lists it.
fn listed(row: &BulkRow) -> Value {
    let status = match (row.ended_at, &row.cancelled_by) {
        (None, _) => "running",
        (Some(_), None) => "complete",
        (Some(_), Some(_)) => "cancelled",
    };
    let ended: Option<Timestamp> = row.ended_at;
    json!({
        "bulkId": row.id, "decision": row.word.as_str(), "filter": row.filter, "status": status,
        "askedBy": row.by, "askedAt": row.asked_at, "count": row.total, "done": row.place, "said": row.said,
        "leftOut": row.place.saturating_sub(row.said), "endedAt": ended, "cancelledBy": row.cancelled_by,
    })
}

fn place_of_note(id: &str) -> Place {
    Place { table: "bulk", column: "note", row: id.to_owned() }
}
