#!/bin/sh
# The example own_data: trains on what it made itself, and draws it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$1" "$folder" >"$folder/out"
[ "$(cat "$folder/out")" = "$folder/rings.png" ]
[ "$(head -c 4 "$folder/rings.png" | tail -c 3)" = PNG ]
# what it was trained on stands in the checkpoint, by the name that the program gave
head -c 4000 "$folder/rings.safetensors" | grep -aqF 'my rings'
head -c 4000 "$folder/rings.safetensors" | grep -aqF '"classes":"2"'

if "$1" "$folder/missing" >"$folder/out"; then
    echo "an impossible folder went unnoticed"
    exit 1
fi
grep -q "$folder/missing" "$folder/out"
