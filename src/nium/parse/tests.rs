//! How leniently Nium's answers are read: laws for anything at all, and every quirk of contract sections 2.1, 6, 7, 9
//! and 11.5 by example.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{ERROR_TEXT_CHARS_MAX, ERRORS_MAX, REDIRECT_BYTES_MAX, refusal, snapshot, taken};
use crate::domain::snapshot::{BlockedBy, CustomerKind, Snapshot};
use crate::domain::status::{Compliance, Standing, Status};

fn seen(answer: &Value) -> Snapshot {
    snapshot(answer).unwrap()
}

/// What is on file about an individual whose details are `person`.
fn profile_of(person: &Value) -> Map<String, Value> {
    seen(&json!({ "individualCustomer": person })).profile
}

fn standing(compliance: &str, status: Option<&str>) -> Standing {
    seen(&json!({ "complianceStatus": compliance, "status": status })).facts.standing()
}

fn ada() -> Value {
    json!({
        "customerHashId": "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01", "customerType": "INDIVIDUAL",
        "individualCustomer": {
            "firstName": "Ada", "lastName": "Sample", "middleName": "null", "nativeLanguageName": null,
            "dateOfBirth": "1990-02-03", "email": " ada@example.test ", "mobile": 80_000_000, "countryCode": "SG",
            "billingZipCode": "018900", "pep": "false", "internationalPaymentsSupported": true,
            "estimatedMonthlyFunding": "1000-5000", "estimatedMonthlyFundingCurrency": "SGD",
            "expectedCountriesToSendReceiveFrom": ["FR", "DE"],
            "identificationData": [{ "type": "PASSPORT - Passport", "value": "xxxxxx01" }],
            "taxDetails": [{ "country": "SG", "taxNumber": "T0000000A" }],
        },
        "corporateCustomer": {}, "complianceStatus": "REJECT", "status": "Failed",
        "remarks": "KYC FAILED", "complianceRemarks": "null", "kycMode": "MANUAL_KYC",
        "complianceLevel": "SCREENING_KYC", "tags": { "tier": "gold" },
        "termsAndConditionAcceptanceFlag": true, "verificationConsent": true,
        "createdAt": "2026-01-10 08:00:00", "updatedAt": "2026-01-12 09:30:00", "aFieldOfTomorrow": [{}],
    })
}

#[test]
fn details_become_the_fields_of_a_request() {
    let seen = seen(&ada());
    assert_eq!(seen.facts.standing(), Standing::Rejected { lagging: false });
    assert_eq!(seen.facts.kind, CustomerKind::Individual);
    assert_eq!(seen.facts.updated_at.unwrap().at().unwrap().to_string(), "2026-01-12T09:30:00Z");
    assert_eq!((seen.remarks.as_deref(), seen.compliance_remarks), (Some("KYC FAILED"), None));
    let expected = json!({
        "firstName": "Ada", "lastName": "Sample", "dateOfBirth": "1990-02-03", "email": "ada@example.test",
        "mobile": "80000000", "countryCode": "SG", "billingZipCode": "018900", "pep": false,
        "internationalPaymentsSupported": true, "estimatedMonthlyFunding": "MF002",
        "estimatedMonthlyFundingCurrency": "SGD", "expectedCountriesToSendReceiveFrom": ["FR", "DE"],
        "taxDetails": [{ "countryOfResidence": "SG", "taxIdNumber": "T0000000A" }],
        "kycMode": "MANUAL_KYC", "complianceLevel": "SCREENING_KYC", "isTncAccepted": true,
        "verificationConsent": true, "tags": [{ "key": "tier", "value": "gold" }],
    });
    assert_eq!(Value::Object(seen.profile), expected);
}

#[test]
fn the_flat_shape_of_version_1_says_the_same() {
    let mut flat = ada();
    let person = flat.as_object_mut().unwrap().remove("individualCustomer").unwrap();
    flat.as_object_mut().unwrap().extend(person.as_object().unwrap().clone());
    assert_eq!(seen(&flat), seen(&ada()));
    flat["individualCustomer"] = json!({});
    assert_eq!(seen(&flat), seen(&ada()), "an empty wrapper is none");
}

