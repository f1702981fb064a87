//! The policy that `iam-policy` prints, held against what the daemon does: enough for every scenario, and no action more.
//!
//! That it is enough is shown by all tests that use [`World`]: the simulated account holds the daemon's role to it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cast::no_secrets;
use support::world::{ROLE, World, needed};
use unthrottled::domain::build::ProjectName;
use unthrottled::domain::iam_policy::{self, Account, Bounds, Document, Effect, Grantee, Place};
use unthrottled::domain::permissions;
use unthrottled::edge::aws::{Connection, Retries};
use unthrottled::reconcile::{Access, Daemon};

/// What the daemon lives through. Together they need every action that the settings of [`World`] lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// A refused build image: granted, changed, started again and proven.
    Image,
    /// A pull refused in a later phase, told by the log.
    Login,
    /// The same, where the line is too far up in the log to be in its last megabyte.
    LongLog,
    /// A cure that made things worse and is taken back.
    TakenBack,
    /// A secret under a key of the customer's.
    Key,
    /// `plan --project`
    OneProject,
    /// A scope with a role of its own.
    Member,
    /// `doctor`
    Doctor,
}

/// The quick ones first: the first that ends otherwise is enough.
const STORIES: [Story; 8] = [
    Story::OneProject,
    Story::Image,
    Story::Login,
    Story::TakenBack,
    Story::Key,
    Story::Member,
    Story::LongLog,
    Story::Doctor,
];

const MEMBER: &str = "[[scope]]\nname = \"prod\"\nregion = \"us-east-1\"\nexternal_id = \"unthrottled-prod\"\n\
                      role_arn = \"arn:aws:iam::111122223333:role/member\"\n";

impl Story {
    fn world(self) -> World {
        let world = World::new();
        match self {
            Story::Login => world.policy("retry = \"always\""),
            Story::Member => world.set("[credential.dockerhub]", &format!("{MEMBER}[credential.dockerhub]")),
            _ => world,
        }
    }

    /// What the daemon's role needs.
    fn document(self, world: &World) -> Document {
        if self != Story::Doctor {
            return needed(&world.parsed());
        }
        let settings = world.parsed();
        let bounds = Bounds { roles: vec!["codebuild-*".to_string()], doctor: true, ..Bounds::default() };
        iam_policy::document(&grantee(&settings.policies, bounds))
    }

    /// How it ends if all is allowed that is needed.
    fn end(self) -> &'static [&'static str] {
        match self {
            Story::Image | Story::Key | Story::Member => &["web: verified"],
            Story::Login => &["api: verified"],
            Story::LongLog => &["api: applied"],
            Story::TakenBack => &["web: rolled_back"],
            Story::OneProject => &["web: 1 failed"],
            Story::Doctor => &["exit 0", "permissions ok"],
        }
    }

    async fn play(self, world: &World) -> Vec<String> {
        let minutes = SignedDuration::from_mins;
        match self {
            Story::Login | Story::LongLog => world.docker_project("api"),
            _ => world.image_project("web", "node:22"),
        }
        world.sim.account(|account| match self {
            Story::Key => drop(account.secret("dockerhub").kms_key("alias/team")),
            // Then the ARN of a session does not tell that of the role.
            Story::Doctor => drop(account.role(ROLE).path("/unthrottled/")),
            Story::TakenBack => drop(account.role("codebuild-web").boundary(no_secrets())),
            Story::LongLog => {
                let noise = "x".repeat(100_000);
                let refused = "toomanyrequests: You have reached your unauthenticated pull rate limit. \
                               https://www.docker.com/increase-rate-limit";
                let mut lines = vec!["Step 1/2 : FROM python:3.13", refused];
                lines.extend([noise.as_str(); 22]);
                let lines: [&str; 24] = lines.try_into().unwrap();
                account.project("api").command("docker build").fails(lines);
            }
            _ => (),
        });
        let project = if matches!(self, Story::Login | Story::LongLog) { "api" } else { "web" };
        world.sim.run_build(project);
        match self {
            Story::Member => {
                let mut daemon = as_member(world).await;
                world.play(&mut daemon, minutes(4)).await;
                world.stages().await
            }
            Story::OneProject => {
                let mut daemon = world.daemon().await;
                let (_, scopes) = daemon.parts();
                let failed = scopes[0].failed_builds_of(&ProjectName::new("web")).await;
                vec![format!("web: {}", failed.map_or("not read".to_string(), |all| format!("{} failed", all.len())))]
            }
            Story::Doctor => doctor(world),
            _ => {
                let mut daemon = world.daemon().await;
                let length = if self == Story::LongLog { minutes(2) } else { minutes(4) };
                world.play(&mut daemon, length).await;
                world.stages().await
            }
        }
    }
}

