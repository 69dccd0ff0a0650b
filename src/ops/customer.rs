//! Showing customers.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::officer::in_hand;
use super::{Ops, OpsError};
use crate::domain::case::CaseState;
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::{CustomerKind, NiumTime, Snapshot};
use crate::store::rows::privacy::Erasure;
use crate::store::rows::{CallbackRow, CaseRow, KeptSnapshot, TimelineRow};
use crate::vault::Place;

/// One customer as the API shows them (design, section 7).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerView {
    customer_hash_id: CustomerHashId,
    state: &'static str,
    since: Timestamp,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    next: Option<Value>,
    nium: Option<Value>,
    block: Option<Value>,
    rfi: Option<Value>,
    attempts: Value,
    correction: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    officer: Option<Value>,
    customer_type: Option<CustomerKind>,
    redirect: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_hold: Option<Value>,
}

/// The state of somebody who was erased, beside those of a case.
pub const ERASED: &str = "erased";

impl Ops {
    /// Everything that happened to a customer we have heard of, oldest first.
    pub async fn timeline(&self, customer: CustomerHashId) -> Result<Vec<TimelineRow>, OpsError> {
        let mut lines = self.store.timeline(customer).await?;
        if lines.is_empty() {
            return Err(OpsError::NoSuchCustomer);
        }
        let notes = self.notes(customer).await?;
        for detail in lines.iter_mut().filter_map(|line| line.detail.as_object_mut()) {
            let id = detail.remove("noteId");
            if let Some(note) = id.as_ref().and_then(Value::as_str).and_then(|id| notes.get(id)) {
                detail.insert("note".to_owned(), note.clone());
            }
        }
        Ok(lines)
    }

    /// Tells one standing of a customer, or of everything, from another: it is the same text while nothing has happened.
    pub async fn stamp(&self, customer: Option<CustomerHashId>) -> Result<String, OpsError> {
        Ok(self.store.stamp(customer).await?)
    }

    /// Callbacks, newest first, before receipt id `before`, of one customer or all.
    pub async fn callbacks(
        &self,
        customer: Option<CustomerHashId>,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<CallbackRow>, OpsError> {
        Ok(self.store.callbacks(customer, before, most).await?)
    }

    /// One customer with what Nium said last, remarks included.
    pub async fn show(&self, customer: CustomerHashId) -> Result<CustomerView, OpsError> {
        let Some(row) = self.store.case(customer).await? else {
            let erasure = self.store.erasure(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
            return Ok(self.erased_view(&erasure));
        };
        let said = match &row.snapshot {
            Some(kept) => self.open_snapshot(customer, kept).await?,
            None => None,
        };
        let mut view = self.view(&row, said.as_ref());
        if let Some(hold) = self.store.hold(customer).await? {
            let reason = self.notes(customer).await?.remove(&hold.note);
            view.legal_hold = Some(json!({ "by": hold.by, "since": hold.since, "reason": reason }));
        }
        view.redirect = self.store.redirect(customer).await?.map(|kept| self.redirect_view(&kept));
        if let Some(row) = &row.in_hand {
            view.officer = Some(in_hand(row, Some(&self.notes(customer).await?)));
        }
        Ok(view)
    }

    /// The last snapshot, opened; `None` if the customer's key was erased.
    pub(super) async fn open_snapshot(
        &self,
        customer: CustomerHashId,
        kept: &KeptSnapshot,
    ) -> Result<Option<Snapshot>, OpsError> {
        let Some(key) = self.existing_data_key(customer).await? else {
            return Ok(None);
        };
        let place = Place { table: "snapshot", column: "sealed", row: customer.to_string() };
        Ok(Some(serde_json::from_slice(&key.open(&place, &kept.sealed)?)?))
    }

    pub(super) fn view(&self, row: &CaseRow, said: Option<&Snapshot>) -> CustomerView {
        let case = &row.case;
        let block = case.beside.block.map(|block| {
            json!({
                "permanent": block.permanent,
                "by": block.by,
                "reason": said.and_then(|said| said.block_reason.as_deref()),
                "comment": said.and_then(|said| said.block_comment.as_deref()),
            })
        });
        CustomerView {
            customer_hash_id: case.id,
            state: case.state.name(),
            since: case.since,
            version: case.version,
            reason: reason(&case.state),
            next: row.next.map(|next| json!({ "what": next.what.as_str(), "at": next.at })),
            nium: row.snapshot.as_ref().map(|kept| nium(kept, said)),
            block,
            rfi: case
                .beside
                .rfi
                .map(|rfi| json!({ "open": true, "deadline": rfi.deadline, "overdue": rfi.overdue })),
            attempts: json!({ "used": case.attempts_used, "max": self.submissions_max }),
            correction: self.offer(row),
            officer: row.in_hand.as_ref().map(|row| in_hand(row, None)),
            customer_type: row.snapshot.as_ref().map(|kept| kept.facts.kind),
            redirect: None,
            legal_hold: None,
        }
    }

    /// All that is left of somebody who was erased.
    fn erased_view(&self, erasure: &Erasure) -> CustomerView {
        CustomerView {
            customer_hash_id: erasure.customer_hash_id,
            state: ERASED,
            since: erasure.erased_at,
            version: 0,
            reason: None,
            next: None,
            nium: None,
            block: None,
            rfi: None,
            attempts: json!({ "used": 0, "max": self.submissions_max }),
            correction: None,
            officer: None,
            customer_type: None,
            redirect: None,
            legal_hold: None,
        }
    }

    fn offer(&self, row: &CaseRow) -> Option<Value> {
        let CaseState::AwaitingCorrection { grounds, deadline, .. } = &row.case.state else {
            return None;
        };
        let url = format!("{}/v1/customers/{}/corrections", self.api_url, row.case.id);
        Some(
            json!({ "url": url, "deadline": deadline, "class": grounds.class.as_str(), "fields": grounds.fields, "reapplication": row.case.beside.reapplication }),
        )
    }
}

fn reason(state: &CaseState) -> Option<&'static str> {
    match state {
        CaseState::FinallyRejected { why } => Some(why.as_str()),
        CaseState::NeedsOfficer { why, .. } => Some(why.as_str()),
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved => None,
    }
}

fn nium(kept: &KeptSnapshot, said: Option<&Snapshot>) -> Value {
    json!({
        "status": kept.facts.status.as_ref().map(ToString::to_string),
        "complianceStatus": kept.facts.compliance.as_ref().map(ToString::to_string),
        "remarks": said.and_then(|said| said.remarks.as_deref()),
        "complianceRemarks": said.and_then(|said| said.compliance_remarks.as_deref()),
        "updatedAt": kept.facts.updated_at.as_ref().map(NiumTime::as_str),
        "lookedAt": kept.looked_at,
    })
}
