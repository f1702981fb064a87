//! Whether the Docker account behind a credential can carry one project more: what Docker Hub said in, a standing out.
//!
//! A login only moves a project from one limit to another. Where the account is about to reach its own, the remedy would
//! throttle every project that has it, so it waits.
//!
//! Not to know what is left lets a remedy through: this is an extra, Docker Hub need not be reachable from where the
//! daemon runs, and a build that is throttled now gains more by a login than it risks. It is told, and is never taken for
//! enough: after a low answer it changes nothing until that answer says nothing any more.

use crate::domain::build::ProjectName;
use crate::domain::decide::{HoldReason, Judgement};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long an answer is good for a decision, and how long a remedy waits before Docker Hub is asked again.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How often Docker Hub is asked while projects use the credential and nothing has to be decided.
const PACE: SignedDuration = SignedDuration::from_hours(1);

/// The window of Docker Hub's limits where it names none.
const WINDOW: SignedDuration = SignedDuration::from_hours(6);

/// What Docker Hub said of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It names no limit.
    Unlimited,
    /// So many pulls in a window.
    Limited {
        /// How many.
        limit: u64,
        /// How many are left.
        remaining: u64,
        /// In which time, where it says so.
        window: Option<SignedDuration>,
    },
    /// It does not take the login.
    Refused,
    /// It answers that there were too many requests.
    Throttled,
    /// It did not say, in which way, and in a sentence.
    Unknown(Unsaid, String),
}

/// In which way Docker Hub did not say what an account has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// It was not reached, or not in time.
    Unreached,
    /// What answered does not answer as Docker Hub does, or answers for something else than the account.
    NotUnderstood,
}

impl Unsaid {
    /// The bounded word in events.
    pub fn word(self) -> &'static str {
        match self {
            Unsaid::Unreached => "hub_unreached",
            Unsaid::NotUnderstood => "hub_not_understood",
        }
    }
}

/// In which way an account is the next to be throttled, or is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Low {
    /// Few pulls are left.
    FewLeft,
    /// Docker Hub answers 429 to it.
    HubThrottled,
}

impl Low {
    /// The bounded word in events.
    pub fn word(self) -> &'static str {
        match self {
            Low::FewLeft => "few_left",
            Low::HubThrottled => "hub_throttled",
        }
    }
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can carry the projects that use it.
    Enough,
    /// It can't: in which way, and in a sentence.
    Low(Low, String),
    /// Its login is refused.
    Refused,
    /// It is not known: in which way, and in a sentence.
    Unknown(Unsaid, String),
}

/// How the account stands to which these projects pull, of whose limit the share `floor` has to be left.
///
/// At least one pull has to be left for each of the projects, up to half of the limit: most projects rarely build, and an
/// account is not full for having many of them. Once it `was_low`, half as much again has to be left, so that an account
/// that pulls at its floor is not told of all the time.
pub fn standing(answer: &Answer, projects: &BTreeSet<&ProjectName>, floor: f64, was_low: bool) -> Standing {
    let (limit, remaining, window) = match answer {
        Answer::Unlimited => return Standing::Enough,
        Answer::Limited { limit, remaining, window } => (*limit, *remaining, *window),
        Answer::Refused => return Standing::Refused,
        Answer::Throttled => {
            let detail = "Docker Hub answers 429: the account, or the address that asks, is throttled itself";
            return Standing::Low(Low::HubThrottled, detail.to_string());
        }
        Answer::Unknown(unsaid, why) => return Standing::Unknown(*unsaid, why.clone()),
    };
    let each = u64::try_from(projects.len()).unwrap_or(u64::MAX).min(limit / 2);
    let reserve = share(floor, limit).max(each);
    let needed = if was_low { (reserve + reserve / 2).min(limit.saturating_sub(1)).max(reserve) } else { reserve };
    if remaining > needed {
        return Standing::Enough;
    }
    let window = window.map(|window| format!(" in {window:#}")).unwrap_or_default();
    let users = match projects.len() {
        1 => "1 project".to_string(),
        many => format!("{many} projects"),
    };
    let detail =
        format!("{remaining} of {limit} pulls{window} are left for {users}, and more than {needed} have to be");
    Standing::Low(Low::FewLeft, detail)
}

/// A share of the limit in whole pulls, rounded up. The share is a decimal fraction that a float may miss by a hair.
fn share(floor: f64, limit: u64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a limit that is far below 2^53"
    )]
    let pulls = (floor * limit as f64 - 1e-9).ceil() as u64;
    pulls
}

/// What holds a remedy back, if anything does. `asked` is when Docker Hub answered, `low` when it last answered too little.
pub fn hold(
    credential: &str,
    standing: &Standing,
    asked: Timestamp,
    low: Option<Timestamp>,
    now: Timestamp,
) -> Option<Judgement> {
    let held = |reason, detail| {
        let until = asked.saturating_add(GOOD_FOR).unwrap_or(Timestamp::MAX);
        Some(Judgement::Held { reason, detail, until: until.max(now) })
    };
    match standing {
        Standing::Enough => None,
        Standing::Low(_, detail) => {
            held(HoldReason::CredentialQuotaLow, format!("the account of credential `{credential}`: {detail}"))
        }
        Standing::Refused => held(
            HoldReason::CredentialUnusable,
            format!("Docker Hub refuses the user name and password of credential `{credential}`"),
        ),
        Standing::Unknown(_, why) => {
            let low = low.filter(|low| now.duration_since(*low) < WINDOW)?;
            let detail = format!(
                "the account of credential `{credential}` had too few pulls left at {low:.0}, and what it has now is not \
                 known: {why}"
            );
            held(HoldReason::CredentialQuotaLow, detail)
        }
    }
}

/// Whether an answer is still good for a decision. A clock that was set back makes it a new question.
pub fn is_good(asked: Timestamp, now: Timestamp) -> bool {
    now.duration_since(asked).abs() < GOOD_FOR
}

/// When Docker Hub is asked next about a credential that projects use: after the last answer, or after the daemon's start.
/// Spread over ten minutes by the names, so that credentials, scopes and daemons do not ask all at once.
pub fn next_look(scope: &str, credential: &str, asked: Option<Timestamp>, since: Timestamp) -> Timestamp {
    let spread = SignedDuration::from_secs(i64::from(spread(scope, credential) % 600));
    let from = match asked {
        Some(asked) => asked.saturating_add(PACE),
        None => Ok(since),
    };
    from.and_then(|from| from.saturating_add(spread)).unwrap_or(Timestamp::MAX)
}

/// FNV-1a: any hash that is the same in every process will do.
fn spread(scope: &str, credential: &str) -> u32 {
    let bytes = scope.bytes().chain([0]).chain(credential.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
