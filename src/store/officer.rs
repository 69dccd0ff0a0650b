//! What officers write, take in hand, and ask each other to approve.

use super::error::StoreError;
use super::rows::officer::{
    ApprovalAsked, ApprovalPlace, ApprovalRow, Decided, NewApproval, NewNote, NewVerdict, NewWord, TakenOver,
};
use super::rows::{Once, Recorder};
use super::{Backend, Store};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;

impl Store {
    /// Law: an officer's word is stored before it is decided about, once for its `Idempotency-Key`. `None`: no such case.
    pub async fn word(
        &self,
        word: NewWord,
        recorder: Option<Recorder>,
    ) -> Result<Once<Option<EffectKey>>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let key = store.word(word, recorder, self.clock.now()).await?;
        self.wake.wake();
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
        let Backend::Sqlite(store) = &self.backend;
        store.take_over(customer, by.to_owned(), note, recorder, self.clock.now()).await
    }

    /// Sealed notes about a customer, by their ids.
    pub async fn notes(&self, customer: CustomerHashId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.notes(customer).await
    }

    /// Law: one approval of a kind is open for a customer, for the version of the case that was seen.
    pub async fn ask_approval(
        &self,
        approval: NewApproval,
        recorder: Option<Recorder>,
    ) -> Result<Once<ApprovalAsked>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.ask_approval(approval, recorder, self.clock.now()).await
    }

    /// Law: an approval is decided once, by another person than asked, in time, and for the very version of the case that
    /// was seen; what it lets happen is stored in the same transaction.
    pub async fn decide_approval(
        &self,
        verdict: NewVerdict,
        recorder: Option<Recorder>,
    ) -> Result<Once<Decided>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        let decided = store.decide_approval(verdict, recorder, self.clock.now()).await?;
        self.wake.wake();
        Ok(decided)
    }

    /// One approval.
    pub async fn approval(&self, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.approval(id.to_owned()).await
    }

    /// Approvals after a place, the open ones first.
    pub async fn approvals(
        &self,
        after: Option<ApprovalPlace>,
        most: usize,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.approvals(after, most).await
    }

    /// Law: an approval that nobody decided in time expires, with a line in the timeline; at most `most` at a time.
    pub async fn expire_approvals(&self, most: usize) -> Result<usize, StoreError> {
        let Backend::Sqlite(store) = &self.backend;
        store.expire_approvals(most, self.clock.now()).await
    }
}
