//! The status page and the metrics of a daemon whose ledger is a table.

use super::daemons::{Setting, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn figure(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("data-figure=\"{name}\">"))?;
    Some(rest.split('<').next()?.to_string())
}

/// Another daemon that waits for the lease has nothing to show, and says so.
#[tokio::test]
async fn the_page_tells_what_the_table_holds() {
    let setting = Setting::new();
    assert_eq!(setting.says(&["ledger", "create"]).2, Some(0));
    setting.throttle();
    let acting = setting.run("acting");
    setting.all_are_verified().await;
    let verified = || {
        let (told, _, _) = setting.says(&["history", "--totals", "--format", "json"]);
        let told: serde_json::Value = serde_json::from_str(told.lines().next()?).ok()?;
        told["outcomes"]["verified"].as_u64().map(|count| count.to_string())
    };
    // As `history` says it beside the daemon.
    until("a page with every cure", async || {
        let page = get(acting.port(), "/").unwrap_or_default();
        let shown = figure(&page, "verified");
        shown.is_some() && shown == verified() && figure(&page, "open").as_deref() == Some("0")
    })
    .await;
    assert!(get(acting.port(), "/").is_some_and(|page| page.starts_with("HTTP/1.1 200 ")));

    let waiting = setting.run("waiting");
    until("a page of who waits", async || get(waiting.port(), "/").is_some()).await;
    let page = get(waiting.port(), "/").expect("a page");
    assert!(page.contains("There is nothing to show yet"), "{page}");

    // The calls to the table are among those that are counted.
    let metrics = get(acting.port(), "/metrics").expect("metrics");
    for operation in ["TransactWriteItems", "GetItem", "UpdateItem"] {
        let series =
            format!("unthrottled_calls_total{{service=\"DynamoDB\",operation=\"{operation}\",status=\"ok\"}} ");
        assert!(metrics.contains(&series), "{operation}: {metrics}");
    }
}
