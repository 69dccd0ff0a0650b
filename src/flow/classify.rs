//! Nium's remarks in, a verdict out: fixable (and what to correct), final, or unknown.
//!
//! Rules come from the configuration and are tried in order; the first that finds one of its phrases decides. A phrase
//! matches whole words in any case, so `name` is not found in `tournament`. Nium's parts of a remark are separated by
//! `|` and `->`; punctuation and underscores count as spaces.

use crate::domain::remark::{Grounds, RemarkClass};

/// One rule: phrases, and what their presence means.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    class: RemarkClass,
    phrases: Vec<String>,
    fields: Vec<String>,
}

impl Rule {
    /// A rule that answers `class` (and, if that is fixable, `fields`) when a remark holds any of `phrases`.
    #[must_use]
    pub fn new(name: &str, class: RemarkClass, phrases: &[String], fields: &[String]) -> Self {
        let phrases = phrases.iter().map(|phrase| words(phrase)).filter(|phrase| phrase.len() > 2).collect();
        Self { name: name.to_owned(), class, phrases, fields: fields.to_vec() }
    }
}

/// The verdict of the first rule that knows the remark; [`RemarkClass::Unknown`] if none does.
#[must_use]
pub fn classify(remark: &str, rules: &[Rule]) -> Grounds {
    let remark = words(remark);
    let found = rules.iter().find(|rule| rule.phrases.iter().any(|phrase| remark.contains(phrase.as_str())));
    found.map_or_else(
        || Grounds::bare(RemarkClass::Unknown),
        |rule| Grounds { class: rule.class, rule: Some(rule.name.clone()), fields: rule.fields.clone() },
    )
}

/// Lower case words, one space before, between and after: ` poi does not match `.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        out.extend(word.chars().flat_map(char::to_lowercase));
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(name: &str, class: RemarkClass, phrases: &[&str], fields: &[&str]) -> Rule {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Rule::new(name, class, &owned(phrases), &owned(fields))
    }

    #[test]
    fn the_first_rule_that_knows_the_remark_decides() {
        let rules = [
            rule("sanctions", RemarkClass::Final, &["sanction", "SANCTIONS"], &[]),
            rule("name", RemarkClass::Fixable, &["declared name"], &["firstName", "lastName"]),
        ];
        let verdict = classify("KYC FAILED|POI does not match the DECLARED_NAME", &rules);
        assert_eq!((verdict.class, verdict.rule.as_deref()), (RemarkClass::Fixable, Some("name")));
        assert_eq!(verdict.fields, ["firstName", "lastName"]);
        assert_eq!(classify("declared name; sanctions hit", &rules).class, RemarkClass::Final);
        assert_eq!(classify("KYC FAILED", &rules).class, RemarkClass::Unknown);
        assert_eq!(classify("", &rules).class, RemarkClass::Unknown);
    }

    #[test]
    fn phrases_match_whole_words_only_and_an_empty_phrase_matches_nothing() {
        let rules = [rule("name", RemarkClass::Fixable, &["name", "", " - "], &[])];
        assert_eq!(classify("tournament renamed", &rules).class, RemarkClass::Unknown);
        assert_eq!(classify("the name.", &rules).class, RemarkClass::Fixable);
    }

    proptest! {
        #[test]
        fn any_remark_gets_a_verdict_and_a_planted_phrase_is_found(before in "\\PC{0,60}", after in "\\PC{0,60}") {
            let rules = [rule("expired", RemarkClass::Fixable, &["document expired"], &["identificationDoc"])];
            let verdict = classify(&format!("{before} Document  EXPIRED, {after}"), &rules);
            prop_assert_eq!(verdict.rule.as_deref(), Some("expired"));
        }
    }
}
