//! What a program printed, and what only shows it: one sign at a time.

use super::lines_with;
use crate::domain::detect::frame::{is_program_output, names_client};
use rstest::rstest;

fn is_output(text: &str) -> bool {
    let (lines, at) = lines_with(text, "toomany");
    is_program_output(&lines, at, lines[at].text.find("toomany").unwrap())
}

#[rstest]
#[case("⠿ Error response from daemon: toomanyrequests: x")]
#[case("F Error response from daemon: toomanyrequests: x")]
#[case("web-1 Error response from daemon: toomanyrequests: x")]
#[case("Error: toomanyrequests: x |")]
#[case("docker.errors::APIError: toomanyrequests: x")]
// Ansible's, with docker-py's words in it.
#[case("msg: 'Error pulling image a/b:1 - 500 Server Error: Internal Server Error (\"toomanyrequests: x\")'")]
// Python's tuple behind a word that reports it.
#[case(
    "Error: ('Docker process returned with errorcode 1', b'', b'Error response from daemon: toomanyrequests: x\\n')"
)]
#[case("build #4 failed: toomanyrequests: x")]
fn a_program_said_it(#[case] text: &str) {
    assert!(is_output(text), "{text}");
}

#[rstest]
// A shell's trace, whatever its command is.
#[case("+ toomanyrequests: x")]
#[case("+ deploy: toomanyrequests: x")]
#[case("+ web-1 Error response from daemon: toomanyrequests: x")]
#[case("%% Error response from daemon: toomanyrequests: x")]
#[case("see the docs, toomanyrequests: x")]
#[case("- docker build . # now and then: toomanyrequests: x")]
#[case("make image   # sometimes: toomanyrequests: x")]
#[case("description: \"toomanyrequests: x seen {{ $value }} times\"")]
#[case("waits when the registry answers (\"toomanyrequests: x\").")]
#[case("If you see\n  Error response from daemon: toomanyrequests: x\nrun the login first.")]
#[case("'toomanyrequests: x' means that")]
#[case("#7 [2/3] RUN deploy: toomanyrequests: x")]
// Found by a search.
#[case("pull.rb:75:toomanyrequests: x")]
// A variable, an option, an issue.
#[case("RATE_LIMIT: toomanyrequests: x")]
#[case("RATE_LIMIT_2: toomanyrequests: x")]
#[case("  --message TEXT  [default: toomanyrequests: x]")]
#[case("#412  Error: toomanyrequests: x")]
// Markup.
#[case("<p>Error: toomanyrequests: x")]
#[case("Error: «toomanyrequests: x»")]
#[case("## Error: toomanyrequests: x")]
#[case("### Error: toomanyrequests: x")]
#[case("| Error: toomanyrequests: x | wait |")]
#[case("a | Error: toomanyrequests: x | b")]
// Comments.
#[case("x // Error: toomanyrequests: x")]
#[case("x (* Error: toomanyrequests: x")]
#[case("-- Error: toomanyrequests: x")]
#[case("#   toomanyrequests: x")]
#[case("##   toomanyrequests: x")]
fn no_program_said_it(#[case] text: &str) {
    assert!(!is_output(text), "{text}");
}

#[rstest]
#[case("toomany", true)]
#[case("some words toomany", false)]
#[case("docker pull: toomany", true)]
#[case("docker pull: toomany |", false)]
// A key of a file, and not the words of one.
#[case("my_error: toomany", false)]
#[case("my_error of docker: toomany", true)]
#[case("HTTP 429 Too Many Requests\nYou have toomany", true)]
#[case("HTTP 400 Bad Request\nYou have toomany", false)]
#[case("HTTP 429 Too Many Requests\nWe had toomany", false)]
fn what_stands_before_a_shortened_message_is_nothing_or_a_clients(#[case] text: &str, #[case] expected: bool) {
    let (lines, at) = lines_with(text, "toomany");
    assert_eq!(names_client(&lines, at, lines[at].text.find("toomany").unwrap()), expected, "{text}");
}
