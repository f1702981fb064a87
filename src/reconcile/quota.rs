//! Quota: what Docker Hub says that the accounts of the credentials have left, and the remedies that wait for it.
//!
//! Docker Hub is asked with the credential's own login, in a way that spends no pull: before a remedy gives that login to
//! another project, and slowly while projects have it.

use crate::domain::decide::{self, Decision};
use crate::domain::history::Fact;
use crate::domain::permissions;
use crate::domain::plan::Plan;
use crate::domain::policy::Credential;
use crate::domain::quota::{self, Answer, Standing, Unsaid};
use crate::edge::docker_hub::{Allowance, Counted, DockerHub, HubError};
use crate::edge::event;
use crate::edge::metrics::{Coverage, Pulls};
use crate::edge::secrets::SecretProblem;
use crate::edge::secrets::text::Keys;
use crate::reconcile::{Book, BookError, Failure, Guard, Reconciler};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a tick waits for Docker Hub: as long as the longest call to AWS.
const PATIENCE: Duration = Duration::from_secs(8);

/// What Docker Hub said, by the credential's name.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    asked: BTreeMap<String, Asked>,
    /// When it last said that an account has too little left.
    low: BTreeMap<String, Timestamp>,
}

/// What came of asking about a credential.
#[derive(Debug)]
struct Asked {
    at: Timestamp,
    /// None if the secret could not be used.
    said: Option<Said>,
}

#[derive(Debug)]
struct Said {
    answer: Answer,
    /// How the account stood to which the projects of that time pull.
    standing: Standing,
}

impl Quotas {
    /// What is known of the credentials, for the metrics.
    pub(super) fn coverage(&self) -> Coverage {
        let said = || self.asked.iter().filter_map(|(name, asked)| Some((name, asked.said.as_ref()?)));
        let standing = |is: fn(&Standing) -> bool| said().filter(|(_, said)| is(&said.standing)).count() as u64;
        let pulls = said().filter_map(|(name, said)| match said.answer {
            Answer::Limited { limit, remaining, .. } => Some((name.clone(), Pulls { remaining, limit })),
            Answer::Unlimited | Answer::Refused | Answer::Throttled | Answer::Unknown(..) => None,
        });
        Coverage {
            credentials_quota_low: standing(|standing| matches!(standing, Standing::Low(..))),
            credentials_quota_unknown: standing(|standing| matches!(standing, Standing::Unknown(..))),
            pulls: pulls.collect(),
            ..Coverage::default()
        }
    }

    /// Credentials whose login Docker Hub refused.
    pub(super) fn refused(&self) -> impl Iterator<Item = &str> {
        let refused = |asked: &Asked| asked.said.as_ref().is_some_and(|said| said.standing == Standing::Refused);
        self.asked.iter().filter(move |(_, asked)| refused(asked)).map(|(name, _)| name.as_str())
    }

    /// An answer that is still good for a decision, and when it was given.
    fn good(&self, credential: &str, now: Timestamp) -> Option<(Timestamp, Answer)> {
        let asked = self.asked.get(credential).filter(|asked| quota::is_good(asked.at, now))?;
        Some((asked.at, asked.said.as_ref()?.answer.clone()))
    }
}

impl Reconciler {
    /// Holds a plan back that gives a login to a project whose account can't carry one more.
    ///
    /// # Guarantees
    /// Docker Hub is asked once in ten minutes about a credential at most, however many builds wait for it. What was
    /// recorded as planned is not asked about again.
    pub(super) async fn guard(
        &mut self,
        book: &mut Book,
        plan: Box<Plan>,
        now: Timestamp,
    ) -> Result<Result<Decision, Failure>, BookError> {
        let credential = self.credential(&plan.credential).filter(|_| plan.secret.is_some());
        let (Some(guard), Some(credential)) = (self.rules.guard.clone(), credential) else {
            return Ok(Ok(Decision::Remediate(plan)));
        };
        let (at, answer) = match self.quotas.good(&credential.name, now) {
            Some(good) => good,
            None => match self.ask(&guard, &credential).await {
                Ok(Ok(answer)) => (now, answer),
                Ok(Err(problem)) => {
                    self.say_unusable(book, &credential, &problem, now);
                    return Ok(Ok(Decision::Judge(decide::unusable(&problem.to_string(), now))));
                }
                Err(failure) => return Ok(Err(failure)),
            },
        };
        let standing = self.note_answer(book, &guard, &credential, (at, answer), Some(&plan), now).await?;
        let low = self.quotas.low.get(&credential.name).copied();
        let low = low.max(book.history(&self.scope).quota_low(&credential.name));
        Ok(Ok(match quota::hold(&credential.name, &standing, at, low, now) {
            Some(judgement) => Decision::Judge(judgement),
            None => Decision::Remediate(plan),
        }))
    }

