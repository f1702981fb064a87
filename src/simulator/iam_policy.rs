//! May this principal do this? A small evaluator of IAM policy documents.
//!
//! It knows what service roles and a permissions boundary need: `Action`/`NotAction`, `Resource`/`NotResource`, the wildcards `*`
//! and `?`, the string conditions, explicit deny before everything, and the intersection with a boundary. A condition operator it
//! does not know never matches, so an unknown statement allows nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is asked: one action on one resource, with the condition keys that the request carries.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// `secretsmanager:GetSecretValue`
    pub action: String,
    /// The ARN that the request is for.
    pub resource: String,
    /// Condition keys in lower case, each with its values.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Access {
    /// An access without condition keys.
    #[must_use]
    pub fn new(action: &str, resource: &str) -> Self {
        Access { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// Adds a condition key; keys are compared without case.
    #[must_use]
    pub fn with(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        self.context.insert(key.to_ascii_lowercase(), values.into_iter().collect());
        self
    }
}

/// The answer, in the words of `SimulatePrincipalPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A policy allows it, and the boundary (if any) does too.
    Allowed,
    /// A statement with `Effect: Deny` matches.
    ExplicitDeny,
    /// Nothing allows it.
    ImplicitDeny,
    /// A policy allows it and the boundary does not.
    OutsideBoundary,
}

impl Decision {
    /// `allowed`, `explicitDeny` or `implicitDeny`, as IAM spells them.
    #[must_use]
    pub fn wire(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::ExplicitDeny => "explicitDeny",
            Decision::ImplicitDeny | Decision::OutsideBoundary => "implicitDeny",
        }
    }

    /// The reason that AWS appends to an access denied message, or nothing if it is allowed.
    #[must_use]
    pub fn because(self, action: &str) -> String {
        match self {
            Decision::Allowed => String::new(),
            Decision::ExplicitDeny => " with an explicit deny in an identity-based policy".to_owned(),
            Decision::ImplicitDeny => {
                format!(" because no identity-based policy allows the {action} action")
            }
            Decision::OutsideBoundary => {
                format!(" because no permissions boundary allows the {action} action")
            }
        }
    }
}

/// Decides `access` under identity policies and an optional boundary. A document that is no policy allows and denies nothing.
pub fn decide<'p>(
    policies: impl IntoIterator<Item = &'p Value>,
    boundary: Option<&Value>,
    access: &Access,
) -> Decision {
    let mut allowed = false;
    for policy in policies {
        match of_document(policy, access) {
            Decision::ExplicitDeny => return Decision::ExplicitDeny,
            Decision::Allowed => allowed = true,
            Decision::ImplicitDeny | Decision::OutsideBoundary => {}
        }
    }
    match boundary.map(|document| of_document(document, access)) {
        Some(Decision::ExplicitDeny) => Decision::ExplicitDeny,
        _ if !allowed => Decision::ImplicitDeny,
        None | Some(Decision::Allowed) => Decision::Allowed,
        Some(_) => Decision::OutsideBoundary,
    }
}

/// What one document says of `access`.
#[must_use]
pub fn of_document(document: &Value, access: &Access) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in one_or_many(document.get("Statement")) {
        if !matches_statement(statement, access) {
            continue;
        }
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => return Decision::ExplicitDeny,
            Some("Allow") => decision = Decision::Allowed,
            _ => {}
        }
    }
    decision
}

/// Why `document` is no identity policy, in IAM's words for `MalformedPolicyDocument`.
pub fn check_document(document: &str) -> Result<Value, &'static str> {
    let value: Value = serde_json::from_str(document).map_err(|_| "Syntax errors in policy.")?;
    if !value.is_object() {
        return Err("Syntax errors in policy.");
    }
    let statements = one_or_many(value.get("Statement"));
    if statements.is_empty() {
        return Err("Syntax errors in policy.");
    }
    for statement in statements {
        if statement.get("Principal").is_some() {
            return Err("Policy document should not specify a principal.");
        }
        let effect = statement.get("Effect").and_then(Value::as_str);
        if !matches!(effect, Some("Allow" | "Deny")) {
            return Err("Syntax errors in policy.");
        }
        let has = |name: &str| statement.get(name).is_some();
        if has("Action") == has("NotAction") {
            return Err("Policy statement must contain actions.");
        }
        if has("Resource") == has("NotResource") {
            return Err("Policy statement must contain resources.");
        }
        let actions = strings(statement.get("Action").or(statement.get("NotAction")));
        if actions.iter().any(|a| *a != "*" && !a.contains(':')) {
            return Err("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
        }
        let resources = strings(statement.get("Resource").or(statement.get("NotResource")));
        if resources.iter().any(|r| *r != "*" && !r.starts_with("arn:")) {
            return Err("Resource must be in ARN format or \"*\".");
        }
    }
    Ok(value)
}

fn matches_statement(statement: &Value, access: &Access) -> bool {
    let any = |member: &str, matches: &dyn Fn(&str) -> bool| {
        statement.get(member).map(|patterns| strings(Some(patterns)).into_iter().any(matches))
    };
    let action = |pattern: &str| like(&pattern.to_ascii_lowercase(), &access.action.to_ascii_lowercase());
    let resource = |pattern: &str| like(pattern, &access.resource);
    let action_ok = match (any("Action", &action), any("NotAction", &action)) {
        (Some(hit), _) => hit,
        (None, Some(hit)) => !hit,
        (None, None) => false,
    };
    let resource_ok = match (any("Resource", &resource), any("NotResource", &resource)) {
        (Some(hit), _) => hit,
        (None, Some(hit)) => !hit,
        (None, None) => false,
    };
    action_ok && resource_ok && conditions_hold(statement.get("Condition"), access)
}

