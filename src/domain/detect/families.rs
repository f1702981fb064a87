//! The one table of what registries and their clients say when they refuse for there were too many requests.
//!
//! To add a message: add a row (before those that are less specific), with an example and where it was seen, and a line
//! to `tests/corpus/families.jsonl`. The tests below fail if a row does not find its own example, or if another row
//! finds it first. How patterns are written: [`super::pattern`].
//!
//! What the programs print, and why there are two kinds of rows: a registry answers with a status (429), a code
//! (`TOOMANYREQUESTS`) and a message. Clients print one, two or all of them, on one line or several. Rows of
//! [`Kind::Message`] know the registry's own words. Rows of [`Kind::Status`] know a client's frame around the status or
//! the code alone; they give way to a message that follows.

use crate::domain::classify::{Login, Registry};
use crate::domain::detect::Limit;

/// Whether a row knows the registry's words or only the client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The registry's own words.
    Message,
    /// The status or the code, as a client prints it: gives way to a message that follows.
    Status,
}

/// Whether the words themselves tell a pull from a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Said of pulls only.
    Pull,
    /// Said of both: what stands before tells.
    Near,
}

/// Who tells whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The words do, whatever host or image is near.
    Said(Registry),
    /// A host or an image near it.
    Near,
    /// A host or an image near it; without any it is this one's.
    NearOr(Registry),
}

/// One message of one registry, or one frame of one client.
#[derive(Debug)]
pub struct Family {
    /// Its name, for the curious and for tests.
    pub name: &'static str,
    /// The ways it is put. Any of them is enough.
    pub says: &'static [&'static str],
    /// Message or frame.
    pub kind: Kind,
    /// Which limit it speaks of.
    pub limit: Limit,
    /// Whose message it is.
    pub registry: Whose,
    /// What it tells of the login.
    pub login: Login,
    /// Whether only pulls are refused so.
    pub direction: Direction,
    /// A line as it is printed.
    pub example: &'static str,
    /// Which programs print it, and where that was read.
    pub seen: &'static str,
}

const HUB: Whose = Whose::Said(Registry::DockerHub);

