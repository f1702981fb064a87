"""Holds the Terraform module against the CloudFormation stack: what the one makes, the other makes.

    python3 tests/deploy/same.py TERRAFORM_MODULE STACK

The stack is resolved here as CloudFormation does it, as far as ours goes; the module is planned by terraform itself, which
asks AWS for nothing but the account's number, and gets it from a server in this process. Both are asked twice: with their
defaults, and with every option taken.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml

ACCOUNT, REGION = "111122223333", "eu-central-1"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/shared"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/unthrottled"
LOG_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
NEEDED = {"Image": "IMAGE", "VpcId": "vpc-1", "SubnetIds": ["subnet-1", "subnet-2"]}

# Of the stack, and the same of the module. Names of the module's variables that the stack has no parameter for are not here:
# its settings are parameters of the stack, and `environment` and `policy` of the module.
CASES = {
    "defaults": ({}, {}),
    "options": (
        {
            "Mode": "apply", "RepositoryArn": REPOSITORY, "Architecture": "X86_64", "Cpu": "512", "Memory": "1024",
            "ClusterArn": CLUSTER, "AssignPublicIp": "ENABLED", "LedgerTable": "ledger", "LedgerTableExists": "yes",
            "LogRetentionDays": 365, "LogKmsKeyArn": LOG_KEY, "PermissionsBoundaryArn": BOUNDARY,
        },
        {
            "repository_arn": REPOSITORY, "architecture": "X86_64", "cpu": 512, "memory": 1024, "cluster_arn": CLUSTER,
            "assign_public_ip": True, "ledger_table": "ledger", "create_ledger_table": False,
            "log_retention_days": 365, "log_kms_key_arn": LOG_KEY, "permissions_boundary_arn": BOUNDARY,
        },
    ),
}

# What the module sets itself, whatever the settings say.
OF_THE_MODULE = {"UNTHROTTLED_DAEMON__METRICS", "UNTHROTTLED_LEDGER__STORE", "UNTHROTTLED_LEDGER__TABLE"}

NOTHING = object()


class Stack:
    """A template with its parameters."""

    def __init__(self, file: Path, given: dict):
        loader = type("Loader", (yaml.SafeLoader,), {})
        loader.add_multi_constructor("!", construct)
        self.whole = yaml.load(file.read_text(), loader)
        self.given = {name: parameter["Default"] for name, parameter in self.whole["Parameters"].items()
                      if "Default" in parameter}
        for name, parameter in self.whole["Parameters"].items():
            if parameter["Type"] == "CommaDelimitedList" and name in self.given:
                self.given[name] = [self.given[name]]
        unknown = (NEEDED | given).keys() - self.whole["Parameters"].keys()
        assert not unknown, f"the stack has no parameter {unknown}"
        self.given |= NEEDED | given

    def value(self, of):
        if isinstance(of, Call):
            return self.called(of)
        if isinstance(of, list):
            return [one for one in map(self.value, of) if one is not NOTHING]
        if isinstance(of, dict):
            members = {name: self.value(member) for name, member in of.items()}
            return {name: member for name, member in members.items() if member is not NOTHING}
        return of

    def called(self, call):
        argument = call.argument
        match call.name:
            case "Ref": return self.reference(argument)
            case "Sub": return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.reference(found[1])), argument)
            case "GetAtt": return f"<{argument}>"
            case "Join": return argument[0].join(self.value(argument[1]))
            case "If": return self.value(argument[1 if self.holds(argument[0]) else 2])
            case "Equals": return self.value(argument[0]) == self.value(argument[1])
            case "Not": return not self.value(argument[0])
            case "And": return all(map(self.value, argument))
            case "Condition": return self.holds(argument)
        raise SystemExit(f"!{call.name} is not known here")

    def holds(self, condition: str) -> bool:
        return self.value(self.whole["Conditions"][condition])

    def reference(self, name: str):
        pseudo = {"AWS::NoValue": NOTHING, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": REGION,
                  "AWS::StackName": "unthrottled", "AWS::URLSuffix": "amazonaws.com"}
        if name in pseudo:
            return pseudo[name]
        if name in self.given:
            return self.given[name]
        # What a reference to these resources comes to.
        names = {"Ledger": "TableName", "Events": "LogGroupName"}
        return self.resource(name)[names[name]] if name in names else f"<{name}>"

    def resource(self, name: str) -> dict | None:
        resource = self.whole["Resources"][name]
        made = "Condition" not in resource or self.holds(resource["Condition"])
        return self.value(resource["Properties"]) if made else None


class Call:
    def __init__(self, name, argument):
        self.name, self.argument = name, argument


def construct(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return Call(suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Call(suffix, loader.construct_sequence(node, deep=True))
    return Call(suffix, loader.construct_mapping(node, deep=True))


def many(value) -> list:
    return value if isinstance(value, list) else [value]


def statements(document: dict) -> list[dict]:
    """Actions and resources as lists, in order; AWS takes one for a list of one."""
    def one(statement: dict) -> dict:
        plain = {"Effect": "Allow"} | statement
        return plain | {name: sorted(many(plain[name]), key=str) for name in ("Action", "Resource") if name in plain}
    return [one(statement) for statement in document["Statement"]]


def camel(value):
    """A container's definition as ECS's API has it."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: camel(member) for name, member in value.items()}
    return [camel(one) for one in value] if isinstance(value, list) else value


