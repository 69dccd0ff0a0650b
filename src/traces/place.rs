//! Where a span stands. What has to be found again after time has passed (a callback, a decision) has a place that is made of
//! what is stored anyway, so that nothing is stored for traces: whoever knows a customer and a version knows the place of the
//! decision.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::id::CustomerHashId;

/// Bytes of a trace's id, and of a span's.
const TRACE_BYTES: usize = 16;
const SPAN_BYTES: usize = 8;

/// The ids of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) trace: [u8; TRACE_BYTES],
    pub(super) span: [u8; SPAN_BYTES],
}

impl Place {
    /// Where a callback stands that came at this moment.
    #[must_use]
    pub fn of_callback(customer: CustomerHashId, at: Timestamp, request_id: Option<&str>) -> Self {
        let at = at.as_millisecond().to_be_bytes();
        Self::made_of(b"callback", &[customer.as_bytes(), &at, request_id.unwrap_or_default().as_bytes()])
    }

    /// Where the decision stands that made this version of a customer's case.
    #[must_use]
    pub fn of_decision(customer: CustomerHashId, version: u64) -> Self {
        Self::made_of(b"decision", &[customer.as_bytes(), &version.to_be_bytes()])
    }

    /// A place that nobody has to find again.
    #[must_use]
    pub fn fresh(random: Uuid, more: Uuid) -> Self {
        Self { trace: *random.as_bytes(), span: first(more.as_bytes()) }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn beside(&self, random: Uuid) -> Self {
        Self { trace: self.trace, span: first(random.as_bytes()) }
    }

    fn made_of(what: &[u8], parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(what);
        for part in parts {
            hash.update([0]);
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let (trace, rest) = hash.split_at(TRACE_BYTES);
        Self { trace: first(trace), span: first(rest) }
    }

    /// The trace's id as it is written.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }

    /// The header in which a place travels (W3C Trace Context); whoever reads it may go on with the trace.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        let _ = write!(text, "00-{}-{}-01", hex::encode(self.trace), hex::encode(self.span));
        text
    }
}

/// The first bytes; an id of zeros only would be none.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut id = [0_u8; N];
    for (to, from) in id.iter_mut().zip(bytes) {
        *to = *from;
    }
    if id == [0; N] { [1; N] } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_leads_to_the_same_place_and_nothing_else_does() {
        let (ana, bo) = (CustomerHashId::from_bytes([1; 16]), CustomerHashId::from_bytes([2; 16]));
        let at = Timestamp::UNIX_EPOCH;
        let places = [
            Place::of_decision(ana, 1),
            Place::of_decision(ana, 2),
            Place::of_decision(bo, 1),
            Place::of_callback(ana, at, None),
            Place::of_callback(ana, at, Some("a")),
            Place::of_callback(bo, at, None),
        ];
        for (number, place) in places.iter().enumerate() {
            assert!(
                places
                    .iter()
                    .skip(number + 1)
                    .all(|other| other.trace != place.trace && other.span != place.span)
            );
        }
        assert_eq!(Place::of_decision(ana, 1), Place::of_decision(ana, 1));
        let header = Place::fresh(Uuid::from_bytes([1; 16]), Uuid::from_u128(7 << 64)).traceparent();
        assert_eq!(header, "00-01010101010101010101010101010101-0000000000000007-01");
    }
}