#[test]
fn absent_is_missing_null_the_text_null_and_nothing() {
    let nothing = seen(&json!({}));
    for absent in [json!(null), json!("null"), json!("NULL"), json!(" null "), json!(""), json!("  ")] {
        let fields =
            ["status", "kycStatus", "complianceStatus", "remarks", "complianceRemarks", "blockReason"];
        let more =
            ["blockComment", "blockUpdatedBy", "updatedAt", "customerType", "tags", "kycMode", "firstName"];
        let answer: Map<String, Value> =
            fields.into_iter().chain(more).map(|name| (name.to_owned(), absent.clone())).collect();
        assert_eq!(seen(&Value::Object(answer)), nothing, "{absent}");
    }
    assert_eq!(nothing.facts.standing(), Standing::Unsaid);
    assert!(nothing.profile.is_empty());
}

#[test]
fn absent_entries_inside_lists_and_tags_are_absent_too() {
    let profile = profile_of(&json!({ "expectedCountriesToSendReceiveFrom": ["null", "FR", null, ""] }));
    assert_eq!(profile["expectedCountriesToSendReceiveFrom"], json!(["FR"]));
    let profile = profile_of(&json!({ "expectedCountriesToSendReceiveFrom": ["null"] }));
    assert!(profile.is_empty(), "{profile:?}");
    let tags = json!({ "tier": "gold", "none": "null", "nil": null, "empty": "", "level": 7, "vip": true });
    let profile = seen(&json!({ "tags": tags })).profile;
    let found: Vec<&str> =
        profile["tags"].as_array().unwrap().iter().map(|tag| tag["key"].as_str().unwrap()).collect();
    assert_eq!(found, ["level", "tier", "vip"]);
    assert_eq!(profile["tags"][0], json!({ "key": "level", "value": "7" }));
}

#[test]
fn a_field_of_another_type_takes_no_other_with_it() {
    let mut odd = ada();
    odd["remarks"] = json!({ "text": "KYC FAILED" });
    odd["tags"] = json!("gold");
    odd["individualCustomer"]["firstName"] = json!(["Ada"]);
    odd["individualCustomer"]["pep"] = json!("perhaps");
    odd["individualCustomer"]["taxDetails"] = json!({ "country": "SG" });
    let seen = seen(&odd);
    assert_eq!(seen.facts.standing(), Standing::Rejected { lagging: false });
    assert_eq!(seen.remarks, None);
    for gone in ["firstName", "pep", "taxDetails", "tags"] {
        assert!(!seen.profile.contains_key(gone), "{gone}");
    }
    assert_eq!(seen.profile["lastName"], "Sample");
}

#[test]
fn a_kyc_status_counts_where_there_is_no_status() {
    let status = |answer: Value| seen(&answer).facts.status;
    assert_eq!(status(json!({ "kycStatus": "FAILED" })), Some(Status::Failed));
    assert_eq!(status(json!({ "kycStatus": "FAILED", "status": "null" })), Some(Status::Failed));
    assert_eq!(status(json!({ "kycStatus": "FAILED", "status": "Clear" })), Some(Status::Clear));
    assert_eq!(status(json!({ "kycStatus": "FAILED", "status": {} })), Some(Status::Failed));
}

