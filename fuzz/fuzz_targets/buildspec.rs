//! Any bytes as a buildspec: a right edit or a reason, never a panic or a hang.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/buildspec.rs"]
mod buildspec;

fuzz_target!(|bytes: &[u8]| buildspec::holds_for(bytes));
