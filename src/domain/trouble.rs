//! Signs that a credential, a grant or a buildspec does not work: what a remedy can break.

use crate::domain::build::{Build, Context, Phase, PhaseName};
use crate::domain::detect::{self, Evidence, Limit, Scan};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The role may not read the secret, or the secret is gone.
    SecretUnreadable,
    /// The role may not use the secret's key.
    KmsDenied,
    /// Docker Hub refused the user name or password.
    LoginRefused,
    /// CodeBuild could not read the buildspec.
    BuildspecBroken,
    /// The build image could not be pulled for a reason that is no limit.
    PullRefusedOtherwise,
    /// A registry knows the login and does not let it into a repository.
    AccessDenied,
}

/// A trouble that a log showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub trouble: Trouble,
    /// The phase, by the agent's last line before.
    pub phase: Option<PhaseName>,
    /// The line.
    pub evidence: Evidence,
}

/// The trouble of a failed build, if any: the contexts of its failed phases first, then the log. A refused login in a phase
/// that did not fail broke nothing.
pub fn trouble(build: &Build, log: Option<&Scan>) -> Option<Trouble> {
    let by_context = build.failed_phases().find_map(phase_trouble);
    by_context.or_else(|| {
        let failed = build.failed_phases().next()?;
        let seen = log?.troubles.iter().find(|seen| seen.phase.as_ref().is_none_or(|phase| *phase == failed.name))?;
        Some(seen.trouble)
    })
}

fn phase_trouble(phase: &Phase) -> Option<Trouble> {
    phase.contexts.iter().find_map(|context| context_trouble(&phase.name, context))
}

/// CodeBuild puts the words into either member: the code of an unreadable secret is a sentence.
fn context_trouble(phase: &PhaseName, context: &Context) -> Option<Trouble> {
    // A phase that runs commands repeats the command here, which may hold any words.
    if phase.runs_commands() {
        return None;
    }
    let text = format!("{} {}", context.code, context.message);
    let is_provisioning = phase.as_str() == PhaseName::PROVISIONING;
    let speaks_of_secret =
        ["Secrets Manager", "secretsmanager", "GetSecretValue"].iter().any(|word| text.contains(word));
    if text.contains("Access to KMS is not allowed") || text.contains("kms:Decrypt") {
        Some(Trouble::KmsDenied)
    } else if speaks_of_secret || (is_provisioning && text.contains("registry credential")) {
        Some(Trouble::SecretUnreadable)
    } else if text.contains("YAML_FILE_ERROR") {
        Some(Trouble::BuildspecBroken)
    } else if is_provisioning && text.contains("incorrect username or password") {
        Some(Trouble::LoginRefused)
    } else if is_provisioning && is_pull_failure(&text) && !is_throttle(&text) {
        Some(Trouble::PullRefusedOtherwise)
    } else {
        None
    }
}

fn is_pull_failure(text: &str) -> bool {
    ["UNABLE_TO_PULL_IMAGE", "CannotPullContainerError", "Unable to pull customer's container image"]
        .iter()
        .any(|word| text.contains(word))
}

fn is_throttle(text: &str) -> bool {
    detect::in_log(text).findings.iter().any(|finding| finding.limit != Limit::Login)
}

