//! Writes at Nium other than a submission: blocks (contract section 8), tags (12.3), updates (12.1), onboarding (9), a new
//! address for the customer's check, an answer to what Nium asks (12.4). An *act* is asked for, stored, and done by the worker after a fresh look; its types
//! admit only what Nium documents.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::application::Region;
use super::fields::{Field, FieldProblem, Kind};
use super::id::CustomerHashId;
use super::onboarding::Applicant;
use super::rfi::Answers;
use super::snapshot::CompanyIds;

/// Longest comment of a block, in characters (contract section 8).
pub const COMMENT_CHARS_MAX: usize = 255;
/// Most tags of one customer (contract section 12.3).
pub const TAGS_MAX: usize = 15;
/// Longest key of a tag, in characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a tag, in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Longest `authenticationCode` that is handed on, in characters; it is opaque to us.
const AUTHENTICATION_CODE_CHARS_MAX: usize = 2048;
/// Fields of an update that a correction must carry instead: Nium cannot update them.
const ONLY_BY_CORRECTION: [&str; 8] = [
    "firstName",
    "middleName",
    "lastName",
    "preferredName",
    "dateOfBirth",
    "nationality",
    "identificationDoc",
    "taxDetails",
];
/// Fields that Customer Update takes (contract section 12.1) and that are an application's too.
pub const UPDATABLE: [&str; 34] = [
    "email",
    "mobile",
    "countryCode",
    "nativeLanguageName",
    "occupation",
    "employeeId",
    "segment",
    "deviceInfo",
    "ipAddress",
    "countryIP",
    "sessionId",
    "additionalInfo",
    "billingAddress1",
    "billingAddress2",
    "billingCity",
    "billingLandmark",
    "billingState",
    "billingZipCode",
    "billingCountry",
    "deliveryAddress1",
    "deliveryAddress2",
    "deliveryCity",
    "deliveryLandmark",
    "deliveryState",
    "deliveryZipCode",
    "deliveryCountry",
    "correspondenceAddress1",
    "correspondenceAddress2",
    "correspondenceCity",
    "correspondenceLandmark",
    "correspondenceState",
    "correspondenceZipCode",
    "correspondenceCountry",
    "authenticationCode",
];
/// Names of addresses, which only an update has.
pub const ADDRESS_IDS: [&str; 3] = ["billingAddressId", "deliveryAddressId", "correspondenceAddressId"];

/// The words of one list of reasons.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(
                #[doc = concat!("`", $word, "`.")]
                #[serde(rename = $word)]
                $variant,
            )+
        }

        impl $name {
            /// Every reason, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Nium's word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads Nium's word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
            }
        }
    };
}

reasons! {
    /// Why a customer is blocked for a while.
    TemporaryReason {
        ClientRequest = "CLIENT_REQUEST",
        CustomerRequest = "CUSTOMER_REQUEST",
        PotentialSanction = "POTENTIAL_SANCTION",
        SuspiciousActivity = "SUSPICIOUS_ACTIVITY",
    }
}

reasons! {
    /// Why a customer is blocked for good. The last three are newer than the document that was ordered from.
    PermanentReason {
        AccountClosure = "ACCOUNT_CLOSURE",
        BlacklistedCustomer = "BLACKLISTED_CUSTOMER",
        ClientRequest = "CLIENT_REQUEST",
        CustomerRequest = "CUSTOMER_REQUEST",
        Deceased = "DECEASED",
        FraudulentActivity = "FRAUDULENT_ACTIVITY",
        PotentialSanction = "POTENTIAL_SANCTION",
        SanctionedCustomer = "SANCTIONED_CUSTOMER",
        SuspiciousActivity = "SUSPICIOUS_ACTIVITY",
        UnresponsiveCustomer = "UNRESPONSIVE_CUSTOMER",
        Dormancy = "DORMANCY",
        Other = "OTHER",
    }
}

impl PermanentReason {
    /// Whether Nium took it up after the document (2024-04-30); sent only where a setting allows it.
    #[must_use]
    pub fn is_newer(self) -> bool {
        matches!(self, Self::UnresponsiveCustomer | Self::Dormancy | Self::Other)
    }
}

