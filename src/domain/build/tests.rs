//! How CodeBuild's texts are read: buildspecs, references to secrets, and how a build ended.

use super::*;
use crate::domain::testing::*;
use rstest::rstest;

#[rstest]
#[case(None, "in the repository, `buildspec.yml`")]
#[case(Some(" "), "in the repository, `buildspec.yml`")]
#[case(Some("ci/build.yml\n"), "in the repository, `ci/build.yml`")]
#[case(Some("arn:aws:s3:::bucket/build.yml"), "in S3, `arn:aws:s3:::bucket/build.yml`")]
// Neither of the two alone makes it an object's ARN.
#[case(Some("arn:aws:codecommit:build.yml"), "in the repository, `arn:aws:codecommit:build.yml`")]
#[case(Some("a:s3:::b.yml"), "in the repository, `a:s3:::b.yml`")]
#[case(Some("version: 0.2\nphases: {}"), "inline")]
#[case(Some(" {\"version\": 0.2}"), "inline")]
fn a_buildspec_is_a_text_or_a_place(#[case] text: Option<&str>, #[case] expected: &str) {
    let read = match Buildspec::of(text) {
        Buildspec::Inline(_) => "inline".to_string(),
        Buildspec::Elsewhere(place) => place.to_string(),
    };
    assert_eq!(read, expected);
}

#[rstest]
#[case("arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd", true)]
#[case("arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd:username", true)]
#[case("arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub", true)]
#[case("arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub:username", true)]
#[case("dockerhub", true)]
#[case("dockerhub:username", true)]
#[case("dockerhub-two", false)]
#[case("other:dockerhub", false)]
#[case("arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-two-Ab12Cd", false)]
#[case("arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub", false)]
fn a_secret_is_meant_by_its_arn_or_its_name(#[case] reference: &str, #[case] expected: bool) {
    assert_eq!(SecretArn::new(SECRET).is_meant_by(reference), expected);
}

#[test]
fn a_name_that_its_own_suffix_holds_is_no_other_secret() {
    let secret = SecretArn::new("arn:aws:secretsmanager:eu-central-1:111122223333:secret:ci-Abci12");
    assert!(secret.is_meant_by("arn:aws:secretsmanager:eu-central-1:111122223333:secret:ci:username"));
    let unsuffixed = SecretArn::new("arn:aws:secretsmanager:eu-central-1:111122223333:secret:docker-hub");
    assert_eq!((secret.name(), unsuffixed.name()), ("ci", "docker-hub"));
}

#[test]
fn a_build_has_failed_when_it_is_over_and_not_well() {
    assert!(build("web:41").failed_in("BUILD").has_failed());
    assert!(!build("web:41").has_failed());
    assert!(!build("web:41").running().has_failed());
}
