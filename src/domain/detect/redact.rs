//! Takes out of a quote what nobody may read in an alert: secrets, tokens, account names.

use crate::domain::detect::clean;

const REDACTED: &str = "[redacted]";
const ACCOUNT: &str = "[account]";

/// Beginnings of secrets that their makers marked: Docker, GitHub, GitLab, Slack, npm, AWS, JSON web tokens.
const MARKED: [&str; 18] = [
    "dckr_jti_",
    "dckr_pat_",
    "dckr_oat_",
    "dckr_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "npm_",
    "AKIA",
    "ASIA",
    "eyJ",
    "sk-",
];

/// Words after which a secret stands, whatever it looks like. Compared in lower case, without `-` and `_`.
const NAMED: [&str; 14] = [
    "password",
    "passwd",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "secretaccesskey",
    "sessiontoken",
    "authorization",
    "credential",
    "signature",
    "privatekey",
    "xregistryauth",
];

/// The text without secrets, account names and control characters. The same in, the same out, and doing it twice changes
/// nothing more.
pub fn redact(text: &str) -> String {
    let visible = clean::visible(text);
    let without_account = redact_account(&visible);
    let without_logins = redact_userinfo(&without_account);
    redact_words(&without_logins)
}

/// Docker Hub names the account and the token of a refused pull: `as 'acme': dckr_jti_….`
fn redact_account(text: &str) -> String {
    const BEFORE: &str = "pull rate limit as ";
    let Some(at) = text.find(BEFORE) else {
        return text.to_string();
    };
    let (head, tail) = text.split_at(at + BEFORE.len());
    let Some(quote) = tail.chars().next().filter(|c| "'\"".contains(*c)) else {
        return text.to_string();
    };
    let inner = tail.get(1..).unwrap_or_default();
    let Some((_, after)) = inner.split_once(quote) else {
        // Cut within the name.
        return format!("{head}{quote}{ACCOUNT}");
    };
    let after = match after.strip_prefix(": ") {
        Some(rest) if !rest.starts_with(REDACTED) => {
            let id = rest.find([' ', ',', '"']).unwrap_or(rest.len());
            let (id, rest) = rest.split_at(id);
            let stop = if id.ends_with('.') { "." } else { "" };
            format!(": {REDACTED}{stop}{rest}")
        }
        _ => after.to_string(),
    };
    format!("{head}{quote}{ACCOUNT}{quote}{}", redact_account(&after))
}

/// `https://name:password@host`.
fn redact_userinfo(text: &str) -> String {
    let Some(at) = text.find("://") else {
        return text.to_string();
    };
    let (head, tail) = text.split_at(at + 3);
    let authority = tail.find(|c: char| c.is_whitespace() || "/\"'".contains(c)).unwrap_or(tail.len());
    let (authority, rest) = tail.split_at(authority);
    let host = authority.rsplit_once('@').map(|(_, host)| format!("{REDACTED}@{host}"));
    format!("{head}{}{}", host.as_deref().unwrap_or(authority), redact_userinfo(rest))
}

/// What the words before say of the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Anything,
    /// A secret's name: a colon or an equals sign makes the next word its value.
    Separator,
    Secret,
    /// After `bearer` or `token:`, which prose uses too.
    PerhapsSecret,
    Account,
}

const BOUNDARY: &str = ",;&|(){}[]<>\"'`";

fn redact_words(text: &str) -> String {
    let is_boundary = |c: char| c.is_whitespace() || BOUNDARY.contains(c);
    let mut out = String::with_capacity(text.len());
    let mut expect = Expect::Anything;
    for piece in text.split_inclusive(is_boundary) {
        let word = piece.trim_end_matches(is_boundary);
        let end = piece.get(word.len()..).unwrap_or_default();
        if !word.is_empty() {
            let (shown, next) = redact_word(word, expect);
            out.push_str(&shown);
            expect = next;
        }
        out.push_str(end);
        // Quotes and blanks may stand between a name and its value; these may not.
        if end.contains([',', ';', ')', '}']) {
            expect = Expect::Anything;
        }
    }
    out
}

fn redact_word(word: &str, expect: Expect) -> (String, Expect) {
    // What was put in before stays as it is.
    if matches!(word, "redacted" | "account") && expect != Expect::Separator {
        return (word.to_string(), Expect::Anything);
    }
    let is_scheme = ["bearer", "basic"].contains(&word.to_ascii_lowercase().as_str());
    match expect {
        Expect::Separator if matches!(word, ":" | "=" | ":=" | "=>") => {
            return (word.to_string(), Expect::Secret);
        }
        Expect::Secret if is_scheme || word == "=" => return (word.to_string(), Expect::Secret),
        Expect::Secret => return (REDACTED.to_string(), Expect::Anything),
        Expect::PerhapsSecret if word.len() >= 6 && word.contains(|c: char| c.is_ascii_digit()) => {
            return (REDACTED.to_string(), Expect::Anything);
        }
        Expect::Account => return (ACCOUNT.to_string(), Expect::Anything),
        _ if is_scheme => return (word.to_string(), Expect::PerhapsSecret),
        _ => {}
    }
    if let Some((before, name, value)) = named_value(word) {
        let separator = word.get(before.len() + name.len()..word.len() - value.len()).unwrap_or_default();
        if !value.is_empty() {
            return (format!("{before}{name}{separator}{REDACTED}"), Expect::Anything);
        }
        // `failed to fetch anonymous token: unexpected status` is prose.
        let is_prose = separator == ":" && name.chars().all(|c| c.is_ascii_lowercase()) && name != "password";
        return (word.to_string(), if is_prose { Expect::PerhapsSecret } else { Expect::Secret });
    }
    match word {
        "-p" | "--password" => (word.to_string(), Expect::Secret),
        "-u" | "--username" => (word.to_string(), Expect::Account),
        _ if is_secret_name(word) && word.len() < 40 => (word.to_string(), Expect::Separator),
        _ => (redact_marked(word), Expect::Anything),
    }
}

