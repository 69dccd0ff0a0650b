//! What follows from an officer's word. Whether it does anything in a state is `domain::word::fits`.

use jiff::Timestamp;

use super::decide::{Attempts, Turn, offer};
use super::timers;
use crate::domain::case::{Case, CaseState, FinalReason};
use crate::domain::decision::{OfficerWord, Policy};
use crate::domain::effect::Event;
use crate::domain::remark::{Grounds, RemarkClass};
use crate::domain::word::fits;

pub(super) fn officer(case: &Case, word: OfficerWord, now: Timestamp, policy: &Policy) -> Turn {
    if let Err(why_not) = fits(&case.state, &case.beside, word) {
        return Turn::stay(why_not);
    }
    match word {
        OfficerWord::Offer => {
            let because = "An officer offered reinstatement";
            offer(grounds(&case.state), now, policy, because).attempts(Attempts::GrantOne)
        }
        OfficerWord::Reapply => reapplied(now, policy),
        OfficerWord::Final | OfficerWord::Close => {
            Turn::to_final(FinalReason::Officer, "An officer closed the case")
        }
        OfficerWord::Retry => retried(case, now),
    }
}

/// What to correct, where that is known.
fn grounds(state: &CaseState) -> Grounds {
    match state {
        CaseState::Rejected { grounds, .. }
        | CaseState::AwaitingCorrection { grounds, .. }
        | CaseState::Submitting { grounds, .. } => grounds.clone(),
        CaseState::Watching { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Grounds::bare(RemarkClass::Unknown),
    }
}

/// Until Nium moves it goes on showing the block, which then closes nothing.
fn reapplied(now: Timestamp, policy: &Policy) -> Turn {
    let state = timers::opened(Grounds::bare(RemarkClass::Unknown), now, policy);
    let because = "An officer let the blocked customer re-apply";
    let turn = Turn::to(state, because).tell(Event::CorrectionRequested, "reapplication");
    Turn { reapplies: true, ..turn.attempts(Attempts::GrantOne) }
}

fn retried(case: &Case, now: Timestamp) -> Turn {
    match &case.state {
        CaseState::NeedsOfficer { after_rejection, .. } => {
            let state = CaseState::Watching { after_rejection: *after_rejection };
            Turn::to(state, "An officer asked to start over").next_look(now)
        }
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. } => Turn::stay("An officer asked for another look").next_look(now),
    }
}
