//! Patches for owners: what `plan` prints, what real tools make of it, and that the AWS CLI's way comes to the same as
//! our own remedy. The tests that need the AWS CLI are run by `tests/patch/run.sh`.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use rstest::rstest;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use unthrottled::simulator::{Options, Simulator};

/// What no output may show: the plain value of a project's variable.
const PLAIN: &str = "hunter2-plain-value";

const BUILDSPEC: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      # keep me\n      - docker build -t app .   \n      - echo done\n";

/// An account with a project of each kind, each throttled once, and the program's settings.
struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let sim = Simulator::start(Options::default()).expect("a loopback port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            let image = account.project("web").image("node:22").variable("DEPLOY_KEY", PLAIN);
            image
                .tag("team", "it is: a_b=c+d@e")
                .tag("terraform", "true")
                .buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - ls\n");
            let inline = account.project("api").dockerfile(["python:3.13"]).variable("DEPLOY_KEY", PLAIN);
            inline.tag("aws:cloudformation:stack-name", "ci").buildspec(BUILDSPEC);
            let elsewhere = account.project("repo").dockerfile(["python:3.13"]).variable("DEPLOY_KEY", PLAIN);
            elsewhere.buildspec_path("ci/buildspec.yml").repository_buildspec(BUILDSPEC);
        });
        for project in ["web", "api", "repo"] {
            assert_eq!(sim.run_build(project).status, "FAILED", "{project}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "[daemon]\nmode = \"apply\"\n[ledger]\npath = {:?}\n[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\n\
             name = \"all\"\nprojects = [\"*\"]\nmode = \"apply\"\niac_owned = \"apply\"\nsettle = \"100ms\"\nretry = \"never\"\n\
             [policy.limits]\nmax_share = \"100%\"\n{}",
            folder.path().join("l.ledger"),
            sim.hub_settings()
        );
        fs::write(folder.path().join("unthrottled.toml"), settings).expect("a settings file");
        Stage { sim, folder }
    }

    /// A command of ours, or of the AWS CLI, in this account.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("AWS_ENDPOINT_URL", self.sim.endpoint());
        command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "simulated");
        command.env("AWS_SECRET_ACCESS_KEY", "simulated").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("SETTLE_SECONDS", "0").env("HOME", self.folder.path());
        command
    }

    /// How the program ended, what it printed and what it said; no plain value is in either.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.command(env!("CARGO_BIN_EXE_unthrottled"));
        let output = command.args(args).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!out.contains(PLAIN) && !err.contains(PLAIN), "{out}{err}");
        (output.status.code().unwrap_or(-1), out, err)
    }

    fn plan(&self, project: &str, form: &str) -> String {
        let (code, out, err) = self.run(&["plan", "--project", project, "--as", form]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        out
    }

    /// The project, its role and all else that a remedy may touch, without the times of its last change.
    fn state(&self) -> Value {
        let mut state = self.sim.snapshot();
        forget_times(&mut state);
        state
    }
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("lastModified");
            members.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => (),
    }
}

#[test]
fn a_buildspec_in_the_repository_is_a_patch_in_every_form() {
    let stage = Stage::new();
    let (writes, before) = (stage.sim.writes().len(), stage.sim.snapshot());
    let text = stage.plan("repo", "text");
    assert!(text.starts_with("repo: propose_patch\n"), "{text}");
    let why = "why         buildspec_login: the buildspec is in the repository, `ci/buildspec.yml`, and not in the project (buildspec_elsewhere); docker_auth_variable: the secret's key `docker_auth_config` can't be used";
    assert!(text.contains(why), "{text}");
    assert!(text.contains("      - echo \"${DOCKERHUB_PASSWORD}\" | docker login -u"), "{text}");
    assert!(text.contains("1 for the owner to change"), "{text}");
    for (form, words) in [
        ("terraform", "resource \"aws_codebuild_project\" \"repo\" {"),
        ("cloudformation", "    Type: AWS::CodeBuild::Project"),
        ("cdk", "export function unthrottleRepo(project: codebuild.Project): void {"),
        ("cli", "aws codebuild update-project"),
    ] {
        let text = stage.plan("repo", form);
        assert!(text.contains(words) && text.contains("DOCKERHUB_USERNAME"), "{text}");
        assert!(!text.contains('\u{1b}'), "plain in a pipe");
    }
    let json: Value = serde_json::from_str(&stage.plan("repo", "json")).expect("JSON");
    assert_eq!(json["plans"], serde_json::json!([]));
    assert_eq!(json["patches"][0]["patch"]["login"]["shell"], "sh");
    assert_eq!((stage.sim.writes().len(), stage.sim.snapshot()), (writes, before), "nothing is changed");
}

