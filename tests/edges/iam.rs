//! Roles and their inline policies.

use crate::wire::{Answer, Wire};
use serde_json::{Value, json};
use unthrottled::domain::build::RoleName;
use unthrottled::edge::iam::{PolicyRead, PolicyWrite};

fn role(path: &str) -> (&'static str, Answer) {
    let xml = format!(
        "<Role><Path>{path}</Path><RoleName>builder</RoleName><RoleId>AROAEXAMPLE</RoleId>\
         <Arn>arn:aws:iam::111122223333:role{path}builder</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>"
    );
    ("GetRole", Answer::Xml(xml))
}

fn policy(document: &str) -> (&'static str, Answer) {
    let xml =
        format!("<RoleName>builder</RoleName><PolicyName>p</PolicyName><PolicyDocument>{document}</PolicyDocument>");
    ("GetRolePolicy", Answer::Xml(xml))
}

fn policies(names: &[&str], marker: Option<&str>) -> (&'static str, Answer) {
    let members: String = names.iter().map(|name| format!("<member>{name}</member>")).collect();
    let marker = marker.map_or("<IsTruncated>false</IsTruncated>".to_string(), |marker| {
        format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>")
    });
    ("ListRolePolicies", Answer::Xml(format!("<PolicyNames>{members}</PolicyNames>{marker}")))
}

fn gone(operation: &'static str) -> (&'static str, Answer) {
    (operation, Answer::XmlError(404, "NoSuchEntity"))
}

fn done(operation: &'static str) -> (&'static str, Answer) {
    (operation, Answer::Xml(String::new()))
}

fn builder() -> RoleName {
    RoleName::new("builder")
}

/// `{"a": 1}` as IAM sends it.
const DOCUMENT: &str = "%7B%22a%22%3A%201%7D";

#[tokio::test]
async fn a_role_is_read_with_all_its_inline_policies() {
    let wire = Wire::new([
        role("/service-role/"),
        policies(&["one"], Some("m1")),
        policies(&["went meanwhile", "odd"], None),
        policy(DOCUMENT),
        gone("GetRolePolicy"),
        policy("no%20json"),
    ])
    .await;
    let role = wire.aws().await.iam.role(&builder()).await.unwrap().unwrap();
    assert_eq!(role.path, "/service-role/");
    let inline: Vec<(&str, &Option<Value>, usize)> =
        role.inline.iter().map(|policy| (policy.name.as_str(), &policy.document, policy.size)).collect();
    assert_eq!(inline, [("one", &Some(json!({"a": 1})), 7), ("odd", &None, 6)]);
    assert!(wire.sent()[2].body.as_str().unwrap().contains("Marker=m1"));
}

#[tokio::test]
async fn a_role_may_be_gone_at_once_or_between_two_calls() {
    for script in [vec![gone("GetRole")], vec![role("/"), gone("ListRolePolicies")]] {
        let wire = Wire::new(script).await;
        assert_eq!(wire.aws().await.iam.role(&builder()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_two_absences_are_told_apart() {
    let present = Wire::new([policy(DOCUMENT)]).await;
    let read = present.aws().await.iam.policy(&builder(), "p").await.unwrap();
    assert!(matches!(read, PolicyRead::Present(policy) if policy.document == Some(json!({"a": 1}))));
    let absent = Wire::new([gone("GetRolePolicy"), role("/")]).await;
    assert_eq!(absent.aws().await.iam.policy(&builder(), "p").await.unwrap(), PolicyRead::Absent);
    let no_role = Wire::new([gone("GetRolePolicy"), gone("GetRole")]).await;
    assert_eq!(no_role.aws().await.iam.policy(&builder(), "p").await.unwrap(), PolicyRead::RoleGone);
}

#[tokio::test]
async fn a_policy_is_written_where_it_is_expected_to_be_absent() {
    let wire = Wire::new([role("/"), gone("GetRolePolicy"), done("PutRolePolicy")]).await;
    let document = json!({"Version": "2012-10-17", "Statement": []});
    let written = wire.aws().await.iam.put_policy(&builder(), "p", &document, async |current| current.is_none()).await;
    assert_eq!(written.unwrap(), PolicyWrite::Done);
    let body = wire.body_of("PutRolePolicy");
    let document = "PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
    assert!(body.as_str().unwrap().contains(&format!("RoleName=builder&PolicyName=p&{document}")), "{body}");
}

#[tokio::test]
async fn nothing_is_written_over_what_was_not_expected() {
    for script in [vec![role("/"), policy(DOCUMENT)], vec![role("/"), gone("GetRolePolicy")]] {
        let is_there = script[1].1.clone();
        let expect_other = async move |current: Option<&unthrottled::domain::build::InlinePolicy>| match is_there {
            Answer::Xml(_) => current.is_none(),
            _ => current.is_some(),
        };
        let put = Wire::new(script.clone()).await;
        let written = put.aws().await.iam.put_policy(&builder(), "p", &json!({}), expect_other.clone()).await;
        assert_eq!(written.unwrap(), PolicyWrite::NotAsExpected);
        assert_eq!(put.operations(), ["GetRole", "GetRolePolicy"]);
        let delete = Wire::new(script).await;
        let deleted = delete.aws().await.iam.delete_policy(&builder(), "p", expect_other).await;
        assert_eq!(deleted.unwrap(), PolicyWrite::NotAsExpected);
        assert_eq!(delete.operations(), ["GetRole", "GetRolePolicy"]);
    }
}

#[tokio::test]
async fn a_role_may_be_gone_when_its_policy_is_written() {
    for script in [vec![gone("GetRole")], vec![role("/"), gone("GetRolePolicy"), gone("PutRolePolicy")]] {
        let wire = Wire::new(script).await;
        let written = wire.aws().await.iam.put_policy(&builder(), "p", &json!({}), async |_| true).await;
        assert_eq!(written.unwrap(), PolicyWrite::RoleGone);
    }
}

#[tokio::test]
async fn a_policy_is_deleted_once() {
    let there = vec![role("/"), policy(DOCUMENT), done("DeleteRolePolicy")];
    let absent = vec![role("/"), gone("GetRolePolicy")];
    let meanwhile = vec![role("/"), policy(DOCUMENT), gone("DeleteRolePolicy")];
    for script in [there, absent, meanwhile] {
        let wire = Wire::new(script).await;
        let deleted = wire.aws().await.iam.delete_policy(&builder(), "p", async |_| true).await;
        assert_eq!(deleted.unwrap(), PolicyWrite::Done);
        wire.sent();
    }
}

#[tokio::test]
async fn a_service_linked_role_is_not_written_to() {
    let wire =
        Wire::new([role("/aws-service-role/x.amazonaws.com/"), role("/aws-service-role/x.amazonaws.com/")]).await;
    let iam = wire.aws().await.iam;
    let put = iam.put_policy(&builder(), "p", &json!({}), async |_| true).await.unwrap_err();
    let delete = iam.delete_policy(&builder(), "p", async |_| true).await.unwrap_err();
    assert!(put.is_rejected() && delete.is_rejected());
    assert_eq!(put.to_string(), "role builder is service-linked: only AWS may change it");
    assert_eq!(wire.operations(), ["GetRole", "GetRole"]);
}
