//! What `doctor` wants to know of a database.

use super::Store;
use super::error::StoreError;
use super::sql::examine;

impl Store {
    /// Name and version of the database, and the number of its schema.
    pub async fn version(&self) -> Result<(String, i64), StoreError> {
        self.read(examine::version).await
    }
}
