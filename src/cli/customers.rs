//! `reinstate customers …`: customers as the running service knows them, and what may be done about them.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::io::{IsTerminal, Write};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, Target, for_people};
use super::{applications, bulk, privacy, runtime, search};
use crate::config::Sources;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List customers.
    ///
    /// Examples:
    ///   reinstate customers list --state needs_officer --older-than 24h
    ///   reinstate customers list --compliance-status REJECT --tag tier:gold --limit 20
    #[command(verbatim_doc_comment)]
    List(search::ListArgs),
    /// Find customers by what is personal, among ours or in Nium's list.
    ///
    /// Examples:
    ///   reinstate customers search --email ada@example.test
    ///   reinstate customers search --text "ada sample" --state needs_officer
    ///   reinstate customers search --source nium --type CORPORATE --registration-number 201912345A
    #[command(verbatim_doc_comment)]
    Search(Box<search::SearchArgs>),
    /// Say a word to everybody who fits: counts and shows first, then asks, and follows it to its end.
    ///
    /// Examples:
    ///   reinstate customers bulk --state finally_rejected --older-than 3d --decision offer
    ///   reinstate customers bulk --view stuck --decision retry --yes
    #[command(verbatim_doc_comment)]
    Bulk(Box<bulk::BulkArgs>),
    /// Show one customer: our case, and what Nium says.
    Show {
        /// The customerHashId.
        id: String,
        /// Ask Nium first.
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        out: Out,
    },
    /// Show everything that happened to one customer.
    Timeline {
        /// The customerHashId.
        id: String,
        #[command(flatten)]
        out: Out,
    },
    /// Change what Nium has on file.
    ///
    /// Examples:
    ///   reinstate customers update ID email=new@example.test mobile=80000001
    ///   reinstate customers update ID email=new@example.test --dry-run
    #[command(verbatim_doc_comment)]
    Update {
        /// The customerHashId.
        id: String,
        /// Fields of Customer Update, as name=value.
        #[arg(required = true, value_parser = pair)]
        fields: Vec<(String, String)>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Block an account, for a while or for good.
    ///
    /// Examples:
    ///   reinstate customers block ID --reason SUSPICIOUS_ACTIVITY --comment "Case 1001"
    ///   reinstate customers block ID --permanent --reason DECEASED --comment "Case 1002"
    #[command(verbatim_doc_comment)]
    Block {
        /// The customerHashId.
        id: String,
        /// For good: it cannot be unblocked. What it does is shown first, and has to be agreed to.
        #[arg(long)]
        permanent: bool,
        /// One of Nium's reasons for this kind of block.
        #[arg(long)]
        reason: String,
        /// For Nium's record, 1 to 255 characters.
        #[arg(long)]
        comment: String,
        /// Agree to a permanent block without being asked.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Lift a temporary block that we set.
    ///
    /// Example: reinstate customers unblock ID --reason CLIENT_REQUEST --comment "Case 1001 closed"
    #[command(verbatim_doc_comment)]
    Unblock {
        /// The customerHashId.
        id: String,
        /// CLIENT_REQUEST or CUSTOMER_REQUEST.
        #[arg(long)]
        reason: String,
        /// For Nium's record, 1 to 255 characters.
        #[arg(long)]
        comment: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Set and delete tags.
    ///
    /// Example: reinstate customers tags ID --set tier=gold --delete campaign
    #[command(verbatim_doc_comment)]
    Tags {
        /// The customerHashId.
        id: String,
        /// A tag and its value, as key=value.
        #[arg(long, value_parser = pair)]
        set: Vec<(String, String)>,
        /// A tag to take away.
        #[arg(long)]
        delete: Vec<String>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Decide about a case: offer, final, retry, close, reapply or take_over.
    ///
    /// Examples:
    ///   reinstate customers decide ID take_over --note "Asked compliance"
    ///   reinstate customers decide ID reapply
    #[command(verbatim_doc_comment)]
    Decide {
        /// The customerHashId.
        id: String,
        /// offer, final, retry, close; reapply for a customer who is blocked for good; take_over for a parked case.
        word: String,
        /// Why, 1 to 1000 characters; kept sealed.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// Make a link to the hosted page for one customer; it replaces the last that the same caller made.
    ///
    /// Whoever has the link can correct in the customer's name: hand it to nobody else.
    ///
    /// Examples:
    ///   reinstate customers link ID --language de
    ///   reinstate customers link ID --revoke
    #[command(verbatim_doc_comment)]
    Link {
        /// The customerHashId.
        id: String,
        /// The page's language: en, fr, de, es, pt, ja or zh.
        #[arg(long)]
        language: Option<String>,
        /// End every link of the customer, and make none.
        #[arg(long, conflicts_with = "language")]
        revoke: bool,
        #[command(flatten)]
        out: Out,
    },
    #[command(flatten)]
    Applications(applications::Command),
    #[command(flatten)]
    Privacy(privacy::Command),
}

/// How the answer is written, and whom to ask.
#[derive(Args, Debug)]
pub(super) struct Out {
    /// The API's JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// A write at Nium.
#[derive(Args, Debug)]
pub(super) struct ActArgs {
    /// Print the exact request to Nium, secrets masked, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) out: Out,
}

impl ActArgs {
    /// A write that is done.
    pub(super) fn of(out: Out) -> Self {
        Self { dry_run: false, out }
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    runtime()?.block_on(async {
        match command {
            Command::List(args) => search::list(sources, args).await,
            Command::Bulk(args) => bulk::bulk(sources, *args).await,
            Command::Search(args) => search::search(sources, *args).await,
            Command::Show { id, refresh, out } => {
                let query = if refresh { "?refresh=true" } else { "" };
                let (api, json) = open(sources, out)?;
                let shown = api.want(Method::GET, &format!("{}{query}", path(&id, "")), None).await?;
                print(&shown, json, customer);
                Ok(0)
            }
            Command::Timeline { id, out } => {
                let (api, json) = open(sources, out)?;
                let shown = api.want(Method::GET, &path(&id, "/timeline"), None).await?;
                print(&shown, json, timeline);
                Ok(0)
            }
            Command::Update { id, fields, act } => {
                let body = pairs(fields);
                write(sources, Method::PATCH, path(&id, ""), body, act).await
            }
            Command::Block { id, permanent, reason, comment, yes, act } => {
                let action = if permanent { "PERMANENT_BLOCK" } else { "TEMPORARY_BLOCK" };
                let body = json!({ "action": action, "reason": reason, "comment": comment });
                if permanent && !act.dry_run {
                    return block_for_good(sources, &id, body, yes, act.out).await;
                }
                write(sources, Method::POST, path(&id, "/block"), body, act).await
            }
            Command::Unblock { id, reason, comment, act } => {
                let body = json!({ "action": "UNBLOCK", "reason": reason, "comment": comment });
                write(sources, Method::POST, path(&id, "/block"), body, act).await
            }
            Command::Tags { id, set, delete, act } => {
                let body = json!({ "set": pairs(set), "delete": delete });
                write(sources, Method::POST, path(&id, "/tags"), body, act).await
            }
            Command::Link { id, language, revoke, out } => {
                let (api, json) = open(sources, out)?;
                let path = path(&id, "/correction-link");
                if revoke {
                    let shown = api.want(Method::DELETE, &path, None).await?;
                    print(&shown, json, |shown| format!("{} links ended", shown["revoked"]));
                } else {
                    let body = language.map(|language| json!({ "language": language }));
                    let shown = api.want(Method::POST, &path, body.as_ref()).await?;
                    print(&shown, json, |shown| {
                        format!("{}\nuntil {}", text(&shown["url"]), text(&shown["expiresAt"]))
                    });
                }
                Ok(0)
            }
            Command::Privacy(command) => privacy::run(sources, command).await,
            Command::Applications(command) => applications::run(sources, command).await,
            Command::Decide { id, word, note, out } => {
                let (api, json) = open(sources, out)?;
                let mut body = json!({ "decision": word });
                if let Some(note) = note {
                    body["note"] = json!(note);
                }
                let shown = api.want(Method::POST, &path(&id, "/decision"), Some(&body)).await?;
                print(&shown, json, said);
                Ok(0)
            }
        }
    })
}

pub(super) fn open(sources: &Sources, out: Out) -> anyhow::Result<(Api, bool)> {
    Ok((Api::new(sources, out.target)?, out.json))
}

/// Ids come from the command line; only what can stand in a path reaches one.
pub(super) fn path(id: &str, rest: &str) -> String {
    path_among("customers", id, rest)
}

pub(super) fn path_among(all: &str, id: &str, rest: &str) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("/v1/{all}/{id}{rest}")
}

pub(super) fn pairs(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name, json!(value))).collect::<Map<_, _>>())
}

pub(super) fn print(shown: &Value, as_json: bool, human: impl Fn(&Value) -> String) {
    if as_json {
        println!("{}", serde_json::to_string_pretty(shown).unwrap_or_default());
    } else {
        println!("{}", human(&for_people(shown)));
    }
}

pub(super) async fn write(
    sources: &Sources,
    method: Method,
    path: String,
    body: Value,
    act: ActArgs,
) -> anyhow::Result<u8> {
    let (api, json) = open(sources, act.out)?;
    let query = if act.dry_run { "?dryRun=true" } else { "" };
    let body = (!body.is_null()).then_some(&body);
    let shown = api.want(method, &format!("{path}{query}"), body).await?;
    if act.dry_run {
        print(&shown, json, |shown| {
            format!("{} {}\n{}", text(&shown["method"]), text(&shown["path"]), request(&shown["body"]))
        });
        return Ok(0);
    }
    print(&shown, json, ended);
    Ok(u8::from(shown["status"] == "failed"))
}

async fn block_for_good(
    sources: &Sources,
    id: &str,
    mut body: Value,
    yes: bool,
    out: Out,
) -> anyhow::Result<u8> {
    let (api, json) = open(sources, out)?;
    let path = path(id, "/block");
    let first = api.want(Method::POST, &path, Some(&body)).await?;
    eprintln!("{}", serde_json::to_string_pretty(&first["would"])?);
    if !yes && !agreed() {
        eprintln!("nothing was done");
        return Ok(1);
    }
    body["receipt"] = first["receipt"].clone();
    let shown = api.want(Method::POST, &path, Some(&body)).await?;
    print(&shown, json, ended);
    Ok(u8::from(shown["status"] == "failed"))
}

fn agreed() -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("a permanent block cannot be undone; say --yes to go ahead");
        return false;
    }
    eprint!("A permanent block cannot be undone. Go ahead? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && line.trim().eq_ignore_ascii_case("y")
}

fn said(shown: &Value) -> String {
    if let Some(by) = shown["officer"]["by"].as_str() {
        return format!("in the hand of {by}");
    }
    waits(shown).unwrap_or_else(|| format!("stored as {}", text(&shown["effectId"])))
}

/// What waits for a second person.
fn waits(shown: &Value) -> Option<String> {
    let id = shown["approvalId"].as_str()?;
    Some(format!("waits for a second person: reinstate approvals approve {id}"))
}

/// A body for Nium, to be read by a person.
pub(super) fn request(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap_or_default()
}

fn ended(effect: &Value) -> String {
    if let Some(waits) = waits(effect) {
        return waits;
    }
    let (status, outcome) = (text(&effect["status"]), text(&effect["outcome"]));
    if effect["ended"] == true {
        let mut lines = vec![format!("{status}: {outcome}")];
        for (name, value) in [
            ("customerHashId", &effect["said"]["customerHashId"]),
            ("goes on at", &effect["said"]["redirectUrl"]),
            ("until", &effect["said"]["redirectExpiresAt"]),
            ("message", &effect["said"]["message"]),
        ] {
            lines.extend(value.as_str().map(|value| format!("{name:<18} {value}")));
        }
        lines.join("\n")
    } else {
        format!("not done yet ({status}); see GET /v1/effects/{}", text(&effect["effectId"]))
    }
}

fn customer(shown: &Value) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: &Value| {
        if !value.is_null() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("{name:<18} {value}"));
        }
    };
    line("customer", &shown["customerHashId"]);
    line("type", &shown["customerType"]);
    line("state", &shown["state"]);
    line("reason", &shown["reason"]);
    line("since", &shown["since"]);
    line("status (Nium)", &shown["nium"]["status"]);
    line("complianceStatus", &shown["nium"]["complianceStatus"]);
    line("remarks", &shown["nium"]["remarks"]);
    line("looked at", &shown["nium"]["lookedAt"]);
    line("block", &shown["block"]);
    line("rfi", &shown["rfi"]);
    line("goes on until", &shown["redirect"]["expiresAt"]);
    line("attempts used", &shown["attempts"]["used"]);
    line("correct until", &shown["correction"]["deadline"]);
    line("in the hand of", &shown["officer"]["by"]);
    line("note", &shown["officer"]["note"]);
    line("next", &shown["next"]["what"]);
    line("next at", &shown["next"]["at"]);
    lines.join("\n")
}

fn timeline(shown: &Value) -> String {
    let lines = shown["items"].as_array().into_iter().flatten();
    lines
        .map(|line| format!("{}  {:<22} {}", text(&line["at"]), text(&line["what"]), line["detail"]))
        .collect::<Vec<_>>()
        .join("\n")
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
