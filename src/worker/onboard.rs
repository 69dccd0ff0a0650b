//! Making somebody a customer. They have no id that could be looked at: Nium's list is asked for their e-mail address or
//! registration number instead, before the write and after one of which nobody knows whether it arrived. Whoever is there
//! then, and was not before, is the applicant. One claim does one step.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::acts::{TOO_SHORT, act_of, mark};
use super::inbox::{Attendance, finished};
use super::{WorkError, Worker};
use crate::domain::act::{Act, ActStage};
use crate::domain::decision::LOOK_FAILURES_MAX;
use crate::domain::effect::EffectStatus;
use crate::domain::id::CustomerHashId;
use crate::domain::onboarding::{Applicant, Onboarded, Redirect};
use crate::flow::decide::SENDS_MAX;
use crate::nium::error::{ActAnswer, ListError, Refusal};
use crate::nium::onboard::onboarded;
use crate::store::error::StoreError;
use crate::store::rows::officer::NewNote;
use crate::store::rows::{Applied, Became, Commit, HistoryLine, KeptRedirect, LookTrouble, OpenEffect};
use crate::vault::{DataKey, Place};

/// Customers whom an answer names when nobody can tell which of them the applicant is.
const NAMED_MAX: usize = 10;

/// How an application ends without a customer.
struct End {
    status: EffectStatus,
    outcome: &'static str,
    /// For whoever asked.
    said: Value,
}

impl Worker {
    /// One step of an application.
    pub(super) async fn onboard(
        &self,
        attendance: &mut Attendance,
        open: OpenEffect,
    ) -> Result<(), WorkError> {
        match &open.stage {
            // Whoever sent it is gone; what left may still be on its way to Nium's database.
            ActStage::Sending { request_id, sends, known } => {
                return self
                    .let_settle(attendance, &open, (*request_id, *sends, known.clone()), "interrupted")
                    .await;
            }
            ActStage::Unclear { settled_at, .. } if self.clock.now() < *settled_at => {
                return self.give_back(attendance, *settled_at).await;
            }
            ActStage::Intended | ActStage::Unclear { .. } | ActStage::Taken => {}
        }
        let key = self.data_key(attendance.lease.customer).await?;
        let Act::Onboard { applicant } = act_of(&open, &key)? else { return Err(WorkError::NoRequest) };
        let permit = self.nium.permit(attendance.class).await;
        if !self.has_time(&attendance.lease) {
            return self.give_back(attendance, self.clock.now()).await;
        }
        match self.nium.found_by(applicant.found_by(), self.chance.uuid(), permit).await {
            Ok(there) => {
                self.lane.well();
                // Failures stay until the write itself was answered.
                attendance.trouble.unreadable = 0;
                self.apply_or_find(attendance, &open, &key, &applicant, there).await
            }
            Err(error) => self.list_failed(attendance, &open, &key, error).await,
        }
    }

    /// What the list just seen means: the applicant is there, or is sent.
    async fn apply_or_find(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        applicant: &Applicant,
        there: Vec<CustomerHashId>,
    ) -> Result<(), WorkError> {
        let ActStage::Unclear { request_id, sends, known, .. } = &open.stage else {
            return self.apply(attendance, open, key, applicant, (self.chance.uuid(), 1, there)).await;
        };
        let (request_id, sends) = (*request_id, *sends);
        match self.newcomers(there, known).await?.as_slice() {
            [] if sends >= SENDS_MAX => {
                let end = End { status: EffectStatus::Failed, outcome: "cannot_send", said: json!({}) };
                self.end_application(attendance, open, key, end).await
            }
            [] => self.apply(attendance, open, key, applicant, (request_id, sends + 1, known.clone())).await,
            [customer] => {
                let found = Onboarded { customer: *customer, said: Map::new(), redirect: None };
                self.welcome(attendance, open, applicant, found, "found_at_nium").await
            }
            several => {
                let named: Vec<_> = several.iter().take(NAMED_MAX).collect();
                let message = "Nium's answer was lost, and more than one customer came since: which of them is the applicant cannot be told";
                let said = json!({ "message": message, "errors": named });
                let end = End { status: EffectStatus::Failed, outcome: "cannot_tell", said };
                self.end_application(attendance, open, key, end).await
            }
        }
    }

