#!/bin/sh
# Builds into build-sanitize/ by clang, with AddressSanitizer, UndefinedBehaviorSanitizer and the fuzzers, and runs suites
# of tests there: `none`, that of the tests without a driver, or those that are named (`pocl`, `cli`).
set -eu
cd "$(dirname "$0")/.."

tools/packages.sh clang libclang-rt-dev
[ -f build-sanitize/build.ninja ] ||
    CC=clang CXX=clang++ meson setup build-sanitize -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true -Dtests=enabled
[ $# -gt 0 ] || set -- none
for suite; do
    shift
    set -- "$@" --suite "$suite"
done
meson test -C build-sanitize --print-errorlogs "$@"
