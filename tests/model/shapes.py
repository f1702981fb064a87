"""The request shapes of AWS's own service models that the simulated account validates against.

botocore carries the models. `request_shapes` cuts out what the implemented operations take; `src/simulator/model_shapes.json` is
exactly that, so the simulator refuses what AWS's model forbids without carrying the whole model. Run this file to write it anew.
"""

import json
import pathlib

import botocore.loaders

SHAPES_FILE = pathlib.Path(__file__).resolve().parents[2] / "src/simulator/model_shapes.json"

OPERATIONS = {
    "codebuild": [
        "ListBuilds", "ListBuildsForProject", "BatchGetBuilds", "ListProjects", "BatchGetProjects",
        "UpdateProject", "StartBuild", "StopBuild", "RetryBuild",
    ],
    "logs": ["GetLogEvents", "FilterLogEvents", "DescribeLogStreams"],
    "iam": [
        "GetRole", "ListRolePolicies", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy", "SimulatePrincipalPolicy",
    ],
    "sts": ["GetCallerIdentity", "AssumeRole"],
    "secretsmanager": ["DescribeSecret", "GetSecretValue", "CreateSecret", "PutSecretValue", "ListSecrets"],
}


def load(service):
    """The newest service-2 model of a service."""
    return botocore.loaders.Loader().load_service_model(service, "service-2")


def request_shapes():
    return {service: _of_service(load(service), names) for service, names in OPERATIONS.items()}


def _of_service(model, names):
    operations, shapes = {}, {}
    for name in names:
        given = model["operations"][name].get("input")
        operations[name] = given["shape"] if given else None
        if given:
            _collect(model["shapes"], given["shape"], shapes)
    return {"operations": operations, "shapes": dict(sorted(shapes.items()))}


def _collect(shapes, name, into):
    if name in into:
        return
    shape = shapes[name]
    kept = {"type": shape["type"]}
    for fact in ("min", "max", "pattern", "enum", "required"):
        if shape.get(fact):
            kept[fact] = shape[fact]
    into[name] = kept
    if shape["type"] == "structure":
        kept["members"] = {member: ref["shape"] for member, ref in shape["members"].items()}
        for ref in shape["members"].values():
            _collect(shapes, ref["shape"], into)
    elif shape["type"] == "list":
        kept["member"] = shape["member"]["shape"]
        _collect(shapes, shape["member"]["shape"], into)


def as_text(request_shapes):
    """One line a shape, so that a new version of the models shows as a readable difference."""
    lines = ["{"]
    for at, (service, content) in enumerate(request_shapes.items()):
        lines.append(f' {json.dumps(service)}: {{"operations": {json.dumps(content["operations"])}, "shapes": {{')
        shapes = [f"  {json.dumps(name)}: {json.dumps(shape)}" for name, shape in content["shapes"].items()]
        lines.append(",\n".join(shapes))
        lines.append(" }}" + ("," if at + 1 < len(request_shapes) else ""))
    return "\n".join([*lines, "}"]) + "\n"


if __name__ == "__main__":
    SHAPES_FILE.write_text(as_text(request_shapes()))
    print(f"wrote {SHAPES_FILE}")
