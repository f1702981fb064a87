//! What a project's webhook builds: runners' jobs, and whose pull requests.

use crate::domain::build::PullRequests;
use aws_sdk_codebuild::types::{
    PullRequestBuildApproverRole as Approver, PullRequestBuildCommentApproval as Approval, Webhook, WebhookBuildType,
    WebhookFilter, WebhookFilterType,
};

/// Events that only people who may write to the repository bring about.
const INSIDE: [&str; 4] = ["PUSH", "RELEASED", "PRERELEASED", "PULL_REQUEST_MERGED"];

/// A job of a workflow is queued for a runner.
const JOB: &str = "WORKFLOW_JOB_QUEUED";

/// GitHub and GitLab runners listen for queued jobs; a Buildkite runner says so in the webhook's type.
pub(super) fn is_runner(webhook: &Webhook) -> bool {
    let buildkite = webhook.build_type() == Some(&WebhookBuildType::RunnerBuildkiteBuild);
    buildkite || webhook.filter_groups().iter().flatten().any(|filter| events(filter).any(|event| event == JOB))
}

/// Whose pull requests it builds. A group of filters lets an event through if all of its filters do, and no groups at all
/// let pushes and pull requests of everybody through. What can't be told is everybody's.
///
/// `HEAD_REF` and the like keep nobody out, as a fork may name its branches as it likes. `ACTOR_ACCOUNT_ID` does, where its
/// pattern is anchored: `123` also lets account 91234 in.
pub(super) fn pull_requests(webhook: &Webhook) -> PullRequests {
    let groups = webhook.filter_groups();
    if groups.is_empty() {
        return if is_approved(webhook) { PullRequests::Approved } else { PullRequests::Anybodys };
    }
    groups
        .iter()
        .map(|group| of_group(webhook, group))
        .max_by_key(|whose| rank(*whose))
        .unwrap_or(PullRequests::Anybodys)
}

