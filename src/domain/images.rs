//! What is known of images beforehand: which docker the curated ones have, and which official ones have a mirror.

use crate::domain::image::Image;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// Both tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownImages {
    /// The curated images and their tools.
    pub curated: CuratedImages,
    /// The official images that have a mirror.
    pub official: OfficialImages,
}

/// Which docker the curated images have, and which one reads `DOCKER_AUTH_CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CuratedImages {
    /// The first versions that read the variable.
    pub needs: Needs,
    /// The images.
    #[serde(rename = "image")]
    pub images: Vec<CuratedImage>,
}

/// The first versions of docker's clients that read `DOCKER_AUTH_CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Of docker itself.
    pub docker: Version,
    /// Of `docker build` with BuildKit.
    pub buildx: Version,
    /// Of `docker compose`.
    pub compose: Version,
}

/// What some images have from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CuratedImage {
    /// Their references, as projects write them.
    pub names: Vec<String>,
    /// The first day, in UTC.
    pub since: Date,
    /// Docker itself.
    pub docker: Version,
    /// `docker buildx`, if there is one.
    pub buildx: Option<Version>,
    /// `docker compose`, if there is one.
    pub compose: Option<Version>,
}

/// The official images that have a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficialImages {
    /// Where the mirror is, with a host and without a slash at the end.
    pub mirror: String,
    /// Their names, without `library/`.
    pub names: BTreeSet<String>,
}

/// A version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Version(u32, u32, u32);

/// Whether the docker clients of an image read `DOCKER_AUTH_CONFIG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// All that it has do.
    Yes,
    /// One of them is too old.
    TooOld {
        /// Which.
        tool: &'static str,
        /// What the image has.
        has: Version,
        /// What reads it.
        needs: Version,
    },
    /// Nothing is known of the image at that time.
    Unknown,
}

impl CuratedImages {
    /// Whether a build that started then in this image has docker clients that read `DOCKER_AUTH_CONFIG`.
    pub fn read_the_variable(&self, image: &str, started: Option<Timestamp>) -> Reads {
        let Some(day) = started.map(|at| at.to_zoned(TimeZone::UTC).date()) else {
            return Reads::Unknown;
        };
        let of_image = self.images.iter().filter(|row| row.names.iter().any(|name| name == image) && row.since <= day);
        let Some(row) = of_image.max_by_key(|row| row.since) else {
            return Reads::Unknown;
        };
        let tools = [
            ("docker", Some(row.docker), self.needs.docker),
            ("docker buildx", row.buildx, self.needs.buildx),
            ("docker compose", row.compose, self.needs.compose),
        ];
        let too_old = |(tool, has, needs): (&'static str, Option<Version>, Version)| {
            has.filter(|has| *has < needs).map(|has| Reads::TooOld { tool, has, needs })
        };
        tools.into_iter().find_map(too_old).unwrap_or(Reads::Yes)
    }
}

impl OfficialImages {
    /// The same image at the mirror: tag and digest as they are.
    pub fn mirrored(&self, image: &Image<'_>) -> Option<String> {
        let known = image.is_official() && self.names.contains(image.name());
        known.then(|| {
            let tag = image.tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = image.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
            format!("{}/{}{tag}{digest}", self.mirror, image.name())
        })
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Version, String> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major, minor, patch]) => Ok(Version(*major, *minor, *patch)),
            _ => Err(format!("{text:?} is no version of three numbers, as in \"28.3.0\"")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::known_images;
    use rstest::rstest;

    fn version(text: &str) -> Version {
        Version::try_from(text.to_string()).unwrap()
    }

    #[rstest]
    #[case("aws/codebuild/new:1", "2026-03-01T00:00:00Z", Reads::Yes)]
    #[case("aws/codebuild/new:1", "2026-02-28T23:59:59Z", Reads::TooOld { tool: "docker", has: version("27.5.1"), needs: version("28.3.0") })]
    #[case("aws/codebuild/new:1", "2024-12-31T00:00:00Z", Reads::Unknown)]
    #[case("aws/codebuild/new:1-26.03.02", "2026-03-02T10:00:00Z", Reads::Unknown)]
    #[case("aws/codebuild/buildx:1", "2026-03-02T10:00:00Z", Reads::TooOld { tool: "docker buildx", has: version("0.25.9"), needs: version("0.26.0") })]
    #[case("aws/codebuild/compose:1", "2026-03-02T10:00:00Z", Reads::TooOld { tool: "docker compose", has: version("2.9.0"), needs: version("2.38.0") })]
    #[case("aws/codebuild/bare:1", "2026-03-02T10:00:00Z", Reads::Yes)]
    #[case("node:22", "2026-03-02T10:00:00Z", Reads::Unknown)]
    fn an_image_is_as_new_as_on_the_day_of_the_build(#[case] image: &str, #[case] at: &str, #[case] reads: Reads) {
        assert_eq!(known_images().curated.read_the_variable(image, Some(at.parse().unwrap())), reads);
    }

    #[test]
    fn nothing_is_known_of_a_build_without_a_start() {
        assert_eq!(known_images().curated.read_the_variable("aws/codebuild/bare:1", None), Reads::Unknown);
    }

    #[rstest]
    #[case("node", Some("mirror.example/library/node"))]
    #[case("node:22", Some("mirror.example/library/node:22"))]
    #[case("library/node:22", Some("mirror.example/library/node:22"))]
    #[case("docker.io/library/node:20@sha256:aa", Some("mirror.example/library/node:20@sha256:aa"))]
    #[case("index.docker.io/node@sha256:aa", Some("mirror.example/library/node@sha256:aa"))]
    #[case("acme/node:22", None)]
    #[case("library/acme/node", None)]
    #[case("nobody:22", None)]
    #[case("ghcr.io/library/node", None)]
    #[case("public.ecr.aws/docker/library/node:22", None)]
    fn official_images_keep_tag_and_digest(#[case] image: &str, #[case] at_mirror: Option<&str>) {
        let image = Image::parse(image).unwrap();
        assert_eq!(known_images().official.mirrored(&image).as_deref(), at_mirror);
    }

    #[rstest]
    #[case("28.3")]
    #[case("28.3.0-rc.1")]
    #[case("28.x.0")]
    fn a_version_has_three_numbers(#[case] text: &str) {
        assert!(Version::try_from(text.to_string()).is_err());
    }
}
