//! Where the password comes from: a prompt that does not show it, or standard input.

use anyhow::Context as _;
use console::Term;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use std::io::{self, IsTerminal as _, Read};

/// More is no password.
const LONGEST: usize = 32 * 1024;

/// Asks a person at a terminal, or reads standard input.
pub fn read() -> anyhow::Result<SecretString> {
    if io::stdin().is_terminal() { prompt() } else { from(io::stdin().lock()) }
}

fn prompt() -> anyhow::Result<SecretString> {
    let terminal = [Term::stderr(), Term::stdout()].into_iter().find(Term::is_term);
    let terminal =
        terminal.context("there is no terminal to ask for the password at; give it on standard input instead")?;
    terminal.write_str("Docker Hub password or access token (not shown): ")?;
    let text = Zeroizing::new(terminal.read_secure_line().context("the password could not be read")?);
    anyhow::ensure!(!text.is_empty(), "no password was typed, so nothing was stored");
    Ok(SecretString::from(text.as_str()))
}

/// All of it, without the one line break that `echo` and editors put at the end.
fn from(input: impl Read) -> anyhow::Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let most = u64::try_from(LONGEST + 1)?;
    input.take(most).read_to_end(&mut bytes).context("the password could not be read from standard input")?;
    anyhow::ensure!(bytes.len() <= LONGEST, "standard input holds more than 32 KiB, which is no password");
    let text = std::str::from_utf8(&bytes).ok().context("standard input is not text in UTF-8, so it is no password")?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    anyhow::ensure!(
        !text.is_empty(),
        "standard input is empty: the password or access token is expected there, as in `… < token.txt`"
    );
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use secrecy::ExposeSecret as _;

    #[rstest]
    #[case("pw", "pw")]
    #[case("pw\n", "pw")]
    #[case("pw\r\n", "pw")]
    #[case("pw\n\n", "pw\n")]
    #[case(" pw", " pw")]
    fn one_line_break_at_the_end_is_taken_off(#[case] input: &str, #[case] password: &str) {
        assert_eq!(from(input.as_bytes()).unwrap().expose_secret(), password);
    }

    #[rstest]
    #[case::nothing(b"".to_vec(), "is empty")]
    #[case::a_line_break(b"\n".to_vec(), "is empty")]
    #[case::bytes(vec![0xff, 0xfe], "not text")]
    #[case::a_file(vec![b'a'; LONGEST + 1], "more than 32 KiB")]
    fn what_is_no_password_is_refused(#[case] input: Vec<u8>, #[case] says: &str) {
        let error = from(input.as_slice()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
