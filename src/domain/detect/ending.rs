//! What follows a message on its line: nothing, the end of a client's sentence, or what only a table, a test or a chat has.

/// Whether the line goes on behind the message as no client's does, given what stands before it and the rest from it on.
pub fn is_quoted_by(head: &str, tail: &str) -> bool {
    let rest = behind(tail);
    is_cell(head, rest) || is_test_result(rest) || is_chat(head)
}

/// What stands behind the message and its address.
fn behind(tail: &str) -> &str {
    const ENDS: [&str; 4] = ["increase-rate-limit", "download-rate-limit/", "download-rate-limit", "pull rate limit."];
    let end = ENDS.iter().find_map(|end| tail.find(end).map(|at| at + end.len()));
    end.and_then(|end| tail.get(end..)).unwrap_or_default()
}

/// A cell of a table or of texts side by side: another column follows. A client's frame before the message is the last
/// column of a list of events, or no table.
fn is_cell(head: &str, rest: &str) -> bool {
    let has_frame = head.contains(": ");
    let next = rest.trim_start_matches(['"', '\'', '}', ']', '.']);
    // Compose ends a line with how long it took.
    let is_duration = next.trim().strip_suffix('s').is_some_and(|time| time.trim().parse::<f64>().is_ok());
    let is_column = next.starts_with("  ") && !next.trim().is_empty() && !is_duration;
    let edge = next.trim_start();
    let is_edge = next.len() > edge.len() && edge.starts_with('|');
    is_edge || (is_column && !has_frame)
}

/// `… ok (2ms)`, `[✔]`, `... FAILED`: the name of a test and its result.
fn is_test_result(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['"', '\'', ')', '.']).trim();
    const RESULTS: [&str; 14] = [
        "ok",
        "... ok",
        "...ok",
        "FAILED",
        "... FAILED",
        "PASSED",
        "[✔]",
        "[✘]",
        "PASS",
        "[FAIL]",
        "[PASS]",
        "... ignored",
        "... PASSED",
        "OK",
    ];
    let is_time = rest.strip_prefix('(').and_then(|time| time.split_once(')')).is_some_and(|(time, _)| {
        let unit = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        unit.len() < time.len() && ["ms", "s", " ms", " s", "m"].contains(&unit)
    });
    let named = rest.split_once(" (").map_or(rest, |(result, _)| result);
    let is_bracketed = rest
        .strip_prefix('[')
        .and_then(|time| time.strip_suffix("ms]").or(time.strip_suffix(" s]")))
        .is_some_and(|time| time.trim().parse::<f64>().is_ok());
    let is_at_end =
        [" ... ok", " ... FAILED", " ... FAIL", " ... ERROR", " [FAIL]"].iter().any(|end| rest.ends_with(end));
    is_time || is_bracketed || is_at_end || RESULTS.contains(&named)
}

/// A member of a chat's message, which has a role beside it.
fn is_chat(head: &str) -> bool {
    let has = |key: &str| head.contains(&format!("\"{key}\":")) || head.contains(&format!("\\\"{key}\\\":"));
    (has("role") && has("content")) || (has("channel") && has("text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SAID: &str =
        "toomanyrequests: You have reached your pull rate limit. x: https://www.docker.com/increase-rate-limit";

    #[rstest]
    #[case("", " ... ok (2ms)")]
    #[case("classifies \"", "\" [✔]")]
    #[case("shows ", " (412ms)")]
    #[case("7 | \"", "\" | log in")]
    #[case("WEB-31    ", "   12")]
    #[case("", "   | You have")]
    #[case("{\"errors\":[{\"message\":\"", "\"}]}     |")]
    #[case("{\"role\":\"user\",\"content\":\"Explain: ", "\"}")]
    fn only_a_quotation_goes_on_so(#[case] head: &str, #[case] rest: &str) {
        assert!(is_quoted_by(head, &format!("{SAID}{rest}")));
    }

    #[rstest]
    #[case("", "")]
    #[case("Failed to pull image \"a\": ", "   2m   1   web.17a")]
    #[case("docker: ", ".")]
    #[case("", " (manager.go:250:0s)")]
    #[case("", "  ")]
    #[case("! db Warning    ", "   0.8s")]
    #[case("", " -> [Help 1]")]
    #[case("msg=\"", "\"  image=redis")]
    fn a_client_may_go_on(#[case] head: &str, #[case] rest: &str) {
        let head = if head == "msg=\"" { "time=x msg=\"pull: " } else { head };
        assert!(!is_quoted_by(head, &format!("{SAID}{rest}")));
    }
}
