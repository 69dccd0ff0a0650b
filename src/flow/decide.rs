//! One case and one observation in, one decision out.
//!
//! Every (state, observation) pair has a line: no `_` arm stands in these matches, so a new state or observation does
//! not compile until somebody has said what it means everywhere. What a look saw is in `flow::looked`.

use jiff::{SignedDuration, Timestamp};

use super::looked::looked;
use super::officer::officer;
use super::retry::rest_after;
use super::timers;
use crate::domain::case::{Beside, Block, Case, CaseState, FinalReason, OfficerReason, Stage};
use crate::domain::decision::{Answer, Decision, Look, Observation, Policy, Tell};
use crate::domain::effect::{EffectKey, EffectStatus, Event};
use crate::domain::remark::Grounds;
use crate::domain::snapshot::{BlockedBy, Sighting};
use crate::domain::status::{Standing, Status};

/// A rejection this soon after Nium took a submission, with no other state in between, was not looked at by anybody
/// at Nium: resubmitting does not help (contract section 10, row 7d).
pub const AT_ONCE: SignedDuration = SignedDuration::from_secs(10);
/// Nium's `updatedAt` has whole seconds: a submission waits until the rejection's second has certainly passed, or an
/// instant re-rejection whose answer was lost could not be told from the old one.
pub const SEND_GAP: SignedDuration = SignedDuration::from_secs(2);
/// Times one submission may be sent before a person is asked why Nium never takes it.
pub const SENDS_MAX: u32 = 5;
/// How long an unchanged REJECT after a taken submission may stand before a person is asked.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What changes; everything not named stays.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) state: Option<CaseState>,
    pub(super) tells: Vec<Tell>,
    pub(super) effect: Option<(EffectKey, EffectStatus)>,
    pub(super) attempts: Attempts,
    pub(super) because: &'static str,
    /// The way back is opened in spite of a permanent block.
    pub(super) reapplies: bool,
    /// The next look, if it is not the usual one.
    pub(super) look_at: Option<Timestamp>,
}

/// What becomes of the count of submissions used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempts {
    Keep,
    Spend,
    /// A new rejection of an approved customer starts from nothing.
    Forget,
    /// An officer's offer is worth at least one more submission.
    GrantOne,
}

impl Turn {
    pub(super) fn stay(because: &'static str) -> Self {
        Self {
            state: None,
            tells: Vec::new(),
            effect: None,
            attempts: Attempts::Keep,
            because,
            reapplies: false,
            look_at: None,
        }
    }

    pub(super) fn to(state: CaseState, because: &'static str) -> Self {
        Self { state: Some(state), ..Self::stay(because) }
    }

    pub(super) fn tell(mut self, event: Event, reason: &'static str) -> Self {
        self.tells.push(Tell { event, reason });
        self
    }

    pub(super) fn effect(mut self, key: &EffectKey, status: EffectStatus) -> Self {
        self.effect = Some((key.clone(), status));
        self
    }

    pub(super) fn attempts(mut self, attempts: Attempts) -> Self {
        self.attempts = attempts;
        self
    }

    pub(super) fn next_look(mut self, at: Timestamp) -> Self {
        self.look_at = Some(at);
        self
    }

    pub(super) fn to_officer(case: &Case, why: OfficerReason, because: &'static str) -> Self {
        let after_rejection = case.state.after_rejection();
        Self::to(CaseState::NeedsOfficer { why, after_rejection }, because)
            .tell(Event::NeedsOfficer, why.as_str())
    }

    pub(super) fn to_final(why: FinalReason, because: &'static str) -> Self {
        Self::to(CaseState::FinallyRejected { why }, because).tell(Event::FinallyRejected, why.as_str())
    }
}

