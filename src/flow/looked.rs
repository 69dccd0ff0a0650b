//! What follows from what a look saw: one function a state, one line a standing.

use jiff::{SignedDuration, Timestamp};

use super::decide::{AT_ONCE, Attempts, SEND_GAP, SENDS_MAX, STALE_AFTER, Turn, offer};
use crate::domain::case::{Case, CaseState, FinalReason, OfficerReason, Stage};
use crate::domain::decision::{Look, Policy, UnknownRemark};
use crate::domain::effect::{EffectKey, EffectStatus, Event};
use crate::domain::remark::{Grounds, RemarkClass};
use crate::domain::snapshot::{CustomerKind, NiumTime, Sighting};
use crate::domain::status::{Compliance, Standing};

/// A lagging `status` beside REJECT is read once more after this long (design, section 4.1).
const REREAD_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// A clock difference towards Nium beyond this cannot be waited out; [`SEND_GAP`] is then given up.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn looked(case: &Case, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    match &case.state {
        CaseState::Watching { after_rejection } => watching(case, *after_rejection, look, now, policy),
        CaseState::Rejected { reread_at, .. } => rejected(case, *reread_at, look, now, policy),
        CaseState::AwaitingCorrection { .. } => awaiting_correction(case, look),
        CaseState::Submitting { effect, stage, .. } => match stage {
            Stage::Intended { sends } => intended(case, *sends, effect, look, now),
            Stage::Sending { sent_at, .. } if look.sighting.begun_at <= *sent_at => {
                Turn::stay("This look began before the submission was sent; it is no evidence")
            }
            Stage::Unclear { settled_at, .. } if look.sighting.begun_at < *settled_at => {
                Turn::stay("Nium is given time to show what the submission did").next_look(*settled_at)
            }
            Stage::Sending { before, .. } | Stage::Unclear { before, .. } => {
                unclear(case, stage, before, effect, look, now, policy)
            }
        },
        CaseState::UnderReview { before, taken_at, moved } => {
            under_review(case, before, *taken_at, *moved, look, now, policy)
        }
        CaseState::Reinstated | CaseState::Approved => approved(case, look, now, policy),
        CaseState::FinallyRejected { why } => finally_rejected(case, *why, look, now, policy),
        CaseState::NeedsOfficer { why, after_rejection } => {
            needs_officer(case, *why, *after_rejection, look, now, policy)
        }
    }
}

fn watching(case: &Case, after_rejection: bool, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    match look.standing {
        Standing::Approved => approve(after_rejection),
        Standing::Almost { .. } => Turn::stay("Compliance is finished, but the customer is not clear yet"),
        Standing::Working { .. } => Turn::stay("Nium is working"),
        Standing::Rfi { .. } => Turn::stay("Nium wants information from the customer"),
        Standing::Rejected { lagging: true } => reread(look, now),
        Standing::Rejected { lagging: false } | Standing::Lapsed => {
            rejection(case, look, now, policy, case.attempts_used)
        }
        Standing::Closed => closed(),
        Standing::Blocked => blocked(),
        Standing::Unknown => unknown_word(case),
        Standing::Unsaid => nothing_said(case),
    }
}

fn rejected(case: &Case, reread_at: Timestamp, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    match look.standing {
        Standing::Rejected { lagging: true } if now < reread_at => {
            Turn::stay("The status still lags behind the rejection")
        }
        Standing::Rejected { .. } | Standing::Lapsed => {
            rejection(case, look, now, policy, case.attempts_used)
        }
        Standing::Approved => approve(true),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => reopened(),
        Standing::Closed => closed(),
        Standing::Blocked => blocked(),
        Standing::Unknown => unknown_word(case),
        Standing::Unsaid => nothing_said(case),
    }
}

fn awaiting_correction(case: &Case, look: &Look) -> Turn {
    match look.standing {
        Standing::Rejected { .. } | Standing::Lapsed => {
            Turn::stay("Still rejected; the correction is awaited")
        }
        Standing::Blocked if case.beside.reapplication => {
            Turn::stay("Still blocked; the re-application is awaited")
        }
        Standing::Approved => approve(true),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => reopened(),
        Standing::Closed => closed(),
        Standing::Blocked => blocked(),
        Standing::Unknown => unknown_word(case),
        Standing::Unsaid => nothing_said(case),
    }
}

