//! The templates in `deploy/`, held against the program: the settings that they pass are read, and the roles that they make
//! are what `iam-policy` prints for those settings, statement by statement.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use serde_json::{Map, Value as Json, json};
use serde_norway::Value;
use std::collections::BTreeMap;
use std::process::Command;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-central-1";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/builds";
const MEMBER: &str = "arn:aws:iam::444455556666:role/unthrottled-eu-west-1";
const SCOPES: &str = r#"[{name = "here"}, {name = "prod", region = "eu-west-1", role_arn = "arn:aws:iam::444455556666:role/unthrottled-eu-west-1", external_id = "unthrottled-prod"}]"#;

/// A template with its parameters, resolved as CloudFormation does it, as far as ours go.
struct Template {
    whole: Value,
    given: BTreeMap<String, Json>,
}

impl Template {
    fn read(file: &str, given: &[(&str, Json)]) -> Template {
        let path = format!("{}/deploy/{file}", env!("CARGO_MANIFEST_DIR"));
        let whole: Value = serde_norway::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut all: BTreeMap<String, Json> = BTreeMap::new();
        for (name, parameter) in whole["Parameters"].as_mapping().unwrap() {
            let kind = parameter["Type"].as_str().unwrap();
            if let Some(default) = parameter.get("Default") {
                let default: Json = serde_json::to_value(default).unwrap();
                let list = kind == "CommaDelimitedList";
                all.insert(name.as_str().unwrap().to_string(), if list { json!([default]) } else { default });
            }
        }
        for (name, value) in given {
            assert!(whole["Parameters"].get(*name).is_some(), "{file} has no parameter {name}");
            all.insert((*name).to_string(), value.clone());
        }
        Template { whole, given: all }
    }

    /// The value, or nothing if that is `AWS::NoValue`.
    fn resolved(&self, value: &Value) -> Option<Json> {
        match value {
            Value::Tagged(tagged) => self.called(tagged.tag.to_string().trim_start_matches('!'), &tagged.value),
            Value::Sequence(items) => Some(Json::Array(items.iter().filter_map(|item| self.resolved(item)).collect())),
            Value::Mapping(members) => {
                let member =
                    |(name, value): (&Value, &Value)| Some((name.as_str().unwrap().to_string(), self.resolved(value)?));
                Some(Json::Object(members.iter().filter_map(member).collect::<Map<String, Json>>()))
            }
            plain => Some(serde_json::to_value(plain).unwrap()),
        }
    }

    fn called(&self, function: &str, argument: &Value) -> Option<Json> {
        match function {
            "Ref" => self.reference(argument.as_str().unwrap()),
            "Sub" => Some(json!(self.substituted(argument.as_str().unwrap()))),
            "GetAtt" => Some(json!(format!("<{}>", argument.as_str().unwrap()))),
            "Join" => {
                let Json::Array(items) = self.resolved(&argument[1]).unwrap() else { panic!("{argument:?}") };
                let items: Vec<&str> = items.iter().map(|item| item.as_str().unwrap()).collect();
                Some(json!(items.join(argument[0].as_str().unwrap())))
            }
            "If" => {
                let branch = if self.holds(argument[0].as_str().unwrap()) { 1 } else { 2 };
                self.resolved(&argument[branch])
            }
            "Equals" => Some(json!(self.resolved(&argument[0]) == self.resolved(&argument[1]))),
            "Not" => Some(json!(self.resolved(&argument[0]) == Some(json!(false)))),
            "And" => {
                let all = argument.as_sequence().unwrap();
                Some(json!(all.iter().all(|one| self.resolved(one) == Some(json!(true)))))
            }
            "Condition" => Some(json!(self.holds(argument.as_str().unwrap()))),
            other => panic!("!{other} is not known here"),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        self.resolved(&self.whole["Conditions"][condition]).unwrap() == json!(true)
    }

    fn reference(&self, name: &str) -> Option<Json> {
        match name {
            "AWS::NoValue" => None,
            "AWS::AccountId" => Some(json!(ACCOUNT)),
            "AWS::Partition" => Some(json!("aws")),
            "AWS::Region" => Some(json!(REGION)),
            "AWS::StackName" => Some(json!("unthrottled")),
            "AWS::URLSuffix" => Some(json!("amazonaws.com")),
            // A table's reference is its name.
            "Ledger" => self.reference("LedgerTable"),
            name if self.whole["Resources"].get(name).is_some() => Some(json!(format!("<{name}>"))),
            // What has no default, such as the image, is of no account here.
            name => Some(self.given.get(name).cloned().unwrap_or_else(|| json!(format!("<{name}>")))),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap().to_string();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            let value = self.reference(name).unwrap();
            whole.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_string));
            whole.push_str(rest);
        }
        whole
    }

    fn resource(&self, name: &str) -> Json {
        self.resolved(&self.whole["Resources"][name]["Properties"]).unwrap()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let container = &self.resource("TaskDefinition")["ContainerDefinitions"][0];
        let text = |value: &Json| value.as_str().unwrap().to_string();
        let variables = container["Environment"].as_array().unwrap();
        variables.iter().map(|variable| (text(&variable["Name"]), text(&variable["Value"]))).collect()
    }
}

