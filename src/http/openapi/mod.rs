//! The description of the API: `/openapi.json` for programs, `/docs` for people. Each route is described once, beside the
//! others of its resource; whatever all of them share (tokens, keys, errors of the framework) is added here. Enums and limits
//! come from the domain, so that they cannot drift.
#![expect(
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "JSON gives null for a key that is not there, and the document is put together from values"
)]

mod bulk;
mod customers;
mod events;
mod intake;
mod overview;
mod page;
mod privacy;
mod problems;
mod schemas;
mod work;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::api::take::{LIMIT_DEFAULT, LIMIT_MAX};

/// What a page without a script may load: its own style, known by its digest, and nothing else.
static PAGE_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(page::STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&DOCUMENT));

/// `/openapi.json` and `/docs`. There is nothing secret in them: no token is needed.
pub(super) fn router() -> Router {
    Router::new().route("/openapi.json", get(openapi)).route("/docs", get(docs))
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.to_string()).into_response()
}

async fn docs() -> Response {
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, PAGE_POLICY.as_str())];
    (headers, PAGE.as_str()).into_response()
}

/// One route and method.
struct Operation {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    /// The least role that may ask; `None` where no token is needed.
    role: Option<&'static str>,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Value>,
    /// It takes an `Idempotency-Key`.
    write: bool,
    /// The request's schema and examples.
    body: Option<(Value, Vec<Value>)>,
    /// The body may be left out.
    may_be_bare: bool,
    /// Status, meaning, schema.
    answers: Vec<(u16, &'static str, Value)>,
    /// Codes of problems beside those that all share.
    problems: Vec<&'static str>,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            tag,
            role: None,
            summary,
            about: "",
            parameters: Vec::new(),
            write: false,
            body: None,
            may_be_bare: false,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn role(mut self, role: &'static str) -> Self {
        self.role = Some(role);
        self
    }

    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    fn query(mut self, name: &str, about: &str, schema: Value) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema }),
        );
        self
    }

    /// A page of a list.
    fn paged(self) -> Self {
        self.query("cursor", "`next` of the page before, unchanged.", json!({ "type": "string" })).query(
            "limit",
            "Items on a page.",
            json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT }),
        )
    }

    /// A write that may be shown instead of done.
    fn dry_run(self) -> Self {
        self.query("dryRun", "Show the request to Nium, secrets and files masked, and do nothing.", flag())
    }

    fn refreshed(self) -> Self {
        let operation = self.query("refresh", "Ask Nium first.", flag());
        operation.problem("nium_has_not_answered")
    }

    fn write(mut self) -> Self {
        self.write = true;
        self
    }

    fn body(mut self, schema: Value, examples: impl IntoIterator<Item = Value>) -> Self {
        self.body = Some((schema, examples.into_iter().collect()));
        self
    }

    fn may_be_bare(mut self) -> Self {
        self.may_be_bare = true;
        self
    }

    fn answer(mut self, status: u16, about: &'static str, schema: Value) -> Self {
        self.answers.push((status, about, schema));
        self
    }

    fn problem(mut self, code: &'static str) -> Self {
        self.problems.push(code);
        self
    }

    /// Problems that follow from what the operation is.
    fn all_problems(&self) -> Vec<&'static str> {
        let mut codes = self.problems.clone();
        if self.role.is_some() {
            codes.extend(["token_missing_or_unknown", "internal", "store_unavailable"]);
        }
        // Nothing is kept about somebody who was erased, and erasing them again is no problem.
        if self.path.starts_with("/v1/customers/{id}") && !self.path.ends_with("/erase") {
            codes.push("customer_erased");
        }
        // Every role may read.
        if self.role.is_some_and(|role| role != "viewer") {
            codes.push("role_not_allowed");
        }
        if self.path.starts_with("/v1/") {
            codes.push("request_too_slow");
            if self.method != "get" {
                codes.push("body_too_large");
            }
        }
        if self.path.contains("{id}") {
            // A path that is no UTF-8.
            codes.push("request_not_readable");
        }
        if self.path.contains("/customers/{id}") {
            codes.push("customer_hash_id_malformed");
        }
        if self.parameters.iter().any(|parameter| parameter["in"] == "query") && self.role.is_some() {
            codes.push("bad_parameter");
        }
        if self.write {
            codes.extend(["idempotency_key_malformed", "idempotency_key_reused"]);
        }
        if self.body.is_some() && self.role.is_some() {
            codes.push("body_not_json");
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    fn described(&self) -> Value {
        let mut parameters = self.parameters.clone();
        if self.path.contains("{id}") {
            let customer = self.path.contains("/customers/");
            let schema = if customer {
                json!({ "type": "string", "format": "uuid" })
            } else {
                json!({ "type": "string" })
            };
            let about = if customer { "The customerHashId." } else { "As an answer gave it." };
            parameters.insert(0, json!({ "name": "id", "in": "path", "required": true, "description": about, "schema": schema }));
        }
        if self.write {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "The same key and body give the first answer again, for a day; the same key with another body is refused. Visible ASCII.",
                "schema": { "type": "string", "minLength": 1, "maxLength": crate::ops::once::KEY_CHARS_MAX },
            }));
        }
        let mut described = json!({
            "operationId": self.id(), "tags": [self.tag], "summary": self.summary, "description": self.whole_about(),
            "parameters": parameters, "responses": self.responses(),
        });
        if let Some((schema, examples)) = &self.body {
            let named = examples
                .iter()
                .enumerate()
                .map(|(place, value)| (format!("example{}", place + 1), json!({ "value": value })));
            described["requestBody"] = json!({
                "required": !self.may_be_bare,
                "content": { "application/json": { "schema": schema, "examples": named.collect::<Map<_, _>>() } },
            });
        }
        match self.role {
            Some(role) => {
                described["security"] = json!([{ "token": [] }]);
                described["x-role"] = json!(role);
            }
            None => described["security"] = json!([]),
        }
        described
    }

    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
        std::iter::once(self.method).chain(words).collect::<Vec<_>>().join("_")
    }

    fn whole_about(&self) -> String {
        let role = match self.role {
            Some("viewer") => "Any token may ask.",
            Some("app") => "Needs the role `app`, `officer` or `admin`.",
            Some("officer") => "Needs the role `officer` or `admin`.",
            Some(_) => "Needs the role `admin`.",
            None => "Needs no token.",
        };
        format!("{} {role}", self.about).trim().to_owned()
    }

    fn responses(&self) -> Value {
        let mut responses = Map::new();
        for (status, about, schema) in &self.answers {
            let mut response = json!({ "description": about });
            if let Some(content) = content_of(schema) {
                response["content"] = content;
            }
            if self.write {
                response["headers"] = json!({ "idempotency-replayed": {
                    "description": "`true` where this answer was given before, and nothing was done this time.",
                    "schema": { "type": "string", "enum": ["true"] } } });
            }
            responses.insert(status.to_string(), response);
        }
        for (status, codes) in problems::by_status(&self.all_problems()) {
            let about: Vec<String> =
                codes.iter().map(|code| format!("`{code}`: {}", problems::meaning(code))).collect();
            let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" },
                { "type": "object", "properties": { "code": { "enum": codes } } }] });
            responses.insert(status.to_string(), json!({ "description": about.join(" "), "content": { "application/problem+json": { "schema": schema } } }));
        }
        Value::Object(responses)
    }
}

