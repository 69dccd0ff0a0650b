//! Making somebody a customer: the application is checked by the region's rules, stored, and waited for a moment; and where
//! a customer goes on with a vendor's check.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::acts::Asking;
use super::once::Answered;
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::act::Act;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::onboarding::Applicant;
use crate::store::rows::{KeptRedirect, NewAct, Once};
use crate::vault::Place;

/// The status of an answer to an applicant who is a customer now.
const CREATED: u16 = 201;

impl Ops {
    /// Makes an individual or a company a customer. 201 once Nium has given the `customerHashId`, 202 while it has not.
    pub async fn onboard(&self, value: &Value, asking: &Asking<'_>) -> Result<Answered, OpsError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let applicant = Applicant::parse(value, self.region, today).map_err(OpsError::Invalid)?;
        let act = Act::Onboard { applicant };
        // Until Nium has named them they go by an id of ours, which nobody else ever has.
        let nobody = CustomerHashId::from_bytes((self.fresh_id)().into_bytes());
        if asking.dry_run {
            let body = self.shown(&act, nobody, &serde_json::Map::new());
            return Ok(Answered { status: 200, body, replayed: false });
        }
        let owner = nobody.to_string();
        let wrapped = self.vault.new_data_key(&owner)?;
        let data_key = self.vault.unwrap(&owner, &wrapped)?;
        let key = EffectKey::onboarding(nobody);
        let place = Place { table: "effect", column: "sealed", row: key.to_string() };
        let new = NewAct {
            customer: nobody,
            kind: act.kind(),
            sealed: data_key.seal(&place, &serde_json::to_vec(&act)?)?,
            key,
            version: None,
            summary: act.summary(),
            by: asking.by.to_owned(),
        };
        let receipt = self.receipt(asking.once, asking.body, ACCEPTED).await?;
        let done = self.store.apply(new, wrapped.as_bytes().to_vec(), receipt.recorder()).await?;
        let replayed = matches!(done, Once::Again(_));
        let stored = receipt.answer(done, |key| Ok(json!({ "effectId": key })))?;
        let mut answered = self.told_again(Answered { replayed, ..stored }).await?;
        if answered.status == 200 && answered.body.get("customerHashId").is_some_and(Value::is_string) {
            answered.status = CREATED;
        }
        Ok(answered)
    }

    /// Asks Nium for a new address at which the customer goes on.
    pub async fn regenerate(
        &self,
        customer: CustomerHashId,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        self.act(customer, &Act::Regenerate, None, asking).await
    }

    /// Where the customer goes on with a vendor's check; `None` if nobody gave an address, or the check is over.
    pub async fn redirect(&self, customer: CustomerHashId) -> Result<Option<Value>, OpsError> {
        self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let Some(kept) = self.store.redirect(customer).await? else { return Ok(None) };
        let Some(key) = self.existing_data_key(customer).await? else { return Ok(None) };
        let place = Place { table: "redirect", column: "sealed", row: customer.to_string() };
        let url = String::from_utf8_lossy(&key.open(&place, &kept.sealed)?).into_owned();
        let mut view = self.redirect_view(&kept);
        if let Some(view) = view.as_object_mut() {
            view.insert("customerHashId".to_owned(), json!(customer));
            view.insert("url".to_owned(), json!(url));
        }
        Ok(Some(view))
    }

    /// An address as everybody may see it: not the address itself, with which one could act as the customer.
    pub(super) fn redirect_view(&self, kept: &KeptRedirect) -> Value {
        let expires_at: Timestamp = kept.expires_at;
        json!({ "expiresAt": expires_at, "expired": expires_at <= self.clock.now() })
    }
}
