//! The audit record: who did what, chained so that any later change shows.
//!
//! - A *row* says who (`actor`) did what, when, about whom, with particulars that are not personal.
//! - Its *commitment* is a salted hash of whom it is about and of the particulars. Erasing a person destroys both and the
//!   salt: what is left says nothing about them, and the chain stays whole.
//! - Its *MAC*, under a key that the database does not hold, covers its place, the MAC of the row before, and everything
//!   that is never erased.
//! - The *head* is where the chain ends; a *checkpoint* is a signed copy of it that also goes where the database cannot reach.
//!
//! [`walk::Walk`] reads a chain from its beginning and says what was changed.

pub mod walk;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The actor of what the service did by itself.
pub const SERVICE: &str = "service";
/// The actor of what was done on the machine itself, where nobody signs in.
pub const COMMAND_LINE: &str = "command line";
/// The actor of what a customer did on the hosted page.
pub const CUSTOMER: &str = "customer";
/// Names by which others go: the token of the configuration, whoever asks for a sweep by the clock, and Nium.
const OTHERS: [&str; 3] = ["bootstrap", "schedule", "nium"];

/// What a row says that tells of rows that were erased; its particulars have their number, as `rows`.
pub const ERASED: &str = "audit_erased";
/// What a row says that tells under which id of ours a customer went before Nium named them, as `applicant`.
pub const BECAME: &str = "applicant_became_customer";

/// Length of MACs and commitments, in bytes.
pub const MAC_BYTES: usize = 32;
/// Length of a salt, in bytes.
pub const SALT_BYTES: usize = 16;

/// A MAC or a commitment.
pub type Mac = [u8; MAC_BYTES];

/// Makes the MAC of a text under the key with this id; `None` if there is no such key.
pub type Keys = dyn Fn(&str, &[u8]) -> Option<Mac> + Send + Sync;

/// What stands before the first row, in place of a MAC.
pub const BEGINNING: Mac = [0; MAC_BYTES];

/// Names that no person may have in the record, since they mean somebody else.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let taken = [SERVICE, COMMAND_LINE, CUSTOMER].into_iter().chain(OTHERS);
    taken.into_iter().any(|taken| taken.eq_ignore_ascii_case(name.trim()))
}

/// Parts with their lengths, so that no two lists of parts read the same.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Commits to whom a row is about and to its particulars, without saying either.
#[must_use]
pub fn commitment(salt: &[u8], customer: Option<&[u8]>, detail: Option<&str>) -> Mac {
    // A list of none or one: nobody is not the same as an empty name.
    let maybe = |part: Option<&[u8]>| part.map_or_else(Vec::new, |part| parts(&[part]));
    let text = parts(&[b"reinstate audit row v1", salt, &maybe(customer), &maybe(detail.map(str::as_bytes))]);
    Sha256::digest(text).into()
}

/// What the MAC of a row covers: its place, the MAC of the row before it, and what is never erased.
#[must_use]
pub fn link_text(seq: i64, previous: &[u8], at: i64, actor: &str, what: &str, commitment: &[u8]) -> Vec<u8> {
    parts(&[
        b"reinstate audit link v1",
        &seq.to_be_bytes(),
        previous,
        &at.to_be_bytes(),
        actor.as_bytes(),
        what.as_bytes(),
        commitment,
    ])
}

/// Where the chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The place of the last row, counted from 1; 0 before the first.
    pub seq: i64,
    /// Its MAC.
    pub mac: Vec<u8>,
    /// The key that signed this.
    pub key_id: String,
    /// The MAC of [`Head::text`].
    pub signature: Vec<u8>,
}

impl Head {
    /// What the signature covers.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        parts(&[b"reinstate audit head v1", &self.seq.to_be_bytes(), &self.mac])
    }
}

/// A signed copy of the head: what was there at that moment cannot be cut off or written anew unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Its number, counted from 1.
    pub number: i64,
    /// The place of the last row then, which is also the number of rows.
    pub seq: i64,
    /// When it was made, in whole milliseconds.
    pub at: Timestamp,
    /// The MAC of that row.
    #[serde(with = "as_hex")]
    pub mac: Vec<u8>,
    /// The key that signed this.
    pub key_id: String,
    /// The MAC of [`Checkpoint::text`].
    #[serde(with = "as_hex")]
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// What the signature covers.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        parts(&[
            b"reinstate audit checkpoint v1",
            &self.number.to_be_bytes(),
            &self.seq.to_be_bytes(),
            &self.at.as_millisecond().to_be_bytes(),
            &self.mac,
        ])
    }
}

/// A row of the chain as it stands in the database, believed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 1.
    pub seq: i64,
    /// When it happened, in milliseconds since 1970.
    pub at: i64,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub what: String,
    /// About whom; nobody in particular, or erased.
    pub customer: Option<Vec<u8>>,
    /// The particulars; `None` once erased.
    pub detail: Option<String>,
    /// The salt of the commitment; `None` once erased.
    pub salt: Option<Vec<u8>>,
    /// When the person was erased, in milliseconds since 1970.
    pub erased_at: Option<i64>,
    /// Commits to customer and particulars.
    pub commitment: Vec<u8>,
    /// The MAC of [`link_text`].
    pub mac: Vec<u8>,
    /// The key that made it.
    pub key_id: String,
}

mod as_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map_err(|_| D::Error::custom("is not hex"))
    }
}
