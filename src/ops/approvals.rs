//! What takes a second person: asked for by one officer, approved or refused by another, for the case as it stood.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::acts::Asking;
use super::once::{Answered, Once};
use super::{ACCEPTED, Failure, Ops, OpsError};
use crate::domain::act::Act;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::rows::officer::{
    ApprovalAsked, ApprovalKind, ApprovalPlace, ApprovalRow, ApprovalStatus, ApprovedAct, Decided,
    NewApproval, NewVerdict,
};
use crate::vault::Place;

/// How long a second person may take.
pub const APPROVAL_TIME: Duration = Duration::from_hours(72);

/// What an operator has settled about second persons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondPerson {
    /// Permanent blocks take one.
    pub permanent_block: bool,
    /// Offering, or letting re-apply, after a final rejection takes one.
    pub override_final: bool,
}

/// What is to be approved.
pub(super) struct Wanted<'a> {
    pub(super) kind: ApprovalKind,
    /// The act, where it is one.
    pub(super) act: Option<&'a Act>,
    /// Why.
    pub(super) note: Option<&'a str>,
}

/// A second person's verdict, and who gives it.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// Whether it is done.
    pub approve: bool,
    /// Why.
    pub note: Option<String>,
    /// The token's name.
    pub by: &'a str,
    /// The body, for the `Idempotency-Key`.
    pub body: &'a [u8],
    /// The key, if there is one.
    pub once: Option<&'a Once>,
}

/// Where an approval stands in the list, and how it is shown.
#[derive(Debug)]
pub struct ApprovalView {
    /// Where it stands.
    pub place: ApprovalPlace,
    /// What is shown.
    pub shown: Value,
}

impl Ops {
    /// Asks for a second person, for the version of the case that was seen.
    pub(super) async fn ask_approval(
        &self,
        customer: CustomerHashId,
        version: u64,
        wanted: Wanted<'_>,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        let (id, key) = ((self.fresh_id)(), self.data_key(customer).await?);
        let sealed = wanted
            .act
            .map(|act| Ok::<_, OpsError>(key.seal(&place_of(&id.to_string()), &serde_json::to_vec(act)?)?))
            .transpose()?;
        let now = self.clock.now();
        let new = NewApproval {
            id,
            customer,
            version,
            kind: wanted.kind,
            sealed,
            by: asking.by.to_owned(),
            note: self.sealed_note(customer, wanted.note).await?,
            expires_at: now.checked_add(APPROVAL_TIME).unwrap_or(now),
        };
        let receipt = self.receipt(asking.once, asking.body, ACCEPTED).await?;
        let done = self.store.ask_approval(new, receipt.recorder()).await?;
        receipt.answer(done, |asked| match asked {
            ApprovalAsked::Stored => Ok(json!({ "approvalId": id, "needs": "second person" })),
            ApprovalAsked::NoCase => Err(OpsError::NoSuchCustomer),
            ApprovalAsked::Moved => Err(OpsError::Moved),
            ApprovalAsked::Open(there) => Err(OpsError::ApprovalOpen(there)),
        })
    }

    /// Approves or refuses, as somebody else than asked.
    pub async fn decide_approval(&self, id: &str, verdict: Verdict<'_>) -> Result<Answered, OpsError> {
        let row = self.store.approval(id).await?.ok_or(OpsError::NoSuchApproval)?;
        let act = if verdict.approve { self.approved_act(&row).await? } else { None };
        let new = NewVerdict {
            id: row.id.clone(),
            approve: verdict.approve,
            by: verdict.by.to_owned(),
            note: self.sealed_note(row.customer, verdict.note.as_deref()).await?,
            act,
        };
        let status = if verdict.approve { ACCEPTED } else { 200 };
        let receipt = self.receipt(verdict.once, verdict.body, status).await?;
        let done = self.store.decide_approval(new, receipt.recorder()).await?;
        receipt.answer(done, |decided| match decided {
            Decided::Approved(effect) => {
                Ok(json!({ "approvalId": row.id, "status": "approved", "effectId": effect }))
            }
            Decided::Refused => Ok(json!({ "approvalId": row.id, "status": "refused" })),
            Decided::NoSuch => Err(OpsError::NoSuchApproval),
            Decided::SamePerson => Err(OpsError::SamePerson),
            Decided::Closed(status) => Err(OpsError::ApprovalClosed(status.as_str())),
            Decided::Moved => Err(OpsError::Moved),
            Decided::Expired => Err(OpsError::ApprovalClosed(ApprovalStatus::Expired.as_str())),
            Decided::UnderWay => Err(OpsError::UnderWay),
        })
    }

