//! Finding customers: by what lies open, and by marks of what is sealed.

use super::Store;
use super::error::StoreError;
use super::rows::search::{CaseFilter, Everybody, FoundCases, NewMarks, Place, Unmarked};
use super::sql::search;
use crate::domain::id::CustomerHashId;
use crate::domain::view::View;

impl Store {
    /// Cases of a filter in the order of their ids or of a view, after `after`; few rows are looked at, however few are
    /// found.
    pub async fn find(
        &self,
        filter: CaseFilter,
        after: Option<Place>,
        most: usize,
    ) -> Result<FoundCases, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| search::find(tx, &filter, after.as_ref(), most, now)).await
    }

    /// Those who fit a filter after `after`, as far as one look reaches, with what an act on many needs.
    pub async fn everybody(&self, filter: CaseFilter, after: Option<Place>) -> Result<Everybody, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| search::everybody(tx, &filter, after.as_ref(), now)).await
    }

    /// How many stand in each view, each counted to `most` at most.
    pub async fn count_views(&self, most: usize) -> Result<[usize; 3], StoreError> {
        let now = self.clock.now();
        self.read(move |tx| {
            let mut counts = [0; 3];
            for (count, view) in counts.iter_mut().zip(View::ALL) {
                *count = search::count_view(tx, view, most, now)?;
            }
            Ok(counts)
        })
        .await
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
