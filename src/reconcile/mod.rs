//! Joins the pure domain with the edges: look, think, act.
//!
//! [`Reconciler::tick`] is the whole of it. A tick first advances every open remediation, then reads the builds that
//! [`crate::domain::watch`] asks for and diagnoses the failed ones, then decides about the throttled ones, and advances
//! once more what that began. It goes the same way at the first start, in the steady state and after a crash: what a
//! killed daemon was about to do is in the ledger, and what it did is seen in the account.

mod act;
mod book;
mod coverage;
mod daemon;
mod drift;
mod failure;
mod grant;
mod look;
mod quota;
mod survey;
mod sweep;
mod think;
mod view;

pub use book::{Book, BookError, Memory};
pub use daemon::{Access, Daemon, Ended, StartError, as_configured, store};
pub use failure::{Failure, Kind, chain};
pub use survey::Surveyed;
pub use think::Assessment;
pub use view::{
    Board, KeptGrant, LastTick, LowAccount, OpenRemediation, Rows, ScopeView, Sight, ToReset, View, Waiting, Waits,
};

use crate::domain::build::{Build, BuildId, ProjectName};
use crate::domain::history::Fact;
use crate::domain::images::KnownImages;
use crate::domain::plan::RemediationId;
use crate::domain::policy::{Mode, Policy, Remedy};
use crate::domain::remediation::{Outcome, Remediation, Stage};
use crate::domain::verdict::Verdict;
use crate::domain::watch::{Order, Watch};
use crate::edge::aws::Aws;
use crate::edge::clock::Clock;
use crate::edge::event;
use crate::edge::metrics::Coverage;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the operator lets the loop do.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The policies, in order.
    pub policies: Vec<Policy>,
    /// The most that any of them may do.
    pub mode: Mode,
    /// How far back a first start looks.
    pub lookback: SignedDuration,
    /// What is known of images beforehand.
    pub images: Arc<KnownImages>,
    /// How Docker Hub is asked what an account has left; none if it is not asked.
    pub guard: Option<Guard>,
}

/// How Docker Hub is asked what an account has left before a remedy is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Where it gives tokens.
    pub auth_url: String,
    /// Where it serves images.
    pub registry_url: String,
    /// The share (0 to 1) of the limit that has to be left.
    pub floor: f64,
}

/// One account and region, watched and mended.
#[derive(Debug)]
pub struct Reconciler {
    scope: String,
    aws: Aws,
    watch: Watch,
    saved: Watch,
    rules: Rules,
    /// Builds read in this tick, so that none is read twice.
    builds: BTreeMap<BuildId, Build>,
    /// Builds read in this tick that nothing is to be done about.
    dull: BTreeSet<BuildId>,
    /// What builds of this tick tell about remediations that wait for proof.
    verdicts: BTreeMap<RemediationId, Vec<(BuildId, Verdict)>>,
    /// When each open remediation is worth another look.
    next_look: BTreeMap<RemediationId, Timestamp>,
    /// When this process first looked.
    since: Option<Timestamp>,
    /// Whether this process has read all builds that there were at one time.
    builds_read: bool,
    /// When proven remedies were last held against their projects.
    looked_for_drift: Option<Timestamp>,
    /// Projects with a proven remedy that were not there at that look.
    missing: BTreeSet<ProjectName>,
    /// Reads that are good for a while.
    known: think::Known,
    /// What Docker Hub said of the credentials.
    quotas: quota::Quotas,
    /// What was said already and is not said again until it changes.
    said: BTreeSet<String>,
    /// Whether the list of builds was found not to be newest first.
    order: Order,
    tick: Tick,
    /// The account, as soon as a build has told it.
    account: Option<String>,
    /// Set when the daemon is told to stop: no further step is begun.
    stop: CancellationToken,
}

/// What one tick did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Failed builds that were diagnosed.
    pub counts: event::Tick,
    /// Parts of the scope that could not be read, each a bounded word and a sentence.
    pub incomplete: Vec<(String, String)>,
    /// When the next look is worth it, if before the next poll.
    pub wake: Option<Timestamp>,
    /// How much of what there is to see was seen.
    pub coverage: Coverage,
}

impl Tick {
    /// Whether everything that was to be read was read: only then may the scope be called healthy.
    pub fn is_whole(&self) -> bool {
        self.incomplete.is_empty()
    }

