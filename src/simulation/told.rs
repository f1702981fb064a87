//! Whether the ledger and the events tell the same.

use crate::domain::history::{History, Record};
use crate::edge::event::{self, Event, Place};
use std::collections::{BTreeMap, BTreeSet};

/// What the events differ in from the ledger, or nothing. An event may come twice, but always in the same words.
pub(super) fn difference(records: &[Record], place: &Place, ledger: &str, told: &[Event]) -> Option<String> {
    let mut history = History::default();
    let mut recorded = Vec::new();
    for record in records {
        if let Err(broken) = history.apply(record) {
            return Some(format!("entry {} of the ledger can't have happened: {broken}", record.seq));
        }
        recorded.extend(event::of_record(record, &history, place, ledger));
    }
    let (recorded, told) = (by_id(&recorded), by_id(told));
    for (id, words) in &recorded {
        match told.get(id) {
            None => return Some(format!("never told: {words:?}")),
            Some(told) if told != words => return Some(format!("recorded {words:?}, told {told:?}")),
            Some(_) => (),
        }
    }
    told.keys().find(|id| !recorded.contains_key(*id)).map(|id| format!("told and not recorded: {:?}", told[id]))
}

fn by_id(events: &[Event]) -> BTreeMap<String, BTreeSet<String>> {
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events {
        if let Some(id) = event.event_id.clone() {
            words.entry(id).or_default().extend(serde_json::to_string(event).ok());
        }
    }
    words
}
