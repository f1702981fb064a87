//! What must hold once nothing goes wrong any more.

use super::cast::{GRANT, PROJECTS};
use super::chaos::Chaos;
use super::{told, watchman};
use crate::domain::history::{Fact, History};
use crate::domain::remediation::{Entry, KEPT_LOOK, Outcome, Stage};
use crate::edge::event::Place;
use crate::edge::ledger::Ledger;
use anyhow::Context as _;
use jiff::SignedDuration;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Ticks after which nothing may happen any more.
const TICKS: usize = 600;

/// So many ticks without a write are rest.
const QUIET: usize = 12;

/// Plays the calm and checks everything.
pub(super) async fn check(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    chaos.calm_down().await?;
    for _ in 0..2 {
        for project in PROJECTS {
            if !chaos.sim.project_json(project).is_null() {
                chaos.sim.start_build(project);
            }
        }
        to_rest(chaos, "the storm").await?;
    }
    // What no build proved is given up after `verify_within`.
    chaos.pass(SignedDuration::from_mins(21));
    to_rest(chaos, "the time to prove").await?;
    nothing_lost(chaos).await?;
    retried_once(chaos).await?;
    judged_by_its_own(chaos).await?;
    same_story(chaos).await?;
    let history = history(&chaos.ledger()).await?;
    for (_, remediation) in history.remediations() {
        chaos.count(&format!("remediation {}", remediation.stage().word()));
    }
    if !chaos.outcome.held() {
        return Ok(());
    }
    taken_back(chaos).await
}

/// Ticks until nothing is written any more.
async fn to_rest(chaos: &mut Chaos<'_>, after: &str) -> anyhow::Result<()> {
    let mut quiet = 0;
    for _ in 0..TICKS {
        if !chaos.outcome.held() {
            return Ok(());
        }
        let writes = chaos.counted("writes in the calm");
        chaos.tick_in_calm().await?;
        let still = writes == chaos.counted("writes in the calm") && chaos.sim.builds_under_way() == 0;
        quiet = if still { quiet + 1 } else { 0 };
        if quiet >= QUIET {
            return Ok(());
        }
    }
    chaos.broken(format!("no rest within {TICKS} ticks after {after}"));
    Ok(())
}

/// The ledger, folded.
pub(super) async fn history(path: &Path) -> anyhow::Result<History> {
    let ledger = Ledger::open(path).await?;
    let records = ledger.load().await?;
    History::replay(&records).map_err(|broken| anyhow::anyhow!("the ledger can't have happened: {broken}"))
}

/// Every throttled build has an outcome, or a reason why not.
async fn nothing_lost(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    let ledger = chaos.open_ledger().await?;
    let mut known = BTreeSet::new();
    let mut final_word = BTreeSet::new();
    for record in ledger.load().await? {
        match record.fact {
            Fact::Detected(detected) => {
                known.insert(detected.build.as_str().to_string());
            }
            Fact::Undecided { build, .. } => {
                known.insert(build.as_str().to_string());
                final_word.insert(build.as_str().to_string());
            }
            Fact::Judged { build, .. } => {
                final_word.insert(build.as_str().to_string());
            }
            _ => (),
        }
    }
    let history = history(&chaos.ledger()).await?;
    for (_, remediation) in history.remediations() {
        final_word.insert(remediation.plan().because.as_str().to_string());
    }
    for project in PROJECTS {
        for build in chaos.sim.builds_of(project) {
            let json = chaos.sim.build_json(&build.id);
            let words = format!("{}{}", json["phases"], chaos.sim.log(&build.id).join("\n"));
            if build.status != "FAILED" || !words.contains("toomanyrequests") {
                continue;
            }
            chaos.count("throttled builds");
            if !known.contains(&build.id) {
                chaos.broken(format!("build {} was throttled, and the ledger does not know it: {build:?}", build.id));
            } else if !final_word.contains(&build.id) {
                chaos.broken(format!("build {} was throttled, and nothing was decided about it", build.id));
            }
        }
    }
    Ok(())
}

/// One retry a failed build that was let run to its end.
async fn retried_once(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    let mut because: BTreeMap<String, String> = BTreeMap::new();
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let calls = chaos.sim.writes();
    for call in calls.iter().filter(|call| matches!(call.operation.as_str(), "RetryBuild" | "StartBuild")) {
        if call.operation == "RetryBuild" {
            let id = call.request["id"].as_str().unwrap_or_default();
            let project = id.split(':').next().unwrap_or_default();
            because.insert(project.to_string(), id.to_string());
        }
        let project = call.target.split(':').next().unwrap_or_default().to_string();
        let cause = because.get(&project).cloned().unwrap_or_default();
        let started = chaos
            .sim
            .builds_of(&project)
            .into_iter()
            .filter(|build| build.started == call.at && build.initiator != "developer");
        // One that a retry made with the old configuration, and that ended before it could be stopped, is none of ours.
        let with_change = |id: &String| chaos.sim.build_json(id)["environment"].to_string().contains(&chaos.secret);
        let was_to_stop = |id: &String| calls.iter().any(|call| call.operation == "StopBuild" && call.target == *id);
        let kept_now = started.map(|build| build.id).filter(|id| with_change(id) && !was_to_stop(id));
        kept.entry(cause).or_default().extend(kept_now);
    }
    for (cause, builds) in kept {
        let builds: BTreeSet<String> = builds.into_iter().collect();
        if builds.len() > 1 {
            chaos.broken(format!("build {cause} was started again more than once: {builds:?}"));
        }
    }
    Ok(())
}

