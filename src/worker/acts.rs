//! Acts at Nium other than a submission: a fresh look, Nium's rules, the write with its intent on file first, and a look
//! afterwards. One claim does one step; a step that was interrupted is found out by looking, never repeated blindly.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::inbox::{Attendance, Beside};
use super::rfi::RfiSeen;
use super::{WorkError, Worker};
use crate::domain::act::{Act, ActStage};
use crate::domain::decision::Observation;
use crate::domain::effect::EffectStatus;
use crate::domain::snapshot::Snapshot;
use crate::flow::acts::{Verdict, judge, tag_outcomes};
use crate::flow::decide::SENDS_MAX;
use crate::flow::retry::rest_after;
use crate::nium::error::{ActAnswer, LookError};
use crate::nium::onboard::regenerated;
use crate::store::rows::{Commit, EffectChange, HistoryLine, LookTrouble, OpenEffect};
use crate::vault::{DataKey, Place};

/// Why an attempt ended before its first byte.
pub(super) const TOO_SHORT: &str = "the lease was too short to send";

/// How an act ends.
struct End {
    status: EffectStatus,
    outcome: &'static str,
    /// For whoever asked; may be personal, so it is sealed.
    said: Option<Value>,
}

impl Worker {
    /// One step of the act that is open.
    pub(super) async fn act(&self, attendance: &mut Attendance, open: OpenEffect) -> Result<(), WorkError> {
        let now = self.clock.now();
        match open.stage {
            // Whoever sent it is gone; what left may still be on its way to Nium's database.
            ActStage::Sending { request_id, sends, .. } => {
                let settled_at = self.settled_at(sends);
                let stage = ActStage::Unclear { request_id, settled_at, sends, known: Vec::new() };
                return self.wait_for_nium(attendance, &open, stage, settled_at, "interrupted").await;
            }
            ActStage::Unclear { settled_at, .. } if now < settled_at => {
                let stage = open.stage.clone();
                return self.wait_for_nium(attendance, &open, stage, settled_at, "").await;
            }
            ActStage::Intended | ActStage::Unclear { .. } | ActStage::Taken => {}
        }
        let permit = self.nium.permit(attendance.class).await;
        if !self.has_time(&attendance.lease) {
            return self.give_back(attendance, now).await;
        }
        let begun_at = self.clock.now();
        match self.nium.details(attendance.lease.customer, self.chance.uuid(), permit).await {
            Ok(snapshot) => {
                self.metrics.look("seen");
                self.lane.well();
                let key = self.data_key(attendance.lease.customer).await?;
                let (next_at, asked) = self.take_in(attendance, &key, &snapshot, begun_at).await?;
                self.go_on(attendance, &open, &key, (&snapshot, &asked), next_at).await
            }
            Err(LookError::NotFound) => {
                self.metrics.look("not_found");
                self.lane.well();
                let end = End { status: EffectStatus::Failed, outcome: "no_such_customer", said: None };
                self.end(attendance, &open, None, end, None).await?;
                let beside = Beside { looked: true, ..Beside::default() };
                self.conclude(attendance, &Observation::Missing, beside).await
            }
            Err(error) => self.look_failed(attendance, error).await,
        }
    }

