//! FLOOR 1: pure decisions. Knows the domain and nothing else: no await, no store, no clock.
//!
//! - `decide`: one case and one observation in, one decision out; every pair has a line
//! - `looked`: the part of that table about what a look saw
//! - `officer`: the part about an officer's word
//! - `classify`: Nium's remarks in, a verdict out
//! - `acts`: may a block, tags, an update go to Nium now
//! - `timers`: what happens by itself: looks that nobody asked for, deadlines, reminders
//! - `retry`: how long to wait before trying again

pub mod acts;
pub mod classify;
pub mod decide;
mod looked;
mod officer;
pub mod retry;
pub mod timers;

pub use decide::decide;

#[cfg(test)]
mod tests;
