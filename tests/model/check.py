"""Holds the simulated account against AWS's own service models, as botocore carries them.

    python tests/model/check.py target/debug/examples/simulated-account

Every implemented operation is called through botocore. Each answer is compared with the model's output shape, member by member, as
it came over the wire. Then each request is broken in every way that the model forbids (required members, types, enums, lengths,
patterns), and the account has to refuse it with an error code that AWS knows.
"""

import copy
import json
import re
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import botocore.config
import botocore.exceptions
import botocore.session

import shapes

DEADLINE_S = 120
# Codes that AWS documents as common to all services, beside those that an operation lists.
COMMON_ERRORS = {
    "ThrottlingException", "Throttling", "AccessDeniedException", "AccessDenied", "ValidationException", "ValidationError",
    "SerializationException", "UnknownOperationException", "InvalidAction", "MissingAuthenticationTokenException",
    "InternalFailure", "ServiceUnavailable",
}
# What AWS answers though its model does not say so.
MODEL_GAPS = {
    ("StatusType", "CLIENT_ERROR"): "seen as phaseStatus in failed PROVISIONING phases",
}


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = []

    def that(self, truth, what):
        if truth:
            self.passed += 1
        else:
            self.failed.append(what)
            print(f"FAILED {what}")


class Service:
    """One service's client; keeps the last answer as it came over the wire."""

    def __init__(self, name, endpoint):
        self.name = name
        self.model = shapes.load(name)
        session = botocore.session.Session()
        self.client = session.create_client(
            name, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
            config=botocore.config.Config(
                parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
        )
        self.body = b""
        self.to_send = None
        self.client.meta.events.register("before-parse", self._keep)
        self.client.meta.events.register("before-call", self._send)

    def _keep(self, response_dict, **_):
        self.body = response_dict["body"]

    def _send(self, params, **_):
        if self.to_send is not None:
            params["body"] = json.dumps(self.to_send).encode()

    @property
    def query(self):
        return self.name in ("iam", "sts")

    def call(self, operation, request):
        """The parsed answer, or None and the error's code. A JSON request goes out as it is, also where botocore could not write it."""
        self.to_send = None if self.query else request
        try:
            return self.client._make_api_call(operation, request if self.query else {}), None
        except botocore.exceptions.ClientError as error:
            return None, error.response["Error"]["Code"]
        except (AttributeError, KeyError, TypeError, ValueError, botocore.exceptions.BotoCoreError) as error:
            # botocore could not read the answer: no code that anyone knows.
            return None, f"unreadable: {error!r}"

    def known_errors(self, operation):
        """Wire codes of the errors that the model lists for an operation."""
        codes = set()
        for error in self.model["operations"][operation].get("errors", []):
            shape = self.model["shapes"][error["shape"]]
            codes.add(shape.get("error", {}).get("code", error["shape"]))
        return codes


def conforms(service, operation, checks):
    """The raw answer has no member, type, enum value, length or pattern that the model does not know."""
    output = service.model["operations"][operation].get("output")
    problems = []
    if service.query:
        root = ElementTree.fromstring(service.body)
        strip_namespaces(root)
        result = root.find(f"{operation}Result")
        if output and result is not None:
            xml_problems(service.model["shapes"], output["shape"], result, operation, problems)
        elif output and service.model["shapes"][output["shape"]].get("members"):
            problems.append(f"{operation}: no {operation}Result")
    elif output:
        json_problems(service.model["shapes"], output["shape"], json.loads(service.body), operation, problems)
    checks.that(not problems, f"{service.name} {operation} answers as the model says: {problems}")


def json_problems(all_shapes, name, value, path, problems):
    shape = all_shapes[name]
    kind = shape["type"]
    expected = {
        "structure": dict, "map": dict, "list": list, "string": str, "blob": str, "boolean": bool,
        "integer": int, "long": int, "timestamp": (int, float), "double": (int, float), "float": (int, float),
    }[kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"):
        problems.append(f"{path}: {type(value).__name__} is no {kind}")
    elif kind == "structure":
        for member, inner in value.items():
            if member not in shape["members"]:
                problems.append(f"{path}.{member}: not in the model")
            elif inner is None:
                problems.append(f"{path}.{member}: null")
            else:
                json_problems(all_shapes, shape["members"][member]["shape"], inner, f"{path}.{member}", problems)
        for member in shape.get("required", []):
            if member not in value:
                problems.append(f"{path}.{member}: required")
    elif kind == "list":
        at_most(shape, len(value), path, problems)
        for at, inner in enumerate(value):
            json_problems(all_shapes, shape["member"]["shape"], inner, f"{path}[{at}]", problems)
    elif kind == "map":
        for inner in value.values():
            json_problems(all_shapes, shape["value"]["shape"], inner, f"{path}{{}}", problems)
    elif kind == "string":
        text_problems(shape, name, value, path, problems)


def xml_problems(all_shapes, name, element, path, problems):
    shape = all_shapes[name]
    kind = shape["type"]
    if kind == "structure":
        for child in element:
            if child.tag not in shape["members"]:
                problems.append(f"{path}.{child.tag}: not in the model")
            else:
                xml_problems(all_shapes, shape["members"][child.tag]["shape"], child, f"{path}.{child.tag}", problems)
        for member in shape.get("required", []):
            if element.find(member) is None:
                problems.append(f"{path}.{member}: required")
    elif kind == "list":
        for child in element:
            if child.tag != "member":
                problems.append(f"{path}: {child.tag} in a list")
            xml_problems(all_shapes, shape["member"]["shape"], child, f"{path}[]", problems)
    else:
        text = element.text or ""
        forms = {"boolean": r"true|false", "integer": r"-?\d+", "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"}
        if not re.fullmatch(forms.get(kind, r"(?s).*"), text):
            problems.append(f"{path}: {text!r} is no {kind}")
        if kind == "string":
            text_problems(shape, name, text, path, problems)


def text_problems(shape, name, text, path, problems):
    if "enum" in shape and text not in shape["enum"] and (name, text) not in MODEL_GAPS:
        problems.append(f"{path}: {text!r} is not in the enum")
    # `min` is meant for requests: AWS itself answers empty lists where the model asks for one.
    at_most(shape, len(text), path, problems)


def at_most(shape, length, path, problems):
    if "max" in shape and length > shape["max"]:
        problems.append(f"{path}: {length} is more than {shape['max']}")


def strip_namespaces(element):
    for each in element.iter():
        each.tag = each.tag.split("}")[-1]


def forbidden(all_shapes, name, request, query):
    """All ways to break `request` at one place: (what, broken request)."""
    for path, shape_name, value in places(all_shapes, name, request, ()):
        shape = all_shapes[shape_name]
        kind = shape["type"]
        if kind == "structure":
            for member in shape.get("required", []):
                if member in value:
                    yield f"without {dotted((*path, member))}", without(request, (*path, member))
        if not path:
            continue
        if not query:
            # A number is no text, a text no number; the query protocol has only texts.
            wrong = 7 if kind in ("string", "structure", "list") else "seven"
            yield f"{dotted(path)} of the wrong type", replaced(request, path, wrong)
        if kind == "string":
            if "enum" in shape:
                yield f"{dotted(path)} not in the enum", replaced(request, path, "NO_SUCH_VALUE")
            if shape.get("min", 0) > 0:
                yield f"{dotted(path)} too short", replaced(request, path, "a" * (shape["min"] - 1))
            if shape.get("max", 10**6) < 10**6 and "enum" not in shape:
                yield f"{dotted(path)} too long", replaced(request, path, "a" * (shape["max"] + 1))
            if shape.get("pattern") in TESTED_PATTERNS:
                yield f"{dotted(path)} against its pattern", replaced(request, path, TESTED_PATTERNS[shape["pattern"]])
        elif kind in ("integer", "long"):
            for bound, value in (("min", shape.get("min", 0) - 1), ("max", shape.get("max", 0) + 1)):
                if bound in shape:
                    yield f"{dotted(path)} beyond its {bound}", replaced(request, path, value)
        elif kind == "list":
            # botocore writes no empty list in the query protocol, so there only too long ones are tried.
            if shape.get("min", 0) > 0 and not query:
                yield f"{dotted(path)} empty", replaced(request, path, [])
            if "max" in shape and value:
                yield f"{dotted(path)} too long", replaced(request, path, [value[0]] * (shape["max"] + 1))


# A text that each pattern forbids; only patterns that occur in the requests below.
TESTED_PATTERNS = {
    r"[\w+=,.@-]+": "a b",
    r"[\.\-_/#A-Za-z0-9]+": "a b",
    r"[^:*]*": "a:b",
    r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$": "a;b",
}


def places(all_shapes, name, value, path):
    yield path, name, value
    shape = all_shapes[name]
    if shape["type"] == "structure" and isinstance(value, dict):
        for member, inner in value.items():
            yield from places(all_shapes, shape["members"][member]["shape"], inner, (*path, member))
    elif shape["type"] == "list" and isinstance(value, list):
        for at, inner in enumerate(value[:1]):
            yield from places(all_shapes, shape["member"]["shape"], inner, (*path, at))


def replaced(request, path, value):
    changed = copy.deepcopy(request)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def without(request, path):
    changed = copy.deepcopy(request)
    at = changed
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return changed


def dotted(path):
    return ".".join(str(step) for step in path)


def failed_build(codebuild, project, deadline):
    """Waits for a complete build of a project; the account starts them by itself."""
    while time.monotonic() < deadline:
        ids = codebuild.call("ListBuildsForProject", {"projectName": project})[0]["ids"]
        builds = codebuild.call("BatchGetBuilds", {"ids": ids})[0]["builds"] if ids else []
        for build in builds:
            if build["buildComplete"]:
                return build
        time.sleep(0.2)
    raise SystemExit(f"no build of {project} completed in time")


def requests(services, deadline):
    """A valid request for every implemented operation: (service, operation, request), in an order that works."""
    codebuild = services["codebuild"]
    web = failed_build(codebuild, "svc-web", deadline)
    cart = failed_build(codebuild, "svc-cart", deadline)
    project = codebuild.call("BatchGetProjects", {"names": ["svc-web"]})[0]["projects"][0]
    arn = services["secretsmanager"].call("DescribeSecret", {"SecretId": "dockerhub"})[0]["ARN"]
    environment = {
        **project["environment"], "imagePullCredentialsType": "SERVICE_ROLE",
        "registryCredential": {"credential": arn, "credentialProvider": "SECRETS_MANAGER"},
        "environmentVariables": [{"name": "A", "value": f"{arn}:username", "type": "SECRETS_MANAGER"}],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn + "*"}]})
    group, stream = cart["logs"]["groupName"], cart["logs"]["streamName"]
    role = {"RoleName": "shop-build"}
    policy = {**role, "PolicyName": "unthrottled-dockerhub"}
    token = "0123456789abcdef0123456789abcdef"
    yield "codebuild", "ListBuilds", {"sortOrder": "DESCENDING"}
    yield "codebuild", "ListBuildsForProject", {"projectName": "svc-web", "sortOrder": "DESCENDING"}
    yield "codebuild", "BatchGetBuilds", {"ids": [web["id"], cart["id"], "svc-web:no-such-build"]}
    yield "codebuild", "ListProjects", {"sortBy": "LAST_MODIFIED_TIME", "sortOrder": "DESCENDING"}
    yield "codebuild", "BatchGetProjects", {"names": ["svc-web", "no-such-project"]}
    yield "codebuild", "UpdateProject", {
        "name": "svc-web", "description": "checked", "environment": environment, "timeoutInMinutes": 30,
        "tags": [{"key": "team", "value": "shop"}],
        "source": {"type": "GITHUB", "location": "https://github.com/example/web.git", "buildspec": "buildspec.yml"},
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED"}},
    }
    yield "codebuild", "StartBuild", {
        "projectName": "svc-cart", "idempotencyToken": "start-1", "timeoutInMinutesOverride": 20,
        "environmentVariablesOverride": [{"name": "A", "value": "b", "type": "PLAINTEXT"}],
    }
    yield "codebuild", "RetryBuild", {"id": cart["id"], "idempotencyToken": "retry-1"}
    yield "codebuild", "StopBuild", {"id": cart["id"]}
    yield "logs", "GetLogEvents", {"logGroupName": group, "logStreamName": stream, "startFromHead": True, "limit": 10}
    yield "logs", "FilterLogEvents", {
        "logGroupName": group, "logStreamNames": [stream], "filterPattern": '?"toomanyrequests" ?"HAP429"', "limit": 5}
    yield "logs", "DescribeLogStreams", {"logGroupName": group, "orderBy": "LogStreamName", "limit": 5}
    yield "iam", "GetRole", role
    yield "iam", "PutRolePolicy", {**policy, "PolicyDocument": document}
    yield "iam", "ListRolePolicies", {**role, "MaxItems": 10}
    yield "iam", "GetRolePolicy", policy
    yield "iam", "SimulatePrincipalPolicy", {
        "PolicySourceArn": "arn:aws:iam::111122223333:role/service-role/bounded-build",
        "ActionNames": ["secretsmanager:GetSecretValue"], "ResourceArns": [arn], "PolicyInputList": [document]}
    yield "iam", "DeleteRolePolicy", policy
    yield "sts", "GetCallerIdentity", {}
    yield "sts", "AssumeRole", {"RoleArn": "arn:aws:iam::111122223333:role/unthrottled", "RoleSessionName": "check"}
    yield "secretsmanager", "DescribeSecret", {"SecretId": "dockerhub-own-key"}
    yield "secretsmanager", "GetSecretValue", {"SecretId": arn, "VersionStage": "AWSCURRENT"}
    yield "secretsmanager", "CreateSecret", {"Name": "checked", "SecretString": "{}", "ClientRequestToken": token}
    yield "secretsmanager", "PutSecretValue", {"SecretId": "checked", "SecretString": "{}", "ClientRequestToken": token[::-1]}
    yield "secretsmanager", "ListSecrets", {"MaxResults": 2}


