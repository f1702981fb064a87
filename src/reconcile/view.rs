//! What the status page shows, as of one moment: bounded copies, so that who looks neither waits for the loop nor makes
//! it wait, and no request reads the ledger.

use super::daemon::Daemon;
use crate::domain::build::{BuildId, ProjectName, RoleName};
use crate::domain::decide::Judgement;
use crate::domain::history::{AccountLow, Detected, History, Pending, Proposal};
use crate::domain::plan::RemediationId;
use crate::domain::policy::Mode;
use crate::domain::recent::Sums;
use crate::domain::remediation::{Kept, Remediation};
use crate::edge::event::Place;
use crate::edge::metrics::{Coverage, Pulls};
use crate::edge::settings::PageSettings;
use crate::reconcile::Tick;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of one kind at the most.
const ROWS: usize = 50;

/// Where the loop puts what there is to see. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Board {
    view: Arc<Mutex<Option<Arc<View>>>>,
}

/// What there is to see.
#[derive(Clone, Debug)]
pub struct View {
    /// As of when.
    pub at: Timestamp,
    /// The most that any policy may do.
    pub mode: Mode,
    /// How long the daemon waits between two looks.
    pub poll_interval: SignedDuration,
    /// Who may see the page.
    pub page: PageSettings,
    /// The last look, if one has ended.
    pub tick: Option<LastTick>,
    /// Every scope of the settings.
    pub scopes: Vec<ScopeView>,
    /// Remediations under way, the oldest first.
    pub open: Rows<OpenRemediation>,
    /// What was proposed and waits for people.
    pub proposed: Rows<Waits>,
    /// Builds that wait for a decision.
    pub waiting: Rows<Waiting>,
    /// Grants that a rollback left, as something else needs them.
    pub kept: Rows<KeptGrant>,
    /// Credentials whose password is to be reset.
    pub to_reset: Vec<ToReset>,
    /// Credentials whose Docker account has too few pulls left.
    pub low: Vec<LowAccount>,
    /// What happened lately.
    pub sums: Sums,
}

/// Some rows, and how many more there are.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// Those that are shown.
    pub shown: Vec<T>,
    /// How many there are.
    pub total: usize,
}

/// A look that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// Why it ended early: without the ledger nothing may be done.
    pub failed: Option<String>,
}

/// One scope.
#[derive(Clone, Debug)]
pub struct ScopeView {
    /// Where it is.
    pub place: Place,
    /// How much the last look saw; none before the first has ended.
    pub sight: Option<Sight>,
}

/// What one look at a scope saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// When it ended.
    pub at: Timestamp,
    /// How much of what there is to see.
    pub coverage: Coverage,
    /// What could not be read, each a bounded word and a sentence.
    pub incomplete: Vec<(String, String)>,
    /// When a look last saw the scope as a whole.
    pub whole: Option<Timestamp>,
}

/// A remediation under way.
#[derive(Clone, Debug)]
pub struct OpenRemediation {
    /// Its scope.
    pub scope: String,
    /// What it is.
    pub remediation: Remediation,
}

/// A change that people are asked to make or to allow.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Its scope.
    pub scope: String,
    /// Because of which build.
    pub because: BuildId,
    /// What.
    pub what: Proposal,
}

/// A build that waits for a decision.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its scope.
    pub scope: String,
    /// The build.
    pub detected: Detected,
    /// What was last decided.
    pub last: Option<Judgement>,
    /// When it is decided again.
    pub due: Timestamp,
}

/// A grant that a rollback left.
#[derive(Clone, Debug)]
pub struct KeptGrant {
    /// The remediation that was taken back.
    pub id: RemediationId,
    /// The role.
    pub role: RoleName,
    /// The project that needs it.
    pub by: ProjectName,
    /// Since when.
    pub since: Timestamp,
}

/// A credential whose password is to be reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToReset {
    /// Its scope.
    pub scope: String,
    /// Its name in the settings.
    pub credential: String,
    /// The secret's name, if the settings still have it.
    pub secret: Option<String>,
}

/// A credential whose Docker account has too few pulls left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowAccount {
    /// Its scope.
    pub scope: String,
    /// Its name in the settings.
    pub credential: String,
    /// What was left when it began, and since when.
    pub low: AccountLow,
    /// What was left when Docker Hub was last asked, if this daemon has asked.
    pub now: Option<Pulls>,
}

