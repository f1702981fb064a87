//! Single values: a text as a person wrote it, to what it means, or what is wrong with it and what is allowed.

use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::fmt::friendly::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo};
use std::net::SocketAddr;

/// What is wrong with a value, and what is allowed instead.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) allowed: String,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, allowed: impl Into<String>) -> Wrong {
        Wrong { problem: problem.into(), allowed: allowed.into() }
    }
}

/// The durations that a key can have.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) least: SignedDuration,
    pub(super) most: SignedDuration,
}

const MILLI: SignedDuration = SignedDuration::from_millis(1);

const fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

/// Shorter only makes CodeBuild throttle us; longer than a day nobody waits.
pub(super) const POLL: Span = Span { least: SignedDuration::from_millis(10), most: days(1) };

/// CodeBuild keeps builds for a year.
pub(super) const LOOKBACK: Span = Span { least: MILLI, most: days(365) };

/// IAM takes seconds; an hour is far beyond what was ever seen.
pub(super) const SETTLE: Span = Span { least: MILLI, most: SignedDuration::from_hours(1) };

/// A project that builds once a quarter can still prove its remedy.
pub(super) const VERIFY: Span = Span { least: MILLI, most: days(100) };

/// A window of a minute is the least that cron can express; a year without end is `mode = "observe"`.
pub(super) const FREEZE: Span = Span { least: SignedDuration::from_mins(1), most: days(366) };

/// A length of time, as in `2h 30m`.
pub(super) fn duration(text: &str, span: Span) -> Result<SignedDuration, Wrong> {
    let allowed = || {
        format!(
            "a length of time such as \"30s\", \"15m\" or \"2h 30m\", from {:#} to {}",
            span.least,
            in_days(span.most)
        )
    };
    let read = SpanParser::new()
        .parse_span(text)
        .and_then(|read| read.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| Wrong::new("not a length of time", allowed()))?;
    if read < span.least {
        return Err(Wrong::new("too short", allowed()));
    }
    if read > span.most {
        return Err(Wrong::new("too long", allowed()));
    }
    Ok(read)
}

/// A percentage above 0, as a share of one.
pub(super) fn share(text: &str) -> Result<f64, Wrong> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(number) if number > 0.0 && number <= 100.0 => Ok(number / 100.0),
        read => {
            let problem = match read {
                Some(_) => "out of range",
                None => "not a percentage",
            };
            Err(Wrong::new(problem, "a percentage above \"0%\" and up to \"100%\""))
        }
    }
}

/// An address that a login is sent to: encrypted, or on this machine.
pub(super) fn url(text: &str) -> Result<String, Wrong> {
    const ALLOWED: &str = "an address that begins with https://, or with http:// and a loopback address";
    let (plain, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(Wrong::new("not an address", ALLOWED)),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty()
        || rest.contains(['@', '?', '#'])
        || rest.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(Wrong::new("not an address", ALLOWED));
    }
    let is_loopback = || {
        let host = authority.parse::<SocketAddr>().map(|address| address.ip());
        host.or_else(|_| authority.parse()).is_ok_and(|ip| ip.is_loopback())
    };
    if plain && !is_loopback() {
        return Err(Wrong::new("would send the login without encryption", ALLOWED));
    }
    Ok(text.to_string())
}

/// One glob on project names.
pub(super) fn glob(text: &str) -> Result<Glob, Wrong> {
    const ALLOWED: &str = "a glob such as \"svc-*\", \"web?\" or \"{api,web}-*\"";
    if text.trim().is_empty() {
        return Err(Wrong::new("an empty glob", ALLOWED));
    }
    Glob::new(text).map_err(|error| Wrong::new(format!("a bad glob ({})", error.kind()), ALLOWED))
}

/// Globs as one set.
pub(super) fn globs(globs: &[Glob]) -> Result<GlobSet, Wrong> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob.clone());
    }
    set.build().map_err(|error| Wrong::new(error.to_string(), "fewer or simpler globs"))
}

