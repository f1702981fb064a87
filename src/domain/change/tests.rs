//! Where a change is, for everything that can be there instead.

use super::*;
use crate::domain::testing::*;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case(GrantSeen::Absent, Position::Before)]
#[case(GrantSeen::Present(grant_document()), Position::After)]
#[case(GrantSeen::Present(json!({ "Statement": [] })), Position::Neither)]
#[case(GrantSeen::Malformed, Position::Neither)]
#[case(GrantSeen::RoleGone, Position::Gone)]
fn of_a_grant(#[case] there: GrantSeen, #[case] expected: Position) {
    assert_eq!(grant_change().position(None, &there), expected);
    assert!(!grant_change().was_there());
}

#[test]
fn a_grant_that_was_there_is_where_it_shall_be() {
    let change = Change::Grant {
        role: RoleName::new("builds"),
        policy: GRANT.to_string(),
        before: Some(grant_document()),
        after: grant_document(),
    };
    let there = GrantSeen::Present(grant_document());
    assert!(change.was_there());
    assert_eq!(change.position(None, &there), Position::After);
    assert_eq!(change.position(None, &GrantSeen::Absent), Position::Neither);
}

#[test]
fn a_grant_that_replaces_a_document_is_before_it_while_that_is_there() {
    let before = json!({ "Statement": [] });
    let (role, policy) = (RoleName::new("builds"), GRANT.to_string());
    let change = Change::Grant { role, policy, before: Some(before.clone()), after: grant_document() };
    assert_eq!(change.position(None, &GrantSeen::Present(before)), Position::Before);
    assert_eq!(change.position(None, &GrantSeen::Present(json!({ "Statement": "theirs" }))), Position::Neither);
    assert!(!change.was_there());
}

#[rstest]
#[case(project("web"), Position::Before)]
#[case(project("web").credential(SECRET), Position::After)]
#[case(project("web").credential(SECRET).tagged("a", "b").image("node:24").plain_variable("X"), Position::After)]
#[case(project("web").pulls_as("SERVICE_ROLE"), Position::Neither)]
#[case(project("web").credential(SECRET).pulls_as("CODEBUILD"), Position::Neither)]
#[case(project("web").credential("other"), Position::Neither)]
#[case(project("web").pulls_as("TOMORROW"), Position::Neither)]
fn of_a_credential(#[case] project: Project, #[case] expected: Position) {
    let position = credential_change().position(Some(&project), &GrantSeen::Absent);
    assert_eq!(position, expected);
}

#[test]
fn an_absent_type_of_pull_credentials_means_codebuild() {
    let mut absent = project("web");
    absent.environment.pull_credentials = None;
    let position = credential_change().position(Some(&absent), &GrantSeen::Absent);
    assert_eq!(position, Position::Before);
}

#[rstest]
#[case(project("web").buildspec(BUILDSPEC), Position::Before)]
#[case(logged_in(), Position::After)]
#[case(logged_in().plain_variable("OTHER").credential("other"), Position::After)]
#[case(project("web"), Position::Neither)]
#[case(logged_in().buildspec(BUILDSPEC), Position::Neither)]
#[case(logged_in().buildspec("version: 0.2\n"), Position::Neither)]
#[case(project("web").buildspec("version: 0.2\n"), Position::WithoutOurs)]
#[case(project("web").buildspec(&logged_in_buildspec()), Position::Neither)]
#[case(logged_in().buildspec(&format!("# theirs\n{}", logged_in_buildspec())), Position::AmidOthers)]
#[case(logged_in().buildspec(&logged_in_buildspec().replace(LOGIN, &LOGIN.repeat(2))), Position::Neither)]
#[case(logged_in().buildspec(&logged_in_buildspec().replace("stdin\n", "stdin || true\n")), Position::Neither)]
#[case(logged_in().buildspec(&format!("# theirs\n{}", logged_in_buildspec())).plain_variable("DOCKERHUB_PASSWORD"), Position::Neither)]
#[case(project("web").buildspec(BUILDSPEC).plain_variable("DOCKERHUB_USERNAME"), Position::Neither)]
#[case(logged_in().plain_variable("DOCKERHUB_PASSWORD"), Position::Neither)]
#[case(
    project("web").buildspec(&logged_in_buildspec())
        .secret_variable("DOCKERHUB_USERNAME", "theirs:username")
        .secret_variable("DOCKERHUB_PASSWORD", &format!("{SECRET}:password")),
    Position::Neither
)]
fn of_a_login(#[case] project: Project, #[case] expected: Position) {
    let position = login_change().position(Some(&project), &GrantSeen::Absent);
    assert_eq!(position, expected);
}

