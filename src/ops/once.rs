//! `Idempotency-Key`: the same key and body give the first answer again; the same key with another body is refused. The
//! first answer is stored in the transaction that does the work, sealed, and kept for a day.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::store::rows::{self, FirstAnswer, Recorder, Remember};
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

    /// Writes the answer down once it is known.
    pub(super) fn recorder(&self, key: &Arc<DataKey>, body: &[u8], status: u16) -> Recorder {
        let (place, body_mark, data_key) = (self.place(), key.mark(body), Arc::clone(key));
        let seal = move |answer: &Value| {
            let text = serde_json::to_vec(answer).map_err(|error| error.to_string())?;
            let sealed = data_key.seal(&place, &text).map_err(|error| error.to_string())?;
            Ok(FirstAnswer { body_mark: body_mark.clone(), status, sealed })
        };
        Recorder { key: self.key, seal: Arc::new(seal) }
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

/// A write whose answer is not about one customer's data: what records its answer, and what reads it again.
pub(super) struct Receipt {
    once: Option<Once>,
    key: Arc<DataKey>,
    body: Vec<u8>,
    status: u16,
}

impl Ops {
    /// Prepares a write that may carry an `Idempotency-Key`.
    pub(super) async fn receipt(
        &self,
        once: Option<&Once>,
        body: &[u8],
        status: u16,
    ) -> Result<Receipt, OpsError> {
        let key = Arc::new(self.data_key(CustomerHashId::NOBODY).await?);
        Ok(Receipt { once: once.cloned(), key, body: body.to_vec(), status })
    }
}

impl Receipt {
    /// For the store.
    pub(super) fn recorder(&self) -> Option<Recorder> {
        self.once.as_ref().map(|once| once.recorder(&self.key, &self.body, self.status))
    }

    /// The answer: `first` makes it of what was done now.
    pub(super) fn answer<T>(
        &self,
        done: rows::Once<T>,
        first: impl FnOnce(T) -> Result<Value, OpsError>,
    ) -> Result<Answered, OpsError> {
        match (done, &self.once) {
            (rows::Once::First(done), _) => {
                Ok(Answered { status: self.status, body: first(done)?, replayed: false })
            }
            (rows::Once::Again(answer), Some(once)) => once.replay(&self.key, &self.body, &answer),
            (rows::Once::Again(_), None) => Err(OpsError::KeyReused),
        }
    }
}
