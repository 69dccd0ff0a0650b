//! What is of no more use goes: the files of documents once Nium has accepted the customer, what a closed case needed, and
//! whoever applied and never became a customer.
//! In small steps with a rest between, so that no callback waits for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{WorkError, Worker};
use crate::domain::onboarding::drop_files;
use crate::metrics::Erasing;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows::privacy::KeptFiles;
use crate::vault::Place;

/// How often it is looked whether documents can go, in the machine's time.
const EVERY: Duration = Duration::from_secs(5);
/// Applications that lose their files in one transaction: each may be megabytes.
const FILES_STEP: usize = 5;
/// Closed cases that are looked at in one transaction.
const CLOSED_STEP: usize = 50;
/// The rest after a step.
const REST: Duration = Duration::from_millis(20);
/// Applicants that are erased before a rest; each in a transaction of their own.
const APPLICANTS_STEP: usize = 20;
/// How often the closed cases and the applicants are gone through.
const CLOSED_EVERY: Duration = Duration::from_hours(24);

/// Runs until `soft` is cancelled.
pub async fn keep(worker: Arc<Worker>, soft: CancellationToken) {
    let mut gone_through = None;
    while !soft.is_cancelled() {
        if worker.is_on_duty().await {
            tokio::select! {
                kept = step(&worker, &mut gone_through) => if let Err(error) = kept {
                    tracing::warn!(%error, "what is of no more use could not all go; it is tried again");
                },
                () = soft.cancelled() => return,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

async fn step(worker: &Worker, gone_through: &mut Option<Timestamp>) -> Result<(), WorkError> {
    while worker.documents().await? == FILES_STEP {
        tokio::time::sleep(REST).await;
    }
    let now = worker.clock.now();
    let again_at = gone_through.map(|at| at.saturating_add(CLOSED_EVERY).unwrap_or(Timestamp::MAX));
    if again_at.is_none_or(|at| at <= now) {
        if let Some(kept) = worker.options.keep_closed {
            closed(worker, kept).await?;
        }
        if let Some(kept) = worker.options.keep_applicants {
            applicants(worker, kept).await?;
        }
        *gone_through = Some(now);
    }
    Ok(())
}

async fn closed(worker: &Worker, kept: Duration) -> Result<(), StoreError> {
    for state in Store::ends() {
        let mut after = Some((i64::MIN, Vec::new()));
        while let Some(place) = after {
            after = worker.store.clear_closed(state, kept, place, CLOSED_STEP).await?;
            tokio::time::sleep(REST).await;
        }
    }
    Ok(())
}

async fn applicants(worker: &Worker, kept: Duration) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let found = worker.store.ended_applicants(kept, after, APPLICANTS_STEP).await?;
        for applicant in &found {
            if worker.store.erase_applicant(*applicant, kept).await? {
                worker.metrics.erased(Erasing::Retention);
            }
        }
        after = found.last().copied();
        if after.is_none() {
            return Ok(());
        }
        tokio::time::sleep(REST).await;
    }
}

impl Worker {
    /// Takes the files out of a few applications. Gives how many there were.
    async fn documents(&self) -> Result<usize, WorkError> {
        let found = self.store.files_to_drop(self.options.keep_documents, FILES_STEP).await?;
        let (many, mut rows) = (found.len(), Vec::new());
        for kept in found {
            let without = match self.without_files(&kept).await {
                Ok(without) => Some(without),
                Err(error @ (WorkError::Vault(_) | WorkError::Unreadable(_))) => {
                    tracing::error!(customer = %kept.customer, %error, "an application does not open; it stays as it is");
                    None
                }
                // Who was erased meanwhile has none.
                Err(WorkError::Store(StoreError::Erased)) => continue,
                Err(error) => return Err(error),
            };
            rows.push((kept, without));
        }
        // Customers are locked in the order of their ids.
        rows.sort_by_key(|(kept, _)| kept.customer);
        if !rows.is_empty() {
            self.store.drop_files(rows).await?;
        }
        Ok(many)
    }

    async fn without_files(&self, kept: &KeptFiles) -> Result<Vec<u8>, WorkError> {
        let key = self.data_key(kept.customer).await?;
        let place = Place { table: "application", column: "sealed", row: kept.customer.to_string() };
        let mut application: Value = serde_json::from_slice(&key.open(&place, &kept.sealed)?)?;
        drop_files(&mut application);
        Ok(key.seal(&place, &serde_json::to_vec(&application)?)?)
    }
}
