//! What the evidence means: one diagnosis for a failed build.

use crate::domain::build::{Build, Context, Phase, PhaseName, Status};
use crate::domain::detect::{self, Certainty, Evidence, Finding, Limit, Scan};
use crate::domain::image;
use crate::domain::trust::{self, Weight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a build failed of, as far as a registry's limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Docker Hub's pull limit. Cured by a login, unless the pull was authenticated already.
    HubPullLimit,
    /// Docker Hub's abuse limit (HAP429, a bare 429). A login cures nothing.
    HubAbuseLimit,
    /// Docker Hub refused a login for there were too many.
    HubLoginLimit,
    /// Another registry throttled, or one that the text does not name.
    OtherRegistry,
    /// The build failed for another reason.
    NotThrottled,
    /// The phase contexts do not tell: the log has to be read. Never a final answer.
    NeedsLog,
    /// Could not be decided.
    Unknown,
}

/// Whose registry refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registry {
    /// Docker Hub.
    DockerHub,
    /// public.ecr.aws.
    EcrPublic,
    /// An account's own ECR.
    EcrPrivate,
    /// ECR, public or private: the text does not tell.
    Ecr,
    /// GitHub's.
    Ghcr,
    /// Red Hat's.
    Quay,
    /// GitLab's.
    Gitlab,
    /// Google's, Container or Artifact Registry.
    Gcr,
    /// Microsoft's, MCR or ACR.
    Mcr,
    /// Any other, a proxy for example.
    Other,
    /// The text does not tell.
    Unknown,
}

/// Whether the refused pull was authenticated, by the wording alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// No login.
    Anonymous,
    /// A login that has reached its own limit.
    Authenticated,
    /// The text does not tell.
    Unknown,
}

/// Who pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// CodeBuild, the build image, in PROVISIONING.
    BuildImage,
    /// A docker client, in a later phase.
    DockerClient,
}

/// Why a diagnosis is [`Cause::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The message was cut before it said what happened.
    MessageCut,
    /// The build has no log that can be read here.
    LogNotReadable,
    /// The log is longer than what is read of one.
    LogTooLong,
    /// A phase or status that was never seen before.
    NotUnderstood,
}

/// What one failed build means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// What it failed of.
    pub cause: Cause,
    /// Whose registry refused.
    pub registry: Registry,
    /// Whether the pull was authenticated.
    pub login: Login,
    /// Who pulled; none where nothing was refused.
    pub site: Option<Site>,
    /// The phase in which it failed.
    pub phase: Option<PhaseName>,
    /// The client retried and went on.
    pub recovered: bool,
    /// Why the cause is unknown.
    pub reason: Option<UnknownReason>,
    /// What proves it, shortest first.
    pub evidence: Vec<Evidence>,
    /// How much that proves.
    #[serde(default, skip_serializing_if = "Weight::is_unknown")]
    pub weight: Weight,
}

/// What is known of a build's log.
#[derive(Clone, Copy, Debug)]
pub enum LogReading<'a> {
    /// Not read yet: the contexts have to do, or the answer is that the log is needed.
    NotRead,
    /// Read, whole or in the parts that matter.
    Scanned(&'a Scan),
    /// There is none that can be read: off, only in S3, gone, or forbidden.
    NotReadable,
    /// Longer than what is read of one, and nothing was found in what was read.
    TooLong,
}

impl Diagnosis {
    /// Whether a registry refused for a limit.
    pub fn is_throttled(&self) -> bool {
        matches!(self.cause, Cause::HubPullLimit | Cause::HubAbuseLimit | Cause::HubLoginLimit | Cause::OtherRegistry)
    }

    /// Whether a login at Docker Hub would cure it.
    pub fn is_curable(&self) -> bool {
        self.cause == Cause::HubPullLimit && self.login != Login::Authenticated
    }

    /// A diagnosis without a refusal.
    fn without_refusal(cause: Cause, phase: Option<PhaseName>) -> Diagnosis {
        Diagnosis {
            cause,
            registry: Registry::Unknown,
            login: Login::Unknown,
            site: None,
            phase,
            recovered: false,
            reason: None,
            evidence: Vec::new(),
            weight: Weight::Unknown,
        }
    }