/// Decides what follows for `case` from what was `seen`. Pure: the same arguments give the same decision.
#[must_use]
pub fn decide(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let turn = match seen {
        Observation::Looked(look) => looked(case, look, now, policy),
        Observation::Missing => missing(case),
        Observation::LooksFail => looks_fail(case),
        Observation::Corrected(effect) => corrected(case, effect),
        Observation::Answered(answer) => answered(case, answer, now, policy),
        Observation::Interrupted => interrupted(case, now, policy),
        Observation::DeadlinePassed => timers::deadline_passed(case, now),
        Observation::ReminderDue => timers::reminder_due(case, now),
        Observation::RfiDeadlinePassed => timers::rfi_deadline_passed(case, now),
        Observation::Officer(word) => officer(case, *word, now, policy),
        Observation::NotApproved => Turn::stay("This word takes a second person, who has not approved"),
    };
    let (beside, told_beside) = match seen {
        Observation::Looked(look) => beside(&case.beside, look, now, policy),
        Observation::RfiDeadlinePassed => timers::rfi_told(case, now),
        Observation::Missing
        | Observation::LooksFail
        | Observation::Corrected(_)
        | Observation::Answered(_)
        | Observation::Interrupted
        | Observation::DeadlinePassed
        | Observation::ReminderDue
        | Observation::NotApproved
        | Observation::Officer(_) => (case.beside.clone(), Vec::new()),
    };
    let (turn, told_beside) = match seen {
        Observation::Looked(look) if look.historic && case.version == 0 => (historic(turn, look), Vec::new()),
        Observation::Looked(_)
        | Observation::Missing
        | Observation::LooksFail
        | Observation::Corrected(_)
        | Observation::Answered(_)
        | Observation::Interrupted
        | Observation::DeadlinePassed
        | Observation::ReminderDue
        | Observation::RfiDeadlinePassed
        | Observation::NotApproved
        | Observation::Officer(_) => (turn, told_beside),
    };
    write_up(case, turn, beside, told_beside, now, policy)
}

/// First seen by the first sweep: what happened before our time is recorded, and told to nobody (design, section 4.1).
fn historic(mut turn: Turn, look: &Look) -> Turn {
    if matches!(look.standing, Standing::Rejected { .. } | Standing::Lapsed) {
        let because = "Rejected before this installation began; an officer may offer reinstatement";
        turn = Turn::to(CaseState::FinallyRejected { why: FinalReason::Historic }, because);
    }
    turn.tells.clear();
    turn
}

fn write_up(
    case: &Case,
    turn: Turn,
    beside: Beside,
    told_beside: Vec<Tell>,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let mut next_case = case.clone();
    next_case.beside = beside;
    next_case.attempts_used = match turn.attempts {
        Attempts::Keep => case.attempts_used,
        Attempts::Spend => case.attempts_used.saturating_add(1),
        Attempts::Forget => 0,
        Attempts::GrantOne => case.attempts_used.min(policy.submissions_max.saturating_sub(1)),
    };
    if let Some(state) = turn.state {
        if state.name() != case.state.name() {
            next_case.since = now;
        }
        next_case.state = state;
    }
    let reapplies = next_case.beside.reapplication && may_reapply(&next_case.state);
    next_case.beside.reapplication = turn.reapplies || reapplies;
    let mut tells = turn.tells;
    tells.extend(told_beside);
    if case.version == 0 || next_case != *case || !tells.is_empty() || turn.effect.is_some() {
        next_case.version = case.version.saturating_add(1);
    }
    let next = timers::next(&next_case, turn.look_at, now, policy);
    Decision { case: next_case, tells, effect: turn.effect, because: turn.because, next }
}

/// Where a way back that was opened in spite of a block may still lead on.
fn may_reapply(state: &CaseState) -> bool {
    match state {
        CaseState::AwaitingCorrection { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::NeedsOfficer { .. } => true,
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. } => false,
    }
}

