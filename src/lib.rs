//! reinstate
pub mod clock;
pub mod domain;
pub mod flow;
pub mod store;
pub mod vault;
