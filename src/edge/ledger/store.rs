//! Where a ledger is kept: the value that the settings come to, and that opens it.

use super::table::TableStore;
use crate::edge::aws::calls::CountCalls;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a ledger is kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file, for one daemon on one machine.
    File(PathBuf),
    /// A DynamoDB table, for daemons that take turns.
    DynamoDb(TableStore),
}

impl Store {
    /// The same, with the calls to a table counted here. A file needs none.
    pub fn counting(mut self, calls: &CountCalls) -> Store {
        if let Store::DynamoDb(table) = &mut self {
            table.connection.calls = calls.clone();
        }
        self
    }
}

impl From<&Path> for Store {
    fn from(path: &Path) -> Store {
        Store::File(path.to_path_buf())
    }
}

impl From<&PathBuf> for Store {
    fn from(path: &PathBuf) -> Store {
        Store::File(path.clone())
    }
}

impl From<&Store> for Store {
    fn from(store: &Store) -> Store {
        store.clone()
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Store::File(path) => path.display().fmt(f),
            Store::DynamoDb(store) => write!(f, "DynamoDB table {}", store.table),
        }
    }
}