/// `DB_PASSWORD=x`, `token:`, `https://s3/x?X-Amz-Signature=ab`: what stands before the name, the name, the value.
fn named_value(word: &str) -> Option<(&str, &str, &str)> {
    word.match_indices(['=', ':']).find_map(|(at, separator)| {
        let (head, value) = (word.get(..at)?, word.get(at + separator.len()..)?);
        let start = head.rfind(['?', '/', ':', '=']).map_or(0, |index| index + 1);
        let (before, name) = head.split_at(start);
        (is_secret_name(name) && value != REDACTED).then_some((before, name, value))
    })
}

fn squeezed_name(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// `aws_secret_access_key`, `X-Amz-Security-Token`: ends in one of the names.
fn is_secret_name(name: &str) -> bool {
    let name = squeezed_name(name);
    NAMED.iter().any(|secret| name.ends_with(secret))
}

/// A marked secret, or a long string of mixed letters and digits, is taken out. Digests, which are hexadecimal, stay.
fn redact_marked(word: &str) -> String {
    let marked = MARKED.iter().filter_map(|mark| word.find(mark).map(|at| (at, mark.len()))).min();
    if let Some((at, length)) = marked {
        let (head, tail) = word.split_at(at);
        let starts_word = head.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
        if starts_word && tail.len() > length + 3 && !tail.starts_with(REDACTED) {
            let stop = if tail.ends_with('.') { "." } else { "" };
            return format!("{head}{REDACTED}{stop}");
        }
    }
    word.split_inclusive(['/', ':', '@', '=', '.', '?'])
        .map(|part| if looks_random(part) { REDACTED } else { part })
        .collect()
}

fn looks_random(part: &str) -> bool {
    let count = |test: fn(&char) -> bool| part.chars().filter(test).count();
    part.len() >= 32
        && count(char::is_ascii_uppercase) >= 3
        && count(char::is_ascii_lowercase) >= 3
        && count(char::is_ascii_digit) >= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("limit as 'x'", "limit as 'x'")]
    #[case(
        "your pull rate limit as 'acme': dckr_jti_a-b=. You may",
        "your pull rate limit as '[account]': [redacted]. You may"
    )]
    #[case(
        "your pull rate limit as 'acme': 800a6d4e. You may",
        "your pull rate limit as '[account]': [redacted]. You may"
    )]
    #[case("your pull rate limit as 'acme'", "your pull rate limit as '[account]'")]
    #[case("your pull rate limit as 'acm", "your pull rate limit as '[account]")]
    #[case("https://me:pw@host/v2/", "https://[redacted]@host/v2/")]
    #[case("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]")]
    #[case("Authorization: Basic YWJjOmRlZg==", "Authorization: Basic [redacted]")]
    #[case("docker login -u acme -p hunter2 docker.io", "docker login -u [account] -p [redacted] docker.io")]
    #[case("--password=hunter2", "--password=[redacted]")]
    #[case("DB_PASSWORD=hunter2 x", "DB_PASSWORD=[redacted] x")]
    #[case("password: hunter2", "password: [redacted]")]
    #[case("x ghp_0123456789abcdef y", "x [redacted] y")]
    #[case("AWS_ACCESS_KEY_ID AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY_ID [redacted]")]
    #[case("t=eyJhbGciOiJIUzI1NiJ9.e30.abc", "t=[redacted]")]
    #[case("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "[redacted]")]
    #[case("https://s3/x?X-Amz-Signature=ab12&y=1", "https://s3/x?X-Amz-Signature=[redacted]&y=1")]
    #[case("{\"password\": \"hunter2\", \"a\": \"b\"}", "{\"password\": \"[redacted]\", \"a\": \"b\"}")]
    #[case(
        "https://registry-1.docker.io/v2/library/node/manifests/sha256:3960ed74dfe320a67bf8da9555b6bade25ebda2b22b6081d2f60fd7d5d430e00: 429",
        "https://registry-1.docker.io/v2/library/node/manifests/sha256:3960ed74dfe320a67bf8da9555b6bade25ebda2b22b6081d2f60fd7d5d430e00: 429"
    )]
    #[case(
        "failed to fetch anonymous token: unexpected status: 429",
        "failed to fetch anonymous token: unexpected status: 429"
    )]
    #[case("Requesting bearer token: invalid status code", "Requesting bearer token: invalid status code")]
    #[case("no basic auth credentials", "no basic auth credentials")]
    #[case("unauthorized: incorrect username or password", "unauthorized: incorrect username or password")]
    #[case("a\u{1b}[31mb\u{7}c", "abc")]
    fn secrets_go_and_the_rest_stays(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text), expected);
        assert_eq!(redact(expected), expected, "twice");
    }
}
