//! CloudWatch Logs: groups, streams and what a read of them shows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::account::Account;
use super::log_filter::Pattern;
use super::options::LogPages;
use super::refusal::{Answer, Refusal};

/// A page holds so many events at most ...
const PAGE_EVENTS: usize = 10_000;
/// ... and so many bytes.
const PAGE_BYTES: usize = 1_048_576;

pub(super) type LogGroup = BTreeMap<String, Stream>;

#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    pub(super) lines: Vec<Line>,
    /// Lines from here on come late.
    pub(super) late_from: Option<usize>,
    /// The end of the build that writes here.
    pub(super) build_ended: Option<Timestamp>,
    pub(super) created: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) text: String,
}

impl Stream {
    /// The lines that a reader gets now: written already, and not held back.
    fn readable(&self, now: Timestamp, late: SignedDuration) -> &[Line] {
        let written = self.lines.partition_point(|line| line.at <= now);
        let held_back =
            late > SignedDuration::ZERO && self.build_ended.is_none_or(|ended| now.duration_since(ended) < late);
        match self.late_from {
            Some(from) if held_back => &self.lines[..from.min(written)],
            _ => &self.lines[..written],
        }
    }
}

impl Account {
    /// `GetLogEvents`: one stream, from the tail unless told otherwise; the end is a token that repeats.
    pub(super) fn get_log_events(&self, input: &Value) -> Answer {
        let (_, group) = self.group(input)?;
        let stream = input["logStreamName"]
            .as_str()
            .and_then(|name| group.get(name))
            .ok_or_else(|| Refusal::not_found("The specified log stream does not exist."))?;
        let start = input["startTime"].as_i64().unwrap_or(i64::MIN);
        let end = input["endTime"].as_i64().unwrap_or(i64::MAX);
        let lines: Vec<&Line> = stream
            .readable(self.now, self.unknowns.late_logs)
            .iter()
            .filter(|line| (start..end).contains(&line.at.as_millisecond()))
            .collect();
        let limit = self.page_limit(input);
        let from_head = input["startFromHead"].as_bool().unwrap_or(false);
        let (from, to) = match input["nextToken"].as_str() {
            Some(token) => match parse_token(token) {
                Some(('f', at)) => forward(&lines, at.min(lines.len()), limit),
                Some((_, at)) => backward(&lines, at.min(lines.len()), limit),
                None => {
                    return Err(invalid("The specified nextToken is invalid."));
                }
            },
            None if from_head => forward(&lines, 0, limit),
            None => backward(&lines, lines.len(), limit),
        };
        let events: Vec<Value> = lines[from..to].iter().map(|line| event_json(line)).collect();
        Ok(json!({
            "events": events,
            "nextForwardToken": format!("f/{to:056}/s"),
            "nextBackwardToken": format!("b/{from:056}/s"),
        }))
    }