#[test]
fn the_table_of_meanings_holds_for_what_comes_over_the_wire() {
    let working = Standing::Working { open: false };
    for (compliance, status, expected) in [
        ("COMPLETED", Some("Clear"), Standing::Approved),
        ("COMPLETED", Some("Pending"), Standing::Almost { suspended: false }),
        ("COMPLETED", Some("null"), Standing::Almost { suspended: false }),
        ("COMPLETED", Some("Suspended"), Standing::Almost { suspended: true }),
        ("REJECT", Some("Blocked"), Standing::Blocked),
        ("REJECT", Some("FAILED"), Standing::Rejected { lagging: false }),
        ("rejected", Some("rejected"), Standing::Rejected { lagging: false }),
        ("REJECT", Some("Pending"), Standing::Rejected { lagging: true }),
        ("REJECT", None, Standing::Rejected { lagging: true }),
        ("ERROR", Some("Failed"), Standing::Lapsed),
        ("EXPIRED", Some("Pending"), Standing::Lapsed),
        ("RFI REQUESTED", Some("Pending"), Standing::Rfi { open: false }),
        ("RFI_REQUESTED", Some("Clear"), Standing::Rfi { open: true }),
        ("INITIATED", Some("Pending"), working),
        ("IN_PROGRESS", Some("Pending"), working),
        ("ACTION_REQUIRED", Some("Pending"), working),
        ("RFI_RESPONDED", Some("Pending"), working),
        ("CLOSED", Some("Clear"), Standing::Closed),
        ("null", Some("Clear"), Standing::Unsaid),
        ("ON_HOLD", Some("Pending"), Standing::Unknown),
        ("REJECT", Some("Limbo"), Standing::Unknown),
    ] {
        assert_eq!(standing(compliance, status), expected, "{compliance} {status:?}");
    }
}

#[test]
fn who_blocked_and_what_kind_of_customer() {
    let blocked = |by: Value| seen(&json!({ "blockUpdatedBy": by })).facts.blocked_by;
    assert_eq!(blocked(json!("CLIENT")), Some(BlockedBy::Client));
    assert_eq!(blocked(json!(" nium ")), Some(BlockedBy::Nium));
    assert_eq!(blocked(json!("ROBOT")), Some(BlockedBy::Unsaid));
    assert_eq!(blocked(json!(null)), None);
    let kind = |answer: Value| seen(&answer).facts.kind;
    assert_eq!(kind(json!({ "customerType": "corporate" })), CustomerKind::Corporate);
    assert_eq!(kind(json!({ "corporateCustomer": { "caseId": "1" } })), CustomerKind::Corporate);
    assert_eq!(kind(json!({ "corporateCustomer": {} })), CustomerKind::Individual);
    let both = json!({ "customerType": "INDIVIDUAL", "corporateCustomer": { "caseId": "1" } });
    assert_eq!(kind(both), CustomerKind::Individual);
}

#[test]
fn masked_values_are_not_sent_back() {
    let profile =
        profile_of(&json!({ "mobile": "xxxxxx01", "email": "a**@example.test", "firstName": "Ada" }));
    assert_eq!(Value::Object(profile), json!({ "firstName": "Ada" }));
    let taxes = |taxes: Value| profile_of(&json!({ "taxDetails": taxes })).remove("taxDetails");
    let (open, masked) =
        (json!({ "country": "SG", "taxNumber": "T1" }), json!({ "country": "FR", "taxNumber": "****1234" }));
    assert_eq!(taxes(json!([open, masked])), None, "the rest alone would drop an entry at Nium");
    assert_eq!(taxes(json!([open, {}])), None);
    assert_eq!(taxes(json!([open])), Some(json!([{ "countryOfResidence": "SG", "taxIdNumber": "T1" }])));
    let as_sent = json!([{ "countryOfResidence": "GB", "taxIdNumber": "Q1" }]);
    assert_eq!(taxes(as_sent.clone()), Some(as_sent));
}

#[test]
fn words_that_only_answers_have_do_not_go_into_requests() {
    for (name, legal, illegal) in
        [("kycMode", "E_DOC_VERIFY", "EVERIFY_KYC"), ("complianceLevel", "SCREENING", "SCREENING_KYB")]
    {
        assert_eq!(seen(&json!({ name: legal })).profile[name], legal);
        assert!(seen(&json!({ name: illegal })).profile.is_empty(), "{illegal}");
    }
}

#[test]
fn funding_is_a_range_in_answers_and_a_code_in_requests() {
    for (text, code) in [
        ("<1000", Some("MF001")),
        ("1000-5000", Some("MF002")),
        ("5,001 - 10,000", Some("MF003")),
        ("10001-20000", Some("MF004")),
        ("> 20000", Some("MF005")),
        ("MF004", Some("MF004")),
        ("a lot", None),
    ] {
        let profile = profile_of(&json!({ "estimatedMonthlyFunding": text }));
        assert_eq!(profile.get("estimatedMonthlyFunding").and_then(Value::as_str), code, "{text}");
    }
}

