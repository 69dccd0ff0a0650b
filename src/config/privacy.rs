//! `[privacy]`: the keys that seal personal data, and how long it is kept.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::shown;
use super::reader::{HowTo, Reader, Told};
use crate::secret::SecretBytes;

/// Characters of a master key's id; it is stored beside everything the key has wrapped.
const ID_CHARS_MAX: usize = 32;

/// Days that evidence may be kept.
const DAYS: RangeInclusive<u64> = 1..=36_500;

/// How personal data is kept.
#[derive(Clone, Debug)]
pub struct Privacy {
    /// The master keys; never empty. The first seals, all open.
    pub master_keys: Vec<MasterKeyText>,
    /// How long callbacks are kept as evidence; `None` keeps them for ever.
    pub keep_callbacks: Option<Duration>,
    /// How long a case keeps what was needed to bring it to its end; `None` keeps it for ever.
    pub keep_closed: Option<Duration>,
    /// How long an onboarding that ended without a customer is kept; `None` keeps it for ever.
    pub keep_applicants: Option<Duration>,
    /// How long documents are kept after Nium has accepted the customer.
    pub keep_documents: Duration,
    /// Where it is written down, beside the database, who was erased; `None` is a file in the spool's folder.
    pub erasure_file: Option<PathBuf>,
}

impl Privacy {
    /// Whether a key is all zeros: an example that was never replaced.
    pub(super) fn has_zero_key(&self) -> bool {
        self.master_keys.iter().any(|key| key.key.expose().iter().all(|byte| *byte == 0))
    }
}

/// A master key and the id by which sealed data asks for it.
#[derive(Clone, Debug)]
pub struct MasterKeyText {
    /// 1 to 32 small letters, digits, `_` and `-`.
    pub id: String,
    /// The key; exactly 32 bytes.
    pub key: SecretBytes,
}

const MASTER_KEYS: HowTo = HowTo {
    example: r#"["k1:…"]"#,
    origin: "an entry is an id, a colon and a key made with: openssl rand -base64 32",
};

pub(super) fn read(reader: &mut Reader) -> Result<Privacy, Told> {
    const KEY: &str = "privacy.master_keys";
    let mut days =
        |key| Ok(reader.optional_whole::<u64>(key, &DAYS)?.map(|days| Duration::from_hours(days * 24)));
    let keep_callbacks = days("privacy.keep_callbacks_days");
    let keep_closed = days("privacy.keep_closed_days");
    let keep_applicants = days("privacy.keep_applicants_days");
    let keep_documents = days("privacy.keep_documents_days");
    let erasure_file = reader.optional("privacy.erasure_file", super::audit::path);
    let master_keys = reader.required_list(KEY, &MASTER_KEYS, parse)?;
    let mut ids: Vec<&str> = master_keys.iter().map(|key| key.id.as_str()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    if ids.len() < count {
        return Err(
            reader.tell(KEY, "has two keys with the same id; sealed data could not say which one opens it")
        );
    }
    Ok(Privacy {
        master_keys,
        keep_callbacks: keep_callbacks?,
        keep_closed: keep_closed?,
        keep_applicants: keep_applicants?,
        keep_documents: keep_documents?.unwrap_or_default(),
        erasure_file: erasure_file?,
    })
}

fn parse(text: &str) -> Result<MasterKeyText, String> {
    let (id, key) = text.split_once(':').ok_or("must be an id, a colon and a key in base64, such as k1:…")?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.bytes().all(allowed) {
        return Err(format!("must have an id of 1 to {ID_CHARS_MAX} small letters, digits, _ or -"));
    }
    let key = SecretBytes::from_base64(key)
        .ok_or_else(|| format!("has a key that is not base64 (id {})", shown(id)))?;
    if key.as_key().is_none() {
        return Err(format!("has a key of {} bytes instead of 32 (id {})", key.expose().len(), shown(id)));
    }
    Ok(MasterKeyText { id: id.to_owned(), key })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_master_key_is_an_id_and_32_bytes() {
        let key = parse(&format!("k1:{KEY}")).unwrap();
        assert_eq!((key.id.as_str(), key.key.expose().len()), ("k1", 32));
    }

    #[test]
    fn what_is_no_master_key_is_told_without_showing_it() {
        let refused = [
            (KEY.to_owned(), "an id, a colon"),
            (format!(":{KEY}"), "must have an id"),
            (format!("K1:{KEY}"), "must have an id"),
            (format!("{}:{KEY}", "k".repeat(33)), "must have an id"),
            (format!("k1:{}", &KEY[1..]), "not base64"),
            ("k1:AAEC".to_owned(), "3 bytes instead of 32"),
        ];
        for (text, why) in refused {
            let told = parse(&text).unwrap_err();
            assert!(told.contains(why) && !told.contains(&KEY[1..]), "{told}");
        }
    }
}