/// What comes and goes beside the state, and who hears of it.
fn beside(before: &Beside, look: &Look, now: Timestamp, policy: &Policy) -> (Beside, Vec<Tell>) {
    let by = look.blocked_by.unwrap_or(BlockedBy::Unsaid);
    let block = match look.sighting.status {
        Some(Status::Suspended) => Some(Block { permanent: false, by }),
        Some(Status::Blocked) => Some(Block { permanent: true, by }),
        Some(Status::Pending | Status::Clear | Status::Failed) | None => None,
        Some(Status::Unknown(_)) => before.block,
    };
    let rfi = match look.standing {
        Standing::Rfi { .. } => Some(timers::asked(before.rfi, look.rfi_mark, now, policy)),
        Standing::Unknown | Standing::Unsaid => before.rfi,
        Standing::Approved
        | Standing::Almost { .. }
        | Standing::Working { .. }
        | Standing::Rejected { .. }
        | Standing::Lapsed
        | Standing::Closed
        | Standing::Blocked => None,
    };
    let mut tells = Vec::new();
    match (before.rfi, rfi) {
        (None, Some(_)) => tells.push(Tell { event: Event::RfiRequested, reason: "information_wanted" }),
        (Some(before), Some(now)) if before.mark.is_some() && before.mark != now.mark => {
            tells.push(Tell { event: Event::RfiRequested, reason: "more_information_wanted" });
        }
        (Some(_), Some(_)) | (_, None) => {}
    }
    match (before.block.map(|b| b.permanent), block.map(|b| b.permanent)) {
        (None | Some(true), Some(false)) => {
            tells.push(Tell { event: Event::Suspended, reason: "temporary_block" });
        }
        (None | Some(false), Some(true)) => {
            tells.push(Tell { event: Event::Blocked, reason: "permanent_block" });
        }
        (Some(_), None) => tells.push(Tell { event: Event::Unblocked, reason: "block_lifted" }),
        (None, None) | (Some(false), Some(false)) | (Some(true), Some(true)) => {}
    }
    // Once Nium has moved away from the block, another one is news.
    let moved_away = matches!(
        look.sighting.status,
        Some(Status::Pending | Status::Clear | Status::Failed | Status::Suspended)
    );
    let reapplication = before.reapplication && !moved_away;
    (Beside { rfi, block, reapplication }, tells)
}

fn missing(case: &Case) -> Turn {
    let gone =
        |case| Turn::to_officer(case, OfficerReason::NotAtNium, "Nium does not know this customer any more");
    match &case.state {
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved => gone(case),
        CaseState::Submitting { effect, .. } => gone(case).effect(effect, EffectStatus::Failed),
        CaseState::FinallyRejected { .. } | CaseState::NeedsOfficer { .. } => {
            Turn::stay("Nium does not know this customer; nothing was open")
        }
    }
}