    /// Asks about every credential that projects use through us, or whose account had too little left, once an hour.
    pub(super) async fn look_at_quotas(&mut self, book: &mut Book, now: Timestamp) -> Result<(), BookError> {
        let Some(guard) = self.rules.guard.clone() else { return Ok(()) };
        let since = self.since.unwrap_or(now);
        let of_scope = self.rules.policies.iter().filter(|policy| policy.is_for_scope(&self.scope));
        let in_use = of_scope.filter(|policy| permissions::may_grant(policy, self.rules.mode));
        let credentials: BTreeMap<String, Credential> =
            in_use.map(|policy| (policy.credential.name.clone(), policy.credential.clone())).collect();
        self.quotas.asked.retain(|name, _| credentials.contains_key(name));
        for (name, credential) in credentials {
            let asked = self.quotas.asked.get(&name).map(|asked| asked.at);
            if self.stop.is_cancelled() || now < quota::next_look(&self.scope, &name, asked, since) {
                continue;
            }
            let history = book.history(&self.scope);
            if history.projects_with(&name).is_empty() && history.quota_low(&name).is_none() {
                self.quotas.asked.remove(&name);
                continue;
            }
            match self.ask(&guard, &credential).await {
                Ok(Ok(answer)) => _ = self.note_answer(book, &guard, &credential, (now, answer), None, now).await?,
                Ok(Err(problem)) => {
                    self.quotas.asked.insert(name, Asked { at: now, said: None });
                    self.say_unusable(book, &credential, &problem, now);
                }
                Err(failure) => {
                    let what = format!("the secret of credential `{name}` could not be read");
                    self.incomplete(book, &what, &failure, now);
                }
            }
        }
        Ok(())
    }

    fn credential(&self, name: &str) -> Option<Credential> {
        let mut credentials = self.rules.policies.iter().map(|policy| &policy.credential);
        credentials.find(|credential| credential.name == name).cloned()
    }

    /// Asks Docker Hub with the login in the secret.
    async fn ask(&self, guard: &Guard, credential: &Credential) -> Result<Result<Answer, SecretProblem>, Failure> {
        let keys = Keys {
            username: &credential.username_key,
            password: &credential.password_key,
            auth_config: &credential.auth_config_key,
        };
        let login = match self.aws.secrets.login(&credential.secret, keys).await? {
            Ok(login) => login,
            Err(problem) => return Ok(Err(problem)),
        };
        let hub = DockerHub::new(&guard.auth_url, &guard.registry_url);
        Ok(Ok(match tokio::time::timeout(PATIENCE, hub.allowance(&login)).await {
            Ok(said) => answer(said),
            Err(_) => Answer::Unknown(Unsaid::Unreached, "Docker Hub did not answer within eight seconds".to_string()),
        }))
    }

