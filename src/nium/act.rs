//! Writes other than a submission: block (contract section 8), tags (12.3), update (12.1), onboarding (9), a new address
//! for a check (11.4).

use std::time::Instant;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::ActAnswer;
use super::pace::Permit;
use super::{Endpoint, Nium, Written, write};
use crate::domain::act::Act;
use crate::domain::id::CustomerHashId;
use crate::domain::onboarding::Applicant;

/// The exact request of an act, without what authenticates us.
#[derive(Clone, PartialEq)]
pub struct ActRequest {
    /// `PUT` or `POST`.
    pub method: Method,
    /// The path below the API's base.
    pub path: String,
    /// The JSON body; null for none. It may be personal.
    pub body: Value,
}

impl ActRequest {
    /// The request that an act makes. `tags` are those on file: deleting one names its value.
    #[must_use]
    pub fn of(act: &Act, client: &str, customer: CustomerHashId, tags: &Map<String, Value>) -> Self {
        let path = |last: &str| format!("v1/client/{client}/customer/{customer}/{last}");
        match act {
            Act::Block { action, comment } => {
                let (action, reason) = action.words();
                let body = json!({ "action": action, "reason": reason, "comment": comment });
                Self { method: Method::PUT, path: path("block"), body }
            }
            Act::Tags { changes } => {
                let change = |(key, wanted): (&String, &Value)| match wanted {
                    Value::Null => {
                        let value = tags.get(key).cloned().unwrap_or_else(|| json!(""));
                        json!({ "action": "DELETE", "key": key, "value": value })
                    }
                    value => json!({ "action": "MAINTAIN", "key": key, "value": value }),
                };
                let body = json!({ "tags": changes.iter().map(change).collect::<Vec<_>>() });
                Self { method: Method::POST, path: path("tags"), body }
            }
            Act::Update { fields } => {
                Self { method: Method::POST, path: path("updateCustomer"), body: json!(fields) }
            }
            Act::Onboard { applicant } => {
                let path = match applicant {
                    Applicant::Individual(_) => format!("v4/client/{client}/customer"),
                    Applicant::Corporate(_) => format!("v1/client/{client}/corporate"),
                };
                Self { method: Method::POST, path, body: json!(applicant.body()) }
            }
            Act::Rfi { answers, company: None } => {
                let body = json!({ "rfiResponseRequest": answers.items() });
                Self { method: Method::POST, path: path("rfi"), body }
            }
            Act::Rfi { answers, company: Some(ids) } => {
                let mut body = json!({ "customerHashId": customer, "rfiResponseRequest": answers.items() });
                for (name, id) in
                    [("clientId", &ids.client_id), ("caseId", &ids.case_id), ("region", &ids.region)]
                {
                    if let (Some(id), Some(body)) = (id, body.as_object_mut()) {
                        body.insert(name.to_owned(), json!(id));
                    }
                }
                Self { method: Method::POST, path: format!("v1/client/{client}/corporate/rfi"), body }
            }
            Act::Regenerate => {
                Self { method: Method::POST, path: path("regenerateKYCURL"), body: Value::Null }
            }
        }
    }
}

impl Nium {
    /// Does it, once. Every attempt of one operation carries the same `request_id`.
    pub async fn act(
        &self,
        act: &Act,
        customer: CustomerHashId,
        tags: &Map<String, Value>,
        request_id: Uuid,
        permit: Permit,
    ) -> ActAnswer {
        let begun = Instant::now();
        let ActRequest { method, path, body } = ActRequest::of(act, &self.client_id, customer, tags);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = self
            .request(&self.writer, method, &path)
            .header("x-request-id", request_id.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let (answer, outcome) = match write(request).await {
            // The status line decides, whatever the body says (contract section 2.1).
            Written::Ok(said) => (ActAnswer::Done(said.unwrap_or_default()), "ok"),
            Written::Refused(refusal) => (ActAnswer::Refused(refusal), "refused"),
            Written::NoSuchCustomer => (ActAnswer::NoSuchCustomer, "not_found"),
            Written::NotTaken(trouble) => {
                let word = trouble.kind.as_str();
                (ActAnswer::NotTaken(trouble), word)
            }
            Written::Unclear(why) => (ActAnswer::Unclear(why), "unclear"),
        };
        drop(permit);
        let endpoint = match act {
            Act::Block { .. } => Endpoint::Block,
            Act::Tags { .. } => Endpoint::Tags,
            Act::Update { .. } => Endpoint::Update,
            Act::Onboard { applicant: Applicant::Individual(_) } => Endpoint::AddCustomer,
            Act::Onboard { applicant: Applicant::Corporate(_) } => Endpoint::OnboardCorporate,
            Act::Regenerate => Endpoint::Regenerate,
            Act::Rfi { .. } => Endpoint::RfiAnswer,
        };
        self.report(endpoint, outcome, begun, customer);
        answer
    }
}
