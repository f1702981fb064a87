//! What do the commands do, in the order in which they run, up to the first that pulls from Docker Hub?

use super::command::{self, Deed};
use super::docker::{Action, Registry};
use super::document::Document;
use super::login::{Login, Shell};
use super::outline::{self, Item, Outline, Phase, Spot};
use super::refusal::{Hidden, Inside, Refusal, Unsupported};
use super::word::{Variables, Word};
use super::{Placement, Spare};

/// The first command that pulls.
#[derive(Clone, Copy)]
pub(super) struct Pull {
    /// Its phase's number.
    pub(super) phase: usize,
    /// Its number in that phase.
    pub(super) item: usize,
    /// What the same command does before, so that nothing above it helps.
    pub(super) inside: Option<Inside>,
}

/// The command that a login has to stand before; or what speaks against one.
pub(super) fn first_pull(document: &Document, outline: &Outline<'_>, login: &Login) -> Result<Pull, Placement> {
    let walk = Walk::new(document, outline, login).run()?;
    let Some(pull) = walk.anchor.filter(|_| walk.needed) else {
        return Err(walk.without_pull());
    };
    if let Some((line, column)) = walk.unknown_login {
        return Err(Placement::Refused(Refusal::UnknownRegistryLogin { line, column }));
    }
    if let Some((line, column)) = walk.no_store {
        let what = Unsupported::CredentialStore;
        return Err(Placement::Refused(Refusal::NotSupported { line, column, what }));
    }
    if let Some((name, (line, column))) = walk.variable_in_use {
        return Err(Placement::Refused(Refusal::VariableInUse { name, line, column }));
    }
    Ok(pull)
}

/// The first command that pulls from Docker Hub, or may, without a login: its phase and its item. What an edit would have
/// to mind besides is not minded.
pub(super) fn first_hub_pull(
    document: &Document,
    outline: &Outline<'_>,
    login: &Login,
) -> Result<(usize, usize), Placement> {
    let walk = Walk::new(document, outline, login).run()?;
    let Some(at) = walk.hub_pull else {
        return Err(walk.without_pull());
    };
    match walk.unknown_login {
        Some((line, column)) => Err(Placement::Refused(Refusal::UnknownRegistryLogin { line, column })),
        None => Ok(at),
    }
}

/// Follows the commands in the order in which they run, up to the first that pulls from Docker Hub or might.
struct Walk<'a> {
    document: &'a Document,
    outline: &'a Outline<'a>,
    login: &'a Login,
    variables: Variables,
    /// The login that is in force: its phase and its item.
    logged_in: Option<(usize, usize)>,
    /// The first command that pulls since the last logout or start of the daemon.
    anchor: Option<Pull>,
    /// Whether a command pulls from Docker Hub or might.
    needed: bool,
    /// That command: its phase and its item.
    hub_pull: Option<(usize, usize)>,
    unknown_login: Option<Spot>,
    variable_in_use: Option<(String, Spot)>,
    /// The first that pulls from another registry only, and the first that pulls by other means.
    elsewhere: Option<Spot>,
    own_pull: Option<Spot>,
    /// Where docker is given a store that refuses a login to Docker Hub.
    no_store: Option<Spot>,
}

