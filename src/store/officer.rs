//! What officers write, take in hand, and ask each other to approve.

use super::Store;
use super::error::StoreError;
use super::rows::officer::{
    ApprovalAsked, ApprovalPlace, ApprovalRow, Decided, NewApproval, NewNote, NewVerdict, NewWord, TakenOver,
};
use super::rows::{Once, Recorder};
use super::sql::officer;
use super::tx::Tx;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;

impl Store {
    /// Law: an officer's word is stored before it is decided about, once for its `Idempotency-Key`. `None`: no such case.
    pub async fn word(
        &self,
        word: NewWord,
        recorder: Option<Recorder>,
    ) -> Result<Once<Option<EffectKey>>, StoreError> {
        let now = self.clock.now();
        let key = self.write(move |tx| officer::word(tx, &word, recorder.as_ref(), now)).await?;
        self.ring();
        Ok(key)
    }

    /// Law: only a case that stands before the officers is taken in hand; whoever comes last has it.
    pub async fn take_over(
        &self,
        customer: CustomerHashId,
        by: &str,
        note: Option<NewNote>,
        recorder: Option<Recorder>,
    ) -> Result<Once<TakenOver>, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        let work =
            move |tx: &Tx<'_>| officer::take_over(tx, customer, &by, note.as_ref(), recorder.as_ref(), now);
        self.write(work).await
    }

    /// Sealed notes about a customer, by their ids.
    pub async fn notes(&self, customer: CustomerHashId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(move |tx| officer::notes(tx, customer)).await
    }

    /// Law: one approval of a kind is open for a customer, for the version of the case that was seen.
    pub async fn ask_approval(
        &self,
        approval: NewApproval,
        recorder: Option<Recorder>,
    ) -> Result<Once<ApprovalAsked>, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| officer::ask(tx, &approval, recorder.as_ref(), now)).await
    }

    /// Law: an approval is decided once, by another person than asked, in time, and for the very version of the case that
    /// was seen; what it lets happen is stored in the same transaction.
    pub async fn decide_approval(
        &self,
        verdict: NewVerdict,
        recorder: Option<Recorder>,
    ) -> Result<Once<Decided>, StoreError> {
        let now = self.clock.now();
        let decided = self.write(move |tx| officer::decide(tx, &verdict, recorder.as_ref(), now)).await?;
        self.ring();
        Ok(decided)
    }

    /// One approval.
    pub async fn approval(&self, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |tx| officer::approval(tx, &id)).await
    }

    /// Approvals after a place, the open ones first.
    pub async fn approvals(
        &self,
        after: Option<ApprovalPlace>,
        most: usize,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        self.read(move |tx| officer::approvals(tx, after, most)).await
    }

    /// Every approval about a customer, oldest first.
    pub async fn approvals_about(&self, customer: CustomerHashId) -> Result<Vec<ApprovalRow>, StoreError> {
        self.read(move |tx| officer::approvals_about(tx, customer)).await
    }

    /// Law: an approval that nobody decided in time expires, with a line in the timeline; at most `most` at a time.
    pub async fn expire_approvals(&self, most: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| officer::expire(tx, most, now)).await
    }
}
