//! May the caller do this? The policies of a role whose sessions are held to them, asked for each call as AWS asks.
//!
//! Which ARN an action is asked for is that of AWS's service authorization reference. Nobody is held to anything but
//! roles that [`RoleEdit::called_by`](super::RoleEdit::called_by) or [`RoleEdit::held`](super::RoleEdit::held) named.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::account::Account;
use super::iam_policy::{self, Access, Decision};
use super::refusal::Refusal;
use super::request::Incoming;

impl Account {
    /// Refuses what the caller's policies do not allow.
    pub(super) fn authorize(&self, incoming: &Incoming) -> Result<(), Refusal> {
        let Some(role) = self.sessions.get(&incoming.access_key) else {
            return self.check_trust(incoming, None);
        };
        if self.roles.get(role).is_none_or(|role| !role.held) {
            return self.check_trust(incoming, None);
        }
        for access in self.accesses(incoming) {
            let organization =
                self.service_control_policy.as_ref().map(|policy| iam_policy::of_document(policy, &access));
            if organization.is_some_and(|decision| decision != Decision::Allowed) {
                let because = match organization {
                    Some(Decision::ExplicitDeny) => " with an explicit deny in a service control policy".to_owned(),
                    _ => format!(" because no service control policy allows the {} action", access.action),
                };
                return Err(self.not_authorized(incoming, role, &access, &because));
            }
            let decision = self.decide_for_role(role, &access, SignedDuration::ZERO);
            if decision != Decision::Allowed {
                return Err(self.not_authorized(incoming, role, &access, &decision.because(&access.action)));
            }
        }
        self.check_key(incoming, role)?;
        self.check_trust(incoming, Some(role))
    }

    fn not_authorized(&self, incoming: &Incoming, role: &str, access: &Access, because: &str) -> Refusal {
        let (status, code) = if incoming.speaks_xml() { (403, "AccessDenied") } else { (400, "AccessDeniedException") };
        let (account, Access { action, resource, .. }) = (&self.account_id, access);
        let who = format!("arn:aws:sts::{account}:assumed-role/{role}/simulated");
        let on = if resource == "*" { String::new() } else { format!(" on resource: {resource}") };
        Refusal::new(status, code, format!("User: {who} is not authorized to perform: {action}{on}{because}"))
    }

    /// What a call is asked for: one action on each resource that it names.
    fn accesses(&self, incoming: &Incoming) -> Vec<Access> {
        let Incoming { service, operation, input, .. } = incoming;
        let action = format!("{service}:{operation}");
        match (*service, operation.as_str()) {
            ("codebuild", "ListBuilds" | "ListProjects") => vec![Access::new(&action, "*")],
            ("codebuild", _) => self.on_projects(&action, input),
            ("logs", _) => vec![Access::new(&action, &self.log_arn(input))],
            ("secretsmanager", _) => vec![Access::new(&action, &self.secret_arn(input))],
            ("iam", "SimulatePrincipalPolicy") => {
                vec![Access::new(&action, input["PolicySourceArn"].as_str().unwrap_or_default())]
            }
            ("iam", _) => vec![self.on_role(&action, input)],
            ("sts", "AssumeRole") => vec![Access::new(&action, input["RoleArn"].as_str().unwrap_or_default())],
            // Who one is may always be asked.
            ("sts", "GetCallerIdentity") => Vec::new(),
            _ => vec![Access::new(&action, "*")],
        }
    }

