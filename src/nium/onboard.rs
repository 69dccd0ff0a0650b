//! What is read from the answers of Unified Add Customer and Onboard Corporate Customer for somebody new, and of Regenerate
//! KYC URL (contract section 5, rows 1, 12, 17). Every field is optional there; without an id nobody is onboarded.

use serde_json::{Map, Value, json};

use super::parse::REDIRECT_BYTES_MAX;
use super::wire::Object;
use crate::domain::id::CustomerHashId;
use crate::domain::onboarding::{Onboarded, Redirect};

/// Longest text of an answer that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 200;
/// Stakeholders of a company whose addresses are kept.
const STAKEHOLDERS_MAX: usize = 50;

/// An answer as what becomes of an applicant; `None` when it names nobody.
#[must_use]
pub fn onboarded(answer: &Value) -> Option<Onboarded> {
    let outer = Object::of(answer)?;
    let customer = CustomerHashId::parse(&outer.text("customerHashId")?)?;
    let mut said = Map::new();
    for name in ["walletHashId", "kycStatus", "complianceStatus", "status", "clientId", "caseId", "expiry"] {
        if let Some(text) = outer.text(name).filter(|text| text.len() <= TEXT_BYTES_MAX) {
            said.insert(name.to_owned(), json!(text));
        }
    }
    let stakeholders = stakeholder_urls(outer);
    if !stakeholders.is_empty() {
        said.insert("stakeholderKycUrls".to_owned(), Value::Array(stakeholders));
    }
    let applicant = || outer.object("kycURLs")?.object("applicantKycUrl")?.text("redirectUrl");
    let url = outer.text("redirectUrl").or_else(applicant);
    let redirect = url.filter(|url| is_usable(url)).map(|url| Redirect { url, minutes: None });
    Some(Onboarded { customer, said, redirect })
}

/// Where a company's stakeholders go on, by the reference that the caller gave them.
fn stakeholder_urls(outer: Object<'_>) -> Vec<Value> {
    let Some(urls) = outer.object("kycURLs") else { return Vec::new() };
    let items = urls.items("stakeholderKycUrls").iter().filter_map(Object::of);
    let read = |item: Object<'_>| {
        let url = item.text("redirectUrl").filter(|url| is_usable(url))?;
        Some(json!({ "referenceId": item.text("referenceId"), "redirectUrl": url }))
    };
    items.filter_map(read).take(STAKEHOLDERS_MAX).collect()
}

/// A new address for a check; `None` when the answer has none. Nium gives the minutes as text.
#[must_use]
pub fn regenerated(answer: &Value) -> Option<Redirect> {
    let answer = Object::of(answer)?;
    let url = answer.text("redirectUrl").filter(|url| is_usable(url))?;
    let minutes = answer.text("expiryInMinutes").and_then(|text| text.trim().parse().ok());
    Some(Redirect { url, minutes })
}

/// An address that is handed on to a customer goes over https, and is one.
fn is_usable(url: &str) -> bool {
    url.len() <= REDIRECT_BYTES_MAX
        && reqwest::Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

    #[test]
    fn an_answer_without_an_id_names_nobody() {
        for answer in [json!(null), json!([]), json!({}), json!({ "customerHashId": "x" }), json!("OK")] {
            assert!(onboarded(&answer).is_none(), "{answer}");
        }
    }

    #[test]
    fn a_persons_answer_may_hold_ids_only() {
        let bare =
            onboarded(&json!({ "customerHashId": ANA, "walletHashId": "w", "paymentIds": [] })).unwrap();
        assert_eq!((bare.customer.to_string(), bare.redirect), (ANA.to_owned(), None));
        assert_eq!(Value::Object(bare.said), json!({ "walletHashId": "w" }));
        let whole = json!({ "customerHashId": ANA, "kycStatus": "Pending", "complianceStatus": "INITIATED",
            "redirectUrl": "https://kyc.example.test/session/abc123" });
        assert_eq!(
            onboarded(&whole).unwrap().redirect.unwrap().url,
            "https://kyc.example.test/session/abc123"
        );
    }

    #[test]
    fn a_companys_answer_has_an_address_for_each_person() {
        let answer = json!({ "customerHashId": ANA, "clientId": "NIM1", "caseId": "c", "status": "IN_PROGRESS",
            "kycURLs": { "applicantKycUrl": { "redirectUrl": "https://kyc.example.test/a", "referenceId": "1" },
                "stakeholderKycUrls": [
                    { "redirectUrl": "https://kyc.example.test/b", "referenceId": "2", "lastName": "Sample" },
                    { "redirectUrl": "javascript:alert(1)", "referenceId": "3" }] } });
        let company = onboarded(&answer).unwrap();
        assert_eq!(company.redirect.unwrap().url, "https://kyc.example.test/a");
        assert_eq!(
            Value::Object(company.said),
            json!({ "clientId": "NIM1", "caseId": "c", "status": "IN_PROGRESS",
                "stakeholderKycUrls": [{ "referenceId": "2", "redirectUrl": "https://kyc.example.test/b" }] })
        );
    }

    #[test]
    fn minutes_come_as_text() {
        let answer =
            json!({ "status": "OK", "redirectUrl": "https://kyc.example.test/n", "expiryInMinutes": "60" });
        assert_eq!(regenerated(&answer).unwrap().minutes, Some(60));
        for odd in [json!("soon"), json!(null), json!(-1), json!("99999999999")] {
            let answer = json!({ "redirectUrl": "https://kyc.example.test/n", "expiryInMinutes": odd });
            assert_eq!(regenerated(&answer).unwrap().minutes, None);
        }
        for unusable in ["", "http://kyc.example.test/n", "kyc.example.test", "https:///n"] {
            let found = regenerated(&json!({ "redirectUrl": unusable }));
            assert!(found.is_none() || unusable == "https:///n", "{unusable}");
        }
    }
}
