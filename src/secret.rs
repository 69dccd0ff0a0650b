//! A string, or bytes, that will not print themselves.
//!
//! A *secret* is anything that opens a door: an API key, a bearer token, a signing key. Wrapped in these types it prints
//! as `[secret]`, is wiped from memory when dropped, and is compared without telling by its time how much of a guess
//! was right. Neither type has `==`, because `==` would tell.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What either type prints instead of itself.
const MASK: &str = "[secret]";

/// Text that opens a door.
#[derive(Clone, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that must send or check it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `guess` is this secret, in a time that does not depend on where they differ or on how long either is
    /// beyond the cost of hashing the guess.
    #[must_use]
    pub fn matches(&self, guess: &str) -> bool {
        same(self.0.as_bytes(), guess.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Bytes that open a door: a sealing or signing key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// The bytes that `text` spells in base64 (standard alphabet, padded); `None` if it spells none.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self)
    }

    /// The bytes themselves, for the one place that must use them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a 256-bit key; `None` unless there are exactly 32 of them.
    #[must_use]
    pub fn as_key(&self) -> Option<&[u8; 32]> {
        self.0.as_slice().try_into().ok()
    }

    /// Whether `guess` is these bytes, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, guess: &[u8]) -> bool {
        same(&self.0, guess)
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Compares digests, not texts: the comparison itself refuses slices of unequal length at once, which would tell how
/// long the secret is.
fn same(ours: &[u8], guess: &[u8]) -> bool {
    let (ours, guess) = (digest::digest(&digest::SHA256, ours), digest::digest(&digest::SHA256, guess));
    constant_time::verify_slices_are_equal(ours.as_ref(), guess.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_type_prints_itself() {
        let (text, bytes) = (Secret::from("open sesame"), SecretBytes::from(b"open sesame".to_vec()));
        assert_eq!(format!("{text} {text:?} {bytes} {bytes:?}"), "[secret] [secret] [secret] [secret]");
        assert_eq!(format!("{:?}", Some(text)), "Some([secret])");
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::from("open sesame");
        assert!(secret.matches("open sesame"));
        for guess in ["", "open", "open sesame ", "OPEN SESAME", "open sesamf"] {
            assert!(!secret.matches(guess), "{guess:?}");
        }
        let bytes = SecretBytes::from(vec![1, 2, 3]);
        assert!(bytes.matches(&[1, 2, 3]) && !bytes.matches(&[1, 2]) && !bytes.matches(&[]));
    }

    #[test]
    fn base64_is_strict_and_a_key_is_32_bytes() {
        let key = SecretBytes::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        assert_eq!(key.as_key().map(|key| key[31]), Some(31));
        assert!(SecretBytes::from_base64("AAEC").unwrap().as_key().is_none());
        for text in ["AAE", "A A=", "AA-_", "AAEC\n"] {
            assert!(SecretBytes::from_base64(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_secret_deserialises_from_a_plain_string() {
        let secret: Secret = serde_json::from_str("\"open sesame\"").unwrap();
        assert_eq!(secret.expose(), "open sesame");
    }
}
