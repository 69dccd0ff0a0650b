//! Whether an officer's word, or a block, does anything for a case as it stands, and what. `flow::officer` decides by it, and whoever
//! offers a word to a person asks it first, so that a button and its effect cannot disagree.

use super::act::BlockAction;
use super::case::{Beside, CaseState, FinalReason};
use super::decision::OfficerWord;
use super::snapshot::BlockedBy;
use super::status::Status;

/// `Err` is the sentence why the word would do nothing.
pub fn fits(state: &CaseState, beside: &Beside, word: OfficerWord) -> Result<(), &'static str> {
    if let CaseState::Submitting { .. } = state {
        return Err("A submission is on its way; decide when Nium has answered");
    }
    match word {
        OfficerWord::Offer => may_offer(state, beside),
        OfficerWord::Reapply => may_reapply(state, beside),
        OfficerWord::Final | OfficerWord::Close => may_close(state),
        OfficerWord::Retry => Ok(()),
    }
}

/// The same for a word that is said to many at once: what takes somebody's own look at the customer is left out.
/// `takes_two` is whether overriding a final rejection takes a second person.
pub fn fits_among_many(
    state: &CaseState,
    beside: &Beside,
    is_company: bool,
    takes_two: bool,
    word: OfficerWord,
) -> Result<(), &'static str> {
    fits(state, beside, word)?;
    let offers = matches!(word, OfficerWord::Offer | OfficerWord::Reapply);
    if offers && is_company {
        return Err("The customer is a company; its rejection is settled with Nium");
    }
    if offers && takes_two && matches!(state, CaseState::FinallyRejected { .. }) {
        return Err("Overriding a final rejection takes a second person; ask for this customer alone");
    }
    Ok(())
}

fn may_offer(state: &CaseState, beside: &Beside) -> Result<(), &'static str> {
    match state {
        CaseState::FinallyRejected { .. } | CaseState::NeedsOfficer { .. } if is_blocked(state, beside) => {
            Err("The customer is permanently blocked; the word for that is reapply")
        }
        CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Ok(()),
        CaseState::Watching { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved => Err("The customer is not rejected; there is nothing to offer"),
        CaseState::Submitting { .. } => Err("A submission is on its way"),
    }
}

/// Whoever is permanently blocked may re-apply with the same `customerHashId`, as an officer's explicit act (contract
/// section 15, row 8).
fn may_reapply(state: &CaseState, beside: &Beside) -> Result<(), &'static str> {
    match state {
        CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. }
        | CaseState::Reinstated
        | CaseState::Approved
            if is_blocked(state, beside) =>
        {
            Ok(())
        }
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::UnderReview { .. }
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. }
        | CaseState::Reinstated
        | CaseState::Approved => Err("The customer is not closed by a permanent block"),
        CaseState::Submitting { .. } => Err("A submission is on its way"),
    }
}

fn may_close(state: &CaseState) -> Result<(), &'static str> {
    match state {
        CaseState::Watching { .. } | CaseState::UnderReview { .. } => {
            Err("Nium is deciding; decide when it has, or block the account")
        }
        CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::NeedsOfficer { .. } => Ok(()),
        CaseState::FinallyRejected { .. } => Err("The case is closed already"),
        CaseState::Reinstated | CaseState::Approved => {
            Err("The customer is approved; block the account instead")
        }
        CaseState::Submitting { .. } => Err("A submission is on its way"),
    }
}

fn is_blocked(state: &CaseState, beside: &Beside) -> bool {
    beside.block.is_some_and(|block| block.permanent)
        || matches!(state, CaseState::FinallyRejected { why: FinalReason::Blocked })
}

/// What Nium's rules make of a block, or of lifting one (contract section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFit {
    /// It may be sent.
    Sends,
    /// It is so already.
    Already,
    /// There is nothing to lift: the sentence.
    NotBlocked(&'static str),
    /// The rule's stable name, and the sentence.
    Forbidden(&'static str, &'static str),
}

/// Judges a block by what Nium said last of the account, and of who blocked it.
#[must_use]
pub fn block_fits(action: BlockAction, status: Option<&Status>, by: BlockedBy) -> BlockFit {
    match (action, status) {
        (BlockAction::TemporaryBlock(_), Some(Status::Suspended))
        | (BlockAction::PermanentBlock(_), Some(Status::Blocked)) => BlockFit::Already,
        (BlockAction::TemporaryBlock(_), Some(Status::Blocked)) => BlockFit::Forbidden(
            "permanently_blocked",
            "The customer is blocked for good; there is nothing to suspend.",
        ),
        (BlockAction::Unblock(_), Some(Status::Blocked)) => BlockFit::Forbidden(
            "permanently_blocked",
            "A permanent block cannot be lifted; the customer may re-apply.",
        ),
        (BlockAction::Unblock(_), Some(Status::Suspended)) => match by {
            BlockedBy::Client => BlockFit::Sends,
            BlockedBy::Nium => {
                BlockFit::Forbidden("blocked_by_nium", "Nium blocked the customer; only Nium can unblock.")
            }
            BlockedBy::Unsaid => BlockFit::Forbidden(
                "blocker_unknown",
                "Nium does not say who blocked; only who blocked can unblock.",
            ),
        },
        (BlockAction::Unblock(_), Some(Status::Clear)) => {
            BlockFit::NotBlocked("The customer is not blocked.")
        }
        // What Nium makes of these nobody has written down: its answer is shown as it comes.
        (
            BlockAction::TemporaryBlock(_) | BlockAction::PermanentBlock(_) | BlockAction::Unblock(_),
            Some(Status::Pending | Status::Failed | Status::Unknown(_)) | None,
        )
        | (BlockAction::TemporaryBlock(_), Some(Status::Clear))
        | (BlockAction::PermanentBlock(_), Some(Status::Clear | Status::Suspended)) => BlockFit::Sends,
    }
}

/// What a word that fits does, in a sentence for whoever is about to say it.
#[must_use]
pub fn would(state: &CaseState, word: OfficerWord) -> &'static str {
    match word {
        OfficerWord::Offer => match state {
            CaseState::AwaitingCorrection { .. } => "The offer is made again, with a new deadline",
            CaseState::Watching { .. }
            | CaseState::Rejected { .. }
            | CaseState::Submitting { .. }
            | CaseState::UnderReview { .. }
            | CaseState::Reinstated
            | CaseState::Approved
            | CaseState::FinallyRejected { .. }
            | CaseState::NeedsOfficer { .. } => "The customer is told, and may hand in a correction",
        },
        OfficerWord::Reapply => "The blocked customer is told, and may apply again",
        OfficerWord::Final | OfficerWord::Close => "The case is closed, and the rejection is final",
        OfficerWord::Retry => match state {
            CaseState::NeedsOfficer { .. } => "Nium is asked, and the case starts over from what it says",
            CaseState::Watching { .. }
            | CaseState::Rejected { .. }
            | CaseState::AwaitingCorrection { .. }
            | CaseState::Submitting { .. }
            | CaseState::UnderReview { .. }
            | CaseState::Reinstated
            | CaseState::Approved
            | CaseState::FinallyRejected { .. } => "Nium is asked again",
        },
    }
}
