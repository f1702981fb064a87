//! A simulated AWS account on loopback: CodeBuild, CloudWatch Logs, IAM, STS and Secrets Manager, with Docker Hub behind them.
//!
//! It plays AWS as AWS documents itself, and as it was seen where the documents are silent; where neither is known, a switch of
//! [`Unknowns`] plays either reading. What a build does depends on the account at the moment each of its phases
//! begins: a project with a working credential pulls, one whose role cannot read the secret fails. Time is simulated.
//!
//! Read [`Simulator`] for the handle, [`Account`] for the verbs that build the world, [`Options`] for the switches and [`Fault`]
//! for trouble on demand. The rest answers one question a file.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub mod iam_policy;

mod access;
mod account;
mod batch;
mod build;
mod buildspec;
mod caller;
mod clock;
mod codebuild;
mod codebuild_write;
mod docker;
mod docker_login;
mod fault;
mod gate;
mod given;
mod hub;
mod hub_http;
mod iam;
mod line;
mod log_filter;
mod logs;
mod model;
mod options;
mod page;
mod people;
mod phases;
mod project_check;
mod project_edit;
mod refusal;
mod request;
mod run;
mod secrets;
mod server;
mod shell;
mod shell_flow;
mod shell_words;
mod source;
mod stage;
mod starters;
mod webhook;
mod world;
mod xml;

pub use account::{Account, DockerClient};
pub use build::BuildSummary;
pub use fault::{Fault, Moment};
pub use gate::{Gate, Waiting};
pub use given::Job;
pub use hub::HubWording;
pub use options::{
    BatchMembers, Clock, Durations, GivenBuildspec, LogPages, Omitted, OmittedCredential, OmittedTags, Options,
    RetryReads, RunnerLog, SystemTags, Unknowns,
};
pub use project_edit::ProjectEdit;
pub use server::Call;
pub use webhook::Event;
pub use world::{CommandEdit, Document, HubEdit, KeyEdit, RoleEdit, SecretEdit};

use clock::SimulatedClock;
use line::{CuttableListener, Line};
use server::Shared;

/// A handle on a simulated account; the server ends with the last handle.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    endpoint: String,
    region: String,
    _server: Arc<Running>,
}