    /// `FilterLogEvents`: a group or some of its streams, by time, with a pattern; no token at the end.
    pub(super) fn filter_log_events(&self, input: &Value) -> Answer {
        let (group_name, group) = self.group(input)?;
        if !input["logStreamNames"].is_null() && !input["logStreamNamePrefix"].is_null() {
            return Err(invalid("logStreamNames and logStreamNamePrefix cannot be specified together."));
        }
        let pattern = Pattern::parse(input["filterPattern"].as_str().unwrap_or_default()).map_err(invalid)?;
        let wanted: Option<Vec<&str>> =
            input["logStreamNames"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        if let Some(missing) = wanted.iter().flatten().find(|name| !group.contains_key(**name)) {
            return Err(Refusal::not_found(format!(
                "The specified log stream does not exist: {missing} in {group_name}"
            )));
        }
        let prefix = input["logStreamNamePrefix"].as_str().unwrap_or_default();
        let start = input["startTime"].as_i64().unwrap_or(i64::MIN);
        let end = input["endTime"].as_i64().unwrap_or(i64::MAX);
        let mut lines: Vec<(&str, &Line)> = group
            .iter()
            .filter(|(name, _)| {
                wanted.as_ref().map_or_else(|| name.starts_with(prefix), |wanted| wanted.contains(&name.as_str()))
            })
            .flat_map(|(name, stream)| {
                stream.readable(self.now, self.unknowns.late_logs).iter().map(move |line| (name.as_str(), line))
            })
            .filter(|(_, line)| (start..=end).contains(&line.at.as_millisecond()))
            .collect();
        lines.sort_by_key(|(_, line)| line.at);
        self.filter_page(input, &lines, &pattern)
    }

    /// One page of a filter: the server scans a stretch of lines and answers those that match, perhaps none, with a token for the rest.
    fn filter_page(&self, input: &Value, lines: &[(&str, &Line)], pattern: &Pattern) -> Answer {
        let (scanned, empty) = match input["nextToken"].as_str() {
            None => (0, self.unknowns.log_pages == LogPages::Ragged),
            Some(token) => match parse_token(token) {
                Some(('x', at)) => (at, false),
                _ => return Err(invalid("The specified nextToken is invalid.")),
            },
        };
        if empty && !lines.is_empty() {
            return Ok(json!({"events": [], "searchedLogStreams": [], "nextToken": format!("x/{scanned:056}/s")}));
        }
        let limit = self.page_limit(input);
        let mut events = Vec::new();
        let mut at = scanned.min(lines.len());
        let mut bytes = 0;
        while at < lines.len() && events.len() < limit && bytes < PAGE_BYTES {
            let (stream, line) = lines[at];
            if pattern.matches(&line.text) {
                let mut event = event_json(line);
                event["logStreamName"] = json!(stream);
                event["eventId"] = json!(format!("{:056}", at));
                events.push(event);
                bytes += line.text.len();
            }
            at += 1;
        }
        let mut answer = json!({"events": events, "searchedLogStreams": []});
        if at < lines.len() {
            answer["nextToken"] = json!(format!("x/{at:056}/s"));
        }
        Ok(answer)
    }

    /// `DescribeLogStreams`, by name.
    pub(super) fn describe_log_streams(&self, input: &Value) -> Answer {
        let (group_name, group) = self.group(input)?;
        let prefix = input["logStreamNamePrefix"].as_str().unwrap_or_default();
        let limit = input["limit"].as_u64().unwrap_or(50);
        let after = input["nextToken"].as_str().unwrap_or_default();
        let mut names = group.keys().filter(|name| name.starts_with(prefix) && name.as_str() > after);
        let page: Vec<&String> = names.by_ref().take(usize::try_from(limit).unwrap_or(50)).collect();
        let streams: Vec<Value> = page
            .iter()
            .map(|name| {
                let arn = self.arn("logs", &format!("log-group:{group_name}:log-stream:{name}"));
                let created = group[*name].created.map_or(0, Timestamp::as_millisecond);
                json!({"logStreamName": name, "creationTime": created, "arn": arn, "storedBytes": 0})
            })
            .collect();
        let mut answer = json!({ "logStreams": streams });
        if let (Some(last), Some(_)) = (page.last(), names.next()) {
            answer["nextToken"] = json!(last);
        }
        Ok(answer)
    }

    fn group(&self, input: &Value) -> Result<(String, &LogGroup), Refusal> {
        let given = input["logGroupName"].as_str().or(input["logGroupIdentifier"].as_str()).unwrap_or_default();
        let name = given.split_once(":log-group:").map_or(given, |(_, name)| name.trim_end_matches(":*"));
        self.log_groups
            .get(name)
            .map(|group| (name.to_owned(), group))
            .ok_or_else(|| Refusal::not_found("The specified log group does not exist."))
    }

    fn page_limit(&self, input: &Value) -> usize {
        let limit = input["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE_EVENTS);
        match self.unknowns.log_pages {
            LogPages::Full => limit,
            LogPages::Ragged => limit.min(7),
        }
    }
}

fn event_json(line: &Line) -> Value {
    let at = line.at.as_millisecond();
    json!({"timestamp": at, "message": format!("{}\n", line.text), "ingestionTime": at + 800})
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidParameterException", message)
}

fn parse_token(token: &str) -> Option<(char, usize)> {
    let (kind, rest) = token.split_once('/')?;
    let digits = rest.strip_suffix("/s")?;
    let kind = kind.chars().next().filter(|kind| "fbx".contains(*kind))?;
    Some((kind, digits.parse().ok()?))
}

fn forward(lines: &[&Line], from: usize, limit: usize) -> (usize, usize) {
    let mut to = from;
    let mut bytes = 0;
    while to < lines.len() && to - from < limit {
        bytes += lines[to].text.len() + 26;
        if bytes > PAGE_BYTES && to > from {
            break;
        }
        to += 1;
    }
    (from, to)
}

fn backward(lines: &[&Line], to: usize, limit: usize) -> (usize, usize) {
    let mut from = to;
    let mut bytes = 0;
    while from > 0 && to - from < limit {
        bytes += lines[from - 1].text.len() + 26;
        if bytes > PAGE_BYTES && from < to {
            break;
        }
        from -= 1;
    }
    (from, to)
}
