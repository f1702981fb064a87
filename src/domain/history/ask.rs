//! What the history is asked: by the decision, by the steps of a remediation, and by people.

use super::{AccountLow, Against, Detected, History, Pending, Proposal, SetBacks};
use crate::domain::build::{BuildId, ProjectName, RoleName, SecretArn};
use crate::domain::decide::{HoldReason, Judgement};
use crate::domain::plan::RemediationId;
use crate::domain::policy::Remedy;
use crate::domain::remediation::{Kept, Outcome, Remediation, Stage};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

impl History {
    /// What a throttled build was diagnosed as, if it waits or was judged last.
    pub fn diagnosed(&self, build: &BuildId) -> Option<&Detected> {
        let judged = self.judged.as_ref().filter(|detected| detected.build == *build);
        self.pending.get(build).map(|pending| &pending.detected).or(judged)
    }

    /// The build that the same was proposed for last, if it was and nothing has happened to its project since.
    pub fn proposed_for(&self, judgement: &Judgement) -> Option<&BuildId> {
        let proposal = Proposal::of(judgement)?;
        let of_project = self.proposed.get(proposal.project())?;
        of_project.iter().find(|(_, before)| before.is_like(&proposal)).map(|(build, _)| build)
    }

    /// What was proposed last for each project and place, and because of which build, where nothing has happened to the
    /// project since.
    pub fn proposals(&self) -> impl Iterator<Item = (&BuildId, &Proposal)> {
        self.proposed.values().flatten().map(|(build, proposal)| (build, proposal))
    }

    /// Whether a build was dealt with.
    pub fn knows(&self, build: &BuildId) -> bool {
        self.known.contains_key(build) || self.caused(build).is_some()
    }

    /// The remediation that the build caused. There is one at most, however often the build is seen.
    pub fn caused(&self, build: &BuildId) -> Option<&Remediation> {
        self.remediations.get(&RemediationId::of(build))
    }

    /// Whether it is a throttled build once more that we started.
    pub fn started_again(&self, build: &BuildId) -> bool {
        self.again.contains_key(build)
    }

    /// Since when a throttled build waits for something final, if it does.
    pub fn waits_since(&self, build: &BuildId) -> Option<Timestamp> {
        self.pending.get(build).map(|pending| pending.since)
    }

    /// How many other builds of the project were throttled in the same place and wait. What was never decided about is not
    /// counted, as nobody has asked yet whether a stranger wrote its log.
    pub fn sightings_beside(&self, detected: &Detected) -> usize {
        let (project, site) = (detected.build.project(), detected.diagnosis.site);
        let beside = self.pending.values().filter(|pending| {
            let there = &pending.detected;
            let was_screened = matches!(&pending.last, Some(Judgement::Held { .. }));
            let is_another = there.build != detected.build && there.build.project() == project;
            is_another && was_screened && there.diagnosis.site == site
        });
        beside.count()
    }

    /// When the last fact was recorded: time never goes backwards in the ledger, whatever the clock does.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// All remediations, by name.
    pub fn remediations(&self) -> impl Iterator<Item = (&RemediationId, &Remediation)> {
        self.remediations.iter()
    }

    /// One remediation.
    pub fn remediation(&self, id: &RemediationId) -> Option<&Remediation> {
        self.remediations.get(id)
    }

    /// Remediations with something left to do.
    pub fn open(&self) -> impl Iterator<Item = (&RemediationId, &Remediation)> {
        self.remediations.iter().filter(|(_, remediation)| remediation.is_open())
    }

    /// Throttled builds that nothing final was decided about, oldest first.
    pub fn pending(&self) -> Vec<&Pending> {
        let mut pending: Vec<&Pending> = self.pending.values().collect();
        pending.sort_by_key(|p| (p.since, p.detected.build.clone()));
        pending
    }

    /// The open remediation of a project: there is at most one.
    pub fn open_on_project(&self, project: &ProjectName) -> Option<&Remediation> {
        self.open().map(|(_, r)| r).find(|r| &r.plan().project == project)
    }

