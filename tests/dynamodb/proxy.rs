//! A way to the table on which calls and answers get lost, come late, are cut, or are refused by what is in between.

use super::url;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It does not reach the table, and the connection ends.
    LostCall,
    /// The table does as it is told, and the connection ends without an answer.
    LostAnswer,
    /// The table does as it is told, and the connection ends in the middle of the answer.
    CutAnswer,
    /// The table does as it is told, and the answer has lost its content.
    EmptyAnswer,
    /// It is refused before it reaches the table.
    Refused(Refusal),
    /// The table does as it is told, and something in between says that it failed.
    RefusedAfter(Refusal),
    /// It is held, without an answer; [`Proxy::let_on`] lets it reach the table.
    Late,
    /// The table does as it is told, and nothing is answered.
    Silence,
}

/// What DynamoDB, or something before it, refuses a call with.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    /// AWS's code; none is an answer of something that is not AWS.
    pub code: &'static str,
    /// Of each write of a transaction, in its order.
    pub reasons: Vec<&'static str>,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str) -> Refusal {
        Refusal { status, code, reasons: Vec::new() }
    }

    pub fn cancelled(reasons: &[&'static str]) -> Refusal {
        Refusal { reasons: reasons.to_vec(), ..Refusal::new(400, "TransactionCanceledException") }
    }

    fn answer(&self) -> Vec<u8> {
        let Refusal { status, code, reasons } = self;
        let mut body = serde_json::json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
            "message": format!("said {code}"),
        });
        if !reasons.is_empty() {
            let reasons: Vec<_> = reasons.iter().map(|code| serde_json::json!({ "Code": code })).collect();
            body["CancellationReasons"] = reasons.into();
        }
        let body = if code.is_empty() { "<html>no</html>".to_string() } else { body.to_string() };
        let head = "content-type: application/x-amz-json-1.0";
        format!("HTTP/1.1 {status} no\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

#[derive(Debug)]
struct Rule {
    operations: Vec<&'static str>,
    fault: Fault,
    left: u32,
}

/// A proxy that ends with the test's runtime.
pub struct Proxy {
    pub address: String,
    trouble: Arc<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    rules: Mutex<Vec<Rule>>,
    on: Notify,
    /// The actions that the caller may do; all, if none are named.
    allowed: Mutex<Option<Vec<String>>>,
}

/// Without limit.
pub const ALL: u32 = u32::MAX;

/// What changes the table's items.
pub const WRITES: [&str; 3] = ["TransactWriteItems", "UpdateItem", "PutItem"];

/// What the ledger and the lease ask of DynamoDB.
pub const CALLS: [&str; 5] = ["TransactWriteItems", "UpdateItem", "PutItem", "GetItem", "Query"];

impl Proxy {
    /// On the way of every call.
    pub async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let trouble = Arc::new(Trouble::default());
        let made = Arc::clone(&trouble);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection is what it is for.
                tokio::spawn(carry(client, Arc::clone(&made)));
            }
        });
        Proxy { address, trouble }
    }

    /// So many of the next calls of these operations meet this fault, after those that were named before.
    pub fn fail(&self, operations: &[&'static str], fault: Fault, times: u32) {
        self.trouble.rules.lock().unwrap().push(Rule { operations: operations.to_vec(), fault, left: times });
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.trouble.rules.lock().unwrap().clear();
    }

    /// From now on the caller may do this alone, as IAM would hold it to.
    pub fn allow(&self, actions: &[&str]) {
        *self.trouble.allowed.lock().unwrap() = Some(actions.iter().map(ToString::to_string).collect());
    }

    /// Lets a late call on.
    pub fn let_on(&self) {
        self.trouble.on.notify_one();
    }
}

impl Trouble {
    fn next(&self, head: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let is_meant = |rule: &&mut Rule| {
            rule.left > 0 && rule.operations.iter().any(|name| head.contains(&format!("DynamoDB_20120810.{name}\r\n")))
        };
        let rule = rules.iter_mut().find(is_meant)?;
        if rule.left != ALL {
            rule.left -= 1;
        }
        Some(rule.fault.clone())
    }

    /// What is denied of a call, as DynamoDB says it.
    fn denial(&self, call: &str) -> Option<Vec<u8>> {
        let allowed = self.allowed.lock().unwrap();
        let is_denied = |action: &String| allowed.as_ref().is_some_and(|all| !all.contains(action));
        actions(call).iter().any(is_denied).then(|| Refusal::new(400, "AccessDeniedException").answer())
    }
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

async fn carry(mut client: TcpStream, trouble: Arc<Trouble>) -> std::io::Result<()> {
    let url = url();
    let mut server = TcpStream::connect(url.trim_start_matches("http://")).await?;
    loop {
        let Some(call) = message(&mut client).await? else { return Ok(()) };
        let head = String::from_utf8_lossy(&call[..call.len().min(4096)]).to_string();
        if let Some(denial) = trouble.denial(&String::from_utf8_lossy(&call)) {
            client.write_all(&denial).await?;
            continue;
        }
        let fault = trouble.next(&head);
        match &fault {
            Some(Fault::LostCall) => return Ok(()),
            Some(Fault::Refused(refusal)) => {
                client.write_all(&refusal.answer()).await?;
                continue;
            }
            Some(Fault::Late) => trouble.on.notified().await,
            _ => (),
        }
        server.write_all(&call).await?;
        let Some(answer) = message(&mut server).await? else { return Ok(()) };
        match &fault {
            Some(Fault::LostAnswer) => return Ok(()),
            Some(Fault::CutAnswer) => return client.write_all(&answer[..answer.len() - 1]).await,
            Some(Fault::EmptyAnswer) => {
                client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await?;
            }
            Some(Fault::RefusedAfter(refusal)) => client.write_all(&refusal.answer()).await?,
            Some(Fault::Silence) => return std::future::pending().await,
            _ => client.write_all(&answer).await?,
        }
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
