//! Work that is stuck, and sweeps: what is listed, and what an operator may set going again.

use serde::Serialize;
use serde_json::{Value, json};

use jiff::Timestamp;

use super::officer::in_hand;
use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::store::rows::watch::{JobFilter, JobKind, JobPlace, JobRow, JobStatus, Retried, SweepRow};

/// One piece of work as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    #[serde(skip)]
    place: JobPlace,
    kind: JobKind,
    status: JobStatus,
    customer_hash_id: Option<CustomerHashId>,
    since: Timestamp,
    age_seconds: i64,
    due_at: Option<Timestamp>,
    attempts: u32,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    officer: Option<Value>,
}

impl JobView {
    /// Where it stands in the list.
    #[must_use]
    pub fn place(&self) -> JobPlace {
        self.place
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// About whom; `None` where it is about the service itself.
    #[must_use]
    pub fn customer(&self) -> Option<CustomerHashId> {
        self.customer_hash_id
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When it is tried next.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    /// Attempts so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why it stands so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl Ops {
    /// Jobs of a filter, after a place.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobPlace>,
        most: usize,
    ) -> Result<Vec<JobView>, OpsError> {
        let now = self.clock.now();
        let jobs = self.store.jobs(filter, after, most).await?;
        Ok(jobs.into_iter().map(|job| view(job, now)).collect())
    }

    /// How many jobs a retry would take; nothing is done.
    pub async fn count_jobs(&self, filter: JobFilter) -> Result<usize, OpsError> {
        Ok(self.store.count_jobs(filter).await?)
    }

    /// Sets the jobs of a filter going again, if there are as many as `expected`.
    pub async fn retry_jobs(
        &self,
        filter: JobFilter,
        expected: usize,
        by: &str,
        body: &[u8],
        once: Option<&Once>,
    ) -> Result<Answered, OpsError> {
        let receipt = self.receipt(once, body, ACCEPTED).await?;
        let done = self.store.retry_jobs(filter, expected, by, receipt.recorder()).await?;
        receipt.answer(done, |retried| match retried {
            Retried::Done(count) => Ok(json!({ "retried": count })),
            Retried::Moved(count) => Err(OpsError::CountChanged(count)),
        })
    }

    /// Sweeps, newest first, before number `before`.
    pub async fn sweeps(&self, before: Option<i64>, most: usize) -> Result<Vec<SweepRow>, OpsError> {
        Ok(self.store.sweeps(before, most).await?)
    }

    /// Begins a sweep, or answers with the one that runs.
    pub async fn ask_sweep(&self, by: &str, body: &[u8], once: Option<&Once>) -> Result<Answered, OpsError> {
        let receipt = self.receipt(once, body, ACCEPTED).await?;
        let done = self.store.ask_sweep(by, receipt.recorder()).await?;
        receipt.answer(done, |(row, _)| Ok(serde_json::to_value(row)?))
    }
}

fn view(job: JobRow, now: Timestamp) -> JobView {
    let about = Some(job.customer).filter(|customer| *customer != CustomerHashId::NOBODY);
    JobView {
        place: job.place,
        kind: job.kind,
        status: job.status,
        customer_hash_id: about,
        since: job.since,
        age_seconds: now.duration_since(job.since).as_secs().max(0),
        due_at: job.due_at,
        attempts: job.attempts,
        reason: job.reason,
        officer: job.in_hand.as_ref().map(|row| in_hand(row, None)),
    }
}
