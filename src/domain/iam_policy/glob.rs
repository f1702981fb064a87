//! A glob on project names as patterns of an IAM policy, which know `*` and `?` alone.

/// More patterns than this are not worth the policy's space.
const MOST: usize = 24;

/// The patterns that match the same names as a glob of the settings, or none if no short list of patterns does.
///
/// `{a,b}` and `[abc]` are written out. A negated class, an escape, a path, and characters that no project's name has
/// (a `$` would begin a variable of IAM's) can't be expressed.
pub fn patterns(glob: &str) -> Option<Vec<String>> {
    let mut rest = glob.chars().collect::<Vec<char>>().into_iter().peekable();
    let found = sequence(&mut rest, 0)?;
    if rest.next().is_some() || found.iter().any(String::is_empty) {
        return None;
    }
    Some(least(found))
}

type Rest = std::iter::Peekable<std::vec::IntoIter<char>>;

/// Reads up to the end, or within so many alternatives to the next `,` or `}`.
fn sequence(rest: &mut Rest, depth: usize) -> Option<Vec<String>> {
    let mut found = vec![String::new()];
    while let Some(&next) = rest.peek() {
        if depth > 0 && matches!(next, ',' | '}') {
            break;
        }
        rest.next();
        let parts = match next {
            '{' => alternatives(rest, depth + 1)?,
            '[' => class(rest)?,
            '*' | '?' | '-' | '_' => vec![next.to_string()],
            letter if letter.is_ascii_alphanumeric() => vec![letter.to_string()],
            _ => return None,
        };
        found = found.iter().flat_map(|one| parts.iter().map(move |part| format!("{one}{part}"))).collect();
        if found.len() > MOST {
            return None;
        }
    }
    Some(found)
}

fn alternatives(rest: &mut Rest, depth: usize) -> Option<Vec<String>> {
    let mut found = Vec::new();
    loop {
        found.extend(sequence(rest, depth)?);
        if rest.next()? != ',' {
            return Some(found);
        }
    }
}

/// `[abc]` and `[a-c]`, each member by itself.
fn class(rest: &mut Rest) -> Option<Vec<String>> {
    let mut members: Vec<char> = Vec::new();
    loop {
        let next = rest.next()?;
        match next {
            ']' if !members.is_empty() => return Some(members.into_iter().map(String::from).collect()),
            '-' if !members.is_empty() && rest.peek() != Some(&']') => {
                let (from, to) = (*members.last()?, rest.next()?);
                if !to.is_ascii_alphanumeric() || !from.is_ascii_alphanumeric() {
                    return None;
                }
                members.extend((from..=to).skip(1));
            }
            member if member.is_ascii_alphanumeric() || member == '-' || member == '_' => members.push(member),
            _ => return None,
        }
        if members.len() > MOST {
            return None;
        }
    }
}

/// Without those that another one covers, in order.
pub fn least(patterns: Vec<String>) -> Vec<String> {
    let mut least: Vec<String> = Vec::new();
    for pattern in patterns {
        let pattern = collapsed(&pattern);
        if least.iter().any(|one| covers(one, &pattern)) {
            continue;
        }
        least.retain(|one| !covers(&pattern, one));
        least.push(pattern);
    }
    least
}

/// Two stars are one.
fn collapsed(pattern: &str) -> String {
    let mut text = String::new();
    for next in pattern.chars() {
        if next != '*' || !text.ends_with('*') {
            text.push(next);
        }
    }
    text
}

/// Whether everything that the second pattern matches is matched by the first, as far as is easily seen.
fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow): (Vec<char>, Vec<char>) = (wide.chars().collect(), narrow.chars().collect());
    fn at(wide: &[char], narrow: &[char]) -> bool {
        match (wide.first(), narrow.first()) {
            (None, None) => true,
            (Some('*'), None) => at(&wide[1..], narrow),
            (Some('*'), Some(_)) => at(&wide[1..], narrow) || at(wide, &narrow[1..]),
            (Some('?'), Some(next)) if *next != '*' => at(&wide[1..], &narrow[1..]),
            (Some(one), Some(next)) if one == next => at(&wide[1..], &narrow[1..]),
            _ => false,
        }
    }
    at(&wide, &narrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use globset::Glob;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", &["*"])]
    #[case("svc-*", &["svc-*"])]
    #[case("svc-?", &["svc-?"])]
    #[case("svc-**", &["svc-*"])]
    #[case("web", &["web"])]
    #[case("{svc,web}-*", &["svc-*", "web-*"])]
    #[case("{a,b{c,d}}", &["a", "bc", "bd"])]
    #[case("{svc-*,svc-web}", &["svc-*"])]
    #[case("v[12]", &["v1", "v2"])]
    #[case("v[1-3]-[a_]", &["v1-a", "v1-_", "v2-a", "v2-_", "v3-a", "v3-_"])]
    fn what_can_be_expressed(#[case] glob: &str, #[case] expected: &[&str]) {
        assert_eq!(patterns(glob).unwrap_or_else(|| panic!("{glob}")), expected);
    }

    #[rstest]
    #[case::negated("svc-[!a]*")]
    #[case::negated_too("svc-[^a]*")]
    #[case::escaped(r"svc-\*")]
    #[case::path("**/svc")]
    #[case::variable_of_iam("${aws:username}")]
    #[case::quote("svc\"")]
    #[case::many("[a-z][a-z]")]
    #[case::empty("")]
    #[case::open_brace("{a,b")]
    #[case::open_class("[a")]
    #[case::stray_brace("a}")]
    fn what_can_not(#[case] glob: &str) {
        assert_eq!(patterns(glob), None);
    }

    #[test]
    fn a_pattern_that_another_covers_goes() {
        let least = |texts: &[&str]| super::least(texts.iter().map(ToString::to_string).collect());
        assert_eq!(least(&["svc-web", "svc-*", "web"]), ["svc-*", "web"]);
        assert_eq!(least(&["*", "svc-*"]), ["*"]);
        assert_eq!(least(&["a?", "a*"]), ["a*"]);
        assert_eq!(least(&["a?", "ab", "*b"]), ["a?", "*b"]);
    }

    fn like(pattern: &str, name: &str) -> bool {
        let text = pattern.replace('*', "[A-Za-z0-9_-]*").replace('?', "[A-Za-z0-9_-]");
        let pattern = Glob::new(pattern).unwrap_or_else(|error| panic!("{text}: {error}")).compile_matcher();
        pattern.is_match(name)
    }

    proptest! {
        #[test]
        fn the_patterns_match_what_the_glob_matches(
            glob in r"([ab-]|\*|\?|\{[ab],[ab*]b\}|\[[ab]{1,2}\]|\[a-c\]|\[!a\]){1,6}",
            name in "[abc-]{1,6}",
        ) {
            if let (Ok(matcher), Some(patterns)) = (Glob::new(&glob), patterns(&glob)) {
                let by_glob = matcher.compile_matcher().is_match(&name);
                let by_patterns = patterns.iter().any(|pattern| like(pattern, &name));
                prop_assert_eq!(by_glob, by_patterns, "{} {:?}", glob, patterns);
            }
        }
    }
}
