//! IAM: roles, their inline policies, and the simulation of what a role may do.

use serde_json::{Value, json};

use super::account::{Account, Role};
use super::iam_policy::{self, Access, Decision};
use super::refusal::{Answer, Refusal};

/// The sum over all inline policies of a role; white space does not count.
const INLINE_LIMIT: usize = 10_240;

impl Account {
    /// Dispatches an IAM operation. Answers are written as XML by `xml`.
    pub(super) fn iam(&mut self, operation: &str, input: &Value) -> Option<Answer> {
        Some(match operation {
            "GetRole" => self.get_role(input),
            "ListRolePolicies" => self.list_role_policies(input),
            "GetRolePolicy" => self.get_role_policy(input),
            "PutRolePolicy" => self.put_role_policy(input),
            "DeleteRolePolicy" => self.delete_role_policy(input),
            "SimulatePrincipalPolicy" => self.simulate_principal_policy(input),
            _ => return None,
        })
    }

    fn find_role(&self, input: &Value) -> Result<(&str, &Role), Refusal> {
        let name = input["RoleName"].as_str().unwrap_or_default();
        self.roles
            .get_key_value(name)
            .map(|(name, role)| (name.as_str(), role))
            .ok_or_else(|| Refusal::no_such_entity(format!("The role with name {name} cannot be found.")))
    }

    /// A role that may be changed: a service-linked one may not.
    fn find_own_role(&self, input: &Value) -> Result<String, Refusal> {
        let (name, role) = self.find_role(input)?;
        if role.path.starts_with("/aws-service-role/") {
            return Err(Refusal::new(
                400,
                "UnmodifiableEntity",
                format!(
                    "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
                ),
            ));
        }
        Ok(name.to_owned())
    }

    fn get_role(&self, input: &Value) -> Answer {
        let (name, role) = self.find_role(input)?;
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let mut json = json!({
            "Path": role.path,
            "RoleName": name,
            "RoleId": role.id,
            "Arn": role.arn(&self.account_id, name),
            "CreateDate": role.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "AssumeRolePolicyDocument": url_encoded(&trust.to_string()),
            "MaxSessionDuration": 3600,
        });
        if role.boundary.is_some() {
            json["PermissionsBoundary"] = json!({
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": self.boundary_arn(name),
            });
        }
        Ok(json!({ "Role": json }))
    }

    fn list_role_policies(&self, input: &Value) -> Answer {
        let (_, role) = self.find_role(input)?;
        let limit = input["MaxItems"].as_str().and_then(|text| text.parse().ok()).unwrap_or(100);
        let after = input["Marker"].as_str().unwrap_or_default();
        let all = role.inline.latest();
        let mut names = all.into_iter().flat_map(|all| all.keys()).filter(|name| name.as_str() > after);
        let page: Vec<&String> = names.by_ref().take(limit).collect();
        let more = names.next().is_some();
        let mut answer = json!({"PolicyNames": page, "IsTruncated": more});
        if let (true, Some(last)) = (more, page.last()) {
            answer["Marker"] = json!(last);
        }
        Ok(answer)
    }

    fn get_role_policy(&self, input: &Value) -> Answer {
        let (name, role) = self.find_role(input)?;
        let policy = input["PolicyName"].as_str().unwrap_or_default();
        let document =
            role.inline.latest().and_then(|policies| policies.get(policy)).ok_or_else(|| no_such_policy(policy))?;
        Ok(json!({"RoleName": name, "PolicyName": policy, "PolicyDocument": url_encoded(document)}))
    }

    fn put_role_policy(&mut self, input: &Value) -> Answer {
        let role = self.find_own_role(input)?;
        let policy = input["PolicyName"].as_str().unwrap_or_default().to_owned();
        let document = input["PolicyDocument"].as_str().unwrap_or_default().to_owned();
        iam_policy::check_document(&document).map_err(|why| Refusal::new(400, "MalformedPolicyDocument", why))?;
        let size = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let others: usize = self
            .roles
            .get(&role)
            .and_then(|role| role.inline.latest())
            .into_iter()
            .flatten()
            .filter(|(name, _)| **name != policy)
            .map(|(_, text)| size(text))
            .sum();
        if others + size(&document) > INLINE_LIMIT {
            return Err(Refusal::new(
                409,
                "LimitExceeded",
                format!("Maximum policy size of {INLINE_LIMIT} bytes exceeded for role {role}"),
            ));
        }
        self.change_inline(&role, |policies| {
            policies.insert(policy, document);
        });
        Ok(json!({}))
    }

