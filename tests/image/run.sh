#!/bin/sh
# Builds the image as the Dockerfile's last stage says, and runs it as ECS does: as the image's user, on a root that is
# read-only but for the ledger's folder, without capabilities. Looks at its health check, its list of packages and its size.
#
#   tests/image/run.sh            with the program as it is built for tests, for all of it but the size
#   tests/image/run.sh --image    with the program as it is shipped; builds for many minutes, and holds the size to its limit
#
# Needs root (for chroot and namespaces), util-linux, binutils and python3 with venv; everything is made below the build
# directory. The image is built by buildah and run by runc. Where there is no buildah, the program is run in a bare root.
#
# The Dockerfile's first stage is not run: it needs a base image from Docker Hub. What it makes is made here: the program,
# with its list of packages in it, and the certificates. For tests it is linked to the C library of the machine, which is
# copied beside it; what is shipped is static, by musl.
set -eu

cd "$(dirname "$0")/../.."
here=tests/image
target=${CARGO_TARGET_DIR:-target}
work=$target/image-check
limit=30000000
shipped=false
case ${1:-} in
--image) shipped=true ;;
'') ;;
*)
    echo "$0: there is only --image" >&2
    exit 64
    ;;
esac
mkdir -p "$work"

echo "-- hadolint"
if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/venv/requirements.txt"
fi
"$work/venv/bin/hadolint" Dockerfile

if [ "$(id -u)" -ne 0 ] || ! unshare --mount true 2>/dev/null; then
    echo "-- NOT STARTED: that needs root and mounts of its own"
    exit 0
fi

echo "-- the program, with its list of packages in it"
# As the Dockerfile installs it.
auditable=$(sed -n 's/.*cargo install --locked cargo-auditable@\([0-9.]*\).*/\1/p' Dockerfile)
if [ "$(cat "$target/tools/version" 2>/dev/null)" != "$auditable" ]; then
    CARGO_TARGET_DIR=$target/tools/build cargo install --locked --quiet --force --root "$target/tools" "cargo-auditable@$auditable"
    rm -rf "$target/tools/build"
    echo "$auditable" >"$target/tools/version"
fi
cargo build --locked --quiet --example simulated-account
account=$(realpath "$target/debug/examples/simulated-account")
build() { PATH=$(realpath "$target/tools/bin"):$PATH cargo auditable build --locked --quiet --no-default-features --bin unthrottled "$@"; }
if $shipped; then
    musl=$(rustc -vV | sed -n 's/^host: \([^-]*\).*/\1/p')-unknown-linux-musl
    build --profile image --target "$musl"
    program=$target/$musl/image/unthrottled
else
    build
    program=$target/debug/unthrottled
fi
context=$(mktemp -d)
trap 'rm -rf "$context" "$context.volumes"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$context"
mkdir -p "$context/etc/ssl/certs" "$context/libraries"
cp "$program" "$context/unthrottled"
# As the Dockerfile takes them from its first stage.
cp -L /etc/ssl/certs/ca-certificates.crt "$context/etc/ssl/certs/"
if ! $shipped; then
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$context/libraries$(dirname "$library")"
        cp -L "$library" "$context/libraries$library"
    done
fi
cargo tree --locked --no-default-features --edges normal,no-proc-macro --prefix none --format '{p}' \
    ${musl:+--target "$musl"} >"$work/packages"
python3 "$here/packages.py" "$context/unthrottled" "$work/packages"

if ! command -v buildah >/dev/null; then
    echo "-- NO IMAGE BUILT, as there is no buildah: the program alone, in a bare root"
    mkdir -p "$context/var/lib/unthrottled"
    cp -r "$context/libraries/." "$context/"
    rm -rf "$context/libraries"
    python3 "$here/check.py" bare "$context" "$account" Dockerfile
    exit 0
fi

echo "-- the image"
store=$(realpath "$work")/containers
export BUILDAH_ISOLATION=chroot
builder() { buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$@"; }
trap 'builder rm --all >/dev/null 2>&1 || true; rm -rf "$context" "$context.volumes" "$store"' EXIT
mkdir "$context/ledger"
sed -n '/^FROM scratch$/,$p' Dockerfile | sed 's/--from=build //' >"$context/Dockerfile"
$shipped || echo 'COPY libraries/ /' >>"$context/Dockerfile"
builder build --quiet --format docker --tag unthrottled:check "$context" >/dev/null
builder inspect --type image unthrottled:check >"$work/image.json"
builder push --quiet unthrottled:check "dir:$store/pushed"
container=$(builder from --pull-never unthrottled:check)
root=$(builder mount "$container")
python3 "$here/check.py" built "$root" "$account" "$work/image.json"

# What is stored of it, and what is pulled: the layers as they are, and compressed.
stored=$(cd "$root" && find . -type f -exec stat -c %s {} + | awk '{ sum += $1 } END { print sum }')
pulled=$(find "$store/pushed" -type f -exec stat -c %s {} + | awk '{ sum += $1 } END { print sum }')
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
if ! $shipped; then
    echo "size: not looked at, as the program is built for tests; $0 --image builds what is shipped"
    exit 0
fi
echo "size: $(megabytes "$stored"), of which $(megabytes "$pulled") are pulled"
if [ "$stored" -gt "$limit" ]; then
    echo "the image has $(megabytes "$stored"), and $(megabytes "$limit") is the limit" >&2
    exit 1
fi
