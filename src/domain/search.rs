//! What customers can be found by although it is kept sealed: *terms*, made alike of what Nium said and of what somebody
//! looks for. A term leaves this process only as a keyed mark, so it matches as a whole or not at all.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Terms of one customer that are kept at most; real ones have about a dozen.
pub const TERMS_MAX: usize = 100;
/// Longest text that is made a term, in characters; what is longer is cut alike on both sides.
pub const TERM_CHARS_MAX: usize = 256;
/// Words of one search.
pub const WORDS_MAX: usize = 10;

/// Names of a person, under the names of Unified Add Customer.
const NAMES: [&str; 5] = ["firstName", "middleName", "lastName", "preferredName", "nativeLanguageName"];
/// Names of a company.
const COMPANY_NAMES: [&str; 2] = ["businessName", "tradeName"];

/// One thing to find a customer by. Personal: it never prints itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    kind: &'static str,
    text: String,
}

impl std::fmt::Debug for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Term").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Term {
    /// An e-mail address, in any case.
    #[must_use]
    pub fn email(text: &str) -> Option<Self> {
        Self::of("email", folded(text))
    }

    /// A mobile number: its digits, however they are grouped.
    #[must_use]
    pub fn mobile(text: &str) -> Option<Self> {
        Self::of("mobile", text.chars().filter(char::is_ascii_digit).take(TERM_CHARS_MAX).collect())
    }

    /// The key of a tag.
    #[must_use]
    pub fn tag(key: &str) -> Option<Self> {
        Self::of("tag", folded(key))
    }

    /// A tag with its value. The length stands between them, so that no two tags read the same.
    #[must_use]
    pub fn tag_value(key: &str, value: &str) -> Option<Self> {
        let key = folded(key);
        Self::of("tag value", format!("{} {key}{}", key.len(), folded(value)))
    }

    /// The words of a text.
    pub fn words(text: &str) -> impl Iterator<Item = Self> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.filter_map(|word| Self::of("word", folded(word)))
    }

    fn of(kind: &'static str, text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self { kind, text })
    }

    /// What is marked: the kind goes in, so that the mark of a word is not that of a tag.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [b"search v1\0", self.kind.as_bytes(), b"\0", self.text.as_bytes()].concat()
    }
}

/// In any case and without the spaces around.
fn folded(text: &str) -> String {
    text.trim().chars().take(TERM_CHARS_MAX).flat_map(char::to_lowercase).collect()
}

/// Everything that a customer can be found by, each once, at most [`TERMS_MAX`].
#[must_use]
pub fn terms(profile: &Map<String, Value>) -> Vec<Term> {
    let text = |name: &str| profile.get(name).and_then(Value::as_str);
    let mut terms = BTreeSet::new();
    terms.extend(text("email").and_then(Term::email));
    terms.extend(text("mobile").and_then(Term::mobile));
    for name in NAMES.iter().chain(&COMPANY_NAMES) {
        terms.extend(text(name).into_iter().flat_map(Term::words));
    }
    for tag in profile.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| tag.get(name).and_then(Value::as_str);
        if let Some(key) = part("key") {
            terms.extend(Term::tag(key));
            terms.extend(part("value").and_then(|value| Term::tag_value(key, value)));
        }
    }
    terms.into_iter().take(TERMS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(profile: &Value) -> Vec<Term> {
        terms(profile.as_object().unwrap())
    }

    #[test]
    fn what_is_written_differently_is_the_same_term() {
        assert_eq!(Term::email(" Ada@Example.Test "), Term::email("ada@example.test"));
        assert_eq!(Term::mobile("+65 8000-0000"), Term::mobile("6580000000"));
        assert_eq!(Term::tag_value("Tier", "GOLD"), Term::tag_value("tier", " gold"));
        let words = |text| Term::words(text).collect::<Vec<_>>();
        assert_eq!(words("O'Neil-SMITH"), words("o neil smith"));
        assert_eq!(words("Żółć"), words("żółć"));
    }

    #[test]
    fn kinds_and_parts_are_kept_apart() {
        assert_ne!(
            Term::tag("gold").map(|term| term.bytes()),
            Term::words("gold").next().map(|term| term.bytes())
        );
        assert_ne!(Term::tag_value("ab", "c"), Term::tag_value("a", "bc"));
        assert_ne!(Term::tag_value("1 a", "b"), Term::tag_value("a", "b"));
        for nothing in ["", "  ", "-- !"] {
            assert_eq!(Term::words(nothing).count(), 0, "{nothing:?}");
            assert_eq!(Term::mobile(nothing), None);
        }
        assert_eq!((Term::email(" "), Term::tag("")), (None, None));
    }

    #[test]
    fn a_profile_gives_each_term_once_and_no_more_than_the_limit() {
        let ada = of(&json!({
            "firstName": "Ada Mary", "lastName": "Ada", "email": "ada@example.test", "mobile": "80000000",
            "occupation": "engineer", "tags": [{ "key": "tier", "value": "gold" }, { "key": 1 }, "odd"],
            "businessName": "Sample Pte",
        }));
        assert_eq!(ada.len(), 2 + 2 + 2 + 2, "{ada:?}");
        let many: Vec<String> = (0..=TERMS_MAX).map(|number| format!("w{number}")).collect();
        assert_eq!(of(&json!({ "firstName": many.join(" ") })).len(), TERMS_MAX);
        assert_eq!(of(&json!({ "firstName": many[..TERMS_MAX].join(" ") })).len(), TERMS_MAX);
    }
}
