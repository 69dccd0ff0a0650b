//! `Idempotency-Key`: the same key and body give the first answer again; the same key with another body is refused. The
//! first answer is stored in the transaction that does the work, sealed, and kept for a day.

use sha2::{Digest, Sha256};

use serde_json::Value;

use super::{Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::store::rows::{FirstAnswer, Remember};
use crate::vault::{DataKey, Place};

/// Longest `Idempotency-Key` that is taken, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// A write that carries an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct Once {
    key: [u8; 32],
}

/// An answer, and whether it is the first one or a repetition.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// It was given before; nothing was done this time.
    pub replayed: bool,
}

impl Once {
    /// One write: who asked, what for, and the key they chose.
    #[must_use]
    pub fn new(caller: &str, route: &str, customer: CustomerHashId, key: &str) -> Self {
        let mut hash = Sha256::new();
        let customer = customer.to_string();
        for part in [caller, route, customer.as_str(), key] {
            // A length before each part, so that no two lists of parts read the same.
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self { key: hash.finalize().into() }
    }

    fn place(&self) -> Place {
        Place { table: "idempotency", column: "sealed", row: hex::encode(self.key) }
    }

    /// The answer to keep, beside a fingerprint of the body that it answered.
    pub(super) fn remember(
        &self,
        key: &DataKey,
        body: &[u8],
        status: u16,
        answer: &Value,
    ) -> Result<Remember, OpsError> {
        let sealed = key.seal(&self.place(), &serde_json::to_vec(answer)?)?;
        Ok(Remember { key: self.key, answer: FirstAnswer { body_mark: key.mark(body), status, sealed } })
    }

    /// The first answer again, if this is the same request.
    pub(super) fn replay(
        &self,
        key: &DataKey,
        body: &[u8],
        first: &FirstAnswer,
    ) -> Result<Answered, OpsError> {
        if first.body_mark != key.mark(body) {
            return Err(OpsError::KeyReused);
        }
        let answer = key.open(&self.place(), &first.sealed)?;
        Ok(Answered { status: first.status, body: serde_json::from_slice(&answer)?, replayed: true })
    }
}

impl Ops {
    /// The first answer to this write, if it was made before.
    pub(super) async fn answered_before(
        &self,
        once: Option<&Once>,
        key: &DataKey,
        body: &[u8],
    ) -> Result<Option<Answered>, OpsError> {
        let Some(once) = once else { return Ok(None) };
        let first = self.store.first_answer(once.key).await?;
        first.map(|first| once.replay(key, body, &first)).transpose()
    }
}
