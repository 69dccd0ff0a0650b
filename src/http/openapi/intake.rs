//! What Nium calls, on the public listener.

use serde_json::{Value, json};

use super::Operation;

pub(super) fn operations() -> Vec<Operation> {
    let refusals = [
        "address_not_allowed",
        "forwarded_unreadable",
        "secret_path",
        "static_header",
        "signature",
        "not_recorded",
    ];
    let locked = |mut operation: Operation| {
        operation.problems.extend(refusals);
        operation.problems.extend(["body_too_large", "body_too_slow", "body_broken"]);
        operation
    };
    let mut callback = locked(Operation::new("post", "/callback/compliance", "public", "A customer's compliance status changed"))
        .about("On the public listener, under `callback.secret_path` if that is set. Answered when it is on disk; the body is never read.")
        .answer(200, "On disk", Value::Null)
        .problem("customer_hash_id_missing")
        .problem("customer_hash_id_repeated")
        .problem("customer_hash_id_malformed");
    callback.parameters.push(json!({
        "name": "customerHashId", "in": "query", "required": true, "description": "About whom.",
        "schema": { "type": "string", "format": "uuid" },
    }));
    let webhook = locked(Operation::new("post", "/webhook", "public", "Something happened, as a JSON webhook"))
        .about("On the public listener. Ids and template are kept, never the body; a template that is not about compliance is recorded and answered 200.")
        .body(json!({ "type": "object" }), [json!({
            "template": "CUSTOMER_COMPLIANCE_STATUS", "customerHashId": "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01",
            "complianceStatus": "REJECT", "status": "Failed", "customerType": "INDIVIDUAL",
        })])
        .answer(200, "On disk", Value::Null)
        .problem("body_not_json")
        .problem("foreign_client")
        .problem("customer_hash_id_malformed");
    vec![callback, webhook]
}
