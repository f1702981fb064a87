//! Throttled builds over time, as bars that need no script, and the same as a table.

use super::html::{Html, put};
use crate::domain::recent::{Refused, hour};
use crate::reconcile::View;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The chart's own units: a bar is ten wide.
const HEIGHT: usize = 100;

/// A length of time that each bar stands for.
#[derive(Clone, Copy)]
struct Span {
    id: &'static str,
    name: &'static str,
    /// Hours of one bar.
    hours: i64,
    bars: i64,
    ends: [&'static str; 3],
}

const HOURS: Span =
    Span { id: "by-hour", name: "48 hours, by the hour", hours: 1, bars: 48, ends: ["48 h ago", "24 h ago", "now"] };

const DAYS: Span =
    Span { id: "by-day", name: "14 days, by the day", hours: 24, bars: 14, ends: ["14 d ago", "7 d ago", "now"] };

/// Throttled builds by the time at which they ended.
pub(super) fn throttles(view: &View, now: Timestamp) -> Html {
    let mut out = Html::default();
    out.markup(
        "<section aria-labelledby=\"throttles\">\n<h2 id=\"throttles\">Throttles</h2>\n<p class=\"legend\">\
         <span class=\"hub\">Docker Hub</span> <span class=\"others\">other registries</span></p>\n",
    );
    for span in [HOURS, DAYS] {
        out.piece(&figure(span, &bars(span, &view.sums.hours, now), now));
    }
    out.markup("</section>\n");
    out
}

/// The oldest first; the last one is not over.
fn bars(span: Span, hours: &BTreeMap<i64, Refused>, now: Timestamp) -> Vec<Refused> {
    let end = hour(now) + 1;
    let sum = |n: i64| {
        let from = end - (span.bars - n) * span.hours;
        let mut sum = Refused::default();
        for refused in hours.range(from..from + span.hours).map(|(_, refused)| refused) {
            sum.docker_hub += refused.docker_hub;
            sum.others += refused.others;
        }
        sum
    };
    (0..span.bars).map(sum).collect()
}

fn figure(span: Span, bars: &[Refused], now: Timestamp) -> Html {
    let total: usize = bars.iter().map(|bar| bar.docker_hub + bar.others).sum();
    let most = bars.iter().map(|bar| bar.docker_hub + bar.others).max().unwrap_or(0);
    let mut out = Html::default();
    put!(out, "<figure>\n<figcaption>" [span.name] ": <strong data-figure=\"" [span.id] "\">" [total]
        "</strong> <span class=\"sub\">at most " [most] "</span></figcaption>\n<svg class=\"chart\" role=\"img\" "
        "aria-labelledby=\"" [span.id] "-title " [span.id] "-desc\" viewBox=\"0 0 " [span.bars * 10] " " [HEIGHT]
        "\" preserveAspectRatio=\"none\">\n<title id=\"" [span.id] "-title\">Throttled builds of the last " [span.name]
        "</title>\n<desc id=\"" [span.id] "-desc\">" [total] " in all, at most " [most]
        " in one bar. The table below has the numbers.</desc>\n");
    for (n, bar) in bars.iter().enumerate() {
        let (hub, all) = (height(bar.docker_hub, most), height(bar.docker_hub + bar.others, most));
        rect(&mut out, "ground", n, 0, 1);
        rect(&mut out, "hub", n, 0, hub);
        rect(&mut out, "others", n, hub, all - hub);
    }
    put!(out, "</svg>\n<p class=\"axis\" aria-hidden=\"true\">");
    span.ends.iter().for_each(|end| put!(out, "<span>" [end] "</span>"));
    put!(out, "</p>\n" {table(span, bars, now)} "</figure>\n");
    out
}

/// In the chart's units. What is there is seen, however small beside the rest.
fn height(count: usize, most: usize) -> usize {
    match count * HEIGHT {
        0 => 0,
        area => (area / most.max(1)).max(4),
    }
}

fn rect(out: &mut Html, kind: &'static str, n: usize, from: usize, height: usize) {
    if height > 0 {
        put!(out, "<rect class=\"" [kind] "\" x=\"" [n * 10 + 1] "\" y=\"" [HEIGHT.saturating_sub(from + height)]
            "\" width=\"8\" height=\"" [height] "\"/>\n");
    }
}

/// The bars that are not empty, the newest first.
fn table(span: Span, bars: &[Refused], now: Timestamp) -> Html {
    let mut out = Html::default();
    let filled = bars.iter().enumerate().rev().filter(|(_, bar)| bar.docker_hub + bar.others > 0);
    let mut filled = filled.peekable();
    if filled.peek().is_none() {
        return out;
    }
    put!(out, "<details class=\"older\"><summary>As a table</summary>\n<div role=\"region\" tabindex=\"0\" "
        "aria-label=\"Throttled builds of the last " [span.name] "\">\n<table class=\"narrow\">\n<caption>" [span.name]
        "</caption>\n<thead><tr><th scope=\"col\">From</th><th scope=\"col\" class=\"number\">Docker Hub</th>"
        "<th scope=\"col\" class=\"number\">Others</th></tr></thead>\n<tbody>\n");
    for (n, bar) in filled {
        let back = span.bars - i64::try_from(n).unwrap_or(span.bars);
        let from = Timestamp::from_second((hour(now) + 1 - back * span.hours) * 3_600).unwrap_or(now);
        put!(out, "<tr><th scope=\"row\">" [from.strftime("%Y-%m-%d %H:%M")] "</th><td class=\"number\">"
            [bar.docker_hub] "</td><td class=\"number\">" [bar.others] "</td></tr>\n");
    }
    out.markup("</tbody>\n</table>\n</div>\n</details>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-02T10:30:00Z".parse().unwrap()
    }

    fn at(text: &str) -> i64 {
        hour(text.parse().unwrap())
    }

    #[test]
    fn the_last_bar_is_the_hour_that_runs() {
        let refused = |docker_hub, others| Refused { docker_hub, others };
        let hours = BTreeMap::from([
            (at("2026-03-02T10:00:00Z"), refused(3, 0)),
            (at("2026-02-28T11:00:00Z"), refused(1, 2)),
            (at("2026-02-28T10:00:00Z"), refused(9, 9)),
        ]);
        let by_hour = bars(HOURS, &hours, now());
        assert_eq!(by_hour.len(), 48);
        assert_eq!((by_hour[0], by_hour[47]), (refused(1, 2), refused(3, 0)));
        assert_eq!(by_hour.iter().map(|bar| bar.docker_hub).sum::<usize>(), 4, "49 hours ago is over");
        let by_day = bars(DAYS, &hours, now());
        assert_eq!(by_day[11..], [refused(9, 9), refused(1, 2), refused(3, 0)], "days that end with this hour");
    }

    #[test]
    fn bars_stand_on_each_other_and_fit() {
        assert_eq!((height(0, 7), height(7, 7), height(1, 1_000)), (0, HEIGHT, 4));
        let mut out = Html::default();
        rect(&mut out, "hub", 2, 25, 75);
        assert_eq!(out.finish(), "<rect class=\"hub\" x=\"21\" y=\"0\" width=\"8\" height=\"75\"/>\n");
    }

    #[test]
    fn the_table_has_what_the_bars_have() {
        let hours = BTreeMap::from([(at("2026-03-02T09:00:00Z"), Refused { docker_hub: 5, others: 2 })]);
        let text = figure(HOURS, &bars(HOURS, &hours, now()), now()).finish();
        assert!(
            text.contains(
                "<th scope=\"row\">2026-03-02 09:00</th><td class=\"number\">5</td><td class=\"number\">2</td>"
            )
        );
        assert_eq!(text.matches("class=\"hub\"").count(), 1);
        assert!(!figure(HOURS, &bars(HOURS, &BTreeMap::new(), now()), now()).finish().contains("<table"));
    }
}
