//! `unthrottled secret create`: a new secret with a login.

use super::target::{self, Target};
use super::{CreateArgs, password, rotate};
use crate::cli::exit::{Exit, Failure};
use crate::cli::frame::Frame;
use crate::cli::output::{Format, Tone, paint};
use crate::edge::secrets::SecretProblem;
use crate::edge::secrets::store::{Created, NewSecret};
use crate::edge::secrets::text::{self, Login};
use serde_json::json;
use std::io::Write as _;
use std::process::ExitCode;

/// What the console shows beside the secret.
const DESCRIPTION: &str = "Docker Hub login for CodeBuild, stored by unthrottled";

/// Stores a login in a new secret.
pub async fn run(args: CreateArgs, frame: &Frame) -> anyhow::Result<ExitCode> {
    check_name(&args.which.name)?;
    let target = Target::of(&args.which, frame).await?;
    let name = args.which.name.as_str();
    // Before anyone is asked for a password. Who may create need not be allowed to look.
    match target.aws.secrets.described(name, &target.aws.region).await {
        Ok(Ok(secret)) if args.which.overwrite => return overwrite(&args, &target, secret.arn.as_str(), frame).await,
        Ok(Ok(_)) => return Err(exists(&args).into()),
        Ok(Err(SecretProblem::Missing | SecretProblem::Denied)) => (),
        Ok(Err(problem)) => return Err(target::unusable(name, &problem).into()),
        Err(error) => return Err(target::failed(&target.scope, error).into()),
    }
    let login = Login { username: args.username.clone(), password: password::read()? };
    let text = text::write(None, &login, target.keys())?;
    target.check(&login, &args.which, frame).await?;
    let token = uuid::Uuid::new_v4().to_string();
    let tags = args.tags();
    let new = NewSecret {
        name,
        description: DESCRIPTION,
        text: &text,
        kms_key: args.kms_key_id.as_deref(),
        tags: &tags,
        token: &token,
    };
    match target.aws.secrets.create(new).await.map_err(|error| target::failed(&target.scope, error))? {
        Created::Made(arn) => print(&args, &target, &arn, frame),
        Created::Exists => Err(exists(&args).into()),
    }
}

/// There is one already, and it may be overwritten.
async fn overwrite(args: &CreateArgs, target: &Target, arn: &str, frame: &Frame) -> anyhow::Result<ExitCode> {
    if args.kms_key_id.is_some() || !args.tags.is_empty() {
        let error = anyhow::anyhow!("secret {} is there already and keeps its key and its tags", args.which.name);
        let hint = format!(
            "leave --kms-key-id and --tag out; `aws secretsmanager update-secret --secret-id {arn} --kms-key-id KEY` gives it another key"
        );
        return Err(Failure::new(Exit::Failed, error).hint(hint).into());
    }
    rotate::renew(&args.which, Some(&args.username), target, frame).await
}

fn exists(args: &CreateArgs) -> Failure {
    let name = &args.which.name;
    Exit::Failed.because(anyhow::anyhow!("there is a secret {name} already, and nothing was stored")).hint(format!(
        "`unthrottled secret rotate {name}` stores a new password in it; --overwrite replaces what it holds"
    ))
}

/// What Secrets Manager would refuse, or take and then confuse.
fn check_name(name: &str) -> Result<(), Failure> {
    let bad = |why: &str| Exit::Usage.because(anyhow::anyhow!("`{name}` is not a name for a secret: {why}"));
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if name.starts_with("arn:") {
        return Err(bad("AWS makes the ARN, so give the name alone"));
    }
    if name.is_empty() || name.len() > 512 || !name.chars().all(fits) {
        return Err(bad("it has up to 512 letters, digits and `/_+=.@-`"));
    }
    if name.contains("dckr_") {
        return Err(bad("it looks like a Docker Hub token; the password is asked for, or read from standard input"));
    }
    let suffix = name.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    if suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(bad("it ends like the suffix of an ARN (a hyphen and six characters), which AWS can mistake"));
    }
    Ok(())
}

fn print(args: &CreateArgs, target: &Target, arn: &str, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    let (name, credential, keys) = (&args.which.name, &target.credential, target.keys());
    let keys = [keys.username, keys.password, keys.auth_config];
    if args.which.format == Format::Json {
        let json =
            json!({ "arn": arn, "name": name, "scope": target.scope, "credential": credential.name, "keys": keys });
        writeln!(out, "{json}")?;
        return Ok(Exit::Done.into());
    }
    writeln!(out, "{} secret {name}", paint(Tone::Good, "created:"))?;
    writeln!(out, "  arn         {arn}")?;
    writeln!(out, "  keys        {}", keys.join(", "))?;
    writeln!(out, "  encryption  {}", args.kms_key_id.as_deref().unwrap_or("the key that AWS manages"))?;
    if target.named_by.is_empty() {
        writeln!(out, "\nPut this into the settings:\n")?;
        writeln!(out, "  [credential.{}]\n  secret = \"{name}\"", credential.name)?;
    }
    writeln!(out, "\nThen `unthrottled doctor` shows whether the daemon can use it.")?;
    Ok(Exit::Done.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("dockerhub", None)]
    #[case("ci/docker-hub", None)]
    #[case("team-dockerhub", None)]
    #[case("", Some("up to 512"))]
    #[case("docker hub", Some("up to 512"))]
    #[case("hub-AbCdEf", Some("suffix"))]
    #[case("arn:aws:secretsmanager:us-east-1:111122223333:secret:hub", Some("ARN"))]
    #[case("dckr_pat_abc", Some("token"))]
    fn names(#[case] name: &str, #[case] refused: Option<&str>) {
        let error = check_name(name).err().map(|error| error.to_string());
        assert_eq!(error.is_some(), refused.is_some(), "{error:?}");
        assert!(error.unwrap_or_default().contains(refused.unwrap_or_default()));
    }
}
