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
printf '1.O,2\n3,4\n' >typo.csv
printf '1,5;2.5\n2;3\n' >comma.csv
refused 1 "typo.csv, line 1: '1.O' is not a number" train typo.csv --out run
refused 1 "comma.csv, line 1: '1,5' is not a number" train comma.csv --out run
[ ! -e run ] || fail "a refused training left a folder behind"

# Too little memory is told before anything is written, and what is told to fit does.
large="train moons --data-count 1000 --width 256 --depth 2 --steps 1 --samples-every off"
FLOWCL_MEMORY=4 refused 1 "flowcl: the training needs " $large --batch 4096 --out run
says " has 4.0 MiB: the largest batch that fits is --batch " "; the batch of 4096 fits in parts, with --accumulate "
[ ! -e run ] || fail "a training that does not fit left a folder behind"
for option in --batch --accumulate; do
    number=$(sed -n "s/.*$option \([0-9]*\).*/\1/p" err)
    cp err told
    rm -rf run
    case $option in --accumulate) option="--batch 4096 --accumulate" ;; esac
    FLOWCL_MEMORY=4 expect 0 $large $option "$number" --out run
    mv told err
done
rm -rf run

# Usage.
refused 2 "--out DIR is needed" train moons
refused 2 "DATA is needed" train --out run
refused 2 "did you mean --steps?" train moons --out run --stesp 5
refused 2 "--steps: \"many\" is not usable" train moons --out run --steps many
refused 2 "--lr: \"0\" is not usable: expected a number above 0" train moons --out run --lr 0
refused 2 "did you mean \"selu\"?" train moons --out run --activation seluu
refused 2 "--shuffle: \"foo\" is not usable: expected one of auto" train moons --out run --shuffle foo
refused 2 "--on-nan: \"foo\" is not usable: expected one of stop, skip" train moons --out run --on-nan foo
refused 2 "--ranks: \"0\" is not usable: expected a whole number from 2" bench --ranks 0
refused 2 "--ranks: \"x\" is not usable" bench --ranks x
refused 1 "share x has no use for a process alone" train moons --out run --share x

# Devices and folders.
refused 1 "no such thing" train moons --out run --device "no such thing"
refused 1 "has no 99999 parts: it has" train moons --out run --device 0:0/99999
printf x >file
refused 1 "file" train moons --out file $small --steps 2
refused 1 "file/run" train moons --out file/run $small --steps 2

# A training that diverges says where, and saves nothing of it.
expect 1 train moons --out diverged $small --steps 200 --lr 1e6 --clip off --activation relu --schedule constant
says "flowcl: " "step" "what broke first is "
ls diverged/*.safetensors >/dev/null 2>&1 && fail "a checkpoint of NaN was saved"

# Or it skips the steps that draw a number too large, and counts them.
printf '%s\n' 1,2 3e38,1 -1,0 0,1 >large.csv
large="train large.csv --normalise off --width 8 --depth 1 --batch 2 --steps 20"
expect 1 $large --out large
says "because of the data: large.csv has numbers up to 3e+38 (column 1), in sample 2"
says "; no checkpoint was saved so far"
expect 0 $large --out skips --metrics-every 20 --on-nan skip
says " of 20 steps, whose loss or gradient was not finite" "; their updates are skipped"
grep -q '"skipped":[1-9]' skips/metrics.jsonl || fail "metrics.jsonl does not count skipped steps"

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

# Where samples go is asked before they are drawn; where they start has to fit the model.
expect 0 train moons --labels --out classes $small --steps 2 --samples-every off
printf '\357\273\277x,y\r\n1,2\r\n3,4\r\n' >sheet.csv
printf '1,2,3\n' >wide.csv
mkdir folder.npy
refused 1 "the folder missing does not exist" sample classes --out missing/a.npy
refused 1 "folder.npy: it is a folder" sample classes --out folder.npy
refused 1 "sheet.csv has no labels, and the model has 2 classes: give --label" sample classes --encode sheet.csv --out a.npy
refused 1 "wide.csv: its samples have 3 numbers each, the model's have 2" sample classes --encode wide.csv --out a.npy
refused 2 "--seed has no use with --encode" sample classes --encode sheet.csv --label 1 --seed 3 --out a.npy
refused 2 "--source has no use with --encode" sample classes --encode sheet.csv --label 1 --source moons --out a.npy
refused 1 "the source three.csv has samples of 3 numbers" sample good --n 5 --source three.csv --out a.npy
refused 2 "coupling-batch 300 is not a multiple of the batch of 256" train moons --out x --coupling ot --coupling-batch 300
expect 0 sample classes --encode sheet.csv --label 1 --out a.csv
[ "$(wc -l <a.csv)" -eq 3 ] || fail "a table with the mark of UTF-8 and a heading lost a row"
truncate -s 900 classes/checkpoint-0000000002.safetensors
refused 1 "without this file the folder's next older checkpoint is taken" sample classes --out a.npy
