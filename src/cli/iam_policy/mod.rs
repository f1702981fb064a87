//! `unthrottled iam-policy`: the least-privilege policy of the daemon's role, for exactly what the settings enable.

mod told;
mod values;

use super::exit::Exit;
use super::frame::Frame;
use super::output::Format;
use super::shared;
use crate::domain::iam_policy::{self, Account, Bounds, Grantee, Place, Table};
use crate::edge::aws::{Aws, ConnectError, Connection, account_of};
use crate::edge::settings::{LedgerStore, ScopeSettings, Settings};
use crate::reconcile;
use std::io::Write;
use std::process::ExitCode;

/// Print the least-privilege IAM policy for exactly what the settings enable
///
/// The actions follow from the modes, remedies, scopes and the ledger's store in the settings, and each names what it is
/// for: projects by the policies' globs, secrets, log groups, service roles by path. What the settings do not say is said
/// here. As text, a sentence says of each statement why it is there; as JSON it is the bare document. Changes nothing;
/// AWS is asked for the account's number and the region only where they are not given.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled iam-policy
  unthrottled iam-policy --account 111122223333 --region eu-central-1 --format json > policy.json
  unthrottled iam-policy --role-path /service-role/ --role-path '/builds/*-ci'
  unthrottled iam-policy --boundary arn:aws:iam::111122223333:policy/builds --doctor
  unthrottled iam-policy --scope prod-eu --format json
  unthrottled iam-policy --scope prod-eu --trust --principal arn:aws:iam::111122223333:role/unthrottled")]
pub struct Args {
    /// Of the role of this scope, in its account, instead of the role that the daemon runs with
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// The trust policy instead: who may take on the role
    #[arg(long)]
    pub trust: bool,
    /// With --scope and --trust: the ARN of the role that the daemon runs with
    #[arg(long, value_name = "ARN", requires = "trust", requires = "scope")]
    pub principal: Option<String>,
    /// The account's number [default: of the credentials, or of the scope's role]
    #[arg(long, value_name = "NUMBER", value_parser = values::account)]
    pub account: Option<String>,
    /// The region [default: as every AWS tool finds it]
    #[arg(long, value_name = "REGION", value_parser = values::region)]
    pub region: Option<String>,
    /// Service roles of the projects, by path or by path and name, with * and ? [default: /service-role/codebuild-*]
    ///
    /// The console of CodeBuild makes /service-role/codebuild-PROJECT-service-role. Roles of CloudFormation, the CDK and
    /// Terraform mostly have the path /, which stands for every role of the account: name a prefix, or use --boundary.
    #[arg(long, value_name = "PATH", value_parser = values::path)]
    pub role_path: Vec<String>,
    /// The daemon's own roles, by path and name, with * and ?; never written to [default: /unthrottled*]
    #[arg(long, value_name = "PATH", value_parser = values::path)]
    pub own_role: Vec<String>,
    /// Log groups, with * and ?, where they are not CodeBuild's own [default: /aws/codebuild/PROJECT]
    #[arg(long, value_name = "NAME", value_parser = values::log_group)]
    pub log_group: Vec<String>,
    /// The customer's key of a secret, by ARN
    #[arg(long, value_name = "ARN", value_parser = values::key)]
    pub kms_key: Vec<String>,
    /// Write only to service roles that carry this permissions boundary
    #[arg(long, value_name = "ARN", value_parser = values::boundary)]
    pub boundary: Option<String>,
    /// Also let `doctor` compare what is held with what is needed
    #[arg(long)]
    pub doctor: bool,
    /// Also allow iam:PassRole to CodeBuild on the service roles
    ///
    /// CodeBuild documents it for UpdateProject. The daemon never names a role there, so it should do without; add it if
    /// an event says that UpdateProject was denied for iam:PassRole.
    #[arg(long)]
    pub pass_role: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the command.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let scope = args.scope.as_deref().map(|name| member(settings, name)).transpose()?;
    if args.trust {
        return trust(&args, scope, frame).await;
    }
    let (account, region) = place(&args, scope, frame).await?;
    let bounds = bounds(&args, scope);
    let grantee = match scope {
        Some(scope) => of_member(settings, scope, account, region, bounds),
        None => of_daemon(settings, account, &region, bounds),
    };
    let document = iam_policy::document(&grantee);
    told::print(&document, &grantee, args.format, frame)?;
    Ok(Exit::Done.into())
}

/// The scope of this name, if it has a role of its own.
fn member<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<&'s ScopeSettings> {
    let Some(scope) = settings.scopes.iter().find(|scope| scope.name == name) else {
        let names: Vec<&str> = settings.scopes.iter().map(|scope| scope.name.as_str()).collect();
        let error = anyhow::anyhow!("the settings have no scope `{name}`");
        return Err(Exit::Usage.because(error).hint(format!("there are: {}", names.join(", "))).into());
    };
    if scope.role_arn.is_none() {
        let error = anyhow::anyhow!(
            "scope `{name}` has no role of its own: the daemon looks after it with the role it runs with"
        );
        return Err(Exit::Usage.because(error).hint("leave --scope out").into());
    }
    Ok(scope)
}