    fn unknown(reason: UnknownReason, phase: Option<PhaseName>) -> Diagnosis {
        Diagnosis { reason: Some(reason), ..Diagnosis::without_refusal(Cause::Unknown, phase) }
    }
}

/// What a build failed of.
///
/// The earliest failed phase decides: after a failed BUILD the later phases still run, and fail as a consequence.
/// PROVISIONING is decided by its context, which holds the pull's error. A phase that runs commands needs the log, as its
/// context only repeats the command. A refusal counts if it stands in the failed phase and the client did not get over
/// it.
pub fn classify(build: &Build, log: LogReading<'_>) -> Diagnosis {
    match &build.status {
        Status::Succeeded | Status::InProgress => {
            return Diagnosis::without_refusal(Cause::NotThrottled, None);
        }
        // Somebody stopped it, whatever its log says.
        Status::Failed(word) if word == "STOPPED" => {
            return Diagnosis::without_refusal(Cause::NotThrottled, None);
        }
        Status::Failed(_) => {}
        Status::Unknown(_) => return Diagnosis::unknown(UnknownReason::NotUnderstood, None),
    }
    let is_odd = |phase: &Phase| matches!(phase.status, Some(Status::Unknown(_)));
    let Some(failed) = build.failed_phases().next() else {
        return Diagnosis::unknown(UnknownReason::NotUnderstood, None);
    };
    if failed.name.position().is_none() || build.phases.iter().take_while(|phase| *phase != failed).any(is_odd) {
        return Diagnosis::unknown(UnknownReason::NotUnderstood, Some(failed.name.clone()));
    }
    if failed.name.runs_commands() { later_phase(build, failed, log) } else { by_context(build, failed) }
}

/// What a text says that is no build of ours: a file, a page, standard input. `phase` is the phase it is from, where the text
/// itself does not tell. Here a refusal that the client got over is still reported, as `recovered`.
pub fn classify_text(scan: &Scan, phase: Option<&PhaseName>) -> Diagnosis {
    let decisive = decisive(scan.findings.iter()).or_else(|| scan.findings.last());
    match decisive {
        Some(finding) => {
            // Advice on a text may rest on what is likely. A build is acted on, so there a cut message is unknown.
            let mut diagnosis = refused(finding);
            diagnosis.login = login_told(finding, &scan.findings.iter().collect::<Vec<_>>());
            diagnosis.phase = diagnosis.phase.or_else(|| phase.cloned());
            diagnosis.site = Some(site(diagnosis.phase.as_ref()));
            diagnosis
        }
        None => Diagnosis::without_refusal(Cause::NotThrottled, phase.cloned().or_else(|| scan.failed_phase.clone())),
    }
}

fn site(phase: Option<&PhaseName>) -> Site {
    match phase {
        Some(phase) if !phase.runs_commands() => Site::BuildImage,
        _ => Site::DockerClient,
    }
}

/// The phases before the commands. Only PROVISIONING pulls.
fn by_context(build: &Build, failed: &Phase) -> Diagnosis {
    let findings = detect::in_contexts(build);
    let of_phase = findings.iter().filter(|finding| finding.phase.as_ref() == Some(&failed.name));
    let Some(finding) = decisive(of_phase) else {
        return match cut_message(failed) {
            Some(reason) => Diagnosis::unknown(reason, Some(failed.name.clone())),
            None => Diagnosis::without_refusal(Cause::NotThrottled, Some(failed.name.clone())),
        };
    };
    if finding.certainty == Certainty::Probable {
        return cut(finding);
    }
    let mut diagnosis = refused(finding);
    // AWS ties a refused build image to Docker Hub only if the image is from Docker Hub. Behind another host (a vanity
    // name, a pull-through cache) Docker Hub's words may arrive, but a credential for Docker Hub would not be sent there.
    let of_image = image::registry_of(&build.environment.image);
    if diagnosis.registry == Registry::DockerHub && of_image != Registry::DockerHub {
        diagnosis.registry = of_image;
        diagnosis.cause = Cause::OtherRegistry;
    }
    diagnosis.site = Some(Site::BuildImage);
    diagnosis.weight = Weight::CodeBuild;
    diagnosis
}

