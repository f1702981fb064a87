//! Why a DynamoDB table can't be used as the ledger, and what a person does about it.

use crate::edge::aws::ConnectError;
use crate::edge::aws::failure::{CallError, Failure};

/// Why the table can't be used. Each says what is wrong, with which table, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// No such table in this account and region.
    #[error(
        "there is no DynamoDB table `{table}` in {region}: make it with `unthrottled ledger create`, or set `ledger.table` to the one that there is"
    )]
    NoTable {
        /// Its name.
        table: String,
        /// Where it was looked for.
        region: String,
    },
    /// Another program's table.
    #[error(
        "DynamoDB table `{table}` is no ledger: its key is {found}, and a ledger's is `part` (S) and `item` (S); set `ledger.table` to another name and make that table with `unthrottled ledger create`"
    )]
    OtherKeys {
        /// Its name.
        table: String,
        /// Its key.
        found: String,
    },
    /// The table is being made, or deleted.
    #[error("DynamoDB table `{table}` can't be used while it is {status}: try again later")]
    NotActive {
        /// Its name.
        table: String,
        /// DynamoDB's word for its state.
        status: String,
    },
    /// Made by a newer version.
    #[error(
        "the ledger in DynamoDB table `{table}` has layout {found}, and this version ({}) knows layouts up to {known}: use the version that wrote it, or a newer one",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The table.
        table: String,
        /// Its layout.
        found: u64,
        /// The newest layout known.
        known: u64,
    },
    /// An entry that this version can't read. It is not skipped: what it says may decide what is done next.
    #[error(
        "entry {seq} (`{kind}`) of the ledger in DynamoDB table `{table}` can't be read by this version ({}): {detail}; a newer version wrote it, or it was changed by hand: use the version that wrote it",
        env!("CARGO_PKG_VERSION")
    )]
    UnknownFact {
        /// The table.
        table: String,
        /// Which entry.
        seq: u64,
        /// Its kind, as the item says.
        kind: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Items are missing, or say what can't be.
    #[error(
        "the ledger in DynamoDB table `{table}` is damaged: {detail}; it was left as it is: restore the table to a point in time, or set `ledger.table` to a new one, which knows nothing of remediations under way"
    )]
    Broken {
        /// The table.
        table: String,
        /// What is wrong with it.
        detail: String,
    },
    /// More than DynamoDB keeps in one item.
    #[error(
        "{what} has {size} bytes, and an item of DynamoDB table `{table}` holds {most}: nothing was recorded, and nothing is changed that is not recorded; `ledger.store = \"file\"` has no such limit"
    )]
    TooLarge {
        /// The table.
        table: String,
        /// What should have been written.
        what: String,
        /// Its size.
        size: usize,
        /// The most that fits.
        most: usize,
    },
    /// Others wrote at the same moment, again and again.
    #[error(
        "DynamoDB table `{table}` is written by others at the same moment, or throttled, again and again: nothing was recorded; try again"
    )]
    Busy {
        /// The table.
        table: String,
    },
    /// AWS can't be reached with what was configured.
    #[error("the ledger in DynamoDB table `{table}` can't be reached")]
    Connect {
        /// The table.
        table: String,
        /// Why.
        source: ConnectError,
    },
    /// A call failed.
    #[error("the ledger in DynamoDB table `{table}` can't be used: {}", next_step(.source))]
    Call {
        /// The table.
        table: String,
        /// What was asked, and what AWS or the way there said.
        source: Box<CallError>,
    },
}

impl TableError {
    /// Whether the same call may go well later, without anyone's doing.
    pub fn may_pass(&self) -> bool {
        match self {
            TableError::Call { source, .. } => matches!(source.failure(), Failure::Throttled | Failure::Transient),
            TableError::Busy { .. } => true,
            _ => false,
        }
    }
}

fn next_step(error: &CallError) -> &'static str {
    match error.failure() {
        Failure::Throttled => {
            "it takes no more calls for now; if that goes on, give it on-demand capacity, as `unthrottled ledger create` does"
        }
        Failure::Denied => {
            "let the daemon's own credentials do dynamodb:GetItem, Query, PutItem, UpdateItem and ConditionCheckItem on it"
        }
        Failure::Transient => {
            "look at the network, the region, the credentials, and AWS_ENDPOINT_URL_DYNAMODB if it is set"
        }
        Failure::Gone | Failure::Rejected => "DynamoDB refused the call",
    }
}