    /// What the look just made means for the act.
    async fn go_on(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        (seen, asked): (&Snapshot, &RfiSeen),
        next_at: Option<Timestamp>,
    ) -> Result<(), WorkError> {
        let act = act_of(open, key)?;
        let sent = !matches!(open.stage, ActStage::Intended);
        let asked = match asked {
            RfiSeen::Asked(items) => items.as_slice(),
            // Whether an answer fits, or has arrived, can only be told by what is asked.
            RfiSeen::NotHad if matches!((&act, &open.stage), (Act::Rfi { .. }, stage) if *stage != ActStage::Taken) =>
            {
                attendance.trouble.failures = attendance.trouble.failures.saturating_add(1);
                return self.give_back(attendance, self.again_at(attendance.trouble.failures)).await;
            }
            RfiSeen::NotAsked | RfiSeen::NotHad => &[],
        };
        let verdict = judge(&act, seen, asked, sent, self.options.addresses_when_completed);
        let (request_id, sends) = match open.stage {
            ActStage::Unclear { request_id, sends, .. } | ActStage::Sending { request_id, sends, .. } => {
                (request_id, sends)
            }
            ActStage::Intended | ActStage::Taken => (self.chance.uuid(), 0),
        };
        let end = match (verdict, &open.stage) {
            (Verdict::Already, ActStage::Intended) => done("already_so", &act, seen),
            (Verdict::Already, _) => done("done", &act, seen),
            // Nium said that it took it; it may show it later.
            (_, ActStage::Taken) => done("taken_and_not_seen_yet", &act, seen),
            (Verdict::Refuse(rule, sentence), _) => {
                let said = json!({ "rule": rule, "message": sentence });
                End { status: EffectStatus::Refused, outcome: rule, said: Some(said) }
            }
            (Verdict::Send, _) if sends >= SENDS_MAX => {
                End { status: EffectStatus::Failed, outcome: "cannot_send", said: None }
            }
            (Verdict::Send, _) => {
                return self
                    .send_act(attendance, open, key, &act, seen, (request_id, sends + 1), next_at)
                    .await;
            }
        };
        self.end(attendance, open, Some(key), end, next_at).await
    }

