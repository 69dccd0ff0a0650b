//! FLOOR 0: the nouns and rules. No input or output, no async, no SQL, no `now()`.
//!
//! - `id`, `nudge`: who, and "look at this customer"
//! - `status`, `snapshot`, `remark`: what Nium said, read leniently
//! - `case`, `effect`, `decision`: where a customer stands, and what follows from what is learned
//! - `fields`, `documents`, `application`, `correction`: what Unified Add Customer takes, and how a correction is merged
//! - `onboarding`, `company`: who is to become a customer
//! - `act`, `rfi`: writes at Nium other than a submission, and what it asks of a customer
//! - `audit`: who did what, chained so that any later change shows
//! - `role`: what people and tokens may do
//! - `search`: what customers can be found by although it is sealed
//! - `view`: the lists that officers work through
//! - `word`: whether an officer's word does anything for a case
//! - `journey`: how far rejected customers have come, and how fast

pub mod act;
pub mod application;
pub mod audit;
pub mod case;
pub mod company;
pub mod correction;
pub mod decision;
pub mod documents;
pub mod effect;
pub mod fields;
pub mod id;
pub mod journey;
pub mod link;
pub mod nudge;
pub mod onboarding;
pub mod remark;
pub mod rfi;
pub mod role;
pub mod search;
pub mod snapshot;
pub mod status;
pub mod texts;
pub mod view;
pub mod word;
