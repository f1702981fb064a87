//! Builders, so that the domain's tests read as sentences: `project("web").image("node:22")`.

use crate::domain::build::{
    AuthConfig, Build, BuildId, Buildspec, Environment, InlinePolicy, LogPlace, Phase, PhaseName, Project, ProjectName,
    PullRequests, Role, RoleName, Secret, SecretArn, SecretKey, Status, Variable, VariableSource, Visibility,
};
use crate::domain::buildspec::login::Login as BuildspecLogin;
use crate::domain::buildspec::splice::{Digest, Splice};
use crate::domain::change::{Change, Edit};
use crate::domain::classify::{Cause, Diagnosis, Login, Registry, Site};
use crate::domain::history::{Detected, Fact, History, Record};
use crate::domain::images::{CuratedImage, CuratedImages, KnownImages, Needs, OfficialImages, Version};
use crate::domain::patch::{Owner, Patch};
use crate::domain::plan::{Approval, Plan, RemediationId, RetryPlan};
use crate::domain::policy::{
    Credential, Limits, Mode, OnDrift, OnIneffective, Policy, Remedy, Retry, SharedWithPublic, UntrustedBuilds,
};
use crate::domain::remediation::{Entry, RollbackReason};
use crate::domain::remedy::grant;
use crate::domain::trust::Weight;
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// The secret's full ARN.
pub(crate) const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd";

/// The policy's name on service roles.
pub(crate) const GRANT: &str = "unthrottled-dockerhub";

/// Seconds after ten o'clock on a Monday.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let ten: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
    ten + SignedDuration::from_secs(seconds)
}

pub(crate) fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

pub(crate) fn id(text: &str) -> BuildId {
    BuildId::new(text)
}

/// A private Linux project of role `builds` that pulls node:22 from Docker Hub.
pub(crate) fn project(name: &str) -> Project {
    Project {
        name: ProjectName::new(name),
        created: Some(at(-86_400)),
        environment: Environment {
            kind: "LINUX_CONTAINER".to_string(),
            image: "node:22".to_string(),
            registry_credential: None,
            pull_credentials: Some("CODEBUILD".to_string()),
            variables: Vec::new(),
        },
        buildspec: Buildspec::of(None),
        source_kind: "GITHUB".to_string(),
        role_arn: None,
        tags: Vec::new(),
        visibility: Visibility::Private,
        pull_requests: PullRequests::Nobodys,
        is_runner: false,
        has_batch: false,
        unrepresentable: Vec::new(),
    }
    .role_named("builds")
}

impl Project {
    pub(crate) fn image(mut self, image: &str) -> Project {
        self.environment.image = image.to_string();
        self
    }

    pub(crate) fn kind(mut self, kind: &str) -> Project {
        self.environment.kind = kind.to_string();
        self
    }

    pub(crate) fn credential(mut self, secret: &str) -> Project {
        self.environment.registry_credential = Some(secret.to_string());
        self.pulls_as("SERVICE_ROLE")
    }

    pub(crate) fn pulls_as(mut self, kind: &str) -> Project {
        self.environment.pull_credentials = Some(kind.to_string());
        self
    }

    pub(crate) fn plain_variable(mut self, name: &str) -> Project {
        let source = VariableSource::Plaintext;
        let name = name.to_string();
        self.environment.variables.push(Variable { name, source });
        self
    }

    pub(crate) fn secret_variable(mut self, name: &str, reference: &str) -> Project {
        let source = VariableSource::SecretsManager(reference.to_string());
        let name = name.to_string();
        self.environment.variables.push(Variable { name, source });
        self
    }

    pub(crate) fn buildspec(mut self, text: &str) -> Project {
        self.buildspec = Buildspec::Inline(text.to_string());
        self
    }

    pub(crate) fn role_named(mut self, name: &str) -> Project {
        self.role_arn = Some(format!("arn:aws:iam::111122223333:role/service-role/{name}"));
        self
    }

    pub(crate) fn tagged(mut self, key: &str, value: &str) -> Project {
        self.tags.push((key.to_string(), value.to_string()));
        self
    }
}

