//! The diff that people read.

use super::*;
use crate::domain::remedy::grant;
use crate::domain::testing::*;

#[test]
fn a_registry_credential_reads_as_a_diff() {
    insta::assert_snapshot!(plan("web:41"), @r#"
    + role builds: inline policy unthrottled-dockerhub
    +   Allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd*
    ~ project
    +   environment.registryCredential = arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd
    -   environment.imagePullCredentialsType = CODEBUILD
    +   environment.imagePullCredentialsType = SERVICE_ROLE
    "#);
}

#[test]
fn a_login_with_a_customers_key_reads_as_a_diff() {
    let grant = Change::Grant {
        role: RoleName::new("builds"),
        policy: GRANT.to_string(),
        before: None,
        after: grant::document(&secret_with_key()),
    };
    let plan = Plan { changes: vec![grant, login_change()], ..plan("web:41") };
    insta::assert_snapshot!(plan, @r#"
    + role builds: inline policy unthrottled-dockerhub
    +   Allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd*
    +   Allow kms:Decrypt on arn:aws:kms:eu-central-1:111122223333:key/7c1e where kms:ViaService = secretsmanager.eu-central-1.amazonaws.com
    ~ project
    +   environment.environmentVariables DOCKERHUB_USERNAME = arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd:username (SECRETS_MANAGER)
    +   environment.environmentVariables DOCKERHUB_PASSWORD = arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd:password (SECRETS_MANAGER)
    ~   source.buildspec, build phase, line 5
    +     - echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin
          - docker pull node:22
    "#);
}

#[test]
fn a_grant_that_was_there_is_shown_as_it_is() {
    let there = Change::Grant {
        role: RoleName::new("builds"),
        policy: GRANT.to_string(),
        before: Some(grant_document()),
        after: grant_document(),
    };
    insta::assert_snapshot!(there, @r#"
    role builds: inline policy unthrottled-dockerhub (there already)
      Allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd*
    "#);
}

#[test]
fn an_absent_type_of_pull_credentials_is_said_to_be_not_set() {
    let edit = Edit::PullCredentials { before: None, after: "SERVICE_ROLE".to_string() };
    insta::assert_snapshot!(edit, @r#"
    -   environment.imagePullCredentialsType = (not set)
    +   environment.imagePullCredentialsType = SERVICE_ROLE
    "#);
}

#[test]
fn a_remediation_is_named_by_its_build_alone() {
    let of = |text: &str| RemediationId::of(&id(text)).to_string();
    let build = "web:7f0d0c2e-8f3b-4a7b-9f41-1d2c3b4a5f60";
    assert_eq!(of(build), "web-7f0d0c2e8f3b");
    assert_eq!(of(build), of(build));
    assert_ne!(of(build), of(&build.replace("web", "api")));
    assert_ne!(of(build), of(&build.replace("7f0d", "7f0e")));
}

#[test]
fn the_parts_of_a_plan_are_found() {
    let plan = plan("web:41");
    assert_eq!(plan.grant(), Some((&RoleName::new("builds"), GRANT)));
    assert_eq!(plan.grant_before(), None);
    assert_eq!(plan.edits().len(), 2);
    let empty = Plan { changes: vec![], ..plan };
    assert_eq!((empty.grant(), empty.edits()), (None, &[][..]));
}

#[test]
fn a_plan_begins_with_its_first_change() {
    assert!(plan("web:41").to_string().starts_with("+ role builds"));
}

#[test]
fn a_remediation_is_named_after_its_build() {
    let id = RemediationId::of(&BuildId::new("web:4f1d2e07-aa55-4c11-9d3e-0123456789ab"));
    assert_eq!((id.as_str(), id.to_string().as_str()), ("web-4f1d2e07aa55", "web-4f1d2e07aa55"));
}
