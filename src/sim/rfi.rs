//! Requests for information (contract sections 5, 12.4, 14): raised, fetched, answered; strict about what an answer holds.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Reply;
use super::routes::envelope;
use super::state::{Customer, State};
use super::strict;

/// What a person's answer may hold, and of how many characters; 0 has a form of its own.
const FIELDS: [(&str, usize); 18] = [
    ("firstName", 40),
    ("middleName", 40),
    ("lastName", 40),
    ("dateOfBirth", 10),
    ("gender", 6),
    ("nationality", 2),
    ("addressLine1", 40),
    ("addressLine2", 40),
    ("city", 30),
    ("state", 30),
    ("postcode", 10),
    ("country", 2),
    ("billingCountry", 2),
    ("employmentStatus", 30),
    ("industryType", 30),
    ("sourceOfFunds", 30),
    ("intendedUseOfAccount", 30),
    ("isPep", 5),
];
/// What a company's answer may hold beside its id.
const COMPANY: [&str; 5] =
    ["businessInfo", "businessDetails", "expectedAccountUsage", "natureOfBusiness", "riskAssessmentInfo"];

/// An item that asks a person for this, in the words of the simulation endpoint; `None` for a word it does not know.
pub(super) fn person_item(request: &str) -> Option<Value> {
    let data = |label: &str| json!([{ "label": label, "value": request, "type": "data" }]);
    let document = |number: &str, file: &str| {
        json!([{ "label": number, "value": "identificationValue", "type": "data" },
            { "label": file, "value": "document", "type": "document" }])
    };
    let (kind, proof, wanted) = match request {
        "firstName" => ("data", "NA", data("First Name")),
        "lastName" => ("data", "NA", data("Last Name")),
        "dateOfBirth" => ("data", "NA", data("Date of Birth")),
        "isPep" => ("data", "NA", data("Politically exposed")),
        "passport" => ("document", "POI", document("Passport Number", "Passport")),
        "driversLicence" => ("document", "POI", document("Licence Number", "Driving Licence")),
        "bankStatement" => (
            "document",
            "POA",
            json!([{ "label": "Bank Statement", "value": "document", "type": "document" }]),
        ),
        "internal" => ("data", "NA", json!([])),
        _ => return None,
    };
    Some(json!({
        "rfiHashId": Uuid::new_v4(), "rfiId": Uuid::new_v4(), "description": request, "mandatory": true, "type": kind,
        "documentType": proof, "remarks": "Please check", "rfiStatus": "RFI_REQUESTED",
        "rfiType": if request == "internal" { "INTERNAL" } else { "EXTERNAL" }, "requiredData": wanted,
    }))
}

/// An item that asks a company for this field.
pub(super) fn company_item(field: &str) -> Value {
    json!({
        "rfiHashId": Uuid::new_v4(), "referenceId": "1", "remarks": "Please check", "rfiStatus": "RFI_REQUESTED",
        "status": "RFI_REQUESTED", "template": { "name": field, "rfiType": "corporate", "type": "data",
            "requiredFields": [{ "fieldLabel": field, "fieldValue": field, "type": "data" }] },
    })
}

/// Asks a customer for these things, beside whatever else stands: an approved customer stays clear.
pub(super) fn raise(customer: &mut Customer, items: Vec<Value>, now: &str) {
    customer.rfis.extend(items);
    let status = customer.status.clone();
    customer.move_to("RFI_REQUESTED", &status, now);
}

/// What is asked of a customer.
pub(super) fn fetch(state: &State, id: &str, corporate: bool) -> Reply {
    let known = state.customers.get(id).filter(|known| known.case_id.is_some() == corporate);
    let Some(customer) = known else {
        return envelope(404, "NOT_FOUND", "Customer not found");
    };
    if corporate {
        return Reply::Json(200, json!({ "rfiTemplates": customer.rfis }));
    }
    if customer.quirks.rfi_object {
        let details = json!({ "kycStatus": "PENDING", "complianceStatus": customer.compliance_status, "rfiDetails": customer.rfis });
        return Reply::Json(200, details);
    }
    Reply::Json(200, json!(customer.rfis))
}

