//! What Nium asks of a customer, shown and answered.

use serde_json::{Value, json};

use super::acts::Asking;
use super::once::Answered;
use super::{Ops, OpsError};
use crate::domain::act::Act;
use crate::domain::id::CustomerHashId;
use crate::domain::rfi::{Answers, RfiItem};
use crate::domain::snapshot::CustomerKind;
use crate::store::rows::KeptRfi;
use crate::vault::Place;

impl Ops {
    /// What Nium asks of a customer, in plain words, and until when it should be answered.
    pub async fn rfi(&self, customer: CustomerHashId) -> Result<Value, OpsError> {
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let kept = self.store.rfi(customer).await?;
        let items = match &kept {
            Some(kept) => self.open_rfi(customer, kept).await?,
            None => Vec::new(),
        };
        let open = row.case.beside.rfi;
        Ok(json!({
            "customerHashId": customer,
            "open": open.is_some(),
            "deadline": open.map(|rfi| rfi.deadline),
            "overdue": open.is_some_and(|rfi| rfi.overdue),
            "fetchedAt": kept.map(|kept| kept.fetched_at),
            "items": items.iter().map(RfiItem::view).collect::<Vec<_>>(),
        }))
    }

    /// Answers everything that is asked, at once.
    pub async fn answer_rfi(
        &self,
        customer: CustomerHashId,
        value: &Value,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        if let Some(first) = self.told_before(asking).await? {
            return Ok(first);
        }
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let items = match self.store.rfi(customer).await? {
            Some(kept) => self.open_rfi(customer, &kept).await?,
            None => Vec::new(),
        };
        if !items.iter().any(RfiItem::waits) {
            return Err(OpsError::NoRfi);
        }
        let seen = match &row.snapshot {
            Some(kept) => self.open_snapshot(customer, kept).await?,
            None => None,
        };
        let is_company = seen.as_ref().is_some_and(|seen| seen.facts.kind == CustomerKind::Corporate);
        let answers = Answers::parse(value, &items, is_company).map_err(OpsError::Invalid)?;
        let company = seen.filter(|_| is_company).map(|seen| seen.company.unwrap_or_default());
        self.act(customer, &Act::Rfi { answers, company }, None, asking).await
    }

    pub(super) async fn open_rfi(
        &self,
        customer: CustomerHashId,
        kept: &KeptRfi,
    ) -> Result<Vec<RfiItem>, OpsError> {
        let Some(key) = self.existing_data_key(customer).await? else {
            return Ok(Vec::new());
        };
        let place = Place { table: "rfi", column: "sealed", row: customer.to_string() };
        Ok(serde_json::from_slice(&key.open(&place, &kept.sealed)?)?)
    }
}
