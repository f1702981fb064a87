//! Docker Hub and the other registries: who may pull how often, and what a refusal says.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// Docker Hub counts the pulls of the last six hours.
const WINDOW: SignedDuration = SignedDuration::from_hours(6);

/// How Docker Hub's refusal reads in a PROVISIONING context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HubWording {
    /// The text of 2020 to 2025, the only one seen in contexts so far.
    #[default]
    Legacy,
    /// The text since 2025, which says "unauthenticated".
    Current,
    /// containerd's text with the manifest's digest: CodeBuild's cut at 255 characters loses the status.
    Cut,
}

/// Which registry serves an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registry {
    /// CodeBuild's own images.
    Curated,
    Ecr,
    EcrPublic,
    Hub,
    Other,
}

/// Who pulls: Docker Hub counts per account, and per address without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Puller {
    Address(String),
    Account(String),
}

#[derive(Debug, Clone)]
struct HubAccount {
    password: String,
    limit: Option<u32>,
}

/// Docker Hub's accounts and the pulls it has counted.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    anonymous_limit: u32,
    accounts: BTreeMap<String, HubAccount>,
    pulls: BTreeMap<Puller, VecDeque<Timestamp>>,
    pub(super) wording: HubWording,
}

impl Default for Hub {
    fn default() -> Self {
        Hub { anonymous_limit: 100, accounts: BTreeMap::new(), pulls: BTreeMap::new(), wording: HubWording::default() }
    }
}

/// Docker Hub's answer 429: its message, without a client's decoration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HubRefusal {
    pub(super) message: String,
    anonymous: bool,
}

impl Hub {
    pub(super) fn limit_anonymous(&mut self, limit: u32) {
        self.anonymous_limit = limit;
    }

    pub(super) fn account(&mut self, user: &str, password: &str) {
        let limit = self.accounts.get(user).and_then(|account| account.limit);
        let password = password.to_owned();
        self.accounts.insert(user.to_owned(), HubAccount { password, limit });
    }

    pub(super) fn limit_account(&mut self, user: &str, limit: u32) {
        if let Some(account) = self.accounts.get_mut(user) {
            account.limit = Some(limit);
        }
    }

    /// So many pulls are counted now.
    pub(super) fn count(&mut self, puller: Puller, pulls: u32, now: Timestamp) {
        self.pulls.entry(puller).or_default().extend(std::iter::repeat_n(now, pulls as usize));
    }

    pub(super) fn forget_pulls(&mut self) {
        self.pulls.clear();
    }

    /// Whether Docker Hub takes this login.
    pub(super) fn knows(&self, user: &str, password: &str) -> bool {
        self.accounts.get(user).is_some_and(|account| account.password == password)
    }

    /// The limit of a puller and how many pulls it has left; none if there is no limit.
    pub(super) fn left(&self, puller: &Puller, now: Timestamp) -> Option<(u32, u32)> {
        let limit = match puller {
            Puller::Address(_) => self.anonymous_limit,
            Puller::Account(user) => self.accounts.get(user)?.limit?,
        };
        let counted = self.pulls.get(puller).into_iter().flatten();
        let counted = counted.filter(|at| now.duration_since(**at) < WINDOW).count();
        Some((limit, limit.saturating_sub(u32::try_from(counted).unwrap_or(u32::MAX))))
    }

