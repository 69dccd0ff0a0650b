//! Block, tags and update with the vendor's rules and error envelopes (contract sections 8, 12.1, 12.3).

use serde_json::{Map, Value, json};

use super::Reply;
use super::routes::envelope;
use super::state::{Customer, State};
use super::strict;

const COMMENT_CHARS_MAX: usize = 255;
const TAGS_MAX: usize = 15;
const TEMPORARY: [&str; 4] =
    ["CUSTOMER_REQUEST", "CLIENT_REQUEST", "SUSPICIOUS_ACTIVITY", "POTENTIAL_SANCTION"];
const PERMANENT: [&str; 12] = [
    "CUSTOMER_REQUEST",
    "CLIENT_REQUEST",
    "SUSPICIOUS_ACTIVITY",
    "POTENTIAL_SANCTION",
    "DECEASED",
    "ACCOUNT_CLOSURE",
    "FRAUDULENT_ACTIVITY",
    "SANCTIONED_CUSTOMER",
    "BLACKLISTED_CUSTOMER",
    "UNRESPONSIVE_CUSTOMER",
    "DORMANCY",
    "OTHER",
];
const UNBLOCK: [&str; 2] = ["CUSTOMER_REQUEST", "CLIENT_REQUEST"];
/// What an update takes beside the fields of an address.
const UPDATABLE: [&str; 14] = [
    "email",
    "mobile",
    "countryCode",
    "nativeLanguageName",
    "occupation",
    "employeeId",
    "segment",
    "deviceInfo",
    "ipAddress",
    "countryIP",
    "sessionId",
    "additionalInfo",
    "blockType",
    "authenticationCode",
];

/// Does one of them. `seq` is the entry in the journal.
pub(super) fn answer(
    state: &mut State,
    endpoint: &str,
    id: &str,
    region: &str,
    body: Option<&Value>,
    seq: usize,
) -> Reply {
    let Some(Value::Object(body)) = body else {
        return envelope(400, "BAD_REQUEST", "the body is not a JSON object");
    };
    let now = state.now_text();
    let Some(customer) = state.customers.get_mut(id) else {
        return envelope(404, "NOT_FOUND", "Customer not found");
    };
    let done = match endpoint {
        "block" => block(customer, body),
        "tags" => tags(customer, body),
        _ => update(customer, body, region),
    };
    match done {
        Ok(answer) => {
            customer.updated_at = now;
            state.amend(seq, |entry| entry.applied = true);
            Reply::Json(200, answer)
        }
        Err((message, error)) => {
            state.amend(seq, |entry| entry.problems.push(error.clone()));
            Reply::Json(400, json!({ "status": "BAD_REQUEST", "message": message, "errors": [error] }))
        }
    }
}

