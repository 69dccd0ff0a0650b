//! The table of Unified Add Customer's fields: names, and the bounds that Nium itself enforces (contract section 9).
//!
//! A *field* has a kind, and the kind says what is accepted and in which form it is kept: texts trimmed, everything else
//! as it came. Rules that look at several fields, or at a region, are in `application`.

pub(super) mod values;

pub use values::read_date;

use serde::Serialize;
use serde_json::Value;

use super::documents;
use values::is_hidden;

/// Longest text where Nium states no limit, in characters: room for a browser's user agent, and a bound all the same.
pub const TEXT_CHARS_MAX: usize = 500;
/// Longest name that is repeated in a problem, in characters; names of unknown keys come from outside.
const SHOWN_CHARS_MAX: usize = 120;
/// Most problems in one answer: after that many, the body is not what its sender thinks it is.
pub const PROBLEMS_MAX: usize = 100;

/// What is wrong with one field, and what to do about it. Never repeats the value, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The field, or the path of a part of it: `taxDetails[0].countryOfResidence`.
    pub field: String,
    /// What to do, for the person who fills in the field.
    pub message: String,
}

impl FieldProblem {
    /// A problem with `field`, whose name is cut if it is overlong.
    #[must_use]
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        let field = field.chars().map(|c| if is_hidden(c) { '?' } else { c }).take(SHOWN_CHARS_MAX).collect();
        Self { field, message: message.into() }
    }
}

/// What a field is about; a page shows the fields of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Who the customer is.
    Identity,
    /// How the customer is reached.
    Contact,
    /// How the customer is verified, and what they agreed to.
    Verification,
    /// The address on the bill.
    Billing,
    /// Where cards are sent.
    Delivery,
    /// Where letters are sent.
    Correspondence,
    /// The device on which the customer applied.
    Device,
    /// What the account is for.
    Funding,
    /// Employer, parent and fee segment.
    Hierarchy,
    /// The client's own information.
    Custom,
    /// Proofs of identity and address.
    Documents,
}

/// What a field accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most so many characters (Unicode scalar values).
    Text(usize),
    /// An e-mail address.
    Email,
    /// A mobile number: digits, no prefix.
    Mobile,
    /// An ISO 3166 country code of two upper-case letters.
    Country,
    /// An ISO 4217 currency code of three upper-case letters.
    Currency,
    /// A calendar date, `YYYY-MM-DD`.
    Date,
    /// True or false.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of Nium's occupation codes.
    Occupation,
    /// A list of country codes.
    Countries,
    /// `[{countryOfResidence, taxIdNumber}]`.
    TaxDetails,
    /// `[{key, value}]`.
    Tags,
    /// An object of texts.
    Texts,
    /// The `identificationDoc` array, see `documents`.
    Documents,
}

/// One field of Unified Add Customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, as Nium spells it.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What it accepts.
    pub kind: Kind,
}

/// Fields that every region demands of every individual (contract section 9). Nium's tables go on behind
/// `billingCity` in a part that we do not have, so that more may be demanded: Nium's own refusal tells then.
pub const REQUIRED: [&str; 10] = [
    "firstName",
    "lastName",
    "dateOfBirth",
    "nationality",
    "email",
    "countryCode",
    "mobile",
    "kycMode",
    "billingAddress1",
    "billingCity",
];

const fn field(group: Group, name: &'static str, kind: Kind) -> Field {
    Field { name, group, kind }
}

const GENDERS: &[&str] = &["Male", "Female", "Others"];
const KYC_MODES: &[&str] = &["E_KYC", "MANUAL_KYC", "SCREENING", "E_DOC_VERIFY"];
const LEVELS: &[&str] = &["SCREENING", "SCREENING_KYC"];
const FUNDINGS: &[&str] = &["MF001", "MF002", "MF003", "MF004", "MF005"];
const USES: &[&str] =
    &["IU100", "IU101", "IU102", "IU103", "IU104", "IU105", "IU106", "IU107", "IU108", "IU109"];