# What the model allows and AWS refuses, with the code.
BEYOND_THE_MODEL = [
    ("codebuild", "BatchGetBuilds", {"ids": ["svc-web:1"] * 101}, "InvalidInputException"),
    ("codebuild", "ListBuilds", {"nextToken": "forged"}, "InvalidInputException"),
    ("codebuild", "RetryBuild", {}, "InvalidInputException"),
    ("codebuild", "RetryBuild", {"id": "svc-web:no-such-build"}, "ResourceNotFoundException"),
    ("codebuild", "StartBuild", {"projectName": "no-such-project"}, "ResourceNotFoundException"),
    ("codebuild", "UpdateProject", {"name": "no-such-project"}, "ResourceNotFoundException"),
    ("codebuild", "UpdateProject", {"name": "svc-cart", "environment": {
        "type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL", "image": "aws/codebuild/standard:7.0",
        "imagePullCredentialsType": "SERVICE_ROLE"}}, "InvalidInputException"),
    ("logs", "GetLogEvents", {"logGroupName": "/none", "logStreamName": "none"}, "ResourceNotFoundException"),
    ("logs", "FilterLogEvents", {
        "logGroupName": "/aws/codebuild/svc-cart", "logStreamNames": ["a"], "logStreamNamePrefix": "a"}, "InvalidParameterException"),
    ("iam", "GetRole", {"RoleName": "none"}, "NoSuchEntity"),
    ("iam", "GetRolePolicy", {"RoleName": "shop-build", "PolicyName": "none"}, "NoSuchEntity"),
    ("iam", "PutRolePolicy", {"RoleName": "shop-build", "PolicyName": "x", "PolicyDocument": "{"}, "MalformedPolicyDocument"),
    ("secretsmanager", "DescribeSecret", {"SecretId": "none"}, "ResourceNotFoundException"),
    ("codebuild", "DeleteProject", {"name": "svc-web"}, "UnknownOperationException"),
    ("iam", "ListRoles", {}, "InvalidAction"),
]


