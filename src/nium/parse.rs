//! Nium's answers into our nouns (contract sections 2.1, 7 and 9), with the asymmetries between what Nium gives and
//! what it takes straightened out.

use serde_json::{Map, Value, json};

use super::error::{Refusal, Taken};
use super::wire::{Object, text_of};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::{BlockedBy, CompanyIds, CustomerKind, Facts, NiumTime, Snapshot};
use crate::domain::status::{Compliance, Standing, Status};

/// Longest text of Nium's about a refusal that is kept, in characters.
const ERROR_TEXT_CHARS_MAX: usize = 300;
/// Texts of Nium's about one refusal that are kept.
const ERRORS_MAX: usize = 20;
/// Longest address to go on at that is kept, in bytes.
pub(super) const REDIRECT_BYTES_MAX: usize = 4_096;

/// Texts that have the same name and form in Customer Details and in Unified Add Customer.
const SAME_TEXTS: [&str; 24] = [
    "firstName",
    "middleName",
    "lastName",
    "preferredName",
    "nativeLanguageName",
    "gender",
    "dateOfBirth",
    "nationality",
    "countryOfBirth",
    "email",
    "countryCode",
    "mobile",
    "billingAddress1",
    "billingAddress2",
    "billingLandmark",
    "billingCity",
    "billingState",
    "billingZipCode",
    "billingCountry",
    "employeeId",
    "occupation",
    "parentCustomerHashId",
    "estimatedMonthlyFundingCurrency",
    "segment",
];

/// Words of `kycMode` that a request may carry; answers know more (contract section 6.3).
const KYC_MODES: [&str; 4] = ["E_KYC", "MANUAL_KYC", "SCREENING", "E_DOC_VERIFY"];
/// Words of `complianceLevel` that a request may carry.
const COMPLIANCE_LEVELS: [&str; 2] = ["SCREENING", "SCREENING_KYC"];

/// Customer Details V2 (and the flat shape of V1) as a snapshot; `None` when the answer is not a JSON object.
pub(super) fn snapshot(answer: &Value) -> Option<Snapshot> {
    let outer = Object::of(answer)?;
    let person = outer.object("individualCustomer").unwrap_or(outer);
    Some(Snapshot {
        facts: facts(outer),
        remarks: outer.text("remarks"),
        compliance_remarks: outer.text("complianceRemarks"),
        block_reason: outer.text("blockReason"),
        block_comment: outer.text("blockComment"),
        profile: profile(outer, person),
        company: outer.object("corporateCustomer").map(|company| CompanyIds {
            client_id: company.text("clientId"),
            case_id: company.text("caseId"),
            region: company.text("complianceRegion"),
        }),
    })
}

/// Whether an answer names a customer, and another one than `customer`. An id that is none tells nothing.
pub(super) fn is_about_another(answer: &Value, customer: CustomerHashId) -> bool {
    let named = Object::of(answer).and_then(|answer| answer.text("customerHashId"));
    named.and_then(|id| CustomerHashId::parse(&id)).is_some_and(|id| id != customer)
}

/// The part that is not personal; the same in Customer Details and in both releases of the Customer List.
pub(super) fn facts(outer: Object<'_>) -> Facts {
    let status = outer.text("status").or_else(|| outer.text("kycStatus"));
    let corporate = match outer.text("customerType") {
        Some(kind) => kind.eq_ignore_ascii_case("CORPORATE"),
        None => outer.object("corporateCustomer").is_some(),
    };
    let blocked_by = outer.text("blockUpdatedBy").map(|by| match by.to_ascii_uppercase().as_str() {
        "CLIENT" => BlockedBy::Client,
        "NIUM" => BlockedBy::Nium,
        _ => BlockedBy::Unsaid,
    });
    Facts {
        compliance: outer.text("complianceStatus").map(|word| Compliance::parse(&word)),
        status: status.map(|word| Status::parse(&word)),
        updated_at: outer.text("updatedAt").map(|text| NiumTime::read(&text)),
        blocked_by,
        kind: if corporate { CustomerKind::Corporate } else { CustomerKind::Individual },
    }
}

