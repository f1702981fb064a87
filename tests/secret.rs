//! `secret create` and `secret rotate`, the program itself against a simulated account, with a marked password.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::cast::{DOCKER_BUILD, SCRIPT};
use unthrottled::domain::build::ProjectName;
use unthrottled::domain::history::Fact;
use unthrottled::domain::plan::RemediationId;
use unthrottled::domain::quota::Low;
use unthrottled::edge::aws::{Aws, Connection};
use unthrottled::edge::clock;
use unthrottled::edge::docker_hub::DockerHub;
use unthrottled::edge::ledger::Ledger;
use unthrottled::edge::secrets::store::NewSecret;
use unthrottled::edge::secrets::text::Login;
use unthrottled::edge::telemetry;
use unthrottled::simulator::{Fault, Options, Simulator};

/// Found anywhere but in the account, it has leaked.
const PASSWORD: &str = "dckr_pat_MARKED-0123456789";
const OTHER: &str = "dckr_pat_MARKED-9876543210";

/// The base64 of `acme:` and the passwords.
const AUTH: [&str; 2] =
    ["YWNtZTpkY2tyX3BhdF9NQVJLRUQtMDEyMzQ1Njc4OQ==", "YWNtZTpkY2tyX3BhdF9NQVJLRUQtOTg3NjU0MzIxMA=="];

/// No answer takes as long on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
}

/// How a command ended, what it printed, what it said.
#[derive(Debug)]
struct End {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Stage {
    /// An account with nothing in it, a Docker Hub that knows `acme`, and settings.
    fn new() -> Stage {
        let stage = Stage::without_settings();
        let settings = format!(
            "{}\n[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"all\"\nprojects = [\"*\"]\n",
            stage.hub()
        );
        std::fs::write(stage.folder.path().join("unthrottled.toml"), settings).expect("a settings file");
        stage
    }

    fn without_settings() -> Stage {
        let sim = Simulator::start(Options::default()).expect("a port");
        sim.account(|account| {
            account.hub().account("acme", PASSWORD);
            account.hub().account("acme-2", OTHER);
        });
        Stage { sim, folder: tempfile::tempdir().expect("a folder") }
    }

    fn hub(&self) -> String {
        format!("[docker_hub]\nauth_url = \"{0}\"\nregistry_url = \"{0}\"\n", self.sim.hub_url())
    }

    /// The password is changed at Docker Hub.
    fn reset_at_the_hub(&self) {
        self.sim.account(|account| drop(account.hub().account("acme", OTHER)));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(["--log-level", "trace"]).args(arguments).env_clear().current_dir(self.folder.path());
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_REGION", "us-east-1");
        command
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("RUST_LOG", "trace");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it with this on standard input.
    fn run(&self, arguments: &[&str], input: &str) -> End {
        end(self.command(arguments).spawn().expect("the program starts"), input)
    }

    fn stored(&self, name: &str) -> Value {
        serde_json::from_str(&self.sim.secret_text(name).expect("a secret")).expect("JSON")
    }

    fn operations(&self) -> Vec<String> {
        self.sim.calls().into_iter().map(|call| call.operation).collect()
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.folder.path().join("unthrottled.ledger")
    }
}

fn end(mut child: Child, input: &str) -> End {
    // It may have refused before it read anything.
    let _ = child.stdin.take().expect("an input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let end = End { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    for secret in [PASSWORD, OTHER, AUTH[0], AUTH[1], "MARKED"] {
        assert!(!end.out.contains(secret) && !end.err.contains(secret), "{secret} leaked: {end:?}");
    }
    end
}

fn login_of(password: &str, auth: &str) -> Value {
    let config = format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}}}}}}"#);
    json!({"username": "acme", "password": password, "docker_auth_config": config})
}

#[test]
fn the_auth_of_these_tests_is_base64() {
    for (password, auth) in [PASSWORD, OTHER].iter().zip(AUTH) {
        assert_eq!(aws_smithy_types::base64::encode(format!("acme:{password}")), auth);
    }
}

