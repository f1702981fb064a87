//! Filter patterns of CloudWatch Logs, as far as terms go: all of `a "b c"`, any of `?a ?b`, none of `-c`; case counts.

/// A parsed pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut pattern = Pattern::default();
        let mut rest = text.trim();
        if rest.starts_with(['{', '[', '%']) {
            return Err("Invalid filter pattern".to_owned());
        }
        while !rest.is_empty() {
            let (bucket, body) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = take_term(body)?;
            bucket.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(super) fn matches(&self, line: &str) -> bool {
        let has = |term: &String| line.contains(term.as_str());
        self.all.iter().all(has) && !self.none.iter().any(has) && (self.any.is_empty() || self.any.iter().any(has))
    }
}

fn take_term(text: &str) -> Result<(String, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut term = String::new();
        let mut escaped = false;
        for (at, c) in quoted.char_indices() {
            match c {
                _ if escaped => {
                    term.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => return Ok((term, &quoted[at + 1..])),
                _ => term.push(c),
            }
        }
        return Err("Invalid filter pattern: unbalanced quotes".to_owned());
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let term = &text[..end];
    if term.is_empty() || !term.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(format!("Invalid character(s) in term '{term}'"));
    }
    Ok((term.to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, line: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").matches(line)
    }

    #[test]
    fn terms_phrases_alternatives_and_exclusions() {
        assert!(matches("", "anything"));
        assert!(matches("toomanyrequests", "x toomanyrequests: y"));
        assert!(!matches("toomanyrequests", "TOOMANYREQUESTS"));
        assert!(matches("\"429 Too Many\" pull", "a pull: 429 Too Many"));
        assert!(!matches("\"429 Too Many\" pull", "429 Too Many"));
        assert!(matches("?\"a b\" ?c", "only c"));
        assert!(!matches("?\"a b\" ?c", "only a"));
        assert!(!matches("ERROR -\"not this\"", "ERROR not this"));
        assert!(matches(r#""say \"hi\"""#, r#"say "hi""#));
    }

    #[test]
    fn what_needs_quotes_is_refused_without() {
        for pattern in ["too-many", "\"open", "?", "%regex%", "{ $.a = 1 }"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
