"""A whole CloudFormation template made of a project and the fragment that its owner puts in."""

import sys

import yaml

PROJECT = {
    "Type": "AWS::CodeBuild::Project",
    "Properties": {
        "ServiceRole": "arn:aws:iam::111122223333:role/codebuild-web",
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Source": {"Type": "GITHUB", "Location": "https://github.com/acme/web", "BuildSpec": "ci/buildspec.yml"},
        "Environment": {
            "Type": "LINUX_CONTAINER",
            "Image": "node:22",
            "ComputeType": "BUILD_GENERAL1_SMALL",
            "EnvironmentVariables": [{"Name": "STAGE", "Value": "prod"}],
        },
    },
}


def merged(there, more):
    """Members one by one, lists one after the other."""
    if isinstance(there, dict) and isinstance(more, dict):
        both = {key: merged(there[key], more[key]) if key in there else more[key] for key in more}
        return {**there, **both}
    if isinstance(there, list) and isinstance(more, list):
        return there + more
    return more


with open(sys.argv[1], encoding="utf-8") as file:
    fragment = yaml.safe_load(file)
projects = [id for id, made in fragment["Resources"].items() if made["Type"] == PROJECT["Type"]]
assert len(projects) == 1, fragment
whole = merged({"Resources": {projects[0]: PROJECT}}, fragment)
yaml.safe_dump({"AWSTemplateFormatVersion": "2010-09-09", **whole}, sys.stdout)
