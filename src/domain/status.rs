//! Nium's words for where a customer stands, read leniently (contract sections 6, 11.5 and 15).
//!
//! Two words come with every customer: `complianceStatus` (what the compliance check says) and `status` (what the
//! platform says; guides call it `kycStatus`). Case, spaces and v5 spellings vary; a word that nobody knows is kept
//! as it came, never guessed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest unknown word of Nium's that is kept, in characters; real ones have fewer than 20.
pub const WORD_CHARS_MAX: usize = 64;

/// A word of Nium's that this release does not know, kept as it came (cut at [`WORD_CHARS_MAX`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word(String);

impl Word {
    /// Keeps `text`, without control characters and at most [`WORD_CHARS_MAX`] characters of it.
    #[must_use]
    pub fn keep(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(WORD_CHARS_MAX).collect())
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `complianceStatus`: what Nium's compliance check says (contract section 6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// A vendor flow has begun and waits for the customer.
    Initiated,
    /// Checks are running.
    InProgress,
    /// A compliance officer of Nium's is looking; nothing for us to do.
    ActionRequired,
    /// Information is wanted from the customer.
    RfiRequested,
    /// The information was given; review goes on.
    RfiResponded,
    /// Compliance finished positively; not yet usable unless the status is clear too.
    Completed,
    /// Refused.
    Reject,
    /// A technical or validation failure of the flow.
    Error,
    /// The link or case ran out before it was finished.
    Expired,
    /// The case was closed.
    Closed,
    /// A word this release does not know.
    Unknown(Word),
}

impl Compliance {
    /// Reads Nium's word: any case, spaces for underscores, and the words other parts of Nium use for the same thing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match normal(text).as_str() {
            "INITIATED" => Self::Initiated,
            "IN_PROGRESS" | "PENDING" => Self::InProgress,
            "ACTION_REQUIRED" => Self::ActionRequired,
            "RFI_REQUESTED" => Self::RfiRequested,
            "RFI_RESPONDED" => Self::RfiResponded,
            "COMPLETED" | "CLEAR" => Self::Completed,
            "REJECT" | "REJECTED" => Self::Reject,
            "ERROR" => Self::Error,
            "EXPIRED" => Self::Expired,
            "CLOSED" => Self::Closed,
            _ => Self::Unknown(Word::keep(text.trim())),
        }
    }

    /// Nium's spelling of the word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Initiated => "INITIATED",
            Self::InProgress => "IN_PROGRESS",
            Self::ActionRequired => "ACTION_REQUIRED",
            Self::RfiRequested => "RFI_REQUESTED",
            Self::RfiResponded => "RFI_RESPONDED",
            Self::Completed => "COMPLETED",
            Self::Reject => "REJECT",
            Self::Error => "ERROR",
            Self::Expired => "EXPIRED",
            Self::Closed => "CLOSED",
            Self::Unknown(word) => word.as_str(),
        }
    }
}

impl fmt::Display for Compliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `status`, or `kycStatus` where that is what came: what Nium's platform says (contract section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The check is not finished.
    Pending,
    /// Approved; may transact.
    Clear,
    /// The check failed.
    Failed,
    /// Temporarily blocked.
    Suspended,
    /// Permanently blocked; the account counts as closed.
    Blocked,
    /// A word this release does not know.
    Unknown(Word),
}

