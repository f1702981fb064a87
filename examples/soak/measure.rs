//! What is measured each day, and whether it grows.

use anyhow::Context as _;
use jiff::SignedDuration;
use std::fmt;
use std::fs;
use std::path::Path;
use unthrottled::domain::history::Held;

/// More than this in a month is growth, in KiB: the pages that an allocator keeps vary by less.
const MOST: f64 = 1024.0;

/// One day.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub builds: u64,
    pub ticks: u64,
    pub events: u64,
    pub verified: u64,
    /// Remediations that were taken back or escalated.
    pub not_cured: u64,
    /// Parts of the account that could not be read.
    pub incomplete: usize,
    pub longest_tick: SignedDuration,
    throttled: u64,
    latest: i64,
    resident: u64,
    files: usize,
    ledger: u64,
    held: Held,
}

impl Sample {
    pub const HEAD: &str = " day    builds  throttled  verified  not cured  unread    RSS KiB  files  ledger KiB  open  closed  known  other  latest s  tick ms  minutes";

    /// A throttled build was noticed so many milliseconds after its end.
    pub fn late(&mut self, by: Option<i64>) {
        self.throttled += 1;
        self.latest = self.latest.max(by.unwrap_or_default());
    }

    /// Takes the measure of this process and of the ledger.
    pub fn measure(&mut self, ledger: &Path, held: Held) -> anyhow::Result<()> {
        let status = fs::read_to_string("/proc/self/status").context("only Linux tells the memory of a process")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        self.resident = line.trim().trim_end_matches("kB").trim().parse()?;
        self.files = fs::read_dir("/proc/self/fd")?.count();
        self.ledger = fs::metadata(ledger)?.len() / 1024;
        self.held = held;
        Ok(())
    }

    pub fn row(&self, day: i64, took: SignedDuration) -> String {
        let Held { remediations, pending, known, remembered } = self.held;
        let cells = [
            (4, day.to_string()),
            (10, self.builds.to_string()),
            (11, self.throttled.to_string()),
            (10, self.verified.to_string()),
            (11, self.not_cured.to_string()),
            (8, self.incomplete.to_string()),
            (11, self.resident.to_string()),
            (7, self.files.to_string()),
            (12, self.ledger.to_string()),
            (6, pending.to_string()),
            (8, remediations.to_string()),
            (7, known.to_string()),
            (7, remembered.to_string()),
            (10, format!("{:.1}", SignedDuration::from_millis(self.latest).as_secs_f64())),
            (9, self.longest_tick.as_millis().to_string()),
            (9, format!("{:.1}", took.as_secs_f64() / 60.0)),
        ];
        cells.iter().map(|(width, text)| format!("{text:>width$}")).collect()
    }
}

/// What is seen of several days.
#[derive(Clone, Debug, Default)]
pub struct Trend(Vec<(f64, usize)>);

/// Whether memory and open files grow.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    days: usize,
    /// KiB a day, by least squares.
    slope: f64,
    first: f64,
    last: f64,
    files: (usize, usize),
}

impl Trend {
    pub fn add(&mut self, sample: &Sample) {
        #[expect(clippy::cast_precision_loss, reason = "kilobytes of one process")]
        self.0.push((sample.resident as f64, sample.files));
    }

    pub fn verdict(&self) -> Option<Verdict> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        if self.0.len() < 3 {
            return None;
        }
        let days = f64::from(u32::try_from(self.0.len()).ok()?);
        let (middle, mean) = ((days - 1.0) / 2.0, self.0.iter().map(|(resident, _)| resident).sum::<f64>() / days);
        let place = (0..).map(f64::from);
        let (mut up, mut across) = (0.0, 0.0);
        for (day, (resident, _)) in place.zip(&self.0) {
            up += (day - middle) * (resident - mean);
            across += (day - middle) * (day - middle);
        }
        Some(Verdict { days: self.0.len(), slope: up / across, first: first.0, last: last.0, files: (first.1, last.1) })
    }
}

impl Verdict {
    pub fn grows(&self) -> bool {
        self.slope * 30.0 > MOST || self.files.1 > self.files.0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.grows() { "grows" } else { "does not grow" };
        write!(
            f,
            "RSS {word}: {:.0} KiB, then {:.0} KiB {} days later; {:+.1} KiB a day; {} open files, then {}",
            self.first, self.last, self.days, self.slope, self.files.0, self.files.1
        )
    }
}
