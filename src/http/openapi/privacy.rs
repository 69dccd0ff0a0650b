//! Erasing, holding and handing out one person's data.

use serde_json::{Value, json};

use super::schemas::{closed, id, object, text, time};
use super::{Operation, schema};
use crate::ops::officer::NOTE_CHARS_MAX;

pub(super) fn operations() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "customers", summary);
    vec![
        op("post", "/v1/customers/{id}/hold", "Set or lift a legal hold")
            .role("officer")
            .about("While it is set nothing about the customer is erased, and nothing goes by a rule of `privacy`. Who did it and why stands in the timeline, the reason sealed.")
            .write()
            .body(schema("Hold"), [json!({ "action": "set", "reason": "Case 1001: requested by the court" })])
            .answer(200, "As asked for", schema("Held"))
            .problem("no_such_customer")
            .problem("invalid_hold"),
        op("get", "/v1/customers/{id}/export", "Everything on file about a person")
            .role("admin")
            .about("The bundle, and beside it what is sealed, opened: the application with its documents, what Nium said, corrections, drafts, what waits for a second person, notes. That it was given out is recorded first.")
            .answer(200, "The export", schema("Export"))
            .problem("customer_hash_id_malformed")
            .problem("no_such_customer"),
        op("post", "/v1/customers/{id}/erase", "Erase a person")
            .role("admin")
            .about("Destroys the customer's data key, everything that it sealed, the timeline and whatever else tells of them, for good. Their rows of the audit record lose what they said, and the chain stays whole. Refused while a write about them is on its way to Nium, or a legal hold is set; erased twice is as once. `state` is `erased` from then on, a callback about them is counted and nothing more.")
            .write()
            .answer(200, "Erased: now, or before", schema("Erasure"))
            .problem("no_such_customer")
            .problem("write_under_way")
            .problem("legal_hold"),
        op("post", "/v1/onboardings/{id}/erase", "Erase an onboarding that led to no customer")
            .role("admin")
            .about("The id is the `effectId` that POST /v1/customers answered with. Destroys the applicant's data key, the application that it sealed, and what is recorded about it, for good, as erasing a customer does. Refused while the request may still be on its way to Nium, or a legal hold is set; erased twice is as once.")
            .write()
            .answer(200, "Erased: now, or before", schema("OnboardingErased"))
            .problem("no_such_onboarding")
            .problem("became_a_customer")
            .problem("write_under_way")
            .problem("legal_hold"),
    ]
}

pub(super) fn schemas() -> Value {
    json!({
        "Hold": closed(json!({
            "action": { "enum": ["set", "lift"] },
            "reason": { "type": "string", "minLength": 1, "maxLength": NOTE_CHARS_MAX },
        }), &["action", "reason"]),
        "Held": object(json!({ "customerHashId": id(), "held": { "type": "boolean" } }), &["customerHashId", "held"]),
        "Export": object(json!({
            "format": { "const": "reinstate export v1" }, "customerHashId": id(), "exportedAt": time(), "exportedBy": text(),
            "personal": { "type": "object" },
        }), &["format", "customerHashId", "exportedAt", "exportedBy", "personal"]),
        "Erasure": object(
            json!({ "customerHashId": id(), "erasedAt": time(), "erasedBy": text() }),
            &["customerHashId", "erasedAt", "erasedBy"],
        ),
        "OnboardingErased": object(
            json!({ "effectId": text(), "erasedAt": time(), "erasedBy": text() }),
            &["effectId", "erasedAt", "erasedBy"],
        ),
    })
}
