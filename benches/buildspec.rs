//! How long one edit of a buildspec of CodeBuild's size takes: `cargo bench --bench buildspec`.
//!
//! Each shape has about 25,000 characters. The mean of a batch of edits counts, in processor time where the system tells
//! it, so that other work on the machine does not, and of a few batches the best. Exits with 1 if a shape takes longer
//! than [`BAR`].

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and prints a table")]

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use unthrottled::domain::buildspec::login::Login;
use unthrottled::domain::buildspec::{Placement, place_login};

/// The longest that an edit may take.
const BAR: Duration = Duration::from_millis(5);

/// A little below CodeBuild's limit, so that the login fits.
const CHARACTERS: usize = 25_000;

/// Batches of each shape, and edits in a batch: the system counts processor time in steps of some milliseconds.
const BATCHES: usize = 5;
const EDITS: u32 = 40;

const HEAD: &str = "version: 0.2\nphases:\n  build:\n    commands:\n";
const PULL: &str = "      - docker build -t app .\n";

fn main() -> ExitCode {
    println!("{:<32} {:>10} {:>8} {:>10}", "shape", "characters", "lines", "one edit");
    let mut code = ExitCode::SUCCESS;
    for (name, text) in shapes() {
        let best = (0..BATCHES).map(|_| one_edit(&text)).min().unwrap_or_default();
        let verdict = if best > BAR { "too slow" } else { "" };
        let (characters, lines) = (text.chars().count(), text.lines().count());
        println!("{name:<32} {characters:>10} {lines:>8} {:>7} us {verdict}", best.as_micros());
        let is_edit = matches!(place_login(&text, &Login::default()), Placement::Insert(_));
        if best > BAR || !is_edit {
            code = ExitCode::FAILURE;
        }
    }
    println!("bar: {} us", BAR.as_micros());
    code
}

/// The mean of one batch.
fn one_edit(text: &str) -> Duration {
    let login = Login::default();
    let (cpu, wall) = (processor_time(), Instant::now());
    for _ in 0..EDITS {
        black_box(place_login(black_box(text), &login));
    }
    let wall = wall.elapsed();
    let cpu = cpu.zip(processor_time()).map(|(before, after)| after.saturating_sub(before));
    cpu.filter(|cpu| !cpu.is_zero()).unwrap_or(wall).min(wall) / EDITS
}

/// What this thread has run so far, where the system tells it.
fn processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn shapes() -> Vec<(&'static str, String)> {
    let script = format!("{HEAD}      - |\n");
    let build = "        docker build -t app .\n";
    vec![
        ("500 short commands", filled(HEAD, |n| format!("      - echo step {n} of very many ...\n"), PULL)),
        ("commands that set variables", filled(HEAD, |n| format!("      - export NAME_{n}=\"${{BASE}}-{n}\"\n"), PULL)),
        (
            "pulls from another registry",
            filled(HEAD, |n| format!("      - docker pull public.ecr.aws/some/image:{n}\n"), PULL),
        ),
        ("comments", filled(HEAD, |n| format!("      # {n}: docker build comes later\n      - make {n}\n"), PULL)),
        ("one plain script", filled(&script, |n| format!("        echo plain words number {n}\n"), build)),
        (
            "one script of conditions",
            filled(
                &script,
                |n| format!("        if [ -n \"$A{n}\" ]; then echo \"$(date) {n}\" | tee -a log; fi\n"),
                build,
            ),
        ),
        (
            "one script of docker commands",
            filled(&script, |n| format!("        docker pull public.ecr.aws/some/image:{n} || exit 1\n"), build),
        ),
        (
            "one script with a here document",
            filled(
                &format!("{script}        cat > text <<EOF\n"),
                |n| format!("        line {n} of ${{TEXT}}\n"),
                &format!("        EOF\n{build}"),
            ),
        ),
        ("one long command", format!("{HEAD}      - docker build{} .\n", " --build-arg A=\"$B\"".repeat(1_245))),
        ("one long sh -c", format!("{HEAD}      - sh -c '{}docker build .'\n", "echo \"$A\" && ".repeat(1_770))),
        ("JSON", json(true)),
        ("JSON on one line", json(false)),
    ]
}

/// The head, as many lines as fit, and the tail.
fn filled(head: &str, line: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_string();
    for line in (0..).map(line) {
        if text.len() + line.len() + tail.len() > CHARACTERS {
            break;
        }
        text += &line;
    }
    text + tail
}

fn json(pretty: bool) -> String {
    let write = |commands: &[String]| {
        let value = serde_json::json!({ "version": "0.2", "phases": { "build": { "commands": commands } } });
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        text.unwrap_or_default()
    };
    let mut commands = vec!["docker build -t app .".to_string()];
    let mut text = write(&commands);
    for n in 0.. {
        commands.insert(n, format!("npm run \"step {n}\" -- --quiet"));
        let longer = write(&commands);
        if longer.len() > CHARACTERS {
            break;
        }
        text = longer;
    }
    text
}