/// The look just before sending: it releases the submission, or finds that the customer has moved.
fn intended(case: &Case, sends: u32, effect: &EffectKey, look: &Look, now: Timestamp) -> Turn {
    let overtaken = |turn: Turn| turn.effect(effect, EffectStatus::Overtaken);
    match look.standing {
        Standing::Rejected { .. } | Standing::Lapsed => released(case, sends, look, now),
        Standing::Blocked if case.beside.reapplication => released(case, sends, look, now),
        Standing::Approved => overtaken(approve(true)),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => overtaken(reopened()),
        Standing::Closed => overtaken(closed()),
        Standing::Blocked => overtaken(blocked()),
        Standing::Unknown => overtaken(unknown_word(case)),
        Standing::Unsaid => overtaken(nothing_said(case)),
    }
}

/// The customer stands where the correction was handed in: it goes out, unless that is only a moment old.
fn released(case: &Case, sends: u32, look: &Look, now: Timestamp) -> Turn {
    match not_before(&look.sighting, now) {
        Some(at) => {
            Turn::stay("The rejection is not a full second old; the submission waits a moment").next_look(at)
        }
        None => send(case, sends, look.fresh_request_id, look, now),
    }
}

/// A look after a submission of which nobody knows whether Nium took it: never resend blindly.
fn unclear(
    case: &Case,
    stage: &Stage,
    before: &Sighting,
    effect: &EffectKey,
    look: &Look,
    now: Timestamp,
    policy: &Policy,
) -> Turn {
    let arrived = |turn: Turn| turn.attempts(Attempts::Spend).effect(effect, EffectStatus::Done);
    let review = || {
        let next = CaseState::UnderReview { before: before.clone(), taken_at: now, moved: true };
        Turn::to(next, "Nium had taken the submission after all").tell(Event::Submitted, "submission_taken")
    };
    match look.standing {
        Standing::Rejected { .. } | Standing::Lapsed if look.sighting.moved_since(before) => {
            arrived(moved_and_rejected(case, stage, look, now, policy))
        }
        Standing::Rejected { .. } | Standing::Lapsed => not_moved(case, stage, before, effect, look, now),
        // Something moved, and the block is still shown: that may be our submission, so it is not sent again.
        Standing::Blocked if case.beside.reapplication && look.sighting.moved_since(before) => {
            arrived(review())
        }
        Standing::Blocked if case.beside.reapplication => not_moved(case, stage, before, effect, look, now),
        Standing::Approved => arrived(told_first(approve(true), Event::Submitted, "submission_taken")),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => arrived(review()),
        Standing::Closed => arrived(closed()),
        Standing::Blocked => arrived(blocked()),
        Standing::Unknown => unknown_word(case).effect(effect, EffectStatus::Failed),
        Standing::Unsaid => nothing_said(case).effect(effect, EffectStatus::Failed),
    }
}

/// Nium moved and says rejected: the submission was taken, and refused again.
fn moved_and_rejected(case: &Case, stage: &Stage, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    let sent_at = match stage {
        Stage::Sending { sent_at, .. } => Some(*sent_at),
        Stage::Unclear { settled_at, .. } => settled_at.checked_sub(policy.settle).ok(),
        Stage::Intended { .. } => None,
    };
    let refused_at = look.sighting.updated_at.as_ref().and_then(NiumTime::at);
    let is_refusal = matches!(look.standing, Standing::Rejected { .. });
    // Nium's clock may be a little behind ours; much behind means that it was refused before we sent.
    let within = |after: SignedDuration| after < AT_ONCE && after > -SKEW_MAX;
    match (sent_at, refused_at) {
        (Some(sent), Some(refused)) if is_refusal && within(refused.duration_since(sent)) => {
            Turn::to_final(FinalReason::RejectedAtOnce, "Nium rejected the submission at once")
        }
        (Some(_) | None, Some(_) | None) => {
            rejection(case, look, now, policy, case.attempts_used.saturating_add(1))
        }
    }
}

