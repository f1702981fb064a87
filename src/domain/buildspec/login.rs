//! How does a Docker Hub login read in each shell that CodeBuild offers?

use serde::{Deserialize, Serialize};

/// The login command: where it finds the credential, and in which shell's words it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Login {
    /// The environment variable that holds the Docker Hub user name.
    pub username_variable: String,
    /// The environment variable that holds the password or access token.
    pub password_variable: String,
    /// The shell of the builds. A buildspec that names its own under `env` overrules it.
    pub shell: Shell,
}

/// A shell that runs the commands of a buildspec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `sh`, `bash` and what reads like them.
    #[default]
    Sh,
    /// Windows PowerShell, the default on Windows images.
    PowerShell,
    /// `cmd.exe`.
    Cmd,
}

impl Default for Login {
    fn default() -> Login {
        Login {
            username_variable: "DOCKERHUB_USERNAME".to_string(),
            password_variable: "DOCKERHUB_PASSWORD".to_string(),
            shell: Shell::Sh,
        }
    }
}

impl Login {
    /// The command, on one line. It is a safe plain scalar for YAML as long as the variables have plain names.
    ///
    /// The password goes by standard input, so that it shows in no process list. `cmd.exe` pipes a blank that stands
    /// before `|` along with the text, so there is none.
    pub fn line(&self) -> String {
        let (user, password) = (&self.username_variable, &self.password_variable);
        match self.shell {
            Shell::Sh => format!(r#"echo "${{{password}}}" | docker login -u "${{{user}}}" --password-stdin"#),
            Shell::PowerShell => {
                format!(r#"$env:{password} | docker login -u "$env:{user}" --password-stdin"#)
            }
            Shell::Cmd => format!("echo %{password}%|docker login -u %{user}% --password-stdin"),
        }
    }
}

impl Shell {
    /// The shell that `env.shell` of a buildspec names, if it is one that we can write for.
    pub(super) fn named(name: &str) -> Option<Shell> {
        let program = name.rsplit(['/', '\\']).next().unwrap_or(name);
        match program.trim_end_matches(".exe") {
            "sh" | "bash" => Some(Shell::Sh),
            "powershell" | "pwsh" => Some(Shell::PowerShell),
            "cmd" => Some(Shell::Cmd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_reads_its_own_variables() {
        let line = |shell| Login { shell, ..Login::default() }.line();
        assert_eq!(
            line(Shell::Sh),
            r#"echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin"#
        );
        assert_eq!(
            line(Shell::PowerShell),
            r#"$env:DOCKERHUB_PASSWORD | docker login -u "$env:DOCKERHUB_USERNAME" --password-stdin"#
        );
        assert_eq!(line(Shell::Cmd), "echo %DOCKERHUB_PASSWORD%|docker login -u %DOCKERHUB_USERNAME% --password-stdin");
    }

    #[test]
    fn shells_are_known_by_name_and_path() {
        assert_eq!(Shell::named("/bin/bash"), Some(Shell::Sh));
        assert_eq!(Shell::named("powershell.exe"), Some(Shell::PowerShell));
        assert_eq!(Shell::named(r"C:\Windows\System32\cmd.exe"), Some(Shell::Cmd));
        assert_eq!(Shell::named("fish"), None);
    }
}