    /// Sends it: `sending` is on disk before the first byte.
    async fn apply(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        applicant: &Applicant,
        (request_id, sends, known): (Uuid, u32, Vec<CustomerHashId>),
    ) -> Result<(), WorkError> {
        let mut permit = self.nium.permit(attendance.class).await;
        if !self.has_time(&attendance.lease) {
            return self.give_back(attendance, self.clock.now()).await;
        }
        let sending = ActStage::Sending { request_id, sends, known: known.clone() };
        let change = mark(open, EffectStatus::Sending, Some(sending), None);
        let commit = Commit { effect: Some(change), hold: true, ..Commit::default() };
        finished(self.store.commit(&attendance.lease, commit).await?)?;
        // The commit may have waited for the database.
        self.nium.on_time(&mut permit).await;
        if !self.has_time(&attendance.lease) {
            return self
                .application_not_sent(attendance, open, (request_id, sends, known), TOO_SHORT, None)
                .await;
        }
        let act = Act::Onboard { applicant: applicant.clone() };
        let nobody = attendance.lease.customer;
        match self.nium.act(&act, nobody, &Map::new(), request_id, permit).await {
            ActAnswer::Done(answer) => match onboarded(&answer) {
                Some(found) => {
                    self.lane.well();
                    self.welcome(attendance, open, applicant, found, "done").await
                }
                None => self.let_settle(attendance, open, (request_id, sends, known), "unreadable").await,
            },
            // Sent before, and perhaps taken then: Nium refuses a second one with the same e-mail address.
            ActAnswer::Refused(refusal) if sends > 1 => {
                self.lane.well();
                let sent = (request_id, sends, known);
                self.refused_again(attendance, open, key, applicant, sent, refusal).await
            }
            ActAnswer::Refused(refusal) => {
                self.lane.well();
                self.refused(attendance, open, key, refusal).await
            }
            ActAnswer::NoSuchCustomer => {
                let said = json!({ "message": "Nium has no such address (404): look at nium.base_url and nium.client_hash_id" });
                let end = End { status: EffectStatus::Failed, outcome: "no_such_address", said };
                self.end_application(attendance, open, key, end).await
            }
            ActAnswer::NotTaken(trouble) => {
                self.pause_lane(&trouble, self.clock.now());
                let (why, rest) = (trouble.kind.as_str(), trouble.retry_after);
                self.application_not_sent(attendance, open, (request_id, sends, known), why, rest).await
            }
            ActAnswer::Unclear(why) => {
                self.let_settle(attendance, open, (request_id, sends, known), why).await
            }
        }
    }

    /// It certainly did not reach the part of Nium that acts: it is sent again, and the attempt does not count.
    async fn application_not_sent(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        (request_id, sends, known): (Uuid, u32, Vec<CustomerHashId>),
        why: &str,
        rest: Option<Duration>,
    ) -> Result<(), WorkError> {
        let settled_at = self.clock.now();
        let stage = match sends {
            1 => ActStage::Intended,
            _ => ActStage::Unclear { request_id, settled_at, sends: sends - 1, known },
        };
        self.again_later(attendance, open, stage, why, rest).await
    }

    /// Refused after an attempt of which nobody knows: perhaps that one was taken, and this one is the double.
    async fn refused_again(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        applicant: &Applicant,
        (request_id, sends, known): (Uuid, u32, Vec<CustomerHashId>),
        refusal: Refusal,
    ) -> Result<(), WorkError> {
        let permit = self.nium.permit(attendance.class).await;
        let there = self.nium.found_by(applicant.found_by(), self.chance.uuid(), permit).await;
        let Ok(there) = there else {
            return self
                .let_settle(attendance, open, (request_id, sends, known), "refused_after_unclear")
                .await;
        };
        match self.newcomers(there, &known).await?.as_slice() {
            [customer] => {
                let found = Onboarded { customer: *customer, said: Map::new(), redirect: None };
                self.welcome(attendance, open, applicant, found, "found_at_nium").await
            }
            _ => self.refused(attendance, open, key, refusal).await,
        }
    }

