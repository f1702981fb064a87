//! What the name before a value says: that a program reports, or that somebody looks for it.

/// Keys under which programs print another program's output.
pub const CARRIERS: [&str; 22] = [
    "message",
    "msg",
    "error",
    "err",
    "errors",
    "errormessage",
    "error_message",
    "stderr",
    "stdout",
    "stderr_lines",
    "stdout_lines",
    "reason",
    "detail",
    "details",
    "description",
    "statusreason",
    "status",
    "output",
    "log",
    "cause",
    "err.detail",
    "errordetail",
];

/// Keys under which files name what to look for.
pub const PATTERN_KEYS: [&str; 23] = [
    "regex",
    "regexp",
    "pattern",
    "patterns",
    "match",
    "matches",
    "contains",
    "expected",
    "expect",
    "want",
    "name",
    "title",
    "test",
    "example",
    "label",
    "query",
    "filter",
    "needle",
    "msgid",
    "symptom",
    "if",
    "when",
    "signature",
];

/// Whether a member of an object holds what happened, by its name.
pub fn tells_outcome(key: &str) -> bool {
    const PARTS: [&str; 20] = [
        "err",
        "msg",
        "message",
        "reason",
        "detail",
        "stdout",
        "output",
        "log",
        "status",
        "cause",
        "text",
        "exception",
        "warn",
        "body",
        "event",
        "line",
        "result",
        "fail",
        "content",
        "data",
    ];
    let key = key.to_ascii_lowercase();
    PARTS.iter().any(|part| key.contains(part))
}

/// Whether words say that something went wrong.
pub fn says_failed(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "err",
        "fail",
        "fatal",
        "cannot",
        "could not",
        "couldn't",
        "unable",
        "exception",
        "denied",
        "refused",
        "exit",
        "status",
        "caused",
        "response",
        "reason",
        "desc =",
    ];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

pub fn last_key(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'', '\\']);
    let start = text.rfind(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or_default()
}

/// Whether words say that something went wrong, or was asked of a registry.
pub fn tells_failure(text: &str) -> bool {
    const WORDS: [&str; 30] = [
        "daemon",
        "err",
        "fail",
        "fatal",
        "warn",
        "pull",
        "docker",
        "rpc ",
        "desc",
        "cannot",
        "could not",
        "couldn't",
        "unable",
        "registry",
        "image",
        "exception",
        "stderr",
        "stdout",
        "429",
        "500",
        "denied",
        "build",
        "step",
        "message",
        "reason",
        "status",
        "exit",
        "refused",
        "caused by",
        "response",
    ];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}
