//! How is a foreign text written in each language, so that it stays a text? Everything but printable ASCII is escaped:
//! what comes out shows on a terminal as what it is.

use std::fmt::Write as _;

/// A string of HCL: without templates.
pub fn hcl(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut before = ' ';
    for c in text.chars() {
        // `$$` before a brace is a dollar, so that the sign itself is what is doubled.
        if c == '{' && matches!(before, '$' | '%') {
            quoted.push(before);
        }
        escape(&mut quoted, c, '"');
        before = c;
    }
    quoted + "\""
}

/// A double-quoted scalar of YAML, for CloudFormation: its dynamic references are broken up, as nothing escapes them.
pub fn yaml(text: &str) -> String {
    let mut quoted = String::from("\"");
    text.replace("{{resolve:", "{ {resolve:").chars().for_each(|c| escape(&mut quoted, c, '"'));
    quoted + "\""
}

/// A string of TypeScript, which is one of JSON too. It ends up in a CloudFormation template.
pub fn typescript(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.replace("{{resolve:", "{ {resolve:").chars() {
        if u32::from(c) > 0xFFFF {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(quoted, "\\u{unit:04X}");
            }
        } else {
            escape(&mut quoted, c, '"');
        }
    }
    quoted + "\""
}

/// A word of bash: single quotes, or `$'…'` where there is something that a terminal would act on.
pub fn shell(text: &str) -> String {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            c if is_plain(c) => quoted.push(c),
            c => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
        }
    }
    quoted + "'"
}

/// A part of a comment that ends with its line: nothing in it ends the line, moves the cursor or turns the direction.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c == '\t' || is_visible(c) { c } else { '\u{FFFD}' }).collect()
}

/// A name made of the letters and digits of a text, for an identifier: `web-app` is `web_app`.
pub fn identifier(text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("x_{name}") }
}

/// The same in CloudFormation's way, which takes letters and digits alone: `web-app` is `WebApp`.
pub fn logical_id(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("X{name}") }
}

fn escape(quoted: &mut String, c: char, quote: char) {
    match c {
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\\' => quoted.push_str("\\\\"),
        c if c == quote => {
            quoted.push('\\');
            quoted.push(c);
        }
        c if is_plain(c) => quoted.push(c),
        c if u32::from(c) > 0xFFFF => {
            let _ = write!(quoted, "\\U{:08X}", u32::from(c));
        }
        c => {
            let _ = write!(quoted, "\\u{:04X}", u32::from(c));
        }
    }
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Neither a control character nor one that is not seen: directions, joiners, separators of lines.
fn is_visible(c: char) -> bool {
    let unseen = matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !unseen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What a hostile name may hold.
    const HOSTILE: [&str; 12] = [
        "it's \"quoted\" \\ `id`",
        "${aws_secret.x} %{ if true } $${kept} $$$${a} %%{b}",
        "a\nb\r\nc\td",
        "</script><!-- */ // # ",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}gnp.exe\u{202c}",
        "$(touch /srv/x); rm -rf ~ && `id` | cat > x",
        "{{resolve_not}} - : ? [x] {y} & * ! | > % @",
        "\u{2028}\u{2029}\u{85}\u{feff}",
        "é 😀 日本",
        "'\\''",
        "$",
    ];

    /// What HCL's rules make of a string without a template; `tests/patch/run.sh` asks Terraform itself.
    fn hcl_reads(quoted: &str) -> String {
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let mut chars = inner.chars().peekable();
        let mut text = String::new();
        while let Some(c) = chars.next() {
            let rest: String = chars.clone().take(2).collect();
            match c {
                '"' => panic!("the string ends early: {quoted}"),
                '$' | '%' if rest == format!("{c}{{") => {
                    chars.next();
                    text.push(c);
                }
                '$' | '%' if rest.starts_with('{') => panic!("a live template: {quoted}"),
                '\\' => match chars.next().unwrap() {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    unit @ ('u' | 'U') => {
                        let digits = if unit == 'u' { 4 } else { 8 };
                        let code: String = chars.by_ref().take(digits).collect();
                        text.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
                    }
                    same @ ('"' | '\\') => text.push(same),
                    other => panic!("no escape of HCL: \\{other}"),
                },
                c => text.push(c),
            }
        }
        text
    }

    fn all_plain(quoted: &str) {
        assert!(quoted.chars().all(|c| c == '\n' || is_plain(c)), "{quoted:?}");
    }

    #[test]
    fn each_language_reads_back_what_was_written() {
        for text in HOSTILE {
            let quoted = yaml(text);
            all_plain(&quoted);
            assert_eq!(serde_norway::from_str::<String>(&quoted).unwrap(), text, "{quoted}");
            let quoted = typescript(text);
            all_plain(&quoted);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text, "{quoted}");
            let quoted = shell(text);
            all_plain(&quoted);
            let printed = Command::new("bash").args(["-c", &format!("printf %s {quoted}")]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), text, "{quoted}");
        }
    }

    #[test]
    fn hcl_reads_back_what_was_written() {
        for text in HOSTILE {
            all_plain(&super::hcl(text));
            assert_eq!(hcl_reads(&super::hcl(text)), text);
        }
        assert_eq!(super::hcl("${a} %{b} $ % {"), r#""$${a} %%{b} $ % {""#);
    }

    /// Only what a shell would not print is written by its number.
    #[test]
    fn a_text_for_the_shell_stays_readable() {
        assert_eq!(shell("it's a\nb"), "'it'\\''s a\nb'");
        assert_eq!(shell("it's a\tb"), "$'it\\'s a\\011b'");
    }

    #[test]
    fn no_dynamic_reference_gets_into_a_template() {
        for quoted in [yaml("{{resolve:ssm:x}}"), typescript("{{resolve:ssm:x}}")] {
            assert!(!quoted.contains("{{resolve:"), "{quoted}");
        }
    }

    #[test]
    fn a_comment_stays_on_its_line_and_shows_what_it_is() {
        for text in HOSTILE {
            let comment = comment(text);
            assert!(comment.chars().all(|c| c == '\t' || is_visible(c)), "{comment:?}");
            assert_eq!(comment.lines().count(), 1);
        }
    }

    #[test]
    fn names_become_identifiers() {
        assert_eq!(identifier("web-app.2"), "web_app_2");
        assert_eq!(identifier("7"), "x_7");
        assert_eq!(identifier(""), "x_");
        assert_eq!(logical_id("unthrottled-docker_hub"), "UnthrottledDockerHub");
        assert_eq!(logical_id("7é"), "X7");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in "\\PC*|[\\x00-\\x7f\\u{80}-\\u{2fff}&&[^\\x00]]*") {
            prop_assume!(!text.contains("{{resolve:"));
            prop_assert_eq!(&serde_norway::from_str::<String>(&yaml(&text)).unwrap(), &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&typescript(&text)).unwrap(), &text);
            prop_assert_eq!(&hcl_reads(&super::hcl(&text)), &text);
        }
    }
}
