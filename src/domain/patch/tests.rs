//! Patches as their owners read them, and that no name breaks out of its place.

use super::*;
use crate::domain::change::Edit;
use crate::domain::testing::*;
use rstest::rstest;
use serde_json::json;

/// A plan of `buildspec_login`.
fn login_plan() -> Plan {
    Plan {
        site: Site::DockerClient,
        phase: PhaseName::new("BUILD"),
        changes: vec![grant_change(), login_change()],
        ..plan("web:41")
    }
}

const FORMS: [Form; 4] = [Form::Terraform, Form::CloudFormation, Form::Cdk, Form::Cli];

/// What begins a comment in each form.
fn mark(form: Form) -> &'static str {
    match form {
        Form::Cdk => "//",
        Form::Terraform | Form::CloudFormation | Form::Cli => "#",
    }
}

/// The text without its comments.
fn code(form: Form, text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(mark(form)));
    lines.map(|line| line.to_string() + "\n").collect()
}

#[test]
fn terraform() {
    let plan = plan("web:41");
    insta::assert_snapshot!("terraform_of_a_plan", render(Form::Terraform, &[Sheet::of_plan(&plan)]));
    let patch = patch("web:41");
    insta::assert_snapshot!("terraform_of_a_patch", render(Form::Terraform, &[Sheet::of_patch(&patch)]));
}

#[test]
fn cloudformation() {
    let plan = plan("web:41");
    insta::assert_snapshot!("cloudformation_of_a_plan", render(Form::CloudFormation, &[Sheet::of_plan(&plan)]));
    let patch = patch("web:41");
    insta::assert_snapshot!(
        "cloudformation_of_a_patch",
        code(Form::CloudFormation, &render(Form::CloudFormation, &[Sheet::of_patch(&patch)]))
    );
}

#[test]
fn cdk() {
    let (plan, patch) = (plan("web:41"), patch("web:41"));
    insta::assert_snapshot!("cdk_of_a_plan", render(Form::Cdk, &[Sheet::of_plan(&plan)]));
    insta::assert_snapshot!("cdk_of_a_patch", code(Form::Cdk, &render(Form::Cdk, &[Sheet::of_patch(&patch)])));
}

#[test]
fn cli() {
    let plan = login_plan();
    insta::assert_snapshot!("cli_of_a_plan", render(Form::Cli, &[Sheet::of_plan(&plan)]));
}

#[test]
fn a_buildspec_in_the_project_has_its_diff_in_every_form() {
    let plan = login_plan();
    for form in FORMS {
        let known = render(form, &[Sheet::of_plan(&plan).with_text(BUILDSPEC)]);
        assert!(known.contains(&format!("{} @@ -2,4 +2,5 @@", mark(form))), "{known}");
        assert!(known.contains(&format!("{}        - docker pull node:22", mark(form))), "{known}");
        // What the ledger keeps has no line of the text but the one that the login is put above.
        let kept = render(form, &[Sheet::of_plan(&plan)]);
        assert!(kept.contains(&format!("{} @@ -4,0 +5,1 @@", mark(form))) && !kept.contains("docker pull"), "{kept}");
        let other = render(form, &[Sheet::of_plan(&plan).with_text("version: 0.2\n")]);
        assert_eq!(other, kept);
    }
}

#[test]
fn a_file_of_the_owners_gets_a_diff_under_its_own_name() {
    let patch = patch("web:41");
    let sheet = Sheet::of_patch(&patch).with_file("ci/build.yml", BUILDSPEC).unwrap();
    let diff = sheet.diff().unwrap();
    assert!(diff.starts_with("--- a/ci/build.yml\n+++ b/ci/build.yml\n@@ -2,4 +2,5 @@\n phases:\n"), "{diff}");
    assert!(diff.contains("+      - echo \"${DOCKERHUB_PASSWORD}\" | docker login"), "{diff}");
    for form in FORMS {
        let text = render(form, std::slice::from_ref(&sheet));
        assert!(text.contains(&format!("{} +++ b/ci/build.yml", mark(form))), "{text}");
    }
    // A project's own text may come from a file, as with Terraform's `file()`.
    let plan = login_plan();
    assert!(Sheet::of_plan(&plan).with_file("b.yml", BUILDSPEC).is_ok());
}

#[rstest]
#[case(BUILDSPEC.replace("phases:", "phases: ["), Some((4, 13)), "not valid YAML")]
#[case(BUILDSPEC.replace("docker pull node:22", "docker login -u me --password-stdin; docker pull node"), Some((5, 1)), "logs in to Docker Hub already")]
#[case(BUILDSPEC.replace("node:22", "ghcr.io/a/b"), Some((5, 1)), "needs no login")]
#[case(BUILDSPEC.replace("docker pull node:22", "make"), Some((5, 1)), "no command uses docker")]
fn a_file_that_can_t_be_edited_is_refused_with_its_line(
    #[case] text: String,
    #[case] place: Option<(usize, usize)>,
    #[case] words: &str,
) {
    let patch = patch("web:41");
    let problem = Sheet::of_patch(&patch).with_file("b.yml", &text).unwrap_err();
    assert!(problem.to_string().contains(words), "{problem}");
    assert_eq!(problem.place(), place);
}

