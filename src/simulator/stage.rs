//! INSTALL to POST_BUILD: the commands of a buildspec, one after another.

use jiff::SignedDuration;

use super::account::Account;
use super::build::{Container, PhaseEnd, PhaseKind};
use super::buildspec::{Buildspec, Commands};
use super::logs::Line;
use super::options::RunnerLog;
use super::phases::complete_lines;
use super::run::{Script, container_line};
use super::shell::Machine;

impl Account {
    /// INSTALL to POST_BUILD: the commands one after another until one fails, then `finally`.
    pub(super) fn run_commands(&mut self, place: usize, kind: PhaseKind, name: &str) -> Script {
        let begin = self.now;
        let mut container = std::mem::take(&mut self.builds[place].container);
        let spec = container.buildspec.clone().unwrap_or_default();
        let Some(phase) = spec.phases.get(name) else {
            self.builds[place].container = container;
            let mut lines = vec![container_line(begin, &format!("Entering phase {}", kind.wire()))];
            let end = PhaseEnd::succeeded();
            complete_lines(&mut lines, begin, kind, &end);
            return Script { lasts: SignedDuration::ZERO, end, lines };
        };
        let project = self.builds[place].project.clone();
        let mut stage = Stage {
            spec: &spec,
            lines: vec![container_line(begin, &format!("Entering phase {}", kind.wire()))],
            lasts: SignedDuration::ZERO,
        };
        let end = stage.run(self, &project, &mut container, phase);
        let Stage { mut lines, lasts, .. } = stage;
        let end = match &self.builds[place].given.job {
            Some(job) if kind == PhaseKind::Build && self.unknowns.runner_log == RunnerLog::JobOnly => {
                lines = job.lines_without_steps(begin, begin + lasts, &end);
                job.end_without_steps(end)
            }
            _ => end,
        };
        complete_lines(&mut lines, begin + lasts, kind, &end);
        self.builds[place].container = container;
        Script { lasts, end, lines }
    }
}

/// The commands of one phase while they run.
struct Stage<'s> {
    spec: &'s Buildspec,
    lines: Vec<Line>,
    lasts: SignedDuration,
}

impl Stage<'_> {
    fn run(&mut self, account: &mut Account, project: &str, container: &mut Container, phase: &Commands) -> PhaseEnd {
        let mut end = PhaseEnd::succeeded();
        for command in &phase.commands {
            end = self.one(account, project, container, command);
            if end.status != "SUCCEEDED" {
                break;
            }
        }
        for command in &phase.finally {
            let last = self.one(account, project, container, command);
            if end.status == "SUCCEEDED" {
                end = last;
            }
        }
        end.go_on = phase.on_failure.as_deref() == Some("CONTINUE");
        end
    }

    fn one(&mut self, account: &mut Account, project: &str, container: &mut Container, command: &str) -> PhaseEnd {
        let begin = account.now + self.lasts;
        self.lines.push(container_line(begin, &format!("Running command {}", command.trim_end())));
        let before = container.env.clone();
        let mut machine = Machine::new(account, project, container, &self.spec.shell, begin);
        let code = machine.run(command);
        let (output, lasts) = (machine.output, machine.lasts);
        if !self.spec.one_shell {
            container.env = before;
        }
        self.lasts += lasts;
        let done = account.now + self.lasts;
        self.lines.extend(output.into_iter().map(|text| Line { at: done, text }));
        if code == 0 {
            return PhaseEnd::succeeded();
        }
        let command = command.trim_end();
        self.lines
            .push(container_line(done, &format!("Command did not exit successfully {command} exit status {code}")));
        PhaseEnd::failed(
            "FAILED",
            "COMMAND_EXECUTION_ERROR",
            format!("Error while executing command: {command}. Reason: exit status {code}"),
        )
    }
}
