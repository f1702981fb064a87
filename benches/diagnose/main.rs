//! How fast `unthrottled diagnose` reads a large log, held against `rg -c -F -i toomanyrequests` on the same file.
//!
//! `cargo bench --bench diagnose` writes two logs of 1 GiB below the target folder, one without a hit and one with 10,000,
//! runs both programs in turn on each, and prints medians. It ends with exit code 1 if `diagnose` is slower than the bar, or
//! needs more memory, or says something else than it should. `UNTHROTTLED_BENCH_MIB` and `UNTHROTTLED_BENCH_ROUNDS`
//! change how much and how often, for a first look.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark measures and prints"
)]

mod log;
mod measure;

use measure::{Run, Sample};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const MIB: u64 = 1024 * 1024;
/// As many as a log can hold before each more is a matter of counting.
const HITS: u64 = 10_000;
/// What `diagnose` may use, whatever it reads.
const MEMORY: u64 = 32 * MIB;
/// Times the speed of `rg`: at least this without a hit, and with [`HITS`].
const WITHOUT_HITS: f64 = 0.5;
const WITH_HITS: f64 = 0.25;

const INSTALL: &str = "the benchmark needs ripgrep's `rg`: `cargo install ripgrep`, or `apt-get install ripgrep`";

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> io::Result<bool> {
    let size = number("UNTHROTTLED_BENCH_MIB", 1024) * MIB;
    let rounds = number("UNTHROTTLED_BENCH_ROUNDS", 7) as usize;
    let version = Command::new("rg").arg("--version").output().map_err(|_| io::Error::other(INSTALL))?;
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_string();
    println!("held against {version}, {rounds} rounds in turn, medians\n");

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("{:<34} {:>8} {:>8} {:>8} {:>9}", "", "wall s", "CPU s", "GiB/s", "RSS MiB");
    let mut good = true;
    let ordinary = written(folder.path(), "ordinary.log", |out| log::write(out, size, 0))?;
    good &= compare("no hit", &ordinary, rounds, "\"not_throttled\"", 0, WITHOUT_HITS)?;
    good &= streamed("no hit, standard input", &ordinary, "\"not_throttled\"")?;
    std::fs::remove_file(ordinary)?;
    let throttled = written(folder.path(), "throttled.log", |out| log::write(out, size, HITS))?;
    good &= compare("10,000 hits", &throttled, rounds, "\"hub_pull_limit\"", HITS, WITH_HITS)?;
    good &= streamed("10,000 hits, standard input", &throttled, "\"hub_pull_limit\"")?;
    std::fs::remove_file(throttled)?;
    let line = written(folder.path(), "line.log", |out| log::write_one_line(out, size))?;
    good &= streamed("one line, standard input", &line, "\"hub_pull_limit\"")?;
    println!("\n{}", if good { "all bars held" } else { "NOT GOOD ENOUGH: see the lines marked above" });
    Ok(good)
}

/// A setting of this run.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
}

fn written(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<u64>,
) -> io::Result<PathBuf> {
    let path = folder.join(name);
    let mut out = BufWriter::with_capacity(MIB as usize, File::create(&path)?);
    write(&mut out)?;
    out.flush()?;
    Ok(path)
}

fn diagnose() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottled"));
    command.args(["diagnose", "--format", "json"]);
    command
}

/// Both programs on one file in turn; whether `diagnose` is fast and small enough and right.
fn compare(name: &str, file: &Path, rounds: usize, says: &str, hits: u64, bar: f64) -> io::Result<bool> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round only brings the file into memory.
    for round in 0..=rounds {
        let run = measure::run(diagnose().arg(file))?;
        expect(&run, says)?;
        let other = measure::run(Command::new("rg").args(["-c", "-F", "-i", "toomanyrequests"]).arg(file))?;
        let counted = other.printed.trim().parse().unwrap_or(0);
        if counted != hits {
            return Err(io::Error::other(format!("rg counted {counted} hits in {name}, not {hits}")));
        }
        if round > 0 {
            ours.push(run.sample);
            theirs.push(other.sample);
        }
    }
    let (ours, theirs) = (Sample::median(&ours), Sample::median(&theirs));
    let size = std::fs::metadata(file)?.len();
    row(&format!("{name}: unthrottled diagnose"), &ours, size);
    row(&format!("{name}: rg"), &theirs, size);
    let (wall, cpu) = (theirs.wall / ours.wall, theirs.cpu / ours.cpu);
    let fast = wall >= bar && cpu >= bar;
    println!(
        "{:<34} {wall:>7.2}x {cpu:>7.2}x of rg's speed; at least {bar:.2}x wanted{}\n",
        "",
        if fast { "" } else { "  <-- TOO SLOW" }
    );
    Ok(fast && is_small(&ours))
}

/// A run on standard input, where nothing can be mapped or read twice.
fn streamed(name: &str, file: &Path, says: &str) -> io::Result<bool> {
    let run = measure::run(diagnose().stdin(Stdio::from(File::open(file)?)))?;
    expect(&run, says)?;
    row(name, &run.sample, std::fs::metadata(file)?.len());
    println!();
    Ok(is_small(&run.sample))
}

fn row(name: &str, sample: &Sample, size: u64) {
    let speed = size as f64 / (1024 * MIB) as f64 / sample.wall;
    let memory = sample.memory as f64 / MIB as f64;
    println!("{name:<34} {:>8.3} {:>8.3} {speed:>8.2} {memory:>9.1}", sample.wall, sample.cpu);
}

fn expect(run: &Run, says: &str) -> io::Result<()> {
    let is_right = run.succeeded && run.printed.contains(says);
    is_right.then_some(()).ok_or_else(|| io::Error::other(format!("diagnose should say {says}: {}", run.printed)))
}

fn is_small(sample: &Sample) -> bool {
    let small = sample.memory < MEMORY;
    if !small {
        println!("{:<34} at most {} MiB wanted  <-- TOO LARGE", "", MEMORY / MIB);
    }
    small
}
