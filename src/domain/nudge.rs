//! A *nudge* says "look at this customer". It carries no truth.

use serde::Serialize;

use super::id::{CustomerHashId, RequestId};

/// Longest webhook template name that is kept, in characters; Nium's longest has 29.
pub const TEMPLATE_CHARS_MAX: usize = 64;

/// Which door a nudge came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `POST /callback/compliance`.
    Callback,
    /// `POST /webhook`.
    Webhook,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 2] = [Source::Callback, Source::Webhook];

    /// The word used in the API, the database and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Webhook => "webhook",
        }
    }

    /// Reads [`Source::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }
}

/// The `template` of a webhook (contract section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Template(Box<str>);

impl Template {
    /// Keeps the name if it is one; anything else (too long, odd characters) becomes `other`.
    #[must_use]
    pub fn keep(text: &str) -> Self {
        let fits = (1..=TEMPLATE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        Self(if fits { text } else { "other" }.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a webhook of this template is about where a customer stands.
    #[must_use]
    pub fn is_about_a_customer(&self) -> bool {
        matches!(
            self.as_str(),
            "CUSTOMER_COMPLIANCE_STATUS"
                | "CARD_CLIENT_KYB_STATUS_WEBHOOK"
                | "CUSTOMER_STATUS_WEBHOOK"
                | "CUSTOMER_ODD_STATUS_WEBHOOK"
                | "CARD_CUSTOMER_REGISTRATION_WEBHOOK"
                | "CARD_CUSTOMER_UPDATE_WEBHOOK"
                | "CUSTOMER_ENTITY_KYC_STATUS"
        )
    }
}

/// One knock at the door, as it is stored before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// About whom; a webhook of a template that we do not know may name nobody.
    pub customer: Option<CustomerHashId>,
    /// Whether the customer becomes due for a look; otherwise it is only recorded.
    pub looks: bool,
    /// Through which door.
    pub source: Source,
    /// Nium's id of the event.
    pub request_id: Option<RequestId>,
    /// The webhook's template.
    pub template: Option<Template>,
}