fn grantee(policies: &[unthrottled::domain::policy::Policy], bounds: Bounds) -> Grantee<'_> {
    Grantee {
        account: Account { partition: "aws".to_string(), number: "111122223333".to_string() },
        policies,
        most: unthrottled::domain::policy::Mode::Apply,
        scopes: vec![Place { scope: "default".to_string(), region: "us-east-1".to_string() }],
        table: None,
        members: Vec::new(),
        bounds,
    }
}

/// A daemon that takes on the role of its scope, which trusts it alone and may do what `iam-policy --scope` prints.
async fn as_member(world: &World) -> Daemon {
    world.set_role();
    let settings = world.parsed();
    let place = Place { scope: "prod".to_string(), region: "us-east-1".to_string() };
    let bounds = Bounds { roles: vec!["codebuild-*".to_string()], ..Bounds::default() };
    let policy = iam_policy::document(&Grantee { scopes: vec![place], ..grantee(&settings.policies, bounds) }).json();
    let trust = iam_policy::of_member(&format!("arn:aws:iam::111122223333:role/{ROLE}"), Some("unthrottled-prod"));
    world.sim.account(|account| drop(account.role("member").inline_policy("unthrottled", policy).trust(trust).held()));
    let endpoint = world.sim.endpoint().to_string();
    let connect = move |scope: &unthrottled::edge::settings::ScopeSettings| Connection {
        role_arn: scope.role_arn.clone(),
        external_id: scope.external_id.clone(),
        retries: Retries::none(),
        ..Connection::to_loopback(endpoint.clone())
    };
    Daemon::open(&settings, Access::Write, &connect).await.expect("the daemon starts")
}

/// Runs the command itself with the daemon's key.
fn doctor(world: &World) -> Vec<String> {
    world.set_role();
    let folder = tempfile::tempdir().unwrap();
    let hub = world.sim.hub_url();
    let settings =
        format!("{}[docker_hub]\nauth_url = \"{hub}\"\nregistry_url = \"{hub}\"\n", support::world::SETTINGS);
    std::fs::write(folder.path().join("unthrottled.toml"), settings).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
    command.args(["doctor", "--format", "json"]).env_clear().current_dir(folder.path());
    command.env("AWS_ENDPOINT_URL", world.sim.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "unthrottled").env("AWS_SECRET_ACCESS_KEY", "unthrottled");
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scope = told["checks"].as_array().unwrap().last().unwrap();
    let permissions = scope["checks"].as_array().unwrap().iter().find(|check| check["name"] == "permissions").unwrap();
    let exit = format!("exit {}", output.status.code().unwrap());
    vec![exit, format!("permissions {}", permissions["state"].as_str().unwrap())]
}

/// The policy without one action of one statement.
fn without(document: &Document, sid: &str, action: &str) -> Value {
    let mut less = document.clone();
    for statement in less.statements.iter_mut().filter(|statement| statement.sid == sid) {
        statement.actions.retain(|one| *one != action);
    }
    less.statements.retain(|statement| !statement.actions.is_empty());
    less.json()
}

async fn ends(story: Story, policy: Value) -> Vec<String> {
    let world = story.world();
    world.role_may(policy);
    story.play(&world).await
}

#[tokio::test]
async fn every_story_comes_to_its_end_with_exactly_the_policy() {
    for story in STORIES {
        let document = story.document(&story.world());
        assert_eq!(ends(story, document.json()).await, story.end(), "{story:?}");
    }
}

