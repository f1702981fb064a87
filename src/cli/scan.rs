//! `unthrottled scan`: one pass over the look-back window.

use super::exit::Exit;
use super::frame::Frame;
use super::output::{self, Format, Table, Tone, paint};
use super::run::cannot_start;
use super::{shared, status};
use crate::domain::decide::{Decision, Judgement};
use crate::edge::clock::{self, Clock};
use crate::reconcile::{Access, Assessment, Daemon, as_configured};
use jiff::SignedDuration;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Look once over the look-back window, and say what was found and what would be done
///
/// Changes nothing, not even the ledger, unless `--apply` is given: then remediations are begun and carried on as far
/// as one pass comes, within what the policies allow. Exits with 3 if a part could not be read.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled scan
  unthrottled scan --set daemon.lookback=24h
  unthrottled scan --apply
  unthrottled scan --detailed-exitcode --format json    (exit 2: something is throttled)")]
pub struct Args {
    /// Act as `run` would, within what the policies allow
    #[arg(long)]
    pub apply: bool,
    /// Exit with 2 if anything was found
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// One pass over the look-back.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    if args.apply {
        return apply_now(frame, args.format).await;
    }
    let mut daemon = Daemon::open(settings, Access::Read, &as_configured).await.map_err(cannot_start)?;
    let progress = frame.progress("listing builds");
    let mut found = Vec::new();
    let mut unread = Vec::new();
    let (book, scopes) = daemon.parts();
    for scope in scopes {
        let name = scope.scope().to_string();
        let said = |n: usize, of: usize| progress.say(format!("{name}: reading failed build {} of {of}", n + 1));
        let assessments =
            scope.survey(book, clock::now(), said).await.map_err(|failure| shared::unreadable(&name, &failure))?;
        found.extend(assessments);
        unread.extend(scope.unread().to_vec());
    }
    drop(progress);
    let throttled: Vec<&Assessment> = found.iter().filter(|a| a.diagnosis.is_throttled()).collect();
    let mut out = frame.out();
    let looked = shared::looked_at(&daemon);
    match args.format {
        Format::Json => print_json(&mut out, &found)?,
        Format::Text => print_text(&mut out, &found, &throttled, &looked)?,
    }
    finish(frame, args.detailed_exitcode, !throttled.is_empty(), &unread)
}

fn finish(frame: &Frame, detailed: bool, findings: bool, unread: &[(String, String)]) -> anyhow::Result<ExitCode> {
    if !unread.is_empty() {
        let mut err = frame.err();
        for (word, detail) in unread {
            writeln!(err, "{} {detail} ({word})", paint(Tone::Warn, "not read:"))?;
        }
        return Ok(Exit::Incomplete.into());
    }
    Ok(if detailed && findings { Exit::Pending } else { Exit::Done }.into())
}

fn print_json(out: &mut impl Write, found: &[Assessment]) -> anyhow::Result<()> {
    for assessment in found {
        let (decision, detail) = match &assessment.decision {
            None => ("none", None),
            Some(Decision::Remediate(_)) => ("remediate", None),
            Some(Decision::Judge(Judgement::Proposed { .. })) => ("propose", None),
            Some(Decision::Judge(Judgement::ForOwner { patch })) => ("patch", Some(patch.why.clone())),
            Some(Decision::Judge(judgement @ Judgement::SetBack { .. })) => ("patch", Some(judgement.to_string())),
            Some(Decision::Judge(Judgement::Repeated { .. })) => ("proposed", None),
            Some(Decision::Judge(Judgement::Held { detail, .. })) => ("hold", Some(detail.clone())),
            Some(Decision::Judge(Judgement::Left { detail, .. })) => ("leave", Some(detail.clone())),
            Some(Decision::Judge(Judgement::Covered { .. } | Judgement::Superseded { .. })) => ("covered", None),
        };
        let line = json!({
            "project_name": assessment.build.project,
            "build_id": assessment.build.id,
            "diagnosis": assessment.diagnosis,
            "policy": assessment.policy,
            "decision": decision,
            "detail": detail,
            "plan": &assessment.plan,
            "patch": &assessment.patch,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_text(
    out: &mut impl Write,
    found: &[Assessment],
    throttled: &[&Assessment],
    looked: &str,
) -> anyhow::Result<()> {
    if throttled.is_empty() {
        let text = format!("No throttled build among {} failed ones of the look-back in {looked}.", found.len());
        writeln!(out, "{}", output::sentence(text, 0))?;
        return Ok(());
    }
    // Builds of one project that fared alike share a row, which names the newest.
    let mut alike: BTreeMap<[String; 4], (usize, &Assessment)> = BTreeMap::new();
    for assessment in throttled {
        let project = assessment.build.project.to_string();
        let phase = assessment.diagnosis.phase.as_ref().map_or("", |phase| phase.as_str()).to_string();
        let diagnosis = shared::diagnosis(&assessment.diagnosis);
        let row = alike.entry([project, phase, diagnosis, shared::decision_plain(assessment)]);
        let (count, newest) = row.or_insert((0, assessment));
        *count += 1;
        *newest = assessment;
    }
    let mut table = Table::new(["PROJECT", "BUILDS", "NEWEST", "PHASE", "DIAGNOSIS", "WHAT WOULD BE DONE"]);
    table.right(1);
    for ([project, phase, diagnosis, _], (count, newest)) in alike {
        let build = newest.build.number.map_or_else(|| newest.build.id.uuid().to_string(), |n| format!("#{n}"));
        let decision = shared::decision(newest);
        table.row([project.into(), count.to_string().into(), build.into(), phase.into(), diagnosis.into(), decision]);
    }
    write!(out, "{}", table.render())?;
    let (throttled, failed) = (throttled.len(), found.len());
    let text = format!("{throttled} throttled of {failed} failed builds. `unthrottled plan` shows each change.");
    writeln!(out, "\n{}", output::sentence(text, 0))?;
    Ok(())
}

/// Does what is to be done, until it only waits for later builds.
async fn apply_now(frame: &Frame, format: Format) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let mut daemon = Daemon::open(settings, Access::Write, &as_configured).await.map_err(cannot_start)?;
    let done = tick_until_it_waits(&mut daemon, frame, format).await;
    daemon.close().await;
    done
}

async fn tick_until_it_waits(daemon: &mut Daemon, frame: &Frame, format: Format) -> anyhow::Result<ExitCode> {
    let progress = frame.progress("looking");
    let mut whole;
    loop {
        let now = clock::now();
        let tick = daemon.tick(&Clock::wall()).await.map_err(|error| Exit::Unavailable.because(error))?;
        whole = tick.is_whole();
        let under_way = daemon.under_way();
        match tick.wake.filter(|_| under_way > 0) {
            None => break,
            Some(wake) => {
                progress.say(format!("{under_way} remediations under way"));
                let pause =
                    now.duration_until(wake).max(SignedDuration::from_millis(50)).min(SignedDuration::from_secs(5));
                tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()).await;
            }
        }
    }
    drop(progress);
    status::print(frame, daemon.book(), format)?;
    Ok(if whole { Exit::Done } else { Exit::Incomplete }.into())
}
