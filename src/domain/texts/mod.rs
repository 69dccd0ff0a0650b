//! What customers read: a closed set of texts in seven languages. Nothing of Nium's is repeated to a customer, and a text
//! that is missing in one language does not compile.

mod de;
mod en;
mod es;
mod fr;
mod ja;
mod pt;
mod zh;

/// A language that customers are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// German.
    De,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
    /// Japanese.
    Ja,
    /// Chinese, simplified.
    Zh,
}

impl Language {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Self; 7] = [Self::En, Self::Fr, Self::De, Self::Es, Self::Pt, Self::Ja, Self::Zh];

    /// Its texts.
    #[must_use]
    pub fn texts(self) -> &'static Texts {
        match self {
            Self::En => &en::TEXTS,
            Self::Fr => &fr::TEXTS,
            Self::De => &de::TEXTS,
            Self::Es => &es::TEXTS,
            Self::Pt => &pt::TEXTS,
            Self::Ja => &ja::TEXTS,
            Self::Zh => &zh::TEXTS,
        }
    }

    /// Its two letters.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.texts().tag
    }

    /// The language of a tag such as `de` or `pt-BR`; `None` where we do not speak it.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let first = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(first))
    }

    /// The first language of an `Accept-Language` header that we speak, by its weights (RFC 9110, 12.5.4).
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for part in header.split(',').take(ACCEPTED_MAX) {
            let mut pieces = part.split(';');
            let Some(language) = pieces.next().and_then(Self::parse) else { continue };
            let weight =
                pieces.find_map(|piece| piece.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// Entries of an `Accept-Language` header that are looked at.
const ACCEPTED_MAX: usize = 32;

/// Everything that is said in one language.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Texts {
    pub tag: &'static str,
    pub own_name: &'static str,
    pub full_stop: &'static str,
    pub page: Page,
    pub whys: Whys,
    pub stages: Stages,
    pub groups: Groups,
    pub labels: Labels,
    pub documents: Documents,
    pub problems: Problems,
    pub questions: Questions,
    pub mails: Mails,
}

/// What the hosted page says around the fields.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Page {
    pub skip: &'static str,
    pub language: &'static str,
    pub show: &'static str,
    pub questions: &'static str,
    pub landing_title: &'static str,
    pub landing_lead: &'static str,
    pub landing_button: &'static str,
    pub landing_note: &'static str,
    pub ended_title: &'static str,
    pub ended_text: &'static str,
    pub over_title: &'static str,
    pub over_text: &'static str,
    pub correct_title: &'static str,
    pub until: &'static str,
    pub first: &'static str,
    pub others: &'static str,
    pub on_file: &'static str,
    pub keep: &'static str,
    pub choose: &'static str,
    pub yes: &'static str,
    pub no: &'static str,
    pub male: &'static str,
    pub female: &'static str,
    pub others_gender: &'static str,
    pub cannot_ask: &'static str,
    pub documents: &'static str,
    pub documents_on_file: &'static str,
    pub document_kind: &'static str,
    pub document_number: &'static str,
    pub document_expiry: &'static str,
    pub document_country: &'static str,
    pub document_photo: &'static str,
    pub document_file: &'static str,
    pub document_hint: &'static str,
    pub document_more: &'static str,
    pub document_attached: &'static str,
    pub document_remove: &'static str,
    pub tax_country: &'static str,
    pub tax_number: &'static str,
    pub check: &'static str,
    pub check_again: &'static str,
    pub nothing_changed: &'static str,
    pub review_title: &'static str,
    pub review_lead: &'static str,
    pub review_what: &'static str,
    pub review_was: &'static str,
    pub review_new: &'static str,
    pub review_removed: &'static str,
    pub review_none: &'static str,
    pub review_same: &'static str,
    pub review_send: &'static str,
    pub review_back: &'static str,
    pub rfi_title: &'static str,
    pub rfi_lead: &'static str,
    pub rfi_send: &'static str,
    pub moved_title: &'static str,
    pub moved_text: &'static str,
    pub stop_title: &'static str,
    pub stop_text: &'static str,
    pub stop_button: &'static str,
    pub stop_done: &'static str,
    pub trouble_title: &'static str,
    pub trouble_text: &'static str,
    pub too_large_title: &'static str,
    pub too_large_text: &'static str,
    pub missing_title: &'static str,
    pub missing_text: &'static str,
}

/// Why a correction is needed, by what the rules say; never Nium's own words.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Whys {
    pub name: &'static str,
    pub birth: &'static str,
    pub nationality: &'static str,
    pub selfie: &'static str,
    pub proof_of_address: &'static str,
    pub contact: &'static str,
    pub address: &'static str,
    pub document: &'static str,
    pub tax: &'static str,
    pub incomplete: &'static str,
    pub lapsed: &'static str,
    pub unknown: &'static str,
}

/// Headings over fields that belong together.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Groups {
    pub identity: &'static str,
    pub contact: &'static str,
    pub billing: &'static str,
    pub delivery: &'static str,
    pub correspondence: &'static str,
    pub funding: &'static str,
}

