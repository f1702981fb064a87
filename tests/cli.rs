//! The binary as people run it: help, exit codes, streams and colour.

use assert_cmd::Command;
use insta::assert_snapshot;
use std::path::Path;
use tempfile::TempDir;

const GOOD: &str = r#"
[credential.dockerhub]
secret = "dockerhub"

[[policy]]
name = "services"
projects = ["svc-*"]
mode = "apply"
"#;

/// The binary in a folder of its own, with nothing of the environment that this test runs in.
fn unthrottled(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottled"));
    command.env_clear().current_dir(dir);
    command
}

/// A folder with these settings in `unthrottled.toml`.
fn folder(settings: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let written = std::fs::write(dir.path().join("unthrottled.toml"), settings);
    written.unwrap_or_else(|error| panic!("{error}"));
    dir
}

/// How it ended, what it printed, what it said.
fn end(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_names_every_command_and_exit_code() {
    let dir = folder("");
    let (code, out, err) = end(unthrottled(dir.path()).arg("--help"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_snapshot!(out, @r#"
    Finds AWS CodeBuild builds that Docker Hub throttled and cures them, with proof and rollback

    Usage: unthrottled [OPTIONS] <COMMAND>

    Commands:
      run          Run the daemon: look, think, act, until SIGTERM or SIGINT
      scan         Look once over the look-back window, and say what was found and what would be done
      survey       List the projects that pull from Docker Hub without a login, before they fail
      plan         Show what would be changed, as a diff, as data, or as a patch for the project's owner
      apply        Carry a saved plan out, if nothing that it names has changed since
      rollback     Take remediations back in the safe order
      status       Show the remediations that are under way
      history      Show everything that the ledger knows
      explain      Tell why the daemon acted on a build, or why not
      clear        Let a project that was given up be remediated again
      diagnose     Diagnose log text or builds, offline
      buildspec    Put a Docker Hub login into a buildspec, offline
      secret       Store a Docker Hub login in Secrets Manager, or a new password in its place
      ledger       Make the place that the ledger is kept in
      doctor       Check that everything the daemon needs is there, and say how to repair what is not
      iam-policy   Print the least-privilege IAM policy for exactly what the settings enable
      check        Check the settings, offline
      schema       Print the JSON Schema of settings, events or plans
      demo         See the daemon at work on a simulated account; needs no AWS
      simulate     Play the daemon against an account where everything goes wrong, from a seed
      healthcheck  Ask the daemon beside this process whether it is healthy
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>        Settings file, also UNTHROTTLED_CONFIG [default: unthrottled.toml, then
                                 /etc/unthrottled/unthrottled.toml]
          --set <KEY=VALUE>      Set one key of the settings over file and environment, as in `--set
                                 daemon.mode=observe`
          --log-format <FORMAT>  How events are written, json or text [default: text on a terminal, json
                                 elsewhere]
          --log-level <LEVEL>    The least important events that are written: error, warn, info, debug
                                 or trace [default: info]
          --color <WHEN>         When to use colour: auto, always or never; NO_COLOR is honoured too
                                 [default: auto]

    AWS credentials, profiles, regions and endpoints come from the standard variables and files, as with
    every AWS tool.

    Exit codes:
      0   done, or stopped by a signal
      1   failed
      2   changes pending or findings present (only with --detailed-exitcode)
      3   the scan was incomplete
      64  bad usage
      69  ledger or lease not available
      78  bad settings
    "#);
}

#[test]
fn every_command_has_a_long_help_with_examples() {
    let dir = folder("");
    let commands = [
        "run",
        "scan",
        "survey",
        "plan",
        "apply",
        "rollback",
        "status",
        "history",
        "explain",
        "clear",
        "diagnose",
        "buildspec",
        "secret",
        "doctor",
        "iam-policy",
        "check",
        "schema",
        "demo",
        "healthcheck",
    ];
    for command in commands {
        let (code, out, _) = end(unthrottled(dir.path()).args([command, "--help"]));
        assert_eq!(code, Some(0), "{command}");
        assert!(out.contains("Examples:"), "{command}: {out}");
        assert!(out.contains("--config"), "{command}: {out}");
    }
}

#[test]
fn the_version_is_printed() {
    let dir = folder("");
    let (code, out, _) = end(unthrottled(dir.path()).arg("--version"));
    assert_eq!((code, out), (Some(0), format!("unthrottled {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn bad_usage_is_64_and_says_what_is_right() {
    let dir = folder("");
    let cases: [(&[&str], &str); 6] = [
        (&[], "Usage: unthrottled"),
        (&["scn"], "a similar subcommand exists: 'scan'"),
        (&["check", "--sow"], "--show"),
        (&["rollback"], "<ID|--project <NAME>|--policy <NAME>|--all>"),
        (&["rollback", "x", "--all"], "cannot be used with"),
        (&["check", "--set", "daemon.mode"], "write KEY=VALUE"),
    ];
    for (arguments, says) in cases {
        let (code, out, err) = end(unthrottled(dir.path()).args(arguments));
        assert_eq!((code, out.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(err.contains(says), "{arguments:?}: {err}");
    }
}

mod check {
    use super::*;

    #[test]
    fn good_settings_are_summed_up() {
        let dir = folder(GOOD);
        let (code, out, err) = end(unthrottled(dir.path()).arg("check"));
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert_snapshot!(out, @r#"
        good: unthrottled.toml

        POLICY    PROJECTS  SCOPES  MODE                CREDENTIAL
        services  svc-*     all     propose (of apply)  dockerhub

        note: `daemon.mode` lets no policy go further than `propose`
        "#);
    }

    #[test]
    fn show_prints_settings_that_read_back() {
        let dir = folder(GOOD);
        let (_, out, _) = end(unthrottled(dir.path()).args(["check", "--show"]));
        let (_, shown) = out.split_once("\n# from ").unwrap_or_else(|| panic!("{out}"));
        let again = folder(&format!("# from {shown}"));
        let (code, same, _) = end(unthrottled(again.path()).args(["check", "--show"]));
        assert_eq!(code, Some(0));
        assert_eq!(same, out);
    }

    #[test]
    fn bad_settings_are_78_with_a_line_for_each_mistake() {
        let dir = folder(&format!("{GOOD}setle = \"1s\"\nretry = \"sometimes\"\n"));
        let (code, out, err) = end(unthrottled(dir.path()).arg("check"));
        assert_eq!((code, out.as_str()), (Some(78), ""));
        assert_snapshot!(err, @r#"
        error: unthrottled.toml:9: policy[0].setle (policy "services"): unknown key, did you mean `settle`?; allowed: name, projects, exclude, tags, scopes, mode, credential, provisioning, later_phase, iac_owned, untrusted_builds, sightings, shared_with_public, retry, settle, verify_within, on_ineffective, on_drift, limits, freeze
        error: unthrottled.toml:10: policy[0].retry (policy "services") = "sometimes": no such choice; allowed: "never", "provisioning", "always"
        "#);
    }

    #[test]
    fn no_settings_say_what_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("empty.toml");
        std::fs::write(&settings, "").unwrap();
        let (code, _, err) = end(unthrottled(dir.path()).args(["check", "--config", "empty.toml"]));
        assert_eq!(code, Some(78));
        assert_snapshot!(err, @r#"error: empty.toml: policy: an empty policy list; allowed: at least one table [[policy]], the least being name = "all" and projects = ["*"], beside [credential.dockerhub] with secret = "NAME""#);
    }

    #[test]
    fn programs_get_json_whether_good_or_bad() {
        let good = folder(GOOD);
        let (code, out, _) = end(unthrottled(good.path()).args(["check", "--format", "json"]));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &json["valid"]), (Some(0), &true.into()));

        let bad = folder(&format!("{GOOD}settle = \"soon\"\n"));
        let (code, out, err) = end(unthrottled(bad.path()).args(["check", "--format", "json"]));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &json["valid"], err.as_str()), (Some(78), &false.into(), ""));
        assert_eq!(json["problems"][0]["key"], "policy[0].settle (policy \"services\")");
        assert_eq!(json["problems"][0]["origin"], "unthrottled.toml:9");
    }

    #[test]
    fn the_environment_and_arguments_count() {
        let dir = folder(GOOD);
        let mut command = unthrottled(dir.path());
        command.env("UNTHROTTLED_DAEMON__MODE", "apply").args(["check", "--show"]);
        let (_, out, _) = end(&mut command);
        assert!(out.contains("\nmode = \"apply\"\nhttp_listen"), "{out}");
        let (_, out, _) = end(command.args(["--set", "daemon.mode=observe"]));
        assert!(out.contains("\nmode = \"observe\"\nhttp_listen"), "{out}");
    }

    #[test]
    fn the_file_can_be_named_by_a_variable() {
        let dir = folder("");
        std::fs::write(dir.path().join("other.toml"), GOOD).unwrap();
        let mut command = unthrottled(dir.path());
        let (code, out, _) = end(command.env("UNTHROTTLED_CONFIG", "other.toml").arg("check"));
        assert_eq!(code, Some(0));
        assert!(out.starts_with("good: other.toml\n"), "{out}");
    }
}

mod colour {
    use super::*;

    fn colour_of(arguments: &[&str], variables: &[(&str, &str)]) -> bool {
        let dir = folder(GOOD);
        let mut command = unthrottled(dir.path());
        let (code, out, _) = end(command.arg("check").args(arguments).envs(variables.iter().copied()));
        assert_eq!(code, Some(0));
        out.contains('\u{1b}')
    }

    #[test]
    fn none_in_a_pipe_unless_asked_for() {
        assert!(!colour_of(&[], &[]));
        assert!(colour_of(&["--color", "always"], &[]));
        assert!(colour_of(&[], &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn none_with_no_color_or_never() {
        assert!(!colour_of(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!colour_of(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    }
}

mod schema {
    use super::*;

    fn schema_of(name: &str) -> serde_json::Value {
        let dir = folder("");
        let (code, out, err) = end(unthrottled(dir.path()).args(["schema", name]));
        assert_eq!((code, err.as_str()), (Some(0), ""));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    #[test]
    fn of_settings() {
        let schema = schema_of("settings");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["daemon"]["properties"]["poll_interval"]["default"], "30s");
        assert_eq!(schema["properties"]["policy"]["items"]["required"], serde_json::json!(["name", "projects"]));
    }

    #[test]
    fn of_plans() {
        let schema = schema_of("plan");
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], serde_json::json!(["schema", "made", "plans"]));
        assert!(schema["$defs"]["Plan"]["properties"]["changes"].is_object(), "{schema}");
    }

    #[test]
    fn of_events() {
        assert!(schema_of("events").is_object());
    }

    #[test]
    fn in_markdown_of_settings_alone() {
        let dir = folder("");
        let (code, out, _) = end(unthrottled(dir.path()).args(["schema", "settings", "--as", "markdown"]));
        assert_eq!(code, Some(0));
        assert!(out.starts_with("# Settings\n"), "{out}");
        let (code, _, err) = end(unthrottled(dir.path()).args(["schema", "plan", "--as", "markdown"]));
        assert_eq!(code, Some(64));
        assert_snapshot!(err, @r#"
        error: there is no Markdown of this schema

        hint: leave `--as markdown` out, or ask for `settings`
        "#);
    }
}

mod healthcheck {
    use super::*;
    use std::io::{self, Read, Write};
    use std::net::TcpListener;

    /// A daemon that answers one request with this status, and anything but that request with nothing.
    fn answers(status: &'static str) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        std::thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut request = [0; 1024];
            let read = stream.read(&mut request)?;
            if request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n") {
                write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n")?;
            }
            Ok(())
        });
        Ok(address)
    }

    #[test]
    fn a_live_daemon_is_0_and_is_found_by_the_settings() {
        let dir = folder(&format!("{GOOD}\n[daemon]\nhttp_listen = \"{}\"\n", answers("200 OK").unwrap()));
        let (code, out, err) = end(unthrottled(dir.path()).arg("healthcheck"));
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "healthy\n", ""));
    }

    #[test]
    fn a_daemon_that_is_stuck_is_1() {
        let dir = folder(GOOD);
        let address = answers("503 Service Unavailable").unwrap();
        let (code, out, _) = end(unthrottled(dir.path()).args(["healthcheck", "--address", &address]));
        assert_eq!((code, out.as_str()), (Some(1), ""));
    }

    #[test]
    fn nobody_there_is_1() {
        // Bound and closed again, so that nothing listens there.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let dir = folder(GOOD);
        let (code, out, err) = end(unthrottled(dir.path()).args(["healthcheck", "--address", &address]));
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.starts_with("error: ") && err.contains(&address), "{err}");
    }

    #[test]
    fn bad_settings_are_78() {
        let dir = folder("policy = []\n");
        assert_eq!(end(unthrottled(dir.path()).arg("healthcheck")).0, Some(78));
    }
}

mod iam_policy {
    use super::*;

    const PLACE: [&str; 5] = ["iam-policy", "--account", "111122223333", "--region", "eu-central-1"];

    fn with(settings: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let dir = folder(settings);
        let mut command = unthrottled(dir.path());
        end(command.env("AWS_EC2_METADATA_DISABLED", "true").args(arguments))
    }

    #[test]
    fn a_sentence_for_each_statement_and_the_size_at_the_end() {
        let (code, out, err) = with(GOOD, &PLACE);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert_snapshot!(out, @"
        Allow FindBuilds
          Finds builds and counts projects. These actions know no resources, so `*` is all that can be named.
            codebuild:ListBuilds
            codebuild:ListProjects
            on *

        Allow ReadAnyProject
          Reads builds: the first and the last of a page tell how far it goes back, whatever project they are of. Reads projects: a plan says who shares the role, and a grant is taken back only if none of them needs it any more.
            codebuild:BatchGetBuilds
            codebuild:BatchGetProjects
            on arn:aws:codebuild:eu-central-1:111122223333:project/*

        Allow ReadProjects
          Reads the projects that a policy names, and their builds.
            codebuild:ListBuildsForProject
            on arn:aws:codebuild:eu-central-1:111122223333:project/svc-*

        Allow ReadLogs
          Reads the logs of failed builds in the groups that CodeBuild makes by default, `/aws/codebuild/<project>`.
            logs:FilterLogEvents
            logs:GetLogEvents
            on arn:aws:logs:eu-central-1:111122223333:log-group:/aws/codebuild/svc-*:*

        Allow ReadServiceRoles
          Reads service roles with their inline policies, to see what a grant would change.
            iam:GetRole
            iam:GetRolePolicy
            iam:ListRolePolicies
            on arn:aws:iam::111122223333:role/service-role/codebuild-*

        Allow CheckTheSecret
          Sees whether the secret is there and has its keys, and asks Docker Hub what its account has left, unless `docker_hub.quota_guard` is off; the value is read, used for that, and dropped.
            secretsmanager:DescribeSecret
            secretsmanager:GetSecretValue
            on arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-??????

        Deny NeverItself
          Never writes to a role of its own or to one that AWS keeps for a service, whatever else is attached to it.
            iam:AttachRolePolicy
            iam:DeleteRole
            iam:DeleteRolePermissionsBoundary
            iam:DeleteRolePolicy
            iam:DetachRolePolicy
            iam:PassRole
            iam:PutRolePermissionsBoundary
            iam:PutRolePolicy
            iam:UpdateAssumeRolePolicy
            iam:UpdateRole
            on arn:aws:iam::111122223333:role/unthrottled*
            on arn:aws:iam::111122223333:role/aws-service-role/*

        1448 characters of the 6144 that a managed policy may have, and the 10240 of a role's inline policies together. The document itself: --format json
        ");
    }

    #[test]
    fn programs_get_the_bare_document() {
        let (code, out, err) = with(GOOD, &[&PLACE[..], &["--format", "json", "--set", "daemon.mode=apply"]].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let document: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        let members: Vec<&String> = document.as_object().map(|all| all.keys().collect()).unwrap_or_default();
        assert_eq!(members, ["Version", "Statement"]);
        assert!(out.contains("project/svc-*") && out.contains("iam:PutRolePolicy"), "{out}");
    }

    #[test]
    fn a_glob_that_iam_can_not_express_is_said() {
        let settings = GOOD.replace("svc-*", "svc-[!x]*");
        let (code, out, _) = with(&settings, &PLACE);
        assert_eq!(code, Some(0));
        assert!(out.contains("can't express `svc-[!x]*`") && out.contains("project/*"), "{out}");
    }

    #[test]
    fn every_role_of_the_account_and_too_many_characters_are_warned_of() {
        let apply = ["--set", "daemon.mode=apply", "--format", "json"];
        let (code, out, err) = with(GOOD, &[&PLACE[..], &apply[..], &["--role-path", "/"]].concat());
        assert_eq!(code, Some(0));
        assert!(out.contains("role/*") && err.contains("whoever may write to a role can become it"), "{err}");
        let globs: Vec<String> = (0..60).map(|n| format!("\"team-{n}-service-*\"")).collect();
        let settings = GOOD.replace("\"svc-*\"", &globs.join(", "));
        let (_, _, err) = with(&settings, &[&PLACE[..], &apply[..]].concat());
        assert!(err.contains("more than a role's inline policies may have (10240)"), "{err}");
    }

    #[test]
    fn no_settings_are_78() {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let (code, out, err) = end(unthrottled(dir.path()).args(PLACE));
        assert_eq!((code, out.as_str()), (Some(78), ""));
        assert!(err.contains("[[policy]]"), "{err}");
    }

    #[test]
    fn a_scope_that_is_not_there_or_has_no_role_is_64() {
        let (code, out, err) = with(GOOD, &[&PLACE[..], &["--scope", "prod"]].concat());
        assert_eq!((code, out.as_str()), (Some(64), ""));
        assert_snapshot!(err, @r"
        error: the settings have no scope `prod`

        hint: there are: default
        ");
        let (code, out, err) = with(GOOD, &[&PLACE[..], &["--scope", "default"]].concat());
        assert_eq!((code, out.as_str()), (Some(64), ""));
        assert!(err.contains("has no role of its own") && err.contains("leave --scope out"), "{err}");
    }

    #[test]
    fn a_member_role_trusts_whom_it_is_told_to() {
        let role = "arn:aws:iam::444455556666:role/unthrottled";
        let settings = format!(
            "{GOOD}\n[[scope]]\nname = \"prod\"\nregion = \"eu-west-1\"\nrole_arn = \"{role}\"\nexternal_id = \"prod-id\"\n"
        );
        // Account and region are those of the scope, and AWS is not asked.
        let (code, out, err) = with(&settings, &["iam-policy", "--scope", "prod", "--format", "json"]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(out.contains("arn:aws:codebuild:eu-west-1:444455556666:project/svc-*"), "{out}");
        let daemon = "arn:aws:iam::111122223333:role/unthrottled";
        let (code, out, _) = with(&settings, &["iam-policy", "--scope", "prod", "--trust", "--principal", daemon]);
        assert!(code == Some(0) && out.contains(daemon) && out.contains("\"sts:ExternalId\": \"prod-id\""), "{out}");
        let (code, _, err) = with(&settings, &["iam-policy", "--scope", "prod", "--trust"]);
        assert!(code == Some(64) && err.contains("--principal arn:aws:iam::111122223333:role/unthrottled"), "{err}");
        let (_, out, _) = with(&settings, &[&PLACE[..], &["--format", "json"]].concat());
        assert!(out.contains("sts:AssumeRole") && out.contains(role) && !out.contains("codebuild:"), "{out}");
    }

    #[test]
    fn without_account_and_credentials_the_way_on_is_named() {
        let (code, out, err) = with(GOOD, &["iam-policy", "--region", "eu-central-1"]);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains("no AWS credentials") && err.contains("--account 111122223333"), "{err}");
        let (code, _, err) = with(GOOD, &["iam-policy", "--account", "111122223333"]);
        assert!(code == Some(64) && err.contains("--region eu-central-1"), "{err}");
    }

    #[test]
    fn arguments_that_make_no_sense_are_64() {
        for (argument, value, said) in [
            ("--account", "1234", "12 digits"),
            ("--role-path", "service-role/", "begins with /"),
            ("--kms-key", "alias/hub", "alias"),
            ("--boundary", "builds", "managed policy"),
        ] {
            let (code, _, err) = with(GOOD, &["iam-policy", argument, value]);
            assert!(code == Some(64) && err.contains(said), "{argument}: {err}");
        }
    }
}

#[test]
fn without_credentials_the_way_to_some_is_named() {
    let dir = folder(GOOD);
    let mut command = unthrottled(dir.path());
    command.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true").arg("scan");
    let (code, out, err) = end(&mut command);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert_snapshot!(err, @r"
    error: scope `default` could not be read: CodeBuild ListBuilds of the account failed: no AWS credentials were found

    hint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`
    ");
}
