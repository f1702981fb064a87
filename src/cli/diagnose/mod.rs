//! `unthrottled diagnose`: what a log or a build says, without any AWS access.

mod start;
mod words;

use crate::cli::output::Format;
use crate::domain::build::{Build, PhaseName};
use crate::domain::classify::{self, Cause, Diagnosis, LogReading, Login, Registry, UnknownReason};
use crate::domain::detect::{Evidence, Place, Scan, Scanner, redact};
use crate::edge::batch_get_builds;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use start::{Oddity, Start, Unreadable};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Input longer than this gets a progress bar.
const LARGE: u64 = 64 * 1024 * 1024;
/// The JSON of 100 builds is a few megabytes.
const LARGEST_JSON: u64 = 64 * 1024 * 1024;

/// Arguments of `diagnose`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Log files; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The phase that the log is from, for example BUILD, where the log itself does not tell
    #[arg(long, value_name = "PHASE")]
    phase: Option<String>,
    /// The JSON of `aws codebuild batch-get-builds`; a FILE is then the log of its one build
    #[arg(long, value_name = "FILE")]
    build: Option<PathBuf>,
    /// For people, or for programs: one line a file, or a build
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Diagnoses every input and writes the results. Exit code 1 if one could not be read; the others are still diagnosed.
pub fn run(args: &Args, out: &mut dyn Write, errors: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.build {
        Some(file) => run_builds(args, file, out, errors),
        None => run_logs(args, out, errors),
    }
}

fn run_logs(args: &Args, out: &mut dyn Write, errors: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { stdin.as_slice() } else { args.files.as_slice() };
    let phase = args.phase.as_deref().map(PhaseName::new);
    let mut exit = ExitCode::SUCCESS;
    for file in files {
        match scan(file, errors) {
            Ok(scan) => {
                let diagnosis = classify::classify_text(&scan, phase.as_ref());
                write_result(args.format, &name(file), &diagnosis, out)?;
            }
            Err(error) => {
                report(&name(file), &error, errors)?;
                exit = ExitCode::FAILURE;
            }
        }
    }
    Ok(exit)
}