#[test]
fn what_was_taken_is_read_as_far_as_it_goes() {
    let standing = |answer: Value| taken(&answer).unwrap().standing;
    assert_eq!(standing(json!({})), None);
    assert_eq!(standing(json!({ "kycStatus": "Failed" })), None, "half of it says nothing");
    let both = json!({ "complianceStatus": "CLEAR", "kycStatus": "CLEAR" });
    assert_eq!(standing(both), Some(Standing::Approved), "the answer's own words");
    let newer = json!({ "complianceStatus": "REJECT", "status": "Failed" });
    assert_eq!(standing(newer), Some(Standing::Rejected { lagging: false }));
    for envelope in ["OK", "200 OK", "ok", "SUCCESS"] {
        let answer = json!({ "complianceStatus": "REJECT", "status": envelope });
        assert_eq!(standing(answer), Some(Standing::Rejected { lagging: true }), "{envelope} is no status");
    }
    let unknown = json!({ "complianceStatus": "REJECT", "kycStatus": "Limbo", "status": "OK" });
    assert_eq!(standing(unknown), Some(Standing::Unknown));
    let url = |url: Value| taken(&json!({ "redirectUrl": url })).unwrap().redirect_url;
    assert_eq!(url(json!("null")), None);
    assert_eq!(url(json!("x".repeat(REDIRECT_BYTES_MAX))).unwrap().len(), REDIRECT_BYTES_MAX);
    assert_eq!(url(json!("x".repeat(REDIRECT_BYTES_MAX + 1))), None);
    assert_eq!(taken(&json!([])), None);
}