/// Whether a pull's error was cut before it said why.
fn cut_message(failed: &Phase) -> Option<UnknownReason> {
    let is_cut = |context: &Context| {
        let speaks_of_pull = context.message.contains("CannotPullContainerError") || context.message.contains("pull");
        let names_status = context.message.contains("unexpected status");
        let ends_early = context.message.ends_with("...") || context.message.chars().count() >= 255;
        speaks_of_pull && names_status && ends_early && !has_status(&context.message)
    };
    failed.contexts.iter().any(is_cut).then_some(UnknownReason::MessageCut)
}

/// Whether a status stands behind the address: `…: 403 Forbidden`.
fn has_status(message: &str) -> bool {
    message.match_indices(": ").any(|(at, _)| {
        let rest = message.get(at + 2..).unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits == 3 && rest.starts_with(['1', '2', '3', '4', '5'])
    })
}

/// A phase that runs commands.
fn later_phase(build: &Build, failed: &Phase, log: LogReading<'_>) -> Diagnosis {
    let phase = Some(failed.name.clone());
    let scan = match log {
        LogReading::NotRead => return Diagnosis::without_refusal(Cause::NeedsLog, phase),
        LogReading::NotReadable => return Diagnosis::unknown(UnknownReason::LogNotReadable, phase),
        LogReading::TooLong => return Diagnosis::unknown(UnknownReason::LogTooLong, phase),
        LogReading::Scanned(scan) => scan,
    };
    // A log read by its tail may not hold the agent's line that tells the phase.
    let in_phase = |finding: &&Finding| finding.phase.as_ref().is_none_or(|of| *of == failed.name);
    let of_phase: Vec<&Finding> = scan.findings.iter().filter(in_phase).collect();
    let Some(finding) = decisive(of_phase.iter().copied()) else {
        let recovered = of_phase.iter().any(|finding| finding.recovered);
        return Diagnosis { recovered, ..Diagnosis::without_refusal(Cause::NotThrottled, phase) };
    };
    if finding.certainty == Certainty::Probable {
        return Diagnosis { phase, ..cut(finding) };
    }
    let login = login_told(finding, &of_phase);
    let weight = trust::weight(build, failed, finding.phase.as_ref());
    Diagnosis { phase, login, weight, ..refused(finding) }
}

/// The refusal that a build failed of: the last that the client did not get over. One that was cut counts only if no other
/// tells more.
fn decisive<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<&'a Finding> {
    let standing: Vec<&Finding> = findings.filter(|finding| !finding.recovered).collect();
    let certain = standing.iter().rev().find(|finding| finding.certainty == Certainty::Certain);
    certain.or(standing.last()).copied()
}

/// What a refusal tells of the login or, where it has no message to tell it, what the others do: of the same limit, which the
/// client did not get over either, if they agree.
fn login_told(finding: &Finding, findings: &[&Finding]) -> Login {
    let is_alike = |other: &&&Finding| {
        !other.recovered
            && (other.registry, other.limit, &other.phase) == (finding.registry, finding.limit, &finding.phase)
            && other.login != Login::Unknown
    };
    let mut others = findings.iter().filter(is_alike).map(|other| other.login);
    match (finding.login, others.next()) {
        (Login::Unknown, Some(told)) if others.all(|login| login == told) => told,
        (login, _) => login,
    }
}

/// What is left of a cut message names the registry, not the status: the limit is likely, an outage or a denial possible.
fn cut(finding: &Finding) -> Diagnosis {
    let unknown = Diagnosis::unknown(UnknownReason::MessageCut, finding.phase.clone());
    Diagnosis { registry: finding.registry, evidence: vec![finding.evidence.clone()], ..unknown }
}

