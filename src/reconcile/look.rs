//! Look: which builds there are, how they ended, and what the failed ones mean.

use crate::domain::build::{Build, BuildId, LogPlace, Status};
use crate::domain::classify::{Cause, Diagnosis, LogReading, UnknownReason, classify};
use crate::domain::detect::{self, Scan};
use crate::domain::history::{Detected, Fact, History};
use crate::domain::policy::UntrustedBuilds;
use crate::domain::remediation::Stage;
use crate::domain::trouble::trouble;
use crate::domain::trust::Weight;
use crate::domain::verdict::{self, Inconclusive, Verdict};
use crate::domain::watch::{LateLook, Next, Order, Sweep};
use crate::edge::build_log::Reach;
use crate::edge::event;
use crate::reconcile::{Book, BookError, Failure, Kind, Reconciler};
use jiff::{SignedDuration, Timestamp};

/// Builds a page of `BatchGetBuilds`.
const PAGE: usize = 100;

/// How long a log that can't be read is tried again before the build counts as undecided.
const LOG_PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// Asked of CloudWatch where a log is too long to be read whole; what comes back is scanned all the same.
const TERMS: [&str; 6] = [
    "toomanyrequests",
    "TOOMANYREQUESTS",
    "429 Too Many Requests",
    "HAP429",
    "pull rate limit",
    "incorrect username or password",
];

/// What a failed build means, and the log that says so.
pub(super) struct Reading {
    pub(super) diagnosis: Diagnosis,
    pub(super) scan: Option<Scan>,
}

impl Reconciler {
    /// Reads what is new and what was open, and takes up every build that is over.
    pub(super) async fn look(&mut self, book: &mut Book, now: Timestamp) -> Result<(), BookError> {
        match self.sweep(now).await {
            Ok(sweep) => self.take_in(sweep, book.history(&self.scope)),
            Err(failure) => self.incomplete(book, "the list of builds could not be read", &failure, now),
        }
        if self.order == Order::Unordered && self.said.insert("list_order".to_string()) {
            let detail =
                "ListBuilds did not answer the newest builds first, so all of its pages are read in every tick";
            event::emit(&event::scan_incomplete(&book.place(&self.scope), "list_order", detail, now));
        }
        let due = self.watch.due(now);
        self.tick.counts.builds_read += due.len() as u64;
        self.read(book, &due, now).await;
        if let Some(account) = &self.account {
            book.set_account(&self.scope, account).await?;
        }
        let mut over: Vec<Build> = due.iter().filter_map(|id| self.builds.get(id).cloned()).collect();
        over.sort_by_key(|build| (build.ended, build.id.clone()));
        for build in over {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            self.take_up(book, &build, now).await?;
        }
        Ok(())
    }

    /// Reads the list as far back as needed.
    pub(super) async fn sweep(&mut self, now: Timestamp) -> Result<Sweep, Failure> {
        let mut sweep = self.watch.sweep(self.rules.lookback, now);
        let mut token = None;
        loop {
            let (page, next) = self.aws.codebuild.list_builds(token.as_ref()).await?;
            if next.is_some() && next == token {
                let detail = "ListBuilds answered the token of the page that was asked for".to_string();
                return Err(Failure { kind: Kind::Again, detail });
            }
            token = next;
            if sweep.page(&page) == Next::Enough || page.is_empty() && token.is_none() {
                break;
            }
            let read = self.read_page(&sweep, &page).await?;
            if sweep.reaches_back(&page, &read) == Next::Enough || token.is_none() {
                break;
            }
        }
        Ok(sweep)
    }

    /// Takes a sweep in, as a whole: what is watched, not dealt with and not too old is to be read. A build that was
    /// diagnosed may still have to prove something: a daemon that is killed between the two has its verdict nowhere.
    pub(super) fn take_in(&mut self, sweep: Sweep, history: &History) {
        self.order = sweep.order();
        let builds = &self.builds;
        let ended_recently = |id: &BuildId| builds.get(id).is_none_or(|build| sweep.wants(build));
        let may_prove =
            |id: &BuildId| history.open_on_project(&id.project()).is_some_and(|open| open.stage() == Stage::Applied);
        let fresh: Vec<BuildId> = sweep
            .listed()
            .iter()
            .filter(|id| self.is_watched(id) && (!history.knows(id) || may_prove(id)) && ended_recently(id))
            .cloned()
            .collect();
        self.watch.take_in(sweep, &fresh);
    }

