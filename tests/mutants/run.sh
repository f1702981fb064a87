#!/bin/sh
# Mutation tests of src/domain: cargo-mutants changes one expression at a time, and some test should fail.
#
#   cargo install cargo-mutants --locked
#   tests/mutants/run.sh                                        everything; takes hours
#   tests/mutants/run.sh -f 'src/domain/decide/**' -- --lib     one folder, against the unit tests alone
#   tests/mutants/run.sh --shard 0/8                            an eighth of all
#
# The whole crate would be linked with the AWS SDKs for every mutant. The domain needs none of them, so it is laid out as
# a crate of its own below the build directory, with the tests that need only it, and changed there: the working tree is
# not touched. What was found lies in target/mutants/mutants.out; docs/decisions/mutation-testing.md says how to read it.
set -eu

cd "$(dirname "$0")/../.."
here=${CARGO_TARGET_DIR:-target}/mutants
crate=$here/domain
mkdir -p "$crate/src" "$crate/tests" "$crate/.cargo"

# Times are kept, so that only what was edited is compiled again.
rm -rf "$crate/src" "$crate/tests"
mkdir -p "$crate/src" "$crate/tests"
cp -Rp src/domain "$crate/src/"
cp -Rp tests/buildspec tests/buildspec.rs tests/corpus tests/corpus.rs tests/fuzz "$crate/tests/"
cp -p Cargo.lock "$crate/"
cp -p tests/mutants/mutants.toml "$crate/.cargo/"

# The versions are those of the project. A package that src/domain begins to use goes into this list.
dependency() { sed -n "/^\[$1\]/,/^\[/p" Cargo.toml | grep -E "^($2) = "; }
{
    printf '[package]\nname = "unthrottled"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
    dependency dependencies 'aho-corasick|brush-parser|croner|globset|granit-parser|jiff|memchr|schemars|serde|serde_json|sha2|similar'
    printf '\n[dev-dependencies]\n'
    dependency dev-dependencies 'insta|proptest|rstest|serde_norway|tempfile'
    printf '\n[profile.dev]\ndebug = false\n'
} >"$crate/Cargo.toml"
printf '//! The domain alone.\n\npub mod domain;\n' >"$crate/src/lib.rs"

export AWS_EC2_METADATA_DISABLED=true INSTA_UPDATE=no PROPTEST_RNG_SEED=20261121 RUST_BACKTRACE=0
exec cargo mutants --dir "$crate" --in-place --output "$here" "$@"
