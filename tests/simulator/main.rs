//! Holds the simulated account against what AWS documents, with AWS's own SDK as the client where that matters.
#![cfg(feature = "simulator")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod builds;
mod commands;
mod cures;
mod kinds;
mod lists;
mod logs;
mod projects;
mod roles;
mod secrets;
mod trouble;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Value, json};
use unthrottled::simulator::{Options, Simulator, Unknowns};

/// A build that needs `node:22` from Docker Hub.
pub const DOCKER_BUILD: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t app .\n";
/// The same after a login.
pub const LOGIN_FIRST: &str = r#"version: 0.2
phases:
  build:
    commands:
      - echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin
      - docker build -t app .
"#;

/// An empty account under the default readings.
pub fn simulator() -> Simulator {
    under(Unknowns::default())
}

/// An account under one reading of what AWS leaves open.
pub fn under(unknowns: Unknowns) -> Simulator {
    let options = Options { unknowns, ..Options::default() };
    Simulator::start(options).expect("a free port")
}

/// A policy that lets a role read the secret.
pub fn grant(secret_arn: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": format!("{secret_arn}*")}]})
}

/// An account where Docker Hub refuses everyone without a login; the secret's ARN.
pub fn throttled(sim: &Simulator) -> String {
    sim.account(|a| {
        a.hub().limit_anonymous(0).account("acme", "hub-pw");
        a.role("web-role").path("/service-role/");
        a.project("web").image("node:22").role("web-role").tag("team", "shop");
        a.project("api").role("web-role").buildspec(DOCKER_BUILD);
        a.secret("dockerhub").login("acme", "hub-pw").arn()
    })
}

/// AWS's own client.
pub fn codebuild(sim: &Simulator) -> aws_sdk_codebuild::Client {
    aws_sdk_codebuild::Client::new(&sim.sdk_config())
}

/// The code and message of a refused call.
pub fn refusal<T, E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> (String, String) {
    let error = result.err().expect("it is refused");
    let meta = error.as_service_error().expect("AWS answered").meta();
    (meta.code().unwrap_or_default().to_owned(), meta.message().unwrap_or_default().to_owned())
}

/// Sends a JSON request that no SDK would, and returns status and body.
pub async fn raw(sim: &Simulator, target: &str, body: &str) -> (u16, Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = sim.endpoint().trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: simulated\r\nx-amz-target: {target}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
}
