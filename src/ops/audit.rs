//! The record of who did what: listed, and one customer's bundle: enough to prove what happened to them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::store::rows::CaseRow;
use crate::store::rows::audit::{AuditFilter, AuditRow, Bundle, BundledEffect, ProvenRow};

/// What a bundle says about itself.
const FORMAT: &str = "reinstate bundle v1";
/// What is on file and not in a bundle.
const LEFT_OUT: [&str; 5] = [
    "the application, corrections and what Nium said in full (sealed)",
    "notes of officers (sealed)",
    "what Nium asked and was answered (sealed)",
    "addresses at vendors (sealed)",
    "the keys: whether the rows fit the chain is checked with `reinstate audit verify`",
];
/// What a row says that tells of a bundle that was given out.
pub const EXPORTED: &str = "bundle_exported";

impl Ops {
    /// Rows of the audit record, newest first, before number `before`.
    pub async fn audit(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<AuditRow>, OpsError> {
        Ok(self.store.audit(filter, before, most).await?)
    }

    /// One customer's bundle. That it was given out is recorded, by whom.
    pub async fn bundle(&self, customer: CustomerHashId, by: &str) -> Result<Value, OpsError> {
        let bundle = self.store.bundle(customer).await?;
        if is_empty(&bundle) {
            return Err(OpsError::NoSuchCustomer);
        }
        self.store.note(by, Some(customer), EXPORTED, json!({})).await?;
        Ok(shown(customer, &bundle, by, self.clock.now()))
    }
}

/// Whether nothing was ever heard of the customer.
#[must_use]
pub fn is_empty(bundle: &Bundle) -> bool {
    bundle.case.is_none() && bundle.timeline.is_empty() && bundle.audit.is_empty()
}

/// A bundle as it is given out.
#[must_use]
pub fn shown(customer: CustomerHashId, bundle: &Bundle, by: &str, now: Timestamp) -> Value {
    json!({
        "format": FORMAT,
        "customerHashId": customer,
        "exportedAt": now,
        "exportedBy": by,
        "isWhole": !bundle.is_cut,
        "leftOut": LEFT_OUT,
        "appliedAs": bundle.applicants,
        "case": bundle.case.as_ref().map(case),
        "timeline": bundle.timeline,
        "callbacks": bundle.callbacks,
        "effects": bundle.effects.iter().map(effect).collect::<Vec<_>>(),
        "audit": bundle.audit.iter().map(row).collect::<Vec<_>>(),
        "chain": {
            "head": bundle.head.as_ref().map(|head| json!({
                "seq": head.seq, "mac": hex::encode(&head.mac), "keyId": head.key_id,
                "signature": hex::encode(&head.signature),
            })),
            "checkpoint": bundle.checkpoint,
        },
    })
}

fn case(row: &CaseRow) -> Value {
    let case = &row.case;
    json!({
        "state": case.state.name(),
        "stateDetail": case.state,
        "since": case.since,
        "version": case.version,
        "attemptsUsed": case.attempts_used,
        "beside": case.beside,
        "next": row.next.map(|next| json!({ "what": next.what.as_str(), "at": next.at })),
        "nium": row.snapshot.as_ref().map(|kept| json!({ "lookedAt": kept.looked_at, "facts": kept.facts })),
    })
}

fn effect(bundled: &BundledEffect) -> Value {
    let BundledEffect { effect, told, attempts } = bundled;
    let attempts = attempts
        .iter()
        .map(|(number, at, outcome)| json!({ "number": number, "at": at, "outcome": outcome }));
    json!({
        "effectId": effect.key,
        "lane": effect.lane,
        "kind": effect.kind,
        "status": effect.status.as_str(),
        "createdAt": effect.created_at,
        "endedAt": effect.ended_at,
        "outcome": effect.outcome,
        "told": told.as_ref().map(|bytes| String::from_utf8_lossy(bytes)),
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

/// A row with everything by which its commitment and its MAC can be recomputed.
fn row(proven: &ProvenRow) -> Value {
    let mut shown = serde_json::to_value(&proven.row).unwrap_or_default();
    if let (Some(shown), Some(entry)) = (shown.as_object_mut(), &proven.entry) {
        shown.insert("committedDetail".to_owned(), json!(proven.detail));
        shown.insert("salt".to_owned(), json!(entry.salt.as_ref().map(hex::encode)));
        shown.insert("commitment".to_owned(), json!(hex::encode(&entry.commitment)));
        shown.insert("previousMac".to_owned(), json!(proven.previous.as_ref().map(hex::encode)));
        shown.insert("mac".to_owned(), json!(hex::encode(&entry.mac)));
        shown.insert("keyId".to_owned(), json!(entry.key_id));
    }
    shown
}