    /// One manifest is fetched. A refused pull does not count.
    pub(super) fn pull(&mut self, puller: &Puller, now: Timestamp) -> Result<(), HubRefusal> {
        let limit = match puller {
            Puller::Address(_) => Some(self.anonymous_limit),
            Puller::Account(user) => self.accounts.get(user).and_then(|account| account.limit),
        };
        let counted = self.pulls.entry(puller.clone()).or_default();
        while counted.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            counted.pop_front();
        }
        match limit {
            Some(limit) if counted.len() >= limit as usize => Err(HubRefusal::of(puller)),
            Some(_) => {
                counted.push_back(now);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl HubRefusal {
    fn of(puller: &Puller) -> Self {
        match puller {
            Puller::Address(_) => HubRefusal {
                message:
                    "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
                        .to_owned(),
                anonymous: true,
            },
            Puller::Account(user) => HubRefusal {
                message: format!(
                    "You have reached your pull rate limit as '{user}': dckr_jti_4xW0nqvTzqB-H0jyHY3m7bYZruA=. You may increase the limit by upgrading. https://www.docker.com/increase-rate-limit"
                ),
                anonymous: false,
            },
        }
    }

    /// What CodeBuild writes into the PROVISIONING context, before its cut.
    pub(super) fn provisioning_message(&self, image: &str, wording: HubWording) -> String {
        let cause = match wording {
            HubWording::Legacy if self.anonymous => "Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit".to_owned(),
            HubWording::Legacy | HubWording::Current => {
                format!("Error response from daemon: toomanyrequests: {}", self.message)
            }
            HubWording::Cut => format!(
                "inspect image has been retried 5 time(s): httpReadSeeker: failed open: unexpected status code {}sha256:330a24bcd4e0058d70e70a0bb1ff805065161ffe3aa96296f09b5550aa1b2c3d: 429 Too Many Requests - Server message: toomanyrequests: {}",
                manifest_url(image, ""),
                self.message
            ),
        };
        format!("Unable to pull customer's container image. CannotPullContainerError: {cause}")
    }
}

/// Which registry an image reference names: a first component with a dot, a colon or `localhost` is a host.
pub(super) fn registry_of(image: &str) -> Registry {
    if image.starts_with("aws/codebuild/") {
        return Registry::Curated;
    }
    let Some((host, _)) = image.split_once('/') else {
        return Registry::Hub;
    };
    if !host.contains(['.', ':']) && host != "localhost" {
        return Registry::Hub;
    }
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => Registry::Hub,
        "public.ecr.aws" => Registry::EcrPublic,
        _ if host.contains(".dkr.ecr.") => Registry::Ecr,
        _ => Registry::Other,
    }
}

/// `node:22` as BuildKit spells it: `docker.io/library/node:22`.
pub(super) fn canonical(image: &str) -> String {
    if registry_of(image) != Registry::Hub {
        return image.to_owned();
    }
    let (path, tag) = path_and_tag(image);
    format!("docker.io/{path}:{tag}")
}

/// The URL of a Docker Hub manifest; `reference` empty leaves the URL open at its end.
pub(super) fn manifest_url(image: &str, reference: &str) -> String {
    let (path, _) = path_and_tag(image);
    format!("https://registry-1.docker.io/v2/{path}/manifests/{reference}")
}

/// Repository path within Docker Hub, and the tag.
pub(super) fn path_and_tag(image: &str) -> (String, String) {
    let path = match image.split_once('/') {
        Some((host, rest)) if host.contains('.') => rest,
        _ => image,
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (path, "latest"),
    };
    let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
    (path, tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_name_their_registry() {
        for (image, registry) in [
            ("node", Registry::Hub),
            ("acme/app:1", Registry::Hub),
            ("docker.io/library/node:22", Registry::Hub),
            ("aws/codebuild/standard:7.0", Registry::Curated),
            ("111122223333.dkr.ecr.us-east-1.amazonaws.com/app:1", Registry::Ecr),
            ("public.ecr.aws/docker/library/node:22", Registry::EcrPublic),
            ("ghcr.io/acme/app", Registry::Other),
            ("localhost:5000/app", Registry::Other),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
        assert_eq!(canonical("node"), "docker.io/library/node:latest");
        assert_eq!(canonical("docker.io/acme/app:1"), "docker.io/acme/app:1");
    }

    #[test]
    fn the_limit_counts_the_last_six_hours_per_account_and_per_address() {
        let mut hub = Hub::default();
        hub.limit_anonymous(1);
        hub.account("acme", "pw");
        hub.limit_account("acme", 2);
        let start = Timestamp::constant(1_795_255_200, 0);
        let nat = Puller::Address("203.0.113.10".to_owned());
        let other = Puller::Address("203.0.113.11".to_owned());
        let acme = Puller::Account("acme".to_owned());
        assert!(hub.pull(&nat, start).is_ok());
        assert!(hub.pull(&nat, start).is_err());
        assert!(hub.pull(&other, start).is_ok());
        assert!(hub.pull(&acme, start).is_ok());
        assert!(hub.pull(&acme, start).is_ok());
        let refusal = hub.pull(&acme, start).expect_err("over its limit");
        assert!(refusal.message.contains("as 'acme': dckr_jti_"));
        assert!(hub.pull(&nat, start + WINDOW - SignedDuration::from_secs(1)).is_err());
        assert!(hub.pull(&nat, start + WINDOW).is_ok());
    }
}
