//! A submission that a look has just released. `sending` is on disk before the first byte; whatever becomes of the
//! attempt is an observation, and only what certainly did not arrive is ever sent again without looking.

use serde_json::{Map, Value, json};

use super::acts::TOO_SHORT;
use super::inbox::{Attendance, Beside};
use super::{WorkError, Worker};
use crate::domain::case::{CaseState, Stage};
use crate::domain::decision::{Answer, Observation};
use crate::domain::onboarding::Redirect;
use crate::nium::error::SubmitAnswer;
use crate::nium::pace::Permit;
use crate::store::rows::OpenEffect;
use crate::vault::{DataKey, Place};

impl Worker {
    /// Sends the submission of a case that was just committed as `sending`, and decides about the answer.
    pub(super) async fn submit(
        &self,
        attendance: &mut Attendance,
        key: &DataKey,
        mut permit: Permit,
    ) -> Result<(), WorkError> {
        let CaseState::Submitting { stage: Stage::Sending { request_id, sends, .. }, effect, .. } =
            &attendance.case.state
        else {
            return Ok(());
        };
        let (request_id, effect, sends) = (*request_id, effect.clone(), *sends);
        let open = attendance.open.as_ref().filter(|open| open.key == effect).ok_or(WorkError::NoRequest)?;
        let request = request_of(open, key)?;
        // The commit may have waited for the database.
        self.nium.on_time(&mut permit).await;
        if !self.has_time(&attendance.lease) {
            // Not one byte has left: say so, instead of leaving a riddle for the next holder.
            let beside = Beside { attempt: Some(TOO_SHORT.to_owned()), ..Beside::default() };
            return self.conclude(attendance, &Observation::Answered(Answer::NotTaken), beside).await;
        }
        let customer = attendance.lease.customer;
        let answer = self.nium.add_customer(&request, customer, request_id, permit).await;
        let redirect = match &answer {
            SubmitAnswer::Taken(taken) => taken.redirect_url.clone(),
            SubmitAnswer::Refused(_)
            | SubmitAnswer::NoSuchCustomer
            | SubmitAnswer::NotTaken(_)
            | SubmitAnswer::Unclear(_) => None,
        };
        let redirect =
            redirect.map(|url| self.keep_redirect(key, customer, &Redirect { url, minutes: None }));
        // What was refused before anybody looked at it is tried ever more seldom, however well Nium shows the customer.
        let (failures, rest) = match &answer {
            SubmitAnswer::NotTaken(trouble) => {
                let failures = attendance.trouble.failures.saturating_add(1);
                let told = self.later(trouble.retry_after.unwrap_or_default());
                (failures, Some(self.again_at(failures).max(told)))
            }
            SubmitAnswer::Taken(_)
            | SubmitAnswer::Refused(_)
            | SubmitAnswer::NoSuchCustomer
            | SubmitAnswer::Unclear(_) => (0, None),
        };
        attendance.trouble.failures = failures;
        let (answer, word, said) = self.read_answer(answer);
        self.metrics.submission(word);
        tracing::info!(%customer, %effect, %request_id, sends, outcome = word, "submitted");
        let said = said.map(|said| Self::seal_said(key, &effect, &said)).transpose()?;
        let redirect = redirect.transpose()?;
        let beside = Beside { attempt: Some(word.to_owned()), said, redirect, rest, ..Beside::default() };
        self.conclude(attendance, &Observation::Answered(answer), beside).await
    }

    /// Nium's answer as an observation, a word for the list of attempts, and what Nium said for whoever corrected.
    fn read_answer(&self, answer: SubmitAnswer) -> (Answer, &'static str, Option<Value>) {
        match answer {
            SubmitAnswer::Taken(taken) => {
                self.lane.well();
                let said = taken.redirect_url.map(|url| json!({ "redirectUrl": url }));
                (Answer::Taken(taken.standing), "taken", said)
            }
            SubmitAnswer::Refused(refusal) => {
                self.lane.well();
                let said = json!({ "message": refusal.message, "errors": refusal.errors });
                (Answer::Refused, "refused", Some(said))
            }
            SubmitAnswer::NoSuchCustomer => {
                self.lane.well();
                (Answer::NoSuchCustomer, "no_such_customer", None)
            }
            SubmitAnswer::NotTaken(trouble) => {
                self.pause_lane(&trouble, self.clock.now());
                (Answer::NotTaken, "not_taken", None)
            }
            SubmitAnswer::Unclear(_) => (Answer::Unclear, "unclear", None),
        }
    }
}

/// The request that a submission's effect holds.
pub(super) fn request_of(open: &OpenEffect, key: &DataKey) -> Result<Map<String, Value>, WorkError> {
    let sealed = open.sealed.as_ref().ok_or(WorkError::NoRequest)?;
    let place = Place { table: "effect", column: "sealed", row: open.key.to_string() };
    Ok(serde_json::from_slice(&key.open(&place, sealed)?)?)
}
