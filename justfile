# What people do here. `just` alone lists it.

_default:
    @just --list

# The daemon at work on a simulated account; needs no AWS.
demo:
    cargo run -- demo

# All tests that need nothing but Rust.
test *arguments:
    cargo test {{ arguments }}

# Formatting and lints, as strict as the pipeline.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo clippy --lib --bins --no-default-features -- -D warnings

# Everything that the pipeline runs.
ci:
    .ci/run

# Licences, known vulnerabilities, bans and sources of dependencies; needs cargo-deny.
deny:
    cargo deny check

# The documents that are made of the code.
docs:
    cargo run --quiet -- schema settings --as markdown > docs/settings.md.new
    mv docs/settings.md.new docs/settings.md
    sed '/^```text$/q' docs/permissions.md > docs/permissions.md.new
    cargo run --quiet -- --config config/examples/one-account.toml --set ledger.store=dynamodb iam-policy --doctor \
        --account 111122223333 --region eu-central-1 --kms-key arn:aws:kms:eu-central-1:111122223333:key/1234abcd \
        >> docs/permissions.md.new
    echo '```' >> docs/permissions.md.new
    mv docs/permissions.md.new docs/permissions.md

# The container image.
image tag="unthrottled":
    docker build --tag {{ tag }} .

# The same without Docker, by buildah: its size, its health check and its list of packages, run as ECS runs it.
image-check:
    tests/image/run.sh --image

# Check a settings file, with everything that it comes to.
check file="unthrottled.toml":
    cargo run --quiet -- check --config {{ file }} --show