/// What proved or disproved a remedy ran with it, and what proved it got past the point of failure.
async fn judged_by_its_own(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    let history = history(&chaos.ledger()).await?;
    for record in chaos.open_ledger().await?.load().await? {
        let Fact::Remediation { id, entry } = record.fact else { continue };
        let (by, proves) = match entry {
            Entry::Verified { by } => (by, true),
            Entry::RollbackDecided { by: Some(by), .. } => (by, false),
            _ => continue,
        };
        let build = chaos.sim.build_json(by.as_str());
        if !build.is_null() && !watchman::names_secret(&build, &chaos.secret) {
            chaos.broken(format!("build {by} was taken for a judge of a remedy that it did not run with"));
        }
        let phase = history.remediation(&id).map(|remediation| remediation.plan().phase.as_str());
        let mut phases = build["phases"].as_array().into_iter().flatten();
        let failed = phases.any(|there| there["phaseType"].as_str() == phase && there["phaseStatus"] == "FAILED");
        if proves && failed {
            chaos.broken(format!("build {by} did not get past the point of failure, and was taken for proof"));
        }
    }
    Ok(())
}

/// The ledger and the events tell the same.
async fn same_story(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    let ledger = chaos.open_ledger().await?;
    let records = ledger.load().await?;
    let scope = records.first().map(|record| record.scope.clone()).context("nothing was recorded")?;
    let account = ledger.account(&scope).await?;
    let place = Place { scope, account, region: "us-east-1".to_string() };
    if let Some(what) = told::difference(&records, &place, ledger.id(), &chaos.told) {
        chaos.broken(format!("the ledger and the events differ: {what}"));
    }
    Ok(())
}

/// Everything is taken back: the account is as people made it.
async fn taken_back(chaos: &mut Chaos<'_>) -> anyhow::Result<()> {
    let mut stuck: BTreeSet<String> = BTreeSet::new();
    // A rollback that the daemon decided on waits for the tag to go.
    let sim = chaos.sim.clone();
    chaos.people.let_it_work(&sim);
    // A build that was held back by one of them may be remedied once it is gone, and that is taken back too.
    let mut asked = BTreeSet::new();
    loop {
        let there = chaos.remediations().await?;
        let new: Vec<_> = there.into_iter().filter(|id| asked.insert(id.clone())).collect();
        if new.is_empty() {
            break;
        }
        for id in new {
            chaos.decide_rollback(id).await?;
        }
        to_rest(chaos, "the rollback").await?;
        // A grant that one of them left, because something else needed it, is looked at again.
        chaos.pass(KEPT_LOOK);
        to_rest(chaos, "the look at kept grants").await?;
    }
    for (_, remediation) in history(&chaos.ledger()).await?.remediations() {
        match remediation.stage() {
            Stage::Closed(Outcome::RolledBack) => (),
            Stage::Closed(Outcome::Escalated) => {
                chaos.count("rollbacks left to a person");
                let project = remediation.plan().project.as_str().to_string();
                stuck.insert(super::people::People::role_of(&project));
                stuck.insert(project);
            }
            stage => chaos.broken(format!("{} is {} after the rollback", remediation.plan().project, stage.word())),
        }
    }
    let (mut is, mut shall) = (chaos.sim.snapshot(), chaos.people.shadow.clone());
    for side in [&mut is, &mut shall] {
        for kind in ["projects", "roles"] {
            if let Some(all) = side[kind].as_object_mut() {
                all.retain(|name, _| !stuck.contains(name));
                all.values_mut().for_each(normal);
            }
        }
    }
    // A grant stays where someone has set the credential by hand: their builds need it.
    let (account, secret) = (shall.clone(), chaos.secret.clone());
    for side in [&mut is, &mut shall] {
        for (role, policies) in side["roles"].as_object_mut().into_iter().flatten() {
            if !watchman::users(&account, role, &secret).is_empty()
                && let Some(policies) = policies.as_object_mut()
            {
                policies.shift_remove(GRANT);
            }
        }
    }
    if is != shall {
        chaos.broken(format!("after the rollback the account differs: {}", watchman::difference(&shall, &is)));
    }
    Ok(())
}

/// An empty list and none are the same to CodeBuild.
fn normal(project: &mut Value) {
    for member in ["tags"] {
        if project[member].as_array().is_some_and(Vec::is_empty) {
            project[member] = Value::Null;
        }
    }
    if let Some(members) = project.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
}
