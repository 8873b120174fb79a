#!/bin/sh
# A device that goes away in the middle of a training: one sentence, a status, the last checkpoint, from which the run goes
# on bit for bit. $2: a library that, preloaded, is such a driver.
. "$(dirname "$0")/lib.sh"
case $2 in /*) faults=$2 ;; *) faults=$OLDPWD/$2 ;; esac
LD_PRELOAD=$faults "$flowcl" --version >out 2>err && [ ! -s err ] || exit 77 # a sanitizer wants to be first

options="--width 8 --depth 1 --batch 16 --steps 60 --checkpoint-every 10 --samples-every off --metrics-every 10"
train() {
    LD_PRELOAD=$faults "$flowcl" train moons $options --out "$@" >out 2>err </dev/null
}
train whole || fail "a training without faults" # compiles, and tests the device: calls that the next ones do without
rm -rf whole
FAULTS_COUNT=$folder/calls train whole || fail "a training without faults"
calls=$(cat calls)
last=whole/checkpoint-0000000060.safetensors
for share in 35 60 70 80 90; do
    at=$((calls * share / 100))
    rm -rf run
    FAULTS_AT=$at train run && fail "call $at of $calls failed, and the training went on"
    [ $? -eq 1 ] || fail "call $at of $calls: not status 1"
    [ "$(grep -c '^flowcl: ' err)" = 1 ] || fail "call $at of $calls: not one sentence"
    says ": CL_"
    ls run/*.part >/dev/null 2>&1 && fail "call $at of $calls: a part of a checkpoint is left"
    if ls run/checkpoint-*.safetensors >/dev/null 2>&1; then
        says "0 is there, and --resume (the option resume) goes on from it"
        expect 0 info run
    fi
    expect 0 train moons $options --out run --resume
    cmp -s $last run/checkpoint-0000000060.safetensors || fail "call $at of $calls: the resumed run ends elsewhere"
done