/// Nium has not moved since before the submission: send it again, unless that cannot be told or was tried too often.
fn not_moved(
    case: &Case,
    stage: &Stage,
    before: &Sighting,
    effect: &EffectKey,
    look: &Look,
    now: Timestamp,
) -> Turn {
    let (sends, request_id) = match stage {
        Stage::Sending { sends, request_id, .. } | Stage::Unclear { sends, request_id, .. } => {
            (*sends, *request_id)
        }
        Stage::Intended { sends } => (*sends, look.fresh_request_id),
    };
    if before.updated_at.is_none() || look.sighting.updated_at.is_none() {
        let because = "Nium shows no updatedAt: whether it took the submission cannot be told";
        return Turn::to_officer(case, OfficerReason::CannotTell, because)
            .effect(effect, EffectStatus::Failed);
    }
    send(case, sends, request_id, look, now)
}

fn under_review(
    case: &Case,
    before: &Sighting,
    taken_at: Timestamp,
    moved: bool,
    look: &Look,
    now: Timestamp,
    policy: &Policy,
) -> Turn {
    let another =
        moved || look.sighting.updated_after(before) || look.sighting.compliance != before.compliance;
    let age = now.duration_since(taken_at);
    match look.standing {
        Standing::Approved => approve(true),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } if moved => {
            Turn::stay("Nium is deciding about the corrected information")
        }
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => {
            let state = CaseState::UnderReview { before: before.clone(), taken_at, moved: true };
            Turn::to(state, "Nium is deciding about the corrected information")
        }
        Standing::Rejected { .. } if another && !moved && age < AT_ONCE => {
            Turn::to_final(FinalReason::RejectedAtOnce, "Nium rejected the submission at once")
        }
        Standing::Rejected { .. } | Standing::Lapsed if another => {
            rejection(case, look, now, policy, case.attempts_used)
        }
        Standing::Rejected { .. } | Standing::Lapsed if age >= STALE_AFTER => {
            let because = "Nium took the submission long ago and still shows the rejection from before it";
            Turn::to_officer(case, OfficerReason::CannotTell, because)
        }
        Standing::Rejected { .. } | Standing::Lapsed => {
            Turn::stay("Nium still shows the rejection from before the submission")
        }
        Standing::Blocked if case.beside.reapplication => still_blocked(case, before, age, look),
        Standing::Closed => closed(),
        Standing::Blocked => blocked(),
        Standing::Unknown => unknown_word(case),
        Standing::Unsaid => nothing_said(case),
    }
}

/// Nium took a re-application and still shows the block. What it says of compliance beside it tells whether that is an
/// answer; where it tells nothing, a person is asked in the end.
fn still_blocked(case: &Case, before: &Sighting, age: SignedDuration, look: &Look) -> Turn {
    let said = look.sighting.compliance.as_ref();
    let is_answer = matches!(said, Some(Compliance::Reject | Compliance::Closed));
    if is_answer && said != before.compliance.as_ref() {
        blocked()
    } else if age >= STALE_AFTER {
        let because = "Nium took the re-application long ago and still shows the block";
        Turn::to_officer(case, OfficerReason::CannotTell, because)
    } else {
        Turn::stay("Nium has the re-application and still shows the block")
    }
}

/// COMPLETED is not the end (contract section 15, row 15): later checks and refusals are followed too.
fn approved(case: &Case, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    let after_rejection = case.state.after_rejection();
    match look.standing {
        Standing::Approved => Turn::stay("Still approved"),
        Standing::Almost { suspended: true } => Turn::stay("Approved, but temporarily blocked"),
        Standing::Working { open: true } | Standing::Rfi { open: true } => {
            Turn::stay("Approved; Nium checks something beside it")
        }
        Standing::Almost { suspended: false }
        | Standing::Working { open: false }
        | Standing::Rfi { open: false } => {
            let because = "Nium took the approval back and is checking again";
            Turn::to(CaseState::Watching { after_rejection }, because).attempts(Attempts::Forget)
        }
        Standing::Rejected { .. } | Standing::Lapsed => {
            let turn = rejection(case, look, now, policy, 0);
            let attempts = Attempts::Forget;
            turn.attempts(attempts)
        }
        Standing::Closed => closed(),
        Standing::Blocked => Turn::stay("Approved once, and now permanently blocked"),
        Standing::Unknown => unknown_word(case),
        Standing::Unsaid => nothing_said(case),
    }
}

