//! `unthrottled secret rotate`: a new password in the place of the old one.

use super::target::{self, Target};
use super::users::{self, User};
use super::{RotateArgs, Which, password};
use crate::cli::exit::{Exit, Failure};
use crate::cli::frame::Frame;
use crate::cli::output::{Format, Table, Tone, paint};
use crate::domain::build::{ProjectName, SecretArn};
use crate::domain::history::Fact;
use crate::domain::plan::Plan;
use crate::domain::remediation::{Outcome, Stage};
use crate::edge::clock;
use crate::edge::ledger::Ledger;
use crate::edge::secrets::store::Stored;
use crate::edge::secrets::text::{self, Login, NotWritten};
use crate::reconcile::{Book, BookError, Memory, store};
use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

/// How often an entry is tried again when the daemon appends at the same moment.
const ATTEMPTS: usize = 10;

/// Stores a new password.
pub async fn run(args: RotateArgs, frame: &Frame) -> anyhow::Result<ExitCode> {
    let target = Target::of(&args.which, frame).await?;
    renew(&args.which, args.username.as_deref(), &target, frame).await
}

/// Stores a new password, and perhaps user name, in a secret that is there.
pub async fn renew(which: &Which, username: Option<&str>, target: &Target, frame: &Frame) -> anyhow::Result<ExitCode> {
    let failed = |error| target::failed(&target.scope, error);
    let stored = target.aws.secrets.stored(&which.name, &target.aws.region).await.map_err(failed)?;
    let stored = stored.map_err(|problem| target::unusable(&which.name, &problem))?;
    let arn = stored.secret.arn.clone();
    let username = username_of(which, username, &stored, target)?;
    let login = Login { username, password: password::read()? };
    let text = new_text(which, &stored, &login, target)?;
    let before = stored.text.as_ref().map(SecretString::expose_secret);
    if before == Some(text.expose_secret()) {
        writeln!(frame.out(), "Secret {} holds this login already; nothing was written.", which.name)?;
        return Ok(Exit::Done.into());
    }
    target.check(&login, which, frame).await?;
    // Someone may have been faster while the password was typed.
    let current = target.aws.secrets.current_version(arn.as_str()).await.map_err(failed)?;
    if current.as_ref() != Some(&stored.version) {
        let error = anyhow::anyhow!("secret {} was changed by someone else meanwhile; nothing was written", which.name);
        return Err(Failure::new(Exit::Failed, error).hint("look at what was changed, and try again").into());
    }
    let token = uuid::Uuid::new_v4().to_string();
    target.aws.secrets.put(arn.as_str(), &text, &token).await.map_err(failed)?;
    let noted = note(target).await;
    let users = users_of(target, &arn, frame).await;
    report(which, target, &arn, noted, users, frame)
}

fn username_of(which: &Which, given: Option<&str>, stored: &Stored, target: &Target) -> Result<String, Failure> {
    let there = || stored.text.as_ref().and_then(|text| text::username(text, target.keys()));
    given.map(str::to_string).or_else(there).ok_or_else(|| {
        let key = target.keys().username;
        let error = anyhow::anyhow!("secret {} has no user name under the key {key:?}", which.name);
        Failure::new(Exit::Failed, error).hint("say it with --username")
    })
}

/// The new value. What it would lose is lost only if that was asked for.
fn new_text(which: &Which, stored: &Stored, login: &Login, target: &Target) -> anyhow::Result<SecretString> {
    let kept = match &stored.text {
        Some(text) => text::write(Some(text), login, target.keys()),
        None => Err(NotWritten::NotAnObject),
    };
    match kept {
        Err(NotWritten::NotAnObject | NotWritten::ForeignMember(_) | NotWritten::OtherRegistries(_))
            if which.overwrite =>
        {
            Ok(text::write(None, login, target.keys())?)
        }
        Err(why @ (NotWritten::NotAnObject | NotWritten::ForeignMember(_) | NotWritten::OtherRegistries(_))) => {
            let error = anyhow::anyhow!("secret {}: {why}", which.name);
            let hint = "store the login in a secret of its own; or, if nobody needs what is there, replace all of it with --overwrite";
            Err(Failure::new(Exit::Failed, error).hint(hint).into())
        }
        other => Ok(other?),
    }
}

