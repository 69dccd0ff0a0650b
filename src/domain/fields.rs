//! The table of Unified Add Customer's fields: names, and the bounds that Nium itself enforces (contract section 9).
//!
//! A *field* has a kind, and the kind says what is accepted and in which form it is kept: texts trimmed, everything else
//! as it came. Rules that look at several fields, or at a region, are in `application`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::documents;

/// Longest text where Nium states no limit, in characters: room for a browser's user agent, and a bound all the same.
pub const TEXT_CHARS_MAX: usize = 500;
/// Longest e-mail address, in characters (contract section 9).
pub const EMAIL_CHARS_MAX: usize = 60;
/// Most digits of a mobile number (contract section 9).
pub const MOBILE_DIGITS_MAX: usize = 20;
/// Most tags of a customer (contract section 12.3).
pub const TAGS_MAX: usize = 15;
/// Longest key of a tag, in characters (contract section 12.3).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a tag, in characters (contract section 12.3).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Most entries of a list for which Nium states no limit: one for every country is more than anybody needs.
pub const ENTRIES_MAX: usize = 249;
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
        let field = field
            .chars()
            .map(|c| if is_hidden(c) { '?' } else { c })
            .take(SHOWN_CHARS_MAX)
            .collect();
        Self {
            field,
            message: message.into(),
        }
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
    BillingAddress,
    /// Where cards are sent.
    DeliveryAddress,
    /// Where letters are sent.
    CorrespondenceAddress,
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
const COMPLIANCE_LEVELS: &[&str] = &["SCREENING", "SCREENING_KYC"];
const MONTHLY_FUNDINGS: &[&str] = &["MF001", "MF002", "MF003", "MF004", "MF005"];
const INTENDED_USES: &[&str] = &[
    "IU100", "IU101", "IU102", "IU103", "IU104", "IU105", "IU106", "IU107", "IU108", "IU109",
];

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
    field(
        Group::Verification,
        "complianceLevel",
        Kind::OneOf(COMPLIANCE_LEVELS),
    ),
    field(Group::Verification, "verificationConsent", Kind::Flag),
    field(Group::Verification, "isTncAccepted", Kind::Flag),
    field(Group::Verification, "upgradeRequest", Kind::Flag),
    field(Group::BillingAddress, "billingAddress1", Kind::Text(40)),
    field(Group::BillingAddress, "billingAddress2", Kind::Text(40)),
    field(Group::BillingAddress, "billingLandmark", Kind::Text(40)),
    field(Group::BillingAddress, "billingCity", Kind::Text(20)),
    field(Group::BillingAddress, "billingState", Kind::Text(30)),
    field(Group::BillingAddress, "billingZipCode", Kind::Text(10)),
    field(Group::BillingAddress, "billingCountry", Kind::Country),
    field(Group::DeliveryAddress, "deliveryAddress1", Kind::Text(40)),
    field(Group::DeliveryAddress, "deliveryAddress2", Kind::Text(40)),
    field(Group::DeliveryAddress, "deliveryLandmark", Kind::Text(40)),
    field(Group::DeliveryAddress, "deliveryCity", Kind::Text(20)),
    field(Group::DeliveryAddress, "deliveryState", Kind::Text(30)),
    field(Group::DeliveryAddress, "deliveryZipCode", Kind::Text(10)),
    field(Group::DeliveryAddress, "deliveryCountry", Kind::Country),
    field(
        Group::CorrespondenceAddress,
        "correspondenceAddress1",
        Kind::Text(40),
    ),
    field(
        Group::CorrespondenceAddress,
        "correspondenceAddress2",
        Kind::Text(40),
    ),
    field(
        Group::CorrespondenceAddress,
        "correspondenceLandmark",
        Kind::Text(40),
    ),
    field(Group::CorrespondenceAddress, "correspondenceCity", Kind::Text(20)),
    field(
        Group::CorrespondenceAddress,
        "correspondenceState",
        Kind::Text(30),
    ),
    field(
        Group::CorrespondenceAddress,
        "correspondenceZipCode",
        Kind::Text(10),
    ),
    field(
        Group::CorrespondenceAddress,
        "correspondenceCountry",
        Kind::Country,
    ),
    field(Group::Device, "deviceInfo", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "ipAddress", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "countryIP", Kind::Text(TEXT_CHARS_MAX)),
    field(Group::Device, "sessionId", Kind::Text(TEXT_CHARS_MAX)),
    field(
        Group::Funding,
        "estimatedMonthlyFunding",
        Kind::OneOf(MONTHLY_FUNDINGS),
    ),
    field(Group::Funding, "estimatedMonthlyFundingCurrency", Kind::Currency),
    field(Group::Funding, "intendedUseOfAccount", Kind::OneOf(INTENDED_USES)),
    field(Group::Funding, "internationalPaymentsSupported", Kind::Flag),
    field(
        Group::Funding,
        "expectedCountriesToSendReceiveFrom",
        Kind::Countries,
    ),
    field(Group::Funding, "occupation", Kind::Occupation),
    field(Group::Funding, "taxDetails", Kind::TaxDetails),
    field(
        Group::Hierarchy,
        "parentCustomerHashId",
        Kind::Text(TEXT_CHARS_MAX),
    ),
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
            Kind::Text(chars_max) => text(at, value, 1, chars_max).map(Value::from),
            Kind::Email => email(at, value).map(Value::from),
            Kind::Mobile => mobile(at, value).map(Value::from),
            Kind::Country => country(at, value).map(Value::from),
            Kind::Currency => currency(at, value).map(Value::from),
            Kind::Date => date(at, value).map(Value::from),
            Kind::Flag => match value {
                Value::Bool(_) => Ok(value.clone()),
                _ => Err(FieldProblem::new(at, "give true or false, without quotes")),
            },
            Kind::OneOf(words) => one_of(at, value, words).map(Value::from),
            Kind::Occupation => occupation(at, value).map(Value::from),
            Kind::Countries => countries(at, value),
            Kind::TaxDetails => tax_details(at, value),
            Kind::Tags => tags(at, value),
            Kind::Texts => texts(at, value),
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

