//! The application: a whole Unified Add Customer body without `customerHashId`, and what a region demands of it.
//!
//! - *Bounds* are what Nium refuses whatever the case: unknown fields, lengths, forms. [`Application::parse`] holds them.
//! - *Gaps* are what a region and a KYC mode demand beyond that (contract section 9). They are named, not refused here:
//!   an application may be put on file with gaps, but not be sent with them.

use std::fmt;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::documents;
use super::fields::values::read_date;
use super::fields::{Field, FieldProblem, PROBLEMS_MAX, REQUIRED, is_silent};

/// Youngest age of a customer, in years (contract section 9).
pub const AGE_YEARS_MIN: i16 = 18;

/// The regulatory region of a client at Nium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Singapore.
    Sg,
    /// The European Union.
    Eu,
    /// Australia.
    Au,
    /// Hong Kong.
    Hk,
    /// The United Kingdom.
    Uk,
    /// The United States.
    Us,
    /// Canada.
    Ca,
}

impl Region {
    /// Every region.
    pub const ALL: [Self; 7] = [Self::Sg, Self::Eu, Self::Au, Self::Hk, Self::Uk, Self::Us, Self::Ca];

    /// Reads Nium's word; `None` for anything else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.as_str() == word)
    }

    /// Nium's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sg => "SG",
            Self::Eu => "EU",
            Self::Au => "AU",
            Self::Hk => "HK",
            Self::Uk => "UK",
            Self::Us => "US",
            Self::Ca => "CA",
        }
    }

    /// The KYC modes that the region has for individuals. Nothing is written about Hong Kong, so every mode is left to
    /// Nium there.
    #[must_use]
    pub fn kyc_modes(self) -> &'static [&'static str] {
        match self {
            Self::Au => &["E_KYC", "MANUAL_KYC"],
            Self::Sg => &["E_KYC", "E_DOC_VERIFY", "MANUAL_KYC"],
            Self::Uk | Self::Eu => &["E_DOC_VERIFY"],
            Self::Us | Self::Ca => &["E_KYC"],
            Self::Hk => &["E_KYC", "MANUAL_KYC", "SCREENING", "E_DOC_VERIFY"],
        }
    }

    /// Fields that the region demands beyond those that all demand.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Uk => &[
                "taxDetails",
                "estimatedMonthlyFunding",
                "estimatedMonthlyFundingCurrency",
                "internationalPaymentsSupported",
            ],
            Self::Eu => &[
                "taxDetails",
                "estimatedMonthlyFunding",
                "estimatedMonthlyFundingCurrency",
                "internationalPaymentsSupported",
                "countryOfBirth",
                "pep",
            ],
            Self::Ca => &["occupation"],
            Self::Sg | Self::Au | Self::Hk | Self::Us => &[],
        }
    }
}

/// A Unified Add Customer body without `customerHashId`, within Nium's bounds. Holds personal data: it does not print
/// itself.
#[derive(Clone, PartialEq)]
pub struct Application {
    fields: Map<String, Value>,
}