/// A build that is over and went well, in the environment of [`project`].
pub(crate) fn build(text: &str) -> Build {
    let of = project(id(text).project().as_str());
    Build {
        id: id(text),
        number: Some(41),
        project: of.name.clone(),
        status: Status::Succeeded,
        complete: true,
        started: Some(at(-300)),
        ended: Some(at(-120)),
        phases: Vec::new(),
        environment: of.environment,
        buildspec: of.buildspec,
        source_kind: of.source_kind,
        role: Some(RoleName::new("builds")),
        log: LogPlace::None,
        initiator: Some("developer".to_string()),
        source_version: Some("main".to_string()),
        resolved_source_version: Some("4f1d2e".to_string()),
        batch: None,
        next_auto_retry: None,
    }
}

impl Build {
    /// With the configuration that the project has now.
    pub(crate) fn of(mut self, project: &Project) -> Build {
        self.environment = project.environment.clone();
        self.buildspec = project.buildspec.clone();
        self.source_kind = project.source_kind.clone();
        self
    }

    pub(crate) fn phase_ended(mut self, name: &str, status: &str) -> Build {
        self.phases.push(Phase {
            name: PhaseName::new(name),
            status: Some(Status::of(status)),
            started: self.started,
            ended: self.ended,
            contexts: Vec::new(),
        });
        self
    }

    pub(crate) fn failed_in(mut self, phase: &str) -> Build {
        self.status = Status::of("FAILED");
        self.phase_ended(phase, "FAILED")
    }

    pub(crate) fn running(mut self) -> Build {
        self.status = Status::InProgress;
        self.complete = false;
        self.ended = None;
        self
    }

    pub(crate) fn started_at(mut self, at: Timestamp) -> Build {
        self.started = Some(at);
        self
    }

    pub(crate) fn ended_at(mut self, at: Timestamp) -> Build {
        self.ended = Some(at);
        self
    }

    pub(crate) fn version(mut self, asked: Option<&str>, resolved: Option<&str>) -> Build {
        self.source_version = asked.map(str::to_string);
        self.resolved_source_version = resolved.map(str::to_string);
        self
    }

    pub(crate) fn by(mut self, initiator: &str) -> Build {
        self.initiator = Some(initiator.to_string());
        self
    }
}

pub(crate) fn role(name: &str) -> Role {
    Role { name: RoleName::new(name), path: "/service-role/".to_string(), inline: Vec::new() }
}

impl Role {
    pub(crate) fn with_policy(mut self, name: &str, document: Option<Value>) -> Role {
        let size = document.as_ref().map_or(1, |d| d.to_string().len());
        let name = name.to_string();
        self.inline.push(InlinePolicy { name, document, size });
        self
    }

    pub(crate) fn with_policy_of_size(mut self, name: &str, size: usize) -> Role {
        let name = name.to_string();
        self.inline.push(InlinePolicy { name, document: Some(serde_json::json!({})), size });
        self
    }
}

pub(crate) fn secret() -> Secret {
    Secret { arn: SecretArn::new(SECRET), key: None, auth_config: AuthConfig::Usable }
}

pub(crate) fn secret_with_key() -> Secret {
    let key = "arn:aws:kms:eu-central-1:111122223333:key/7c1e".to_string();
    Secret { key: Some(SecretKey::Key(key)), ..secret() }
}

/// The document of the grant for [`secret`].
pub(crate) fn grant_document() -> Value {
    grant::document(&secret())
}

/// Tables of images that no release changes.
pub(crate) fn known_images() -> KnownImages {
    let version = |text: &str| Version::try_from(text.to_string()).unwrap();
    let image = |name: &str, since: &str, docker: &str, buildx: Option<&str>, compose: Option<&str>| CuratedImage {
        names: vec![name.to_string()],
        since: since.parse().unwrap(),
        docker: version(docker),
        buildx: buildx.map(version),
        compose: compose.map(version),
    };
    let needs = Needs { docker: version("28.3.0"), buildx: version("0.26.0"), compose: version("2.38.0") };
    let images = vec![
        image("aws/codebuild/new:1", "2025-01-01", "27.5.1", None, None),
        image("aws/codebuild/new:1", "2026-03-01", "28.3.0", Some("0.26.0"), Some("2.38.0")),
        image("aws/codebuild/buildx:1", "2025-01-01", "29.0.0", Some("0.25.9"), Some("5.1.0")),
        image("aws/codebuild/compose:1", "2025-01-01", "29.0.0", Some("0.32.1"), Some("2.9.0")),
        image("aws/codebuild/bare:1", "2025-01-01", "28.3.0", None, None),
    ];
    let names = ["node", "alpine"].map(str::to_string).into();
    KnownImages {
        curated: CuratedImages { needs, images },
        official: OfficialImages { mirror: "mirror.example/library".to_string(), names },
    }
}