    async fn refused(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        key: &DataKey,
        Refusal { message, errors }: Refusal,
    ) -> Result<(), WorkError> {
        let said = json!({ "message": message, "errors": errors });
        let end = End { status: EffectStatus::Refused, outcome: "refused_by_nium", said };
        self.end_application(attendance, open, key, end).await
    }

    /// Who is there now and was not before, without those whose application is on file: they are somebody else.
    async fn newcomers(
        &self,
        there: Vec<CustomerHashId>,
        known: &[CustomerHashId],
    ) -> Result<Vec<CustomerHashId>, WorkError> {
        let mut new = Vec::new();
        for customer in there.into_iter().filter(|customer| !known.contains(customer)) {
            if self.store.application(customer).await?.is_none() {
                new.push(customer);
            }
        }
        Ok(new)
    }

    /// The applicant is a customer: what was theirs under our id is filed under Nium's.
    async fn welcome(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        applicant: &Applicant,
        found: Onboarded,
        outcome: &'static str,
    ) -> Result<(), WorkError> {
        let customer = found.customer;
        let key = match self.data_key(customer).await {
            // Nium has given them the id of somebody who was erased: a person has to look.
            Err(WorkError::Store(StoreError::Erased)) => {
                let key = self.data_key(attendance.lease.customer).await?;
                let said = json!({ "customerHashId": customer });
                let end = End { status: EffectStatus::Failed, outcome: "customer_erased", said };
                return self.end_application(attendance, open, &key, end).await;
            }
            key => key?,
        };
        let place = Place { table: "application", column: "sealed", row: customer.to_string() };
        let application = key.seal(&place, &serde_json::to_vec(applicant.body())?)?;
        let redirect = found.redirect.as_ref().map(|redirect| self.keep_redirect(&key, customer, redirect));
        let redirect = redirect.transpose()?;
        let mut said = found.said;
        said.insert("customerHashId".to_owned(), json!(customer));
        if let (Some(redirect), Some(kept)) = (&found.redirect, &redirect) {
            said.insert("redirectUrl".to_owned(), json!(redirect.url));
            said.insert("redirectExpiresAt".to_owned(), json!(kept.expires_at));
        }
        let mut effect = mark(open, EffectStatus::Done, None, Some(outcome));
        effect.said = Some(Self::seal_said(&key, &open.key, &Value::Object(said))?);
        let detail = json!({ "effectId": open.key, "outcome": outcome, "customerType": applicant.kind() });
        let line = HistoryLine { what: "onboarded", detail };
        let notes = self.notes_for(attendance.lease.customer, &key).await?;
        let became = Some(Became { customer, application, redirect, notes });
        finished(self.store.applied(&attendance.lease, Applied { effect, became, line }).await?)?;
        tracing::info!(%customer, effect = %open.key, outcome, "an applicant became a customer");
        Ok(())
    }

    /// What officers noted about an applicant, such as why they are held, as the customer will have it.
    async fn notes_for(&self, applicant: CustomerHashId, key: &DataKey) -> Result<Vec<NewNote>, WorkError> {
        let kept = self.store.notes(applicant).await?;
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.data_key(applicant).await?;
        let mut notes = Vec::new();
        for (id, sealed) in kept {
            let place = Place::of_note(&id);
            if let (Ok(id), Ok(text)) = (Uuid::parse_str(&id), before.open(&place, &sealed)) {
                notes.push(NewNote { id, sealed: key.seal(&place, &text)? });
            } else {
                // Nobody waits for a note that cannot be read.
                tracing::error!(%applicant, "a note cannot be read and stays behind");
            }
        }
        Ok(notes)
    }

