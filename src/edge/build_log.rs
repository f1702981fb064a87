//! CloudWatch Logs: the end of one build's log, and the lines of it that hold one of some terms.

use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::failure::{CallError, Failure, answers_questions};
use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::error::Error;

const SERVICE: &str = "CloudWatch Logs";

/// The tail is about this long: a page of `GetLogEvents` holds at most as much.
const TAIL_BYTES: usize = 1_000_000;
/// Pages may come short or empty, so that a megabyte can take several.
const TAIL_PAGES: usize = 10;

/// A filter reads at most so many pages, most of which may be empty.
const FILTER_PAGES: usize = 50;
/// And keeps at most so much text, in case a server matches every line.
const FILTER_BYTES: usize = 20_000_000;
/// Lines may carry a time a little before or after the phase that wrote them.
const PADDING_MILLISECONDS: i64 = 60_000;

/// CloudWatch Logs of one account and region.
#[derive(Clone, Debug)]
pub struct BuildLog {
    client: aws_sdk_cloudwatchlogs::Client,
}

/// Lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogText {
    /// Joined by line feeds, oldest first.
    pub text: String,
    /// How much of what was asked for was read.
    pub reach: Reach,
}

/// How much of a log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All: the whole stream for a tail, the whole window for a filter.
    Complete,
    /// There is more than we read: that a line is not here proves nothing.
    TooLong,
    /// There is no such group or stream.
    Missing,
}

/// Why CloudWatch Logs could not be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BuildLogError(#[from] CallError);

answers_questions!(BuildLogError);

impl BuildLogError {
    /// What it came to.
    pub fn failure(&self) -> Failure {
        self.0.failure()
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code()
    }
}

impl BuildLog {
    pub(crate) fn new(config: &SdkConfig, calls: &CountCalls) -> BuildLog {
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(config).interceptor(calls.clone()).build();
        BuildLog { client: aws_sdk_cloudwatchlogs::Client::from_conf(config) }
    }

    /// The last megabyte of a stream, which is where a failed command's output usually stands.
    ///
    /// Pages are read backwards from the newest. The beginning is reached when a page's token is the one that was sent
    /// for it; an empty page with another token is not the beginning.
    pub async fn tail(&self, group: &str, stream: &str) -> Result<LogText, BuildLogError> {
        let mut pages: VecDeque<Vec<String>> = VecDeque::new();
        let mut bytes = 0;
        let mut token: Option<String> = None;
        for _ in 0..TAIL_PAGES {
            let request = self.client.get_log_events().log_group_name(group).log_stream_name(stream);
            let request = request.start_from_head(false).set_next_token(token.clone());
            let page = match request.send().await.map_err(|error| failed("GetLogEvents", group, stream, &error)) {
                Ok(page) => page,
                Err(error) if error.is_gone() => return Ok(LogText::missing()),
                Err(error) => return Err(error),
            };
            let events = page.events.unwrap_or_default();
            let lines = events.into_iter().filter_map(|event| event.message).collect::<Vec<_>>();
            let at_beginning = page.next_backward_token.is_none() || page.next_backward_token == token;
            if !at_beginning || token.is_none() {
                bytes += size(&lines);
                pages.push_front(lines);
            }
            if at_beginning {
                return Ok(LogText::of(pages.into_iter().flatten(), Reach::Complete));
            }
            if bytes >= TAIL_BYTES {
                break;
            }
            token = page.next_backward_token;
        }
        Ok(LogText::of(pages.into_iter().flatten(), Reach::TooLong))
    }

    /// The lines of a stream, within a window, that hold one of the terms; all lines of the window without a term.
    ///
    /// The window is widened by a minute at both ends. Servers differ in how they read a pattern, so a line in the
    /// answer need not hold a term.
    pub async fn filter(
        &self,
        group: &str,
        stream: &str,
        window: (Timestamp, Timestamp),
        terms: &[&str],
    ) -> Result<LogText, BuildLogError> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        let mut token: Option<String> = None;
        for _ in 0..FILTER_PAGES {
            let request = self.client.filter_log_events().log_group_name(group).log_stream_names(stream);
            let request = request
                .start_time((window.0.as_millisecond() - PADDING_MILLISECONDS).max(0))
                .end_time((window.1.as_millisecond() + PADDING_MILLISECONDS).max(0))
                .set_filter_pattern(any_of(terms))
                .set_next_token(token);
            let page = match request.send().await.map_err(|error| failed("FilterLogEvents", group, stream, &error)) {
                Ok(page) => page,
                Err(error) if error.is_gone() => return Ok(LogText::missing()),
                Err(error) => return Err(error),
            };
            let found = page.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
            let found = found.collect::<Vec<_>>();
            bytes += size(&found);
            lines.extend(found);
            token = page.next_token;
            if token.is_none() {
                return Ok(LogText::of(lines, Reach::Complete));
            }
            if bytes >= FILTER_BYTES {
                break;
            }
        }
        Ok(LogText::of(lines, Reach::TooLong))
    }
}

impl LogText {
    fn of(lines: impl IntoIterator<Item = String>, reach: Reach) -> LogText {
        let mut text = String::new();
        for (index, line) in lines.into_iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            text.push_str(line.strip_suffix('\n').unwrap_or(&line));
        }
        LogText { text, reach }
    }

    fn missing() -> LogText {
        LogText { text: String::new(), reach: Reach::Missing }
    }
}

/// Quoted, as a term may hold other characters than letters and digits, and any of them is enough. One term goes
/// without the question mark that means "or".
fn any_of(terms: &[&str]) -> Option<String> {
    let quoted: Vec<String> =
        terms.iter().map(|term| format!("\"{}\"", term.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    match quoted.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.iter().map(|term| format!("?{term}")).collect::<Vec<_>>().join(" ")),
    }
}

fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + 1).sum()
}

fn failed<E>(operation: &'static str, group: &str, stream: &str, error: &SdkError<E, HttpResponse>) -> BuildLogError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(SERVICE, operation, format!("{group} {stream}"), error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_quoted_and_any_is_enough() {
        assert_eq!(any_of(&[]), None);
        assert_eq!(any_of(&["429 Too Many Requests"]).unwrap(), r#""429 Too Many Requests""#);
        assert_eq!(any_of(&["a b", r#"say "no""#, r"c:\d"]).unwrap(), r#"?"a b" ?"say \"no\"" ?"c:\\d""#);
    }

    #[test]
    fn lines_are_joined_whether_or_not_they_end_in_a_line_feed() {
        let text =
            LogText::of(["a\n".to_string(), String::new(), "b\r".to_string(), "c\n\n".to_string()], Reach::Complete);
        assert_eq!(text.text, "a\n\nb\r\nc\n");
    }
}
