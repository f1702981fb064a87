//! Which command of a phase a refusal belongs to, and whether that command is the one that failed.
//!
//! The agent runs a phase's commands one after the other and stops at the first that fails. So a refusal that is followed
//! by the echo of another command was tolerated (`docker pull x || true`), or the client got over it. `finally` is the
//! exception: it runs after a failure, but then the agent has reported the failed command, and where it reports only
//! afterwards, it names it.

use crate::domain::detect::clean::Line;
use crate::domain::detect::echo::{self, Agent};

/// What the agent's lines told of the command that a refusal belongs to.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// Its first line as the agent echoed it; none where the echo is out of sight.
    command: Option<String>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Running,
    /// The agent went on to the next command.
    Passed,
    /// The agent reported it as failed.
    Failed,
}

impl Ran {
    /// The command that was echoed last in these lines.
    pub fn last_of(lines: &[Line]) -> Option<Ran> {
        lines.iter().rev().find_map(|line| match echo::agent(line) {
            Some(Agent::Running(command)) => Some(Ran { command: Some(squeezed(command)), fate: Fate::Running }),
            _ => None,
        })
    }

    /// Whether its command is the one that the agent ran last, as far as is known.
    pub fn is_current(&self) -> bool {
        self.fate == Fate::Running
    }

    /// The agent begins another command of the same phase. Whether the refusal is known to be no cause.
    pub fn next_begins(&mut self) -> bool {
        if self.fate == Fate::Running {
            self.fate = Fate::Passed;
        }
        self.fate == Fate::Passed
    }

    /// The agent reports a failed command of the same phase. Whether it is this one after all, which seemed to have passed.
    pub fn one_failed(&mut self, report: &str) -> bool {
        let had_passed = self.fate == Fate::Passed;
        let is_this = !had_passed || self.command.as_deref().is_some_and(|command| failed_command(report) == command);
        if is_this {
            self.fate = Fate::Failed;
        }
        is_this && had_passed
    }
}

/// `Command did not exit successfully docker build . exit status 1`.
fn failed_command(report: &str) -> String {
    let command = report.strip_prefix("Command did not exit successfully ").unwrap_or(report);
    squeezed(command.rsplit_once(" exit status ").map_or(command, |(command, _)| command))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::domain::detect::in_log;
    use rstest::rstest;

    const STAMP: &str = "[Container] 2025/06/18 07:02:11.402803";
    const REFUSED: &str = "Error response from daemon: toomanyrequests: You have reached your pull rate limit.";

    /// `r` runs a command and `R` one that is refused; `f` and `F` report them as failed.
    fn log_of(script: &str) -> String {
        let lines = script.chars().map(|step| match step {
            'r' => format!("{STAMP} Running command make test\nfine"),
            'R' => format!("{STAMP} Running command docker pull  node:20 || true\n{REFUSED}"),
            'f' => format!("{STAMP} Command did not exit successfully make test exit status 2"),
            'F' => format!("{STAMP} Command did not exit successfully docker pull node:20 || true exit status 1"),
            'c' => format!("{STAMP} Running command rm -f x"),
            'e' => format!("{STAMP} Phase complete: BUILD State: FAILED"),
            _ => format!("{STAMP} Entering phase POST_BUILD"),
        });
        format!("{STAMP} Entering phase BUILD\n{}\n", lines.collect::<Vec<_>>().join("\n"))
    }

    #[rstest]
    #[case::it_failed("RFe", false)]
    #[case::finally_runs_after_the_report("RFce", false)]
    #[case::finally_runs_before_the_report("RcFe", false)]
    #[case::another_failed("Rrfe", true)]
    #[case::another_failed_and_finally_ran("Rrfce", true)]
    #[case::another_after_it("rRFe", false)]
    #[case::the_next_phase_runs_on("RePr", false)]
    #[case::no_report_and_nothing_follows("R", false)]
    fn the_failed_command_is_the_one_that_was_refused(#[case] script: &str, #[case] recovered: bool) {
        let scan = in_log(&log_of(script));
        let found: Vec<_> = scan.findings.iter().map(|finding| finding.recovered).collect();
        assert_eq!(found, [recovered], "{}", log_of(script));
    }

    #[test]
    fn a_command_that_printed_much_before_it_was_refused_is_known() {
        let log = log_of("RcFe").replace(REFUSED, &format!("{}{REFUSED}", "ok\n".repeat(100)));
        let found: Vec<_> = in_log(&log).findings.iter().map(|finding| finding.recovered).collect();
        assert_eq!(found, [false]);
    }

    #[test]
    fn a_refusal_that_failed_after_one_that_was_tolerated_is_another() {
        let scan = in_log(&log_of("RrRFe"));
        let found: Vec<_> = scan.findings.iter().map(|finding| finding.recovered).collect();
        assert_eq!(found, [true, false]);
    }
}
