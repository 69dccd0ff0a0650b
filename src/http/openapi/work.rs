//! Work that is stuck, sweeps, the evidence, and health.

use serde_json::json;

use super::{Operation, schema};
use crate::store::rows::watch::{JobKind, JobStatus};

pub(super) fn operations() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "work", summary);
    let kinds = JobKind::ALL.map(JobKind::as_str);
    let id = || json!({ "type": "string", "format": "uuid" });
    let mut all = vec![
        op("get", "/v1/approvals", "What waits for a second person")
            .role("viewer")
            .about("The open ones first.")
            .paged()
            .answer(200, "A page", schema("ApprovalPage")),
        op("post", "/v1/approvals/{id}", "The second person's verdict")
            .role("officer")
            .about("By somebody else than who asked, for the case as it stood then, within three days.")
            .write()
            .body(schema("Verdict"), [json!({ "verdict": "approve", "note": "seen" })])
            .answer(200, "Refused", schema("Decided"))
            .answer(202, "Approved; the effect tells what becomes of it", schema("Decided"))
            .problem("no_such_approval")
            .problem("no_such_customer")
            .problem("approval_closed")
            .problem("second_person_needed")
            .problem("invalid_verdict")
            .problem("customer_moved")
            .problem("write_under_way"),
        op("get", "/v1/callbacks", "The evidence: what knocked")
            .role("viewer")
            .about("Newest first; a callback that was delivered several times is one row with a count.")
            .query("customerHashId", "Only about this customer.", id())
            .paged()
            .answer(200, "A page", schema("CallbackPage"))
            .problem("customer_hash_id_malformed"),
        op("get", "/v1/jobs", "What waits, is held, fails, was given up or is parked")
            .role("viewer")
            .query("kind", "Only of this kind.", json!({ "type": "string", "enum": kinds }))
            .query("status", "Only standing so.", json!({ "type": "string", "enum": JobStatus::ALL.map(JobStatus::as_str) }))
            .query("customerHashId", "Only about this customer.", id())
            .paged()
            .answer(200, "A page", schema("JobPage"))
            .problem("customer_hash_id_malformed"),
        op("post", "/v1/jobs/retry", "Set jobs going again")
            .role("officer")
            .about("Without `confirm` it only counts; with the count of that answer it goes ahead, with a fresh budget of attempts.")
            .write()
            .body(schema("Retry"), [json!({ "kind": "webhook", "status": "failed" })])
            .answer(200, "So many jobs are meant; nothing was done", schema("Count"))
            .answer(202, "So many begin again", schema("Retried"))
            .problem("count_changed")
            .problem("invalid_filter"),
        op("get", "/v1/sweeps", "Walks over Nium's customer list")
            .role("viewer")
            .about("Newest first, with progress.")
            .paged()
            .answer(200, "A page", schema("SweepPage")),
        op("post", "/v1/sweeps", "Begin a walk")
            .role("officer")
            .about("Or the one that runs already. There is no body.")
            .write()
            .answer(202, "The walk", schema("Sweep")),
    ];
    all.push(record());
    all.extend(health());
    all
}

fn record() -> Operation {
    let text = || json!({ "type": "string" });
    Operation::new("get", "/v1/audit", "work", "Who did what")
        .role("officer")
        .about("Every act of a person and of the service, newest first; `reinstate audit verify` proves that none was changed.")
        .query("customerHashId", "Only about this customer.", json!({ "type": "string", "format": "uuid" }))
        .query("actor", "Only by this one: a token's name, `service`, or `command line`.", text())
        .query("what", "Only saying this, such as token_created.", text())
        .paged()
        .answer(200, "A page", schema("AuditPage"))
        .problem("customer_hash_id_malformed")
}

fn health() -> Vec<Operation> {
    let op = |path, summary| Operation::new("get", path, "health", summary);
    let text = |kind: &str| json!({ "type": "string", "x-media": kind });
    vec![
        op("/livez", "The process answers").answer(200, "It does", text("text/plain; charset=utf-8")),
        op("/readyz", "A callback would be taken")
            .about("`degraded`: only one of database and spool takes callbacks. Also on the public listener.")
            .query("verbose", "With the particulars.", json!({ "type": "string" }))
            .answer(200, "It would", schema("Ready"))
            .answer(503, "It would not, or the service stops", schema("Ready")),
        op("/metrics", "Everything that is counted").answer(
            200,
            "OpenMetrics",
            text("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ),
        op("/openapi.json", "This description").answer(200, "OpenAPI 3.1", json!({ "type": "object" })),
        op("/docs", "This description for people").answer(200, "A page", text("text/html; charset=utf-8")),
    ]
}
