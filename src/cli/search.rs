//! `reinstate customers list|search`: finding customers, ours and Nium's.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use clap::{Args, ValueEnum};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::client::{Api, for_people};
use super::customers::{Out, open};
use crate::config::Sources;

/// Customers asked for at once when all are wanted.
const PAGE: usize = 200;
/// The same towards Nium, which gives no more.
const NIUM_PAGE: usize = 50;

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    conditions: Conditions,
    /// At most so many; all if it is not given.
    #[arg(long, conflicts_with = "all")]
    limit: Option<usize>,
    /// All of them, page by page; so it is without --limit.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    out: Out,
}

/// What customers of ours are listed by.
#[derive(Args, Debug)]
pub(super) struct Conditions {
    /// needs_officer, deadline or stuck: in the order in which an officer works through it.
    #[arg(long)]
    view: Option<String>,
    /// Only in this state, such as awaiting_correction.
    #[arg(long)]
    state: Option<String>,
    /// Only with this status at Nium, such as Suspended.
    #[arg(long)]
    status: Option<String>,
    /// Only with this complianceStatus at Nium, such as REJECT.
    #[arg(long, value_name = "WORD")]
    compliance_status: Option<String>,
    /// individual or corporate.
    #[arg(long)]
    kind: Option<String>,
    /// Only with this tag, as key or key:value.
    #[arg(long)]
    tag: Option<String>,
    /// In their state for at least this long (24h, 3d), or since before this RFC 3339 time.
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// In their state for at most this long (24h, 3d), or since this RFC 3339 time.
    #[arg(long, value_name = "AGE")]
    newer_than: Option<String>,
    /// Only where the remarks are fixable, final, unknown or lapsed, as our rules have it.
    #[arg(long)]
    class: Option<String>,
    /// Only where an offer, or a request for information, ends within this span (3d), or before this time; nearest first.
    #[arg(long, value_name = "SPAN")]
    deadline_within: Option<String>,
}

impl Conditions {
    /// Names and values as the API has them; a tag is `key` or `key:value`.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'static str, String)> {
        let pairs = [
            ("view", self.view),
            ("state", self.state),
            ("status", self.status),
            ("complianceStatus", self.compliance_status),
            ("kind", self.kind),
            ("tag", self.tag),
            ("olderThan", self.older_than),
            ("newerThan", self.newer_than),
            ("class", self.class),
            ("deadlineWithin", self.deadline_within),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Whose customers are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    Ours,
    Nium,
}

#[derive(Args, Debug)]
pub(super) struct SearchArgs {
    /// Our cases, or Nium's Customer List.
    #[arg(long, value_enum, default_value = "ours")]
    source: Source,
    /// The whole e-mail address.
    #[arg(long)]
    email: Option<String>,
    /// The whole mobile number, as Nium has it (without a prefix).
    #[arg(long)]
    mobile: Option<String>,
    /// A tag, as key or key=value.
    #[arg(long)]
    tag: Option<String>,
    /// Ours: whole words of a name, or the start of a customerHashId (8 characters or more).
    #[arg(long)]
    text: Option<String>,
    /// Ours: the state.
    #[arg(long)]
    state: Option<String>,
    /// Ours: Nium's status.
    #[arg(long)]
    status: Option<String>,
    /// Ours: Nium's complianceStatus.
    #[arg(long, value_name = "WORD")]
    compliance_status: Option<String>,
    /// Ours: individual or corporate.
    #[arg(long)]
    kind: Option<String>,
    /// Ours: in their state for at least this long, or since before this time.
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// Ours: in their state for at most this long, or since this time.
    #[arg(long, value_name = "AGE")]
    newer_than: Option<String>,
    /// Ours: fixable, final, unknown or lapsed.
    #[arg(long)]
    class: Option<String>,
    /// Ours: whose time to answer ends within this span, or before this time.
    #[arg(long, value_name = "SPAN")]
    deadline_within: Option<String>,
    /// Ours: needs_officer, deadline or stuck.
    #[arg(long)]
    view: Option<String>,
    /// Nium: the registration number of a company.
    #[arg(long, value_name = "NUMBER")]
    registration_number: Option<String>,
    /// Nium: INDIVIDUAL or CORPORATE.
    #[arg(long = "type", value_name = "TYPE")]
    customer_type: Option<String>,
    /// Nium: children of this customer.
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Nium: ASC (oldest first) or DESC.
    #[arg(long)]
    order: Option<String>,
    /// At most so many; all if it is not given.
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn list(sources: &Sources, args: ListArgs) -> anyhow::Result<u8> {
    // Only the query is used.
    let query = Url::parse_with_params("http://localhost", args.conditions.pairs())?;
    let query = query.query().unwrap_or_default().to_owned();
    let (api, json) = open(sources, args.out)?;
    let mut sheet = Sheet::new(args.limit, PAGE, json);
    let mut cursor = String::new();
    while let Some(size) = sheet.wants() {
        let path = format!("/v1/customers?{query}&limit={size}{cursor}");
        let page = api.want(Method::GET, &path, None).await?;
        match sheet.add(&page, ours) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(sheet.end())
}

pub(super) async fn search(sources: &Sources, args: SearchArgs) -> anyhow::Result<u8> {
    let is_nium = args.source == Source::Nium;
    let texts = [
        ("email", args.email),
        ("mobile", args.mobile),
        ("text", args.text),
        ("state", args.state),
        ("status", args.status),
        ("complianceStatus", args.compliance_status),
        ("kind", args.kind),
        ("olderThan", args.older_than),
        ("newerThan", args.newer_than),
        ("class", args.class),
        ("deadlineWithin", args.deadline_within),
        ("view", args.view),
        ("businessRegistrationNumber", args.registration_number),
        ("customerType", args.customer_type),
        ("parentCustomerHashId", args.parent),
        ("order", args.order),
    ];
    let mut body: Map<String, Value> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))).collect();
    body.insert("source".to_owned(), json!(if is_nium { "nium" } else { "ours" }));
    if let Some(tag) = &args.tag {
        let tag = match tag.split_once('=') {
            Some((key, value)) => json!({ "key": key, "value": value }),
            None => json!({ "key": tag }),
        };
        body.insert("tag".to_owned(), tag);
    }
    let (api, json) = open(sources, args.out)?;
    let (most, line): (_, fn(&Value) -> String) = if is_nium { (NIUM_PAGE, niums) } else { (PAGE, ours) };
    let mut sheet = Sheet::new(args.limit, most, json);
    // A page of Nium's is counted in pages of the same size.
    while let Some(size) = if is_nium { sheet.wants().map(|_| most) } else { sheet.wants() } {
        body.insert("limit".to_owned(), json!(size));
        let page = ask(&api, &body).await?;
        match sheet.add(&page, line) {
            Some(next) => drop(body.insert("cursor".to_owned(), json!(next))),
            None => break,
        }
    }
    Ok(sheet.end())
}

