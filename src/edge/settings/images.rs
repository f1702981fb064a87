//! The tables of images: those that are compiled in, or newer files that the settings name.

use super::values::Wrong;
use crate::domain::images::{CuratedImages, OfficialImages};
use serde::de::DeserializeOwned;

/// The built-in table of curated images.
const CURATED: &str = include_str!("../../../config/curated-images.toml");

/// The built-in table of official images.
const OFFICIAL: &str = include_str!("../../../config/official-images.toml");

/// The curated images and their docker.
pub(super) fn curated(file: Option<&str>) -> Result<CuratedImages, Wrong> {
    read(file, CURATED, "a file like config/curated-images.toml")
}

/// The official images that have a mirror.
pub(super) fn official(file: Option<&str>) -> Result<OfficialImages, Wrong> {
    read(file, OFFICIAL, "a file like config/official-images.toml")
}

fn read<T: DeserializeOwned>(file: Option<&str>, built_in: &str, allowed: &str) -> Result<T, Wrong> {
    let wrong = |problem: String| Wrong::new(problem, allowed);
    let text = match file {
        None => built_in.to_string(),
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| wrong(format!("the file can't be read ({error})")))?
        }
    };
    toml_edit::de::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        wrong(format!("line {line} of the file: {}", error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_good() {
        let curated = curated(None).unwrap();
        assert!(curated.images.iter().flat_map(|row| &row.names).all(|name| name.starts_with("aws/codebuild/")));
        let official = official(None).unwrap();
        assert!(official.names.contains("node") && official.names.iter().all(|name| !name.contains(['/', ':', '@'])));
        assert_eq!(official.mirror, "public.ecr.aws/docker/library");
    }
}
