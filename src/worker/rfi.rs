//! What Nium asks of a customer is fetched with every look that says so, before anything is decided about it: whether this is
//! another request than the last one can only be told by its items.

use super::inbox::Attendance;
use super::{WorkError, Worker};
use crate::domain::id::CustomerHashId;
use crate::domain::rfi::{RfiItem, mark_of};
use crate::domain::snapshot::{CustomerKind, Snapshot};
use crate::domain::status::Compliance;
use crate::nium::error::LookError;
use crate::store::rows::RfiChange;
use crate::vault::{DataKey, Place};

/// What a look found out about requests for information.
#[derive(Debug)]
pub(super) enum RfiSeen {
    /// Nium asks for nothing.
    NotAsked,
    /// It asks for this.
    Asked(Vec<RfiItem>),
    /// It asks, and what for could not be had now.
    NotHad,
}

impl RfiSeen {
    /// Tells this request from the next.
    pub(super) fn mark(&self) -> Option<u32> {
        match self {
            Self::Asked(items) => mark_of(items),
            Self::NotAsked | Self::NotHad => None,
        }
    }
}

impl Worker {
    /// Asks Nium what it wants to know, if the look that was just made says that it does. A failure here never loses what
    /// the look saw.
    pub(super) async fn what_is_asked(&self, attendance: &Attendance, seen: &Snapshot) -> RfiSeen {
        if seen.facts.compliance != Some(Compliance::RfiRequested) {
            return RfiSeen::NotAsked;
        }
        let permit = self.nium.permit(attendance.class).await;
        if !self.has_time(&attendance.lease) {
            return RfiSeen::NotHad;
        }
        let company =
            (seen.facts.kind == CustomerKind::Corporate).then(|| seen.company.clone().unwrap_or_default());
        let customer = attendance.lease.customer;
        match self.nium.rfi(customer, company.as_ref(), self.chance.uuid(), permit).await {
            Ok(items) => RfiSeen::Asked(items),
            Err(LookError::Trouble(trouble)) => {
                self.pause_lane(&trouble, self.clock.now());
                RfiSeen::NotHad
            }
            Err(LookError::Unreadable(why)) => {
                tracing::warn!(%customer, why, "what Nium asks cannot be read; it is asked again");
                RfiSeen::NotHad
            }
            Err(LookError::NotFound) => RfiSeen::Asked(Vec::new()),
        }
    }

    /// What is kept of it.
    pub(super) fn kept_rfi(
        key: &DataKey,
        customer: CustomerHashId,
        seen: &RfiSeen,
    ) -> Result<RfiChange, WorkError> {
        Ok(match seen {
            RfiSeen::NotAsked => RfiChange::Drop,
            RfiSeen::NotHad => RfiChange::Keep,
            RfiSeen::Asked(items) => {
                let place = Place { table: "rfi", column: "sealed", row: customer.to_string() };
                RfiChange::Put(key.seal(&place, &serde_json::to_vec(items)?)?)
            }
        })
    }
}