async fn ask(api: &Api, body: &Map<String, Value>) -> anyhow::Result<Value> {
    api.want(Method::POST, "/v1/customers/search", Some(&Value::Object(body.clone()))).await
}

/// What is printed, a page at a time.
struct Sheet {
    left: Option<usize>,
    page: usize,
    json: bool,
    shown: usize,
    noted: Vec<String>,
}

impl Sheet {
    fn new(limit: Option<usize>, page: usize, json: bool) -> Self {
        Self { left: limit, page, json, shown: 0, noted: Vec::new() }
    }

    /// How many to ask for next; `None` when as many were shown as were wanted.
    fn wants(&self) -> Option<usize> {
        let size = self.left.map_or(self.page, |left| left.min(self.page));
        (size > 0).then_some(size)
    }

    /// Prints a page. Gives where to go on.
    fn add(&mut self, page: &Value, line: fn(&Value) -> String) -> Option<String> {
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        for item in items.iter().take(self.left.unwrap_or(usize::MAX)) {
            let text = if self.json { item.to_string() } else { line(&for_people(item)) };
            println!("{text}");
            self.shown += 1;
        }
        self.left = self.left.map(|left| left.saturating_sub(items.len()));
        for note in page["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !self.noted.iter().any(|noted| noted == note) {
                eprintln!("{note}");
                self.noted.push(note.to_owned());
            }
        }
        page["next"].as_str().map(str::to_owned)
    }

    fn end(&self) -> u8 {
        if self.shown == 0 {
            eprintln!("no such customers");
        }
        0
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn ours(item: &Value) -> String {
    format!(
        "{}  {:<20} {:<16} {:<10} since {}",
        word(&item["customerHashId"]),
        word(&item["state"]),
        word(&item["nium"]["complianceStatus"]),
        word(&item["nium"]["status"]),
        word(&item["since"]),
    )
}

fn niums(item: &Value) -> String {
    let name = match item["businessName"].as_str() {
        Some(name) => name.to_owned(),
        None => format!("{} {}", word(&item["firstName"]), word(&item["lastName"])),
    };
    format!(
        "{}  {:<10} {:<16} {:<10} {:<20} {}  {}",
        word(&item["customerHashId"]),
        word(&item["customerType"]),
        word(&item["complianceStatus"]),
        word(&item["status"]),
        word(&item["state"]),
        word(&item["email"]),
        name,
    )
}
