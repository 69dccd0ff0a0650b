//! What happens to a case by itself: looks that nobody asked for, deadlines, reminders. Every timer is stored with the
//! case, survives restarts, and fires once: what it fires is written in the transaction that takes it away.

use jiff::{SignedDuration, Timestamp};

use super::decide::Turn;
use crate::domain::case::{Beside, Case, CaseState, FinalReason, OfficerReason, Rfi, Stage};
use crate::domain::decision::{Next, NextWhat, Observation, Policy, Tell};
use crate::domain::effect::Event;
use crate::domain::id::CustomerHashId;
use crate::domain::remark::Grounds;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The longest pause between two looks at a case that is not final.
const PAUSE_MAX: SignedDuration = DAY;
/// The shortest pause after a submission was taken, where an answer may come within seconds.
const REVIEW_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// How far a pause is moved, as a part of it, so that customers who came together are not looked at together.
const SPREAD: f64 = 0.2;

/// What happens to this case by itself first; `None` where only a nudge or a person leads on. `look_at` is the next look
/// if the decision named one.
#[must_use]
pub fn next(case: &Case, look_at: Option<Timestamp>, now: Timestamp, policy: &Policy) -> Option<Next> {
    let look = look_at.map(|at| Next { what: NextWhat::Look, at }).or_else(|| by_itself(case, now, policy));
    let timers = timers(case).map(|(what, at, _)| Next { what, at });
    look.into_iter().chain(timers).min_by_key(|next| next.at)
}

/// The observation of the earliest deadline or reminder that has been reached.
#[must_use]
pub fn ripe(case: &Case, now: Timestamp) -> Option<Observation> {
    let ripe = timers(case).filter(|(_, at, _)| *at <= now);
    ripe.min_by_key(|(_, at, _)| *at).map(|(_, _, seen)| seen)
}

/// Every deadline and reminder that waits.
fn timers(case: &Case) -> impl Iterator<Item = (NextWhat, Timestamp, Observation)> {
    let (deadline, reminder) = match &case.state {
        CaseState::AwaitingCorrection { deadline, reminders, .. } => {
            (Some(*deadline), reminders.first().copied())
        }
        CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => (None, None),
    };
    let rfi = case.beside.rfi.filter(|rfi| !rfi.overdue).map(|rfi| rfi.deadline);
    [
        (NextWhat::Deadline, deadline, Observation::DeadlinePassed),
        (NextWhat::Reminder, reminder, Observation::ReminderDue),
        (NextWhat::RfiDeadline, rfi, Observation::RfiDeadlinePassed),
    ]
    .into_iter()
    .filter_map(|(what, at, seen)| Some((what, at?, seen)))
}

/// The next look, or the next step of a submission.
fn by_itself(case: &Case, now: Timestamp, policy: &Policy) -> Option<Next> {
    let look = |at| Some(Next { what: NextWhat::Look, at });
    match &case.state {
        CaseState::Watching { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::NeedsOfficer { .. } => look(pause(case.id, case.since, now, policy.active_every)),
        CaseState::Rejected { reread_at, .. } => look(*reread_at),
        CaseState::Submitting { stage: Stage::Intended { .. } | Stage::Sending { .. }, .. } => {
            Some(Next { what: NextWhat::Submit, at: now })
        }
        CaseState::Submitting { stage: Stage::Unclear { settled_at, .. }, .. } => look(*settled_at),
        CaseState::UnderReview { taken_at, .. } => look(pause(case.id, *taken_at, now, REVIEW_PAUSE)),
        CaseState::Reinstated | CaseState::Approved | CaseState::FinallyRejected { .. } => None,
    }
}

/// Half as long as it has lasted so far, within bounds: asked often while it is fresh, seldom when it is old. Each
/// customer has a little more or less, always the same.
fn pause(id: CustomerHashId, since: Timestamp, now: Timestamp, least: SignedDuration) -> Timestamp {
    let half = now.duration_since(since) / 2;
    let whole = half.clamp(least, PAUSE_MAX.max(least));
    let [.., a, b] = *id.as_bytes();
    let place = f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX);
    now.saturating_add(whole.mul_f64(1.0 + SPREAD * (place - 0.5))).unwrap_or(Timestamp::MAX)
}

