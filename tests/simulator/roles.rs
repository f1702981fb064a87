//! Roles and their policies, at the API and in builds.

use aws_sdk_iam::Client;
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use unthrottled::simulator::{Simulator, Unknowns};

use crate::{grant, refusal, simulator, throttled, under};

fn client(sim: &Simulator) -> Client {
    Client::new(&sim.sdk_config())
}

/// A policy of exactly this many characters that are not blank.
fn policy_of(size: usize) -> String {
    let empty = r#"{"Statement":[{"Effect":"Allow","Action":"s3:Get","Resource":"arn:"}]}"#;
    empty.replace("arn:", &format!("arn:{}", "a".repeat(size - empty.len())))
}

/// The project `web` names the secret; whether its builds can read it is up to the role.
fn with_credential(sim: &Simulator) -> String {
    let secret = throttled(sim);
    sim.account(|a| {
        a.project("web").registry_credential(&secret);
    });
    secret
}

#[tokio::test]
async fn a_policy_comes_back_url_encoded_and_goes_when_deleted() {
    let sim = simulator();
    let document =
        json!({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Sid": "a+b c"}]}).to_string();
    sim.account(|a| {
        a.role("web-role").path("/service-role/");
    });
    let iam = client(&sim);
    let put = || iam.put_role_policy().role_name("web-role").policy_name("p");
    put().policy_document(&document).send().await.expect("accepted");
    put().policy_document(&document).send().await.expect("accepted again");
    let got = iam.get_role_policy().role_name("web-role").policy_name("p").send().await.expect("it is there");
    assert!(got.policy_document().starts_with("%7B%22Statement%22"), "{}", got.policy_document());
    assert!(got.policy_document().contains("a%2Bb%20c"), "{}", got.policy_document());
    let decoded = percent_encoding::percent_decode_str(got.policy_document()).decode_utf8().expect("text");
    assert_eq!(decoded, document);
    let role = iam.get_role().role_name("web-role").send().await.expect("it is there");
    assert_eq!(role.role().map(|role| role.arn()), Some("arn:aws:iam::111122223333:role/service-role/web-role"));
    let names = iam.list_role_policies().role_name("web-role").send().await.expect("a list");
    assert_eq!(names.policy_names(), ["p"]);
    iam.delete_role_policy().role_name("web-role").policy_name("p").send().await.expect("accepted");
    assert_eq!(sim.role_policy("web-role", "p"), None);
    let gone = iam.delete_role_policy().role_name("web-role").policy_name("p").send().await;
    assert_eq!(refusal(gone).0, "NoSuchEntity");
}

#[tokio::test]
async fn all_inline_policies_of_a_role_together_have_10240_characters() {
    let sim = simulator();
    let spaced = policy_of(10_000).replace(':', ": \n\t");
    sim.account(|a| {
        a.role("full").inline_policy("old", spaced.as_str());
    });
    let iam = client(&sim);
    let put = |name: &str, size: usize| {
        iam.put_role_policy().role_name("full").policy_name(name).policy_document(policy_of(size)).send()
    };
    put("new", 240).await.expect("it just fits");
    let (code, message) = refusal(put("new", 241).await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role full")
    );
    put("old", 9_000).await.expect("a policy is replaced, not added");
}

#[tokio::test]
async fn what_iam_does_not_change() {
    let sim = simulator();
    sim.account(|a| {
        a.role("own");
        a.role("linked").service_linked();
    });
    let iam = client(&sim);
    let put = |role: &str, document: &str| {
        iam.put_role_policy().role_name(role).policy_name("p").policy_document(document).send()
    };
    let fine = policy_of(100);
    assert_eq!(refusal(put("linked", &fine).await).0, "UnmodifiableEntity");
    assert_eq!(
        refusal(put("none", &fine).await),
        ("NoSuchEntity".to_owned(), "The role with name none cannot be found.".to_owned())
    );
    assert_eq!(refusal(put("own", "{").await).0, "MalformedPolicyDocument");
    assert!(sim.writes().is_empty());
    sim.put_role_policy("own", "foreign", "not json");
    assert_eq!(sim.role_policy("own", "foreign"), Some(Value::String("not json".to_owned())));
    let got = iam.get_role_policy().role_name("own").policy_name("foreign").send().await.expect("it is there");
    assert_eq!(got.policy_document(), "not%20json");
}

#[rstest]
#[case::nothing(None, "because no permissions boundary allows", "FAILED")]
#[case::everything(Some("secretsmanager:*"), "", "SUCCEEDED")]
fn a_boundary_limits_a_grant(#[case] boundary: Option<&str>, #[case] because: &str, #[case] status: &str) {
    let sim = simulator();
    let secret = with_credential(&sim);
    let allowed: Vec<&str> = ["logs:*"].into_iter().chain(boundary).collect();
    sim.account(|a| {
        a.role("web-role")
            .inline_policy("hub", grant(&secret))
            .boundary(json!({"Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}));
        a.project("env").role("web-role").secret_variable("P", &format!("{secret}:password"));
    });
    assert_eq!(sim.run_build("web").status, status);
    let build = sim.run_build("env");
    assert_eq!(build.status, status);
    assert!(build.message.unwrap_or_default().contains(because));
}

#[test]
fn a_deny_in_any_policy_wins() {
    let sim = simulator();
    let secret = with_credential(&sim);
    sim.account(|a| {
        a.role("web-role").inline_policy("hub", grant(&secret)).managed_policy(
            "guard",
            json!({"Statement": [{"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}]}),
        );
    });
    assert_eq!(sim.run_build("web").failed_phase.as_deref(), Some("PROVISIONING"));
}

#[tokio::test]
async fn builds_see_a_grant_later_than_its_reader() {
    let sim = under(Unknowns { iam_propagation: SignedDuration::from_secs(60), ..Unknowns::default() });
    let secret = with_credential(&sim);
    let put = client(&sim)
        .put_role_policy()
        .role_name("web-role")
        .policy_name("hub")
        .policy_document(grant(&secret).to_string());
    put.send().await.expect("accepted");
    assert_eq!(sim.role_policy("web-role", "hub"), Some(grant(&secret)));
    assert_eq!(sim.run_build("web").status, "FAILED");
    sim.advance(SignedDuration::from_secs(60));
    assert_eq!(sim.run_build("web").status, "SUCCEEDED");
    sim.delete_role_policy("web-role", "hub");
    assert_eq!(sim.run_build("web").status, "SUCCEEDED");
    sim.advance(SignedDuration::from_secs(60));
    assert_eq!(sim.run_build("web").status, "FAILED");
}

#[rstest]
#[case::by_id("1234abcd-12ab-34cd-56ef-1234567890ab")]
#[case::by_alias("alias/dockerhub")]
#[case::by_arn("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")]
fn a_customers_key_must_be_opened_too(#[case] key: &str) {
    let sim = simulator();
    let secret = with_credential(&sim);
    let arn = sim.account(|a| {
        a.secret("dockerhub").kms_key(key);
        a.role("web-role").inline_policy("hub", grant(&secret));
        a.project("env").role("web-role").secret_variable("P", "dockerhub:password");
        a.kms_key(key).arn()
    });
    assert_eq!(sim.run_build("env").message.as_deref(), Some("AccessDeniedException: Access to KMS is not allowed"));
    let decrypt = |resource: &str, service: &str| {
        json!({"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": resource,
            "Condition": {"StringEquals": {"kms:ViaService": format!("{service}.us-east-1.amazonaws.com")}}}]})
    };
    sim.put_role_policy("web-role", "key", decrypt(&arn, "s3"));
    assert_eq!(sim.run_build("env").status, "FAILED");
    sim.put_role_policy(
        "web-role",
        "key",
        decrypt("arn:aws:kms:us-east-1:111122223333:alias/dockerhub", "secretsmanager"),
    );
    assert_eq!(sim.run_build("env").status, "FAILED");
    sim.put_role_policy("web-role", "key", decrypt(&arn, "secretsmanager"));
    assert_eq!(
        (sim.run_build("env").status, sim.run_build("web").status),
        ("SUCCEEDED".to_owned(), "SUCCEEDED".to_owned())
    );
    sim.account(|a| {
        a.kms_key(key).no_iam_delegation();
    });
    assert_eq!(sim.run_build("env").status, "FAILED");
}

#[rstest]
#[case("ForAnyValue:StringEquals", "alias/dockerhub", "SUCCEEDED")]
#[case("ForAnyValue:StringLike", "alias/docker*", "SUCCEEDED")]
#[case("ForAnyValue:StringEquals", "alias/other", "FAILED")]
fn a_key_may_be_allowed_by_its_alias_in_a_condition(#[case] operator: &str, #[case] alias: &str, #[case] status: &str) {
    let sim = simulator();
    let secret = with_credential(&sim);
    sim.account(|a| {
        a.secret("dockerhub").kms_key("alias/dockerhub");
        a.role("web-role").inline_policy("hub", grant(&secret)).inline_policy(
            "key",
            json!({"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-east-1:111122223333:key/*",
                "Condition": {operator: {"kms:ResourceAliases": alias}}}]}),
        );
    });
    assert_eq!(sim.run_build("web").status, status);
}

#[tokio::test]
async fn a_simulation_counts_the_boundary_and_a_candidate_policy() {
    let sim = simulator();
    let secret = throttled(&sim);
    let role = sim.account(|a| {
        a.role("bounded").boundary(json!({"Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}));
        a.role("web-role").arn()
    });
    let iam = client(&sim);
    let simulate = |role: &str| {
        iam.simulate_principal_policy()
            .policy_source_arn(role)
            .action_names("secretsmanager:GetSecretValue")
            .resource_arns(&secret)
    };
    let now = simulate(&role).send().await.expect("an answer");
    assert_eq!(now.evaluation_results()[0].eval_decision().as_str(), "implicitDeny");
    let then = simulate(&role).policy_input_list(grant(&secret).to_string()).send().await.expect("an answer");
    assert_eq!(then.evaluation_results()[0].eval_decision().as_str(), "allowed");
    let bounded = simulate("arn:aws:iam::111122223333:role/bounded").policy_input_list(grant(&secret).to_string());
    let bounded = bounded.send().await.expect("an answer");
    let result = &bounded.evaluation_results()[0];
    assert_eq!(result.eval_decision().as_str(), "implicitDeny");
    let detail = result.permissions_boundary_decision_detail().expect("it has a boundary");
    assert!(!detail.allowed_by_permissions_boundary());
}
