//! Serves the account over HTTP: one call in, its fate decided, its effect made, its answer written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};

use super::account::Account;
use super::clock::SimulatedClock;
use super::fault::{Fate, Fault, Moment, Trouble};
use super::gate::{Reply, Waiting};
use super::hub_http;
use super::line::Line;
use super::model;
use super::refusal::{Answer, Refusal};
use super::request::{Incoming, Outgoing, not_understood};

/// One HTTP call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// 1 for the first since the start.
    pub index: u32,
    /// `codebuild`, `logs`, `iam`, `sts`, `secretsmanager` or `hub`.
    pub service: &'static str,
    /// `UpdateProject`
    pub operation: String,
    /// The simulated time.
    pub at: Timestamp,
    /// Project, role, `role/policy`, secret, build or log group; empty for lists.
    pub target: String,
    /// The input.
    pub request: Value,
    /// AWS's error code, if it was refused.
    pub error: Option<String>,
    /// Whether it changed something, answered or not.
    pub took_effect: bool,
}

/// Everything behind the one lock.
pub(super) struct World {
    pub(super) account: Account,
    pub(super) clock: SimulatedClock,
    pub(super) trouble: Trouble,
    pub(super) calls: Vec<Call>,
    pub(super) calls_so_far: u32,
    /// Where calls wait, if somebody holds the gate.
    pub(super) gate: Option<mpsc::UnboundedSender<Waiting>>,
}

/// What the handles and the server share.
pub(super) struct Shared {
    world: Mutex<World>,
    /// Whether the call that is to be held was reached.
    pub(super) held: watch::Sender<bool>,
    /// Lets one paused call on.
    pub(super) go_on: Notify,
}

impl Shared {
    pub(super) fn new(account: Account, clock: SimulatedClock) -> Self {
        Shared {
            world: Mutex::new(World {
                account,
                clock,
                trouble: Trouble::default(),
                calls: Vec::new(),
                calls_so_far: 0,
                gate: None,
            }),
            held: watch::Sender::new(false),
            go_on: Notify::new(),
        }
    }

    /// The world, brought up to the present.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = world.clock.now();
        world.account.settle(now);
        world
    }
}

/// The service that axum runs.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let hub = Router::new()
        .route("/token", get(hub_http::token))
        .route("/v2/ratelimitpreview/test/manifests/latest", get(hub_http::manifest));
    Router::new().nest(hub_http::PATH, hub).fallback(serve).with_state(shared)
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let incoming = match Incoming::read(&headers, &body) {
        Ok(incoming) => incoming,
        Err(refusal) => {
            let id = shared.world().account.new_uuid();
            return response(not_understood(&headers, &refusal, &id), &id);
        }
    };
    let (fate, id) = {
        let mut world = shared.world();
        let fate = world.trouble.next(&incoming.operation);
        (fate, world.account.new_uuid())
    };
    let answer = match fate {
        Fate::Held(moment) => {
            match moment {
                Moment::BeforeEffect => shared.world().record(&incoming),
                Moment::AfterEffect => drop(shared.world().perform(&incoming)),
            }
            wait_for_release(&shared).await;
            line.cut();
            Err(Refusal::new(500, "InternalFailure", "held"))
        }
        Fate::Served(fault) => {
            if let Some(reply) = shared.through_the_gate(&incoming).await {
                sent(reply, &line)
            } else {
                wait_first(fault, &shared).await;
                sent(shared.reply(fault, &incoming), &line)
            }
        }
    };
    response(incoming.answer(&answer, &id), &id)
}

pub(super) async fn wait_for_release(shared: &Shared) {
    shared.held.send_replace(true);
    let mut held = shared.held.subscribe();
    let _ = held.wait_for(|held| !held).await;
}

/// What comes before the effect.
async fn wait_first(fault: Option<Fault>, shared: &Shared) {
    match fault {
        Some(Fault::Latency(late)) => tokio::time::sleep(late).await,
        Some(Fault::Paused) => shared.go_on.notified().await,
        _ => (),
    }
}

/// Leaves of the answer what is to arrive.
fn sent(reply: Reply, line: &Line) -> Answer {
    match reply {
        Reply::Whole(answer) => answer,
        Reply::Truncated(answer) => {
            line.truncate();
            answer
        }
        Reply::Nothing => {
            line.cut();
            Err(Refusal::new(500, "InternalFailure", "cut"))
        }
    }
}

pub(super) fn throttled(incoming: &Incoming) -> Refusal {
    let code = if incoming.speaks_xml() { "Throttling" } else { "ThrottlingException" };
    Refusal::new(400, code, "Rate exceeded")
}

