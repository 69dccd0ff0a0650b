//! An *effect* is something to do to the outside, stored before it is done. Its key is made from the case, the number
//! of the decision that wanted it, and its position there; done twice it is the same as once, or refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::CustomerHashId;

/// The name of one effect: `<customerHashId>-<case version>-<position>`. It is also the `webhook-id` of a notification,
/// where a full stop would be ambiguous in what is signed. A delivery to another than the first endpoint that wants an event
/// has the endpoint's name after a colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(String);

/// Longest effect key, in characters: an id, two numbers and two hyphens.
const KEY_CHARS_MAX: usize = 36 + 1 + 20 + 1 + 10;
/// Longest name of a destination, in characters.
pub const DESTINATION_CHARS_MAX: usize = 32;

/// Whether a text can name a destination.
#[must_use]
pub fn is_destination(text: &str) -> bool {
    (1..=DESTINATION_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl EffectKey {
    /// The key of the effect at `position` of the decision that made `version` of a case.
    #[must_use]
    pub fn new(customer: CustomerHashId, version: u64, position: &str) -> Self {
        Self(format!("{customer}-{version}-{position}"))
    }

    /// The key of an applicant's onboarding. It keeps it when they become a customer, who has another id.
    #[must_use]
    pub fn onboarding(applicant: CustomerHashId) -> Self {
        Self::new(applicant, 0, "n")
    }

    /// Reads a key from outside; `None` when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, destination) =
            text.split_once(':').map_or((text, None), |(name, destination)| (name, Some(destination)));
        let well_formed = name.len() <= KEY_CHARS_MAX
            && name.split('-').count() == 7
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && destination.is_none_or(is_destination);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The key of the same for one destination.
    #[must_use]
    pub fn at(&self, destination: &str) -> Self {
        Self(format!("{}:{destination}", self.0))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the app backend is told (design, section 7, events).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// KYC failed.
    #[serde(rename = "customer.rejected")]
    Rejected,
    /// Reinstatement is offered: a correction is wanted.
    #[serde(rename = "customer.correction_requested")]
    CorrectionRequested,
    /// A correction was handed in.
    #[serde(rename = "customer.correction_received")]
    CorrectionReceived,
    /// Nium took the corrected information.
    #[serde(rename = "customer.submitted")]
    Submitted,
    /// COMPLETED and Clear after a rejection.
    #[serde(rename = "customer.reinstated")]
    Reinstated,
    /// COMPLETED and Clear, never rejected.
    #[serde(rename = "customer.approved")]
    Approved,
    /// No way back is open.
    #[serde(rename = "customer.finally_rejected")]
    FinallyRejected,
    /// Nium wants information from the customer.
    #[serde(rename = "customer.rfi_requested")]
    RfiRequested,
    /// Temporarily blocked.
    #[serde(rename = "customer.suspended")]
    Suspended,
    /// The temporary block was lifted.
    #[serde(rename = "customer.unblocked")]
    Unblocked,
    /// Permanently blocked.
    #[serde(rename = "customer.blocked")]
    Blocked,
    /// A person has to decide.
    #[serde(rename = "customer.needs_officer")]
    NeedsOfficer,
    /// About the service itself: callbacks that should have come did not.
    #[serde(rename = "service.callbacks_silent")]
    CallbacksSilent,
    /// About the service itself: callbacks come again.
    #[serde(rename = "service.callbacks_heard")]
    CallbacksHeard,
    /// About the service itself: an endpoint has failed for so long that it is left alone.
    #[serde(rename = "service.endpoint_disabled")]
    EndpointDisabled,
    /// About the service itself: an endpoint takes events again.
    #[serde(rename = "service.endpoint_enabled")]
    EndpointEnabled,
    /// Nothing happened: somebody tries an endpoint.
    #[serde(rename = "service.test")]
    Test,
}

impl Event {
    /// Every event, in the order of the design.
    pub const ALL: [Event; 17] = [
        Event::Rejected,
        Event::CorrectionRequested,
        Event::CorrectionReceived,
        Event::Submitted,
        Event::Reinstated,
        Event::Approved,
        Event::FinallyRejected,
        Event::RfiRequested,
        Event::Suspended,
        Event::Unblocked,
        Event::Blocked,
        Event::NeedsOfficer,
        Event::CallbacksSilent,
        Event::CallbacksHeard,
        Event::EndpointDisabled,
        Event::EndpointEnabled,
        Event::Test,
    ];

    /// Reads [`Event::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    /// The `type` of the event on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "customer.rejected",
            Self::CorrectionRequested => "customer.correction_requested",
            Self::CorrectionReceived => "customer.correction_received",
            Self::Submitted => "customer.submitted",
            Self::Reinstated => "customer.reinstated",
            Self::Approved => "customer.approved",
            Self::FinallyRejected => "customer.finally_rejected",
            Self::RfiRequested => "customer.rfi_requested",
            Self::Suspended => "customer.suspended",
            Self::Unblocked => "customer.unblocked",
            Self::Blocked => "customer.blocked",
            Self::NeedsOfficer => "customer.needs_officer",
            Self::CallbacksSilent => "service.callbacks_silent",
            Self::CallbacksHeard => "service.callbacks_heard",
            Self::EndpointDisabled => "service.endpoint_disabled",
            Self::EndpointEnabled => "service.endpoint_enabled",
            Self::Test => "service.test",
        }
    }
}

/// Where an effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectStatus {
    /// Stored, not done.
    Pending,
    /// The first byte may have been sent.
    Sending,
    /// Sent, and nobody knows whether it arrived.
    Unclear,
    /// Done.
    Done,
    /// The other side said no; nothing was changed there.
    Refused,
    /// The world moved on before it was done; it will not be.
    Overtaken,
    /// Given up; a person sees it.
    Failed,
}

impl EffectStatus {
    /// Every status.
    pub const ALL: [EffectStatus; 7] = [
        EffectStatus::Pending,
        EffectStatus::Sending,
        EffectStatus::Unclear,
        EffectStatus::Done,
        EffectStatus::Refused,
        EffectStatus::Overtaken,
        EffectStatus::Failed,
    ];

    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Unclear => "unclear",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Overtaken => "overtaken",
            Self::Failed => "failed",
        }
    }

    /// Reads [`EffectStatus::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