#[test]
fn create_stores_the_login_and_tells_what_to_write_into_the_settings() {
    let stage = Stage::without_settings();
    let hub = stage.hub();
    let urls: Vec<String> =
        hub.lines().skip(1).map(|line| format!("docker_hub.{}", line.replace([' ', '"'], ""))).collect();
    let arguments = ["--set", &urls[0], "--set", &urls[1], "secret", "create", "dockerhub", "--username", "acme"];
    let end = stage.run(&arguments, &format!("{PASSWORD}\n"));
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert_eq!(stage.stored("dockerhub"), login_of(PASSWORD, AUTH[0]));
    let arn = stage.sim.account(|account| account.secret("dockerhub").arn());
    insta::assert_snapshot!(end.out.replace(&arn, "ARN"), @r#"
    created: secret dockerhub
      arn         ARN
      keys        username, password, docker_auth_config
      encryption  the key that AWS manages

    Put this into the settings:

      [credential.dockerhub]
      secret = "dockerhub"

    Then `unthrottled doctor` shows whether the daemon can use it.
    "#);
    // It was tried at Docker Hub without a pull.
    let asked: Vec<(String, String)> =
        stage.sim.calls().into_iter().filter(|c| c.service == "hub").map(|c| (c.operation, c.target)).collect();
    assert_eq!(asked, [("HubToken".into(), "GET".into()), ("HubManifest".into(), "HEAD".into())]);
}

#[test]
fn create_takes_key_and_tags_and_the_keys_of_the_settings() {
    let stage = Stage::new();
    let settings = stage.folder.path().join("unthrottled.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    let keys = "secret = \"ci/hub\"\nusername_key = \"user\"\npassword_key = \"token\"\nauth_config_key = \"docker\"\n";
    std::fs::write(&settings, text.replace("secret = \"dockerhub\"\n", keys)).expect("settings");
    let arguments = [
        "secret",
        "create",
        "ci/hub",
        "--username",
        "acme",
        "--kms-key-id",
        "alias/ci",
        "--tag",
        "team=build",
        "--tag",
        "a=b=c",
        "--format",
        "json",
    ];
    let end = stage.run(&arguments, PASSWORD);
    assert_eq!(end.code, Some(0), "{}", end.err);
    let told: Value = serde_json::from_str(&end.out).expect("JSON");
    assert_eq!((&told["name"], &told["keys"]), (&json!("ci/hub"), &json!(["user", "token", "docker"])));
    let stored = stage.stored("ci/hub");
    assert_eq!((&stored["user"], &stored["token"]), (&json!("acme"), &json!(PASSWORD)));
    assert!(stored["docker"].as_str().is_some_and(|text| text.contains(AUTH[0])));
    let sent = stage.sim.calls().into_iter().find(|call| call.operation == "CreateSecret").expect("a call").request;
    assert_eq!(sent["KmsKeyId"], "alias/ci");
    assert_eq!(sent["Tags"], json!([{"Key": "a", "Value": "b=c"}, {"Key": "team", "Value": "build"}]));
}

#[test]
fn create_refuses_to_overwrite_unless_told() {
    let stage = Stage::new();
    stage.sim.account(|account| {
        drop(account.secret("dockerhub").json(json!({"username": "acme", "password": "old", "note": 1})))
    });
    let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme"], PASSWORD);
    assert_eq!(end.code, Some(1));
    insta::assert_snapshot!(end.err, @"
    error: there is a secret dockerhub already, and nothing was stored

    hint: `unthrottled secret rotate dockerhub` stores a new password in it; --overwrite replaces what it holds
    ");
    assert_eq!(stage.stored("dockerhub")["password"], "old");
    assert_eq!(stage.sim.writes(), []);

    let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme", "--overwrite"], PASSWORD);
    assert_eq!(end.code, Some(0), "{}", end.err);
    let stored = stage.stored("dockerhub");
    assert_eq!((&stored["password"], &stored["note"]), (&json!(PASSWORD), &json!(1)));
}

/// The answer to CreateSecret is lost; the SDK sends it again, with the same token.
#[test]
fn a_lost_answer_makes_no_second_secret_and_no_refusal() {
    let stage = Stage::new();
    stage.sim.fault("CreateSecret", 1..=1, Fault::DropAfter);
    let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme"], PASSWORD);
    assert_eq!(end.code, Some(0), "{}", end.err);
    let tokens: Vec<Value> = stage
        .sim
        .calls()
        .into_iter()
        .filter(|call| call.operation == "CreateSecret")
        .map(|call| call.request["ClientRequestToken"].clone())
        .collect();
    assert!(tokens.len() == 2 && tokens[0] == tokens[1] && tokens[0].is_string(), "{tokens:?}");
}

#[test]
fn a_deleted_secret_is_told_with_the_way_back() {
    let stage = Stage::new();
    stage.sim.account(|account| drop(account.secret("dockerhub")));
    stage.sim.delete_secret("dockerhub");
    for arguments in [&["secret", "create", "dockerhub", "--username", "acme"][..], &["secret", "rotate", "dockerhub"]]
    {
        let end = stage.run(arguments, PASSWORD);
        assert_eq!(end.code, Some(1));
        assert!(end.err.contains("scheduled for deletion"), "{}", end.err);
        assert!(end.err.contains("aws secretsmanager restore-secret --secret-id dockerhub"), "{}", end.err);
    }
    // Who may not look hears it from the call itself.
    stage.sim.fault("DescribeSecret", .., Fault::AccessDenied);
    let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme"], PASSWORD);
    assert!(end.code == Some(1) && end.err.contains("restore-secret"), "{}", end.err);
}

#[test]
fn bad_input_is_refused_before_anything_is_sent() {
    let stage = Stage::new();
    let create = ["secret", "create", "dockerhub", "--username", "acme"];
    for (input, says) in [
        ("", "standard input is empty"),
        ("\n", "standard input is empty"),
        ("MARKED two\nlines", "line break"),
        (" MARKED", "begins or ends with a blank"),
    ] {
        let end = stage.run(&create, input);
        assert!(end.code == Some(1) && end.err.contains(says), "{input:?}: {}", end.err);
    }
    for (arguments, says) in [
        (&["secret", "create", "hub-AbCdEf", "--username", "acme"][..], "suffix of an ARN"),
        (&["secret", "create", "dockerhub", "--username", "acme", "--scope", "elsewhere"], "no scope `elsewhere`"),
        (&["secret", "create", "dockerhub", "--username", "acme", "--credential", "x"], "no credential `x`"),
        (&["secret", "create", "dockerhub", "--username", "acme", "--tag", "aws:x=y"], "AWS's own"),
        (&["secret", "create", "dockerhub"], "--username"),
        (&["secret", "create", "dockerhub", "--username", "acme", "--password", "x"], "unexpected argument"),
    ] {
        let end = stage.run(arguments, PASSWORD);
        assert!(end.code == Some(64) && end.err.contains(says), "{arguments:?}: {end:?}");
    }
    let end = stage.run(&["secret", "create", "dockerhub", "--username", "a:b"], PASSWORD);
    assert!(end.code == Some(1) && end.err.contains("colon"), "{}", end.err);
    assert_eq!(stage.sim.writes(), []);
}

#[test]
fn a_login_that_docker_hub_refuses_is_not_stored_unless_told() {
    let stage = Stage::new();
    let create = ["secret", "create", "dockerhub", "--username", "acme"];
    let end = stage.run(&create, OTHER);
    assert_eq!(end.code, Some(1));
    insta::assert_snapshot!(end.err, @"
    error: Docker Hub refuses this user name and password, so nothing was stored

    hint: check both, and that the access token is not expired or deleted; --unchecked stores them without asking
    ");
    assert_eq!(stage.sim.writes(), []);
    let end = stage.run(&[&create[..], &["--unchecked"]].concat(), OTHER);
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
}

/// Not knowing whether a login works is no reason to refuse it.
#[test]
fn a_docker_hub_that_does_not_answer_is_a_note() {
    for (fault, says) in [
        (Fault::DropBefore, "was not reached"),
        (Fault::Throttled, "answers 429"),
        (Fault::ServerError(503), "HTTP status 503"),
        (Fault::TruncatedBody, "answered what Docker Hub does not"),
    ] {
        let stage = Stage::new();
        stage.sim.fault("HubToken", .., fault);
        let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme"], PASSWORD);
        assert_eq!(end.code, Some(0), "{}", end.err);
        assert!(end.err.starts_with("note: whether the login works is not known"), "{fault:?}: {}", end.err);
        assert!(end.err.contains(says), "{fault:?}: {}", end.err);
    }
}

#[test]
fn what_aws_refuses_is_told_with_what_next() {
    for (fault, says) in
        [(Fault::AccessDenied, "`unthrottled iam-policy` prints the permissions"), (Fault::ServerError(500), "failed")]
    {
        let stage = Stage::new();
        stage.sim.fault("CreateSecret", .., fault);
        let end = stage.run(&["secret", "create", "dockerhub", "--username", "acme"], PASSWORD);
        assert!(end.code == Some(1) && end.err.contains(says), "{}", end.err);
        assert!(end.err.contains("Secrets Manager CreateSecret of dockerhub"), "{}", end.err);
    }
    let stage = Stage::new();
    let mut command = stage.command(&["secret", "create", "dockerhub", "--username", "acme"]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let end = end(command.spawn().expect("the program starts"), PASSWORD);
    assert!(end.code == Some(1) && end.err.contains("no AWS credentials were found"), "{}", end.err);
    assert!(end.err.contains("hint: set AWS_PROFILE"), "{}", end.err);
}

/// A secret `dockerhub` with the old password, and what uses it.
fn in_use() -> Stage {
    let stage = Stage::new();
    stage.sim.account(|account| {
        let arn =
            account.secret("dockerhub").json(json!({"note": "ours", "username": "acme", "password": PASSWORD})).arn();
        account.project("web").image("node:22").buildspec(SCRIPT);
        account.project("api").buildspec(DOCKER_BUILD);
        account.project("old").buildspec(DOCKER_BUILD);
        account.project("none").buildspec(SCRIPT);
        (arn, ())
    });
    let arn = stage.sim.account(|account| account.secret("dockerhub").arn());
    stage.sim.edit_project("web", |project| {
        project["environment"]["registryCredential"] =
            json!({"credential": arn, "credentialProvider": "SECRETS_MANAGER"});
    });
    let variables = |password: &str| {
        json!([
            {"name": "DOCKERHUB_USERNAME", "value": "dockerhub:username", "type": "SECRETS_MANAGER"},
            {"name": "DOCKERHUB_PASSWORD", "value": password, "type": "SECRETS_MANAGER"},
            {"name": "PLAIN", "value": "dockerhub:password MARKED", "type": "PLAINTEXT"},
        ])
    };
    stage.sim.edit_project("api", |p| p["environment"]["environmentVariables"] = variables(&format!("{arn}:password")));
    stage.sim.edit_project("old", |p| {
        p["environment"]["environmentVariables"] = variables("dockerhub:password:AWSPREVIOUS");
    });
    stage.reset_at_the_hub();
    stage
}

#[test]
fn rotate_keeps_what_is_there_and_tells_who_uses_it() {
    let stage = in_use();
    let end = stage.run(&["secret", "rotate", "dockerhub"], OTHER);
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let mut expected = login_of(OTHER, AUTH[1]);
    expected["note"] = json!("ours");
    assert_eq!(stage.stored("dockerhub"), expected);
    let arn = stage.sim.account(|account| account.secret("dockerhub").arn());
    insta::assert_snapshot!(end.out.replace(&arn, "ARN"), @"
    rotated: secret dockerhub (ARN)

    PROJECT  BY      USES IT FOR
    api      others  DOCKERHUB_USERNAME, DOCKERHUB_PASSWORD
    old      others  DOCKERHUB_USERNAME, DOCKERHUB_PASSWORD; DOCKERHUB_PASSWORD stays at another version and does not follow the rotation
    web      others  its build image

    Their builds use the new password from their next start. Delete the old one at Docker Hub
    once the builds that run now are over.
    ");
}

#[test]
fn rotate_by_arn_for_programs() {
    let stage = in_use();
    let arn = stage.sim.account(|account| account.secret("dockerhub").arn());
    let end = stage.run(&["secret", "rotate", &arn, "--format", "json"], OTHER);
    assert_eq!(end.code, Some(0), "{}", end.err);
    let told: Value = serde_json::from_str(&end.out).expect("JSON");
    let projects: Vec<&str> =
        told["projects"].as_array().expect("a list").iter().filter_map(|p| p["project"].as_str()).collect();
    assert_eq!(projects, ["api", "old", "web"]);
    assert_eq!(told["projects"][1]["fixed_variables"], json!(["DOCKERHUB_PASSWORD"]));
    assert_eq!(told["projects_complete"], true);
}

#[test]
fn a_rotation_stands_though_the_projects_can_not_be_listed() {
    let stage = in_use();
    stage.sim.fault("ListProjects", .., Fault::AccessDenied);
    let end = stage.run(&["secret", "rotate", "dockerhub"], OTHER);
    assert_eq!(end.code, Some(3));
    assert!(end.out.starts_with("rotated: secret dockerhub"), "{}", end.out);
    assert!(!end.out.contains("No project"), "{}", end.out);
    assert!(
        end.err.contains("the password is rotated, and the projects that use it could not be listed"),
        "{}",
        end.err
    );
    assert_eq!(stage.stored("dockerhub")["password"], OTHER);
}

#[test]
fn the_same_login_is_not_written_again() {
    let stage = in_use();
    assert_eq!(stage.run(&["secret", "rotate", "dockerhub"], OTHER).code, Some(0));
    stage.sim.forget_calls();
    let end = stage.run(&["secret", "rotate", "dockerhub"], OTHER);
    assert_eq!(end.code, Some(0));
    assert_eq!(end.out, "Secret dockerhub holds this login already; nothing was written.\n");
    assert_eq!(stage.operations(), ["DescribeSecret", "GetSecretValue"]);
}

/// Someone else stores another value while the password is being typed.
#[tokio::test]
async fn a_secret_that_changed_meanwhile_is_left_alone() {
    let stage = in_use();
    let child = stage.command(&["secret", "rotate", "dockerhub"]).spawn().expect("the program starts");
    let looked = async {
        let mut often = tokio::time::interval(Duration::from_millis(5));
        while !stage.operations().contains(&"GetSecretValue".to_string()) {
            often.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.expect("it looks at the secret before it asks for the password");
    stage.sim.account(|account| drop(account.secret("dockerhub").login("acme", "from-someone-else")));
    let end = end(child, OTHER);
    assert_eq!(end.code, Some(1));
    insta::assert_snapshot!(end.err, @"
    error: secret dockerhub was changed by someone else meanwhile; nothing was written

    hint: look at what was changed, and try again
    ");
    assert_eq!(stage.stored("dockerhub")["password"], "from-someone-else");
    assert!(!stage.operations().contains(&"PutSecretValue".to_string()));
}

/// Puts something into the account that a rotation would lose.
type Store = fn(&Simulator, &Value);

#[test]
fn what_a_rotation_would_lose_is_refused_unless_told() {
    let others = json!({"username": "acme", "password": "old",
        "docker_auth_config": r#"{"auths":{"ghcr.io":{"auth":"eDp5"}}}"#});
    let cases: [(&str, Store, &str); 4] = [
        ("binary", |sim, _| sim.account(|a| drop(a.secret("dockerhub").text("x").binary())), "not a JSON object"),
        ("a token", |sim, _| sim.account(|a| drop(a.secret("dockerhub").text("dckr_pat_x"))), "not a JSON object"),
        (
            "foreign",
            |sim, _| sim.account(|a| drop(a.secret("dockerhub").json(json!({"username": "u", "password": {"a": 1}})))),
            "\"password\" holds something that is not text",
        ),
        ("others", |sim, others| sim.account(|a| drop(a.secret("dockerhub").json(others.clone()))), "other registries"),
    ];
    for (name, store, says) in cases {
        let stage = Stage::new();
        stage.reset_at_the_hub();
        store(&stage.sim, &others);
        let rotate = ["secret", "rotate", "dockerhub", "--username", "acme"];
        let end = stage.run(&rotate, OTHER);
        assert!(end.code == Some(1) && end.err.contains(says), "{name}: {}", end.err);
        assert!(end.err.contains("replace all of it with --overwrite"), "{name}: {}", end.err);
        assert_eq!(stage.sim.writes(), [], "{name}");
        let end = stage.run(&[&rotate[..], &["--overwrite"]].concat(), OTHER);
        assert_eq!(end.code, Some(0), "{name}: {}", end.err);
        assert_eq!(stage.stored("dockerhub"), login_of(OTHER, AUTH[1]), "{name}");
    }
}

#[test]
fn a_secret_without_a_user_name_asks_for_one() {
    let stage = Stage::new();
    stage.reset_at_the_hub();
    stage.sim.account(|account| drop(account.secret("dockerhub").json(json!({"password": "old"}))));
    let end = stage.run(&["secret", "rotate", "dockerhub"], OTHER);
    assert!(end.code == Some(1) && end.err.contains("hint: say it with --username"), "{}", end.err);
    let end = stage.run(&["secret", "rotate", "missing"], OTHER);
    assert!(end.err.contains("hint: `unthrottled secret create missing --username USER` makes it"), "{}", end.err);
}

/// The advice to reset the password stands in `status` until the rotation, and does not come back.
#[tokio::test]
async fn a_rotation_ends_the_advice_to_reset_the_password() {
    let stage = in_use();
    let ledger = Ledger::open(&stage.ledger()).await.expect("a ledger");
    let advised = Fact::PasswordResetAdvised { credential: "dockerhub".to_string(), id: RemediationId::new("api-1") };
    ledger.append(0, clock::now(), "default", &advised).await.expect("an entry");
    let advice = "\
Reset the password of credential `dockerhub`: builds that log in may have logged it. \
Then store it with `unthrottled secret rotate dockerhub`.\n";
    let before = stage.run(&["status"], "");
    assert!(before.out.ends_with(advice), "{}", before.out);
    // A daemon, or anyone, may append at the same time.
    let cleared = Fact::Cleared { project: ProjectName::new("web") };
    ledger.append(1, clock::now(), "default", &cleared).await.expect("an entry");
    assert_eq!(stage.run(&["secret", "rotate", "dockerhub"], OTHER).code, Some(0));
    let after = stage.run(&["status"], "");
    assert_eq!(after.out, "No remediation is open.\n");
    let history = stage.run(&["history"], "");
    assert!(history.out.contains("a new password was stored for credential dockerhub"), "{}", history.out);
    let facts: Vec<Fact> = ledger.load().await.expect("entries").into_iter().map(|record| record.fact).collect();
    assert_eq!(facts[2..], [Fact::CredentialRotated { credential: "dockerhub".to_string() }]);
}

/// From one crossing to the other, `status` says what was left and since when.
#[tokio::test]
async fn an_account_that_is_low_stands_in_status_until_it_has_enough() {
    let stage = in_use();
    let ledger = Ledger::open(&stage.ledger()).await.expect("a ledger");
    let detail = "12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be".to_string();
    let name = "dockerhub".to_string();
    let low = Fact::CredentialQuotaLow { credential: name.clone(), reason: Low::FewLeft, detail };
    let since = "2026-11-20T10:00:00Z".parse().expect("a time");
    ledger.append(0, since, "default", &low).await.expect("an entry");
    let told = stage.run(&["status"], "");
    let (before, ago) = told.out.split_once(" (").expect("how long ago");
    let (_, behind) = ago.split_once("): ").expect("how long ago");
    let says = format!("{before}: {behind}");
    insta::assert_snapshot!(says, @"
    No remediation is open.

    The Docker account of credential `dockerhub` would be the next to be throttled, since 2026-11-20 10:00:00 UTC: 12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be. Remedies with it wait until it has enough again; a paid plan has no such limit.
    ");
    let json: Value = serde_json::from_str(&stage.run(&["status", "--format", "json"], "").out).expect("JSON");
    insta::assert_snapshot!(json, @r#"{"scope":"default","credential":"dockerhub","quota":"low","reason":"few_left","detail":"12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be","since":"2026-11-20T10:00:00Z"}"#);
    ledger.append(1, clock::now(), "default", &Fact::QuotaRestored { credential: name }).await.expect("an entry");
    assert_eq!(stage.run(&["status"], "").out, "No remediation is open.\n");
}

/// A new secret for a credential of the settings does not make a ledger.
#[test]
fn no_ledger_is_made() {
    let stage = in_use();
    assert_eq!(stage.run(&["secret", "rotate", "dockerhub"], OTHER).code, Some(0));
    assert!(!stage.ledger().exists());
}

/// What is written to a log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The calls themselves, with everything logged that our log lets through.
#[tokio::test]
async fn no_level_logs_a_secret() {
    let stage = in_use();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = telemetry::subscriber(telemetry::Output {
        format: telemetry::LogFormat::Json,
        filter: "trace",
        color: telemetry::Color::Never,
        clock: clock::now,
        metrics: None,
        writer: move || writer.clone(),
    });
    let _guard = tracing::subscriber::set_default(subscriber.expect("a filter"));
    tracing::trace!(target: "unthrottled::test", "the log is on");
    let aws = Aws::connect(&Connection::to_loopback(stage.sim.endpoint())).await.expect("a region");
    let text = SecretString::from(login_of(OTHER, AUTH[1]).to_string());
    let tags = BTreeMap::new();
    let token = uuid::Uuid::new_v4().to_string();
    let new = NewSecret { name: "new", description: "", text: &text, kms_key: None, tags: &tags, token: &token };
    let created = aws.secrets.create(new).await;
    let stored = aws.secrets.stored("dockerhub", "us-east-1").await;
    let stored = stored.expect("an answer").expect("a secret");
    assert!(stored.text.as_ref().is_some_and(|text| text.expose_secret().contains(PASSWORD)));
    let put = aws.secrets.put(stored.secret.arn.as_str(), &text, &uuid::Uuid::new_v4().to_string()).await;
    // A refusal of AWS that quotes what it refuses.
    let long = SecretString::from(json!({"password": PASSWORD, "x": "y".repeat(70_000)}).to_string());
    let refused = aws.secrets.put(stored.secret.arn.as_str(), &long, &uuid::Uuid::new_v4().to_string()).await;
    assert!(refused.is_err());
    let hub = DockerHub::new(&stage.sim.hub_url(), &stage.sim.hub_url());
    let login = Login { username: "acme".to_string(), password: SecretString::from(OTHER) };
    let allowed = hub.allowance(&login).await;
    assert!(allowed.is_ok());
    let shown = format!("{created:?}{stored:?}{put:?}{refused:?}{allowed:?}{login:?}{hub:?}");
    let logged = String::from_utf8(log.0.lock().expect("a log").clone()).expect("text");
    assert!(logged.contains("the log is on"), "{logged}");
    for secret in ["MARKED", AUTH[0], AUTH[1]] {
        assert!(!logged.contains(secret) && !shown.contains(secret), "{secret} leaked");
    }
}
