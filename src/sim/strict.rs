//! What Unified Add Customer takes (contract section 9), field by field. Unknown fields, wrong types and over-long
//! values are refused, each with a text of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde_json::{Map, Value};

/// Largest original file and all files together, in bytes.
const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
const FILES_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Youngest customer, in years.
const AGE_MIN: i16 = 18;

/// What a field may hold.
#[derive(Clone, Copy)]
enum Kind {
    /// A text of at most this many characters.
    Text(usize),
    /// Two capital letters.
    Country,
    /// `yyyy-MM-dd`.
    Day,
    /// At most this many digits.
    Digits(usize),
    Flag,
    OneOf(&'static [&'static str]),
    Countries,
    Tags,
    Taxes,
    Info,
    Documents,
    Id,
}

use Kind::{Countries, Country, Day, Digits, Documents, Flag, Id, Info, OneOf, Tags, Taxes, Text};

/// Free texts without a documented limit.
const ANY: usize = 1_000;

const FIELDS: &[(&str, Kind)] = &[
    ("customerHashId", Id),
    ("email", Text(60)),
    ("mobile", Digits(20)),
    ("countryCode", Country),
    ("firstName", Text(40)),
    ("middleName", Text(40)),
    ("lastName", Text(40)),
    ("preferredName", Text(20)),
    ("nativeLanguageName", Text(40)),
    ("dateOfBirth", Day),
    ("gender", OneOf(&["Male", "Female", "Others"])),
    ("nationality", Country),
    ("countryOfBirth", Country),
    ("pep", Flag),
    ("kycMode", OneOf(&["E_KYC", "MANUAL_KYC", "SCREENING", "E_DOC_VERIFY"])),
    ("complianceLevel", OneOf(&["SCREENING", "SCREENING_KYC"])),
    ("verificationConsent", Flag),
    ("isTncAccepted", Flag),
    ("upgradeRequest", Flag),
    ("deviceInfo", Text(ANY)),
    ("ipAddress", Text(ANY)),
    ("countryIP", Text(ANY)),
    ("sessionId", Text(ANY)),
    ("estimatedMonthlyFunding", OneOf(&["MF001", "MF002", "MF003", "MF004", "MF005"])),
    ("estimatedMonthlyFundingCurrency", Text(3)),
    (
        "intendedUseOfAccount",
        OneOf(&["IU100", "IU101", "IU102", "IU103", "IU104", "IU105", "IU106", "IU107", "IU108", "IU109"]),
    ),
    ("internationalPaymentsSupported", Flag),
    ("expectedCountriesToSendReceiveFrom", Countries),
    ("occupation", Text(6)),
    ("taxDetails", Taxes),
    ("parentCustomerHashId", Id),
    ("employeeId", Text(ANY)),
    ("designation", Text(ANY)),
    ("segment", Text(64)),
    ("tags", Tags),
    ("additionalInfo", Info),
    ("identificationDoc", Documents),
];

const ADDRESS_PARTS: &[(&str, Kind)] = &[
    ("Address1", Text(40)),
    ("Address2", Text(40)),
    ("Landmark", Text(40)),
    ("City", Text(20)),
    ("State", Text(30)),
    ("ZipCode", Text(10)),
    ("Country", Country),
];

const DOCUMENT_TEXTS: &[&str] = &[
    "identificationType",
    "identificationValue",
    "identificationDocExpiry",
    "identificationIssuingDate",
    "identificationIssuingAuthority",
    "identificationDocIssuanceCountry",
    "identificationDocHolderName",
    "identificationDocReferenceNumber",
    "identificationDocColor",
];

const REQUIRED: &[&str] = &[
    "email",
    "mobile",
    "countryCode",
    "firstName",
    "lastName",
    "nationality",
    "dateOfBirth",
    "kycMode",
    "billingAddress1",
    "billingCity",
];

/// What is wrong with the values of those fields that an application has too.
pub(super) fn field_faults(fields: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, value) in fields {
        if let Some(kind) = kind_of(name) {
            check(name, kind, value, &mut faults);
        }
    }
    faults
}

/// Everything that is wrong with an application, on this day.
pub(super) fn faults(application: &Map<String, Value>, today: Date) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, value) in application {
        match kind_of(name) {
            Some(kind) => check(name, kind, value, &mut faults),
            None => faults.push(format!("{name}: unknown field")),
        }
    }
    for name in REQUIRED {
        if application.get(*name).is_none_or(|value| value.as_str() == Some("")) {
            faults.push(format!("{name}: required"));
        }
    }
    let born =
        application.get("dateOfBirth").and_then(Value::as_str).and_then(|text| text.parse::<Date>().ok());
    if let Some(born) = born {
        let eighteenth = born.with().year(born.year().saturating_add(AGE_MIN)).build();
        // Somebody born on a leap day has no such birthday in most years; the day after counts.
        if eighteenth.is_ok_and(|day| day > today) {
            faults.push("dateOfBirth: the customer is under 18".to_owned());
        }
    }
    let manual = application.get("kycMode").and_then(Value::as_str) == Some("MANUAL_KYC");
    let documents = application.get("identificationDoc").and_then(Value::as_array).map_or(0, Vec::len);
    if manual && documents == 0 {
        faults.push("identificationDoc: required for MANUAL_KYC".to_owned());
    }
    faults
}