/// Every field of Unified Add Customer but `customerHashId`, which is never anybody's to choose.
pub const FIELDS: &[Field] = &[
    field(Group::Identity, "firstName", Kind::Text(40)),
    field(Group::Identity, "middleName", Kind::Text(40)),
    field(Group::Identity, "lastName", Kind::Text(40)),
    field(Group::Identity, "preferredName", Kind::Text(20)),
    field(Group::Identity, "nativeLanguageName", Kind::Text(40)),
    field(Group::Identity, "dateOfBirth", Kind::Date),
    field(Group::Identity, "gender", Kind::OneOf(GENDERS)),
    field(Group::Identity, "nationality", Kind::Country),
    field(Group::Identity, "countryOfBirth", Kind::Country),
    field(Group::Identity, "pep", Kind::Flag),
    field(Group::Contact, "email", Kind::Email),
    field(Group::Contact, "countryCode", Kind::Country),
    field(Group::Contact, "mobile", Kind::Mobile),
    field(Group::Verification, "kycMode", Kind::OneOf(KYC_MODES)),
    field(Group::Verification, "complianceLevel", Kind::OneOf(LEVELS)),
    field(Group::Verification, "verificationConsent", Kind::Flag),
    field(Group::Verification, "isTncAccepted", Kind::Flag),
    field(Group::Verification, "upgradeRequest", Kind::Flag),
    field(Group::Billing, "billingAddress1", Kind::Text(40)),
    field(Group::Billing, "billingAddress2", Kind::Text(40)),
    field(Group::Billing, "billingLandmark", Kind::Text(40)),
    field(Group::Billing, "billingCity", Kind::Text(20)),
    field(Group::Billing, "billingState", Kind::Text(30)),
    field(Group::Billing, "billingZipCode", Kind::Text(10)),
    field(Group::Billing, "billingCountry", Kind::Country),
    field(Group::Delivery, "deliveryAddress1", Kind::Text(40)),
    field(Group::Delivery, "deliveryAddress2", Kind::Text(40)),
    field(Group::Delivery, "deliveryLandmark", Kind::Text(40)),
    field(Group::Delivery, "deliveryCity", Kind::Text(20)),
    field(Group::Delivery, "deliveryState", Kind::Text(30)),
    field(Group::Delivery, "deliveryZipCode", Kind::Text(10)),
    field(Group::Delivery, "deliveryCountry", Kind::Country),
    field(Group::Correspondence, "correspondenceAddress1", Kind::Text(40)),
    field(Group::Correspondence, "correspondenceAddress2", Kind::Text(40)),
    field(Group::Correspondence, "correspondenceLandmark", Kind::Text(40)),
    field(Group::Correspondence, "correspondenceCity", Kind::Text(20)),
    field(Group::Correspondence, "correspondenceState", Kind::Text(30)),
    field(Group::Correspondence, "correspondenceZipCode", Kind::Text(10)),
    field(Group::Correspondence, "correspondenceCountry", Kind::Country),
    field(Group::Device, "deviceInfo", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "ipAddress", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "countryIP", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "sessionId", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Funding, "estimatedMonthlyFunding", Kind::OneOf(FUNDINGS)),
    field(Group::Funding, "estimatedMonthlyFundingCurrency", Kind::Currency),
    field(Group::Funding, "intendedUseOfAccount", Kind::OneOf(USES)),
    field(Group::Funding, "internationalPaymentsSupported", Kind::Flag),
    field(Group::Funding, "expectedCountriesToSendReceiveFrom", Kind::Countries),
    field(Group::Funding, "occupation", Kind::Occupation),
    field(Group::Funding, "taxDetails", Kind::TaxDetails),
    field(Group::Hierarchy, "parentCustomerHashId", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Hierarchy, "employeeId", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Hierarchy, "designation", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Hierarchy, "segment", Kind::Text(64)),
    field(Group::Custom, "tags", Kind::Tags),
    field(Group::Custom, "additionalInfo", Kind::Texts),
    field(Group::Documents, "identificationDoc", Kind::Documents),
];

impl Field {
    /// The field of this name; `None` if Unified Add Customer has none.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.name == name)
    }

    /// The value in the form in which it is kept and sent, or what is wrong with it.
    pub fn check(&self, value: &Value) -> Result<Value, FieldProblem> {
        let at = self.name;
        match self.kind {
            Kind::Text(chars_max) => values::text(at, value, 1, chars_max).map(Value::from),
            Kind::Email => values::email(at, value).map(Value::from),
            Kind::Mobile => values::mobile(at, value).map(Value::from),
            Kind::Country => values::country(at, value).map(Value::from),
            Kind::Currency => values::currency(at, value).map(Value::from),
            Kind::Date => values::date(at, value).map(Value::from),
            Kind::Flag => match value {
                Value::Bool(_) => Ok(value.clone()),
                _ => Err(FieldProblem::new(at, "give true or false, without quotes")),
            },
            Kind::OneOf(words) => values::one_of(at, value, words).map(Value::from),
            Kind::Occupation => values::occupation(at, value).map(Value::from),
            Kind::Countries => values::countries(at, value),
            Kind::TaxDetails => values::tax_details(at, value),
            Kind::Tags => values::tags(at, value),
            Kind::Texts => values::texts(at, value),
            Kind::Documents => documents::check(at, value),
        }
    }
}

