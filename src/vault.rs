//! Seals personal data: AES-256-GCM under a *data key* per customer, which is kept wrapped by a *master key* with an id.
//!
//! - Destroying a customer's wrapped key makes everything sealed for them unreadable, in the database and in backups.
//! - What is sealed is bound to its place (table, column, row): moved to another row, it does not open.
//! - The first master key wraps; all of them unwrap, so that master keys can be replaced.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::fill;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Length of every key, in bytes.
const KEY_BYTES: usize = 32;
/// Longest id of a master key, in bytes: its length is stored in one byte.
const ID_BYTES_MAX: usize = 64;
/// Format of sealed bytes and wrapped keys; the first byte of both.
const VERSION: u8 = 1;
/// Bytes of a fingerprint that are kept: enough that two texts never share one by accident.
pub const MARK_BYTES: usize = 16;

/// Why something was not sealed or opened. Nothing in it tells what it was about.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no master key.
    #[error("there is no master key; set privacy.master_keys")]
    NoKey,
    /// A master key has the wrong length, or its id is empty, too long, or given twice.
    #[error("the master key `{0}` cannot be used: its id must be unique and short, its key 32 bytes")]
    BadKey(String),
    /// The master key that wrapped a data key is not configured.
    #[error("the master key `{0}` is needed and not configured; put it back into privacy.master_keys")]
    UnknownMasterKey(String),
    /// The key, the place or the bytes are not those of the sealing.
    #[error("sealed bytes do not open: the key or the place is another, or they were changed")]
    Broken,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoEntropy,
    /// It is not known yet whether the master keys are those that the database needs.
    #[error("the master keys have not been compared with the database yet")]
    Unchecked,
}

/// A master key and the id under which wrapped keys name it.
pub struct MasterKey {
    id: String,
    key: LessSafeKey,
    audit: AuditKey,
}

/// The key of the audit record's MACs that comes from a master key. It outlives that one: see [`Vault::audit_keys`].
struct AuditKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    key: hmac::Key,
}

impl AuditKey {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        Self { bytes, key }
    }
}

impl MasterKey {
    /// A master key of 32 bytes.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, VaultError> {
        let fits = !id.is_empty() && id.len() <= ID_BYTES_MAX && key.len() == KEY_BYTES;
        if !fits {
            return Err(VaultError::BadKey(id.to_owned()));
        }
        let audit = AuditKey::new(derived_bytes(key, b"reinstate audit v1"));
        Ok(Self { id: id.to_owned(), key: aead_key(key)?, audit })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A data key as it is kept: wrapped, with the id of the master key that wrapped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// A wrapped key that was kept.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id of the master key that wrapped it; `None` where that cannot be read.
    #[must_use]
    pub fn master_key(&self) -> Option<&str> {
        self.parts().map(|(id, _)| id)
    }

    /// Version, id, and the sealed rest.
    fn parts(&self) -> Option<(&str, &[u8])> {
        let (version, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (id, sealed) = rest.split_at_checked(usize::from(*length))?;
        (*version == VERSION).then_some(())?;
        Some((std::str::from_utf8(id).ok()?, sealed))
    }
}

/// Where sealed bytes belong. They open nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row.
    pub row: String,
}

impl Place {
    /// Where a note of an officer's belongs.
    #[must_use]
    pub fn of_note(id: &str) -> Self {
        Self { table: "note", column: "sealed", row: id.to_owned() }
    }

    fn aad(&self) -> Vec<u8> {
        bound_to(&[self.table, self.column, &self.row])
    }
}

/// The master keys.
pub struct Vault {
    keys: Vec<MasterKey>,
    /// Audit keys of master keys that are not there any more, by their ids.
    past: RwLock<Vec<(String, AuditKey)>>,
    /// No data key is given out; see [`Vault::hold_back`].
    unchecked: AtomicBool,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault with these master keys; the first wraps, all unwrap.
    pub fn new(keys: Vec<MasterKey>) -> Result<Self, VaultError> {
        if keys.is_empty() {
            return Err(VaultError::NoKey);
        }
        for (place, key) in keys.iter().enumerate() {
            if keys.iter().take(place).any(|earlier| earlier.id == key.id) {
                return Err(VaultError::BadKey(key.id.clone()));
            }
        }
        Ok(Self { keys, past: RwLock::default(), unchecked: AtomicBool::new(false) })
    }

    /// Gives out no data key from now on: whether the master keys are the right ones is not known yet, and what a wrong one
    /// sealed could not be opened later.
    pub fn hold_back(&self) {
        self.unchecked.store(true, Ordering::Release);
    }

