"""A whole Terraform configuration made of a fragment and what its owner's project has besides."""

import sys

PROJECT = """  name         = "web"
  service_role = "arn:aws:iam::111122223333:role/codebuild-web"

  artifacts {
    type = "NO_ARTIFACTS"
  }

  source {
    type      = "GITHUB"
    location  = "https://github.com/acme/web"
    buildspec = "ci/buildspec.yml"
  }

"""
ENVIRONMENT = """    compute_type = "BUILD_GENERAL1_SMALL"
    image        = "node:22"
    type         = "LINUX_CONTAINER"

"""

seen = []
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        print(line, end="")
        if line.startswith('resource "aws_codebuild_project"'):
            seen.append("project")
            print(PROJECT, end="")
        elif line == "  environment {\n":
            seen.append("environment")
            print(ENVIRONMENT, end="")
assert seen == ["project", "environment"], seen
