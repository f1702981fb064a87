//! What the commands of a buildspec do: logins, pulls, refusals in the words of each client.

use rstest::rstest;
use unthrottled::simulator::{BuildSummary, DockerClient, Simulator};

use crate::{DOCKER_BUILD, grant, simulator};

const HUB: &str = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";

/// Runs one build of these commands, against a Docker Hub that refuses everyone without a login.
fn run(commands: &[&str]) -> (BuildSummary, String) {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0).account("acme", "hub-pw");
        a.project("app").variable("HUB_USER", "acme").variable("HUB_PASSWORD", "hub-pw");
    });
    run_in(&sim, "0.2", commands)
}

fn run_in(sim: &Simulator, version: &str, commands: &[&str]) -> (BuildSummary, String) {
    let quoted: Vec<String> = commands.iter().map(|command| format!("{command:?}")).collect();
    let text = format!("version: {version}\nphases:\n  build:\n    commands: [{}]\n", quoted.join(", "));
    sim.account(|a| {
        a.project("app").buildspec(&text);
    });
    let build = sim.run_build("app");
    let log = sim.log(&build.id).join("\n");
    (build, log)
}

#[rstest]
#[case::stdin(r#"echo "$HUB_PASSWORD" | docker login -u "$HUB_USER" --password-stdin"#)]
#[case::printf(r#"printf '%s' "${HUB_PASSWORD}" | docker login --username=${HUB_USER} --password-stdin docker.io"#)]
#[case::argument("docker login -u $HUB_USER -p $HUB_PASSWORD")]
#[case::joined("docker login --username=$HUB_USER --password=$HUB_PASSWORD https://index.docker.io/v1/")]
#[case::sudo("sudo docker login -u $HUB_USER -p $HUB_PASSWORD >/dev/null 2>&1")]
fn a_login_lets_the_pulls_after_it_through(#[case] login: &str) {
    let (build, log) = run(&[login, "docker pull node:22"]);
    assert_eq!(build.status, "SUCCEEDED", "{log}");
    assert!(log.contains("Status: Downloaded newer image for node:22"));
}

#[rstest]
#[case::wrong_password(
    "echo nope | docker login -u acme --password-stdin",
    "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password"
)]
#[case::no_user(
    "echo hub-pw | docker login -u \"$NOT_SET\" --password-stdin",
    "Must provide --username with --password-stdin"
)]
#[case::nothing_to_read("echo \"$NOT_SET\" | docker login -u acme --password-stdin", "Error: Password Required")]
#[case::no_terminal("docker login", "Error: Cannot perform an interactive login from a non TTY device")]
fn a_login_that_fails_fails_the_build(#[case] login: &str, #[case] text: &str) {
    let (build, log) = run(&[login, "echo not reached"]);
    assert_eq!(build.failed_phase.as_deref(), Some("BUILD"));
    assert!(log.contains(text) && !log.contains("not reached\nnot reached"), "{log}");
    assert!(log.contains(&format!("Command did not exit successfully {login} exit status 1")), "{log}");
}

#[rstest]
#[case::another_registry("docker login -u x -p y registry.example.com")]
#[case::logged_out("docker login -u acme -p hub-pw && docker logout")]
#[case::only_if_it_fails("true || docker login -u acme -p hub-pw")]
fn pulls_stay_anonymous(#[case] first: &str) {
    let (build, log) = run(&[first, "docker pull node:22"]);
    assert_eq!(build.status, "FAILED");
    assert!(log.contains(&format!("Error response from daemon: toomanyrequests: {HUB}")), "{log}");
}

#[rstest]
#[case("docker build -t app .")]
#[case("docker buildx build --push -t app .")]
#[case("docker run --rm -v /a:/b node:22 npm test")]
#[case("docker --config /tmp/x pull node:22")]
#[case("cd app && docker build .")]
#[case("if true; then docker pull node:22; fi")]
#[case("if ! docker pull node:22; then exit 4; fi")]
#[case("for i in 1 2; do docker pull node:22; done")]
#[case("docker pull node:22 || exit 7")]
fn every_way_to_pull_is_refused(#[case] command: &str) {
    let (build, log) = run(&[command]);
    assert_eq!(build.status, "FAILED", "{log}");
    assert!(log.contains("toomanyrequests"), "{log}");
}

