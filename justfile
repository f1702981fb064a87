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

# The container image.
image tag="unthrottled":
    docker build --tag {{ tag }} .

# Check a settings file, with everything that it comes to.
check file="unthrottled.toml":
    cargo run --quiet -- check --config {{ file }} --show
