//! What the daemon knows and how it decides: values in, values out.
//!
//! Nothing here reads a clock, a file, the environment or the network, and no type of an SDK appears. Time is an
//! argument. Reading order: [`build`] (what is known), [`watch`] (what to read next), [`image`], [`detect`] and
//! [`classify`] (what a failed build means), [`trust`] (whose word that is), [`reach`] (whom a grant reaches), [`policy`] (what the operator allows), [`remedy`] and [`buildspec`]
//! (what could be done), [`change`] and [`plan`] (what shall be done), [`patch`] (what the owner shall do),
//! [`decide`] and [`quota`] (whether), [`remediation`] (a plan in time), [`retry`]
//! (the failed build once more), [`verdict`] (what a later build proves), [`history`] (the ledger, folded), [`course`]
//! (the ledger, by throttled build), [`recent`] (the newest of it, bounded). Apart from that, [`permissions`] and [`iam_policy`] say what AWS must let the daemon do, and [`legible`] how text
//! from outside is shown.

pub mod build;
pub mod buildspec;
pub mod change;
pub mod classify;
pub mod course;
pub mod decide;
pub mod detect;
pub mod history;
pub mod iam_policy;
pub mod image;
pub mod images;
pub mod legible;
pub mod patch;
pub mod permissions;
pub mod plan;
pub mod policy;
pub mod quota;
pub mod reach;
pub mod recent;
pub mod remediation;
pub mod remedy;
pub mod retry;
pub mod survey;
#[cfg(test)]
pub(crate) mod testing;
pub mod trouble;
pub mod trust;
pub mod verdict;
pub mod watch;
