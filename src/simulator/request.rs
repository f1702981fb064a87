//! A request on the wire: which service, which operation, what input; and how it is answered.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::refusal::{Answer, Refusal};
use super::xml;

/// A request that is understood.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) service: &'static str,
    pub(super) operation: String,
    pub(super) input: Value,
    /// The access key that the request is signed with.
    pub(super) access_key: String,
}

/// An answer as bytes.
pub(super) struct Outgoing {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

const JSON: &str = "application/x-amz-json-1.1";

impl Incoming {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Incoming, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut incoming = match header("x-amz-target") {
            Some(target) => Incoming::json(target, body)?,
            None => Incoming::form(&String::from_utf8_lossy(body))?,
        };
        let Some(authorization) = header("authorization") else {
            return Err(Refusal::new(400, "MissingAuthenticationTokenException", "Missing Authentication Token"));
        };
        // AWS4-HMAC-SHA256 Credential=AKIA…/20261121/us-east-1/iam/aws4_request, …
        let signed = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
        signed.split('/').next().unwrap_or_default().clone_into(&mut incoming.access_key);
        Ok(incoming)
    }

    fn json(target: &str, body: &[u8]) -> Result<Incoming, Refusal> {
        let unknown = || Refusal::new(400, "UnknownOperationException", "");
        let (prefix, operation) = target.split_once('.').ok_or_else(unknown)?;
        let service = match prefix {
            "CodeBuild_20161006" => "codebuild",
            "Logs_20140328" => "logs",
            "secretsmanager" => "secretsmanager",
            _ => return Err(unknown()),
        };
        let input: Value = if body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(body)
                .map_err(|error| Refusal::new(400, "SerializationException", error.to_string()))?
        };
        if !input.is_object() {
            return Err(Refusal::new(
                400,
                "SerializationException",
                "Start of structure or map found where not expected.",
            ));
        }
        Ok(Incoming { service, operation: operation.to_owned(), input, access_key: String::new() })
    }

    fn form(body: &str) -> Result<Incoming, Refusal> {
        let input = xml::read_form(body);
        let service = match input["Version"].as_str() {
            Some("2010-05-08") => "iam",
            Some("2011-06-15") => "sts",
            _ => {
                return Err(Refusal::new(400, "MissingAction", "Could not find Action or Version."));
            }
        };
        let operation = input["Action"].as_str().unwrap_or_default().to_owned();
        Ok(Incoming { service, operation, input, access_key: String::new() })
    }

    /// The error of an operation that the service (as simulated) does not have.
    pub(super) fn unknown_operation(&self) -> Refusal {
        if self.speaks_xml() {
            let (operation, version) = (&self.operation, &self.input["Version"]);
            let version = version.as_str().unwrap_or_default();
            let message = format!("Could not find operation {operation} for version {version}");
            Refusal::new(400, "InvalidAction", message)
        } else {
            Refusal::new(400, "UnknownOperationException", "")
        }
    }

    pub(super) fn speaks_xml(&self) -> bool {
        matches!(self.service, "iam" | "sts")
    }

    /// What the request is about, in short.
    pub(super) fn target(&self) -> String {
        let member = |name: &str| self.input[name].as_str();
        if let Some(role) = member("RoleName") {
            return match member("PolicyName") {
                Some(policy) => format!("{role}/{policy}"),
                None => role.to_owned(),
            };
        }
        let first = |name: &str| self.input[name].as_array().filter(|items| items.len() == 1)?[0].as_str();
        ["projectName", "name", "id", "SecretId", "Name", "logGroupName", "PolicySourceArn", "RoleArn"]
            .iter()
            .find_map(|name| member(name))
            .or(first("names"))
            .or(first("ids"))
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) fn answer(&self, answer: &Answer, request_id: &str) -> Outgoing {
        let status = answer.as_ref().map_or_else(|refusal| refusal.status, |_| 200);
        let (content_type, body) = match (self.speaks_xml(), answer) {
            (true, Ok(value)) => ("text/xml", xml::answer(self.service, &self.operation, value, request_id)),
            (true, Err(refusal)) => ("text/xml", xml::error(self.service, refusal, request_id)),
            (false, Ok(value)) => (JSON, value.to_string()),
            (false, Err(refusal)) => (JSON, json_error(refusal)),
        };
        Outgoing { status, content_type, body }
    }
}

/// The answer to a request that is not understood, in the protocol that its headers suggest.
pub(super) fn not_understood(headers: &HeaderMap, refusal: &Refusal, request_id: &str) -> Outgoing {
    let json = headers.contains_key("x-amz-target");
    Outgoing {
        status: refusal.status,
        content_type: if json { JSON } else { "text/xml" },
        body: if json { json_error(refusal) } else { xml::error("iam", refusal, request_id) },
    }
}

fn json_error(refusal: &Refusal) -> String {
    if refusal.message.is_empty() {
        return json!({"__type": refusal.code}).to_string();
    }
    json!({"__type": refusal.code, "message": refusal.message}).to_string()
}
