//! One file for each thing outside. Types of the SDK go in, types of [`crate::domain`] come out.

pub mod aws;
pub mod batch_get_builds;
pub mod build_log;
pub mod clock;
pub mod codebuild;
pub mod docker_auth_config;
pub mod docker_hub;
pub mod event;
pub mod http;
pub mod iam;
pub mod identity;
pub mod ledger;
pub mod metrics;
pub mod roots;
pub mod secrets;
pub mod settings;
pub mod telemetry;
