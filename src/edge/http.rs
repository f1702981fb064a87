//! How the daemon is, told over HTTP: `/healthz`, `/readyz`, `/metrics` and the status page at `/`, and the client of
//! `unthrottled healthcheck`.
//!
//! AWS throttling makes it neither unhealthy nor unready: the loop goes on, and a restart would not help. All is read
//! only: no request changes anything, reads the ledger or calls AWS.

mod limits;
mod page;

pub use page::{Page, Refresh};

use crate::edge::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use limits::Limited;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long the daemon may take to say that it is well.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// More than `/healthz` ever answers.
const LONGEST_ANSWER: u64 = 4096;

/// The headers of every answer: none is kept anywhere, none is taken for what it is not, none shows itself to other
/// sites, and no connection is kept, as whoever asks comes once in a while.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("connection", "close"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// What the loop says of itself. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub struct Health {
    patience: SignedDuration,
    clock: fn() -> Timestamp,
    seen: Arc<Mutex<Seen>>,
}

/// How much of what there is to see a tick saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Every scope, as a whole.
    All,
    /// Not every scope, or not all of one.
    Part,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    progress: Timestamp,
    tick: Option<(Timestamp, Reached)>,
}

/// Why the daemon can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Another process listens there.
    #[error("another process listens at {address}: stop it, or set `daemon.http_listen` to another address")]
    InUse {
        /// Where.
        address: String,
    },
    /// No such address, or no permission.
    #[error("can't listen at {address}: set `daemon.http_listen` to an address and port of this host")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It listened, and stopped.
    #[error("the HTTP server ended")]
    Serve(#[source] io::Error),
}

/// Why the daemon is not known to be well.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens, or the connection broke.
    #[error("no daemon answers at {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("no answer from {address} within {} s", within.as_secs())]
    Late {
        /// Where.
        address: String,
        /// How long was waited.
        within: Duration,
    },
    /// Something else listens there.
    #[error("what listens at {address} is no daemon: it does not speak HTTP")]
    NotHttp {
        /// Where.
        address: String,
    },
    /// The daemon answers, and is not well.
    #[error("the daemon at {address} answers {status}: {body}")]
    Unhealthy {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        body: String,
    },
}

impl Health {
    /// Of a loop that begins now and may be silent for `patience`.
    pub fn new(patience: SignedDuration, clock: fn() -> Timestamp) -> Health {
        let seen = Seen { progress: clock(), tick: None };
        Health { patience, clock, seen: Arc::new(Mutex::new(seen)) }
    }

    /// The loop did something.
    pub fn progress(&self, now: Timestamp) {
        self.update(|seen| seen.progress = now);
    }

    /// The loop ended a tick.
    pub fn ticked(&self, now: Timestamp, reached: Reached) {
        self.update(|seen| {
            seen.progress = now;
            seen.tick = Some((now, reached));
        });
    }

    fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the loop moves; if not, why not.
    pub fn live(&self) -> Result<(), String> {
        let silent = (self.clock)().duration_since(self.read().progress);
        if silent <= self.patience {
            Ok(())
        } else {
            Err(format!("the loop made no progress for {} s", silent.as_secs()))
        }
    }

    /// Whether the last tick reached every scope; if not, why not.
    pub fn ready(&self) -> Result<(), String> {
        match self.read().tick {
            Some((_, Reached::All)) => Ok(()),
            Some((at, Reached::Part)) => Err(format!("the tick that ended at {at:.0} did not reach every scope")),
            None => Err("no tick has ended yet".to_string()),
        }
    }
}

/// Listens at `address`, a `host:port`.
pub async fn listen(address: &str) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| {
        let address = address.to_string();
        match source.kind() {
            io::ErrorKind::AddrInUse => HttpError::InUse { address },
            _ => HttpError::Listen { address, source },
        }
    })
}

/// Answers until `shutdown`. Nothing is drained then: an answer is made at once, and a client that says nothing must
/// not keep the daemon from ending.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    page: Page,
    shutdown: impl Future<Output = ()>,
) -> Result<(), HttpError> {
    let clock = health.clock;
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let metrics = get(async move || counted(&metrics, clock()));
    let page = get(async move |uri: Uri, headers: HeaderMap| page.answer(is_loopback, &uri, &headers, clock()));
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route("/metrics", metrics)
        .route("/", page)
        .layer(map_response(async |response| with_headers(response)));
    let listener = Limited::new(listener, limits::MOST, limits::TIMES);
    tokio::select! {
        () = shutdown => Ok(()),
        ended = axum::serve(listener, routes) => ended.map_err(HttpError::Serve),
    }
}

/// Asks the daemon that listens at `address` whether its loop is alive.
pub async fn probe(address: &str) -> Result<(), ProbeError> {
    probe_within(address, ANSWER_WITHIN).await
}

async fn healthz(State(health): State<Health>) -> Response {
    answer(health.live())
}

async fn readyz(State(health): State<Health>) -> Response {
    answer(health.ready())
}

/// All metrics, as Prometheus reads them.
fn counted(metrics: &Metrics, now: Timestamp) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, metrics.prometheus(now)).into_response()
}

fn answer(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// What the answer says itself stays.
fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn probe_within(address: &str, within: Duration) -> Result<(), ProbeError> {
    let asked = tokio::time::timeout(within, ask(address)).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(source)) => {
            return Err(ProbeError::Unreachable { address: address.to_string(), source });
        }
        Err(_) => {
            return Err(ProbeError::Late { address: address.to_string(), within });
        }
    };
    match read_answer(&answer) {
        Some((200, _)) => Ok(()),
        Some((status, body)) => Err(ProbeError::Unhealthy { address: address.to_string(), status, body }),
        None => Err(ProbeError::NotHttp { address: address.to_string() }),
    }
}

/// One request, one answer, no HTTP client: this is all that a container's health check needs.
async fn ask(address: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(reachable(address)).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Who listens at every address is asked at loopback.
fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(at) if at.ip().is_unspecified() => {
            let ip = match at.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            SocketAddr::new(ip, at.port()).to_string()
        }
        _ => address.to_string(),
    }
}

/// Status and text.
fn read_answer(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    // Anyone may listen there: what is printed moves no cursor.
    Some((status, body.trim().escape_debug().to_string()))
}

#[cfg(test)]
mod tests;
