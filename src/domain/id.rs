//! Identifiers, parsed once at the edge; inside, an id is always well-formed.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Nium's id of a customer: a UUID, compared without regard to case (contract section 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerHashId(Uuid);

impl CustomerHashId {
    /// Nobody: what is told about the service itself is filed under this id.
    pub const NOBODY: Self = Self(Uuid::nil());

    /// Reads the hyphenated form, upper or lower case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // `Uuid::try_parse` also takes braces, a URN prefix and the bare 32 digits: Nium never sends those.
        if text.len() != 36 {
            return None;
        }
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The id for sixteen stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Its beginning, as people call a customer.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for CustomerHashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest `x-request-id` that is kept, in characters; Nium sends a UUID.
pub const REQUEST_ID_CHARS_MAX: usize = 128;

/// Nium's `x-request-id` of one event: the same value when the event is delivered again (contract section 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// Keeps 1 to [`REQUEST_ID_CHARS_MAX`] visible ASCII characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=REQUEST_ID_CHARS_MAX).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// The id as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = CustomerHashId::parse("0D6A1C54-7C1B-4B0E-8F38-3F1F2F6F9A01").unwrap();
        assert_eq!(id.to_string(), "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01");
        for bad in
            ["", "0d6a1c547c1b4b0e8f383f1f2f6f9a01", "{0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01}", "0d6a1c54"]
        {
            assert_eq!(CustomerHashId::parse(bad), None, "{bad}");
        }
    }
}
