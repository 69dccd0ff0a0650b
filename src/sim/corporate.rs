//! Companies: Onboard Corporate Customer as far as it is pretended, and what details say of a company (contract section 5,
//! row 17, and section 7).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Reply;
use super::routes::envelope;
use super::state::{Customer, State};

/// What the body may hold.
const KNOWN: [&str; 10] = [
    "tags",
    "businessDetails",
    "clientId",
    "customerHashId",
    "deviceDetails",
    "expectedAccountUsage",
    "natureOfBusiness",
    "productDetails",
    "region",
    "riskAssessmentInfo",
];
/// What it must hold.
const REQUIRED: [&str; 7] = [
    "/region",
    "/riskAssessmentInfo",
    "/businessDetails/businessName",
    "/businessDetails/businessRegistrationNumber",
    "/businessDetails/businessType",
    "/businessDetails/stakeholders",
    "/businessDetails/applicantDetails",
];

/// The number under which a register has the company.
pub(super) fn registration_number(application: &Map<String, Value>) -> Option<&str> {
    application.get("businessDetails")?.get("businessRegistrationNumber")?.as_str()
}

/// Makes a company a customer, and gives whose status moved.
pub(super) fn onboard(
    state: &mut State,
    region: &str,
    body: Map<String, Value>,
    seq: usize,
) -> (Reply, Option<String>) {
    let faults = faults(state, region, &body);
    if !faults.is_empty() {
        state.amend(seq, |entry| entry.problems.clone_from(&faults));
        let reply = json!({ "status": "400 BAD_REQUEST", "message": "Validation failed for input provided", "errors": faults });
        return (Reply::Json(400, reply), None);
    }
    let now = state.now_text();
    let place = state.next_place();
    let id = Uuid::new_v4().to_string();
    let mut company = Customer::new(id.clone(), body, place, &now);
    "IN_PROGRESS".clone_into(&mut company.compliance_status);
    company.case_id = Some(Uuid::new_v4().to_string());
    let answer = json!({
        "customerHashId": id, "walletHashId": company.wallet_hash_id, "clientId": format!("NIM{place:013}"),
        "caseId": company.case_id, "status": "IN_PROGRESS", "remarks": "", "errors": [],
        "redirectUrl": format!("https://kyc.example.test/company/{place}"), "expiry": "",
        "kycURLs": { "stakeholderKycUrls": [] },
    });
    state.customers.insert(id.clone(), company);
    state.amend(seq, |entry| {
        entry.applied = true;
        entry.customer_hash_id = Some(id.clone());
    });
    (Reply::Json(200, answer), Some(id))
}

fn faults(state: &State, region: &str, body: &Map<String, Value>) -> Vec<String> {
    let unknown = body.keys().filter(|name| !KNOWN.contains(&name.as_str()));
    let mut faults: Vec<String> = unknown.map(|name| format!("{name}: unknown field")).collect();
    let whole = Value::Object(body.clone());
    for path in REQUIRED {
        if whole.pointer(path).is_none_or(|value| value.is_null() || value.as_str() == Some("")) {
            faults.push(format!("{path}: required"));
        }
    }
    if body.get("region").and_then(Value::as_str) != Some(region) {
        faults.push("region: not this client's".to_owned());
    }
    let number = registration_number(body);
    if number.is_some()
        && state.customers.values().any(|known| registration_number(&known.application) == number)
    {
        faults.push("businessRegistrationNumber: belongs to another customer".to_owned());
    }
    let tags = body.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
    if tags > 15 {
        faults.push("tags: maximum 15".to_owned());
    }
    faults
}

/// The `corporateCustomer` of Customer Details.
pub(super) fn described(company: &Customer) -> Value {
    let sent = &company.application;
    json!({
        "clientId": format!("NIM{:013}", company.place), "caseId": company.case_id,
        "complianceRegion": sent.get("region"), "businessDetails": sent.get("businessDetails"),
        "riskAssessmentInfo": sent.get("riskAssessmentInfo"),
    })
}

/// A made-up company.
pub(super) fn made_up(number: u64, region: &str) -> Value {
    json!({
        "region": region,
        "businessDetails": {
            "businessName": format!("Sample Trading {number}"), "businessRegistrationNumber": format!("T{number:08}X"),
            "businessType": "PRIVATE_LIMITED_COMPANY",
            "addresses": { "registeredAddress": { "addressLine1": "1 Example Street", "city": "Singapore",
                "country": "SG", "postcode": "018900", "state": "Singapore" } },
            "legalDetails": { "registeredCountry": "SG", "registeredDate": "2020-01-02" },
            "applicantDetails": { "firstName": "Ada", "lastName": "Sample",
                "contactDetails": { "contactNo": "80000000", "countryCode": "SG", "email": "ada@example.test" } },
            "stakeholders": [{ "referenceId": "1", "stakeholderDetails": { "firstName": "Ada", "lastName": "Sample" } }],
        },
        "riskAssessmentInfo": { "annualTurnover": "SG001", "countryOfOperation": ["SG"], "totalEmployees": "SG001",
            "industrySector": "IS001" },
    })
}

/// Regenerate KYC URL (contract section 5, row 12): a new address while a vendor's check is open. Errors are E4.
pub(super) fn regenerate(state: &mut State, id: &str, seq: usize) -> Reply {
    let now = state.now_text();
    let Some(customer) = state.customers.get_mut(id) else {
        return envelope(404, "NOT_FOUND", "Customer not found");
    };
    match customer.compliance_status.as_str() {
        "EXPIRED" => customer.move_to("INITIATED", "Pending", &now),
        "INITIATED" | "IN_PROGRESS" => {}
        _ => {
            let reply = json!({ "status": "BAD_REQUEST", "message": "KYC URL cannot be regenerated", "errors": [],
                "errorDetails": [{ "code": "invalid_status", "description": "no check is open" }] });
            return Reply::Json(400, reply);
        }
    }
    customer.regenerated += 1;
    let url = format!("https://kyc.example.test/session/{}-{}", customer.place, customer.regenerated);
    state.amend(seq, |entry| entry.applied = true);
    Reply::Json(200, json!({ "status": "OK", "redirectUrl": url, "expiryInMinutes": "30" }))
}
