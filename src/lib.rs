//! reinstate
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod flow;
pub mod http;
pub mod lifecycle;
pub mod metrics;
pub mod nium;
pub mod ops;
pub mod secret;
pub mod sim;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod worker;
