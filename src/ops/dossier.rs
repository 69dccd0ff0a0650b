//! What an officer reads about one customer: the case as it stands, and, when asked for, what is personal. That somebody
//! read that is recorded.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::correction::difference_place;
use super::{Ops, OpsError};
use crate::domain::documents;
use crate::domain::effect::EffectStatus;
use crate::domain::id::CustomerHashId;
use crate::store::rows::CaseRow;

/// Corrections that are shown at most: the newest.
const CORRECTIONS_MAX: usize = 10;
/// What the record says when somebody has read what is personal.
pub const SHOWN: &str = "personal_data_shown";

/// A correction with what it changed.
pub struct Corrected {
    /// When it was handed in.
    pub at: Timestamp,
    /// How far it got.
    pub status: EffectStatus,
    /// A short word on the outcome.
    pub outcome: Option<String>,
    /// The fields with what they were and became; `None` where that was not kept, or cannot be read.
    pub changes: Option<Vec<Change>>,
}

/// A field that a correction changed.
pub struct Change {
    /// Its name in Unified Add Customer.
    pub field: String,
    /// What was on file.
    pub from: Option<Value>,
    /// What was sent.
    pub to: Option<Value>,
}

/// What is personal about a customer.
pub struct Personal {
    /// The application on file, files as their descriptors; empty where there is none.
    pub application: Map<String, Value>,
    /// What Nium has on file, as far as it can be sent back.
    pub at_nium: Map<String, Value>,
    /// The corrections, newest first.
    pub corrections: Vec<Corrected>,
    /// The customer's key was erased, or never was.
    pub nothing_sealed: bool,
}

impl Ops {
    /// The case of a customer with what Nium said last.
    pub async fn standing(&self, customer: CustomerHashId) -> Result<CaseRow, OpsError> {
        self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)
    }

    /// What is personal about a customer. That `by` has read it is on record before it is given out.
    pub async fn personal(&self, customer: CustomerHashId, by: &str) -> Result<Personal, OpsError> {
        let row = self.standing(customer).await?;
        self.store.note(by, Some(customer), SHOWN, json!({})).await?;
        let mut personal = Personal {
            application: Map::new(),
            at_nium: Map::new(),
            corrections: Vec::new(),
            nothing_sealed: true,
        };
        let Some(key) = self.existing_data_key(customer).await? else { return Ok(personal) };
        personal.nothing_sealed = false;
        if let Some(application) = self.application(customer, &key).await? {
            let shown = |(name, value): (&String, &Value)| {
                let is_files = name == documents::FIELD;
                (name.clone(), if is_files { documents::describe(value) } else { value.clone() })
            };
            personal.application = application.as_map().iter().map(shown).collect();
        }
        if let Some(kept) = &row.snapshot
            && let Some(seen) = self.open_snapshot(customer, kept).await?
        {
            personal.at_nium = seen.profile;
        }
        for kept in self.store.corrections(customer, CORRECTIONS_MAX).await? {
            let changes = kept.sealed.as_deref().and_then(|sealed| {
                let plain = key.open(&difference_place(&kept.effect), sealed).ok()?;
                serde_json::from_slice::<Vec<Map<String, Value>>>(&plain).ok()
            });
            let changes = changes.map(|changes| changes.into_iter().filter_map(change).collect());
            let (at, status, outcome) = (kept.at, kept.status, kept.outcome);
            personal.corrections.push(Corrected { at, status, outcome, changes });
        }
        Ok(personal)
    }
}

fn change(mut parts: Map<String, Value>) -> Option<Change> {
    let mut part = |name: &str| parts.remove(name).filter(|value| !value.is_null());
    let field = part("field")?.as_str()?.to_owned();
    Some(Change { field, from: part("from"), to: part("to") })
}
