//! One claimed customer: find out what there is to do, look at Nium, decide, commit.
//!
//! A claim does one thing and gives the customer back; only correction → look → send → answer goes on under one lease,
//! so that nobody else's look or write comes in between.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::rfi::RfiSeen;
use super::{WorkError, Worker, notify};
use crate::domain::act::ActKind;
use crate::domain::case::{Case, CaseState, Stage};
use crate::domain::decision::{Decision, LOOK_FAILURES_MAX, Look, NextWhat, Observation, OfficerWord};
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::snapshot::{Sighting, Snapshot};
use crate::flow::classify::classify;
use crate::flow::decide;
use crate::flow::retry::backoff;
use crate::flow::timers;
use crate::nium::error::{LookError, Trouble};
use crate::nium::pace::Class;
use crate::store::rows::events::NewTell;
use crate::store::rows::search::Mark;
use crate::store::rows::{
    Claimed, Commit, EffectChange, Finished, HistoryLine, KeptRedirect, KeptSnapshot, Lease, LookTrouble,
    OpenEffect, OpenKind, RfiChange,
};
use crate::vault::{DataKey, Place};

/// The longest wait between two failed looks at one customer.
const LOOK_BACKOFF_MAX: Duration = Duration::from_mins(15);

/// A claimed customer while somebody attends to them.
pub(super) struct Attendance {
    pub(super) lease: Lease,
    pub(super) case: Case,
    pub(super) open: Option<OpenEffect>,
    pub(super) trouble: LookTrouble,
    /// Known from the first sweep alone.
    pub(super) historic: bool,
    /// Whose turn a call to Nium takes.
    pub(super) class: Class,
    /// Nobody asked for the look that is coming.
    pub(super) unasked: bool,
}

/// What to write beside a decision.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) snapshot: Option<KeptSnapshot>,
    /// What the customer of the snapshot can be found by.
    pub(super) marks: Option<Vec<Mark>>,
    pub(super) looked: bool,
    /// Nobody asked for the look; until when a callback about what it saw may be late.
    pub(super) unasked: Option<Timestamp>,
    pub(super) hold: bool,
    /// What an attempt at the effect under way came to.
    pub(super) attempt: Option<String>,
    /// What Nium said about it, sealed.
    pub(super) said: Option<Vec<u8>>,
    /// Where the customer goes on.
    pub(super) redirect: Option<KeptRedirect>,
    /// What Nium asks of the customer.
    pub(super) rfi: RfiChange,
    /// Something was not had: a look is owed.
    pub(super) look_again: bool,
    /// Not before this moment, whatever would be next.
    pub(super) rest: Option<Timestamp>,
}

impl Worker {
    /// Attends to one claimed customer, traced or not.
    pub(super) async fn attend_to(&self, claimed: Claimed) {
        let customer = claimed.lease.customer;
        let (lease, trouble) = (claimed.lease.clone(), claimed.trouble);
        let Err(error) = self.attend_or_fail(claimed).await else {
            return;
        };
        self.metrics.failures.inc();
        if matches!(error, WorkError::LeaseLost) {
            self.metrics.leases_lost.inc();
            tracing::warn!(%customer, "the lease was lost; nothing was written");
            return;
        }
        tracing::error!(%customer, %error, "attending to a customer failed; it is tried again");
        let failures = trouble.failures.saturating_add(1);
        let due_at = Some(self.again_at(failures));
        let commit = Commit { trouble: LookTrouble { failures, ..trouble }, due_at, ..Commit::default() };
        if let Err(error) = self.store.commit(&lease, commit).await {
            // The customer is given back once the database answers; at the latest the lease ends by itself.
            self.hands.doubt();
            tracing::error!(%customer, %error, "giving a customer back failed");
        }
    }

