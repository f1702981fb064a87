//! Finds AWS CodeBuild builds that Docker Hub throttled and cures them.
//!
//! Read in this order: [`domain`] decides, [`edge`] talks to the outside, [`reconcile`] joins the two,
//! and [`cli`] is what people type.

pub mod domain;

pub mod edge;

pub mod reconcile;

#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(feature = "simulator")]
pub mod simulation;

pub mod cli;