/// What fields are called.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Labels {
    pub first_name: &'static str,
    pub middle_name: &'static str,
    pub last_name: &'static str,
    pub preferred_name: &'static str,
    pub native_name: &'static str,
    pub date_of_birth: &'static str,
    pub gender: &'static str,
    pub nationality: &'static str,
    pub country_of_birth: &'static str,
    pub pep: &'static str,
    pub email: &'static str,
    pub country_code: &'static str,
    pub mobile: &'static str,
    pub address1: &'static str,
    pub address2: &'static str,
    pub landmark: &'static str,
    pub city: &'static str,
    pub state: &'static str,
    pub zip: &'static str,
    pub country: &'static str,
    pub funding: &'static str,
    pub funding_currency: &'static str,
    pub international: &'static str,
    pub countries: &'static str,
    pub tax: &'static str,
    pub employment: &'static str,
    pub industry: &'static str,
    pub source_of_funds: &'static str,
    pub use_of_account: &'static str,
    pub documents: &'static str,
    pub other: &'static str,
}

/// What documents are called.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Documents {
    pub passport: &'static str,
    pub national_id: &'static str,
    pub driving_licence: &'static str,
    pub selfie: &'static str,
    pub utility_bill: &'static str,
    pub bank_statement: &'static str,
    pub proof_of_address: &'static str,
    pub government_id: &'static str,
}

/// What is wrong with an entry.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Problems {
    pub required: &'static str,
    pub too_long: &'static str,
    pub characters: &'static str,
    pub email: &'static str,
    pub mobile: &'static str,
    pub currency: &'static str,
    pub date: &'static str,
    pub age: &'static str,
    pub choose: &'static str,
    pub file: &'static str,
    pub document: &'static str,
    pub australia: &'static str,
    pub other: &'static str,
}

/// What Nium asks in a request for information.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Questions {
    pub passport: &'static str,
    pub driving_licence: &'static str,
    pub national_id: &'static str,
    pub bank_statement: &'static str,
    pub utility_bill: &'static str,
    pub proof_of_address: &'static str,
    pub proof_of_identity: &'static str,
    pub first_name: &'static str,
    pub middle_name: &'static str,
    pub last_name: &'static str,
    pub date_of_birth: &'static str,
    pub gender: &'static str,
    pub nationality: &'static str,
    pub source_of_funds: &'static str,
    pub pep: &'static str,
    pub other: &'static str,
}

/// Where a customer stands when there is nothing to fill in.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Stages {
    pub sending: Stage,
    pub review: Stage,
    pub waiting: Stage,
    pub done: Stage,
    pub closed: Stage,
    pub officer: Stage,
    pub company: Stage,
}

/// A heading and a sentence.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Stage {
    pub title: &'static str,
    pub text: &'static str,
}

/// What e-mails say.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Mails {
    pub greeting: &'static str,
    pub button: &'static str,
    pub until: &'static str,
    pub link_note: &'static str,
    pub stop: &'static str,
    pub closing: &'static str,
    pub offer: Mail,
    pub reminder: Mail,
    pub refused: Mail,
    pub rfi: Mail,
    pub received: Mail,
    pub reinstated: Mail,
    pub closed: Mail,
}

/// A subject and a sentence or two.
#[derive(Debug)]
#[expect(missing_docs, reason = "each text says what it is, in English in en.rs")]
pub struct Mail {
    pub subject: &'static str,
    pub text: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_read_as_they_print() {
        for language in Language::ALL {
            assert_eq!(Language::parse(language.tag()), Some(language));
        }
        assert_eq!(Language::parse("pt-BR"), Some(Language::Pt));
        assert_eq!(Language::parse("ZH_hans"), Some(Language::Zh));
        for foreign in ["", "xx", "english", "d"] {
            assert_eq!(Language::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_browser_is_spoken_to_in_the_language_it_likes_best() {
        assert_eq!(Language::accepted("sv, de;q=0.5, fr;q=0.9"), Some(Language::Fr));
        assert_eq!(Language::accepted("fr;q=0, ja;q=0.1"), Some(Language::Ja));
        assert_eq!(Language::accepted("de, en"), Some(Language::De));
        assert_eq!(Language::accepted("sv"), None);
        assert_eq!(Language::accepted(";;q=,q=x,*"), None);
    }

    #[test]
    fn no_language_repeats_another() {
        // Rust's own print of a constant holds every text once.
        let texts: Vec<String> =
            Language::ALL.iter().map(|language| format!("{:?}", language.texts())).collect();
        for (place, text) in texts.iter().enumerate() {
            assert!(!text.contains("\"\""), "a text of {} is empty", Language::ALL[place].tag());
            let title = Language::ALL[place].texts().page.landing_title;
            let elsewhere = texts.iter().enumerate().filter(|(other, _)| *other != place);
            assert!(elsewhere.clone().all(|(_, other)| !other.contains(title)), "{title}");
        }
    }
}
