//! Erasing people, legal holds, and keys.

use super::error::StoreError;
use super::rows::privacy::{Erased, Erasure, HoldDone, HoldRow, NewHold};
use super::rows::{Once, Recorder};
use super::sql::{erase, holds};
use super::{Backend, Store};
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

    /// Law: whom an earlier record calls erased is erased again, holds and writes under way notwithstanding. False if they
    /// are erased.
    pub async fn erase_again(&self, erasure: Erasure) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let done = self.write(move |tx| erase::erase_again(tx, &erasure, now)).await?;
        self.overwrite_the_past();
        Ok(done)
    }

    /// What was deleted stands in the write-ahead log of an SQLite database until that is begun anew.
    fn overwrite_the_past(&self) {
        if let Backend::Sqlite(store) = &self.backend {
            store.empty_the_log();
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

    /// The legal hold on a customer, if one is set.
    pub async fn hold(&self, customer: CustomerHashId) -> Result<Option<HoldRow>, StoreError> {
        self.read(move |tx| holds::hold(tx, customer)).await
    }
}
