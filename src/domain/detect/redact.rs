//! Takes out of a quote what nobody may read in an alert: secrets, tokens, account names.

use crate::domain::detect::clean;
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

const REDACTED: &str = "[redacted]";
const ACCOUNT: &str = "[account]";

/// Beginnings of secrets that their makers marked: Docker, GitHub, GitLab, Slack, npm, AWS, Google, Stripe, Vault and others,
/// JSON web tokens.
const MARKED: [&str; 42] = [
    "dckr_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glcbt-",
    "glft-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "npm_",
    "AKIA",
    "ASIA",
    "ABIA",
    "ACCA",
    "AIza",
    "ya29.",
    "eyJ",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "hvs.",
    "hvb.",
    "pypi-AgE",
    "SG.",
    "dop_v1_",
    "doo_v1_",
    "dor_v1_",
    "rubygems_",
    "shpat_",
    "AGE-SECRET-KEY-",
    "LTAI",
];

static MARKS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(MARKED).ok());

/// Words after which a secret stands, whatever it looks like. Compared in lower case, without `-` and `_`.
const NAMED: [&str; 15] = [
    "password",
    "passphrase",
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
    let without_keys = redact_keys(&visible);
    let without_account = redact_account(&without_keys);
    let without_logins = redact_userinfo(&without_account);
    redact_words(&without_logins)
}

/// `-----BEGIN RSA PRIVATE KEY----- … -----END`, also without its end.
fn redact_keys(text: &str) -> String {
    let begin = text.find("-----BEGIN ").and_then(|at| {
        let rest = text.get(at + "-----BEGIN ".len()..)?;
        Some(at + "-----BEGIN ".len() + rest.find("-----")? + "-----".len())
    });
    let Some(begin) = begin else {
        return text.to_string();
    };
    let (head, tail) = text.split_at(begin);
    match tail.split_once("-----END") {
        Some((_, rest)) => format!("{head} {REDACTED} -----END{}", redact_keys(rest)),
        None => format!("{head} {REDACTED}"),
    }
}

/// Docker Hub names the account and the token of a refused pull: `as 'acme': dckr_jti_….`
fn redact_account(text: &str) -> String {
    const BEFORE: &str = "pull rate limit as ";
    let Some(at) = text.to_ascii_lowercase().find(BEFORE) else {
        return text.to_string();
    };
    let (head, tail) = text.split_at(at + BEFORE.len());
    let (open, rest) = tail.split_at(quote_end(tail));
    let (_, rest) = rest.split_at(account_end(rest, open));
    let (close, after) = rest.split_at(quote_end(rest));
    let after = match after.strip_prefix(": ") {
        Some(rest) if !rest.starts_with(REDACTED) => {
            let id = rest.find([' ', ',', '"']).unwrap_or(rest.len());
            let (id, rest) = rest.split_at(id);
            let stop = if id.ends_with('.') { "." } else { "" };
            format!(": {REDACTED}{stop}{rest}")
        }
        _ => after.to_string(),
    };
    format!("{head}{open}{ACCOUNT}{close}{}", redact_account(&after))
}

/// Where a quote sign ends, plain or as JSON escapes it.
fn quote_end(text: &str) -> usize {
    let signs = ["\\u0027", "\\u0022", "\\\"", "\\'", "'", "\"", "`"];
    signs.iter().find(|sign| text.starts_with(**sign)).map_or(0, |sign| sign.len())
}

/// Where the name ends: at the sign that opened it, unless a letter follows (`o'brien`), or where the sentence goes on.
fn account_end(text: &str, open: &str) -> usize {
    let closes = |at: usize| {
        let after = text.get(at + open.len()..).and_then(|rest| rest.chars().next());
        after.is_none_or(|c| !c.is_alphanumeric())
    };
    let quote = text.match_indices(open).map(|(at, _)| at).find(|at| !open.is_empty() && closes(*at));
    let stop = [": ", ". ", ", ", " "].iter().filter_map(|stop| text.find(stop)).min();
    quote.or(stop).unwrap_or(text.len())
}

