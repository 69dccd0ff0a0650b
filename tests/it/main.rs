//! The one test binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking, in its helpers too"
)]

mod alerts;
mod api;
mod applicants;
mod attacks;
mod attacks_flood;
mod attacks_network;
mod attacks_refused;
mod audit;
mod browser;
mod bulk;
mod callback;
mod canary;
mod cases;
mod certificates;
mod chromium;
mod commands;
mod config;
mod console;
mod console_looks;
mod console_pages;
mod console_roles;
mod crash;
mod damage;
mod database;
mod destinations;
mod disk;
mod doctor;
mod doors;
mod ear;
mod events;
mod fuzz;
mod house;
mod jobs;
mod journeys;
mod keys;
mod late_keys;
mod laws;
mod lifecycle;
mod list;
mod listener;
mod mail;
mod memory;
mod model;
mod moves;
mod officer;
mod onboarding;
mod openapi;
mod outage;
mod overview;
mod page;
mod page_attacks;
mod page_looks;
mod pages;
mod peers;
mod postgres;
mod privacy;
mod promises;
mod proxy;
mod reach;
mod releases;
mod reload;
mod replay;
mod replicas;
mod restart;
mod retention;
mod rfi;
mod rollback;
mod schema;
mod search;
mod serve;
mod smtp;
mod stores;
mod strict;
mod supply;
mod sweep;
mod tidy;
mod timers;
mod traces;
mod unit;
mod views;
mod visitor;
mod walks;
mod webhook;