fn of_group(webhook: &Webhook, group: &[WebhookFilter]) -> PullRequests {
    let mut of_events = group.iter().filter(|filter| filter.r#type == WebhookFilterType::Event).peekable();
    let is_inside = of_events.peek().is_some()
        && of_events.all(|filter| !excludes(filter) && events(filter).all(|event| INSIDE.contains(&event)));
    let names_people = group.iter().any(|filter| {
        filter.r#type == WebhookFilterType::ActorAccountId && !excludes(filter) && is_anchored(&filter.pattern)
    });
    // A comment approves a pull request. Nothing says that it approves a workflow's job.
    let is_job = group.iter().any(|filter| events(filter).any(|event| event == JOB));
    if is_inside {
        PullRequests::Nobodys
    } else if names_people || is_approved(webhook) && !is_job {
        PullRequests::Approved
    } else {
        PullRequests::Anybodys
    }
}

fn rank(whose: PullRequests) -> u8 {
    match whose {
        PullRequests::Nobodys => 0,
        PullRequests::Approved => 1,
        PullRequests::Anybodys => 2,
    }
}

/// The events of a filter; none of one that filters by something else.
fn events(filter: &WebhookFilter) -> impl Iterator<Item = &str> {
    let pattern = if filter.r#type == WebhookFilterType::Event { filter.pattern.as_str() } else { "" };
    pattern.split(',').map(str::trim).filter(|event| !event.is_empty())
}

fn excludes(filter: &WebhookFilter) -> bool {
    filter.exclude_matched_pattern == Some(true)
}

/// Whether somebody who may write to the repository has to approve what comes from a fork.
fn is_approved(webhook: &Webhook) -> bool {
    let Some(policy) = webhook.pull_request_build_policy() else { return false };
    let of_forks = matches!(policy.requires_comment_approval(), Approval::AllPullRequests | Approval::ForkPullRequests);
    let may_write = |role: &Approver| {
        matches!(
            role,
            Approver::GithubWrite
                | Approver::GithubMaintain
                | Approver::GithubAdmin
                | Approver::GitlabDeveloper
                | Approver::GitlabMaintainer
                | Approver::GitlabOwner
                | Approver::BitbucketWrite
                | Approver::BitbucketAdmin
        )
    };
    of_forks && !policy.approver_roles().is_empty() && policy.approver_roles().iter().all(may_write)
}

/// Whether a pattern names whole accounts and nothing else: `^123$`, `^123$|^456$`, `^(123|456)$`.
fn is_anchored(pattern: &str) -> bool {
    let is_account = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '{' | '}'))
    };
    let whole = |text: &str| text.strip_prefix('^').and_then(|text| text.strip_suffix('$')).map(str::to_string);
    let inner = |text: &str| text.strip_prefix("^(").and_then(|text| text.strip_suffix(")$")).map(str::to_string);
    match inner(pattern) {
        Some(accounts) => accounts.split('|').all(is_account),
        None => pattern.split('|').all(|one| whole(one).is_some_and(|account| is_account(&account))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_codebuild::types::PullRequestBuildPolicy;
    use rstest::rstest;

    fn filter(kind: &str, pattern: &str) -> WebhookFilter {
        let (kind, exclude) = kind.strip_prefix('!').map_or((kind, false), |kind| (kind, true));
        WebhookFilter::builder().r#type(kind.into()).pattern(pattern).exclude_matched_pattern(exclude).build().unwrap()
    }

    fn webhook(groups: &[&[(&str, &str)]]) -> aws_sdk_codebuild::types::builders::WebhookBuilder {
        groups.iter().fold(Webhook::builder(), |webhook, group| {
            webhook.filter_groups(group.iter().map(|(kind, pattern)| filter(kind, pattern)).collect())
        })
    }

    #[rstest]
    #[case::no_filter_lets_everything_in(&[], PullRequests::Anybodys)]
    #[case(&[&[("EVENT", "PUSH")] as &[_]], PullRequests::Nobodys)]
    #[case(&[&[("EVENT", "PUSH, PULL_REQUEST_MERGED")] as &[_]], PullRequests::Nobodys)]
    #[case(&[&[("EVENT", "PUSH, PULL_REQUEST_CREATED")] as &[_]], PullRequests::Anybodys)]
    #[case::one_group_is_enough(&[&[("EVENT", "PUSH")] as &[_], &[("EVENT", "PULL_REQUEST_UPDATED")]], PullRequests::Anybodys)]
    #[case::an_event_of_next_year(&[&[("EVENT", "DISCUSSION")] as &[_]], PullRequests::Anybodys)]
    #[case::no_event_at_all(&[&[("HEAD_REF", "^refs/heads/main$")] as &[_]], PullRequests::Anybodys)]
    #[case::all_but_pushes(&[&[("!EVENT", "PUSH")] as &[_]], PullRequests::Anybodys)]
    #[case::a_fork_names_its_branches(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("HEAD_REF", "^refs/heads/main$")] as &[_]], PullRequests::Anybodys)]
    #[case(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("ACTOR_ACCOUNT_ID", "^(123|456)$")] as &[_]], PullRequests::Approved)]
    #[case(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("ACTOR_ACCOUNT_ID", "^123$|^456$")] as &[_]], PullRequests::Approved)]
    #[case::lets_91234_in(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("ACTOR_ACCOUNT_ID", "123")] as &[_]], PullRequests::Anybodys)]
    #[case::half_anchored(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("ACTOR_ACCOUNT_ID", "^123|456$")] as &[_]], PullRequests::Anybodys)]
    #[case::anyone(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("ACTOR_ACCOUNT_ID", "^.*$")] as &[_]], PullRequests::Anybodys)]
    #[case::all_but_some(&[&[("EVENT", "PULL_REQUEST_CREATED"), ("!ACTOR_ACCOUNT_ID", "^123$")] as &[_]], PullRequests::Anybodys)]
    #[case(&[&[("EVENT", "WORKFLOW_JOB_QUEUED")] as &[_]], PullRequests::Anybodys)]
    fn filters_tell_whose_pull_requests_are_built(#[case] groups: &[&[(&str, &str)]], #[case] whose: PullRequests) {
        assert_eq!(pull_requests(&webhook(groups).build()), whose);
    }

    #[rstest]
    #[case("FORK_PULL_REQUESTS", &["GITHUB_WRITE", "GITHUB_ADMIN"], PullRequests::Approved)]
    #[case("ALL_PULL_REQUESTS", &["GITLAB_MAINTAINER"], PullRequests::Approved)]
    #[case::who_may_only_read_approves("ALL_PULL_REQUESTS", &["GITHUB_WRITE", "GITHUB_READ"], PullRequests::Anybodys)]
    #[case::a_role_of_next_year("ALL_PULL_REQUESTS", &["GITHUB_GUEST"], PullRequests::Anybodys)]
    #[case::nobody_is_named("ALL_PULL_REQUESTS", &[], PullRequests::Anybodys)]
    #[case("DISABLED", &["GITHUB_WRITE"], PullRequests::Anybodys)]
    #[case::a_word_of_next_year("SOME_PULL_REQUESTS", &["GITHUB_WRITE"], PullRequests::Anybodys)]
    fn an_approval_counts_if_it_is_of_somebody_who_may_write(
        #[case] needs: &str,
        #[case] roles: &[&str],
        #[case] whose: PullRequests,
    ) {
        let policy = PullRequestBuildPolicy::builder()
            .requires_comment_approval(needs.into())
            .set_approver_roles(Some(roles.iter().map(|role| Approver::from(*role)).collect()))
            .build()
            .unwrap();
        let approved = |groups| pull_requests(&webhook(groups).pull_request_build_policy(policy.clone()).build());
        assert_eq!(approved(&[&[("EVENT", "PULL_REQUEST_CREATED")]]), whose);
        assert_eq!(approved(&[]), whose);
        assert_eq!(
            approved(&[&[("EVENT", "WORKFLOW_JOB_QUEUED")]]),
            PullRequests::Anybodys,
            "a job is no pull request"
        );
    }
}