fn conditions_hold(condition: Option<&Value>, access: &Access) -> bool {
    let Some(operators) = condition.and_then(Value::as_object) else {
        return condition.is_none();
    };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, wanted)| {
                let have = access.context.get(&key.to_ascii_lowercase());
                operator_holds(operator, have, &strings(Some(wanted)))
            })
        })
    })
}

fn operator_holds(operator: &str, have: Option<&Vec<String>>, wanted: &[&str]) -> bool {
    let (set, base) = match operator.split_once(':') {
        Some((set, base)) => (set, base),
        None => ("", operator),
    };
    let (base, if_exists) = match base.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (base, false),
    };
    let (compare, negated): (fn(&str, &str) -> bool, bool) = match base {
        "StringEquals" => (|p, v| p == v, false),
        "StringNotEquals" => (|p, v| p == v, true),
        "StringEqualsIgnoreCase" => (|p, v| p.eq_ignore_ascii_case(v), false),
        "StringLike" | "ArnLike" | "ArnEquals" => (like, false),
        "StringNotLike" | "ArnNotLike" => (like, true),
        "Bool" => (|p, v| p.eq_ignore_ascii_case(v), false),
        "Null" => {
            let absent = have.is_none_or(Vec::is_empty);
            return wanted.iter().any(|w| (*w == "true") == absent);
        }
        _ => return false,
    };
    let Some(values) = have.filter(|values| !values.is_empty()) else {
        // IAM: a missing key fails a positive operator, passes a negated one and ForAllValues.
        return if_exists || negated || set == "ForAllValues";
    };
    let one = |value: &String| wanted.iter().any(|w| compare(w, value)) != negated;
    match set {
        "ForAllValues" => values.iter().all(one),
        "ForAnyValue" => values.iter().any(one),
        _ => values.len() == 1 && one(&values[0]),
    }
}

/// `*` and `?` of a policy against a text. Works on characters, without backtracking over more than the last star.
#[must_use]
pub fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn one_or_many(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
        None => Vec::new(),
    }
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    one_or_many(value).into_iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub-AbCdEf";

    fn read() -> Access {
        Access::new("secretsmanager:GetSecretValue", SECRET)
    }

    fn allow(resource: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:getsecretvalue", "Resource": resource}]})
    }

    #[test]
    fn an_exact_arn_and_its_wildcards_allow_and_a_neighbour_does_not() {
        for resource in [SECRET, "*", "arn:aws:secretsmanager:*:*:secret:dockerhub-??????"] {
            assert_eq!(of_document(&allow(resource), &read()), Decision::Allowed, "{resource}");
        }
        for resource in [
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub",
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub-?????",
        ] {
            assert_eq!(of_document(&allow(resource), &read()), Decision::ImplicitDeny, "{resource}");
        }
    }

    #[test]
    fn a_deny_wins_wherever_it_stands_and_not_action_excludes() {
        let deny = json!({"Statement": {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}});
        assert_eq!(decide([&allow("*"), &deny], None, &read()), Decision::ExplicitDeny);
        assert_eq!(decide([&deny, &allow("*")], None, &read()), Decision::ExplicitDeny);
        let spared = json!({"Statement": {"Effect": "Deny", "NotAction": "secretsmanager:*", "Resource": "*"}});
        assert_eq!(decide([&spared, &allow("*")], None, &read()), Decision::Allowed);
        let elsewhere = json!({"Statement": {"Effect": "Deny", "Action": "*", "NotResource": SECRET}});
        assert_eq!(decide([&elsewhere, &allow("*")], None, &read()), Decision::Allowed);
    }

    #[test]
    fn a_boundary_must_allow_too() {
        let narrow = json!({"Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]});
        assert_eq!(decide([&allow("*")], Some(&narrow), &read()), Decision::OutsideBoundary);
        assert_eq!(decide([&allow("*")], Some(&allow("*")), &read()), Decision::Allowed);
        assert_eq!(decide([], Some(&allow("*")), &read()), Decision::ImplicitDeny);
    }

    #[test]
    fn conditions_compare_single_keys_and_sets_of_values() {
        let with = |condition: Value| json!({"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}]});
        let access = Access::new("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/k")
            .with("kms:ViaService", ["secretsmanager.us-east-1.amazonaws.com".to_owned()])
            .with("kms:ResourceAliases", ["alias/a".to_owned(), "alias/b".to_owned()]);
        for (condition, expected) in [
            (json!({"StringEquals": {"kms:viaservice": "secretsmanager.us-east-1.amazonaws.com"}}), true),
            (json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}), false),
            (json!({"StringLike": {"kms:ViaService": ["s3.*", "secretsmanager.*.amazonaws.com"]}}), true),
            (json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/b"}}), true),
            (json!({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/c*"}}), false),
            (json!({"ForAllValues:StringLike": {"kms:ResourceAliases": "alias/a"}}), false),
            (json!({"StringEquals": {"kms:CallerAccount": "111122223333"}}), false),
            (json!({"StringEqualsIfExists": {"kms:CallerAccount": "111122223333"}}), true),
            (json!({"NumericLessThan": {"kms:ViaService": "3"}}), false),
            (json!({"Null": {"kms:CallerAccount": "true"}}), true),
        ] {
            let decision = of_document(&with(condition.clone()), &access);
            assert_eq!(decision == Decision::Allowed, expected, "{condition}");
        }
    }

    #[test]
    fn documents_that_iam_calls_malformed() {
        for document in [
            "",
            "[]",
            "{\"Statement\": []}",
            r#"{"Statement": [{"Effect": "allow", "Action": "s3:*", "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": "GetObject", "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "bucket"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*"}]}"#,
        ] {
            assert!(check_document(document).is_err(), "{document}");
        }
        assert!(check_document(&allow(SECRET).to_string()).is_ok());
    }
}
