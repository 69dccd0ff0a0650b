//! `reinstate token create|list|revoke`: opens the store itself, beside a running service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;

use super::runtime;
use crate::app::open_store;
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::domain::audit::{COMMAND_LINE, is_reserved};
use crate::domain::role::Role;
use crate::http::api::auth::token_hash;
use crate::store::rows::TokenRow;
use crate::store::wake::Wake;
use crate::store::{Store, Use};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Make a token and print it, once.
    ///
    /// Example: reinstate token create --role app --name backend
    #[command(verbatim_doc_comment)]
    Create {
        /// viewer: read; officer: read and decide; admin: everything; app: the backend's own calls.
        #[arg(long, value_parser = role)]
        role: Role,
        /// Whose token it is; shown in the timeline beside what was done with it.
        #[arg(long, value_parser = name)]
        name: String,
    },
    /// List tokens; the tokens themselves are not kept.
    List,
    /// Revoke a token by its id.
    Revoke {
        /// The id, as `token list` shows it.
        id: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "use viewer, officer, admin or app".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    if is_reserved(text) {
        return Err("this name means somebody else in the audit record; choose another".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    let config = Config::load_for_store(sources)?;
    let store = open_store(&config.store, Use::Tool, Clock::System, Wake::default())?;
    let done = runtime()?.block_on(carry_out(&store, command));
    store.close();
    done
}

async fn carry_out(store: &Store, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Create { role, name } => {
            let (id, token) = (uuid::Uuid::now_v7().to_string(), fresh_token()?);
            let row = TokenRow {
                id: id.clone(),
                role: role.as_str().to_owned(),
                name,
                created_at: Clock::System.now(),
                revoked_at: None,
            };
            store.put_token(row, token_hash(&token), COMMAND_LINE).await?;
            eprintln!(
                "token {id} with role {} is valid from now on; it is shown only this once:",
                role.as_str()
            );
            println!("{token}");
        }
        Command::List => {
            for token in store.tokens().await? {
                let end =
                    token.revoked_at.map_or_else(|| "valid".to_owned(), |at| format!("revoked {at:.0}"));
                println!("{}  {:<8}  {:.0}  {end}  {}", token.id, token.role, token.created_at, token.name);
            }
        }
        Command::Revoke { id } => {
            if !store.revoke_token(&id, COMMAND_LINE).await? {
                anyhow::bail!("there is no valid token with the id {id}; `reinstate token list` shows them");
            }
            eprintln!("token {id} is revoked");
        }
    }
    Ok(0)
}

/// 32 random bytes, with a prefix by which a leaked token is recognised.
fn fresh_token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(format!("rst_{}", URL_SAFE_NO_PAD.encode(bytes)))
}
