//! Reads the list of builds, and the builds that it names, at the least time and memory.
//!
//! The pages of `ListBuilds` can be read only one after the other; all else overlaps with them. A first look at a busy
//! account lists builds by the ten thousand, of which few failed: the others are let go as soon as they were read.

use crate::domain::build::{Build, BuildId, Status};
use crate::domain::history::History;
use crate::domain::remediation::{Remediation, Stage};
use crate::domain::watch::{Next, Sweep};
use crate::edge::codebuild::{CodeBuild, CodeBuildError, Looked};
use crate::reconcile::{Book, Failure, Kind, Reconciler};
use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesOrdered};
use jiff::{SignedDuration, Timestamp};
use std::pin::pin;

/// Builds a page of `BatchGetBuilds`.
const PAGE: usize = 100;

/// Which of the builds that a sweep reads are kept for the rest of the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// All.
    All,
    /// Those that tell anything: that failed, are not over, are waited for, or may prove a remedy.
    Telling,
}

/// A page of the list, and those of its builds that were read.
type PageRead = (Vec<BuildId>, Result<Looked, CodeBuildError>);

impl Reconciler {
    /// Reads the list as far back as needed.
    ///
    /// # Caveats
    /// Where only the builds' times tell that the list goes far enough back, which is so in a first look, up to
    /// `in_flight` pages more than needed are listed while that is being read.
    pub(super) async fn sweep(&mut self, book: &Book, keep: Keep, now: Timestamp) -> Result<Sweep, Failure> {
        let mut sweep = self.watch.sweep(self.rules.lookback, now);
        // Pages whose builds are being read, in the list's order.
        let mut reading = FuturesOrdered::new();
        let codebuild = self.aws.codebuild.clone();
        let mut token = None;
        loop {
            let (page, next) = {
                let mut list = pin!(codebuild.list_builds(token.as_ref()));
                loop {
                    tokio::select! {
                        biased;
                        listed = &mut list => break listed?,
                        Some(read) = reading.next() => {
                            if self.take_page(book, &mut sweep, keep, read)? == Next::Enough {
                                return Ok(sweep);
                            }
                        }
                    }
                }
            };
            if next.is_some() && next == token {
                let detail = "ListBuilds answered the token of the page that was asked for".to_string();
                return Err(Failure { kind: Kind::Again, detail });
            }
            token = next;
            let found_known = sweep.page(&page) == Next::Enough;
            let is_last = token.is_none();
            let is_worth_reading = !(found_known || is_last && page.is_empty());
            if is_worth_reading {
                let wanted = self.worth_reading(&sweep, &page);
                reading.push_back(read_page(codebuild.clone(), page, wanted));
            }
            let leave = if found_known || is_last { 0 } else { self.aws.in_flight.get() - 1 };
            while reading.len() > leave
                && let Some(read) = reading.next().await
            {
                if self.take_page(book, &mut sweep, keep, read)? == Next::Enough {
                    return Ok(sweep);
                }
            }
            if found_known || is_last {
                return Ok(sweep);
            }
        }
    }

    /// The builds of a page that are worth it: those that a policy may match, and the first and last, which tell how far
    /// back the page goes.
    fn worth_reading(&self, sweep: &Sweep, page: &[BuildId]) -> Vec<BuildId> {
        let ends = [page.first(), page.last()];
        let is_wanted = |id: &&BuildId| ends.contains(&Some(*id)) || sweep.is_unknown(id) && self.is_watched(id);
        page.iter().filter(is_wanted).cloned().collect()
    }

    fn take_page(
        &mut self,
        book: &Book,
        sweep: &mut Sweep,
        keep: Keep,
        (page, looked): PageRead,
    ) -> Result<Next, Failure> {
        let looked = looked?;
        self.account = looked.account.or(self.account.take());
        let next = sweep.reaches_back(&page, &looked.builds);
        for build in looked.builds {
            if keep == Keep::Telling && self.tells_nothing(book, sweep, &build) {
                self.dull.insert(build.id);
            } else {
                self.builds.insert(build.id.clone(), build);
            }
        }
        Ok(next)
    }

    /// Whether nothing is to be done about a build that a sweep came across.
    fn tells_nothing(&self, book: &Book, sweep: &Sweep, build: &Build) -> bool {
        let is_done = build.complete && (build.status == Status::Succeeded || !sweep.wants(build));
        is_done && self.watch.since(&build.id).is_none() && self.waiting_for(book, build).is_none()
    }

    /// Takes a sweep in, as a whole: what is watched, not dealt with and not too old is to be read. A build that was
    /// diagnosed may still have to prove something: a daemon that is killed between the two has its verdict nowhere.
    pub(super) fn take_in(&mut self, sweep: Sweep, history: &History) {
        self.order = sweep.order();
        let (builds, dull) = (&self.builds, &self.dull);
        let ended_recently = |id: &BuildId| builds.get(id).is_none_or(|build| sweep.wants(build));
        let may_prove =
            |id: &BuildId| history.open_on_project(&id.project()).is_some_and(|open| open.stage() == Stage::Applied);
        let is_fresh = |id: &&BuildId| {
            !dull.contains(*id) && self.is_watched(id) && (!history.knows(id) || may_prove(id)) && ended_recently(id)
        };
        let fresh: Vec<BuildId> = sweep.listed().iter().filter(is_fresh).cloned().collect();
        self.watch.take_in(sweep, &fresh);
    }

    /// Whether some policy may be for the build.
    fn is_watched(&self, id: &BuildId) -> bool {
        self.matches(&id.project())
    }

    /// Reads builds that were not read in this tick. Those that AWS does not answer for stay open; those that it says are
    /// gone are let go.
    pub(super) async fn read(&mut self, book: &Book, ids: &[BuildId], now: Timestamp) {
        let missing: Vec<BuildId> = ids.iter().filter(|id| !self.builds.contains_key(id)).cloned().collect();
        let codebuild = self.aws.codebuild.clone();
        let chunks = missing.chunks(PAGE).map(|chunk| codebuild.builds(chunk));
        let mut answers = pin!(stream::iter(chunks).buffered(self.aws.in_flight.get()));
        while let Some(answer) = answers.next().await {
            match answer {
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

    /// The remediation that waits for proof from this build.
    pub(super) fn waiting_for<'a>(&self, book: &'a Book, build: &Build) -> Option<&'a Remediation> {
        let open = book.history(&self.scope).open_on_project(&build.project)?;
        let waiting = matches!(open.stage(), Stage::Applied | Stage::Planned);
        (waiting && build.started.is_some_and(|at| at >= open.planned() - SignedDuration::from_mins(5))).then_some(open)
    }
}

async fn read_page(codebuild: CodeBuild, page: Vec<BuildId>, wanted: Vec<BuildId>) -> PageRead {
    let looked = codebuild.builds(&wanted).await;
    (page, looked)
}
