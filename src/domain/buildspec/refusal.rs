//! Why is a buildspec not edited?

use serde::{Deserialize, Serialize};
use std::fmt;

/// A reason for leaving a buildspec as it is although it might need a login. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// The text does not parse.
    NotYaml {
        /// Where the parser stopped.
        line: usize,
        /// Where the parser stopped.
        column: usize,
        /// What the parser says.
        what: String,
    },
    /// The text still has marks of a template language: what CodeBuild gets is another text.
    Template {
        /// The first mark.
        line: usize,
        /// The first mark.
        column: usize,
        /// The language, or how its marks look.
        what: String,
    },
    /// One mapping has a key twice; which of the two counts is the parser's secret.
    DuplicateKey {
        /// The second one.
        line: usize,
        /// The second one.
        column: usize,
    },
    /// There is no `phases` with phases in it.
    NoPhases {
        /// What stands in its place.
        line: usize,
        /// What stands in its place.
        column: usize,
    },
    /// A phase stands beside `phases` and not below it.
    PhaseAtTopLevel {
        /// The phase's name.
        line: usize,
        /// The phase's name.
        column: usize,
    },
    /// A list of commands stands where CodeBuild does not look for one.
    CommandsMisplaced {
        /// The key `commands`.
        line: usize,
        /// The key `commands`.
        column: usize,
    },
    /// A command is a mapping for YAML (an unquoted `: `) or a list, and so an error for CodeBuild.
    CommandIsMapping {
        /// The command.
        line: usize,
        /// The command.
        column: usize,
    },
    /// Longer than CodeBuild takes, or than is read here.
    TooLong {
        /// Characters after the edit.
        characters: usize,
        /// Where the limit is crossed.
        line: usize,
        /// Where the limit is crossed.
        column: usize,
    },
    /// No command uses docker, as far as can be seen.
    NoDockerUse {
        /// What the commands call that might use docker out of sight.
        calls: Option<Hidden>,
        /// The line of that call.
        line: Option<usize>,
    },
    /// Docker is used, but what pulls is out of sight.
    HiddenDockerUse {
        /// The call behind which it must be.
        line: usize,
        /// The call behind which it must be.
        column: usize,
        /// What is called there.
        calls: Hidden,
    },
    /// The buildspec uses a variable of the login's names for itself.
    VariableInUse {
        /// The variable.
        name: String,
        /// Where it gets its value.
        line: usize,
        /// Where it gets its value.
        column: usize,
    },
    /// The login would have to stand in the middle of one script.
    InsideScript {
        /// The command.
        line: usize,
        /// The command.
        column: usize,
        /// What that script does before it pulls.
        because: Inside,
    },
    /// A login to a registry that only the build knows: it may be Docker Hub.
    UnknownRegistryLogin {
        /// That login.
        line: usize,
        /// That login.
        column: usize,
    },
    /// Only a batch: the commands are in the buildspecs that it names.
    BatchOnly {
        /// The batch.
        line: usize,
        /// The batch.
        column: usize,
    },
    /// A command that speaks of docker is not to be read as a shell command.
    UnreadableCommand {
        /// The command.
        line: usize,
        /// The command.
        column: usize,
    },
    /// Something rare that is not worth the risk of an edit.
    NotSupported {
        /// Where it is.
        line: usize,
        /// Where it is.
        column: usize,
        /// What it is.
        what: Unsupported,
    },
}

/// A call whose work can't be seen in the buildspec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// A script of the source.
    Script,
    /// `make` or a like tool.
    Make,
    /// A script of a package manager, a build tool or a test runner.
    BuildTool,
    /// Commands that another user or a variable runs.
    Elsewhere,
    /// Nothing that could be named.
    Unknown,
}

/// What a script does between its start and its first pull, so that no line before it helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inside {
    /// It starts the docker daemon.
    StartsDaemon,
    /// It logs out of Docker Hub.
    LogsOut,
    /// It is one folded or quoted text for YAML, in which a new line is no new command.
    OneScalar,
}

/// What is rare enough to be left to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// Several YAML documents in one text.
    SeveralDocuments,
    /// A list that several places share by an anchor.
    SharedList,
    /// Nesting deeper than any buildspec has.
    TooDeep,
    /// A shell under `env` for which no login is known.
    Shell,
    /// podman or buildah, which have a login of their own.
    OwnLogin,
    /// Docker keeps its logins in a store that takes none from `docker login`: the one for ECR.
    CredentialStore,
    /// The first pull is in `finally`, behind commands that use docker, too.
    Finally,
    /// A layout for which the edit could not be proven to change nothing else.
    Unproven,
}

