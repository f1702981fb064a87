//! Secrets Manager at the API, and secrets that builds cannot use.

use aws_sdk_secretsmanager::Client;
use rstest::rstest;
use unthrottled::simulator::Simulator;

use crate::{grant, refusal, simulator, throttled};

fn client(sim: &Simulator) -> Client {
    Client::new(&sim.sdk_config())
}

#[tokio::test]
async fn a_secret_is_found_by_name_full_and_partial_arn_and_its_key_is_named_only_if_it_is_a_customers() {
    let sim = simulator();
    let arn = throttled(&sim);
    sim.account(|a| {
        a.secret("own-key").kms_key("alias/own");
    });
    let client = client(&sim);
    let partial = arn.rsplit_once('-').map(|(partial, _)| partial).expect("a suffix");
    assert_eq!(arn.len() - partial.len(), 7);
    for id in ["dockerhub", &arn, partial] {
        let described = client.describe_secret().secret_id(id).send().await.expect("it is there");
        assert_eq!(
            (described.arn(), described.name(), described.kms_key_id()),
            (Some(arn.as_str()), Some("dockerhub"), None),
            "{id}"
        );
    }
    let own = client.describe_secret().secret_id("own-key").send().await.expect("it is there");
    assert_eq!(own.kms_key_id(), Some("alias/own"));
    for id in ["none", &arn.replace("us-east-1", "eu-west-1")] {
        assert_eq!(refusal(client.describe_secret().secret_id(id).send().await).0, "ResourceNotFoundException", "{id}");
    }
}

#[tokio::test]
async fn a_secret_that_is_to_be_deleted_is_described_and_not_read() {
    let sim = simulator();
    throttled(&sim);
    sim.delete_secret("dockerhub");
    let client = client(&sim);
    let described = client.describe_secret().secret_id("dockerhub").send().await.expect("it is there");
    assert!(described.deleted_date().is_some());
    assert_eq!(refusal(client.get_secret_value().secret_id("dockerhub").send().await).0, "InvalidRequestException");
    sim.remove_secret("dockerhub");
    assert_eq!(refusal(client.get_secret_value().secret_id("dockerhub").send().await).0, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_request_token_is_good_for_one_text() {
    let sim = simulator();
    let client = client(&sim);
    let token = "0123456789abcdef0123456789abcdef";
    let made = client.create_secret().name("new").secret_string("a").send().await.expect("accepted");
    let again = client.create_secret().name("new").secret_string("b").send().await;
    assert_eq!(refusal(again).0, "ResourceExistsException");
    let put =
        |text: &str| client.put_secret_value().secret_id("new").secret_string(text).client_request_token(token).send();
    assert_eq!(put("b").await.expect("accepted").version_id(), Some(token));
    put("b").await.expect("the same again is nothing new");
    assert_eq!(refusal(put("c").await).0, "ResourceExistsException");
    let read =
        |stage: &str| client.get_secret_value().secret_id(made.arn().unwrap_or_default()).version_stage(stage).send();
    assert_eq!(read("AWSCURRENT").await.expect("it is there").secret_string(), Some("b"));
    assert_eq!(read("AWSPREVIOUS").await.expect("it is there").secret_string(), Some("a"));
}

#[tokio::test]
async fn a_secret_made_anew_has_another_arn() {
    let sim = simulator();
    let old = throttled(&sim);
    sim.remove_secret("dockerhub");
    let new = client(&sim).create_secret().name("dockerhub").secret_string("{}").send().await.expect("accepted");
    assert_ne!(new.arn(), Some(old.as_str()));
}

/// What goes wrong with the secret, and where the builds of `web` (registry credential) and `env` (variable) fail.
#[rstest]
#[case::deleted(|sim: &Simulator| sim.delete_secret("dockerhub"), "InvalidRequestException", "InvalidRequestException")]
#[case::removed(|sim: &Simulator| sim.remove_secret("dockerhub"), "ResourceNotFoundException", "ResourceNotFoundException")]
#[case::without_keys(|sim: &Simulator| sim.account(|a| { a.secret("dockerhub").text("{}"); }), "has no username and password", "json key does not exist")]
#[case::no_json(|sim: &Simulator| sim.account(|a| { a.secret("dockerhub").text("hub-pw"); }), "has no username and password", "json key does not exist")]
#[case::wrong_password(|sim: &Simulator| sim.account(|a| { a.secret("dockerhub").login("acme", "old"); }), "unauthorized: incorrect username or password", "docker login")]
fn a_secret_that_builds_cannot_use(#[case] spoil: fn(&Simulator), #[case] in_web: &str, #[case] in_env: &str) {
    let sim = simulator();
    let secret = throttled(&sim);
    sim.account(|a| {
        a.role("web-role").inline_policy("hub", grant(&secret));
        a.project("web").registry_credential(&secret);
        a.project("env")
            .role("web-role")
            .secret_variable("P", &format!("{secret}:password"))
            .buildspec("version: 0.2\nphases:\n  build:\n    commands: ['docker login -u acme -p $P']\n");
    });
    assert_eq!(
        (sim.run_build("web").status, sim.run_build("env").status),
        ("SUCCEEDED".to_owned(), "SUCCEEDED".to_owned())
    );
    spoil(&sim);
    let web = sim.run_build("web").message.expect("it fails");
    assert!(web.contains(in_web), "{web}");
    let env = sim.run_build("env").message.expect("it fails");
    assert!(env.contains(in_env), "{env}");
}
