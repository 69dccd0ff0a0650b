//! The keys that a database needs against those that are configured, before anything is done with either.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::metrics::WorkMetrics;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows::privacy::WrappedRow;
use crate::vault::{Vault, VaultError, WrappedKey};
use crate::worker::erasures;

/// Takes in the audit keys that are kept, and fails with a sentence if a data key could not be opened: a master key is not
/// configured any more, or is another one under the same id.
pub async fn check_keys(store: &Store, vault: &Vault) -> anyhow::Result<()> {
    for used in store.masters(false).await? {
        let open =
            |row: WrappedRow| vault.check(&row.customer.to_string(), &WrappedKey::from_bytes(row.wrapped));
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

/// How long a starting replica waits for the database before it goes on without.
const START_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether the database is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is compared with the database before anything is done with it: keys, and who was erased.
pub(super) struct Comparison {
    pub(super) store: Arc<Store>,
    pub(super) vault: Arc<Vault>,
    pub(super) erasure_file: PathBuf,
    pub(super) metrics: WorkMetrics,
}

impl Comparison {
    /// False: the database cannot be used yet, and no data key is given out until [`Comparison::later`] has made up for it.
    /// Fails if the keys are not those that the database needs.
    pub(super) async fn now(&self) -> anyhow::Result<bool> {
        self.vault.hold_back();
        if !is_ready(&self.store).await? {
            return Ok(false);
        }
        self.compare().await
    }

    /// The same for a database that is away when the service starts. Opens `checked` once it is there; the service stops if
    /// the keys are not those that it needs.
    pub(super) async fn later(
        self,
        checked: CancellationToken,
        soft: CancellationToken,
    ) -> Result<(), String> {
        loop {
            let is_there = self.store.ready().await.is_ok();
            if is_there && self.compare().await.map_err(|error| format!("{error:#}"))? {
                tracing::info!("the database is there, and the master keys are those that it needs");
                checked.cancel();
                soft.cancelled().await;
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = soft.cancelled() => return Ok(()),
            }
        }
    }

    /// False if the database went away meanwhile.
    async fn compare(&self) -> anyhow::Result<bool> {
        let done = async {
            check_keys(&self.store, &self.vault).await?;
            erasures::apply(&self.store, &self.erasure_file, &self.metrics).await
        };
        match done.await {
            Ok(()) => {
                self.vault.trust();
                Ok(true)
            }
            Err(error) if error.downcast_ref().is_some_and(StoreError::is_away) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the database can be used; it may come later, but not if it is one that we may not work on.
async fn is_ready(store: &Store) -> anyhow::Result<bool> {
    // A step of a migration may take minutes: nobody waits for it, or the service would be taken for dead.
    let ready = tokio::time::timeout(START_WAIT, store.ready()).await;
    match ready.unwrap_or_else(|_| Err(StoreError::Unavailable("it has not answered yet".to_owned()))) {
        Ok(()) => Ok(true),
        Err(
            error @ (StoreError::Newer { .. }
            | StoreError::HalfACopy
            | StoreError::Moving
            | StoreError::NotDurable),
        ) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "the database cannot be used yet; callbacks are spooled until it can");
            Ok(false)
        }
    }
}
