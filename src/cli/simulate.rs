//! `unthrottled simulate`: the daemon against the simulated account, from seeds.

use crate::cli::exit::Exit;
use crate::cli::frame::Frame;
use crate::simulation::{Run, Scenario};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Play the daemon against an account where everything goes wrong, from a seed
///
/// Each seed is an hour or two of an account: calls fail with and without their effect, the daemon is killed, a second
/// one wakes, people and infrastructure code edit the same projects. What must hold is checked at every write and at the
/// end. A seed that breaks it is printed; the same seed is the same run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled simulate --seeds 1000
  unthrottled simulate --seed 42 --trace
  unthrottled simulate --scenario rivals --seeds 100")]
pub struct Args {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from the first on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// What is played
    #[arg(long, value_enum, default_value_t = Scenario::Mixed)]
    scenario: Scenario,
    /// Tell every step
    #[arg(long)]
    trace: bool,
    /// How many run at once
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, |n| n.get() as u64))]
    jobs: u64,
}

/// Runs it.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    let mut covered: BTreeMap<String, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    let (sender, outcomes) = mpsc::channel();
    let next = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for _ in 0..args.jobs.clamp(1, args.seeds.max(1)) {
            let (sender, next, args) = (sender.clone(), &next, &args);
            threads.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= args.seeds {
                        return;
                    }
                    let run = Run { seed: args.seed + n, scenario: args.scenario, trace: args.trace };
                    if sender.send((run.seed, run.play())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, outcome) in outcomes {
            let outcome = outcome.with_context(|| format!("seed {seed}"))?;
            for line in &outcome.trace {
                writeln!(out, "{line}")?;
            }
            for what in &outcome.broken {
                writeln!(out, "seed {seed}: {what}")?;
            }
            if !outcome.held() {
                broken.push(seed);
            }
            for (what, times) in outcome.covered {
                *covered.entry(what).or_insert(0) += times;
            }
        }
        anyhow::Ok(())
    })?;
    writeln!(out, "{} seeds of `{}`:", args.seeds, word(args.scenario))?;
    for (what, times) in &covered {
        writeln!(out, "  {times:>9} {what}")?;
    }
    broken.sort_unstable();
    if broken.is_empty() {
        writeln!(out, "all held")?;
        return Ok(Exit::Done.into());
    }
    let seeds: Vec<String> = broken.iter().map(u64::to_string).collect();
    writeln!(out, "broken: {} of {} seeds: {}", broken.len(), args.seeds, seeds.join(" "))?;
    writeln!(
        out,
        "play one again: unthrottled simulate --scenario {} --trace --seed {}",
        word(args.scenario),
        broken[0]
    )?;
    Ok(Exit::Failed.into())
}

fn word(scenario: Scenario) -> String {
    use clap::ValueEnum as _;
    scenario.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}
