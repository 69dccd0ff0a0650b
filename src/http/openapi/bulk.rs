//! An officer's word to everybody who fits a filter.

use serde_json::{Map, Value, json};

use super::schemas::{closed, count, id, maybe, object, page, tag, text, time};
use super::{Operation, schema};
use crate::domain::case::CaseState;
use crate::domain::decision::OfficerWord;
use crate::domain::search::TERM_CHARS_MAX;
use crate::ops::bulk::WORDS;
use crate::ops::officer::NOTE_CHARS_MAX;
use crate::ops::search::Wish;

pub(super) fn operations() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "customers", summary);
    vec![
        op("post", "/v1/customers/bulk", "An officer's word to many customers")
            .role("officer")
            .about("`filter` has the conditions of a search among ours, at least one. Without `confirm` it counts, and shows what the word would do to the first of them; with the count of that answer it begins. Only who fits then is meant; each customer is left out with a reason where the word does nothing, where they moved meanwhile, or where it takes a second person. At most 10,000 customers.")
            .write()
            .body(schema("Bulk"), [json!({ "filter": { "state": "finally_rejected", "olderThan": "3d" }, "decision": "offer", "note": "Rule 7 was wrong" })])
            .answer(200, "So many are meant; nothing was done", schema("BulkPreview"))
            .answer(202, "It begins; ask for the act", schema("BulkAct"))
            .problem("count_changed")
            .problem("too_many_customers")
            .problem("filter_too_wide")
            .problem("invalid_bulk"),
        op("get", "/v1/bulk", "Words to many customers")
            .role("viewer")
            .about("Newest first, with progress.")
            .paged()
            .answer(200, "A page", schema("BulkPage")),
        op("get", "/v1/bulk/{id}", "How far a word to many came")
            .role("viewer")
            .about("With its note, why customers were left out, and the first of them.")
            .answer(200, "The act", schema("BulkAct"))
            .problem("no_such_bulk"),
        op("post", "/v1/bulk/{id}/cancel", "Say no further word")
            .role("officer")
            .about("What was said stands. There is no body.")
            .answer(200, "The act", schema("BulkAct"))
            .problem("no_such_bulk")
            .problem("bulk_ended"),
    ]
}

pub(super) fn schemas() -> Value {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let word = || json!({ "type": "string", "minLength": 1, "maxLength": TERM_CHARS_MAX });
    let words = || json!({ "enum": WORDS.map(OfficerWord::as_str) });
    let mut conditions: Map<String, Value> =
        Wish::OPEN.iter().chain(&Wish::PERSONAL).map(|name| ((*name).to_owned(), word())).collect();
    conditions.insert("tag".to_owned(), tag());
    let reasons = || list(object(json!({ "leftOut": text(), "count": count() }), &["leftOut", "count"]));
    json!({
        "Bulk": closed(json!({
            "filter": { "type": "object", "properties": conditions, "additionalProperties": false, "minProperties": 1 },
            "decision": words(), "note": { "type": "string", "minLength": 1, "maxLength": NOTE_CHARS_MAX }, "confirm": count(),
        }), &["filter", "decision"]),
        "BulkPreview": object(json!({
            "count": count(), "most": count(), "said": count(), "reasons": reasons(), "notes": list(text()),
            "preview": list(object(json!({
                "customerHashId": id(), "state": { "enum": CaseState::NAMES }, "would": text(), "leftOut": text(),
            }), &["customerHashId", "state"])),
        }), &["count", "most", "said", "reasons", "preview", "notes"]),
        "BulkAct": object(json!({
            "bulkId": text(), "decision": words(), "filter": { "type": "object" },
            "status": { "enum": ["running", "complete", "cancelled"] }, "askedBy": text(), "askedAt": time(),
            "count": count(), "done": count(), "said": count(), "leftOut": count(), "endedAt": maybe(time()),
            "cancelledBy": maybe(text()), "note": text(), "reasons": reasons(),
            "leftOutFirst": list(object(json!({ "customerHashId": id(), "leftOut": text() }), &["customerHashId", "leftOut"])),
        }), &["bulkId", "decision", "filter", "status", "askedBy", "askedAt", "count", "done", "said", "leftOut", "endedAt", "cancelledBy"]),
        "BulkPage": page("BulkAct"),
    })
}
