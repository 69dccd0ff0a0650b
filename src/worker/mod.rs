//! FLOOR 2: does what flow decided.
//!
//! - `runner`: the one loop; claims no more than it can start, and stops in two steps
//! - `inbox`: one claimed customer: look, decide, commit
//! - `outbox`: a submission that a look has released: send, decide, commit
//! - `acts`: blocks, tags, updates: look, rules, write, look
//! - `onboard`: an application to become a customer
//! - `rfi`: what Nium asks of a customer
//! - `notify`: one claimed notification to an endpoint of the app backend
//! - `endpoints`: those that fail for long, and those that were removed
//! - `mail`: one claimed message to a customer
//! - `lane`: whether calls to Nium go out at present
//! - `guard`: which addresses a notification may go to
//! - `sweep`: walks over Nium's list, for what callbacks did not say
//! - `silence`: callbacks that should have come
//! - `drain`: what the spool holds goes into the store
//! - `marks`: customers from before they could be searched for are marked
//! - `bulk`: an officer's word to many customers, a few at a time
//! - `house`: what is kept only for a while goes
//! - `retain`: documents that Nium has accepted, what closed cases need no more, applicants who became no customers
//! - `traced`: what was done, for whoever watches traces
//! - `tally`: the numbers of the overview
//! - `erasures`: who was erased is written down beside the database, so that a backup does not bring them back
//! - `audit`: the record of who did what gets its chain, and checkpoints

mod acts;
pub mod audit;
pub mod bulk;
pub mod drain;
mod duty;
pub mod endpoints;
pub mod erasures;
mod guard;
mod hands;
pub mod house;
mod inbox;
mod lane;
pub mod mail;
pub mod marks;
pub mod notify;
mod onboard;
mod outbox;
pub mod retain;
mod rfi;
mod runner;
pub mod silence;
pub mod smtp;
pub mod sweep;
pub mod tally;
mod traced;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;

use self::duty::Duty;
use self::hands::Hands;
use self::lane::Lane;
use self::mail::Mailer;
use self::notify::Notifier;
use crate::clock::Clock;
use crate::domain::decision::Policy;
use crate::domain::id::CustomerHashId;
use crate::flow::classify::Rule;
use crate::metrics::WorkMetrics;
use crate::nium::Nium;
use crate::spool::Spool;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::wake::Wake;
use crate::traces::Traces;
use crate::vault::{DataKey, Vault, VaultError, WrappedKey};

pub use self::runner::run;

/// What an operator has settled about the work.
#[derive(Clone, Debug)]
pub struct Options {
    /// About decisions.
    pub policy: Policy,
    /// How remarks are sorted.
    pub rules: Vec<Rule>,
    /// The total time limit of one call to Nium.
    pub call_limit: Duration,
    /// Customers attended to at once.
    pub customers_at_once: usize,
    /// Where the app backend reaches our API, for the link in an event; no slash at the end.
    pub api_url: String,
    /// How long an endpoint may fail before it is left alone.
    pub disable_after: Duration,
    /// About asking Nium by ourselves.
    pub sweep: SweepOptions,
    /// About the audit record.
    pub audit: audit::Options,
    /// An offer or a re-application after a final rejection takes a second person's approval.
    pub override_needs_approval: bool,
    /// Customers whose compliance is COMPLETED may have two of their addresses changed.
    pub addresses_when_completed: bool,
    /// How long callbacks are kept as evidence; `None` keeps them for ever.
    pub keep_callbacks: Option<Duration>,
    /// How long a closed case keeps what was needed to close it; `None` keeps it for ever.
    pub keep_closed: Option<Duration>,
    /// How long an applicant who became no customer is kept; `None` keeps them for ever.
    pub keep_applicants: Option<Duration>,
    /// How long documents are kept after Nium has accepted the customer.
    pub keep_documents: Duration,
    /// Where it is written down, beside the database, who was erased.
    pub erasure_file: PathBuf,
    /// How long an address at a vendor can be used when Nium does not say.
    pub redirect_lives: Duration,
}

