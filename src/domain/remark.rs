//! What a rejection is about: the verdict on Nium's remarks. The rules that reach it are in `flow::classify`.

use serde::{Deserialize, Serialize};

/// Whether a rejected customer can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkClass {
    /// A rule knows what to correct.
    Fixable,
    /// A rule knows that resubmitting does not help.
    Final,
    /// No rule knows the remark.
    Unknown,
    /// Not a refusal: the flow failed or ran out (ERROR, EXPIRED), and sending again cures it.
    Lapsed,
}

impl RemarkClass {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Fixable, Self::Final, Self::Unknown, Self::Lapsed];

    /// The word used in the API and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fixable => "fixable",
            Self::Final => "final",
            Self::Unknown => "unknown",
            Self::Lapsed => "lapsed",
        }
    }

    /// Reads [`RemarkClass::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// Why a customer stands where they stand. Holds no text of Nium's: only our rule's name and field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// The verdict.
    pub class: RemarkClass,
    /// The name of the rule that reached it; absent when none did.
    pub rule: Option<String>,
    /// Fields of Unified Add Customer to correct, most likely first; may be empty.
    pub fields: Vec<String>,
}

impl Grounds {
    /// Grounds that no rule stands behind.
    #[must_use]
    pub fn bare(class: RemarkClass) -> Self {
        Self { class, rule: None, fields: Vec::new() }
    }
}
