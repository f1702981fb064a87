//! Does a test speak? A program under test says what it would say of a refusal, and a test says what it feeds it.

use crate::domain::detect::clean::Line;
use crate::domain::detect::document::{REACH, before, is_blank};

/// What the code under test wrote to its console in a file of tests that passed: jest and vitest put a head above it and the
/// file's result below.
pub fn in_passed_test(lines: &[Line], at: usize) -> bool {
    const BEHIND: usize = 12;
    const RESULTS: [&str; 4] = ["PASS ", "FAIL ", "✓ ", "❯ "];
    let is_head = |line: &Line| ["console.", "stdout | ", "stderr | "].iter().any(|head| line.text.starts_with(head));
    let behind = lines.get(at + 1..lines.len().min(at + 1 + BEHIND)).unwrap_or_default();
    let result = behind.iter().find_map(|line| RESULTS.iter().find(|result| line.text.starts_with(**result)));
    // Go's: `    hub_test.go:31: text: …`, then `--- PASS: TestHub`.
    // Or the log of a server that the test started.
    let is_gos = lines.get(at).is_some_and(|line| {
        let is_said = line.text.split_once("_test.go:").is_some_and(|(file, _)| !file.contains(' '));
        (is_said || line.text.contains("127.0.0.1:"))
            && behind
                .iter()
                .find(|line| line.text.starts_with("--- "))
                .is_some_and(|line| line.text.starts_with("--- PASS"))
    });
    // nextest's: `PASS [   0.004s] …`, then `stdout ───`.
    let is_nextests = || {
        let mut said = before(lines, at).take(6).filter(|line| !is_blank(line));
        let head = said.find(|line| ["stdout ──", "stderr ──"].iter().any(|head| line.text.starts_with(head)));
        head.is_some() && said.next().is_some_and(|line| line.text.starts_with("PASS ["))
    };
    is_gos
        || in_passed_class(lines, at)
        || in_passed_case(lines, at)
        || is_nextests()
        || before(lines, at).take(3).any(is_head) && result.is_some_and(|result| ["PASS ", "✓ "].contains(result))
}

/// What a test printed that went well, by the head and the result that its runner puts around it under one name, and nothing
/// of docker between them: Go's, Gradle's and pytest's.
fn in_passed_case(lines: &[Line], at: usize) -> bool {
    const BEHIND: usize = 12;
    let name = |line: &Line| {
        let text = line.text.as_str();
        let gradles = [" STANDARD_OUT", " STANDARD_ERROR"].iter().find_map(|end| text.strip_suffix(end));
        let pytests = text.contains(" live log call ---").then_some("");
        text.strip_prefix("=== RUN ").or(gradles).or(pytests).map(|name| name.trim().to_string())
    };
    let Some(first) = (at.saturating_sub(REACH)..at).rev().find(|index| lines.get(*index).and_then(name).is_some())
    else {
        return false;
    };
    let name = lines.get(first).and_then(name).unwrap_or_default();
    let passed = [format!("--- PASS: {name} ("), format!("{name} PASSED").trim().to_string()];
    let is_passed = |line: &&Line| passed.iter().any(|result| line.text.starts_with(result));
    let said = lines.get(first + 1..lines.len().min(at + BEHIND)).unwrap_or_default();
    let said: Vec<&Line> = said.iter().collect();
    let result = said.iter().position(is_passed).filter(|result| first + 1 + result > at);
    result.is_some_and(|result| !said.iter().take(result).any(|line| speaks_of_docker(line)))
}

/// The address in Docker Hub's message does not count.
fn speaks_of_docker(line: &Line) -> bool {
    let text = line.text.replace("docker.com", "");
    ["ocker", "ontainer"].iter().any(|word| text.contains(word))
}

/// Surefire's: `Running com.acme.ATest`, then `Tests run: 2, Failures: 0, Errors: 0`, and nothing of docker between them.
fn in_passed_class(lines: &[Line], at: usize) -> bool {
    const BEHIND: usize = 20;
    let is_mark = |line: &Line| ["Running ", "Tests run: "].iter().any(|mark| line.text.starts_with(mark));
    let is_head = |line: &Line| {
        let name = line.text.strip_prefix("Running ");
        name.is_some_and(|name| name.contains('.') && !name.contains([' ', '/']))
    };
    let Some(first) = (at.saturating_sub(REACH)..at).rev().find(|index| lines.get(*index).is_some_and(is_mark)) else {
        return false;
    };
    let said = lines.get(first..lines.len().min(at + BEHIND)).unwrap_or_default();
    let Some(last) = said.iter().skip(1).position(is_mark) else { return false };
    let (head, said) = said.split_at_checked(1).unwrap_or_default();
    let (said, result) = said.split_at_checked(last).unwrap_or_default();
    head.iter().all(is_head)
        && result.first().is_some_and(|line| line.text.contains(" Failures: 0, Errors: 0,"))
        && !said.iter().any(speaks_of_docker)
}

/// What a server on the machine itself answered: the line before is its access log.
pub fn answers_locally(lines: &[Line], at: usize) -> bool {
    let is_access = |line: &Line| line.text.starts_with("127.0.0.1 - - [") && line.text.contains("HTTP/1.");
    before(lines, at).find(|line| !is_blank(line)).is_some_and(is_access)
}

/// What a test says it feeds to its subject, and what a program says it looks for or feigns: `classify_test.go:33: input: `,
/// `Invalid filter pattern: `, `fake docker: `.
pub fn is_given(head: &str) -> bool {
    const GIVEN: [&str; 10] =
        ["input", "given", "pattern", "filter", "regex", "text", "string", "substring", "found in", "argument"];
    const FEIGNED: [&str; 6] = ["stub", "stubbed", "mock", "mocked", "fake", "simulated"];
    head.split_inclusive(": ").filter_map(|part| part.strip_suffix(": ")).any(|part| {
        let part = part.to_ascii_lowercase();
        let is_last = |word: &&str| part.strip_suffix(*word).is_some_and(|lead| !lead.ends_with(char::is_alphanumeric));
        let words = part.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty());
        let mut last = words.take(2);
        GIVEN.iter().any(is_last) || last.any(|word| FEIGNED.contains(&word))
    })
}
