//! `doctor`, the program itself against a simulated account: what it finds, what repairs it, and that it leaks nothing.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use serde_json::{Value, json};
use std::process::Command;
use support::cast::{DOCKER_BUILD, SCRIPT};
use unthrottled::simulator::{Fault, Options, Simulator};

/// Found anywhere but in the account, it has leaked.
const PASSWORD: &str = "dckr_pat_MARKED-0123456789";
const AUTH: &str = "YWNtZTpkY2tyX3BhdF9NQVJLRUQtMDEyMzQ1Njc4OQ==";

/// Everything that the settings of these tests need.
const ACTIONS: [&str; 18] = [
    "codebuild:ListBuilds",
    "codebuild:ListProjects",
    "codebuild:BatchGetBuilds",
    "codebuild:BatchGetProjects",
    "codebuild:ListBuildsForProject",
    "codebuild:UpdateProject",
    "codebuild:RetryBuild",
    "codebuild:StartBuild",
    "codebuild:StopBuild",
    "logs:GetLogEvents",
    "logs:FilterLogEvents",
    "iam:GetRole",
    "iam:ListRolePolicies",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
];

struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
}

fn login(auth: &str) -> Value {
    let config = format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}}}}}}"#);
    json!({"username": "acme", "password": PASSWORD, "docker_auth_config": config})
}

fn allow(actions: &[&str]) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})
}

impl Stage {
    /// An account in which everything is as it should be.
    fn well() -> Stage {
        let sim = Simulator::start(Options::default()).expect("a port");
        sim.account(|account| {
            account.hub().account("acme", PASSWORD);
            drop(account.secret("dockerhub").json(login(AUTH)));
            drop(account.role("caller").path("/ops/").inline_policy("all", allow(&ACTIONS)));
            account.project("web").image("public.ecr.aws/docker/library/node:22").buildspec(SCRIPT);
            account.project("api").buildspec(DOCKER_BUILD);
        });
        assert_eq!(sim.run_build("web").status, "SUCCEEDED");
        let stage = Stage { sim, folder: tempfile::tempdir().expect("a folder") };
        stage.settings("");
        stage
    }

