//! What a visitor of the hosted page sees, and what they hand in. A visitor holds a link and nothing else: what is on file is
//! given to the page whole, and the page masks what a stranger must not read.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::acts::Asking;
use super::once::Once;
use super::{Ops, OpsError};
use crate::domain::audit::CUSTOMER;
use crate::domain::case::CaseState;
use crate::domain::correction::on_file;
use crate::domain::remark::Grounds;
use crate::domain::rfi::RfiItem;
use crate::domain::snapshot::CustomerKind;
use crate::store::rows::links::VisitRow;
use crate::vault::Place;

/// Where a customer stands, as the page tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A correction is awaited.
    Correct {
        /// What it is about.
        grounds: Grounds,
        /// Until when.
        deadline: Timestamp,
    },
    /// Nium asks for information.
    Asked {
        /// What waits for an answer.
        items: Vec<RfiItem>,
        /// Until when.
        deadline: Timestamp,
    },
    /// A correction is on its way.
    Sending,
    /// Nium decides.
    UnderReview,
    /// Nothing is to be done.
    Waiting,
    /// Verified.
    Done,
    /// Closed for the customer.
    Closed,
    /// Somebody of the client's looks at it.
    WithOfficer,
    /// Something is asked of a company. Its forms are not the page's: half an answer would be refused, so none is begun.
    AskedOfCompany,
}

/// What the page needs. Holds personal data.
pub struct PageView {
    /// Where the customer stands.
    pub standing: Standing,
    /// What is on file, under the names of Unified Add Customer; empty where nothing is to be filled in.
    pub on_file: Map<String, Value>,
    /// What was written before and not sent: a correction, or answers.
    pub draft: Option<Value>,
}

impl Ops {
    /// What a visitor sees now.
    pub async fn page(&self, visit: &VisitRow) -> Result<PageView, OpsError> {
        let customer = visit.customer;
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let now = self.clock.now();
        let standing = match &row.case.state {
            CaseState::AwaitingCorrection { grounds, deadline, .. } if *deadline > now => {
                Standing::Correct { grounds: grounds.clone(), deadline: *deadline }
            }
            CaseState::AwaitingCorrection { .. } | CaseState::FinallyRejected { .. } => Standing::Closed,
            CaseState::Submitting { .. } => Standing::Sending,
            CaseState::UnderReview { .. } => self.asked(visit, Standing::UnderReview).await?,
            CaseState::Watching { .. } | CaseState::Rejected { .. } => {
                self.asked(visit, Standing::Waiting).await?
            }
            CaseState::Reinstated | CaseState::Approved => self.asked(visit, Standing::Done).await?,
            CaseState::NeedsOfficer { .. } => self.asked(visit, Standing::WithOfficer).await?,
        };
        let fills_in = matches!(standing, Standing::Correct { .. });
        let on_file = if fills_in { self.on_file(visit).await? } else { Map::new() };
        Ok(PageView { standing, on_file, draft: self.draft(visit).await? })
    }

    /// A request for information that waits, or else `otherwise`.
    async fn asked(&self, visit: &VisitRow, otherwise: Standing) -> Result<Standing, OpsError> {
        let row = self.store.case(visit.customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let (Some(open), Some(kept)) = (row.case.beside.rfi, self.store.rfi(visit.customer).await?) else {
            return Ok(otherwise);
        };
        let items = self.open_rfi(visit.customer, &kept).await?;
        let items: Vec<RfiItem> = items.into_iter().filter(RfiItem::waits).collect();
        let busy = self.store.is_writing(visit.customer).await?;
        let is_company = row.snapshot.is_some_and(|seen| seen.facts.kind == CustomerKind::Corporate);
        Ok(if items.is_empty() || busy {
            otherwise
        } else if is_company {
            Standing::AskedOfCompany
        } else {
            Standing::Asked { items, deadline: open.deadline }
        })
    }

    async fn on_file(&self, visit: &VisitRow) -> Result<Map<String, Value>, OpsError> {
        let customer = visit.customer;
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let Some(key) = self.existing_data_key(customer).await? else { return Ok(Map::new()) };
        let application = self.application(customer, &key).await?;
        let snapshot = match &row.snapshot {
            Some(kept) => self.open_snapshot(customer, kept).await?,
            None => None,
        };
        let profile = snapshot.map(|snapshot| snapshot.profile).unwrap_or_default();
        Ok(on_file(application.as_ref(), &profile))
    }

    async fn draft(&self, visit: &VisitRow) -> Result<Option<Value>, OpsError> {
        let Some(sealed) = self.store.draft(&visit.link).await? else { return Ok(None) };
        let Some(key) = self.existing_data_key(visit.customer).await? else { return Ok(None) };
        // What was sealed for another purpose or changed is no draft; the visitor begins anew.
        let Ok(plain) = key.open(&draft_place(&visit.link), &sealed) else { return Ok(None) };
        Ok(serde_json::from_slice(&plain).ok())
    }

    /// Keeps what a visitor has written, sealed.
    pub async fn keep_draft(&self, visit: &VisitRow, draft: &Value) -> Result<(), OpsError> {
        let key = self.data_key(visit.customer).await?;
        let sealed = key.seal(&draft_place(&visit.link), &serde_json::to_vec(draft)?)?;
        Ok(self.store.put_draft(visit.clone(), sealed).await?)
    }

    /// Hands in the correction of a draft. Sent twice, by two fingers or two windows, it is one: the second is answered
    /// like the first.
    pub async fn hand_in(&self, visit: &VisitRow, correction: &Value) -> Result<(), OpsError> {
        let body = serde_json::to_vec(correction)?;
        let version = self.store.case(visit.customer).await?.map_or(0, |row| row.case.version);
        let once = Once::new(CUSTOMER, "page", visit.customer, &format!("{}:{version}", visit.link));
        self.correct(visit.customer, CUSTOMER, &body, correction, Some(&once)).await?;
        Ok(self.store.drop_draft(&visit.link).await?)
    }

    /// Answers what Nium asks.
    pub async fn hand_in_answers(&self, visit: &VisitRow, answers: &Value) -> Result<(), OpsError> {
        let body = serde_json::to_vec(answers)?;
        let asking = Asking { by: CUSTOMER, body: &body, once: None, dry_run: false };
        self.answer_rfi(visit.customer, answers, &asking).await?;
        Ok(self.store.drop_draft(&visit.link).await?)
    }
}

/// Where what a visitor wrote is sealed.
pub(super) fn draft_place(link: &str) -> Place {
    Place { table: "draft", column: "sealed", row: link.to_owned() }
}
