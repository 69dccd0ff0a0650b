//! FLOOR 1: pure decisions. Knows the domain and nothing else: no await, no store, no clock.
//!
//! - `decide`: one case and one observation in, one decision out; every pair has a line
//! - `looked`: the part of that table about what a look saw
//! - `classify`: Nium's remarks in, a verdict out
//! - `retry`: when to try again, and when to ask by ourselves

pub mod classify;
pub mod decide;
mod looked;
pub mod retry;

pub use decide::decide;

#[cfg(test)]
mod tests;