reasons! {
    /// Why a block is lifted.
    UnblockReason {
        ClientRequest = "CLIENT_REQUEST",
        CustomerRequest = "CUSTOMER_REQUEST",
    }
}

/// What to do about a customer's account, with a reason that fits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockAction {
    /// Suspended until it is lifted.
    TemporaryBlock(TemporaryReason),
    /// For good.
    PermanentBlock(PermanentReason),
    /// Lifted.
    Unblock(UnblockReason),
}

impl BlockAction {
    /// Every action's word.
    pub const WORDS: [&'static str; 3] = ["TEMPORARY_BLOCK", "PERMANENT_BLOCK", "UNBLOCK"];

    /// Nium's words for action and reason.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::TemporaryBlock(reason) => ("TEMPORARY_BLOCK", reason.as_str()),
            Self::PermanentBlock(reason) => ("PERMANENT_BLOCK", reason.as_str()),
            Self::Unblock(reason) => ("UNBLOCK", reason.as_str()),
        }
    }

    /// Reads Nium's words; the error says which reasons fit the action. `newer` admits reasons that the document does
    /// not have.
    pub fn parse(action: &str, reason: &str, newer: bool) -> Result<Self, FieldProblem> {
        let known =
            |words: Vec<&str>| FieldProblem::new("reason", format!("is one of: {}", words.join(", ")));
        match action {
            "TEMPORARY_BLOCK" => TemporaryReason::parse(reason)
                .map(Self::TemporaryBlock)
                .ok_or_else(|| known(TemporaryReason::ALL.iter().map(|reason| reason.as_str()).collect())),
            "PERMANENT_BLOCK" => {
                let allowed = |reason: &PermanentReason| newer || !reason.is_newer();
                let words = PermanentReason::ALL.iter().filter(|reason| allowed(reason));
                PermanentReason::parse(reason)
                    .filter(allowed)
                    .map(Self::PermanentBlock)
                    .ok_or_else(|| known(words.map(|reason| reason.as_str()).collect()))
            }
            "UNBLOCK" => UnblockReason::parse(reason)
                .map(Self::Unblock)
                .ok_or_else(|| known(UnblockReason::ALL.iter().map(|reason| reason.as_str()).collect())),
            _ => Err(FieldProblem::new("action", format!("is one of: {}", Self::WORDS.join(", ")))),
        }
    }
}

/// A write at Nium. Holds personal data: it is kept sealed, and never prints itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Block or unblock.
    Block {
        /// What, and why.
        #[serde(flatten)]
        action: BlockAction,
        /// For Nium's record.
        comment: String,
    },
    /// Change tags.
    Tags {
        /// By the tag's key: the value that it has afterwards, or null for no such tag.
        changes: Map<String, Value>,
    },
    /// Change what Nium has on file.
    Update {
        /// Names of Customer Update, values within its bounds; `authenticationCode` among them where the region wants it.
        fields: Map<String, Value>,
    },
    /// Make a customer of somebody.
    Onboard {
        /// Of whom.
        applicant: Applicant,
    },
    /// Ask for a new address at which the customer goes on with the vendor's check.
    Regenerate,
    /// Answer what Nium asks of the customer.
    Rfi {
        /// Everything that is asked, at once.
        answers: Answers,
        /// A company's names at Nium.
        company: Option<CompanyIds>,
    },
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// How far an act got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum ActStage {
    /// Stored; nothing has been sent.
    #[default]
    Intended,
    /// The first byte may have been sent.
    Sending {
        /// The `x-request-id` of this operation; every attempt carries the same.
        request_id: Uuid,
        /// Times it was sent, this one included.
        sends: u32,
        /// Onboarding: customers who looked like the applicant before it was sent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<CustomerHashId>,
    },
    /// Sent, and nobody knows whether it arrived: look first.
    Unclear {
        /// The `x-request-id` of this operation.
        request_id: Uuid,
        /// Nothing seen before this moment is evidence.
        settled_at: Timestamp,
        /// Times it was sent.
        sends: u32,
        /// Onboarding: customers who looked like the applicant before it was sent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<CustomerHashId>,
    },
    /// Nium took it; a look shows what has become of it.
    Taken,
}

