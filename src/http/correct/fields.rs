//! What the page can ask for, what it is called, and what of it is masked. A field that is not here is not a customer's to
//! change by hand: modes, codes, consents, device.

use serde_json::{Map, Value};

use crate::domain::fields::{Field, Group};
use crate::domain::texts::Texts;

/// What stands where something is hidden.
const DOTS: &str = "•••";

/// What a field is called; `None` if the page cannot ask for it.
pub(super) fn label(texts: &Texts, name: &str) -> Option<&'static str> {
    let labels = labels(texts);
    let of_address = |rest: &str| match rest {
        "Address1" => Some(labels.address1),
        "Address2" => Some(labels.address2),
        "Landmark" => Some(labels.landmark),
        "City" => Some(labels.city),
        "State" => Some(labels.state),
        "ZipCode" => Some(labels.zip),
        "Country" => Some(labels.country),
        _ => None,
    };
    Some(match name {
        "firstName" => labels.first_name,
        "middleName" => labels.middle_name,
        "lastName" => labels.last_name,
        "preferredName" => labels.preferred_name,
        "nativeLanguageName" => labels.native_name,
        "dateOfBirth" => labels.date_of_birth,
        "gender" => labels.gender,
        "nationality" => labels.nationality,
        "countryOfBirth" => labels.country_of_birth,
        "pep" => labels.pep,
        "email" => labels.email,
        "countryCode" => labels.country_code,
        "mobile" => labels.mobile,
        "estimatedMonthlyFunding" => labels.funding,
        "estimatedMonthlyFundingCurrency" => labels.funding_currency,
        "internationalPaymentsSupported" => labels.international,
        "expectedCountriesToSendReceiveFrom" => labels.countries,
        "taxDetails" => labels.tax,
        other => {
            let rest =
                ["billing", "delivery", "correspondence"].iter().find_map(|of| other.strip_prefix(of))?;
            return of_address(rest);
        }
    })
}

/// Texts are constants: their parts live as long as the program.
fn labels(texts: &Texts) -> &crate::domain::texts::Labels {
    &texts.labels
}

/// The heading over the fields of a group.
pub(super) fn heading(texts: &Texts, group: Group) -> &'static str {
    let groups = &texts.groups;
    match group {
        Group::Contact => groups.contact,
        Group::Billing => groups.billing,
        Group::Delivery => groups.delivery,
        Group::Correspondence => groups.correspondence,
        Group::Funding => groups.funding,
        Group::Identity
        | Group::Verification
        | Group::Device
        | Group::Hierarchy
        | Group::Custom
        | Group::Documents => groups.identity,
    }
}

/// What a browser may fill in by itself (WCAG 2.2, 1.3.5).
pub(super) fn autocomplete(name: &str) -> &'static str {
    match name {
        "firstName" => "given-name",
        "middleName" => "additional-name",
        "lastName" => "family-name",
        "preferredName" => "nickname",
        "dateOfBirth" => "bday",
        "email" => "email",
        "mobile" => "tel-national",
        "billingAddress1" => "address-line1",
        "billingAddress2" => "address-line2",
        "billingCity" => "address-level2",
        "billingState" => "address-level1",
        "billingZipCode" => "postal-code",
        "billingCountry" => "country",
        _ => "off",
    }
}

/// Whether what is on file is hidden: whoever found the link must not learn how to reach or to be the customer. Names stay,
/// since a customer has to see what is wrong with them.
pub(super) fn is_masked(name: &str) -> bool {
    let ends = ["Address1", "Address2", "Landmark", "ZipCode"];
    matches!(name, "email" | "mobile" | "dateOfBirth" | "taxDetails" | "identificationValue")
        || ends.iter().any(|end| name.ends_with(end))
}

/// What is on file, as far as a stranger may read it; `None` where nothing is.
pub(super) fn shown_on_file(on_file: &Map<String, Value>, name: &str) -> Option<String> {
    let value = on_file.get(name)?;
    if name == "taxDetails" {
        let details = value.as_array()?.iter().filter_map(|detail| {
            let country = detail.get("countryOfResidence")?.as_str()?;
            Some(format!("{country} {DOTS}"))
        });
        return Some(details.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty());
    }
    let text = plain(value)?;
    Some(if is_masked(name) { mask(name, &text) } else { text })
}

/// A value as it is typed: lists with commas, flags as words.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(list) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        }
        Value::Null | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Enough to know one's own by, too little for anybody else.
fn mask(name: &str, text: &str) -> String {
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    match name {
        "email" => match text.split_once('@') {
            Some((local, domain)) => {
                let end = domain.rsplit('.').next().unwrap_or_default();
                format!("{}{DOTS}@{}{DOTS}.{end}", first(local), first(domain))
            }
            None => DOTS.to_owned(),
        },
        "mobile" => {
            let last: Vec<char> = text.chars().rev().take(2).collect();
            format!("{DOTS}{}", last.into_iter().rev().collect::<String>())
        }
        "dateOfBirth" => DOTS.to_owned(),
        _ => format!("{}{DOTS}", first(text)),
    }
}

/// Whether a customer may take a value out: one that is not demanded of everybody, and that they saw.
pub(super) fn may_be_emptied(field: &Field) -> bool {
    !crate::domain::fields::REQUIRED.contains(&field.name) && !is_masked(field.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fields::FIELDS;
    use crate::domain::texts::Language;
    use serde_json::json;

    #[test]
    fn a_stranger_reads_no_way_to_the_customer() {
        let on_file = json!({
            "email": "ada@example.test", "mobile": "80001234", "dateOfBirth": "1990-02-03", "firstName": "Ada",
            "billingAddress1": "17 Example Street", "taxDetails": [{ "countryOfResidence": "SG", "taxIdNumber": "S1234" }],
        });
        let on_file = on_file.as_object().unwrap();
        let shown: Vec<String> = on_file.keys().filter_map(|name| shown_on_file(on_file, name)).collect();
        assert_eq!(shown, ["1•••", "•••", "a•••@e•••.test", "Ada", "•••34", "SG •••"]);
        assert_eq!(shown_on_file(on_file, "lastName"), None);
    }

    #[test]
    fn odd_values_are_masked_all_the_same() {
        for (name, text) in
            [("email", "no-at"), ("email", "@"), ("mobile", ""), ("dateOfBirth", "x"), ("billingZipCode", "")]
        {
            assert!(mask(name, text).contains(DOTS), "{name}");
        }
    }

    #[test]
    fn codes_modes_and_consents_are_not_asked() {
        let asked = |name: &str| label(Language::En.texts(), name).is_some();
        let not: Vec<&str> = FIELDS.iter().map(|field| field.name).filter(|name| !asked(name)).collect();
        let expected = [
            "kycMode",
            "complianceLevel",
            "verificationConsent",
            "isTncAccepted",
            "upgradeRequest",
            "deviceInfo",
            "ipAddress",
            "countryIP",
            "sessionId",
            "intendedUseOfAccount",
            "occupation",
            "parentCustomerHashId",
            "employeeId",
            "designation",
            "segment",
            "tags",
            "additionalInfo",
            "identificationDoc",
        ];
        assert_eq!(not, expected);
    }
}