fn refused(finding: &Finding) -> Diagnosis {
    let cause = match (finding.registry, finding.limit) {
        (Registry::DockerHub, Limit::Pull) => Cause::HubPullLimit,
        (Registry::DockerHub, Limit::Abuse) => Cause::HubAbuseLimit,
        (Registry::DockerHub, Limit::Login) => Cause::HubLoginLimit,
        _ => Cause::OtherRegistry,
    };
    Diagnosis {
        cause,
        registry: finding.registry,
        login: finding.login,
        site: Some(site(finding.phase.as_ref())),
        phase: finding.phase.clone(),
        recovered: finding.recovered,
        reason: None,
        evidence: vec![finding.evidence.clone()],
        weight: Weight::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::{BuildId, Buildspec, Environment, LogPlace, ProjectName};
    use rstest::rstest;

    const PULL: &str =
        "Unable to pull customer's container image. CannotPullContainerError: Error response from daemon: ";
    const HUB: &str = "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating \
                       and upgrading: https://www.docker.com/increase-rate-limit";

    fn phase(name: &str, status: &str, message: &str) -> Phase {
        let contexts = vec![Context { code: String::new(), message: message.to_string() }];
        Phase { name: PhaseName::new(name), status: Some(Status::of(status)), started: None, ended: None, contexts }
    }

    fn build(image: &str, status: &str, phases: Vec<Phase>) -> Build {
        Build {
            id: BuildId::new("web:1"),
            number: None,
            project: ProjectName::new("web"),
            status: Status::of(status),
            complete: true,
            started: None,
            ended: None,
            phases,
            environment: Environment {
                kind: String::new(),
                image: image.to_string(),
                registry_credential: None,
                pull_credentials: None,
                variables: Vec::new(),
            },
            buildspec: Buildspec::of(None),
            source_kind: String::new(),
            role: None,
            log: LogPlace::None,
            initiator: None,
            source_version: None,
            resolved_source_version: None,
            batch: None,
            next_auto_retry: None,
        }
    }

    fn provisioning(image: &str, message: &str) -> Diagnosis {
        let phases = vec![phase("QUEUED", "SUCCEEDED", ""), phase("PROVISIONING", "CLIENT_ERROR", message)];
        classify(&build(image, "FAILED", phases), LogReading::NotRead)
    }

    #[rstest]
    #[case("node:22", HUB, Cause::HubPullLimit, Registry::DockerHub)]
    #[case("docker.io/acme/base", "toomanyrequests: slow down", Cause::HubPullLimit, Registry::DockerHub)]
    #[case("node:22", "toomanyrequests", Cause::HubPullLimit, Registry::DockerHub)]
    #[case("node:22", "toomanyrequests: Too Many Requests (HAP429).", Cause::HubAbuseLimit, Registry::DockerHub)]
    // AWS's own rule: the word and an image from Docker Hub, both.
    #[case("111122223333.dkr.ecr.eu-west-1.amazonaws.com/hub/node", HUB, Cause::OtherRegistry, Registry::EcrPrivate)]
    #[case("docker.n8n.io/n8nio/n8n", HUB, Cause::OtherRegistry, Registry::Other)]
    #[case("aws/codebuild/standard:7.0", HUB, Cause::OtherRegistry, Registry::Unknown)]
    #[case("public.ecr.aws/docker/library/node", "toomanyrequests: Rate exceeded", Cause::OtherRegistry, Registry::Ecr)]
    #[case("ghcr.io/acme/x", "toomanyrequests: slow down", Cause::OtherRegistry, Registry::Ghcr)]
    #[case("node:22", "pull access denied for node, repository does not exist", Cause::NotThrottled, Registry::Unknown)]
    #[case(
        "node:22",
        "Get https://registry-1.docker.io/v2/: x509: certificate",
        Cause::NotThrottled,
        Registry::Unknown
    )]
    fn a_build_image_is_decided_by_context_and_image(
        #[case] image: &str,
        #[case] message: &str,
        #[case] cause: Cause,
        #[case] registry: Registry,
    ) {
        let diagnosis = provisioning(image, &format!("{PULL}{message}"));
        assert_eq!((diagnosis.cause, diagnosis.registry), (cause, registry), "{diagnosis:?}");
        assert_eq!(diagnosis.phase.unwrap().as_str(), "PROVISIONING");
        if cause != Cause::NotThrottled {
            assert_eq!(diagnosis.site, Some(Site::BuildImage));
            assert!(matches!(diagnosis.evidence[0].place, detect::Place::Context(_)));
        }
    }

    #[test]
    fn a_message_cut_before_its_status_is_unknown() {
        let digest = "330a24bcd4e0058d70e70a0bb1ff805065161ffe3aa96296f09b5550aa1b2c3d";
        let frame = "Unable to pull customer's container image. CannotPullContainerError: inspect image has been retried 5 \
                     time(s): httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/acme/a-long-name/manifests/sha256:";
        let cut: String = format!("{frame}{digest}: 429 Too Many Requests").chars().take(255).collect();
        let diagnosis = provisioning("acme/a-long-name", &cut);
        assert_eq!((diagnosis.cause, diagnosis.reason), (Cause::Unknown, Some(UnknownReason::MessageCut)));
        assert_eq!((diagnosis.registry, diagnosis.evidence.len()), (Registry::DockerHub, 1));
        // The same words in a build's log say no more; of a text, the likely is told.
        let dotted = format!("{cut}...");
        let of_text = classify_text(&log(&dotted), None);
        assert_eq!((of_text.cause, of_text.registry), (Cause::HubPullLimit, Registry::DockerHub));
        let printed = dotted.replace("Unable to pull customer's container image. ", "");
        let of_log = later(vec![phase("BUILD", "FAILED", "")], &printed);
        assert_eq!((of_log.cause, of_log.reason), (Cause::Unknown, Some(UnknownReason::MessageCut)));

        let enough = format!("{}{digest}: 429 Too Ma...", frame.replace("a-long-name", "x"));
        assert_eq!(provisioning("acme/x", &enough).cause, Cause::HubPullLimit);

        let head =
            "CannotPullContainerError: unexpected status from HEAD request to https://registry-1.docker.io/v2/acme/...";
        assert_eq!(provisioning("acme/x", head).reason, Some(UnknownReason::MessageCut));
    }

    fn log(text: &str) -> Scan {
        detect::in_log(text)
    }

    fn later(phases: Vec<Phase>, text: &str) -> Diagnosis {
        classify(&build("aws/codebuild/standard:7.0", "FAILED", phases), LogReading::Scanned(&log(text)))
    }

    const RUN: &str = "[Container] 2025/06/18 07:02:11.402803";
    const WHOLE: &str = "toomanyrequests: You have reached your unauthenticated pull rate limit. \
                         https://www.docker.com/increase-rate-limit";
    const CUT: &str = "CannotPullContainerError: inspect image has been retried 5 time(s): httpReadSeeker: failed open: unexpected \
                       status code https://registry-1.docker.io/v2/acme/a-long-name/manifests/sha256:\
                       330a24bcd4e0058d70e70a0bb1ff805065161ffe3aa96296f09b5550aa1b2c3d...";

    #[test]
    fn a_phase_that_runs_commands_needs_the_log() {
        let echo = format!("Error while executing command: grep -q \"{HUB}\" x. Reason: exit status 1");
        let failed = build("node:22", "FAILED", vec![phase("BUILD", "FAILED", &echo)]);
        assert_eq!(classify(&failed, LogReading::NotRead).cause, Cause::NeedsLog);
        assert_eq!(classify(&failed, LogReading::NotReadable).reason, Some(UnknownReason::LogNotReadable));
        assert_eq!(classify(&failed, LogReading::TooLong).reason, Some(UnknownReason::LogTooLong));
        assert_eq!(classify(&failed, LogReading::Scanned(&log("ok"))).cause, Cause::NotThrottled);
    }

    #[test]
    fn the_refusal_has_to_stand_in_the_failed_phase() {
        let text = |phase: &str, state: &str| {
            format!(
                "{RUN} Entering phase {phase}\nStep 1/2 : FROM node\n{HUB}\n{RUN} Phase complete: {phase} State: {state}\n"
            )
        };
        let failed = || {
            vec![phase("PRE_BUILD", "SUCCEEDED", ""), phase("BUILD", "FAILED", ""), phase("POST_BUILD", "FAILED", "")]
        };
        let own = later(failed(), &text("BUILD", "FAILED"));
        assert_eq!((own.cause, own.site), (Cause::HubPullLimit, Some(Site::DockerClient)));
        assert_eq!(own.phase.unwrap().as_str(), "BUILD");
        // An earlier phase that got over it, and a later one that failed as a consequence.
        let recovered = later(failed(), &text("PRE_BUILD", "SUCCEEDED"));
        assert_eq!(recovered.cause, Cause::NotThrottled);
        assert_eq!(later(failed(), &text("POST_BUILD", "FAILED")).cause, Cause::NotThrottled);
    }

    /// As in a log that is read by its tail.
    #[test]
    fn a_refusal_without_a_phase_near_is_of_the_phase_that_failed() {
        let failed = || vec![phase("BUILD", "FAILED", "")];
        let pulled = later(failed(), &format!("Step 1/2 : FROM node\n{HUB}\n"));
        assert_eq!((pulled.cause, pulled.site), (Cause::HubPullLimit, Some(Site::DockerClient)));
        assert_eq!(pulled.phase, Some(PhaseName::new("BUILD")));
        let cut = later(failed(), CUT);
        assert_eq!((cut.cause, cut.phase), (Cause::Unknown, Some(PhaseName::new("BUILD"))));
    }

    /// A message that was cut says less than a whole one, wherever it stands and whether it is of the same pull.
    #[rstest]
    #[case(WHOLE, CUT, 2)]
    #[case(CUT, WHOLE, 2)]
    #[case(HUB, CUT, 1)]
    #[case(CUT, HUB, 1)]
    fn a_whole_message_decides_before_one_that_was_cut(
        #[case] first: &str,
        #[case] last: &str,
        #[case] refusals: usize,
    ) {
        let text = format!("{first}\n{}{last}\n", "#7 4.1 Get:17 libc6\n".repeat(20));
        let scan = log(&text);
        assert_eq!(scan.findings.len(), refusals, "{scan:?}");
        let diagnosis = later(vec![phase("BUILD", "FAILED", "")], &text);
        assert_eq!((diagnosis.cause, diagnosis.reason), (Cause::HubPullLimit, None));
        assert!(diagnosis.evidence[0].quote.starts_with("toomanyrequests"), "{diagnosis:?}");
    }

    #[rstest]
    #[case(Some("PROVISIONING"), Site::BuildImage)]
    #[case(Some("BUILD"), Site::DockerClient)]
    #[case(None, Site::DockerClient)]
    fn a_text_is_told_by_its_phase_who_pulled(#[case] of: Option<&str>, #[case] site: Site) {
        let diagnosis = classify_text(&log(HUB), of.map(PhaseName::new).as_ref());
        assert_eq!((diagnosis.cause, diagnosis.site), (Cause::HubPullLimit, Some(site)));
    }

    #[test]
    fn a_refused_login_is_no_refused_pull() {
        let text = "Error response from daemon: login attempt to https://registry-1.docker.io/v2/ failed with status: 429 Too Many Requests";
        assert_eq!(classify_text(&log(text), None).cause, Cause::HubLoginLimit);
    }

    #[test]
    fn a_client_that_retried_and_went_on_did_not_fail_of_it() {
        let text = format!(
            "{RUN} Entering phase BUILD\ndocker pull redis:7.2\n{HUB}\n7.2: Pulling from library/redis\n\
                            Status: Downloaded newer image for redis:7.2\nmake: *** [test] Error 1"
        );
        let diagnosis = later(vec![phase("BUILD", "FAILED", "")], &text);
        assert_eq!((diagnosis.cause, diagnosis.recovered), (Cause::NotThrottled, true));
        let again = later(vec![phase("BUILD", "FAILED", "")], &format!("{text}\ndocker pull redis:7.2\n{HUB}"));
        assert_eq!((again.cause, again.recovered), (Cause::HubPullLimit, false));
    }

    #[rstest]
    #[case("SUCCEEDED", Cause::NotThrottled)]
    #[case("IN_PROGRESS", Cause::NotThrottled)]
    #[case("STOPPED", Cause::NotThrottled)]
    #[case("FAILED", Cause::HubPullLimit)]
    #[case("FAULT", Cause::HubPullLimit)]
    #[case("TIMED_OUT", Cause::HubPullLimit)]
    #[case("EXPLODED", Cause::Unknown)]
    fn only_a_failed_build_failed_of_something(#[case] status: &str, #[case] expected: Cause) {
        let phases = vec![phase("PROVISIONING", "CLIENT_ERROR", &format!("{PULL}{HUB}"))];
        assert_eq!(classify(&build("node", status, phases), LogReading::NotRead).cause, expected);
    }

    #[test]
    fn what_was_never_seen_before_is_not_understood() {
        let not_understood = |phases| {
            let diagnosis = classify(&build("node", "FAILED", phases), LogReading::Scanned(&log(HUB)));
            (diagnosis.cause, diagnosis.reason) == (Cause::Unknown, Some(UnknownReason::NotUnderstood))
        };
        assert!(not_understood(vec![phase("WARMING_UP", "FAILED", "")]));
        assert!(not_understood(vec![phase("INSTALL", "PARTLY", ""), phase("BUILD", "FAILED", "")]));
        assert!(not_understood(vec![phase("BUILD", "SUCCEEDED", "")]));
    }

    #[test]
    fn a_refusal_without_a_message_has_the_login_that_the_others_tell() {
        const HEAD: &str =
            "unexpected status from HEAD request to https://registry-1.docker.io/v2/a/b/manifests/1: 429";
        const ANONYMOUS: &str = "toomanyrequests: You have reached your unauthenticated pull rate limit. https://x";
        const ACCOUNT: &str = "toomanyrequests: You have reached your pull rate limit as 'acme': dckr_jti_0000.";
        let gap = "\nx".repeat(20);
        let login = |lines: [&str; 3]| {
            let text = lines.map(|line| format!("{line}{gap}\n")).concat();
            let phases = vec![phase("BUILD", "FAILED", "")];
            let login = classify(&build("node", "FAILED", phases), LogReading::Scanned(&log(&text))).login;
            assert_eq!(login, classify_text(&log(&text), None).login, "{text}");
            login
        };
        assert_eq!(login([ANONYMOUS, HEAD, ""]), Login::Anonymous);
        assert_eq!(login([ACCOUNT, HEAD, ""]), Login::Authenticated);
        assert_eq!(login([ACCOUNT, ANONYMOUS, HEAD]), Login::Unknown);
        assert_eq!(login([HEAD, HEAD, ""]), Login::Unknown);
    }

    #[test]
    fn text_reports_a_refusal_that_was_got_over() {
        let scan = log(&format!("docker pull redis:7.2\n{HUB}\nStatus: Downloaded newer image for redis:7.2"));
        let diagnosis = classify_text(&scan, Some(&PhaseName::new("INSTALL")));
        assert_eq!((diagnosis.cause, diagnosis.recovered), (Cause::HubPullLimit, true));
        assert_eq!(diagnosis.phase.unwrap().as_str(), "INSTALL");
    }

    #[rstest]
    #[case(Cause::HubPullLimit, true)]
    #[case(Cause::HubAbuseLimit, true)]
    #[case(Cause::HubLoginLimit, true)]
    #[case(Cause::OtherRegistry, true)]
    #[case(Cause::NotThrottled, false)]
    #[case(Cause::NeedsLog, false)]
    #[case(Cause::Unknown, false)]
    fn a_login_cures_only_an_anonymous_pull_that_docker_hub_throttled(#[case] cause: Cause, #[case] throttled: bool) {
        let diagnosis = Diagnosis { login: Login::Anonymous, ..Diagnosis::without_refusal(cause, None) };
        assert_eq!(diagnosis.is_throttled(), throttled);
        assert_eq!(diagnosis.is_curable(), cause == Cause::HubPullLimit);
        assert!(!Diagnosis { login: Login::Authenticated, ..diagnosis }.is_curable());
    }

    #[rstest]
    #[case(
        "CannotPullContainerError: unexpected status from HEAD request to https://registry-1.docker.io/v2/nod...",
        true
    )]
    #[case("CannotPullContainerError: unexpected status from HEAD request to https://x/v2/node: 403 Forbid...", false)]
    // Neither is a status: too short, and none that HTTP has.
    #[case("CannotPullContainerError: 12 layers: unexpected status from HEAD request to https://x/v2/nod...", true)]
    #[case("CannotPullContainerError: 999 layers: unexpected status from HEAD request to https://x/v2/nod...", true)]
    #[case("CannotPullContainerError: no such host...", false)]
    #[case("unexpected status from HEAD request to https://x/v2/nod...", false)]
    #[case(&format!("CannotPullContainerError: unexpected status {}", "x".repeat(255 - 44)), true)]
    #[case(&format!("CannotPullContainerError: unexpected status {}", "x".repeat(254 - 44)), false)]
    fn a_message_is_cut_if_it_ends_before_the_status_that_it_announces(#[case] message: &str, #[case] expected: bool) {
        assert_eq!(cut_message(&phase("PROVISIONING", "FAILED", message)).is_some(), expected, "{message}");
    }
}
