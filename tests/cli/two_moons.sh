#!/bin/sh
# The example two_moons: trains, samples, writes a picture; says why it cannot.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$1" "$folder/run" >"$folder/out"
grep -q "^2000 samples in .* s, 100 evaluations each$" "$folder/out"
[ "$(head -c 4 "$folder/run/samples.png" | tail -c 3)" = PNG ]
[ -s "$folder/run/checkpoint-0000005000.safetensors" ]

if "$1" "$folder/out/run" >/dev/null 2>"$folder/err"; then
    echo "an impossible folder went unnoticed"
    exit 1
fi
grep -q "$folder/out" "$folder/err"