    /// Whether some policy may be for the build.
    fn is_watched(&self, id: &BuildId) -> bool {
        self.matches(&id.project())
    }

    /// Reads the builds of a page that are worth it: those that a policy may match, and the last, which tells how far
    /// back the page goes.
    async fn read_page(&mut self, sweep: &Sweep, page: &[BuildId]) -> Result<Vec<Build>, Failure> {
        let ends = [page.first(), page.last()];
        let is_wanted = |id: &&BuildId| ends.contains(&Some(*id)) || sweep.is_unknown(id) && self.is_watched(id);
        let wanted: Vec<BuildId> = page.iter().filter(is_wanted).cloned().collect();
        let looked = self.aws.codebuild.builds(&wanted).await?;
        self.account = looked.account.or(self.account.take());
        let read = looked.builds;
        self.builds.extend(read.iter().map(|build| (build.id.clone(), build.clone())));
        Ok(read)
    }

    /// Reads builds that were not read in this tick. Those that AWS does not answer for stay open; those that it says are
    /// gone are let go.
    pub(super) async fn read(&mut self, book: &Book, ids: &[BuildId], now: Timestamp) {
        let missing: Vec<BuildId> = ids.iter().filter(|id| !self.builds.contains_key(id)).cloned().collect();
        for chunk in missing.chunks(PAGE) {
            match self.aws.codebuild.builds(chunk).await {
                Ok(looked) => {
                    self.account = looked.account.or(self.account.take());
                    self.builds.extend(looked.builds.into_iter().map(|build| (build.id.clone(), build)));
                    looked.missing.iter().for_each(|id| self.watch.close(id));
                }
                Err(error) => {
                    self.incomplete(book, "builds could not be read", &error.into(), now);
                }
            }
        }
    }

