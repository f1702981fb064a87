//! What each statement is called, and the sentence that says why it is there.

use super::Bounds;
use crate::domain::permissions::On;

/// The name of the statement for a kind of resource.
pub(super) fn sid(on: On) -> &'static str {
    match on {
        On::Everything => "FindBuilds",
        On::AnyProject => "ReadAnyProject",
        On::Projects => "ReadProjects",
        On::Changed => "ChangeProjects",
        On::Restarted => "StartBuildsAgain",
        On::Logs => "ReadLogs",
        On::Roles => "ReadServiceRoles",
        On::Granted => "GrantTheSecret",
        On::Secrets => "CheckTheSecret",
        On::Keys => "DecryptTheSecret",
        On::Table => "KeepTheLedger",
        On::Members => "TakeOnMemberRoles",
        On::Itself => "CheckItself",
    }
}

/// Why the statement is there; `widened` are the globs that IAM can't express.
pub(super) fn of(on: On, bounds: &Bounds, widened: &[String]) -> String {
    let mut sentence = match on {
        On::Everything => {
            "Finds builds and counts projects. These actions know no resources, so `*` is all that can be named."
        }
        On::AnyProject => {
            "Reads builds: the first and the last of a page tell how far it goes back, whatever project they are of."
        }
        On::Projects => "Reads the projects that a policy names, and their builds.",
        On::Changed => "Gives the projects that a policy in mode `apply` names the login, and takes it back.",
        On::Restarted => "Starts a throttled build again once its remedy is in place, as `retry` says.",
        On::Logs if bounds.log_groups.is_empty() => {
            "Reads the logs of failed builds in the groups that CodeBuild makes by default, `/aws/codebuild/<project>`."
        }
        On::Logs => "Reads the logs of failed builds.",
        On::Roles => "Reads service roles with their inline policies, to see what a grant would change.",
        On::Granted if bounds.boundary.is_some() => {
            "Grants service roles the secret by one inline policy each, and takes it back; only roles that carry the \
             permissions boundary, so that no grant reaches beyond it."
        }
        On::Granted => {
            "Grants service roles the secret by one inline policy each, and takes it back. IAM can't say which policy: \
             whoever may do this can give these roles anything, so they are named as narrowly as they can be."
        }
        On::Secrets => {
            "Sees whether the secret is there and has its keys, and asks Docker Hub what its account has left, unless \
             `docker_hub.quota_guard` is off; the value is read, used for that, and dropped."
        }
        On::Keys => "Lets Secrets Manager decrypt these secrets, and nothing else, with the customer's key.",
        On::Table => "Keeps the ledger and its lease. The table is made beforehand, and no entry is ever deleted.",
        On::Members => "Takes on the roles of the scopes that have one of their own.",
        On::Itself => "Lets `doctor` compare what is held with what is needed; the daemon does without.",
    }
    .to_string();
    if !widened.is_empty() {
        let globs: Vec<String> = widened.iter().map(|glob| format!("`{glob}`")).collect();
        let globs = globs.join(", ");
        sentence.push_str(&format!(
            " IAM knows `*` and `?` alone and can't express {globs}: every project is named, and only the settings hold \
             the daemon to it."
        ));
    }
    sentence
}

/// Where all projects are read, too.
pub(super) const ALL_PROJECTS: &str = " Reads projects: a plan says who shares the role, and a grant is taken back only if none of them needs it any more.";

/// Where a policy asks for tags.
pub(super) const TAGS: &str = " Only while they carry the tags that the policy asks for.";

/// Why some projects are denied.
pub(super) const EXCLUDED: &str = "Never writes to projects that `exclude` leaves out.";

/// Why `iam:PassRole` is there.
pub(super) const PASS_ROLE: &str = "Lets an update of a project keep its service role; the daemon never names another.";

/// Why its own roles are denied.
pub(super) const NEVER_ITSELF: &str =
    "Never writes to a role of its own or to one that AWS keeps for a service, whatever else is attached to it.";

/// Why the boundary is denied.
pub(super) const NEVER_THE_BOUNDARY: &str = "Never changes the permissions boundary that holds its grants.";
