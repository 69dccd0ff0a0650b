//! Finding customers: by what lies open, and by marks of what is sealed.

use super::error::StoreError;
use super::rows::search::{CaseFilter, FoundCases, NewMarks, Unmarked};
use super::{Backend, Store};
use crate::domain::id::CustomerHashId;

impl Store {
    /// Cases of a filter in the order of their ids, after `after`; few rows are looked at, however few are found.
    pub async fn find(
        &self,
        filter: CaseFilter,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<FoundCases, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.find(filter, after, most).await
    }

    /// The states of those among these customers whom we know.
    pub async fn states(
        &self,
        customers: Vec<CustomerHashId>,
    ) -> Result<Vec<(CustomerHashId, String)>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.states(customers).await
    }

    /// Snapshots whose marks are not written, in the order of their ids, after `after`.
    pub async fn unmarked(
        &self,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<Vec<Unmarked>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.unmarked(after, most).await
    }

    /// Law: marks are written for the very snapshot that they were made of, or not at all. Gives how many were.
    pub async fn put_marks(&self, marks: Vec<NewMarks>) -> Result<usize, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.put_marks(marks).await
    }
}