    fn delete_role_policy(&mut self, input: &Value) -> Answer {
        let role = self.find_own_role(input)?;
        let policy = input["PolicyName"].as_str().unwrap_or_default();
        let known = self
            .roles
            .get(&role)
            .and_then(|role| role.inline.latest())
            .is_some_and(|policies| policies.contains_key(policy));
        if !known {
            return Err(no_such_policy(policy));
        }
        self.change_inline(&role, |policies| {
            policies.remove(policy);
        });
        Ok(json!({}))
    }

    /// Identity policies, those of the request added, and the boundary; resource policies are not simulated for roles.
    fn simulate_principal_policy(&self, input: &Value) -> Answer {
        let source = input["PolicySourceArn"].as_str().unwrap_or_default();
        let name = source.rsplit('/').next().unwrap_or_default();
        // By the whole ARN: with a path left out, it is another one's.
        let role = self
            .roles
            .get(name)
            .filter(|role| role.arn(&self.account_id, name) == source)
            .ok_or_else(|| Refusal::no_such_entity(format!("The role with name {name} cannot be found.")))?;
        let mut policies = self.policies_of(name, jiff::SignedDuration::ZERO);
        for document in texts(&input["PolicyInputList"]) {
            let parsed = iam_policy::check_document(document).map_err(|why| Refusal::new(400, "InvalidInput", why))?;
            policies.push(parsed);
        }
        let boundary_input = texts(&input["PermissionsBoundaryPolicyInputList"])
            .first()
            .and_then(|text| serde_json::from_str(text).ok());
        let boundary: Option<Value> = boundary_input.or(role.boundary.clone());
        let mut resources = texts(&input["ResourceArns"]);
        if resources.is_empty() {
            resources.push("*");
        }
        let mut results = Vec::new();
        for action in texts(&input["ActionNames"]) {
            for resource in &resources {
                let access = with_context(Access::new(action, resource), &input["ContextEntries"]);
                let mut decision = iam_policy::decide(&policies, boundary.as_ref(), &access);
                let organization =
                    self.service_control_policy.as_ref().map(|scp| iam_policy::of_document(scp, &access));
                if let Some(denied @ (Decision::ExplicitDeny | Decision::ImplicitDeny)) = organization {
                    decision = denied;
                }
                let mut result = json!({
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": decision.wire(),
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                });
                if let Some(organization) = organization {
                    let allowed = organization == Decision::Allowed;
                    result["OrganizationsDecisionDetail"] = json!({ "AllowedByOrganizations": allowed });
                }
                if let Some(boundary) = &boundary {
                    let allowed = iam_policy::of_document(boundary, &access) == Decision::Allowed;
                    result["PermissionsBoundaryDecisionDetail"] = json!({ "AllowedByPermissionsBoundary": allowed });
                }
                results.push(result);
            }
        }
        Ok(json!({"EvaluationResults": results, "IsTruncated": false}))
    }

    /// STS, as far as a program asks who it is or takes a role.
    pub(super) fn sts(&mut self, operation: &str, input: &Value, access_key: &str) -> Option<Answer> {
        let account = self.account_id.clone();
        Some(match operation {
            "GetCallerIdentity" => Ok(json!({
                "Arn": match self.sessions.get(access_key) {
                    Some(role) => format!("arn:aws:sts::{account}:assumed-role/{role}/simulated"),
                    None => format!("arn:aws:sts::{account}:assumed-role/caller/simulated"),
                },
                "UserId": "AROASIMULATEDACCOUNT1:simulated",
                "Account": account,
            })),
            "AssumeRole" => {
                let role = input["RoleArn"].as_str().unwrap_or_default();
                let session = input["RoleSessionName"].as_str().unwrap_or_default();
                let name = role.rsplit('/').next().unwrap_or_default();
                let until = self.now + jiff::SignedDuration::from_hours(1);
                let access_key = format!("ASIA{}", self.new_suffix(16).to_ascii_uppercase());
                self.sessions.insert(access_key.clone(), name.to_owned());
                Ok(json!({
                    "Credentials": {
                        "AccessKeyId": access_key,
                        "SecretAccessKey": self.new_suffix(40),
                        "SessionToken": self.new_suffix(64),
                        "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    },
                    "AssumedRoleUser": {
                        "AssumedRoleId": format!("AROASIMULATEDACCOUNT1:{session}"),
                        "Arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
                    },
                }))
            }
            _ => return None,
        })
    }
}

fn with_context(mut access: Access, entries: &Value) -> Access {
    for entry in entries.as_array().into_iter().flatten() {
        let key = entry["ContextKeyName"].as_str().unwrap_or_default();
        let values = texts(&entry["ContextKeyValues"]);
        access = access.with(key, values.into_iter().map(ToOwned::to_owned));
    }
    access
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn no_such_policy(policy: &str) -> Refusal {
    Refusal::no_such_entity(format!("The role policy with name {policy} cannot be found."))
}

/// RFC 3986: everything but the unreserved characters.
fn url_encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}