/// A final case follows Nium if Nium itself changes its mind; otherwise only an officer leads on.
fn finally_rejected(case: &Case, why: FinalReason, look: &Look, now: Timestamp, policy: &Policy) -> Turn {
    match look.standing {
        // Nobody was told then; this rejection is a new one.
        Standing::Rejected { .. } | Standing::Lapsed if why == FinalReason::Historic && !look.historic => {
            rejection(case, look, now, policy, case.attempts_used)
        }
        Standing::Approved => approve(true),
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => reopened(),
        Standing::Rejected { .. }
        | Standing::Lapsed
        | Standing::Closed
        | Standing::Blocked
        | Standing::Unsaid => Turn::stay("Nothing has changed about the final rejection"),
        Standing::Unknown => unknown_word(case),
    }
}

fn needs_officer(
    case: &Case,
    why: OfficerReason,
    after_rejection: bool,
    look: &Look,
    now: Timestamp,
    policy: &Policy,
) -> Turn {
    match look.standing {
        Standing::Approved => approve(after_rejection),
        Standing::Rfi { .. } if why == OfficerReason::RfiOverdue => {
            Turn::stay("The officer's question stands")
        }
        Standing::Almost { .. } | Standing::Working { .. } | Standing::Rfi { .. } => {
            Turn::to(CaseState::Watching { after_rejection }, "Nium is working; the question has gone away")
        }
        Standing::Rejected { .. } | Standing::Lapsed if about_what_nium_said(why) => {
            rejection(case, look, now, policy, case.attempts_used)
        }
        Standing::Blocked if case.beside.reapplication && !about_what_nium_said(why) => {
            Turn::stay("The officer's question stands")
        }
        Standing::Closed => closed(),
        Standing::Blocked => blocked(),
        Standing::Unknown if about_what_nium_said(why) && why != OfficerReason::UnknownWord => {
            unknown_word(case)
        }
        Standing::Unsaid if about_what_nium_said(why) && why != OfficerReason::NothingSaid => {
            nothing_said(case)
        }
        Standing::Rejected { .. } | Standing::Lapsed | Standing::Unknown | Standing::Unsaid => {
            Turn::stay("The officer's question stands")
        }
    }
}

/// Whether a question goes away, or becomes another one, once Nium says something else.
fn about_what_nium_said(why: OfficerReason) -> bool {
    match why {
        OfficerReason::UnknownWord
        | OfficerReason::NothingSaid
        | OfficerReason::LooksFail
        | OfficerReason::NotAtNium
        | OfficerReason::RfiOverdue => true,
        OfficerReason::UnclearRemark
        | OfficerReason::CorporateRejection
        | OfficerReason::CannotTell
        | OfficerReason::CannotSend => false,
    }
}

