//! A company's application: a whole Onboard Corporate Customer body (contract section 5, row 17). Names that Nium does not
//! have are refused with their path: a misspelt field would be lost in silence.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::act::TAGS_MAX;
use super::application::Region;
use super::fields::values::is_hidden;
use super::fields::{Field, FieldProblem, Kind, PROBLEMS_MAX};

/// Longest text of a company's application, in characters; Nium states limits for few of them.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Most items of one list.
pub const ITEMS_MAX: usize = 50;
/// Largest original file, in bytes, and all of them together; the limits of an individual's documents.
pub const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// See [`FILE_BYTES_MAX`].
pub const FILES_BYTES_MAX: usize = 10 * 1024 * 1024;

/// What may stand somewhere in the body.
pub enum Shape {
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// An object of texts.
    Free,
    /// An object with these names.
    Of(&'static [(&'static str, Shape)]),
    /// A list of objects with these names.
    Many(&'static [(&'static str, Shape)]),
    /// A file in base64.
    File,
    /// `[{key, value}]`.
    Tags,
}

use Shape::{File, Flag, Free, Many, Of, Tags, Text, Texts};

const ADDRESS: &[(&str, Shape)] = &[
    ("addressLine1", Text),
    ("addressLine2", Text),
    ("city", Text),
    ("country", Text),
    ("postcode", Text),
    ("state", Text),
];
const TAXES: &[(&str, Shape)] = &[("country", Text), ("taxNumber", Text)];
const DOCUMENTS: &[(&str, Shape)] = &[
    ("document", Many(&[("fileName", Text), ("fileType", Text), ("document", File)])),
    ("documentExpiryDate", Text),
    ("documentHolderName", Text),
    ("documentIssuanceCountry", Text),
    ("documentIssuanceState", Text),
    ("documentNumber", Text),
    ("documentReferenceNumber", Text),
    ("documentType", Text),
];
const PROFESSION: &[(&str, Shape)] = &[
    ("capitalContribution", Text),
    ("hasDistributionRight", Flag),
    ("interestPercentage", Text),
    ("position", Text),
    ("positionStartDate", Text),
    ("sharePercentage", Text),
    ("trustBeneficiaryClass", Text),
    ("votingRights", Texts),
];
/// The applicant, and a stakeholder who is a person.
const PERSON: &[(&str, Shape)] = &[
    ("additionalInfo", Free),
    ("address", Of(ADDRESS)),
    ("birthCountry", Text),
    ("contactDetails", Of(&[("contactNo", Text), ("countryCode", Text), ("email", Text)])),
    ("dateOfBirth", Text),
    ("documentDetails", Many(DOCUMENTS)),
    ("firstName", Text),
    ("firstName_local", Text),
    ("gender", Text),
    ("kycMode", Text),
    ("lastName", Text),
    ("lastName_local", Text),
    ("middleName", Text),
    ("nationality", Text),
    ("occupation", Text),
    ("professionalDetails", Many(PROFESSION)),
    ("referenceId", Text),
    ("taxDetails", Many(TAXES)),
];
const LEGAL: &[(&str, Shape)] = &[
    ("isRegistered", Flag),
    ("legislationName", Text),
    ("legislationType", Text),
    ("listedExchange", Text),
    ("registeredCountry", Text),
    ("registeredDate", Text),
];
const PARTNER: &[(&str, Shape)] = &[
    ("businessEntityType", Text),
    ("businessName", Text),
    ("businessRegistrationNumber", Text),
    ("businessType", Text),
    ("capitalContribution", Text),
    ("description", Text),
    ("legalDetails", Of(LEGAL)),
    ("sharePercentage", Text),
];
const STAKEHOLDER: &[(&str, Shape)] =
    &[("businessPartner", Of(PARTNER)), ("referenceId", Text), ("stakeholderDetails", Of(PERSON))];
