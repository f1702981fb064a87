//! A ledger with every kind of fact in an order that can have happened.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use unthrottled::domain::build::{BuildId, PhaseName, ProjectName, RoleName, SecretArn};
use unthrottled::domain::buildspec::login::Login as BuildspecLogin;
use unthrottled::domain::change::{Change, Edit};
use unthrottled::domain::classify::{Cause, Diagnosis, Login, Registry, Site, UnknownReason};
use unthrottled::domain::decide::{HoldReason, Judgement, KeptOut, LeaveReason};
use unthrottled::domain::detect::{Evidence, Place};
use unthrottled::domain::history::{Detected, Fact, Record};
use unthrottled::domain::patch::{Owner, Patch};
use unthrottled::domain::plan::{Approval, Plan, RemediationId, RetryPlan};
use unthrottled::domain::policy::{Mode, OnIneffective, Remedy};
use unthrottled::domain::remediation::{Entry, EscalationReason, RollbackReason};
use unthrottled::domain::trust::Weight;

pub const SCOPE: &str = "prod-eu";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf";

/// A time of the day on which everything happens.
pub fn at(time: &str) -> Timestamp {
    format!("2026-01-05T{time}Z").parse().unwrap()
}

pub fn build(project: &str, number: u32) -> BuildId {
    BuildId::new(format!("{project}:{number:08}-0b7d-4c55-9d1e-6f1c9a2e0b7d"))
}

pub fn diagnosis(cause: Cause, registry: Registry, login: Login, site: Site) -> Diagnosis {
    let (phase, place, quote) = match site {
        Site::BuildImage => (
            "PROVISIONING",
            Place::Context(PhaseName::new("PROVISIONING")),
            "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer's container image. toomanyrequests: You have reached your unauthenticated pull rate limit.",
        ),
        Site::DockerClient => (
            "BUILD",
            Place::Log(41),
            "Error response from daemon: toomanyrequests: You have reached your pull rate limit.",
        ),
    };
    let quote = quote.to_string();
    Diagnosis {
        cause,
        registry,
        login,
        site: Some(site),
        phase: Some(PhaseName::new(phase)),
        recovered: false,
        reason: None,
        evidence: vec![Evidence { place, quote }],
        weight: match site {
            Site::BuildImage => Weight::CodeBuild,
            Site::DockerClient => Weight::Command,
        },
    }
}

pub fn detected(project: &str, number: u32, ended: &str, diagnosis: Diagnosis) -> Fact {
    Fact::Detected(Detected {
        build: build(project, number),
        number: Some(number.into()),
        ended: Some(at(ended)),
        diagnosis,
    })
}

pub fn anonymous(site: Site) -> Diagnosis {
    diagnosis(Cause::HubPullLimit, Registry::DockerHub, Login::Anonymous, site)
}

pub fn plan(project: &str, number: u32, remedy: Remedy) -> Plan {
    let because = build(project, number);
    let edits = match remedy {
        Remedy::RegistryCredential => vec![
            Edit::RegistryCredential { after: SECRET.to_string() },
            Edit::PullCredentials { before: None, after: "SERVICE_ROLE".to_string() },
        ],
        Remedy::MirrorImage => vec![Edit::Image {
            before: "node:22".to_string(),
            after: "public.ecr.aws/docker/library/node:22".to_string(),
        }],
        Remedy::DockerAuthVariable => vec![Edit::Variable {
            name: "DOCKER_AUTH_CONFIG".to_string(),
            reference: format!("{SECRET}:docker_auth_config"),
        }],
        Remedy::BuildspecLogin | Remedy::ProposePatch => vec![
            Edit::Variable { name: "DOCKERHUB_USERNAME".to_string(), reference: format!("{SECRET}:username") },
            Edit::Variable { name: "DOCKERHUB_PASSWORD".to_string(), reference: format!("{SECRET}:password") },
        ],
    };
    let role = RoleName::new(format!("{project}-build"));
    let because_of = project;
    let project = Change::Project { edits };
    let grant = Change::Grant {
        role: role.clone(),
        policy: "unthrottled-dockerhub".to_string(),
        before: None,
        after: serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": format!("{SECRET}*")}],
        }),
    };
    Plan {
        id: RemediationId::of(&because),
        project: ProjectName::new(because_of),
        image: "node:22".to_string(),
        because,
        site: remedy.site().unwrap_or(Site::DockerClient),
        phase: remedy.usual_phase(),
        remedy,
        policy: "services".to_string(),
        credential: "dockerhub".to_string(),
        role,
        secret: remedy.needs_secret().then(|| SecretArn::new(SECRET)),
        changes: if remedy.needs_secret() { vec![grant, project] } else { vec![project] },
        reach: None,
        settle: SignedDuration::from_secs(15),
        verify_within: SignedDuration::from_hours(24),
        retry: RetryPlan::Once,
        on_ineffective: OnIneffective::Rollback,
        by: Approval::Policy,
    }
}

/// One record after the other, from number 1.
pub fn records(facts: Vec<(Timestamp, Fact)>) -> Vec<Record> {
    let number = |(seq, (at, fact))| Record { seq, at, scope: SCOPE.to_string(), fact };
    (1..).zip(facts).map(number).collect()
}

