//! An officer's word about a case. The word is stored first and decided about by the worker.

use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::act::ActKind;
use crate::domain::decision::OfficerWord;
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
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
        if word == OfficerWord::Offer {
            self.refuse_a_company(customer).await?;
        }
        let receipt = self.receipt(once, body, ACCEPTED).await?;
        let done = self.store.word(customer, word, by, receipt.recorder()).await?;
        receipt.answer(done, |key| Ok(json!({ "effectId": key.ok_or(OpsError::NoSuchCustomer)? })))
    }

    /// Unified Add Customer is for persons: a company's way back is a matter between the client and Nium.
    pub(super) async fn refuse_a_company(&self, customer: CustomerHashId) -> Result<(), OpsError> {
        let row = self.store.case(customer).await?;
        let kind = row.and_then(|row| row.snapshot).map(|kept| kept.facts.kind);
        if kind == Some(CustomerKind::Corporate) { Err(OpsError::Company) } else { Ok(()) }
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
        // An applicant whom nobody took has no id of Nium's.
        let nobody = row.kind == ActKind::Onboard.as_str() && row.status != EffectStatus::Done;
        Ok(json!({
            "effectId": row.key,
            "customerHashId": (!nobody).then_some(row.customer),
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