#[rstest]
#[case("docker pull public.ecr.aws/docker/library/node:22")]
#[case("docker pull ghcr.io/acme/app")]
#[case("docker push ghcr.io/acme/app")]
#[case("docker pull node:22 || true")]
#[case("docker ps && docker tag a b; docker images")]
#[case("if false; then docker pull node:22; else echo cached; fi")]
#[case("if docker pull node:22; then echo pulled; fi")]
#[case("while false; do docker pull node:22; done")]
fn what_needs_nothing_of_docker_hub_goes_through(#[case] command: &str) {
    assert_eq!(run(&[command]).0.status, "SUCCEEDED");
}

#[rstest]
#[case(DockerClient::Classic, format!("Step 1/5 : FROM node:22\ntoomanyrequests: {HUB}"))]
#[case(DockerClient::BuildKit, format!("#2 ERROR: failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://registry-1.docker.io/v2/library/node/manifests/22: 429 Too Many Requests\ntoomanyrequests: {HUB}"))]
#[case(DockerClient::Engine29, format!("Error response from daemon: error from registry: {HUB}"))]
fn the_refusal_comes_in_the_words_of_the_client(#[case] client: DockerClient, #[case] text: String) {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0);
        a.project("app").docker_client(client);
    });
    let (_, log) = run_in(&sim, "0.2", &["docker build -t app ."]);
    assert!(log.contains(&text), "{log}");
}

#[test]
fn an_account_over_its_own_limit_is_named_in_the_refusal() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().account("acme", "hub-pw").limit(1);
    });
    let (build, log) = run_in(&sim, "0.2", &["docker login -u acme -p hub-pw", "docker pull a/b", "docker pull a/b"]);
    assert_eq!(build.status, "FAILED");
    assert!(log.contains("You have reached your pull rate limit as 'acme': dckr_jti_"), "{log}");
    assert!(!log.contains("unauthenticated"));
}

#[test]
fn each_address_has_a_limit_of_its_own_and_each_from_line_is_a_pull() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(2);
        for name in ["a", "b", "c"] {
            a.project(name).buildspec(DOCKER_BUILD).dockerfile(["node:22", "alpine"]);
        }
        a.project("c").address("192.0.2.7");
    });
    assert_eq!(["a", "b", "c"].map(|name| sim.run_build(name).status), ["SUCCEEDED", "FAILED", "SUCCEEDED"]);
    sim.advance(jiff::SignedDuration::from_hours(6));
    assert_eq!(sim.run_build("b").status, "SUCCEEDED");
}

#[test]
fn compose_pulls_its_own_images_and_ecr_public_throttles_in_its_own_words() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0);
        a.throttle_ecr_public();
        a.project("app").compose(["redis:7"]).dockerfile(["public.ecr.aws/docker/library/node:22"]);
    });
    let (_, log) = run_in(&sim, "0.2", &["docker-compose up -d"]);
    assert!(log.contains(&format!(" redis Error toomanyrequests: {HUB}")), "{log}");
    let (_, log) = run_in(&sim, "0.2", &["docker build ."]);
    assert!(log.contains("toomanyrequests: Rate exceeded") && !log.contains("increase-rate-limit"), "{log}");
}

#[rstest]
#[case::right(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpodWItcHc="}}}"#, "SUCCEEDED")]
#[case::wrong_password(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpub3Bl"}}}"#, "FAILED")]
#[case::a_member_too_many(
    r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpodWItcHc=","email":"a@b"}}}"#,
    "FAILED"
)]
#[case::another_key(r#"{"auths":{"docker.io":{"auth":"YWNtZTpodWItcHc="}}}"#, "FAILED")]
fn the_auth_variable_works_only_in_exactly_its_form(#[case] value: &str, #[case] status: &str) {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0).account("acme", "hub-pw");
        a.project("app").variable("DOCKER_AUTH_CONFIG", value);
    });
    assert_eq!(run_in(&sim, "0.2", &["docker pull node:22"]).0.status, status);
}

