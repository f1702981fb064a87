//! Where lines begin and end around a place in raw bytes, and how much around a place is looked at.

/// What is kept of the log before a place, for the step that failed and the command that was echoed.
pub const BEHIND: usize = 16 * 1024;
/// What must be known after a place before it is looked at.
pub const AHEAD: usize = 8 * 1024;
/// The longest row that is known again when it is repeated.
pub const ROW: usize = 1024;

/// A place with so many lines before and behind it.
pub fn around(buffer: &[u8], at: usize, before: usize, behind: usize) -> (usize, usize) {
    let floor = at.saturating_sub(BEHIND);
    let ceiling = buffer.len().min(at + AHEAD);
    let mut from = at;
    for _ in 0..=before {
        from = line_start(buffer, from.saturating_sub(1).max(floor), floor);
    }
    let mut to = at;
    for _ in 0..=behind {
        to = line_end(buffer, (to + 1).min(ceiling)).min(ceiling);
    }
    (from, to)
}

/// The whole row that a place is in, unless it is long or the log goes on in it.
pub fn row_at(buffer: &[u8], at: usize) -> Option<&[u8]> {
    let floor = at.saturating_sub(ROW);
    let ceiling = buffer.len().min(at + ROW);
    let start = memchr::memrchr(b'\n', buffer.get(floor..at)?)? + floor + 1;
    let end = memchr::memchr(b'\n', buffer.get(at..ceiling)?)? + at;
    buffer.get(start..end)
}

pub fn line_start(buffer: &[u8], at: usize, floor: usize) -> usize {
    let before = buffer.get(floor..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(floor, |offset| floor + offset + 1)
}

pub fn line_end(buffer: &[u8], at: usize) -> usize {
    let rest = buffer.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(buffer.len(), |offset| at + offset)
}

pub fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Like [`line_start`] and [`line_end`], where a lone carriage return separates lines too.
pub fn piece_start(buffer: &[u8], at: usize, floor: usize) -> usize {
    let before = buffer.get(floor..at).unwrap_or_default();
    memchr::memrchr2(b'\n', b'\r', before).map_or(floor, |offset| floor + offset + 1)
}

pub fn piece_end(buffer: &[u8], at: usize) -> usize {
    let rest = buffer.get(at..).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', rest).map_or(buffer.len(), |offset| at + offset)
}

pub fn has_line_end(buffer: &[u8], from: usize, to: usize) -> bool {
    memchr::memchr(b'\n', buffer.get(from..to).unwrap_or_default()).is_some()
}