    /// An address as it is kept, with the moment at which it ends.
    pub(super) fn keep_redirect(
        &self,
        key: &DataKey,
        customer: CustomerHashId,
        redirect: &Redirect,
    ) -> Result<KeptRedirect, WorkError> {
        let place = Place { table: "redirect", column: "sealed", row: customer.to_string() };
        let said = redirect.minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
        Ok(KeptRedirect {
            sealed: key.seal(&place, redirect.url.as_bytes())?,
            expires_at: self.later(said.unwrap_or(self.options.redirect_lives)),
        })
    }

    async fn end_application(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        key: &DataKey,
        end: End,
    ) -> Result<(), WorkError> {
        let mut effect = mark(open, end.status, None, Some(end.outcome));
        effect.said = Some(Self::seal_said(key, &open.key, &end.said)?);
        let detail = json!({ "effectId": open.key, "status": end.status.as_str(), "outcome": end.outcome });
        let line = HistoryLine { what: "act_ended", detail };
        finished(self.store.applied(&attendance.lease, Applied { effect, became: None, line }).await?)
    }

    /// Nium is given time to show what a write did.
    async fn let_settle(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        (request_id, sends, known): (Uuid, u32, Vec<CustomerHashId>),
        why: &str,
    ) -> Result<(), WorkError> {
        let settled_at = self.settled_at(sends);
        let stage = ActStage::Unclear { request_id, settled_at, sends, known };
        let change = mark(open, EffectStatus::Unclear, Some(stage), Some(why));
        // Nothing is owed before that moment.
        let due_at = Some(settled_at);
        let commit = Commit { effect: Some(change), looked: true, due_at, ..Commit::default() };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }

    /// Nobody could look: everybody waits, or this application alone, and not for ever.
    async fn list_failed(
        &self,
        attendance: &mut Attendance,
        open: &OpenEffect,
        key: &DataKey,
        error: ListError,
    ) -> Result<(), WorkError> {
        match error {
            ListError::Trouble(trouble) => {
                self.pause_lane(&trouble, self.clock.now());
                let stage = open.stage.clone();
                self.again_later(attendance, open, stage, trouble.kind.as_str(), trouble.retry_after).await
            }
            ListError::Unreadable(_) if attendance.trouble.unreadable + 1 >= LOOK_FAILURES_MAX => {
                let message = "Nium's customer list could not be read several times in a row; without it an application is not sent";
                let outcome = match open.stage {
                    ActStage::Intended => "list_unreadable",
                    ActStage::Sending { .. } | ActStage::Unclear { .. } | ActStage::Taken => "cannot_tell",
                };
                let end = End { status: EffectStatus::Failed, outcome, said: json!({ "message": message }) };
                self.end_application(attendance, open, key, end).await
            }
            ListError::Unreadable(why) => {
                attendance.trouble.unreadable += 1;
                let stage = open.stage.clone();
                self.again_later(attendance, open, stage, why, None).await
            }
        }
    }

    async fn again_later(
        &self,
        attendance: &Attendance,
        open: &OpenEffect,
        stage: ActStage,
        why: &str,
        rest: Option<Duration>,
    ) -> Result<(), WorkError> {
        let failures = attendance.trouble.failures.saturating_add(1);
        let status = match stage {
            ActStage::Intended => EffectStatus::Pending,
            ActStage::Sending { .. } | ActStage::Unclear { .. } | ActStage::Taken => EffectStatus::Unclear,
        };
        let again_at: Timestamp = self.again_at(failures).max(self.later(rest.unwrap_or_default()));
        let commit = Commit {
            effect: Some(mark(open, status, Some(stage), Some(why))),
            trouble: LookTrouble { failures, ..attendance.trouble },
            due_at: Some(again_at),
            ..Commit::default()
        };
        finished(self.store.commit(&attendance.lease, commit).await?)
    }
}