/// Inside the owner's code the line stands in a string, and is written as one. A file is a buildspec itself.
#[test]
fn how_the_line_is_written_in_a_string_is_said_where_it_stands_in_one() {
    let plan = login_plan();
    let sheet = Sheet::of_plan(&plan);
    for form in [Form::Terraform, Form::CloudFormation, Form::Cdk] {
        let notes = |sheet: &Sheet<'_>| {
            let text = render(form, std::slice::from_ref(sheet));
            text.lines().filter(|line| line.starts_with(mark(form)) && line.contains("of that line is written")).count()
        };
        assert_eq!(notes(&sheet), 1, "{form:?}");
        assert_eq!(notes(&sheet.clone().with_file("b.yml", BUILDSPEC).unwrap()), 0, "{form:?}");
    }
}

#[test]
fn what_becomes_of_the_buildspec_is_told_to_people() {
    let (image, login, patch) = (plan("web:41"), login_plan(), patch("web:41"));
    assert_eq!(Sheet::of_plan(&image).buildspec_words(), None);
    for sheet in [Sheet::of_plan(&login), Sheet::of_patch(&patch)] {
        let words = sheet.buildspec_words().unwrap();
        assert!(words.contains(&Login::default().line()), "{words}");
    }
    let shown = patch.to_string();
    let changes: Vec<String> = patch.changes.iter().map(Change::to_string).collect();
    let line =
        format!("~ the buildspec, before the first command that pulls an image\n+   - {}", Login::default().line());
    assert_eq!(shown, format!("{}\n{line}", changes.join("\n")));
    assert_eq!(Patch { changes: Vec::new(), ..patch }.to_string(), line);
}

#[test]
fn a_file_that_is_not_the_buildspec_is_refused() {
    let (image, login) = (plan("web:41"), login_plan());
    assert_eq!(Sheet::of_plan(&image).with_file("b.yml", BUILDSPEC).unwrap_err(), FileProblem::NoBuildspecChange);
    let other = BUILDSPEC.replace("node:22", "node:24");
    assert_eq!(Sheet::of_plan(&login).with_file("b.yml", &other).unwrap_err(), FileProblem::NotTheProjects);
}

/// A plan whose every name is hostile.
fn hostile(name: &str) -> Plan {
    let document = json!({ name: [name, { "Effect": name }, []], "Empty": {} });
    Plan {
        project: ProjectName::new(name),
        image: name.to_string(),
        because: BuildId::new(format!("{name}:41")),
        phase: PhaseName::new(name),
        role: RoleName::new(name),
        secret: Some(SecretArn::new(format!("arn:aws:secretsmanager:{name}:1:secret:x"))),
        changes: vec![
            Change::Grant { role: RoleName::new(name), policy: name.to_string(), before: None, after: document },
            Change::Project {
                edits: vec![
                    crate::domain::change::Edit::RegistryCredential { after: name.to_string() },
                    crate::domain::change::Edit::PullCredentials { before: None, after: name.to_string() },
                    crate::domain::change::Edit::Image { before: name.to_string(), after: name.to_string() },
                    crate::domain::change::Edit::Variable { name: name.to_string(), reference: name.to_string() },
                ],
            },
        ],
        ..plan("web:41")
    }
}

const HOSTILE: [&str; 7] = [
    "a\"; } resource \"x\" \"y\" { b = \"${file(\"/etc/passwd\")} %{for}",
    "'; touch /srv/owned; echo '$(id)`id`",
    "x\n  - !Sub ${AWS::AccountId}\nResources: {}\n# ",
    "*/ </script> // \\u{1} ${process.env}\u{2028}evil()",
    "\u{1b}]0;owned\u{7}\u{1b}[2J",
    "\u{202e}txt.exe\u{2066}",
    "\r\nEOF\r\n",
];

/// Code of Terraform without its comments and the contents of its strings, and with all names made alike.
fn skeleton(text: &str) -> String {
    let mut skeleton = String::new();
    let code = code(Form::Terraform, text);
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        skeleton.push(c);
        if c == '"' {
            while let Some(inside) = chars.next() {
                match inside {
                    '"' => break,
                    '\\' => assert!(chars.next().is_some()),
                    inside => assert_ne!(inside, '\n'),
                }
            }
        }
    }
    let words = skeleton.split_whitespace().map(|word| if word.contains("policy.") { "[name]" } else { word });
    // `calm` is a name that needs no quotes as a member of an object.
    words.map(|word| word.replace("calm", "\"")).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_name_breaks_out_of_its_place() {
    for name in HOSTILE {
        let plan = hostile(name);
        let sheet = Sheet::of_plan(&plan);
        for form in FORMS {
            let text = render(form, std::slice::from_ref(&sheet));
            let seen = |c: char| c == '\n' || c == '\t' || c == '\u{FFFD}' || matches!(c, ' '..='~');
            assert!(text.chars().all(seen), "{form:?}: {text:?}");
        }
        let cloudformation = render(Form::CloudFormation, std::slice::from_ref(&sheet));
        let read: serde_json::Value = serde_norway::from_str(&cloudformation).unwrap();
        let resources = read["Resources"].as_object().unwrap();
        assert_eq!(resources.len(), 2, "{cloudformation}");
        let policy = &resources.values().next().unwrap()["Properties"];
        assert_eq!((&policy["RoleName"], &policy["PolicyName"]), (&json!(name), &json!(name)));
        assert_eq!(policy["PolicyDocument"], json!({ name: [name, { "Effect": name }, []], "Empty": {} }));
        let variable = &resources.values().nth(1).unwrap()["Properties"]["Environment"]["EnvironmentVariables"][0];
        assert_eq!((&variable["Name"], &variable["Value"]), (&json!(name), &json!(name)));

        let terraform = render(Form::Terraform, std::slice::from_ref(&sheet));
        // Nothing but our own words and braces stands outside of strings.
        let (calm, wild) = (hostile("calm"), skeleton(&terraform));
        assert_eq!(wild, skeleton(&render(Form::Terraform, &[Sheet::of_plan(&calm)])), "{terraform}");
    }
}