impl<'a> Walk<'a> {
    fn new(document: &'a Document, outline: &'a Outline<'a>, login: &'a Login) -> Walk<'a> {
        let mut variables = Variables::default();
        let mut variable_in_use = None;
        for variable in &outline.variables {
            if let Some(value) = variable.value {
                variables.set(variable.name, Word::of(value));
            }
            if [&login.username_variable, &login.password_variable].iter().any(|name| *name == variable.name) {
                let spot = outline::spot(document, variable.node);
                variable_in_use.get_or_insert((variable.name.to_string(), spot));
            }
        }
        Walk {
            document,
            outline,
            login,
            variables,
            logged_in: None,
            anchor: None,
            needed: false,
            hub_pull: None,
            unknown_login: None,
            variable_in_use,
            elsewhere: None,
            own_pull: None,
            no_store: None,
        }
    }

    fn run(mut self) -> Result<Walk<'a>, Placement> {
        if let Some(variable) = self.outline.variables.iter().find(|variable| variable.name == "DOCKER_AUTH_CONFIG") {
            let (line, _) = outline::spot(self.document, variable.node);
            let phase = "env".to_string();
            return Err(Placement::AlreadyLoggedIn { line, phase });
        }
        let outline = self.outline;
        for (phase_at, phase) in outline.phases.iter().enumerate() {
            for (item_at, item) in phase.items.iter().enumerate() {
                if self.needed {
                    return Ok(self);
                }
                if writes_hub_credentials(item.text) {
                    self.logged_in = Some((phase_at, item_at));
                }
                if stores_in_ecrs_helper(item.text) {
                    self.no_store.get_or_insert(outline::spot(self.document, item.node));
                }
                if command::is_worth_reading(item.text) || names_variables_of(self.login, item.text) {
                    self.item((phase_at, item_at), item)?;
                }
            }
        }
        Ok(self)
    }

    fn item(&mut self, at: (usize, usize), item: &Item<'_>) -> Result<(), Placement> {
        let spot = outline::spot(self.document, item.node);
        let login = self.login;
        let is_worth = |statement: &str| command::is_worth_reading(statement) || names_variables_of(login, statement);
        let Ok(deeds) = command::deeds(item.text, login.shell, &mut self.variables, Some(&is_worth)) else {
            if !command::speaks_of_docker(item.text) {
                return Ok(());
            }
            // What follows can't be known, but a login above it stands.
            let (line, column) = spot;
            return Err(self.already().unwrap_or(Placement::Refused(Refusal::UnreadableCommand { line, column })));
        };
        let mut inside = None;
        for deed in deeds {
            if self.needed {
                break;
            }
            match deed {
                Deed::Sets(name) => {
                    if name == self.login.username_variable || name == self.login.password_variable {
                        self.variable_in_use.get_or_insert((name, spot));
                    }
                }
                Deed::Does(action) => self.action(at, spot, action, &mut inside)?,
            }
        }
        Ok(())
    }

    fn action(
        &mut self,
        at: (usize, usize),
        spot: Spot,
        action: Action,
        inside: &mut Option<Inside>,
    ) -> Result<(), Placement> {
        match action {
            Action::Pull(registry) => {
                let (phase, item) = at;
                self.anchor.get_or_insert(Pull { phase, item, inside: *inside });
                if registry == Registry::Other {
                    self.elsewhere.get_or_insert(spot);
                } else if let Some(placement) = self.already_for(phase) {
                    return Err(placement);
                } else {
                    self.needed = true;
                    self.hub_pull = Some(at);
                    self.anchor = self.anchor.filter(|first| self.is_same_user(first.phase, phase));
                    self.anchor.get_or_insert(Pull { phase, item, inside: *inside });
                }
            }
            Action::Login(Registry::Hub) => self.logged_in = Some(at),
            Action::Login(Registry::Unknown) => {
                self.unknown_login.get_or_insert(spot);
            }
            Action::Logout(Registry::Hub | Registry::Unknown) => {
                self.logged_in = None;
                self.anchor = None;
                *inside = Some(Inside::LogsOut);
            }
            Action::Daemon => {
                self.anchor = None;
                *inside = Some(Inside::StartsDaemon);
            }
            Action::Mirror => return Err(Placement::NotNeeded(Spare::Mirror { line: spot.0 })),
            Action::OwnPull => {
                self.own_pull.get_or_insert(spot);
            }
            Action::Login(Registry::Other) | Action::Logout(Registry::Other) | Action::Uses | Action::Calls(_) => {}
        }
        Ok(())
    }

    /// The login in force, if the phase runs as the user who logged in.
    fn already_for(&self, phase: usize) -> Option<Placement> {
        let (login_phase, _) = self.logged_in?;
        self.already().filter(|_| self.is_same_user(login_phase, phase))
    }

    /// Whether a login in one phase is there in the other: it is kept in the user's home.
    fn is_same_user(&self, one: usize, other: usize) -> bool {
        self.outline.phases[one].user == self.outline.phases[other].user
    }

    fn already(&self) -> Option<Placement> {
        let (phase, item) = self.logged_in?;
        let phase = &self.outline.phases[phase];
        let (line, _) = outline::spot(self.document, phase.items[item].node);
        Some(Placement::AlreadyLoggedIn { line, phase: phase.name.to_string() })
    }

    /// The answer where no command pulls from Docker Hub as far as can be seen.
    fn without_pull(&self) -> Placement {
        if let Some(placement) = self.already() {
            return placement;
        }
        if let Some((line, column)) = self.own_pull {
            let what = Unsupported::OwnLogin;
            return Placement::Refused(Refusal::NotSupported { line, column, what });
        }
        if let Some((line, _)) = self.elsewhere {
            // What it runs may be what a script has built.
            return match self.builds_out_of_sight() {
                Some(((line, column), calls)) => Placement::Refused(Refusal::HiddenDockerUse { line, column, calls }),
                None => Placement::NotNeeded(Spare::OtherRegistries { line }),
            };
        }
        match self.out_of_sight() {
            (Some(_), Some(((line, column), calls))) => {
                Placement::Refused(Refusal::HiddenDockerUse { line, column, calls })
            }
            (Some((line, _)), None) => Placement::NotNeeded(Spare::NoPull { line }),
            (None, hidden) => Placement::Refused(Refusal::NoDockerUse {
                calls: hidden.map(|(_, calls)| calls),
                line: hidden.map(|((line, _), _)| line),
            }),
        }
    }

    /// The first call of a script that has to do with images, by its name or arguments.
    fn builds_out_of_sight(&self) -> Option<(Spot, Hidden)> {
        let (item, calls) = call_of_images(self.outline, self.login.shell, |_, _| true)?;
        Some((outline::spot(self.document, item.node), calls))
    }

    /// The first sign that docker is used, and the first call of something that can't be seen.
    fn out_of_sight(&self) -> (Option<Spot>, Option<(Spot, Hidden)>) {
        let runtime = self.outline.docker_runtime;
        let mut uses = runtime.map(|node| outline::spot(self.document, node));
        let mut hidden = None;
        for item in self.outline.phases.iter().flat_map(|phase| &phase.items) {
            let spot = outline::spot(self.document, item.node);
            let deeds = command::deeds(item.text, self.login.shell, &mut Variables::default(), None);
            for deed in deeds.unwrap_or_default() {
                match deed {
                    Deed::Sets(_) => {}
                    Deed::Does(Action::Calls(calls)) => {
                        hidden.get_or_insert((spot, calls));
                    }
                    Deed::Does(_) => {
                        uses.get_or_insert(spot);
                    }
                }
            }
        }
        (uses, hidden)
    }
}