    /// The master keys are those that the database needs: data keys are given out.
    pub fn trust(&self) {
        self.unchecked.store(false, Ordering::Release);
    }

    fn is_trusted(&self) -> Result<(), VaultError> {
        if self.unchecked.load(Ordering::Acquire) { Err(VaultError::Unchecked) } else { Ok(()) }
    }

    /// A fresh data key for `owner`, wrapped.
    pub fn new_data_key(&self, owner: &str) -> Result<WrappedKey, VaultError> {
        self.is_trusted()?;
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        fill(key.as_mut_slice()).map_err(|_| VaultError::NoEntropy)?;
        self.wrap(owner, key.as_slice())
    }

    fn wrap(&self, owner: &str, key: &[u8]) -> Result<WrappedKey, VaultError> {
        let master = self.keys.first().ok_or(VaultError::NoKey)?;
        let length = u8::try_from(master.id.len()).map_err(|_| VaultError::BadKey(master.id.clone()))?;
        let mut wrapped = vec![VERSION, length];
        wrapped.extend_from_slice(master.id.as_bytes());
        wrapped.extend(seal(&master.key, &bound_to(&["data key", owner, &master.id]), key)?);
        Ok(WrappedKey(wrapped))
    }

    /// The key of `owner` wrapped by the first master key; `None` if that wraps it already.
    pub fn rewrap(&self, owner: &str, wrapped: &WrappedKey) -> Result<Option<WrappedKey>, VaultError> {
        if wrapped.master_key() == Some(self.audit_key()) {
            return Ok(None);
        }
        self.wrap(owner, &self.plain(owner, wrapped)?).map(Some)
    }

    /// The ids of the master keys; the first wraps.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.id.as_str()).collect()
    }

    /// Every key of the audit record's MACs, by the id of its master key, wrapped by the first of those: kept, they
    /// check what was signed before a master key was taken away.
    pub fn audit_keys(&self) -> Result<Vec<(String, WrappedKey)>, VaultError> {
        let past = self.past.read().unwrap_or_else(PoisonError::into_inner);
        let own = self.keys.iter().map(|key| (&key.id, &key.audit));
        own.chain(past.iter().map(|(id, key)| (id, key)))
            .map(|(id, key)| Ok((id.clone(), self.wrap(&audit_owner(id), key.bytes.as_slice())?)))
            .collect()
    }

    /// Takes in a key that [`Vault::audit_keys`] gave, unless its master key is there itself.
    pub fn adopt_audit_key(&self, id: &str, wrapped: &WrappedKey) -> Result<(), VaultError> {
        let mut past = self.past.write().unwrap_or_else(PoisonError::into_inner);
        if self.ids().contains(&id) || past.iter().any(|(known, _)| known == id) {
            return Ok(());
        }
        let plain = self.plain(&audit_owner(id), wrapped)?;
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        let fits = plain.len() == KEY_BYTES;
        bytes.iter_mut().zip(plain.iter()).for_each(|(kept, byte)| *kept = *byte);
        fits.then_some(()).ok_or(VaultError::Broken)?;
        past.push((id.to_owned(), AuditKey::new(bytes)));
        Ok(())
    }

    /// The id of the master key under which the audit record goes on.
    #[must_use]
    pub fn audit_key(&self) -> &str {
        self.keys.first().map_or("", |key| &key.id)
    }

    /// The MAC of a text of the audit record, under the master key with this id; `None` if there is no such key.
    #[must_use]
    pub fn audit_mac(&self, id: &str, text: &[u8]) -> Option<[u8; KEY_BYTES]> {
        let sign = |key: &AuditKey| hmac::sign(&key.key, text).as_ref().try_into().ok();
        if let Some(master) = self.keys.iter().find(|key| key.id == id) {
            return sign(&master.audit);
        }
        let past = self.past.read().unwrap_or_else(PoisonError::into_inner);
        past.iter().find(|(known, _)| known == id).and_then(|(_, key)| sign(key))
    }

    /// Fails if the data key of `owner` cannot be opened; answers also while data keys are held back.
    pub fn check(&self, owner: &str, wrapped: &WrappedKey) -> Result<(), VaultError> {
        self.plain(owner, wrapped).map(drop)
    }

    /// The data key of `owner`.
    pub fn unwrap(&self, owner: &str, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        self.is_trusted()?;
        DataKey::new(&self.plain(owner, wrapped)?)
    }

    fn plain(&self, owner: &str, wrapped: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (id, sealed) = wrapped.parts().ok_or(VaultError::Broken)?;
        let master = self.keys.iter().find(|key| key.id == id);
        let master = master.ok_or_else(|| VaultError::UnknownMasterKey(id.to_owned()))?;
        open(&master.key, &bound_to(&["data key", owner, id]), sealed)
    }
}

