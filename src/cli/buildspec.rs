//! `unthrottled buildspec login`: the edit that the daemon makes, offline and for any file.

use crate::cli::plain::{self, Plain};
use crate::domain::buildspec::login::{Login, Shell};
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::buildspec::sight;
use crate::domain::buildspec::splice::Splice;
use crate::domain::buildspec::{Placement, place_login};
use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use similar::TextDiff;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Work on buildspecs, offline.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put a Docker Hub login before the first command that pulls an image
    ///
    /// Every other byte stays. Prints the buildspec with the login, or as it is where it needs none. A buildspec that
    /// can't be edited safely is refused with the reason and the place, and the command exits with 1.
    Login(LoginArgs),
}

#[derive(Debug, clap::Args)]
struct LoginArgs {
    /// The buildspecs; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The shell of the builds, where a buildspec does not name one under `env`
    #[arg(long, value_enum, default_value = "sh")]
    shell: ShellArg,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Output {
    /// Print a unified diff instead of the whole text
    #[arg(long)]
    diff: bool,
    /// Print nothing but what is missing; exit with 1 if a login is
    #[arg(long)]
    check: bool,
    /// Write the login into the files
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShellArg {
    /// sh, bash
    Sh,
    /// Windows PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// cmd.exe
    Cmd,
}

/// Runs the command. Exits with 1 where a buildspec that may need a login was refused or, with `--check`, lacks one.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Login(args) = &args.command;
    let (stdout, stderr) = (&mut plain::data(), &mut Plain::new(anstream::stderr()));
    let login = login(args.shell);
    let mut code = ExitCode::SUCCESS;
    for file in &args.files {
        if !one_file(file, &login, &args.output, stdout, stderr)? {
            code = ExitCode::from(1);
        }
    }
    Ok(code)
}

fn login(shell: ShellArg) -> Login {
    let shell = match shell {
        ShellArg::Sh => Shell::Sh,
        ShellArg::PowerShell => Shell::PowerShell,
        ShellArg::Cmd => Shell::Cmd,
    };
    Login { shell, ..Login::default() }
}

/// Handles one file; whether it is as it should be afterwards.
fn one_file(
    file: &Path,
    login: &Login,
    output: &Output,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> anyhow::Result<bool> {
    let name = file.display();
    let text = match String::from_utf8(read(file)?) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let (line, column) = place_of(error.as_bytes(), valid);
            writeln!(stderr, "{name}:{line}:{column}: the buildspec is not UTF-8")?;
            return Ok(false);
        }
    };
    let splice = match place_login(&text, login) {
        Placement::Insert(_) if is_terraform_template(file) => {
            writeln!(
                stderr,
                "{name}: Terraform fills in this template: put `{}` in by hand, with `$${{` for `${{`",
                login.line()
            )?;
            if !output.diff && !output.check && !output.write {
                stdout.write_all(text.as_bytes())?;
            }
            return Ok(false);
        }
        Placement::Insert(splice) => splice,
        other => {
            let fine = explain(&other, file, stderr)?;
            if !output.diff && !output.check && !output.write {
                stdout.write_all(text.as_bytes())?;
            }
            return Ok(fine);
        }
    };
    if let Some((line, calls)) = sight::called_before(&text, login, &splice) {
        writeln!(stderr, "{name}:{line}: {calls} runs before the login, and may pull out of sight")?;
    }
    let after = splice.apply(&text).context("the edit does not fit its own text")?;
    if output.check {
        writeln!(stderr, "{name}:{}: {}", splice.line, missing(&splice))?;
    } else if output.diff {
        let diff = TextDiff::from_lines(&text, &after);
        let mut diff = diff.unified_diff();
        write!(stdout, "{}", diff.header(&format!("a/{name}"), &format!("b/{name}")))?;
    } else if output.write && file != Path::new("-") {
        fs::write(file, &after).with_context(|| format!("failed to write {name}"))?;
    } else {
        stdout.write_all(after.as_bytes())?;
    }
    Ok(!output.check)
}

/// Whether `templatefile` is what reads this file, by its name: for Terraform `${…}` is its own.
fn is_terraform_template(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "tpl" || end == "tftpl")
}

fn missing(splice: &Splice) -> String {
    format!("no Docker Hub login in `{}` before the first pull; it belongs above `{}`", splice.phase, splice.above)
}