    /// A build belongs to its project, whose ARN is asked for. An update that names a role passes it.
    fn on_projects(&self, action: &str, input: &Value) -> Vec<Access> {
        let one = ["projectName", "name", "id"].iter().find_map(|member| input[*member].as_str());
        let many = ["names", "ids"].iter().find_map(|member| input[*member].as_array());
        let named = one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str));
        let name = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        let mut accesses: Vec<Access> = named
            .map(name)
            .map(|name| {
                let access = Access::new(action, &self.arn("codebuild", &format!("project/{name}")));
                self.tags_of(&name)
                    .into_iter()
                    .fold(access, |access, (key, value)| access.with(&format!("aws:ResourceTag/{key}"), [value]))
            })
            .collect();
        if let Some(role) = input["serviceRole"].as_str() {
            let to = ["codebuild.amazonaws.com".to_owned()];
            accesses.push(Access::new("iam:PassRole", role).with("iam:PassedToService", to));
        }
        accesses
    }

    fn tags_of(&self, project: &str) -> Vec<(String, String)> {
        let json = self.project_now(project);
        let tags = json.and_then(|json| json["tags"].as_array()).into_iter().flatten();
        let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
        tags.map(|tag| (text(tag, "key"), text(tag, "value"))).collect()
    }

    /// The stream's ARN; that of a group alone ends where the stream would begin.
    fn log_arn(&self, input: &Value) -> String {
        let group = input["logGroupName"].as_str().unwrap_or_default();
        let stream = input["logStreamName"].as_str().unwrap_or_default();
        self.arn("logs", &format!("log-group:{group}:log-stream:{stream}"))
    }

    /// The ARN with its suffix; what is not there is asked for as it was named.
    fn secret_arn(&self, input: &Value) -> String {
        let id = input["SecretId"].as_str().or(input["Name"].as_str()).unwrap_or_default();
        let known = self.secret_name(id).and_then(|name| self.secrets.get(&name));
        match known {
            Some(secret) => secret.arn.clone(),
            None if id.starts_with("arn:") => id.to_owned(),
            None => self.arn("secretsmanager", &format!("secret:{id}")),
        }
    }

    fn on_role(&self, action: &str, input: &Value) -> Access {
        let name = input["RoleName"].as_str().unwrap_or_default();
        let Some(role) = self.roles.get(name) else {
            return Access::new(action, &format!("arn:aws:iam::{}:role/{name}", self.account_id));
        };
        let access = Access::new(action, &role.arn(&self.account_id, name));
        match &role.boundary {
            Some(_) => access.with("iam:PermissionsBoundary", [self.boundary_arn(name)]),
            None => access,
        }
    }

    /// The boundary of a role, by ARN.
    pub(super) fn boundary_arn(&self, role: &str) -> String {
        format!("arn:aws:iam::{}:policy/{role}-boundary", self.account_id)
    }

    /// A value under a customer's key is decrypted as the caller.
    fn check_key(&self, incoming: &Incoming, role: &str) -> Result<(), Refusal> {
        if (incoming.service, incoming.operation.as_str()) != ("secretsmanager", "GetSecretValue") {
            return Ok(());
        }
        let id = incoming.input["SecretId"].as_str().unwrap_or_default();
        let secret = self.secret_name(id).and_then(|name| self.secrets.get(&name));
        let readable = secret
            .is_none_or(|secret| self.may_decrypt(role, secret.kms_key.as_deref(), &secret.arn, SignedDuration::ZERO));
        match readable {
            true => Ok(()),
            false => Err(Refusal::new(400, "AccessDeniedException", "Access to KMS is not allowed")),
        }
    }

    /// A role with a trust policy is taken on by those alone whom it names. In AWS every role has one; here those that a
    /// test gives one.
    fn check_trust(&self, incoming: &Incoming, caller: Option<&str>) -> Result<(), Refusal> {
        if (incoming.service, incoming.operation.as_str()) != ("sts", "AssumeRole") {
            return Ok(());
        }
        let wanted = incoming.input["RoleArn"].as_str().unwrap_or_default();
        let name = wanted.rsplit('/').next().unwrap_or_default();
        let Some(trust) = self.roles.get(name).and_then(|role| role.trust.as_ref()) else {
            return Ok(());
        };
        let own_arn = caller.and_then(|name| Some(self.roles.get(name)?.arn(&self.account_id, name)));
        let id = incoming.input["ExternalId"].as_str().map(ToOwned::to_owned);
        let access = Access::new("sts:AssumeRole", "*").with("sts:ExternalId", id);
        let allowed = trust["Statement"].as_array().into_iter().flatten().any(|statement| {
            let principal = statement["Principal"]["AWS"].as_str();
            let mut of_resource = statement.clone();
            of_resource["Resource"] = json!("*");
            let document = json!({ "Statement": [of_resource] });
            principal.is_some()
                && principal == own_arn.as_deref()
                && iam_policy::of_document(&document, &access) == Decision::Allowed
        });
        if allowed {
            return Ok(());
        }
        let access = Access::new("sts:AssumeRole", wanted);
        Err(self.not_authorized(incoming, caller.unwrap_or("caller"), &access, ""))
    }
}