pub(super) fn server_error(incoming: &Incoming, status: u16) -> Refusal {
    let code = match (status, incoming.service) {
        (503, "logs") => "ServiceUnavailableException",
        (503, _) => "ServiceUnavailable",
        (_, "iam") => "ServiceFailure",
        (_, "secretsmanager") => "InternalServiceError",
        _ => "InternalFailure",
    };
    Refusal::new(status, code, "An internal error occurred.")
}

pub(super) fn expired(incoming: &Incoming) -> Refusal {
    let (status, code) = if incoming.speaks_xml() { (403, "ExpiredToken") } else { (400, "ExpiredTokenException") };
    Refusal::new(status, code, "The security token included in the request is expired")
}

pub(super) fn unknown_key(incoming: &Incoming) -> Refusal {
    let (status, code) =
        if incoming.speaks_xml() { (403, "InvalidClientTokenId") } else { (400, "UnrecognizedClientException") };
    Refusal::new(status, code, "The security token included in the request is invalid.")
}

pub(super) fn denied(incoming: &Incoming, account_id: &str) -> Refusal {
    let (status, code) = if incoming.speaks_xml() { (403, "AccessDenied") } else { (400, "AccessDeniedException") };
    let Incoming { service, operation, .. } = incoming;
    Refusal::new(
        status,
        code,
        format!(
            "User: arn:aws:sts::{account_id}:assumed-role/caller/simulated is not authorized to perform: {service}:{operation} because no identity-based policy allows the {service}:{operation} action"
        ),
    )
}

impl World {
    /// Notes the call and makes its effect.
    pub(super) fn perform(&mut self, incoming: &Incoming) -> Answer {
        self.record(incoming);
        let builds = self.account.builds.len();
        let answer = self.account.answer(incoming);
        let starts = matches!(incoming.operation.as_str(), "StartBuild" | "RetryBuild");
        let changed =
            is_write(&incoming.operation) && answer.is_ok() && (!starts || self.account.builds.len() > builds);
        if let Some(call) = self.calls.last_mut() {
            call.took_effect = changed;
            call.error = answer.as_ref().err().map(|refusal| refusal.code.clone());
        }
        answer
    }

    /// Notes the call and refuses it.
    pub(super) fn refuse(&mut self, incoming: &Incoming, refusal: Refusal) -> Answer {
        self.record(incoming);
        if let Some(call) = self.calls.last_mut() {
            call.error = Some(refusal.code.clone());
        }
        Err(refusal)
    }

    fn record(&mut self, incoming: &Incoming) {
        self.calls_so_far += 1;
        self.calls.push(Call {
            index: self.calls_so_far,
            service: incoming.service,
            operation: incoming.operation.clone(),
            at: self.account.now,
            target: incoming.target(),
            request: incoming.input.clone(),
            error: None,
            took_effect: false,
        });
    }
}

impl Account {
    fn answer(&mut self, incoming: &Incoming) -> Answer {
        let Incoming { service, operation, input, access_key } = incoming;
        model::check(service, operation, input, &self.future_values)?;
        self.authorize(incoming)?;
        let answer = match *service {
            "codebuild" => self.codebuild(operation, input),
            "logs" => self.logs(operation, input),
            "secretsmanager" => self.secrets_manager(operation, input),
            "iam" => self.iam(operation, input),
            _ => self.sts(operation, input, access_key),
        };
        answer.unwrap_or_else(|| Err(incoming.unknown_operation()))
    }

    fn logs(&self, operation: &str, input: &Value) -> Option<Answer> {
        Some(match operation {
            "GetLogEvents" => self.get_log_events(input),
            "FilterLogEvents" => self.filter_log_events(input),
            "DescribeLogStreams" => self.describe_log_streams(input),
            _ => return None,
        })
    }
}

pub(super) fn is_write(operation: &str) -> bool {
    matches!(
        operation,
        "UpdateProject"
            | "StartBuild"
            | "StopBuild"
            | "RetryBuild"
            | "PutRolePolicy"
            | "DeleteRolePolicy"
            | "CreateSecret"
            | "PutSecretValue"
    )
}

fn response(outgoing: Outgoing, request_id: &str) -> Response<Body> {
    Response::builder()
        .status(outgoing.status)
        .header("content-type", outgoing.content_type)
        .header("x-amzn-requestid", request_id)
        .body(Body::from(outgoing.body))
        .unwrap_or_default()
}
