//! The whole daemon against a simulated account: each test reads as a story and holds the list of events.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod auth_variable;
mod cured;
mod drift;
mod for_owner;
mod kept;
mod kinds;
mod left_alone;
mod long_ago;
mod mirror;
mod quota;
mod shared;
mod taken_back;
mod unknowns;