async fn trust(args: &Args, scope: Option<&ScopeSettings>, frame: &Frame) -> anyhow::Result<ExitCode> {
    let document = match (scope, &args.principal) {
        (Some(scope), Some(daemon)) => iam_policy::of_member(daemon, scope.external_id.as_deref()),
        (Some(scope), None) => {
            let error = anyhow::anyhow!("who takes on the role of scope `{}` is not known", scope.name);
            return Err(Exit::Usage
                .because(error)
                .hint("name the role that the daemon runs with: --principal arn:aws:iam::111122223333:role/unthrottled")
                .into());
        }
        (None, _) => {
            let (account, region) = place(args, None, frame).await?;
            iam_policy::of_task(&account, &region)
        }
    };
    writeln!(frame.out(), "{document:#}")?;
    Ok(Exit::Done.into())
}

/// The account and the region that ARNs name: as given, as the settings say, or else as AWS says.
async fn place(args: &Args, scope: Option<&ScopeSettings>, frame: &Frame) -> anyhow::Result<(Account, String)> {
    let given = args.region.clone().or_else(|| scope.and_then(|scope| scope.region.clone()));
    let of_role = scope.and_then(|scope| scope.role_arn.as_deref()).and_then(account_of).map(str::to_string);
    if let (Some(region), Some(number)) = (&given, args.account.clone().or_else(|| of_role.clone())) {
        return Ok((Account { partition: partition(region).to_string(), number }, region.clone()));
    }
    let connection = Connection { region: given, ..Connection::default() };
    let aws = Aws::connect(&connection).await.map_err(|error| {
        let (exit, hint) = match error {
            ConnectError::NoRegion | ConnectError::BadRegion(_) => {
                (Exit::Usage, "name it, as in --region eu-central-1")
            }
            ConnectError::ExternalIdWithoutRole => (Exit::Usage, "set `role_arn` beside `external_id` in the settings"),
            ConnectError::NoRoots(_) => (Exit::Failed, "with --account and --region, AWS need not be asked"),
        };
        exit.because(error).hint(hint)
    })?;
    let partition = partition(&aws.region).to_string();
    if let Some(number) = args.account.clone().or(of_role) {
        return Ok((Account { partition, number }, aws.region));
    }
    let progress = frame.progress("asking AWS for the account's number");
    let caller = aws.identity.caller().await;
    drop(progress);
    let caller = caller.map_err(|error| {
        let failure = reconcile::Failure::from(error);
        let hint = "name the account, as in --account 111122223333; then AWS is not asked";
        let more = shared::what_next(&failure).map(|next| format!("; or {next}")).unwrap_or_default();
        Exit::Failed.because(anyhow::anyhow!(failure.detail)).hint(format!("{hint}{more}"))
    })?;
    Ok((Account { partition: caller.partition().to_string(), number: caller.account.clone() }, aws.region))
}

/// AWS's partitions are told by their regions.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn bounds(args: &Args, scope: Option<&ScopeSettings>) -> Bounds {
    let or = |given: &[String], default: Vec<String>| if given.is_empty() { default } else { given.to_vec() };
    let default = Bounds::default();
    let mut own_roles = or(&args.own_role, default.own_roles);
    own_roles.extend(scope.and_then(|scope| scope.role_arn.clone()));
    Bounds {
        roles: or(&args.role_path, default.roles),
        own_roles,
        log_groups: args.log_group.clone(),
        keys: args.kms_key.clone(),
        boundary: args.boundary.clone(),
        doctor: args.doctor,
        pass_role: args.pass_role,
    }
}

/// The role that the daemon runs with: the ledger, the roles of other scopes, and the scopes without one.
fn of_daemon<'s>(settings: &'s Settings, account: Account, region: &str, bounds: Bounds) -> Grantee<'s> {
    let own = settings.scopes.iter().filter(|scope| scope.role_arn.is_none());
    let place = |scope: &ScopeSettings| Place {
        scope: scope.name.clone(),
        region: scope.region.clone().unwrap_or_else(|| region.to_string()),
    };
    let ledger = &settings.ledger;
    let table = || Table { name: ledger.table.clone(), region: region.to_string() };
    let mut members: Vec<String> = settings.scopes.iter().filter_map(|scope| scope.role_arn.clone()).collect();
    members.sort();
    members.dedup();
    Grantee {
        account,
        policies: &settings.policies,
        most: settings.daemon.mode,
        scopes: own.map(place).collect(),
        table: (ledger.store == LedgerStore::DynamoDb).then(table),
        members,
        bounds,
    }
}

/// The role of a scope: all scopes that share it, and no ledger.
fn of_member<'s>(
    settings: &'s Settings,
    scope: &ScopeSettings,
    account: Account,
    region: String,
    bounds: Bounds,
) -> Grantee<'s> {
    let same = settings.scopes.iter().filter(|other| other.role_arn == scope.role_arn);
    let place = |scope: &ScopeSettings| Place {
        scope: scope.name.clone(),
        region: scope.region.clone().unwrap_or_else(|| region.clone()),
    };
    Grantee {
        account,
        policies: &settings.policies,
        most: settings.daemon.mode,
        scopes: same.map(place).collect(),
        table: None,
        members: Vec::new(),
        bounds,
    }
}
