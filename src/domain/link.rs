//! Links to the hosted page: their tokens, where they lead, how long they are of use.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::case::{Case, CaseState};
use super::texts::Language;

/// Characters of a token: 32 bytes in base64.
const TOKEN_CHARS: usize = 43;

/// The hash under which a token of a link, or the cookie of a visit, is kept. `None` for what cannot be one.
#[must_use]
pub fn hash_of(token: &str) -> Option<[u8; 32]> {
    (token.len() == TOKEN_CHARS).then(|| Sha256::digest(token.as_bytes()).into())
}

/// Where a link leads; the language is only said where it is known.
#[must_use]
pub fn url_of(page_url: &str, token: &str, language: Option<Language>) -> String {
    match language {
        Some(language) => format!("{page_url}/correct/{token}?lang={}", language.tag()),
        None => format!("{page_url}/correct/{token}"),
    }
}

/// Where reminders are stopped.
#[must_use]
pub fn stop_url_of(page_url: &str, token: &str, language: Language) -> String {
    format!("{page_url}/correct/stop/{token}?lang={}", language.tag())
}

/// Until when the customer may act on the page: an offer, or a request for information; `None` where neither is open.
#[must_use]
pub fn open_until(case: &Case, now: Timestamp) -> Option<Timestamp> {
    let offer = match &case.state {
        CaseState::AwaitingCorrection { deadline, .. } => Some(*deadline),
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => None,
    };
    let rfi = case.beside.rfi.map(|rfi| rfi.deadline);
    offer.max(rfi).filter(|end| *end > now)
}
