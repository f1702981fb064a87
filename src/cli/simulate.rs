//! `unthrottled simulate`: the daemon against the simulated account, from seeds.

use crate::cli::exit::Exit;
use crate::cli::frame::Frame;
use crate::simulation::{Mistake, Pass, Point, Run, Scenario};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Play the daemon against an account where everything goes wrong, from a seed
///
/// Each seed is an hour or two of an account: calls fail with and without their effect, the daemon is killed, a second
/// one wakes, people and infrastructure code edit the same projects. What must hold is checked at every write and at the
/// end. A seed that breaks it is printed; the same seed is the same run.
///
/// With `--pass` one remedy's story is played once for each of its points instead: killed at every call, edited at every
/// call, and so on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled simulate --seeds 1000
  unthrottled simulate --seed 42 --trace
  unthrottled simulate --scenario rivals --seeds 100
  unthrottled simulate --mistake blind-overwrite --seeds 20
  unthrottled simulate --scenario buildspec-login --pass kill --pass edit
  unthrottled simulate --scenario buildspec-login --point kill-after@17 --trace")]
pub struct Args {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from the first on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// What is played; `mixed`, or what shows the mistake
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// Play a daemon that makes this mistake, until a seed finds it; failed if none does
    #[arg(long, value_enum, conflicts_with_all = ["passes", "point"])]
    mistake: Option<Mistake>,
    /// Disturb the story of one remedy once at each of its points
    #[arg(long = "pass", value_enum, conflicts_with = "point")]
    passes: Vec<Pass>,
    /// Of the points of a pass, play every so-manieth
    #[arg(long, default_value_t = 1, requires = "passes")]
    stride: usize,
    /// Disturb the story of one remedy at this point
    #[arg(long)]
    point: Option<Point>,
    /// Tell every step
    #[arg(long)]
    trace: bool,
    /// How many run at once
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, |n| n.get()))]
    jobs: usize,
}

/// Runs it.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    if (!args.passes.is_empty() || args.point.is_some()) && !args.scenario().is_of_one_remedy() {
        anyhow::bail!("`--pass` and `--point` go with `--scenario registry-credential` or `buildspec-login`");
    }
    let runs = args.runs()?;
    let mut covered: BTreeMap<String, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut played = 0;
    let (sender, outcomes) = mpsc::channel();
    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..args.jobs.clamp(1, runs.len().max(1)) {
            let (sender, next, runs) = (sender.clone(), &next, &runs);
            threads.spawn(move || {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send((run, run.play())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (run, outcome) in outcomes {
            let outcome = outcome.with_context(|| name(run))?;
            played += 1;
            for line in &outcome.trace {
                writeln!(out, "{line}")?;
            }
            for what in &outcome.broken {
                writeln!(out, "{}: {what}", name(run))?;
            }
            if !outcome.held() {
                broken.push(run);
                if args.mistake.is_some() {
                    // It was found: what is under way is played to its end, and no more.
                    next.store(runs.len(), Ordering::Relaxed);
                }
            }
            for (what, times) in outcome.covered {
                *covered.entry(what).or_insert(0) += times;
            }
        }
        anyhow::Ok(())
    })?;
    broken.sort_by_key(|run| (run.seed, run.point.map(|point| point.to_string())));
    if let Some(mistake) = args.mistake {
        return found(&mut out, mistake, broken.first().map(|run| run.seed), played);
    }
    let what = if args.passes.is_empty() { "seeds" } else { "points" };
    writeln!(out, "{played} {what} of `{}`:", word(args.scenario()))?;
    for (what, times) in &covered {
        writeln!(out, "  {times:>9} {what}")?;
    }
    let Some(first) = broken.first() else {
        writeln!(out, "all held")?;
        return Ok(Exit::Done.into());
    };
    let names: Vec<String> = broken.iter().map(|run| name(run)).collect();
    writeln!(out, "broken: {} of {played} {what}: {}", broken.len(), names.join(", "))?;
    let point = first.point.map(|point| format!(" --point {point}")).unwrap_or_default();
    let (scenario, seed) = (word(args.scenario()), first.seed);
    writeln!(out, "play one again: unthrottled simulate --scenario {scenario} --trace --seed {seed}{point}")?;
    Ok(Exit::Failed.into())
}

impl Args {
    fn scenario(&self) -> Scenario {
        self.scenario.or(self.mistake.map(Mistake::scenario)).unwrap_or(Scenario::Mixed)
    }

    /// What is to be played.
    fn runs(&self) -> anyhow::Result<Vec<Run>> {
        let run = Run {
            seed: self.seed,
            scenario: self.scenario(),
            trace: self.trace,
            mistake: self.mistake,
            point: self.point,
        };
        let seeds = (self.seed..self.seed.saturating_add(self.seeds)).map(|seed| Run { seed, ..run.clone() });
        if self.passes.is_empty() {
            return Ok(seeds.collect());
        }
        let mut runs = Vec::new();
        for run in seeds {
            for pass in &self.passes {
                // On a thread of its own, as a run has its own runtime.
                let played = std::thread::scope(|threads| threads.spawn(|| run.points(*pass)).join());
                let points = played.map_err(|_| anyhow::anyhow!("the undisturbed story panicked"))??;
                let points = points.into_iter().step_by(self.stride.max(1));
                runs.extend(points.map(|point| Run { point: Some(point), ..run.clone() }));
            }
        }
        Ok(runs)
    }
}

fn name(run: &Run) -> String {
    match run.point {
        Some(point) => format!("seed {} {point}", run.seed),
        None => format!("seed {}", run.seed),
    }
}

/// Says whether a mistake was found.
fn found(out: &mut impl Write, mistake: Mistake, by: Option<u64>, played: u64) -> anyhow::Result<ExitCode> {
    let name = word(mistake);
    match by {
        Some(seed) => writeln!(out, "{name}: found by seed {seed}, {played} seeds played")?,
        None => writeln!(out, "{name}: not found by {played} seeds")?,
    }
    Ok(if by.is_some() { Exit::Done } else { Exit::Failed }.into())
}

fn word(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}