/// A real calendar date written `YYYY-MM-DD`, and no other of the forms that ISO 8601 knows.
#[must_use]
pub fn read_date(text: &str) -> Option<Date> {
    let digits = |(position, byte): (usize, u8)| match position {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 10 || !text.bytes().enumerate().all(digits) {
        return None;
    }
    text.parse().ok()
}

/// A text without its outer white space, or what is wrong with it. Lengths count Unicode scalar values.
pub(super) fn text(
    at: &str,
    value: &Value,
    chars_min: usize,
    chars_max: usize,
) -> Result<String, FieldProblem> {
    let Value::String(text) = value else {
        return Err(FieldProblem::new(at, "give a text in quotes"));
    };
    let text = text.trim();
    let chars = text.chars().count();
    if chars < chars_min {
        return Err(FieldProblem::new(at, "fill in this field"));
    }
    if chars > chars_max {
        return Err(FieldProblem::new(
            at,
            format!("use at most {chars_max} characters"),
        ));
    }
    if text.chars().any(is_hidden) {
        return Err(FieldProblem::new(
            at,
            "leave out line breaks, control and text-direction characters",
        ));
    }
    Ok(text.to_owned())
}

/// A country code, or what is wrong with it.
pub(super) fn country(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || {
        FieldProblem::new(
            at,
            "give an ISO 3166 country code of two capital letters, such as SG",
        )
    };
    let code = text(at, value, 0, TEXT_CHARS_MAX).map_err(|_| wrong())?;
    if is_listed(COUNTRIES, &code) {
        Ok(code)
    } else {
        Err(wrong())
    }
}

/// A date in the form in which it came, or what is wrong with it.
pub(super) fn date(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || {
        FieldProblem::new(
            at,
            "give a date of the calendar as YYYY-MM-DD, such as 1990-02-03",
        )
    };
    let date = text(at, value, 0, TEXT_CHARS_MAX).map_err(|_| wrong())?;
    if read_date(&date).is_some() {
        Ok(date)
    } else {
        Err(wrong())
    }
}

/// One of a few words, or what is wrong with it.
pub(super) fn one_of(at: &str, value: &Value, words: &[&str]) -> Result<String, FieldProblem> {
    let word = value.as_str().map(str::trim).filter(|word| words.contains(word));
    let wrong = || FieldProblem::new(at, format!("choose one of {}", words.join(", ")));
    word.map(str::to_owned).ok_or_else(wrong)
}

/// The entries of an object that has no keys but these, or what is wrong with it.
pub(super) fn entries<'a>(
    at: &str,
    value: &'a Value,
    keys: &[&str],
) -> Result<&'a Map<String, Value>, FieldProblem> {
    let Value::Object(entries) = value else {
        return Err(FieldProblem::new(
            at,
            format!("give an object with {}", keys.join(", ")),
        ));
    };
    match entries.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(_) => Err(FieldProblem::new(
            at,
            format!("use no other keys than {}", keys.join(", ")),
        )),
        None => Ok(entries),
    }
}

