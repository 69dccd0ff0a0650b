//! What `doctor` wants to know of a database.

use super::Store;
use super::error::StoreError;
use super::sql::examine;
use crate::domain::id::CustomerHashId;

impl Store {
    /// Name and version of the database, and the number of its schema.
    pub async fn version(&self) -> Result<(String, i64), StoreError> {
        self.read(examine::version).await
    }

    /// A data key whose bytes begin so, with whose it is.
    pub async fn key_beginning(
        &self,
        beginning: Vec<u8>,
    ) -> Result<Option<(CustomerHashId, Vec<u8>)>, StoreError> {
        self.read(move |tx| examine::key_beginning(tx, &beginning)).await
    }

    /// A data key whose bytes begin like none of these.
    pub async fn key_beginning_otherwise(
        &self,
        beginnings: Vec<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |tx| examine::key_beginning_otherwise(tx, &beginnings)).await
    }
}
