//! `survey`: who pulls without a login, before it fails; and that looking changes nothing.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use assert_cmd::Command;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::cast::{DOCKER_BUILD, SCRIPT};
use support::world::World;
use unthrottled::domain::decide::{Decision, Judgement};
use unthrottled::domain::policy::Remedy;
use unthrottled::domain::survey::Row;
use unthrottled::reconcile::{Access, Failure};
use unthrottled::simulator::{Clock, Fault, Job, Options, Simulator};

/// A buildspec that pulls nothing, and says so.
const QUIET: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo done\n";

const LOGIN: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"$P\" | docker login -u \"$U\" --password-stdin\n      - docker build .\n";

/// What a survey showed: the rows with a way without a login, a line each, and what could not be read.
async fn survey(world: &World) -> Result<(Vec<Row>, Vec<String>), Failure> {
    let mut daemon = world.open(Access::Read).await.expect("the daemon starts");
    let (book, scopes) = daemon.parts();
    let surveyed = scopes[0].survey_projects(book, world.sim.now(), |_, _| ()).await?;
    let mut rows = surveyed.rows;
    unthrottled::domain::survey::sort(&mut rows);
    Ok((rows, scopes[0].unread().iter().map(|(word, detail)| format!("{word}: {detail}")).collect()))
}

fn lines(rows: &[Row]) -> Vec<String> {
    let of_row = |row: &Row| {
        let builds = row.builds.map_or_else(|| "?".to_string(), |count| count.to_string());
        let ways: Vec<String> =
            row.ways.iter().map(|(way, _)| format!("{:?} {}", way.standing, way.evidence)).collect();
        format!("{} {builds}: {}", row.project, ways.join(" | ")).trim_end().to_string()
    };
    rows.iter().map(of_row).collect()
}