#[test]
fn the_line_that_can_not_be_told_from_theirs_is_named() {
    let line = |text: &str| {
        let project = logged_in().buildspec(text);
        login_change().line_of_ours(Some(&project)).map(String::from)
    };
    let twice = logged_in_buildspec().replace(LOGIN, &LOGIN.repeat(2));
    assert_eq!(line(&twice).as_deref(), Some(LOGIN.trim().trim_start_matches("- ")));
    assert_eq!(line(&logged_in_buildspec()), None, "as we left it");
    assert_eq!(line(&format!("# theirs\n{}", logged_in_buildspec())), None, "it can be told");
    assert_eq!(line("version: 0.2\n"), None, "it is not there");
}

#[test]
fn a_project_that_is_gone_is_gone() {
    assert_eq!(login_change().position(None, &GrantSeen::Absent), Position::Gone);
    assert!(!credential_change().kept_credential(None));
}

#[test]
fn a_kept_credential_is_told_from_anything_else() {
    let kept = |project: &Project| credential_change().kept_credential(Some(project));
    assert!(kept(&project("web").credential(SECRET).pulls_as("CODEBUILD")));
    assert!(!kept(&project("web").credential(SECRET)));
    assert!(!kept(&project("web")));
    assert!(!kept(&project("web").credential("other").pulls_as("CODEBUILD")));
    assert!(!grant_change().kept_credential(Some(&project("web"))));
}

#[test]
fn documents_are_compared_by_what_they_say() {
    let one = json!({ "Statement": { "Action": ["a"], "Effect": "Allow" } });
    let same = json!({ "Statement": [{ "Effect": "Allow", "Action": "a" }] });
    assert!(same_document(&one, &same));
    for other in [
        json!({ "Statement": [{ "Effect": "Deny", "Action": "a" }] }),
        json!({ "Statement": [{ "Effect": "Allow", "Action": ["a", "b"] }] }),
        json!({ "Statement": [{ "Effect": "Allow", "Action": "a", "Sid": "x" }] }),
        json!({ "Statement": [] }),
    ] {
        assert!(!same_document(&one, &other), "{other}");
    }
}

#[rstest]
#[case(credential_change(), project("web"), false)]
#[case(credential_change(), project("web").credential(SECRET).pulls_as("CODEBUILD"), true)]
// The same value may be anyone's.
#[case(credential_change(), project("web").credential("other"), false)]
#[case(login_change(), project("web").buildspec(BUILDSPEC), false)]
#[case(login_change(), project("web").buildspec(BUILDSPEC).plain_variable("DOCKERHUB_USERNAME"), false)]
#[case(
    login_change(),
    project("web").buildspec(BUILDSPEC).secret_variable("DOCKERHUB_USERNAME", &format!("{SECRET}:username")), true
)]
#[case(login_change(), project("web").buildspec(&logged_in_buildspec()), true)]
#[case(login_change(), project("web").buildspec(&format!("# theirs\n{}", logged_in_buildspec())), true)]
#[case(login_change(), project("web"), false)]
#[case(grant_change(), project("web").credential(SECRET), false)]
fn part_of_it_is_there(#[case] change: Change, #[case] project: Project, #[case] expected: bool) {
    assert_eq!(change.is_partly_there(Some(&project)), expected);
    assert!(!change.is_partly_there(None));
}

#[test]
fn what_changes_is_named_for_people() {
    assert_eq!(grant_change().what(), "inline policy `unthrottled-dockerhub` of role `builds`");
    assert_eq!(credential_change().what(), "our change to the project");
}
