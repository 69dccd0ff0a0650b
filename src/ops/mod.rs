//! FLOOR 2: what an operator or the app backend asks for. Checks it, and commits the intent; the worker does the rest.
//!
//! - `customer`: show one case with what Nium said last
//! - `dossier`: what an officer reads about one customer
//! - `acts`: blocks, tags, updates, and asking Nium now
//! - `onboard`: making somebody a customer
//! - `rfi`: what Nium asks of a customer
//! - `correction`: the application on file, corrections, and what a correction would send
//! - `officer`: an officer's word about a case
//! - `approvals`: what takes a second person
//! - `bulk`: an officer's word to everybody who fits a filter
//! - `search`: finding customers, ours and Nium's
//! - `links`: links to the hosted page, and visits there
//! - `page`: what a visitor of the hosted page sees, and what they hand in
//! - `privacy`: erasing one person, and the legal hold that keeps them
//! - `people`: who works the console
//! - `jobs`: work that is stuck, and sweeps
//! - `events`: what the app backend is told: feed, deliveries, endpoints
//! - `overview`: how far rejected customers have come, and how the service has been doing
//! - `audit`: who did what, and one customer's bundle
//! - `once`: the first answer to a write that carried an `Idempotency-Key`

pub mod acts;
pub mod approvals;
pub mod audit;
pub mod bulk;
pub mod correction;
pub mod customer;
pub mod dossier;
pub mod events;
pub mod jobs;
pub mod links;
pub mod officer;
pub mod onboard;
pub mod once;
pub mod overview;
pub mod page;
pub mod people;
pub mod privacy;
pub mod rfi;
pub mod search;

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::application::Region;
use crate::domain::correction::FieldProblem;
use crate::domain::id::CustomerHashId;
use crate::metrics::WorkMetrics;
use crate::nium::Nium;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::vault::{DataKey, Vault, VaultError, WrappedKey};

/// The status of an answer to something that was stored and will be done.
const ACCEPTED: u16 = 202;

/// What operators' requests need.
#[derive(Debug)]
pub struct Ops {
    /// The one door to the database.
    pub store: Arc<Store>,
    /// Seals what is personal.
    pub vault: Arc<Vault>,
    /// The client of Nium's API, for what is only read.
    pub nium: Arc<Nium>,
    /// Where `now` comes from.
    pub clock: Clock,
    /// The regulatory region of this client at Nium; without it only what every region demands is checked.
    pub region: Option<Region>,
    /// Where callers reach our API; no slash at the end.
    pub api_url: String,
    /// Where customers reach the hosted page; no slash at the end. `None` while the public listener has no address.
    pub page_url: Option<String>,
    /// Submissions a customer may use.
    pub submissions_max: u32,
    /// Our id at Nium, part of every path.
    pub client_hash_id: String,
    /// Reasons for a permanent block may be given that are newer than the ordered document.
    pub newer_block_reasons: bool,
    /// What takes a second person.
    pub second_person: approvals::SecondPerson,
    /// Gives ids that nobody has used.
    pub fresh_id: fn() -> Uuid,
    /// The endpoints of the app backend.
    pub endpoints: events::Endpoints,
    /// Passwords that were wrong just now.
    pub attempts: people::Attempts,
    /// Calls to Nium a second that are allowed in the long run.
    pub requests_per_second: f64,
    /// What the work counts.
    pub work: WorkMetrics,
}

/// Why something that was asked for is not done.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// We have never heard of this customer.
    #[error("there is no case for this customer")]
    NoSuchCustomer,
    /// The customer was erased.
    #[error("the customer was erased")]
    Erased,
    /// There is no such onboarding.
    #[error("there is no such onboarding")]
    NoSuchOnboarding,
    /// The onboarding led to this customer.
    #[error("the onboarding led to a customer")]
    Became(CustomerHashId),
    /// A legal hold keeps the customer from being erased.
    #[error("a legal hold is set")]
    Held,
    /// The case is in a state (given) in which this cannot be asked for.
    #[error("the case is in state {0}")]
    WrongState(String),
    /// The case is in a state (given) in which no officer is asked.
    #[error("the case is in state {0}; no officer is asked")]
    NotParked(String),
    /// The same waits for a second person already, under this id.
    #[error("the approval {0} is open already")]
    ApprovalOpen(String),
    /// There is no such approval.
    #[error("there is no such approval")]
    NoSuchApproval,
    /// Whoever asked for an approval cannot give it.
    #[error("whoever asked cannot approve")]
    SamePerson,
    /// The approval was decided, or ended, before; how.
    #[error("the approval is {0}")]
    ApprovalClosed(&'static str),
    /// A correction is on its way already.
    #[error("a correction is already on its way to Nium")]
    UnderWay,
    /// The request has keys that we do not know.
    #[error("the request has unknown keys")]
    UnknownKeys(Vec<FieldProblem>),
    /// Fields break a limit or are missing.
    #[error("some fields cannot be accepted")]
    Invalid(Vec<FieldProblem>),
    /// The correction leaves everything as it is on file.
    #[error("the correction changes nothing")]
    NothingChanged,
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// There are so many jobs now, not as many as were confirmed.
    #[error("there are {0} jobs now")]
    CountChanged(usize),
    /// A word to many customers cannot be said, or stopped.
    #[error(transparent)]
    Bulk(#[from] bulk::BulkRefused),
    /// There is no endpoint of this name.
    #[error("there is no such endpoint")]
    NoSuchEndpoint,
    /// There is nothing for which the customer could be let in.
    #[error("nothing is open that a link could be for")]
    NothingOpen,
    /// The public listener has no address, so that there is no page to link to.
    #[error("the public listener has no address")]
    NoPage,
    /// Nium asks this customer for nothing, as far as we know.
    #[error("nothing is asked of the customer")]
    NoRfi,
    /// The customer is a company, and what was asked for is for persons.
    #[error("the customer is a company")]
    Company,
    /// The customer is not as they were when this was prepared.
    #[error("the customer has moved meanwhile")]
    Moved,
    /// What was to be read at Nium could not be read now.
    #[error("Nium could not be asked")]
    Nium(search::NiumTrouble),
    /// A rule or Nium refused an act; the effect as it ended.
    #[error("the act was refused")]
    ActRefused(Box<serde_json::Value>),
    /// The store or the vault failed; the text is for the log.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A failure that is ours.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    /// Something sealed does not read as what it was.
    #[error("what was sealed cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl From<StoreError> for OpsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Erased => Self::Erased,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<VaultError> for OpsError {
    fn from(error: VaultError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for OpsError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Ops {
    /// The data key of a customer, made if there is none yet.
    async fn data_key(&self, customer: CustomerHashId) -> Result<DataKey, OpsError> {
        if let Some(key) = self.existing_data_key(customer).await? {
            return Ok(key);
        }
        let owner = customer.to_string();
        let fresh = self.vault.new_data_key(&owner)?;
        let wrapped = self.store.keep_data_key(customer, fresh.as_bytes().to_vec()).await?;
        Ok(self.vault.unwrap(&owner, &WrappedKey::from_bytes(wrapped))?)
    }

    /// The data key of a customer; `None` if nothing was ever sealed for them, or it was erased.
    async fn existing_data_key(&self, customer: CustomerHashId) -> Result<Option<DataKey>, OpsError> {
        let Some(wrapped) = self.store.data_key(customer).await? else {
            return Ok(None);
        };
        Ok(Some(self.vault.unwrap(&customer.to_string(), &WrappedKey::from_bytes(wrapped))?))
    }
}
