//! Whom a grant reaches: a role is granted the secret, and every build that runs with the role can read it.

use crate::domain::build::{Project, ProjectName, PullRequests, RoleName, Visibility};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Projects that are named; more are counted.
const NAMED: usize = 5;

/// A project as far as it matters to a grant: its role, and who can have builds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: ProjectName,
    /// Its service role.
    pub role: Option<RoleName>,
    /// Why strangers can get at what its builds read, if they can.
    pub open: Option<Door>,
}

/// Why strangers can get at what a project's builds read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Everybody sees its builds with their logs.
    Public,
    /// It builds pull requests of anybody, or it can't be told whose.
    PullRequests,
}

/// Whom a grant reaches, as one look at all projects of the account and region showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// Other projects of the role, the first of them by name.
    pub shared_with: Vec<ProjectName>,
    /// How many others there are.
    pub others: usize,
    /// Projects of the role that strangers can get at, the plan's own with them; the first by name.
    pub open: Vec<OpenProject>,
    /// How many of those there are.
    pub open_projects: usize,
}

/// A project that strangers can get at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenProject {
    /// Which.
    pub project: ProjectName,
    /// How.
    pub door: Door,
}

impl Tenant {
    /// What of a project matters.
    pub fn of(project: &Project) -> Tenant {
        let open = match (project.visibility, project.pull_requests) {
            (Visibility::Public, _) => Some(Door::Public),
            (Visibility::Private, PullRequests::Anybodys) => Some(Door::PullRequests),
            (Visibility::Private, PullRequests::Nobodys | PullRequests::Approved) => None,
        };
        Tenant { name: project.name.clone(), role: project.role(), open }
    }
}

impl Reach {
    /// Of a grant on the role because of a project, among all projects; the project as it was read last.
    pub fn among(all: &[Tenant], project: &Project, role: &RoleName) -> Reach {
        let mut others: Vec<&Tenant> =
            all.iter().filter(|tenant| tenant.role.as_ref() == Some(role) && tenant.name != project.name).collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        let own = Tenant::of(project);
        let mut open: Vec<&Tenant> =
            others.iter().copied().chain([&own]).filter(|tenant| tenant.open.is_some()).collect();
        open.sort_by(|a, b| a.name.cmp(&b.name));
        let door = |tenant: &&Tenant| tenant.open.map(|door| OpenProject { project: tenant.name.clone(), door });
        Reach {
            shared_with: others.iter().take(NAMED).map(|tenant| tenant.name.clone()).collect(),
            others: others.len(),
            open: open.iter().filter_map(door).take(NAMED).collect(),
            open_projects: open.len(),
        }
    }

    /// Whether strangers can get at the credential through it.
    pub fn is_open(&self) -> bool {
        self.open_projects > 0
    }

    /// The projects that strangers can get at, in words: `oss` is public.
    pub fn openings(&self) -> String {
        let each = |open: &OpenProject| match open.door {
            Door::Public => format!("`{}` is public", open.project),
            Door::PullRequests => format!("`{}` builds pull requests of anybody", open.project),
        };
        let named: Vec<String> = self.open.iter().map(each).collect();
        and_more(named, self.open_projects)
    }

    /// The lines that stand below a grant in a plan of a project.
    pub fn of<'a>(&'a self, project: &'a ProjectName) -> impl fmt::Display + 'a {
        Lines { reach: self, project }
    }
}

struct Lines<'a> {
    reach: &'a Reach,
    project: &'a ProjectName,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lines { reach, project } = self;
        write!(f, "\n      Then every build of `{project}`, pull requests included, can read the credential")?;
        if reach.others == 0 {
            write!(f, "; no other project has this role.")?;
        } else {
            let named = reach.shared_with.iter().map(|name| format!("`{name}`")).collect();
            write!(f, ", and so can those of all that share the role: {}.", and_more(named, reach.others))?;
        }
        if reach.is_open() {
            write!(f, "\n      Strangers can get at it: {}.", reach.openings())?;
        }
        Ok(())
    }
}

fn and_more(named: Vec<String>, all: usize) -> String {
    let more = all.saturating_sub(named.len());
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::*;

    fn tenants(projects: &[Project]) -> Vec<Tenant> {
        projects.iter().map(Tenant::of).collect()
    }

    fn public(name: &str) -> Project {
        Project { visibility: Visibility::Public, ..project(name) }
    }

    fn forks(name: &str) -> Project {
        Project { pull_requests: PullRequests::Anybodys, ..project(name) }
    }

    #[test]
    fn who_shares_the_role_is_said_and_who_does_not_is_not() {
        let all = tenants(&[project("web"), project("api"), project("ops").role_named("other"), project("cli")]);
        let reach = Reach::among(&all, &project("web"), &RoleName::new("builds"));
        assert_eq!((reach.others, reach.is_open()), (2, false));
        assert_eq!(
            reach.of(&ProjectName::new("web")).to_string(),
            "\n      Then every build of `web`, pull requests included, can read the credential, and so can those of all that share \
             the role: `api`, `cli`."
        );
        let alone = Reach::among(&tenants(&[project("web")]), &project("web"), &RoleName::new("builds"));
        assert!(
            alone
                .of(&ProjectName::new("web"))
                .to_string()
                .ends_with("can read the credential; no other project has this role.")
        );
    }

    #[test]
    fn what_strangers_can_get_at_is_said_of_others_and_of_the_project_itself() {
        let all = tenants(&[public("oss"), project("api")]);
        let reach = Reach::among(&all, &forks("web"), &RoleName::new("builds"));
        assert_eq!(reach.openings(), "`oss` is public, `web` builds pull requests of anybody");
        let approved = Project { pull_requests: PullRequests::Approved, ..project("web") };
        assert!(!Reach::among(&[], &approved, &RoleName::new("builds")).is_open());
    }

    /// The list of all projects may be older than the project at hand.
    #[test]
    fn the_project_counts_as_it_was_read_last() {
        let reach = Reach::among(&tenants(&[project("web")]), &public("web"), &RoleName::new("builds"));
        assert_eq!((reach.others, reach.openings().as_str()), (0, "`web` is public"));
    }

    #[test]
    fn many_are_counted() {
        let all: Vec<Project> = (0..9).map(|n| public(&format!("p{n}"))).collect();
        let reach = Reach::among(&tenants(&all), &project("web"), &RoleName::new("builds"));
        assert_eq!((reach.shared_with.len(), reach.others, reach.open.len(), reach.open_projects), (5, 9, 5, 9));
        assert!(reach.openings().ends_with("`p4` is public and 4 more"), "{}", reach.openings());
    }
}