/// The image's own docker is what counts, unless a test says which one it has.
#[rstest]
#[case::newest_curated("aws/codebuild/standard:7.0", None, "SUCCEEDED")]
#[case::older_curated("aws/codebuild/standard:6.0", None, "FAILED")]
#[case::own_image("111122223333.dkr.ecr.us-east-1.amazonaws.com/build", None, "FAILED")]
#[case::own_new_image("111122223333.dkr.ecr.us-east-1.amazonaws.com/build", Some((28, 3)), "SUCCEEDED")]
#[case::just_too_old("aws/codebuild/standard:7.0", Some((28, 2)), "FAILED")]
fn an_older_docker_does_not_read_the_auth_variable(
    #[case] image: &str,
    #[case] docker: Option<(u32, u32)>,
    #[case] status: &str,
) {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0).account("acme", "hub-pw");
        let value = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpodWItcHc="}}}"#;
        let project = a.project("app").variable("DOCKER_AUTH_CONFIG", value).image(image);
        if let Some((major, minor)) = docker {
            project.docker_version(major, minor);
        }
    });
    assert_eq!(run_in(&sim, "0.2", &["docker pull node:22"]).0.status, status);
}

#[test]
fn a_push_takes_the_account_whose_repository_it_is() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().account("acme", "hub-pw").account("other", "pw");
    });
    let logins = [("acme", "hub-pw", "SUCCEEDED"), ("other", "pw", "FAILED")];
    for (user, password, status) in logins {
        let login = format!("docker login -u {user} -p {password}");
        let (build, log) = run_in(&sim, "0.2", &[&login, "docker push acme/app:1"]);
        assert_eq!(build.status, status, "{log}");
        assert_eq!(log.contains("denied: requested access to the resource is denied"), status == "FAILED", "{log}");
    }
}

#[test]
fn the_auth_variable_wins_over_a_login() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().account("acme", "hub-pw").limit(0).account("other", "pw");
        let value = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpodWItcHc="}}}"#;
        a.project("app").variable("DOCKER_AUTH_CONFIG", value);
    });
    let (build, log) = run_in(&sim, "0.2", &["docker login -u other -p pw", "docker pull node:22"]);
    assert_eq!(build.status, "FAILED");
    assert!(log.contains("pull rate limit as 'acme'"), "{log}");
}

#[test]
fn version_0_1_forgets_variables_between_commands_and_keeps_the_login() {
    let commands =
        ["export P=hub-pw", "docker login -u acme -p \"$P\" || docker login -u acme -p hub-pw", "docker pull a/b"];
    for (version, logins) in [("0.1", 1), ("0.2", 0)] {
        let sim = simulator();
        sim.account(|a| {
            a.hub().limit_anonymous(0).account("acme", "hub-pw");
        });
        let (build, log) = run_in(&sim, version, &commands);
        assert_eq!(build.status, "SUCCEEDED", "{version} {log}");
        assert_eq!(
            log.matches("Cannot perform an interactive login").count() + log.matches("Password Required").count(),
            logins,
            "{version} {log}"
        );
    }
}

#[test]
fn powershell_and_cmd_read_variables_in_their_own_way() {
    for (shell, login) in [
        ("powershell.exe", "$env:HUB_PASSWORD | docker login -u $env:HUB_USER --password-stdin"),
        ("cmd.exe", "echo %HUB_PASSWORD%| docker login -u %HUB_USER% --password-stdin"),
    ] {
        let sim = simulator();
        sim.account(|a| {
            a.hub().limit_anonymous(0).account("acme", "hub-pw");
            a.project("app")
                .variable("HUB_USER", "acme")
                .variable("HUB_PASSWORD", "hub-pw")
                .buildspec(&format!("version: 0.2\nenv:\n  shell: {shell}\nphases:\n  build:\n    commands:\n      - '{login}'\n      - docker pull node\n"));
        });
        let build = sim.run_build("app");
        assert_eq!(build.status, "SUCCEEDED", "{shell} {:?}", sim.log(&build.id));
    }
}