def of_stack(stack: Stack) -> dict:
    task, service, events = stack.resource("TaskDefinition"), stack.resource("Service"), stack.resource("Events")
    deployment, network = service["DeploymentConfiguration"], service["NetworkConfiguration"]["AwsvpcConfiguration"]
    container = camel(task["ContainerDefinitions"][0])
    container["logConfiguration"]["options"] = task["ContainerDefinitions"][0]["LogConfiguration"]["Options"]
    container["environment"] = {one["name"]: one["value"] for one in container["environment"]}
    table, cluster, group = (stack.resource(name) for name in ("Ledger", "Cluster", "SecurityGroup"))

    def role(name: str) -> dict:
        of = stack.resource(name)
        policy, = of["Policies"]
        return {
            "path": of["Path"], "description": of["Description"], "boundary": of.get("PermissionsBoundary"),
            "trust": statements(of["AssumeRolePolicyDocument"]),
            "policy": policy["PolicyName"], "statements": statements(policy["PolicyDocument"]),
        }

    return {
        "log group": (events["LogGroupName"], int(events["RetentionInDays"]), events.get("KmsKeyId")),
        "task role": role("TaskRole"),
        "execution role": role("ExecutionRole"),
        "container": container,
        "task": {
            "cpu": str(task["Cpu"]), "memory": str(task["Memory"]), "network": task["NetworkMode"],
            "for": task["RequiresCompatibilities"], "family": task["Family"],
            "platform": (task["RuntimePlatform"]["OperatingSystemFamily"], task["RuntimePlatform"]["CpuArchitecture"]),
        },
        "service": {
            "tasks": service["DesiredCount"], "launch": service["LaunchType"],
            "healthy": (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]),
            "breaker": (deployment["DeploymentCircuitBreaker"]["Enable"], deployment["DeploymentCircuitBreaker"]["Rollback"]),
            "tags": (service["EnableECSManagedTags"], service["PropagateTags"]),
            "subnets": sorted(network["Subnets"]), "public": network["AssignPublicIp"] == "ENABLED",
        },
        "table": table and {
            "name": table["TableName"], "billing": table["BillingMode"], "protected": table["DeletionProtectionEnabled"],
            "recovery": table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
            "key": [(one["AttributeName"], one["KeyType"]) for one in table["KeySchema"]],
            "types": sorted((one["AttributeName"], one["AttributeType"]) for one in table["AttributeDefinitions"]),
        },
        "cluster": cluster and [(one["Name"], one["Value"]) for one in cluster["ClusterSettings"]],
        "ways out": sorted((one["IpProtocol"], one["FromPort"], one["ToPort"], one.get("CidrIp") or one["CidrIpv6"])
                           for one in group["SecurityGroupEgress"]),
        "ways in": group.get("SecurityGroupIngress", []),
    }


def of_module(resources: dict) -> dict:
    """From what terraform is about to make. What it can't know yet, such as an ARN, is none."""
    only = lambda kind, name="this": next((of for key, of in resources.items() if key[:2] == (kind, name)), None)
    task, service, events = only("aws_ecs_task_definition"), only("aws_ecs_service"), only("aws_cloudwatch_log_group", "events")
    container, = json.loads(task["container_definitions"])
    container["environment"] = {one["name"]: one["value"] for one in container["environment"]}
    table, cluster, group = only("aws_dynamodb_table", "ledger"), only("aws_ecs_cluster"), only("aws_security_group")
    network, = service["network_configuration"]
    breaker, = service["deployment_circuit_breaker"]

    def role(name: str, policy: list) -> dict:
        of = only("aws_iam_role", name)
        return {
            "path": of["path"], "description": of["description"], "boundary": of["permissions_boundary"],
            "trust": statements(json.loads(of["assume_role_policy"])),
            "policy": only("aws_iam_role_policy", name)["name"], "statements": policy,
        }

    task_policy = statements(json.loads(only("aws_iam_role_policy", "task")["policy"]))
    start = [{"Effect": one["effect"] or "Allow", "Sid": one["sid"], "Action": sorted(one["actions"]),
              "Resource": sorted(one["resources"], key=str)}
             for one in only("aws_iam_policy_document", "execution")["statement"]]
    return {
        "log group": (events["name"], events["retention_in_days"], events["kms_key_id"]),
        "task role": role("task", task_policy),
        "execution role": role("execution", start),
        "container": container,
        "task": {
            "cpu": task["cpu"], "memory": task["memory"], "network": task["network_mode"],
            "for": task["requires_compatibilities"], "family": task["family"],
            "platform": (task["runtime_platform"][0]["operating_system_family"], task["runtime_platform"][0]["cpu_architecture"]),
        },
        "service": {
            "tasks": service["desired_count"], "launch": service["launch_type"],
            "healthy": (service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]),
            "breaker": (breaker["enable"], breaker["rollback"]),
            "tags": (service["enable_ecs_managed_tags"], service["propagate_tags"]),
            "subnets": sorted(network["subnets"]), "public": network["assign_public_ip"],
        },
        "table": table and {
            "name": table["name"], "billing": table["billing_mode"], "protected": table["deletion_protection_enabled"],
            "recovery": table["point_in_time_recovery"][0]["enabled"],
            "key": [(table["hash_key"], "HASH"), (table["range_key"], "RANGE")],
            "types": sorted((one["name"], one["type"]) for one in table["attribute"]),
        },
        "cluster": cluster and [(one["name"], one["value"]) for one in cluster["setting"]],
        "ways out": sorted((one["protocol"], one["from_port"], one["to_port"], cidr) for one in group["egress"]
                           for cidr in one["cidr_blocks"] + one["ipv6_cidr_blocks"]),
        "ways in": group.get("ingress") or [],
    }