    /// An open remediation of the role that has not proven yet that the role can read the secret.
    pub fn unproven_on_role(&self, role: &RoleName, secret: &SecretArn) -> Option<&Remediation> {
        if self.is_proven(role, secret) {
            return None;
        }
        self.of_role(role, secret).find(|r| r.is_open())
    }

    /// The project whose remedy made things worse before any proved that the role can read the secret: the role's other
    /// projects would break in the same way.
    pub fn disproved_by(&self, role: &RoleName, secret: &SecretArn) -> Option<&ProjectName> {
        if self.is_proven(role, secret) {
            return None;
        }
        let mut failed = self.failed_roles.iter().filter(|(name, arn, _)| name == role && arn == secret);
        failed.next().map(|(_, _, project)| project)
    }

    fn is_proven(&self, role: &RoleName, secret: &SecretArn) -> bool {
        self.of_role(role, secret).any(|r| r.stage() == Stage::Closed(Outcome::Verified))
            || self.forgotten.is_proven(role, secret)
    }

    fn of_role(&self, role: &RoleName, secret: &SecretArn) -> impl Iterator<Item = &Remediation> {
        self.remediations.values().filter(move |r| &r.plan().role == role && r.plan().secret.as_ref() == Some(secret))
    }

    /// The project of another remediation that is not being taken back and relies on this grant.
    pub fn grant_relied_on(&self, role: &RoleName, policy: &str, except: &RemediationId) -> Option<&ProjectName> {
        let relies = |id: &RemediationId, r: &Remediation| {
            let live = matches!(r.stage(), Stage::Planned | Stage::Applied);
            id != except && live && r.plan().grant() == Some((role, policy))
        };
        self.remediations.iter().find(|(id, r)| relies(id, r)).map(|(_, r)| &r.plan().project)
    }

    /// Remediations whose rollback left a grant that something else needed, one a grant. While another remediation of the
    /// grant is under way, it is that one's.
    pub fn kept_grants(&self) -> impl Iterator<Item = (&RemediationId, &Remediation, &Kept)> {
        let kept = self.kept.values().filter_map(|id| {
            let remediation = self.remediations.get(id)?;
            Some((id, remediation, remediation.kept_grant()?))
        });
        kept.filter(|(_, kept, _)| !self.open().any(|(_, open)| open.plan().grant() == kept.plan().grant()))
    }

    pub(super) fn keeps_grant(&self, id: &RemediationId) -> bool {
        self.kept.values().any(|keeper| keeper == id)
    }

    /// Whether the grant on the role, if it is there, was made by us: some remediation planned it where there was none,
    /// and none has seen it gone since.
    pub fn made_grant(&self, role: &RoleName, policy: &str) -> bool {
        self.granted.contains(&(role.clone(), policy.to_string()))
    }

    /// Whether a later build disproved this remedy for this project.
    pub fn is_disproved(&self, project: &ProjectName, remedy: Remedy) -> bool {
        self.settled_against(project, remedy, Against::Disproved)
    }

    /// Whether somebody took this remedy out of this project: what people took out is left out.
    pub fn is_taken_out(&self, project: &ProjectName, remedy: Remedy) -> bool {
        self.settled_against(project, remedy, Against::TakenOut)
    }

    /// How often the owner's deployments set this remedy back since a person last cleared the project, if they did.
    pub fn set_back(&self, project: &ProjectName, remedy: Remedy) -> Option<SetBacks> {
        self.set_back.get(&(project.clone(), remedy)).copied()
    }

    /// Proven remedies that nobody took back since, as far as is known, each the newest of its project and kind.
    pub fn in_place(&self) -> impl Iterator<Item = (&RemediationId, &Remediation)> {
        self.remediations.iter().filter(|(id, r)| self.is_in_place(id, r))
    }

    pub(super) fn is_in_place(&self, id: &RemediationId, remediation: &Remediation) -> bool {
        let plan = remediation.plan();
        let newest = self.newest.get(&(plan.project.clone(), plan.remedy));
        remediation.stage() == Stage::Closed(Outcome::Verified) && newest == Some(id)
    }

