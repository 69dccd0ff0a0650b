//! Named misbehaviour, set through `/__sim/faults`, each for a number of times.

use serde::Deserialize;

/// One fault, waiting for a request or callback that fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    /// The endpoint's name, or `callback`.
    pub(super) endpoint: String,
    /// Only for this customer.
    #[serde(default)]
    pub(super) customer_hash_id: Option<String>,
    /// How often.
    #[serde(default = "once")]
    pub(super) times: u32,
    #[serde(flatten)]
    pub(super) kind: Kind,
}

fn once() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// The ways to misbehave.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(super) enum Kind {
    /// Answers with this status and does nothing.
    Status {
        code: u16,
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// A gateway's HTML page, 502, nothing done.
    Html,
    /// An HTML page with status 200, nothing done.
    Html200,
    /// Does it, and answers with half of the JSON.
    Truncated,
    /// Does it (or not), and answers only after this long.
    Hang {
        ms: u64,
        #[serde(default = "yes")]
        applied: bool,
    },
    /// Does it (or not), and closes the connection without an answer.
    Drop {
        #[serde(default)]
        applied: bool,
    },
    /// Does it, and closes the connection without an answer.
    AnswerLost,
    /// 8 MiB of white space.
    Huge,
    /// Says that it does not know the customer.
    NotFound,
    /// Does it, and holds the answer until it is released by this name.
    Wait { name: String },
    /// Calls back, and waits for the client's answer, before it answers itself.
    BeforeAnswer,
    /// Callbacks: never sends it.
    DropCallback,
    /// Callbacks: sends it again this often, with the same `x-request-id`.
    Duplicate {
        #[serde(default = "once")]
        copies: u32,
    },
    /// Callbacks: sends it once more, with another `x-request-id`.
    DuplicateNewId,
    /// Callbacks: sends it after this long.
    Delay { ms: u64 },
    /// Items of the Customer List.
    Item { how: Spoilt },
}

/// What is wrong with an item of the Customer List.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spoilt {
    /// It has no `customerHashId`.
    NoId,
    /// Its `complianceStatus` is an object.
    OddCompliance,
    /// It is null.
    NoObject,
    /// It is not on this page, as if it had moved to one that was already read.
    LeftOut,
}

/// Takes the first fault that fits, once.
pub(super) fn take(faults: &mut Vec<Fault>, endpoint: &str, customer: Option<&str>) -> Option<Kind> {
    let fits = |fault: &Fault| {
        fault.endpoint == endpoint
            && (fault.customer_hash_id.is_none() || fault.customer_hash_id.as_deref() == customer)
    };
    let place = faults.iter().position(fits)?;
    let fault = faults.get_mut(place)?;
    fault.times = fault.times.saturating_sub(1);
    let kind = fault.kind.clone();
    if fault.times == 0 {
        faults.remove(place);
    }
    Some(kind)
}
