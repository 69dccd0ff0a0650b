//! The shapes of requests and answers. What a request may hold comes from the same tables that check it.

use serde_json::{Map, Value, json};

use super::{privacy, schema};
use crate::domain::act::{
    ADDRESS_IDS, BlockAction, COMMENT_CHARS_MAX, PermanentReason, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX,
    TAGS_MAX, TemporaryReason, UPDATABLE, UnblockReason,
};
use crate::domain::case::CaseState;
use crate::domain::company::{self, Shape};
use crate::domain::documents::DOCUMENTS_MAX;
use crate::domain::effect::EffectStatus;
use crate::domain::fields::{FIELDS, Field, Kind};
use crate::domain::rfi;
use crate::domain::search::TERM_CHARS_MAX;
use crate::domain::texts::Language;
use crate::domain::view::View;
use crate::ops::customer::ERASED;
use crate::ops::officer::NOTE_CHARS_MAX;
use crate::ops::search::{NiumWish, Wish};
use crate::store::rows::watch::{JobKind, JobStatus};

/// Every schema by its name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for part in [requests(), cases(), answers(), evidence(), privacy::schemas()] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// Exactly these properties; `required` are always there.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

pub(super) fn closed(properties: Value, required: &[&str]) -> Value {
    let mut schema = object(properties, required);
    schema["additionalProperties"] = json!(false);
    schema
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn maybe(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(super) fn id() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn page(items: &str) -> Value {
    let items = json!({ "type": "array", "items": schema(items) });
    object(json!({ "items": items, "next": maybe(text()) }), &["items", "next"])
}

/// What a field of Unified Add Customer takes. Null and blank text say nothing, and are left out.
fn field(field: &Field) -> Value {
    let list =
        |items: Value, most: usize| json!({ "type": ["array", "null"], "items": items, "maxItems": most });
    match field.kind {
        Kind::Text(most) => json!({ "type": ["string", "null"], "maxLength": most }),
        Kind::Email => {
            json!({ "type": ["string", "null"], "maxLength": 60, "examples": ["ada@example.test"] })
        }
        Kind::Mobile => json!({ "type": ["string", "null"], "pattern": "^[0-9]{0,20}$" }),
        Kind::Country => {
            json!({ "type": ["string", "null"], "description": "ISO 3166, two capital letters." })
        }
        Kind::Currency => {
            json!({ "type": ["string", "null"], "description": "ISO 4217, three capital letters." })
        }
        Kind::Date => json!({ "type": ["string", "null"], "description": "YYYY-MM-DD." }),
        Kind::Flag => json!({ "type": ["boolean", "null"] }),
        Kind::OneOf(words) => json!({ "anyOf": [{ "enum": words }, { "type": "null" }] }),
        Kind::Occupation => {
            json!({ "type": ["string", "null"], "description": "One of Nium's codes, such as OC0001." })
        }
        Kind::Countries => list(text(), 249),
        Kind::TaxDetails => list(
            closed(
                json!({ "countryOfResidence": text(), "taxIdNumber": text() }),
                &["countryOfResidence", "taxIdNumber"],
            ),
            249,
        ),
        Kind::Tags => list(
            closed(
                json!({
            "key": { "type": "string", "maxLength": TAG_KEY_CHARS_MAX },
            "value": { "type": "string", "maxLength": TAG_VALUE_CHARS_MAX } }),
                &["key", "value"],
            ),
            TAGS_MAX,
        ),
        Kind::Texts => json!({ "type": ["object", "null"], "additionalProperties": text() }),
        Kind::Documents => list(schema("Document"), DOCUMENTS_MAX),
    }
}

fn fields(named: impl Iterator<Item = &'static Field>) -> Value {
    Value::Object(named.map(|known| (known.name.to_owned(), field(known))).collect())
}

/// A company's body, from the table that checks it.
fn company() -> Value {
    let mut whole = names(company::BODY);
    for path in company::REQUIRED {
        let path = path.trim_start_matches('/').split('/');
        let mut at = &mut whole;
        for name in path {
            if let Some(required) =
                at["required"].as_array_mut().filter(|required| !required.contains(&json!(name)))
            {
                required.push(json!(name));
            }
            at = &mut at["properties"][name];
            if at["anyOf"].is_array() {
                at = &mut at["anyOf"][0];
            }
        }
    }
    whole
}

fn names(known: &[(&str, Shape)]) -> Value {
    let properties: Map<_, _> =
        known.iter().map(|(name, shape)| ((*name).to_owned(), shaped(shape))).collect();
    closed(Value::Object(properties), &[])
}

/// What may stand there. Null says nothing, and is left out.
fn shaped(shape: &Shape) -> Value {
    let text = || json!({ "type": "string", "maxLength": company::TEXT_CHARS_MAX });
    let many =
        |items: Value| maybe(json!({ "type": "array", "maxItems": company::ITEMS_MAX, "items": items }));
    match shape {
        Shape::Text => maybe(text()),
        Shape::Flag => json!({ "type": ["boolean", "null"] }),
        Shape::Texts => many(text()),
        Shape::Free => maybe(
            json!({ "type": "object", "maxProperties": company::ITEMS_MAX, "additionalProperties": text() }),
        ),
        Shape::Of(known) => maybe(names(known)),
        Shape::Many(known) => many(names(known)),
        Shape::File => {
            json!({ "type": ["string", "null"], "description": "Base64; 2 MiB a file, 10 MiB together." })
        }
        Shape::Tags => json!({ "type": ["array", "null"], "maxItems": TAGS_MAX }),
    }
}

/// An officer's words.
const WORDS: [&str; 6] = ["offer", "reapply", "final", "retry", "close", "take_over"];

fn note() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": NOTE_CHARS_MAX, "description": "Sealed; shown in the timeline." })
}

/// Both sources in one shape: which names belong to which is said in words, and by the answer.
/// A tag that is looked for.
pub(super) fn tag() -> Value {
    closed(
        json!({ "key": { "type": "string", "minLength": 1, "maxLength": TAG_KEY_CHARS_MAX },
        "value": { "type": "string", "maxLength": TAG_VALUE_CHARS_MAX } }),
        &["key"],
    )
}

fn search() -> Value {
    let word = || json!({ "type": "string", "minLength": 1, "maxLength": TERM_CHARS_MAX });
    let mut properties = json!({
        "source": { "type": "string", "enum": ["ours", "nium"] }, "tag": tag(), "cursor": maybe(text()),
        "limit": { "type": "integer", "minimum": 1, "maximum": 200, "description": "At most 50 for nium." },
    });
    for name in Wish::OPEN.iter().chain(&Wish::PERSONAL) {
        properties[*name] = word();
    }
    for name in NiumWish::NAMES {
        properties[name] = word();
    }
    closed(properties, &["source"])
}

fn requests() -> Value {
    let updatable = FIELDS.iter().filter(|field| UPDATABLE.contains(&field.name));
    let mut update = fields(updatable);
    update["authenticationCode"] = json!({ "type": "string", "description": "Opaque; demanded in the EU and the UK, refused elsewhere; never stored in clear." });
    for name in ADDRESS_IDS {
        update[name] = text();
    }
    let file = closed(
        json!({ "fileName": text(), "fileType": text(), "document": { "type": "string", "description": "Base64; 2 MiB a file, 10 MiB together." } }),
        &["fileName", "fileType", "document"],
    );
    let document = json!({
        "identificationType": text(), "identificationValue": text(), "identificationDocExpiry": text(),
        "identificationIssuingDate": text(), "identificationIssuingAuthority": text(), "identificationDocIssuanceCountry": text(),
        "identificationDocHolderName": text(), "identificationDocReferenceNumber": text(), "identificationDocColor": text(),
        "identificationDocument": { "type": "array", "items": file },
    });
    let mut of_person = fields(rfi::FIELDS.iter());
    of_person["isPep"] = json!({ "anyOf": [{ "type": "boolean" }, { "enum": ["true", "false"] }] });
    of_person["identificationDoc"] = schema("Document");
    let answer = json!({ "type": "object", "properties": of_person,
        "description": "A person's, or a company's under businessInfo, riskAssessmentInfo, … as Nium names them." });
    let words = |words: Vec<&'static str>| json!({ "type": "string", "enum": words });
    let mut reasons: Vec<&'static str> = TemporaryReason::ALL.iter().map(|reason| reason.as_str()).collect();
    reasons.extend(PermanentReason::ALL.iter().map(|reason| reason.as_str()));
    reasons.extend(UnblockReason::ALL.iter().map(|reason| reason.as_str()));
    reasons.sort_unstable();
    reasons.dedup();
    json!({
        "Document": closed(document, &["identificationType"]),
        "Application": closed(fields(FIELDS.iter()), &[]),
        "Company": company(),
        "Correction": closed(json!({ "fields": { "type": "object", "description": "Names of Unified Add Customer." },
            "documents": { "type": "array", "items": schema("Document"), "maxItems": DOCUMENTS_MAX } }), &[]),
        "LinkWish": closed(json!({
            "language": maybe(json!({ "type": "string", "enum": Language::ALL.map(Language::tag) })),
        }), &[]),
        "Update": closed(update, &[]),
        "Block": closed(json!({
            "action": words(BlockAction::WORDS.to_vec()), "reason": words(reasons),
            "comment": { "type": "string", "minLength": 1, "maxLength": COMMENT_CHARS_MAX },
            "receipt": { "type": "string", "description": "Of a permanent block, as the first call gave it." },
        }), &["action", "reason", "comment"]),
        "Tags": closed(json!({
            "set": { "type": "object", "maxProperties": TAGS_MAX, "propertyNames": { "maxLength": TAG_KEY_CHARS_MAX },
                "additionalProperties": { "type": "string", "minLength": 1, "maxLength": TAG_VALUE_CHARS_MAX } },
            "delete": { "type": "array", "maxItems": TAGS_MAX, "items": { "type": "string", "minLength": 1, "maxLength": TAG_KEY_CHARS_MAX } },
        }), &[]),
        "Decision": closed(json!({ "decision": words(WORDS.to_vec()), "note": note() }), &["decision"]),
        "Verdict": closed(json!({ "verdict": words(vec!["approve", "refuse"]), "note": note() }), &["verdict"]),
        "Search": search(),
        "RfiAnswer": closed(json!({ "answers": { "type": "array", "minItems": 1, "maxItems": rfi::ITEMS_MAX,
            "items": closed(json!({ "rfiHashId": text(), "fields": answer }), &["rfiHashId", "fields"]) } }), &["answers"]),
        "Retry": closed(json!({
            "kind": words(JobKind::ALL.map(JobKind::as_str).to_vec()), "status": words(vec!["failing", "failed", "parked"]),
            "customerHashId": id(), "confirm": count() }), &[]),
    })
}

fn cases() -> Value {
    let nium = object(
        json!({
            "status": maybe(text()), "complianceStatus": maybe(text()), "remarks": maybe(text()),
            "complianceRemarks": maybe(text()), "updatedAt": maybe(text()), "lookedAt": time(),
        }),
        &["status", "complianceStatus", "lookedAt"],
    );
    let correction = object(
        json!({ "url": text(), "deadline": time(), "class": text(), "fields": { "type": "array", "items": text() } }),
        &["url", "deadline"],
    );
    json!({
        "Customer": object(json!({
            "customerHashId": id(), "state": { "enum": CaseState::NAMES.into_iter().chain([ERASED]).collect::<Vec<_>>() }, "since": time(), "version": count(), "reason": text(),
            "next": maybe(object(json!({ "what": text(), "at": time() }), &["what", "at"])),
            "nium": maybe(nium), "attempts": object(json!({ "used": count(), "max": count() }), &["used", "max"]),
            "block": maybe(object(json!({ "permanent": { "type": "boolean" }, "by": text(), "reason": maybe(text()), "comment": maybe(text()) }), &["permanent", "by"])),
            "rfi": maybe(object(json!({ "open": { "const": true }, "deadline": time(), "overdue": { "type": "boolean" } }), &["open", "deadline", "overdue"])),
            "correction": maybe(correction), "customerType": maybe(json!({ "enum": ["INDIVIDUAL", "CORPORATE"] })),
            "officer": object(json!({ "by": text(), "since": time(), "note": text() }), &["by", "since"]),
            "redirect": maybe(object(json!({ "expiresAt": time(), "expired": { "type": "boolean" } }), &["expiresAt", "expired"])),
            "legalHold": object(json!({ "by": text(), "since": time(), "reason": maybe(text()) }), &["by", "since", "reason"]),
        }), &["customerHashId", "state", "since", "version", "next", "nium", "block", "rfi", "attempts", "correction"]),
        "CustomerPage": page("Customer"),
        "Found": object(json!({ "items": { "type": "array", "items": object(json!({ "customerHashId": id() }), &["customerHashId"]) },
            "next": maybe(text()), "notes": { "type": "array", "items": text() } }), &["items", "next"]),
        "Views": object(json!({ "items": { "type": "array", "items": object(json!({
            "view": { "enum": View::ALL.map(View::as_str) }, "title": text(), "means": text(), "count": count(),
            "orMore": { "type": "boolean" },
        }), &["view", "title", "means", "count", "orMore"]) } }), &["items"]),
        "Timeline": page("TimelineLine"),
        "TimelineLine": object(json!({ "at": time(), "what": text(), "version": count(), "detail": {} }), &["at", "what", "detail"]),
        "Rfi": object(json!({
            "customerHashId": id(), "open": { "type": "boolean" }, "deadline": maybe(time()), "overdue": { "type": "boolean" },
            "fetchedAt": maybe(time()), "items": { "type": "array", "items": schema("RfiItem") },
        }), &["customerHashId", "open", "deadline", "overdue", "fetchedAt", "items"]),
        "RfiItem": object(json!({
            "rfiHashId": text(), "question": text(), "about": maybe(text()), "remarks": maybe(text()),
            "mandatory": maybe(json!({ "type": "boolean" })), "documentType": maybe(text()),
            "status": { "enum": ["RFI_REQUESTED", "RFI_RESPONDED"] },
            "fields": { "type": "array", "items": object(json!({ "name": text(), "label": maybe(text()),
                "kind": { "enum": ["data", "document"] }, "required": { "type": "boolean" } }), &["name", "kind", "required"]) },
        }), &["rfiHashId", "question", "status", "fields"]),
        "Redirect": object(json!({ "customerHashId": id(), "url": text(), "expiresAt": time(), "expired": { "type": "boolean" } }), &["customerHashId", "url", "expiresAt", "expired"]),
    })
}

fn answers() -> Value {
    let problem = || json!({ "type": "array", "items": object(json!({ "field": text(), "message": text() }), &["field", "message"]) });
    let difference = || json!({ "type": "array", "items": object(json!({ "field": text() }), &["field"]) });
    let statuses = EffectStatus::ALL.map(EffectStatus::as_str);
    json!({
        "Problem": object(json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "code": text(), "detail": text(),
            "hint": text(), "errors": problem(), "effectId": text(),
        }), &["type", "title", "status", "code"]),
        "Effect": object(json!({
            "effectId": text(), "customerHashId": maybe(id()), "kind": text(), "status": { "enum": statuses },
            "ended": { "type": "boolean" }, "attempts": count(), "createdAt": time(), "endedAt": maybe(time()),
            "outcome": maybe(text()), "said": maybe(json!({ "type": "object" })),
        }), &["effectId", "customerHashId", "kind", "status", "ended", "attempts", "createdAt"]),
        "DryRun": object(json!({ "dryRun": { "const": true }, "method": text(), "path": text(), "body": {} }), &["dryRun", "method", "path", "body"]),
        "Receipt": object(json!({ "receipt": text(), "would": { "type": "object" } }), &["receipt", "would"]),
        "InHand": object(json!({ "customerHashId": id(), "officer": object(json!({ "by": text(), "since": time() }), &["by", "since"]) }), &["customerHashId", "officer"]),
        "ApprovalAsked": object(json!({ "approvalId": text(), "needs": { "const": "second person" } }), &["approvalId", "needs"]),
        "Decided": object(json!({ "approvalId": text(), "status": { "enum": ["approved", "refused"] }, "effectId": text() }), &["approvalId", "status"]),
        "Approval": object(json!({
            "approvalId": text(), "customerHashId": id(), "what": text(), "act": maybe(json!({ "type": "object" })),
            "status": { "enum": ["open", "approved", "refused", "lapsed", "expired"] }, "version": count(), "askedBy": text(),
            "askedAt": time(), "expiresAt": time(), "note": maybe(text()), "decidedBy": maybe(text()),
            "decidedAt": maybe(time()), "decidedNote": maybe(text()), "effectId": maybe(text()),
        }), &["approvalId", "customerHashId", "what", "status", "askedBy", "askedAt", "expiresAt"]),
        "ApprovalPage": page("Approval"),
        "Stored": object(json!({ "effectId": text() }), &["effectId"]),
        "Link": object(json!({ "linkId": id(), "url": text(), "expiresAt": time() }), &["linkId", "url", "expiresAt"]),
        "LinksRevoked": object(json!({ "revoked": count() }), &["revoked"]),
        "Kept": object(json!({ "customerHashId": id(), "warnings": problem() }), &["customerHashId", "warnings"]),
        "Corrected": object(json!({ "correctionId": id(), "effectId": text(), "difference": difference() }), &["correctionId", "effectId", "difference"]),
        "Preview": object(json!({ "request": { "type": "object" }, "difference": difference(), "problems": problem() }), &["request", "difference", "problems"]),
        "Count": object(json!({ "count": count(), "most": count() }), &["count", "most"]),
        "Retried": object(json!({ "retried": count() }), &["retried"]),
        "Ready": object(json!({ "status": { "enum": ["ready", "degraded", "stopping", "not_ready"] } }), &["status"]),
    })
}

