//! Everything on file about one customer that is not sealed, as of one moment.

use rusqlite::params;

use super::audit;
use super::column::timestamp;
use super::read;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::audit::{Bundle, BundledEffect};
use crate::store::tx::Tx;

/// The bundle of a customer, with at most `most` rows of each kind.
pub(in crate::store) fn read_all(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    most: usize,
) -> Result<Bundle, StoreError> {
    let applicants = audit::applicants(tx, customer)?;
    let mut record = audit::proven(tx, customer, most)?;
    for applicant in &applicants {
        record.extend(audit::proven(tx, *applicant, most)?);
    }
    record.sort_by_key(|row| row.row.id);
    let bundle = Bundle {
        case: read::case_row(tx, customer)?,
        timeline: read::timeline(tx, customer, most)?,
        callbacks: read::callbacks(tx, Some(customer), None, most)?,
        effects: effects(tx, customer, most)?,
        applicants,
        audit: record,
        head: audit::head(tx)?,
        checkpoint: audit::newest_checkpoint(tx)?,
        is_cut: false,
    };
    let longest = [bundle.timeline.len(), bundle.callbacks.len(), bundle.effects.len(), bundle.audit.len()];
    Ok(Bundle { is_cut: longest.iter().any(|rows| *rows >= most), ..bundle })
}

fn effects(tx: &Tx<'_>, customer: CustomerHashId, most: usize) -> Result<Vec<BundledEffect>, StoreError> {
    let rows = tx.all(
        "SELECT seq, key, CASE WHEN lane = 'webhook' THEN payload END FROM effect WHERE customer = ?1
         ORDER BY seq LIMIT ?2",
        params![customer.as_bytes(), i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?, row.get(2)?)),
    )?;
    let mut found = Vec::new();
    for (seq, key, told) in rows {
        let Some(effect) = EffectKey::parse(&key).map(|key| read::effect(tx, &key)).transpose()?.flatten()
        else {
            continue;
        };
        let attempts = tx.all(
            "SELECT number, at, outcome FROM attempt WHERE effect = ?1 ORDER BY number",
            params![seq],
            |row| Ok((row.get(0)?, timestamp(row.get(1)?)?, row.get(2)?)),
        )?;
        found.push(BundledEffect { effect, told, attempts });
    }
    Ok(found)
}
