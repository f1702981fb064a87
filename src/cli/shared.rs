//! What several commands print alike: an assessment, a plan, what was found.

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Cell, Tone, paint};
use crate::domain::classify::{Cause, Diagnosis, Login, Registry, Site, UnknownReason};
use crate::domain::decide::{self, Decision, Judgement, KeptOut};
use crate::domain::patch::{Owner, Patch, Sheet};
use crate::domain::plan::{Plan, RetryPlan};
use crate::domain::policy::Remedy;
use crate::domain::remediation::Entry;
use crate::reconcile::{self, Assessment, Daemon};
use std::fmt::Write as _;

/// A diagnosis in a few words.
pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let what = match diagnosis.cause {
        Cause::HubPullLimit => "Docker Hub pull limit",
        Cause::HubAbuseLimit => "Docker Hub abuse limit",
        Cause::HubLoginLimit => "Docker Hub login limit",
        Cause::OtherRegistry => return format!("{} limit", registry(diagnosis.registry)),
        Cause::NotThrottled => "not throttled",
        Cause::NeedsLog => "log not read",
        Cause::Unknown => "unknown",
    };
    match diagnosis.login {
        Login::Anonymous => format!("{what}, anonymous"),
        Login::Authenticated => format!("{what}, authenticated"),
        Login::Unknown => what.to_string(),
    }
}

/// A registry's name for people.
pub fn registry(registry: Registry) -> &'static str {
    match registry {
        Registry::DockerHub => "Docker Hub",
        Registry::EcrPublic => "ECR Public",
        Registry::EcrPrivate => "private ECR",
        Registry::Ecr => "ECR",
        Registry::Ghcr => "GitHub registry",
        Registry::Quay => "Quay",
        Registry::Gitlab => "GitLab registry",
        Registry::Gcr => "Google registry",
        Registry::Mcr => "Microsoft registry",
        Registry::Other => "another registry",
        Registry::Unknown => "unknown registry",
    }
}

/// What would be done, in a few words.
pub fn decision(assessment: &Assessment) -> Cell {
    match &assessment.decision {
        None => Cell::new(Tone::Dim, "nothing to do"),
        Some(Decision::Remediate(plan)) => Cell::new(Tone::Good, format!("{} would be applied", plan.remedy)),
        Some(Decision::Judge(judgement)) => self::judgement(judgement),
    }
}

/// A judgement in a few words.
pub fn judgement(judgement: &Judgement) -> Cell {
    match judgement {
        Judgement::Proposed { plan, .. } => Cell::new(Tone::Warn, format!("{} proposed", plan.remedy)),
        Judgement::Held { reason, detail, .. } => Cell::new(Tone::Warn, format!("held ({}): {detail}", reason.word())),
        Judgement::Left { reason, detail } => {
            Cell::new(Tone::Plain, format!("left alone ({}): {detail}", reason.word()))
        }
        Judgement::ForOwner { patch } => Cell::new(Tone::Warn, format!("patch for the owner: {}", patch.why)),
        Judgement::Repeated { build } => Cell::new(Tone::Warn, format!("proposed already, because of build {build}")),
        Judgement::SetBack { plan, times, kept, .. } => {
            let tone = if *kept == KeptOut::ByPolicy { Tone::Warn } else { Tone::Bad };
            Cell::new(tone, format!("kept out: {}", decide::kept_out(plan, *times, *kept)))
        }
        Judgement::Superseded { by } => {
            Cell::new(Tone::Plain, format!("superseded by build {by}, which waits for the same"))
        }
        Judgement::Covered { by } => Cell::new(Tone::Plain, format!("covered by remediation {by}")),
    }
}

/// A plan as a person reads it: why, what changes, and what happens then.
pub fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let site = match plan.site {
        Site::BuildImage => "CodeBuild was refused the build image",
        Site::DockerClient => "a docker client was refused an image",
    };
    let title = format!("{}: {}", plan.project, plan.remedy);
    let _ = writeln!(text, "{}", paint(Tone::Strong, &title));
    let _ = writeln!(text, "  because of  {} in {}: {site}", plan.because, plan.phase);
    let credential = match &plan.secret {
        Some(_) => format!(", credential {}", plan.credential),
        None => String::new(),
    };
    let _ = writeln!(text, "  policy      {}{credential}", plan.policy);
    let _ = writeln!(text);
    for line in output::diff(&plan.to_string()).lines() {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text);
    let retry = retry(plan);
    let within = output::duration(plan.verify_within);
    let _ = writeln!(text, "  then        {retry};");
    let _ = writeln!(
        text,
        "              a later build must get past {} within {within}, else a person is called;",
        plan.phase
    );
    let _ = write!(text, "              what makes things worse is taken back");
    text
}

