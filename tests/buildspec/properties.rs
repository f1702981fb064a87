//! What holds for every buildspec, made of parts at random.

use super::{assert_only_the_login_is_new, fuzz, is_login};
use proptest::prelude::*;
use unthrottled::domain::buildspec::login::Login;
use unthrottled::domain::buildspec::{Placement, place_login, take_back};

/// Items as they stand in a list with dashes; a line break stands for one with the list's indentation.
const HARMLESS: [&str; 12] = [
    "- echo hello",
    "- 'echo \"docker build\"'",
    "- \"npm ci\"",
    "# a comment\n- ls   ",
    "- |\n  set -e\n  # no command: docker pull x\n\n  make",
    "- >-\n  aws ecr get-login-password |\n  docker login --username AWS --password-stdin 1.dkr.ecr.eu-west-1.amazonaws.com",
    "- |\n  cat > Dockerfile <<EOF\n  - FROM node\n  EOF",
    "- docker tag a b",
    "#- docker build .\n- export A=b",
    "- echo größe — テスト # docker build",
    "",
    "- $(aws ecr get-login --no-include-email)",
];
const PULLS: [&str; 8] = [
    "- docker build -t app .",
    "# the image\n- docker pull node:22",
    "- >\n  cd app &&\n  docker build .",
    "- |\n  for d in a b; do\n    docker build $d\n  done",
    "- 'docker run --rm -it alpine sh -c \"ls\"'",
    "- \"docker-compose build\"",
    "-\n  docker build .",
    "- |-\n  # comment\n  - echo no item || docker build .",
];

#[derive(Clone, Debug)]
struct Layout {
    indent: usize,
    dash: usize,
    eol: &'static str,
    final_newline: bool,
    marker: bool,
}

fn layout() -> impl Strategy<Value = Layout> {
    (1_usize..5, 0_usize..5, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(indent, dash, crlf, final_newline, marker)| Layout {
            indent,
            dash,
            eol: if crlf { "\r\n" } else { "\n" },
            final_newline,
            marker,
        },
    )
}

/// The items of a phase, each from one of the two lists.
fn items() -> impl Strategy<Value = Vec<&'static str>> {
    let item = prop_oneof![
        4 => prop::sample::select(HARMLESS.to_vec()),
        1 => prop::sample::select(PULLS.to_vec()),
    ];
    prop::collection::vec(item, 1..6)
}

fn text_of(phases: &[(&str, Vec<&str>)], layout: &Layout) -> String {
    let mut lines = Vec::new();
    lines.extend(layout.marker.then(|| "---".to_string()));
    lines.extend(["version: 0.2".to_string(), String::new(), "phases:".to_string()]);
    for (name, items) in phases {
        let one = " ".repeat(layout.indent);
        lines.push(format!("{one}{name}: # {name}"));
        lines.push(format!("{one}{one}commands:"));
        for line in items.iter().flat_map(|item| item.split('\n')).chain(["- echo end"]) {
            let dash = " ".repeat(2 * layout.indent + layout.dash);
            lines.push(if line.is_empty() { String::new() } else { format!("{dash}{line}") });
        }
    }
    let mut text = lines.join(layout.eol);
    text.extend(layout.final_newline.then_some(layout.eol));
    text
}

fn buildspec() -> impl Strategy<Value = String> {
    let phases = prop::sample::subsequence(vec!["install", "pre_build", "build", "post_build"], 1..=4);
    (phases, prop::collection::vec(items(), 4), layout()).prop_map(|(names, items, layout)| {
        let phases: Vec<_> = names.into_iter().zip(items).collect();
        text_of(&phases, &layout)
    })
}

fn pulls(text: &str) -> bool {
    PULLS.iter().any(|item| {
        let line = item.lines().find(|line| line.contains("docker")).unwrap_or_default();
        text.lines().any(|other| other.trim() == line.trim())
    })
}

/// Words that mean something to YAML, to the shell or to the editor, so that random texts get far.
fn noise() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "version: 0.2\n",
        "phases:\n",
        "  build:\n",
        "    commands:\n",
        "    - ",
        "- ",
        "|\n",
        ">\n",
        "docker build .",
        "docker",
        "login",
        "logout",
        "&a ",
        "*a",
        "? ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "$(",
        "${",
        ")",
        "`",
        "<<EOF\n",
        "EOF\n",
        "if ",
        "case ",
        "esac",
        "((",
        "\n",
        "\r\n",
        "\t",
        "      ",
        "#",
        "---\n",
        "\u{feff}",
        "é",
        "\\",
        "&&",
        "!",
        "%",
        "sh -c ",
        "eval ",
        "commands: |\n",
        "\u{0}",
        ";;",
        "[[ ",
        "function f ",
        "x=(",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_buildspec_that_pulls_gets_one_login_and_nothing_else(text in buildspec()) {
        match place_login(&text, &Login::default()) {
            Placement::Insert(splice) => {
                prop_assert!(pulls(&text));
                let after = splice.apply(&text).unwrap();
                assert_only_the_login_is_new(&text, &after, &splice, &text);
                prop_assert_eq!(splice.undo(&after), Some(text.clone()));
                prop_assert_eq!(take_back(&after, &splice), Some(text.clone()));
                prop_assert!(is_login(after.lines().nth(splice.line - 1).unwrap()));
                if text.contains("\r\n") {
                    prop_assert!(!after.replace("\r\n", "").contains('\n'), "all line breaks are CRLF");
                } else {
                    prop_assert!(!after.contains('\r'), "no line break is CRLF");
                }
                let again = place_login(&after, &Login::default());
                let is_line = matches!(again, Placement::AlreadyLoggedIn { line, .. } if line == splice.line);
                prop_assert!(is_line, "{:?}", again);
            }
            other => prop_assert!(!pulls(&text), "{:?}", other),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        fuzz::holds_for(text.as_bytes());
    }

    #[test]
    fn no_noise_makes_it_panic_or_break_a_buildspec(noise in noise(), behind in any::<bool>()) {
        let head = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build .\n      - ";
        let text = if behind { format!("{head}{noise}") } else { noise };
        fuzz::holds_for(text.as_bytes());
    }
}
