//! `reinstate`: the service at a Nium client's compliance-callback address.
//!
//! Nium tells a client **once** that a customer's compliance status changed. This service makes that *nudge* durable
//! before it answers 200, asks Nium what happened, tells the app backend, takes a *correction* from a rejected
//! customer, submits it with the same `customerHashId`, and follows the customer until `COMPLETED` / `Clear`.
//!
//! # Words
//!
//! A *nudge* says "look at this customer" and carries no truth. A *snapshot* is what Customer Details V2 said. A *case*
//! is our record of where one customer stands. An *observation* is anything learned; a *decision* is the next state,
//! what is told, and why; an *effect* is something to do to the outside, stored before it is done. The design is
//! level-triggered: any number of nudges become one look, so their order, repetition and loss cannot corrupt a case.
//!
//! # Floors (arrows go down only; `tests/it/tidy.rs` holds them)
//!
//! | Floor | Modules |
//! | --- | --- |
//! | top | `cli` (one file per command), `app` (the only place that knows everybody), `config` |
//! | 3 | `http`: the routers, `http::access` (who may knock), `http::callback`, `http::correct` (the hosted page), `http::console` (the officers' pages), `http::api`, `http::health` |
//! | 2 | `worker` (does what was decided), `ops` (what operators and the app backend ask for) |
//! | 1 | `flow` (pure decisions), `nium` (the client), `store` (the one door to the database), `vault` (seals), `spool` (last resort of the intake), `metrics`, `traces` |
//! | 0 | `domain`: nouns and rules, no input or output |
//! | beside | `clock`, `secret`, `lifecycle`, `telemetry`; `sim` is the pretend Nium and names nothing of ours |
//!
//! # The way of the data
//!
//! ```text
//! Nium ─ POST callback ─► http::callback ─ Store::record    appended, one commit for all who wait, fsync
//!                              ▼                             (a fold then makes the customer due)
//!                             200                            (store away? Spool::append + fsync; worker::drain later)
//! worker::runner ─ Store::claim ─► Lease                     on disk before anything runs
//! worker::inbox  ─ Nium::details ─► Observation ─► flow::decide ─► Decision
//!                └ Store::commit(lease, …)                   case, timeline, effects, nudges handled: one transaction
//! worker::outbox ─ Nium::add_customer                        `sending` is on disk before the first byte
//! worker::acts   ─ Nium::act (block, tags, update)            the same road: intent, look, rules, write, look
//! worker::rfi    ─ Nium::rfi                                 fetched with the look that says so, before it is decided about
//! worker::onboard ─ Nium::found_by, Nium::act ─► Store::applied   an applicant has no id: Nium's list is looked at
//! worker::notify ─ signed webhook to each endpoint            own leases, in order per customer and endpoint
//! worker::mail   ─ message to the customer, by SMTP           own leases too; the link in it is made with the decision
//! worker::endpoints ─ Store::endpoint_alarm                  those that fail for long, and those that were removed
//! http::api::events ─ Store::events                          the feed: places are given out after the commit
//! worker::sweep  ─ Nium::list ─► Store::swept                 nudges whoever stands there differently from what we hold
//! worker::marks  ─ Store::put_marks                        what is sealed can be found: fingerprints under one key
//! worker::silence ─ Store::judge                              callbacks that should have come, and the alarm
//! worker::tally  ─ Store::follow_journeys                     the overview's numbers, counted by the side from the feed
//! worker::bulk   ─ Store::step_bulk                       an officer's word to many, a few at a time
//! worker::duty   ─ Store::take_duty                          one replica does what the fleet does once
//! worker::retain ─ Store::drop_files, clear_closed, erase_applicant   what is of no more use goes, a few at a time
//! worker::erasures ─ Store::erase_again                   who was erased stands in a file, and stays so after a restore
//! worker::audit  ─ Store::link_audit                          who did what gets its place in the chain, and checkpoints
//! worker::hands  ─ Store::release_lost                       claims whose answers were lost are given back
//! ```
//!
//! # Invariants, and the tests that hold them
//!
//! 1. 200 only after the nudge is on disk: `tests/it/restart.rs`, `tests/it/serve.rs`, `tests/it/callback.rs`.
//! 2. Only `flow::decide` chooses a state, only `Store::commit` writes one: `tests/it/tidy.rs` (nobody else can name it).
//! 3. No call while a transaction is open: the store never hands one out (`src/store/mod.rs`).
//! 4. A lost lease changes nothing: `tests/it/laws.rs`, `tests/it/replicas.rs` (stopped beyond its leases, and continued).
//! 5. An unclear write is never repeated blindly: `tests/it/journeys.rs`, `src/flow/tests.rs`, `tests/it/model`.
//! 6. Every effect has a key; done twice it is as once: `tests/it/restart.rs`, `tests/it/api.rs`, `tests/it/lifecycle.rs`,
//!    `tests/it/onboarding.rs`, `tests/it/rfi.rs`, `tests/it/crash.rs`, `tests/it/bulk.rs`.
//! 7. An unknown word is kept, shown and parked: `tests/it/journeys.rs`.
//! 8. Time and randomness are arguments: clippy.toml bans the rest.
//! 9. Nothing personal lies open: `tests/it/api.rs`, `tests/it/search.rs`, `tests/it/canary.rs` search database, events and log for planted names.
//! 10. Every queue, body, page, retry and wait has a named limit (`*_MAX`, `*_WAIT`).
//! 11. Every state that is not final has an exit in time or an officer: `src/flow/tests.rs`, `tests/it/sweep.rs`, `tests/it/timers.rs`.
//! 12. An endpoint delays no other, and the feed misses nothing: `tests/it/destinations.rs`, `tests/it/events.rs`.
//! 13. A link says nothing to whoever only reads it, and one correction is handed in once: `tests/it/page.rs`, `tests/it/pages.rs`.
//! 14. What is counted for the overview is counted once, and no page counts a table: `tests/it/overview.rs`, `benches/console`.
//! 15. Nobody is let in to the console by a guess, a foreign form or a stranger's header: `tests/it/console.rs`.
//! 16. Of whoever was erased nothing opens, and nothing comes back: `tests/it/privacy.rs`, `tests/it/applicants.rs`, `tests/it/keys.rs`.
//!
//! # Where to look
//!
//! - What happens to a customer, and why: `src/flow/decide.rs`, `src/flow/looked.rs`, and the whole table as a snapshot.
//! - What an officer sees: `src/http/console`; whether a word or a block fits, and why not: `src/domain/word.rs`.
//! - What officers may say: `src/domain/word.rs`, `src/flow/officer.rs`; what takes two of them: `src/ops/approvals.rs`, `src/store/sql/officer.rs`.
//! - What happens by itself, and when: `src/flow/timers.rs`. What is stuck: `src/store/sql/jobs.rs`.
//! - What is stored: `src/store/migrations`; what a transaction does, on either database: `src/store/sql`; what the two do
//!   differently: `src/store/sqlite.rs` and `src/store/postgres.rs`, function by function, `differs:` says why.
//! - What several replicas share and how the database is reached: `src/store/postgres`, `tests/it/stores.rs`; what a release does
//!   on the schema of the next: `tests/it/replay.rs`, `tests/it/schema.rs`.
//! - What Nium says and how leniently it is read: `src/domain/status.rs`, `src/nium/parse.rs`.
//! - Who has the turn at an endpoint: `src/store/sql/tells.rs`; what the feed gives: `src/store/sql/events.rs`.
//! - What customers read: `src/domain/texts/en.rs`; what is asked and how: `src/http/correct/fields.rs`; e-mails: `src/worker/mail.rs`;
//!   what a mail server's refusals mean: `src/worker/smtp.rs`.
//! - What goes when a person is erased: `src/store/sql/erase.rs`; what goes by itself: `src/store/sql/retain.rs`, `src/worker/house.rs`,
//!   `src/worker/retain.rs`; which keys depend on a master key: `src/vault.rs`; when they are compared with the database: `src/app/keys.rs`.
//! - Who did what, and how a change of it shows: `src/domain/audit/mod.rs`, `src/store/sql/audit.rs`, `tests/it/audit.rs`.
//! - How far customers have come, and how fast: `src/domain/journey.rs`, `src/store/sql/tally.rs`; charts: `src/http/console/chart.rs`.
//! - What customers can be found by: `src/domain/search.rs`, `src/store/sql/search.rs`; what the views mean: `src/domain/view.rs`.
//! - How a correction is merged: `src/domain/correction/merge.rs`.
//! - What a stranger can hold on to, and who is shown out: `src/http/serve.rs`, `src/http/serve/peers.rs`, `tests/it/attacks_network.rs`,
//!   `tests/it/attacks_flood.rs`. What changes while it runs: `src/app/reload.rs`; what is not served: `src/config/dangers.rs`.
//! - What is promised, and by which test it is held: `config/promises.md`; what was tried against it: `tests/it/attacks.rs`, `tests/fuzz`.
//! - What led to what, for whoever watches traces: `src/traces`, `src/worker/traced.rs`.
//! - What an operator is told: `src/metrics`, `src/cli/doctor`, `config/alerts.yml` and its runbooks (`tests/it/alerts.rs`).
//! - Every setting: `config/reinstate.toml`. Every route: `src/http/mod.rs`, `src/http/api/mod.rs`; what each takes and gives:
//!   `src/http/openapi`.

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
pub mod spool;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod vault;
pub mod worker;
