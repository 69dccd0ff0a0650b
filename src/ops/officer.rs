//! An officer's word about a case: stored first, decided about by the worker; or first approved by a second person. What an
//! officer writes about it is sealed, and shown in the timeline.

use serde_json::{Map, Value, json};

use super::acts::Asking;
use super::approvals::Wanted;
use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::act::ActKind;
use crate::domain::case::CaseState;
use crate::domain::correction::FieldProblem;
use crate::domain::decision::OfficerWord;
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
use crate::store::rows::EffectRow;
use crate::store::rows::officer::{ApprovalKind, InHand, NewNote, NewWord, TakenOver};
use crate::vault::Place;

/// Longest note of an officer, in characters.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// What an officer may say about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A word that the worker decides about.
    Case(OfficerWord),
    /// Take a parked case in hand.
    TakeOver,
}

impl Word {
    /// Reads a word of the API.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "take_over" => Some(Self::TakeOver),
            other => OfficerWord::parse(other).map(Self::Case),
        }
    }
}

/// Reads a note; `None` where there is none.
pub fn note(said: Option<&Value>) -> Result<Option<String>, FieldProblem> {
    let wrong = || FieldProblem::new("note", format!("is a text of 1 to {NOTE_CHARS_MAX} characters"));
    let Some(said) = said else { return Ok(None) };
    let text = said.as_str().map(str::trim).ok_or_else(wrong)?;
    if !(1..=NOTE_CHARS_MAX).contains(&text.chars().count()) {
        return Err(wrong());
    }
    Ok(Some(text.to_owned()))
}

/// A word, and who says it.
#[derive(Clone, Debug)]
pub struct Saying<'a> {
    /// What.
    pub word: Word,
    /// Why, in the officer's own words.
    pub note: Option<String>,
    /// The token's name.
    pub by: &'a str,
    /// The body, for the `Idempotency-Key`.
    pub body: &'a [u8],
    /// The key, if there is one.
    pub once: Option<&'a Once>,
}

impl Ops {
    /// Stores an officer's word. Answers with the effect that will tell what became of it, with the approval that it
    /// takes first, or, where a case is taken in hand, with who has it.
    pub async fn word(&self, customer: CustomerHashId, saying: Saying<'_>) -> Result<Answered, OpsError> {
        let word = match saying.word {
            Word::TakeOver => return self.take_over(customer, saying).await,
            Word::Case(word) => word,
        };
        if matches!(word, OfficerWord::Offer | OfficerWord::Reapply) {
            self.refuse_a_company(customer).await?;
        }
        if let Some((kind, version)) = self.needs_second_person(customer, word).await? {
            let Saying { by, body, once, .. } = saying;
            let wanted = Wanted { kind, act: None, note: saying.note.as_deref() };
            let asking = Asking { by, body, once, dry_run: false };
            return self.ask_approval(customer, version, wanted, &asking).await;
        }
        let receipt = self.receipt(saying.once, saying.body, ACCEPTED).await?;
        let note = self.sealed_note(customer, saying.note.as_deref()).await?;
        let new = NewWord { customer, word, by: saying.by.to_owned(), note };
        let done = self.store.word(new, receipt.recorder()).await?;
        receipt.answer(done, |key| Ok(json!({ "effectId": key.ok_or(OpsError::NoSuchCustomer)? })))
    }

    /// What a second person has to approve before the word is said, if anything, and for which version of the case.
    async fn needs_second_person(
        &self,
        customer: CustomerHashId,
        word: OfficerWord,
    ) -> Result<Option<(ApprovalKind, u64)>, OpsError> {
        let kind = match word {
            OfficerWord::Offer => ApprovalKind::Offer,
            OfficerWord::Reapply => ApprovalKind::Reapply,
            OfficerWord::Final | OfficerWord::Retry | OfficerWord::Close => return Ok(None),
        };
        if !self.second_person.override_final {
            return Ok(None);
        }
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        Ok(matches!(row.case.state, CaseState::FinallyRejected { .. }).then_some((kind, row.case.version)))
    }

    async fn take_over(&self, customer: CustomerHashId, saying: Saying<'_>) -> Result<Answered, OpsError> {
        let receipt = self.receipt(saying.once, saying.body, 200).await?;
        let note = self.sealed_note(customer, saying.note.as_deref()).await?;
        let done = self.store.take_over(customer, saying.by, note, receipt.recorder()).await?;
        receipt.answer(done, |taken| match taken {
            TakenOver::Done(since) => {
                Ok(json!({ "customerHashId": customer, "officer": { "by": saying.by, "since": since } }))
            }
            TakenOver::NoCase => Err(OpsError::NoSuchCustomer),
            TakenOver::NotParked(state) => Err(OpsError::NotParked(state)),
        })
    }

