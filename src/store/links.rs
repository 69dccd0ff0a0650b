//! Links to the hosted page, visits, drafts.

use std::time::Duration;

use super::Store;
use super::error::StoreError;
use super::rows::links::{Exchange, KeptDraft, LinkRow, NewLink, NewVisit, VisitRow};
use super::sql::{ask, links};
use crate::domain::id::CustomerHashId;

impl Store {
    /// Law: a new link replaces those that the same one made for the customer before.
    pub async fn put_link(&self, link: NewLink) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| links::put(tx, &link, now)).await
    }

    /// Law: every link of the customer ends now, with the visits that began with one. Gives how many were open.
    pub async fn revoke_links(&self, customer: CustomerHashId, by: &str) -> Result<usize, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        self.write(move |tx| links::revoke(tx, customer, &by, now)).await
    }

    /// The link whose token has this hash, however it stands.
    pub async fn link(&self, hash: [u8; 32]) -> Result<Option<LinkRow>, StoreError> {
        self.read(move |tx| links::link(tx, &hash)).await
    }

    /// Law: a link is exchanged for a visit only while it is open, and only so many times.
    pub async fn exchange_link(&self, hash: [u8; 32], visit: NewVisit) -> Result<Exchange, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| links::exchange(tx, &hash, &visit, now)).await
    }

    /// The visit whose cookie has this hash, while it lasts and its link is open.
    pub async fn visit(&self, hash: [u8; 32]) -> Result<Option<VisitRow>, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| links::visit(tx, &hash, now)).await
    }

    /// Law: the last draft of a link is the one that counts.
    pub async fn put_draft(&self, visit: VisitRow, sealed: Vec<u8>) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| links::put_draft(tx, &visit, &sealed, now)).await
    }

    /// The draft of a link, sealed.
    pub async fn draft(&self, link: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let link = link.to_owned();
        self.read(move |tx| links::draft(tx, &link)).await
    }

    /// Every draft about a customer, oldest first.
    pub async fn drafts(&self, customer: CustomerHashId) -> Result<Vec<KeptDraft>, StoreError> {
        self.read(move |tx| links::drafts(tx, customer)).await
    }

    /// Takes a draft away.
    pub async fn drop_draft(&self, link: &str) -> Result<(), StoreError> {
        let link = link.to_owned();
        self.write(move |tx| links::drop_draft(tx, &link)).await
    }

    /// Law: whoever wants no reminders gets none. False if that was known before.
    pub async fn stop_reminders(&self, customer: CustomerHashId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| links::be_quiet(tx, customer, now)).await
    }

    /// Whether the customer wants no reminders.
    pub async fn wants_no_reminders(&self, customer: CustomerHashId) -> Result<bool, StoreError> {
        self.read(move |tx| links::is_quiet(tx, customer)).await
    }

    /// Whether a write about the customer is on its way to Nium.
    pub async fn is_writing(&self, customer: CustomerHashId) -> Result<bool, StoreError> {
        self.read(move |tx| ask::open_write(tx, customer)).await
    }

    /// Law: visits that are over, drafts older than `drafts` and links that ended longer than `links` ago go, at most
    /// `most` of each. Gives the most that went of one kind.
    pub async fn drop_ended_links(
        &self,
        links: Duration,
        drafts: Duration,
        most: usize,
    ) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let before = |span: Duration| now.checked_sub(span).unwrap_or(jiff::Timestamp::MIN);
        let ends = (before(links), before(drafts));
        self.write(move |tx| links::drop_ended(tx, ends, now, most)).await
    }
}
