//! A log of any length, read in pieces of any size, shows what its lines show.

use super::*;
use crate::domain::detect::{Finding, in_log};
use rstest::rstest;

const HUB: &str = "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit";
const STAMP: &str = "[Container] 2025/06/18 07:02:11.402803";
const NOISE: &str = "#12 4.221 Get:17 http://deb.example.org/debian bookworm/main arm64 libc6 2.36\n";

/// Lines that say nothing, of about so many bytes.
fn noise(bytes: usize) -> String {
    NOISE.repeat(bytes.div_ceil(NOISE.len()))
}

fn line_of(finding: &Finding) -> u64 {
    match finding.evidence.place {
        Place::Log(line) => line,
        Place::Context(_) => panic!("{finding:?}"),
    }
}

/// Around each place where a part of the log is let go: the step that was refused stands up to its own lines before it.
#[rstest]
#[case(0)]
#[case(AHEAD)]
#[case(BLOCK - BEHIND)]
#[case(BLOCK - AHEAD - 400)]
#[case(BLOCK - AHEAD - 200)]
#[case(BLOCK - AHEAD)]
#[case(BLOCK - 400)]
#[case(BLOCK - 200)]
#[case(BLOCK)]
#[case(BLOCK + BEHIND)]
#[case(2 * BLOCK - AHEAD - 200)]
#[case(2 * BLOCK)]
#[case(3 * BLOCK)]
fn where_it_stands_changes_nothing_but_its_line(#[case] before: usize) {
    let refusal = format!("docker pull redis:7\n{}{HUB}\n", "x\n".repeat(10));
    let before = noise(before);
    let log = format!("{before}{STAMP} Entering phase BUILD\n{refusal}{}", noise(AHEAD));
    let lines = before.lines().count() as u64;
    for size in [100_000, usize::MAX] {
        let mut scanner = Scanner::new();
        log.as_bytes().chunks(size.min(log.len())).for_each(|piece| scanner.push(piece));
        let scan = scanner.finish();
        assert_eq!(scan.findings.len(), 1, "{scan:?}");
        let finding = &scan.findings[0];
        assert_eq!((line_of(finding), finding.times), (lines + 13, 1));
        assert_eq!(finding.image.as_deref(), Some("redis:7"));
        assert_eq!(finding.phase, Some(PhaseName::new("BUILD")));
        assert_eq!(finding.evidence.quote, HUB);
        assert_eq!((scan.lines, scan.bytes), (log.lines().count() as u64, log.len() as u64));
    }
}

/// An echo reaches over the lines that a window has, and over the end of a block.
#[rstest]
#[case(0)]
#[case(BLOCK - AHEAD - 600)]
#[case(BLOCK - 600)]
fn a_command_that_is_echoed_over_many_lines_says_nothing(#[case] before: usize) {
    let text = "a line of a text that has many of them\n".repeat(60);
    let log = |is_echo: bool| {
        let (run, end) = if is_echo { ("Running command cat <<EOF", "EOF\n") } else { ("Running command ci", "") };
        format!("{}{STAMP} {run}\n{text}{HUB}\n{end}{}", noise(before), noise(AHEAD))
    };
    assert_eq!(in_log(&log(true)).findings, []);
    let found = in_log(&log(false)).findings;
    assert_eq!(found.iter().map(line_of).collect::<Vec<_>>(), [noise(before).lines().count() as u64 + 62]);
}

#[test]
fn a_row_that_is_printed_in_each_block_is_one_refusal() {
    let log = format!("docker pull redis:7\n{HUB}\n{}", noise(BLOCK)).repeat(4);
    let found = in_log(&log).findings;
    assert_eq!(found.iter().map(|finding| (line_of(finding), finding.times)).collect::<Vec<_>>(), [(2, 4)]);
}

/// A line without an end may hold a refusal more than once, and the whole block.
#[test]
fn each_refusal_of_a_long_line_is_found_once() {
    let filling = "x".repeat(3 * AHEAD);
    let pull = |image: &str| format!("Error: Failed to pull image \"{image}\": {HUB} {filling} ");
    let found = in_log(&[pull("a/b:1"), pull("c/d:2"), pull("a/b:1")].concat()).findings;
    let seen: Vec<_> =
        found.iter().map(|finding| (finding.image.as_deref(), finding.times, line_of(finding))).collect();
    assert_eq!(seen, [(Some("a/b:1"), 2, 1), (Some("c/d:2"), 1, 1)]);
}

/// Whether they stand in one window or far apart.
#[rstest]
#[case(0)]
#[case(BLOCK / 2)]
fn refusals_of_several_phases_are_each_of_their_own(#[case] between: usize) {
    let phase = |name: &str, state: &str| {
        format!(
            "{STAMP} Entering phase {name}\ndocker pull redis:7\n{HUB}\n{}{STAMP} Phase complete: {name} State: {state}\n",
            noise(between)
        )
    };
    let log = [phase("INSTALL", "SUCCEEDED"), phase("PRE_BUILD", "FAILED"), phase("BUILD", "FAILED")].concat();
    let scan = in_log(&log);
    let seen: Vec<_> = scan.findings.iter().map(|f| (f.phase.as_ref().unwrap().as_str(), f.recovered)).collect();
    assert_eq!(seen, [("INSTALL", true), ("PRE_BUILD", false), ("BUILD", false)]);
    assert_eq!(scan.failed_phase, Some(PhaseName::new("PRE_BUILD")));
}

#[test]
fn refused_logins_are_told_with_their_lines_and_no_more_of_them_than_are_kept() {
    let refused =
        |index: usize| format!("Error {index}: unauthorized: incorrect username or password\n{}", noise(AHEAD));
    let log: String = (0..KEPT + 3).map(refused).collect();
    let seen = in_log(&log).troubles;
    assert_eq!(seen.len(), KEPT);
    let lines = 1 + noise(AHEAD).lines().count() as u64;
    for (index, seen) in (0_u64..).zip(&seen) {
        assert_eq!(seen.evidence.place, Place::Log(1 + index * lines));
    }
}

/// A log that is read by its tail begins within a phase.
#[test]
fn a_log_may_begin_within_a_phase() {
    let mut scanner = Scanner::in_phase(PhaseName::new("BUILD"));
    scanner.push(
        format!("{HUB}\n{STAMP} Entering phase POST_BUILD\n{}docker pull a/b:1\n{HUB}\n", noise(AHEAD)).as_bytes(),
    );
    let findings = scanner.finish().findings;
    let seen: Vec<_> = findings.iter().map(|f| (f.phase.as_ref().unwrap().as_str(), line_of(f))).collect();
    assert_eq!(seen, [("BUILD", 1), ("POST_BUILD", 4 + noise(AHEAD).lines().count() as u64)]);
}