/// Says why a buildspec stays as it is; whether that is fine.
fn explain(placement: &Placement, file: &Path, stderr: &mut impl Write) -> io::Result<bool> {
    let name = file.display();
    match placement {
        Placement::Insert(_) => Ok(true),
        Placement::AlreadyLoggedIn { line, phase } => {
            writeln!(stderr, "{name}:{line}: `{phase}` already logs in to Docker Hub before it pulls")?;
            Ok(true)
        }
        Placement::NotNeeded(spare) => {
            writeln!(stderr, "{name}:{}: no login needed: {}", spare.line(), spare.sentence())?;
            Ok(true)
        }
        Placement::Refused(refusal) => {
            match refusal.place() {
                Some((line, column)) => writeln!(stderr, "{name}:{line}:{column}: {}", refusal.sentence())?,
                None => writeln!(stderr, "{name}: {}", refusal.sentence())?,
            }
            // Nothing is missing where nothing uses docker, or where other files do.
            Ok(matches!(refusal, Refusal::NoDockerUse { .. } | Refusal::BatchOnly { .. }))
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("failed to read standard input")?;
        return Ok(bytes);
    }
    fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

/// Line and column of a byte, counted from 1.
fn place_of(bytes: &[u8], at: usize) -> (usize, usize) {
    let head = &bytes[..at];
    let line = head.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, String::from_utf8_lossy(&head[start..]).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    const PULLS: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build .\n";
    const LINE: &str = r#"echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin"#;

    /// Runs the command on a file with this content: whether all is well, both outputs, and the file afterwards. The
    /// file's name stands as FILE.
    fn run(content: &[u8], flags: &[&str]) -> (bool, String, String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("buildspec.yml");
        fs::write(&file, content).unwrap();
        let words = ["buildspec", "login", file.to_str().unwrap()];
        let cli = Cli::try_parse_from(words.iter().chain(flags)).unwrap();
        let Command::Login(args) = &cli.args.command;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let fine = one_file(&file, &login(args.shell), &args.output, &mut stdout, &mut stderr).unwrap();
        let named = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(file.to_str().unwrap(), "FILE");
        (fine, named(stdout), named(stderr), fs::read(&file).unwrap())
    }

    #[test]
    fn the_text_with_the_login_goes_to_standard_output() {
        let (fine, stdout, stderr, file) = run(PULLS.as_bytes(), &[]);
        assert!(fine);
        assert_eq!(stdout, PULLS.replace("- docker", &format!("- {LINE}\n      - docker")));
        assert_eq!(stderr, "");
        assert_eq!(file, PULLS.as_bytes());
    }

    #[test]
    fn a_diff_can_be_applied() {
        let (fine, stdout, ..) = run(PULLS.as_bytes(), &["--diff"]);
        assert!(fine);
        let head = "--- a/FILE\n+++ b/FILE\n@@ -2,4 +2,5 @@\n phases:\n   build:\n     commands:\n";
        assert_eq!(stdout, format!("{head}+      - {LINE}\n       - docker build .\n"));
    }

    #[test]
    fn check_says_where_a_login_is_missing() {
        let (fine, stdout, stderr, file) = run(PULLS.as_bytes(), &["--check"]);
        assert!(!fine);
        assert_eq!(stdout, "");
        let sentence = "no Docker Hub login in `build` before the first pull; it belongs above `- docker build .`";
        assert_eq!(stderr, format!("FILE:5: {sentence}\n"));
        assert_eq!(file, PULLS.as_bytes());
    }

    #[test]
    fn a_script_above_the_login_is_named() {
        let hidden = PULLS.replace("      - docker", "      - ./ci/image.sh\n      - docker");
        let (fine, stdout, stderr, _) = run(hidden.as_bytes(), &["--diff"]);
        assert!(fine);
        assert!(stdout.contains(LINE), "{stdout}");
        assert_eq!(stderr, "FILE:5: a script that is called runs before the login, and may pull out of sight\n");
    }

    #[test]
    fn write_changes_the_file_once() {
        let (fine, stdout, _, file) = run(PULLS.as_bytes(), &["--write", "--shell", "powershell"]);
        assert!(fine);
        assert_eq!(stdout, "");
        assert!(String::from_utf8_lossy(&file).contains("- $env:DOCKERHUB_PASSWORD | docker login"));
        let (fine, _, stderr, again) = run(&file, &["--write"]);
        assert!(fine);
        assert_eq!(again, file);
        assert_eq!(stderr, "FILE:5: `build` already logs in to Docker Hub before it pulls\n");
    }

    #[test]
    fn refusals_name_file_line_and_column() {
        let broken = PULLS.replace("version: 0.2", "version: [0.2");
        let (fine, stdout, stderr, _) = run(broken.as_bytes(), &[]);
        assert!(!fine);
        assert_eq!(stdout, broken);
        assert!(stderr.starts_with("FILE:2:") && stderr.contains("not valid YAML"), "{stderr}");
        let (fine, stdout, stderr, _) = run(b"a: b\nc: \xff", &["--check"]);
        assert!(!fine);
        assert_eq!((stdout.as_str(), stderr.as_str()), ("", "FILE:2:4: the buildspec is not UTF-8\n"));
    }

    #[test]
    fn a_buildspec_without_docker_passes_the_check() {
        let (fine, _, stderr, _) = run(b"version: 0.2\nphases:\n  build:\n    commands: [ls]\n", &["--check"]);
        assert!(fine);
        assert_eq!(stderr, "FILE: no command uses docker\n");
    }

    #[test]
    fn a_terraform_template_is_left_to_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("buildspec.yml.tftpl");
        fs::write(&file, PULLS).unwrap();
        let cli = Cli::try_parse_from(["buildspec", "login", file.to_str().unwrap(), "--write"]).unwrap();
        let Command::Login(args) = &cli.args.command;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        assert!(!one_file(&file, &login(args.shell), &args.output, &mut stdout, &mut stderr).unwrap());
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(stderr.contains("Terraform fills in this template") && stderr.contains(LINE), "{stderr}");
        assert_eq!(fs::read(&file).unwrap(), PULLS.as_bytes());
    }

    #[test]
    fn one_kind_of_output_at_a_time() {
        assert!(Cli::try_parse_from(["buildspec", "login", "a", "--diff", "--write"]).is_err());
        assert!(Cli::try_parse_from(["buildspec", "login"]).is_err());
    }
}