fn kind_of(name: &str) -> Option<Kind> {
    if let Some((_, kind)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Some(*kind);
    }
    let part =
        ["billing", "delivery", "correspondence"].into_iter().find_map(|prefix| name.strip_prefix(prefix))?;
    ADDRESS_PARTS.iter().find(|(known, _)| *known == part).map(|(_, kind)| *kind)
}

fn check(name: &str, kind: Kind, value: &Value, faults: &mut Vec<String>) {
    let text = value.as_str();
    let fits = match kind {
        Text(most) => text.is_some_and(|text| text.chars().count() <= most),
        Country => text.is_some_and(is_country),
        Day => text.is_some_and(|text| text.len() == 10 && text.parse::<Date>().is_ok()),
        Digits(most) => {
            text.is_some_and(|text| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit()))
        }
        Flag => value.is_boolean(),
        OneOf(words) => text.is_some_and(|text| words.contains(&text)),
        Countries => {
            items(value).is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(is_country)))
        }
        Tags => items(value).is_some_and(|items| items.len() <= 15 && items.iter().all(is_tag)),
        Taxes => items(value).is_some_and(|items| items.iter().all(is_tax)),
        Info => value.as_object().is_some_and(|info| info.values().all(Value::is_string)),
        Id => text.is_some_and(|text| uuid::Uuid::try_parse(text).is_ok()),
        Documents => return documents(value, faults),
    };
    if !fits {
        faults.push(format!("{name}: not valid"));
    }
}

fn items(value: &Value) -> Option<&Vec<Value>> {
    value.as_array()
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// An object with exactly these texts, each within its limit.
fn is_exactly(value: &Value, parts: &[(&str, usize)]) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    let short = |(name, most): &(&str, usize)| {
        object.get(*name).and_then(Value::as_str).is_some_and(|text| text.chars().count() <= *most)
    };
    object.len() == parts.len() && parts.iter().all(short)
}

fn is_tag(value: &Value) -> bool {
    is_exactly(value, &[("key", 128), ("value", 256)])
}

fn is_tax(value: &Value) -> bool {
    is_exactly(value, &[("countryOfResidence", 2), ("taxIdNumber", ANY)])
}

fn documents(value: &Value, faults: &mut Vec<String>) {
    let Some(documents) = value.as_array() else {
        faults.push("identificationDoc: not a list".to_owned());
        return;
    };
    let mut together = 0;
    for document in documents {
        let Some(document) = document.as_object() else {
            faults.push("identificationDoc: an item is not an object".to_owned());
            continue;
        };
        if !document.contains_key("identificationType") {
            faults.push("identificationDoc.identificationType: required".to_owned());
        }
        for (name, value) in document {
            match name.as_str() {
                "identificationDocument" => together += files(value, faults),
                known if DOCUMENT_TEXTS.contains(&known) && value.is_string() => {}
                other => faults.push(format!("identificationDoc.{other}: not valid")),
            }
        }
    }
    if together > FILES_BYTES_MAX {
        faults.push("identificationDoc: more than 10 MB together".to_owned());
    }
}

/// Checks the files of one document and gives their size.
fn files(value: &Value, faults: &mut Vec<String>) -> usize {
    let mut together = 0;
    for file in value.as_array().into_iter().flatten() {
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let count = file.as_object().map_or(0, Map::len);
        let (Some(_), Some(kind), Some(content), 3) =
            (text("fileName"), text("fileType"), text("document"), count)
        else {
            faults.push(
                "identificationDocument: fileName, fileType and document are required, nothing else"
                    .to_owned(),
            );
            continue;
        };
        let Ok(bytes) = STANDARD.decode(content) else {
            faults.push("identificationDocument.document: not base64".to_owned());
            continue;
        };
        together += bytes.len();
        if bytes.len() > FILE_BYTES_MAX {
            faults.push("identificationDocument.document: more than 2 MB".to_owned());
        }
        let expected = match kind.trim_start_matches("image/").trim_start_matches("application/") {
            "jpg" | "jpeg" => "image/jpeg",
            "png" => "image/png",
            "pdf" => "application/pdf",
            _ => "",
        };
        if infer::get(&bytes).is_none_or(|found| found.mime_type() != expected) {
            faults.push("identificationDocument.fileType: does not match the content".to_owned());
        }
    }
    together
}
