//! Erasing one person, the legal hold that keeps them, and handing out everything that is on file about them.

use serde_json::{Map, Value, json};

use super::acts::Asking;
use super::correction::difference_place;
use super::officer::note;
use super::once::Answered;
use super::page::draft_place;
use super::{Ops, OpsError};
use crate::domain::correction::FieldProblem;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::rfi::RfiItem;
use crate::metrics::Erasing;
use crate::store::rows::Once;
use crate::store::rows::privacy::{Erased, Erasure, HoldDone, HoldRow, NewHold};
use crate::vault::{DataKey, Place};

/// What an export says about itself.
const FORMAT: &str = "reinstate export v1";
/// What a row of the record says that tells of it.
pub const EXPORTED: &str = "personal_data_exported";
/// Corrections in an export: the newest.
const CORRECTIONS_MAX: usize = 1_000;

/// A legal hold that somebody wants set or lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldWish {
    /// Set, or lifted.
    pub set: bool,
    /// Why; kept sealed.
    pub reason: String,
}

impl HoldWish {
    /// Reads `{"action": "set" | "lift", "reason": …}`.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let wrong = |field: &str, message: &str| vec![FieldProblem::new(field, message.to_owned())];
        let fields = body.as_object().ok_or_else(|| wrong("body", "is an object"))?;
        if let Some(name) = fields.keys().find(|name| !["action", "reason"].contains(&name.as_str())) {
            return Err(wrong(name, "is not known here"));
        }
        let set = match fields.get("action").and_then(Value::as_str) {
            Some("set") => true,
            Some("lift") => false,
            Some(_) | None => return Err(wrong("action", "is one of: set, lift")),
        };
        let said = note(fields.get("reason")).map_err(|problem| wrong("reason", &problem.message))?;
        let reason = said.ok_or_else(|| wrong("reason", "is needed: why it is set or lifted"))?;
        Ok(Self { set, reason })
    }
}

impl Ops {
    /// That, when and by whom somebody was erased.
    pub async fn erasure(&self, customer: CustomerHashId) -> Result<Option<Erasure>, OpsError> {
        Ok(self.store.erasure(customer).await?)
    }

    /// Erases somebody, as a whole and for good. Whoever was erased before hears when that was.
    pub async fn erase(&self, customer: CustomerHashId, asking: &Asking<'_>) -> Result<Answered, OpsError> {
        let receipt = self.receipt(asking.once, asking.body, 200).await?;
        let done = self.store.erase(customer, asking.by, receipt.recorder()).await?;
        self.count_erased(&done);
        receipt.answer(done, |erased| match erased {
            Erased::Done(erasure) | Erased::Before(erasure) => Ok(serde_json::to_value(erasure)?),
            Erased::Became(_) | Erased::Nobody => Err(OpsError::NoSuchCustomer),
            Erased::UnderWay => Err(OpsError::UnderWay),
            Erased::Held => Err(OpsError::Held),
        })
    }

    /// Erases an onboarding that led to no customer: the application, its key, and what is recorded about it.
    pub async fn erase_onboarding(&self, key: &EffectKey, asking: &Asking<'_>) -> Result<Answered, OpsError> {
        let receipt = self.receipt(asking.once, asking.body, 200).await?;
        let done = self.store.erase_onboarding(key.clone(), asking.by, receipt.recorder()).await?;
        self.count_erased(&done);
        receipt.answer(done, |erased| match erased {
            Erased::Done(erasure) | Erased::Before(erasure) => Ok(erasure.of_onboarding(key)),
            Erased::Became(customer) => Err(OpsError::Became(customer)),
            Erased::Nobody => Err(OpsError::NoSuchOnboarding),
            Erased::UnderWay => Err(OpsError::UnderWay),
            Erased::Held => Err(OpsError::Held),
        })
    }

    fn count_erased(&self, done: &Once<Erased>) {
        if matches!(done, Once::First(Erased::Done(_))) {
            self.work.erased(Erasing::Asked);
        }
    }

    /// Sets or lifts a legal hold.
    pub async fn change_hold(
        &self,
        customer: CustomerHashId,
        wish: &HoldWish,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        // Nobody gets a key only because somebody mistook an id.
        if self.store.case(customer).await?.is_none() && self.existing_data_key(customer).await?.is_none() {
            return Err(OpsError::NoSuchCustomer);
        }
        let receipt = self.receipt(asking.once, asking.body, 200).await?;
        let note = self.sealed_note(customer, Some(&wish.reason)).await?.ok_or(OpsError::NoSuchCustomer)?;
        let new = NewHold { customer, set: wish.set, by: asking.by.to_owned(), note };
        let done = self.store.change_hold(new, receipt.recorder()).await?;
        receipt.answer(done, |done| match done {
            HoldDone::Done | HoldDone::Already => Ok(json!({ "customerHashId": customer, "held": wish.set })),
            HoldDone::Nobody => Err(OpsError::NoSuchCustomer),
        })
    }

