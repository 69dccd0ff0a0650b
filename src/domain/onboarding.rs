//! Somebody who is to become a customer: an individual (contract section 9) or a company (section 5, row 17). They have no
//! `customerHashId` until Nium gives one.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::application::{Application, Region};
use super::company::Company;
use super::fields::FieldProblem;
use super::id::CustomerHashId;
use super::snapshot::CustomerKind;

/// An application that is whole, by Nium's limits and the rules of the region. Holds personal data: it does not print
/// itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Applicant {
    /// A Unified Add Customer body without `customerHashId`.
    Individual(Map<String, Value>),
    /// An Onboard Corporate Customer body.
    Corporate(Company),
}

impl fmt::Debug for Applicant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Applicant").field(&self.kind()).finish()
    }
}

impl Applicant {
    /// Reads what would be sent to Nium, as of the date `today`. A body with `businessDetails` is a company's;
    /// `customerType` may say so too, and is not sent (contract section 15, row 20).
    pub fn parse(body: &Value, region: Option<Region>, today: Date) -> Result<Self, Vec<FieldProblem>> {
        let mut body = body.clone();
        let said = body.as_object_mut().and_then(|fields| fields.remove("customerType"));
        let kind = if Company::is_one(&body) { CustomerKind::Corporate } else { CustomerKind::Individual };
        let word = match kind {
            CustomerKind::Corporate => "CORPORATE",
            CustomerKind::Individual => "INDIVIDUAL",
        };
        if said.is_some_and(|said| said.as_str() != Some(word)) {
            let message = "is INDIVIDUAL, or CORPORATE with the company under businessDetails";
            return Err(vec![FieldProblem::new("customerType", message)]);
        }
        if body.get("customerHashId").is_some() {
            let message = "leave this out: a customer whom Nium knows is corrected, not onboarded";
            return Err(vec![FieldProblem::new("customerHashId", message)]);
        }
        match kind {
            CustomerKind::Corporate => Company::parse(&body, region).map(Self::Corporate),
            CustomerKind::Individual => {
                let application = Application::parse(&body)?;
                let gaps = application.gaps(region, today);
                if gaps.is_empty() { Ok(Self::Individual(application.as_map().clone())) } else { Err(gaps) }
            }
        }
    }

    /// Person or company.
    #[must_use]
    pub fn kind(&self) -> CustomerKind {
        match self {
            Self::Individual(_) => CustomerKind::Individual,
            Self::Corporate(_) => CustomerKind::Corporate,
        }
    }

    /// The body for Nium, which is also what stays on file.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        match self {
            Self::Individual(fields) => fields,
            Self::Corporate(company) => company.as_map(),
        }
    }

    /// The filter of Nium's Customer List that finds the applicant once they are a customer, and its value: an e-mail
    /// address and a registration number belong to one customer alone (contract section 10).
    #[must_use]
    pub fn found_by(&self) -> (&'static str, &str) {
        match self {
            Self::Individual(fields) => {
                ("email", fields.get("email").and_then(Value::as_str).unwrap_or_default())
            }
            Self::Corporate(company) => ("businessRegistrationNumber", company.registration_number()),
        }
    }
}

/// What Nium said when it took an applicant. Whoever has the address can act as the customer.
#[derive(Clone, PartialEq, Eq)]
pub struct Onboarded {
    /// The customer's id from now on.
    pub customer: CustomerHashId,
    /// What the caller is told beside it: the wallet, Nium's words, a company's case.
    pub said: Map<String, Value>,
    /// Where the customer goes on, if they have to.
    pub redirect: Option<Redirect>,
}

impl fmt::Debug for Onboarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onboarded").field("customer", &self.customer).finish_non_exhaustive()
    }
}

/// An address at a vendor, where a customer goes on with the check.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The address.
    pub url: String,
    /// For how long it can be used, if Nium said so.
    pub minutes: Option<u32>,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect").field("minutes", &self.minutes).finish_non_exhaustive()
    }
}

/// A body as it may be shown to whoever checks a request: files by their length alone.
#[must_use]
pub fn without_files(body: &Value) -> Value {
    match body {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(content) if name == "document" => {
                    (name.clone(), json!(format!("({} characters of base64)", content.len())))
                }
                value => (name.clone(), without_files(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_files).collect(),
        other => other.clone(),
    }
}

/// Takes every file out of a body; what is said about a document stays.
pub fn drop_files(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_files);
            // A list that held nothing but files says nothing any more.
            fields.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
        }
        Value::Array(items) => {
            items.retain(|item| !item.get("document").is_some_and(Value::is_string));
            items.iter_mut().for_each(drop_files);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 3, 1);

    #[test]
    fn files_go_and_what_is_said_about_their_documents_stays() {
        let mut body = json!({
            "firstName": "Ada", "identificationDoc": [
                { "identificationType": "Passport", "identificationDocument": [{ "fileName": "a", "document": "QQ==" }] },
            ],
            "businessDetails": { "documentDetails": [{ "documentType": "X", "document": [{ "document": "QQ==" }] }] },
        });
        drop_files(&mut body);
        let left = json!({
            "firstName": "Ada", "identificationDoc": [{ "identificationType": "Passport" }],
            "businessDetails": { "documentDetails": [{ "documentType": "X" }] },
        });
        assert_eq!(body, left);
    }

    fn person() -> Value {
        json!({
            "email": "ada@example.test", "mobile": "80000000", "countryCode": "SG", "firstName": "Ada",
            "lastName": "Sample", "dateOfBirth": "1990-02-03", "nationality": "SG", "kycMode": "E_KYC",
            "billingAddress1": "1 Example Street", "billingCity": "Singapore",
        })
    }

    fn fields(body: &Value) -> Vec<String> {
        let problems = Applicant::parse(body, Some(Region::Sg), TODAY).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn the_kind_is_told_by_what_the_body_holds() {
        let ada = Applicant::parse(&person(), Some(Region::Sg), TODAY).unwrap();
        assert_eq!((ada.kind(), ada.found_by()), (CustomerKind::Individual, ("email", "ada@example.test")));
        let mut body = person();
        for (word, wrong) in [("INDIVIDUAL", 0), ("CORPORATE", 1), ("corporate", 1)] {
            body["customerType"] = json!(word);
            assert_eq!(fields(&body).len(), wrong, "{word}");
        }
        assert!(!ada.body().contains_key("customerType"));
    }

    #[test]
    fn somebody_whom_nium_knows_is_not_onboarded() {
        let mut body = person();
        body["customerHashId"] = json!("0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01");
        assert_eq!(fields(&body), ["customerHashId"]);
    }

    #[test]
    fn gaps_of_the_region_refuse_here() {
        let mut body = person();
        body["kycMode"] = json!("SCREENING");
        body.as_object_mut().unwrap().remove("lastName");
        assert_eq!(fields(&body), ["lastName", "kycMode"]);
    }

    #[test]
    fn files_are_shown_by_their_length() {
        let body = json!({ "identificationDoc": [{ "identificationDocument": [{ "document": "aGk=" }] }] });
        let shown = without_files(&body);
        assert_eq!(
            shown.pointer("/identificationDoc/0/identificationDocument/0/document").unwrap(),
            "(4 characters of base64)"
        );
    }
}
