//! What an officer reads about one customer beside the case.

use jiff::Timestamp;

use crate::domain::effect::{EffectKey, EffectStatus};

/// A correction that was handed in, with what it changed.
#[derive(Clone, Debug)]
pub struct KeptCorrection {
    /// The effect that submits it.
    pub effect: EffectKey,
    /// When it was handed in.
    pub at: Timestamp,
    /// How far it got.
    pub status: EffectStatus,
    /// A short word on the outcome.
    pub outcome: Option<String>,
    /// What it changed, sealed; corrections from before this was kept have none.
    pub sealed: Option<Vec<u8>>,
}