pub(crate) fn credential() -> Credential {
    Credential {
        name: "dockerhub".to_string(),
        secret: "dockerhub".to_string(),
        username_key: "username".to_string(),
        password_key: "password".to_string(),
        auth_config_key: "docker_auth_config".to_string(),
        username_variable: "DOCKERHUB_USERNAME".to_string(),
        password_variable: "DOCKERHUB_PASSWORD".to_string(),
        policy_name: GRANT.to_string(),
    }
}

pub(crate) fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).unwrap());
    }
    set.build().unwrap()
}

/// A policy that lets every remedy through for all projects, with room for all.
pub(crate) fn policy(name: &str) -> Policy {
    Policy {
        name: name.to_string(),
        projects: globs(&["*"]),
        project_globs: vec!["*".to_string()],
        exclude: globs(&[]),
        exclude_globs: Vec::new(),
        tags: BTreeMap::new(),
        scopes: Vec::new(),
        mode: Mode::Apply,
        credential: credential(),
        provisioning: vec![Remedy::RegistryCredential],
        later_phase: vec![Remedy::BuildspecLogin],
        iac_owned: Mode::Propose,
        untrusted_builds: UntrustedBuilds::Ignore,
        sightings: 1,
        shared_with_public: SharedWithPublic::Refuse,
        retry: Retry::Provisioning,
        settle: seconds(15),
        verify_within: seconds(86_400),
        on_ineffective: OnIneffective::Rollback,
        on_drift: OnDrift::Hold,
        limits: Limits { max_open: 5, max_per_hour: 10, max_share: 1.0, attempts_per_project: 2 },
        freezes: Vec::new(),
    }
}

pub(crate) fn diagnosis(cause: Cause, site: Site) -> Diagnosis {
    let phase = match site {
        Site::BuildImage => PhaseName::PROVISIONING,
        Site::DockerClient => "BUILD",
    };
    Diagnosis {
        cause,
        registry: Registry::DockerHub,
        login: Login::Anonymous,
        site: Some(site),
        phase: Some(PhaseName::new(phase)),
        recovered: false,
        reason: None,
        evidence: Vec::new(),
        weight: match site {
            Site::BuildImage => Weight::CodeBuild,
            Site::DockerClient => Weight::Command,
        },
    }
}

/// The build was throttled by Docker Hub, at this site.
pub(crate) fn detected(build: &str, site: Site) -> Detected {
    Detected {
        build: id(build),
        number: Some(41),
        ended: Some(at(-120)),
        diagnosis: diagnosis(Cause::HubPullLimit, site),
    }
}

/// The grant of the secret to role `builds`, where there was none.
pub(crate) fn grant_change() -> Change {
    Change::Grant { role: RoleName::new("builds"), policy: GRANT.to_string(), before: None, after: grant_document() }
}

/// What `registry_credential` changes in [`project`].
pub(crate) fn credential_change() -> Change {
    Change::Project {
        edits: vec![
            Edit::RegistryCredential { after: SECRET.to_string() },
            Edit::PullCredentials { before: Some("CODEBUILD".to_string()), after: "SERVICE_ROLE".to_string() },
        ],
    }
}

/// A `registry_credential` for [`project`], because of this build; a change settles in five seconds.
pub(crate) fn plan(because: &str) -> Plan {
    Plan {
        id: RemediationId::of(&id(because)),
        project: id(because).project(),
        image: "node:22".to_string(),
        because: id(because),
        site: Site::BuildImage,
        phase: PhaseName::new(PhaseName::PROVISIONING),
        remedy: Remedy::RegistryCredential,
        policy: "all".to_string(),
        credential: "dockerhub".to_string(),
        role: RoleName::new("builds"),
        secret: Some(SecretArn::new(SECRET)),
        changes: vec![grant_change(), credential_change()],
        reach: None,
        settle: seconds(5),
        verify_within: seconds(60),
        retry: RetryPlan::Once,
        on_ineffective: OnIneffective::Rollback,
        by: Approval::Policy,
    }
}

