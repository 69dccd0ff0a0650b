//! How far rejected customers have come, and how the service has been doing.

use serde_json::{Value, json};

use super::schemas::{count, id, maybe, object, page, text, time};
use super::{Operation, schema};
use crate::domain::case::CaseState;
use crate::domain::journey::{Reach, Step};
use crate::ops::overview::{DAYS_DEFAULT, DAYS_MAX};

pub(super) fn operations() -> Vec<Operation> {
    let op = |path, summary| Operation::new("get", path, "work", summary).role("viewer");
    let days = || json!({ "type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": DAYS_DEFAULT });
    vec![
        op("/v1/overview", "Everything at a glance")
            .about(
                "The funnel from rejected to reinstated, who waits for whom, the last 48 hours, and health. Counted by the side: \
                 who waits for whom is as of `countedAt`, and `behind` events are not in the funnel yet. Times are rounded to two \
                 figures. Calls to Nium are those of all replicas; `pausedUntil` is about the one that answers.",
            )
            .query("days", "The funnel counts rejections of so many days (UTC), today included.", days())
            .answer(200, "The overview", schema("Overview")),
        op("/v1/journeys", "Rejected customers who have come so far")
            .about("Newest rejection first. A customer who was rejected again after coming back has two journeys, as in the funnel.")
            .query(
                "step",
                "Only those that have reached this step; `under_way`: those that have not ended; `unaided`: those that were reinstated although nothing was submitted.",
                json!({ "type": "string", "enum": Reach::ALL.map(Reach::as_str), "default": "rejected" }),
            )
            .query("days", "Only rejections of so many days (UTC), today included.", days())
            .paged()
            .answer(200, "A page", schema("JourneyPage")),
    ]
}

pub(super) fn schemas() -> Value {
    let seconds = || maybe(count());
    let share = || maybe(json!({ "type": "number", "minimum": 0, "maximum": 1 }));
    let list = |items: Value| json!({ "type": "array", "items": items });
    let waits = || list(schema("Waits"));
    json!({
        "Overview": object(json!({
            "at": time(), "days": count(), "since": time(), "funnel": schema("Funnel"),
            "waiting": object(json!({ "countedAt": maybe(time()), "customer": waits(), "nium": waits(), "us": waits() }),
                &["countedAt", "customer", "nium", "us"]),
            "hours": list(schema("Hour")), "nium": schema("NiumPace"),
            "service": object(json!({
                "lastCallbackAt": maybe(time()), "callbacksSilentSince": maybe(time()), "disabledEndpoints": count(),
                "auditUnlinked": count(), "customersDue": count(), "callbacksUnfolded": count(),
            }), &["lastCallbackAt", "callbacksSilentSince", "disabledEndpoints", "auditUnlinked", "customersDue", "callbacksUnfolded"]),
            "intake": object(json!({
                "status": { "enum": ["ready", "degraded", "stopping"] }, "spoolHasRoom": { "type": "boolean" },
                "callbacksSpooled": count(),
            }), &["status", "spoolHasRoom", "callbacksSpooled"]),
        }), &["at", "days", "since", "funnel", "waiting", "hours", "nium", "service", "intake"]),
        "Funnel": object(json!({
            "steps": list(object(json!({
                "step": { "enum": Step::ALL.map(Step::as_str) }, "count": count(), "ofAll": share(), "ofPrevious": share(),
                "medianSeconds": seconds(), "p90Seconds": seconds(),
            }), &["step", "count", "ofAll", "ofPrevious", "medianSeconds", "p90Seconds"])),
            "finallyRejected": count(), "underWay": count(), "unaided": count(),
            "wholeWay": object(json!({ "medianSeconds": seconds(), "p90Seconds": seconds() }), &["medianSeconds", "p90Seconds"]),
            "behind": count(),
        }), &["steps", "finallyRejected", "underWay", "unaided", "wholeWay", "behind"]),
        "Waits": object(json!({ "what": text(), "count": count(), "oldestSince": maybe(time()) }), &["what", "count", "oldestSince"]),
        "Hour": object(json!({
            "hour": time(), "callbacks": count(), "redeliveries": count(), "foundLate": count(), "foundMissing": count(),
            "niumCalls": count(), "niumErrors": count(), "niumPauses": count(),
        }), &["hour", "callbacks", "redeliveries", "foundLate", "foundMissing", "niumCalls", "niumErrors", "niumPauses"]),
        "NiumPace": object(json!({
            "since": time(), "calls": count(), "errors": count(), "outcomes": { "type": "object", "additionalProperties": count() },
            "pauses": count(), "meanMillis": maybe(count()), "requestsPerSecond": { "type": "number" }, "pausedUntil": maybe(time()),
        }), &["since", "calls", "errors", "outcomes", "pauses", "meanMillis", "requestsPerSecond", "pausedUntil"]),
        "Journey": object(json!({
            "customerHashId": id(), "rejectedAt": time(), "offeredAt": maybe(time()), "correctedAt": maybe(time()),
            "submittedAt": maybe(time()), "endedAt": maybe(time()),
            "outcome": maybe(json!({ "enum": ["reinstated", "finally_rejected"] })), "state": maybe(json!({ "enum": CaseState::NAMES })),
        }), &["customerHashId", "rejectedAt", "offeredAt", "correctedAt", "submittedAt", "endedAt", "outcome", "state"]),
        "JourneyPage": page("Journey"),
    })
}
