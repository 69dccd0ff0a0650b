//! `reinstate keys list|rotate`: opens the store itself, beside a running service.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::USAGE;
use super::audit::with_store;
use crate::app::{adopt_audit_keys, open_vault};
use crate::config::{Config, Sources};
use crate::domain::audit::COMMAND_LINE;
use crate::domain::id::CustomerHashId;
use crate::store::Store;
use crate::store::rows::privacy::{Rewrapped, WrappedRow};
use crate::vault::{Vault, VaultError, WrappedKey};

/// Data keys that are wrapped anew in one transaction.
const STEP: usize = 200;
/// The rest after a step: callbacks have the database most of the time.
const REST: Duration = Duration::from_millis(20);
/// Steps between two lines of progress.
const TELL_EVERY: usize = 50;

#[derive(Subcommand, Clone, Copy, Debug)]
pub(super) enum Command {
    /// Say how many data keys each master key wraps, and which of them are configured.
    ///
    /// Example: reinstate keys list
    #[command(verbatim_doc_comment)]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Wrap every data key anew by the first master key, while the service runs.
    ///
    /// First put the new key before the old one in privacy.master_keys and restart every `reinstate serve`. Then run this; when
    /// it is interrupted, run it again. Once it leaves nothing under the old key, take that out of the configuration, restart
    /// again, and destroy it: backups from before cannot be read any more then, by anybody. The audit record can be checked
    /// without it. Exit 1: something is left under another key, and is named.
    ///
    /// Example: reinstate keys rotate
    #[command(verbatim_doc_comment)]
    Rotate,
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    let config = Config::load_for_store(sources)?;
    let Ok(vault) = open_vault(&config.master_keys) else {
        eprintln!("reinstate: privacy.master_keys is needed");
        return Ok(USAGE);
    };
    match command {
        Command::List { json } => with_store(&config, async |store| list(store, &vault, json).await),
        Command::Rotate => with_store(&config, async |store| rotate(store, &vault).await),
    }
}

async fn list(store: &Store, vault: &Vault, as_json: bool) -> anyhow::Result<u8> {
    let used = store.masters(true).await?;
    let ids = vault.ids();
    if as_json {
        let rows = used.iter().map(|used| {
            let (id, keys) = (&used.id, used.keys);
            json!({ "id": id, "dataKeys": keys, "configured": ids.contains(&id.as_str()), "seals": *id == vault.audit_key() })
        });
        println!("{}", json!({ "items": rows.collect::<Vec<_>>(), "configured": ids }));
        return Ok(0);
    }
    for id in &ids {
        let keys = used.iter().find(|used| used.id == *id).map_or(0, |used| used.keys);
        let seals = if *id == vault.audit_key() { ", wraps what is new" } else { "" };
        println!("{id}: {keys} data keys{seals}");
    }
    for used in used.iter().filter(|used| !ids.contains(&used.id.as_str())) {
        println!("{}: {} data keys, and not configured", used.id, used.keys);
    }
    Ok(0)
}

async fn rotate(store: &Store, vault: &Vault) -> anyhow::Result<u8> {
    // First what the record is checked with: without it the old key could not be taken away.
    adopt_audit_keys(store, vault).await?;
    let audit = vault.audit_keys()?.into_iter().map(|(id, wrapped)| (id, wrapped.as_bytes().to_vec()));
    store.put_audit_keys(audit.collect()).await?;
    let (mut after, mut done, mut seen, mut steps) = (None, 0, 0_usize, 0_usize);
    loop {
        let rows = store.wrapped_keys(after, STEP).await?;
        let Some(last) = rows.last().map(|row| row.customer) else { break };
        (after, seen, steps) = (Some(last), seen + rows.len(), steps + 1);
        let anew: Vec<Rewrapped> = rows.into_iter().filter_map(|row| anew(vault, row)).collect();
        if !anew.is_empty() {
            done += store.rewrap(anew).await?;
            tokio::time::sleep(REST).await;
        }
        if steps.is_multiple_of(TELL_EVERY) {
            eprintln!("{seen} data keys seen, {done} wrapped anew");
        }
    }
    let left: Vec<_> =
        store.masters(true).await?.into_iter().filter(|used| used.id != vault.audit_key()).collect();
    let detail = json!({
        "to": vault.audit_key(), "rewrapped": done,
        "left": left.iter().map(|used| json!({ "id": used.id, "dataKeys": used.keys })).collect::<Vec<_>>(),
    });
    store.note(COMMAND_LINE, None, "keys_rotated", detail).await?;
    println!("{seen} data keys seen, {done} wrapped anew by {}", vault.audit_key());
    for used in &left {
        println!("{}: {} data keys are left", used.id, used.keys);
    }
    if left.is_empty() {
        println!("nothing is left under another key");
    }
    Ok(u8::from(!left.is_empty()))
}

/// A key wrapped anew; `None` where it is by the first already, or cannot be opened, which is said.
fn anew(vault: &Vault, row: WrappedRow) -> Option<Rewrapped> {
    let owner = row.customer.to_string();
    match vault.rewrap(&owner, &WrappedKey::from_bytes(row.wrapped.clone())) {
        Ok(wrapped) => Some(Rewrapped { wrapped: wrapped?.as_bytes().to_vec(), was: row }),
        Err(error) => {
            tell_left(row.customer, &error);
            None
        }
    }
}

fn tell_left(customer: CustomerHashId, error: &VaultError) {
    eprintln!("the data key of {customer} stays as it is: {error}");
}