/// The kinds of acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// Block or unblock.
    Block,
    /// Tags.
    Tags,
    /// Customer Update.
    Update,
    /// Unified Add Customer or Onboard Corporate Customer, for somebody new.
    Onboard,
    /// Regenerate KYC URL.
    Regenerate,
    /// Respond to RFI.
    Rfi,
}

impl ActKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Block, Self::Tags, Self::Update, Self::Onboard, Self::Regenerate, Self::Rfi];

    /// The word used in the API, the database and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Tags => "tags",
            Self::Update => "update",
            Self::Onboard => "onboard",
            Self::Regenerate => "regenerate",
            Self::Rfi => "rfi",
        }
    }

    /// Reads [`ActKind::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Act {
    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Block { .. } => ActKind::Block,
            Self::Tags { .. } => ActKind::Tags,
            Self::Update { .. } => ActKind::Update,
            Self::Onboard { .. } => ActKind::Onboard,
            Self::Regenerate => ActKind::Regenerate,
            Self::Rfi { .. } => ActKind::Rfi,
        }
    }

    /// Reads `{"action", "reason", "comment"}`.
    pub fn block(body: &Value, newer: bool) -> Result<Self, Vec<FieldProblem>> {
        let fields = object(body, &["action", "reason", "comment", "receipt"])?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().trim();
        let action = BlockAction::parse(text("action"), text("reason"), newer);
        let comment = text("comment");
        let mut problems: Vec<FieldProblem> = action.as_ref().err().cloned().into_iter().collect();
        if fields.get("receipt").is_some_and(|receipt| !receipt.is_string()) {
            problems.push(FieldProblem::new("receipt", "is a text, as the first answer gave it"));
        }
        if comment.is_empty() || comment.chars().count() > COMMENT_CHARS_MAX {
            problems.push(FieldProblem::new("comment", format!("has 1 to {COMMENT_CHARS_MAX} characters")));
        }
        match action {
            Ok(action) if problems.is_empty() => Ok(Self::Block { action, comment: comment.to_owned() }),
            Ok(_) | Err(_) => Err(problems),
        }
    }

    /// Reads `{"set": {key: value}, "delete": [key]}`.
    pub fn tags(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let fields = object(body, &["set", "delete"])?;
        let (mut changes, mut problems) = (Map::new(), Vec::new());
        let none = Map::new();
        let set = match fields.get("set") {
            None => &none,
            Some(Value::Object(set)) => set,
            Some(_) => return Err(vec![FieldProblem::new("set", "is an object of keys and values")]),
        };
        for (key, value) in set {
            let at = format!("set.{key}");
            match value.as_str().filter(|text| (1..=TAG_VALUE_CHARS_MAX).contains(&text.chars().count())) {
                Some(text) => drop(changes.insert(key.clone(), json!(text))),
                None => problems.push(FieldProblem::new(
                    &at,
                    format!("is a text of 1 to {TAG_VALUE_CHARS_MAX} characters"),
                )),
            }
        }
        let delete = match fields.get("delete") {
            None => &[][..],
            Some(Value::Array(delete)) => delete.as_slice(),
            Some(_) => return Err(vec![FieldProblem::new("delete", "is a list of keys")]),
        };
        if delete.len() > TAGS_MAX {
            problems.push(FieldProblem::new("delete", format!("names at most {TAGS_MAX} tags")));
        }
        for key in delete {
            match key.as_str() {
                Some(key) if !set.contains_key(key) => drop(changes.insert(key.to_owned(), Value::Null)),
                Some(key) => {
                    problems.push(FieldProblem::new(&format!("delete.{key}"), "is set and deleted at once"));
                }
                None => problems.push(FieldProblem::new("delete", "is a list of keys")),
            }
        }
        let overlong = |key: &&String| key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX;
        problems.extend(
            changes.keys().filter(overlong).map(|key| {
                FieldProblem::new(key, format!("is a key of 1 to {TAG_KEY_CHARS_MAX} characters"))
            }),
        );
        if changes.is_empty() && problems.is_empty() {
            problems.push(FieldProblem::new("set", "give at least one tag to set or to delete"));
        }
        if changes.len() > TAGS_MAX {
            problems.push(FieldProblem::new("set", format!("at most {TAGS_MAX} tags are changed at once")));
        }
        if problems.is_empty() { Ok(Self::Tags { changes }) } else { Err(problems) }
    }

    /// Reads fields of Customer Update.
    pub fn update(body: &Value, region: Option<Region>) -> Result<Self, Vec<FieldProblem>> {
        let Value::Object(given) = body else {
            return Err(vec![FieldProblem::new("body", "is an object of fields to change")]);
        };
        let (mut fields, mut problems) = (Map::new(), Vec::new());
        for (name, value) in given {
            match checked(name, value) {
                Ok(value) => drop(fields.insert(name.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        let has_code = given.contains_key("authenticationCode");
        // Without a region on file Nium's own refusal tells.
        let message = match (region, has_code) {
            (Some(Region::Eu | Region::Uk), false) => Some("is demanded by Nium in the EU and the UK"),
            (Some(Region::Sg | Region::Au | Region::Hk | Region::Us | Region::Ca), true) => {
                Some("is for the EU and the UK only")
            }
            (Some(_) | None, _) => None,
        };
        problems.extend(message.map(|message| FieldProblem::new("authenticationCode", message)));
        if fields.keys().all(|name| name == "authenticationCode") && problems.is_empty() {
            problems.push(FieldProblem::new("body", "give at least one field to change"));
        }
        if problems.is_empty() { Ok(Self::Update { fields }) } else { Err(problems) }
    }

    /// What goes into the timeline: nothing personal.
    #[must_use]
    pub fn summary(&self) -> Value {
        match self {
            Self::Block { action, .. } => {
                let (action, reason) = action.words();
                json!({ "action": action, "reason": reason })
            }
            Self::Tags { changes } => json!({ "tags": changes.len() }),
            Self::Update { fields } => {
                let names: Vec<&String> =
                    fields.keys().filter(|name| *name != "authenticationCode").collect();
                json!({ "fields": names })
            }
            Self::Onboard { applicant } => json!({ "customerType": applicant.kind() }),
            Self::Regenerate => json!({}),
            Self::Rfi { answers, .. } => json!({ "items": answers.items().len() }),
        }
    }
}

/// One field of an update within its bounds.
fn checked(name: &str, value: &Value) -> Result<Value, FieldProblem> {
    if ONLY_BY_CORRECTION.contains(&name) {
        let hint = "cannot be updated at Nium; hand in a correction once the customer is rejected";
        return Err(FieldProblem::new(name, hint));
    }
    let text =
        |chars_max| Field { name: "", group: super::fields::Group::Contact, kind: Kind::Text(chars_max) };
    let named = |problem: FieldProblem| FieldProblem::new(name, problem.message);
    if name == "authenticationCode" {
        return text(AUTHENTICATION_CODE_CHARS_MAX).check(value).map_err(named);
    }
    if ADDRESS_IDS.contains(&name) {
        return text(super::fields::TEXT_CHARS_MAX).check(value).map_err(named);
    }
    match Field::named(name).filter(|_| UPDATABLE.contains(&name)) {
        Some(field) => field.check(value),
        None => Err(FieldProblem::new(name, "is not a field that Customer Update takes")),
    }
}

fn object<'a>(body: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, Vec<FieldProblem>> {
    let Value::Object(fields) = body else {
        return Err(vec![FieldProblem::new("body", format!("is an object with {}", known.join(", ")))]);
    };
    let unknown: Vec<FieldProblem> = fields
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| FieldProblem::new(name, format!("is not known here; known are: {}", known.join(", "))))
        .collect();
    if unknown.is_empty() { Ok(fields) } else { Err(unknown) }
}

/// Whether Nium takes a change of this field from a customer whose compliance is finished (contract section 12.1, and the
/// ordered document: e-mail and mobile only). `widened` trusts the newer text, which adds two addresses.
#[must_use]
pub fn may_change_when_completed(field: &str, widened: bool) -> bool {
    let address = field.starts_with("delivery") || field.starts_with("correspondence");
    // The country code is the mobile number's prefix.
    ["email", "mobile", "countryCode", "authenticationCode"].contains(&field) || (widened && address)
}
