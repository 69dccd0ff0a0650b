//! What an officer reads about one customer beside the case. Each function is the inside of one transaction.

use rusqlite::params;

use super::column::{corrupt, effect_key, timestamp};
use crate::domain::effect::EffectStatus;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::dossier::KeptCorrection;
use crate::store::tx::Tx;

/// Corrections of a customer, newest first.
pub(in crate::store) fn corrections(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    most: usize,
) -> Result<Vec<KeptCorrection>, StoreError> {
    tx.all(
        "SELECT e.key, e.created_at, e.status, e.outcome, c.sealed
         FROM effect AS e LEFT JOIN correction AS c ON c.effect = e.key
         WHERE e.customer = ?1 AND e.lane = 'nium' AND e.kind = 'submit' ORDER BY e.seq DESC LIMIT ?2",
        params![customer.as_bytes(), i64::try_from(most).unwrap_or(i64::MAX)],
        |row| {
            let (key, status): (_, String) = (effect_key(row, 0)?, row.get(2)?);
            Ok(KeptCorrection {
                status: EffectStatus::parse(&status)
                    .ok_or_else(|| corrupt("effect", key.as_str(), "its status is not known"))?,
                effect: key,
                at: timestamp(row.get(1)?)?,
                outcome: row.get(3)?,
                sealed: row.get(4)?,
            })
        },
    )
}
