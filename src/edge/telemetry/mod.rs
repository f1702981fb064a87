//! Where log lines go and what they look like: one event a line, as JSON for programs or as text for people.
//!
//! An event ([`crate::edge::event`]) is written exactly as its own JSON object. Everything else that is logged, ours and
//! the SDK's, is an object with `timestamp`, `level`, `target`, `message` and its fields, those of its spans included.

pub mod text;

use crate::edge::event;
use crate::edge::metrics::{self, EventsAlone, Metrics};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The targets of our own records begin with it.
const CRATE: &str = env!("CARGO_CRATE_NAME");

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object.
    Json,
    /// Text for people.
    Text,
}

/// Whether text is coloured. JSON never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI colours.
    Always,
}

/// Where lines go, which, and in which form.
#[derive(Clone, Debug)]
pub struct Output<'a, W> {
    /// The form.
    pub format: LogFormat,
    /// A level, or directives such as `info,unthrottled::edge=debug`. It holds for events as for the rest.
    pub filter: &'a str,
    /// Whether text is coloured.
    pub color: Color,
    /// Dates what is no event; events bring their own time.
    pub clock: fn() -> Timestamp,
    /// Where events are counted, whether or not they are written.
    pub metrics: Option<Metrics>,
    /// For example `std::io::stdout`.
    pub writer: W,
}

/// A filter that can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{filter}` is no log level: it must be error, warn, info, debug, trace or off, or directives such as `info,unthrottled::edge=debug`"
)]
pub struct BadFilter {
    filter: String,
    source: ParseError,
}

/// Why the process's log was not set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter can't be read.
    #[error(transparent)]
    Filter(#[from] BadFilter),
    /// It was set up before.
    #[error("the log was set up twice")]
    Twice(#[from] SetGlobalDefaultError),
}

/// The subscriber that writes lines as `output` says.
pub fn subscriber<W>(output: Output<'_, W>) -> Result<impl Subscriber + Send + Sync, BadFilter>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(output.filter)
        .map_err(|source| BadFilter { filter: output.filter.to_string(), source })?;
    let lines = Lines { format: output.format, color: output.color, clock: output.clock };
    let discreet = filter_fn(|of| *of.level() <= Level::INFO || is_ours(of.target()));
    // How much is told of what happens is no reason to leave out how much happened.
    let counts = filter_fn(|of| of.target() == metrics::TARGET).with_max_level_hint(LevelFilter::INFO);
    let layer = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(lines)
        .with_writer(output.writer)
        .with_filter(filter.and(discreet).or(counts));
    let counting = output.metrics.map(|metrics| metrics.layer().with_filter(EventsAlone));
    Ok(tracing_subscriber::registry().with(layer).with(counting))
}

/// Whether a record is of our own making. What libraries say below info is dropped whatever the filter says: the SDK
/// writes requests and answers there, and the shell parser the commands that it reads, which may hold plain values.
fn is_ours(target: &str) -> bool {
    target == CRATE || target.strip_prefix(CRATE).is_some_and(|rest| rest.starts_with("::"))
}

/// Sets the process's log up, once.
pub fn init<W>(output: Output<'_, W>) -> Result<(), InitError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Ok(tracing::subscriber::set_global_default(subscriber(output)?)?)
}

/// Writes one line for each tracing record.
struct Lines {
    format: LogFormat,
    color: Color,
    clock: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, record: &Event<'_>) -> fmt::Result {
        let mut fields = Fields(Map::new());
        if record.metadata().target() == event::TARGET {
            record.record(&mut fields);
            return self.write_event(&mut writer, &fields);
        }
        if record.metadata().target() == metrics::TARGET {
            record.record(&mut fields);
            return self.write_metrics(&mut writer, &fields);
        }
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(of_span) = extensions.get::<FormattedFields<N>>()
                && let Ok(Value::Object(of_span)) = serde_json::from_str(of_span.as_str())
            {
                fields.0.extend(of_span);
            }
        }
        record.record(&mut fields);
        self.write_other(&mut writer, record, fields.0)
    }
}

impl Lines {
    fn write_event(&self, writer: &mut Writer<'_>, fields: &Fields) -> fmt::Result {
        let json = fields.0.get("json").and_then(Value::as_str);
        let json = json.unwrap_or_default();
        match self.format {
            LogFormat::Json => writeln!(writer, "{json}"),
            LogFormat::Text => match serde_json::from_str(json) {
                Ok(event) => writer.write_str(&text::render(&event, self.color)),
                Err(_) => writeln!(writer, "{json}"),
            },
        }
    }

    /// CloudWatch reads JSON; to a person the line says nothing.
    fn write_metrics(&self, writer: &mut Writer<'_>, fields: &Fields) -> fmt::Result {
        match (self.format, fields.0.get("json").and_then(Value::as_str)) {
            (LogFormat::Json, Some(json)) => writeln!(writer, "{json}"),
            (LogFormat::Json, None) | (LogFormat::Text, _) => Ok(()),
        }
    }

    fn write_other(&self, writer: &mut Writer<'_>, record: &Event<'_>, mut fields: Map<String, Value>) -> fmt::Result {
        let at = (self.clock)();
        let metadata = record.metadata();
        let level = level_name(*metadata.level());
        let message = fields.shift_remove("message").unwrap_or_default();
        match self.format {
            LogFormat::Json => {
                let mut line = Map::new();
                line.insert("timestamp".to_string(), format!("{at:.3}").into());
                line.insert("level".to_string(), level.into());
                line.insert("target".to_string(), metadata.target().into());
                line.insert("message".to_string(), message);
                // A field can't take the place of one of these four.
                for (name, value) in fields {
                    line.entry(name).or_insert(value);
                }
                writeln!(writer, "{}", Value::Object(line))
            }
            LogFormat::Text => {
                let message = message.as_str().unwrap_or_default();
                let line = text::render_other(at, level, metadata.target(), message, &fields);
                writer.write_str(&line)
            }
        }
    }
}