const BUSINESS: &[(&str, Shape)] = &[
    ("additionalInfo", Free),
    ("addresses", Of(&[("businessAddress", Of(ADDRESS)), ("registeredAddress", Of(ADDRESS))])),
    ("applicantDetails", Of(PERSON)),
    (
        "associationDetails",
        Of(&[("associationChairPerson", Text), ("associationName", Text), ("associationNumber", Text)]),
    ),
    (
        "bankAccountDetails",
        Of(&[
            ("accountName", Text),
            ("accountNumber", Text),
            ("bankAccountType", Text),
            ("bankName", Text),
            ("currency", Text),
            ("routingType", Text),
            ("routingType2", Text),
            ("routingValue", Text),
            ("routingValue2", Text),
        ]),
    ),
    ("businessName", Text),
    ("businessName_local", Text),
    ("businessRegistrationNumber", Text),
    ("businessType", Text),
    ("description", Text),
    ("documentDetails", Many(DOCUMENTS)),
    ("formerName", Text),
    ("hasNominee", Flag),
    ("isCashIntensiveBusiness", Flag),
    ("legalDetails", Of(LEGAL)),
    ("partnershipDetails", Of(&[("partnerCountry", Text), ("partnerName", Text), ("partnerState", Text)])),
    ("referenceId", Text),
    ("regulatoryDetails", Of(&[("regulatedTrustType", Texts), ("unregulatedTrustType", Texts)])),
    ("settlorName", Text),
    ("stakeholders", Many(STAKEHOLDER)),
    ("stockSymbol", Text),
    ("taxDetails", Many(TAXES)),
    ("tradeName", Text),
    ("trusteeName", Text),
    ("website", Text),
];
const USAGE: &[(&str, Shape)] = &[
    ("averageTransactionValue", Text),
    ("monthlyTransactionVolume", Text),
    ("monthlyTransactions", Text),
    ("topBeneficiaries", Texts),
    ("topRemitters", Texts),
    ("topTransactionCountries", Texts),
];
/// The whole body. `customerHashId` and `clientId` belong to re-initiating a company's check, which is Nium's matter.
pub const BODY: &[(&str, Shape)] = &[
    ("tags", Tags),
    ("businessDetails", Of(BUSINESS)),
    (
        "deviceDetails",
        Of(&[("countryIP", Text), ("deviceInfo", Text), ("ipAddress", Text), ("sessionId", Text)]),
    ),
    (
        "expectedAccountUsage",
        Of(&[
            ("credit", Of(USAGE)),
            ("debit", Of(USAGE)),
            ("intendedUses", Texts),
            ("intendedUsesDescription", Text),
        ]),
    ),
    ("natureOfBusiness", Of(&[("industryCodes", Texts), ("industryDescription", Text)])),
    (
        "productDetails",
        Of(&[
            (
                "accountDetails",
                Of(&[
                    ("bankAccountName", Text),
                    ("bankAccountNumber", Text),
                    ("bankBranch", Text),
                    ("bankName", Text),
                    ("currency", Text),
                ]),
            ),
            ("parentClientHashId", Text),
            ("preFundName", Text),
            ("products", Texts),
            ("segment", Text),
        ]),
    ),
    ("region", Text),
    (
        "riskAssessmentInfo",
        Of(&[
            ("annualTurnover", Text),
            ("countryOfOperation", Texts),
            ("industrySector", Text),
            ("intendedUseOfAccount", Text),
            ("ofacLicencePresent", Text),
            ("restrictedCountries", Texts),
            ("riskScore", Text),
            ("riskSeverity", Text),
            ("totalEmployees", Text),
            ("transactionCountries", Texts),
            ("travelRestrictedCountry", Text),
        ]),
    ),
];

/// What every region demands of every company, as paths.
pub const REQUIRED: [&str; 12] = [
    "/businessDetails/businessName",
    "/businessDetails/businessRegistrationNumber",
    "/businessDetails/businessType",
    "/businessDetails/addresses/registeredAddress/addressLine1",
    "/businessDetails/addresses/registeredAddress/city",
    "/businessDetails/addresses/registeredAddress/country",
    "/businessDetails/addresses/registeredAddress/postcode",
    "/businessDetails/legalDetails/registeredCountry",
    "/businessDetails/legalDetails/registeredDate",
    "/businessDetails/applicantDetails/contactDetails/email",
    "/businessDetails/stakeholders",
    "/riskAssessmentInfo",
];

/// An Onboard Corporate Customer body within its bounds. Holds personal data: it does not print itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Company {
    body: Map<String, Value>,
}

impl fmt::Debug for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Company").finish_non_exhaustive()
    }
}

impl Company {
    /// Whether a body is a company's, not a person's.
    #[must_use]
    pub fn is_one(body: &Value) -> bool {
        body.get("businessDetails").is_some()
    }

