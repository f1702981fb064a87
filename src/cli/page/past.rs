//! What happened last, in the words of `history`.

use super::html::{Html, put};
use crate::cli::history::told;
use crate::cli::output::Tone;
use crate::domain::recent::Noted;
use crate::reconcile::View;
use jiff::Timestamp;
use std::sync::Arc;

/// Rows that are seen at once; the others unfold.
const FIRST: usize = 12;

/// The newest entries of the ledger.
pub(super) fn history(view: &View) -> Html {
    let newest = &view.sums.newest;
    let mut out = Html::default();
    out.markup("<section aria-labelledby=\"history\">\n<h2 id=\"history\">History</h2>\n");
    if newest.is_empty() {
        out.markup("<p class=\"empty\">The ledger holds nothing yet.</p>\n</section>\n");
        return out;
    }
    let (first, older) = newest.split_at(FIRST.min(newest.len()));
    out.piece(&table(first, "The newest entries of the ledger"));
    if !older.is_empty() {
        put!(out, "<details class=\"older\"><summary>" [older.len()] " older</summary>\n"
            {table(older, "Older entries of the ledger")} "</details>\n");
    }
    out.markup("<p class=\"more\">All of it: <code>unthrottled history</code></p>\n</section>\n");
    out
}

fn table(rows: &[Arc<Noted>], caption: &'static str) -> Html {
    let mut out = Html::default();
    put!(out, "<table class=\"stacking past\">\n<caption>" [caption] "</caption>\n<thead><tr>"
        "<th scope=\"col\">Time</th><th scope=\"col\">Project</th><th scope=\"col\">What happened</th></tr></thead>\n<tbody>\n");
    rows.iter().for_each(|noted| out.piece(&row(noted)));
    out.markup("</tbody>\n</table>\n");
    out
}

fn row(noted: &Noted) -> Html {
    let record = &noted.record;
    let what = told(&record.fact);
    let tone = match what.tone() {
        Tone::Plain | Tone::Dim => "plain",
        Tone::Strong => "info",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    };
    let mut out = Html::default();
    put!(out, "<tr data-seq=\"" [record.seq] "\"><td class=\"when\"><time datetime=\"" [record.at] "\">"
        [short(record.at)] "</time></td><th scope=\"row\">");
    if let Some(project) = &noted.project {
        out.value(project);
    }
    put!(out, "</th><td class=\"what " [tone] "\">" [what.text()] "</td></tr>\n");
    out
}

/// To the second; the zone is told once, below.
fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
