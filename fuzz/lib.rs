//! The parts of `unthrottled` that read what strangers wrote, compiled with a fuzzer's instruments.
//!
//! They are compiled from the same files as the program, but into this crate: the library brings the AWS SDKs, which a fuzzer
//! has no use for and which would be built anew, for many minutes, with its instruments.

// The invariants name the crate, as the tests do that share them.
extern crate self as unthrottled;

pub mod invariants;

#[path = "../src/domain/mod.rs"]
pub mod domain;

pub mod edge;
