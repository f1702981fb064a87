//! What makes builds move: each phase is decided when it begins and ends when its time is over.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::account::{Account, Due};
use super::build::{Build, Container, Phase, PhaseEnd, PhaseKind};
use super::given::Given;
use super::logs::{Line, Stream};

/// What a phase will do: how long, how it ends, and what it writes.
pub(super) struct Script {
    pub(super) lasts: SignedDuration,
    pub(super) end: PhaseEnd,
    pub(super) lines: Vec<Line>,
}

/// Everything that StartBuild decides.
pub(super) struct NewBuild {
    pub(super) project: String,
    pub(super) config: Arc<Value>,
    pub(super) source_version: Option<String>,
    pub(super) initiator: String,
    pub(super) recurring: bool,
}

impl Account {
    /// Moves the account to `now`: everything that is due happens, in the order of its time.
    pub(super) fn settle(&mut self, now: Timestamp) {
        while let Some(Reverse((at, _, _))) = self.due.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((at, _, due))) = self.due.pop() {
                self.now = self.now.max(at);
                match due {
                    Due::Phase(build) => self.end_phase(build),
                    Due::Recurring(project, every) => self.start_recurring(&project, every),
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// When each build that is under way takes its next step; recurring builds do not count.
    pub(super) fn next_steps(&self) -> impl Iterator<Item = Timestamp> {
        self.due.iter().filter_map(|Reverse((at, _, due))| match due {
            Due::Phase(build) if !self.builds[*build].recurring => Some(*at),
            _ => None,
        })
    }

    pub(super) fn schedule(&mut self, at: Timestamp, due: Due) {
        let order = self.next_number();
        self.due.push(Reverse((at, order, due)));
    }

    /// Puts a new build into SUBMITTED and answers its place.
    pub(super) fn submit(&mut self, new: NewBuild) -> usize {
        let id = format!("{}:{}", new.project, self.new_uuid());
        let number = match self.projects.get_mut(&new.project) {
            Some(project) => {
                project.last_build += 1;
                project.last_build
            }
            None => 1,
        };
        let place = self.builds.len();
        let started = self.now;
        self.build_index.insert(id.clone(), place);
        self.builds.push(Build {
            id,
            number,
            project: new.project,
            config: new.config,
            source_version: new.source_version,
            initiator: new.initiator,
            started,
            ended: None,
            status: "IN_PROGRESS",
            phases: Vec::new(),
            pending: None,
            container: Container::default(),
            stream: None,
            edits: Vec::new(),
            deleted: false,
            recurring: new.recurring,
            given: Given::default(),
        });
        self.begin_phase(place, PhaseKind::Submitted);
        place
    }

    fn start_recurring(&mut self, project: &str, every: SignedDuration) {
        if let Some(config) = self.project_now(project).cloned() {
            self.submit(NewBuild {
                project: project.to_owned(),
                config,
                source_version: None,
                initiator: "rule/every-so-often".to_owned(),
                recurring: true,
            });
            let next = self.now + every;
            self.schedule(next, Due::Recurring(project.to_owned(), every));
        }
    }

    fn begin_phase(&mut self, place: usize, kind: PhaseKind) {
        let now = self.now;
        self.builds[place].phases.push(Phase { kind, started: now, ended: None, end: None });
        if kind == PhaseKind::Completed {
            self.complete(place);
            return;
        }
        let script = self.script(place, kind);
        if script.end.status != "SUCCEEDED" {
            self.mark_late(place);
        }
        self.write_lines(place, script.lines);
        self.builds[place].pending = Some(script.end);
        self.schedule(now + script.lasts, Due::Phase(place));
    }

    fn script(&mut self, place: usize, kind: PhaseKind) -> Script {
        let brief = |lasts: SignedDuration| Script { lasts, end: PhaseEnd::succeeded(), lines: Vec::new() };
        match kind {
            PhaseKind::Submitted => brief(SignedDuration::ZERO),
            PhaseKind::Queued => brief(self.durations.queued),
            PhaseKind::Provisioning => self.provision(place),
            PhaseKind::DownloadSource => self.download_source(place),
            PhaseKind::Install => self.run_commands(place, kind, "install"),
            PhaseKind::PreBuild => self.run_commands(place, kind, "pre_build"),
            PhaseKind::Build => self.run_commands(place, kind, "build"),
            PhaseKind::PostBuild => self.run_commands(place, kind, "post_build"),
            PhaseKind::UploadArtifacts => self.upload_artifacts(),
            PhaseKind::Finalizing => brief(self.durations.finalizing),
            PhaseKind::Completed => brief(SignedDuration::ZERO),
        }
    }

    fn upload_artifacts(&self) -> Script {
        let lasts = self.durations.upload_artifacts;
        let end = self.now + lasts;
        Script {
            lasts,
            end: PhaseEnd::succeeded(),
            lines: vec![
                container_line(end, "Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED"),
                container_line(end, "Phase context status code:  Message: "),
            ],
        }
    }

    fn end_phase(&mut self, place: usize) {
        let now = self.now;
        let build = &mut self.builds[place];
        if build.complete() {
            return;
        }
        let end = build.pending.take().unwrap_or_else(PhaseEnd::succeeded);
        let Some(phase) = build.phases.last_mut() else {
            return;
        };
        phase.ended = Some(now);
        phase.end = Some(end.clone());
        let next = phase.kind.next(&end);
        self.begin_phase(place, next);
    }

    fn complete(&mut self, place: usize) {
        let now = self.now;
        let build = &mut self.builds[place];
        build.ended = Some(now);
        let failed = build.phases.iter().filter_map(|phase| phase.end.as_ref()).any(|end| end.status != "SUCCEEDED");
        build.status = if failed { "FAILED" } else { "SUCCEEDED" };
        build.container = Container::default();
        if let Some(stream) = self.stream_of(place) {
            stream.build_ended = Some(now);
        }
        self.go_on_with_batches();
    }

    /// StopBuild: the phase under way ends as STOPPED, and so does the build.
    pub(super) fn stop(&mut self, place: usize) {
        let now = self.now;
        let build = &mut self.builds[place];
        if build.complete() {
            return;
        }
        if let Some(phase) = build.phases.last_mut() {
            phase.ended = Some(now);
            phase.end = Some(PhaseEnd::failed("STOPPED", "", ""));
        }
        build.phases.push(Phase { kind: PhaseKind::Completed, started: now, ended: None, end: None });
        build.ended = Some(now);
        build.status = "STOPPED";
        build.pending = None;
        if let Some(stream) = self.stream_of(place) {
            stream.lines.retain(|line| line.at <= now);
            stream.build_ended = Some(now);
        }
    }

    /// From here on the build's lines may come late.
    fn mark_late(&mut self, place: usize) {
        if let Some(stream) = self.stream_of(place) {
            let written = stream.lines.len();
            stream.late_from.get_or_insert(written);
        }
    }

    fn write_lines(&mut self, place: usize, lines: Vec<Line>) {
        let masked: Vec<String> = self.builds[place].container.masked.iter().cloned().collect();
        if let Some(stream) = self.stream_of(place) {
            for mut line in lines {
                for secret in masked.iter().filter(|secret| !secret.is_empty()) {
                    line.text = line.text.replace(secret.as_str(), "***");
                }
                stream.lines.push(line);
            }
        }
    }

    pub(super) fn stream_of(&mut self, place: usize) -> Option<&mut Stream> {
        let (group, stream) = self.builds[place].stream.clone()?;
        self.log_groups.get_mut(&group)?.get_mut(&stream)
    }

    /// The stream appears while the container is provisioned; a build whose image cannot be pulled never has one.
    pub(super) fn open_stream(&mut self, place: usize) {
        let build = &self.builds[place];
        let config = &build.config["logsConfig"]["cloudWatchLogs"];
        if config["status"].as_str() == Some("DISABLED") {
            return;
        }
        let group =
            config["groupName"].as_str().map_or_else(|| format!("/aws/codebuild/{}", build.project), ToOwned::to_owned);
        let stream = match config["streamName"].as_str() {
            Some(prefix) => format!("{prefix}/{}", build.uuid()),
            None => build.uuid().to_owned(),
        };
        self.log_groups
            .entry(group.clone())
            .or_default()
            .insert(stream.clone(), Stream { created: Some(self.now), ..Stream::default() });
        self.builds[place].stream = Some((group, stream));
    }
}

/// A line that CodeBuild's agent writes.
pub(super) fn container_line(at: Timestamp, text: &str) -> Line {
    let stamp = at.strftime("%Y/%m/%d %H:%M:%S.%6f");
    Line { at, text: format!("[Container] {stamp} {text}") }
}
