//! Fetching requests for information (contract section 12.4): a bare array for individuals, though guides speak of an object;
//! `rfiTemplates` for companies. Every field but the id may be missing.

use std::time::Instant;

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::error::LookError;
use super::pace::Permit;
use super::wire::Object;
use super::{Endpoint, Nium, outcome_of, read_value};
use crate::domain::id::CustomerHashId;
use crate::domain::rfi::{ITEMS_MAX, RfiItem, Wanted};
use crate::domain::snapshot::CompanyIds;

/// Longest text of an item that is kept, in characters.
const TEXT_CHARS_MAX: usize = 1_000;
/// Fields that one item may want.
const WANTED_MAX: usize = 50;

impl Nium {
    /// What is asked of a customer now; of a company, if its ids at Nium are given. Nobody asked for anything: an empty list.
    pub async fn rfi(
        &self,
        customer: CustomerHashId,
        company: Option<&CompanyIds>,
        request_id: Uuid,
        permit: Permit,
    ) -> Result<Vec<RfiItem>, LookError> {
        let begun = Instant::now();
        let client = &self.client_id;
        let request = match company {
            None => self.request(
                &self.reader,
                Method::GET,
                &format!("v1/client/{client}/customer/{customer}/rfi"),
            ),
            Some(ids) => {
                let named = [("clientId", &ids.client_id), ("caseId", &ids.case_id), ("region", &ids.region)];
                let known = named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
                self.request(&self.reader, Method::GET, &format!("v1/client/{client}/corporate/rfi"))
                    .query(&[("customerHashId", customer.to_string())])
                    .query(&known.collect::<Vec<_>>())
            }
        };
        let read = read_value(request.header("x-request-id", request_id.to_string())).await;
        let items = match read {
            Ok(answer) => items(&answer).ok_or(LookError::Unreadable("the answer is not a list of requests")),
            Err(LookError::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        drop(permit);
        self.report(Endpoint::Rfi, outcome_of(&items), begun, customer);
        items
    }
}

/// The items of an answer, in any of its shapes; `None` when it is none, or one of its items has no id.
pub(super) fn items(answer: &Value) -> Option<Vec<RfiItem>> {
    let list = match answer {
        Value::Array(list) => list.as_slice(),
        Value::Object(outer) => {
            let named = ["rfiDetails", "rfiTemplates"].into_iter().find_map(|name| outer.get(name))?;
            if named.is_null() { &[] } else { named.as_array()?.as_slice() }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    list.iter().take(ITEMS_MAX).map(item).collect()
}

fn item(value: &Value) -> Option<RfiItem> {
    let outer = Object::of(value)?;
    // A company's item has the particulars in its template.
    let inner = outer.object("template").unwrap_or(outer);
    let text = |name: &str| inner.text(name).or_else(|| outer.text(name)).map(|text| cut(&text));
    let status = text("rfiStatus").or_else(|| text("status")).unwrap_or_default();
    let status = status.to_ascii_uppercase().replace(' ', "_");
    let wanted = inner.items("requiredData").iter().chain(inner.items("requiredFields"));
    Some(RfiItem {
        id: outer.text("rfiHashId").filter(|id| id.len() <= TEXT_CHARS_MAX)?,
        about: text("description").or_else(|| text("name")),
        remarks: text("remarks"),
        mandatory: inner.flag("mandatory"),
        document_type: text("documentType"),
        // A word that we do not know is no reason to leave the customer unasked.
        open: status != "RFI_RESPONDED",
        wanted: wanted.filter_map(wanted_of).take(WANTED_MAX).collect(),
    })
}

fn wanted_of(value: &Value) -> Option<Wanted> {
    let field = Object::of(value)?;
    let either =
        |one: &str, other: &str| field.text(one).or_else(|| field.text(other)).map(|text| cut(&text));
    Some(Wanted {
        name: either("value", "fieldValue")?,
        label: either("label", "fieldLabel"),
        file: field.text("type").is_some_and(|kind| kind.eq_ignore_ascii_case("document")),
    })
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person() -> Value {
        json!([{ "rfiHashId": "a7c1d2e3", "description": "passport", "mandatory": true, "type": "document",
            "documentType": "POI", "remarks": "Page unreadable", "rfiType": "EXTERNAL", "rfiStatus": "RFI_REQUESTED",
            "requiredData": [
                { "label": "Passport Number", "value": "identificationValue", "type": "data" },
                { "label": "Passport", "value": "document", "type": "document" } ] }])
    }

    #[test]
    fn both_shapes_say_the_same() {
        let bare = items(&person()).unwrap();
        let object =
            json!({ "kycStatus": "PENDING", "complianceStatus": "RFI REQUESTED", "rfiDetails": person() });
        assert_eq!(items(&object).unwrap(), bare);
        assert_eq!((bare[0].wanted.len(), bare[0].wanted[1].file, bare[0].open), (2, true, true));
    }

    #[test]
    fn a_companys_template_is_read() {
        let answer = json!({ "rfiTemplates": [{ "rfiHashId": "r1", "referenceId": "1", "remarks": "unreadable",
            "status": "RFI_REQUESTED", "template": { "name": "Registration", "rfiType": "corporate", "type": "data",
                "documentType": "null",
                "requiredFields": [{ "fieldLabel": "Trade name", "fieldValue": "tradeName", "type": "data" }] } }] });
        let read = items(&answer).unwrap();
        assert_eq!(
            (read[0].about.as_deref(), read[0].wanted[0].name.as_str()),
            (Some("Registration"), "tradeName")
        );
        assert_eq!((read[0].remarks.as_deref(), &read[0].document_type), (Some("unreadable"), &None));
    }

    #[test]
    fn what_is_no_list_is_none_and_missing_parts_are_borne() {
        for answer in [
            json!(null),
            json!("x"),
            json!({}),
            json!({ "rfiDetails": "not a list" }),
            json!([{}]),
            json!([1]),
        ] {
            assert!(items(&answer).is_none(), "{answer}");
        }
        assert_eq!(items(&json!([])), Some(Vec::new()));
        assert_eq!(items(&json!({ "rfiTemplates": null })), Some(Vec::new()));
        let bare =
            items(&json!([{ "rfiHashId": "a", "rfiStatus": "rfi responded", "requiredData": [1, {}] }]))
                .unwrap();
        assert!(!bare[0].open && bare[0].wanted.is_empty());
    }
}