/// From the most specific to the least.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "hub-unauthenticated",
        says: &[
            "reached your unauthenticated pull rate limit.",
            "reached your unauthenticated pull rate limit¶",
            "reached your unauthenticated pull rate limit\"",
            "reached your unauthenticated pull rate limit'",
        ],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Anonymous,
        direction: Direction::Pull,
        example: "Error response from daemon: error from registry: You have reached your unauthenticated pull rate \
                  limit. https://www.docker.com/increase-rate-limit",
        seen: "Docker Hub since 2025, in every client",
    },
    Family {
        name: "hub-account",
        says: &[
            "reached your pull rate limit as '",
            "reached your pull rate limit as \"",
            "reached your pull rate limit. You may increase the limit by upgrading",
        ],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Authenticated,
        direction: Direction::Pull,
        example: "toomanyrequests: You have reached your pull rate limit as 'acme': dckr_jti_0000. You may increase the \
                  limit by upgrading. https://www.docker.com/increase-rate-limit",
        seen: "Docker Hub since 2025, for accounts without a paid plan",
    },
    Family {
        name: "hub-pull-limit",
        says: &[
            "reached your pull rate limit.",
            "reached your pull rate limit¶",
            "reached your pull rate limit\"",
            "reached your pull rate limit'",
        ],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating \
                  and upgrading: https://www.docker.com/increase-rate-limit",
        seen: "Docker Hub from November 2020 to 2025, the same for anonymous clients and accounts",
    },
    Family {
        name: "hub-cut",
        // `?` stands for the dots, which are one character.
        says: &["TOOMANYREQUESTS: You have reac?\""],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "p3x1  web.1  redis:7  node-2  Shutdown  Rejected 2 seconds ago  \"toomanyrequests: You have reac…\"",
        seen: "docker service ps, docker node ps and docker stack ps, which cut an error at 30 characters",
    },
    Family {
        name: "hub-see-docs",
        says: &["Too Many Requests. Please see https://docs.docker.com/docker-hub/download-rate-limit"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "error pulling image configuration: toomanyrequests: Too Many Requests. Please see \
                  https://docs.docker.com/docker-hub/download-rate-limit/",
        seen: "Docker Hub from July to November 2020",
    },
    Family {
        name: "login-lockout",
        says: &[
            "TOOMANYREQUESTS: too many failed login attempts",
            "Login: Too many failed login attempts. You have been locked out",
            "login attempt to https://registry-1.docker.io/v2/ failed with status: 429",
            "login attempt to https://index.docker.io/v1/ failed with status: 429",
        ],
        kind: Kind::Message,
        limit: Limit::Login,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Error response from daemon: Get https://registry-1.docker.io/v2/: toomanyrequests: too many failed \
                  login attempts for username or IP address",
        seen: "docker login: moby's registry/auth.go prints `login attempt to … failed with status`",
    },
    Family {
        name: "hub-abuse",
        says: &[
            "TOOMANYREQUESTS: Too Many Requests (HAP429)",
            "error parsing HTTP 429 response body: invalid character 'T' looking for beginning of value: \"Too Many \
             Requests (HAP429)",
            "StatusCode: 429, Too Many Requests (HAP429)",
            "StatusCode: 429, \"Too Many Requests (HAP429)",
            "received unexpected HTTP status: 429 Too Many Requests (HAP429)",
            "malformed MIME header line: Too Many Requests (HAP429)",
        ],
        kind: Kind::Message,
        limit: Limit::Abuse,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Error response from daemon: error parsing HTTP 429 response body: invalid character 'T' looking for \
                  beginning of value: \"Too Many Requests (HAP429).\\n\"",
        seen: "Docker Hub's proxy, which answers plain text where docker's distribution client expects JSON",
    },
    Family {
        name: "hap429-alone",
        says: &["Too Many Requests (HAP429)"],
        kind: Kind::Status,
        limit: Limit::Abuse,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Step 1/4 : FROM maven:3.6.1-jdk-8\nToo Many Requests (HAP429).",
        seen: "docker/hub-feedback #1907; other services behind the same proxy answer so, too",
    },
    Family {
        name: "ecr-public-data",
        says: &["TOOMANYREQUESTS: Data limit exceeded"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::EcrPublic),
        // The monthly amount of data is a limit of anonymous clients only.
        login: Login::Anonymous,
        direction: Direction::Pull,
        example: "Error response from daemon: toomanyrequests: Data limit exceeded",
        seen: "public.ecr.aws",
    },
    Family {
        name: "ecr-rate",
        says: &["TOOMANYREQUESTS: Rate exceeded"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::Ecr),
        login: Login::Unknown,
        direction: Direction::Near,
        example: "docker: Error response from daemon: toomanyrequests: Rate exceeded",
        seen: "public.ecr.aws, and private registries by ECR's user guide on throttling",
    },
    Family {
        name: "ghcr-retry-after",
        says: &["TOOMANYREQUESTS: retry-after:", "TOOMANYREQUESTS\", \"message\": \"retry-after:"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::Ghcr),
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Error response from daemon: toomanyrequests: retry-after: 985.86µs, allowed: 44000/minute",
        seen: "ghcr.io, whatever name stands before it (lscr.io)",
    },
    Family {
        name: "artifact-registry-quota",
        says: &[
            "TOOMANYREQUESTS: Quota exceeded for quota metric",
            "429 Too Many Requests … Quota exceeded for quota metric … artifactregistry.googleapis.com",
            "TOOMANYREQUESTS: Quota Exceeded",
        ],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::Gcr),
        login: Login::Unknown,
        direction: Direction::Near,
        example: "toomanyrequests: Quota exceeded for quota metric 'Requests per project per region' and limit \
                  'Requests per project per region per minute per region' of service 'artifactregistry.googleapis.com' \
                  for consumer 'project_number:123456789012'.",
        seen: "Artifact Registry, also behind gcr.io and registry.k8s.io",
    },
    Family {
        name: "acr-tier",
        says: &["Too many requests. Please visit https://aka.ms/acr/"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::Mcr),
        login: Login::Unknown,
        direction: Direction::Near,
        example: "docker: error pulling image configuration: toomanyrequests: Too many requests. Please visit \
                  https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.",
        seen: "Azure Container Registry, and MCR which runs on it",
    },
    Family {
        name: "wave-proxy",
        says: &["Request exceeded pull rate limit for"],
        kind: Kind::Message,
        limit: Limit::Pull,
        registry: Whose::Said(Registry::Other),
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "denied: Request exceeded pull rate limit for IP 127.0.0.1",
        seen: "Wave, a proxy before other registries; also dressed as `pull access denied`",
    },
    Family {
        name: "harbor-upstream",
        says: &["too many requests to upstream registry"],
        kind: Kind::Message,
        limit: Limit::Pull,
        // The proxy counts its own requests, or was refused by a registry that it does not name.
        registry: Whose::Said(Registry::Other),
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "Error response from daemon: unknown: too many requests to upstream registry",
        seen: "Harbor's proxy cache (server/middleware/repoproxy)",
    },
    Family {
        name: "request-to-registry",
        says: &[
            "unexpected status from GET request to http‹url›/v2/‹url›: 429",
            "unexpected status code [manifests ‹url›]: 429 Too Many Requests",
            "GET \"http‹url›/v2/‹url›\": response status code 429",
            "GET http‹url›/v2/‹url›: unexpected status code 429",
            "GET http‹url›/v2/‹url›: TOOMANYREQUESTS",
            "429 Too Many Requests GET http‹url›/v2/‹url›",
            "Error fetching http‹url›/v2/‹url› (remote response: 429",
            "Download from http‹url›/v2/‹url› failed: class … GET returned 429",
            "URL http‹url›/v2/‹url› returned error code: 429",
        ],
        kind: Kind::Status,
        // These clients print the registry's message. Where it is missing there was none: the plain answer of the abuse
        // limit.
        limit: Limit::Abuse,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to \
                  https://registry-1.docker.io/v2/library/node/manifests/sha256:00: 429 Too Many Requests",
        seen: "containerd 2 (core/remotes/errors), oras-go, go-containerregistry, jib, Bazel's downloader, enroot",
    },
    Family {
        name: "request-without-body",
        says: &[
            "unexpected status from HEAD request to http‹url›/v2/‹url›: 429",
            "HEAD http‹url›/v2/‹url›: unexpected status code 429",
            "HEAD \"http‹url›/v2/‹url›\": response status code 429",
            "Head \"http‹url›/v2/‹url›\": TOOMANYREQUESTS",
            "unexpected status code http‹url›/v2/‹url›: 429",
            "unexpected status code http‹url›/v2/‹url›429 Too Many Requests",
            "pulling from host ‹url› failed with status code [manifests ‹url›]: 429",
            "pulling from host ‹url› failed with status code [blobs ‹url›]: 429",
        ],
        kind: Kind::Status,
        // An answer to HEAD has no body, and these versions drop the body of others, so a missing message tells
        // nothing. Of the two limits, the one of a few hundred pulls is met, not that of thousands a minute.
        limit: Limit::Pull,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "ERROR: failed to solve: docker:20.10: pulling from host registry-1.docker.io failed with status code \
                  [manifests 20.10]: 429 Too Many Requests",
        seen: "containerd 1 and 2 (core/remotes/docker: resolver.go, fetcher.go), BuildKit",
    },
    Family {
        name: "head-without-login",
        says: &["registry responded to head request with \"429 Too Many Requests\", auth: \"not present\""],
        kind: Kind::Status,
        limit: Limit::Pull,
        registry: Whose::Near,
        login: Login::Anonymous,
        direction: Direction::Pull,
        example: "Could not do a head request for \"ghcr.io/acme/web:1\", falling back to regular pull.\n\
                  Reason: registry responded to head request with \"429 Too Many Requests\", auth: \"not present\"",
        seen: "watchtower (pkg/registry/digest)",
    },
    Family {
        name: "registry-client-429",
        says: &[
            "received unexpected HTTP status: 429",
            "unrecognized HTTP status: 429 Too Many Requests",
            "error parsing HTTP 429 response body",
            "invalid status code from registry 429 (Too Many Requests)",
            "Status 429 trying to pull repository",
            "too many requests to registry¶",
            "too many requests to registry\"",
            "too many requests to registry'",
            "too many requests to registry)",
            "too many requests to registry,",
            "too many requests to registry:",
            "StatusCode: 429, TOOMANYREQUESTS",
            "StatusCode: 429, <",
            "StatusCode: 429, \"",
            "TOOMANYREQUESTS: Too Many Requests",
        ],
        kind: Kind::Status,
        limit: Limit::Abuse,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Error: reading manifest from docker://registry.example.net/acme/api:v9: received unexpected HTTP \
                  status: 429 Too Many Requests",
        seen: "docker's distribution client; containers/image (docker/errors.go): podman, buildah, skopeo, CRI-O",
    },
    Family {
        name: "token-service",
        says: &[
            "failed to fetch oauth token: unexpected status: 429",
            "failed to fetch oauth token: unexpected status from ‹url› request to ‹url›: 429",
            "failed to fetch anonymous token: unexpected status: 429",
            "failed to fetch anonymous token: unexpected status from ‹url› request to ‹url›: 429",
        ],
        kind: Kind::Status,
        limit: Limit::Abuse,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to \
                  https://auth.docker.io/token?scope=repository%3Alibrary%2Fnode%3Apull: 429 Too Many Requests",
        seen: "containerd (core/remotes/docker/auth/fetch.go), BuildKit",
    },
    Family {
        name: "code-as-json",
        says: &["\"code\": \"TOOMANYREQUESTS\""],
        kind: Kind::Status,
        limit: Limit::Abuse,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "failed to pull image ghcr.io/acme/web:1: {\"errors\": [{\"code\": \"TOOMANYREQUESTS\", \"message\": \
                  \"slow down\"}]}",
        seen: "jib and whoever prints the answer as it came",
    },
    Family {
        name: "code-with-words",
        says: &["TOOMANYREQUESTS: "],
        kind: Kind::Status,
        limit: Limit::Pull,
        registry: Whose::Near,
        login: Login::Unknown,
        direction: Direction::Near,
        example: "Step 1/4 : FROM registry.example.net/acme/base:1\ntoomanyrequests: slow down",
        seen: "the distribution specification's code, by any client, with a message not known here or none",
    },
    Family {
        name: "code-alone",
        says: &["Error response from daemon: TOOMANYREQUESTS¶"],
        kind: Kind::Status,
        limit: Limit::Pull,
        // The daemon's default registry, for want of anything better.
        registry: Whose::NearOr(Registry::DockerHub),
        login: Login::Unknown,
        direction: Direction::Near,
        example: "docker: Error response from daemon: toomanyrequests",
        seen: "docker, where somebody cut the message",
    },
    Family {
        name: "cut-before-status",
        says: &[
            "httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/‹url›/manifests/sha256:‹url›...¶",
            "httpReaderSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/‹url›/manifests/sha256:‹url›...¶",
            "httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/‹url›/manifests/sha256:‹url›...\"}",
            "httpReaderSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/‹url›/manifests/sha256:‹url›...\"}",
        ],
        kind: Kind::Status,
        // The client had resolved the image with a HEAD request, which Docker Hub answers for free, and was refused the
        // manifest, which it counts: so it is the limit, or a failure of the registry itself. Probable, not certain.
        limit: Limit::Pull,
        registry: HUB,
        login: Login::Unknown,
        direction: Direction::Pull,
        example: "CannotPullContainerError: inspect image has been retried 5 time(s): httpReadSeeker: failed open: \
                  unexpected status code https://registry-1.docker.io/v2/acme/web/manifests/sha256:110a24bc...",
        seen: "ECS and CodeBuild, which cut a reason at 255 characters",
    },
];

/// The name of the row whose findings are only probable.
pub const CUT: &str = "cut-before-status";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::in_log;

    #[test]
    fn every_row_finds_its_own_example() {
        for family in FAMILIES {
            let scan = in_log(family.example);
            let names: Vec<_> = scan.findings.iter().map(|finding| finding.family).collect();
            assert_eq!(names, [family.name], "the example of {}: {:?}", family.name, family.example);
            assert!(!family.seen.is_empty(), "{} says where it was seen", family.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }

    #[test]
    fn every_row_has_a_line_in_the_corpus() {
        let corpus = include_str!("../../../tests/corpus/families.jsonl");
        for family in FAMILIES {
            let variant = format!("\"variant\":\"{}\"", family.name);
            assert!(corpus.contains(&variant), "tests/corpus/families.jsonl has no line for {}", family.name);
        }
    }
}
