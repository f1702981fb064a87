//! Which registry an image reference names.

use crate::domain::classify::Registry;

/// The parts of an image reference, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The registry's host, with its port; none where the reference leaves it to the client, which means Docker Hub.
    pub host: Option<&'a str>,
    /// The path below the host.
    pub repository: &'a str,
    /// After the last colon.
    pub tag: Option<&'a str>,
    /// After the `@`.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart as docker's reference grammar does: the first component is a host if it holds a dot or
    /// a colon, or is `localhost`. None if the text can't be a reference.
    pub fn parse(text: &'a str) -> Option<Image<'a>> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (host, rest) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first), rest),
            _ => (None, name),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let valid = !repository.is_empty()
            && repository.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(|digest| digest.contains(':'))
            && host.is_none_or(|host| host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]_".contains(c)));
        valid.then_some(Image { host, repository, tag, digest })
    }

    /// Whether CodeBuild keeps it: `aws/codebuild/…` is no repository of Docker Hub.
    pub fn is_curated(&self) -> bool {
        self.host.is_none() && self.repository.starts_with("aws/codebuild/")
    }

    /// Whose registry it comes from; none for an image that CodeBuild keeps.
    pub fn registry(&self) -> Option<Registry> {
        match self.host {
            _ if self.is_curated() => None,
            None => Some(Registry::DockerHub),
            Some(host) => Some(registry_of_host(host)),
        }
    }

    /// Whether it is one of Docker's official images, which have a copy at `public.ecr.aws/docker/library`.
    pub fn is_official(&self) -> bool {
        self.registry() == Some(Registry::DockerHub) && !self.name().contains('/')
    }

    /// The repository without the `library/` that Docker Hub adds to a single name.
    pub fn name(&self) -> &'a str {
        match self.registry() {
            Some(Registry::DockerHub) => self.repository.strip_prefix("library/").unwrap_or(self.repository),
            _ => self.repository,
        }
    }
}

/// Whose registry an image comes from; unknown for an image of CodeBuild's own and for what is no reference.
pub fn registry_of(image: &str) -> Registry {
    Image::parse(image).and_then(|image| image.registry()).unwrap_or(Registry::Unknown)
}

/// Whose registry answers at a host.
pub fn registry_of_host(host: &str) -> Registry {
    let host = host.to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or_default();
    let under = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match host {
        "docker.io"
        | "index.docker.io"
        | "registry-1.docker.io"
        | "auth.docker.io"
        | "registry.docker.io"
        | "registry.hub.docker.com"
        | "hub.docker.com" => Registry::DockerHub,
        "public.ecr.aws" | "ecr-public.aws.com" => Registry::EcrPublic,
        "ghcr.io" | "docker.pkg.github.com" => Registry::Ghcr,
        "registry.gitlab.com" | "gitlab.com" => Registry::Gitlab,
        "registry.k8s.io" | "k8s.gcr.io" => Registry::Gcr,
        _ if host.contains(".dkr.ecr") && (under("amazonaws.com") || under("amazonaws.com.cn") || under("on.aws")) => {
            Registry::EcrPrivate
        }
        _ if under("quay.io") => Registry::Quay,
        _ if under("gcr.io") || under("pkg.dev") => Registry::Gcr,
        _ if under("mcr.microsoft.com") || under("azurecr.io") || under("azurecr.cn") => Registry::Mcr,
        _ => Registry::Other,
    }
}

/// What makes the first component a host and not a part of the path.
fn is_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

fn is_component(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
}

fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("node:22", Registry::DockerHub)]
    #[case("library/node", Registry::DockerHub)]
    #[case("acme/build-env:7", Registry::DockerHub)]
    #[case("docker.io/acme/build-env@sha256:aa", Registry::DockerHub)]
    #[case("index.docker.io/library/node", Registry::DockerHub)]
    #[case("registry-1.docker.io/library/node", Registry::DockerHub)]
    #[case("amazon/aws-cli", Registry::DockerHub)]
    #[case("localhost/node", Registry::Other)]
    #[case("localhost:5000/node:22", Registry::Other)]
    #[case("registry:5000/node", Registry::Other)]
    #[case("docker.n8n.io/n8nio/n8n", Registry::Other)]
    #[case("notdocker.io/library/node", Registry::Other)]
    #[case("public.ecr.aws/docker/library/node:22", Registry::EcrPublic)]
    #[case("111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:1", Registry::EcrPrivate)]
    #[case("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/web:1", Registry::EcrPrivate)]
    #[case("111122223333.dkr.ecr-fips.us-east-1.amazonaws.com/web", Registry::EcrPrivate)]
    #[case("x.dkr.ecr.evil.example/web", Registry::Other)]
    #[case("ghcr.io/acme/web", Registry::Ghcr)]
    #[case("quay.io/acme/web", Registry::Quay)]
    #[case("registry.gitlab.com/acme/web", Registry::Gitlab)]
    #[case("eu.gcr.io/acme/web", Registry::Gcr)]
    #[case("europe-docker.pkg.dev/acme/web/web", Registry::Gcr)]
    #[case("mcr.microsoft.com/dotnet/sdk:8.0", Registry::Mcr)]
    #[case("acme.azurecr.io/web", Registry::Mcr)]
    #[case("aws/codebuild/standard:7.0", Registry::Unknown)]
    #[case("aws/codebuild/amazonlinux-x86_64-standard:5.0", Registry::Unknown)]
    #[case("", Registry::Unknown)]
    #[case("$IMAGE", Registry::Unknown)]
    #[case("node:", Registry::Unknown)]
    fn a_reference_tells_its_registry(#[case] image: &str, #[case] expected: Registry) {
        assert_eq!(registry_of(image), expected);
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let image = Image::parse("registry:5000/team/web:1.2@sha256:ab").unwrap();
        assert_eq!(image.host, Some("registry:5000"));
        assert_eq!(image.repository, "team/web");
        assert_eq!(image.tag, Some("1.2"));
        assert_eq!(image.digest, Some("sha256:ab"));
    }

    #[rstest]
    #[case("node:22", true)]
    #[case("docker.io/library/node", true)]
    #[case("acme/node", false)]
    #[case("public.ecr.aws/docker/library/node", false)]
    #[case("aws/codebuild/standard:7.0", false)]
    fn official_images_are_docker_hubs_own(#[case] image: &str, #[case] expected: bool) {
        assert_eq!(Image::parse(image).unwrap().is_official(), expected);
    }
}