/// `days` days after `from`.
fn after_days(from: Timestamp, days: u32) -> Timestamp {
    let span = DAY.saturating_mul(i32::try_from(days).unwrap_or(i32::MAX));
    from.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// An offer that opens now: until when, and when the customer is reminded of it.
pub(super) fn opened(grounds: Grounds, now: Timestamp, policy: &Policy) -> CaseState {
    awaiting(grounds, after_days(now, policy.correction_days), now, policy)
}

/// An offer with this deadline, told now.
pub(super) fn awaiting(grounds: Grounds, deadline: Timestamp, now: Timestamp, policy: &Policy) -> CaseState {
    let mut reminders: Vec<Timestamp> = policy
        .remind_after_days
        .iter()
        .map(|days| after_days(now, *days))
        .filter(|at| *at < deadline)
        .collect();
    reminders.sort_unstable();
    CaseState::AwaitingCorrection { grounds, deadline, reminders }
}

/// A request for information that was first seen now, or goes on. Another one than the last has a deadline of its own.
pub(super) fn asked(before: Option<Rfi>, mark: Option<u32>, now: Timestamp, policy: &Policy) -> Rfi {
    let fresh = Rfi { deadline: after_days(now, policy.rfi_days), overdue: false, mark };
    match before {
        Some(before) if before.mark.is_some() && mark.is_some() && before.mark != mark => fresh,
        Some(before) => Rfi { mark: mark.or(before.mark), ..before },
        None => fresh,
    }
}

pub(super) fn deadline_passed(case: &Case, now: Timestamp) -> Turn {
    match &case.state {
        CaseState::AwaitingCorrection { deadline, .. } if *deadline <= now => {
            Turn::to_final(FinalReason::DeadlinePassed, "Nobody corrected before the deadline")
        }
        CaseState::AwaitingCorrection { .. }
        | CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Turn::stay("No deadline has passed"),
    }
}

/// One word for all reminders that were missed together.
pub(super) fn reminder_due(case: &Case, now: Timestamp) -> Turn {
    match &case.state {
        CaseState::AwaitingCorrection { grounds, deadline, reminders }
            if reminders.iter().any(|at| *at <= now) =>
        {
            let left = reminders.iter().copied().filter(|at| *at > now).collect();
            let (grounds, deadline) = (grounds.clone(), *deadline);
            Turn::to(
                CaseState::AwaitingCorrection { grounds, deadline, reminders: left },
                "The customer is reminded that a correction is awaited",
            )
            .tell(Event::CorrectionRequested, "reminder")
        }
        CaseState::AwaitingCorrection { .. }
        | CaseState::Watching { .. }
        | CaseState::Rejected { .. }
        | CaseState::Submitting { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Turn::stay("Nobody is to be reminded"),
    }
}

/// Information that Nium wants was not given in time. Where the customer's standing hangs on it, a person is asked;
/// beside an approval the backend only hears of it.
pub(super) fn rfi_deadline_passed(case: &Case, now: Timestamp) -> Turn {
    if !is_rfi_ripe(case, now) {
        return Turn::stay("No request for information is overdue");
    }
    match &case.state {
        CaseState::Watching { .. } | CaseState::UnderReview { .. } => {
            Turn::to_officer(case, OfficerReason::RfiOverdue, "Nobody gave Nium the information in time")
        }
        CaseState::Rejected { .. }
        | CaseState::AwaitingCorrection { .. }
        | CaseState::Submitting { .. }
        | CaseState::Reinstated
        | CaseState::Approved
        | CaseState::FinallyRejected { .. }
        | CaseState::NeedsOfficer { .. } => Turn::stay("Nium still waits for information"),
    }
}

fn is_rfi_ripe(case: &Case, now: Timestamp) -> bool {
    case.beside.rfi.is_some_and(|rfi| !rfi.overdue && rfi.deadline <= now)
}

/// What lies beside the state once the deadline of a request for information has been told.
pub(super) fn rfi_told(case: &Case, now: Timestamp) -> (Beside, Vec<Tell>) {
    let mut beside = case.beside.clone();
    let Some(rfi) = beside.rfi.as_mut().filter(|_| is_rfi_ripe(case, now)) else {
        return (beside, Vec::new());
    };
    rfi.overdue = true;
    (beside, vec![Tell { event: Event::RfiRequested, reason: "overdue" }])
}
