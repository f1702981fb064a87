//! Single arguments: what a person wrote, as a policy needs it, or what is allowed instead.

/// An account's number.
pub(super) fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.chars().all(|c| c.is_ascii_digit()) {
        true => Ok(text.to_string()),
        false => Err("an account's number has 12 digits".to_string()),
    }
}

/// A region.
pub(super) fn region(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        true => Ok(text.to_string()),
        false => Err("write it as in eu-central-1".to_string()),
    }
}

/// `/service-role/` as `service-role/*`, `/team/ci-*` as `team/ci-*`.
pub(super) fn path(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err("a path begins with /, as in /service-role/ or /service-role/codebuild-*".to_string());
    };
    // What IAM takes in paths and names, and its two wildcards.
    let fine = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/*?".contains(c);
    if !rest.chars().all(fine) {
        return Err("of letters, digits, +=,.@_-/ and the wildcards * and ?".to_string());
    }
    Ok(if rest.is_empty() || rest.ends_with('/') { format!("{rest}*") } else { rest.to_string() })
}

/// The name of a log group, or a pattern of such.
pub(super) fn log_group(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_-/.#*?".contains(c);
    match !text.is_empty() && text.chars().all(fine) {
        true => Ok(text.to_string()),
        false => Err("of letters, digits, _-/.# and the wildcards * and ?".to_string()),
    }
}

/// The ARN of a key.
pub(super) fn key(text: &str) -> Result<String, String> {
    match arn_of(text, "kms", "key/") {
        true => Ok(text.to_string()),
        false => Err("write the ARN of the key itself, as in \
             arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab; an alias is no resource of IAM's"
            .to_string()),
    }
}

/// The ARN of a managed policy.
pub(super) fn boundary(text: &str) -> Result<String, String> {
    match arn_of(text, "iam", "policy/") {
        true => Ok(text.to_string()),
        false => Err("write the ARN of a managed policy, as in arn:aws:iam::111122223333:policy/builds".to_string()),
    }
}

fn arn_of(text: &str, service: &str, kind: &str) -> bool {
    let mut fields = text.splitn(6, ':');
    let begins = (fields.next(), fields.nth(1)) == (Some("arn"), Some(service));
    begins && fields.nth(2).is_some_and(|rest| rest.starts_with(kind) && rest.len() > kind.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/", "*")]
    #[case("/service-role/", "service-role/*")]
    #[case("/service-role/codebuild-*", "service-role/codebuild-*")]
    fn paths(#[case] text: &str, #[case] pattern: &str) {
        assert_eq!(path(text), Ok(pattern.to_string()));
    }

    #[test]
    fn what_is_no_path_no_key_and_no_boundary() {
        assert!(path("service-role/").is_err() && path("/a b").is_err() && path("/${aws:username}").is_err());
        assert!(key("alias/hub").is_err() && key("arn:aws:kms:eu-central-1:111122223333:alias/hub").is_err());
        assert!(key("arn:aws:kms:eu-central-1:111122223333:key/1").is_ok());
        assert!(boundary("builds").is_err() && boundary("arn:aws:iam::111122223333:role/builds").is_err());
        assert!(boundary("arn:aws:iam::aws:policy/PowerUserAccess").is_ok());
        assert!(account("123").is_err() && account("111122223333").is_ok() && region("eu central").is_err());
    }
}
