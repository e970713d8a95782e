//! Serin takes a new prompt version to its users step by step, watches quality, and takes it back
//! by itself when quality degrades.
//!
//! This page is for whoever reads or changes the code; the README is for whoever runs it.
//!
//! # Bird's eye view
//!
//! ```text
//! policies/*.yaml ──policy::check──▶ Policy ─┐
//!                                            ├─rollout::route─▶ Snapshot ──assignment──▶ Assignment
//! store (RolloutState) ──────────────────────┘
//! source ─▶ Tally per closed tick ──analysis::engine──▶ Assessment
//! operator Command ──────────────────────────▶ rollout::decide(policy, state, input, now)
//! AuditRecord ◀── Store::commit (one transaction) ◀── Transition { from, to, cause, effects }
//!                            controller::execute ──▶ LabelMove ──▶ registry ──▶ read back
//! ```
//!
//! Data goes one way. What is above the second line of the list below is pure and synchronous: it
//! does no I/O, reads no clock and draws no random number. Only the shell awaits.
//!
//! # Start here
//!
//! - [`rollout::decide::decide`]: why a rollout moves, or does not. `rollout/transition.rs` beside it
//!   is the whole state machine in one `match`.
//! - [`controller::Controller::tick`]: one pass over the world, on one screen.
//! - [`assignment`]: what a user gets, and the hash scheme as a specification.
//! - [`analysis`]: from sums to verdicts.
//! - `tests/scenarios/`: behaviours as text, with everything that is said about them.
//!
//! # Code map
//!
//! | room | holds |
//! |---|---|
//! | [`ids`] | names and numbers with checked constructors |
//! | [`targeting`] | attributes of users, and conditions on them |
//! | [`policy`] | file → document → check → [`Policy`](policy::Policy), or every problem at once |
//! | [`analysis`] | tallies, e-values, evidence, verdicts |
//! | [`assignment`] | routes, the snapshot, the hash line, receipts |
//! | [`prompt`] | versions, templates with their variables, the rule for label changes |
//! | [`rollout`] | states, inputs, `decide`, the table, explanations, routes from policies |
//! | [`rehearsal`] | one rollout in memory, as it would go |
//! | — | *below this line: the shell* |
//! | [`controller`] | the tick, the folder of policies, execution of effects |
//! | [`store`] | what outlives the process: SQLite |
//! | [`registry`] | where labels live: embedded, a Langfuse, and a model with faults |
//! | [`notify`] | who is told of transitions: delivered from the store |
//! | [`source`] | where observations come from: lines, scores and spans that are pushed over HTTP |
//! | [`caches`] | caches of applications that follow labels: Redis |
//! | [`api`] | HTTP routes, their views, access |
//! | [`client`] | the route table of a server, followed by a service in Rust that assigns by itself |
//! | [`console`] | the pages at `/`, beside the API |
//! | [`replay`] | a recorded stream through a rehearsal |
//! | [`sim`] | a seeded world that drives the real controller |
//! | [`cli`] | one file per family of verbs |
//! | [`config`], [`telemetry`], [`clock`] | settings, Serin's own counters and logs, the time |
//! | `figures`, `outbound` | numbers as people read them, HTTP to other servers |
//!
//! Imports point upwards only: `ids ◀ targeting ◀ policy ◀ analysis ◀ rollout ◀ rehearsal`,
//! `targeting ◀ assignment ◀ rollout`;
//! store, registry and source know the core and never each other. `tests/tidy` holds these walls.
//!
//! # Invariants
//!
//! 1. The core does no I/O, reads no clock, draws no random number.
//! 2. `rollout::decide` is the only place where a phase changes, and `controller::execute` the only
//!    place where a label moves.
//! 3. A transition, its audit record and its effects are committed in one transaction before any
//!    effect runs.
//! 4. An effect carries its generation; a stale one is refused. Two controllers at once never move a
//!    label twice or backwards.
//! 5. Missing or stale data is `Invalid`; `Invalid` never advances, `Inconclusive` only where the
//!    policy says so in as many words, and neither counts as failure.
//! 6. Protect first, then hold: a regression is acted on before samples, bake and approval are looked
//!    at, and in a pause.
//! 7. A policy that fails its check changes nothing; the last good one stays in force.
//! 8. Raising an exposure never takes treatment from a user who has it; the same candidate retried
//!    gets the same users.
//! 9. An acknowledged observation survives `kill -9`, and is counted once however often it is sent.
//! 10. With store or registries away, assignments go on from the last known state, nothing advances,
//!     and it shows.
//! 11. Every queue, retry, cache and body has a bound with a name. No user key is stored, logged or
//!     exported.
//! 12. Core types are not `Serialize`: each boundary has wire types of its own.

pub mod analysis;
pub mod assignment;
pub mod ids;
pub mod policy;
pub mod prompt;
pub mod rehearsal;
pub mod rollout;
pub mod targeting;

pub mod api;
pub mod caches;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod console;
pub mod controller;
mod figures;
pub mod notify;
mod outbound;
pub mod registry;
pub mod replay;
pub mod sim;
pub mod source;
mod spelling;
pub mod store;
pub mod telemetry;
