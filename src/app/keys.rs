//! The keys that a database needs against those that are configured, before anything is done with either.

use anyhow::bail;

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows::privacy::WrappedRow;
use crate::vault::{Vault, VaultError, WrappedKey};

/// Takes in the audit keys that are kept, and fails with a sentence if a data key could not be opened: a master key is not
/// configured any more, or is another one under the same id.
pub async fn check_keys(store: &Store, vault: &Vault) -> anyhow::Result<()> {
    for used in store.masters(false).await? {
        let open = |row: WrappedRow| {
            vault.unwrap(&row.customer.to_string(), &WrappedKey::from_bytes(row.wrapped)).map(drop)
        };
        let opened: Vec<Result<(), VaultError>> = used.examples.into_iter().map(open).collect();
        let id = used.id;
        // A damaged row is the trouble of one customer.
        if opened.iter().any(Result::is_ok) {
            continue;
        }
        match opened.into_iter().find_map(Result::err) {
            Some(VaultError::UnknownMasterKey(id)) => bail!(
                "data keys on file are wrapped by the master key `{id}`, which is not in privacy.master_keys: put it back \
                 (behind the first), and take it out once `reinstate keys rotate` has left nothing under it"
            ),
            Some(_) => bail!(
                "the master key `{id}` in privacy.master_keys is not the one that the data keys on file are wrapped by: its \
                 bytes are others; put the right key back under this id, and give a new key a new id"
            ),
            None => {}
        }
    }
    adopt_audit_keys(store, vault).await?;
    Ok(())
}

/// Takes in the keys of the audit record that belong to master keys from before.
pub async fn adopt_audit_keys(store: &Store, vault: &Vault) -> Result<(), StoreError> {
    for (id, wrapped) in store.audit_keys().await? {
        if let Err(error) = vault.adopt_audit_key(&id, &WrappedKey::from_bytes(wrapped)) {
            tracing::error!(%error, id, "a key of the audit record cannot be used");
        }
    }
    Ok(())
}