/// What [`mirror_plan`] gives a project.
pub(crate) const MIRRORED: &str = "mirror.example/library/node:22";

/// A `mirror_image` for [`project`].
pub(crate) fn mirror_plan() -> Plan {
    let edit = Edit::Image { before: "node:22".to_string(), after: MIRRORED.to_string() };
    Plan {
        remedy: Remedy::MirrorImage,
        secret: None,
        changes: vec![Change::Project { edits: vec![edit] }],
        ..plan("web:41")
    }
}

pub(crate) fn rollback(reason: RollbackReason) -> Entry {
    Entry::RollbackDecided { reason, detail: "because".to_string(), by: None }
}

/// Facts in their places, a second apart.
pub(crate) fn records(facts: Vec<Fact>) -> Vec<Record> {
    (1..).zip(facts).map(|(seq, fact)| Record { seq, at: at(seq as i64), scope: "here".to_string(), fact }).collect()
}

/// What these facts fold to.
pub(crate) fn history(facts: Vec<Fact>) -> History {
    History::replay(&records(facts)).unwrap()
}

/// One fact of the remediation that this build caused.
pub(crate) fn of_remediation(because: &str, entry: Entry) -> Fact {
    Fact::Remediation { id: RemediationId::of(&id(because)), entry }
}

/// The whole way of a remediation to `Applied`.
pub(crate) fn applied(plan: Plan) -> Vec<Fact> {
    let because = plan.because.to_string();
    [Entry::Planned(Box::new(plan)), Entry::InPlace { change: 0 }, Entry::InPlace { change: 1 }, Entry::Applied]
        .into_iter()
        .map(|entry| of_remediation(&because, entry))
        .collect()
}

/// What the owner of [`project`], whose buildspec is in the repository, has to change.
pub(crate) fn patch(because: &str) -> Patch {
    let Change::Project { mut edits } = login_change() else { panic!() };
    edits.truncate(2);
    Patch {
        project: id(because).project(),
        image: "node:22".to_string(),
        because: id(because),
        site: Site::DockerClient,
        phase: PhaseName::new("BUILD"),
        policy: "all".to_string(),
        credential: "dockerhub".to_string(),
        role: RoleName::new("builds"),
        secret: SecretArn::new(SECRET),
        owner: Some(Owner::Terraform),
        changes: vec![grant_change(), Change::Project { edits }],
        login: Some(BuildspecLogin::default()),
        unknown: Vec::new(),
        why: "buildspec_login: the buildspec is in the repository, `buildspec.yml`, and not in the project (buildspec_elsewhere)"
            .to_string(),
    }
}

/// A buildspec that pulls in BUILD.
pub(crate) const BUILDSPEC: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker pull node:22\n";

pub(crate) const LOGIN: &str =
    "      - echo \"${DOCKERHUB_PASSWORD}\" | docker login -u \"${DOCKERHUB_USERNAME}\" --password-stdin\n";

pub(crate) fn logged_in_buildspec() -> String {
    BUILDSPEC.replace("      - docker", &format!("{LOGIN}      - docker"))
}

/// [`project`] with a `buildspec_login`.
pub(crate) fn logged_in() -> Project {
    project("web")
        .buildspec(&logged_in_buildspec())
        .secret_variable("DOCKERHUB_USERNAME", &format!("{SECRET}:username"))
        .secret_variable("DOCKERHUB_PASSWORD", &format!("{SECRET}:password"))
}

/// What `buildspec_login` changes in a project with [`BUILDSPEC`].
pub(crate) fn login_change() -> Change {
    let variable =
        |name: &str, key: &str| Edit::Variable { name: name.to_string(), reference: format!("{SECRET}:{key}") };
    Change::Project {
        edits: vec![
            variable("DOCKERHUB_USERNAME", "username"),
            variable("DOCKERHUB_PASSWORD", "password"),
            Edit::Buildspec {
                before: Digest::of(BUILDSPEC),
                after: Digest::of(&logged_in_buildspec()),
                splice: Splice {
                    at: BUILDSPEC.find("      - docker").unwrap(),
                    insert: LOGIN.to_string(),
                    line: 5,
                    phase: "build".to_string(),
                    above: "- docker pull node:22".to_string(),
                },
            },
        ],
    }
}