/// What becomes of the throttled build once the plan is in place.
pub fn retry(plan: &Plan) -> String {
    match &plan.retry {
        RetryPlan::Once => "the throttled build is started again".to_string(),
        RetryPlan::No(why) => format!("the throttled build is not started again: {why}"),
    }
}

/// A patch as its project's owner reads it. The diff of a buildspec stands at the margin, so that `git apply` takes it.
pub fn patch(patch: &Patch, sheet: &Sheet<'_>) -> String {
    let mut text = String::new();
    let owner = patch.owner.map_or("no tag tells whose code owns the project", Owner::title);
    let _ = writeln!(text, "{}", paint(Tone::Strong, format!("{}: {}", patch.project, Remedy::ProposePatch)));
    let _ = writeln!(text, "  because of  {} in {}", patch.because, patch.phase);
    let _ = writeln!(text, "  why         {}", patch.why);
    let _ = writeln!(text, "  owner       {owner}");
    let _ = writeln!(text, "  policy      {}, credential {}", patch.policy, patch.credential);
    let _ = writeln!(text);
    let changes: Vec<String> = patch.changes.iter().map(ToString::to_string).collect();
    for line in output::diff(&changes.join("\n")).lines() {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(words) = sheet.buildspec_words() {
        let _ = write!(text, "\n{words}");
    }
    text
}

/// Why a build could not be diagnosed.
pub fn undecided(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::MessageCut => "the message is cut before it says what happened",
        UnknownReason::LogNotReadable => "its log can't be read",
        UnknownReason::LogTooLong => "its log is too long to be read whole",
        UnknownReason::NotUnderstood => "it has a phase or status never seen before",
    }
}

/// An entry of a remediation in a few words.
pub fn entry(entry: &Entry) -> Cell {
    let plain = |text: String| Cell::new(Tone::Plain, text);
    match entry {
        Entry::Planned(plan) => plain(format!("{} planned", plan.remedy)),
        Entry::Begun { change } => plain(format!("change {} is about to be made", change + 1)),
        Entry::InPlace { change } => plain(format!("change {} seen in place", change + 1)),
        Entry::Applied => plain("applied".to_string()),
        Entry::RetryIntended => plain("the throttled build shall be started again".to_string()),
        Entry::Retried { build } => plain(format!("started again as {build}")),
        Entry::RetryRefused { detail } => Cell::new(Tone::Warn, format!("not started again: {detail}")),
        Entry::Verified { by } => Cell::new(Tone::Good, format!("verified by {by}")),
        Entry::RollbackDecided { detail, .. } => Cell::new(Tone::Warn, format!("to be taken back: {detail}")),
        Entry::SetBack { owner } => Cell::new(Tone::Warn, format!("set back by a deployment of {}", owner.title())),
        Entry::Undone { change } => plain(format!("change {} seen undone", change + 1)),
        Entry::GrantKept { by } => {
            plain(format!("the grant is kept, because project {by} needs it; it is looked at again every hour"))
        }
        Entry::RolledBack => Cell::new(Tone::Warn, "taken back"),
        Entry::GrantUnneeded => plain("nothing needs the kept grant any more: it is to be taken away".to_string()),
        Entry::GrantLeft { detail } => Cell::new(Tone::Bad, format!("the kept grant is left to people: {detail}")),
        Entry::Escalated { detail, .. } => Cell::new(Tone::Bad, format!("left to a person: {detail}")),
    }
}

/// What would be done, without colour.
pub fn decision_plain(assessment: &Assessment) -> String {
    match &assessment.decision {
        None => "nothing to do".to_string(),
        Some(Decision::Remediate(plan)) => format!("remediate with {}", plan.remedy),
        Some(Decision::Judge(judgement)) => judgement.to_string(),
    }
}

/// The regions and scopes that a daemon looks at: a wrong one is a reason for finding nothing.
pub fn looked_at(daemon: &Daemon) -> String {
    let places = daemon.scope_names().into_iter().map(|scope| {
        let place = daemon.book().place(&scope);
        format!("{} (scope `{}`)", place.region, place.scope)
    });
    places.collect::<Vec<_>>().join(", ")
}

/// The end of a command that could not read a scope, with what to do about it where that is known.
pub fn unreadable(scope: &str, failure: &reconcile::Failure) -> Failure {
    let error = Exit::Incomplete.because(anyhow::anyhow!("scope `{scope}` could not be read: {failure}"));
    match what_next(failure) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The end of a command because AWS did not do what it was asked.
pub fn refused(scope: &str, failure: reconcile::Failure) -> Failure {
    let hint = what_next(&failure);
    let error = Exit::Failed.because(anyhow::anyhow!("scope `{scope}`: {failure}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What a person can do about a call that failed, where that is known.
pub fn what_next(failure: &reconcile::Failure) -> Option<&'static str> {
    let may_pass = failure.kind == reconcile::Kind::Again;
    failure.next_step().or_else(|| may_pass.then_some("try again in a moment; `unthrottled doctor` shows what works"))
}