    async fn attend_or_fail(&self, claimed: Claimed) -> Result<(), WorkError> {
        let now = self.clock.now();
        let first_look = claimed.case.is_none();
        let Claimed { lease, case, next, nudged, trouble, historic, swept, open } = claimed;
        let case = case.unwrap_or_else(|| Case::unseen(lease.customer, now));
        let class = if swept { Class::Sweep } else { Class::Live };
        let unasked = !nudged && !matches!(case.state, CaseState::Submitting { .. });
        let mut attendance = Attendance { lease, case, open, trouble, historic, class, unasked };
        let due = |what| next.is_some_and(|next| next.what == what && next.at <= now);

        if matches!(attendance.case.state, CaseState::Submitting { stage: Stage::Sending { .. }, .. }) {
            return self.conclude(&mut attendance, &Observation::Interrupted, Beside::default()).await;
        }
        match attendance.open.as_ref().map(|open| (open.kind, open.key.clone())) {
            Some((OpenKind::Officer(word), _)) => return self.officer(&mut attendance, word).await,
            Some((OpenKind::Act(kind), _)) => {
                let Some(open) = attendance.open.clone() else { return Ok(()) };
                return match kind {
                    ActKind::Onboard => self.onboard(&mut attendance, open).await,
                    ActKind::Block | ActKind::Tags | ActKind::Update | ActKind::Regenerate | ActKind::Rfi => {
                        self.act(&mut attendance, open).await
                    }
                };
            }
            Some((OpenKind::Submit, key))
                if !matches!(attendance.case.state, CaseState::Submitting { .. }) =>
            {
                let hold = matches!(attendance.case.state, CaseState::AwaitingCorrection { .. });
                let seen = Observation::Corrected(key);
                self.conclude(&mut attendance, &seen, Beside { hold, ..Beside::default() }).await?;
                if !hold {
                    return Ok(());
                }
            }
            None if let Some(seen) = timers::ripe(&attendance.case, now) => {
                return self.ripe(&mut attendance, &seen).await;
            }
            // A submission that the case knows of goes on below.
            Some((OpenKind::Submit, _)) | None => {}
        }
        let submitting = matches!(attendance.case.state, CaseState::Submitting { .. });
        if first_look || nudged || submitting || due(NextWhat::Look) || trouble.failures > 0 {
            return self.look(&mut attendance, first_look).await;
        }
        let commit = Commit { due_at: next.map(|next| next.at), ..Commit::default() };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// A deadline or a reminder has been reached.
    async fn ripe(&self, attendance: &mut Attendance, seen: &Observation) -> Result<(), WorkError> {
        self.conclude(attendance, seen, Beside::default()).await?;
        match seen {
            Observation::DeadlinePassed => self.metrics.deadline("offer"),
            Observation::RfiDeadlinePassed => self.metrics.deadline("rfi"),
            _ => {}
        }
        Ok(())
    }

    async fn officer(&self, attendance: &mut Attendance, word: OfficerWord) -> Result<(), WorkError> {
        let now = self.clock.now();
        let Some((key, approved)) = attendance.open.as_ref().map(|open| (open.key.clone(), open.approved))
        else {
            return Ok(());
        };
        // Two words of one person, the first of which closes the case, are still one person's.
        let overrides = matches!(word, OfficerWord::Offer | OfficerWord::Reapply)
            && matches!(attendance.case.state, CaseState::FinallyRejected { .. });
        let seen = if overrides && self.options.override_needs_approval && !approved {
            Observation::NotApproved
        } else {
            Observation::Officer(word)
        };
        let mut decision = decide(&attendance.case, &seen, now, &self.options.policy);
        let outcome = if decision.case.state == attendance.case.state {
            EffectStatus::Refused
        } else {
            EffectStatus::Done
        };
        // A word that asks for a look changes no state, and is done all the same.
        let outcome = if word == OfficerWord::Retry { EffectStatus::Done } else { outcome };
        decision.effect = Some((key, outcome));
        self.write(attendance, &decision, Beside::default(), now).await
    }

    /// Asks Nium about the customer and decides about what it says.
    async fn look(&self, attendance: &mut Attendance, first_look: bool) -> Result<(), WorkError> {
        let customer = attendance.lease.customer;
        let permit = self.nium.permit(attendance.class).await;
        if let Some(at) = self.lane.paused_until(self.clock.now()) {
            // Whoever was claimed already waits too.
            return self.give_back(attendance, at).await;
        }
        if !self.has_time(&attendance.lease) {
            return self.give_back(attendance, self.clock.now()).await;
        }
        let begun_at = self.clock.now();
        match self.nium.details(customer, self.chance.uuid(), permit).await {
            Ok(snapshot) => {
                self.metrics.look("seen");
                self.lane.well();
                self.seen(attendance, snapshot, begun_at).await
            }
            Err(LookError::NotFound) => {
                self.metrics.look("not_found");
                self.lane.well();
                if first_look {
                    tracing::info!(%customer, "Nium does not know this id; no case is made");
                    return finished(self.store.forget(&attendance.lease).await?);
                }
                let beside = Beside { looked: true, ..Beside::default() };
                self.conclude(attendance, &Observation::Missing, beside).await
            }
            Err(error) => self.look_failed(attendance, error).await,
        }
    }

    /// A look saw nothing: everybody waits, or this customer alone.
    pub(super) async fn look_failed(
        &self,
        attendance: &mut Attendance,
        error: LookError,
    ) -> Result<(), WorkError> {
        match error {
            LookError::Trouble(trouble) => {
                self.metrics.look("trouble");
                if self.pause_lane(&trouble, self.clock.now()) {
                    self.nium_trouble(attendance, &trouble).await
                } else {
                    self.of_this_customer(attendance, trouble.kind.as_str()).await
                }
            }
            LookError::Unreadable(why) => {
                self.metrics.look("unreadable");
                self.of_this_customer(attendance, why).await
            }
            LookError::NotFound => {
                self.metrics.look("not_found");
                let beside = Beside { looked: true, ..Beside::default() };
                self.conclude(attendance, &Observation::Missing, beside).await
            }
        }
    }

    /// Nium answered: keep what it said, decide, and if that releases a submission, send it.
    async fn seen(
        &self,
        attendance: &mut Attendance,
        snapshot: Snapshot,
        begun_at: Timestamp,
    ) -> Result<(), WorkError> {
        let customer = attendance.lease.customer;
        let key = self.data_key(customer).await?;
        // First, and by itself: it waits for Nium too, and whoever holds a permit must not wait for another.
        let asked = self.what_is_asked(attendance, &snapshot).await;
        // A submission goes out under Nium's pace too: the permit comes before the decision, so that nothing is
        // committed as "sending" that then has to wait long.
        let permit = match attendance.case.state {
            CaseState::Submitting { .. } => Some(self.nium.permit(Class::Live).await),
            _ => None,
        };
        let decision = self.decide_about(attendance, &key, &snapshot, begun_at, &asked);
        let sends = matches!(decision.case.state, CaseState::Submitting { stage: Stage::Sending { .. }, .. });
        self.write_seen(attendance, &key, &snapshot, begun_at, (&decision, &asked), sends).await?;
        match permit {
            Some(permit) if sends => self.submit(attendance, &key, permit).await,
            _ => Ok(()),
        }
    }

    /// A look that something else waits for: what it saw is decided about and written, and the lease is kept. Gives the
    /// moment of what happens next by itself, and what Nium asks.
    pub(super) async fn take_in(
        &self,
        attendance: &mut Attendance,
        key: &DataKey,
        snapshot: &Snapshot,
        begun_at: Timestamp,
    ) -> Result<(Option<Timestamp>, RfiSeen), WorkError> {
        let asked = self.what_is_asked(attendance, snapshot).await;
        let decision = self.decide_about(attendance, key, snapshot, begun_at, &asked);
        self.write_seen(attendance, key, snapshot, begun_at, (&decision, &asked), true).await?;
        Ok((decision.next.map(|next| next.at), asked))
    }

    fn decide_about(
        &self,
        attendance: &Attendance,
        key: &DataKey,
        snapshot: &Snapshot,
        begun_at: Timestamp,
        asked: &RfiSeen,
    ) -> Decision {
        let remark_text = snapshot.remark_text();
        let look = Look {
            standing: snapshot.facts.standing(),
            sighting: Sighting {
                compliance: snapshot.facts.compliance.clone(),
                status: snapshot.facts.status.clone(),
                updated_at: snapshot.facts.updated_at.clone(),
                remarks_mark: key.mark(remark_text.as_bytes()),
                begun_at,
            },
            grounds: classify(&remark_text, &self.options.rules),
            kind: snapshot.facts.kind,
            blocked_by: snapshot.facts.blocked_by,
            historic: attendance.historic,
            rfi_mark: asked.mark(),
            fresh_request_id: self.chance.uuid(),
        };
        decide(&attendance.case, &Observation::Looked(look), self.clock.now(), &self.options.policy)
    }

    /// Writes what a look saw with what was decided about it.
    async fn write_seen(
        &self,
        attendance: &mut Attendance,
        key: &DataKey,
        snapshot: &Snapshot,
        begun_at: Timestamp,
        (decision, asked): (&Decision, &RfiSeen),
        hold: bool,
    ) -> Result<(), WorkError> {
        let place = Place { table: "snapshot", column: "sealed", row: attendance.lease.customer.to_string() };
        let sealed = key.seal(&place, &serde_json::to_vec(snapshot)?)?;
        let kept = KeptSnapshot { looked_at: begun_at, facts: snapshot.facts.clone(), sealed };
        // What the look saw is kept; what it could not have is a reason for another one.
        let not_had = matches!(asked, RfiSeen::NotHad);
        let failures = match (hold, not_had) {
            // That Nium shows somebody says nothing of the write that this look was for.
            (true, _) => attendance.trouble.failures,
            (false, true) => attendance.trouble.failures.saturating_add(1),
            (false, false) => 0,
        };
        attendance.trouble = LookTrouble { failures, unreadable: 0 };
        let unasked = attendance.unasked.then(|| self.later(self.options.sweep.grace));
        let marks = Some(self.marks_of(snapshot).await?);
        let rfi = Self::kept_rfi(key, attendance.lease.customer, asked)?;
        let look_again = not_had && hold;
        let snapshot = Some(kept);
        let beside =
            Beside { snapshot, marks, looked: true, hold, unasked, rfi, look_again, ..Beside::default() };
        self.write(attendance, decision, beside, self.clock.now()).await
    }

    /// Nium is in trouble: the customer waits, nothing is decided, no attempt is spent.
    async fn nium_trouble(&self, attendance: &Attendance, trouble: &Trouble) -> Result<(), WorkError> {
        let failures = attendance.trouble.failures.saturating_add(1);
        let wait = backoff(failures, LOOK_BACKOFF_MAX, self.chance.roll())
            .max(trouble.retry_after.unwrap_or_default());
        let trouble = LookTrouble { failures, ..attendance.trouble };
        let commit = Commit { trouble, due_at: Some(self.later(wait)), ..Commit::default() };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// Whether this is everybody's trouble; then all calls pause.
    pub(super) fn pause_lane(&self, trouble: &Trouble, now: Timestamp) -> bool {
        let pause = self.lane.trouble(trouble, now, self.chance.roll());
        if let Some(pause) = pause {
            self.metrics.pause(trouble.kind.as_str());
            let seconds = pause.as_secs_f64();
            tracing::warn!(
                reason = trouble.kind.as_str(),
                seconds,
                "Nium is in trouble; all calls to it pause"
            );
        }
        pause.is_some()
    }

    /// Nium answers others, but not about this customer, or not readably: again later, and a person if that goes on.
    /// Every reason is kept.
    async fn of_this_customer(&self, attendance: &mut Attendance, why: &str) -> Result<(), WorkError> {
        let LookTrouble { failures, unreadable } = attendance.trouble;
        let (failures, unreadable) = (failures.saturating_add(1), unreadable.saturating_add(1));
        if unreadable >= LOOK_FAILURES_MAX {
            // A person is asked where the state hangs on it. The look is owed all the same: nobody has seen what the callback was
            // about.
            attendance.trouble = LookTrouble { failures, unreadable: 0 };
            return self.conclude(attendance, &Observation::LooksFail, Beside::default()).await;
        }
        let wait = backoff(failures, LOOK_BACKOFF_MAX, self.chance.roll());
        let line = HistoryLine { what: "look_failed", detail: json!({ "why": why, "inARow": unreadable }) };
        let commit = Commit {
            trouble: LookTrouble { failures, unreadable },
            history: vec![line],
            due_at: Some(self.later(wait)),
            ..Commit::default()
        };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// Decides about one observation and writes what follows.
    pub(super) async fn conclude(
        &self,
        attendance: &mut Attendance,
        seen: &Observation,
        beside: Beside,
    ) -> Result<(), WorkError> {
        let now = self.clock.now();
        let decision = decide(&attendance.case, seen, now, &self.options.policy);
        self.write(attendance, &decision, beside, now).await
    }

    /// Writes a decision: the case, its effects and its line in the timeline, in one transaction.
    async fn write(
        &self,
        attendance: &mut Attendance,
        decision: &Decision,
        beside: Beside,
        now: Timestamp,
    ) -> Result<(), WorkError> {
        let begun = Instant::now();
        let changed = decision.case.version != attendance.case.version;
        let application = match &decision.effect {
            Some((key, EffectStatus::Done)) => self.taken_application(attendance, key).await?,
            _ => None,
        };
        let effect = decision.effect.clone().map(|(key, status)| EffectChange {
            key,
            status,
            attempt: beside.attempt.clone(),
            said: beside.said,
            outcome: beside.attempt.or_else(|| Some(decision.because.to_owned())),
            stage: None,
        });
        let commit = Commit {
            case: Some((decision.case.clone(), decision.next)),
            snapshot: beside.snapshot,
            marks: beside.marks,
            application,
            redirect: beside.redirect,
            rfi: beside.rfi,
            history: if changed { vec![decided(&attendance.case, decision)] } else { Vec::new() },
            tells: self.compose(decision, now)?,
            mails: self.mails(&decision.case, &decision.tells).await?,
            effect,
            looked: beside.looked,
            unasked: beside.unasked,
            trouble: attendance.trouble,
            due_at: beside
                .rest
                .or_else(|| self.due_after(attendance.trouble, decision.next.map(|next| next.at))),
            hold: beside.hold,
            look_again: beside.look_again,
        };
        finished(self.store.commit(&attendance.lease, commit).await?)?;
        let (from, to) = (attendance.case.state.name(), decision.case.state.name());
        if from != to || attendance.case.version == 0 {
            self.metrics.decision(to);
            tracing::info!(customer = %attendance.lease.customer, from, to, version = decision.case.version, because = decision.because, "decided");
        }
        if changed {
            self.trace_decision(attendance, decision, begun);
        }
        attendance.case = decision.case.clone();
        Ok(())
    }

    /// When the customer is due after a decision. A look that failed before is still owed, whatever else was decided.
    fn due_after(&self, trouble: LookTrouble, next_at: Option<Timestamp>) -> Option<Timestamp> {
        let owed_at = (trouble.failures > 0).then(|| self.again_at(trouble.failures));
        owed_at.into_iter().chain(next_at).min()
    }

    /// Once Nium has taken a submission, what was sent is the application on file: Nium does not give all of it back.
    async fn taken_application(
        &self,
        attendance: &Attendance,
        key: &EffectKey,
    ) -> Result<Option<Vec<u8>>, WorkError> {
        let Some(open) =
            attendance.open.as_ref().filter(|open| open.key == *key && open.kind == OpenKind::Submit)
        else {
            return Ok(None);
        };
        let data_key = self.data_key(attendance.lease.customer).await?;
        let request = super::outbox::request_of(open, &data_key)?;
        let place =
            Place { table: "application", column: "sealed", row: attendance.lease.customer.to_string() };
        Ok(Some(data_key.seal(&place, &serde_json::to_vec(&request)?)?))
    }

    fn compose(&self, decision: &Decision, now: Timestamp) -> Result<Vec<NewTell>, WorkError> {
        let numbered = (0_u32..).zip(&decision.tells);
        numbered
            .map(|(position, tell)| {
                let event = notify::compose(&decision.case, tell, position, &self.options.api_url, now)?;
                Ok(self.addressed(event))
            })
            .collect()
    }

    /// Whether a call begun now would end, at its limit, while the lease is still ours.
    pub(super) fn has_time(&self, lease: &Lease) -> bool {
        let needed = self.options.call_limit + super::runner::SKEW;
        self.later(needed) <= lease.until
    }

    pub(super) async fn give_back(
        &self,
        attendance: &Attendance,
        due_at: Timestamp,
    ) -> Result<(), WorkError> {
        let commit = Commit { due_at: Some(due_at), trouble: attendance.trouble, ..Commit::default() };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// When to try again after so many failures in a row.
    pub(super) fn again_at(&self, failures: u32) -> Timestamp {
        self.later(backoff(failures, LOOK_BACKOFF_MAX, self.chance.roll()))
    }

    pub(super) fn later(&self, span: Duration) -> Timestamp {
        self.clock.now().checked_add(span).unwrap_or(Timestamp::MAX)
    }

    /// The sealed place and key for something Nium said about an effect.
    pub(super) fn seal_said(
        key: &DataKey,
        effect: &EffectKey,
        said: &serde_json::Value,
    ) -> Result<Vec<u8>, WorkError> {
        let place = Place { table: "effect", column: "said", row: effect.to_string() };
        Ok(key.seal(&place, &serde_json::to_vec(said)?)?)
    }
}

fn decided(before: &Case, decision: &Decision) -> HistoryLine {
    let to = decision.case.state.name();
    let mut detail = json!({ "to": to, "because": decision.because });
    if before.version > 0
        && let Some(detail) = detail.as_object_mut()
    {
        detail.insert("from".to_owned(), json!(before.state.name()));
    }
    HistoryLine { what: "decided", detail }
}

pub(super) fn finished(finished: Finished) -> Result<(), WorkError> {
    match finished {
        Finished::Done => Ok(()),
        Finished::LeaseLost => Err(WorkError::LeaseLost),
    }
}
