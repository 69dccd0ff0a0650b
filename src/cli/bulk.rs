//! `reinstate customers bulk`: an officer's word to everybody who fits; counts and shows first, asks, and follows it to its end.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, agreed};
use super::customers::{Out, open, text};
use super::search::Conditions;
use crate::config::Sources;

/// How often progress is asked for.
const EVERY: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(super) struct BulkArgs {
    #[command(flatten)]
    conditions: Conditions,
    /// The whole e-mail address.
    #[arg(long)]
    email: Option<String>,
    /// The whole mobile number.
    #[arg(long)]
    mobile: Option<String>,
    /// Whole words of a name, or the start of a customerHashId.
    #[arg(long)]
    text: Option<String>,
    /// offer, final, retry or close.
    #[arg(long)]
    decision: String,
    /// Why, 1 to 1000 characters; kept sealed, with each customer.
    #[arg(long)]
    note: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Begin, and do not wait for the end.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn bulk(sources: &Sources, args: BulkArgs) -> anyhow::Result<u8> {
    let BulkArgs { conditions, email, mobile, text, decision, note, yes, no_wait, out } = args;
    let mut filter: Map<String, Value> = conditions
        .pairs()
        .map(|(name, value)| (name.to_owned(), if name == "tag" { tag(&value) } else { json!(value) }))
        .collect();
    let personal = [("email", email), ("mobile", mobile), ("text", text)];
    filter.extend(personal.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    let mut body = json!({ "filter": filter, "decision": decision });
    if let Some(note) = note {
        body["note"] = json!(note);
    }
    let (api, json) = open(sources, out)?;
    let seen = api.want(Method::POST, "/v1/customers/bulk", Some(&body)).await?;
    show(&seen);
    if seen["said"] == 0 {
        eprintln!("there is nothing to do");
        return Ok(0);
    }
    let what = format!("{} of {} customers are told `{decision}`", seen["said"], seen["count"]);
    if !yes && !agreed(&what) {
        eprintln!("nothing was done");
        return Ok(1);
    }
    body["confirm"] = seen["count"].clone();
    let begun = api.want(Method::POST, "/v1/customers/bulk", Some(&body)).await?;
    let act = if no_wait { begun } else { follow(&api, &begun).await? };
    if json {
        println!("{}", serde_json::to_string_pretty(&act)?);
    } else {
        println!("{}", line(&act));
    }
    Ok(u8::from(act["status"] == "cancelled"))
}

/// A tag as the list's parameter has it.
fn tag(text: &str) -> Value {
    match text.split_once(':') {
        Some((key, value)) => json!({ "key": key, "value": value }),
        None => json!({ "key": text }),
    }
}

/// What it would do, for whoever decides about it.
fn show(seen: &Value) {
    for note in seen["notes"].as_array().into_iter().flatten() {
        eprintln!("{}", text(note));
    }
    for one in seen["preview"].as_array().into_iter().flatten() {
        let what = one["would"]
            .as_str()
            .map_or_else(|| format!("left out: {}", text(&one["leftOut"])), str::to_owned);
        eprintln!("{}  {:<20} {what}", text(&one["customerHashId"]), text(&one["state"]));
    }
    let shown = seen["preview"].as_array().map_or(0, Vec::len);
    let count = seen["count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    if count > shown {
        eprintln!("… and {} more", count - shown);
    }
    for reason in seen["reasons"].as_array().into_iter().flatten() {
        eprintln!("{} left out: {}", reason["count"], text(&reason["leftOut"]));
    }
}

/// Shows how far it came until it ends.
async fn follow(api: &Api, begun: &Value) -> anyhow::Result<Value> {
    let path = format!("/v1/bulk/{}", text(&begun["bulkId"]));
    let on_terminal = std::io::stderr().is_terminal();
    let mut shown = String::new();
    loop {
        let act = api.want(Method::GET, &path, None).await?;
        let line = line(&act);
        if line != shown {
            // A terminal keeps one line; a log gets a line for each step.
            let (before, after) = if on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            eprint!("{before}{line}{after}");
            std::io::stderr().flush()?;
            shown = line;
        }
        if !act["endedAt"].is_null() {
            if on_terminal {
                eprintln!();
            }
            return Ok(act);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn line(act: &Value) -> String {
    format!(
        "{}: {} of {} done, told {}, left out {}; {}",
        text(&act["bulkId"]),
        act["done"],
        act["count"],
        act["said"],
        act["leftOut"],
        text(&act["status"]),
    )
}
