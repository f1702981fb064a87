//! Every metric, once: `/metrics`, the lines for CloudWatch, `docs/metrics.md` and the tests of the alarms are made of this.
//!
//! No dimension holds the name of a project, a build or a scope: what a dimension can be is bounded by this program, and by
//! the settings where it is the name of a credential.

/// What a metric's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start of the process. CloudWatch gets what was added since the last line.
    Counter,
    /// As of the last tick.
    Gauge,
    /// Lengths of time, each counted once. Prometheus gets a histogram, CloudWatch the values themselves.
    Distribution,
}

/// The unit, by the name that CloudWatch has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Seconds.
    Seconds,
}

/// Upper bounds of the histogram's buckets, in seconds: from a fast tick to an afternoon.
pub const BUCKETS: &[f64] = &[0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0];

macro_rules! metrics {
    ($($name:ident $kind:ident $unit:ident $dimensions:tt by $sets:tt $help:literal;)*) => {
        /// A metric. Its name in CloudWatch is the name of the variant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $help] $name,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Metric] = &[$(Metric::$name,)*];

            /// The name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$name => stringify!($name),)* }
            }

            /// What its value says.
            pub fn kind(self) -> Kind {
                match self { $(Metric::$name => Kind::$kind,)* }
            }

            /// The unit of its value.
            pub fn unit(self) -> Unit {
                match self { $(Metric::$name => Unit::$unit,)* }
            }

            /// The names of its labels in Prometheus.
            pub fn dimensions(self) -> &'static [&'static str] {
                match self { $(Metric::$name => &$dimensions,)* }
            }

            /// The sets of dimensions that CloudWatch adds it up by: an alarm can name one of these, and nothing else.
            pub fn sets(self) -> &'static [&'static [&'static str]] {
                match self { $(Metric::$name => &$sets,)* }
            }

            /// What it tells, in a sentence.
            pub fn help(self) -> &'static str {
                match self { $(Metric::$name => $help,)* }
            }
        }
    };
}

metrics! {
    Calls Counter Count ["service", "operation", "status"] by [&["status"], &["service", "operation", "status"]]
        "Calls sent to AWS, each attempt for itself.";
    BuildsSeen Counter Count [] by [&[]]
        "Builds read.";
    BuildsFailed Counter Count [] by [&[]]
        "Failed builds that were diagnosed.";
    Throttles Counter Count ["diagnosis", "registry"] by [&["registry"], &["diagnosis", "registry"]]
        "Builds that a registry throttled.";
    Remediations Counter Count ["remedy", "outcome"] by [&["outcome"], &["remedy", "outcome"]]
        "What became of throttled builds, a step each; `remedy` is `none` where nothing was planned.";
    Events Counter Count ["name", "level"] by [&["name"], &["level"]]
        "Events told.";
    Ticks Counter Count ["result"] by [&["result"]]
        "Looks at all scopes; `whole`, or `part` where anything could not be read.";
    DetectionSeconds Distribution Seconds [] by [&[]]
        "From the end of a throttled build to its detection.";
    AppliedSeconds Distribution Seconds [] by [&[]]
        "From the end of a throttled build to its remedy being in place.";
    TickSeconds Distribution Seconds [] by [&[]]
        "How long a tick took.";
    ProjectsSeen Gauge Count [] by [&[]]
        "Projects under some policy among the newest builds of all scopes, 300 builds a scope at most.";
    ProjectsUnwatched Gauge Count [] by [&[]]
        "Projects under no policy among the same builds.";
    ScopesWatchingNothing Gauge Count [] by [&[]]
        "Scopes in which no project under any policy was seen yet: a wrong region, or globs that match nothing.";
    ScopesIncomplete Gauge Count [] by [&[]]
        "Scopes that the last tick could not read as a whole.";
    OldestUnreadBuildSeconds Gauge Seconds [] by [&[]]
        "For how long the oldest build that is listed and not read has been so; 0 without one.";
    SinceWholeTickSeconds Gauge Seconds [] by [&[]]
        "Since the last tick that read every scope as a whole, or since the first tick; counted on between ticks.";
    BuildsWaiting Gauge Count [] by [&[]]
        "Builds that will be looked at again.";
    RemediationsOpen Gauge Count [] by [&[]]
        "Remediations under way.";
    CredentialsUnusable Gauge Count [] by [&[]]
        "Docker Hub credentials, in each scope, that could not be used when they were last needed.";
    CredentialsQuotaLow Gauge Count [] by [&[]]
        "Docker Hub credentials, in each scope, whose account had too few pulls left when Docker Hub was last asked.";
    CredentialsQuotaUnknown Gauge Count [] by [&[]]
        "Docker Hub credentials, in each scope, of which Docker Hub did not say what their account has left when it was last asked.";
    CredentialPullsRemaining Gauge Count ["credential"] by [&["credential"]]
        "Pulls that the account of a credential had left when Docker Hub last said so; nothing where it names no limit, or does not answer any more.";
    CredentialPullsLimit Gauge Count ["credential"] by [&["credential"]]
        "Pulls that the account of a credential is allowed in Docker Hub's window, as it last said; nothing likewise.";
}

impl Metric {
    /// The name in Prometheus: `unthrottled_`, the words of the name, and `_total` for what only grows.
    pub fn prometheus_name(self) -> String {
        let mut name = String::from("unthrottled");
        for letter in self.name().chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        if self.kind() == Kind::Counter {
            name.push_str("_total");
        }
        name
    }
}

impl Unit {
    /// The name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Seconds => "Seconds",
        }
    }
}

impl Kind {
    /// The type in Prometheus.
    pub fn prometheus_type(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Distribution => "histogram",
        }
    }
}
