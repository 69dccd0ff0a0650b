//! What may be done about a case, and, for everything else, why not. The rules are the very ones that decide.

use super::Signed;
use crate::domain::act::{BlockAction, PermanentReason, TemporaryReason, UnblockReason};
use crate::domain::case::CaseState;
use crate::domain::decision::OfficerWord;
use crate::domain::link::open_until;
use crate::domain::role::Need;
use crate::domain::snapshot::{BlockedBy, CustomerKind};
use crate::domain::word::{BlockFit, block_fits, fits, would};
use crate::ops::Ops;
use crate::store::rows::CaseRow;

/// A word with what it would do, or why it would do nothing.
pub(super) struct WordOffer {
    pub(super) word: &'static str,
    pub(super) label: &'static str,
    /// What it does.
    pub(super) would: &'static str,
    /// Why it is not offered.
    pub(super) why_not: Option<&'static str>,
    /// It takes a second person.
    pub(super) second_person: bool,
}

/// A block or the end of one.
pub(super) struct BlockOffer {
    pub(super) action: &'static str,
    pub(super) label: &'static str,
    pub(super) reasons: Vec<&'static str>,
    pub(super) why_not: Option<&'static str>,
    pub(super) is_grave: bool,
}

/// Everything that may be done, or not.
pub(super) struct Acts {
    pub(super) words: Vec<WordOffer>,
    pub(super) blocks: Vec<BlockOffer>,
    /// Why no link can be made.
    pub(super) no_link: Option<&'static str>,
    /// Why whoever looks may do none of it.
    pub(super) not_yours: Option<&'static str>,
}

const WORDS: [(OfficerWord, &str); 4] = [
    (OfficerWord::Offer, "Offer reinstatement"),
    (OfficerWord::Retry, "Look at Nium, and start over"),
    (OfficerWord::Final, "Close as final"),
    (OfficerWord::Reapply, "Let the customer re-apply"),
];

pub(super) fn acts(row: &CaseRow, ops: &Ops, who: &Signed) -> Acts {
    let not_yours = (!who.may(Need::Decide)).then_some("Your role only reads; officers decide about cases.");
    let is_final = matches!(row.case.state, CaseState::FinallyRejected { .. });
    let is_company = row.snapshot.as_ref().is_some_and(|kept| kept.facts.kind == CustomerKind::Corporate);
    let mut words: Vec<WordOffer> = WORDS
        .into_iter()
        .map(|(word, label)| {
            let opens = matches!(word, OfficerWord::Offer | OfficerWord::Reapply);
            let why_not = fits(&row.case.state, &row.case.beside, word).err().or_else(|| {
                (opens && is_company)
                    .then_some("The customer is a company: settle the rejection with Nium, then look again")
            });
            let second_person = opens && is_final && ops.second_person.override_final;
            WordOffer {
                word: word.as_str(),
                label,
                would: would(&row.case.state, word),
                why_not,
                second_person,
            }
        })
        .collect();
    words.insert(0, take_over(row, who));
    Acts { words, blocks: blocks(row, ops), no_link: no_link(row, ops), not_yours }
}

fn take_over(row: &CaseRow, who: &Signed) -> WordOffer {
    let why_not = match (&row.case.state, &row.in_hand) {
        (CaseState::NeedsOfficer { .. }, Some(hand)) if hand.by == *who.name => {
            Some("It is in your hands already")
        }
        (CaseState::NeedsOfficer { .. }, _) => None,
        _ => Some("No officer is asked about this case"),
    };
    WordOffer {
        word: "take_over",
        label: "Take in hand",
        would: "Others see that you are working on it; nothing else changes",
        why_not,
        second_person: false,
    }
}

fn blocks(row: &CaseRow, ops: &Ops) -> Vec<BlockOffer> {
    let facts = row.snapshot.as_ref().map(|kept| &kept.facts);
    let status = facts.and_then(|facts| facts.status.as_ref());
    let by = facts.and_then(|facts| facts.blocked_by).unwrap_or(BlockedBy::Unsaid);
    let why_not = |action: BlockAction| match block_fits(action, status, by) {
        BlockFit::Sends => None,
        BlockFit::Already => Some("It is so already."),
        BlockFit::NotBlocked(why) | BlockFit::Forbidden(_, why) => Some(why),
    };
    let newer = ops.newer_block_reasons;
    let permanent = PermanentReason::ALL.iter().filter(|reason| newer || !reason.is_newer());
    vec![
        BlockOffer {
            action: "TEMPORARY_BLOCK",
            label: "Block for now",
            reasons: TemporaryReason::ALL.iter().map(|reason| reason.as_str()).collect(),
            why_not: why_not(BlockAction::TemporaryBlock(TemporaryReason::ClientRequest)),
            is_grave: false,
        },
        BlockOffer {
            action: "UNBLOCK",
            label: "Unblock",
            reasons: UnblockReason::ALL.iter().map(|reason| reason.as_str()).collect(),
            why_not: why_not(BlockAction::Unblock(UnblockReason::ClientRequest)),
            is_grave: false,
        },
        BlockOffer {
            action: "PERMANENT_BLOCK",
            label: "Block for good",
            reasons: permanent.map(|reason| reason.as_str()).collect(),
            why_not: why_not(BlockAction::PermanentBlock(PermanentReason::ClientRequest)),
            is_grave: true,
        },
    ]
}

fn no_link(row: &CaseRow, ops: &Ops) -> Option<&'static str> {
    if ops.page_url.is_none() {
        return Some("There is no page to link to: public.url is not set.");
    }
    let open = open_until(&row.case, ops.clock.now());
    open.is_none().then_some("A link is made while a correction is awaited, or information is asked for.")
}
