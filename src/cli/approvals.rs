//! `reinstate approvals list|approve|refuse`: what waits for a second person.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Api, for_people};
use super::customers::{Out, open};
use super::runtime;
use crate::config::Sources;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List approvals, the open ones first.
    ///
    /// Example: reinstate approvals list
    #[command(verbatim_doc_comment)]
    List {
        #[command(flatten)]
        out: Out,
    },
    /// Let something happen that somebody else asked for.
    ///
    /// Example: reinstate approvals approve ID --note "Checked with legal"
    #[command(verbatim_doc_comment)]
    Approve {
        /// The approvalId.
        id: String,
        /// Why, 1 to 1000 characters; kept sealed.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// Refuse what somebody else asked for.
    ///
    /// Example: reinstate approvals refuse ID --note "Wrong customer"
    #[command(verbatim_doc_comment)]
    Refuse {
        /// The approvalId.
        id: String,
        /// Why, 1 to 1000 characters; kept sealed.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        out: Out,
    },
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    runtime()?.block_on(async {
        match command {
            Command::List { out } => list(sources, out).await,
            Command::Approve { id, note, out } => decide(sources, &id, "approve", note, out).await,
            Command::Refuse { id, note, out } => decide(sources, &id, "refuse", note, out).await,
        }
    })
}

async fn list(sources: &Sources, out: Out) -> anyhow::Result<u8> {
    let (api, json) = open(sources, out)?;
    let (mut cursor, mut shown) = (String::new(), 0_usize);
    loop {
        let page = api.want(Method::GET, &format!("/v1/approvals?limit=200{cursor}"), None).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            shown += 1;
            let text = if json { item.to_string() } else { line(&for_people(item)) };
            println!("{text}");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if shown == 0 {
        eprintln!("nothing waits for a second person");
    }
    Ok(0)
}

fn line(item: &Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
    let reason = item["act"]["reason"].as_str().unwrap_or_default();
    format!(
        "{}  {:<8} {:<15} {}  asked by {} at {}, until {}  {reason}",
        text("approvalId"),
        text("status"),
        text("what"),
        text("customerHashId"),
        text("askedBy"),
        text("askedAt"),
        text("expiresAt"),
    )
}

async fn decide(
    sources: &Sources,
    id: &str,
    verdict: &str,
    note: Option<String>,
    out: Out,
) -> anyhow::Result<u8> {
    let (api, as_json): (Api, bool) = open(sources, out)?;
    // Ids come from the command line; only what can stand in a path reaches one.
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let mut body = json!({ "verdict": verdict });
    if let Some(note) = note {
        body["note"] = json!(note);
    }
    let shown = api.want(Method::POST, &format!("/v1/approvals/{id}"), Some(&body)).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        let effect = shown["effectId"].as_str().map(|effect| format!("; stored as {effect}"));
        println!("{}{}", shown["status"].as_str().unwrap_or_default(), effect.unwrap_or_default());
    }
    Ok(0)
}