/// Every kind of fact and of entry at least once.
pub fn story() -> Vec<Record> {
    let mut facts = cured();
    facts.extend(taken_back());
    facts.extend(left_to_people());
    facts.extend(not_remediated());
    facts.extend(set_back());
    facts.extend(kept());
    records(facts)
}

/// `web`: its build image is refused, remedied, retried and proven.
pub fn cured() -> Vec<(Timestamp, Fact)> {
    let plan = plan("web", 41, Remedy::RegistryCredential);
    let id = plan.id.clone();
    let entry = |time, entry| (at(time), of(&id, entry));
    vec![
        (at("10:00:30"), detected("web", 41, "10:00:02.5", anonymous(Site::BuildImage))),
        entry("10:00:31", Entry::Planned(Box::new(plan))),
        entry("10:00:32", Entry::InPlace { change: 0 }),
        entry("10:00:48", Entry::InPlace { change: 1 }),
        entry("10:00:48.25", Entry::Applied),
        entry("10:00:49", Entry::RetryIntended),
        entry("10:00:50", Entry::Retried { build: build("web", 42) }),
        entry("10:03:31", Entry::Verified { by: build("web", 42) }),
    ]
}

/// `api`: a login that makes things worse; `ops`: a remedy that a person takes back.
pub fn taken_back() -> Vec<(Timestamp, Fact)> {
    let worse = plan("api", 7, Remedy::BuildspecLogin);
    let id = worse.id.clone();
    let entry = |time, entry| (at(time), of(&id, entry));
    let mut facts = vec![
        (at("11:00:00"), detected("api", 7, "10:59:58", anonymous(Site::DockerClient))),
        entry("11:00:01", Entry::Planned(Box::new(worse))),
        entry("11:00:02", Entry::InPlace { change: 0 }),
        entry("11:00:18", Entry::InPlace { change: 1 }),
        entry("11:00:19", Entry::Applied),
        entry("11:00:19", Entry::RetryIntended),
        entry("11:00:20", Entry::RetryRefused { detail: "the build is too old to be retried".to_string() }),
        entry(
            "11:05:00",
            Entry::RollbackDecided {
                reason: RollbackReason::MadeWorse,
                detail: "the service role can't read the secret, as build api:8 shows".to_string(),
                by: Some(build("api", 8)),
            },
        ),
        entry("11:05:01", Entry::Undone { change: 1 }),
        entry("11:05:17", Entry::RolledBack),
    ];
    let unwanted = plan("ops", 3, Remedy::RegistryCredential);
    let id = unwanted.id.clone();
    facts.extend([
        (at("11:10:00"), of(&id, Entry::Planned(Box::new(unwanted)))),
        (
            at("11:10:05"),
            of(
                &id,
                Entry::RollbackDecided {
                    reason: RollbackReason::Operator,
                    detail: "asked for by `unthrottled rollback`".to_string(),
                    by: None,
                },
            ),
        ),
    ]);
    facts
}

/// `lib` and `kit` are taken back, but for grants that others need: the one goes later, the other is changed by someone.
pub fn kept() -> Vec<(Timestamp, Fact)> {
    let mut facts = Vec::new();
    let left = Entry::GrantLeft {
        detail: "inline policy `unthrottled-dockerhub` of role `codebuild-kit` was changed by someone else, so it is theirs now"
            .to_string(),
    };
    for (name, minute, ends) in
        [("lib", 30, vec![Entry::GrantUnneeded, Entry::Undone { change: 0 }]), ("kit", 40, vec![left])]
    {
        let plan = plan(name, 5, Remedy::RegistryCredential);
        let id = plan.id.clone();
        let because = "our change to the project was taken out by someone".to_string();
        let mut entries = vec![
            Entry::Planned(Box::new(plan)),
            Entry::InPlace { change: 0 },
            Entry::Begun { change: 1 },
            Entry::RollbackDecided { reason: RollbackReason::TakenOut, detail: because, by: None },
            Entry::GrantKept { by: ProjectName::new("hand") },
            Entry::RolledBack,
        ];
        entries.extend(ends);
        let entry = |(second, entry)| (at(&format!("14:{minute}:{second:02}")), of(&id, entry));
        facts.extend((1..).zip(entries).map(entry));
    }
    facts
}

/// What ends with a person.
pub fn left_to_people() -> Vec<(Timestamp, Fact)> {
    let unproven = plan("batch", 1, Remedy::BuildspecLogin);
    let id = unproven.id.clone();
    let judged = |time, project, judgement| {
        let build = build(project, 1);
        (at(time), Fact::Judged { build, judgement })
    };
    vec![
        (at("12:00:00"), of(&id, Entry::Planned(Box::new(unproven)))),
        (at("12:00:02"), of(&id, Entry::InPlace { change: 0 })),
        (at("12:00:19"), of(&id, Entry::InPlace { change: 1 })),
        (at("12:00:20"), of(&id, Entry::Applied)),
        (
            at("12:30:00"),
            of(
                &id,
                Entry::Escalated {
                    reason: EscalationReason::NotProven,
                    detail: "no later build of the project proved or disproved the remedy in time".to_string(),
                },
            ),
        ),
        judged(
            "12:31:00",
            "flaky",
            Judgement::Left {
                reason: LeaveReason::AttemptsExhausted,
                detail: "2 remediations of the project were tried; `unthrottled clear` allows more".to_string(),
            },
        ),
        (at("12:32:00"), Fact::Cleared { project: ProjectName::new("flaky") }),
        (at("12:33:00"), Fact::PasswordResetAdvised { credential: "dockerhub".to_string(), id }),
    ]
}