    fn add(&mut self, other: Tick) {
        let (all, one) = (&mut self.counts, other.counts);
        all.builds_read += one.builds_read;
        all.builds_failed += one.builds_failed;
        all.builds_throttled += one.builds_throttled;
        all.builds_waiting += one.builds_waiting;
        all.remediations_open += one.remediations_open;
        self.incomplete.extend(other.incomplete);
        self.coverage.add(other.coverage);
        if let Some(at) = other.wake {
            self.wake_at(at);
        }
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl Reconciler {
    /// Takes up the scope where the ledger left it.
    pub async fn open(
        book: &Book,
        scope: &str,
        aws: Aws,
        rules: Rules,
        stop: CancellationToken,
    ) -> Result<Reconciler, BookError> {
        let watch = book.watch(scope).await?;
        Ok(Reconciler {
            scope: scope.to_string(),
            aws,
            saved: watch.clone(),
            watch,
            rules,
            builds: BTreeMap::new(),
            dull: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            next_look: BTreeMap::new(),
            since: None,
            builds_read: false,
            looked_for_drift: None,
            missing: BTreeSet::new(),
            known: think::Known::default(),
            quotas: quota::Quotas::default(),
            said: BTreeSet::new(),
            order: Order::NewestFirst,
            tick: Tick::default(),
            account: None,
            stop,
        })
    }

    /// Puts other rules in force, from the next step on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.known = think::Known::default();
        self.quotas = quota::Quotas::default();
    }

    /// Looks once, thinks, and does what is to be done now.
    ///
    /// # Expected flow
    /// Open remediations advance; new and open builds are read; throttled ones are recorded and decided; what was planned
    /// advances until it has to wait.
    ///
    /// # Guarantees
    /// - Every step is recorded before the next; a kill between any two leaves the same final state as none.
    /// - A part that can't be read makes the tick incomplete, and is read again; one odd project holds up no other.
    ///
    /// # Assumptions
    /// The clock does not go backwards by more than a look-back, nor, while the process runs, forwards by as much as
    /// `settle`; the ledger's times never go backwards.
    ///
    /// # Caveats
    /// `UpdateProject` has no condition: an edit by someone else within the one round trip between our read and our
    /// write is lost.
    ///
    /// # Errors
    /// Only the ledger's: without it nothing may be done.
    pub async fn tick(&mut self, book: &mut Book, clock: &Clock) -> Result<Tick, BookError> {
        let now = clock.now();
        // A clock that falls back says that it was ahead before.
        self.since = Some(self.since.map_or(now, |since| since.min(now)));
        self.tick = Tick::default();
        self.builds.clear();
        self.dull.clear();
        book.catch_up().await?;
        self.watch.begin(self.rules.lookback, now);
        // A ledger that can't be written is told by the next write, at the end of the tick at the latest.
        self.keep_watch(book).await.ok();
        book.forget_before(&self.scope, self.watch.horizon(self.rules.lookback, now));
        self.advance_all(book, clock).await?;
        let unread = self.tick.incomplete.len();
        self.look(book, now).await?;
        self.builds_read |= self.tick.incomplete.len() == unread;
        self.look_for_drift(book, now).await?;
        self.decide_pending(book, now).await?;
        self.advance_all(book, clock).await?;
        self.look_at_kept_grants(book, clock).await?;
        self.look_at_quotas(book, now).await?;
        self.advise_reset(book, now).await?;
        self.drop_verdicts(book, now);
        self.keep_watch(book).await?;
        self.wake(book, now);
        let history = book.history(&self.scope);
        self.tick.counts.builds_waiting = (self.watch.open().count() + history.pending().len()) as u64;
        self.tick.counts.remediations_open = history.open().count() as u64;
        let tick = std::mem::take(&mut self.tick);
        Ok(Tick { coverage: self.coverage(&tick, now), ..tick })
    }

    /// Saves what the watch remembers, if that has changed.
    async fn keep_watch(&mut self, book: &Book) -> Result<(), BookError> {
        if self.watch != self.saved {
            book.save_watch(&self.scope, &self.watch).await?;
            self.saved = self.watch.clone();
        }
        Ok(())
    }

    /// Says when the next look is worth it. What is due already waits for the next poll: it was looked at just now, and
    /// looking again at once, at a build that runs or an API that throttles, would never end.
    fn wake(&mut self, book: &Book, now: Timestamp) {
        let looks = self.next_look.values().copied();
        let builds = self.watch.open().map(|(_, open)| open.due);
        let pending = book.history(&self.scope).pending();
        let later = looks.chain(builds).chain(pending.iter().map(|pending| pending.due)).filter(|at| *at > now);
        if let Some(at) = later.min() {
            self.tick.wake_at(at);
        }
    }

    /// Tells people once a credential that its password should be reset: a proven login may have been logged.
    async fn advise_reset(&mut self, book: &mut Book, now: Timestamp) -> Result<(), BookError> {
        let history = book.history(&self.scope);
        let proven = |r: &Remediation| {
            r.plan().remedy == Remedy::BuildspecLogin && r.stage() == Stage::Closed(Outcome::Verified)
        };
        let advice: BTreeMap<String, RemediationId> = history
            .remediations()
            .filter(|(_, r)| proven(r) && !history.password_reset_advised(&r.plan().credential))
            .map(|(id, r)| (r.plan().credential.clone(), id.clone()))
            .collect();
        for (credential, id) in advice {
            match book.record(&self.scope, Fact::PasswordResetAdvised { credential, id }, now).await {
                Ok(()) | Err(BookError::Overtaken) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The name of the scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Part of the scope could not be read.
    fn incomplete(&mut self, book: &Book, what: &str, failure: &Failure, now: Timestamp) {
        let next = failure.next_step().map(|next| format!("; {next}")).unwrap_or_default();
        let detail = format!(
            "{what}: {}{next}",
            if next.is_empty() { &failure.detail } else { failure.detail.trim_end_matches('.') }
        );
        event::emit(&event::scan_incomplete(&book.place(&self.scope), failure.word(), &detail, now));
        self.tick.incomplete.push((failure.word().to_string(), detail));
    }

    /// Builds whose verdict was not taken up, because the remediation could not be looked at, are read again.
    fn drop_verdicts(&mut self, book: &Book, now: Timestamp) {
        for (id, verdicts) in std::mem::take(&mut self.verdicts) {
            let waiting = book.history(&self.scope).remediation(&id).is_some_and(|r| r.stage() == Stage::Applied);
            let telling = verdicts.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Inconclusive(_)));
            for (build, _) in telling.filter(|_| waiting) {
                self.watch.reread(build, now);
            }
        }
    }
}
