#!/bin/sh
# Lints the CloudFormation templates in deploy/, shows that the linter sees what is wrong, validates the Terraform module,
# and holds it against the stack: what the one makes, the other makes.
# Needs python3 (3.10 or later, with venv); terraform is used if it is there. Everything is installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
requirements=tests/deploy/requirements.txt
venv=${CARGO_TARGET_DIR:-target}/deploy

# The copy of the requirements is written last: an installation that broke off is done again.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$venv/requirements.txt"
fi

# Informational findings count, too; a region of each partition.
"$venv/bin/cfn-lint" --include-checks I --regions us-east-1 cn-north-1 us-gov-west-1 -- deploy/*.yaml
echo "deploy/: no finding"

# A linter that finds nothing may not be looking.
broken=$(mktemp -d)
trap 'rm -rf "$broken"' EXIT
must_find() {
    sed "$2" deploy/unthrottled.yaml >"$broken/stack.yaml"
    if cmp -s deploy/unthrottled.yaml "$broken/stack.yaml"; then
        echo "the template has no line for: $2" >&2
        exit 1
    fi
    if "$venv/bin/cfn-lint" "$broken/stack.yaml" >"$broken/found" 2>&1 || ! grep -q "^$1" "$broken/found"; then
        echo "cfn-lint did not find $1 after: $2" >&2
        cat "$broken/found" >&2
        exit 1
    fi
}
must_find W3037 's/codebuild:ListBuilds,/codebuild:ListBuildz,/'
must_find E3002 's/StopTimeout: 30/StopTimeouts: 30/'
echo "a misspelt action and a misspelt property are found"

if ! command -v terraform >/dev/null; then
    echo "deploy/terraform: NOT VALIDATED, as there is no terraform here"
    exit 0
fi
terraform fmt -check -diff deploy/terraform
cp -r deploy/terraform "$broken/module"
# Where the provider can't be fetched, TF_CLI_ARGS_init=-plugin-dir=FOLDER names one.
if (cd "$broken/module" && terraform init -input=false -no-color >init.log 2>&1); then
    (cd "$broken/module" && terraform validate -no-color 2>/dev/null)
    "$venv/bin/python" tests/deploy/same.py deploy/terraform deploy/unthrottled.yaml
else
    tail -n 5 "$broken/module/init.log" >&2
    echo "deploy/terraform: NOT VALIDATED, as its provider could not be fetched; name one by TF_CLI_ARGS_init=-plugin-dir=FOLDER"
fi
