//! Where the agent's own lines and the commands that it repeats end.

use crate::domain::detect::clean;
use crate::domain::detect::echo::{echoed, is_over, may_be_agents};
use rstest::rstest;

const RUN: &str = "[Container] 2025/03/11 08:14:02.118203 Running command";
const REPORT: &str = "[Container] 2025/03/11 08:14:02.118203 Command did not exit successfully";
const CONTEXT: &str = "[Container] 2025/03/11 08:14:02.118203 Phase context status code:";

#[rstest]
#[case("[Container] 2025/03/11 08:14:02.118203 Entering phase BUILD\nout", "e.")]
#[case(&format!("{REPORT} ls exit status 1\nout\nout"), "e..")]
#[case(&format!("{CONTEXT} YAML_FILE_ERROR Message: x\nout"), "e.")]
#[case(&format!("{CONTEXT} COMMAND_EXECUTION_ERROR Message: Error while executing command: a &&\nb. Reason: exit status 1\nout"), "ee.")]
// A quote that no line of the command closes is not closed by the agent's next line.
#[case(&format!("{RUN} echo 'a\nout\n{RUN} echo it's\nout"), "e.e.")]
#[case(&format!("{RUN} echo \"a \\\" b\nc\"\nout"), "ee.")]
#[case(&format!("{RUN} echo 'a\\'\nout it's\nout"), "e..")]
#[case(&format!("{RUN} echo a#'b\nc'\nout"), "ee.")]
#[case(&format!("{RUN} echo a # it's\nout it's\nout"), "e..")]
#[case(&format!("{RUN} sort < x\nx\nout"), "e..")]
fn an_echo_ends_where_its_command_does(#[case] text: &str, #[case] expected: &str) {
    let lines = clean::lines(text.as_bytes(), 1, 0);
    let echo: String = echoed(&lines).iter().map(|echo| if *echo { 'e' } else { '.' }).collect();
    assert_eq!(echo, expected, "{text}");
}

/// The last line may go on behind what is seen.
#[rstest]
#[case("", false)]
#[case("out", false)]
#[case("out\nout", true)]
#[case(&format!("{RUN} ls\nout"), true)]
#[case(&format!("{RUN} for i in 1; do\n ls\nout"), false)]
#[case(&format!("{RUN} for i in 1; do\n ls\ndone"), false)]
#[case(&format!("{RUN} for i in 1; do\n ls\ndone\nout"), true)]
#[case(&format!("{REPORT} for i in 1; do\n ls\nout"), false)]
#[case(&format!("{REPORT} for i in 1; do\n done exit status 1\nout"), false)]
#[case(&format!("{REPORT} for i in 1; do\n done exit status 1\nout\nout"), true)]
fn an_echo_is_over_where_its_end_is_seen(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(is_over(&clean::lines(text.as_bytes(), 1, 0)), expected, "{text}");
}

#[rstest]
#[case("[Container] x", true)]
#[case("x\nEntering phase BUILD", true)]
#[case("Phase complete: BUILD", true)]
#[case("Command did not exit successfully", true)]
#[case("Phase context status code", true)]
#[case("docker pull redis:7\nEntering the phase", false)]
fn the_agent_is_known_by_its_words(#[case] raw: &str, #[case] expected: bool) {
    assert_eq!(may_be_agents(raw.as_bytes()), expected);
}