def check_all(endpoint, checks, deadline):
    services = {name: Service(name, endpoint) for name in shapes.OPERATIONS}
    tried = set()
    for name, operation, request in list(requests(services, deadline)):
        service = services[name]
        tried.add((name, operation))
        answer, error = service.call(operation, request)
        checks.that(error is None, f"{name} {operation} is accepted: {error}")
        if answer is not None:
            conforms(service, operation, checks)
        known = service.known_errors(operation) | COMMON_ERRORS
        given = service.model["operations"][operation].get("input")
        for what, broken in forbidden(service.model["shapes"], given["shape"], request, service.query) if given else ():
            if time.monotonic() > deadline:
                raise SystemExit("out of time")
            _, error = service.call(operation, broken)
            checks.that(error in known, f"{name} {operation} {what}: {error or 'accepted'}")
    for name, operations in shapes.OPERATIONS.items():
        for operation in operations:
            checks.that((name, operation) in tried, f"{name} {operation} is tried")
    for name, operation, request, expected in BEYOND_THE_MODEL:
        _, error = services[name].call(operation, request)
        checks.that(error == expected, f"{name} {operation} {json.dumps(request)[:80]}: {error}, not {expected}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, server, deadline):
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the simulated account did not start")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    checks = Checks()
    deadline = time.monotonic() + DEADLINE_S
    checks.that(
        shapes.SHAPES_FILE.read_text() == shapes.as_text(shapes.request_shapes()),
        f"{shapes.SHAPES_FILE.name} is what tests/model/shapes.py writes from the installed models",
    )
    port = free_port()
    server = subprocess.Popen(
        [sys.argv[1], "--listen", f"127.0.0.1:{port}", "--every", "600"], stdout=subprocess.DEVNULL)
    try:
        wait_for(port, server, deadline)
        check_all(f"http://127.0.0.1:{port}", checks, deadline)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            code = server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            code = server.wait()
    checks.that(code == 0, f"SIGTERM ends the server with status 0, not {code}")
    print(f"{checks.passed} passed, {len(checks.failed)} failed")
    raise SystemExit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