/// An answer. Gives whose status moved.
pub(super) fn answer(
    state: &mut State,
    id: &str,
    corporate: bool,
    body: Option<&Value>,
    seq: usize,
) -> (Reply, Option<String>) {
    let now = state.now_text();
    let Some(customer) = state.customers.get_mut(id).filter(|known| known.case_id.is_some() == corporate)
    else {
        return (envelope(404, "NOT_FOUND", "Customer not found"), None);
    };
    let mut faults = Vec::new();
    if customer.compliance_status != "RFI_REQUESTED" {
        faults.push("complianceStatus: RFI is not requested".to_owned());
    }
    let outer = body.and_then(Value::as_object);
    let known: &[&str] = if corporate {
        &["rfiResponseRequest", "caseId", "clientId", "customerHashId", "region"]
    } else {
        &["rfiResponseRequest"]
    };
    for name in outer.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
        faults.push(format!("{name}: unknown field"));
    }
    let items = outer.and_then(|outer| outer.get("rfiResponseRequest")).and_then(Value::as_array);
    let items = items.map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        faults.push("rfiResponseRequest: required".to_owned());
    }
    for item in items.iter().filter_map(Value::as_object) {
        check(customer, item, corporate, &mut faults);
    }
    let answered = |asked: &Value| items.iter().any(|item| item.get("rfiHashId") == asked.get("rfiHashId"));
    for asked in customer.rfis.iter().filter(|asked| is_open(asked) && !wanted(asked).is_empty()) {
        if !answered(asked) {
            faults.push(format!("{}: all open items are answered together", text(asked, "rfiHashId")));
        }
    }
    if !faults.is_empty() {
        state.amend(seq, |entry| entry.problems.clone_from(&faults));
        let reply = json!({ "status": "400 BAD_REQUEST", "message": "Validation failed for input provided", "errors": faults });
        return (Reply::Json(400, reply), None);
    }
    for asked in customer.rfis.iter_mut().filter_map(Value::as_object_mut) {
        asked.insert("rfiStatus".to_owned(), json!("RFI_RESPONDED"));
        asked.insert("status".to_owned(), json!("RFI_RESPONDED"));
    }
    customer.rfi_answers.extend(items.iter().cloned());
    let status = customer.status.clone();
    customer.move_to("RFI_RESPONDED", &status, &now);
    let case = customer.case_id.clone();
    state.amend(seq, |entry| entry.applied = true);
    let answer = match case {
        Some(case) => json!({ "caseId": case, "status": "RFI_RESPONDED" }),
        None => json!({ "complianceId": Uuid::new_v4(), "status": "RFI_RESPONDED", "rfiId": null }),
    };
    (Reply::Json(200, answer), Some(id.to_owned()))
}

fn check(customer: &Customer, item: &Map<String, Value>, corporate: bool, faults: &mut Vec<String>) {
    let id = item.get("rfiHashId").and_then(Value::as_str).unwrap_or_default();
    let Some(asked) = customer.rfis.iter().find(|asked| text(asked, "rfiHashId") == id && is_open(asked))
    else {
        faults.push("rfiHashId: not valid".to_owned());
        return;
    };
    for (name, value) in item.iter().filter(|(name, _)| *name != "rfiHashId") {
        let short =
            |most: usize| value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= most);
        let fits = match FIELDS.iter().find(|(known, _)| known == name) {
            _ if corporate => COMPANY.contains(&name.as_str()) && value.is_object(),
            Some(("isPep", _)) => ["true", "false"].map(Some).contains(&value.as_str()),
            Some((_, most)) => short(*most),
            None if name == "identificationDoc" && value.is_object() => {
                let list = Map::from_iter([("identificationDoc".to_owned(), json!([value]))]);
                faults.extend(strict::field_faults(&list));
                true
            }
            None => false,
        };
        if !fits {
            faults.push(format!("{name}: not valid"));
        }
    }
    for field in wanted(asked) {
        let name = if corporate { text(field, "fieldValue") } else { text(field, "value") };
        let whole = json!(item).to_string();
        if !whole.contains(&format!("\"{name}\"")) {
            faults.push(format!("{name}: required"));
        }
    }
}

fn is_open(item: &Value) -> bool {
    text(item, "rfiStatus") == "RFI_REQUESTED"
}

fn wanted(item: &Value) -> &[Value] {
    let of_company = item.get("template").and_then(|template| template.get("requiredFields"));
    item.get("requiredData").or(of_company).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