/// Statement by statement and action by action: without it, some story ends otherwise.
#[tokio::test]
async fn no_action_can_be_left_out() {
    let mut seen = BTreeSet::new();
    for story in STORIES {
        for statement in story.document(&story.world()).statements {
            if statement.effect == Effect::Allow {
                seen.extend(statement.actions.into_iter().map(|action| (statement.sid.clone(), action)));
            }
        }
    }
    assert!(seen.len() >= 21, "{seen:?}");
    let mut needless = Vec::new();
    'actions: for (sid, action) in seen {
        for story in STORIES {
            // It would miss anything: that is its task, and only shows that its own two are needed.
            if story == Story::Doctor && sid != "CheckItself" {
                continue;
            }
            let document = story.document(&story.world());
            let holds = |one: &iam_policy::Statement| one.sid == sid && one.actions.contains(&action);
            if document.statements.iter().any(holds)
                && ends(story, without(&document, &sid, action)).await != story.end()
            {
                continue 'actions;
            }
        }
        needless.push((sid, action));
    }
    assert_eq!(needless, Vec::new());
}

/// Names instead of wildcards: a project of a policy among others, and nothing else can be written.
#[tokio::test]
async fn the_policy_of_one_glob_is_enough_for_its_projects_and_for_no_other() {
    let world = World::new().set("projects = [\"*\"]", "projects = [\"svc-{web,api}\"]");
    for name in ["svc-web", "other"] {
        world.image_project(name, "node:22");
        world.sim.run_build(name);
    }
    world.docker_project("svc-api");
    world.sim.run_build("svc-api");
    let settings = world.parsed();
    let bounds = Bounds { roles: vec!["codebuild-svc-*".to_string()], ..Bounds::default() };
    let document = iam_policy::document(&grantee(&settings.policies, bounds));
    world.role_may(document.json());
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(3)).await;
    world.sim.run_build("svc-api");
    world.play(&mut daemon, SignedDuration::from_mins(3)).await;
    assert_eq!(world.stages().await, ["svc-api: verified", "svc-web: verified"]);

    let iam = aws_sdk_iam::Client::new(&as_daemon(&world));
    for (role, code) in
        [("codebuild-other", "AccessDenied"), (ROLE, "AccessDenied"), ("codebuild-svc-web", "MalformedPolicyDocument")]
    {
        let put = iam.put_role_policy().role_name(role).policy_name("p").policy_document("{}").send().await;
        let error = put.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some(code), "{role}: {error:?}");
    }
    let codebuild = aws_sdk_codebuild::Client::new(&as_daemon(&world));
    let denied = codebuild.start_build().project_name("other").send().await.unwrap_err().into_service_error();
    assert_eq!(denied.meta().code(), Some("AccessDeniedException"));
    let told = denied.meta().message().unwrap_or_default();
    assert!(told.contains("assumed-role/unthrottled/") && told.contains("project/other"), "{told}");
}

#[tokio::test]
async fn a_boundary_keeps_the_daemon_from_roles_without_it() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let boundary = "arn:aws:iam::111122223333:policy/codebuild-web-boundary".to_string();
    let bounds = Bounds { roles: vec!["*".to_string()], boundary: Some(boundary), ..Bounds::default() };
    world.role_may(iam_policy::document(&grantee(&world.parsed().policies, bounds)).json());
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(6)).await;
    assert_eq!(world.stages().await, ["web: rolled_back"], "the grant was denied");
    assert_eq!(world.writes(), Vec::<String>::new());

    let world = World::new();
    world.image_project("web", "node:22");
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    world.sim.account(|account| drop(account.role("codebuild-web").boundary(all)));
    let boundary = "arn:aws:iam::111122223333:policy/codebuild-web-boundary".to_string();
    let bounds = Bounds { roles: vec!["*".to_string()], boundary: Some(boundary), ..Bounds::default() };
    world.role_may(iam_policy::document(&grantee(&world.parsed().policies, bounds)).json());
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(6)).await;
    assert_eq!(world.stages().await, ["web: verified"]);
}