/// What a line of a log says of a refused login at Docker Hub, or of a login that may not do what was asked. A login that
/// another registry refused is not ours to cure or to cause.
pub fn in_line(text: &str) -> Option<Trouble> {
    const REFUSALS: [&str; 4] = [
        "unauthorized: incorrect username or password",
        "Get \"https://registry-1.docker.io/v2/\": unauthorized",
        "Get https://registry-1.docker.io/v2/: unauthorized",
        "login attempt to https://registry-1.docker.io/v2/ failed with status: 401",
    ];
    // BuildKit, which asks Docker Hub's token service itself.
    let by_token_service = text.contains("https://auth.docker.io/token") && text.contains(": 401 Unauthorized");
    const DENIALS: [&str; 2] =
        ["denied: requested access to the resource is denied", "insufficient_scope: authorization failed"];
    if by_token_service || REFUSALS.iter().any(|refusal| text.contains(refusal)) {
        Some(Trouble::LoginRefused)
    } else {
        DENIALS.iter().any(|denial| text.contains(denial)).then_some(Trouble::AccessDenied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::in_log;
    use rstest::rstest;

    fn of_context(phase: &str, code: &str, message: &str) -> Option<Trouble> {
        let context = Context { code: code.to_string(), message: message.to_string() };
        context_trouble(&PhaseName::new(phase), &context)
    }

    const DENIED: &str = "Secrets Manager Error Message: AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/web \
                          is not authorized to perform: secretsmanager:GetSecretValue on resource: dockerhub";

    #[rstest]
    #[case("DOWNLOAD_SOURCE", DENIED, "", Some(Trouble::SecretUnreadable))]
    #[case("PROVISIONING", "CLIENT_ERROR", DENIED, Some(Trouble::SecretUnreadable))]
    #[case(
        "DOWNLOAD_SOURCE",
        "Secrets Manager Error Message: AccessDeniedException: Access to KMS is not allowed",
        "",
        Some(Trouble::KmsDenied)
    )]
    #[case("DOWNLOAD_SOURCE", "YAML_FILE_ERROR", "did not find expected key", Some(Trouble::BuildspecBroken))]
    #[case(
        "PROVISIONING",
        "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
        "CannotPullContainerError: unauthorized: incorrect username or password",
        Some(Trouble::LoginRefused)
    )]
    #[case(
        "PROVISIONING",
        "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
        "CannotPullContainerError: pull access denied",
        Some(Trouble::PullRefusedOtherwise)
    )]
    #[case(
        "PROVISIONING",
        "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
        "CannotPullContainerError: toomanyrequests: Rate exceeded",
        None
    )]
    #[case("BUILD", "COMMAND_EXECUTION_ERROR", DENIED, None)]
    #[case("PROVISIONING", "INTERNAL_ERROR", "no capacity", None)]
    fn contexts_tell(
        #[case] phase: &str,
        #[case] code: &str,
        #[case] message: &str,
        #[case] expected: Option<Trouble>,
    ) {
        assert_eq!(of_context(phase, code, message), expected);
    }

    #[rstest]
    #[case(
        "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password",
        1
    )]
    #[case(
        "Error response from daemon: Get https://registry-1.docker.io/v2/: unauthorized: authentication required",
        1
    )]
    #[case("Error response from daemon: Get \"https://ghcr.io/v2/\": unauthorized", 0)]
    #[case(
        "[Container] 2025/06/18 07:02:11 Running command grep \"unauthorized: incorrect username or password\" x",
        0
    )]
    #[case("# unauthorized: incorrect username or password means that you mistyped", 0)]
    #[case(
        "#3 ERROR: failed to authorize: failed to fetch oauth token: unexpected status from POST request to \
         https://auth.docker.io/token: 401 Unauthorized",
        1
    )]
    fn logs_tell_of_a_refused_login(#[case] text: &str, #[case] count: usize) {
        let seen = in_log(text).troubles;
        assert_eq!(seen.len(), count, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.trouble == Trouble::LoginRefused));
    }

    #[rstest]
    #[case("denied: requested access to the resource is denied", 1)]
    #[case(
        "ERROR: failed to push acme/app: push access denied, repository does not exist or may require authorization: server \
         message: insufficient_scope: authorization failed",
        1
    )]
    #[case("denied: User: arn:aws:sts::1:assumed-role/web is not authorized to perform: ecr:InitiateLayerUpload", 0)]
    #[case(
        "[Container] 2025/06/18 07:02:11 Running command echo denied: requested access to the resource is denied",
        0
    )]
    fn logs_tell_of_a_login_that_may_not(#[case] text: &str, #[case] count: usize) {
        let seen = in_log(text).troubles;
        assert_eq!(seen.len(), count, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.trouble == Trouble::AccessDenied));
    }

    /// The token service answers much else, and others have one, too.
    #[rstest]
    #[case("unexpected status from POST request to https://auth.docker.io/token: 503 Service Unavailable")]
    #[case("unexpected status from POST request to https://ghcr.io/token: 401 Unauthorized")]
    fn another_answer_of_a_token_service_is_no_refused_login(#[case] text: &str) {
        assert_eq!(in_line(text), None);
    }

    #[test]
    fn a_login_that_was_refused_in_a_phase_that_did_not_fail_broke_nothing() {
        use crate::domain::testing::build;
        let mut scan = in_log("Error response from daemon: unauthorized: incorrect username or password");
        let failed = build("web:41").failed_in("BUILD");
        assert_eq!(trouble(&failed, None), None);
        assert_eq!(trouble(&build("web:41"), Some(&scan)), None);
        for (phase, expected) in [
            (None, Some(Trouble::LoginRefused)),
            (Some("BUILD"), Some(Trouble::LoginRefused)),
            (Some("PRE_BUILD"), None),
        ] {
            scan.troubles[0].phase = phase.map(PhaseName::new);
            assert_eq!(trouble(&failed, Some(&scan)), expected, "{phase:?}");
        }
    }

    #[test]
    fn what_a_context_tells_comes_before_the_log() {
        use crate::domain::testing::build;
        let scan = in_log("Error response from daemon: unauthorized: incorrect username or password");
        let mut failed = build("web:41").failed_in("PROVISIONING");
        failed.phases[0].contexts.push(Context { code: "CLIENT_ERROR".to_string(), message: DENIED.to_string() });
        assert_eq!(trouble(&failed, Some(&scan)), Some(Trouble::SecretUnreadable));
    }
}
