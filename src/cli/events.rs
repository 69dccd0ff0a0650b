//! `reinstate events list|endpoints|redeliver|test`: what the app backend is told and how that goes, through the running
//! service.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::client::{Api, Target, agreed, for_people};
use super::runtime;
use crate::config::Sources;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List what was sent to which endpoint, and what it answered; newest first.
    ///
    /// Examples:
    ///   reinstate events list --status failing
    ///   reinstate events list --endpoint billing --from 24h
    #[command(verbatim_doc_comment)]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Lines at most.
        #[arg(long, default_value_t = 1_000)]
        most: usize,
        #[command(flatten)]
        target: Target,
    },
    /// List the endpoints, and how they have been doing.
    Endpoints {
        #[command(flatten)]
        target: Target,
    },
    /// Send deliveries again, with the same ids and bytes: counts them first, then asks. Without --status those that
    /// fail or were given up.
    ///
    /// Examples:
    ///   reinstate events redeliver --endpoint billing
    ///   reinstate events redeliver --endpoint billing --status delivered --from 2026-11-23T08:00:00Z --to 2h --yes
    #[command(verbatim_doc_comment)]
    Redeliver {
        #[command(flatten)]
        filter: Filter,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Send an endpoint a signed event that tells of nothing, and say what it answered. Exit 1 if it did not take it.
    ///
    /// Example: reinstate events test billing
    #[command(verbatim_doc_comment)]
    Test {
        /// The endpoint's name; `default` is the one of notify.webhook.
        #[arg(default_value = "default")]
        endpoint: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args, Debug)]
pub(super) struct Filter {
    /// Only to this endpoint.
    #[arg(long)]
    endpoint: Option<String>,
    /// waiting, held, failing, failed or delivered; a redelivery takes the last three.
    #[arg(long)]
    status: Option<String>,
    /// Only of this type, such as customer.rejected.
    #[arg(long = "type")]
    kind: Option<String>,
    /// One customer's, by `customerHashId`.
    #[arg(long)]
    customer: Option<String>,
    /// Of events from then on: a time, or how long ago (24h, 3d).
    #[arg(long)]
    from: Option<String>,
    /// Of events before then.
    #[arg(long)]
    to: Option<String>,
}

impl Filter {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = [
            ("endpoint", &self.endpoint),
            ("status", &self.status),
            ("type", &self.kind),
            ("customerHashId", &self.customer),
            ("from", &self.from),
            ("to", &self.to),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    let runtime = runtime()?;
    match command {
        Command::List { filter, most, target } => {
            runtime.block_on(list(&Api::new(sources, target)?, &filter, most))
        }
        Command::Endpoints { target } => runtime.block_on(endpoints(&Api::new(sources, target)?)),
        Command::Redeliver { filter, yes, target } => {
            runtime.block_on(redeliver(&Api::new(sources, target)?, &filter, yes))
        }
        Command::Test { endpoint, target } => runtime.block_on(test(&Api::new(sources, target)?, &endpoint)),
    }
}

async fn list(api: &Api, filter: &Filter, most: usize) -> anyhow::Result<u8> {
    // Only the query is used.
    let query = Url::parse_with_params("http://localhost", filter.pairs())?;
    let query = query.query().unwrap_or_default();
    let (mut cursor, mut shown) = (String::new(), 0_usize);
    'pages: loop {
        let page = api.want(Method::GET, &format!("/v1/deliveries?{query}&limit=200{cursor}"), None).await?;
        for delivery in page["items"].as_array().into_iter().flatten() {
            if shown == most {
                eprintln!("there are more; --most shows them");
                break 'pages;
            }
            shown += 1;
            println!("{}", line(&for_people(delivery)));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if shown == 0 {
        eprintln!("no such deliveries");
    }
    Ok(0)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

fn line(delivery: &Value) -> String {
    format!(
        "{}  {:<9} {:<12} {:<30} {}  attempts {}  {}",
        text(delivery, "createdAt"),
        text(delivery, "status"),
        text(delivery, "endpoint"),
        text(delivery, "type"),
        text(delivery, "id"),
        delivery["attemptCount"],
        text(delivery, "lastAnswer"),
    )
}

async fn endpoints(api: &Api) -> anyhow::Result<u8> {
    let answer = api.want(Method::GET, "/v1/endpoints", None).await?;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    for endpoint in &items {
        let events: Vec<&str> =
            endpoint["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        println!(
            "{:<12} {}  last success {}  oldest waiting {}  {}{}",
            text(endpoint, "name"),
            text(endpoint, "host"),
            text(endpoint, "lastSuccessAt"),
            text(endpoint, "oldestPendingSince"),
            if events.is_empty() { "all events".to_owned() } else { events.join(",") },
            match endpoint["disabledSince"].as_str() {
                Some(since) => format!("  DISABLED since {since}"),
                None => String::new(),
            },
        );
    }
    if items.is_empty() {
        eprintln!("no endpoint is configured");
    }
    Ok(0)
}

async fn redeliver(api: &Api, filter: &Filter, yes: bool) -> anyhow::Result<u8> {
    const PATH: &str = "/v1/deliveries/redeliver";
    let wanted: Map<String, Value> =
        filter.pairs().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let counted = api.want(Method::POST, PATH, Some(&json!({ "filter": wanted }))).await?;
    let count = counted["count"].as_u64().unwrap_or_default();
    if count == 0 {
        eprintln!("there is nothing to send again");
        return Ok(0);
    }
    let or_more = if Some(count) >= counted["most"].as_u64() { ", the oldest of more" } else { "" };
    if !yes && !agreed(&format!("{count} deliveries{or_more} go out again")) {
        eprintln!("nothing was done");
        return Ok(1);
    }
    let answer = api.want(Method::POST, PATH, Some(&json!({ "filter": wanted, "confirm": count }))).await?;
    eprintln!("{} deliveries go out again", answer["redelivered"]);
    Ok(0)
}

async fn test(api: &Api, endpoint: &str) -> anyhow::Result<u8> {
    let answer = api.want(Method::POST, &format!("/v1/endpoints/{endpoint}/test"), None).await?;
    let said = match answer["status"].as_u64() {
        Some(status) => format!("answered {status}"),
        None => text(&answer, "error").to_owned(),
    };
    let answer = for_people(&answer);
    println!("{endpoint}: {said} ({} ms, webhook-id {})", answer["milliseconds"], text(&answer, "id"));
    Ok(u8::from(answer["delivered"] != true))
}