type Done = Result<Value, (&'static str, String)>;

const INVALID: &str = "Validation failed for input provided";

fn block(customer: &mut Customer, body: &Map<String, Value>) -> Done {
    if let Some(unknown) = body.keys().find(|name| !["action", "reason", "comment"].contains(&name.as_str()))
    {
        return Err((INVALID, format!("{unknown}: unknown field")));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (action, reason, comment) = (text("action"), text("reason"), text("comment"));
    if comment.is_empty() {
        return Err((INVALID, "comment is required".to_owned()));
    }
    if comment.chars().count() > COMMENT_CHARS_MAX {
        return Err((INVALID, format!("Maximum length for comment is {COMMENT_CHARS_MAX}")));
    }
    let (reasons, wrong): (&[&str], &str) = match action {
        "TEMPORARY_BLOCK" => (&TEMPORARY, "Reason is not valid to Temporarily Block Customer"),
        "PERMANENT_BLOCK" => (&PERMANENT, "Reason is not valid to Permanently Block Customer"),
        "UNBLOCK" => (&UNBLOCK, "Reason is not valid to Unblock Customer"),
        _ => return Err((INVALID, "action: not valid".to_owned())),
    };
    if !reasons.contains(&reason) {
        return Err(("Invalid Reason Provided", wrong.to_owned()));
    }
    let refused = |error: &str| Err(("Customer cannot be blocked or unblocked", error.to_owned()));
    let (status, message) = match (action, customer.status.as_str()) {
        (_, "Blocked") => return refused("Customer is blocked permanently"),
        ("UNBLOCK", "Suspended") if customer.block_updated_by.as_deref() != Some("CLIENT") => {
            return refused("Customer was not blocked by the client");
        }
        ("UNBLOCK", "Suspended") => ("Clear", "Customer has been Unblocked"),
        ("UNBLOCK", _) => return refused("Customer is not blocked"),
        ("TEMPORARY_BLOCK", _) => ("Suspended", "Customer has been Blocked Temporarily"),
        _ => ("Blocked", "Customer has been Blocked Permanently"),
    };
    status.clone_into(&mut customer.status);
    customer.block_updated_by = (action != "UNBLOCK").then(|| "CLIENT".to_owned());
    customer.block_reason = (action != "UNBLOCK").then(|| reason.to_owned());
    customer.block_comment = (action != "UNBLOCK").then(|| comment.to_owned());
    Ok(json!({ "status": "OK", "message": message, "errors": [] }))
}

fn tags(customer: &mut Customer, body: &Map<String, Value>) -> Done {
    let Some(changes) = body.get("tags").and_then(Value::as_array).filter(|_| body.len() == 1) else {
        return Err((INVALID, "tags: a list, and nothing else".to_owned()));
    };
    let before = customer.application.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut after: Vec<Value> = before;
    let mut told = Vec::new();
    for change in changes {
        let text = |name: &str| change.get(name).and_then(Value::as_str);
        let (Some(action), Some(key), Some(value)) = (text("action"), text("key"), text("value")) else {
            return Err((INVALID, "tags: action, key and value are required".to_owned()));
        };
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err((INVALID, "tags: a key has 1 to 128, a value at most 256 characters".to_owned()));
        }
        after.retain(|tag| tag.get("key").and_then(Value::as_str) != Some(key));
        match action {
            "MAINTAIN" => after.push(json!({ "key": key, "value": value })),
            "DELETE" => {}
            _ => return Err((INVALID, "tags: action is MAINTAIN or DELETE".to_owned())),
        }
        told.push(
            json!({ "key": key, "message": if action == "DELETE" { "Tag deleted" } else { "Tag saved" } }),
        );
    }
    if after.len() > TAGS_MAX {
        return Err((INVALID, "tags: maximum 15".to_owned()));
    }
    customer.application.insert("tags".to_owned(), Value::Array(after));
    Ok(json!({ "tags": told }))
}

fn update(customer: &mut Customer, body: &Map<String, Value>, region: &str) -> Done {
    let fields: Vec<&String> = body.keys().filter(|name| *name != "authenticationCode").collect();
    if fields.is_empty() {
        return Err((INVALID, "at least one field".to_owned()));
    }
    match (["EU", "UK"].contains(&region), body.contains_key("authenticationCode")) {
        (true, false) => return Err((INVALID, "authenticationCode: required".to_owned())),
        (false, true) => return Err((INVALID, "authenticationCode: not allowed".to_owned())),
        (true, true) | (false, false) => {}
    }
    let completed = customer.compliance_status == "COMPLETED";
    for name in &fields {
        let address = |kind: &str| name.starts_with(kind);
        let known = UPDATABLE.contains(&name.as_str())
            || ["billing", "delivery", "correspondence"].iter().any(|kind| address(kind));
        if !known {
            return Err((INVALID, format!("{name}: unknown field")));
        }
        let open = ["email", "mobile", "countryCode"].contains(&name.as_str())
            || address("delivery")
            || address("correspondence");
        if completed && !open {
            return Err((INVALID, format!("{name}: cannot be updated when COMPLETED")));
        }
    }
    let faults = strict::field_faults(body);
    if let Some(fault) = faults.into_iter().next() {
        return Err((INVALID, fault));
    }
    for name in fields {
        customer.application.insert(name.clone(), body.get(name).cloned().unwrap_or_default());
    }
    Ok(json!({ "message": "Customer Updated Successfull" }))
}
