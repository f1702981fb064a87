//! The main scenarios under each reading of what AWS does not document.

use crate::support::cast::no_secrets;
use crate::support::world::World;
use jiff::SignedDuration;
use unthrottled::simulator::{
    BatchMembers, GivenBuildspec, LogPages, Omitted, OmittedCredential, OmittedTags, Options, RetryReads, RunnerLog,
    SystemTags, Unknowns,
};

/// One reading, and its name.
fn readings() -> Vec<(&'static str, Unknowns)> {
    let usual = Unknowns::default;
    let seconds = SignedDuration::from_secs;
    vec![
        ("as documented", usual()),
        ("RetryBuild reads the project", Unknowns { retry_build: RetryReads::Current, ..usual() }),
        ("variables left out go", Unknowns { omitted_variables: Omitted::Cleared, ..usual() }),
        ("tags left out stay", Unknowns { omitted_tags: OmittedTags::Kept, ..usual() }),
        ("grants take 10 s", Unknowns { iam_propagation: seconds(10), ..usual() }),
        ("reads lag by 5 s", Unknowns { stale_reads: seconds(5), ..usual() }),
        ("reads lag by 40 s", Unknowns { stale_reads: seconds(40), ..usual() }),
        ("log lines come 45 s late", Unknowns { late_logs: seconds(45), ..usual() }),
        ("log pages are ragged", Unknowns { log_pages: LogPages::Ragged, ..usual() }),
        (
            "everything at once",
            Unknowns {
                retry_build: RetryReads::Current,
                omitted_variables: Omitted::Cleared,
                omitted_tags: OmittedTags::Kept,
                omitted_credential: OmittedCredential::Cleared,
                iam_propagation: seconds(14),
                stale_reads: seconds(3),
                late_logs: seconds(50),
                log_pages: LogPages::Ragged,
                system_tags: SystemTags::default(),
                given_buildspec: GivenBuildspec::Hidden,
                batch_members: BatchMembers::Unlisted,
                runner_log: RunnerLog::JobOnly,
            },
        ),
    ]
}

fn world(unknowns: Unknowns) -> World {
    let world = World::with(Options { unknowns, ..Options::default() }).policy("retry = \"always\"");
    world.image_project("web", "node:22");
    world.docker_project("api");
    world.sim.account(|account| {
        account.project("web").tag("team", "shop").variable("STAGE", "prod");
        account.project("api").tag("team", "shop").variable("STAGE", "prod");
    });
    world
}

#[tokio::test]
async fn both_cures_come_to_the_same_under_every_reading() {
    for (name, unknowns) in readings() {
        let world = world(unknowns);
        world.sim.run_build("web");
        world.sim.run_build("api");
        let mut daemon = world.daemon().await;
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["api: verified", "web: verified"], "{name}");
        assert_eq!(world.ended("web"), ["FAILED", "SUCCEEDED"], "{name}: one retry ran to its end");
        assert_eq!(world.ended("api"), ["FAILED", "SUCCEEDED"], "{name}: one retry ran to its end");
        let tags = world.sim.project_json("web")["tags"].to_string();
        assert!(tags.contains("shop"), "{name}: {tags}");
        assert!(world.environment("api")["environmentVariables"].to_string().contains("STAGE"), "{name}");
        assert_eq!(world.buildspec("api").matches("docker login").count(), 1, "{name}");
        let updates = world.writes().iter().filter(|write| *write == "UpdateProject web").count();
        assert!(updates <= 3, "{name}: {updates} updates of one project");
    }
}

#[tokio::test]
async fn what_made_it_worse_is_put_back_under_every_reading() {
    for (name, unknowns) in readings() {
        let world = world(unknowns);
        world.sim.account(|account| {
            account.role("codebuild-web").boundary(no_secrets());
            account.role("codebuild-api").boundary(no_secrets());
        });
        let before = world.sim.snapshot();
        world.sim.run_build("web");
        world.sim.run_build("api");
        let mut daemon = world.daemon().await;
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["api: rolled_back", "web: rolled_back"], "{name}");
        // CodeBuild keeps a pull type once it was sent; `CODEBUILD` is what its absence means.
        assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "{name}");
        assert_eq!(world.ended("web"), ["FAILED", "FAILED"], "{name}");
    }
}

/// A grant that takes longer than it is given breaks one build, and the remedy is taken back rather than left broken.
#[tokio::test]
async fn a_grant_slower_than_its_time_to_settle_is_taken_back() {
    let unknowns = Unknowns { iam_propagation: SignedDuration::from_mins(5), ..Unknowns::default() };
    let world = world(unknowns);
    let before = world.sim.snapshot();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: rolled_back"]);
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

/// If CodeBuild keeps a credential that an update leaves out, nothing in its API can take it away: a person is called, and
/// the grant that the project now needs stays.
#[tokio::test]
async fn a_credential_that_can_not_be_taken_away_is_left_to_a_person_with_its_grant() {
    let unknowns = Unknowns { omitted_credential: OmittedCredential::Kept, ..Unknowns::default() };
    let world = world(unknowns).unguarded();
    world.sim.account(|account| {
        account.hub().account("acme", "hub-pw").limit(0);
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    ThrottleDetected web PROVISIONING hub_pull_limit authenticated
    RemedyUnavailable web already_authenticated
    RollbackDecided web registry_credential still_throttled by web#3
    GrantKept web registry_credential grant_needed by web
    RemediationEscalated web registry_credential rollback_refused
    ");
    assert!(world.sim.role_policy("codebuild-web", crate::support::world::GRANT).is_some());
}
