//! `reinstate jobs list|retry`: what waits, is held, fails, was given up or is parked, through the running service.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::client::{Api, Target, agreed, for_people};
use super::runtime;
use crate::config::Sources;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List jobs with their age and reason.
    ///
    /// Example: reinstate jobs list --status failing
    #[command(verbatim_doc_comment)]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        target: Target,
    },
    /// Set jobs going again with a fresh budget of attempts: counts them first, then asks.
    ///
    /// Examples:
    ///   reinstate jobs retry --kind webhook --status failed
    ///   reinstate jobs retry --status parked --yes
    #[command(verbatim_doc_comment)]
    Retry {
        #[command(flatten)]
        filter: Filter,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args, Debug)]
pub(super) struct Filter {
    /// decision, look, submit, officer or webhook.
    #[arg(long)]
    kind: Option<String>,
    /// waiting, held, failing, failed or parked; a retry takes the last three.
    #[arg(long)]
    status: Option<String>,
    /// One customer's, by `customerHashId`.
    #[arg(long)]
    customer: Option<String>,
}

impl Filter {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = [("kind", &self.kind), ("status", &self.status), ("customerHashId", &self.customer)];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::List { filter, target } => {
            let api = Api::new(sources, target)?;
            runtime()?.block_on(list(&api, &filter))
        }
        Command::Retry { filter, yes, target } => {
            let api = Api::new(sources, target)?;
            runtime()?.block_on(retry(&api, &filter, yes))
        }
    }
}

async fn list(api: &Api, filter: &Filter) -> anyhow::Result<u8> {
    // Only the query is used.
    let query = Url::parse_with_params("http://localhost", filter.pairs())?;
    let query = query.query().unwrap_or_default();
    let (mut cursor, mut shown) = (String::new(), 0_usize);
    loop {
        let page = api.want(Method::GET, &format!("/v1/jobs?{query}&limit=200{cursor}"), None).await?;
        for job in page["items"].as_array().into_iter().flatten() {
            shown += 1;
            println!("{}", line(&for_people(job)));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if shown == 0 {
        eprintln!("no such jobs");
    }
    Ok(0)
}

fn line(job: &Value) -> String {
    let text = |name: &str| job[name].as_str().unwrap_or("-").to_owned();
    format!(
        "{:<8} {:<8} {}  {:>8} s  attempts {}  {}",
        text("kind"),
        text("status"),
        text("customerHashId"),
        job["ageSeconds"],
        job["attempts"],
        match job["officer"]["by"].as_str() {
            Some(by) => format!("{}, in the hand of {by}", text("reason")),
            None => text("reason"),
        },
    )
}

async fn retry(api: &Api, filter: &Filter, yes: bool) -> anyhow::Result<u8> {
    let mut body: Map<String, Value> =
        filter.pairs().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut done = 0;
    loop {
        body.remove("confirm");
        let counted = api.want(Method::POST, "/v1/jobs/retry", Some(&Value::Object(body.clone()))).await?;
        let count = counted["count"].as_u64().unwrap_or_default();
        if count == 0 {
            eprintln!("{}", if done == 0 { "there is nothing to retry" } else { "nothing is left" });
            return Ok(0);
        }
        let most = counted["most"].as_u64().unwrap_or(u64::MAX);
        let or_more = if count >= most { " or more" } else { "" };
        if done == 0
            && !yes
            && !agreed(&format!("{count}{or_more} jobs begin again with a fresh budget of attempts"))
        {
            eprintln!("nothing was done");
            return Ok(1);
        }
        body.insert("confirm".to_owned(), json!(count));
        let answer = api.want(Method::POST, "/v1/jobs/retry", Some(&Value::Object(body.clone()))).await?;
        done += answer["retried"].as_u64().unwrap_or_default();
        eprintln!("{done} jobs begin again");
        if count < most {
            return Ok(0);
        }
    }
}