    /// Checks a body. `region` is this client's: it is filled in where the body has none, and no other is taken.
    pub fn parse(body: &Value, region: Option<Region>) -> Result<Self, Vec<FieldProblem>> {
        let Value::Object(given) = body else {
            return Err(vec![FieldProblem::new("body", "give an object with a company's details")]);
        };
        let mut walk = Walk::default();
        walk.object("", given, BODY);
        let mut body = given.clone();
        body.retain(|_, value| !value.is_null());
        if let Some(region) = region {
            let said = body.entry("region").or_insert_with(|| Value::from(region.as_str()));
            if said.as_str() != Some(region.as_str()) {
                walk.problem("region", &format!("is this client's region, {}", region.as_str()));
            }
        } else if !body.contains_key("region") {
            walk.problem("region", "say which region, such as SG");
        }
        let whole = Value::Object(body);
        let silent = |value: &Value| {
            value.as_str().is_some_and(str::is_empty)
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(Map::is_empty)
        };
        for path in REQUIRED {
            if whole.pointer(path).is_none_or(silent) {
                walk.problem(&path.trim_start_matches('/').replace('/', "."), "fill in this field");
            }
        }
        let Value::Object(body) = whole else { return Err(Vec::new()) };
        if walk.problems.is_empty() { Ok(Self { body }) } else { Err(walk.problems) }
    }

