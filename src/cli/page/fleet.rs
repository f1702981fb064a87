//! The fleet at a glance: what needs a person, how many of what, why, and how much is seen at all.

use super::html::{Html, put};
use super::moment;
use crate::cli::output;
use crate::domain::course::Standing;
use crate::domain::recent::Spread;
use crate::reconcile::{LowAccount, ScopeView, Sight, View};
use jiff::Timestamp;

/// Of those that a person has to look at.
const CALLS: usize = 20;

/// What a person has to do or to know; nothing if there is nothing.
pub(super) fn attention(view: &View, now: Timestamp) -> Html {
    let mut calls: Vec<Html> = Vec::new();
    if let Some(why) = view.tick.as_ref().and_then(|tick| tick.failed.as_ref()) {
        let mut call = Html::default();
        put!(call, "<li class=\"bad\">The ledger can't be used, and nothing is done without it: " [why] "</li>\n");
        calls.push(call);
    }
    for escalated in &view.sums.escalated {
        let mut call = Html::default();
        put!(call, "<li class=\"bad\"><strong>" [&escalated.project] "</strong> is left to a person, "
            {moment(escalated.since, output::ago(escalated.since, now))} ": " [&escalated.detail]
            " <span class=\"hint\">Then <code>unthrottled clear --project " [&escalated.project]
            "</code>.</span></li>\n");
        calls.push(call);
    }
    for reset in &view.to_reset {
        let mut call = Html::default();
        let secret = reset.secret.as_deref().unwrap_or("NAME");
        let scope = if view.scopes.len() > 1 { format!(" --scope {}", reset.scope) } else { String::new() };
        put!(call, "<li class=\"warn\">Reset the password of credential <strong>" [&reset.credential]
            "</strong>: builds that log in may have logged it. "
            "<span class=\"hint\">Then <code>unthrottled secret rotate " [secret] [scope] "</code>.</span></li>\n");
        calls.push(call);
    }
    calls.extend(view.low.iter().map(|account| low_account(account, view.scopes.len() > 1, now)));
    for scope in &view.scopes {
        let Some(sight) = &scope.sight else { continue };
        calls.extend(sight.incomplete.iter().map(|(word, detail)| {
            let mut call = Html::default();
            put!(call, "<li class=\"warn\">Scope <strong>" [&scope.place.scope]
                "</strong> could not be read as a whole: " [detail] " (<code>" [word] "</code>)</li>\n");
            call
        }));
        if sight.coverage.credentials_unusable > 0 {
            let mut call = Html::default();
            put!(call, "<li class=\"bad\">" [sight.coverage.credentials_unusable]
                " credential(s) of scope <strong>" [&scope.place.scope]
                "</strong> could not be used. "
                "<span class=\"hint\"><code>unthrottled doctor</code> says why.</span></li>\n");
            calls.push(call);
        }
        if sight.coverage.projects_seen == 0 {
            let mut call = Html::default();
            put!(call, "<li class=\"warn\">No project under any policy was seen yet in scope <strong>"
                [&scope.place.scope] "</strong>: a quiet account, a wrong region, or globs that match nothing.</li>\n");
            calls.push(call);
        }
    }
    let mut out = Html::default();
    if calls.is_empty() {
        return out;
    }
    out.markup(
        "<section class=\"attention\" aria-labelledby=\"attention\">\n<h2 id=\"attention\">For a person</h2>\n<ul>\n",
    );
    calls.iter().take(CALLS).for_each(|call| out.piece(call));
    if let Some(more) = calls.len().checked_sub(CALLS).filter(|more| *more > 0) {
        put!(out, "<li>and " [more] " more</li>\n");
    }
    out.markup("</ul>\n</section>\n");
    out
}

/// An account that would be the next to be throttled: what was left when that began, and what is left now.
fn low_account(account: &LowAccount, says_scope: bool, now: Timestamp) -> Html {
    let mut call = Html::default();
    put!(call, "<li class=\"warn\">The Docker account of credential <strong>" [&account.credential] "</strong> ");
    if says_scope {
        put!(call, "in scope <strong>" [&account.scope] "</strong> ");
    }
    put!(call, "would be the next to be throttled, since " {moment(account.low.since, output::ago(account.low.since, now))} ": "
        [&account.low.detail]);
    if let Some(pulls) = account.now {
        put!(call, "; when last asked, <span data-figure=\"pulls_left\">" [pulls.remaining] "</span> of " [pulls.limit]);
    }
    put!(
        call,
        ". Remedies with it wait. <span class=\"hint\">A paid plan has no such limit; the hold ends by itself when \
        pulls are left again.</span></li>\n"
    );
    call
}