impl Application {
    /// Checks a flat body against the strict bounds. Values that say nothing (null, blank text) are left out, texts are
    /// trimmed. Fails with one problem per field.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let Value::Object(body) = body else {
            return Err(vec![FieldProblem::new(
                "body",
                "give an object with the fields of Unified Add Customer",
            )]);
        };
        let mut fields = Map::new();
        let mut problems = Vec::new();
        for (name, value) in body {
            let checked = match Field::named(name) {
                None => Err(FieldProblem::new(
                    name,
                    "leave this out: Unified Add Customer has no such field here",
                )),
                Some(_) if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) => {
                    continue;
                }
                Some(field) => field.check(value),
            };
            match checked {
                Ok(kept) => drop(fields.insert(name.clone(), kept)),
                Err(problem) => problems.push(problem),
            }
        }
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok(Self { fields }) } else { Err(problems) }
    }

    /// The body, as it is stored and sent.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// What is missing for this region, or does not fit it, as of the date `today`; one problem per field. Empty when the
    /// application can be sent. Without a region only what every region demands is checked.
    #[must_use]
    pub fn gaps(&self, region: Option<Region>, today: Date) -> Vec<FieldProblem> {
        let mut gaps = Gaps::default();
        let of_region = region.map_or(&[][..], Region::required);
        for name in REQUIRED.iter().chain(of_region) {
            gaps.add_if(self.lacks(name), name, "fill in this field");
        }
        if let Some(region) = region {
            self.mode_gap(region, &mut gaps);
        }
        self.verification_gaps(&mut gaps);
        self.funding_gaps(&mut gaps);
        self.date_gaps(today, &mut gaps);
        if region == Some(Region::Au) {
            self.australian_gaps(&mut gaps);
        }
        gaps.0
    }

    fn mode_gap(&self, region: Region, gaps: &mut Gaps) {
        let modes = region.kyc_modes();
        let foreign = self.text("kycMode").is_some_and(|mode| !modes.contains(&mode));
        let message = format!("choose a mode of region {}: {}", region.as_str(), modes.join(", "));
        gaps.add_if(foreign, "kycMode", &message);
    }

    fn verification_gaps(&self, gaps: &mut Gaps) {
        let bare = self.is_mode("MANUAL_KYC") && !self.documents().any(documents::has_file);
        gaps.add_if(bare, documents::FIELD, "add a document with a file: a person at Nium checks it");
    }

    fn funding_gaps(&self, gaps: &mut Gaps) {
        let (funding, currency) = ("estimatedMonthlyFunding", "estimatedMonthlyFundingCurrency");
        let together = "fill in the amount and its currency together";
        gaps.add_if(self.lacks(funding) && !self.lacks(currency), funding, together);
        gaps.add_if(self.lacks(currency) && !self.lacks(funding), currency, together);
        let international = self.fields.get("internationalPaymentsSupported") == Some(&Value::Bool(true));
        let countries = "expectedCountriesToSendReceiveFrom";
        let message = "name the countries, since international payments are wanted";
        gaps.add_if(international && self.lacks(countries), countries, message);
    }

    fn date_gaps(&self, today: Date, gaps: &mut Gaps) {
        let birth = self.text("dateOfBirth").and_then(read_date);
        let young = birth.is_some_and(|birth| age_years(birth, today) < AGE_YEARS_MIN);
        gaps.add_if(
            young,
            "dateOfBirth",
            &format!("the customer must be at least {AGE_YEARS_MIN} years old"),
        );
        let issued =
            |item: &Map<String, Value>| item.get("identificationIssuingDate")?.as_str().and_then(read_date);
        let early = self.documents().filter_map(issued).any(|issued| issued > today);
        gaps.add_if(early, documents::FIELD, "give an issuing date that is not in the future");
    }

    fn australian_gaps(&self, gaps: &mut Gaps) {
        let unsplit = self.text("billingAddress1").is_some_and(|line| {
            let parts: Vec<_> = line.split('|').map(str::trim).collect();
            parts.len() != 3 || parts.contains(&"")
        });
        let message = "write the address as: street number | street name | suburb";
        gaps.add_if(self.is_mode("E_KYC") && unsplit, "billingAddress1", message);
        let medicare = |item: &&Map<String, Value>| documents::kind(item).to_lowercase().contains("medicare");
        let needed = ["identificationDocColor", "identificationDocReferenceNumber"];
        let half =
            self.documents().filter(medicare).any(|item| needed.iter().any(|key| !item.contains_key(*key)));
        gaps.add_if(half, documents::FIELD, "give colour and reference number of the Medicare card");
    }

    fn lacks(&self, name: &str) -> bool {
        self.fields.get(name).is_none_or(is_silent)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    fn is_mode(&self, mode: &str) -> bool {
        self.text("kycMode") == Some(mode)
    }

    fn documents(&self) -> impl Iterator<Item = &Map<String, Value>> {
        let list = self.fields.get(documents::FIELD).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object)
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields.keys().collect();
        f.debug_struct("Application").field("fields", &names).finish_non_exhaustive()
    }
}

/// Gaps in the order in which they were found; the first about a field stands, since it is the one to mend first.
#[derive(Default)]
struct Gaps(Vec<FieldProblem>);

impl Gaps {
    fn add_if(&mut self, condition: bool, field: &str, message: &str) {
        if condition && self.0.iter().all(|gap| gap.field != field) {
            self.0.push(FieldProblem::new(field, message));
        }
    }
}

