//! Which builds to read next, so that none is lost and few calls are made.
//!
//! `ListBuilds` answers ids only, newest first, 100 a page. The watch remembers the newest ids it has seen and the
//! builds it still waits for. A sweep reads pages until one ends in an id that it knows; it is taken in only as a whole,
//! so a page that fails is read again.

use crate::domain::build::{Build, BuildId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Ids remembered: three pages, so that builds that are deleted or listed late don't hide where the last sweep was.
const REMEMBERED: usize = 300;

/// How long after its end a build's log is read once more: CloudWatch gets the last lines late.
pub const LATE_LINES: SignedDuration = SignedDuration::from_secs(60);

/// How far a sweep reads past the last whole one, by the builds' start times.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// Unfinished builds younger than this are looked at in every tick, older ones less and less often.
const YOUNG: SignedDuration = SignedDuration::from_mins(30);

/// Why a build is still waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// It was listed, and not read yet, or the reading failed.
    Unread,
    /// It was not over.
    Unfinished,
    /// It failed, and its log showed nothing yet.
    LateLines,
}

/// A build that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Why.
    pub waiting: Waiting,
    /// Since when.
    pub since: Timestamp,
    /// When it was last put off.
    pub asked: Timestamp,
    /// When it is worth another look.
    pub due: Timestamp,
}

/// What the watch remembers from one tick to the next and over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The newest ids seen, newest first.
    recent: Vec<BuildId>,
    /// Builds waited for.
    open: BTreeMap<BuildId, Open>,
    /// When the last whole sweep began.
    swept: Option<Timestamp>,
    /// How far back the first sweep goes, until there was one: known from the first start on, however often that one
    /// is cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    /// Whether the list can be trusted to be newest first.
    order: Order,
}

/// One reading of the list, page by page.
#[derive(Clone, Debug)]
pub struct Sweep {
    began: Timestamp,
    /// Builds that started earlier are of no interest.
    since: Timestamp,
    listed: Vec<BuildId>,
    known: BTreeSet<BuildId>,
    order: Order,
    /// When the first build of the list started.
    first: Option<Timestamp>,
}

/// Whether the list is newest first, as far as was seen. It is not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nothing contradicts it.
    #[default]
    NewestFirst,
    /// A later entry started after an earlier one: every page has to be read.
    Unordered,
}

/// Whether a sweep wants another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    Page,
    /// It has all that it needs.
    Enough,
}

impl Watch {
    /// Notes how far back the first sweep goes. To be kept before anything is read.
    pub fn begin(&mut self, lookback: SignedDuration, now: Timestamp) {
        let from = now.saturating_sub(lookback).unwrap_or(Timestamp::MIN);
        if self.swept.is_none() {
            // A clock that was ahead is no reason to look back less.
            self.first = Some(self.first.map_or(from, |first| first.min(from)));
        }
    }

