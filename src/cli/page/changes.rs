//! Changes: those under way and those that wait for people, each with its diff; what waits; what was left.

use super::html::{Html, put};
use super::{moment, more};
use crate::cli::{output, shared};
use crate::domain::history::Proposal;
use crate::domain::patch::{Owner, Patch, Sheet};
use crate::domain::plan::Plan;
use crate::domain::policy::Remedy;
use crate::domain::remediation::Stage;
use crate::reconcile::{OpenRemediation, View, Waits};
use jiff::Timestamp;

/// Remediations under way.
pub(super) fn open(view: &View, now: Timestamp) -> Html {
    let mut out = Html::default();
    out.markup("<section aria-labelledby=\"open\">\n<h2 id=\"open\">Under way</h2>\n");
    if view.open.total == 0 {
        out.markup("<p class=\"empty\">No remediation is open.</p>\n");
    }
    for (n, open) in view.open.shown.iter().enumerate() {
        out.piece(&remediation(open, n == 0, now));
    }
    put!(out, {more(view.open.more(), "unthrottled status")} "</section>\n");
    out
}

fn remediation(open: &OpenRemediation, first: bool, now: Timestamp) -> Html {
    let remediation = &open.remediation;
    let plan = remediation.plan();
    let (stage, since) = (remediation.stage(), remediation.stage_since());
    let tone = match stage {
        Stage::RollingBack => "warn",
        Stage::Planned | Stage::Applied | Stage::Closed(_) => "info",
    };
    let mut out = Html::default();
    out.markup(if first { "<details class=\"change\" open>" } else { "<details class=\"change\">" });
    put!(out, "<summary><span class=\"name\">" [&plan.project] "</span> <code>" [plan.remedy] "</code> "
        "<span class=\"tone " [tone] "\">" [stage] "</span> " {moment(since, output::ago(since, now))} "</summary>\n<dl class=\"facts\">\n");
    fact(&mut out, "Remediation", &plan.id);
    fact(&mut out, "Scope", &open.scope);
    facts(&mut out, plan);
    if let Some(why) = remediation.because_of() {
        fact(&mut out, "Taken back as", why);
    }
    let within = output::duration(plan.verify_within);
    put!(out, "</dl>\n" {diff(&plan.to_string())} "<p class=\"then\">Then " [shared::retry(plan)]
        "; a later build must get past " [&plan.phase] " within " [within]
        ", else a person is called; what makes things worse is taken back.</p>\n</details>\n");
    out
}

/// What is proposed.
pub(super) fn proposed(view: &View) -> Html {
    let mut out = Html::default();
    if view.proposed.total == 0 {
        return out;
    }
    out.markup("<section aria-labelledby=\"proposals\">\n<h2 id=\"proposals\">Proposed</h2>\n");
    view.proposed.shown.iter().for_each(|waits| out.piece(&proposal(waits)));
    put!(out, {more(view.proposed.more(), "unthrottled history --outcome proposed")} "</section>\n");
    out
}

fn proposal(waits: &Waits) -> Html {
    let mut out = Html::default();
    let (project, remedy, told) = match &waits.what {
        Proposal::Plan(plan) => (&plan.project, plan.remedy, "waits for you"),
        Proposal::GivenUp(plan) => (&plan.project, plan.remedy, "set back by deployments, not tried again"),
        Proposal::Patch(patch) => (&patch.project, Remedy::ProposePatch, "a patch for the owner"),
    };
    put!(out, "<details class=\"change\"><summary><span class=\"name\">" [project] "</span> <code>" [remedy]
        "</code> <span class=\"tone warn\">" [told] "</span></summary>\n<dl class=\"facts\">\n");
    fact(&mut out, "Scope", &waits.scope);
    match &waits.what {
        Proposal::Plan(plan) => {
            facts(&mut out, plan);
            put!(out, "</dl>\n" {diff(&plan.to_string())}
                "<p class=\"then\">To apply it: <code>unthrottled plan --project " [project] " --out FILE</code>, then <code>unthrottled apply FILE</code>.</p>\n");
        }
        Proposal::GivenUp(plan) => {
            facts(&mut out, plan);
            put!(out, "</dl>\n" {diff(&plan.to_string())}
                "<p class=\"then\">Merge it into the code that owns the project, or allow it again: <code>unthrottled clear --project " [project] "</code>.</p>\n");
        }
        Proposal::Patch(patch) => out.piece(&for_owner(patch)),
    }
    out.markup("</details>\n");
    out
}

