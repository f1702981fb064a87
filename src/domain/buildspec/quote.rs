//! How is one line of a foreign text shown to people without giving a secret away?

/// The longest quote, in characters.
const LONGEST: usize = 100;

/// What stands for a secret.
const MASK: &str = "***";

/// Names behind which secrets stand: as part of a word, and as a whole word of a name.
const SECRET_PARTS: [&str; 8] = ["pass", "secret", "token", "credential", "bearer", "basic", "login", "apikey"];
const SECRET_WORDS: [&str; 6] = ["pwd", "pw", "key", "auth", "pat", "sas"];

/// The line without its indentation, control characters and what looks like a secret, shortened.
///
/// It errs on the side of masking: a quote is there to recognise a line, not to run it.
pub(super) fn quote(line: &str) -> String {
    let logs_in = line.to_lowercase().contains("login");
    let clean: String = line.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words: Vec<String> = Vec::new();
    let mut mask_next = false;
    // So many words are longer than the longest quote.
    for word in clean.split_whitespace().take(LONGEST) {
        let shown = if mask_next && !is_reference(word) { MASK.to_string() } else { mask(word) };
        let lower = word.to_lowercase();
        let prints = lower == "echo" || lower == "printf";
        mask_next = matches!(lower.as_str(), "-p" | "-u" | "-e")
            || names_a_secret(&lower) && !lower.contains('=')
            || prints && logs_in;
        words.push(shown);
    }
    let shown = words.join(" ");
    if shown.chars().count() <= LONGEST {
        return shown;
    }
    shown.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A word with its secret part masked.
fn mask(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && names_a_secret(&name.to_lowercase())
        && !is_reference(value)
    {
        return format!("{name}={MASK}");
    }
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((_, host)) = rest.split_once('@')
    {
        return format!("{scheme}://{MASK}@{host}");
    }
    if looks_like_a_token(word) { MASK.to_string() } else { word.to_string() }
}

fn names_a_secret(name: &str) -> bool {
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || name.split(|c: char| !c.is_alphanumeric()).any(|word| SECRET_WORDS.contains(&word))
}

/// Whether the word names a variable and holds nothing else.
fn is_reference(word: &str) -> bool {
    let bare = word.trim_matches(['"', '\'', '{', '}']);
    bare.strip_prefix('$').is_some_and(|name| {
        let name = name.trim_matches(['{', '}']);
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// A run of 20 or more letters and digits mixed is no word of any language.
fn looks_like_a_token(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && !"+_-".contains(c)).any(|run| {
        run.len() >= 20 && run.chars().any(|c| c.is_ascii_digit()) && run.chars().any(|c| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (line, shown) in [
            ("  - docker build -t app .", "- docker build -t app ."),
            ("- docker login -u me -p hunter2", "- docker login *** *** -p ***"),
            ("- echo hunter2 | docker login", "- echo *** | docker login"),
            ("- export TOKEN=abc", "- export TOKEN=***"),
            ("- x --api-key abc --path d", "- x --api-key *** --path d"),
            ("- export TOKEN=$SECRET", "- export TOKEN=$SECRET"),
            ("- export TOKEN=\"${MY_SECRET}\"", "- export TOKEN=\"${MY_SECRET}\""),
            // Names no variable, or more than one: what else is there may be the secret.
            ("- export TOKEN=$", "- export TOKEN=***"),
            ("- export TOKEN=$SECRET-hunter2", "- export TOKEN=***"),
            ("- git clone https://me:pw@example.com/x", "- git clone https://***@example.com/x"),
            ("- x dckr_pat_0123456789abcdefgh", "- x ***"),
            ("- a\u{7}\u{1b}[31mb", "- a [31mb"),
        ] {
            assert_eq!(quote(line), shown, "{line}");
        }
    }

    #[test]
    fn long_lines_are_cut_by_characters() {
        let quoted = quote(&"ä ".repeat(500));
        assert_eq!(quoted.chars().count(), LONGEST);
        assert!(quoted.ends_with('…'));
    }
}
