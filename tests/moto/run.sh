#!/bin/sh
# Runs tests/moto.rs against a moto server on a free port of this machine, and ends that server whatever happens.
# Needs python3 (3.10 or later, with venv); everything is installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
requirements=tests/moto/requirements.txt
venv=${CARGO_TARGET_DIR:-target}/moto
log=$venv/server.log

# The copy of the requirements is written last: an installation that broke off is done again.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$venv/requirements.txt"
fi

# Port 0: the system picks a free one, and the server says which.
"$venv/bin/python" -m moto.server --host 127.0.0.1 --port 0 >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

url=
attempts=0
while [ -z "$url" ]; do
    attempts=$((attempts + 1))
    if [ "$attempts" -gt 150 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "the moto server did not start; it said:" >&2
        cat "$log" >&2
        exit 1
    fi
    sleep 0.2
    url=$(sed -n 's/.*Running on \(http:[^ ]*\).*/\1/p' "$log" | head -n 1)
done

MOTO_URL=$url cargo test --test moto "$@"
