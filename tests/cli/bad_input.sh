#!/bin/sh
# Whatever is handed in: one clear sentence, a status, no crash, and nothing half written.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16"

# Data.
: >empty.npy
printf 'not an array' >foreign.npy
printf '1,2\n3,nan\n' >nan.csv
printf '1,2\n3\n' >ragged.csv
refused 1 "did you mean 'moons'?" train mons --out run
refused 1 "missing.npy" train missing.npy --out run
refused 1 "empty.npy" train empty.npy --out run
refused 1 "foreign.npy" train foreign.npy --out run
refused 1 "nan.csv" train nan.csv --out run
refused 1 "ragged.csv" train ragged.csv --out run
[ ! -e run ] || fail "a refused training left a folder behind"

# Usage.
refused 2 "--out DIR is needed" train moons
refused 2 "DATA is needed" train --out run
refused 2 "did you mean --steps?" train moons --out run --stesp 5
refused 2 "--steps: \"many\" is not usable" train moons --out run --steps many
refused 2 "--lr: \"0\" is not usable: expected a number above 0" train moons --out run --lr 0
refused 2 "did you mean \"selu\"?" train moons --out run --activation seluu

# Devices and folders.
refused 1 "no such thing" train moons --out run --device "no such thing"
printf x >file
refused 1 "file" train moons --out file $small --steps 2
refused 1 "file/run" train moons --out file/run $small --steps 2

# A training that diverges says where, and saves nothing of it.
expect 1 train moons --out diverged $small --steps 200 --lr 1e6 --clip off --activation relu --schedule constant
says "flowcl: " "step"
ls diverged/*.safetensors >/dev/null 2>&1 && fail "a checkpoint of NaN was saved"

# A full disk.
if [ -w /dev/full ]; then
    mkdir full
    ln -s /dev/full full/config.yaml
    expect 1 train moons --out full $small --steps 2
    says "flowcl: cannot write /dev/full: No space left on device"
    ls full/*.safetensors full/*.part >/dev/null 2>&1 && fail "the training went on"
fi

# Checkpoints.
expect 0 train moons --out good $small --steps 2
checkpoint=good/checkpoint-0000000002.safetensors
head -c 1000 $checkpoint >short.safetensors
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 $checkpoint; } >header.safetensors
for file in short.safetensors header.safetensors foreign.npy empty.npy missing.safetensors; do
    refused 1 "$file" info $file
    refused 1 "$file" info $file --json
    refused 1 "$file" sample $file --n 4 --out x.npy
done
if [ -w /dev/full ]; then
    ln -s /dev/full full.csv
    refused 1 "/dev/full: No space left on device" sample good --n 400 --out full.csv
fi
mkdir nothing
refused 1 "nothing" info nothing
refused 1 "no such thing" sample good --n 4 --out x.npy --device "no such thing"
refused 1 "nowhere" sample good --n 4 --out nowhere/x.npy
refused 2 "--out is required" sample good --n 4
refused 2 "x.jpg" sample good --n 4 --out x.jpg
refused 2 "did you mean \"euler\"?" sample good --n 4 --out x.npy --solver eulr
refused 2 "needs an argument" sample --n 4 --out x.npy
printf '1,2,3\n' >three.csv
refused 1 "3 numbers" sample good --encode three.csv --out x.npy
[ ! -e x.npy ] || fail "a refused call wrote a file"
exit 0
