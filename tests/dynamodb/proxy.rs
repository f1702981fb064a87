//! A way to the table on which answers get lost, or on which a caller is held to what it may do.

use super::url;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// They reach the table, which does as it is told; the answer does not come back.
    Answer,
    /// They do not reach the table.
    Call,
}

/// A proxy that ends with the test's runtime.
pub struct Proxy {
    pub address: String,
    answers: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
    allowed: Allowed,
}

/// The actions that the caller may do; all, if none are named.
type Allowed = Arc<Mutex<Option<Vec<String>>>>;

/// Without limit.
pub const ALL: u32 = u32::MAX;

impl Proxy {
    /// On the way of every call that is no look.
    pub async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answers, calls) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let allowed = Allowed::default();
        let rules = (Arc::clone(&answers), Arc::clone(&calls), Arc::clone(&allowed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection is what it is for.
                tokio::spawn(carry(client, Arc::clone(&rules.0), Arc::clone(&rules.1), Arc::clone(&rules.2)));
            }
        });
        Proxy { address, answers, calls, allowed }
    }

    /// From now on the caller may do this alone, as IAM would hold it to.
    pub fn allow(&self, actions: &[&str]) {
        *self.allowed.lock().unwrap() = Some(actions.iter().map(ToString::to_string).collect());
    }

    /// So many of the next writes get lost.
    pub fn lose(&self, loss: Loss, times: u32) {
        match loss {
            Loss::Answer => self.answers.store(times, Ordering::SeqCst),
            Loss::Call => self.calls.store(times, Ordering::SeqCst),
        }
    }
}

/// Whether there is one left to lose.
fn take_one(left: &AtomicU32) -> bool {
    let less = |left: u32| match left {
        0 => None,
        ALL => Some(ALL),
        some => Some(some - 1),
    };
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
}

/// The actions that a call is asked for: those of its parts, where it is a transaction.
fn actions(call: &str) -> Vec<String> {
    let target = call.lines().find(|line| line.to_ascii_lowercase().starts_with("x-amz-target:")).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().trim();
    if operation != "TransactWriteItems" {
        return vec![format!("dynamodb:{operation}")];
    }
    let parts = [("\"Put\"", "PutItem"), ("\"Update\"", "UpdateItem"), ("\"ConditionCheck\"", "ConditionCheckItem")];
    let used = parts.into_iter().filter(|(part, _)| call.contains(part));
    used.map(|(_, action)| format!("dynamodb:{action}")).collect()
}

/// What is denied of a call, as DynamoDB says it.
fn denial(call: &str, allowed: &Allowed) -> Option<String> {
    let allowed = allowed.lock().unwrap();
    let denied = actions(call).into_iter().find(|action| allowed.as_ref().is_some_and(|all| !all.contains(action)))?;
    let body = format!(
        r#"{{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: u is not authorized to perform: {denied}"}}"#
    );
    Some(format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

async fn carry(
    mut client: TcpStream,
    answers: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
    allowed: Allowed,
) -> std::io::Result<()> {
    let url = url();
    let mut server = TcpStream::connect(url.trim_start_matches("http://")).await?;
    loop {
        let Some(call) = message(&mut client).await? else { return Ok(()) };
        let head = String::from_utf8_lossy(&call[..call.len().min(4096)]).to_string();
        if let Some(denial) = denial(&String::from_utf8_lossy(&call), &allowed) {
            client.write_all(denial.as_bytes()).await?;
            continue;
        }
        let writes = ["TransactWriteItems", "UpdateItem", "PutItem"].iter().any(|name| head.contains(name));
        if writes && take_one(&calls) {
            return Ok(());
        }
        server.write_all(&call).await?;
        let Some(answer) = message(&mut server).await? else { return Ok(()) };
        if writes && take_one(&answers) {
            return Ok(());
        }
        client.write_all(&answer).await?;
        client.flush().await?;
    }
}

/// One HTTP message: its head, and as much as it says follows.
async fn message<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let end = loop {
        if let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    while message.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(message))
}