impl Status {
    /// Reads Nium's word in any case; v5's `rejected`, `closed` and `terminated` are mapped to their v4 meaning.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match normal(text).as_str() {
            "PENDING" => Self::Pending,
            "CLEAR" => Self::Clear,
            "FAILED" | "REJECTED" => Self::Failed,
            "SUSPENDED" => Self::Suspended,
            "BLOCKED" | "CLOSED" | "TERMINATED" => Self::Blocked,
            _ => Self::Unknown(Word::keep(text.trim())),
        }
    }

    /// Nium's spelling of the word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Clear => "Clear",
            Self::Failed => "Failed",
            Self::Suspended => "Suspended",
            Self::Blocked => "Blocked",
            Self::Unknown(word) => word.as_str(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn normal(text: &str) -> String {
    text.trim()
        .to_uppercase()
        .split([' ', '_', '-'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// What the two words mean together (contract section 11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// COMPLETED and Clear: the customer may transact.
    Approved,
    /// COMPLETED, but not usable: still pending, or suspended by a temporary block.
    Almost {
        /// The customer is usable apart from a temporary block.
        suspended: bool,
    },
    /// Nium is working.
    Working {
        /// The platform still says Clear or Suspended: a later check of an approved customer.
        open: bool,
    },
    /// Information is wanted from the customer.
    Rfi {
        /// The platform still says Clear or Suspended: a later request to an approved customer.
        open: bool,
    },
    /// Refused.
    Rejected {
        /// `status` does not say Failed yet: worth one more read.
        lagging: bool,
    },
    /// ERROR or EXPIRED: a correction or a plain re-initiation cures it.
    Lapsed,
    /// The case was closed.
    Closed,
    /// Permanently blocked.
    Blocked,
    /// One of the two words is not known to this release.
    Unknown,
    /// Nium did not say how compliance stands.
    Unsaid,
}

impl Standing {
    /// Reads both words together; either may be missing.
    #[must_use]
    pub fn of(compliance: Option<&Compliance>, status: Option<&Status>) -> Self {
        if status == Some(&Status::Blocked) {
            return Self::Blocked;
        }
        if matches!(compliance, Some(Compliance::Unknown(_))) || matches!(status, Some(Status::Unknown(_))) {
            return Self::Unknown;
        }
        let suspended = status == Some(&Status::Suspended);
        let open = suspended || status == Some(&Status::Clear);
        match compliance {
            Some(Compliance::Completed) if status == Some(&Status::Clear) => Self::Approved,
            Some(Compliance::Completed) => Self::Almost { suspended },
            Some(Compliance::Reject) => Self::Rejected { lagging: status != Some(&Status::Failed) },
            Some(Compliance::Error | Compliance::Expired) => Self::Lapsed,
            Some(Compliance::RfiRequested) => Self::Rfi { open },
            Some(
                Compliance::Initiated
                | Compliance::InProgress
                | Compliance::ActionRequired
                | Compliance::RfiResponded,
            ) => Self::Working { open },
            Some(Compliance::Closed) => Self::Closed,
            Some(Compliance::Unknown(_)) => Self::Unknown,
            None => Self::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_the_guides_and_of_v5_are_one_word() {
        for text in ["RFI REQUESTED", "rfi_requested", " Rfi Requested ", "RFI  REQUESTED", "rfi-requested"] {
            assert_eq!(Compliance::parse(text), Compliance::RfiRequested, "{text}");
        }
        for text in ["REJECT", "REJECTED", "rejected"] {
            assert_eq!(Compliance::parse(text), Compliance::Reject, "{text}");
        }
        for text in ["FAILED", "Failed", "rejected"] {
            assert_eq!(Status::parse(text), Status::Failed, "{text}");
        }
        assert_eq!(Status::parse("terminated"), Status::Blocked);
        assert_eq!(Compliance::parse("ON HOLD").as_str(), "ON HOLD");
    }

    #[test]
    fn the_table_of_section_11_5_holds() {
        let standing = |c: &str, s: Option<&str>| {
            Standing::of(Some(&Compliance::parse(c)), s.map(Status::parse).as_ref())
        };
        assert_eq!(standing("COMPLETED", Some("Clear")), Standing::Approved);
        assert_eq!(standing("COMPLETED", Some("Pending")), Standing::Almost { suspended: false });
        assert_eq!(standing("COMPLETED", Some("Suspended")), Standing::Almost { suspended: true });
        assert_eq!(standing("COMPLETED", None), Standing::Almost { suspended: false });
        assert_eq!(standing("COMPLETED", Some("Blocked")), Standing::Blocked);
        assert_eq!(standing("REJECT", Some("Failed")), Standing::Rejected { lagging: false });
        assert_eq!(standing("REJECT", Some("Pending")), Standing::Rejected { lagging: true });
        assert_eq!(standing("REJECT", None), Standing::Rejected { lagging: true });
        assert_eq!(standing("EXPIRED", Some("Pending")), Standing::Lapsed);
        assert_eq!(standing("RFI REQUESTED", Some("CLEAR")), Standing::Rfi { open: true });
        assert_eq!(standing("ACTION_REQUIRED", Some("PENDING")), Standing::Working { open: false });
        assert_eq!(standing("CLOSED", Some("Pending")), Standing::Closed);
        assert_eq!(standing("MYSTERY", Some("Clear")), Standing::Unknown);
        assert_eq!(standing("REJECT", Some("Limbo")), Standing::Unknown);
        assert_eq!(Standing::of(None, Some(&Status::Pending)), Standing::Unsaid);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_an_unknown_word_is_kept(text in "\\PC{0,80}") {
            for kept in [Compliance::parse(&text).as_str().to_owned(), Status::parse(&text).as_str().to_owned()] {
                prop_assert!(kept.chars().count() <= WORD_CHARS_MAX);
            }
            if let Compliance::Unknown(word) = Compliance::parse(&text) {
                prop_assert!(text.trim().starts_with(word.as_str()));
            }
        }
    }
}
