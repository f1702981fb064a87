//! The readers of `src/edge` that need no AWS.

#[path = "../src/edge/batch_get_builds.rs"]
pub mod batch_get_builds;

#[path = "../src/edge/settings/mod.rs"]
pub mod settings;
