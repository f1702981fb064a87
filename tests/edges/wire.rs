//! A server on loopback that gives the next written-down answer to each call and keeps what it was sent.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use unthrottled::edge::aws::{Aws, Connection, Retries};

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Of a JSON service.
    Json(Value),
    /// An error of a JSON service: HTTP status, code, message.
    JsonError(u16, &'static str, &'static str),
    /// Of IAM: what stands in `<…Result>`.
    Xml(String),
    /// An error of IAM: HTTP status, code.
    XmlError(u16, &'static str),
    /// Status, content type, body: anything else.
    Raw(u16, &'static str, Vec<u8>),
    /// More is announced than is sent.
    Truncated(Value),
    /// The connection ends without an answer.
    Dropped,
    /// The connection stays open without an answer.
    Never,
}

/// What was sent: the operation and its body, JSON as such and IAM's form as a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub operation: String,
    pub body: Value,
}

/// The server, which ends with the test's runtime.
pub struct Wire {
    endpoint: String,
    script: Arc<Mutex<VecDeque<(&'static str, Answer)>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Wire {
    /// Answers these operations in this order; any other call gets an error that no test expects.
    pub async fn new(script: impl IntoIterator<Item = (&'static str, Answer)>) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            sent: Arc::default(),
        };
        let (script, sent) = (wire.script.clone(), wire.sent.clone());
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                let next = script.lock().unwrap().pop_front();
                let answer = match next {
                    Some((operation, answer)) if operation == request.operation => answer,
                    next => panic!("{} came when {next:?} was to be answered", request.operation),
                };
                sent.lock().unwrap().push(request.clone());
                match bytes(&request.operation, answer.clone()) {
                    Some(bytes) => stream.write_all(&bytes).await.unwrap(),
                    None if matches!(answer, Answer::Never) => unanswered.push(stream),
                    None => {}
                }
            }
        });
        wire
    }

    /// Edges that send each call once.
    pub async fn aws(&self) -> Aws {
        self.aws_with(Retries::none()).await
    }

    /// Edges with these retries.
    pub async fn aws_with(&self, retries: Retries) -> Aws {
        let connection = Connection { retries, ..Connection::to_loopback(&self.endpoint) };
        Aws::connect(&connection).await.unwrap()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Everything that was sent. Every answer must have been asked for.
    pub fn sent(&self) -> Vec<Sent> {
        let left = self.script.lock().unwrap();
        assert!(left.is_empty(), "never asked for: {left:?}");
        self.sent.lock().unwrap().clone()
    }

    /// The body of the only call of this operation.
    pub fn body_of(&self, operation: &str) -> Value {
        let bodies: Vec<Value> =
            self.sent().into_iter().filter(|sent| sent.operation == operation).map(|sent| sent.body).collect();
        assert_eq!(bodies.len(), 1, "calls of {operation}");
        bodies[0].clone()
    }

    /// The operations, in the order in which they came.
    pub fn operations(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.operation).collect()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Sent> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes[..end].to_vec()).unwrap();
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return None;
        }
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string())
    };
    let length: usize = header("content-length").unwrap().parse().unwrap();
    while bytes.len() < head.len() + 4 + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let body = String::from_utf8(bytes[head.len() + 4..].to_vec()).unwrap();
    Some(match header("x-amz-target") {
        Some(target) => Sent {
            operation: target.rsplit('.').next().unwrap().to_string(),
            body: serde_json::from_str(&body).unwrap(),
        },
        None => Sent {
            operation: body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap().to_string(),
            body: Value::String(body),
        },
    })
}

fn bytes(operation: &str, answer: Answer) -> Option<Vec<u8>> {
    const JSON: &str = "application/x-amz-json-1.1";
    let (status, kind, body, announced) = match answer {
        Answer::Json(body) => (200, JSON, body.to_string().into_bytes(), None),
        Answer::JsonError(status, code, message) => {
            (status, JSON, json!({"__type": code, "message": message}).to_string().into_bytes(), None)
        }
        Answer::Xml(result) => {
            let body =
                format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
            (200, "text/xml", body.into_bytes(), None)
        }
        Answer::XmlError(status, code) => {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            );
            (status, "text/xml", body.into_bytes(), None)
        }
        Answer::Raw(status, kind, body) => (status, kind, body, None),
        Answer::Truncated(body) => {
            let whole = body.to_string().into_bytes();
            (200, JSON, whole[..whole.len() / 2].to_vec(), Some(whole.len()))
        }
        Answer::Dropped | Answer::Never => return None,
    };
    let length = announced.unwrap_or(body.len());
    let head =
        format!("HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    Some([head.into_bytes(), body].concat())
}