    /// Everything on file about a person, opened, files of documents included: what they may ask for. That it was given
    /// out is on record before it is.
    pub async fn export(&self, customer: CustomerHashId, by: &str) -> Result<Value, OpsError> {
        let mut export = self.bundle(customer, by).await?;
        self.store.note(by, Some(customer), EXPORTED, json!({})).await?;
        let personal = self.opened(customer).await?;
        if let Some(parts) = export.as_object_mut() {
            parts.insert("format".to_owned(), json!(FORMAT));
            parts.insert("leftOut".to_owned(), json!(["the keys"]));
            parts.insert("personal".to_owned(), personal);
        }
        Ok(export)
    }

    async fn opened(&self, customer: CustomerHashId) -> Result<Value, OpsError> {
        let Some(key) = self.existing_data_key(customer).await? else { return Ok(json!({})) };
        let application = self.application(customer, &key).await?.map(|kept| kept.as_map().clone());
        let kept = self.store.case(customer).await?.and_then(|row| row.snapshot);
        let nium = match &kept {
            Some(kept) => self.open_snapshot(customer, kept).await?,
            None => None,
        };
        let rfi = match self.store.rfi(customer).await? {
            Some(kept) => self.open_rfi(customer, &kept).await?.iter().map(RfiItem::view).collect(),
            None => Vec::new(),
        };
        let address = match self.store.redirect(customer).await? {
            Some(kept) => {
                let place = Place { table: "redirect", column: "sealed", row: customer.to_string() };
                Some(String::from_utf8_lossy(&key.open(&place, &kept.sealed)?).into_owned())
            }
            None => None,
        };
        let mut said = Map::new();
        for kept in self.store.bundle(customer).await?.effects {
            let shown = self.effect_view(&kept.effect).await?;
            if let Some(words) = shown.get("said").filter(|said| !said.is_null()) {
                said.insert(kept.effect.key.to_string(), words.clone());
            }
        }
        Ok(json!({
            "application": application,
            "atNium": nium,
            "corrections": self.opened_corrections(customer, &key).await?,
            "drafts": self.opened_drafts(customer, &key).await?,
            "approvals": self.opened_approvals(customer).await?,
            "notes": self.notes(customer).await?,
            "askedByNium": rfi,
            "goesOnAt": address,
            "niumSaid": said,
        }))
    }

    async fn opened_corrections(
        &self,
        customer: CustomerHashId,
        key: &DataKey,
    ) -> Result<Vec<Value>, OpsError> {
        let mut corrections = Vec::new();
        for kept in self.store.corrections(customer, CORRECTIONS_MAX).await? {
            let Some(sealed) = kept.sealed.as_deref() else { continue };
            let changes: Value = serde_json::from_slice(&key.open(&difference_place(&kept.effect), sealed)?)?;
            corrections.push(json!({ "effectId": kept.effect, "at": kept.at, "changes": changes }));
        }
        Ok(corrections)
    }

    /// What was written on the hosted page and not sent.
    async fn opened_drafts(&self, customer: CustomerHashId, key: &DataKey) -> Result<Vec<Value>, OpsError> {
        let mut drafts = Vec::new();
        for kept in self.store.drafts(customer).await? {
            let written: Value = serde_json::from_slice(&key.open(&draft_place(&kept.link), &kept.sealed)?)?;
            drafts.push(json!({ "linkId": kept.link, "at": kept.at, "written": written }));
        }
        Ok(drafts)
    }

    /// What a second person was asked to let happen; the words they said are among the notes.
    async fn opened_approvals(&self, customer: CustomerHashId) -> Result<Vec<Value>, OpsError> {
        let mut approvals = Vec::new();
        for row in self.store.approvals_about(customer).await? {
            let act = self.waiting_act(&row).await?;
            approvals.push(json!({
                "approvalId": row.id, "what": row.kind, "status": row.status_at(self.clock.now()),
                "askedBy": row.asked_by, "askedAt": row.asked_at, "decidedBy": row.decided_by, "act": act,
            }));
        }
        Ok(approvals)
    }

    /// The legal hold on a customer, if one is set.
    pub async fn hold(&self, customer: CustomerHashId) -> Result<Option<HoldRow>, OpsError> {
        Ok(self.store.hold(customer).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_set_or_lifted_with_a_reason_and_nothing_else() {
        let parse = |body: Value| HoldWish::parse(&body);
        let wish = parse(json!({ "action": "set", "reason": " case 7 " })).unwrap();
        assert_eq!(wish, HoldWish { set: true, reason: "case 7".to_owned() });
        for (body, field) in [
            (json!([]), "body"),
            (json!({ "action": "set" }), "reason"),
            (json!({ "action": "keep", "reason": "x" }), "action"),
            (json!({ "action": "lift", "reason": "  " }), "reason"),
            (json!({ "action": "lift", "reason": "x", "until": 1 }), "until"),
        ] {
            assert_eq!(parse(body).unwrap_err()[0].field, field);
        }
    }
}
