//! The status page: one HTML file without a script, made of what the loop has shown on its [`Board`].
//!
//! It tells what `status` and `history` tell, in the same words. It holds nothing that these do not print: diffs are
//! those of `plan`, without any value of a plain variable.

mod changes;
mod chart;
mod fleet;
mod html;
mod past;

use super::output;
use crate::domain::policy::Mode;
use crate::edge::http::{Health, Page, Refresh};
use crate::edge::settings::PageSettings;
use crate::reconcile::{Board, View};
use html::{Html, put};
use jiff::Timestamp;
use std::sync::Arc;

/// The one style of the page. The browser is told its digest, and takes no other.
const STYLE: &str = include_str!("style.css");

/// How the daemon is at one moment.
struct State<'a> {
    view: Option<&'a View>,
    live: Result<(), String>,
    ready: Result<(), String>,
    refresh: Refresh,
    now: Timestamp,
}

/// The page of a daemon that shows on this board. `settings` hold until the daemon says which are in force.
pub fn page(board: Board, health: Health, settings: PageSettings) -> Page {
    let seen = board.clone();
    let in_force = move || seen.read().map_or_else(|| settings.clone(), |view| view.page.clone());
    let render = move |refresh, now| {
        let view = board.read();
        let state = State { view: view.as_deref(), live: health.live(), ready: health.ready(), refresh, now };
        render(&state)
    };
    Page::new(STYLE, Arc::new(in_force), Arc::new(render))
}

fn render(state: &State<'_>) -> String {
    let mut out = Html::default();
    put!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n");
    if state.refresh == Refresh::Often {
        out.markup("<meta http-equiv=\"refresh\" content=\"30\">\n");
    }
    let (tone, word, why) = standing(state);
    let under_way = state.view.map_or(String::new(), |view| format!(", {} under way", view.open.total));
    put!(out, "<title>unthrottled: " [word] [under_way] "</title>\n<link rel=\"icon\" href=\"data:image/svg+xml,"
        "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' "
        "fill='%230f766e'/%3E%3Cpath d='M3 8h4M9 5l4 3-4 3z' stroke='white' fill='white' stroke-width='1.6'/%3E"
        "%3C/svg%3E\">\n"
        "<style>");
    out.markup(STYLE);
    put!(out, "</style>\n</head>\n<body>\n" {head(state, tone, word, &why)} "<main>\n");
    match state.view {
        Some(view) => {
            put!(out, {fleet::attention(view, state.now)} {fleet::glance(view)} "<div class=\"columns\">\n"
                {chart::throttles(view, state.now)} {fleet::reasons(view)} "</div>\n"
                {changes::open(view, state.now)} {changes::proposed(view)} {changes::waiting(view, state.now)}
                {changes::kept(view, state.now)} {fleet::coverage(view, state.now)} {past::history(view)});
        }
        None => out.markup(
            "<section><p class=\"empty\">There is nothing to show yet: this daemon is opening its ledger, or waits for \
             the one that holds the lease.</p></section>\n",
        ),
    }
    out.markup(
        "</main>\n<footer><p>Read only. <code>unthrottled status</code>, <code>history</code> and <code>explain</code> \
         tell the same and more; times are UTC.</p></footer>\n</body>\n</html>\n",
    );
    out.finish()
}

/// How it stands, in a word and in a sentence.
fn standing(state: &State<'_>) -> (&'static str, &'static str, String) {
    match (&state.live, &state.ready, state.view) {
        (Err(why), _, _) => ("bad", "stuck", sentence(why)),
        (Ok(()), _, None) => ("warn", "waiting", "The loop has not begun.".to_string()),
        (Ok(()), Err(why), _) => ("warn", "not ready", sentence(why)),
        (Ok(()), Ok(()), _) => ("good", "ready", "The last look reached every scope.".to_string()),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Name and version, how it stands, and as of when.
fn head(state: &State<'_>, tone: &'static str, word: &'static str, why: &str) -> Html {
    let mut out = Html::default();
    put!(out, "<header>\n<div class=\"brand\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><rect width=\"16\" "
        "height=\"16\" rx=\"4\"/><path d=\"M3 8h4M9 5l4 3-4 3z\"/></svg><h1>unthrottled</h1> <span class=\"version\">"
        [env!("CARGO_PKG_VERSION")] "</span></div>\n<p class=\"pills\"><strong class=\"pill " [tone]
        "\" data-figure=\"state\">" [word] "</strong>");
    if let Some(view) = state.view {
        let mode = match view.mode {
            Mode::Observe => "observe",
            Mode::Propose => "propose",
            Mode::Apply => "apply",
        };
        put!(out, " <span class=\"pill plain\">mode <span data-figure=\"mode\">" [mode] "</span></span>");
    }
    put!(out, "</p>\n<p class=\"now\">"[why]);
    if let Some(view) = state.view {
        match &view.tick {
            Some(tick) => {
                put!(out, " It ended " {moment(tick.ended, output::ago(tick.ended, state.now))} " and took "
                    [output::duration(tick.took)] "; ");
            }
            None => out.markup(" The first look is under way; "),
        }
        put!(out, "the daemon looks every " [output::duration(view.poll_interval)] ".");
    }
    put!(out, " As of " {moment(state.now, output::time(state.now))} ".</p>\n<nav aria-label=\"Loading again\">");
    match state.refresh {
        Refresh::Never => out.markup("<a href=\"/\">Load again</a> <a href=\"/?refresh\">every 30 s</a>"),
        Refresh::Often => out.markup("<span>Loads again every 30 s.</span> <a href=\"/\">Stop that</a>"),
    }
    out.markup("</nav>\n</header>\n");
    out
}

/// A moment, told like this.
fn moment(at: Timestamp, told: String) -> Html {
    let mut out = Html::default();
    put!(out, "<time datetime=\"" [at] "\" title=\"" [output::time(at)] "\">" [told] "</time>");
    out
}

/// What is not shown.
fn more(rows: usize, command: &'static str) -> Html {
    let mut out = Html::default();
    if rows > 0 {
        put!(out, "<p class=\"more\">and " [rows] " more: <code>" [command] "</code></p>\n");
    }
    out
}

#[cfg(test)]
mod tests;
