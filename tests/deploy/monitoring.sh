#!/bin/sh
# Gives deploy/monitoring.yaml to cfn-lint. Needs python3 (3.10 or later, with venv); it is installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
venv=${CARGO_TARGET_DIR:-target}/deploy-lint

# The copy of the requirements is written last: an installation that broke off is done again.
if ! cmp -s tests/deploy/monitoring.txt "$venv/monitoring.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/deploy/monitoring.txt
    cp tests/deploy/monitoring.txt "$venv/monitoring.txt"
fi
"$venv/bin/cfn-lint" --region us-east-1 eu-central-1 -- deploy/monitoring.yaml
echo "cfn-lint found nothing in deploy/monitoring.yaml"