    #[expect(clippy::too_many_arguments, reason = "one step, cut in two for reading")]
    async fn send_act(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        act: &Act,
        seen: &Snapshot,
        (request_id, sends): (Uuid, u32),
        next_at: Option<Timestamp>,
    ) -> Result<(), WorkError> {
        let mut permit = self.nium.permit(attendance.class).await;
        if !self.has_time(&attendance.lease) {
            return self.give_back(attendance, self.clock.now()).await;
        }
        let sending = ActStage::Sending { request_id, sends, known: Vec::new() };
        let change = mark(open, EffectStatus::Sending, Some(sending), None);
        let commit = Commit { effect: Some(change), hold: true, ..Commit::default() };
        super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)?;
        // The commit may have waited for the database.
        self.nium.on_time(&mut permit).await;
        if !self.has_time(&attendance.lease) {
            return self.not_sent(attendance, open, TOO_SHORT, (request_id, sends)).await;
        }
        let customer = attendance.lease.customer;
        let answer = self.nium.act(act, customer, &seen.tags(), request_id, permit).await;
        let effect = &open.key;
        match answer {
            ActAnswer::Done(said) if matches!(act, Act::Regenerate) => {
                self.lane.well();
                self.renewed(attendance, open, key, &said, next_at).await
            }
            ActAnswer::Done(_) => {
                self.lane.well();
                tracing::info!(%customer, %effect, kind = act.kind().as_str(), "Nium took an act");
                let change = mark(open, EffectStatus::Sending, Some(ActStage::Taken), Some("taken"));
                let due_at = Some(self.clock.now());
                let commit = Commit { effect: Some(change), due_at, look_again: true, ..Commit::default() };
                super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)
            }
            ActAnswer::Refused(refusal) => {
                self.lane.well();
                let said = json!({ "message": refusal.message, "errors": refusal.errors });
                let end = End { status: EffectStatus::Refused, outcome: "refused_by_nium", said: Some(said) };
                self.end(attendance, open, Some(key), end, next_at).await
            }
            ActAnswer::NoSuchCustomer => {
                let end = End { status: EffectStatus::Failed, outcome: "no_such_customer", said: None };
                self.end(attendance, open, Some(key), end, next_at).await
            }
            ActAnswer::NotTaken(trouble) => {
                self.pause_lane(&trouble, self.clock.now());
                self.not_sent(attendance, open, trouble.kind.as_str(), (request_id, sends)).await
            }
            ActAnswer::Unclear(why) => {
                let settled_at = self.settled_at(sends);
                let stage = ActStage::Unclear { request_id, settled_at, sends, known: Vec::new() };
                self.wait_for_nium(attendance, open, stage, settled_at, why).await
            }
        }
    }

    /// It certainly did not reach the part of Nium that acts: it is sent again, and the attempt does not count.
    async fn not_sent(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        why: &str,
        (request_id, sends): (Uuid, u32),
    ) -> Result<(), WorkError> {
        let stage = if sends == 1 {
            ActStage::Intended
        } else {
            let settled_at = self.clock.now();
            ActStage::Unclear { request_id, settled_at, sends: sends - 1, known: Vec::new() }
        };
        let failures = attendance.trouble.failures.saturating_add(1);
        let change = mark(open, EffectStatus::Pending, Some(stage), Some(why));
        let commit = Commit {
            effect: Some(change),
            trouble: LookTrouble { failures, ..attendance.trouble },
            due_at: Some(self.again_at(failures)),
            ..Commit::default()
        };
        super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// Nium gave a new address for the customer's check, or said that it did: the answer alone can tell it.
    async fn renewed(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        key: &DataKey,
        answer: &Value,
        next_at: Option<Timestamp>,
    ) -> Result<(), WorkError> {
        let Some(redirect) = regenerated(answer) else {
            let end = End { status: EffectStatus::Failed, outcome: "no_address_in_answer", said: None };
            return self.end(attendance, open, Some(key), end, next_at).await;
        };
        let kept = self.keep_redirect(key, attendance.lease.customer, &redirect)?;
        let said = json!({ "redirectUrl": redirect.url, "redirectExpiresAt": kept.expires_at });
        let mut change = mark(open, EffectStatus::Done, None, Some("done"));
        change.said = Some(Self::seal_said(key, &open.key, &said)?);
        let detail = json!({ "effectId": open.key, "status": "done", "outcome": "done" });
        let commit = Commit {
            effect: Some(change),
            redirect: Some(kept),
            history: vec![HistoryLine { what: "act_ended", detail }],
            due_at: next_at,
            ..Commit::default()
        };
        super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// When Nium is expected to show what this attempt has done; later after each one.
    pub(super) fn settled_at(&self, sends: u32) -> Timestamp {
        let rest = rest_after(sends, self.options.policy.settle);
        self.clock.now().saturating_add(rest).unwrap_or(Timestamp::MAX)
    }

    /// Nium is given time to show what a write did. The look that follows then answers every nudge until now.
    async fn wait_for_nium(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        stage: ActStage,
        until: Timestamp,
        why: &str,
    ) -> Result<(), WorkError> {
        let attempt = (!why.is_empty()).then_some(why);
        let change = mark(open, EffectStatus::Unclear, Some(stage), attempt);
        let commit = Commit { effect: Some(change), looked: true, due_at: Some(until), ..Commit::default() };
        super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)
    }

    async fn end(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        key: Option<&DataKey>,
        end: End,
        next_at: Option<Timestamp>,
    ) -> Result<(), WorkError> {
        let said = match (key, &end.said) {
            (Some(key), Some(said)) => Some(Self::seal_said(key, &open.key, said)?),
            (Some(_) | None, _) => None,
        };
        let detail = json!({ "effectId": open.key, "status": end.status.as_str(), "outcome": end.outcome });
        let mut change = mark(open, end.status, None, Some(end.outcome));
        change.said = said;
        // Without a look there is another step to come under this lease.
        let hold = key.is_none();
        let commit = Commit {
            effect: Some(change),
            history: vec![HistoryLine { what: "act_ended", detail }],
            due_at: next_at,
            hold,
            ..Commit::default()
        };
        super::inbox::finished(self.store.commit(&attendance.lease, commit).await?)
    }
}

fn done(outcome: &'static str, act: &Act, seen: &Snapshot) -> End {
    let said = match act {
        Act::Tags { changes } => Some(json!({ "tags": tag_outcomes(changes, seen), "onFile": seen.tags() })),
        Act::Block { .. } | Act::Update { .. } | Act::Onboard { .. } | Act::Regenerate | Act::Rfi { .. } => {
            None
        }
    };
    End { status: EffectStatus::Done, outcome, said }
}

pub(super) fn mark(
    open: &OpenEffect,
    status: EffectStatus,
    stage: Option<ActStage>,
    attempt: Option<&str>,
) -> EffectChange {
    let attempt = attempt.map(str::to_owned);
    EffectChange { key: open.key.clone(), status, outcome: attempt.clone(), attempt, said: None, stage }
}

/// The act that an effect holds.
pub(super) fn act_of(open: &OpenEffect, key: &DataKey) -> Result<Act, WorkError> {
    let sealed = open.sealed.as_ref().ok_or(WorkError::NoRequest)?;
    let place = Place { table: "effect", column: "sealed", row: open.key.to_string() };
    Ok(serde_json::from_slice(&key.open(&place, sealed)?)?)
}