fn evidence() -> Value {
    json!({
        "Callback": object(json!({
            "id": count(), "customerHashId": maybe(id()), "requestId": maybe(text()), "source": { "enum": ["callback", "webhook"] },
            "template": maybe(text()), "receivedAt": time(), "lastReceivedAt": time(), "deliveries": count(),
        }), &["id", "customerHashId", "requestId", "source", "receivedAt", "lastReceivedAt", "deliveries"]),
        "CallbackPage": page("Callback"),
        "AuditRow": object(json!({
            "id": count(), "at": time(), "actor": text(), "what": text(), "customerHashId": maybe(id()),
            "detail": {}, "seq": maybe(count()), "erasedAt": time(),
        }), &["id", "at", "actor", "what", "customerHashId", "detail", "seq"]),
        "AuditPage": page("AuditRow"),
        "Bundle": object(json!({
            "format": text(), "customerHashId": id(), "exportedAt": time(), "exportedBy": text(), "isWhole": { "type": "boolean" },
            "leftOut": { "type": "array", "items": text() }, "appliedAs": { "type": "array", "items": id() }, "case": {},
            "timeline": { "type": "array" }, "callbacks": { "type": "array" }, "effects": { "type": "array" },
            "audit": { "type": "array" }, "chain": { "type": "object" },
        }), &["format", "customerHashId", "exportedAt", "exportedBy", "isWhole", "timeline", "audit", "chain"]),
        "Job": object(json!({
            "kind": { "enum": JobKind::ALL.map(JobKind::as_str) }, "status": { "enum": JobStatus::ALL.map(JobStatus::as_str) },
            "customerHashId": maybe(id()), "since": time(), "ageSeconds": count(), "dueAt": maybe(time()),
            "attempts": count(), "reason": maybe(text()), "officer": object(json!({ "by": text(), "since": time() }), &["by", "since"]),
        }), &["kind", "status", "customerHashId", "since", "ageSeconds", "dueAt", "attempts", "reason"]),
        "JobPage": page("Job"),
        "Sweep": object(json!({
            "id": count(), "kind": { "enum": ["baseline", "full"] }, "askedBy": text(), "askedAt": time(), "page": count(),
            "back": { "type": "boolean" }, "pages": maybe(count()), "total": maybe(count()), "seen": count(), "found": count(),
            "unreadable": count(), "failures": count(), "trouble": maybe(text()), "dueAt": maybe(time()), "endedAt": maybe(time()),
            "outcome": maybe(json!({ "enum": ["complete", "given_up"] })),
        }), &["id", "kind", "askedBy", "askedAt", "seen", "found", "endedAt"]),
        "SweepPage": page("Sweep"),
    })
}
