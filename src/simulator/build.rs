//! One build: its snapshot of the project, its phases, and how BatchGetBuilds shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::account::{Account, seconds};
use super::buildspec::Buildspec;
use super::given::Given;

/// The phases of CodeBuild, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PhaseKind {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl PhaseKind {
    pub(super) fn wire(self) -> &'static str {
        match self {
            PhaseKind::Submitted => "SUBMITTED",
            PhaseKind::Queued => "QUEUED",
            PhaseKind::Provisioning => "PROVISIONING",
            PhaseKind::DownloadSource => "DOWNLOAD_SOURCE",
            PhaseKind::Install => "INSTALL",
            PhaseKind::PreBuild => "PRE_BUILD",
            PhaseKind::Build => "BUILD",
            PhaseKind::PostBuild => "POST_BUILD",
            PhaseKind::UploadArtifacts => "UPLOAD_ARTIFACTS",
            PhaseKind::Finalizing => "FINALIZING",
            PhaseKind::Completed => "COMPLETED",
        }
    }

    /// What comes next. After a failed BUILD the later phases still run; an earlier failure goes to the end.
    pub(super) fn next(self, outcome: &PhaseEnd) -> PhaseKind {
        use PhaseKind::*;
        let failed = outcome.status != "SUCCEEDED";
        match self {
            Submitted => Queued,
            Queued => Provisioning,
            Provisioning if failed => Completed,
            Provisioning => DownloadSource,
            DownloadSource | Install | PreBuild if failed && !outcome.go_on => Finalizing,
            DownloadSource => Install,
            Install => PreBuild,
            PreBuild => Build,
            Build => PostBuild,
            PostBuild => UploadArtifacts,
            UploadArtifacts => Finalizing,
            Finalizing | Completed => Completed,
        }
    }
}

/// How a phase will end; decided by the state of the account when it begins.
#[derive(Debug, Clone)]
pub(super) struct PhaseEnd {
    pub(super) status: &'static str,
    pub(super) code: String,
    pub(super) message: String,
    /// `on-failure: CONTINUE`.
    pub(super) go_on: bool,
}

impl PhaseEnd {
    pub(super) fn succeeded() -> Self {
        PhaseEnd { status: "SUCCEEDED", code: String::new(), message: String::new(), go_on: false }
    }

    pub(super) fn failed(status: &'static str, code: &str, message: impl Into<String>) -> Self {
        PhaseEnd { status, code: code.to_owned(), message: message.into(), go_on: false }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Phase {
    pub(super) kind: PhaseKind,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) end: Option<PhaseEnd>,
}

/// What the build's container knows while it runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Container {
    pub(super) env: BTreeMap<String, String>,
    /// Values that the log shows as `***`.
    pub(super) masked: BTreeSet<String>,
    /// The image that the container was made of.
    pub(super) image: String,
    /// The Docker Hub account of `docker login`, in the client's file.
    pub(super) hub_user: Option<String>,
    pub(super) buildspec: Option<Buildspec>,
}

/// A change to how one build is shown.
pub(super) type BuildEdit = Box<dyn Fn(&mut Value) + Send>;

pub(super) struct Build {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) project: String,
    /// The project at StartBuild with the overrides in it, as BatchGetProjects would show it.
    pub(super) config: Arc<Value>,
    pub(super) source_version: Option<String>,
    pub(super) initiator: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) status: &'static str,
    pub(super) phases: Vec<Phase>,
    /// How the current phase will end.
    pub(super) pending: Option<PhaseEnd>,
    pub(super) container: Container,
    /// Log group and stream, once there are some.
    pub(super) stream: Option<(String, String)>,
    pub(super) edits: Vec<BuildEdit>,
    pub(super) deleted: bool,
    pub(super) recurring: bool,
    pub(super) given: Given,
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// A build in short, for tests to read.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildSummary {
    /// `web:uuid`
    pub id: String,
    /// 1 for the project's first.
    pub number: i64,
    /// The project's name.
    pub project: String,
    /// `IN_PROGRESS`, `SUCCEEDED`, `FAILED`, `STOPPED`, ...
    pub status: String,
    /// The first phase that failed.
    pub failed_phase: Option<String>,
    /// That phase's context message.
    pub message: Option<String>,
    /// Whether it has ended.
    pub complete: bool,
    /// When it was submitted.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Who started it.
    pub initiator: String,
}

impl Build {
    pub(super) fn uuid(&self) -> &str {
        self.id.split_once(':').map_or("", |(_, uuid)| uuid)
    }

