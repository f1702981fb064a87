//! One run of a program: what it printed, how long it took, how much memory it held.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4 as _;

/// What a run cost.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds by the wall clock.
    pub wall: f64,
    /// Seconds of the processor, in the program and in the kernel.
    pub cpu: f64,
    /// The most that was resident, in bytes.
    pub memory: u64,
}

/// What a run did.
pub struct Run {
    /// Exit code 0, or `rg`'s 1 for no hit.
    pub succeeded: bool,
    /// On standard output.
    pub printed: String,
    /// What it cost.
    pub sample: Sample,
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> io::Result<Run> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut printed = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut printed)?;
    }
    let end = child.wait4()?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = (end.rusage.utime + end.rusage.stime).as_secs_f64();
    Ok(Run { succeeded: end.status.success(), printed, sample: Sample { wall, cpu, memory: end.rusage.maxrss } })
}

impl Sample {
    /// Each measure's own median; the most memory.
    pub fn median(samples: &[Sample]) -> Sample {
        let middle = |of: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let memory = samples.iter().map(|sample| sample.memory).max().unwrap_or(u64::MAX);
        Sample { wall: middle(|sample| sample.wall), cpu: middle(|sample| sample.cpu), memory }
    }
}