/// A token that nobody can guess, 32 random bytes in base64 for addresses, and the hash under which it is kept.
pub fn fresh_token() -> Result<(Zeroizing<String>, [u8; 32]), VaultError> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    fill(bytes.as_mut_slice()).map_err(|_| VaultError::NoEntropy)?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let hash = Sha256::digest(token.as_bytes()).into();
    Ok((token, hash))
}

/// The key of one customer.
pub struct DataKey {
    key: LessSafeKey,
    marks: hmac::Key,
}

impl DataKey {
    fn new(key: &[u8]) -> Result<Self, VaultError> {
        Ok(Self {
            key: aead_key(key)?,
            marks: hmac::Key::new(hmac::HMAC_SHA256, derived_bytes(key, b"reinstate mark v1").as_slice()),
        })
    }

    /// Seals `plain` for `place`.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut sealed = vec![VERSION];
        sealed.extend(seal(&self.key, &place.aad(), plain)?);
        Ok(sealed)
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        match sealed.split_first() {
            Some((&VERSION, rest)) => open(&self.key, &place.aad(), rest),
            Some(_) | None => Err(VaultError::Broken),
        }
    }

    /// A fingerprint of `text`: tells for one customer whether two texts are the same, and nothing else about them.
    #[must_use]
    pub fn mark(&self, text: &[u8]) -> String {
        hex::encode(self.mark_bytes(text))
    }

    /// [`DataKey::mark`] as it stands in an index.
    #[must_use]
    pub fn mark_bytes(&self, text: &[u8]) -> [u8; MARK_BYTES] {
        let tag = hmac::sign(&self.marks, text);
        let mut mark = [0; MARK_BYTES];
        mark.iter_mut().zip(tag.as_ref()).for_each(|(kept, byte)| *kept = *byte);
        mark
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// Parts with their lengths, so that no two lists of parts read the same.
fn bound_to(parts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// A key of its own for each use, so that sealing, marking and the audit record never share one.
fn derived_bytes(key: &[u8], label: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), label);
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    bytes.iter_mut().zip(derived.as_ref()).for_each(|(kept, byte)| *kept = *byte);
    bytes
}

/// Whose key an audit key is: nobody's customer id reads like it.
fn audit_owner(id: &str) -> String {
    format!("audit key of {id}")
}

fn aead_key(key: &[u8]) -> Result<LessSafeKey, VaultError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| VaultError::Broken)
}

