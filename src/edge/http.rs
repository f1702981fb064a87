//! Whether the daemon is well, told over HTTP: `/healthz`, `/readyz` and `/metrics`, and the client of
//! `unthrottled healthcheck`.
//!
//! AWS throttling makes neither unhealthy: the loop goes on, and a restart would not help.

use crate::edge::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
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

    fn live(&self) -> (StatusCode, String) {
        let silent = (self.clock)().duration_since(self.read().progress);
        if silent <= self.patience {
            (StatusCode::OK, "ok\n".to_string())
        } else {
            let text = format!("the loop made no progress for {} s\n", silent.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    fn ready(&self) -> (StatusCode, String) {
        match self.read().tick {
            Some((_, Reached::All)) => (StatusCode::OK, "ok\n".to_string()),
            Some((at, Reached::Part)) => {
                let text = format!("the tick that ended at {at:.0} did not reach every scope\n");
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
            None => {
                let text = "no tick has ended yet\n".to_string();
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
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

/// Answers until `shutdown`. Nothing is drained then: every answer is a few bytes, and a client that says nothing must
/// not keep the daemon from ending.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
) -> Result<(), HttpError> {
    let clock = health.clock;
    let metrics = get(async move || counted(&metrics, clock()));
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route("/metrics", metrics);
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
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, metrics.prometheus(now)).into_response()
}

/// Never cached, and the connection is not kept: whoever asks comes once in a while.
fn answer((status, text): (StatusCode, String)) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONNECTION, "close")];
    (status, headers, text).into_response()
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
mod tests {
    use super::*;

    const PATIENCE: SignedDuration = SignedDuration::from_secs(90);

    fn ten_o_clock() -> Timestamp {
        "2026-01-05T10:00:00Z".parse().unwrap()
    }

    fn earlier(seconds: i64) -> Timestamp {
        ten_o_clock() - SignedDuration::from_secs(seconds)
    }

    /// Of a loop that did something this long ago.
    fn last_seen(seconds: i64) -> Health {
        let health = Health::new(PATIENCE, ten_o_clock);
        health.progress(earlier(seconds));
        health
    }

    /// What a daemon of this health answers to a request line.
    async fn answers(health: Health, request: &str) -> (u16, String) {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ask = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            read_answer(&answer).unwrap()
        };
        tokio::select! {
            answer = ask => answer,
            ended = serve(listener, health, Metrics::default(), std::future::pending()) => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn the_loop_is_alive_for_as_long_as_it_moves() {
        let (status, text) = answers(last_seen(90), "GET /healthz").await;
        assert_eq!((status, text.as_str()), (200, "ok"));
        let (status, text) = answers(last_seen(91), "GET /healthz").await;
        assert_eq!(status, 503);
        assert_eq!(text, "the loop made no progress for 91 s");
        let just_begun = Health::new(PATIENCE, ten_o_clock);
        assert_eq!(answers(just_begun, "GET /healthz").await.0, 200);
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_since_makes_nothing_unhealthy() {
        let answer = answers(last_seen(-3600), "GET /healthz").await;
        assert_eq!(answer.0, 200);
    }

    #[tokio::test]
    async fn it_is_ready_when_the_last_tick_reached_every_scope() {
        let health = Health::new(PATIENCE, ten_o_clock);
        let ready = async |health: &Health| answers(health.clone(), "GET /readyz").await;
        assert_eq!(ready(&health).await, (503, "no tick has ended yet".to_string()));
        health.ticked(earlier(40), Reached::All);
        assert_eq!(ready(&health).await.0, 200);
        health.ticked(earlier(10), Reached::Part);
        let (status, text) = ready(&health).await;
        assert_eq!(status, 503);
        assert_eq!(text, "the tick that ended at 2026-01-05T09:59:50Z did not reach every scope");
    }

    #[tokio::test]
    async fn a_tick_is_progress() {
        let health = last_seen(500);
        health.ticked(earlier(5), Reached::Part);
        assert_eq!(answers(health, "GET /healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_served_as_prometheus_reads_them() {
        let (status, text) = answers(last_seen(0), "GET /metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("# TYPE unthrottled_builds_seen_total counter"), "{text}");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for (request, status) in
            [("GET /", 404), ("GET /healthz/x", 404), ("POST /healthz", 405), ("DELETE /readyz", 405)]
        {
            assert_eq!(answers(last_seen(0), request).await.0, status, "{request}");
        }
    }

    async fn probed(health: Health) -> Result<(), ProbeError> {
        let listener = listen("0.0.0.0:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::select! {
            probed = probe(&address) => probed,
            ended = serve(listener, health, Metrics::default(), std::future::pending()) => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn the_probe_tells_well_from_unwell() {
        probed(last_seen(0)).await.unwrap();
        let error = probed(last_seen(300)).await.unwrap_err().to_string();
        assert!(error.ends_with("answers 503: the loop made no progress for 300 s"), "{error}");
    }

    #[tokio::test]
    async fn the_probe_tells_nobody_from_somebody_else() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let late = probe_within(&address, Duration::ZERO).await.unwrap_err();
        assert!(matches!(late, ProbeError::Late { .. }), "{late}");

        let talk = async {
            // The probe that was late has left its connection in the queue.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            probed = probe(&address) => probed.unwrap_err(),
            () = talk => panic!("it ended"),
        };
        assert!(matches!(error, ProbeError::NotHttp { .. } | ProbeError::Unreachable { .. }), "{error}");

        drop(listener);
        let error = probe(&address).await.unwrap_err();
        assert!(matches!(error, ProbeError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_told() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = listen(&address).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("another process listens at {address}")), "{error}");
        let error = listen("256.0.0.1:80").await.unwrap_err();
        assert!(matches!(error, HttpError::Listen { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_does_not_keep_it_from_ending() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        serve(listener, last_seen(0), Metrics::default(), async {}).await.unwrap();
    }
}
