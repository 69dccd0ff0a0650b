//! The keys that a database needs against those that are configured, before anything is done with either.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

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

/// How often it is looked whether the database is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same for a database that is away when the service starts: once it is there, the service stops if the keys are not
/// those that it needs.
pub(super) async fn check_later(
    store: Arc<Store>,
    vault: Arc<Vault>,
    soft: CancellationToken,
) -> Result<(), String> {
    loop {
        if store.ready().await.is_ok() {
            check_keys(&store, &vault).await.map_err(|error| error.to_string())?;
            soft.cancelled().await;
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = soft.cancelled() => return Ok(()),
        }
    }
}
