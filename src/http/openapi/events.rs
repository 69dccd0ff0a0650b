//! What the app backend is told: the feed, deliveries, endpoints.

use serde_json::{Value, json};

use super::schemas::{closed, count, id, maybe, object, page, text, time};
use super::{Operation, schema};
use crate::domain::effect::Event;
use crate::store::rows::events::{DeliveryFilter, DeliveryStatus};

fn types() -> Value {
    json!({ "type": "string", "enum": Event::ALL.map(Event::as_str) })
}

fn statuses() -> Value {
    json!({ "type": "string", "enum": DeliveryStatus::ALL.map(DeliveryStatus::as_str) })
}

pub(super) fn operations() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "events", summary);
    let filtered = |operation: Operation| {
        operation
            .query("endpoint", "Only to this endpoint.", text())
            .query("status", "Only standing so.", statuses())
            .query("type", "Only of this type.", types())
            .query("customerHashId", "Only about this customer.", id())
            .query("from", "Only of events from then on: a time, or how long ago (`24h`, `3d`).", text())
            .query("to", "Only of events before then.", text())
            .paged()
    };
    vec![
        op("get", "/v1/events", "The feed: every event, for a backend that prefers to ask")
            .role("viewer")
            .about("In order, those of one customer in the order in which they were decided. Go on with `next`, which is always there; while `more` is true there is more already. A page may hold fewer than `limit` and still have more behind it.")
            .query("after", "`next` of the answer before, or the `position` of an event; left out, from the beginning.", text())
            .query("limit", "Events in one answer.", json!({ "type": "integer", "minimum": 1,
                "maximum": super::LIMIT_MAX, "default": super::LIMIT_DEFAULT }))
            .query("customerHashId", "Only about this customer.", id())
            .query("type", "Only of this type.", types())
            .answer(200, "A page", schema("EventPage"))
            .problem("customer_hash_id_malformed"),
        filtered(op("get", "/v1/deliveries", "What was sent to which endpoint, and what it answered").role("viewer"))
            .about("Newest first, each with its last attempts. A page may hold fewer than `limit` and still have a `next`.")
            .answer(200, "A page", schema("DeliveryPage")),
        op("post", "/v1/deliveries/redeliver", "Send deliveries again")
            .role("app")
            .about("Those of `filter.status`, or else those that fail or were given up; with the id and the bytes that they always had, each in its turn among those of its customer. Without `confirm` it only counts; with the count of that answer it goes ahead. At most 1,000 at a time, the oldest first.")
            .write()
            .body(schema("Redeliver"), [json!({ "filter": { "endpoint": "default", "status": "failed", "from": "3d" } })])
            .answer(200, "So many are meant; nothing was done", schema("Count"))
            .answer(202, "So many go out again", schema("Redelivered"))
            .problem("count_changed")
            .problem("invalid_filter"),
        op("get", "/v1/endpoints", "The endpoints, and how they have been doing")
            .role("viewer")
            .answer(200, "All of them", schema("Endpoints")),
        op("post", "/v1/endpoints/{id}/test", "Try an endpoint")
            .role("app")
            .about("Sends it a signed `service.test` now, the same way as every event goes, and says what it answered; a disabled endpoint that takes it is enabled again. `id` is its name. There is no body; the event is not kept.")
            .answer(200, "What the endpoint said", schema("Tried"))
            .problem("no_such_endpoint"),
    ]
}

pub(super) fn schemas() -> Value {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let attempt =
        object(json!({ "number": count(), "at": time(), "answer": text() }), &["number", "at", "answer"]);
    json!({
        "Event": object(json!({
            "id": text(), "position": text(), "type": types(), "timestamp": time(), "data": { "type": "object" },
        }), &["id", "position", "type", "timestamp", "data"]),
        "EventPage": object(json!({ "items": list(schema("Event")), "next": text(), "more": { "type": "boolean" } }), &["items", "next", "more"]),
        "Delivery": object(json!({
            "id": text(), "endpoint": text(), "type": types(), "customerHashId": maybe(id()), "status": statuses(),
            "createdAt": time(), "dueAt": maybe(time()), "endedAt": maybe(time()), "lastAnswer": maybe(text()),
            "attemptCount": count(), "attempts": list(attempt),
        }), &["id", "endpoint", "type", "customerHashId", "status", "createdAt", "dueAt", "endedAt", "lastAnswer", "attemptCount", "attempts"]),
        "DeliveryPage": page("Delivery"),
        "Redeliver": closed(json!({
            "filter": closed(json!({
                "endpoint": text(), "status": { "type": "string", "enum": ["failing", "failed", "delivered"] },
                "type": types(), "customerHashId": id(), "from": text(), "to": text(),
            }), &[]),
            "confirm": { "type": "integer", "minimum": 0, "maximum": DeliveryFilter::REDELIVER_MAX },
        }), &["filter"]),
        "Redelivered": object(json!({ "redelivered": count() }), &["redelivered"]),
        "Endpoints": object(json!({ "items": list(schema("Endpoint")) }), &["items"]),
        "Endpoint": object(json!({
            "name": text(), "host": text(), "events": list(types()), "disabledSince": maybe(time()),
            "failingSince": maybe(time()), "nextProbeAt": maybe(time()), "lastSuccessAt": maybe(time()),
            "oldestPendingSince": maybe(time()),
        }), &["name", "host", "events", "disabledSince", "failingSince", "nextProbeAt", "lastSuccessAt", "oldestPendingSince"]),
        "Tried": object(json!({
            "id": text(), "delivered": { "type": "boolean" }, "status": maybe(count()), "statusClass": maybe(text()),
            "error": maybe(text()), "milliseconds": count(),
        }), &["id", "delivered", "status", "statusClass", "error", "milliseconds"]),
    })
}
