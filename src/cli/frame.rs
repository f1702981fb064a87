//! What every command needs: settings when it asks for them, streams that know about colour, a sign of life.

use super::plain::{self, Plain};
use crate::edge::metrics::Metrics;
use crate::edge::settings::{Settings, SettingsError, Sources};
use crate::edge::{clock, telemetry};
use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use console::Term;
use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Settings file, also UNTHROTTLED_CONFIG [default: unthrottled.toml, then /etc/unthrottled/unthrottled.toml]
    #[arg(long, global = true, value_name = "FILE", env = "UNTHROTTLED_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Set one key of the settings over file and environment, as in `--set daemon.mode=observe`
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// How events are written, json or text [default: text on a terminal, json elsewhere]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
    /// The least important events that are written: error, warn, info, debug or trace [default: info]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LEVEL",
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub log_level: LogLevel,
    /// When to use colour: auto, always or never; NO_COLOR is honoured too [default: auto]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: Color,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// The least important events that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// Something is degraded.
    Warn,
    /// Something changed.
    #[default]
    Info,
    /// The daemon looked.
    Debug,
    /// Every step of ours; libraries never go below info, as they write requests and commands there.
    Trace,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Even in a pipe.
    Always,
    /// Not at all.
    Never,
}

/// What every command needs.
#[derive(Debug)]
pub struct Frame {
    global: Global,
    sources: Sources,
    settings: OnceLock<Settings>,
}

impl Frame {
    /// From the arguments and the environment.
    pub fn new(global: Global, environment: Vec<(String, String)>) -> Frame {
        // For commands that write by `anstream` themselves.
        global.color.choice().write_global();
        let sources =
            Sources { file: global.config.clone(), environment, arguments: global.set.clone(), ..Sources::default() };
        Frame { global, sources, settings: OnceLock::new() }
    }

    /// The settings, read at the first call.
    pub fn settings(&self) -> Result<&Settings, SettingsError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::load(&self.sources)?;
        Ok(self.settings.get_or_init(|| settings))
    }

    /// Where the settings are read from; reading them again is a reload.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Standard output. Colours written to it are taken out where none are wanted, and letters that deceive spelt out.
    pub fn out(&self) -> Plain<AutoStream<io::Stdout>> {
        Plain::new(AutoStream::auto(io::stdout()))
    }

    /// Standard output for a text that programs take as it is, such as a diff. A terminal is given what it shows.
    pub fn data(&self) -> Plain<AutoStream<io::Stdout>> {
        plain::data()
    }

    /// Standard error, for people.
    pub fn err(&self) -> Plain<AutoStream<io::Stderr>> {
        Plain::new(AutoStream::auto(io::stderr()))
    }

    /// The columns of the terminal that standard error is; none in a pipe.
    pub fn err_width(&self) -> Option<usize> {
        Term::stderr().size_checked().map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0)
    }

    /// How events on standard output are written.
    pub fn log_format(&self) -> telemetry::LogFormat {
        match self.global.log_format {
            Some(LogFormat::Json) => telemetry::LogFormat::Json,
            Some(LogFormat::Text) => telemetry::LogFormat::Text,
            None if io::stdout().is_terminal() => telemetry::LogFormat::Text,
            None => telemetry::LogFormat::Json,
        }
    }

    /// Whether events on standard output are coloured.
    pub fn log_color(&self) -> telemetry::Color {
        match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => telemetry::Color::Never,
            ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => telemetry::Color::Always,
        }
    }

    /// Begins to write events to standard output, and to count them.
    pub fn start_log(&self, metrics: &Metrics) -> anyhow::Result<()> {
        let filter = self.log_level().as_str();
        let (format, color) = (self.log_format(), self.log_color());
        let metrics = Some(metrics.clone());
        telemetry::init(telemetry::Output { format, filter, color, clock: clock::now, metrics, writer: io::stdout })
            .context("the log can't be started")
    }

    /// The least important events that are written.
    pub fn log_level(&self) -> LogLevel {
        self.global.log_level
    }

    /// A sign of life for a person who waits, on standard error; nothing if that is no terminal.
    pub fn progress(&self, message: impl Into<Cow<'static, str>>) -> Progress {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(message);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar }
    }
}

impl Color {
    fn choice(self) -> ColorChoice {
        match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }
}

impl LogLevel {
    /// As filters of events name it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// A sign of life; it goes away when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// What is going on now.
    pub fn say(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_string(), value.to_string())),
        _ => Err("write KEY=VALUE, as in daemon.mode=observe".to_string()),
    }
}