/// How many of what.
pub(super) fn glance(view: &View) -> Html {
    let sums = &view.sums;
    let sights = || view.scopes.iter().filter_map(|scope| scope.sight.as_ref());
    let seen: u64 = sights().map(|sight| sight.coverage.projects_seen).sum();
    let unwatched: u64 = sights().map(|sight| sight.coverage.projects_unwatched).sum();
    let undecided = count(view, Standing::Undecided);
    let mut out = Html::default();
    out.markup("<section aria-labelledby=\"glance\">\n<h2 id=\"glance\">At a glance</h2>\n<dl class=\"tiles\">\n");
    let mut tile = |figure: &'static str, name: &'static str, tone: &'static str, count: u64, note: String| {
        let tone = if count == 0 { "none" } else { tone };
        put!(out, "<div class=\"tile " [tone] "\"><dt>" [name] "</dt><dd data-figure=\"" [figure] "\">" [count]
            "</dd><dd class=\"note\">" [note] "</dd></div>\n");
    };
    let number = |standing| count(view, standing) as u64;
    tile("projects_seen", "Projects seen", "info", seen, format!("{unwatched} under no policy"));
    let throttled = (sums.builds - undecided) as u64;
    tile("throttled", "Throttled builds", "info", throttled, "in 14 days".to_string());
    tile("open", "Under way", "info", view.open.total as u64, "remediations".to_string());
    tile("verified", "Verified", "good", number(Standing::Verified), "a later build passed".to_string());
    tile("rolled_back", "Taken back", "warn", number(Standing::RolledBack), "as it was before".to_string());
    tile("escalated", "Left to a person", "bad", number(Standing::Escalated), "not touched again".to_string());
    tile("proposed", "Proposed", "warn", number(Standing::Proposed), "nothing changed".to_string());
    tile("held", "Held", "warn", number(Standing::Held), "decided again".to_string());
    tile("left", "Left alone", "plain", number(Standing::Left), "why: see below".to_string());
    out.markup("</dl>\n");
    put!(out, "<p class=\"lag\">" {lag("Detected", sums.detected)} {lag("A remedy was in place", sums.applied)});
    if sums.is_cut {
        out.markup("Only the newest throttled builds are counted: there were too many to remember.");
    }
    out.markup("</p>\n</section>\n");
    out
}

fn count(view: &View, standing: Standing) -> usize {
    view.sums.outcomes.get(&standing).map_or(0, |reasons| reasons.values().sum())
}

/// How long after the end of a throttled build something was so.
fn lag(what: &'static str, spread: Option<Spread>) -> Html {
    let mut out = Html::default();
    if let Some(spread) = spread {
        put!(out, [what] " <strong>" [output::duration(spread.median)]
            "</strong> after the end of the build in the median, " [output::duration(spread.longest)] " at the longest. ");
    }
    out
}

/// What became of the throttled builds, and why.
pub(super) fn reasons(view: &View) -> Html {
    let mut out = Html::default();
    out.markup("<section aria-labelledby=\"reasons\">\n<h2 id=\"reasons\">What became of them</h2>\n");
    if view.sums.outcomes.is_empty() {
        out.markup("<p class=\"empty\">No build was throttled in the last 14 days.</p>\n</section>\n");
        return out;
    }
    put!(out, "<table class=\"narrow\">\n<caption>Throttled builds of the last 14 days, in " [view.sums.projects]
        " projects</caption>\n<thead><tr><th scope=\"col\">Outcome</th><th scope=\"col\">Reason</th>"
        "<th scope=\"col\" class=\"number\">Builds</th></tr></thead>\n<tbody>\n");
    for standing in Standing::ALL {
        for (reason, builds) in view.sums.outcomes.get(standing).into_iter().flatten() {
            put!(out, "<tr><th scope=\"row\">" [standing.told()] "</th><td>");
            if let Some(reason) = reason {
                put!(out, "<code>" [reason] "</code>");
            }
            put!(out, "</td><td class=\"number\" data-figure=\"" [standing.word()] "/" [reason.unwrap_or("")] "\">"
                [builds] "</td></tr>\n");
        }
    }
    out.markup("</tbody>\n</table>\n</section>\n");
    out
}

/// How much of each scope is seen.
pub(super) fn coverage(view: &View, now: Timestamp) -> Html {
    let mut out = Html::default();
    out.markup(
        "<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n<table class=\"stacking\">\n\
         <caption>What the last look saw of each scope, among its newest builds</caption>\n<thead><tr>\
         <th scope=\"col\">Scope</th><th scope=\"col\" class=\"number\">Projects seen</th>\
         <th scope=\"col\" class=\"number\">Under no policy</th><th scope=\"col\">Oldest unread build</th>\
         <th scope=\"col\">Last look</th><th scope=\"col\">Last whole look</th></tr></thead>\n<tbody>\n",
    );
    view.scopes.iter().for_each(|scope| out.piece(&row(scope, now)));
    out.markup("</tbody>\n</table>\n</section>\n");
    out
}

fn row(scope: &ScopeView, now: Timestamp) -> Html {
    let place = &scope.place;
    let at = [place.account.as_deref().unwrap_or_default(), &place.region];
    let at: Vec<&str> = at.into_iter().filter(|text| !text.is_empty()).collect();
    let mut out = Html::default();
    put!(out, "<tr><th scope=\"row\">" [&place.scope] " <span class=\"sub\">" [at.join(" ")] "</span></th>");
    match &scope.sight {
        Some(sight) => out.piece(&cells(sight, now)),
        None => out.markup("<td colspan=\"5\">not looked at yet</td>"),
    }
    out.markup("</tr>\n");
    out
}

fn cells(sight: &Sight, now: Timestamp) -> Html {
    let coverage = &sight.coverage;
    let unread = match coverage.oldest_unread {
        none if none.is_zero() => "none".to_string(),
        age => format!("listed for {}", output::duration(age)),
    };
    let mut out = Html::default();
    put!(out, "<td class=\"number\" data-label=\"Projects seen\">" [coverage.projects_seen]
        "</td><td class=\"number\" data-label=\"Under no policy\">" [coverage.projects_unwatched]
        "</td><td data-label=\"Oldest unread build\">" [unread] "</td><td data-label=\"Last look\">"
        {moment(sight.at, output::ago(sight.at, now))} "</td><td data-label=\"Last whole look\">");
    match sight.whole {
        Some(whole) => out.piece(&moment(whole, output::ago(whole, now))),
        None => out.markup("<span class=\"tone warn\">none yet</span>"),
    }
    out.markup("</td>");
    out
}