/// The fields of one record, as JSON.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.0.insert(name.to_string(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    /// With what caused it, once.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, text);
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ten_o_clock() -> Timestamp {
        "2026-01-05T10:02:11.0425Z".parse().unwrap()
    }

    fn settings(detail: &str) -> event::Event {
        event::settings_rejected(detail, ten_o_clock())
    }

    /// What is written while `work` runs.
    fn written(format: LogFormat, filter: &str, color: Color, work: impl FnOnce()) -> String {
        let shared = Shared::default();
        let to = shared.clone();
        let output = Output { format, filter, color, clock: ten_o_clock, metrics: None, writer: move || to.clone() };
        tracing::subscriber::with_default(subscriber(output).unwrap(), work);
        let bytes = shared.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn json(filter: &str, work: impl FnOnce()) -> String {
        written(LogFormat::Json, filter, Color::Never, work)
    }

    #[test]
    fn an_event_is_exactly_its_json_on_one_line() {
        let sent = settings("line one\nline \"two\"");
        let lines = json("info", || {
            let _span = tracing::info_span!("tick", scope = "prod").entered();
            event::emit(&sent);
        });
        assert_eq!(lines, serde_json::to_string(&sent).unwrap() + "\n");
        assert_eq!(lines.lines().count(), 1);
        assert!(lines.starts_with(r#"{"timestamp":"2026-01-05T10:02:11.042Z","level":"warn","#));
    }

    #[test]
    fn anything_else_is_an_object_with_its_fields_and_those_of_its_spans() {
        let lines = json("info", || {
            let _tick = tracing::info_span!("tick", scope = "prod", n = 3).entered();
            let _project = tracing::info_span!("project", name = "web").entered();
            tracing::warn!(n = 4, level = "mine", ok = true, "a {}\nb", "text");
        });
        let line: Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(lines.lines().count(), 1);
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": "2026-01-05T10:02:11.042Z", "level": "warn", "target": module_path!(),
                "message": "a text\nb", "scope": "prod", "name": "web", "n": 4, "ok": true,
            })
        );
    }

    #[test]
    fn an_error_is_written_with_its_causes() {
        let cause = io::Error::other("the disk is gone");
        let error = crate::edge::http::HttpError::Serve(cause);
        let lines = json("info", || {
            tracing::error!(error = &error as &(dyn std::error::Error + 'static));
        });
        let line: Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(line["error"], "the HTTP server ended: the disk is gone");
    }

    #[test]
    fn the_filter_holds_for_events_and_for_the_rest() {
        let both = || {
            event::emit(&settings("x"));
            event::emit(&event::daemon_stopped(ten_o_clock()));
            tracing::debug!("looked");
        };
        assert_eq!(json("warn", both).lines().count(), 1);
        assert_eq!(json("info", both).lines().count(), 2);
        assert_eq!(json("info,unthrottled::edge=debug", both).lines().count(), 3);
        assert_eq!(json("off", both), "");
    }

    #[test]
    fn libraries_are_silent_below_info_whatever_the_filter() {
        let all = || {
            tracing::debug!(target: "aws_smithy_runtime::client::http", "PLAIN=value");
            tracing::trace!(target: "aws_sdk_codebuild", "PLAIN=value");
            tracing::debug!(target: "hyper_util::client", "PLAIN=value");
            tracing::debug!(target: "tokenize", "echo PLAIN=value");
            tracing::debug!(target: "parse", "echo PLAIN=value");
            tracing::debug!(target: "expansion", "echo PLAIN=value");
            tracing::trace!(target: "arithmetic", "echo PLAIN=value");
            tracing::debug!(target: "brush_parser::word", "echo PLAIN=value");
            tracing::debug!(target: "unthrottled_by_another", "PLAIN=value");
        };
        for filter in ["debug", "trace", "tokenize=trace,aws_smithy_runtime=debug", "off,parse=trace"] {
            assert_eq!(json(filter, all), "", "{filter}");
        }
        let warned = json("trace", || tracing::info!(target: "aws_config", "a profile was read"));
        assert_eq!(warned.lines().count(), 1);
        assert_eq!(json("trace", || tracing::trace!("ours")).lines().count(), 1);
    }

    #[test]
    fn a_bad_filter_says_what_is_allowed() {
        let output = Output {
            format: LogFormat::Json,
            filter: "info,,=loud",
            color: Color::Never,
            clock: ten_o_clock,
            metrics: None,
            writer: io::sink,
        };
        let Err(error) = subscriber(output) else {
            panic!("it was taken");
        };
        let text = error.to_string();
        assert!(text.starts_with("`info,,=loud` is no log level"), "{text}");
    }

    #[test]
    fn text_is_a_line_for_people() {
        let lines = written(LogFormat::Text, "info", Color::Never, || {
            event::emit(&settings("unknown key `mood`"));
            tracing::info!(target: "sdk", answers = 2, "asked\x1b[2J");
        });
        insta::assert_snapshot!(lines, @r"
        10:02:11  WARN   SettingsRejected       -                 The new settings are bad, and the last good ones stay: unknown key `mood`
        10:02:11  INFO   sdk  asked\u001b[2J  answers=2
        ");
    }
}
