//! `reinstate sweep run|list`: asks Nium for its whole customer list, through the running service.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Api, Target};
use super::runtime;
use crate::config::Sources;

/// How often progress is asked for.
const EVERY: Duration = Duration::from_millis(500);

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Begin a sweep, or join the one that runs, and show how it goes on.
    ///
    /// Example: reinstate sweep run
    #[command(verbatim_doc_comment)]
    Run {
        /// Begin it and return at once.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show the last sweeps.
    List {
        #[command(flatten)]
        target: Target,
    },
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run { no_wait, target } => {
            let api = Api::new(sources, target)?;
            runtime()?.block_on(sweep(&api, no_wait))
        }
        Command::List { target } => {
            let api = Api::new(sources, target)?;
            runtime()?.block_on(list(&api))
        }
    }
}

async fn sweep(api: &Api, no_wait: bool) -> anyhow::Result<u8> {
    let begun = api.want(Method::POST, "/v1/sweeps", Some(&json!({}))).await?;
    let id = begun["id"].clone();
    eprintln!("sweep {id} ({}) has been asked for", text(&begun["kind"]));
    if no_wait {
        return Ok(0);
    }
    let on_terminal = std::io::stderr().is_terminal();
    let mut shown = String::new();
    loop {
        let sweeps = api.want(Method::GET, "/v1/sweeps", None).await?;
        let rows = sweeps["items"].as_array().cloned().unwrap_or_default();
        let Some(row) = rows.into_iter().find(|row| row["id"] == id) else {
            anyhow::bail!("sweep {id} is not listed any more");
        };
        let line = line(&row);
        if line != shown {
            // A terminal keeps one line; a log gets a line for each step.
            eprint!(
                "{}{line}{}",
                if on_terminal { "\r\x1b[K" } else { "" },
                if on_terminal { "" } else { "\n" }
            );
            std::io::stderr().flush()?;
            shown = line;
        }
        if !row["endedAt"].is_null() {
            if on_terminal {
                eprintln!();
            }
            return Ok(u8::from(row["outcome"] != "complete"));
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn list(api: &Api) -> anyhow::Result<u8> {
    let sweeps = api.want(Method::GET, "/v1/sweeps", None).await?;
    for row in sweeps["items"].as_array().into_iter().flatten() {
        println!("{}", line(row));
    }
    Ok(0)
}

fn line(row: &Value) -> String {
    let of = |value: &Value| if value.is_null() { "?".to_owned() } else { value.to_string() };
    let standing = match (row["outcome"].as_str(), row["trouble"].as_str()) {
        (Some("complete"), _) => "complete".to_owned(),
        (Some(_), why) => format!("given up: {}", why.unwrap_or("unknown")),
        (None, Some(why)) => format!("held up: {why}"),
        (None, None) => "running".to_owned(),
    };
    format!(
        "sweep {} {}: page {} of {}, {} customers seen, {} to look at, {} unreadable; {standing}",
        row["id"],
        text(&row["kind"]),
        row["page"],
        of(&row["pages"]),
        row["seen"],
        row["found"],
        row["unreadable"],
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