impl Refusal {
    /// Of a text that is too long, with the place of its first character over the limit.
    pub(super) fn too_long(text: &str, most: usize) -> Refusal {
        let (mut line, mut column) = (1, 1);
        for c in text.chars().take(most) {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Refusal::TooLong { characters: text.chars().count(), line, column }
    }

    /// Where in the text the reason stands, if it stands somewhere: line and column.
    pub fn place(&self) -> Option<(usize, usize)> {
        use Refusal::*;
        match self {
            NotYaml { line, column, .. }
            | Template { line, column, .. }
            | DuplicateKey { line, column }
            | PhaseAtTopLevel { line, column }
            | CommandsMisplaced { line, column }
            | CommandIsMapping { line, column }
            | HiddenDockerUse { line, column, .. }
            | VariableInUse { line, column, .. }
            | InsideScript { line, column, .. }
            | UnknownRegistryLogin { line, column }
            | UnreadableCommand { line, column }
            | NoPhases { line, column }
            | TooLong { line, column, .. }
            | BatchOnly { line, column }
            | NotSupported { line, column, .. } => Some((*line, *column)),
            NoDockerUse { line, .. } => line.map(|line| (line, 1)),
        }
    }

    /// The reason as one word, the same as in the ledger.
    pub fn tag(&self) -> &'static str {
        use Refusal::*;
        match self {
            NotYaml { .. } => "not_yaml",
            Template { .. } => "template",
            DuplicateKey { .. } => "duplicate_key",
            NoPhases { .. } => "no_phases",
            PhaseAtTopLevel { .. } => "phase_at_top_level",
            CommandsMisplaced { .. } => "commands_misplaced",
            CommandIsMapping { .. } => "command_is_mapping",
            TooLong { .. } => "too_long",
            NoDockerUse { .. } => "no_docker_use",
            HiddenDockerUse { .. } => "hidden_docker_use",
            VariableInUse { .. } => "variable_in_use",
            InsideScript { .. } => "inside_script",
            UnknownRegistryLogin { .. } => "unknown_registry_login",
            BatchOnly { .. } => "batch_only",
            UnreadableCommand { .. } => "unreadable_command",
            NotSupported { .. } => "not_supported",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place() {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.sentence())
    }
}

impl Refusal {
    /// The reason as a sentence, without the place.
    pub fn sentence(&self) -> String {
        match self {
            Refusal::NotYaml { what, .. } => format!("the buildspec is not valid YAML: {what}"),
            Refusal::Template { what, .. } => {
                format!("the text is a template ({what}): edit it by hand, escaped as its language asks")
            }
            Refusal::DuplicateKey { .. } => "a key stands twice in the same mapping".to_string(),
            Refusal::NoPhases { .. } => "the buildspec has no phases".to_string(),
            Refusal::PhaseAtTopLevel { .. } => "a phase stands beside `phases` and not below it".to_string(),
            Refusal::CommandsMisplaced { .. } => "`commands` stands where CodeBuild does not look for it".to_string(),
            Refusal::CommandIsMapping { .. } => {
                "a command is no string for YAML: quote what has a colon and a blank in it".to_string()
            }
            Refusal::TooLong { characters, .. } => {
                format!("with the login it has {characters} characters, more than CodeBuild's limit of 25,600")
            }
            Refusal::NoDockerUse { calls: None, .. } => "no command uses docker".to_string(),
            Refusal::NoDockerUse { calls: Some(calls), .. } => {
                format!("no command uses docker by itself; {calls} may do so out of sight")
            }
            Refusal::HiddenDockerUse { calls, .. } => {
                format!("docker is used, but no command here pulls an image: {calls} must do so out of sight")
            }
            Refusal::VariableInUse { name, .. } => {
                format!("the buildspec already gives `{name}` a value of its own")
            }
            Refusal::InsideScript { because, .. } => because.to_string(),
            Refusal::UnknownRegistryLogin { .. } => {
                "it logs in to a registry whose name only the build knows; it may be Docker Hub".to_string()
            }
            Refusal::BatchOnly { .. } => {
                "it only lists batch builds: edit the buildspecs that the batch names".to_string()
            }
            Refusal::UnreadableCommand { .. } => {
                "a command that speaks of docker can't be read as shell language".to_string()
            }
            Refusal::NotSupported { what, .. } => what.to_string(),
        }
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hidden::Script => "a script that is called",
            Hidden::Make => "a make target that is called",
            Hidden::BuildTool => "a build tool that is called",
            Hidden::Elsewhere => "what another user or a variable runs",
            Hidden::Unknown => "something that is called",
        })
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Inside::StartsDaemon => "one script starts the docker daemon and then pulls: the login belongs in between",
            Inside::LogsOut => "one script logs out of Docker Hub and then pulls: the login belongs in between",
            Inside::OneScalar => "the commands are one folded or quoted text, in which a new line is no new command",
        })
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsupported::SeveralDocuments => "the text holds several YAML documents",
            Unsupported::SharedList => "the commands are shared with another place by an anchor",
            Unsupported::TooDeep => "the text is nested deeper than can be read here",
            Unsupported::Shell => "`env.shell` names a shell for which no login is known",
            Unsupported::OwnLogin => "images are pulled by podman or buildah, which have a login of their own",
            Unsupported::CredentialStore => {
                "docker's `credsStore` is the helper for ECR, which takes no other login: name it under `credHelpers`"
            }
            Unsupported::Finally => "the first pull is in `finally`, which is no place for a login",
            Unsupported::Unproven => "the edit could not be proven to leave everything else as it is",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_one_of_the_ledger() {
        let (line, column) = (3, 7);
        for refusal in [
            Refusal::NoPhases { line, column },
            Refusal::BatchOnly { line, column },
            Refusal::DuplicateKey { line, column },
            Refusal::TooLong { characters: 26_000, line, column },
            Refusal::HiddenDockerUse { line, column, calls: Hidden::Make },
        ] {
            let json = serde_json::to_value(&refusal).unwrap();
            assert_eq!(json["reason"], refusal.tag());
            assert_eq!(serde_json::from_value::<Refusal>(json).unwrap(), refusal);
        }
    }

    #[test]
    fn a_refusal_says_where_and_why() {
        let refusal = Refusal::VariableInUse { name: "A".to_string(), line: 3, column: 7 };
        assert_eq!(refusal.to_string(), "line 3, column 7: the buildspec already gives `A` a value of its own");
        let silent = Refusal::NoDockerUse { calls: None, line: None };
        assert_eq!(silent.to_string(), "no command uses docker");
    }
}