impl Board {
    /// What there is to see; nothing before the ledger was opened, and while another daemon acts.
    pub fn read(&self) -> Option<Arc<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts it there.
    pub fn show(&self, view: View) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(view));
    }

    /// Takes it away: another daemon may know better from now on.
    pub fn clear(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<T> Rows<T> {
    /// Copies the first of them, and counts the others.
    fn of<S>(all: impl IntoIterator<Item = S>, copy: impl Fn(S) -> T) -> Rows<T> {
        let mut all = all.into_iter();
        let shown: Vec<T> = all.by_ref().take(ROWS).map(copy).collect();
        let total = shown.len() + all.count();
        Rows { shown, total }
    }

    /// How many are not shown.
    pub fn more(&self) -> usize {
        self.total - self.shown.len()
    }
}

impl Sight {
    /// After one more look.
    pub(super) fn after(before: Option<&Sight>, tick: &Tick, now: Timestamp) -> Sight {
        let whole = if tick.is_whole() { Some(now) } else { before.and_then(|before| before.whole) };
        let incomplete = tick.incomplete.iter().take(ROWS).cloned().collect();
        Sight { at: now, coverage: tick.coverage.clone(), incomplete, whole }
    }
}

impl Daemon {
    /// What there is to see now.
    pub fn view(&self, now: Timestamp) -> View {
        let settings = self.settings();
        View {
            at: now,
            mode: settings.daemon.mode,
            poll_interval: settings.daemon.poll_interval,
            page: settings.daemon.page.clone(),
            tick: self.last_tick().cloned(),
            scopes: self.scope_names().iter().map(|scope| self.scope_view(scope)).collect(),
            open: self.open_rows(),
            proposed: self.proposed_rows(),
            waiting: self.waiting_rows(),
            kept: self.kept_rows(),
            to_reset: self.to_reset(),
            low: self.low_accounts(),
            sums: self.book().recent().sums(),
        }
    }

    fn scope_view(&self, scope: &str) -> ScopeView {
        ScopeView { place: self.book().place(scope), sight: self.sight(scope).cloned() }
    }

    /// The history of every scope.
    fn histories(&self) -> impl Iterator<Item = (&str, &History)> {
        self.book().histories()
    }

    fn open_rows(&self) -> Rows<OpenRemediation> {
        let all = self.histories().flat_map(|(scope, history)| history.open().map(move |(_, open)| (scope, open)));
        let mut all: Vec<(&str, &Remediation)> = all.collect();
        all.sort_by_key(|(_, remediation)| remediation.planned());
        Rows::of(all, |(scope, remediation)| OpenRemediation {
            scope: scope.to_string(),
            remediation: remediation.clone(),
        })
    }

    fn proposed_rows(&self) -> Rows<Waits> {
        let all = self.histories().flat_map(|(scope, history)| history.proposals().map(move |one| (scope, one)));
        Rows::of(all, |(scope, (because, what)): (&str, (&BuildId, &Proposal))| Waits {
            scope: scope.to_string(),
            because: because.clone(),
            what: what.clone(),
        })
    }

    fn waiting_rows(&self) -> Rows<Waiting> {
        let all = self.histories().flat_map(|(scope, history)| {
            let mut pending = history.pending();
            pending.sort_by_key(|pending| (pending.detected.build.project(), pending.detected.number));
            pending.into_iter().map(move |pending| (scope, pending))
        });
        Rows::of(all, |(scope, pending): (&str, &Pending)| Waiting {
            scope: scope.to_string(),
            detected: pending.detected.clone(),
            last: pending.last.clone(),
            due: pending.due,
        })
    }

    fn kept_rows(&self) -> Rows<KeptGrant> {
        let all = self.histories().flat_map(|(_, history)| history.kept_grants());
        Rows::of(all, |(id, remediation, kept): (&RemediationId, &Remediation, &Kept)| KeptGrant {
            id: id.clone(),
            role: remediation.plan().role.clone(),
            by: kept.by.clone(),
            since: kept.since,
        })
    }

    fn to_reset(&self) -> Vec<ToReset> {
        let of = |(scope, history): (&str, &History)| -> Vec<ToReset> {
            let secret = |name: &str| self.settings().credential(name).map(|credential| credential.secret.clone());
            let one =
                |name: &str| ToReset { scope: scope.to_string(), credential: name.to_string(), secret: secret(name) };
            history.passwords_to_reset().map(one).collect()
        };
        self.histories().flat_map(of).collect()
    }

    fn low_accounts(&self) -> Vec<LowAccount> {
        let of = |(scope, history): (&str, &History)| -> Vec<LowAccount> {
            let pulls = self.sight(scope).map(|sight| &sight.coverage.pulls);
            let one = |(credential, low): (&str, &AccountLow)| LowAccount {
                scope: scope.to_string(),
                credential: credential.to_string(),
                low: low.clone(),
                now: pulls.and_then(|pulls| pulls.get(credential)).copied(),
            };
            history.accounts_low().map(one).collect()
        };
        self.histories().flat_map(of).collect()
    }
}
