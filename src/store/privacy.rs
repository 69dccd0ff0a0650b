//! Erasing people, legal holds, and keys.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::error::StoreError;
use super::rows::privacy::{
    ClosedPlace, Erased, Erasure, HoldDone, HoldRow, KeptFiles, MasterUse, NewHold, Rewrapped, WrappedRow,
};
use super::rows::{Once, Recorder};
use super::sql::{erase, holds, keys, retain};
use super::tx::Tx;
use super::{Backend, Store};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;

impl Store {
    /// Law: somebody is erased as a whole or not at all: their data key, what it sealed, and what else tells of them. Not
    /// while a write about them is on its way to Nium, and not while a legal hold is set. Erased twice is as once.
    pub async fn erase(
        &self,
        customer: CustomerHashId,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<Erased>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let done = self.write(move |tx| erase::erase(tx, customer, &by, recorder.as_ref(), now)).await?;
        self.overwrite_the_past();
        Ok(done)
    }

    /// Law: an onboarding that led to no customer is erased as a person is, on the same terms.
    pub async fn erase_onboarding(
        &self,
        key: EffectKey,
        by: &str,
        recorder: Option<Recorder>,
    ) -> Result<Once<Erased>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let work = move |tx: &Tx<'_>| erase::erase_onboarding(tx, &key, &by, recorder.as_ref(), now);
        let done = self.write(work).await?;
        self.overwrite_the_past();
        Ok(done)
    }

    /// Whose onboarding ended without a customer more than `age` ago: the `most` that stand after `after`.
    pub async fn ended_applicants(
        &self,
        age: Duration,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<Vec<CustomerHashId>, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.read(move |tx| erase::ended_applicants(tx, before, after, most)).await
    }

    /// Law: an applicant is erased by the rule only while their onboarding is one that ended so. False if it is none.
    pub async fn erase_applicant(
        &self,
        applicant: CustomerHashId,
        age: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let before = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let done = self.write(move |tx| erase::erase_applicant(tx, applicant, before, now)).await?;
        self.overwrite_the_past();
        Ok(done)
    }

    /// Law: whom an earlier record calls erased is erased again, holds and writes under way notwithstanding. False if they
    /// are erased.
    pub async fn erase_again(&self, erasure: Erasure) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let done = self.write(move |tx| erase::erase_again(tx, &erasure, now)).await?;
        self.overwrite_the_past();
        Ok(done)
    }

    /// What was deleted stands in the write-ahead log of an SQLite database until that is begun anew. PostgreSQL overwrites
    /// it in its own time, with VACUUM.
    fn overwrite_the_past(&self) {
        if let Backend::Sqlite(store) = &self.backend {
            store.empties.store(true, Ordering::Relaxed);
        }
    }

    /// That, when and by whom somebody was erased.
    pub async fn erasure(&self, customer: CustomerHashId) -> Result<Option<Erasure>, StoreError> {
        self.read(move |tx| erase::erasure(tx, customer)).await
    }

    /// Erasures after number `after`, in order, each with its number.
    pub async fn erasures(&self, after: i64, most: usize) -> Result<Vec<(i64, Erasure)>, StoreError> {
        self.read(move |tx| erase::after(tx, after, most)).await
    }

    /// Law: a legal hold is set or lifted with who did it and why on record.
    pub async fn change_hold(
        &self,
        hold: NewHold,
        recorder: Option<Recorder>,
    ) -> Result<Once<HoldDone>, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| holds::change(tx, &hold, recorder.as_ref(), now)).await
    }

    /// Applications that may hold documents of customers whom Nium accepted `age` ago or earlier.
    pub async fn files_to_drop(&self, age: Duration, most: usize) -> Result<Vec<KeptFiles>, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.read(move |tx| retain::files_to_drop(tx, before, most)).await
    }

    /// Law: an application loses its files only while it is the one that was read. Gives how many changed.
    pub async fn drop_files(&self, rows: Vec<(KeptFiles, Option<Vec<u8>>)>) -> Result<usize, StoreError> {
        self.write(move |tx| retain::drop_files(tx, &rows)).await
    }

    /// The states in which a case has come to an end.
    #[must_use]
    pub fn ends() -> &'static [&'static str] {
        &retain::CLOSED
    }

    /// Law: of the `most` cases that came to this end more than `age` ago and stand after `after`, what they need no more
    /// goes; nothing of anybody under a legal hold. Gives where to go on; `None` at the end.
    pub async fn clear_closed(
        &self,
        state: &'static str,
        age: Duration,
        after: ClosedPlace,
        most: usize,
    ) -> Result<Option<ClosedPlace>, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.write(move |tx| retain::clear_closed(tx, state, before, &after, most)).await
    }

    /// The master keys that wrap anything; with how many data keys each, if `counted`.
    pub async fn masters(&self, counted: bool) -> Result<Vec<MasterUse>, StoreError> {
        self.read(move |tx| keys::masters(tx, counted)).await
    }

    /// Data keys in the order of their customers, after one of them.
    pub async fn wrapped_keys(
        &self,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<Vec<WrappedRow>, StoreError> {
        self.read(move |tx| keys::wrapped(tx, after, most)).await
    }

    /// Law: a key is wrapped anew only if it is the one that was read: who was erased meanwhile stays so. Gives how many.
    pub async fn rewrap(&self, rows: Vec<Rewrapped>) -> Result<usize, StoreError> {
        self.write(move |tx| keys::rewrap(tx, &rows)).await
    }

    /// The keys of the audit record's MACs, by the ids of their master keys, wrapped.
    pub async fn audit_keys(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(keys::audit_keys).await
    }

    /// Keeps those keys, in place of what was kept of each.
    pub async fn put_audit_keys(&self, keys: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        self.write(move |tx| keys::put_audit_keys(tx, &keys)).await
    }

    /// The legal hold on a customer, if one is set.
    pub async fn hold(&self, customer: CustomerHashId) -> Result<Option<HoldRow>, StoreError> {
        self.read(move |tx| holds::hold(tx, customer)).await
    }
}