/// The name of a policy, scope or credential.
pub(super) fn name(text: &str) -> Result<(), Wrong> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("not a name", "up to 64 letters, digits, `.`, `_` and `-`"))
}

/// The name of an environment variable of a project.
pub(super) fn variable(text: &str) -> Result<(), Wrong> {
    const ALLOWED: &str = "letters, digits and `_`, not a digit first, and not beginning with CODEBUILD_";
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let digit_first = text.starts_with(|c: char| c.is_ascii_digit());
    if text.is_empty() || digit_first || !text.chars().all(fits) {
        return Err(Wrong::new("not the name of a variable", ALLOWED));
    }
    if text.to_ascii_uppercase().starts_with("CODEBUILD_") {
        return Err(Wrong::new("a name that CodeBuild keeps for itself", ALLOWED));
    }
    Ok(())
}

/// A key of a secret's JSON, which goes into references of the form `secret:key`.
pub(super) fn secret_key(text: &str) -> Result<(), Wrong> {
    if text.contains(':') {
        return Err(Wrong::new("not a key", "a key of the secret's JSON, without `:`"));
    }
    Ok(())
}

/// The name of an inline policy of a role.
pub(super) fn policy_name(text: &str) -> Result<(), Wrong> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !text.is_empty() && text.len() <= 128 && text.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("not the name of an inline policy", "up to 128 letters, digits and `_+=,.@-`"))
}

/// A secret's name or full ARN.
pub(super) fn secret(text: &str) -> Result<(), Wrong> {
    const ALLOWED: &str = "the name or the full ARN of a secret in Secrets Manager";
    if text.contains("dckr_") {
        return Err(Wrong::new("a Docker Hub token, which settings must not hold", ALLOWED));
    }
    if text.starts_with("arn:") {
        return match text.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "secretsmanager", region, account, "secret", name]
                if !region.is_empty() && is_account(account) && !name.is_empty() =>
            {
                Ok(())
            }
            _ => Err(Wrong::new("not the ARN of a secret", ALLOWED)),
        };
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if text.len() <= 512 && text.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("not the name of a secret", ALLOWED))
}

/// The name of a DynamoDB table.
pub(super) fn table(text: &str) -> Result<(), Wrong> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (3..=255).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("not the name of a DynamoDB table", "3 to 255 letters, digits, `.`, `_` and `-`"))
}

/// The code of an AWS region.
pub(super) fn region(text: &str) -> Result<(), Wrong> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.contains('-') && text.chars().all(fits) {
        return Ok(());
    }
    Err(Wrong::new("not a region", "the code of an AWS region, as in \"eu-central-1\""))
}

/// The ARN of an IAM role.
pub(super) fn role_arn(text: &str) -> Result<(), Wrong> {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "iam", "", account, role]
            if is_account(account) && role.strip_prefix("role/").is_some_and(|r| !r.is_empty()) =>
        {
            Ok(())
        }
        _ => Err(Wrong::new(
            "not the ARN of a role",
            "the ARN of an IAM role, as in \"arn:aws:iam::111122223333:role/unthrottled\"",
        )),
    }
}

/// An address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new("not an address and port", "an IP address and a port, as in \"127.0.0.1:8787\" or \"[::1]:8787\"")
    })
}

/// The name of a host, without a port.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        (1..=63).contains(&label.len()) && label.chars().all(fits)
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong::new("not the name of a host", "a name without scheme and port, as in \"unthrottled.internal\""))
}

/// `100d` reads better than `2400h`.
fn in_days(duration: SignedDuration) -> String {
    match duration.as_hours() {
        hours if hours > 24 && SignedDuration::from_hours(hours) == duration && hours % 24 == 0 => {
            format!("{}d", hours / 24)
        }
        _ => format!("{duration:#}"),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}
