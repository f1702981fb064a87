//! `unthrottled secret`: the Docker Hub login in Secrets Manager, stored and renewed.

mod create;
mod password;
mod rotate;
mod target;
mod users;

use super::frame::Frame;
use super::output::Format;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Store a Docker Hub login in Secrets Manager, or a new password in its place
///
/// The secret is a JSON object with the user name, the password and the text of DOCKER_AUTH_CONFIG, under the keys that
/// the settings name. The password is asked for at the terminal without being shown, or read from standard input; it is
/// never an argument, as arguments can be seen by others. Docker Hub is asked first whether it takes the login, which
/// spends no pull.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled secret create dockerhub --username acme
  unthrottled secret create ci/dockerhub --username acme --kms-key-id alias/ci --tag team=build < token.txt
  unthrottled secret rotate dockerhub
  unthrottled secret rotate dockerhub --username acme-ci < token.txt")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with a secret.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Store a Docker Hub login in a new secret
    ///
    /// Refuses if there is a secret of that name, unless `--overwrite` is given.
    #[command(after_long_help = "\
Examples:
  unthrottled secret create dockerhub --username acme
  unthrottled secret create ci/dockerhub --username acme --kms-key-id alias/ci --tag team=build < token.txt")]
    Create(CreateArgs),
    /// Store a new password, and say which projects use it
    ///
    /// What the secret holds beside the login stays. Nothing is written if someone else changed the secret meanwhile.
    #[command(after_long_help = "\
Examples:
  unthrottled secret rotate dockerhub
  unthrottled secret rotate dockerhub --username acme-ci < token.txt")]
    Rotate(RotateArgs),
}

/// Which secret, and for which credential of the settings.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The secret's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The credential of the settings that it is for, which names its keys [default: the one that names this secret]
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
    /// The scope of the settings that it is in; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// Replace a value even if something in it would be lost
    #[arg(long)]
    pub overwrite: bool,
    /// Do not ask Docker Hub first whether it takes the login
    #[arg(long)]
    pub unchecked: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A new secret.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Which
    #[command(flatten)]
    pub which: Which,
    /// The Docker Hub user name
    #[arg(long, value_name = "USER")]
    pub username: String,
    /// The KMS key by id, ARN or alias [default: the one that AWS manages for Secrets Manager]
    #[arg(long, value_name = "KEY")]
    pub kms_key_id: Option<String>,
    /// A tag of the secret; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
}

/// A new password.
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// Which
    #[command(flatten)]
    pub which: Which,
    /// A new Docker Hub user name [default: the one in the secret]
    #[arg(long, value_name = "USER")]
    pub username: Option<String>,
}

/// Runs the command.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(args) => create::run(args, frame).await,
        Command::Rotate(args) => rotate::run(args, frame).await,
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !key.starts_with("aws:") => Ok((key.to_string(), value.to_string())),
        Some((key, _)) if key.starts_with("aws:") => Err("tags that begin with aws: are AWS's own".to_string()),
        _ => Err("write KEY=VALUE, as in team=build".to_string()),
    }
}

impl CreateArgs {
    fn tags(&self) -> BTreeMap<String, String> {
        self.tags.iter().cloned().collect()
    }
}