/// What an operator has settled about asking Nium by ourselves.
#[derive(Clone, Copy, Debug)]
pub struct SweepOptions {
    /// The pause between two walks over Nium's list.
    pub full_every: Duration,
    /// Customers on a page.
    pub page_size: u32,
    /// How late a callback may be before it counts as missing.
    pub grace: Duration,
}

/// Where fresh random numbers come from.
#[derive(Clone)]
pub struct Chance(Arc<dyn Fn() -> Uuid + Send + Sync>);

impl Chance {
    /// Takes random UUIDs from `source`.
    pub fn new(source: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    fn uuid(&self) -> Uuid {
        (self.0)()
    }

    /// A number from 0 up to, not including, 1.
    fn roll(&self) -> f64 {
        // Four of the random bytes; a UUID's version bits are in others.
        let [a, b, c, d, ..] = *self.uuid().as_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

/// Everything the work needs.
#[derive(Debug)]
pub struct Worker {
    options: Options,
    store: Arc<Store>,
    spool: Arc<Spool>,
    nium: Arc<Nium>,
    vault: Arc<Vault>,
    endpoints: Arc<[Notifier]>,
    mailer: Option<Arc<Mailer>>,
    clock: Clock,
    chance: Chance,
    wake: Wake,
    metrics: WorkMetrics,
    traces: Traces,
    lane: Lane,
    duty: Duty,
    hands: Arc<Hands>,
    claims: AtomicU64,
    /// The key of the marks that customers are found by.
    search_key: OnceCell<DataKey>,
}

/// What a [`Worker`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// What an operator has settled.
    pub options: Options,
    /// The one door to the database.
    pub store: Arc<Store>,
    /// Callbacks that came while it was away.
    pub spool: Arc<Spool>,
    /// The client of Nium's API.
    pub nium: Arc<Nium>,
    /// Seals what is personal.
    pub vault: Arc<Vault>,
    /// Tell the app backend, each by its own name; none tells nobody.
    pub endpoints: Arc<[Notifier]>,
    /// Writes to customers; `None` where there is no mail server.
    pub mailer: Option<Arc<Mailer>>,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where random numbers come from.
    pub chance: Chance,
    /// Rings when there may be something to do.
    pub wake: Wake,
    /// Where things are counted.
    pub metrics: WorkMetrics,
    /// Where things are traced.
    pub traces: Traces,
}

impl Worker {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            options,
            store,
            spool,
            nium,
            vault,
            endpoints,
            mailer,
            clock,
            chance,
            wake,
            metrics,
            traces,
        } = parts;
        Self {
            options,
            store,
            spool,
            nium,
            vault,
            endpoints,
            mailer,
            clock,
            chance,
            wake,
            metrics,
            traces,
            lane: Lane::default(),
            duty: Duty::default(),
            hands: Arc::default(),
            claims: AtomicU64::new(0),
            search_key: OnceCell::new(),
        }
    }

    /// The data key of a customer, made if there is none yet.
    async fn data_key(&self, customer: CustomerHashId) -> Result<DataKey, WorkError> {
        let owner = customer.to_string();
        let kept = self.store.data_key(customer).await?;
        let wrapped = if let Some(wrapped) = kept {
            wrapped
        } else {
            let fresh = self.vault.new_data_key(&owner)?;
            self.store.keep_data_key(customer, fresh.as_bytes().to_vec()).await?
        };
        Ok(self.vault.unwrap(&owner, &WrappedKey::from_bytes(wrapped))?)
    }
}

/// Why an attempt ended without a decision. Nothing is lost: the lease ends, and somebody claims the customer again.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    #[error("what was sealed cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the lease was lost")]
    LeaseLost,
    #[error("a submission has no request")]
    NoRequest,
}
