//! Text that shows what it is: letters that a screen obeys, hides or turns around are spelt out.

use std::borrow::Cow;

/// Whether a letter shows nothing, and changes how others are shown: control characters (with them the escapes of
/// terminals), those that turn the direction of writing, those without width, and tags.
pub fn deceives(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Spells a letter out as JSON does, `\u202e`, so that a line of JSON stays what it was.
pub fn spell(letter: char, text: &mut String) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        text.push_str(&format!("\\u{unit:04x}"));
    }
}

/// The text with all letters that deceive spelt out, line breaks and tabs too.
pub fn legible(text: &str) -> Cow<'_, str> {
    if !text.contains(deceives) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if deceives(letter) { spell(letter, &mut out) } else { out.push(letter) }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("svc-web: ok, Grüße, 日本語, 🐳", "svc-web: ok, Grüße, 日本語, 🐳")]
    #[case("a\r\n\tb", r"a\u000d\u000a\u0009b")]
    #[case("\u{1b}[2J\u{9b}1m\u{7f}", r"\u001b[2J\u009b1m\u007f")]
    #[case("web\u{202e}gpj.exe\u{2066}", r"web\u202egpj.exe\u2066")]
    #[case("a\u{200b}\u{feff}\u{61c}\u{2028}b", r"a\u200b\ufeff\u061c\u2028b")]
    #[case("\u{e0041}", r"\udb40\udc41")]
    fn what_deceives_is_spelt_out(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(legible(text), shown);
    }

    #[test]
    fn it_is_spelt_as_json_spells_it() {
        let text: String = (0..=0xf_ffff).filter_map(char::from_u32).filter(|c| deceives(*c)).collect();
        let spelt = format!("\"{}\"", legible(&text));
        assert!(spelt.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&spelt).unwrap(), text);
    }
}
