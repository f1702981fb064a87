#!/bin/sh
# Holds the simulated account against AWS's own service models: builds the example that serves it, and runs
# tests/model/check.py, which starts that server and ends it whatever happens.
# Needs python3 (3.10 or later, with venv); everything is installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
requirements=tests/model/requirements.txt
target=${CARGO_TARGET_DIR:-target}
venv=$target/model

# The copy of the requirements is written last: an installation that broke off is done again.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$venv/requirements.txt"
fi

cargo build --locked --quiet --example simulated-account
exec "$venv/bin/python" tests/model/check.py "$target/debug/examples/simulated-account"
