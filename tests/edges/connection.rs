//! How AWS is reached: whose keys sign, and what a role that can't be assumed looks like.

use crate::wire::{Answer, Wire};
use serde_json::json;
use unthrottled::edge::aws::{Aws, Connection, Retries};

const ROLE: &str = "arn:aws:iam::444455556666:role/unthrottled";

async fn as_role(wire: &Wire) -> Aws {
    let connection = Connection {
        role_arn: Some(ROLE.into()),
        external_id: Some("x-1".into()),
        retries: Retries::none(),
        ..Connection::to_loopback(wire.endpoint())
    };
    Aws::connect(&connection).await.unwrap()
}

#[tokio::test]
async fn a_role_is_assumed_once_with_its_external_id() {
    let credentials = "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
        <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";
    let builds = || ("ListBuilds", Answer::Json(json!({"ids": []})));
    let wire = Wire::new([("AssumeRole", Answer::Xml(credentials.into())), builds(), builds()]).await;
    let aws = as_role(&wire).await;
    aws.codebuild.list_builds(None).await.unwrap();
    aws.codebuild.list_builds(None).await.unwrap();
    let body = wire.body_of("AssumeRole");
    let expected =
        "RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Funthrottled&RoleSessionName=unthrottled&ExternalId=x-1";
    assert!(body.as_str().unwrap().ends_with(expected), "{body}");
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_a_denial() {
    let wire = Wire::new([("AssumeRole", Answer::XmlError(403, "AccessDenied"))]).await;
    let error = as_role(&wire).await.codebuild.list_builds(None).await.unwrap_err();
    assert!(error.is_denied(), "{error}: {:?}", std::error::Error::source(&error));
}