/// The media type of an answer: text where the schema is a text, nothing where there is none.
fn content_of(schema: &Value) -> Option<Value> {
    let kind = match schema.get("x-media").and_then(Value::as_str) {
        Some(kind) => kind,
        None if schema.is_null() => return None,
        None => "application/json",
    };
    Some(json!({ kind: { "schema": schema } }))
}

/// A parameter that is on or off; its name alone turns it on.
fn flag() -> Value {
    json!({ "type": "string", "enum": ["true", "false", ""] })
}

/// A reference to a schema of the document.
fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn operations() -> Vec<Operation> {
    let mut all = customers::operations();
    all.extend(privacy::operations());
    all.extend(bulk::operations());
    all.extend(events::operations());
    all.extend(work::operations());
    all.extend(overview::operations());
    all.extend(intake::operations());
    all
}

fn all_schemas() -> Value {
    let mut all = schemas::all();
    for part in [events::schemas(), overview::schemas(), bulk::schemas()] {
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), part) {
            all.extend(more);
        }
    }
    all
}

/// The whole document.
fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        path[operation.method] = operation.described();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "reinstate", "version": env!("CARGO_PKG_VERSION"),
            "description": "The service at a Nium client's compliance-callback address. The admin listener has everything under /v1, health, metrics and this description; the public listener has the callback routes and health.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The listener that gave this document" }],
        "tags": [
            { "name": "customers", "description": "Where customers stand, and what may be done about them" },
            { "name": "corrections", "description": "The way back of a rejected customer" },
            { "name": "nium", "description": "Writes at Nium: judged by a fresh look, on file before they are sent, never sent twice blindly" },
            { "name": "events", "description": "What the app backend is told, and how that goes" },
            { "name": "work", "description": "What is stuck, what is found by asking, and the evidence" },
            { "name": "public", "description": "The public listener: what Nium calls" },
            { "name": "health", "description": "For orchestrators and whoever watches" },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer",
                "description": "`reinstate token create --role viewer|officer|admin|app --name NAME` makes one." } },
            "schemas": all_schemas(),
        },
    })
}