/// Records the rotation, if there is a ledger, so that nobody is told any more to reset the password.
///
/// Answers the projects that have the login from us.
async fn note(target: &Target) -> anyhow::Result<BTreeSet<ProjectName>> {
    let store = store(&target.settings.ledger);
    let Some(ledger) = Ledger::open_existing(&store).await.context("the ledger could not be opened")? else {
        return Ok(BTreeSet::new());
    };
    let mut book = Book::open(Some(ledger), Vec::new(), Memory::Whole).await?;
    for credential in &target.named_by {
        let fact = Fact::CredentialRotated { credential: credential.name.clone() };
        let mut attempt = 1;
        loop {
            match book.record(&target.scope, fact.clone(), clock::now()).await {
                Err(BookError::Overtaken) if attempt < ATTEMPTS => attempt += 1,
                other => break other?,
            }
        }
    }
    let named = |plan: &Plan| target.named_by.iter().any(|credential| credential.name == plan.credential);
    let remediations = book.history(&target.scope).remediations().map(|(_, remediation)| remediation);
    let in_place = remediations.filter(|r| named(r.plan()) && r.stage() != Stage::Closed(Outcome::RolledBack));
    Ok(in_place.map(|remediation| remediation.plan().project.clone()).collect())
}

async fn users_of(target: &Target, arn: &SecretArn, frame: &Frame) -> anyhow::Result<Vec<User>> {
    let progress = frame.progress("looking for the projects that use the secret");
    let users = users::find(&target.aws.codebuild, arn).await;
    drop(progress);
    users.map_err(|error| crate::cli::shared::unreadable(&target.scope, &error.into()).into())
}

fn report(
    which: &Which,
    target: &Target,
    arn: &SecretArn,
    noted: anyhow::Result<BTreeSet<ProjectName>>,
    users: anyhow::Result<Vec<User>>,
    frame: &Frame,
) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    let listed = users.as_deref().unwrap_or_default();
    let ours = noted.as_ref().ok();
    let is_ours = |user: &User| ours.is_some_and(|ours| ours.contains(&user.project));
    if which.format == Format::Json {
        let projects: Vec<_> = listed.iter().map(|user| user.json(is_ours(user))).collect();
        let json = json!({ "arn": arn, "name": which.name, "scope": target.scope, "projects": projects,
            "projects_complete": users.is_ok() });
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "{} secret {} ({arn})", paint(Tone::Good, "rotated:"), which.name)?;
        print_users(listed, is_ours, users.is_ok(), &mut out)?;
    }
    if let Err(error) = noted {
        let text = format!("note: the rotation is done, and could not be noted in the ledger: {error:#}");
        writeln!(frame.err(), "{}", paint(Tone::Warn, text))?;
    }
    match users {
        Ok(_) => Ok(Exit::Done.into()),
        Err(error) => Err(error.context("the password is rotated, and the projects that use it could not be listed")),
    }
}

fn print_users(
    users: &[User],
    is_ours: impl Fn(&User) -> bool,
    complete: bool,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    if users.is_empty() && complete {
        writeln!(out, "\nNo project of this account and region names it.")?;
    }
    if !users.is_empty() {
        let mut table = Table::new(["PROJECT", "BY", "USES IT FOR"]);
        for user in users {
            let by = if is_ours(user) { "unthrottled" } else { "others" };
            table.row([user.project.as_str().into(), by.into(), user.told()]);
        }
        write!(out, "\n{}", table.render())?;
        writeln!(out, "\nTheir builds use the new password from their next start. Delete the old one at Docker Hub")?;
        writeln!(out, "once the builds that run now are over.")?;
    }
    Ok(())
}
