use super::*;
use crate::edge::settings::{Audience, PageSettings};

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
        ended = serve(listener, health, Metrics::default(), page(), std::future::pending()) => panic!("{ended:?}"),
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
        [("GET /page", 404), ("GET /healthz/x", 404), ("POST /healthz", 405), ("DELETE /readyz", 405)]
    {
        assert_eq!(answers(last_seen(0), request).await.0, status, "{request}");
    }
}

/// A page that whoever reaches a loopback address gets.
fn page() -> Page {
    let settings = PageSettings { audience: Audience::Loopback, hosts: Vec::new() };
    Page::new("", Arc::new(move || settings.clone()), Arc::new(|_, _| "<title>status</title>".to_string()))
}

/// The whole answer to a request, head and all.
async fn whole(listener: TcpListener, request: &str) -> String {
    let address = listener.local_addr().unwrap();
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let health = last_seen(0);
    tokio::select! {
        answer = ask => answer,
        ended = serve(listener, health, Metrics::default(), page(), std::future::pending()) => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn the_page_is_read_only() {
    let ask = async |request: String| whole(listen("127.0.0.1:0").await.unwrap(), &request).await;
    let got = ask("GET /".to_string()).await;
    assert!(got.starts_with("HTTP/1.1 200 ") && got.ends_with("\r\n\r\n<title>status</title>"), "{got}");
    let head = ask("HEAD /".to_string()).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let refused = ask(format!("{method} /")).await;
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET,HEAD\r\n"), "{refused}");
    }
}

#[tokio::test]
async fn a_port_that_others_reach_has_no_page() {
    let answer = whole(listen("0.0.0.0:0").await.unwrap(), "GET /").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("`daemon.page = \"on\"`"), "{answer}");
}

#[tokio::test]
async fn every_answer_has_safe_headers() {
    for path in ["/", "/healthz", "/readyz", "/metrics", "/nothing"] {
        let answer = whole(listen("127.0.0.1:0").await.unwrap(), &format!("GET {path}")).await;
        for (name, value) in HEADERS {
            let expected = match (path, name) {
                ("/", "content-security-policy") => format!("{name}: default-src 'none'; style-src 'sha256-"),
                _ => format!("{name}: {value}\r\n"),
            };
            assert_eq!(answer.matches(&expected).count(), 1, "{expected:?} in {answer}");
        }
    }
}

/// No time to say more, or to take the answer.
const LATE: Duration = Duration::ZERO;

/// Longer than the test lasts.
const AMPLE: Duration = Duration::from_secs(3_600);

/// A connection that has said something, and the listener that has room for no other.
async fn connected(to_ask: Duration, to_end: Duration) -> (TcpStream, limits::Bounded, Limited) {
    let bound = listen("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(bound.local_addr().unwrap()).await.unwrap();
    client.write_all(b"GET").await.unwrap();
    let mut limited = Limited::new(bound, 1, limits::Times { to_ask, to_end });
    let (connection, _) = axum::serve::Listener::accept(&mut limited).await;
    (client, connection, limited)
}

/// Why the connection can't be read any more.
async fn end(connection: &mut limits::Bounded) -> io::ErrorKind {
    loop {
        if let Err(error) = connection.read(&mut [0; 8]).await {
            return error.kind();
        }
    }
}

#[tokio::test]
async fn a_connection_ends_whether_it_asks_or_not() {
    let (_client, mut silent, _) = connected(LATE, AMPLE).await;
    assert_eq!(end(&mut silent).await, io::ErrorKind::TimedOut);
    let (_client, mut endless, _) = connected(AMPLE, LATE).await;
    assert_eq!(end(&mut endless).await, io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn who_has_asked_has_time_for_the_answer() {
    let (mut client, mut connection, _) = connected(LATE, AMPLE).await;
    connection.write_all(b"HTTP").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    connection.read_to_end(&mut asked).await.unwrap();
    assert_eq!(asked, b"GET");
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let (_client, connection, mut limited) = connected(AMPLE, AMPLE).await;
    let address = axum::serve::Listener::local_addr(&limited).unwrap();
    let _second = TcpStream::connect(address).await.unwrap();
    let waits = tokio::select! {
        biased;
        _ = axum::serve::Listener::accept(&mut limited) => false,
        () = tokio::task::yield_now() => true,
    };
    assert!(waits);
    drop(connection);
    let _ = axum::serve::Listener::accept(&mut limited).await;
}

async fn probed(health: Health) -> Result<(), ProbeError> {
    let listener = listen("0.0.0.0:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::select! {
        probed = probe(&address) => probed,
        ended = serve(listener, health, Metrics::default(), page(), std::future::pending()) => panic!("{ended:?}"),
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
    serve(listener, last_seen(0), Metrics::default(), page(), async {}).await.unwrap();
}