    fn settings(&self, more: &str) {
        let url = self.sim.hub_url();
        let settings = format!(
            "[daemon]\nmode = \"apply\"\n[docker_hub]\nauth_url = \"{url}\"\nregistry_url = \"{url}\"\n\
             [credential.dockerhub]\nsecret = \"dockerhub\"\n\
             [[policy]]\nname = \"all\"\nprojects = [\"*\"]\nmode = \"apply\"\n{more}"
        );
        std::fs::write(self.folder.path().join("unthrottled.toml"), settings).expect("a settings file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(["--log-level", "trace", "doctor"]).args(arguments).env_clear().current_dir(self.folder.path());
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_REGION", "us-east-1").env("RUST_LOG", "trace");
        command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        end(&mut self.command(arguments))
    }

    /// The exit code, and the checks that are not ok: name, state, detail, repair.
    fn ills(&self) -> (Option<i32>, Vec<Ill>) {
        let (code, out, err) = self.run(&["--format", "json"]);
        assert_eq!(err, "");
        let told: Value = serde_json::from_str(&out).expect("JSON");
        let mut ills = Vec::new();
        collect(&told["checks"], &mut ills);
        (code, ills)
    }

    /// The only check that failed, with the exit code that goes with it.
    fn ill(&self) -> Ill {
        let (code, mut ills) = self.ills();
        ills.retain(|ill| ill.state == "failed");
        assert_eq!((code, ills.len()), (Some(1), 1), "{ills:?}");
        ills.remove(0)
    }
}

/// A check that is not ok.
#[derive(Debug)]
struct Ill {
    name: String,
    state: String,
    detail: String,
    repair: String,
}

fn collect(checks: &Value, ills: &mut Vec<Ill>) {
    for check in checks.as_array().into_iter().flatten() {
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_string();
        if check.get("checks").is_some() {
            collect(&check["checks"], ills);
        } else if check["state"] != "ok" {
            ills.push(Ill { name: text("name"), state: text("state"), detail: text("detail"), repair: text("repair") });
        }
    }
}

fn end(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (out, err) = (text(output.stdout), text(output.stderr));
    for secret in ["MARKED", AUTH, "acme"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{secret} leaked: {out}{err}");
    }
    (output.status.code(), out, err)
}

#[test]
fn a_healthy_account() {
    let stage = Stage::well();
    let (code, out, err) = stage.run(&[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let arn = stage.sim.account(|account| account.secret("dockerhub").arn());
    insta::assert_snapshot!(out.replace(&arn, "ARN"), @r#"
    ok      settings: unthrottled.toml: 1 policy, 1 scope
    ok      ledger: unthrottled.ledger is not there yet; `unthrottled run` makes it
    ok      scope default: account 111122223333, region us-east-1
      ok      credentials: arn:aws:sts::111122223333:assumed-role/caller/simulated
      ok      builds: 1 build on the newest page, and they can be read
      ok      projects: 2 projects, 2 named by a policy, and they can be read
      ok      logs: /aws/codebuild/web can be read
      ok      service roles: 2 roles and inline policies can be read
      ok      credential dockerhub
        ok      secret: ARN
        ok      encryption: the key that AWS manages, which needs no grant
        ok      login: text under "username" and "password"
        ok      DOCKER_AUTH_CONFIG: under "docker_auth_config", as docker reads it, and of the same login
        ok      Docker Hub: takes the login and names no limit: a Pro, Team or Business plan
      ok      permissions: 18 permissions held, as IAM's simulation says
        ok      codebuild:ListBuilds: to find new builds
        ok      codebuild:ListProjects: to count the projects that a policy matches
        ok      codebuild:BatchGetBuilds: to read builds
        ok      codebuild:BatchGetProjects: to read projects
        ok      codebuild:ListBuildsForProject: to find the builds of a project
        ok      codebuild:UpdateProject: to give a project the login
        ok      codebuild:RetryBuild: to start a throttled build again
        ok      codebuild:StartBuild: to start it with the project as it is now
        ok      codebuild:StopBuild: to stop a retry that runs without the remedy
        ok      logs:FilterLogEvents: to search a long log
        ok      logs:GetLogEvents: to read what a failed build wrote
        ok      iam:GetRole: to read a project's service role
        ok      iam:GetRolePolicy: to read the inline policies of a role
        ok      iam:ListRolePolicies: to see which inline policies a role has
        ok      iam:DeleteRolePolicy: to take a grant back from a role
        ok      iam:PutRolePolicy: to let a service role read the secret
        ok      secretsmanager:DescribeSecret: to find the secret
        ok      secretsmanager:GetSecretValue: to see whether the secret has its keys, and what its account has left

    30 ok, 0 FAILED, 0 skipped
    "#);
    // Nothing was changed, and no pull was spent.
    assert_eq!(stage.sim.writes(), []);
    let asked: Vec<String> =
        stage.sim.calls().into_iter().filter(|call| call.service == "hub").map(|call| call.target).collect();
    assert_eq!(asked, ["GET", "HEAD"]);
    assert_eq!(std::fs::read_dir(stage.folder.path()).expect("a folder").count(), 1, "only the settings are there");
}

#[test]
fn each_read_that_is_denied_is_told_with_the_command_that_allows_it() {
    for (operation, name, action) in [
        ("ListBuilds", "builds", "codebuild:ListBuilds"),
        ("BatchGetBuilds", "builds", "codebuild:BatchGetBuilds"),
        ("ListProjects", "projects", "codebuild:ListProjects"),
        ("BatchGetProjects", "projects", "codebuild:BatchGetProjects"),
        ("GetLogEvents", "logs", "logs:GetLogEvents"),
        ("GetSecretValue", "secret", "secretsmanager:GetSecretValue"),
        ("ListRolePolicies", "service roles", "iam:GetRole"),
    ] {
        let stage = Stage::well();
        stage.sim.fault(operation, .., Fault::AccessDenied);
        let ill = stage.ill();
        assert_eq!(ill.name, name, "{operation}");
        let begin = "aws iam put-role-policy --role-name caller --policy-name unthrottled-";
        assert!(ill.repair.starts_with(begin) && ill.repair.contains(action), "{operation}: {ill:?}");
        let (_, document) = ill.repair.split_once("--policy-document '").expect("a document");
        let document: Value = serde_json::from_str(document.trim_end_matches('\'')).expect("JSON");
        assert_eq!(document["Statement"][0]["Action"], json!([action]), "{operation}");
    }
}

#[test]
fn what_iam_says_is_lacking_is_granted_by_one_command() {
    let stage = Stage::well();
    let some: Vec<&str> = ACTIONS
        .into_iter()
        .filter(|action| !["codebuild:UpdateProject", "iam:PutRolePolicy"].contains(action))
        .collect();
    stage.sim.put_role_policy("caller", "all", allow(&some));
    let (code, out, _) = stage.run(&[]);
    assert_eq!(code, Some(1));
    assert!(out.contains("FAILED  codebuild:UpdateProject: to give a project the login: no policy allows it on arn:aws:codebuild:us-east-1:111122223333:project/"), "{out}");
    assert!(out.contains("FAILED  iam:PutRolePolicy"), "{out}");
    let command = out.lines().find(|line| line.contains("repair: aws iam put-role-policy")).expect("a command");
    assert!(command.contains("codebuild:UpdateProject") && command.contains("iam:PutRolePolicy"), "{command}");
    // What the command says, done: all is well.
    let (_, document) = command.split_once("--policy-document '").expect("a document");
    let document: Value = serde_json::from_str(document.trim_end_matches('\'')).expect("JSON");
    stage.sim.put_role_policy("caller", "more", document);
    assert_eq!(stage.run(&[]).0, Some(0));
    // In a lower mode, what writes is not needed.
    stage.sim.delete_role_policy("caller", "more");
    assert_eq!(stage.run(&["--set", "daemon.mode=propose"]).0, Some(0));
}

/// Who may do nothing at all is told one command for all of it, and that command is enough.
#[test]
fn who_may_do_nothing_is_told_one_command_for_everything() {
    let sim = Simulator::start(Options::default()).expect("a port");
    sim.account(|account| {
        account.hub().account("acme", PASSWORD);
        drop(account.secret("dockerhub").json(login(AUTH)));
        // Where the console makes it, and where the policy looks for it.
        drop(account.role("codebuild-web").path("/service-role/"));
        account.project("web").role("codebuild-web").buildspec(SCRIPT);
        drop(account.role("unthrottled").called_by("DAEMON"));
    });
    assert_eq!(sim.run_build("web").status, "SUCCEEDED");
    let stage = Stage { sim, folder: tempfile::tempdir().expect("a folder") };
    stage.settings("");
    let doctor = |stage: &Stage| end(stage.command(&["--format", "json"]).env("AWS_ACCESS_KEY_ID", "DAEMON"));
    let (code, out, _) = doctor(&stage);
    let mut ills = Vec::new();
    collect(&serde_json::from_str::<Value>(&out).expect("JSON")["checks"], &mut ills);
    let whole = ills.iter().find(|ill| ill.name == "permissions").expect("the permissions");
    assert_eq!(
        (code, whole.repair.as_str()),
        (
            Some(1),
            "unthrottled iam-policy --doctor --format json > policy.json && aws iam put-role-policy --role-name \
             unthrottled --policy-name unthrottled --policy-document file://policy.json   # as someone who may"
        )
    );

    // As someone who may: what its first half prints is what its second half attaches.
    let (first, _) = whole.repair.split_once(" > ").expect("a command");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
    command.args(first.split(' ').skip(1)).env_clear().current_dir(stage.folder.path());
    command.env("AWS_ENDPOINT_URL", stage.sim.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
    let (code, policy, err) = end(command.env("AWS_EC2_METADATA_DISABLED", "true"));
    assert_eq!(code, Some(0), "{err}");
    stage.sim.put_role_policy("unthrottled", "unthrottled", serde_json::from_str::<Value>(&policy).expect("a policy"));
    let (code, out, _) = doctor(&stage);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn a_deny_that_no_grant_lifts_says_whose_it_is() {
    let deny = |effect: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": effect, "Action": "codebuild:UpdateProject", "Resource": "*"}]})
    };
    let stage = Stage::well();
    stage.sim.account(|account| account.service_control_policy(deny("Deny")));
    let ill = stage.ill();
    assert_eq!(ill.name, "codebuild:UpdateProject");
    assert!(ill.detail.contains("a service control policy of the organization denies it"), "{ill:?}");
    assert!(ill.repair.starts_with("ask those who keep the organization's policies"), "{ill:?}");

    let stage = Stage::well();
    stage.sim.put_role_policy("caller", "deny", deny("Deny"));
    assert!(stage.ill().detail.contains("a policy denies it explicitly"));

    let stage = Stage::well();
    let boundary: Vec<&str> = ACTIONS.into_iter().filter(|action| *action != "iam:PutRolePolicy").collect();
    stage.sim.account(|account| drop(account.role("caller").boundary(allow(&boundary))));
    let ill = stage.ill();
    assert_eq!(ill.name, "iam:PutRolePolicy");
    assert!(ill.detail.contains("its permissions boundary does not allow it"), "{ill:?}");
}

#[test]
fn what_can_not_be_simulated_is_skipped_and_says_so() {
    let stage = Stage::well();
    stage.sim.fault("SimulatePrincipalPolicy", .., Fault::AccessDenied);
    let (code, ills) = stage.ills();
    assert_eq!(code, Some(0));
    assert!(
        ills.iter().any(|ill| ill.name == "permissions" && ill.detail.contains("only what was tried above")),
        "{ills:?}"
    );

    let stage = Stage::well();
    stage.sim.delete_role("caller");
    let (code, ills) = stage.ills();
    assert_eq!(code, Some(0));
    assert!(ills.iter().any(|ill| ill.detail.contains("role caller is not in this account")), "{ills:?}");

    // Not knowing because of trouble is no permission held.
    let stage = Stage::well();
    stage.sim.fault("SimulatePrincipalPolicy", .., Fault::ServerError(500));
    assert_eq!(stage.run(&[]).0, Some(1));
}

#[test]
fn each_thing_wrong_with_the_secret_has_its_command() {
    type Spoil = fn(&Simulator);
    let cases: [(&str, Spoil, &str, &str); 8] = [
        (
            "missing",
            |sim| sim.remove_secret("dockerhub"),
            "no such secret",
            "unthrottled secret create dockerhub --username USER",
        ),
        (
            "deleted",
            |sim| sim.delete_secret("dockerhub"),
            "scheduled for deletion",
            "aws secretsmanager restore-secret --secret-id dockerhub",
        ),
        (
            "binary",
            |sim| sim.account(|a| drop(a.secret("dockerhub").binary())),
            "not a JSON object",
            "unthrottled secret rotate dockerhub --username USER --overwrite",
        ),
        (
            "other keys",
            |sim| sim.account(|a| drop(a.secret("dockerhub").json(json!({"user": "acme", "password": PASSWORD})))),
            "\"username\"",
            "unthrottled secret rotate dockerhub --username USER --overwrite",
        ),
        (
            "stale",
            |sim| sim.account(|a| drop(a.secret("dockerhub").json(login("YWNtZTpNQVJLRUQ=")))),
            "another login than the secret's",
            "unthrottled secret rotate dockerhub   #",
        ),
        (
            "not docker's form",
            |sim| {
                sim.account(|a| {
                    drop(
                        a.secret("dockerhub")
                            .json(json!({"username": "acme", "password": PASSWORD, "docker_auth_config": "MARKED"})),
                    )
                })
            },
            "not of the form",
            "unthrottled secret rotate dockerhub   #",
        ),
        (
            "reset at the hub",
            |sim| sim.account(|a| drop(a.hub().account("acme", "MARKED-new"))),
            "refuses this user name and password",
            "unthrottled secret rotate dockerhub",
        ),
        (
            "key policy",
            |sim| {
                sim.account(|a| drop(a.secret("dockerhub").kms_key("1234abcd")));
                sim.fault("GetSecretValue", .., Fault::AccessDenied);
            },
            "or the key's own policy does not leave that to IAM",
            "aws kms get-key-policy --key-id arn:aws:kms:us-east-1:111122223333:key/1234abcd --policy-name default",
        ),
    ];
    for (name, spoil, says, repair) in cases {
        let stage = Stage::well();
        // A customer's key needs one permission more.
        stage.sim.put_role_policy("caller", "kms", allow(&["kms:Decrypt"]));
        spoil(&stage.sim);
        let ill = stage.ill();
        assert!(ill.detail.contains(says), "{name}: {ill:?}");
        assert!(ill.repair.starts_with(repair), "{name}: {ill:?}");
    }
}

#[test]
fn a_secret_without_the_text_for_docker_is_good_for_the_other_remedies() {
    let stage = Stage::well();
    stage.sim.account(|account| drop(account.secret("dockerhub").login("acme", PASSWORD)));
    let (code, ills) = stage.ills();
    assert_eq!(code, Some(0));
    let ill = ills.iter().find(|ill| ill.name == "DOCKER_AUTH_CONFIG").expect("a line");
    assert!(ill.state == "skipped" && ill.repair.starts_with("unthrottled secret rotate dockerhub"), "{ill:?}");
}

#[test]
fn docker_hub_tells_plan_and_rest() {
    let stage = Stage::well();
    stage.sim.account(|account| drop(account.hub().account("acme", PASSWORD).limit(200)));
    let (code, out, _) = stage.run(&[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("200 of 200 pulls in 6h are left (a Personal plan"), "{out}");
    stage.sim.account(|account| drop(account.hub().account("acme", PASSWORD).limit(0)));
    assert!(stage.ill().detail.contains("0 of 0 pulls in 6h are left"));
}

#[test]
fn docker_hub_that_does_not_tell_is_no_good_sign() {
    for (operation, fault, says) in [
        ("HubToken", Fault::AccessDenied, "refuses this user name and password"),
        ("HubToken", Fault::Throttled, "answers 429"),
        ("HubManifest", Fault::Throttled, "answers 429"),
        ("HubToken", Fault::DropBefore, "was not reached"),
        (
            "HubToken",
            Fault::ServerError(200),
            "status 200, but no JSON with a token): a proxy or a login page may stand",
        ),
        ("HubManifest", Fault::ServerError(502), "HTTP status 502"),
        ("HubToken", Fault::ServerError(403), "HTTP status 403"),
        ("HubManifest", Fault::AccessDenied, "HTTP status 401"),
    ] {
        let stage = Stage::well();
        stage.sim.fault(operation, .., fault);
        let ill = stage.ill();
        assert!(ill.name == "Docker Hub" && ill.detail.contains(says) && !ill.repair.is_empty(), "{fault:?}: {ill:?}");
        // Who may not reach it says so, and the rest is still told.
        assert_eq!(stage.run(&["--set", "docker_hub.probe=false"]).0, Some(0));
    }
}

#[test]
fn without_credentials_nothing_else_is_tried() {
    let stage = Stage::well();
    let mut command = stage.command(&[]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let (code, out, _) = end(&mut command);
    assert_eq!(code, Some(1));
    assert!(out.contains("no AWS credentials were found") && out.contains("repair: set AWS_PROFILE"), "{out}");
    assert!(out.contains("skipped everything else: it needs credentials that work"), "{out}");

    let mut command = stage.command(&[]);
    let (code, out, _) = end(command.env_remove("AWS_REGION"));
    assert!(code == Some(1) && out.contains("repair: export AWS_REGION="), "{out}");
}

#[test]
fn a_role_that_can_not_be_assumed_is_told_with_the_call_to_try() {
    let stage = Stage::well();
    stage.settings(
        "[[scope]]\nname = \"prod\"\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111122223333:role/daemon\"\nexternal_id = \"x1\"\n",
    );
    stage.sim.account(|account| drop(account.role("daemon").inline_policy("all", allow(&ACTIONS))));
    let (code, out, _) = stage.run(&["--scope", "prod"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("arn:aws:sts::111122223333:assumed-role/daemon/"), "{out}");

    stage.sim.fault("AssumeRole", .., Fault::AccessDenied);
    let ill = stage.ill();
    assert_eq!(ill.name, "credentials");
    let repair = "aws sts assume-role --role-arn arn:aws:iam::111122223333:role/daemon --role-session-name doctor --external-id x1";
    assert!(ill.repair.starts_with(repair), "{ill:?}");
    assert_eq!(stage.run(&["--scope", "elsewhere"]).0, Some(64));
}

#[test]
fn bad_settings_are_78_as_everywhere() {
    let stage = Stage::well();
    stage.settings("setle = \"1s\"\n");
    let (code, out, err) = stage.run(&[]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.contains("did you mean `settle`"), "{err}");
}

#[test]
fn a_ledger_that_can_not_be_made_is_told() {
    let stage = Stage::well();
    let ill = {
        stage.settings("[ledger]\npath = \"gone/unthrottled.ledger\"\n");
        stage.ill()
    };
    assert_eq!((ill.name.as_str(), ill.repair.as_str()), ("ledger", "mkdir -p gone"));
    stage.settings("");
    std::fs::write(stage.folder.path().join("unthrottled.ledger"), "no ledger").expect("a file");
    assert_eq!(stage.ill().name, "ledger");
}
