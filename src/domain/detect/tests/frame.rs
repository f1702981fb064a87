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
// A table of how phases ended.
#[case("|  QUEUED |  SUCCEEDED |  |\n|  PROVISIONING|  CLIENT_ERROR |  CannotPull: toomanyrequests: x |")]
// What a command printed into a variable.
#[case("++ docker pull a\n+ out='Error response from daemon: toomanyrequests: x'")]
#[case("[/server/proxy.go:103]: failed to proxy, body: {\"message\":\"toomanyrequests: x\"}")]
#[case("`docker pull a` exited 1 after 0.9s; stderr was: 'Error response from daemon: toomanyrequests: x'")]
#[case("Docker\\API\\ImageCreateException: Server error (toomanyrequests: x)")]
#[case("\"a\",\"b\",Pod,\"Failed to pull image \"\"a/b:1\"\": [rpc error: desc = toomanyrequests: x]\"")]
#[case(
    "Traceback (most recent call last):\n  File \"a.py\", line 9, in b\n    raise A(f\"{x}\")\nA: pull failed: b'toomanyrequests: x'"
)]
#[case("10:00AM ERR pull failed error=\"toomanyrequests: x\" image=a")]
#[case("<failure message=\"APIError: 500 Server Error: Internal Server Error (&quot;toomanyrequests: x&quot;)\">T")]
#[case("Running a.BTest\nin docker\nERROR c.a.I - pull: toomanyrequests: x\nTests run: 2, Failures: 0, Errors: 0, S")]
#[case(
    "=== RUN   TestA\n    a_test.go:14: start: Error response from daemon: toomanyrequests: x\n--- FAIL: TestA (0.8s)"
)]
#[case("=== RUN   TestA\na: toomanyrequests: x\n--- PASS: TestB (0.8s)")]
#[case("=== RUN   TestA\nin docker\na: toomanyrequests: x\n--- PASS: TestA (0.8s)")]
#[case("--- PASS: TestA (0.8s)\n=== RUN   TestA\na: toomanyrequests: x")]
#[case("a.HubTest > retries STANDARD_OUT\n    WARN hub - a: toomanyrequests: x\n\na.HubTest > retries FAILED")]
#[case("     1\tPulling a\n     2\tError: toomanyrequests: x\n     3\tb")]
#[case("##[group]Run pull\npull\n##[endgroup]\nError: toomanyrequests: x\n##[group]Run rm\nrm\n##[endgroup]")]
#[case("##[group]Run a/login@v3\nLogging in\nError: toomanyrequests: x\n##[endgroup]")]
#[case("error:\n  code: A\n  message: \"toomanyrequests: x\"")]
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
#[case("# docker.io gave: toomanyrequests: x")]
#[case("|  QUEUED |  SUCCEEDED |  |\n|  a |  b |  CannotPull: toomanyrequests: x |")]
// A value that no command of a client gave.
#[case("++ cat docs/x.md\n+ out='Error response from daemon: toomanyrequests: x'")]
#[case("+ docker pull a\n+ out='Error response from daemon: toomanyrequests: x'")]
#[case("- `docker pull a` exited: 'Error response from daemon: toomanyrequests: x'")]
#[case("Error (toomanyrequests: x)")]
#[case("\"a\",\"b\",\"toomanyrequests: x\"")]
// Tests.
#[case("{\"msg\":\"mock registry: will answer with 429 toomanyrequests: x\"}")]
#[case("Running a.BTest\nERROR c.a.I - pull: toomanyrequests: x\nTests run: 2, Failures: 0, Errors: 0, Skipped: 0")]
#[case("=== RUN   TestA\n2025/06/18 07:02:11 a: toomanyrequests: x\nb\n--- PASS: TestA (0.8s)")]
#[case("a.HubTest > retries STANDARD_OUT\n    WARN hub - a: toomanyrequests: x\n\na.HubTest > retries PASSED")]
#[case("---- live log call ----\nWARNING  hub:hub.py:12 a: toomanyrequests: x\nPASSED")]
#[case("a_test.go:52: got:  failed to copy: toomanyrequests: x\n--- FAIL: TestA (0.00s)")]
#[case("##teamcity[testIgnored name='x' message='Error: toomanyrequests: x']")]
#[case("exports[`a 1`] = `\n\"Error: toomanyrequests: x\"\n`;")]
// Counted, the most first.
#[case("Reasons:\n  42  timeout\n   3  Error response from daemon: toomanyrequests: x")]
// What a tool shows of a file, and of a script before it runs.
#[case(
    "Dockerfile:4\n--------------------\n   3 |     FROM a\n   4 |     Error: toomanyrequests: x\n--------------------"
)]
#[case("##[group]Run cat <<E\ncat <<E\ntoomanyrequests: x\nE\n##[endgroup]")]
// What changed, and what somebody asks.
#[case("- Fixed: Error response from daemon: toomanyrequests: x")]
#[case("title: docker pull fails: toomanyrequests: x")]
#[case("I get this:\n\n    Error response from daemon: toomanyrequests: x")]
#[case("Symptoms::\n\n    Error response from daemon: toomanyrequests: x")]
#[case("example:\n  code: A\n  message: \"toomanyrequests: x\"")]
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