/// The rest of a patch's facts, and what it changes.
fn for_owner(patch: &Patch) -> Html {
    let mut out = Html::default();
    fact(&mut out, "Because of", format!("{} in {}", patch.because, patch.phase));
    fact(&mut out, "Why", &patch.why);
    fact(&mut out, "Owner", patch.owner.map_or("no tag tells whose code owns the project", Owner::title));
    fact(&mut out, "Policy", &patch.policy);
    let changes: Vec<String> = patch.changes.iter().map(ToString::to_string).collect();
    put!(out, "</dl>\n" {diff(&changes.join("\n"))});
    if let Some(words) = Sheet::of_patch(patch).buildspec_words() {
        put!(out, "<pre class=\"words\">" [words] "</pre>\n");
    }
    put!(out, "<p class=\"then\">In the words of your code: <code>unthrottled plan --project " [&patch.project]
        " --as terraform</code>, or cloudformation, cdk, cli.</p>\n");
    out
}

fn facts(out: &mut Html, plan: &Plan) {
    fact(out, "Because of", format!("{} in {}", plan.because, plan.phase));
    let credential = plan.secret.as_ref().map_or(String::new(), |_| format!(", credential {}", plan.credential));
    fact(out, "Policy", format!("{}{credential}", plan.policy));
}

fn fact(out: &mut Html, name: &'static str, value: impl std::fmt::Display) {
    put!(out, "<div><dt>" [name] "</dt><dd>" [value] "</dd></div>\n");
}

/// A diff; the first character of a line is its sign.
fn diff(text: &str) -> Html {
    let mut out = Html::default();
    out.markup("<pre class=\"diff\" role=\"group\" aria-label=\"Diff\">");
    for line in text.lines() {
        let kind = match line.chars().next() {
            Some('+') => "added",
            Some('-') => "gone",
            Some('~') => "changed",
            _ => "same",
        };
        put!(out, "<span class=\"" [kind] "\">" [line] "\n</span>");
    }
    out.markup("</pre>\n");
    out
}

/// Builds that wait for a decision.
pub(super) fn waiting(view: &View, now: Timestamp) -> Html {
    let mut out = Html::default();
    if view.waiting.total == 0 {
        return out;
    }
    out.markup(
        "<section aria-labelledby=\"waiting\">\n<h2 id=\"waiting\">Waiting</h2>\n<table class=\"stacking\">\n\
         <caption>Throttled builds that are decided again</caption>\n<thead><tr><th scope=\"col\">Project</th>\
         <th scope=\"col\">Build</th><th scope=\"col\">Why</th><th scope=\"col\">Again</th></tr></thead>\n<tbody>\n",
    );
    for waiting in &view.waiting.shown {
        let detected = &waiting.detected;
        let build = detected.number.map_or_else(|| detected.build.to_string(), |number| format!("#{number}"));
        let why = waiting.last.as_ref().map_or_else(|| "to be decided".into(), shared::judgement);
        put!(out, "<tr><th scope=\"row\">" [detected.build.project()] "</th><td data-label=\"Build\">" [build]
            "</td><td data-label=\"Why\">" [why.text()] "</td><td data-label=\"Again\">"
            {moment(waiting.due, output::ago(waiting.due, now))} "</td></tr>\n");
    }
    put!(out, "</tbody>\n</table>\n" {more(view.waiting.more(), "unthrottled status")} "</section>\n");
    out
}

/// Grants that a rollback left.
pub(super) fn kept(view: &View, now: Timestamp) -> Html {
    let mut out = Html::default();
    if view.kept.total == 0 {
        return out;
    }
    out.markup(
        "<section aria-labelledby=\"kept\">\n<h2 id=\"kept\">Grants that stay</h2>\n<table class=\"stacking\">\n\
         <caption>Kept when a remediation was taken back, as another project needs them; looked at again every hour\
         </caption>\n<thead><tr><th scope=\"col\">Role</th><th scope=\"col\">Needed by</th><th scope=\"col\">Since</th>\
         <th scope=\"col\">Of</th></tr></thead>\n<tbody>\n",
    );
    for grant in &view.kept.shown {
        put!(out, "<tr><th scope=\"row\">" [&grant.role] "</th><td data-label=\"Needed by\">" [&grant.by]
            "</td><td data-label=\"Since\">" {moment(grant.since, output::ago(grant.since, now))}
            "</td><td data-label=\"Of\">" [&grant.id] "</td></tr>\n");
    }
    put!(out, "</tbody>\n</table>\n" {more(view.kept.more(), "unthrottled status")} "</section>\n");
    out
}
