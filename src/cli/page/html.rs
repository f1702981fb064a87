//! HTML that can't be broken by what it shows: markup is text of this program, everything else is escaped.
//!
//! [`Html`] takes markup only as `&'static str`, and values only through [`Html::value`], which escapes for text and
//! for attributes in double quotes alike. Values stand in no other place: in no URL, style, script, comment or tag name.

use crate::domain::legible;
use std::fmt::{self, Display, Write};

/// Of one value at the most; what is longer ends in an ellipsis.
const LONGEST: usize = 4_000;

/// A piece of a page.
#[derive(Clone, Debug, Default)]
pub struct Html(String);

impl Html {
    /// Markup of ours.
    pub fn markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// A value, whoever wrote it.
    pub fn value(&mut self, value: impl Display) {
        // Ends early where the value is too long, and never fails otherwise.
        let _ = write!(Escaped { out: &mut self.0, left: LONGEST }, "{value}");
    }

    /// Another piece.
    pub fn piece(&mut self, piece: &Html) {
        self.0.push_str(&piece.0);
    }

    /// The whole.
    pub fn finish(self) -> String {
        self.0
    }
}

/// Writes text so that it is only text: for a browser, and for the eye.
struct Escaped<'a> {
    out: &'a mut String,
    left: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.left == 0 {
                self.out.push('…');
                return Err(fmt::Error);
            }
            self.left -= 1;
            match letter {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                '\n' | '\t' => self.out.push(letter),
                letter if legible::deceives(letter) => legible::spell(letter, self.out),
                letter => self.out.push(letter),
            }
        }
        Ok(())
    }
}

/// Puts pieces one after another: a literal is markup, `[value]` is escaped, `{html}` is another piece.
macro_rules! put {
    ($out:expr $(,)?) => { () };
    ($out:expr, $markup:literal $($rest:tt)*) => {{
        $out.markup($markup);
        $crate::cli::page::html::put!($out, $($rest)*)
    }};
    ($out:expr, [$value:expr] $($rest:tt)*) => {{
        $out.value($value);
        $crate::cli::page::html::put!($out, $($rest)*)
    }};
    ($out:expr, {$piece:expr} $($rest:tt)*) => {{
        $out.piece(&$piece);
        $crate::cli::page::html::put!($out, $($rest)*)
    }};
}
pub(super) use put;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn escaped(value: &str) -> String {
        let mut out = Html::default();
        out.value(value);
        out.finish()
    }

    #[rstest]
    #[case("</script><script>alert(1)</script>", "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;")]
    #[case("\"><img src=x onerror=alert(1)>", "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;")]
    #[case("' onmouseover='x", "&#39; onmouseover=&#39;x")]
    #[case("a&lt;b", "a&amp;lt;b")]
    #[case("<!--", "&lt;!--")]
    #[case("]]>", "]]&gt;")]
    fn nothing_is_markup(#[case] value: &str, #[case] text: &str) {
        assert_eq!(escaped(value), text);
    }

    #[rstest]
    #[case("\u{1b}[31mred\u{1b}[0m", "\\u001b[31mred\\u001b[0m")]
    #[case("a\0b", "a\\u0000b")]
    #[case("a\rb\u{8}\u{7f}\u{9b}", "a\\u000db\\u0008\\u007f\\u009b")]
    #[case("web\u{202e}dlrow\u{202c}", "web\\u202edlrow\\u202c")]
    #[case("\u{2066}x\u{2069}\u{200f}\u{61c}", "\\u2066x\\u2069\\u200f\\u061c")]
    #[case("pay\u{200b}pal\u{feff}\u{2028}", "pay\\u200bpal\\ufeff\\u2028")]
    #[case("\u{e0041}", "\\udb40\\udc41")]
    fn nothing_is_hidden(#[case] value: &str, #[case] text: &str) {
        assert_eq!(escaped(value), text);
    }

    #[rstest]
    #[case("svc-web")]
    #[case("Größe – „ü“ 日本 🐳 עברית")]
    #[case("two\n\tlines")]
    fn words_stay_as_they_are(#[case] value: &str) {
        assert_eq!(escaped(value), value);
    }

    #[test]
    fn a_long_value_ends() {
        let text = escaped(&"<".repeat(LONGEST + 1));
        assert_eq!(text, "&lt;".repeat(LONGEST) + "…");
        assert_eq!(escaped(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
    }

    #[test]
    fn pieces_are_put_together() {
        let mut inner = Html::default();
        put!(inner, "<b>" ["<"] "</b>");
        let mut out = Html::default();
        put!(out, "<p title=\"" ["\""] "\">" {inner} [1 + 1] "</p>");
        assert_eq!(out.finish(), "<p title=\"&quot;\"><b>&lt;</b>2</p>");
    }
}
