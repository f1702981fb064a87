//! What was told, in lines that are the same in every run: the events, and whether the ledger tells the same.

use crate::support::world::World;
use std::collections::{BTreeMap, BTreeSet};
use unthrottled::domain::history::History;
use unthrottled::edge::event::{self, Event};
use unthrottled::edge::ledger::Ledger;
use unthrottled::reconcile::Daemon;

impl World {
    /// What was emitted since the last time, a line each.
    pub fn story(&self) -> String {
        self.lines(&self.told())
    }

    /// Events, a line each.
    pub fn lines(&self, told: &[Event]) -> String {
        let lines: Vec<String> = told.iter().map(|event| self.line(event)).collect();
        lines.join("\n")
    }

    /// An event in a line: what, where, and the words that tell it from its like. Builds by number, as their ids are random.
    pub fn line(&self, event: &Event) -> String {
        let mut words = vec![event.event.name().to_string()];
        words.extend(event.project_name.as_ref().map(ToString::to_string));
        if event.event.name() == "ThrottleDetected" {
            words.extend(event.phase.as_ref().map(|phase| phase.as_str().to_string()));
            words.extend(event.diagnosis.map(word));
            words.extend(event.login.map(word));
        }
        words.extend(event.remedy.map(|remedy| remedy.name().to_string()));
        words.extend(event.mode.map(word));
        words.extend(event.reason.clone());
        words.extend(event.by.as_ref().map(|by| format!("by {}", self.numbered(by))));
        words.join(" ")
    }

    /// Where nothing could be done, as told since the last time: `no_remedy` or `propose_patch`, and why.
    pub fn without_remedy(&self) -> Vec<String> {
        self.told().iter().filter_map(without_remedy).collect()
    }

    /// `web#2` for the id of the second build of `web`.
    pub fn numbered(&self, id: &str) -> String {
        self.sim.build(id).map_or_else(|| id.to_string(), |build| format!("{}#{}", build.project, build.number))
    }

    /// The events of all facts in the ledger, in its order.
    pub async fn recorded(&self, daemon: &Daemon) -> Vec<Event> {
        let ledger = Ledger::open(&self.ledger()).await.expect("a ledger");
        let mut histories: BTreeMap<String, History> = BTreeMap::new();
        let mut recorded = Vec::new();
        for record in self.records().await {
            let history = histories.entry(record.scope.clone()).or_default();
            history.apply(&record).expect("a sound history");
            let place = daemon.book().place(&record.scope);
            recorded.extend(event::of_record(&record, history, &place, ledger.id()));
        }
        assert!(!recorded.is_empty(), "the ledger is empty");
        recorded
    }

    /// Fails unless every fact that has an event was told, once, in the ledger's order and words, and nothing else was told
    /// as if it were a fact.
    pub async fn assert_told_once(&self, daemon: &Daemon, told: &[Event]) {
        let told: Vec<Event> = told.iter().filter(|event| event.event_id.is_some()).cloned().collect();
        assert_eq!(told, self.recorded(daemon).await, "the ledger and the events differ");
    }

    /// Fails unless every fact that has an event was told, perhaps more than once, but always in the same words.
    pub async fn assert_told(&self, daemon: &Daemon, told: &[Event]) {
        let by_id = |events: &[Event]| -> BTreeMap<String, BTreeSet<String>> {
            let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for event in events {
                let Some(id) = event.event_id.clone() else { continue };
                words.entry(id).or_default().insert(serde_json::to_string(event).expect("JSON"));
            }
            words
        };
        assert_eq!(by_id(told), by_id(&self.recorded(daemon).await), "the ledger and the events differ");
    }
}

fn without_remedy(event: &Event) -> Option<String> {
    let word = match event.event.name() {
        "RemedyUnavailable" => event.reason.clone(),
        "RemediationProposed" => {
            assert!(event.patch.as_ref().is_some_and(|patch| !patch.is_empty()), "a proposal is something to merge");
            event.remedy.map(|remedy| remedy.to_string())
        }
        _ => return None,
    };
    Some(format!("{}: {}", word.unwrap_or_default(), event.detail.clone().unwrap_or_default()))
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_string)).unwrap_or_default()
}