#[test]
fn projects_of_one_role_share_its_grant_in_one_configuration() {
    let (web, api) = (plan("web:41"), Plan { project: ProjectName::new("api"), ..plan("api:7") });
    let text = render(Form::Terraform, &[Sheet::of_plan(&web), Sheet::of_plan(&api)]);
    assert_eq!(text.matches("resource \"aws_iam_role_policy\"").count(), 1);
    assert_eq!(text.matches("depends_on = [aws_iam_role_policy.unthrottled_dockerhub_builds]").count(), 2);
    let text = render(Form::CloudFormation, &[Sheet::of_plan(&web), Sheet::of_plan(&api)]);
    assert_eq!(text.matches("---\n").count(), 1);
    let text = render(Form::Cdk, &[Sheet::of_plan(&web), Sheet::of_plan(&api)]);
    assert_eq!((text.matches("import ").count(), text.matches("export function").count()), (2, 2));
}

#[test]
fn what_is_in_place_is_not_asked_for() {
    let there = Change::Grant {
        role: RoleName::new("builds"),
        policy: GRANT.to_string(),
        before: Some(grant_document()),
        after: grant_document(),
    };
    let patch = Patch { changes: vec![there], ..patch("web:41") };
    for form in FORMS {
        let text = render(form, &[Sheet::of_patch(&patch)]);
        assert!(text.contains("docker login -u"), "{text}");
        assert!(!text.contains("GetSecretValue") && !text.contains("update-project"), "{text}");
        let only_the_head = matches!(form, Form::Cli);
        assert_eq!(code(form, &text).trim().is_empty(), !only_the_head, "{text}");
    }
}

#[test]
fn the_form_is_that_of_the_owner() {
    assert_eq!(Form::of(Some(Owner::Terraform)), Form::Terraform);
    assert_eq!(Form::of(Some(Owner::CloudFormation)), Form::CloudFormation);
    assert_eq!(Form::of(Some(Owner::Cdk)), Form::Cdk);
    assert_eq!(Form::of(None), Form::Cli);
}

#[test]
fn likeness_is_of_what_is_asked_for_and_not_of_the_build() {
    let later = Patch { because: id("web:42"), why: "other".to_string(), ..patch("web:41") };
    assert!(patch("web:41").is_like(&later));
    assert!(!patch("web:41").is_like(&Patch { login: None, ..patch("web:41") }));
    assert!(!patch("web:41").is_like(&Patch { owner: None, ..patch("web:41") }));
    assert!(!patch("web:41").is_like(&Patch { changes: vec![grant_change()], ..patch("web:41") }));
}

#[test]
fn a_grant_alone_and_members_alone_are_whole_in_every_form() {
    let grant = Plan { changes: vec![grant_change()], ..plan("web:41") };
    for form in FORMS {
        let text = |plan: &Plan| code(form, &render(form, &[Sheet::of_plan(plan)]));
        let (granted, mirrored) = (text(&grant), text(&mirror_plan()));
        assert!(granted.contains("secretsmanager:GetSecretValue"), "{granted}");
        assert!(mirrored.contains(MIRRORED), "{mirrored}");
        for text in [granted, mirrored] {
            assert_eq!(text.starts_with("import * as codebuild"), matches!(form, Form::Cdk), "{text}");
        }
    }
}

#[test]
fn the_head_says_what_the_patch_is_for() {
    let reference = format!("{SECRET}:docker_auth_config");
    let edits = vec![Edit::Variable { name: "DOCKER_AUTH_CONFIG".to_string(), reference }];
    let variable = Plan { changes: vec![grant_change(), Change::Project { edits }], ..plan("web:41") };
    for (plan, what) in [
        (mirror_plan(), "CodeBuild project web: take the same image from ECR Public"),
        (variable, "CodeBuild project web: log in to Docker Hub by a variable that docker reads"),
        (plan("web:41"), "CodeBuild project web: pull with the Docker Hub credential"),
    ] {
        let text = render(Form::Terraform, &[Sheet::of_plan(&plan)]);
        assert!(text.contains(what), "{text}");
    }
}
