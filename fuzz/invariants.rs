//! What holds for any input: the one place that the fuzz targets and `tests/fuzz_targets.rs` share.
//!
//! Each function takes arbitrary bytes and panics if something that must always hold does not.

use unthrottled::domain::build::PhaseName;
use unthrottled::domain::classify::{self, LogReading};
use unthrottled::domain::detect::{Scan, Scanner, redact};
use unthrottled::domain::image::Image;
use unthrottled::edge::batch_get_builds;
use unthrottled::edge::settings::{Settings, Sources};

/// A log may be cut into pieces anywhere, and what is quoted of it may be shown to anyone.
pub fn scanner(bytes: &[u8]) {
    let whole = scan(&[bytes]);
    harmless(&whole, bytes.len());
    // Two pieces, cut where the input itself says, and single bytes.
    let at = bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let (head, tail) = bytes.split_at(at.checked_rem(bytes.len()).unwrap_or(0));
    assert_eq!(scan(&[head, tail]), whole, "cut at {}", head.len());
    assert_eq!(scan(&bytes.chunks(1).collect::<Vec<_>>()), whole, "cut into bytes");

    // The same across the border of two blocks of the scanner, which lies anywhere within the input.
    let before = BORDER.saturating_sub(at % (bytes.len() + 1));
    let mut long = FILLER.repeat(before / FILLER.len() + 1);
    long.truncate(before);
    long.extend_from_slice(bytes);
    long.extend_from_slice(&FILLER.repeat(400));
    let whole = scan(&[&long]);
    harmless(&whole, long.len());
    for piece in [4096 + at % 8192, 1 << 20] {
        assert_eq!(scan(&long.chunks(piece).collect::<Vec<_>>()), whole, "cut into pieces of {piece}");
    }
}

/// Where the scanner's first block ends.
const BORDER: usize = 256 * 1024;
const FILLER: &[u8] = b"#12 3.141 > webpack: compiled 42 modules\n";

fn scan(pieces: &[&[u8]]) -> Scan {
    let mut scanner = Scanner::new();
    pieces.iter().for_each(|piece| scanner.push(piece));
    scanner.finish()
}

fn harmless(scan: &Scan, length: usize) {
    assert_eq!(scan.bytes, length as u64);
    assert!(scan.findings.len() <= 64 && scan.troubles.len() <= 64, "kept without a bound");
    let findings = scan.findings.iter().map(|finding| &finding.evidence);
    for evidence in findings.chain(scan.troubles.iter().map(|trouble| &trouble.evidence)) {
        showable(&evidence.quote);
    }
    let build = PhaseName::new("BUILD");
    for phase in [None, Some(&build)] {
        let diagnosis = classify::classify_text(scan, phase);
        diagnosis.evidence.iter().for_each(|evidence| showable(&evidence.quote));
    }
}

/// No control character, no secret that its maker marked, and nothing that redacting once more would take out.
fn showable(quote: &str) {
    assert!(!quote.chars().any(char::is_control), "a control character in {quote:?}");
    assert!(quote.chars().count() <= 2_000, "a quote of {} characters", quote.chars().count());
    assert_eq!(redact(quote), quote, "redacted only in part");
    for mark in ["dckr_pat_", "dckr_oat_", "dckr_jti_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-"] {
        for (at, _) in quote.match_indices(mark) {
            let starts = !quote[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let letters = quote[at + mark.len()..].chars().take_while(char::is_ascii_alphanumeric).count();
            assert!(!(starts && letters >= 4), "a marked secret in {quote:?}");
        }
    }
}

/// Whatever the JSON is, it becomes builds that can be diagnosed, or an error that shows nothing of its values.
pub fn batch_get_builds(bytes: &[u8]) {
    match batch_get_builds::read(bytes) {
        Ok(builds) => {
            assert!(!builds.is_empty());
            for build in &builds {
                let diagnosis = classify::classify(build, LogReading::NotRead);
                diagnosis.evidence.iter().for_each(|evidence| showable(&evidence.quote));
                classify::classify(build, LogReading::Scanned(&Scan::default()));
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            assert!(!text.chars().any(char::is_control), "a control character in {text:?}");
            assert!(text.len() < 300, "an error of {} bytes", text.len());
        }
    }
}

/// A reference that is one is made of its own parts, and stays one.
pub fn image(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Some(image) = Image::parse(text) else { return };
    let host = image.host.map(|host| format!("{host}/")).unwrap_or_default();
    let tag = image.tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = image.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    assert_eq!(format!("{host}{}{tag}{digest}", image.repository), text);
    assert_eq!(image.registry().is_none(), image.is_curated());
    assert!(image.repository.ends_with(image.name()) && !image.name().is_empty());
    assert!(!image.is_official() || !image.name().contains('/'));
}

/// Settings are taken, or every mistake is named; what is taken can be printed.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let told = match Settings::load(&Sources::text(text)) {
        Ok(settings) => settings.summary().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(!told.is_empty());
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!told.chars().any(is_control), "a control character in {told:?}");
}