#[test]
fn scripts_fail_commands_by_how_they_begin_here_or_everywhere() {
    let sim = simulator();
    sim.account(|a| {
        a.command("npm test").exits(3, ["12 passing", "1 failing"]);
        a.project("app");
        a.project("other").command("npm test").prints(["all passing"]);
    });
    let (build, log) = run_in(&sim, "0.2", &["npm testing", "npm test -- --ci"]);
    assert_eq!(
        build.message.as_deref(),
        Some("Error while executing command: npm test -- --ci. Reason: exit status 3")
    );
    assert!(log.contains("\n12 passing\n1 failing\n[Container]"), "{log}");
    sim.account(|a| {
        a.project("other").buildspec("version: 0.2\nphases:\n  build:\n    commands: [npm test]\n");
    });
    assert_eq!(sim.run_build("other").status, "SUCCEEDED");
}

#[test]
fn finally_runs_after_a_failure_and_on_failure_continue_goes_on() {
    let sim = simulator();
    sim.account(|a| {
        a.command("npm test").fails(["1 failing"]);
        a.project("app").buildspec("version: 0.2\nphases:\n  pre_build:\n    on-failure: CONTINUE\n    commands: [npm test, echo skipped]\n    finally: [echo cleaned up]\n  build:\n    commands: [echo built]\n");
    });
    let build = sim.run_build("app");
    let log = sim.log(&build.id).join("\n");
    assert_eq!((build.status.as_str(), build.failed_phase.as_deref()), ("FAILED", Some("PRE_BUILD")));
    assert!(log.contains("\ncleaned up") && log.contains("\nbuilt") && !log.contains("\nskipped"), "{log}");
}

#[rstest]
#[case("version: 0.2\nphases: [\n")]
#[case("version: 0.2\nphases:\n  deploy:\n    commands: []\n")]
#[case("version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n")]
fn a_buildspec_that_cannot_be_read_fails_before_any_command(#[case] text: &str) {
    let sim = simulator();
    sim.account(|a| {
        a.project("app").buildspec(text);
    });
    let build = sim.run_build("app");
    assert_eq!(build.failed_phase.as_deref(), Some("DOWNLOAD_SOURCE"));
    assert_eq!(sim.build_json(&build.id)["phases"][3]["contexts"][0]["statusCode"], "YAML_FILE_ERROR");
}

#[test]
fn the_buildspec_of_the_repository_is_run_where_the_project_has_none() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0);
        a.project("app").repository_buildspec(DOCKER_BUILD);
        a.project("path").buildspec_path("ci/build.yml").repository_buildspec(DOCKER_BUILD);
        a.project("none").no_repository_buildspec();
    });
    assert_eq!(
        ["app", "path"].map(|name| sim.run_build(name).failed_phase),
        [Some("BUILD".to_owned()), Some("BUILD".to_owned())]
    );
    assert_eq!(sim.run_build("none").failed_phase.as_deref(), Some("DOWNLOAD_SOURCE"));
}

#[test]
fn the_projects_variables_win_over_the_buildspecs_and_secret_values_are_masked() {
    let sim = simulator();
    sim.account(|a| {
        let arn = a.secret("dockerhub").login("acme", "hub-pw").arn();
        a.role("codebuild-app").inline_policy("hub", grant(&arn));
        a.project("app")
            .variable("A", "project")
            .secret_variable("P", "dockerhub:password")
            .buildspec("version: 0.2\nenv:\n  variables: {A: buildspec, B: buildspec}\n  secrets-manager: {U: 'dockerhub:username'}\nphases:\n  build:\n    commands: ['echo $A $B $U $P']\n");
    });
    let build = sim.run_build("app");
    let log = sim.log(&build.id).join("\n");
    assert!(log.contains("\nproject buildspec *** ***\n"), "{log}");
}