/// `https://name:password@host`, and what stands for a password in the address of a hook.
fn redact_userinfo(text: &str) -> String {
    const HOOK: &str = "hooks.slack.com/services/";
    let Some(at) = text.find("://") else {
        return text.to_string();
    };
    let (head, tail) = text.split_at(at + 3);
    let (address, rest) =
        tail.split_at(tail.find(|c: char| c.is_whitespace() || "\"'".contains(c)).unwrap_or(tail.len()));
    let authority = address.split('/').next().unwrap_or_default();
    // A password may hold a slash; behind a host there is a port.
    let is_host = authority.split_once(':').is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let reach = if authority.contains('@') || is_host { authority } else { address };
    let shown = match reach.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}{}", address.get(reach.len()..).unwrap_or_default()),
        None if address.starts_with(HOOK) => format!("{HOOK}{REDACTED}"),
        None => address.to_string(),
    };
    format!("{head}{shown}{}", redact_userinfo(rest))
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
    /// An account's name is called: a colon or an equals sign makes the next word its value.
    AccountSeparator,
    Account,
    /// A cookie, or a header's list of values: all that follows.
    All,
}

const BOUNDARY: &str = ",;&|(){}[]<>\"'`\\";

/// What the whole text tells of its words.
#[derive(Clone, Copy)]
struct Command {
    /// It logs in: `-p` is a password, not a port, and may stick to it.
    logs_in: bool,
    /// It reads the password from standard input, where an `echo` puts it.
    reads_password: bool,
}

fn redact_words(text: &str) -> String {
    let is_boundary = |c: char| c.is_whitespace() || BOUNDARY.contains(c);
    let mut out = String::with_capacity(text.len());
    let mut expect = Expect::Anything;
    let command = Command {
        logs_in: ["login", "mysql", "mariadb", "sshpass"].iter().any(|name| text.contains(name)),
        reads_password: text.contains("--password-stdin"),
    };
    for piece in text.split_inclusive(is_boundary) {
        let word = piece.trim_end_matches(is_boundary);
        let end = piece.get(word.len()..).unwrap_or_default();
        if !word.is_empty() {
            let (shown, next) = redact_word(word, expect, command);
            out.push_str(&shown);
            expect = next;
        }
        out.push_str(end);
        // Quotes and blanks may stand between a name and its value; these may not.
        if expect != Expect::All && end.contains([',', ';', ')', '}']) {
            expect = Expect::Anything;
        }
    }
    out
}

fn redact_word(word: &str, expect: Expect, command: Command) -> (String, Expect) {
    // What was put in before stays as it is.
    if matches!(word, "redacted" | "account") && !matches!(expect, Expect::Separator | Expect::AccountSeparator) {
        let next = if expect == Expect::All { Expect::All } else { Expect::Anything };
        return (word.to_string(), next);
    }
    let is_separator = matches!(word, ":" | "=" | ":=" | "=>");
    let is_scheme = ["bearer", "basic"].contains(&word.to_ascii_lowercase().as_str());
    match expect {
        Expect::All if is_separator => return (word.to_string(), Expect::All),
        Expect::All => return (REDACTED.to_string(), Expect::All),
        Expect::Separator if is_separator => return (word.to_string(), Expect::Secret),
        Expect::AccountSeparator if is_separator => return (word.to_string(), Expect::Account),
        Expect::Secret if is_scheme || word == "=" => return (word.to_string(), Expect::Secret),
        Expect::Secret if word.eq_ignore_ascii_case("token") => return (word.to_string(), Expect::Secret),
        Expect::Secret if word.eq_ignore_ascii_case("digest") => return (word.to_string(), Expect::All),
        // `echo -n …`, `mkdir -p /tmp/x`, `-p 8080:80`.
        Expect::Secret if command.reads_password && word.starts_with('-') => return (word.to_string(), expect),
        Expect::Secret => return (REDACTED.to_string(), Expect::Anything),
        Expect::PerhapsSecret if word.len() >= 6 && word.contains(|c: char| c.is_ascii_digit()) => {
            return (REDACTED.to_string(), Expect::Anything);
        }
        Expect::Account => return (ACCOUNT.to_string(), Expect::Anything),
        _ if is_scheme => return (word.to_string(), Expect::PerhapsSecret),
        _ => {}
    }
    if let Some((name, value)) = word.split_once('=').filter(|(name, value)| names_account(name) && !value.is_empty())
        && value != ACCOUNT
    {
        return (format!("{name}={ACCOUNT}"), Expect::Anything);
    }
    if word.strip_suffix([':', '=']).is_some_and(names_account) {
        return (word.to_string(), Expect::Account);
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
        "-p" if !command.logs_in => (word.to_string(), Expect::Anything),
        "-p" | "--password" => (word.to_string(), Expect::Secret),
        "-u" | "--username" | "--user" => (word.to_string(), Expect::Account),
        "echo" | "printf" if command.reads_password => (word.to_string(), Expect::Secret),
        "Cookie:" | "cookie:" | "Set-Cookie:" | "set-cookie:" => (word.to_string(), Expect::All),
        _ if command.logs_in && is_stuck(word, "-p") => (format!("-p{REDACTED}"), Expect::Anything),
        _ if command.logs_in && is_stuck(word, "-u") => (format!("-u{ACCOUNT}"), Expect::Anything),
        _ if names_account(word) => (word.to_string(), Expect::AccountSeparator),
        _ if is_secret_name(word) && word.len() < 40 => (word.to_string(), Expect::Separator),
        _ => (redact_marked(word), Expect::Anything),
    }
}

