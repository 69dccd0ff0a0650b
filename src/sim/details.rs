//! Customer Details V2 as Nium prints it (contract section 7), with all its asymmetries towards what Nium takes, and
//! with the quirks of one customer.

use serde_json::{Map, Value, json};

use super::corporate;
use super::state::Customer;

/// Fields that come back under the name they were sent.
const SAME: &[&str] = &[
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
    "designation",
    "occupation",
    "pep",
    "parentCustomerHashId",
    "estimatedMonthlyFundingCurrency",
    "internationalPaymentsSupported",
    "expectedCountriesToSendReceiveFrom",
];

/// What Nium says about a customer.
pub(super) fn of(customer: &Customer) -> Value {
    let quirks = &customer.quirks;
    let lags = quirks.status_lags > 0;
    let status = if lags { &customer.status_before } else { &customer.status };
    let status = word(quirks.unknown_status.as_ref().unwrap_or(status), customer);
    let compliance =
        word(quirks.unknown_compliance.as_ref().unwrap_or(&customer.compliance_status), customer);
    let absent = || {
        if quirks.null_strings { json!("null") } else { Value::Null }
    };
    let or_absent = |text: &Option<String>| text.as_ref().map_or_else(absent, |text| json!(text));
    let mut details = json!({
        "customerHashId": customer.id,
        "customerType": if customer.case_id.is_some() { "CORPORATE" } else { "INDIVIDUAL" },
        "accountDetails": [{ "walletHashId": customer.wallet_hash_id }],
        "individualCustomer": if customer.case_id.is_some() { json!({}) } else { person(customer) },
        "corporateCustomer": if customer.case_id.is_some() { corporate::described(customer) } else { json!({}) },
        "complianceStatus": compliance,
        "status": status,
        "remarks": or_absent(&customer.remarks),
        "complianceRemarks": or_absent(&customer.compliance_remarks),
        "blockReason": or_absent(&customer.block_reason),
        "blockComment": or_absent(&customer.block_comment),
        "blockUpdatedBy": or_absent(&customer.block_updated_by),
        "tags": tags(customer),
        "kycMode": customer.application.get("kycMode"),
        "complianceLevel": customer.application.get("complianceLevel"),
        "segment": customer.application.get("segment").cloned().unwrap_or_else(absent),
        "termsAndConditionAcceptanceFlag": customer.application.get("isTncAccepted"),
        "termsAndConditionName": absent(),
        "verificationConsent": customer.application.get("verificationConsent"),
        "createdAt": customer.created_at,
        "updatedAt": customer.updated_at,
    });
    if let Some(details) = details.as_object_mut() {
        apply_quirks(details, customer);
    }
    details
}

fn apply_quirks(details: &mut Map<String, Value>, customer: &Customer) {
    let quirks = &customer.quirks;
    if quirks.kyc_status
        && let Some(status) = details.remove("status")
    {
        details.insert("kycStatus".to_owned(), status);
    }
    if quirks.no_compliance {
        details.remove("complianceStatus");
    }
    if quirks.no_updated_at {
        details.remove("updatedAt");
    }
    if quirks.extra_fields {
        details.insert("riskScore".to_owned(), json!({ "deep": [[[{ "value": 1e300 }]]] }));
        details.insert("paymentIds".to_owned(), json!([{ "currencyCode": "SGD" }]));
        details.insert("rfiDetails".to_owned(), json!("not a list"));
    }
}

fn word(text: &str, customer: &Customer) -> String {
    let mut word = text.to_owned();
    if customer.quirks.spaced_words {
        word = word.replace('_', " ");
    }
    if customer.quirks.lower_case {
        word = word.to_lowercase();
    }
    word
}

fn person(customer: &Customer) -> Value {
    let sent = &customer.application;
    let mut person = Map::new();
    for name in SAME {
        match sent.get(*name) {
            Some(value) => {
                person.insert((*name).to_owned(), value.clone());
            }
            None if customer.quirks.null_strings => {
                person.insert((*name).to_owned(), json!("null"));
            }
            None => {}
        }
    }
    let range = sent.get("estimatedMonthlyFunding").and_then(Value::as_str).map(|code| match code {
        "MF001" => "<1000",
        "MF002" => "1000-5000",
        "MF003" => "5001-10000",
        "MF004" => "10001-20000",
        _ => ">20000",
    });
    if let Some(range) = range {
        person.insert("estimatedMonthlyFunding".to_owned(), json!(range));
    }
    let taxes = list(sent.get("taxDetails"));
    let taxes = taxes
        .iter()
        .map(|tax| json!({ "country": tax.get("countryOfResidence"), "taxNumber": tax.get("taxIdNumber") }));
    person.insert("taxDetails".to_owned(), taxes.collect());
    let documents = list(sent.get("identificationDoc"));
    let documents = documents.iter().map(|doc| {
        let value = doc.get("identificationValue").and_then(Value::as_str).unwrap_or_default();
        let kind = doc.get("identificationType").and_then(Value::as_str).unwrap_or_default();
        json!({ "type": format!("{} - {kind}", kind.to_uppercase()), "value": masked(value) })
    });
    person.insert("identificationData".to_owned(), documents.collect());
    Value::Object(person)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Only the last two characters are shown.
fn masked(value: &str) -> String {
    let length = value.chars().count();
    value.chars().enumerate().map(|(at, c)| if at + 2 < length { 'x' } else { c }).collect()
}

fn tags(customer: &Customer) -> Value {
    let pairs = list(customer.application.get("tags"))
        .iter()
        .filter_map(|tag| Some((tag.get("key")?.as_str()?.to_owned(), tag.get("value")?.clone())));
    Value::Object(pairs.collect())
}
