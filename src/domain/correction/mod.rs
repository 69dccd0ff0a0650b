//! A correction: the fields and documents that a rejected customer mends, and the request that follows from it.
//!
//! - The *base* is what Nium would be told without a correction: the original application, and over it what Nium has on
//!   file now, because the customer may have been updated since.
//! - The *request* is the base with the correction over it. Nium takes whole applications only, and its own record is not
//!   one: it has no documents and no delivery address (contract section 7).
//! - The *difference* is what the request changes in the base. An empty one means that the correction corrects nothing.

mod merge;

use std::fmt;

use serde_json::{Map, Value};

use super::documents::{self, Document};
use super::fields::{Field, Kind, PROBLEMS_MAX, REQUIRED};

pub use super::fields::FieldProblem;
pub use merge::{Difference, Merged, merge, on_file};

const FIELDS: &str = "fields";
const DOCUMENTS: &str = "documents";

/// Why a correction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionError {
    /// The body has keys that are none, or fields that are not the customer's to correct: the sender's mistake.
    #[error("the correction has unknown keys")]
    UnknownKeys(Vec<FieldProblem>),
    /// Values break a bound, or there is nothing to correct; one problem per field.
    #[error("the correction has fields that cannot be accepted")]
    Invalid(Vec<FieldProblem>),
}

/// Corrected fields and documents, within Nium's bounds. Holds personal data: it does not print itself.
#[derive(Clone, PartialEq)]
pub struct Correction {
    /// Null stands for "take this field out".
    fields: Map<String, Value>,
    documents: Vec<Document>,
}

impl Correction {
    /// Reads `{"fields": {…}, "documents": […]}`: names of Unified Add Customer, and items of `identificationDoc`. A null
    /// takes an optional field out. Unknown keys are told before anything else.
    pub fn parse(body: &Value) -> Result<Self, CorrectionError> {
        let refused = |problem| CorrectionError::Invalid(vec![problem]);
        let Value::Object(body) = body else {
            return Err(refused(FieldProblem::new("body", "give an object with fields, documents or both")));
        };
        let none = Map::new();
        let given = match body.get(FIELDS) {
            None => &none,
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                return Err(refused(FieldProblem::new(FIELDS, "give an object of corrected fields")));
            }
        };
        let unknown = unknown_keys(body, given);
        if !unknown.is_empty() {
            return Err(CorrectionError::UnknownKeys(unknown));
        }
        let (fields, mut problems) = check_fields(given);
        let documents = body.get(DOCUMENTS).map(|list| Document::parse_all(DOCUMENTS, list));
        let documents = documents.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let documents = documents.unwrap_or_default();
        if problems.is_empty() && fields.is_empty() && documents.is_empty() {
            problems.push(FieldProblem::new(FIELDS, "hand in at least one corrected field or document"));
        }
        if problems.is_empty() {
            Ok(Self { fields, documents })
        } else {
            Err(CorrectionError::Invalid(problems))
        }
    }

    /// The names of the fields that the correction touches; values stay inside.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let documents = (!self.documents.is_empty()).then_some(documents::FIELD);
        self.fields.keys().map(String::as_str).chain(documents)
    }
}

impl fmt::Debug for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.debug_struct("Correction").field("names", &names).finish_non_exhaustive()
    }
}

fn unknown_keys(body: &Map<String, Value>, fields: &Map<String, Value>) -> Vec<FieldProblem> {
    let top = body.keys().filter(|key| ![FIELDS, DOCUMENTS].contains(&key.as_str()));
    let top =
        top.map(|key| FieldProblem::new(key, "leave this out: a correction has only fields and documents"));
    let names = fields.keys().filter_map(|name| match Field::named(name).map(|field| field.kind) {
        Some(Kind::Documents) => Some(FieldProblem::new(name, "hand documents in under documents")),
        Some(_) => None,
        None => Some(FieldProblem::new(name, "leave this out: it is not a field that can be corrected")),
    });
    top.chain(names).take(PROBLEMS_MAX).collect()
}

fn check_fields(given: &Map<String, Value>) -> (Map<String, Value>, Vec<FieldProblem>) {
    let mut fields = Map::new();
    let mut problems = Vec::new();
    for (name, value) in given {
        let Some(field) = Field::named(name) else { continue };
        let checked = match value {
            Value::Null if REQUIRED.contains(&field.name) => {
                Err(FieldProblem::new(name, "correct this field: it cannot be taken out"))
            }
            Value::Null => Ok(Value::Null),
            _ => field.check(value),
        };
        match checked {
            Ok(kept) => drop(fields.insert(name.clone(), kept)),
            Err(problem) => problems.push(problem),
        }
    }
    (fields, problems)
}

#[cfg(test)]
mod tests {
    use super::super::application::tests::any_json;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn problems(body: &Value) -> Vec<String> {
        let (word, problems) = match Correction::parse(body).unwrap_err() {
            CorrectionError::UnknownKeys(problems) => ("unknown", problems),
            CorrectionError::Invalid(problems) => ("invalid", problems),
        };
        problems.into_iter().map(|problem| format!("{word} {}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn what_is_not_a_correction_is_told() {
        let unknown = json!({
            "fields": { "customerHashId": "x", "authenticationCode": "x", "identificationDoc": [], "firstName": 1 },
            "note": "x",
        });
        let expected = [
            "unknown note: leave this out: a correction has only fields and documents",
            "unknown authenticationCode: leave this out: it is not a field that can be corrected",
            "unknown customerHashId: leave this out: it is not a field that can be corrected",
            "unknown identificationDoc: hand documents in under documents",
        ];
        assert_eq!(problems(&unknown), expected);
        let invalid = json!({
            "fields": { "firstName": "a".repeat(41), "email": null, "gender": "x", "middleName": null },
            "documents": [{}],
        });
        let expected = [
            "invalid email: correct this field: it cannot be taken out",
            "invalid firstName: use at most 40 characters",
            "invalid gender: choose one of Male, Female, Others",
            "invalid documents[0].identificationType: say what the document is, such as Passport",
        ];
        assert_eq!(problems(&invalid), expected);
        for empty in [
            json!({}),
            json!({ "fields": {} }),
            json!({ "documents": [] }),
            json!({ "fields": {}, "documents": [] }),
        ] {
            assert_eq!(
                problems(&empty),
                ["invalid fields: hand in at least one corrected field or document"]
            );
        }
        for wrong in [json!(null), json!([]), json!({ "fields": [] }), json!({ "documents": {} })] {
            assert!(problems(&wrong)[0].starts_with("invalid"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(body in any_json(), fields in any_json(), documents in any_json()) {
            for body in [body, json!({ "fields": fields, "documents": documents }), json!({ "documents": [documents] })] {
                match Correction::parse(&body) {
                    Ok(correction) => drop(merge(None, &Map::new(), &correction).preview()),
                    Err(CorrectionError::UnknownKeys(problems) | CorrectionError::Invalid(problems)) => {
                        prop_assert!(!problems.is_empty() && problems.len() <= PROBLEMS_MAX + 1);
                    }
                }
            }
        }
    }
}