/// `-phunter2`: a flag and its value in one word.
fn is_stuck(word: &str, flag: &str) -> bool {
    word.strip_prefix(flag).is_some_and(|value| !value.is_empty() && !value.starts_with(['-', '=']))
}

/// `username`, `DOCKER_USERNAME`.
fn names_account(name: &str) -> bool {
    squeezed_name(name).ends_with("username") && name.len() < 40
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
    const SHORT: [&str; 6] = ["_PASS", "_PWD", "_PAT", "_AUTH", "_CREDS", "_KEY"];
    let squeezed = squeezed_name(name);
    NAMED.iter().any(|secret| squeezed.ends_with(secret))
        || SHORT.iter().any(|short| name.ends_with(short))
        || matches!(name, "auth" | "_auth" | "sig")
}

/// A marked secret, or a long string of mixed letters and digits, is taken out. Digests, which are hexadecimal, stay.
fn redact_marked(word: &str) -> String {
    if is_login(word) || is_long_key(word) {
        return REDACTED.to_string();
    }
    // Each of them is tried, for the first may be the middle of a longer name.
    let marks = MARKS.as_ref().map(|marks| marks.find_overlapping_iter(word));
    let is_secret = |at: usize, length: usize| {
        let starts_word = word.get(..at)?.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
        let tail = word.get(at..)?;
        (starts_word && tail.len() > length + 3 && !tail.starts_with(REDACTED)).then_some(at)
    };
    if let Some(at) = marks.into_iter().flatten().filter_map(|mark| is_secret(mark.start(), mark.len())).min() {
        let stop = if word.ends_with('.') { "." } else { "" };
        return format!("{}{REDACTED}{stop}", word.get(..at).unwrap_or_default());
    }
    word.split_inclusive(['/', ':', '@', '=', '.', '?'])
        .map(|part| if looks_random(part) { REDACTED } else { part })
        .collect()
}

/// `name:password@host.example`, which is no `image:tag@sha256:…`.
fn is_login(word: &str) -> bool {
    word.split_once(':').and_then(|(_, rest)| rest.rsplit_once('@')).is_some_and(|(_, host)| {
        let last = host.rsplit('.').next().unwrap_or_default();
        host.contains('.') && last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// The secret half of an AWS key has slashes, which cut it into short parts.
fn is_long_key(word: &str) -> bool {
    let is_base64 = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    is_base64 && !word.starts_with('/') && word.len() >= 40 && looks_random(word)
}

fn looks_random(part: &str) -> bool {
    let count = |test: fn(&char) -> bool| part.chars().filter(test).count();
    part.len() >= 32
        && count(char::is_ascii_uppercase) >= 3
        && count(char::is_ascii_lowercase) >= 3
        && count(char::is_ascii_digit) >= 1
}

#[cfg(test)]
mod tests;
