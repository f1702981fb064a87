#!/bin/sh
# Looks at the status page in Chromium without a window: check.py says at what. Screenshots go to page/ below the build
# directory.
#
#   tests/page/run.sh                               # the check
#   tests/page/run.sh docs/images/status-page.png   # the picture of README
#
# Needs python3. Where Chromium is not installed it is taken from Debian, which needs root; CHROMIUM names another one.
set -eu

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
chromium=${CHROMIUM:-chromium}
if ! command -v "$chromium" >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-dejavu-core
fi
cargo build --locked --quiet --bin unthrottled --example status-page
mkdir -p "$target/page"
PYTHONDONTWRITEBYTECODE=1 python3 tests/page/check.py "$target/debug/unthrottled" "$target/debug/examples/status-page" \
    "$(command -v "$chromium")" "$target/page" "$@"
