//! Docker Hub's own HTTP face: a token for a login, and the head of the manifest that tells limits.
//!
//! What a real one tells of limits is in three headers; an account without a limit gets none of them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use super::fault::{Fate, Fault};
use super::hub::Puller;
use super::line::Line;
use super::server::{Call, Shared, World, wait_for_release};

/// Where Docker Hub is below the account's own address.
pub(super) const PATH: &str = "/hub";

/// What a client without a login is known by.
const ADDRESS: &str = "203.0.113.7";

const TOKEN: &str = "simulated-token-of-";

/// One answer, before it is written.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Answer {
        Answer { status, headers: Vec::new(), content_type: "application/json", body: body.to_string() }
    }

    /// What stands before Docker Hub answers when Docker Hub does not.
    fn html(status: u16) -> Answer {
        let body = "<html><body>Something went wrong</body></html>".to_owned();
        Answer { status, headers: Vec::new(), content_type: "text/html", body }
    }

    fn response(self, method: &Method) -> Response<Body> {
        let mut response = Response::builder().status(self.status).header("content-type", self.content_type);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if *method == Method::HEAD { Body::empty() } else { Body::from(self.body) };
        response.body(body).unwrap_or_default()
    }
}

/// `GET /token`
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    serve("HubToken", &shared, &line, &method, |world| token_of(world, &headers)).await
}

/// `HEAD /v2/ratelimitpreview/test/manifests/latest`; a `GET` is a pull.
pub(super) async fn manifest(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    serve("HubManifest", &shared, &line, &method, |world| manifest_of(world, &method, &headers)).await
}

async fn serve(
    operation: &str,
    shared: &Shared,
    line: &Line,
    method: &Method,
    perform: impl FnOnce(&mut World) -> Answer,
) -> Response<Body> {
    let fate = {
        let mut world = shared.world();
        record(&mut world, operation, method);
        world.trouble.next(operation)
    };
    let fault = match fate {
        Fate::Served(fault) => fault,
        // It changes nothing, so that the two moments are one.
        Fate::Held(_) => {
            wait_for_release(shared).await;
            Some(Fault::DropBefore)
        }
    };
    match fault {
        None => (),
        Some(Fault::Throttled) => return Answer::html(429).response(method),
        Some(Fault::AccessDenied | Fault::ExpiredToken | Fault::UnknownKey) => {
            return Answer::json(401, &wrong_login()).response(method);
        }
        Some(Fault::ServerError(status)) => return Answer::html(status).response(method),
        Some(Fault::Latency(late)) => tokio::time::sleep(late).await,
        Some(Fault::Paused) => shared.go_on.notified().await,
        Some(Fault::TruncatedBody) => line.truncate(),
        Some(Fault::DropBefore | Fault::DropAfter) => line.cut(),
    }
    perform(&mut shared.world()).response(method)
}

fn record(world: &mut World, operation: &str, method: &Method) {
    world.calls_so_far += 1;
    world.calls.push(Call {
        index: world.calls_so_far,
        service: "hub",
        operation: operation.to_owned(),
        at: world.account.now,
        target: method.to_string(),
        request: Value::Null,
        error: None,
        took_effect: false,
    });
}

fn token_of(world: &World, headers: &HeaderMap) -> Answer {
    let Some(login) = credentials(headers, "Basic ") else {
        return Answer::json(200, &json!({ "token": format!("{TOKEN}{ADDRESS}") }));
    };
    let decoded = aws_smithy_types::base64::decode(login).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|login| login.split_once(':')) {
        Some((user, password)) if world.account.hub.knows(user, password) => {
            Answer::json(200, &json!({ "token": format!("{TOKEN}{user}"), "expires_in": 300 }))
        }
        _ => Answer::json(401, &wrong_login()),
    }
}

fn wrong_login() -> Value {
    json!({ "details": "incorrect username or password" })
}

fn manifest_of(world: &mut World, method: &Method, headers: &HeaderMap) -> Answer {
    let Some(who) = credentials(headers, "Bearer ").and_then(|token| token.strip_prefix(TOKEN)) else {
        return Answer::json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
    };
    let puller = match who.parse::<IpAddr>() {
        Ok(_) => Puller::Address(who.to_owned()),
        Err(_) => Puller::Account(who.to_owned()),
    };
    let now = world.account.now;
    let hub = &mut world.account.hub;
    if *method == Method::GET && hub.pull(&puller, now).is_err() {
        return Answer::json(429, &json!({ "errors": [{ "code": "TOOMANYREQUESTS" }] }));
    }
    let mut answer = Answer::json(200, &json!({ "schemaVersion": 2 }));
    if let Some((limit, left)) = hub.left(&puller, now) {
        answer.headers = vec![
            ("ratelimit-limit", format!("{limit};w=21600")),
            ("ratelimit-remaining", format!("{left};w=21600")),
            ("docker-ratelimit-source", who.to_owned()),
        ];
    }
    answer
}

fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get("authorization")?.to_str().ok()?.strip_prefix(scheme)
}