/// What the owner of a project, whose buildspec is in the repository, has to change.
fn patch(project: &str, number: u32) -> Patch {
    let login = plan(project, number, Remedy::BuildspecLogin);
    let variables = |change: Change| match change {
        Change::Project { mut edits } => {
            edits.retain(|edit| matches!(edit, Edit::Variable { .. }));
            Change::Project { edits }
        }
        grant @ Change::Grant { .. } => grant,
    };
    Patch {
        project: login.project,
        image: login.image,
        because: login.because,
        site: login.site,
        phase: login.phase,
        policy: login.policy,
        credential: login.credential,
        role: login.role,
        secret: login.secret.unwrap(),
        owner: Some(Owner::Terraform),
        changes: login.changes.into_iter().map(variables).collect(),
        login: Some(BuildspecLogin::default()),
        unknown: Vec::new(),
        why: "buildspec_login: the buildspec is not in the project".to_string(),
    }
}

/// `web` again: the code that owns it sets the proven remedy back, and it stays out.
pub fn set_back() -> Vec<(Timestamp, Fact)> {
    let id = plan("web", 41, Remedy::RegistryCredential).id;
    let entry = |time, entry| (at(time), of(&id, entry));
    vec![
        entry("14:00:00", Entry::SetBack { owner: Owner::Terraform }),
        entry("14:00:01", Entry::Undone { change: 1 }),
        entry("14:00:16", Entry::RolledBack),
        (at("14:10:00"), detected("web", 43, "14:09:30", anonymous(Site::BuildImage))),
        (
            at("14:10:01"),
            Fact::Judged {
                build: build("web", 43),
                judgement: Judgement::SetBack {
                    plan: Box::new(plan("web", 43, Remedy::RegistryCredential)),
                    owner: Some(Owner::Terraform),
                    times: 1,
                    kept: KeptOut::ByPolicy,
                },
            },
        ),
    ]
}

/// Builds that no remediation came of.
pub fn not_remediated() -> Vec<(Timestamp, Fact)> {
    let judged = |time, project, judgement| {
        let build = build(project, 1);
        (at(time), Fact::Judged { build, judgement })
    };
    let left = |reason, detail: &str| Judgement::Left { reason, detail: detail.to_string() };
    let ecr = diagnosis(Cause::OtherRegistry, Registry::EcrPublic, Login::Unknown, Site::DockerClient);
    let full = diagnosis(Cause::HubPullLimit, Registry::DockerHub, Login::Authenticated, Site::DockerClient);
    vec![
        (at("13:00:00"), detected("shop", 1, "12:59:00", anonymous(Site::BuildImage))),
        judged(
            "13:00:01",
            "shop",
            Judgement::Held {
                reason: HoldReason::MaxOpen,
                detail: "5 remediations are under way".to_string(),
                until: at("13:01:01"),
            },
        ),
        judged("13:02:00", "shop", Judgement::Covered { by: RemediationId::of(&build("web", 41)) }),
        (at("13:03:00"), detected("infra", 1, "13:02:00", anonymous(Site::BuildImage))),
        judged(
            "13:03:01",
            "infra",
            Judgement::Proposed {
                plan: Box::new(plan("infra", 1, Remedy::RegistryCredential)),
                mode: Mode::Propose,
                owner: None,
            },
        ),
        (at("13:03:10"), detected("repo", 1, "13:03:00", anonymous(Site::DockerClient))),
        judged("13:03:11", "repo", Judgement::ForOwner { patch: Box::new(patch("repo", 1)) }),
        judged("13:03:20", "repo", Judgement::Repeated { build: build("repo", 1) }),
        (at("13:04:00"), detected("mirror", 1, "13:03:00", ecr)),
        judged(
            "13:04:01",
            "mirror",
            left(LeaveReason::OtherRegistry, "another registry throttled; a Docker Hub login does nothing for it"),
        ),
        (at("13:05:00"), detected("big", 1, "13:04:00", full)),
        judged(
            "13:05:01",
            "big",
            left(LeaveReason::AlreadyAuthenticated, "the Docker account itself has reached its limit"),
        ),
        judged("13:06:00", "frozen", left(LeaveReason::StopSwitch, "the project is tagged `unthrottled = off`")),
        (at("13:07:00"), Fact::Undecided { build: build("torn", 1), reason: UnknownReason::MessageCut }),
    ]
}

fn of(id: &RemediationId, entry: Entry) -> Fact {
    Fact::Remediation { id: id.clone(), entry }
}
