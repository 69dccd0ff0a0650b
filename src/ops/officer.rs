//! An officer's word about a case. The word is stored first and decided about by the worker.

use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::decision::OfficerWord;
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::store::rows::EffectRow;

use serde_json::{Value, json};

use crate::vault::Place;

impl Ops {
    /// Stores an officer's word. Answers with the effect that will tell what became of it.
    pub async fn word(
        &self,
        customer: CustomerHashId,
        word: OfficerWord,
        by: &str,
        body: &[u8],
        once: Option<&Once>,
    ) -> Result<Answered, OpsError> {
        let receipt = self.receipt(once, body, ACCEPTED).await?;
        let done = self.store.word(customer, word, by, receipt.recorder()).await?;
        receipt.answer(done, |key| Ok(json!({ "effectId": key.ok_or(OpsError::NoSuchCustomer)? })))
    }

    /// What became of an effect, with what the other side said; `None` when there is no such effect.
    pub async fn effect(&self, key: &EffectKey) -> Result<Option<Value>, OpsError> {
        let Some(row) = self.store.effect(key).await? else {
            return Ok(None);
        };
        Ok(Some(self.effect_view(&row).await?))
    }

    /// An effect as the API shows it.
    pub(super) async fn effect_view(&self, row: &EffectRow) -> Result<Value, OpsError> {
        let said = self.said(row).await?;
        Ok(json!({
            "effectId": row.key,
            "customerHashId": row.customer,
            "kind": row.kind,
            "status": row.status.as_str(),
            "ended": !matches!(row.status, EffectStatus::Pending | EffectStatus::Sending | EffectStatus::Unclear),
            "attempts": row.attempts,
            "createdAt": row.created_at,
            "endedAt": row.ended_at,
            "outcome": row.outcome,
            "said": said,
        }))
    }

    async fn said(&self, row: &EffectRow) -> Result<Option<Value>, OpsError> {
        let Some(sealed) = &row.said else { return Ok(None) };
        let Some(key) = self.existing_data_key(row.customer).await? else {
            return Ok(None);
        };
        let place = Place { table: "effect", column: "said", row: row.key.to_string() };
        Ok(Some(serde_json::from_slice(&key.open(&place, sealed)?)?))
    }
}