/// A rejection that is certain: who hears of it, and what way back there is.
fn rejection(case: &Case, look: &Look, now: Timestamp, policy: &Policy, attempts_used: u32) -> Turn {
    let grounds = match look.standing {
        Standing::Lapsed => Grounds { class: RemarkClass::Lapsed, ..look.grounds.clone() },
        Standing::Approved
        | Standing::Almost { .. }
        | Standing::Working { .. }
        | Standing::Rfi { .. }
        | Standing::Rejected { .. }
        | Standing::Closed
        | Standing::Blocked
        | Standing::Unknown
        | Standing::Unsaid => look.grounds.clone(),
    };
    let class = grounds.class;
    let to_officer = |why, because| {
        let state = CaseState::NeedsOfficer { why, after_rejection: true };
        Turn::to(state, because).tell(Event::NeedsOfficer, why.as_str())
    };
    let turn = if look.kind == CustomerKind::Corporate {
        to_officer(OfficerReason::CorporateRejection, "A company was rejected; an officer decides")
    } else if class == RemarkClass::Final {
        Turn::to_final(FinalReason::RemarkIsFinal, "Rejected for a reason that resubmitting does not help")
    } else if class == RemarkClass::Unknown && policy.unknown_remark == UnknownRemark::Officer {
        to_officer(
            OfficerReason::UnclearRemark,
            "Rejected with a remark that no rule knows; an officer decides",
        )
    } else if attempts_used >= policy.submissions_max {
        Turn::to_final(FinalReason::AttemptsSpent, "Rejected again, and every submission is used")
    } else if case.attempts_used > 0 || attempts_used > 0 {
        offer(grounds, now, policy, "Rejected again; another correction is offered")
    } else if class == RemarkClass::Lapsed {
        offer(grounds, now, policy, "The check failed or ran out; sending again is offered")
    } else {
        offer(grounds, now, policy, "Rejected; the customer is offered reinstatement")
    };
    told_first(turn, Event::Rejected, class.as_str())
}

/// Whoever hears what comes next hears first that KYC failed.
fn told_first(mut turn: Turn, event: Event, reason: &'static str) -> Turn {
    let later = std::mem::take(&mut turn.tells);
    turn = turn.tell(event, reason);
    turn.tells.extend(later);
    turn
}

/// The earliest moment to send, if it is not yet: see [`SEND_GAP`].
fn not_before(sighting: &Sighting, now: Timestamp) -> Option<Timestamp> {
    let rejected_at = sighting.updated_at.as_ref().and_then(NiumTime::at)?;
    let age = now.duration_since(rejected_at);
    (age < SEND_GAP && age > -SKEW_MAX).then(|| rejected_at + SEND_GAP)
}

fn send(case: &Case, sends: u32, request_id: uuid::Uuid, look: &Look, now: Timestamp) -> Turn {
    let CaseState::Submitting { grounds, deadline, effect, .. } = &case.state else {
        return Turn::stay("Nothing is to be sent");
    };
    if sends >= SENDS_MAX {
        return Turn::to_officer(
            case,
            OfficerReason::CannotSend,
            "Sent several times, and Nium never took it",
        )
        .effect(effect, EffectStatus::Failed);
    }
    let stage = Stage::Sending { before: look.sighting.clone(), request_id, sent_at: now, sends: sends + 1 };
    let next = CaseState::Submitting {
        grounds: grounds.clone(),
        deadline: *deadline,
        effect: effect.clone(),
        stage,
    };
    let because = if sends == 0 {
        "The corrected information goes to Nium"
    } else {
        "Nium has not moved; it is sent again"
    };
    Turn::to(next, because).effect(effect, EffectStatus::Sending)
}

fn approve(after_rejection: bool) -> Turn {
    if after_rejection {
        Turn::to(CaseState::Reinstated, "Completed and clear: the customer is reinstated")
            .tell(Event::Reinstated, "completed_and_clear")
    } else {
        Turn::to(CaseState::Approved, "Completed and clear").tell(Event::Approved, "completed_and_clear")
    }
}

fn reread(look: &Look, now: Timestamp) -> Turn {
    let state = CaseState::Rejected { grounds: look.grounds.clone(), reread_at: now + REREAD_AFTER };
    Turn::to(state, "Rejected, but the status lags behind: one more read decides")
}

fn reopened() -> Turn {
    Turn::to(CaseState::Watching { after_rejection: true }, "Nium itself took the case up again")
}

fn closed() -> Turn {
    Turn::to_final(FinalReason::ClosedByNium, "Nium closed the case")
}

fn blocked() -> Turn {
    Turn::to_final(FinalReason::Blocked, "The customer is permanently blocked")
}

fn unknown_word(case: &Case) -> Turn {
    Turn::to_officer(case, OfficerReason::UnknownWord, "Nium used a word that this release does not know")
}

fn nothing_said(case: &Case) -> Turn {
    Turn::to_officer(case, OfficerReason::NothingSaid, "Nium did not say how compliance stands")
}