/// Full years since birth. Who was born on 29 February has a birthday on 1 March in years without that day: nobody is
/// ever counted as older than some country's law would say.
fn age_years(birth: Date, today: Date) -> i16 {
    let before_birthday = (today.month(), today.day()) < (birth.month(), birth.day());
    today.year().saturating_sub(birth.year()).saturating_sub(i16::from(before_birthday))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fields::FIELDS;
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;
    use serde_json::json;

    const TODAY: Date = date(2026, 3, 1);

    fn minimal(mode: &str) -> Value {
        json!({
            "firstName": "Ada", "lastName": "Sample", "dateOfBirth": "1990-02-03", "nationality": "SG",
            "email": "ada@example.test", "countryCode": "SG", "mobile": "80000000", "kycMode": mode,
            "billingAddress1": "1 Example Street", "billingCity": "Singapore",
        })
    }

    fn with(mode: &str, extra: &Value) -> Value {
        let mut body = minimal(mode);
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn gaps(region: Region, body: &Value) -> Vec<String> {
        let gaps = Application::parse(body).unwrap().gaps(Some(region), TODAY);
        gaps.into_iter().map(|gap| gap.field).collect()
    }

    fn png() -> Value {
        // The eight bytes with which every PNG begins.
        json!([{ "fileName": "a.png", "fileType": "png", "document": "iVBORw0KGgo=" }])
    }

    #[test]
    fn regions_read_as_they_print() {
        for region in Region::ALL {
            assert_eq!(Region::parse(region.as_str()), Some(region));
        }
        assert_eq!(Region::parse("sg"), None);
    }

    #[test]
    fn an_empty_application_lacks_what_all_regions_demand() {
        for region in [Region::Sg, Region::Au, Region::Hk, Region::Us] {
            assert_eq!(gaps(region, &json!({})), REQUIRED);
        }
    }

    #[test]
    fn a_mode_fits_the_regions_that_have_it() {
        for region in Region::ALL {
            for mode in ["E_KYC", "MANUAL_KYC", "SCREENING", "E_DOC_VERIFY"] {
                let fits = !gaps(region, &minimal(mode)).contains(&"kycMode".to_owned());
                assert_eq!(fits, region.kyc_modes().contains(&mode), "{region:?} {mode}");
            }
        }
    }

    #[test]
    fn the_united_kingdom_and_the_union_ask_about_funding() {
        let funding = ["taxDetails", "estimatedMonthlyFunding", "estimatedMonthlyFundingCurrency"];
        let mut expected: Vec<_> =
            funding.iter().chain(&["internationalPaymentsSupported"]).copied().collect();
        assert_eq!(gaps(Region::Uk, &minimal("E_DOC_VERIFY")), expected);
        expected.extend(["countryOfBirth", "pep"]);
        assert_eq!(gaps(Region::Eu, &minimal("E_DOC_VERIFY")), expected);

        let mut told = with(
            "E_DOC_VERIFY",
            &json!({
                "taxDetails": [{ "countryOfResidence": "GB", "taxIdNumber": "QQ000000A" }],
                "estimatedMonthlyFunding": "MF002", "estimatedMonthlyFundingCurrency": "GBP",
                "internationalPaymentsSupported": false, "expectedCountriesToSendReceiveFrom": [],
                "countryOfBirth": "GB", "pep": false,
            }),
        );
        assert!(gaps(Region::Uk, &told).is_empty() && gaps(Region::Eu, &told).is_empty());
        told["internationalPaymentsSupported"] = json!(true);
        assert_eq!(gaps(Region::Uk, &told), ["expectedCountriesToSendReceiveFrom"]);
        told["expectedCountriesToSendReceiveFrom"] = json!(["FR"]);
        assert!(gaps(Region::Uk, &told).is_empty());
    }

    #[test]
    fn funding_and_currency_come_together_everywhere() {
        let one = with("E_KYC", &json!({ "estimatedMonthlyFunding": "MF001" }));
        assert_eq!(gaps(Region::Us, &one), ["estimatedMonthlyFundingCurrency"]);
        let other = with("E_KYC", &json!({ "estimatedMonthlyFundingCurrency": "USD" }));
        assert_eq!(gaps(Region::Us, &other), ["estimatedMonthlyFunding"]);
    }

    #[test]
    fn canada_asks_for_the_occupation() {
        assert_eq!(gaps(Region::Ca, &minimal("E_KYC")), ["occupation"]);
        assert!(gaps(Region::Ca, &with("E_KYC", &json!({ "occupation": "OC0001" }))).is_empty());
    }

    #[test]
    fn manual_kyc_needs_a_file() {
        let item = json!({ "identificationType": "Passport" });
        assert_eq!(gaps(Region::Sg, &minimal("MANUAL_KYC")), ["identificationDoc"]);
        assert_eq!(
            gaps(Region::Sg, &with("MANUAL_KYC", &json!({ "identificationDoc": [item] }))),
            ["identificationDoc"]
        );
        let item = json!({ "identificationType": "Passport", "identificationDocument": png() });
        assert!(gaps(Region::Sg, &with("MANUAL_KYC", &json!({ "identificationDoc": [item] }))).is_empty());
        assert!(gaps(Region::Sg, &minimal("E_KYC")).is_empty());
    }

    #[test]
    fn australia_has_its_own_address_and_card() {
        assert_eq!(gaps(Region::Au, &minimal("E_KYC")), ["billingAddress1"]);
        let right = with("E_KYC", &json!({ "billingAddress1": "1 | Example Street | Sampleville" }));
        assert!(gaps(Region::Au, &right).is_empty());
        let card = json!([{ "identificationType": "Medicare Card", "identificationDocument": png() }]);
        assert_eq!(
            gaps(Region::Au, &with("MANUAL_KYC", &json!({ "identificationDoc": card }))),
            ["identificationDoc"]
        );
        let card = json!([{
            "identificationType": "Medicare Card", "identificationDocument": png(),
            "identificationDocColor": "G", "identificationDocReferenceNumber": "1",
        }]);
        assert!(gaps(Region::Au, &with("MANUAL_KYC", &json!({ "identificationDoc": card }))).is_empty());
    }

    #[test]
    fn eighteen_is_reached_on_the_birthday() {
        let adult =
            |birth: &str| gaps(Region::Us, &with("E_KYC", &json!({ "dateOfBirth": birth }))).is_empty();
        assert!(adult("2008-03-01"));
        assert!(!adult("2008-03-02"));
        assert!(adult("2008-02-29"), "on 1 March, in a year without 29 February");
        assert!(!adult("2031-01-01"), "not born yet");
        assert_eq!(age_years(date(2008, 2, 29), date(2026, 2, 28)), 17);
    }

    #[test]
    fn a_document_is_not_issued_tomorrow() {
        let item =
            |issued| json!([{ "identificationType": "Passport", "identificationIssuingDate": issued }]);
        assert!(
            gaps(Region::Us, &with("E_KYC", &json!({ "identificationDoc": item("2026-03-01") }))).is_empty()
        );
        assert_eq!(
            gaps(Region::Us, &with("E_KYC", &json!({ "identificationDoc": item("2026-03-02") }))),
            ["identificationDoc"]
        );
    }

    #[test]
    fn bounds_refuse_and_blanks_are_left_out() {
        let body = json!({ "customerHashId": "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01", "firstName": "a".repeat(41), "middleName": " ", "lastName": null, "gender": " Male " });
        let problems = Application::parse(&body).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["customerHashId", "firstName"]);
        let body = json!({ "middleName": " ", "lastName": null, "gender": " Male " });
        let kept = Application::parse(&body).unwrap();
        assert_eq!(json!(kept.as_map()), json!({ "gender": "Male" }));
        assert_eq!(format!("{kept:?}"), r#"Application { fields: ["gender"], .. }"#);
        assert_eq!(Application::parse(&json!([])).unwrap_err().len(), 1);
    }

    /// Any JSON, with names of real fields among the keys.
    pub(in crate::domain) fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            proptest::sample::select(FIELDS).prop_map(|field| field.name.to_owned()),
            proptest::sample::select(&["fields", "documents", "key", "value", "identificationType"][..])
                .prop_map(str::to_owned),
            ".{0,5}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,45}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(name.clone(), inner, 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(body in any_json()) {
            match Application::parse(&body) {
                Ok(kept) => {
                    prop_assert_eq!(Application::parse(&json!(kept.as_map())), Ok(kept.clone()));
                    let _ = kept.gaps(Some(Region::Eu), TODAY);
                }
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}