#[tokio::test]
async fn tags_of_a_policy_hold_the_writes() {
    for (value, stage) in [("payments", "web: verified"), ("shop", "web: rolled_back")] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.account(|account| drop(account.project("web").tag("team", value)));
        let mut policies = world.parsed().policies;
        policies[0].tags.insert("team".to_string(), "payments".to_string());
        let bounds = Bounds { roles: vec!["*".to_string()], ..Bounds::default() };
        world.role_may(iam_policy::document(&grantee(&policies, bounds)).json());
        world.sim.run_build("web");
        let mut daemon = world.daemon().await;
        world.play(&mut daemon, SignedDuration::from_mins(6)).await;
        assert_eq!(world.stages().await, [stage], "{value}");
    }
}

#[tokio::test]
async fn a_role_is_taken_on_by_whom_it_trusts_with_its_external_id() {
    let world = Story::Member.world();
    world.set_role();
    let trust = iam_policy::of_member(&format!("arn:aws:iam::111122223333:role/{ROLE}"), Some("right"));
    world.sim.account(|account| drop(account.role("member").trust(trust)));
    let sts = aws_sdk_sts::Client::new(&as_daemon(&world));
    for (id, taken) in [(Some("right"), true), (Some("wrong"), false), (None, false)] {
        let call = sts.assume_role().role_arn("arn:aws:iam::111122223333:role/member").role_session_name("daemon");
        assert_eq!(call.set_external_id(id.map(str::to_string)).send().await.is_ok(), taken, "{id:?}");
    }
    let stranger = aws_sdk_sts::Client::new(&world.sim.sdk_config());
    let call = stranger.assume_role().role_arn("arn:aws:iam::111122223333:role/member").role_session_name("daemon");
    assert!(call.external_id("right").send().await.is_err());
}

fn as_daemon(world: &World) -> aws_config::SdkConfig {
    use aws_sdk_codebuild::config::{Credentials, SharedCredentialsProvider};
    let key = Credentials::new("unthrottled", "unthrottled", None, None, "test");
    world.sim.sdk_config().into_builder().credentials_provider(SharedCredentialsProvider::new(key)).build()
}

/// Every operation of an SDK that the source calls is in the list, and the list holds no other.
#[test]
fn the_list_of_actions_is_what_is_called() {
    // By the SDK's own provider of credentials, and by Secrets Manager for a secret under a customer's key.
    let mut called = BTreeSet::from(["sts:AssumeRole".to_string(), "kms:Decrypt".to_string()]);
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/edge")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let service = match path.to_string_lossy() {
            path if path.contains("codebuild") => "codebuild",
            path if path.contains("build_log") => "logs",
            path if path.contains("iam") => "iam",
            path if path.contains("identity") => "sts",
            path if path.contains("secrets") => "secretsmanager",
            path if path.contains("ledger/table") => "dynamodb",
            _ => continue,
        };
        for rest in text.split("client").skip(1) {
            let Some(call) = rest.trim_start().strip_prefix('.') else { continue };
            let Some((name, _)) = call.split_once("()") else { continue };
            if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                called.extend(actions_of(service, name));
            }
        }
    }
    let mut listed: BTreeSet<String> = permissions::all().map(|one| one.action.to_string()).collect();
    listed.extend(permissions::BY_PEOPLE.map(str::to_string));
    // Needs no permission.
    listed.insert("sts:GetCallerIdentity".to_string());
    assert_eq!(called, listed);
}

/// `update_project` is `codebuild:UpdateProject`; a transaction needs what its parts need.
fn actions_of(service: &str, call: &str) -> Vec<String> {
    if call == "transact_write_items" {
        return ["PutItem", "UpdateItem", "ConditionCheckItem"].map(|part| format!("dynamodb:{part}")).to_vec();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_uppercase() + rest
    };
    vec![format!("{service}:{}", call.split('_').map(word).collect::<String>())]
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.push(path),
        }
    }
    found
}
