//! Which lines are near a message, and whether they are a listing.

use super::lines_with;
use crate::domain::detect::listing::{Around, is_wrapped_rest};
use rstest::rstest;

const FULL: usize = 80;

fn is_listing(text: &str) -> bool {
    let (lines, at) = lines_with(text, "toomany");
    Around::of(&lines, at).is_listing()
}

#[rstest]
#[case(&format!("toomany\n{}```", "x\n".repeat(5)), true)]
#[case(&format!("toomany\n{}```", "x\n".repeat(6)), false)]
#[case(&format!("```\n{}toomany", "x\n".repeat(5)), true)]
#[case(&format!("```\n{}toomany", "x\n".repeat(6)), false)]
#[case("~~~ toomany", false)]
#[case("func a() {\nreturn b;\nlet c = d;\ntoomany\na\nb\nc", true)]
#[case("func a() {\nreturn b;\nlet c = d;\ntoomany\na\nb\nc\nd", false)]
// Lines of code that are as wide as the message are code still.
#[case("return ab;\nreturn cd;\ntoomany: x", true)]
fn lines_near_tell_a_listing(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(is_listing(text), expected, "{text}");
}

/// A line that a terminal filled was cut there: how it ends says nothing.
#[test]
fn full_lines_of_a_narrow_terminal_are_no_code_by_their_end() {
    let full = |text: &str| format!("{text}{}{{", "x".repeat(FULL - 1 - text.len()));
    let line = format!("{}\nrest\n", full("a"));
    assert!(!is_listing(&format!("{line}{line}{}\nrest", full("toomany"))));
}

#[rstest]
#[case(FULL, 0, true)]
#[case(59, 0, false)]
// Another line near is wider: nothing was wrapped here.
#[case(FULL, 5, false)]
#[case(FULL, 6, true)]
fn what_a_terminal_wrapped_goes_on_in_the_next_line(
    #[case] width: usize,
    #[case] below: usize,
    #[case] expected: bool,
) {
    let wider = if below > 0 { format!("\n{}{}", "x\n".repeat(below), "y".repeat(FULL + 1)) } else { String::new() };
    let (lines, at) = lines_with(&format!("{}\ntoomany{wider}", "x".repeat(width)), "toomany");
    assert_eq!(is_wrapped_rest(&lines, at), expected);
    assert!(!is_wrapped_rest(&lines, 0));
}
