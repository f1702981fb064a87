//! What the tests of the whole daemon share.

#![expect(dead_code, reason = "each test binary uses its part")]

pub mod cast;
pub mod story;
pub mod world;
