//! reinstate
pub mod clock;
pub mod domain;
pub mod flow;
pub mod http;
pub mod lifecycle;
pub mod metrics;
pub mod nium;
pub mod ops;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod worker;