/// Nonce, then ciphertext and tag. Nonces are random: a data key seals far fewer than 2^32 times.
fn seal(key: &LessSafeKey, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0_u8; NONCE_LEN];
    fill(&mut nonce).map_err(|_| VaultError::NoEntropy)?;
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .map_err(|_| VaultError::Broken)?;
    let mut out = Vec::with_capacity(NONCE_LEN + sealed.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(VaultError::Broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Broken)?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let length =
        key.open_in_place(nonce, Aad::from(aad), bytes.as_mut_slice()).map_err(|_| VaultError::Broken)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vault(keys: &[(&str, u8)]) -> Vault {
        Vault::new(keys.iter().map(|(id, byte)| MasterKey::new(id, &[*byte; 32]).unwrap()).collect()).unwrap()
    }

    fn place(row: &str) -> Place {
        Place { table: "snapshot", column: "sealed", row: row.to_owned() }
    }

    #[test]
    fn master_keys_can_be_replaced_and_a_lost_one_is_named() {
        let wrapped = vault(&[("old", 1)]).new_data_key("ana").unwrap();
        let both = vault(&[("new", 2), ("old", 1)]);
        assert!(both.unwrap("ana", &wrapped).is_ok());
        assert_eq!(
            vault(&[("new", 2)]).unwrap("ana", &wrapped).unwrap_err(),
            VaultError::UnknownMasterKey("old".to_owned())
        );
        assert_eq!(vault(&[("old", 3)]).unwrap("ana", &wrapped).unwrap_err(), VaultError::Broken);
        assert_eq!(both.unwrap("bo", &wrapped).unwrap_err(), VaultError::Broken);
    }

    #[test]
    fn a_key_is_wrapped_anew_and_the_old_master_key_is_needed_no_more() {
        let old = vault(&[("old", 1)]);
        let wrapped = old.new_data_key("ana").unwrap();
        let mark = old.unwrap("ana", &wrapped).unwrap().mark(b"x");
        let both = vault(&[("new", 2), ("old", 1)]);
        let rewrapped = both.rewrap("ana", &wrapped).unwrap().unwrap();
        assert_eq!((rewrapped.master_key(), both.rewrap("ana", &rewrapped).unwrap()), (Some("new"), None));
        let new = vault(&[("new", 2)]);
        assert_eq!(new.unwrap("ana", &rewrapped).unwrap().mark(b"x"), mark);
        assert!(old.unwrap("ana", &rewrapped).is_err());
    }

    #[test]
    fn what_a_master_key_has_signed_is_checked_when_it_is_gone() {
        let both = vault(&[("new", 2), ("old", 1)]);
        let (signed, kept) = (both.audit_mac("old", b"row"), both.audit_keys().unwrap());
        let new = vault(&[("new", 2)]);
        assert_eq!(new.audit_mac("old", b"row"), None);
        for (id, wrapped) in &kept {
            new.adopt_audit_key(id, wrapped).unwrap();
        }
        assert!(signed.is_some() && new.audit_mac("old", b"row") == signed);
        assert_eq!(new.audit_mac("new", b"row"), both.audit_mac("new", b"row"));
        // Kept again under the third, they still check.
        let third = vault(&[("third", 3), ("new", 2)]);
        for (id, wrapped) in &new.audit_keys().unwrap() {
            third.adopt_audit_key(id, wrapped).unwrap();
        }
        assert_eq!(third.audit_mac("old", b"row"), signed);
        assert!(third.adopt_audit_key("other", &kept[0].1).is_err());
    }

    #[test]
    fn unusable_master_keys_are_refused() {
        assert_eq!(Vault::new(Vec::new()).unwrap_err(), VaultError::NoKey);
        assert!(MasterKey::new("short", &[1; 31]).is_err());
        assert!(MasterKey::new("", &[1; 32]).is_err());
        let twice = ["a", "a"].map(|id| MasterKey::new(id, &[1; 32]).unwrap());
        assert_eq!(Vault::new(Vec::from(twice)).unwrap_err(), VaultError::BadKey("a".to_owned()));
    }

    #[test]
    fn keys_do_not_print_themselves() {
        let vault = vault(&[("k1", 7)]);
        let key = vault.unwrap("ana", &vault.new_data_key("ana").unwrap()).unwrap();
        assert_eq!(
            format!("{vault:?} {key:?}"),
            "Vault { keys: [MasterKey { id: \"k1\", .. }], .. } DataKey"
        );
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place_and_nowhere_else(plain: Vec<u8>, row in "[a-z]{1,8}", other in "[a-z]{1,8}") {
            let vault = vault(&[("k1", 7)]);
            let key = vault.unwrap("ana", &vault.new_data_key("ana").unwrap()).unwrap();
            let sealed = key.seal(&place(&row), &plain).unwrap();
            prop_assert_eq!(&*key.open(&place(&row), &sealed).unwrap(), &plain);
            if other != row {
                prop_assert_eq!(key.open(&place(&other), &sealed).unwrap_err(), VaultError::Broken);
            }
            let column = Place { column: "said", ..place(&row) };
            prop_assert_eq!(key.open(&column, &sealed).unwrap_err(), VaultError::Broken);
        }

        #[test]
        fn a_changed_bit_never_opens(plain: Vec<u8>, bit: proptest::sample::Index) {
            let vault = vault(&[("k1", 7)]);
            let key = vault.unwrap("ana", &vault.new_data_key("ana").unwrap()).unwrap();
            let mut sealed = key.seal(&place("a"), &plain).unwrap();
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key.open(&place("a"), &sealed).unwrap_err(), VaultError::Broken);
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes: Vec<u8>) {
            let vault = vault(&[("k1", 7)]);
            prop_assert!(vault.unwrap("ana", &WrappedKey::from_bytes(bytes.clone())).is_err());
            let key = vault.unwrap("ana", &vault.new_data_key("ana").unwrap()).unwrap();
            prop_assert!(key.open(&place("a"), &bytes).is_err());
        }

        #[test]
        fn a_mark_tells_equal_texts_and_differs_between_customers(a: Vec<u8>, b: Vec<u8>) {
            let vault = vault(&[("k1", 7)]);
            let ana = vault.unwrap("ana", &vault.new_data_key("ana").unwrap()).unwrap();
            let bo = vault.unwrap("bo", &vault.new_data_key("bo").unwrap()).unwrap();
            prop_assert_eq!(ana.mark(&a) == ana.mark(&b), a == b);
            prop_assert_ne!(ana.mark(&a), bo.mark(&a));
        }
    }
}
