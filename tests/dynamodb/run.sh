#!/bin/sh
# Runs tests/dynamodb against dynoxide, a DynamoDB on a free port of this machine, and ends that server whatever happens.
# Needs python3; everything is installed below the build directory.
set -eu

cd "$(dirname "$0")/../.."
version=3.2.0
tools=${CARGO_TARGET_DIR:-target}/dynamodb
log=$tools/server.log
mkdir -p "$tools"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# Its SQLite is another one than ours, and one program can have only one: so it is a program of its own.
# The version is written last: an installation that broke off is done again.
if [ "$(cat "$tools/version" 2>/dev/null)" != "$version" ]; then
    CARGO_TARGET_DIR=$tools/build cargo install --quiet --locked --debug --force --root "$tools" \
        --no-default-features --features native-sqlite,http-server,cli "dynoxide-rs@$version"
    rm -rf "$tools/build"
    echo "$version" >"$tools/version"
fi
"$tools/bin/dynoxide" --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

attempts=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
    attempts=$((attempts + 1))
    if [ "$attempts" -gt 150 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "the server did not start; it said:" >&2
        cat "$log" >&2
        exit 1
    fi
    sleep 0.2
done

DYNAMODB_URL=http://127.0.0.1:$port cargo test --locked --test dynamodb "$@"
