#!/bin/sh
# Gives the patches for owners to the tools of their languages: the AWS CLI against the simulated account, cfn-lint,
# the TypeScript compiler with aws-cdk-lib, and Terraform where it is installed. Every fragment is put into a whole
# first, as its owner would.
# Needs python3 (3.10 or later, with venv), bash, git and jq; npm and terraform are used if they are there. Everything is
# installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
here=tests/patch
target=${CARGO_TARGET_DIR:-target}
venv=$target/patch
command -v jq >/dev/null || { echo "tests/patch/run.sh needs jq" >&2; exit 1; }

# The copy of the requirements is written last: an installation that broke off is done again.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
python=$(cd "$venv/bin" && pwd)
patches=$(mktemp -d)
trap 'rm -rf "$patches"' EXIT

echo "-- the AWS CLI against the simulated account"
PATH=$python:$PATH PATCHES=$patches cargo test --locked --quiet --test patch -- --ignored

echo "-- cfn-lint"
for fragment in "$patches"/*.yaml; do
    "$python/python" "$here/whole_template.py" "$fragment" >"$fragment.whole.yaml"
done
"$python/cfn-lint" --region us-east-1 -- "$patches"/*.whole.yaml

echo "-- bash"
for script in "$patches"/*.sh; do bash -n "$script"; done

if command -v npm >/dev/null; then
    echo "-- the TypeScript compiler and the AWS CDK"
    if ! cmp -s "$here/package.json" "$venv/cdk/package.json"; then
        mkdir -p "$venv/cdk"
        rm -f "$venv/cdk/package.json"
        (cd "$venv/cdk" && npm install --silent --no-audit --no-fund --no-save --prefix . \
            $(sed -n 's/^ *"\([a-z-]*\)": "\([0-9.]*\)",\{0,1\}$/\1@\2/p' "../../../$here/package.json"))
        cp "$here/package.json" "$venv/cdk/package.json"
    fi
    cp "$here/app.ts" "$patches"/*.ts "$venv/cdk/"
    (cd "$venv/cdk" && ./node_modules/.bin/tsc --strict --skipLibCheck --target ES2022 --module commonjs \
        --outDir out app.ts && node out/app.js)
else
    echo "-- no npm here: the TypeScript was not compiled"
fi

if command -v terraform >/dev/null; then
    echo "-- terraform fmt"
    for fragment in "$patches"/*.tf; do terraform fmt -check -diff "$fragment"; done
    mkdir "$patches/terraform"
    for fragment in "$patches"/*.tf; do "$python/python" "$here/whole_configuration.py" "$fragment"; done \
        >"$patches/terraform/main.tf"
    # Where the provider can't be fetched, TF_CLI_ARGS_init=-plugin-dir=FOLDER names one.
    if (cd "$patches/terraform" && terraform init -input=false >init.log 2>&1); then
        echo "-- terraform validate"
        (cd "$patches/terraform" && terraform validate -no-color)
    else
        echo "-- the provider could not be fetched: terraform validate was not run"
    fi
else
    echo "-- no terraform here: its configuration was not validated"
fi
