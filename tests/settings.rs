//! The settings: every default, every layer, and the exact message for each mistake.

use insta::assert_snapshot;
use jiff::SignedDuration;
use std::path::PathBuf;
use unthrottled::domain::policy::{Mode, OnDrift, OnIneffective, Remedy, Retry, UntrustedBuilds};
use unthrottled::edge::settings::{self, Audience, LedgerStore, PageSettings, Settings, Sources};

/// The least that is enough.
const LEAST: &str = r#"
[credential.dockerhub]
secret = "dockerhub"

[[policy]]
name = "all"
projects = ["*"]
"#;

fn load(toml: &str) -> Settings {
    Settings::load(&Sources::text(toml)).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(sources: &Sources) -> String {
    match Settings::load(sources) {
        Err(error) => error.to_string(),
        Ok(settings) => panic!(
            "these are good settings:
{}",
            settings.summary()
        ),
    }
}

/// The problems of the least settings with more text after them, or with more keys in their policy.
fn problems_with(more: &str) -> String {
    problems(&Sources::text(format!("{LEAST}{more}")))
}

fn with_environment(variables: &[(&str, &str)]) -> Sources {
    let environment = variables.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    Sources { environment: environment.collect(), ..Sources::text(LEAST) }
}

mod defaults {
    use super::*;

    #[test]
    fn the_daemon_and_the_ledger() {
        let settings = load(LEAST);
        assert_eq!(settings.daemon.poll_interval, SignedDuration::from_secs(30));
        assert_eq!(settings.daemon.lookback, SignedDuration::from_hours(2));
        assert_eq!(settings.daemon.mode, Mode::Propose);
        assert_eq!(settings.daemon.http_listen, "127.0.0.1:8787".parse().unwrap());
        assert_eq!(settings.daemon.page, PageSettings { audience: Audience::Loopback, hosts: Vec::new() });
        assert_eq!(settings.ledger.store, LedgerStore::File);
        assert_eq!(settings.ledger.path, PathBuf::from("unthrottled.ledger"));
        assert_eq!(settings.ledger.table, "unthrottled");
    }

    #[test]
    fn no_scope_is_the_sdks_own() {
        let settings = load(LEAST);
        let [scope] = settings.scopes.as_slice() else {
            panic!("one scope");
        };
        assert_eq!(scope.name, "default");
        assert_eq!((&scope.region, &scope.role_arn, &scope.external_id), (&None, &None, &None));
    }

    #[test]
    fn a_credential() {
        let settings = load(LEAST);
        let credential = settings.credential("dockerhub").unwrap();
        assert_eq!(credential.name, "dockerhub");
        assert_eq!(credential.username_key, "username");
        assert_eq!(credential.password_key, "password");
        assert_eq!(credential.username_variable, "DOCKERHUB_USERNAME");
        assert_eq!(credential.password_variable, "DOCKERHUB_PASSWORD");
        assert_eq!(credential.policy_name, "unthrottled-dockerhub");
    }

    #[test]
    fn a_policy() {
        let settings = load(LEAST);
        let [policy] = settings.policies.as_slice() else {
            panic!("one policy");
        };
        assert_eq!(policy.mode, Mode::Propose);
        assert_eq!(policy.credential.name, "dockerhub");
        assert_eq!(policy.provisioning, [Remedy::RegistryCredential]);
        assert_eq!(policy.later_phase, [Remedy::BuildspecLogin, Remedy::DockerAuthVariable]);
        assert_eq!(policy.iac_owned, Mode::Propose);
        assert_eq!(policy.untrusted_builds, UntrustedBuilds::Ignore);
        assert_eq!(policy.retry, Retry::Provisioning);
        assert_eq!(policy.settle, SignedDuration::from_secs(15));
        assert_eq!(policy.verify_within, SignedDuration::from_hours(24));
        assert_eq!(policy.on_ineffective, OnIneffective::Rollback);
        assert_eq!(policy.on_drift, OnDrift::Hold);
        assert_eq!(policy.limits.max_open, 5);
        assert_eq!(policy.limits.max_per_hour, 10);
        assert_eq!(policy.limits.max_share, 0.1);
        assert_eq!(policy.limits.attempts_per_project, 2);
        assert!(policy.exclude_globs.is_empty() && policy.exclude.is_empty());
        assert!(policy.tags.is_empty() && policy.scopes.is_empty() && policy.freezes.is_empty());
    }
}

mod layers {
    use super::*;

    #[test]
    fn everything_set_arrives() {
        let settings = load(include_str!("../config/examples/organisation.toml"));
        assert_snapshot!(settings.summary(), @r#"
        # from built-in defaults < unthrottled.toml
        [daemon]
        poll_interval = "1m"
        lookback = "2h"
        mode = "apply"
        http_listen = "0.0.0.0:8787"
        page = "loopback"
        page_hosts = []
        metrics = "emf"

        [ledger]
        store = "file"
        path = "/var/lib/unthrottled/unthrottled.ledger"
        table = "unthrottled"

        [docker_hub]
        probe = true
        quota_guard = true
        quota_floor = "10%"
        auth_url = "https://auth.docker.io"
        registry_url = "https://registry-1.docker.io"

        [[scope]]
        name = "prod-eu"
        region = "eu-central-1"
        role_arn = "arn:aws:iam::111122223333:role/unthrottled"
        external_id = "unthrottled-prod-eu"

        [[scope]]
        name = "sandbox"
        region = "us-east-1"
        role_arn = "arn:aws:iam::444455556666:role/unthrottled"

        [credential.production]
        secret = "dockerhub/production"
        username_key = "username"
        password_key = "password"
        auth_config_key = "docker_auth_config"
        username_variable = "DOCKERHUB_USERNAME"
        password_variable = "DOCKERHUB_PASSWORD"
        policy_name = "unthrottled-production"

        [credential.sandbox]
        secret = "dockerhub/sandbox"
        username_key = "user"
        password_key = "token"
        auth_config_key = "docker_auth_config"
        username_variable = "DOCKERHUB_USERNAME"
        password_variable = "DOCKERHUB_PASSWORD"
        policy_name = "unthrottled-sandbox"

        [[policy]]
        name = "payments"
        projects = ["*"]
        exclude = []
        scopes = ["prod-eu"]
        mode = "propose"
        credential = "production"
        provisioning = ["registry_credential"]
        later_phase = [
            "buildspec_login",
            "docker_auth_variable",
        ]
        iac_owned = "propose"
        untrusted_builds = "ignore"
        sightings = 1
        shared_with_public = "refuse"
        retry = "provisioning"
        settle = "15s"
        verify_within = "24h"
        on_ineffective = "rollback"
        on_drift = "hold"

        [policy.tags]
        team = "payments"

        [policy.limits]
        max_open = 5
        max_per_hour = 10
        max_share = "10%"
        attempts_per_project = 2

        [[policy]]
        name = "production"
        projects = [
            "svc-*",
            "web-*",
        ]
        exclude = ["*-legacy"]
        scopes = ["prod-eu"]
        mode = "apply"
        credential = "production"
        provisioning = ["registry_credential"]
        later_phase = [
            "buildspec_login",
            "docker_auth_variable",
        ]
        iac_owned = "propose"
        untrusted_builds = "ignore"
        sightings = 1
        shared_with_public = "refuse"
        retry = "provisioning"
        settle = "30s"
        verify_within = "3d"
        on_ineffective = "rollback"
        on_drift = "hold"

        [policy.limits]
        max_open = 10
        max_per_hour = 30
        max_share = "5%"
        attempts_per_project = 1

        [[policy]]
        name = "sandbox"
        projects = ["*"]
        exclude = []
        scopes = ["sandbox"]
        mode = "apply"
        credential = "sandbox"
        provisioning = ["registry_credential"]
        later_phase = [
            "buildspec_login",
            "docker_auth_variable",
        ]
        iac_owned = "apply"
        untrusted_builds = "ignore"
        sightings = 1
        shared_with_public = "refuse"
        retry = "always"
        settle = "15s"
        verify_within = "24h"
        on_ineffective = "keep"
        on_drift = "hold"

        [policy.limits]
        max_open = 5
        max_per_hour = 10
        max_share = "10%"
        attempts_per_project = 2
        "#);
    }

    #[test]
    fn the_environment_goes_over_the_file_and_arguments_over_both() {
        let mut sources = with_environment(&[
            ("UNTHROTTLED_DAEMON__POLL_INTERVAL", "10s"),
            ("UNTHROTTLED_DAEMON__LOOKBACK", "1h"),
            ("UNTHROTTLED_CREDENTIAL__DOCKERHUB__SECRET", "0042"),
            ("UNTHROTTLED_CONFIG", "/etc/unthrottled/unthrottled.toml"),
            ("PATH", "/bin"),
        ]);
        sources.arguments.push(("daemon.lookback".to_string(), "3h".to_string()));
        let settings = Settings::load(&sources).unwrap();
        assert_eq!(settings.daemon.poll_interval, SignedDuration::from_secs(10));
        assert_eq!(settings.daemon.lookback, SignedDuration::from_hours(3));
        assert_eq!(settings.policies[0].credential.secret, "0042");
        assert_snapshot!(settings.summary().lines().next().unwrap(), @"# from built-in defaults < unthrottled.toml < environment variable UNTHROTTLED_CREDENTIAL__DOCKERHUB__SECRET < environment variable UNTHROTTLED_DAEMON__LOOKBACK < environment variable UNTHROTTLED_DAEMON__POLL_INTERVAL < argument --set daemon.lookback");
    }

    #[test]
    fn a_container_needs_no_file() {
        let sources = Sources {
            search: Vec::new(),
            environment: vec![
                ("UNTHROTTLED_CREDENTIAL__DOCKERHUB__SECRET".to_string(), "dockerhub".to_string()),
                (
                    "UNTHROTTLED_POLICY".to_string(),
                    r#"[{name = "all", projects = ["svc-*"], mode = "apply", limits = {max_open = 2}}]"#.to_string(),
                ),
            ],
            ..Sources::default()
        };
        let settings = Settings::load(&sources).unwrap();
        assert_eq!(settings.policies[0].project_globs, ["svc-*"]);
        assert_eq!(settings.policies[0].mode, Mode::Apply);
        assert_eq!(settings.policies[0].limits.max_open, 2);
    }

    #[test]
    fn the_first_file_of_the_search_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("none.toml"), dir.path().join("some.toml"));
        std::fs::write(&second, LEAST).unwrap();
        let sources = Sources { search: vec![first, second.clone()], ..Sources::default() };
        assert_eq!(sources.path(), Some(second));
        assert_eq!(Settings::load(&sources).unwrap().policies[0].name, "all");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let sources = Sources { file: Some(PathBuf::from("/nowhere/unthrottled.toml")), ..Sources::default() };
        assert_snapshot!(problems(&sources), @"/nowhere/unthrottled.toml: can't be read: No such file or directory (os error 2); allowed: a TOML file that this user may read");
    }

    #[test]
    fn the_summary_reads_back_to_the_same_settings() {
        for toml in [LEAST, include_str!("../config/examples/organisation.toml")] {
            let settings = load(toml);
            let again = load(settings.summary());
            assert_eq!(again.fingerprint(), settings.fingerprint());
            assert_eq!(format!("{:?}", again.daemon), format!("{:?}", settings.daemon));
            assert_eq!(again.credentials, settings.credentials);
        }
    }

    #[test]
    fn the_fingerprint_tells_settings_apart_and_nothing_else() {
        let in_file = load(&format!(
            r#"
                {LEAST}
                [daemon]
                mode = "apply"
            "#
        ));
        let in_environment = Settings::load(&with_environment(&[("UNTHROTTLED_DAEMON__MODE", "apply")])).unwrap();
        assert_eq!(in_file.fingerprint(), in_environment.fingerprint());
        assert_ne!(in_file.fingerprint(), load(LEAST).fingerprint());
    }

    #[test]
    fn the_only_credential_is_taken_and_of_several_one_is_named() {
        let two = r#"
                [credential.other]
                secret = "other"
            "#;
        assert_snapshot!(problems_with(two), @r#"unthrottled.toml:5: policy[0].credential (policy "all"): missing, and there are several; allowed: "dockerhub", "other""#);
        let named = load(&format!("{LEAST}credential = \"other\"{two}"));
        assert_eq!(named.policies[0].credential.secret, "other");
    }

    #[test]
    fn a_freeze_is_read_in_utc() {
        let frozen = load(&format!(
            r#"
                {LEAST}[[policy.freeze]]
                cron = "0 18 * * FRI"
                duration = "2d 12h"
            "#
        ));
        let policy = &frozen.policies[0];
        let saturday = "2026-11-21T10:00:00Z".parse().unwrap();
        let monday = "2026-11-23T06:00:00Z".parse().unwrap();
        assert_eq!(policy.frozen_until(saturday), Some(monday));
        assert_eq!(policy.frozen_until(monday), None);
    }
}

mod mistakes {
    use super::*;

    #[test]
    fn unknown_keys() {
        assert_snapshot!(problems_with(r#"
                setle = "1s"
                [daemon]
                poll_intervall = "1s"
                http = 1
                [demon]
            "#), @r#"
        unthrottled.toml:9: policy[0].setle (policy "all"): unknown key, did you mean `settle`?; allowed: name, projects, exclude, tags, scopes, mode, credential, provisioning, later_phase, iac_owned, untrusted_builds, sightings, shared_with_public, retry, settle, verify_within, on_ineffective, on_drift, limits, freeze
        unthrottled.toml:11: daemon.poll_intervall: unknown key, did you mean `poll_interval`?; allowed: poll_interval, lookback, mode, http_listen, page, page_hosts, metrics
        unthrottled.toml:12: daemon.http: unknown key, did you mean `http_listen`?; allowed: poll_interval, lookback, mode, http_listen, page, page_hosts, metrics
        unthrottled.toml:13: demon: unknown key, did you mean `daemon`?; allowed: daemon, ledger, docker_hub, scope, images, credential, policy
        "#);
    }

    #[test]
    fn wrong_types() {
        assert_snapshot!(problems_with(r#"
                projects2 = 1
                settle = 15
                limits = [1]
                retry = true
                scopes = [1]
                [daemon]
                lookback = 2026-11-21
            "#), @r#"
        unthrottled.toml:9: policy[0].projects2 (policy "all"): unknown key, did you mean `projects`?; allowed: name, projects, exclude, tags, scopes, mode, credential, provisioning, later_phase, iac_owned, untrusted_builds, sightings, shared_with_public, retry, settle, verify_within, on_ineffective, on_drift, limits, freeze
        unthrottled.toml:10: policy[0].settle (policy "all") = 15: a number does not belong here; allowed: text, as in "15s"
        unthrottled.toml:11: policy[0].limits (policy "all") = [1]: a list does not belong here; allowed: a table
        unthrottled.toml:12: policy[0].retry (policy "all") = true: a truth value does not belong here; allowed: "never", "provisioning", "always"
        unthrottled.toml:13: policy[0].scopes[0] (policy "all") = 1: a number does not belong here; allowed: text
        unthrottled.toml:15: daemon.lookback = 2026-11-21: a date does not belong here; allowed: text, as in "2h"
        "#);
        assert_snapshot!(problems(&Sources::text(r#"
                policy = "all"
                [[daemon]]
                mode = "apply"
            "#)), @r#"
            unthrottled.toml:2: policy = "all": text does not belong here; allowed: tables in double brackets
            unthrottled.toml:3: daemon = [[daemon]]…: a list; write the table's name in single brackets; allowed: a table
            "#);
    }

    #[test]
    fn durations() {
        assert_snapshot!(
            problems_with(r#"
                settle = "15 parsecs"
                verify_within = "-2h"
                [daemon]
                poll_interval = "1ms"
                lookback = "2 years"
                [[policy.freeze]]
                cron = "0 0 18 * * FRI"
                duration = ""
            "#),
            @r#"
            unthrottled.toml:9: policy[0].settle (policy "all") = "15 parsecs": not a length of time; allowed: a length of time such as "30s", "15m" or "2h 30m", from 1ms to 1h
            unthrottled.toml:10: policy[0].verify_within (policy "all") = "-2h": too short; allowed: a length of time such as "30s", "15m" or "2h 30m", from 1ms to 100d
            unthrottled.toml:12: daemon.poll_interval = "1ms": too short; allowed: a length of time such as "30s", "15m" or "2h 30m", from 10ms to 24h
            unthrottled.toml:13: daemon.lookback = "2 years": not a length of time; allowed: a length of time such as "30s", "15m" or "2h 30m", from 1ms to 365d
            unthrottled.toml:16: policy[0].freeze[0].duration (policy "all") = "": an empty text; allowed: text, as in "60h"
            "#
        );
    }

    #[test]
    fn durations_that_are_too_long() {
        assert_snapshot!(problems_with("settle = \"61m\"\n"), @r#"unthrottled.toml:8: policy[0].settle (policy "all") = "61m": too long; allowed: a length of time such as "30s", "15m" or "2h 30m", from 1ms to 1h"#);
        assert_eq!(load(&format!("{LEAST}settle = \"60m\"\n")).policies[0].settle, SignedDuration::from_hours(1));
    }

    #[test]
    fn globs() {
        let bad = LEAST.replace("[\"*\"]", "[\"svc-[\", \"\", \"web\"]\nexclude = [\"{a\"]");
        assert_snapshot!(problems(&Sources::text(bad)), @r#"
        unthrottled.toml:7: policy[0].projects[0] (policy "all") = "svc-[": a bad glob (unclosed character class; missing ']'); allowed: a glob such as "svc-*", "web?" or "{api,web}-*"
        unthrottled.toml:7: policy[0].projects[1] (policy "all") = "": an empty glob; allowed: a glob such as "svc-*", "web?" or "{api,web}-*"
        unthrottled.toml:8: policy[0].exclude[0] (policy "all") = "{a": a bad glob (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)); allowed: a glob such as "svc-*", "web?" or "{api,web}-*"
        "#);
        let none = LEAST.replace("[\"*\"]", "[]");
        assert_snapshot!(problems(&Sources::text(none)), @r#"unthrottled.toml:7: policy[0].projects (policy "all") = []: an empty list; allowed: a list of texts, as in ["svc-*"]"#);
    }

    #[test]
    fn a_missing_credential() {
        assert_snapshot!(problems_with("credential = \"dockrhub\"\n"), @r#"unthrottled.toml:8: policy[0].credential (policy "all") = "dockrhub": no such credential, did you mean "dockerhub"?; allowed: "dockerhub""#);
        assert_snapshot!(problems(&Sources::text(r#"
                [[policy]]
                name = "all"
                projects = ["*"]
            "#)), @r#"unthrottled.toml:2: policy[0].credential (policy "all"): missing, and no credential is configured; allowed: the name of a credential, after a table [credential.dockerhub] with secret = "NAME""#);
    }

    #[test]
    fn an_empty_policy_list() {
        assert_snapshot!(problems(&Sources::text(r#"
                [daemon]
                mode = "apply"
            "#)), @r#"unthrottled.toml: policy: an empty policy list; allowed: at least one table [[policy]], the least being name = "all" and projects = ["*"], beside [credential.dockerhub] with secret = "NAME""#);
        assert_snapshot!(problems(&Sources::text("policy = []\n")), @r#"unthrottled.toml:1: policy: an empty policy list; allowed: at least one table [[policy]], the least being name = "all" and projects = ["*"], beside [credential.dockerhub] with secret = "NAME""#);
        let nothing = Sources { search: Vec::new(), ..Sources::default() };
        assert_snapshot!(problems(&nothing), @r#"no settings file: policy: an empty policy list; allowed: at least one table [[policy]], the least being name = "all" and projects = ["*"], beside [credential.dockerhub] with secret = "NAME""#);
    }

    #[test]
    fn names() {
        assert_snapshot!(
            problems_with(r#"
                scopes = ["prod-eu", "prod_us"]
                [[policy]]
                name = "all"
                projects = ["a"]
                [[policy]]
                name = "a b"
                projects = ["a"]
                [[scope]]
                name = "prod-us"
                region = "us-east-1"
                [[scope]]
                name = "prod-us"
                region = "us-east-2"
            "#),
            @r#"
            unthrottled.toml:9: policy[0].scopes[0] (policy "all") = "prod-eu": no such scope, did you mean "prod-us"?; allowed: "prod-us"
            unthrottled.toml:9: policy[0].scopes[1] (policy "all") = "prod_us": no such scope, did you mean "prod-us"?; allowed: "prod-us"
            unthrottled.toml:11: policy[1].name (policy "all") = "all": taken already; allowed: a name of its own
            unthrottled.toml:14: policy[2].name (policy "a b") = "a b": not a name; allowed: up to 64 letters, digits, `.`, `_` and `-`
            unthrottled.toml:20: scope[1].name (scope "prod-us") = "prod-us": taken already; allowed: a name of its own
            "#
        );
    }

    #[test]
    fn scopes() {
        assert_snapshot!(
            problems_with(r#"
                [[scope]]
                name = "a"
                region = "Frankfurt"
                external_id = "x"
                [[scope]]
                name = "b"
                role_arn = "arn:aws:iam::1:user/x"
                [[scope]]
                name = "c"
                [[scope]]
                name = "d"
            "#),
            @r#"
            unthrottled.toml:11: scope[0].region (scope "a") = "Frankfurt": not a region; allowed: the code of an AWS region, as in "eu-central-1"
            unthrottled.toml:12: scope[0].external_id (scope "a") = "x": without a role to assume; allowed: together with `role_arn` only
            unthrottled.toml:15: scope[1].role_arn (scope "b") = "arn:aws:iam::1:user/x": not the ARN of a role; allowed: the ARN of an IAM role, as in "arn:aws:iam::111122223333:role/unthrottled"
            unthrottled.toml:18: scope[3] (scope "d"): the same account and region as scope "c"; allowed: each account and region once
            "#
        );
    }

    #[test]
    fn schedules_and_shares() {
        assert_snapshot!(
            problems_with(r#"
                [policy.limits]
                max_share = "0%"
                max_open = 0
                max_per_hour = 2.5
                attempts_per_project = -1
                [[policy.freeze]]
                cron = "every friday"
                duration = "60h"
                [[policy.freeze]]
                cron = "0 18 * * FRI"
            "#),
            @r#"
            unthrottled.toml:10: policy[0].limits.max_share (policy "all") = "0%": out of range; allowed: a percentage above "0%" and up to "100%"
            unthrottled.toml:11: policy[0].limits.max_open (policy "all") = 0: too small; allowed: a whole number from 1
            unthrottled.toml:12: policy[0].limits.max_per_hour (policy "all") = 2.5: not a whole number; allowed: a whole number from 1
            unthrottled.toml:13: policy[0].limits.attempts_per_project (policy "all") = -1: too small; allowed: a whole number from 1
            unthrottled.toml:15: policy[0].freeze[0].cron (policy "all") = "every friday": not a schedule (Invalid pattern: Pattern must have between 5 and 7 fields); allowed: five fields of cron, or six with seconds first, as in "0 18 * * FRI"
            unthrottled.toml:17: policy[0].freeze[1].duration (policy "all"): missing; allowed: text, as in "60h"
            "#
        );
        assert_snapshot!(problems_with("limits.max_share = \"a tenth\"\n"), @r#"unthrottled.toml:8: policy[0].limits.max_share (policy "all") = "a tenth": not a percentage; allowed: a percentage above "0%" and up to "100%""#);
    }

    #[test]
    fn credentials() {
        let toml = r#"
                [credential.a]
                secret = "arn:aws:secretsmanager:eu-central-1:1:secret:x"
                username_variable = "CODEBUILD_USER"
                password_variable = "1st"
                policy_name = "a b"
                username_key = "a:b"
                auth_config_key = "password"
                [credential.b]
                secret = "dckr_pat_0123456789"
                policy_name = "unthrottled-dockerhub"
                password_variable = "DOCKERHUB_USERNAME"
                [credential.c]
                password = "hunter2"
                [credential.d]
                secret = { username = "me", password = "hunter2" }
                [credential.e]
                secret = "hunter2 "
            "#;
        let text = problems_with(toml);
        assert_snapshot!(text, @r#"
        unthrottled.toml:2: credential.dockerhub.policy_name: credential "b" has it for another secret; allowed: a name of its own for each secret, as a role can need both
        unthrottled.toml:5: policy[0].credential (policy "all"): missing, and there are several; allowed: "a", "b", "c", "d", "dockerhub", "e"
        unthrottled.toml:10: credential.a.secret = "arn:aws:secretsmanager:eu-central-1:1:secret:x": not the ARN of a secret; allowed: the name or the full ARN of a secret in Secrets Manager
        unthrottled.toml:11: credential.a.username_variable = "CODEBUILD_USER": a name that CodeBuild keeps for itself; allowed: letters, digits and `_`, not a digit first, and not beginning with CODEBUILD_
        unthrottled.toml:12: credential.a.password_variable = "1st": not the name of a variable; allowed: letters, digits and `_`, not a digit first, and not beginning with CODEBUILD_
        unthrottled.toml:13: credential.a.policy_name = "a b": not the name of an inline policy; allowed: up to 128 letters, digits and `_+=,.@-`
        unthrottled.toml:14: credential.a.username_key = "a:b": not a key; allowed: a key of the secret's JSON, without `:`
        unthrottled.toml:15: credential.a.auth_config_key = "password": the same as the key of the user name or password; allowed: a key of its own
        unthrottled.toml:17: credential.b.secret: a Docker Hub token, which settings must not hold; allowed: the name or the full ARN of a secret in Secrets Manager
        unthrottled.toml:19: credential.b.password_variable = "DOCKERHUB_USERNAME": the same as username_variable; allowed: a variable of its own
        unthrottled.toml:20: credential.c.secret: missing; allowed: text, as in "dockerhub"
        unthrottled.toml:21: credential.c.password: unknown key, did you mean `password_key`?; allowed: secret, username_key, password_key, auth_config_key, username_variable, password_variable, policy_name
        unthrottled.toml:23: credential.d.secret: a table does not belong here; allowed: text, as in "dockerhub"
        unthrottled.toml:25: credential.e.secret: not the name of a secret; allowed: the name or the full ARN of a secret in Secrets Manager
        "#);
        assert!(!text.contains("hunter2") && !text.contains("0123456789"));
    }

    #[test]
    fn remedies_of_the_wrong_place_or_of_another_version() {
        assert_snapshot!(
            problems_with(r#"
                provisioning = ["buildspec_login", "docker_auth_variable"]
                later_phase = ["mirror_image", "registry_credential"]
            "#),
            @r#"
            unthrottled.toml:9: policy[0].provisioning[0] (policy "all") = "buildspec_login": no such choice; allowed: "registry_credential", "mirror_image", "propose_patch"
            unthrottled.toml:9: policy[0].provisioning[1] (policy "all") = "docker_auth_variable": no such choice; allowed: "registry_credential", "mirror_image", "propose_patch"
            unthrottled.toml:10: policy[0].later_phase[0] (policy "all") = "mirror_image": no such choice; allowed: "buildspec_login", "docker_auth_variable", "propose_patch"
            unthrottled.toml:10: policy[0].later_phase[1] (policy "all") = "registry_credential": no such choice; allowed: "buildspec_login", "docker_auth_variable", "propose_patch"
            "#
        );
    }

    #[test]
    fn tables_of_images() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("curated.toml");
        std::fs::write(&file, "[needs]\ndocker = \"28.3.0\"\nbuildx = \"0.26\"\ncompose = \"2.38.0\"\n").unwrap();
        let missing = folder.path().join("official.toml");
        let problems = problems_with(&format!("[images]\ncurated = {file:?}\nofficial = {missing:?}\n"));
        let problems = problems.replace(&folder.path().display().to_string(), "/etc");
        assert_snapshot!(problems, @r#"
        unthrottled.toml:9: images.curated = "/etc/curated.toml": line 3 of the file: "0.26" is no version of three numbers, as in "28.3.0"; allowed: a file like config/curated-images.toml
        unthrottled.toml:10: images.official = "/etc/official.toml": the file can't be read (No such file or directory (os error 2)); allowed: a file like config/official-images.toml
        "#);
        std::fs::write(&missing, "mirror = \"mirror.example/library\"\nnames = [\"node\"]\n").unwrap();
        let settings = load(&format!("{LEAST}[images]\nofficial = {missing:?}\n"));
        assert_eq!(settings.images.official.mirror, "mirror.example/library");
        assert!(settings.summary().contains("[images]"), "{}", settings.summary());
        assert!(!load(LEAST).images.curated.images.is_empty(), "the built-in tables");
    }

    #[test]
    fn a_store_that_there_is_not() {
        assert_snapshot!(problems_with(r#"
                [ledger]
                store = "redis"
            "#), @r#"unthrottled.toml:10: ledger.store = "redis": no such choice; allowed: "file", "dynamodb""#);
    }

    #[test]
    fn the_name_of_a_table() {
        for name in ["ab", "my table", "arn:aws:dynamodb:eu-west-1:111122223333:table/unthrottled"] {
            let problem = problems_with(&format!("[ledger]\nstore = \"dynamodb\"\ntable = \"{name}\"\n"));
            assert!(problem.contains("not the name of a DynamoDB table; allowed: 3 to 255 letters"), "{problem}");
        }
    }

    #[test]
    fn the_page_and_its_hosts() {
        let page = |page: &str, hosts: &str| {
            load(&format!("{LEAST}\n[daemon]\npage = {page:?}\npage_hosts = {hosts}")).daemon.page
        };
        let some = page("on", r#"["Unthrottled.Internal", "build_box"]"#);
        assert_eq!(some.audience, Audience::Anyone);
        assert_eq!(some.hosts, ["unthrottled.internal", "build_box"]);
        assert_eq!(page("off", "[]").audience, Audience::Nobody);
        for host in ["", "a b", "https://a", "a:80", "a..b", "*", "[::1]"] {
            let problem = problems_with(&format!("[daemon]\npage_hosts = [{host:?}]\n"));
            assert!(
                problem.contains("daemon.page_hosts[0]") && problem.contains("not the name of a host"),
                "{problem}"
            );
        }
        let problem = problems_with("[daemon]\npage = \"always\"\n");
        assert!(problem.contains("allowed: \"loopback\", \"on\", \"off\""), "{problem}");
    }

    #[test]
    fn an_address() {
        assert_snapshot!(problems_with(r#"
                [daemon]
                http_listen = "localhost"
            "#), @r#"unthrottled.toml:10: daemon.http_listen = "localhost": not an address and port; allowed: an IP address and a port, as in "127.0.0.1:8787" or "[::1]:8787""#);
    }

    #[test]
    fn what_has_to_be_left() {
        assert_snapshot!(problems_with(r#"
                [docker_hub]
                quota_guard = "on"
                quota_floor = "20"
            "#), @r#"
        unthrottled.toml:10: docker_hub.quota_guard = "on": text does not belong here; allowed: true or false
        unthrottled.toml:11: docker_hub.quota_floor = "20": not a percentage; allowed: a percentage above "0%" and up to "100%"
        "#);
        let hub = load(&format!("{LEAST}\n[docker_hub]\nquota_guard = false\nquota_floor = \"2.5%\"")).docker_hub;
        assert!(hub.probe && !hub.quota_guard && (hub.quota_floor - 0.025).abs() < 1e-9, "{hub:?}");
        let hub = load(LEAST).docker_hub;
        assert!(hub.quota_guard && (hub.quota_floor - 0.1).abs() < 1e-9, "on by default: {hub:?}");
    }

    /// The login is sent there.
    #[test]
    fn addresses_of_docker_hub() {
        assert_snapshot!(problems_with(r#"
                [docker_hub]
                probe = "yes"
                auth_url = "http://hub.example.com"
                registry_url = "hub.example.com"
            "#), @r#"
        unthrottled.toml:10: docker_hub.probe = "yes": text does not belong here; allowed: true or false
        unthrottled.toml:11: docker_hub.auth_url = "http://hub.example.com": would send the login without encryption; allowed: an address that begins with https://, or with http:// and a loopback address
        unthrottled.toml:12: docker_hub.registry_url = "hub.example.com": not an address; allowed: an address that begins with https://, or with http:// and a loopback address
        "#);
        let hub = |url: &str| load(&format!("{LEAST}\n[docker_hub]\nprobe = false\nauth_url = \"{url}\"")).docker_hub;
        for url in ["http://127.0.0.1:8080/hub", "http://[::1]:80", "https://hub.example.com:8443/x"] {
            assert_eq!((hub(url).auth_url.as_str(), hub(url).probe), (url, false));
        }
    }

    #[test]
    fn text_that_is_not_toml() {
        assert_snapshot!(problems(&Sources::text(r#"
                [daemon]
                mode = apply
            "#)), @r#"unthrottled.toml:3: not TOML: invalid string, expected `"`, `'`; allowed: TOML 1.0"#);
        assert_snapshot!(problems(&Sources::text(r#"
                [daemon]
                mode = "apply"
                mode = "apply"
            "#)), @"unthrottled.toml:4: not TOML: duplicate key `mode` in table `daemon`; allowed: TOML 1.0");
    }

    #[test]
    fn in_the_environment_and_in_arguments() {
        let mut sources = with_environment(&[
            ("UNTHROTTLED_DAEMON__POLL_INTERVAL", "10 parsecs"),
            ("UNTHROTTLED_DAEMON__MOOD", "apply"),
            ("UNTHROTTLED_POLICY", "[{name = all, projects = [\"*\"], settle = 1}]"),
        ]);
        sources.arguments.push(("daemon.mode".to_string(), "aply".to_string()));
        assert_snapshot!(problems(&sources), @r#"
        argument --set daemon.mode: daemon.mode = "aply": no such choice, did you mean "apply"?; allowed: "observe", "propose", "apply"
        environment variable UNTHROTTLED_DAEMON__MOOD: daemon.mood: unknown key, did you mean `mode`?; allowed: poll_interval, lookback, mode, http_listen, page, page_hosts, metrics
        environment variable UNTHROTTLED_POLICY: policy[0].settle (policy "all") = 1: a number does not belong here; allowed: text, as in "15s"
        environment variable UNTHROTTLED_DAEMON__POLL_INTERVAL: daemon.poll_interval = "10 parsecs": not a length of time; allowed: a length of time such as "30s", "15m" or "2h 30m", from 10ms to 24h
        "#);
    }
}

mod documents {
    use super::*;
    use serde_json::Value as Json;
    use std::collections::BTreeMap;

    const SHIPPED: &str = include_str!("../config/unthrottled.toml");

    /// Every key of the schema with its description, as `policy.limits.max_open`.
    fn keys(schema: &Json, at: &str, keys: &mut BTreeMap<String, String>) {
        for (key, of) in schema["properties"].as_object().into_iter().flatten() {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let inner = [of, &of["items"], &of["additionalProperties"]]
                .into_iter()
                .find(|inner| inner["properties"].is_object());
            match inner {
                Some(inner) => self::keys(inner, &path, keys),
                None => {
                    keys.insert(path, of["description"].as_str().unwrap_or_default().to_string());
                }
            }
        }
    }

    /// Every key of the shipped file with the comment above it, whether it is set or commented out.
    fn shipped_keys() -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let (mut table, mut comment) = (String::new(), String::new());
        for line in SHIPPED.lines() {
            let bare = line.trim_start_matches("# ");
            if bare.starts_with('[') {
                table = bare.trim_matches(['[', ']']).replace(".dockerhub", "");
            } else if let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
                let sentence = comment.replace(" (required)", "");
                found.insert(format!("{table}.{key}"), sentence);
            } else {
                comment = bare.to_string();
            }
        }
        found
    }

    #[test]
    fn the_shipped_file_has_every_key_with_the_sentence_of_the_schema() {
        let mut expected = BTreeMap::new();
        keys(&settings::schema(), "", &mut expected);
        assert!(expected.len() > 30, "{expected:?}");
        assert_eq!(shipped_keys(), expected);
    }

    /// The shipped file with its commented-out tables in force.
    fn uncommented() -> String {
        let is_setting =
            |bare: &str| bare.starts_with('[') || bare.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let lines = SHIPPED.lines().map(|line| match line.strip_prefix("# ") {
            Some(bare) if is_setting(bare) => bare,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_commented_keys_of_the_shipped_file_are_the_defaults() {
        let written = load(&uncommented());
        let least = "
            [[scope]]
            name = \"prod-eu\"
            region = \"eu-central-1\"
            role_arn = \"arn:aws:iam::111122223333:role/unthrottled\"
            external_id = \"unthrottled-prod-eu\"
            [images]
            curated = \"config/curated-images.toml\"
            official = \"config/official-images.toml\"
            [credential.dockerhub]
            secret = \"dockerhub\"
            [[policy]]
            name = \"services\"
            projects = [\"*\"]
            [[policy.freeze]]
            cron = \"0 0 18 * * FRI\"
            duration = \"60h\"
        ";
        assert_eq!(written.summary(), load(least).summary());
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let written = include_str!("../docs/settings.md");
        assert!(written == settings::reference(), "docs/settings.md is stale: run `just docs`");
    }

    #[test]
    fn every_example_is_good() {
        let mut names = Vec::new();
        for entry in std::fs::read_dir("config/examples").unwrap() {
            let path = entry.unwrap().path();
            let sources = Sources { file: Some(path.clone()), ..Sources::default() };
            let settings = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
            assert!(!settings.policies.is_empty());
            names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
        names.sort();
        assert_eq!(names, ["one-account.toml", "organisation.toml", "propose-only.toml"]);
    }

    #[test]
    fn every_recipe_of_the_cookbook_is_good() {
        let blocks = include_str!("../docs/cookbook.md").split("```toml\n").skip(1);
        let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
        let base = blocks.next().unwrap();
        let recipes: Vec<&str> = blocks.collect();
        assert_eq!(recipes.len(), 13);
        for recipe in recipes {
            let settings = load(&format!("{base}{recipe}"));
            assert!(recipe.contains("[[policy]]") && !settings.policies.is_empty(), "{recipe}");
        }
    }
}

mod anything {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = include_str!("../config/examples/organisation.toml");

    proptest! {
        /// Whatever a slip of the hand makes of a good file, it is read or refused with reasons.
        #[test]
        fn a_slip_of_the_hand_is_read_or_refused(
            at in 0..WHOLE.len(),
            length in 0..12_usize,
            typed in prop::sample::select(vec!["", "\"", "[", "]]", "= ", "\n", "0", "{}", "true", "é", "[[policy]]\n", "."]),
        ) {
            let end = (at + length).min(WHOLE.len());
            let text = format!("{}{typed}{}", &WHOLE[..at], &WHOLE[end..]);
            match Settings::load(&Sources::text(text)) {
                Ok(settings) => prop_assert!(!settings.policies.is_empty()),
                Err(error) => {
                    prop_assert!(!error.problems.is_empty());
                    for problem in error.problems {
                        prop_assert!(!problem.problem.is_empty() && !problem.allowed.is_empty(), "{problem}");
                    }
                }
            }
        }
    }
}