    /// Keeps an answer, and says what has changed with it: once, when it begins, and once more when it ends.
    async fn note_answer(
        &mut self,
        book: &mut Book,
        guard: &Guard,
        credential: &Credential,
        (at, answer): (Timestamp, Answer),
        plan: Option<&Plan>,
        now: Timestamp,
    ) -> Result<Standing, BookError> {
        let name = &credential.name;
        let history = book.history(&self.scope);
        let was_low = history.quota_low(name).is_some();
        let mut projects = history.projects_with(name);
        projects.extend(plan.map(|plan| &plan.project));
        let standing = quota::standing(&answer, &projects, guard.floor, was_low);
        let said = Some(Said { answer, standing: standing.clone() });
        self.quotas.asked.insert(name.clone(), Asked { at, said });
        let credential_name = name.clone();
        match &standing {
            Standing::Low(reason, detail) => {
                self.quotas.low.insert(name.clone(), at);
                if !was_low {
                    let (reason, detail) = (*reason, detail.clone());
                    let fact = Fact::CredentialQuotaLow { credential: credential_name, reason, detail };
                    self.record(book, fact, now).await?;
                }
            }
            Standing::Enough if was_low => {
                let fact = Fact::QuotaRestored { credential: credential_name };
                self.record(book, fact, now).await?;
            }
            Standing::Enough | Standing::Refused | Standing::Unknown(..) => (),
        }
        self.say_trouble(book, credential, &standing, now);
        Ok(standing)
    }

    /// Says once that the login is refused, or that nothing is known, until that is over.
    fn say_trouble(&mut self, book: &Book, credential: &Credential, standing: &Standing, now: Timestamp) {
        let (name, secret, place) = (&credential.name, &credential.secret, book.place(&self.scope));
        let about = format!("docker hub {name}: ");
        let (word, told) = match standing {
            Standing::Enough | Standing::Low(..) => ("", None),
            Standing::Refused => {
                let detail = format!(
                    "Docker Hub refuses the user name and password of secret `{secret}`: store those that it takes, by \
                     `unthrottled secret rotate {secret}`"
                );
                ("login_refused", Some(event::credential_unusable(&place, name, "login_refused", &detail, now)))
            }
            Standing::Unknown(unsaid, why) => {
                let detail = format!(
                    "{why}. Remedies go on without knowing; where Docker Hub is not to be reached, \
                     `docker_hub.quota_guard = false` has it asked no more"
                );
                let word = unsaid.word();
                (word, Some(event::quota_unknown(&place, name, word, &detail, now)))
            }
        };
        let key = format!("{about}{word}");
        self.said.retain(|said| !said.starts_with(&about) || *said == key);
        if let Some(told) = told
            && self.said.insert(key)
        {
            event::emit(&told);
        }
    }
}

/// What the guard makes of what Docker Hub said.
fn answer(said: Result<Allowance, HubError>) -> Answer {
    let not_understood = |why: &str| Answer::Unknown(Unsaid::NotUnderstood, why.to_string());
    match said {
        Ok(Allowance::Unlimited) => Answer::Unlimited,
        Ok(Allowance::Limited { counted: Counted::Address, .. }) => {
            not_understood("Docker Hub counts the address of who asks, and not the account of the login")
        }
        Ok(Allowance::Limited { limit, remaining: Some(remaining), window, .. }) => {
            Answer::Limited { limit, remaining, window }
        }
        Ok(Allowance::Limited { remaining: None, .. }) => {
            not_understood("Docker Hub names a limit, and not what is left of it")
        }
        Err(HubError::Refused) => Answer::Refused,
        Err(HubError::Throttled) => Answer::Throttled,
        Err(error @ HubError::Unreachable { .. }) => Answer::Unknown(Unsaid::Unreached, error.to_string()),
        Err(error @ HubError::Strange { .. }) => not_understood(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    /// Docker Hub counts the address of those whose login it does not take for one: that is no account's remainder.
    #[test]
    fn only_what_is_said_of_the_account_is_an_answer() {
        let window = Some(SignedDuration::from_hours(6));
        let limited = |remaining, counted| Ok(Allowance::Limited { limit: 200, remaining, window, counted });
        let known = answer(limited(Some(7), Counted::Account));
        assert_eq!(known, Answer::Limited { limit: 200, remaining: 7, window });
        for unclear in [limited(Some(200), Counted::Address), limited(None, Counted::Account)] {
            let said = answer(unclear.clone());
            assert!(matches!(said, Answer::Unknown(Unsaid::NotUnderstood, _)), "{unclear:?} is {said:?}");
        }
    }
}