    /// What one build that was read leads to.
    async fn take_up(&mut self, book: &mut Book, build: &Build, now: Timestamp) -> Result<(), BookError> {
        if !build.complete {
            self.watch.keep_unfinished(build, now);
            return Ok(());
        }
        let is_proof = self.waiting_for(book, build).is_some();
        if build.status == Status::Succeeded && !is_proof {
            self.watch.close(&build.id);
            return Ok(());
        }
        let reading = match self.diagnose(build).await {
            Ok(reading) => reading,
            Err(failure) => {
                let what = format!("the log of build {} could not be read", build.id);
                self.incomplete(book, &what, &failure, now);
                let listed = self.watch.since(&build.id).unwrap_or(now);
                let since = build.ended.map_or(listed, |ended| ended.max(listed));
                if now.duration_since(since) < LOG_PATIENCE {
                    return Ok(());
                }
                Reading { diagnosis: classify(build, LogReading::NotReadable), scan: None }
            }
        };
        self.tick.counts.builds_failed += 1;
        if self.wants_late_lines(build, &reading, now) {
            return Ok(());
        }
        self.note_verdict(book, build, &reading);
        match self.record_diagnosis(book, build, reading.diagnosis, now).await {
            Ok(()) => self.watch.close(&build.id),
            // The next tick reads the build again and decides on the newer history.
            Err(BookError::Overtaken) => self.watch.reread(&build.id, now),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the log is to be read once more, as its last lines may not have come yet.
    fn wants_late_lines(&mut self, build: &Build, reading: &Reading, now: Timestamp) -> bool {
        let diagnosis = &reading.diagnosis;
        let nothing_yet = match diagnosis.cause {
            Cause::NotThrottled => reading.scan.is_some(),
            Cause::Unknown => diagnosis.reason == Some(UnknownReason::LogNotReadable),
            _ => false,
        };
        let failed = matches!(build.status, Status::Failed(_) | Status::Unknown(_));
        failed && nothing_yet && self.watch.keep_for_late_lines(build, now) == LateLook::Due
    }

    /// What a failed build means. The log is read only where the phase contexts leave it open.
    pub(super) async fn diagnose(&self, build: &Build) -> Result<Reading, Failure> {
        let diagnosis = classify(build, LogReading::NotRead);
        if diagnosis.cause != Cause::NeedsLog {
            return Ok(Reading { diagnosis, scan: None });
        }
        let LogPlace::CloudWatch { group, stream } = &build.log else {
            return Ok(Reading { diagnosis: classify(build, LogReading::NotReadable), scan: None });
        };
        let tail = match self.aws.build_log.tail(group, stream).await {
            Ok(tail) => tail,
            Err(error) if error.is_denied() => {
                return Ok(Reading { diagnosis: classify(build, LogReading::NotReadable), scan: None });
            }
            Err(error) => return Err(error.into()),
        };
        if tail.reach == Reach::Missing {
            return Ok(Reading { diagnosis: classify(build, LogReading::NotReadable), scan: None });
        }
        let scan = detect::in_log(&tail.text);
        let diagnosis = classify(build, LogReading::Scanned(&scan));
        let is_placed = diagnosis.is_throttled() && diagnosis.weight != Weight::Unplaced;
        if tail.reach == Reach::Complete || is_placed {
            return Ok(Reading { diagnosis, scan: Some(scan) });
        }
        self.diagnose_filtered(build, group, stream).await
    }

    /// The last megabyte showed nothing, or nothing of which the phase is known, and there is more: CloudWatch looks for the words in the failed phase's window.
    async fn diagnose_filtered(&self, build: &Build, group: &str, stream: &str) -> Result<Reading, Failure> {
        let Some(phase) = build.failed_phases().find(|phase| phase.name.runs_commands()) else {
            return Ok(Reading { diagnosis: classify(build, LogReading::TooLong), scan: None });
        };
        let (Some(from), Some(until)) = (phase.started, phase.ended.or(build.ended)) else {
            return Ok(Reading { diagnosis: classify(build, LogReading::TooLong), scan: None });
        };
        let found = self.aws.build_log.filter(group, stream, (from, until), &TERMS).await?;
        let mut scanner = detect::Scanner::in_phase(phase.name.clone());
        scanner.push(found.text.as_bytes());
        let scan = scanner.finish();
        let reading = match found.reach {
            Reach::Missing => LogReading::NotReadable,
            Reach::TooLong if scan.findings.is_empty() => LogReading::TooLong,
            Reach::TooLong | Reach::Complete => LogReading::Scanned(&scan),
        };
        let diagnosis = classify(build, reading);
        Ok(Reading { diagnosis, scan: Some(scan) })
    }

    /// The remediation that waits for proof from this build.
    fn waiting_for<'a>(&self, book: &'a Book, build: &Build) -> Option<&'a crate::domain::remediation::Remediation> {
        let open = book.history(&self.scope).open_on_project(&build.project)?;
        let waiting = matches!(open.stage(), Stage::Applied | Stage::Planned);
        (waiting && build.started.is_some_and(|at| at >= open.planned() - SignedDuration::from_mins(5))).then_some(open)
    }

    fn note_verdict(&mut self, book: &Book, build: &Build, reading: &Reading) {
        let Some(open) = self.waiting_for(book, build) else { return };
        let found = trouble(build, reading.scan.as_ref());
        let plan = open.plan();
        let policy = self.rules.policies.iter().find(|policy| policy.name == plan.policy);
        let counts = policy.is_some_and(|policy| policy.untrusted_builds == UntrustedBuilds::Apply);
        let verdict = if verdict::is_a_strangers(plan, build) && !counts {
            Verdict::Inconclusive(Inconclusive::Untrusted)
        } else {
            verdict::judge(plan, build, &reading.diagnosis, found)
        };
        let id = plan.id.clone();
        // A build that tells something is worth a look at once.
        if !matches!(verdict, Verdict::Inconclusive(_)) {
            self.next_look.remove(&id);
        }
        self.verdicts.entry(id).or_default().push((build.id.clone(), verdict));
    }

    async fn record_diagnosis(
        &mut self,
        book: &mut Book,
        build: &Build,
        diagnosis: Diagnosis,
        now: Timestamp,
    ) -> Result<(), BookError> {
        if book.history(&self.scope).knows(&build.id) {
            return Ok(());
        }
        let fact = match (diagnosis.cause, diagnosis.reason) {
            (Cause::Unknown, Some(reason)) => Fact::Undecided { build: build.id.clone(), reason },
            _ if diagnosis.is_throttled() => {
                self.tick.counts.builds_throttled += 1;
                Fact::Detected(Detected {
                    build: build.id.clone(),
                    number: build.number,
                    ended: build.ended,
                    diagnosis,
                })
            }
            _ => return Ok(()),
        };
        book.record(&self.scope, fact, now).await
    }
}
