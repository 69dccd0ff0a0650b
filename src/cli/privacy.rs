//! `reinstate customers erase|export|hold`: one person's data, through the running service.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::audit::new_file;
use super::client::{Api, Target};
use super::customers::{Out, open, path, path_among, print, text};
use crate::config::Sources;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Destroy everything that is on file about one person, for good.
    ///
    /// Refused while a write about them is on its way to Nium, and while a legal hold is set. Backups from before still hold
    /// them until the master key of that time is destroyed: see "Erasing a person" in the README.
    ///
    /// Somebody whose onboarding led to no customer has no customerHashId: name the effectId of the onboarding, with
    /// --onboarding.
    ///
    /// Examples:
    ///   reinstate customers erase ID
    ///   reinstate customers erase ID --yes
    ///   reinstate customers erase EFFECT_ID --onboarding
    #[command(verbatim_doc_comment)]
    Erase {
        /// The customerHashId; with --onboarding the effectId that the onboarding was answered with.
        id: String,
        /// An onboarding that led to no customer.
        #[arg(long)]
        onboarding: bool,
        /// Go ahead without being asked.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        out: Out,
    },
    /// Write everything that is on file about one person, opened, as JSON: what they may ask for.
    ///
    /// Example: reinstate customers export ID --out ada.json
    #[command(verbatim_doc_comment)]
    Export {
        /// The customerHashId.
        id: String,
        /// The new file; - writes on standard output.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Set a legal hold, or lift it: while it is set nothing about the customer is erased or goes by a rule.
    ///
    /// Examples:
    ///   reinstate customers hold ID --reason "Case 1001: requested by the court"
    ///   reinstate customers hold ID --lift --reason "Case 1001 closed"
    #[command(verbatim_doc_comment)]
    Hold {
        /// The customerHashId.
        id: String,
        /// Lift it.
        #[arg(long)]
        lift: bool,
        /// Why, 1 to 1000 characters; kept sealed.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        out: Out,
    },
}

pub(super) async fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Erase { id, onboarding, yes, out } => {
            if !yes && !agreed() {
                eprintln!("nothing was done");
                return Ok(1);
            }
            let (api, json) = open(sources, out)?;
            let among = if onboarding { "onboardings" } else { "customers" };
            let shown = api.want(Method::POST, &path_among(among, &id, "/erase"), None).await?;
            print(&shown, json, |shown| {
                format!("erased {} by {}", text(&shown["erasedAt"]), text(&shown["erasedBy"]))
            });
        }
        Command::Export { id, out, target } => {
            let mut file = if out == Path::new("-") { None } else { Some(new_file(&out)?) };
            let api = Api::new(sources, target)?;
            let shown = api.want(Method::GET, &path(&id, "/export"), None).await;
            if shown.is_err() && file.is_some() {
                // Nothing was written into it.
                let _ = std::fs::remove_file(&out);
            }
            let text = serde_json::to_string_pretty(&shown?)?;
            match &mut file {
                None => println!("{text}"),
                Some(file) => file
                    .write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
                    .with_context(|| out.display().to_string())?,
            }
        }
        Command::Hold { id, lift, reason, out } => {
            let (api, json) = open(sources, out)?;
            let body = json!({ "action": if lift { "lift" } else { "set" }, "reason": reason });
            let shown = api.want(Method::POST, &path(&id, "/hold"), Some(&body)).await?;
            let stands = |held: bool| if held { "a legal hold is set" } else { "no legal hold is set" };
            print(&shown, json, |shown| stands(shown["held"] == true).to_owned());
        }
    }
    Ok(0)
}

fn agreed() -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("erasing cannot be undone; say --yes to go ahead");
        return false;
    }
    eprint!("Everything about this person is destroyed. It cannot be undone. Go ahead? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && line.trim().eq_ignore_ascii_case("y")
}