/// The arguments that say what the settings do not.
fn arguments(given: &[(&str, Json)]) -> Vec<String> {
    let mut arguments = vec!["--role-path".to_string(), "/service-role/codebuild-*".to_string()];
    for (name, value) in given {
        match *name {
            "SecretKmsKeyArn" => arguments.extend(["--kms-key".to_string(), value.as_str().unwrap().to_string()]),
            "ServiceRoleBoundaryArn" => {
                arguments.extend(["--boundary".to_string(), value.as_str().unwrap().to_string()])
            }
            "AllowPassRole" => arguments.push("--pass-role".to_string()),
            _ => (),
        }
    }
    arguments
}

/// What `iam-policy` prints.
fn printed(environment: &[(String, String)], arguments: &[String]) -> Json {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
    command.args(["iam-policy", "--format", "json", "--region", REGION]).args(arguments);
    command.env_clear().envs(environment.iter().cloned()).current_dir(folder.path());
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Deployments that differ in every condition of the templates.
fn deployments() -> Vec<Vec<(&'static str, Json)>> {
    vec![
        vec![],
        vec![("Mode", json!("observe")), ("SecretKmsKeyArn", json!(KEY))],
        vec![("Mode", json!("apply"))],
        vec![
            ("Mode", json!("apply")),
            ("Retry", json!("never")),
            ("ProjectPattern", json!("svc-*")),
            ("SecretName", json!("team/dockerhub")),
            ("SecretKmsKeyArn", json!(KEY)),
            ("ServiceRoleBoundaryArn", json!(BOUNDARY)),
            ("AllowPassRole", json!("yes")),
            ("MaxOpen", json!(7)),
        ],
    ]
}

fn statements(document: &Json) -> &Vec<Json> {
    document["Statement"].as_array().unwrap()
}

/// One after the other, so that what differs is seen.
fn assert_same(there: &Json, printed: &Json, what: &[(&str, Json)]) {
    for (one, other) in statements(there).iter().zip(statements(printed)) {
        assert_eq!(one, other, "{what:?}");
    }
    assert_eq!(there, printed, "{what:?}");
}

#[test]
fn the_task_role_is_what_iam_policy_prints() {
    let mut all = deployments();
    all.push(vec![("Mode", json!("apply")), ("Scopes", json!(SCOPES)), ("MemberRoleArns", json!([MEMBER]))]);
    for given in all {
        let template = Template::read("unthrottled.yaml", &given);
        let role = template.resource("TaskRole");
        let mut arguments = arguments(&given);
        arguments.extend(["--account", ACCOUNT, "--doctor"].map(str::to_string));
        let environment = template.environment();
        assert_same(&role["Policies"][0]["PolicyDocument"], &printed(&environment, &arguments), &given);
        assert_eq!(role["Policies"].as_array().unwrap().len(), 1);
        assert_eq!(role.get("ManagedPolicyArns"), None);
        let trust = printed(&environment, &["--trust", "--account", ACCOUNT].map(str::to_string));
        assert_eq!(role["AssumeRolePolicyDocument"], trust, "{given:?}");
        // Under a path that it is denied to write to.
        assert_eq!(role["Path"], "/unthrottled/");
        assert_eq!(template.resource("ExecutionRole")["Path"], "/unthrottled/");
    }
}

#[test]
fn the_member_role_is_what_iam_policy_prints_for_its_scope() {
    let daemon = "arn:aws:iam::999988887777:role/unthrottled/stack-TaskRole-1ABC";
    for given in deployments() {
        let mut all = given.clone();
        // A limit of the service alone.
        all.retain(|(name, _)| *name != "MaxOpen");
        all.extend([("DaemonRoleArn", json!(daemon)), ("ExternalId", json!("unthrottled-prod"))]);
        let member = Template::read("member-role.yaml", &all);
        let role = member.resource("MemberRole");
        let scope = format!(
            r#"[{{name = "prod", region = "{REGION}", role_arn = "arn:aws:iam::{ACCOUNT}:role/unthrottled-{REGION}", external_id = "unthrottled-prod"}}]"#
        );
        let mut environment = Template::read("unthrottled.yaml", &given).environment();
        environment.push(("UNTHROTTLED_SCOPE".to_string(), scope));
        let of_scope = ["--scope", "prod"].map(str::to_string);
        let mut policy = arguments(&given);
        policy.extend(of_scope.clone());
        policy.push("--doctor".to_string());
        assert_same(&role["Policies"][0]["PolicyDocument"], &printed(&environment, &policy), &given);
        let mut trust = of_scope.to_vec();
        trust.extend(["--trust", "--principal", daemon].map(str::to_string));
        assert_eq!(role["AssumeRolePolicyDocument"], printed(&environment, &trust), "{given:?}");
        assert_eq!(role["RoleName"], format!("unthrottled-{REGION}"));
    }
}

#[test]
fn the_stack_makes_the_table_that_the_template_of_the_table_makes() {
    let table = |file| Template::read(file, &[]).whole["Resources"]["Ledger"].clone();
    let (stack, mut alone) = (table("unthrottled.yaml"), table("ledger-table.yaml"));
    assert!(stack.get("Condition").is_some());
    let mut stack = stack;
    for one in [&mut stack, &mut alone] {
        let members = one.as_mapping_mut().unwrap();
        members.remove("Condition");
        members["Properties"].as_mapping_mut().unwrap().remove("TableName");
    }
    assert_eq!(stack, alone);
}

#[test]
fn the_container_is_locked_down_and_says_whether_it_lives() {
    let task = Template::read("unthrottled.yaml", &[]).resource("TaskDefinition");
    let container = &task["ContainerDefinitions"][0];
    assert_eq!(container["ReadonlyRootFilesystem"], true);
    assert_eq!(container["LinuxParameters"]["Capabilities"]["Drop"], json!(["ALL"]));
    let dockerfile = include_str!("../Dockerfile");
    assert!(dockerfile.contains(&format!("USER {}", container["User"].as_str().unwrap())));
    let check: Vec<String> = serde_json::from_value(container["HealthCheck"]["Command"].clone()).unwrap();
    assert!(dockerfile.contains(&format!("CMD [{:?}, {:?}]", check[1], check[2])), "{check:?}");
    assert_eq!(container["LogConfiguration"]["Options"]["mode"], "non-blocking");
}

/// `just docs` makes it.
#[test]
fn the_permissions_in_the_docs_are_those_of_the_example() {
    let written = include_str!("../docs/permissions.md");
    let (_, block) = written.split_once("```text\n").unwrap();
    let key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
    command.args(["--config", "config/examples/one-account.toml", "--set", "ledger.store=dynamodb", "iam-policy"]);
    command.args(["--doctor", "--account", ACCOUNT, "--region", REGION, "--kms-key", key]);
    let output = command.env_clear().current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(block == format!("{printed}```\n"), "docs/permissions.md is stale: run `just docs`");
    // What the text above it says of `*`.
    assert_eq!(printed.lines().filter(|line| line.trim() == "on *").count(), 1);
}
