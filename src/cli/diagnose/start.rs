//! What an input is, by how it begins: a log, or something that only looks like a failure to find anything.

use std::fmt;
use std::io;

/// Why a file could not be diagnosed. The words are for the person who named it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("is a directory, not a log")]
    Directory,
    #[error("is empty")]
    Empty,
    #[error("is compressed with {0}; unpack it first, for example `{1} FILE | unthrottled diagnose`")]
    Compressed(&'static str, &'static str),
    #[error("is UTF-16 text; convert it first, for example `iconv -f UTF-16 -t UTF-8 FILE | unthrottled diagnose`")]
    Utf16,
    #[error("is the JSON of builds, not a log; name it so: `unthrottled diagnose --build FILE`")]
    Builds,
    #[error("can't be read")]
    Io(#[from] io::Error),
}

/// What a person should know of a log that was read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Zero bytes.
    Zeros,
    /// Bytes that are no UTF-8.
    NotUtf8,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oddity::Zeros => "note: holds zero bytes, so it may be no text; they were left out",
            Oddity::NotUtf8 => "note: is not all UTF-8; other bytes were read as `\u{fffd}`",
        })
    }
}

/// How much of an input tells what it is.
const ENOUGH: usize = 4096;

/// The first bytes, collected from pieces that may be small.
#[derive(Debug, Default)]
pub struct Start {
    bytes: Vec<u8>,
    is_checked: bool,
}

impl Start {
    /// The next piece of the input; an empty one is its end. An error if it is no log.
    pub fn see(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        if self.is_checked {
            return Ok(());
        }
        let missing = ENOUGH.saturating_sub(self.bytes.len());
        self.bytes.extend(piece.iter().take(missing));
        if piece.is_empty() || self.bytes.len() >= ENOUGH {
            self.is_checked = true;
            readable(&self.bytes)?;
            if is_builds(&self.bytes) {
                return Err(Unreadable::Builds);
            }
        }
        Ok(())
    }

    /// What is odd about it.
    pub fn oddity(&self) -> Option<Oddity> {
        // The last character may be cut.
        let is_broken = str::from_utf8(&self.bytes).is_err_and(|error| error.error_len().is_some());
        if self.bytes.contains(&0) { Some(Oddity::Zeros) } else { is_broken.then_some(Oddity::NotUtf8) }
    }
}

/// Whether these may be the first bytes of a text; if not, what they are.
pub fn readable(start: &[u8]) -> Result<(), Unreadable> {
    Err(match start {
        [] => Unreadable::Empty,
        [0x1f, 0x8b, ..] => Unreadable::Compressed("gzip", "gzip -dc"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Unreadable::Compressed("zstd", "zstd -dc"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Unreadable::Compressed("xz", "xz -dc"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Unreadable::Compressed("bzip2", "bzip2 -dc"),
        [b'P', b'K', 3, 4, ..] => Unreadable::Compressed("zip", "unzip -p"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Unreadable::Utf16,
        // Without a byte-order mark: every second byte is zero.
        [a, b, c, d, e, f, g, h, ..]
            if [[b, d, f, h], [a, c, e, g]].iter().any(|zeros| zeros.iter().all(|byte| **byte == 0))
                && [a, b, c, d, e, f, g, h].iter().filter(|byte| ***byte == 0).count() == 4 =>
        {
            Unreadable::Utf16
        }
        _ => return Ok(()),
    })
}

/// Whether a text begins as the answer of `aws codebuild batch-get-builds`.
fn is_builds(start: &[u8]) -> bool {
    let mut rest = start.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let begin: Vec<u8> = rest.by_ref().take(BUILDS.len()).collect();
    begin == BUILDS
}

const BUILDS: &[u8] = b"{\"builds\":[";
