//! Would a script cost the shell parser too much time or stack?

/// Nested parentheses and `case`s. The parser tries each of them in two ways, so its time doubles with every one that
/// turns out wrong.
const DEEPEST_PARENTHESES: usize = 10;

/// Other nesting, which costs the parser a stack frame or more each.
const DEEPEST_NESTING: usize = 40;

/// Whether the parser would need too much time or stack. Quotes are not looked at, so this may be too careful.
pub(super) fn is_too_nested(script: &str) -> bool {
    let (mut parentheses, mut cases, mut others) = (0_usize, 0_usize, 0_usize);
    let mut word_start = 0;
    // Whether a command could begin here: in `echo waiting for it` the word `for` opens nothing.
    let mut at_command = true;
    for (at, c) in script.char_indices().chain([(script.len(), '\n')]) {
        if !c.is_whitespace() && !matches!(c, ';' | '&' | '|' | '(' | ')' | '{' | '}' | '[' | ']' | '`' | '<' | '>') {
            continue;
        }
        match script.get(word_start..at).unwrap_or_default() {
            "" => {}
            "case" if at_command => {
                cases += 1;
                at_command = false;
            }
            "function" | "coproc" => others += 1,
            "if" | "while" | "until" if at_command => others += 1,
            "for" | "select" if at_command => {
                others += 1;
                at_command = false;
            }
            "esac" if at_command => cases = cases.saturating_sub(1),
            "fi" | "done" if at_command => others = others.saturating_sub(1),
            "then" | "do" | "else" | "elif" | "!" | "time" => at_command = true,
            word => at_command &= word.starts_with('-'),
        }
        match c {
            '(' => parentheses += 1,
            ')' => parentheses = parentheses.saturating_sub(1),
            '{' | '[' => others += 1,
            '}' | ']' => others = others.saturating_sub(1),
            _ => {}
        }
        at_command |= matches!(c, '\n' | ';' | '&' | '|' | '(' | ')' | '{' | '`');
        word_start = at + c.len_utf8();
        if parentheses + cases > DEEPEST_PARENTHESES || others > DEEPEST_NESTING {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::shell::{Unreadable, parse};
    use super::*;

    #[test]
    fn what_is_nested_as_deep_as_it_may_be_is_read() {
        for (opener, deepest) in
            [("(", DEEPEST_PARENTHESES), ("case a in a) ", DEEPEST_PARENTHESES), ("{ ", DEEPEST_NESTING)]
        {
            assert!(!is_too_nested(&opener.repeat(deepest)), "{opener}");
            assert!(is_too_nested(&opener.repeat(deepest + 1)), "{opener}");
        }
    }

    #[test]
    fn nesting_is_refused_before_it_costs_stack_or_time() {
        let openers = [
            "(",
            "( ",
            "$(",
            "$((",
            "${a:-",
            "{ ",
            "if ",
            "if a; then ",
            "while a; do ",
            "for i in a; do ",
            "case a in a) ",
            "coproc ",
            "function f if a; then ",
            "f() if a; then ",
            "time -p if ",
            "a[",
            "$[",
            "`if a; then ",
            // Words that close nothing where no command begins.
            "case a in a) echo esac; ",
            "if a; then echo fi; ",
        ];
        for opener in openers {
            assert_eq!(parse(&opener.repeat(1_000)), Err(Unreadable), "{opener}");
        }
        let english = "echo in case of waiting for it while it starts if it does\n".repeat(100);
        assert_eq!(parse(&english).unwrap().len(), 100);
        let sequence = "if a; then b; fi; case c in d) e;; esac; (f); g ${h} i[j]\n".repeat(50);
        assert_eq!(parse(&sequence).unwrap().len(), 250);
    }
}