    /// A note as it is kept.
    pub(super) async fn sealed_note(
        &self,
        customer: CustomerHashId,
        text: Option<&str>,
    ) -> Result<Option<NewNote>, OpsError> {
        let Some(text) = text else { return Ok(None) };
        let id = (self.fresh_id)();
        let key = self.data_key(customer).await?;
        let sealed = key.seal(&Place::of_note(&id.to_string()), text.as_bytes())?;
        Ok(Some(NewNote { id, sealed }))
    }

    /// The notes about a customer, by their ids; empty if the customer's key was erased.
    pub(super) async fn notes(&self, customer: CustomerHashId) -> Result<Map<String, Value>, OpsError> {
        let kept = self.store.notes(customer).await?;
        let mut notes = Map::new();
        if kept.is_empty() {
            return Ok(notes);
        }
        let Some(key) = self.existing_data_key(customer).await? else { return Ok(notes) };
        for (id, sealed) in kept {
            let text = key.open(&Place::of_note(&id), &sealed)?;
            notes.insert(id, Value::String(String::from_utf8_lossy(&text).into_owned()));
        }
        Ok(notes)
    }

    /// Unified Add Customer is for persons: a company's way back is a matter between the client and Nium.
    pub(super) async fn refuse_a_company(&self, customer: CustomerHashId) -> Result<(), OpsError> {
        let row = self.store.case(customer).await?;
        let kind = row.and_then(|row| row.snapshot).map(|kept| kept.facts.kind);
        if kind == Some(CustomerKind::Corporate) { Err(OpsError::Company) } else { Ok(()) }
    }

    /// What became of an effect, with what the other side said; `None` when there is no such effect.
    pub async fn effect(&self, key: &EffectKey) -> Result<Option<Value>, OpsError> {
        let Some(row) = self.store.effect(key).await? else {
            return Ok(None);
        };
        Ok(Some(self.effect_view(&row).await?))
    }

    /// An effect as the API shows it.
    pub(super) async fn effect_view(&self, row: &EffectRow) -> Result<Value, OpsError> {
        let said = self.said(row).await?;
        // An applicant whom nobody took has no id of Nium's.
        let nobody = row.kind == ActKind::Onboard.as_str() && row.status != EffectStatus::Done;
        Ok(json!({
            "effectId": row.key,
            "customerHashId": (!nobody).then_some(row.customer),
            "kind": row.kind,
            "status": row.status.as_str(),
            "ended": !matches!(row.status, EffectStatus::Pending | EffectStatus::Sending | EffectStatus::Unclear),
            "attempts": row.attempts,
            "createdAt": row.created_at,
            "endedAt": row.ended_at,
            "outcome": row.outcome,
            "said": said,
        }))
    }

    async fn said(&self, row: &EffectRow) -> Result<Option<Value>, OpsError> {
        let Some(sealed) = &row.said else { return Ok(None) };
        let Some(key) = self.existing_data_key(row.customer).await? else {
            return Ok(None);
        };
        let place = Place { table: "effect", column: "said", row: row.key.to_string() };
        Ok(Some(serde_json::from_slice(&key.open(&place, sealed)?)?))
    }
}

/// Who has a case in hand, as the API shows it.
pub(super) fn in_hand(row: &InHand, notes: Option<&Map<String, Value>>) -> Value {
    let mut shown = json!({ "by": row.by, "since": row.since });
    let note = row.note.as_ref().and_then(|id| notes?.get(id));
    if let (Some(shown), Some(note)) = (shown.as_object_mut(), note) {
        shown.insert("note".to_owned(), note.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_its_bounds_and_one_past_each_is_refused() {
        let said = |text: &str| note(Some(&json!(text)));
        assert_eq!(said(" a "), Ok(Some("a".to_owned())));
        assert!(said(&"n".repeat(NOTE_CHARS_MAX)).is_ok());
        assert!(said(&"n".repeat(NOTE_CHARS_MAX + 1)).is_err());
        assert!(said("  ").is_err() && note(Some(&json!(1))).is_err());
        assert_eq!(note(None), Ok(None));
    }
}
