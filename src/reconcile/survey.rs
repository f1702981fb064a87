//! Survey: which projects pull without a login, and how often they build. Reads, and records nothing.

use crate::domain::build::{AuthConfig, Build, Project, ProjectName};
use crate::domain::policy::{self, Remedy};
use crate::domain::survey::{self, Builds, Facts, Ground, Row};
use crate::domain::watch::Watch;
use crate::reconcile::sweep::Keep;
use crate::reconcile::{Book, Failure, Kind, Reconciler, Tick};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Projects a call of `BatchGetProjects`.
const PAGE: usize = 100;

/// Names that are spelled out where several were not answered for.
const NAMED: usize = 3;

/// What a survey of a scope showed.
#[derive(Clone, Debug, Default)]
pub struct Surveyed {
    /// Every project that a policy matches, in no order.
    pub rows: Vec<Row>,
}

impl Reconciler {
    /// Every project that a policy matches, with its ways and its builds in the look-back. `said` is told of the progress:
    /// projects read, of all.
    ///
    /// # Guarantees
    /// Calls that only read, and nothing is recorded. A part that can't be read is in [`Reconciler::unread`], and the rest is
    /// answered: builds that can't be counted leave rows without a count, a page of projects that can't be read leaves its
    /// projects out.
    ///
    /// # Errors
    /// Only where not even the names of the projects can be read.
    pub async fn survey_projects(
        &mut self,
        book: &Book,
        now: Timestamp,
        said: impl Fn(usize, usize),
    ) -> Result<Surveyed, Failure> {
        self.watch = Watch::default();
        self.builds.clear();
        self.tick = Tick::default();
        let names = self.names_of_policies(book, now).await?;
        let projects = self.read_all(book, &names, now, said).await;
        let builds = self.builds_in_lookback(book, now).await;
        let auth_configs = self.auth_configs().await;
        let ground = Ground {
            scope: &self.scope,
            policies: &self.rules.policies,
            mode: self.rules.mode,
            history: book.history(&self.scope),
            images: &self.rules.images,
            auth_configs: &auth_configs,
        };
        let rows = projects.iter().filter_map(|project| row(ground, project, builds.as_ref(), now)).collect();
        Ok(Surveyed { rows })
    }

    /// Whether the secrets of the policies that may set docker's variable hold its text. Each credential is asked about
    /// once; what can't be known, for want of permission or of the secret, is said with the project's row.
    async fn auth_configs(&self) -> BTreeMap<String, AuthConfig> {
        let mut auth_configs = BTreeMap::new();
        for policy in &self.rules.policies {
            let credential = &policy.credential;
            if !policy.later_phase.contains(&Remedy::DockerAuthVariable) || auth_configs.contains_key(&credential.name)
            {
                continue;
            }
            let answer = match self.secret_of(credential).await {
                Ok(secret) => secret.auth_config,
                Err(failure) => AuthConfig::Unknown(failure.detail),
            };
            auth_configs.insert(credential.name.clone(), answer);
        }
        auth_configs
    }

    /// The names that a policy may match. A later page that fails leaves those that were read.
    async fn names_of_policies(&mut self, book: &Book, now: Timestamp) -> Result<Vec<ProjectName>, Failure> {
        let mut names = BTreeSet::new();
        let mut token = None;
        loop {
            match self.aws.codebuild.list_projects_page(token.as_ref()).await {
                Ok((page, next)) => {
                    names.extend(page);
                    if next.is_some() && next == token {
                        let detail = "ListProjects answered the token of the page that was asked for".to_string();
                        let failure = Failure { kind: Kind::Again, detail };
                        self.incomplete(book, "the list of projects could not be read to its end", &failure, now);
                        break;
                    }
                    token = next;
                }
                Err(error) if token.is_none() => return Err(error.into()),
                Err(error) => {
                    let what = format!("the list of projects could not be read past the first {}", names.len());
                    self.incomplete(book, &what, &error.into(), now);
                    break;
                }
            }
            if token.is_none() {
                break;
            }
        }
        let of_a_policy = |name: &ProjectName| self.rules.policies.iter().any(|p| p.matches_name(&self.scope, name));
        names.retain(of_a_policy);
        Ok(names.into_iter().collect())
    }

    async fn read_all(
        &mut self,
        book: &Book,
        names: &[ProjectName],
        now: Timestamp,
        said: impl Fn(usize, usize),
    ) -> Vec<Project> {
        let mut projects = Vec::new();
        for (n, chunk) in names.chunks(PAGE).enumerate() {
            said(n * PAGE, names.len());
            match self.aws.codebuild.look_at_projects(chunk).await {
                Ok(looked) => {
                    let found: BTreeSet<&ProjectName> = looked.projects.iter().map(|project| &project.name).collect();
                    // Deleted since they were listed: there is nothing to say about them.
                    let answered = |name: &&ProjectName| found.contains(*name) || looked.missing.contains(name);
                    let silent: Vec<&ProjectName> = chunk.iter().filter(|name| !answered(name)).collect();
                    if !silent.is_empty() {
                        let failure =
                            Failure { kind: Kind::Again, detail: "BatchGetProjects left them out".to_string() };
                        self.incomplete(book, &format!("{} could not be read", named(&silent)), &failure, now);
                    }
                    projects.extend(looked.projects);
                }
                Err(error) => {
                    let what = format!("{} could not be read", named(&chunk.iter().collect::<Vec<_>>()));
                    self.incomplete(book, &what, &error.into(), now);
                }
            }
        }
        projects
    }

    /// The builds of each project that ran in the look-back; none if they could not be read.
    async fn builds_in_lookback(&mut self, book: &Book, now: Timestamp) -> Option<BTreeMap<ProjectName, Vec<Build>>> {
        let sweep = match self.sweep(book, Keep::All, now).await {
            Ok(sweep) => sweep,
            Err(failure) => {
                self.incomplete(book, "builds could not be counted", &failure, now);
                return None;
            }
        };
        let mut builds: BTreeMap<ProjectName, Vec<Build>> = BTreeMap::new();
        let listed: BTreeSet<_> = sweep.listed().iter().collect();
        for build in listed.into_iter().filter_map(|id| self.builds.get(id)).filter(|build| sweep.wants(build)) {
            builds.entry(build.project.clone()).or_default().push(build.clone());
        }
        Some(builds)
    }
}

/// The row of a project that a policy matches.
fn row(
    ground: Ground<'_>,
    project: &Project,
    builds: Option<&BTreeMap<ProjectName, Vec<Build>>>,
    now: Timestamp,
) -> Option<Row> {
    let policy = policy::policy_for(ground.policies, ground.scope, project)?;
    let own = builds.map(|builds| builds.get(&project.name).map(Vec::as_slice).unwrap_or_default());
    let counted = Builds::of(project, own.unwrap_or_default().iter());
    let ways = survey::ways(Facts { project, builds: counted });
    let decided = ways.into_iter().map(|way| {
        let decision = survey::decision(ground, project, &way, now);
        (way, decision)
    });
    Some(Row {
        scope: ground.scope.to_string(),
        project: project.name.clone(),
        builds: own.map(<[Build]>::len),
        policy: policy.name.clone(),
        ways: decided.collect(),
    })
}

/// The one, or the first few and how many more.
fn named(names: &[&ProjectName]) -> String {
    let first: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        1 => format!("project {}", first.join("")),
        count if count <= NAMED => format!("projects {}", first.join(", ")),
        count => format!("projects {} and {} more", first.join(", "), count - NAMED),
    }
}