#[tokio::test]
async fn every_kind_of_project_is_named_for_what_it_shows_the_busiest_first() {
    let world = World::new();
    world.sim.account(|account| {
        account.hub().limit_anonymous(1_000);
        account.project("image").image("node:22").buildspec(QUIET);
        account.project("client").buildspec(DOCKER_BUILD);
        account.project("script").buildspec(SCRIPT);
        account.project("repository");
        account.project("s3").buildspec("arn:aws:s3:::specs/build.yml");
        account.project("runner").image("node:22").runner();
        account.project("overridden").buildspec(QUIET).repository_file("ci/nightly.yml", DOCKER_BUILD);
        account.project("broken").buildspec("version: 0.2\nphases: [\n");
        account.project("quiet").buildspec(QUIET);
        account.project("mirror").image("public.ecr.aws/docker/library/node:22").buildspec(QUIET);
        account.project("login").image("node:22").registry_credential("dockerhub").buildspec(LOGIN);
    });
    for (project, builds) in [("client", 3), ("image", 2), ("quiet", 5)] {
        for _ in 0..builds {
            world.sim.run_build(project);
        }
    }
    world.sim.run_build("overridden");
    world.sim.run_build_with("overridden", &json!({"buildspecOverride": "ci/nightly.yml"})).expect("a build");
    world.sim.run_job("runner", Job::new(["npm test"])).expect("a build");
    let (rows, unread) = survey(&world).await.expect("a survey");
    assert_eq!(unread, Vec::<String>::new());
    let open: Vec<Row> = rows.iter().filter(|row| row.is_open()).cloned().collect();
    insta::assert_snapshot!(lines(&open).join("\n"), @r"
    client 3: Anonymous line 6: docker build -t app .
    image 2: Anonymous node:22
    overridden 2: NotReadable 1 of 2 builds ran another buildspec
    runner 1: Anonymous node:22 | NotReadable a runner's jobs bring their own commands
    broken 0: NotReadable line 2, column 9: the buildspec is not valid YAML: unclosed bracket '['
    repository 0: NotReadable in the repository, `buildspec.yml`
    s3 0: NotReadable in S3, `arn:aws:s3:::specs/build.yml`
    script 0: Perhaps line 5: a script that is called
    ");
    let rest: Vec<Row> = rows.into_iter().filter(|row| !row.is_open()).collect();
    insta::assert_snapshot!(lines(&rest).join("\n"), @r"
    quiet 5:
    login 0: LoggedIn node:22 | LoggedIn line 5: a login to Docker Hub
    mirror 0:
    ");
}

/// The names and numbers of builds are of the look-back alone.
#[tokio::test]
async fn builds_before_the_look_back_do_not_count() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    world.sim.advance(SignedDuration::from_hours(3));
    world.sim.run_build("web");
    let (rows, _) = survey(&world).await.expect("a survey");
    assert_eq!(rows[0].builds, Some(1));
}

/// What the secret holds is asked once for all projects; what is not known is not assumed.
#[tokio::test]
async fn the_secret_tells_whether_the_variable_would_be_set() {
    let would = async |prepare: fn(&World)| {
        let world = World::new();
        for name in ["api", "web"] {
            world.repository_project(name);
        }
        prepare(&world);
        world.sim.forget_calls();
        let (rows, unread) = survey(&world).await.expect("a survey");
        assert_eq!(unread, Vec::<String>::new());
        assert_eq!(world.calls().get("DescribeSecret"), Some(&1), "{:?}", world.calls());
        let (_, decision) = rows[0].ways[0].clone();
        decision.expect("a decision")
    };
    let set = would(World::secret_for_docker).await;
    assert!(matches!(&set, Decision::Remediate(plan) if plan.remedy == Remedy::DockerAuthVariable), "{set:?}");
    let why = async |prepare| match would(prepare).await {
        Decision::Judge(Judgement::ForOwner { patch }) => patch.why,
        other => panic!("{other:?}"),
    };
    let silent = why(|_| ()).await;
    assert!(silent.ends_with("(auth_config_unusable)"), "{silent}");
    let refused = why(|world| {
        world.secret_for_docker();
        world.sim.fault("DescribeSecret", .., Fault::AccessDenied);
    });
    let refused = refused.await;
    assert!(refused.ends_with("(auth_config_unknown)") && refused.contains("may not read the secret"), "{refused}");
}

#[tokio::test]
async fn a_survey_only_reads_and_keeps_no_ledger() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.docker_project("api");
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    world.sim.forget_calls();
    survey(&world).await.expect("a survey");
    let operations: BTreeSet<String> = world.calls().into_keys().collect();
    let secret = ["DescribeSecret", "GetSecretValue"];
    let expected = ["BatchGetBuilds", "BatchGetProjects", secret[0], secret[1], "ListBuilds", "ListProjects"];
    assert_eq!(operations.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(world.sim.snapshot(), before);
    assert!(!world.ledger().exists(), "no ledger is made");
}

#[tokio::test]
async fn a_thousand_projects_are_twenty_calls() {
    let world = World::new();
    world.sim.account(|account| {
        for n in 0..1_000 {
            account.project(&format!("project-{n:04}")).image("node:22").buildspec(QUIET);
        }
    });
    world.sim.forget_calls();
    let (rows, unread) = survey(&world).await.expect("a survey");
    assert_eq!((rows.len(), unread), (1_000, vec![]));
    let calls = world.calls();
    assert_eq!((calls["ListProjects"], calls["BatchGetProjects"], calls["ListBuilds"]), (10, 10, 1));
}

#[tokio::test]
async fn projects_of_no_policy_are_not_read() {
    let world = World::new().set("projects = [\"*\"]", "projects = [\"svc-*\"]\ntags = { team = \"shop\" }");
    for project in ["svc-web", "svc-api", "web"] {
        world.image_project(project, "node:22");
    }
    world.sim.account(|account| {
        account.project("svc-web").tag("team", "shop");
    });
    let (rows, _) = survey(&world).await.expect("a survey");
    let names: Vec<&str> = rows.iter().map(|row| row.project.as_str()).collect();
    assert_eq!(names, ["svc-web"]);
}

#[tokio::test]
async fn a_project_that_is_deleted_between_list_and_read_is_left_out() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.image_project("gone", "node:22");
    world.sim.fault("BatchGetProjects", 1..=1, Fault::Paused);
    let deleted = async {
        while !world.calls().contains_key("ListProjects") {
            tokio::task::yield_now().await;
        }
        world.sim.delete_project("gone");
        world.sim.go_on();
    };
    let (surveyed, ()) = tokio::join!(survey(&world), deleted);
    let (rows, unread) = surveyed.expect("a survey");
    let names: Vec<&str> = rows.iter().map(|row| row.project.as_str()).collect();
    assert_eq!((names, unread), (vec!["web"], vec![]));
}

#[tokio::test]
async fn names_that_may_not_be_listed_are_no_survey() {
    for fault in [Fault::AccessDenied, Fault::Throttled, Fault::DropBefore] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.fault("ListProjects", .., fault);
        let failure = survey(&world).await.expect_err("no names");
        assert!(failure.detail.contains("ListProjects"), "{failure}");
    }
}

/// What could be read is shown, and the rest is named.
#[tokio::test]
async fn a_part_that_can_not_be_read_is_named_and_the_rest_is_shown() {
    for fault in [Fault::AccessDenied, Fault::Throttled] {
        let world = World::new();
        world.sim.account(|account| {
            for n in 0..150 {
                account.project(&format!("project-{n:03}")).image("node:22").buildspec(QUIET);
            }
        });
        world.sim.fault("BatchGetProjects", 2..=2, fault);
        let (rows, unread) = survey(&world).await.expect("a survey");
        assert_eq!(rows.len(), 100, "{fault:?}");
        let [unread] = unread.as_slice() else { panic!("{unread:?}") };
        assert!(unread.contains("projects `project-100`, `project-101`, `project-102` and 47 more"), "{unread}");

        world.sim.clear_faults();
        world.sim.fault("ListProjects", 2..=2, fault);
        let (rows, unread) = survey(&world).await.expect("a survey");
        assert_eq!((rows.len(), unread.len()), (100, 1), "{fault:?}");
        assert!(unread[0].contains("the list of projects could not be read past the first 100"), "{unread:?}");
    }
}

