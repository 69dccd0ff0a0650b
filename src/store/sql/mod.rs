//! What a transaction does: the work tables, the evidence, what people ask for. Each function is the inside of one
//! transaction on either database; it is given an open one and never ends it.

pub(super) mod ask;
pub(super) mod audit;
pub(super) mod bulk;
pub(super) mod bundle;
mod column;
pub(super) mod deliveries;
pub(super) mod dossier;
pub(super) mod duty;
pub(super) mod endpoints;
pub(super) mod erase;
pub(super) mod events;
pub(super) mod examine;
pub(super) mod findings;
pub(super) mod holds;
pub(super) mod hourly;
pub(super) mod jobs;
pub(super) mod keys;
pub(super) mod links;
pub(super) mod officer;
pub(super) mod onboard;
pub(super) mod people;
pub(super) mod read;
pub(super) mod retain;
pub(super) mod rfi;
pub(super) mod search;
pub(super) mod standing;
pub(super) mod sweeps;
pub(super) mod tally;
pub(super) mod tells;
pub(super) mod work;