#[test]
fn each_envelope_of_a_refusal_is_read() {
    for (body, message, errors) in [
        (r#"{"status":"BAD_REQUEST","message":"wrong","errors":["a","b"]}"#, "wrong", &["a", "b"][..]),
        (r#"{"status":"400 BAD_REQUEST","message":"wrong","errors":null}"#, "wrong", &[]),
        (r#"{"message":"wrong","errors":["",null,"  "]}"#, "wrong", &[]),
        (r#"{"message":"wrong","errors":"only one"}"#, "wrong", &["only one"]),
        (r#"{"message":"null"}"#, "", &[]),
        (r#""bare text""#, "bare text", &[]),
        (
            r#"{"errors":[{"code":"c1","description":"too long","field":"city"},{"code":"c2"},{}]}"#,
            "",
            &["city: c1: too long", "c2"],
        ),
        (r#"{"code":"unauthorized","description":"Access Denied"}"#, "Access Denied", &[]),
        (r#"{"message":"m","errorDetails":[{"code":"E7"}],"errors":[]}"#, "m", &["E7"]),
        ("<html>no</html>", "", &[]),
        ("", "", &[]),
        ("[1]", "", &[]),
    ] {
        let found = refusal(body.as_bytes());
        assert_eq!(
            (found.message.as_str(), found.errors.as_slice()),
            (message, &strings(errors)[..]),
            "{body}"
        );
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_is_kept_of_a_refusal_has_limits() {
    let long = "é".repeat(ERROR_TEXT_CHARS_MAX + 1);
    let errors = vec![long.clone(); ERRORS_MAX + 1];
    let found = refusal(json!({ "message": long, "errors": errors }).to_string().as_bytes());
    assert_eq!(found.message.chars().count(), ERROR_TEXT_CHARS_MAX);
    assert_eq!(found.errors.len(), ERRORS_MAX);
    assert!(found.errors.iter().all(|error| error.chars().count() == ERROR_TEXT_CHARS_MAX));
    let found = refusal(br#"{"message":"two\nlines\u001b[31m","errors":["\u0007", "x"]}"#);
    assert_eq!(found.message, "twolines[31m");
    assert_eq!(found.errors, ["x"], "a text of control characters only says nothing");
}

/// Names that the reader looks for, so that anything at all hits them often.
const NAMES: &[&str] = &[
    "status",
    "kycStatus",
    "complianceStatus",
    "customerType",
    "individualCustomer",
    "corporateCustomer",
    "blockUpdatedBy",
    "updatedAt",
    "remarks",
    "tags",
    "taxDetails",
    "country",
    "taxNumber",
    "pep",
    "mobile",
    "estimatedMonthlyFunding",
    "expectedCountriesToSendReceiveFrom",
    "kycMode",
    "redirectUrl",
    "message",
    "errors",
    "errorDetails",
    "code",
    "field",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(NAMES).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(&["null", "REJECT", "Failed", "xxx", "2026-01-12 09:30:00", "9999-12-31 23:59:60"][..])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A word of Nium's as somebody there may write it: any case, spaces or hyphens for underscores, spaces around it.
fn spelled(words: &'static [&'static str]) -> impl Strategy<Value = (String, &'static str)> {
    let gap = select(&[" ", "_", "-", "  ", " _ "][..]);
    let around = select(&["", " ", "\n"][..]);
    (select(words), any::<u64>(), gap, around).prop_map(|(word, cases, gap, around)| {
        let bits = (0..).map(|bit| cases.rotate_right(bit) & 1 == 1);
        let letters = word.chars().zip(bits);
        let cased: String = letters
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        (format!("{around}{}{around}", cased.replace('_', gap)), word)
    })
}

const COMPLIANCES: &[&str] = &[
    "INITIATED",
    "IN_PROGRESS",
    "ACTION_REQUIRED",
    "RFI_REQUESTED",
    "RFI_RESPONDED",
    "COMPLETED",
    "REJECT",
    "ERROR",
    "EXPIRED",
    "CLOSED",
];
const STATUSES: &[&str] = &["Pending", "Clear", "Failed", "Suspended", "Blocked"];

proptest! {
    #[test]
    fn any_bytes_are_a_refusal_within_limits(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let found = refusal(&bytes);
        prop_assert!(found.message.chars().count() <= ERROR_TEXT_CHARS_MAX);
    }

    #[test]
    fn any_json_is_read_without_harm(value in anything()) {
        let found = refusal(value.to_string().as_bytes());
        prop_assert!(found.errors.len() <= ERRORS_MAX);
        prop_assert!(found.errors.iter().all(|error| !error.trim().is_empty()));
        prop_assert!(found.errors.iter().all(|error| error.chars().count() <= ERROR_TEXT_CHARS_MAX));
        prop_assert_eq!(snapshot(&value).is_some(), value.is_object());
        prop_assert_eq!(taken(&value).is_some(), value.is_object());
        if let Some(seen) = snapshot(&value) {
            // What is on file goes into requests: nothing in it may be absent.
            prop_assert!(seen.profile.values().all(|value| !value.is_null() && value != "" && value != "null"));
            prop_assert_eq!(seen.facts.standing() == Standing::Unsaid, seen.facts.compliance.is_none()
                && !matches!(seen.facts.status, Some(Status::Blocked | Status::Unknown(_))));
            let again: Snapshot = serde_json::from_value(serde_json::to_value(&seen).unwrap()).unwrap();
            prop_assert_eq!(again, seen);
        }
    }

    #[test]
    fn any_spelling_of_a_word_is_the_word(compliance in spelled(COMPLIANCES), status in spelled(STATUSES)) {
        let seen = seen(&json!({ "complianceStatus": compliance.0, "status": status.0 }));
        let words = (seen.facts.compliance.unwrap(), seen.facts.status.unwrap());
        prop_assert_eq!((words.0.as_str(), words.1.as_str()), (compliance.1, status.1));
    }

    #[test]
    fn an_unknown_word_is_kept_as_it_came(word in "zz[A-Za-z0-9 _.-]{0,40}z") {
        let seen = seen(&json!({ "complianceStatus": word, "kycStatus": word }));
        prop_assert_eq!(seen.facts.standing(), Standing::Unknown);
        let (compliance, status) = (seen.facts.compliance.unwrap(), seen.facts.status.unwrap());
        prop_assert!(matches!(compliance, Compliance::Unknown(_)) && matches!(status, Status::Unknown(_)));
        prop_assert_eq!((compliance.as_str(), status.as_str()), (word.as_str(), word.as_str()));
    }
}
