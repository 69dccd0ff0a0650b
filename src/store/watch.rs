//! What the service notices by itself: walks over Nium's list, callbacks that never came, work that is stuck.

use super::error::StoreError;
use super::rows::watch::{
    JobFilter, JobPlace, JobRow, Judged, Retried, Silence, SweepRow, SweepTrouble, SweptPage,
};
use super::rows::{NewTell, Once, Recorder};
use super::{Backend, Store};

impl Store {
    /// The sweep that runs.
    pub async fn sweep_running(&self) -> Result<Option<SweepRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.sweep_running().await
    }

    /// The sweep that was asked for last.
    pub async fn newest_sweep(&self) -> Result<Option<SweepRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.newest_sweep().await
    }

    /// Sweeps, newest first, before number `before`.
    pub async fn sweeps(&self, before: Option<i64>, most: usize) -> Result<Vec<SweepRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.sweeps(before, most).await
    }

    /// Law: one sweep runs at a time; whoever asks while one runs gets that one. True: it begins with this call.
    pub async fn ask_sweep(
        &self,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<(SweepRow, bool)>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let asked = store.ask_sweep(by.to_owned(), recorder, self.clock.now()).await?;
        self.wake.wake();
        Ok(asked)
    }

    /// Law: what a page shows is written once, with how far the sweep has come. False: it has moved on without this page.
    pub async fn swept(&self, page: SweptPage) -> Result<bool, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let written = store.swept(page, self.clock.now()).await?;
        self.wake.wake();
        Ok(written)
    }

    /// Law: a page that could not be read changes nothing but how its sweep goes on. `why` holds nothing personal.
    pub async fn sweep_trouble(
        &self,
        before: SweepRow,
        trouble: SweepTrouble,
        why: &str,
    ) -> Result<(), StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.sweep_trouble(before, trouble, why.to_owned(), self.clock.now()).await
    }

    /// Jobs of a filter, after a place, in the order of `JobKind::ALL`.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<JobPlace>,
        most: usize,
    ) -> Result<Vec<JobRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.jobs(filter, after, most, self.clock.now()).await
    }

    /// How many jobs a retry would take now.
    pub async fn count_jobs(&self, filter: JobFilter) -> Result<usize, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.count_jobs(filter, self.clock.now()).await
    }

    /// Law: a retry takes just as many jobs as were counted, or none; each begins with a fresh budget of attempts.
    pub async fn retry_jobs(
        &self,
        filter: JobFilter,
        expected: usize,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<Retried>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let retried = store.retry_jobs(filter, expected, by.to_owned(), recorder, self.clock.now()).await?;
        self.wake.wake();
        Ok(retried)
    }

    /// Law: a finding is judged once, not before its time, at most `most` in one transaction.
    pub async fn judge(&self, most: usize) -> Result<Judged, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.judge(self.clock.now(), most).await
    }

    /// What is known of callbacks that should have come.
    pub async fn silence(&self) -> Result<Silence, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.silence(self.clock.now()).await
    }

    /// Law: the alarm is raised once and lifted once, each together with the word about it. False: it stood so already.
    pub async fn alarm(&self, raised: bool, tell: Option<NewTell>) -> Result<bool, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let changed = store.alarm(raised, tell, self.clock.now()).await?;
        self.wake.wake();
        Ok(changed)
    }
}
