//! `reinstate customers onboard|redirect|application|correct|rfi`: information about customers that goes to Nium.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::customers::{ActArgs, Out, open, pair, pairs, path, print, request, text, write};
use crate::config::Sources;

/// Largest file that is read, in bytes: what the API takes, and a little.
const FILE_BYTES_MAX: u64 = 17 * 1024 * 1024;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Make an individual or a company a customer.
    ///
    /// The file holds a Unified Add Customer body, or an Onboard Corporate Customer body; - reads standard input.
    ///
    /// Examples:
    ///   reinstate customers onboard --file application.json --dry-run
    ///   reinstate customers onboard --file application.json
    #[command(verbatim_doc_comment)]
    Onboard {
        /// The application, as JSON.
        #[arg(long)]
        file: PathBuf,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Show the address at which a customer goes on with a vendor's check, or ask Nium for a new one.
    ///
    /// Examples:
    ///   reinstate customers redirect ID
    ///   reinstate customers redirect ID --new
    #[command(verbatim_doc_comment)]
    Redirect {
        /// The customerHashId.
        id: String,
        /// Ask Nium for a new address; the old one ends.
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        out: Out,
    },
    /// Put a customer's original application on file, sealed.
    ///
    /// Example: reinstate customers application ID --file application.json
    #[command(verbatim_doc_comment)]
    Application {
        /// The customerHashId.
        id: String,
        /// A Unified Add Customer body without customerHashId; - reads standard input.
        #[arg(long)]
        file: PathBuf,
        #[command(flatten)]
        out: Out,
    },
    /// Hand in a correction for a rejected customer, or show what it would send.
    ///
    /// Examples:
    ///   reinstate customers correct ID firstName="Ana Maria" --dry-run
    ///   reinstate customers correct ID --file correction.json
    #[command(verbatim_doc_comment)]
    Correct {
        /// The customerHashId.
        id: String,
        /// Corrected fields of Unified Add Customer, as name=value.
        #[arg(value_parser = pair, conflicts_with = "file", required_unless_present = "file")]
        fields: Vec<(String, String)>,
        /// A whole correction, {"fields": {…}, "documents": […]}; - reads standard input.
        #[arg(long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Show what Nium asks of a customer, or answer it: everything that is asked, at once.
    ///
    /// Examples:
    ///   reinstate customers rfi ID
    ///   reinstate customers rfi ID --set RFI_HASH_ID.firstName="Ada Mary" --dry-run
    ///   reinstate customers rfi ID --answer answers.json
    #[command(verbatim_doc_comment)]
    Rfi {
        /// The customerHashId.
        id: String,
        /// Ask Nium first.
        #[arg(long, conflicts_with_all = ["answer", "set"])]
        refresh: bool,
        /// An answer, {"answers": [{"rfiHashId": …, "fields": {…}}]}; - reads standard input.
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
        /// One field of an answer, as RFI_HASH_ID.field=value; documents need a file.
        #[arg(long, value_parser = pair, conflicts_with = "answer")]
        set: Vec<(String, String)>,
        #[command(flatten)]
        act: ActArgs,
    },
}

pub(super) async fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Onboard { file, act } => {
            write(sources, Method::POST, "/v1/customers".to_owned(), read(&file)?, act).await
        }
        Command::Redirect { id, new: true, out } => {
            let act = ActArgs::of(out);
            write(sources, Method::POST, path(&id, "/redirect"), Value::Null, act).await
        }
        Command::Redirect { id, new: false, out } => {
            let (api, json) = open(sources, out)?;
            let shown = api.want(Method::GET, &path(&id, "/redirect"), None).await?;
            let expired = if shown["expired"] == true { " (expired)" } else { "" };
            print(&shown, json, |shown| {
                format!("{}\nuntil {}{expired}", text(&shown["url"]), text(&shown["expiresAt"]))
            });
            Ok(0)
        }
        Command::Application { id, file, out } => {
            let (api, json) = open(sources, out)?;
            let body = read(&file)?;
            let kept = api.want(Method::PUT, &path(&id, "/application"), Some(&body)).await?;
            print(&kept, json, |kept| {
                let warnings = kept["warnings"].as_array().into_iter().flatten();
                let lines: Vec<String> = warnings
                    .map(|gap| format!("\n  {}: {}", text(&gap["field"]), text(&gap["message"])))
                    .collect();
                format!("on file{}", lines.concat())
            });
            Ok(0)
        }
        Command::Rfi { id, refresh, answer, set, act } => {
            let path = path(&id, "/rfi");
            let body = match answer {
                Some(file) => read(&file)?,
                None if !set.is_empty() => answers(set)?,
                None => return show_rfi(sources, &path, refresh, act.out).await,
            };
            write(sources, Method::POST, path, body, act).await
        }
        Command::Correct { id, fields, file, act } => {
            let body = match file {
                Some(file) => read(&file)?,
                None => json!({ "fields": pairs(fields) }),
            };
            correct(sources, &id, &body, act).await
        }
    }
}