/// The first command of those asked for that calls a script or a make target which has to do with images, by its name or
/// arguments.
pub(super) fn call_of_images<'a>(
    outline: &'a Outline<'a>,
    shell: Shell,
    asked_for: impl Fn(&Phase<'_>, &Item<'_>) -> bool,
) -> Option<(&'a Item<'a>, Hidden)> {
    let items = outline.phases.iter().flat_map(|phase| phase.items.iter().map(move |item| (phase, item)));
    let mut asked = items.filter(|(phase, item)| speaks_of_images(item.text) && asked_for(phase, item));
    asked.find_map(|(_, item)| {
        let deeds = command::deeds(item.text, shell, &mut Variables::default(), None).ok()?;
        let calls = deeds.into_iter().find_map(|deed| match deed {
            Deed::Does(Action::Calls(calls @ (Hidden::Script | Hidden::Make))) => Some(calls),
            Deed::Sets(_) | Deed::Does(_) => None,
        })?;
        Some((item, calls))
    })
}

fn speaks_of_images(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["docker", "image", "container", "compose"].iter().any(|word| lower.contains(word))
}

/// Whether a command makes ECR's helper the store of all logins; it refuses to store any.
fn stores_in_ecrs_helper(text: &str) -> bool {
    text.contains("credsStore") && text.contains("ecr-login")
}

fn names_variables_of(login: &Login, text: &str) -> bool {
    [&login.username_variable, &login.password_variable].iter().any(|name| text.contains(name.as_str()))
}

/// Whether a command writes docker's own file of credentials, with one for Docker Hub in it.
pub(super) fn writes_hub_credentials(text: &str) -> bool {
    text.contains(".docker/config.json") && text.contains("index.docker.io/v1")
}
