//! The one test binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking, in its helpers too"
)]

mod api;
mod callback;
mod commands;
mod config;
mod crash;
mod damage;
mod disk;
mod house;
mod jobs;
mod journeys;
mod laws;
mod lifecycle;
mod list;
mod listener;
mod model;
mod officer;
mod onboarding;
mod openapi;
mod outage;
mod peers;
mod restart;
mod rfi;
mod search;
mod serve;
mod strict;
mod sweep;
mod tidy;
mod timers;
mod walks;
mod webhook;
