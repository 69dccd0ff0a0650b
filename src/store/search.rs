//! Finding customers: by what lies open, and by marks of what is sealed.

use super::Store;
use super::error::StoreError;
use super::rows::search::{CaseFilter, FoundCases, NewMarks, Unmarked};
use super::sql::search;
use crate::domain::id::CustomerHashId;

impl Store {
    /// Cases of a filter in the order of their ids, after `after`; few rows are looked at, however few are found.
    pub async fn find(
        &self,
        filter: CaseFilter,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<FoundCases, StoreError> {
        self.read(move |tx| search::find(tx, &filter, after, most)).await
    }

    /// The states of those among these customers whom we know.
    pub async fn states(
        &self,
        customers: Vec<CustomerHashId>,
    ) -> Result<Vec<(CustomerHashId, String)>, StoreError> {
        self.read(move |tx| search::states(tx, &customers)).await
    }

    /// Snapshots whose marks are not written, in the order of their ids, after `after`.
    pub async fn unmarked(
        &self,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<Vec<Unmarked>, StoreError> {
        self.read(move |tx| search::unmarked(tx, after, most)).await
    }

    /// Law: marks are written for the very snapshot that they were made of, or not at all. Gives how many were.
    pub async fn put_marks(&self, marks: Vec<NewMarks>) -> Result<usize, StoreError> {
        self.write(move |tx| search::put_marks(tx, &marks)).await
    }
}