    /// The body, as it is stored and sent.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.body
    }

    /// The number under which a register has the company: what Nium's list finds it by.
    #[must_use]
    pub fn registration_number(&self) -> &str {
        self.body
            .get("businessDetails")
            .and_then(|business| business.get("businessRegistrationNumber"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// A walk over a body, and what was wrong on the way.
#[derive(Default)]
struct Walk {
    problems: Vec<FieldProblem>,
    bytes: usize,
}

impl Walk {
    fn problem(&mut self, at: &str, message: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(FieldProblem::new(at, message));
        }
    }

    fn object(&mut self, at: &str, given: &Map<String, Value>, names: &[(&str, Shape)]) {
        for (name, value) in given {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match names.iter().find(|(known, _)| known == name) {
                None => {
                    let message = "leave this out: Onboard Corporate Customer has no such field here";
                    self.problem(&path, message);
                }
                Some(_) if value.is_null() => {}
                Some((_, shape)) => self.value(&path, value, shape),
            }
        }
    }

    fn value(&mut self, at: &str, value: &Value, shape: &Shape) {
        match shape {
            Text => self.text(at, value),
            Flag if value.is_boolean() => {}
            Flag => self.problem(at, "is true or false"),
            Texts => self.items(at, value, Self::text),
            Free => match value.as_object().filter(|free| free.len() <= ITEMS_MAX) {
                Some(free) => free.iter().for_each(|(name, value)| self.text(&format!("{at}.{name}"), value)),
                None => self.problem(at, &format!("is an object of at most {ITEMS_MAX} texts")),
            },
            Of(names) => match value.as_object() {
                Some(object) => self.object(at, object, names),
                None => self.problem(at, "is an object"),
            },
            Many(names) => self.items(at, value, |walk, at, item| match item.as_object() {
                Some(object) => walk.object(at, object, names),
                None => walk.problem(at, "is an object"),
            }),
            File => self.file(at, value),
            Tags => {
                if let Err(problem) = TAGS.check(value) {
                    self.problems.push(problem);
                }
            }
        }
    }

    fn text(&mut self, at: &str, value: &Value) {
        let fits = value
            .as_str()
            .is_some_and(|text| text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(is_hidden));
        if !fits {
            self.problem(at, &format!("is a text of at most {TEXT_CHARS_MAX} visible characters"));
        }
    }

    fn items(&mut self, at: &str, value: &Value, mut check: impl FnMut(&mut Self, &str, &Value)) {
        match value.as_array().filter(|items| items.len() <= ITEMS_MAX) {
            Some(items) => {
                for (place, item) in items.iter().enumerate() {
                    check(self, &format!("{at}[{place}]"), item);
                }
            }
            None => self.problem(at, &format!("is a list of at most {ITEMS_MAX} items")),
        }
    }

    fn file(&mut self, at: &str, value: &Value) {
        let Some(content) = value.as_str().and_then(|text| STANDARD.decode(text).ok()) else {
            return self.problem(at, "give the file in base64, without line breaks or a data: prefix");
        };
        self.bytes = self.bytes.saturating_add(content.len());
        if content.is_empty() || content.len() > FILE_BYTES_MAX {
            self.problem(at, "give a file of at most 2 MiB");
        } else if self.bytes > FILES_BYTES_MAX {
            self.problem(at, "use smaller files: all together may have 10 MiB");
        }
    }
}

/// Tags are the same for everybody.
const TAGS: Field = Field { name: "tags", group: super::fields::Group::Custom, kind: Kind::Tags };
const _: () = assert!(TAGS_MAX == 15);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({
            "tags": [{ "key": "tier", "value": "gold" }],
            "region": "SG",
            "businessDetails": {
                "businessName": "Sample Trading", "businessRegistrationNumber": "T00000001X",
                "businessType": "PRIVATE_LIMITED_COMPANY",
                "addresses": { "registeredAddress": { "addressLine1": "1 Example Street", "city": "Singapore",
                    "country": "SG", "postcode": "018900" } },
                "legalDetails": { "registeredCountry": "SG", "registeredDate": "2020-01-02" },
                "applicantDetails": { "contactDetails": { "email": "ada@example.test" } },
                "stakeholders": [{ "stakeholderDetails": { "firstName": "Ada", "taxDetails": [{ "country": "SG" }] } }],
            },
            "riskAssessmentInfo": { "annualTurnover": "SG001", "countryOfOperation": ["SG"] },
        })
    }

    fn fields(body: &Value) -> Vec<String> {
        let problems = Company::parse(body, Some(Region::Sg)).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    fn with(path: &str, value: Value) -> Value {
        let mut changed = body();
        let (parent, name) = path.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        changed
    }

    #[test]
    fn a_whole_body_is_taken_and_the_region_filled_in() {
        assert!(fields(&body()).is_empty());
        let mut without = body();
        without.as_object_mut().unwrap().remove("region");
        let company = Company::parse(&without, Some(Region::Sg)).unwrap();
        assert_eq!(company.as_map()["region"], "SG");
        assert_eq!(company.registration_number(), "T00000001X");
        assert_eq!(format!("{company:?}"), "Company { .. }");
        assert!(Company::parse(&without, None).is_err());
        assert_eq!(fields(&with("/region", json!("EU"))), ["region"]);
    }

    #[test]
    fn what_is_missing_or_misspelt_is_named_with_its_path() {
        for path in REQUIRED {
            let mut lacking = body();
            let (parent, name) = path.rsplit_once('/').unwrap();
            lacking.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            assert_eq!(fields(&lacking), [path.trim_start_matches('/').replace('/', ".")]);
        }
        let wrong = with("/businessDetails/stakeholders/0/stakeholderDetails/fristName", json!("Ada"));
        assert_eq!(fields(&wrong), ["businessDetails.stakeholders[0].stakeholderDetails.fristName"]);
        assert_eq!(fields(&with("/customerHashId", json!("x"))), ["customerHashId"]);
        assert_eq!(fields(&with("/businessDetails/hasNominee", json!("no"))), ["businessDetails.hasNominee"]);
        let seventeen: Vec<Value> =
            (0..16).map(|n| json!({ "key": format!("k{n}"), "value": "v" })).collect();
        assert_eq!(fields(&with("/tags", json!(seventeen))).len(), 1);
        assert_eq!(fields(&json!([])), ["body"]);
    }

    #[test]
    fn limits_hold_at_their_bound_and_not_past_it() {
        let name = |length: usize| with("/businessDetails/tradeName", json!("n".repeat(length)));
        assert!(fields(&name(TEXT_CHARS_MAX)).is_empty());
        assert_eq!(fields(&name(TEXT_CHARS_MAX + 1)), ["businessDetails.tradeName"]);
        let countries =
            |length: usize| with("/riskAssessmentInfo/countryOfOperation", json!(vec!["SG"; length]));
        assert!(fields(&countries(ITEMS_MAX)).is_empty());
        assert_eq!(fields(&countries(ITEMS_MAX + 1)), ["riskAssessmentInfo.countryOfOperation"]);
        let file = |bytes: usize| {
            let content = STANDARD.encode(vec![b'a'; bytes]);
            let file = json!({ "fileName": "a.pdf", "fileType": "pdf", "document": content });
            with("/businessDetails/documentDetails", json!([{ "documentType": "X", "document": [file] }]))
        };
        assert!(fields(&file(FILE_BYTES_MAX)).is_empty());
        let at = "businessDetails.documentDetails[0].document[0].document";
        assert_eq!(fields(&file(FILE_BYTES_MAX + 1)), [at]);
    }
}
