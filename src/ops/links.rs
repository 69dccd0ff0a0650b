//! Links to the hosted page. A token has 256 random bits and is kept as its hash alone: whoever reads the database cannot
//! open the page. Opening changes nothing; a visit begins with the first POST.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Ops, OpsError};
use crate::domain::id::CustomerHashId;
use crate::domain::link::{hash_of, open_until, url_of};
use crate::domain::texts::Language;
use crate::store::rows::links::{Exchange, LinkRow, NewLink, NewVisit, VisitRow};
use crate::vault::fresh_token;

/// How long a visit lasts; what was written is kept, and the link begins another.
pub const VISIT_SPAN: Duration = Duration::from_hours(2);
impl Ops {
    /// Makes a link for the customer; it replaces the one that the same caller made before.
    pub async fn issue_link(
        &self,
        customer: CustomerHashId,
        by: &str,
        language: Option<Language>,
    ) -> Result<Value, OpsError> {
        let page_url = self.page_url.as_ref().ok_or(OpsError::NoPage)?;
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let expires_at = open_until(&row.case, self.clock.now()).ok_or(OpsError::NothingOpen)?;
        let (token, hash) = fresh_token()?;
        let id = (self.fresh_id)().to_string();
        let link = NewLink { id: id.clone(), customer, hash, made_by: by.to_owned(), expires_at };
        self.store.put_link(link).await?;
        let url = url_of(page_url, &token, language);
        Ok(json!({ "linkId": id, "url": url, "expiresAt": expires_at }))
    }

    /// Ends every link of the customer, and the visits that began with one.
    pub async fn revoke_links(&self, customer: CustomerHashId, by: &str) -> Result<Value, OpsError> {
        if self.store.case(customer).await?.is_none() {
            return Err(OpsError::NoSuchCustomer);
        }
        let revoked = self.store.revoke_links(customer, by).await?;
        Ok(json!({ "revoked": revoked }))
    }

    /// Whether this token would open the page now. Nothing changes.
    pub async fn link_is_open(&self, token: &str) -> Result<Option<LinkRow>, OpsError> {
        let Some(hash) = hash_of(token) else { return Ok(None) };
        let now = self.clock.now();
        let link = self.store.link(hash).await?;
        Ok(link.filter(|link| link.revoked_at.is_none() && link.expires_at > now))
    }

    /// Begins a visit: gives the cookie's token, or why there is none.
    pub async fn begin_visit(&self, token: &str) -> Result<Result<Zeroizing<String>, Exchange>, OpsError> {
        let Some(link) = hash_of(token) else { return Ok(Err(Exchange::Unknown)) };
        let (cookie, hash) = fresh_token()?;
        let ends_at = self.clock.now().checked_add(VISIT_SPAN).unwrap_or(Timestamp::MAX);
        match self.store.exchange_link(link, NewVisit { hash, ends_at }).await? {
            Exchange::Begun(_) => Ok(Ok(cookie)),
            refused @ (Exchange::Unknown | Exchange::Ended | Exchange::Spent) => Ok(Err(refused)),
        }
    }

    /// Stops reminders for whom an open link is for. False if it is not open.
    pub async fn stop_reminders(&self, token: &str) -> Result<bool, OpsError> {
        let Some(link) = self.link_is_open(token).await? else { return Ok(false) };
        self.store.stop_reminders(link.customer).await?;
        Ok(true)
    }

    /// The visit of this cookie, while it lasts.
    pub async fn visit(&self, cookie: &str) -> Result<Option<VisitRow>, OpsError> {
        let Some(hash) = hash_of(cookie) else { return Ok(None) };
        Ok(self.store.visit(hash).await?)
    }
}