    /// Begins a sweep. The first one goes back to builds that started no longer than `lookback` ago, or before the first
    /// start.
    pub fn sweep(&self, lookback: SignedDuration, now: Timestamp) -> Sweep {
        let from = now.saturating_sub(lookback).unwrap_or(Timestamp::MIN);
        let since = match (self.swept, self.first) {
            (Some(swept), _) if swept <= now => swept.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN),
            (None, Some(first)) => first.min(from),
            // A last sweep in the future tells of a clock that was wrong, and not how far back it was.
            (Some(_) | None, _) => from,
        };
        Sweep {
            began: now,
            since,
            listed: Vec::new(),
            known: self.recent.iter().cloned().collect(),
            order: self.order,
            first: None,
        }
    }

    /// No build that ended before then is of interest to a sweep, not even if this watch is lost.
    pub fn horizon(&self, lookback: SignedDuration, now: Timestamp) -> Timestamp {
        let first = now.saturating_sub(lookback).unwrap_or(Timestamp::MIN);
        let swept = self.swept.map(|swept| swept.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN));
        [swept, self.first].into_iter().flatten().fold(first, Timestamp::min)
    }

    /// Takes a whole sweep in: its ids are known from now on, and the `fresh` ones are waited for.
    pub fn take_in(&mut self, sweep: Sweep, fresh: &[BuildId]) {
        for id in fresh.iter().filter(|id| !sweep.known.contains(id)) {
            let open = Open { waiting: Waiting::Unread, since: sweep.began, asked: sweep.began, due: sweep.began };
            self.open.entry(id.clone()).or_insert(open);
        }
        let mut recent = sweep.listed;
        let listed: BTreeSet<BuildId> = recent.iter().cloned().collect();
        recent.extend(self.recent.drain(..).filter(|id| !listed.contains(id)));
        recent.truncate(REMEMBERED);
        self.recent = recent;
        self.swept = Some(sweep.began);
        self.first = None;
        self.order = sweep.order;
    }

    /// The newest builds of the list when it was last read as a whole, newest first: some 300 at most, of any age.
    pub fn recent(&self) -> &[BuildId] {
        &self.recent
    }

    /// For how long the oldest build that was listed and not read since has been so.
    pub fn oldest_unread(&self, now: Timestamp) -> SignedDuration {
        let unread = self.open.values().filter(|open| open.waiting == Waiting::Unread);
        let oldest = unread.map(|open| open.since).min();
        oldest.map_or(SignedDuration::ZERO, |since| now.duration_since(since).max(SignedDuration::ZERO))
    }

    /// The builds to read now.
    pub fn due(&self, now: Timestamp) -> Vec<BuildId> {
        self.open
            .iter()
            // What was put off by a clock that was ahead is not waited for.
            .filter(|(_, open)| open.due <= now || open.asked > now)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// When the next build is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.open.values().map(|open| open.due).min()
    }

    /// Since when a build is waited for.
    pub fn since(&self, id: &BuildId) -> Option<Timestamp> {
        self.open.get(id).map(|open| open.since)
    }

    /// The builds waited for.
    pub fn open(&self) -> impl Iterator<Item = (&BuildId, &Open)> {
        self.open.iter()
    }

    /// A build that was read is not over: it is looked at again, less often with age.
    pub fn keep_unfinished(&mut self, build: &Build, now: Timestamp) {
        let age = build.started.map_or(SignedDuration::ZERO, |started| now.duration_since(started));
        let pause = if age < YOUNG { SignedDuration::ZERO } else { age / 20 };
        self.keep(&build.id, Waiting::Unfinished, pause, now);
    }

    /// A build whose log showed nothing is read once more, [`LATE_LINES`] after its end. Answers whether it will be.
    pub fn keep_for_late_lines(&mut self, build: &Build, now: Timestamp) -> LateLook {
        let due = build.ended.and_then(|ended| ended.checked_add(LATE_LINES).ok()).unwrap_or(now);
        if now >= due {
            return LateLook::Over;
        }
        // Looked at before that, by a clock that was set back, it says as little as the first time.
        self.keep(&build.id, Waiting::LateLines, due.duration_since(now).min(LATE_LINES), now);
        LateLook::Due
    }

    /// The build is to be read again at once.
    pub fn reread(&mut self, id: &BuildId, now: Timestamp) {
        self.keep(id, Waiting::Unread, SignedDuration::ZERO, now);
    }

    /// The build was dealt with.
    pub fn close(&mut self, id: &BuildId) {
        self.open.remove(id);
    }

    fn keep(&mut self, id: &BuildId, waiting: Waiting, pause: SignedDuration, now: Timestamp) {
        let due = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        let since = self.open.get(id).map_or(now, |open| open.since);
        self.open.insert(id.clone(), Open { waiting, since, asked: now, due });
    }
}

/// Whether a log is read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateLook {
    /// It is.
    Due,
    /// It was, or the build ended long enough ago.
    Over,
}

impl Sweep {
    /// Whether no earlier sweep saw the build.
    pub fn is_unknown(&self, id: &BuildId) -> bool {
        !self.known.contains(id)
    }

    /// The ids of all pages so far.
    pub fn listed(&self) -> &[BuildId] {
        &self.listed
    }

    /// Takes a page in. A page that ends in a known id reaches what the last sweep saw.
    pub fn page(&mut self, page: &[BuildId]) -> Next {
        self.listed.extend(page.iter().cloned());
        let ends_in_known = page.last().is_some_and(|last| self.known.contains(last));
        if ends_in_known && self.order == Order::NewestFirst { Next::Enough } else { Next::Page }
    }

    /// Whether the builds of a page, of which `read` were read, reach back far enough to need no older one.
    pub fn reaches_back(&mut self, page: &[BuildId], read: &[Build]) -> Next {
        let started = |id: &BuildId| read.iter().find(|build| &build.id == id)?.started;
        let started: Vec<Timestamp> = page.iter().filter_map(started).collect();
        let (Some(first), Some(last)) = (started.first(), started.last()) else {
            return Next::Page;
        };
        // Builds that start together may swap; what counts is a list that goes the other way, over all of its pages.
        let first = *self.first.get_or_insert(*first);
        if last.duration_since(first) > OVERLAP {
            self.order = Order::Unordered;
        }
        if *last < self.since && self.order == Order::NewestFirst { Next::Enough } else { Next::Page }
    }

    /// Whether a build is recent enough.
    pub fn wants(&self, build: &Build) -> bool {
        !build.complete || build.ended.or(build.started).is_none_or(|at| at >= self.since)
    }

    /// What the pages said of the list's order.
    pub fn order(&self) -> Order {
        self.order
    }
}

#[cfg(test)]
mod tests;