    pub(super) fn complete(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn environment(&self) -> &Value {
        &self.config["environment"]
    }

    /// The name of the service role: what stands after the last slash of its ARN.
    pub(super) fn role_name(&self) -> &str {
        let role = self.config["serviceRole"].as_str().unwrap_or_default();
        role.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn summary(&self) -> BuildSummary {
        let failed = self.phases.iter().find_map(|phase| {
            let end = phase.end.as_ref()?;
            (end.status != "SUCCEEDED").then(|| (phase.kind.wire(), end.message.clone()))
        });
        BuildSummary {
            id: self.id.clone(),
            number: self.number,
            project: self.project.clone(),
            status: self.status.to_owned(),
            failed_phase: failed.as_ref().map(|(kind, _)| (*kind).to_owned()),
            message: failed.map(|(_, message)| message),
            complete: self.complete(),
            started: self.started,
            ended: self.ended,
            initiator: self.initiator.clone(),
        }
    }

    /// The build as BatchGetBuilds answers it.
    pub(super) fn json(&self, account: &Account) -> Value {
        let current = self.phases.last().map_or("SUBMITTED", |phase| phase.kind.wire());
        let mut json = json!({
            "id": self.id,
            "arn": account.arn("codebuild", &format!("build/{}", self.id)),
            "buildNumber": self.number,
            "startTime": seconds(self.started),
            "currentPhase": current,
            "buildStatus": self.status,
            "projectName": self.project,
            "phases": self.phases.iter().map(phase_json).collect::<Vec<_>>(),
            "buildComplete": self.complete(),
            "initiator": self.initiator,
            "logs": self.logs_json(account),
        });
        for member in [
            "source",
            "secondarySources",
            "artifacts",
            "secondaryArtifacts",
            "cache",
            "environment",
            "serviceRole",
            "timeoutInMinutes",
            "queuedTimeoutInMinutes",
            "encryptionKey",
            "vpcConfig",
            "fileSystemLocations",
        ] {
            if let Some(value) = self.config.get(member) {
                json[member] = value.clone();
            }
        }
        if json["artifacts"].is_object() {
            // A build's artifacts have a type of their own: where they lie, not how to make them.
            json["artifacts"] = json!({"location": ""});
        }
        if let Some(version) = &self.source_version {
            json["sourceVersion"] = json!(version);
        }
        if self.config["source"]["type"] != "NO_SOURCE" && self.reached(PhaseKind::DownloadSource) {
            json["resolvedSourceVersion"] = json!(self.resolved_version());
        }
        if let Some(ended) = self.ended {
            json["endTime"] = seconds(ended);
        }
        self.given.show(&mut json, account.unknowns.given_buildspec);
        for edit in &self.edits {
            edit(&mut json);
        }
        json
    }

    fn reached(&self, kind: PhaseKind) -> bool {
        self.phases.iter().any(|phase| phase.kind == kind)
    }

    /// A commit that depends on the source version alone, as a repository at rest would give.
    fn resolved_version(&self) -> String {
        let version = self.source_version.as_deref().unwrap_or("main");
        if version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit()) {
            return version.to_owned();
        }
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in self.project.bytes().chain(version.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        format!("{hash:016x}{:016x}{:08x}", hash.rotate_left(23), hash >> 32)
    }

    fn logs_json(&self, account: &Account) -> Value {
        let configured = &self.config["logsConfig"]["cloudWatchLogs"];
        let mut cloud_watch = Map::new();
        let enabled = configured["status"].as_str() != Some("DISABLED");
        cloud_watch.insert("status".to_owned(), json!(if enabled { "ENABLED" } else { "DISABLED" }));
        for member in ["groupName", "streamName"] {
            if let Some(value) = configured.get(member) {
                cloud_watch.insert(member.to_owned(), value.clone());
            }
        }
        let mut logs = json!({
            "cloudWatchLogs": cloud_watch,
            "s3Logs": {"status": "DISABLED", "encryptionDisabled": false},
        });
        if let Some((group, stream)) = &self.stream {
            logs["groupName"] = json!(group);
            logs["streamName"] = json!(stream);
            logs["cloudWatchLogsArn"] = json!(account.arn("logs", &format!("log-group:{group}:log-stream:{stream}")));
            logs["deepLink"] = json!(format!(
                "https://console.aws.amazon.com/cloudwatch/home?region={}#logsV2:log-groups/log-group/{}/log-events/{}",
                account.region,
                group.replace('/', "$252F"),
                stream
            ));
        } else if enabled {
            // Until the stream exists CodeBuild links to a group and a stream named null.
            logs["deepLink"] = json!(format!(
                "https://console.aws.amazon.com/cloudwatch/home?region={}#logEvent:group=null;stream=null",
                account.region
            ));
        }
        logs
    }
}

fn phase_json(phase: &Phase) -> Value {
    let mut json = json!({"phaseType": phase.kind.wire(), "startTime": seconds(phase.started)});
    if let (Some(ended), Some(end)) = (phase.ended, &phase.end) {
        json["phaseStatus"] = json!(end.status);
        json["endTime"] = seconds(ended);
        json["durationInSeconds"] = json!(ended.duration_since(phase.started).as_secs());
        if phase.kind >= PhaseKind::Provisioning {
            json["contexts"] = json!([{"statusCode": end.code, "message": end.message}]);
        }
    }
    json
}
