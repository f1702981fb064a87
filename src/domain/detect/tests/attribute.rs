//! Whose registry, which image and which way, by what stands near.

use super::lines_with;
use crate::domain::classify::Registry;
use crate::domain::detect::attribute::{BEFORE, Near, Span, Way, near, way};
use rstest::rstest;

fn near_of(text: &str) -> Near {
    let (lines, first) = lines_with(text, "toomany");
    near(&lines, Span { first, last: first })
}

#[rstest]
#[case("https://auth.docker.io/token?service=registry.docker.io: toomany", Some(Registry::DockerHub))]
#[case("https://quay.io/oauth2/x: toomany", Some(Registry::Quay))]
#[case("toomany\nx\nx\nx\ndocker pull ghcr.io/a/b:1 failed", Some(Registry::Ghcr))]
#[case("toomany\nx\nx\nx\nx\ndocker pull ghcr.io/a/b:1 failed", None)]
fn the_registry_is_read_from_what_is_near(#[case] text: &str, #[case] expected: Option<Registry>) {
    assert_eq!(near_of(text).registry, expected);
}

/// A terminal wraps an address in the middle, and the half of a host is nobody's.
#[test]
fn the_registry_is_read_from_an_address_that_is_wrapped() {
    let (lines, _) = lines_with("Head \"https://registry-1.doc\nker.io/v2/a/b\": toomany", "toomany");
    assert_eq!(near(&lines, Span { first: 0, last: 1 }).registry, Some(Registry::DockerHub));
}

#[rstest]
#[case("tag 3.20 in docker.io/library/alpine: toomany", Some("docker.io/library/alpine"))]
// The one that is named first, in whatever way.
#[case("tag 3.20 of it in docker.io/a/b:1, not Image quay.io/c/d:2: toomany", Some("docker.io/a/b:1"))]
#[case("Image quay.io/c/d:2, not 3.20 in docker.io/a/b:1: toomany", Some("quay.io/c/d:2"))]
#[case("Step 1/3 : FROM --platform=linux/amd64 node:22\ntoomany", Some("node:22"))]
#[case("Step 1/3 : FROM scratch\ntoomany", None)]
#[case("XFROM node:22\ntoomany", None)]
#[case("ARG A=a/b:1\nARG B='c/d:2'\nStep 3/4 : FROM $A\ntoomany", Some("a/b:1"))]
#[case("Pulling db (postgres:16)...\ntoomany", Some("postgres:16"))]
#[case("docker pull -q nginx\ntoomany", Some("nginx"))]
// The daemon leaves out the host that the command before it names.
#[case(
    "docker pull mcr.microsoft.com/dotnet/sdk:8.0\n8.0: Pulling from dotnet/sdk\ntoomany",
    Some("mcr.microsoft.com/dotnet/sdk:8.0")
)]
#[case("docker pull mcr.microsoft.com/dotnet/sdk:9.0\n8.0: Pulling from dotnet/sdk\ntoomany", Some("dotnet/sdk:8.0"))]
#[case(
    "docker pull mcr.microsoft.com/dotnet/aspnet:8.0\n8.0: Pulling from dotnet/sdk\ntoomany",
    Some("dotnet/sdk:8.0")
)]
fn the_image_is_the_one_that_is_named_nearest(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(near_of(text).image.as_deref(), expected);
}

fn way_of(text: &str) -> Way {
    let (lines, first) = lines_with(text, "toomany");
    way(&lines, Span { first, last: first })
}

/// Twice as far as an image is looked for.
#[rstest]
#[case(2 * BEFORE - 1, Way::Push)]
#[case(2 * BEFORE, Way::Pull)]
fn a_push_is_seen_as_long_as_its_lines_may_be(#[case] lines: usize, #[case] expected: Way) {
    assert_eq!(way_of(&format!("docker push a/b\n{}toomany", "x\n".repeat(lines))), expected);
}

#[rstest]
#[case("docker push a/b\nStep 2/3 : RUN x\ntoomany", Way::Push)]
#[case("docker push a/b\nStep 2/3 : FROM x\ntoomany", Way::Pull)]
#[case("web: Preparing\ntoomany", Way::Pull)]
#[case("abc: Preparing\ntoomany", Way::Pull)]
#[case("24052d61a718: Preparing\ntoomany", Way::Push)]
fn the_way_is_read_from_the_nearest_line(#[case] text: &str, #[case] expected: Way) {
    assert_eq!(way_of(text), expected);
}
