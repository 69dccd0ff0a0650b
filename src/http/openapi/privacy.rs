//! The shapes of erasing, holding and handing out one person's data.

use serde_json::{Value, json};

use super::schemas::{closed, id, object, text, time};
use crate::ops::officer::NOTE_CHARS_MAX;

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
    })
}