/// What Nium has on file, under the names of Unified Add Customer; masked values are left out.
fn profile(outer: Object<'_>, person: Object<'_>) -> Map<String, Value> {
    let mut profile = Map::new();
    let mut put = |name: &str, value: Value| {
        profile.insert(name.to_owned(), value);
    };
    for name in SAME_TEXTS {
        let text = person.text(name).or_else(|| outer.text(name));
        if let Some(text) = text.filter(|text| !is_masked(text)) {
            put(name, json!(text));
        }
    }
    // Not fields of a request: for finding a company, and left out of whatever is sent.
    let company = outer.object("corporateCustomer").unwrap_or(outer).object("businessDetails");
    for name in ["businessName", "tradeName"] {
        if let Some(text) = company.and_then(|company| company.text(name)) {
            put(name, json!(text));
        }
    }
    for name in ["pep", "internationalPaymentsSupported"] {
        if let Some(flag) = person.flag(name) {
            put(name, json!(flag));
        }
    }
    if let Some(flag) = outer.flag("verificationConsent") {
        put("verificationConsent", json!(flag));
    }
    if let Some(flag) = outer.flag("termsAndConditionAcceptanceFlag") {
        put("isTncAccepted", json!(flag));
    }
    for (name, legal) in [("kycMode", &KYC_MODES[..]), ("complianceLevel", &COMPLIANCE_LEVELS[..])] {
        if let Some(word) = outer.text(name).filter(|word| legal.contains(&word.as_str())) {
            put(name, json!(word));
        }
    }
    if let Some(code) = person.text("estimatedMonthlyFunding").and_then(|text| funding_code(&text)) {
        put("estimatedMonthlyFunding", json!(code));
    }
    let countries = person.items("expectedCountriesToSendReceiveFrom").iter();
    let countries: Vec<String> =
        countries.filter(|country| country.is_string()).filter_map(text_of).collect();
    if !countries.is_empty() {
        put("expectedCountriesToSendReceiveFrom", json!(countries));
    }
    let taxes = tax_details(person);
    if !taxes.is_empty() {
        put("taxDetails", Value::Array(taxes));
    }
    let tags = tags(outer);
    if !tags.is_empty() {
        put("tags", Value::Array(tags));
    }
    profile
}

/// Answers say `{country, taxNumber}`, requests `{countryOfResidence, taxIdNumber}`. One masked entry spoils the list:
/// sending the rest would drop it.
fn tax_details(person: Object<'_>) -> Vec<Value> {
    let entries: Option<Vec<Value>> = person
        .items("taxDetails")
        .iter()
        .map(|entry| {
            let entry = Object::of(entry)?;
            let country = entry.text("country").or_else(|| entry.text("countryOfResidence"))?;
            let number = entry.text("taxNumber").or_else(|| entry.text("taxIdNumber"))?;
            (!is_masked(&number)).then(|| json!({ "countryOfResidence": country, "taxIdNumber": number }))
        })
        .collect();
    entries.unwrap_or_default()
}

/// Answers say `{key: value}`, requests `[{key, value}]`.
fn tags(outer: Object<'_>) -> Vec<Value> {
    let Some(tags) = outer.object("tags") else {
        return Vec::new();
    };
    let entries =
        tags.entries().filter_map(|(key, value)| Some(json!({ "key": key, "value": text_of(value)? })));
    entries.collect()
}

/// Answers give the range as text, requests its code (contract section 6.3).
fn funding_code(text: &str) -> Option<&'static str> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
    match plain.as_str() {
        "<1000" | "MF001" => Some("MF001"),
        "1000-5000" | "MF002" => Some("MF002"),
        "5001-10000" | "MF003" => Some("MF003"),
        "10001-20000" | "MF004" => Some("MF004"),
        ">20000" | "MF005" => Some("MF005"),
        _ => None,
    }
}

/// Nium shows parts of numbers only: `xxxxxx01`, `****1234`.
fn is_masked(text: &str) -> bool {
    text.contains("**") || text.to_ascii_lowercase().contains("xxx")
}

/// The answer of Unified Add Customer; `None` when it is not a JSON object.
pub(super) fn taken(answer: &Value) -> Option<Taken> {
    let answer = Object::of(answer)?;
    let compliance = answer.text("complianceStatus").map(|word| Compliance::parse(&word));
    // `status` is not in the contract here: it may be a platform status as well as an envelope's `200 OK`.
    let status = answer.text("kycStatus").map(|word| Status::parse(&word)).or_else(|| {
        let status = Status::parse(&answer.text("status")?);
        (!matches!(status, Status::Unknown(_))).then_some(status)
    });
    let standing = compliance.is_some().then(|| Standing::of(compliance.as_ref(), status.as_ref()));
    let redirect_url = answer.text("redirectUrl").filter(|url| url.len() <= REDIRECT_BYTES_MAX);
    Some(Taken { standing, redirect_url })
}

/// What Nium says about refused content, in any of its envelopes (contract section 2.1); anything else says nothing.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Refusal::default();
    };
    if let Some(text) = value.as_str() {
        return Refusal { message: cut(text), errors: Vec::new() };
    }
    let Some(envelope) = Object::of(&value) else {
        return Refusal::default();
    };
    let message = envelope.text("message").or_else(|| envelope.text("description")).unwrap_or_default();
    let mut errors: Vec<String> = envelope.text("errors").into_iter().collect();
    errors
        .extend(envelope.items("errors").iter().chain(envelope.items("errorDetails")).filter_map(one_error));
    let errors = errors.iter().map(|error| cut(error)).filter(|error| !error.trim().is_empty());
    Refusal { message: cut(&message), errors: errors.take(ERRORS_MAX).collect() }
}

fn one_error(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(text.to_owned());
    }
    let error = Object::of(error)?;
    let parts = ["field", "code", "description", "message"].into_iter().filter_map(|name| error.text(name));
    Some(parts.collect::<Vec<_>>().join(": "))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