/// Whether a value says nothing at all: null, blank text or an empty list. That is how absent values are often printed.
#[must_use]
pub fn is_silent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::values::TAGS_MAX;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn accepts(name: &str, value: &Value) -> bool {
        Field::named(name).unwrap().check(value).is_ok()
    }

    #[test]
    fn every_text_fits_to_its_last_character_and_no_further() {
        for field in FIELDS {
            if let Kind::Text(chars_max) = field.kind {
                assert!(accepts(field.name, &json!("é".repeat(chars_max))), "{}", field.name);
                assert!(!accepts(field.name, &json!("é".repeat(chars_max + 1))), "{}", field.name);
                assert!(!accepts(field.name, &json!(" \t ")), "{}", field.name);
            }
        }
    }

    #[test]
    fn the_table_is_in_order() {
        let names: BTreeSet<_> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), FIELDS.len(), "a name stands twice");
        assert!(REQUIRED.iter().all(|name| names.contains(name)));
    }

    #[test]
    fn values_are_accepted_or_refused() {
        let right = [
            ("email", json!("ada@example.test")),
            ("email", json!(format!("{}@example.test", "a".repeat(47)))),
            ("mobile", json!("80000000")),
            ("mobile", json!("1".repeat(20))),
            ("nationality", json!(" SG ")),
            ("dateOfBirth", json!("2000-02-29")),
            ("pep", json!(false)),
            ("gender", json!("Others")),
            ("occupation", json!("OC9510")),
            ("estimatedMonthlyFundingCurrency", json!("GBP")),
            ("expectedCountriesToSendReceiveFrom", json!(["FR", "DE"])),
            ("expectedCountriesToSendReceiveFrom", json!([])),
            ("taxDetails", json!([{ "countryOfResidence": "GB", "taxIdNumber": "QQ000000A" }])),
            ("tags", json!([{ "key": "tier", "value": "" }])),
            ("additionalInfo", json!({ "note": "synthetic" })),
        ];
        for (name, value) in right {
            assert!(accepts(name, &value), "{name} {value}");
        }
        let wrong = [
            ("firstName", json!("A\u{0}da")),
            ("firstName", json!("Ada\nLovely")),
            ("firstName", json!("\u{202e}adA")),
            ("firstName", json!(7)),
            ("email", json!("ada")),
            ("email", json!("@example.test")),
            ("email", json!("ada@example")),
            ("email", json!("ada@@example.test")),
            ("email", json!("ada@example..test")),
            ("email", json!("a da@example.test")),
            ("email", json!(format!("{}@example.test", "a".repeat(48)))),
            ("mobile", json!("+6580000000")),
            ("mobile", json!("٣٤٥")),
            ("mobile", json!("1".repeat(21))),
            ("mobile", json!(80_000_000)),
            ("nationality", json!("sg")),
            ("nationality", json!("XX")),
            ("nationality", json!("SG AE")),
            ("nationality", json!("")),
            ("dateOfBirth", json!("2001-02-29")),
            ("dateOfBirth", json!("20000229")),
            ("dateOfBirth", json!("03/02/1990")),
            ("dateOfBirth", json!("1990-02-03T00:00:00")),
            ("pep", json!("false")),
            ("gender", json!("male")),
            ("occupation", json!("OC0002")),
            ("occupation", json!("OC0001 1001")),
            ("estimatedMonthlyFundingCurrency", json!("gbp")),
            ("expectedCountriesToSendReceiveFrom", json!("FR")),
            ("expectedCountriesToSendReceiveFrom", json!(["France"])),
            ("taxDetails", json!([{ "country": "GB" }])),
            ("taxDetails", json!([{ "countryOfResidence": "GB" }])),
            ("taxDetails", json!([{ "countryOfResidence": "GB", "taxIdNumber": [] }])),
            ("tags", json!([{ "key": "tier" }])),
            ("tags", json!([{ "key": "tier", "value": "a" }, { "key": "tier", "value": "b" }])),
            ("tags", json!(vec![json!({ "key": "tier", "value": "a" }); TAGS_MAX + 1])),
            ("additionalInfo", json!({ "note": 1 })),
        ];
        for (name, value) in wrong {
            assert!(!accepts(name, &value), "{name} {value}");
        }
    }

    #[test]
    fn a_problem_names_the_part_and_keeps_the_value_to_itself() {
        let value =
            json!([{ "countryOfResidence": "GB", "taxIdNumber": "1" }, { "countryOfResidence": "Atlantis" }]);
        let problem = Field::named("taxDetails").unwrap().check(&value).unwrap_err();
        assert_eq!(problem.field, "taxDetails[1].countryOfResidence");
        assert!(!problem.message.contains("Atlantis"));
    }

    proptest! {
        #[test]
        fn what_was_accepted_is_accepted_again_unchanged(text in "[ -~\\t\\n]{0,45}", position in 0..FIELDS.len()) {
            let field = FIELDS[position];
            if let Ok(kept) = field.check(&json!(text)) {
                prop_assert_eq!(field.check(&kept), Ok(kept.clone()));
            }
        }
    }
}