/// The entries of a list, or what is wrong with it.
pub(super) fn list<'a>(at: &str, value: &'a Value, entries_max: usize) -> Result<&'a [Value], FieldProblem> {
    match value {
        Value::Array(list) if list.len() <= entries_max => Ok(list),
        Value::Array(_) => Err(FieldProblem::new(
            at,
            format!("give at most {entries_max} entries"),
        )),
        _ => Err(FieldProblem::new(at, "give a list in square brackets")),
    }
}

fn email(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let email = text(at, value, 1, EMAIL_CHARS_MAX)?;
    let shape = email.split_once('@').is_some_and(|(local, domain)| {
        let labels = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && labels && domain.contains('.') && !domain.contains('@')
    });
    if shape && !email.contains(char::is_whitespace) {
        Ok(email)
    } else {
        Err(FieldProblem::new(
            at,
            "give an e-mail address, such as name@example.com",
        ))
    }
}

fn mobile(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || {
        let message = format!("give 1 to {MOBILE_DIGITS_MAX} digits in quotes, without the country's prefix");
        FieldProblem::new(at, message)
    };
    let mobile = text(at, value, 1, MOBILE_DIGITS_MAX).map_err(|_| wrong())?;
    if mobile.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(mobile)
    } else {
        Err(wrong())
    }
}

fn currency(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let code = value.as_str().map(str::trim);
    let code = code.filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    let wrong = || {
        FieldProblem::new(
            at,
            "give an ISO 4217 currency code of three capital letters, such as SGD",
        )
    };
    code.map(str::to_owned).ok_or_else(wrong)
}

fn occupation(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let code = value.as_str().map(str::trim);
    let code = code.filter(|code| {
        code.strip_prefix("OC")
            .is_some_and(|digits| is_listed(OCCUPATIONS, digits))
    });
    let wrong = || FieldProblem::new(at, "give one of Nium's occupation codes: OC and four digits");
    code.map(str::to_owned).ok_or_else(wrong)
}

fn countries(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let list = list(at, value, ENTRIES_MAX)?.iter().enumerate();
    list.map(|(position, code)| country(&format!("{at}[{position}]"), code).map(Value::from))
        .collect()
}

fn tax_details(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let list = list(at, value, ENTRIES_MAX)?.iter().enumerate();
    list.map(|(position, detail)| {
        let at = format!("{at}[{position}]");
        let detail = entries(&at, detail, &["countryOfResidence", "taxIdNumber"])?;
        let mut kept = Map::new();
        for (key, value) in detail.iter().filter(|(_, value)| !is_silent(value)) {
            let at = format!("{at}.{key}");
            let value = match key.as_str() {
                "countryOfResidence" => country(&at, value)?,
                _ => text(&at, value, 1, TEXT_CHARS_MAX)?,
            };
            kept.insert(key.clone(), value.into());
        }
        Ok(Value::Object(kept))
    })
    .collect()
}

fn tags(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for (position, tag) in list(at, value, TAGS_MAX)?.iter().enumerate() {
        let at = format!("{at}[{position}]");
        let tag = entries(&at, tag, &["key", "value"])?;
        let part = |name: &str, chars_min, chars_max| {
            text(
                &format!("{at}.{name}"),
                tag.get(name).unwrap_or(&Value::Null),
                chars_min,
                chars_max,
            )
        };
        let (key, value) = (
            part("key", 1, TAG_KEY_CHARS_MAX)?,
            part("value", 0, TAG_VALUE_CHARS_MAX)?,
        );
        kept.push(json!({ "key": key, "value": value }));
        if !seen.insert(key) {
            return Err(FieldProblem::new(&at, "give every tag once"));
        }
    }
    Ok(Value::Array(kept))
}