class Sts(BaseHTTPRequestHandler):
    """Says which account it is, and nothing else."""

    def do_POST(self) -> None:
        body = (f"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{ACCOUNT}</Account><UserId>x</UserId>"
                f"<Arn>arn:aws:iam::{ACCOUNT}:user/x</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>").encode()
        self.send_response(200)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def literal(text: str) -> str:
    """A text in terraform's JSON is a template."""
    return text.replace("${", "$${").replace("%{", "%%{")


def planned(module: Path, calls: dict[str, dict]) -> dict[str, dict]:
    """What terraform would make for each call of the module: by type, name and index."""
    server = HTTPServer(("127.0.0.1", 0), Sts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = {
        "region": REGION, "access_key": "simulated", "secret_key": "simulated", "skip_credentials_validation": True,
        "skip_metadata_api_check": True, "skip_region_validation": True,
        "endpoints": [{"sts": f"http://127.0.0.1:{server.server_port}"}],
    }
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        root = {"provider": {"aws": provider},
                "module": {name: {"source": str(module.resolve())} | variables for name, variables in calls.items()}}
        Path(folder, "main.tf.json").write_text(json.dumps(root))
        run = lambda *arguments: subprocess.run(["terraform", *arguments], cwd=folder, capture_output=True, text=True)
        if run("init", "-input=false", "-no-color").returncode != 0:
            return {}
        plan = run("plan", "-input=false", "-no-color", "-out=plan")
        assert plan.returncode == 0, plan.stdout + plan.stderr
        told = json.loads(run("show", "-json", "plan").stdout)
    server.shutdown()
    of_call = {name: {} for name in calls}
    for change in told["resource_changes"]:
        call = change["module_address"].removeprefix("module.")
        of_call[call][change["type"], change["name"], change.get("index")] = change["change"]["after"]
    # The log group's ARN is known when it is made; which one it is stands in the configuration.
    call = next(iter(told["configuration"]["root_module"]["module_calls"].values()))
    document = next(one for one in call["module"]["resources"] if one["address"] == "data.aws_iam_policy_document.execution")
    written = document["expressions"]["statement"][0]["resources"]["references"]
    assert "aws_cloudwatch_log_group.events.arn" in written, written
    return of_call


def main() -> None:
    module, file = Path(sys.argv[1]), Path(sys.argv[2])
    stacks, calls = {}, {}
    for name, (parameters, variables) in CASES.items():
        stacks[name] = of_stack(Stack(file, parameters))
        settings = stacks[name]["container"]["environment"]
        role = Stack(file, parameters).resource("TaskRole")
        calls[name] = variables | {
            "image": NEEDED["Image"], "vpc_id": NEEDED["VpcId"], "subnet_ids": NEEDED["SubnetIds"],
            "policy": literal(json.dumps(role["Policies"][0]["PolicyDocument"])),
            "environment": {key: literal(value) for key, value in settings.items() if key not in OF_THE_MODULE},
        }
        # What terraform knows only when it is made.
        for statement in stacks[name]["execution role"]["statements"]:
            statement["Resource"] = [None if one == "<Events.Arn>" else one for one in statement["Resource"]]
    modules = planned(module, calls)
    if not modules:
        print("deploy/terraform: NOT COMPARED with the stack, as its provider could not be fetched")
        return
    compared = 0
    for name, stack in stacks.items():
        same = of_module(modules[name])
        assert same.keys() == stack.keys()
        for part, of in stack.items():
            assert same[part] == of, f"{name}: {part}\nstack:  {of}\nmodule: {same[part]}"
            compared += 1
    print(f"deploy/terraform: the same as the stack, in {compared} parts")


if __name__ == "__main__":
    main()