fn run_builds(args: &Args, file: &Path, out: &mut dyn Write, errors: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let builds = match read_builds(file) {
        Ok(builds) => builds,
        Err(error) => {
            writeln!(errors, "{}: {error:#}", name(file))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let scan = match (args.files.as_slice(), builds.as_slice()) {
        ([], _) => None,
        ([log], [_]) => match scan(log, errors) {
            Ok(scan) => Some(scan),
            Err(error) => {
                report(&name(log), &error, errors)?;
                return Ok(ExitCode::FAILURE);
            }
        },
        _ => anyhow::bail!("with --build, at most one log FILE, and only where the JSON holds one build"),
    };
    for build in &builds {
        let reading = scan.as_ref().map_or(LogReading::NotRead, LogReading::Scanned);
        let diagnosis = classify::classify(build, reading);
        write_result(args.format, build.id.as_str(), &diagnosis, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_builds(file: &Path) -> anyhow::Result<Vec<Build>> {
    let mut json = Vec::new();
    let input: Box<dyn Read> = if is_stdin(file) { Box::new(io::stdin().lock()) } else { Box::new(open(file)?) };
    input.take(LARGEST_JSON + 1).read_to_end(&mut json).context("can't be read")?;
    anyhow::ensure!(json.len() as u64 <= LARGEST_JSON, "is larger than any answer of `batch-get-builds`");
    start::readable(&json)?;
    Ok(batch_get_builds::read(&json)?)
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// The name to show: a file's name may hold control characters.
fn name(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_string() } else { redact(&file.display().to_string()) }
}

fn open(file: &Path) -> Result<File, Unreadable> {
    let opened = File::open(file)?;
    if opened.metadata()?.is_dir() { Err(Unreadable::Directory) } else { Ok(opened) }
}

/// Reads a log to its end in pieces, and says what is odd about it.
fn scan(file: &Path, errors: &mut dyn Write) -> Result<Scan, Unreadable> {
    let (scan, oddity) = if is_stdin(file) {
        scan_input(io::stdin().lock(), &ProgressBar::hidden())?
    } else {
        let opened = open(file)?;
        let length = opened.metadata()?.len();
        // Drawn on standard error, and only if that is a terminal.
        let progress =
            if length >= LARGE && io::stderr().is_terminal() { progress_bar(length) } else { ProgressBar::hidden() };
        let read = scan_input(opened, &progress);
        progress.finish_and_clear();
        read?
    };
    if let Some(oddity) = oddity {
        writeln!(errors, "{}: {oddity}", name(file))?;
    }
    Ok(scan)
}

fn progress_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {bytes:>10} of {total_bytes} {bytes_per_sec}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn scan_input(mut input: impl Read, progress: &ProgressBar) -> Result<(Scan, Option<Oddity>), Unreadable> {
    let mut scanner = Scanner::new();
    let mut start = Start::default();
    loop {
        let room = scanner.room();
        let count = match input.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        start.see(room.get(..count).unwrap_or_default())?;
        if count == 0 {
            return Ok((scanner.finish(), start.oddity()));
        }
        scanner.filled(count);
        progress.inc(count as u64);
    }
}

fn report(name: &str, error: &Unreadable, errors: &mut dyn Write) -> io::Result<()> {
    match error {
        Unreadable::Io(cause) => writeln!(errors, "{name}: {error}: {cause}"),
        _ => writeln!(errors, "{name}: {error}"),
    }
}

/// One line of `--format json`.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    diagnosis: Cause,
    registry: Registry,
    login: Login,
    site: Option<classify::Site>,
    phase: Option<&'a str>,
    recovered: bool,
    reason: Option<UnknownReason>,
    evidence: Vec<Quote<'a>>,
}

#[derive(Serialize)]
struct Quote<'a> {
    /// None for a phase's context, which stands in no log.
    line: Option<u64>,
    text: &'a str,
}

impl<'a> Quote<'a> {
    fn of(evidence: &'a Evidence) -> Quote<'a> {
        let line = match evidence.place {
            Place::Log(line) => Some(line),
            Place::Context(_) => None,
        };
        Quote { line, text: &evidence.quote }
    }
}

fn write_result(format: Format, name: &str, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => {
            let line = Line {
                file: name,
                diagnosis: diagnosis.cause,
                registry: diagnosis.registry,
                login: diagnosis.login,
                site: diagnosis.site,
                phase: diagnosis.phase.as_ref().map(PhaseName::as_str),
                recovered: diagnosis.recovered,
                reason: diagnosis.reason,
                evidence: diagnosis.evidence.iter().map(Quote::of).collect(),
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)
        }
        Format::Text => words::write_text(name, diagnosis, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// Runs on files of these contents and answers the exit code (as text), the results and the errors.
    fn run_on(contents: &[&[u8]], options: &[&str]) -> (String, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["diagnose".to_string()];
        arguments.extend(options.iter().map(|option| option.replace("DIR", &folder.path().display().to_string())));
        for (index, content) in contents.iter().enumerate() {
            let file = folder.path().join(format!("{index}.log"));
            fs::write(&file, content).unwrap();
            arguments.push(file.display().to_string());
        }
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let exit = run(&Cli::parse_from(arguments).args, &mut out, &mut errors).unwrap();
        let folder = format!("{}/", folder.path().display());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder, "");
        (format!("{exit:?}"), text(out), text(errors))
    }

    const THROTTLED: &[u8] =
        b"Step 1/2 : FROM node:22\ntoomanyrequests: You have reached your unauthenticated pull rate \
        limit. https://www.docker.com/increase-rate-limit\n";

    #[test]
    fn json_is_one_line_a_file() {
        let (_, out, _) = run_on(&[THROTTLED, b"ok\n"], &["--format", "json", "--phase", "BUILD"]);
        let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = serde_json::json!({
            "file": "0.log", "diagnosis": "hub_pull_limit", "registry": "docker_hub", "login": "anonymous",
            "site": "docker_client", "phase": "BUILD", "recovered": false, "reason": null,
            "evidence": [{"line": 2, "text": "toomanyrequests: You have reached your unauthenticated pull rate limit. \
                https://www.docker.com/increase-rate-limit"}]
        });
        assert_eq!(lines[0], expected);
        assert_eq!(lines[1]["diagnosis"], "not_throttled");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn text_says_what_where_and_what_next() {
        let (_, out, _) = run_on(&[THROTTLED], &["--phase", "PROVISIONING"]);
        let plain = anstream::adapter::strip_str(&out).to_string();
        insta::assert_snapshot!(plain, @r"
        0.log
          Docker Hub's pull limit, reached without a login
          in PROVISIONING, by CodeBuild, which pulls the build image
          line 2: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit
          next: give the project a registry credential for Docker Hub; `unthrottled plan --project NAME` shows the change
        ");
    }

    #[test]
    fn what_is_no_log_is_named_and_the_rest_is_still_diagnosed() {
        let inputs: [&[u8]; 6] =
            [b"\x1f\x8b\x08\0", b"\xff\xfet\0o\0", b"", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", THROTTLED];
        let (exit, out, errors) = run_on(&inputs, &["DIR"]);
        assert_eq!(exit, format!("{:?}", ExitCode::FAILURE));
        assert!(out.contains("5.log"));
        let errors: Vec<&str> = errors.lines().collect();
        assert!(errors[0].contains("is a directory, not a log"), "{errors:?}");
        assert!(errors[1].starts_with("0.log: is compressed with gzip"), "{errors:?}");
        assert!(errors[2].starts_with("1.log: is UTF-16 text"), "{errors:?}");
        assert_eq!(errors[3], "2.log: is empty");
        assert!(errors[4].contains("zip") && errors[5].contains("zstd"), "{errors:?}");
    }

    #[test]
    fn a_missing_file_is_an_error_of_its_own() {
        let (exit, out, errors) = run_on(&[], &["DIR/none"]);
        assert_eq!((exit.as_str(), out.as_str()), (format!("{:?}", ExitCode::FAILURE).as_str(), ""));
        assert!(errors.starts_with("none: can't be read: No such file"), "{errors}");
    }

    #[test]
    fn a_line_without_end_and_zero_bytes_are_read_through() {
        let mut log = vec![b'x'; 3 * 1024 * 1024];
        log.extend(b"\0\0 docker: Error response from daemon: toomanyrequests: Rate exceeded \0\0");
        log.extend(vec![b'y'; 1024 * 1024]);
        let (_, out, _) = run_on(&[&log], &["--format", "json"]);
        assert!(out.len() < 1_000, "the quote is short");
        assert!(out.contains("\"other_registry\""), "{out}");
    }

    const BUILDS: &[u8] = br#"{"builds": [{"id": "web:1", "buildStatus": "FAILED", "environment": {"image": "node:22"},
        "phases": [{"phaseType": "BUILD", "phaseStatus": "FAILED",
        "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error while executing command: make. Reason: exit status 2"}]}]}]}"#;

    fn run_build(json: &[u8], logs: &[&[u8]]) -> (String, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("build.json");
        fs::write(&file, json).unwrap();
        run_on(logs, &["--format", "json", "--build", &file.display().to_string()])
    }

    #[test]
    fn a_build_needs_its_log_and_is_decided_with_it() {
        let (_, without, _) = run_build(BUILDS, &[]);
        assert!(without.contains("\"file\":\"web:1\",\"diagnosis\":\"needs_log\""), "{without}");
        let (_, with, _) = run_build(BUILDS, &[THROTTLED]);
        assert!(with.contains("\"diagnosis\":\"hub_pull_limit\"") && with.contains("\"phase\":\"BUILD\""), "{with}");
    }

    #[test]
    fn json_of_another_shape_is_named() {
        for (json, word) in
            [(&b"{}"[..], "it has no `builds`"), (b"x", "not JSON"), (b"", "is empty"), (b"\x1f\x8b", "gzip")]
        {
            let (exit, _, errors) = run_build(json, &[]);
            assert_eq!(exit, format!("{:?}", ExitCode::FAILURE));
            assert!(errors.contains(word), "{errors}");
        }
    }
}