/// `RFI_HASH_ID.field=value` as an answer.
fn answers(set: Vec<(String, String)>) -> anyhow::Result<Value> {
    let mut items: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (place, value) in set {
        let (id, field) = place.split_once('.').context("write it as RFI_HASH_ID.field=value")?;
        items.entry(id.to_owned()).or_default().insert(field.to_owned(), json!(value));
    }
    let items = items.into_iter().map(|(id, fields)| json!({ "rfiHashId": id, "fields": fields }));
    Ok(json!({ "answers": items.collect::<Vec<_>>() }))
}

async fn show_rfi(sources: &Sources, path: &str, refresh: bool, out: Out) -> anyhow::Result<u8> {
    let (api, json) = open(sources, out)?;
    let query = if refresh { "?refresh=true" } else { "" };
    let shown = api.want(Method::GET, &format!("{path}{query}"), None).await?;
    print(&shown, json, |shown| {
        let items = shown["items"].as_array().map_or(&[][..], Vec::as_slice);
        if items.is_empty() {
            return "Nium asks for nothing".to_owned();
        }
        let mut lines = Vec::new();
        for item in items {
            lines.push(format!(
                "{}  {:<13}  {}",
                text(&item["rfiHashId"]),
                text(&item["status"]),
                text(&item["question"])
            ));
            for field in item["fields"].as_array().into_iter().flatten() {
                lines.push(format!("    {:<24} {}", text(&field["name"]), text(&field["label"])));
            }
        }
        lines.push(format!("answer until {}", text(&shown["deadline"])));
        lines.join("\n")
    });
    Ok(0)
}

async fn correct(sources: &Sources, id: &str, body: &Value, act: ActArgs) -> anyhow::Result<u8> {
    let dry_run = act.dry_run;
    let (api, json) = open(sources, act.out)?;
    let last = if dry_run { "/corrections/preview" } else { "/corrections" };
    let answer = api.want(Method::POST, &path(id, last), Some(body)).await?;
    print(&answer, json, |answer| {
        if dry_run { request(&answer["request"]) } else { format!("stored as {}", text(&answer["effectId"])) }
    });
    for difference in answer["difference"].as_array().into_iter().flatten().filter(|_| !json) {
        eprintln!("{}: {} -> {}", text(&difference["field"]), difference["from"], difference["to"]);
    }
    Ok(0)
}

/// The JSON in a file, or on standard input.
fn read(file: &Path) -> anyhow::Result<Value> {
    let mut bytes = Vec::new();
    let named = file.display();
    if file == Path::new("-") {
        std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .context("standard input cannot be read")?;
    } else {
        let open = std::fs::File::open(file).with_context(|| format!("{named} cannot be opened"))?;
        open.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{named} cannot be read"))?;
    }
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(value),
        // The message may quote what is in the file.
        Err(error) => bail!("{named} is not JSON: line {}, column {}", error.line(), error.column()),
    }
}