    /// The act that waits, sealed anew for the effect that will do it.
    async fn approved_act(&self, row: &ApprovalRow) -> Result<Option<ApprovedAct>, OpsError> {
        let Some(act) = self.waiting_act(row).await? else { return Ok(None) };
        let number = (self.fresh_id)().as_u64_pair().1 & 0xF_FFFF_FFFF;
        let effect = EffectKey::new(row.customer, row.version, &format!("a{number:09x}"));
        let place = Place { table: "effect", column: "sealed", row: effect.to_string() };
        let key = self.data_key(row.customer).await?;
        let sealed = key.seal(&place, &serde_json::to_vec(&act)?)?;
        Ok(Some(ApprovedAct { key: effect, kind: act.kind(), sealed, summary: act.summary() }))
    }

    /// What an approval lets happen, where it is an act.
    pub(super) async fn waiting_act(&self, row: &ApprovalRow) -> Result<Option<Act>, OpsError> {
        let Some(sealed) = &row.sealed else { return Ok(None) };
        let Some(key) = self.existing_data_key(row.customer).await? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&key.open(&place_of(&row.id), sealed)?)?))
    }

    /// Approvals after a place, the open ones first.
    pub async fn approvals(
        &self,
        after: Option<ApprovalPlace>,
        most: usize,
    ) -> Result<Vec<ApprovalView>, OpsError> {
        let mut views = Vec::new();
        for row in self.store.approvals(after, most).await? {
            views.push(self.approval_view(&row).await?);
        }
        Ok(views)
    }

    /// The notes about the customer, and the act: the second person has to see what they approve.
    async fn sealed_parts(&self, row: &ApprovalRow) -> Result<(Map<String, Value>, Option<Value>), OpsError> {
        let notes = self.notes(row.customer).await?;
        let act = match self.waiting_act(row).await? {
            Some(Act::Block { action, comment }) => {
                let (action, reason) = action.words();
                Some(json!({ "action": action, "reason": reason, "comment": comment }))
            }
            Some(
                Act::Tags { .. }
                | Act::Update { .. }
                | Act::Onboard { .. }
                | Act::Regenerate
                | Act::Rfi { .. },
            )
            | None => None,
        };
        Ok((notes, act))
    }

    async fn approval_view(&self, row: &ApprovalRow) -> Result<ApprovalView, OpsError> {
        let (notes, act) = match self.sealed_parts(row).await {
            Ok(parts) => parts,
            // One that does not open must not hide the others; nobody can approve it either.
            Err(OpsError::Failed(failure @ (Failure::Vault(_) | Failure::Unreadable(_)))) => {
                tracing::error!(approval = row.id, error = %failure, "an approval cannot be read");
                (Map::new(), Some(json!({ "unreadable": true })))
            }
            Err(other) => return Err(other),
        };
        let note = |id: &Option<String>| id.as_ref().and_then(|id| notes.get(id));
        let place = match row.status {
            ApprovalStatus::Open => ApprovalPlace::Open(row.seq),
            ApprovalStatus::Approved
            | ApprovalStatus::Refused
            | ApprovalStatus::Lapsed
            | ApprovalStatus::Expired => ApprovalPlace::Closed(row.seq),
        };
        let shown = json!({
            "approvalId": row.id, "customerHashId": row.customer, "what": row.kind, "act": act,
            "status": row.status_at(self.clock.now()), "version": row.version,
            "askedBy": row.asked_by, "askedAt": row.asked_at, "expiresAt": row.expires_at, "note": note(&row.note),
            "decidedBy": row.decided_by, "decidedAt": row.decided_at, "decidedNote": note(&row.decided_note),
            "effectId": row.effect,
        });
        Ok(ApprovalView { place, shown })
    }
}

fn place_of(id: &str) -> Place {
    Place { table: "approval", column: "sealed", row: id.to_owned() }
}