/// Ends the server's thread when it is dropped, so that its port is free afterwards.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Simulator {
    /// Starts an empty account on a loopback port. The server has a thread and a runtime of its own, so callers may block.
    pub fn start(options: Options) -> io::Result<Simulator> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the simulated account listens on loopback only"));
        }
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let clock = SimulatedClock::start(options.clock);
        let account = Account::new(&options, clock.now());
        let shared = Arc::new(Shared::new(account, clock));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let router = server::router(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("simulated-account".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                let service = router.into_make_service_with_connect_info::<Line>();
                tokio::select! {
                    _ = axum::serve(CuttableListener(listener), service) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Simulator {
            shared,
            endpoint,
            region: options.region,
            _server: Arc::new(Running { stop: Some(stop), thread: Some(thread) }),
        })
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where Docker Hub answers: `[docker_hub] auth_url` and `registry_url`.
    #[must_use]
    pub fn hub_url(&self) -> String {
        format!("{}{}", self.endpoint, hub_http::PATH)
    }

    /// The settings that have its Docker Hub asked, and no other.
    #[must_use]
    pub fn hub_settings(&self) -> String {
        let url = self.hub_url();
        format!("[docker_hub]\nauth_url = \"{url}\"\nregistry_url = \"{url}\"\n")
    }

    /// A secret's current text.
    #[must_use]
    pub fn secret_text(&self, name: &str) -> Option<String> {
        let world = self.shared.world();
        world.account.secrets.get(name)?.current().map(ToOwned::to_owned)
    }

    /// A client configuration with this endpoint and dummy keys, for tests.
    #[must_use]
    pub fn sdk_config(&self) -> aws_config::SdkConfig {
        use aws_sdk_codebuild::config::{Credentials, Region, SharedCredentialsProvider};
        // The SDK waits a second or more before it tries again; nobody learns from waiting for loopback.
        let retries =
            aws_config::retry::RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1));
        let credentials = Credentials::new("AKIASIMULATED", "simulated", None, None, "simulator");
        aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.endpoint)
            .retry_config(retries)
            .build()
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.world().account.now
    }

    /// Moves the simulated time forward; everything due until then happens.
    pub fn advance(&self, by: SignedDuration) -> Timestamp {
        self.shared.world().clock.advance(by);
        self.now()
    }

    /// Moves the simulated time forward until no build is under way; recurring builds do not count.
    pub fn settle_builds(&self) -> Timestamp {
        loop {
            let mut world = self.shared.world();
            let Some(next) = world.account.next_steps().max() else {
                return world.account.now;
            };
            let by = next.duration_since(world.account.now);
            world.clock.advance(by.max(SignedDuration::ZERO));
        }
    }

    /// Builds or changes the world. Bypasses HTTP. The world stands still meanwhile: `edit` must not use the simulator itself.
    pub fn account<R>(&self, edit: impl FnOnce(&mut Account) -> R) -> R {
        edit(&mut self.shared.world().account)
    }

    /// All builds of a project, the oldest first.
    #[must_use]
    pub fn builds_of(&self, project: &str) -> Vec<BuildSummary> {
        let world = self.shared.world();
        let builds = world.account.builds.iter();
        builds.filter(|build| build.project == project && !build.deleted).map(build::Build::summary).collect()
    }

    /// One build.
    #[must_use]
    pub fn build(&self, id: &str) -> Option<BuildSummary> {
        let world = self.shared.world();
        let place = world.account.build_at(id)?;
        Some(world.account.builds[place].summary())
    }

    /// How many builds have not ended.
    #[must_use]
    pub fn builds_under_way(&self) -> usize {
        self.shared.world().account.builds.iter().filter(|build| !build.complete()).count()
    }

    /// Whether an inline policy of a role has reached the builds that start now.
    #[must_use]
    pub fn builds_see_policy(&self, role: &str, policy: &str) -> bool {
        let world = self.shared.world();
        let (account, delay) = (&world.account, world.account.unknowns.iam_propagation);
        let role = account.roles.get(role);
        role.and_then(|role| role.inline.seen(account.now, delay)).is_some_and(|policies| policies.contains_key(policy))
    }

    /// One build as BatchGetBuilds returns it; null if there is none.
    #[must_use]
    pub fn build_json(&self, id: &str) -> Value {
        let world = self.shared.world();
        let account = &world.account;
        account.build_at(id).map_or(Value::Null, |place| account.builds[place].json(account))
    }

    /// All lines that a build has written, readable yet or not.
    #[must_use]
    pub fn log(&self, id: &str) -> Vec<String> {
        let mut world = self.shared.world();
        let now = world.account.now;
        let Some(place) = world.account.build_at(id) else {
            return Vec::new();
        };
        let stream = world.account.stream_of(place);
        let lines = stream.into_iter().flat_map(|stream| stream.lines.iter());
        lines.filter(|line| line.at <= now).map(|line| line.text.clone()).collect()
    }

    /// A project as BatchGetProjects returns it, never stale; null if there is none.
    #[must_use]
    pub fn project_json(&self, name: &str) -> Value {
        let world = self.shared.world();
        let json = world.account.project_now(name);
        json.map_or(Value::Null, |json| Value::clone(json))
    }

    /// An inline policy of a role: parsed, or its text if it is no JSON.
    #[must_use]
    pub fn role_policy(&self, role: &str, policy: &str) -> Option<Value> {
        let world = self.shared.world();
        let policies = world.account.roles.get(role)?.inline.latest()?;
        let text = policies.get(policy)?;
        Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
    }

    /// Everything that a remedy could touch: `{"projects": {name: project}, "roles": {name: {policy: text}}}`, without `lastModified`.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        let world = self.shared.world();
        let account = &world.account;
        let mut projects = Map::new();
        for name in account.projects.keys() {
            if let Some(json) = account.project_now(name) {
                let mut json = Value::clone(json);
                if let Some(members) = json.as_object_mut() {
                    members.shift_remove("lastModified");
                }
                projects.insert(name.clone(), json);
            }
        }
        let roles: Map<String, Value> =
            account.roles.iter().map(|(name, role)| (name.clone(), json!(role.inline.latest()))).collect();
        json!({"projects": projects, "roles": roles})
    }

    /// Every HTTP call, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.world().calls.clone()
    }

    /// The calls that changed something, answered or not.
    #[must_use]
    pub fn writes(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.took_effect);
        calls
    }

    /// Lets `calls` and `writes` begin anew.
    pub fn forget_calls(&self) {
        self.shared.world().calls.clear();
    }
}
