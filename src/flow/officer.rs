//! What follows from an officer's word: one line for every state and word.

use jiff::Timestamp;

use super::decide::{Attempts, Turn, offer};
use super::timers;
use crate::domain::case::{Case, CaseState, FinalReason};
use crate::domain::decision::{OfficerWord, Policy};
use crate::domain::effect::Event;
use crate::domain::remark::{Grounds, RemarkClass};

pub(super) fn officer(case: &Case, word: OfficerWord, now: Timestamp, policy: &Policy) -> Turn {
    if let CaseState::Submitting { .. } = case.state {
        return Turn::stay("A submission is on its way; decide when Nium has answered");
    }
    match word {
        OfficerWord::Offer => offered(case, now, policy),
        OfficerWord::Reapply => reapplied(case, now, policy),
        OfficerWord::Final | OfficerWord::Close => closed(case),
        OfficerWord::Retry => retried(case, now),
    }
}

fn offered(case: &Case, now: Timestamp, policy: &Policy) -> Turn {
    let because = "An officer offered reinstatement";
    match &case.state {
        CaseState::Rejected { grounds, .. } | CaseState::AwaitingCorrection { grounds, .. } => {
            offer(grounds.clone(), now, policy, because).attempts(Attempts::GrantOne)
        }
        CaseState::FinallyRejected { .. } | CaseState::NeedsOfficer { .. } if is_blocked(case) => {
            Turn::stay("The customer is permanently blocked; the word for that is reapply")
        }
        CaseState::FinallyRejected { .. } | CaseState::NeedsOfficer { .. } => {
            offer(Grounds::bare(RemarkClass::Unknown), now, policy, because).attempts(Attempts::GrantOne)
        }
        CaseState::Watching { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved => Turn::stay("The customer is not rejected; there is nothing to offer"),
        CaseState::Submitting { .. } => Turn::stay("A submission is on its way"),
    }
}

/// Whoever is permanently blocked may re-apply with the same `customerHashId`, as an officer's explicit act (contract
/// section 15, row 8). Until Nium moves it goes on showing the block, which then closes nothing.
fn reapplied(case: &Case, now: Timestamp, policy: &Policy) -> Turn {
    match &case.state {
        CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. }
        | CaseState::Reinstated
        | CaseState::Approved
            if is_blocked(case) =>
        {
            let state = timers::opened(Grounds::bare(RemarkClass::Unknown), now, policy);
            let because = "An officer let the blocked customer re-apply";
            let turn = Turn::to(state, because).tell(Event::CorrectionRequested, "reapplication");
            Turn { reapplies: true, ..turn.attempts(Attempts::GrantOne) }
        }
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::UnderReview { .. }
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. }
        | CaseState::Reinstated
        | CaseState::Approved => Turn::stay("The customer is not closed by a permanent block"),
        CaseState::Submitting { .. } => Turn::stay("A submission is on its way"),
    }
}

fn is_blocked(case: &Case) -> bool {
    case.beside.block.is_some_and(|block| block.permanent)
        || matches!(case.state, CaseState::FinallyRejected { why: FinalReason::Blocked })
}

fn closed(case: &Case) -> Turn {
    match &case.state {
        CaseState::Watching { .. } | CaseState::UnderReview { .. } => {
            Turn::stay("Nium is deciding; decide when it has, or block the account")
        }
        CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::NeedsOfficer { .. } => {
            Turn::to_final(FinalReason::Officer, "An officer closed the case")
        }
        CaseState::FinallyRejected { .. } => Turn::stay("The case is closed already"),
        CaseState::Reinstated | CaseState::Approved => {
            Turn::stay("The customer is approved; block the account instead")
        }
        CaseState::Submitting { .. } => Turn::stay("A submission is on its way"),
    }
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
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. } => Turn::stay("An officer asked for another look").next_look(now),
        CaseState::Submitting { .. } => Turn::stay("A submission is on its way"),
    }
}
