//! What the pretend Nium knows: customers, the journal, the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::faults::Fault;

/// One thing received or sent. Never a body.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its place in the journal.
    pub seq: usize,
    /// When it began.
    pub at: String,
    /// `request` or `callback`.
    pub kind: &'static str,
    /// The HTTP method.
    pub method: String,
    /// The endpoint's name, such as `details`.
    pub endpoint: &'static str,
    /// About whom.
    pub customer_hash_id: Option<String>,
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// `x-client-name`.
    pub client_name: Option<String>,
    /// The HTTP status of the answer; `None` while it is held, or if there was none.
    pub status: Option<u16>,
    /// It changed something here.
    pub applied: bool,
    /// It was a submission for a known customer.
    pub reinitiation: bool,
    /// What was wrong with the request.
    pub problems: Vec<String>,
    /// How long the answer took, in microseconds.
    pub took_micros: u64,
}

/// Everything received and sent, in order.
pub type Journal = Vec<Entry>;

/// What a re-initiation leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// COMPLETED and Clear at once.
    #[default]
    Complete,
    /// COMPLETED at once, Clear only after some looks.
    Lagging,
    /// An officer of Nium's decides later.
    Review,
    /// The same, and the answer holds ids only.
    Bare,
    /// REJECT again in the answer itself.
    Reject,
    /// 400: the content is refused, nothing changes.
    Refuse,
    /// The customer has to go on at a vendor's address.
    Redirect,
}

/// How Customer Details V2 deviates for one customer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Quirks {
    pub(super) null_strings: bool,
    pub(super) status_lags: u32,
    pub(super) no_compliance: bool,
    pub(super) no_updated_at: bool,
    pub(super) kyc_status: bool,
    pub(super) spaced_words: bool,
    pub(super) lower_case: bool,
    pub(super) unknown_status: Option<String>,
    pub(super) unknown_compliance: Option<String>,
    pub(super) extra_fields: bool,
    pub(super) rfi_object: bool,
}

/// One customer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Customer {
    #[serde(rename = "customerHashId")]
    pub(super) id: String,
    pub(super) wallet_hash_id: String,
    pub(super) application: Map<String, Value>,
    pub(super) compliance_status: String,
    pub(super) status: String,
    pub(super) status_before: String,
    pub(super) remarks: Option<String>,
    pub(super) compliance_remarks: Option<String>,
    pub(super) block_updated_by: Option<String>,
    pub(super) block_reason: Option<String>,
    pub(super) block_comment: Option<String>,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    /// Re-initiations that were taken.
    pub(super) submissions: u32,
    pub(super) on_resubmission: Outcome,
    /// Once blocked for good, the customer may not re-apply.
    pub(super) refuses_reapplication: bool,
    /// Looks that still see Pending after COMPLETED.
    pub(super) looks_until_clear: u32,
    pub(super) quirks: Quirks,
    /// A company's case; persons have none.
    pub(super) case_id: Option<String>,
    /// What was asked of them, answered or not.
    pub(super) rfis: Vec<Value>,
    /// What they answered.
    pub(super) rfi_answers: Vec<Value>,
    /// Addresses for the check that were given after the first.
    pub(super) regenerated: u32,
    /// Its place in the order of creation: times have whole seconds only.
    #[serde(skip)]
    pub(super) place: u64,
}

impl Customer {
    /// A customer whom nobody has checked yet.
    pub(super) fn new(id: String, application: Map<String, Value>, place: u64, now: &str) -> Self {
        Self {
            id,
            wallet_hash_id: uuid::Uuid::new_v4().to_string(),
            application,
            compliance_status: "ACTION_REQUIRED".to_owned(),
            status: "Pending".to_owned(),
            status_before: "Pending".to_owned(),
            remarks: None,
            compliance_remarks: None,
            block_updated_by: None,
            block_reason: None,
            block_comment: None,
            created_at: now.to_owned(),
            updated_at: now.to_owned(),
            submissions: 0,
            on_resubmission: Outcome::default(),
            refuses_reapplication: false,
            looks_until_clear: 0,
            quirks: Quirks::default(),
            case_id: None,
            regenerated: 0,
            rfis: Vec::new(),
            rfi_answers: Vec::new(),
            place,
        }
    }

    /// Moves the customer, and remembers the status that a lagging answer still shows.
    pub(super) fn move_to(&mut self, compliance: &str, status: &str, now: &str) {
        self.status_before = std::mem::replace(&mut self.status, status.to_owned());
        compliance.clone_into(&mut self.compliance_status);
        now.clone_into(&mut self.updated_at);
    }

    /// The whole state, documents described by length and digest.
    pub(super) fn described(&self) -> Value {
        let mut whole = serde_json::to_value(self).unwrap_or_default();
        let files = whole.pointer_mut("/application/identificationDoc").and_then(Value::as_array_mut);
        for file in files.into_iter().flatten().filter_map(|doc| doc.get_mut("identificationDocument")) {
            for file in file.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                if let Some(Value::String(content)) = file.remove("document") {
                    let digest = hex::encode(Sha256::digest(content.as_bytes()));
                    file.insert("base64".to_owned(), json!({ "length": content.len(), "sha256": digest }));
                }
            }
        }
        whole
    }
}

/// Everything that changes.
#[derive(Default)]
pub(super) struct State {
    /// What the service has written to customers.
    pub(super) mails: super::mailbox::Mails,
    pub(super) customers: BTreeMap<String, Customer>,
    pub(super) journal: Journal,
    pub(super) faults: Vec<Fault>,
    /// Names of held answers that may go.
    pub(super) released: BTreeSet<String>,
    pub(super) callback_url: Option<String>,
    pub(super) webhook_url: Option<String>,
    pub(super) callback_header: Option<(String, String)>,
    offset: SignedDuration,
    emails: HashMap<String, String>,
    created: u64,
}

impl State {
    /// Nium's present moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "the pretend Nium has a clock of its own, moved by an offset"
    )]
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.offset).unwrap_or(Timestamp::MAX)
    }

    /// Nium's present moment as it writes times: whole seconds, UTC, no zone.
    pub(super) fn now_text(&self) -> String {
        self.now().strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Moves the clock on, or back.
    pub(super) fn advance_ms(&mut self, ms: i64) {
        self.offset = self.offset.saturating_add(SignedDuration::from_millis(ms));
    }

    /// Opens an entry and gives its place.
    pub(super) fn note(&mut self, mut entry: Entry) -> usize {
        entry.seq = self.journal.len();
        entry.at = self.now().to_string();
        self.journal.push(entry);
        self.journal.len() - 1
    }

    /// Changes an entry that is still open.
    pub(super) fn amend(&mut self, seq: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.journal.get_mut(seq) {
            change(entry);
        }
    }

    /// Whether an e-mail address belongs to somebody else.
    pub(super) fn email_taken(&self, email: &str, by: Option<&str>) -> bool {
        self.emails.get(&email.to_lowercase()).is_some_and(|owner| Some(owner.as_str()) != by)
    }

    /// Files a new customer or a new application of a known one.
    pub(super) fn keep_email(&mut self, email: &str, id: &str) {
        self.emails.insert(email.to_lowercase(), id.to_owned());
    }

    /// How many customers were ever created.
    pub(super) fn created(&self) -> u64 {
        self.created
    }

    /// The place of a new customer in the order of creation.
    pub(super) fn next_place(&mut self) -> u64 {
        self.created += 1;
        self.created
    }

    /// Forgets a customer; says whether there was one.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        self.emails.retain(|_, owner| owner != id);
        self.customers.remove(id).is_some()
    }
}
