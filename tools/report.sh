#!/bin/sh
# Prints what to send with a report: versions, devices, and on each device the self-test, a group of `flowcl verify` and the
# start of a training, with what was printed by those that failed. No name of user or host, and no path of theirs, is in it.
#     tools/report.sh [OPTIONS OF drivers.py] >report.txt     # as --vendors DIR; $BUILD names another build folder than build/
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# escaped TEXT: as a pattern of sed.
escaped() { printf '%s' "$1" | sed 's/[][\.*^$|/]/\\&/g'; }
# Paths of this tree, of home and of the folder for files go, and the names of user and host where they are words.
{
    for path in "$PWD" "$folder" "${HOME:-}"; do
        [ "${#path}" -lt 2 ] || printf 's/%s/.../g\n' "$(escaped "$path")"
    done
    user=$(id -un 2>/dev/null)
    [ -z "$user" ] || [ "$user" = root ] || printf 's/\\b%s\\b/USER/g\n' "$(escaped "$user")"
    host=$(uname -n)
    [ -z "$host" ] || [ "$host" = localhost ] || printf 's/\\b%s\\b/HOST/g\n' "$(escaped "$host")"
} >"$folder/private.sed"

report() {
    flowcl=$build/tools/flowcl
    echo "$("$flowcl" --version 2>&1 | head -n 1), $(git describe --always --dirty 2>/dev/null || echo 'no repository')"
    (. /etc/os-release 2>/dev/null && echo "system $PRETTY_NAME"; uname -srm)
    for package in ocl-icd-libopencl1 libclblast1 pocl-opencl-icd libpocl2 mesa-opencl-icd intel-opencl-icd oclgrind; do
        dpkg-query -W -f '${Package} ${Version}\n' "$package" 2>/dev/null
    done
    env | grep -E '^(FLOWCL|OCL_ICD|POCL|RUSTICL|CL_CONFIG)_' | sort
    "$flowcl" devices --json 2>&1
    echo
    python3 tools/drivers.py --quick --build "$build" --folder "$folder/drivers" "$@" 2>"$folder/progress" ||
        { status=$?; grep -v ': \(verify\|tests\|curve\)$' "$folder/progress"; echo "drivers.py: status $status"; }
}
report "$@" >"$folder/report" 2>&1
sed -f "$folder/private.sed" "$folder/report"