fn texts(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let Value::Object(object) = value else {
        return Err(FieldProblem::new(at, "give an object of texts"));
    };
    if object.len() > ENTRIES_MAX {
        return Err(FieldProblem::new(
            at,
            format!("give at most {ENTRIES_MAX} entries"),
        ));
    }
    let mut kept = Map::new();
    for (key, value) in object {
        if key.chars().count() > TAG_KEY_CHARS_MAX || key.chars().any(is_hidden) {
            let message =
                format!("use keys of at most {TAG_KEY_CHARS_MAX} characters, without control characters");
            return Err(FieldProblem::new(at, message));
        }
        kept.insert(
            key.clone(),
            text(&format!("{at}.{key}"), value, 0, TEXT_CHARS_MAX)?.into(),
        );
    }
    Ok(Value::Object(kept))
}

/// Control characters, line separators, and the marks that make a text read in another order than it is written.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_listed(list: &str, code: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == code)
}

/// ISO 3166-1 alpha-2: the 249 codes that are assigned.
const COUNTRIES: &str = "
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
    YT ZA ZM ZW
";

/// Nium's occupation codes, without the `OC` before each.
const OCCUPATIONS: &str = "
    0001 1001 1002 1003 1110 1120 1201 1210 1211 1220 1310 1311 1320 1410 1411 1420 1430 1440 2001 2110 2111
    2112 2120 2121 2122 2123 2130 2131 2132 2133 2139 2210 2211 2221 2222 2223 2230 2231 3001 3110 3111 3112
    3120 3130 3210 3211 3212 3220 3310 4001 4002 4003 4004 4110 4120 4121 4122 4130 4131 4132 4140 4210 4220
    4310 4320 4410 4420 4510 5001 5110 5111 5112 5210 5211 5212 5310 5311 5312 5320 5410 5510 6001 6002 6003
    6004 6201 6202 6210 6220 6310 6320 6321 6322 6410 6420 6430 6431 6432 6440 6441 6510 6520 6521 6522 6531
    6532 7001 7002 7201 7202 7210 7220 7230 7231 7232 7240 7241 7242 7250 7260 7299 7310 7311 7320 7330 7331
    7340 7410 7420 7510 7511 7520 7521 8001 8002 8201 8202 8203 8310 8311 8312 8410 8411 8412 8510 8511 8512
    9001 9201 9202 9210 9310 9320 9410 9411 9412 9413 9414 9415 9420 9421 9510
";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(name: &str, value: &Value) -> bool {
        Field::named(name).unwrap().check(value).is_ok()
    }

    #[test]
    fn every_text_fits_to_its_last_character_and_no_further() {
        for field in FIELDS {
            if let Kind::Text(chars_max) = field.kind {
                assert!(
                    accepts(field.name, &json!("é".repeat(chars_max))),
                    "{}",
                    field.name
                );
                assert!(
                    !accepts(field.name, &json!("é".repeat(chars_max + 1))),
                    "{}",
                    field.name
                );
                assert!(!accepts(field.name, &json!(" \t ")), "{}", field.name);
            }
        }
    }

    #[test]
    fn the_table_is_in_order() {
        let names: BTreeSet<_> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), FIELDS.len(), "a name stands twice");
        assert!(REQUIRED.iter().all(|name| names.contains(name)));
        assert_eq!(COUNTRIES.split_ascii_whitespace().count(), 249);
        assert_eq!(OCCUPATIONS.split_ascii_whitespace().count(), 162);
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
            (
                "taxDetails",
                json!([{ "countryOfResidence": "GB", "taxIdNumber": "QQ000000A" }]),
            ),
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
            ("tags", json!([{ "key": "tier" }])),
            (
                "tags",
                json!([{ "key": "tier", "value": "a" }, { "key": "tier", "value": "b" }]),
            ),
            (
                "tags",
                json!(vec![json!({ "key": "tier", "value": "a" }); TAGS_MAX + 1]),
            ),
            ("additionalInfo", json!({ "note": 1 })),
        ];
        for (name, value) in wrong {
            assert!(!accepts(name, &value), "{name} {value}");
        }
    }

    #[test]
    fn a_problem_names_the_part_and_keeps_the_value_to_itself() {
        let value = json!([{ "countryOfResidence": "GB" }, { "countryOfResidence": "Atlantis" }]);
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
