//! The timeline of a customer in words: what happened, who did it, when and why.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::lists::told;
use super::shell::{Moment, words};
use crate::domain::audit::{CUSTOMER, SERVICE};
use crate::store::rows::TimelineRow;

/// One line.
pub(super) struct Line {
    pub(super) at: Moment,
    pub(super) what: String,
    /// A person, the customer, or the service itself.
    pub(super) who: String,
    pub(super) why: Option<String>,
    /// What an officer wrote.
    pub(super) note: Option<String>,
    /// What else is on record.
    pub(super) rest: String,
    /// How it is marked.
    pub(super) class: &'static str,
}

/// What stands in a line's particulars and is said in words of its own.
const SAID: [&str; 15] = [
    "by",
    "because",
    "why",
    "note",
    "noteId",
    "from",
    "to",
    "word",
    "kind",
    "outcome",
    "source",
    "deliveries",
    "fields",
    "verdict",
    "event",
];

/// The lines, newest first: that is what somebody looks for.
pub(super) fn lines(rows: &[TimelineRow], now: Timestamp) -> Vec<Line> {
    rows.iter().rev().map(|row| line(row, now)).collect()
}

fn line(row: &TimelineRow, now: Timestamp) -> Line {
    let none = Map::new();
    let detail = row.detail.as_object().unwrap_or(&none);
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let by = text("by").filter(|_| row.what != "found_by_sweep");
    let who = match by.unwrap_or(SERVICE) {
        SERVICE => "the service".to_owned(),
        CUSTOMER => "the customer".to_owned(),
        person => person.to_owned(),
    };
    let rest: Map<String, Value> = detail
        .iter()
        .filter(|(name, value)| !SAID.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let why = text("because").or_else(|| text("why")).map(|why| {
        // A sentence of ours, or a word.
        if why.contains(' ') { why.to_owned() } else { words(why) }
    });
    let class = match row.what.as_str() {
        "look_failed" | "callback_missing" | "telling_given_up" => "bad",
        _ if by.is_some_and(|by| by != SERVICE) => "person",
        _ => "",
    };
    Line {
        at: Moment::new(row.at, now),
        what: what(&row.what, detail),
        who,
        why,
        note: text("note").map(str::to_owned),
        rest: if rest.is_empty() { String::new() } else { told(&Value::Object(rest)) },
        class,
    }
}

fn what(what: &str, detail: &Map<String, Value>) -> String {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let list = |name: &str| {
        let parts = detail.get(name).and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    match what {
        "nudged" => {
            let times = detail.get("deliveries").and_then(Value::as_i64).unwrap_or(1);
            let source = if text("source") == "webhook" { "Webhook" } else { "Callback" };
            if times > 1 { format!("{source} received, {times} times") } else { format!("{source} received") }
        }
        "decided" if text("from") == text("to") => format!("Stays {}", words(text("to"))),
        "decided" => format!("Became {}", words(text("to"))),
        "officer" => format!("Said “{}”", words(text("word"))),
        "taken_over" => "Took the case in hand".to_owned(),
        "approval_asked" => format!("Asked a second person about {}", words(text("what"))),
        "approval" => format!("Second person: {}", words(text("status"))),
        "act_asked" => format!("Asked for: {}", act(text("kind"))),
        "act_ended" => format!("{} ended: {}", capital(act(text("kind"))), words(text("outcome"))),
        "correction_handed_in" if list("fields").is_empty() => "Correction handed in".to_owned(),
        "correction_handed_in" => format!("Correction handed in: {}", list("fields")),
        "application_kept" => "Application put on file".to_owned(),
        "look_failed" => "Nium's answer could not be used".to_owned(),
        "found_by_sweep" => "Found by asking Nium; no callback had said so".to_owned(),
        "callback_missing" => "The callback about this never came".to_owned(),
        "link_made" => "Link to the customer's page made".to_owned(),
        "link_opened" => "Customer's page opened".to_owned(),
        "links_revoked" => "Links revoked".to_owned(),
        "reminders_stopped" => "Reminders stopped".to_owned(),
        "onboarded" => "Became a customer".to_owned(),
        "told" => format!("Told the app backend: {}", event(text("event"))),
        "mail_sent" => format!("Wrote to the customer: {}", event(text("event"))),
        "telling_left_out" => format!("Not told any more: {}", event(text("event"))),
        "telling_given_up" => format!("Telling was given up: {}", event(text("event"))),
        other => capital(&words(other)),
    }
}

/// An event by what it tells of: `customer.correction_requested` is "correction requested".
fn event(event: &str) -> String {
    words(event.strip_prefix("customer.").unwrap_or(event))
}

/// An act by its kind.
fn act(kind: &str) -> &str {
    match kind {
        "block" => "block or unblock",
        "tags" => "tags",
        "update" => "update",
        "rfi" => "answers for Nium",
        "regenerate" => "new address for the check",
        "onboard" => "onboarding",
        "submit" => "submission",
        other => other,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