fn looks_fail(case: &Case) -> Turn {
    let why = "Nium's answers about this customer could not be read several times in a row";
    match &case.state {
        CaseState::Watching { .. } | CaseState::Rejected { .. } | CaseState::UnderReview { .. } => {
            Turn::to_officer(case, OfficerReason::LooksFail, why)
        }
        CaseState::Submitting { effect, stage, .. } => {
            let (reason, left) = match stage {
                Stage::Intended { .. } => (OfficerReason::LooksFail, EffectStatus::Overtaken),
                Stage::Sending { .. } | Stage::Unclear { .. } => {
                    (OfficerReason::CannotTell, EffectStatus::Failed)
                }
            };
            Turn::to_officer(case, reason, why).effect(effect, left)
        }
        CaseState::AwaitingCorrection { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => {
            Turn::stay("Nium's answer could not be read; nothing depends on it now")
        }
    }
}

fn corrected(case: &Case, effect: &EffectKey) -> Turn {
    match &case.state {
        CaseState::AwaitingCorrection { grounds, deadline, .. } => {
            let state = CaseState::Submitting {
                grounds: grounds.clone(),
                deadline: *deadline,
                effect: effect.clone(),
                stage: Stage::Intended { sends: 0 },
            };
            Turn::to(state, "The correction was checked and will be sent to Nium")
                .tell(Event::CorrectionReceived, "correction_received")
        }
        CaseState::Submitting { effect: under_way, .. } if under_way == effect => {
            Turn::stay("This correction is already on its way")
        }
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => {
            Turn::stay("The customer moved on before the correction was taken up; it is not sent")
                .effect(effect, EffectStatus::Overtaken)
        }
    }
}

fn interrupted(case: &Case, now: Timestamp, policy: &Policy) -> Turn {
    match &case.state {
        CaseState::Submitting {
            grounds,
            deadline,
            effect,
            stage: Stage::Sending { before, request_id, sends, .. },
        } => {
            // Whoever sent it is gone, but what left before may still be on its way to Nium's database.
            let settled_at = now + policy.settle;
            let stage =
                Stage::Unclear { before: before.clone(), request_id: *request_id, settled_at, sends: *sends };
            let (grounds, deadline, key) = (grounds.clone(), *deadline, effect.clone());
            Turn::to(
                CaseState::Submitting { grounds, deadline, effect: key, stage },
                "Sending was interrupted; whether Nium took it is found out by looking",
            )
            .effect(effect, EffectStatus::Unclear)
        }
        CaseState::Submitting { stage: Stage::Intended { .. } | Stage::Unclear { .. }, .. }
        | CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Turn::stay("Nothing was being sent"),
    }
}

fn answered(case: &Case, answer: &Answer, now: Timestamp, policy: &Policy) -> Turn {
    match &case.state {
        CaseState::Submitting {
            grounds,
            deadline,
            effect,
            stage: Stage::Sending { before, request_id, sends, .. },
        } => {
            let at_stage = |stage| CaseState::Submitting {
                grounds: grounds.clone(),
                deadline: *deadline,
                effect: effect.clone(),
                stage,
            };
            match answer {
                Answer::Taken(standing) => taken(*standing, effect, before, now),
                Answer::Refused => {
                    let state = timers::awaiting(grounds.clone(), *deadline, now, policy);
                    Turn::to(
                        state,
                        "Nium found the content wrong; nothing changed there and no attempt is spent",
                    )
                    .effect(effect, EffectStatus::Refused)
                    .tell(Event::CorrectionRequested, "content_refused")
                }
                Answer::NotTaken if *sends > 1 => {
                    let because = "This attempt did not reach Nium; an earlier one may have, which is found out by looking";
                    let (before, request_id) = (before.clone(), *request_id);
                    let stage = Stage::Unclear { before, request_id, settled_at: now, sends: *sends - 1 };
                    Turn::to(at_stage(stage), because).effect(effect, EffectStatus::Unclear)
                }
                Answer::NotTaken => {
                    let because = "The submission did not reach Nium; it will be sent again";
                    Turn::to(at_stage(Stage::Intended { sends: sends.saturating_sub(1) }), because)
                        .effect(effect, EffectStatus::Pending)
                }
                Answer::Unclear => {
                    let (before, request_id, sends) = (before.clone(), *request_id, *sends);
                    let settled_at = now + rest_after(sends, policy.settle);
                    let stage = Stage::Unclear { before, request_id, settled_at, sends };
                    Turn::to(
                        at_stage(stage),
                        "Nium's answer was lost; whether it was taken is found out by looking",
                    )
                    .effect(effect, EffectStatus::Unclear)
                }
                Answer::NoSuchCustomer => {
                    let because = "Nium does not know the customer of this submission";
                    Turn::to_officer(case, OfficerReason::NotAtNium, because)
                        .effect(effect, EffectStatus::Failed)
                }
            }
        }
        CaseState::Submitting { stage: Stage::Intended { .. } | Stage::Unclear { .. }, .. }
        | CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Turn::stay("Nobody waits for this answer"),
    }
}

/// Nium took a submission. Approval is never believed from this answer: a look confirms it (contract section 9).
fn taken(standing: Option<Standing>, effect: &EffectKey, before: &Sighting, now: Timestamp) -> Turn {
    let moved = match standing {
        Some(Standing::Rejected { .. }) => {
            return Turn::to_final(FinalReason::RejectedAtOnce, "Nium rejected the submission at once")
                .attempts(Attempts::Spend)
                .effect(effect, EffectStatus::Done);
        }
        Some(
            Standing::Approved | Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. },
        ) => true,
        Some(
            Standing::Lapsed | Standing::Closed | Standing::Blocked | Standing::Unknown | Standing::Unsaid,
        )
        | None => false,
    };
    let state = CaseState::UnderReview { before: before.clone(), taken_at: now, moved };
    Turn::to(state, "Nium took the corrected information")
        .attempts(Attempts::Spend)
        .effect(effect, EffectStatus::Done)
        .tell(Event::Submitted, "submission_taken")
        .next_look(now)
}

/// Opens the way back.
pub(super) fn offer(grounds: Grounds, now: Timestamp, policy: &Policy, because: &'static str) -> Turn {
    let reason = grounds.class.as_str();
    Turn::to(timers::opened(grounds, now, policy), because).tell(Event::CorrectionRequested, reason)
}