    /// The newest build that waits for the same as this one and is newer than it.
    pub fn newer_in_wait(&self, detected: &Detected, reason: HoldReason) -> Option<&BuildId> {
        let newest = self.alike(detected, reason).max_by_key(|there| there.age())?;
        (newest.age() > detected.age()).then_some(&newest.build)
    }

    /// The builds that wait for the same as this one and are older than it.
    pub fn older_in_wait(&self, detected: &Detected, reason: HoldReason) -> Vec<BuildId> {
        let older = self.alike(detected, reason).filter(|there| there.age() < detected.age());
        older.map(|there| there.build.clone()).collect()
    }

    /// The builds of the same project, throttled in the same place, that something holds back for this reason.
    fn alike(&self, detected: &Detected, reason: HoldReason) -> impl Iterator<Item = &Detected> {
        let (project, site) = (detected.build.project(), detected.diagnosis.site);
        self.pending.values().filter_map(move |pending| {
            let there = &pending.detected;
            let waits = matches!(&pending.last, Some(Judgement::Held { reason: last, .. }) if *last == reason);
            (waits && there.diagnosis.site == site && there.build.project() == project).then_some(there)
        })
    }

    fn settled_against(&self, project: &ProjectName, remedy: Remedy, why: Against) -> bool {
        self.against.iter().any(|(name, kind, because)| name == project && *kind == remedy && *because == why)
    }

    /// Remediations of a project since a person last cleared it: those that were not proven, and those of this very
    /// remedy that were, as a remedy that has to be applied again and again is being undone by someone.
    pub fn attempts(&self, project: &ProjectName, remedy: Remedy) -> usize {
        let cleared = self.cleared.get(project);
        self.remediations
            .values()
            .filter(|r| &r.plan().project == project && cleared.is_none_or(|at| r.planned() > *at))
            .filter(|r| r.stage() != Stage::Closed(Outcome::Verified) || r.plan().remedy == remedy)
            .count()
            + self.forgotten.attempts(project, remedy)
    }

    /// Remediations of a policy that are under way.
    pub fn open_of_policy(&self, policy: &str) -> usize {
        self.open().filter(|(_, r)| r.plan().policy == policy).count()
    }

    /// When the remediations of a policy that began within the hour before `now` began, oldest first.
    pub fn begun_within_hour(&self, policy: &str, now: Timestamp) -> Vec<Timestamp> {
        let limit = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        let of_policy = self.remediations.values().filter(|r| r.plan().policy == policy);
        let mut begun: Vec<Timestamp> = of_policy.map(Remediation::planned).filter(|at| *at > limit).collect();
        begun.sort();
        begun
    }

    /// The credentials whose password people were told to reset, and have not rotated since.
    pub fn passwords_to_reset(&self) -> impl Iterator<Item = &str> {
        self.to_reset.iter().map(String::as_str)
    }

    /// Since when the Docker account of a credential has too few pulls left, if it has.
    pub fn quota_low(&self, credential: &str) -> Option<Timestamp> {
        self.quota_low.get(credential).map(|low| low.since)
    }

    /// The credentials whose Docker account has too few pulls left, each with what was left when that began.
    pub fn accounts_low(&self) -> impl Iterator<Item = (&str, &AccountLow)> {
        self.quota_low.iter().map(|(credential, low)| (credential.as_str(), low))
    }

    /// The projects that pull with a credential through us, or are about to.
    pub fn projects_with(&self, credential: &str) -> BTreeSet<&ProjectName> {
        let live = |id: &RemediationId, r: &Remediation| {
            matches!(r.stage(), Stage::Planned | Stage::Applied) || self.is_in_place(id, r)
        };
        let uses = |r: &Remediation| r.plan().secret.is_some() && r.plan().credential == credential;
        self.remediations.iter().filter(|(id, r)| uses(r) && live(id, r)).map(|(_, r)| &r.plan().project).collect()
    }

    /// Whether people were ever told to reset the credential's password: they are told once.
    pub fn password_reset_advised(&self, credential: &str) -> bool {
        self.advised.contains(credential)
    }
}
