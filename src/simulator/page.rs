//! Page tokens: opaque to the caller, and good only for the operation that gave them.

use super::refusal::Refusal;

/// A token that says where the next page begins.
pub(super) fn write(operation: &str, position: usize) -> String {
    let position = position as u64;
    let key = key(operation);
    format!("{:016x}{:016x}", position ^ key, mix(position ^ key.rotate_left(7)))
}

/// Where the next page begins, if the token was given by this operation.
pub(super) fn read(operation: &str, token: &str) -> Option<usize> {
    let (masked, _) = token.split_at_checked(16)?;
    let position = usize::try_from(u64::from_str_radix(masked, 16).ok()? ^ key(operation)).ok()?;
    (write(operation, position) == token).then_some(position)
}

/// CodeBuild's answer to a token that it did not give.
pub(super) fn invalid() -> Refusal {
    Refusal::invalid_input("Invalid next token")
}

fn key(operation: &str) -> u64 {
    operation.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^ (value >> 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_operation() {
        let token = write("ListBuilds", 4711);
        assert_eq!(read("ListBuilds", &token), Some(4711));
        assert_eq!(read("ListProjects", &token), None);
        for odd in ["", "x", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "ä00000000000000000"] {
            assert_eq!(read("ListBuilds", odd), None, "{odd}");
        }
    }
}
