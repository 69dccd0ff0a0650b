//! What the service notices by itself: walks over Nium's list, callbacks that never came, work that is stuck.

use super::Store;
use super::error::StoreError;
use super::rows::events::NewTell;
use super::rows::watch::{
    JobFilter, JobPlace, JobRow, Judged, Retried, Silence, SweepRow, SweepTrouble, SweptPage,
};
use super::rows::{Once, Recorder};
use super::sql::{findings, jobs, sweeps};
use super::tx::Tx;

impl Store {
    /// The sweep that runs.
    pub async fn sweep_running(&self) -> Result<Option<SweepRow>, StoreError> {
        self.read(sweeps::running).await
    }

    /// The sweep that was asked for last.
    pub async fn newest_sweep(&self) -> Result<Option<SweepRow>, StoreError> {
        self.read(sweeps::newest).await
    }

    /// Sweeps, newest first, before number `before`.
    pub async fn sweeps(&self, before: Option<i64>, most: usize) -> Result<Vec<SweepRow>, StoreError> {
        self.read(move |tx| sweeps::list(tx, before, most)).await
    }

    /// Law: one sweep runs at a time; whoever asks while one runs gets that one. True: it begins with this call.
    pub async fn ask_sweep(
        &self,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<(SweepRow, bool)>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let asked = self.write(move |tx| sweeps::ask(tx, &by, recorder.as_ref(), now)).await?;
        self.ring();
        Ok(asked)
    }

    /// Law: what a page shows is written once, with how far the sweep has come. Gives about how many customers it said
    /// something new; `None`: the sweep has moved on without this page.
    pub async fn swept(&self, page: SweptPage) -> Result<Option<u64>, StoreError> {
        let now = self.clock.now();
        let written = self.write(move |tx| sweeps::page(tx, &page, now)).await?;
        self.ring();
        Ok(written)
    }

    /// Law: a page that could not be read changes nothing but how its sweep goes on. `why` holds nothing personal.
    pub async fn sweep_trouble(
        &self,
        before: SweepRow,
        trouble: SweepTrouble,
        why: &str,
    ) -> Result<(), StoreError> {
        let (why, now) = (why.to_owned(), self.clock.now());
        self.write(move |tx| sweeps::trouble(tx, &before, &trouble, &why, now)).await
    }

    /// Jobs of a filter, after a place, in the order of `JobKind::ALL`.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobPlace>,
        most: usize,
    ) -> Result<Vec<JobRow>, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| jobs::list(tx, &filter, after.as_ref(), most, now)).await
    }

    /// How many jobs a retry would take now.
    pub async fn count_jobs(&self, filter: JobFilter) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| jobs::count(tx, &filter, now)).await
    }

    /// Law: a retry takes just as many jobs as were counted, or none; each begins with a fresh budget of attempts.
    pub async fn retry_jobs(
        &self,
        filter: JobFilter,
        expected: usize,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<Retried>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let work = move |tx: &Tx<'_>| jobs::retry_once(tx, &filter, expected, &by, recorder.as_ref(), now);
        let retried = self.write(work).await?;
        self.ring();
        Ok(retried)
    }

    /// Law: a finding is judged once, not before its time, at most `most` in one transaction.
    pub async fn judge(&self, most: usize) -> Result<Judged, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| findings::judge(tx, now, most)).await
    }

    /// What is known of callbacks that should have come.
    pub async fn silence(&self) -> Result<Silence, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| findings::silence(tx, now)).await
    }

    /// Law: the alarm is raised once and lifted once, each together with the word about it. False: it stood so already.
    pub async fn alarm(&self, raised: bool, tell: Option<NewTell>) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let changed = self.write(move |tx| findings::alarm(tx, raised, tell.as_ref(), now)).await?;
        self.ring();
        Ok(changed)
    }
}
