#!/bin/sh
# Runs the program as the container does, without a container engine: the binary that the image ships (no simulated
# account in it), alone in a bare root that is read-only but for the ledger's folder, as the image's user, without
# capabilities. What it takes from the image, it reads from the Dockerfile.
# Needs root (for chroot and namespaces), util-linux and python3 with venv; everything is made below the build directory.
#
# The image's binary is static, by musl. This one is linked to the C library of the machine, which is copied beside it.
set -eu

cd "$(dirname "$0")/../.."
here=tests/image
target=${CARGO_TARGET_DIR:-target}
work=$target/image-check
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
    echo "-- NOT STARTED in a bare root: that needs root and mounts of its own"
    exit 0
fi

echo "-- the program in a bare root"
cargo build --locked --quiet --example simulated-account
account=$(realpath "$target/debug/examples/simulated-account")
cargo build --locked --quiet --no-default-features --bin unthrottled
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.volumes"' EXIT
chmod 755 "$root"
mkdir -p "$root/etc/ssl/certs" "$root/var/lib/unthrottled"
cp "$target/debug/unthrottled" "$root/unthrottled"
# As the Dockerfile takes them from its first stage.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
ldd "$target/debug/unthrottled" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
python3 "$here/check.py" "$root" "$account" Dockerfile