#[test]
fn a_saved_patch_is_nothing_to_apply() {
    let stage = Stage::new();
    let (code, ..) = stage.run(&["plan", "--project", "repo", "--out", "p.json", "--detailed-exitcode"]);
    assert_eq!(code, 2);
    let writes = stage.sim.writes().len();
    let (code, out, _) = stage.run(&["apply", "p.json"]);
    assert_eq!((code, out.as_str()), (0, "p.json holds no plan.\n"));
    assert_eq!(stage.sim.writes().len(), writes);
}

#[test]
fn the_diff_of_a_file_goes_through_git_apply() {
    let stage = Stage::new();
    let file = stage.folder.path().join("ci/buildspec.yml");
    fs::create_dir(stage.folder.path().join("ci")).expect("a folder");
    fs::write(&file, BUILDSPEC).expect("a file");
    let (code, out, err) = stage.run(&["plan", "--project", "repo", "--buildspec", "ci/buildspec.yml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    fs::write(stage.folder.path().join("plan.txt"), &out).expect("a file");
    let git = Command::new("git")
        .args(["apply", "plan.txt"])
        .current_dir(stage.folder.path())
        .env("GIT_CEILING_DIRECTORIES", stage.folder.path().parent().unwrap_or(Path::new("/")))
        .output()
        .expect("git runs");
    assert!(git.status.success(), "{}\n{out}", String::from_utf8_lossy(&git.stderr));
    let login = "      - echo \"${DOCKERHUB_PASSWORD}\" | docker login -u \"${DOCKERHUB_USERNAME}\" --password-stdin\n";
    let expected = BUILDSPEC.replace("      # keep me\n", &format!("{login}      # keep me\n"));
    assert_eq!(fs::read_to_string(&file).expect("a file"), expected);
    // Once is enough.
    let (code, _, err) = stage.run(&["plan", "--project", "repo", "--buildspec", "ci/buildspec.yml"]);
    assert_eq!(code, 1);
    assert!(err.contains("ci/buildspec.yml:5:1: it logs in to Docker Hub already"), "{err}");
}

#[rstest]
#[case(&["--project", "repo", "--buildspec", "none.yml"], 1, "the buildspec none.yml could not be read")]
#[case(&["--project", "repo", "--buildspec", "broken.yml"], 1, "broken.yml:4:13: the buildspec is not valid YAML")]
#[case(&["--project", "api", "--buildspec", "other.yml"], 1, "other.yml: the buildspec stands in the project itself")]
#[case(&["--project", "web", "--buildspec", "other.yml"], 1, "other.yml: the cure does not touch the buildspec")]
#[case(&["--project", "nobody", "--buildspec", "other.yml"], 1, "there is no throttled build whose buildspec other.yml could be")]
#[case(&["--buildspec", "other.yml"], 64, "--buildspec is for the buildspec of one project")]
fn a_file_that_does_not_fit_is_said_with_its_place(#[case] args: &[&str], #[case] code: i32, #[case] words: &str) {
    let stage = Stage::new();
    fs::write(stage.folder.path().join("broken.yml"), BUILDSPEC.replace("phases:", "phases: [")).expect("a file");
    fs::write(stage.folder.path().join("other.yml"), BUILDSPEC.replace("app", "other")).expect("a file");
    let (ended, out, err) = stage.run(&[&["plan"], args].concat());
    assert_eq!((ended, out.as_str()), (code, ""), "{err}");
    assert!(err.contains(words), "{err}");
}

/// The script makes the account what `apply` makes it, and a second run changes nothing or refuses.
#[rstest]
#[case("web")]
#[case("api")]
#[ignore = "needs the AWS CLI: tests/patch/run.sh"]
fn the_aws_cli_comes_to_the_same_as_our_own_remedy(#[case] project: &str) {
    let (ours, theirs) = (Stage::new(), Stage::new());
    let before = theirs.state();
    assert_eq!(ours.state(), before, "the two accounts begin alike");
    let (code, ..) = ours.run(&["plan", "--project", project, "--out", "p.json"]);
    assert_eq!(code, 0);
    let (code, out, err) = ours.run(&["apply", "p.json"]);
    assert_eq!(code, 0, "{out}{err}");

    let script = theirs.plan(project, "cli");
    fs::write(theirs.folder.path().join("patch.sh"), &script).expect("a file");
    let ran = theirs.command("bash").arg("patch.sh").output().expect("bash runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(!said.contains(PLAIN), "{said}");
    assert_ne!(theirs.state(), before);
    assert_eq!(theirs.state(), ours.state());

    let after = theirs.state();
    let again = theirs.command("bash").arg("patch.sh").output().expect("bash runs");
    assert_eq!(again.status.success(), project == "web", "a buildspec that has changed is refused");
    assert_eq!(theirs.state(), after);
}

/// Whoever changed the project meanwhile is not overwritten.
#[rstest]
#[case("/environment/image", serde_json::json!("node:24"), "the project has another image now")]
#[case("/environment/registryCredential", serde_json::json!({"credential": "other", "credentialProvider": "SECRETS_MANAGER"}), "another registry credential")]
#[case("/serviceRole", serde_json::json!("arn:aws:iam::111122223333:role/other"), "the project has another role now")]
#[ignore = "needs the AWS CLI: tests/patch/run.sh"]
fn the_script_refuses_a_project_that_has_changed(#[case] place: &str, #[case] value: Value, #[case] words: &str) {
    let stage = Stage::new();
    let script = stage.plan("web", "cli");
    stage.sim.edit_project("web", |json| {
        let (parent, member) = place.rsplit_once('/').unwrap_or_default();
        if let Some(parent) = json.pointer_mut(parent) {
            parent[member] = value;
        }
    });
    let before = stage.state();
    let ran = stage.command("bash").args(["-c", &script]).output().expect("bash runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains(words), "{said}");
    assert_eq!(stage.state(), before);
}

/// A member that the CLI drops would be lost in the update.
#[test]
#[ignore = "needs the AWS CLI: tests/patch/run.sh"]
fn the_script_refuses_to_lose_a_member_that_the_cli_does_not_know() {
    let stage = Stage::new();
    stage.sim.account(|account| {
        account.project("web").environment_member("hologram", serde_json::json!({"depth": 3}));
    });
    assert_eq!(stage.sim.run_build("web").status, "FAILED");
    let script = stage.plan("web", "cli");
    let before = stage.state();
    let ran = stage.command("bash").args(["-c", &script]).output().expect("bash runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("does not know environment.hologram"), "{said}");
    assert_eq!(stage.state(), before);
}

/// Where `tests/patch/run.sh` finds what it gives to the tools of each language.
#[test]
#[ignore = "needs a folder: tests/patch/run.sh"]
fn patches_for_the_tools_of_their_languages() {
    let folder = std::env::var_os("PATCHES").expect("the folder's name in PATCHES");
    let stage = Stage::new();
    for project in ["web", "api", "repo"] {
        for (form, ending) in [("terraform", "tf"), ("cloudformation", "yaml"), ("cdk", "ts"), ("cli", "sh")] {
            let file = Path::new(&folder).join(format!("{project}.{ending}"));
            fs::write(file, stage.plan(project, form)).expect("a file");
        }
    }
}

/// A person applies what the plan shows, and it shows whom the grant reaches.
#[test]
fn a_saved_plan_is_refused_once_strangers_can_get_at_the_credential() {
    let stage = Stage::new();
    let (code, _, err) = stage.run(&["plan", "--project", "web", "--out", "web.plan.json"]);
    assert_eq!(code, 0, "{err}");
    stage.sim.account(|account| drop(account.project("oss").role("codebuild-web").public()));
    let before = stage.state();
    let (code, _, err) = stage.run(&["apply", "web.plan.json"]);
    assert_eq!(code, 1, "{err}");
    let said =
        "the plan does not show that strangers can get at the credential through role `codebuild-web`: `oss` is public";
    assert!(err.contains(said), "{err}");
    assert_eq!(stage.state(), before);
    // Made anew, it shows that, and a person may still want it.
    let (_, _, _) = stage.run(&["plan", "--project", "web", "--out", "web.plan.json"]);
    let saved = fs::read_to_string(stage.folder.path().join("web.plan.json")).expect("a plan");
    assert!(saved.contains("\"open_projects\": 1") || saved.contains("\"open_projects\":1"), "{saved}");
    assert_eq!(stage.run(&["apply", "web.plan.json"]).0, 0);
}
