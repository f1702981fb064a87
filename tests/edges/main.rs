//! The edges that talk to AWS, against written-down answers: what is sent, and what the answers become.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod build_log;
mod codebuild;
mod connection;
mod failures;
mod iam;
mod project_write;
mod secrets;
mod wire;