#[tokio::test]
async fn builds_that_can_not_be_counted_leave_the_rows_without_a_count() {
    for operation in ["ListBuilds", "BatchGetBuilds"] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.run_build("web");
        world.sim.fault(operation, .., Fault::AccessDenied);
        let (rows, unread) = survey(&world).await.expect("a survey");
        assert_eq!(lines(&rows)[0].split(':').next(), Some("web ?"), "{operation}");
        assert!(unread[0].contains("builds could not be counted"), "{unread:?}");
    }
}

/// The program, as people run it.
struct Program {
    sim: Simulator,
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Program {
        let sim =
            Simulator::start(Options { clock: Clock::Wall { speed: 1.0 }, ..Options::default() }).expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = "[ledger]\npath = \"test.ledger\"\n[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"services\"\nprojects = [\"svc-*\"]\n";
        std::fs::write(folder.path().join("unthrottled.toml"), settings).expect("settings");
        Program { sim, folder }
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_unthrottled"))
            .env_clear()
            .current_dir(self.folder.path())
            .env("AWS_ENDPOINT_URL", self.sim.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_MAX_ATTEMPTS", "1")
            .arg("survey")
            .args(arguments)
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn the_program_prints_a_table_and_ends_as_its_findings_are() {
    let program = Program::new();
    let (code, out, err) = program.run(&["--detailed-exitcode"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "No policy matches a project: look at `projects` of the policies, and at the region.\n");

    program.sim.account(|account| {
        account.project("svc-docs");
    });
    assert_eq!(program.run(&["--detailed-exitcode"]).0, Some(0), "what can't be seen is no finding");

    program.sim.account(|account| {
        account.project("svc-web").image("node:22").buildspec(QUIET);
        account.project("svc-quiet").buildspec(QUIET);
        account.project("other").image("node:22");
    });
    let (code, out, err) = program.run(&["--detailed-exitcode"]);
    assert_eq!((code, err.as_str()), (Some(2), ""));
    insta::assert_snapshot!(out, @r"
    PROJECT   BUILDS  PULLS BY      EVIDENCE                            IF REFUSED
    svc-docs       0  not readable  in the repository, `buildspec.yml`  patch for the owner
    svc-web        0  build image   node:22                             registry_credential, proposed

    1 of 3 projects pulls from Docker Hub without a login; 0 more may, 1 can't be read. BUILDS are of the last 2h.
    ");
    assert_eq!(program.run(&[]).0, Some(0));
    assert!(program.run(&["--all"]).1.contains("svc-quiet"));
    assert_eq!(program.run(&["--format", "table"]).1, out);
    assert!(program.sim.writes().is_empty());
    assert!(!program.folder.path().join("test.ledger").exists());
}

#[test]
fn programs_get_a_json_line_a_project() {
    let program = Program::new();
    program.sim.account(|account| {
        account.project("svc-web").image("node:22").buildspec(QUIET);
    });
    let (code, out, err) = program.run(&["--format", "json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        json,
        json!({"project_name": "svc-web", "scope": "default", "builds": 0, "policy": "services", "ways": [
            {"site": "build_image", "standing": "anonymous", "evidence": "node:22", "line": null,
             "decision": "propose", "remedy": "registry_credential", "reason": null, "detail": null},
        ]})
    );
}

#[test]
fn what_could_not_be_read_is_3_and_named() {
    let program = Program::new();
    program.sim.account(|account| {
        account.project("svc-web").image("node:22").buildspec(QUIET);
    });
    program.sim.fault("ListBuilds", .., Fault::AccessDenied);
    let (code, out, err) = program.run(&["--detailed-exitcode"]);
    assert_eq!(code, Some(3));
    assert!(out.contains("svc-web       ?"), "{out}");
    assert!(err.starts_with("not read: builds could not be counted: ") && err.ends_with("(access_denied)\n"), "{err}");

    program.sim.fault("ListProjects", .., Fault::AccessDenied);
    let (code, out, err) = program.run(&[]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(
        err.contains("scope `default` could not be read")
            && err.contains("hint: `unthrottled iam-policy` prints the permissions"),
        "{err}"
    );
}

/// A value in a buildspec may be a secret.
#[test]
fn no_value_of_a_command_is_shown() {
    let program = Program::new();
    program.sim.account(|account| {
        account.project("svc-web").variable("TOKEN", "hunter2").buildspec(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - TOKEN=hunter2 docker build --build-arg KEY=hunter2 .\n",
        );
    });
    for arguments in [&[][..], &["--format", "json"], &["--all"]] {
        let (code, out, err) = program.run(arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(out.contains("svc-web") && !out.contains("hunter2"), "{out}");
    }
}
