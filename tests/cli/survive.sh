#!/bin/sh
# What a training survives: pictures that cannot be drawn, a full disk; and what it draws when it is resumed.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --metrics-every 10"

# --- a run that is done ---
expect 0 train moons --out done --steps 40 $small
cp done/samples-0000000040.png first.png
cp done/checkpoint-0000000040.safetensors first.safetensors
expect 0 train --out done --resume
says "all 40 steps are done already"
rm -f done/samples-0000000040.png done/loss.png # as if it had gone down before
expect 0 train --out done --resume
cmp first.png done/samples-0000000040.png || fail "what is drawn late is not what would have been drawn"
! has_charts || [ -s done/loss.png ] || fail "the chart of the loss is not drawn again"
cmp first.safetensors done/checkpoint-0000000040.safetensors || fail "a run that was done was trained"
# The chart is of every row that is there, whoever measured what is in it.
if has_charts; then
    orange='import png, sys; rows, channels = png.read(sys.argv[1]); print(sum(row[i] > 200 and 120 < row[i + 1] < 190 and row[i + 2] < 80 for row in rows for i in range(0, len(row), 3)))'
    [ "$(python3 -c "$orange" done/loss.png)" -eq 0 ] || fail "the chart shows what no row has"
    sed -i 's/}$/,"held_out_loss":1.25}/' done/metrics.jsonl
    expect 0 train --out done --resume
    [ "$(python3 -c "$orange" done/loss.png)" -gt 100 ] || fail "the chart does not show the held-out loss of the rows"
fi

# --- pictures that cannot be drawn ---
python3 - <<'END'
import os
head = "{'descr': '|u1', 'fortran_order': False, 'shape': (70, 1, 4200), }"
head += " " * (117 - len(head)) + "\n"
open("wide.npy", "wb").write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + os.urandom(70 * 4200))
END
expect 0 train wide.npy --out wide --steps 6 --samples-every 2 $small
says "warning cannot draw wide/samples-0000000002.png" "the numbers are in wide/samples-0000000002.npy"
[ "$(grep -c '^warning' err)" -eq 1 ] || fail "a picture that cannot be drawn is told more than once"
for step in 2 4 6; do
    head -c 128 wide/samples-000000000$step.npy | grep -qaF '(64, 1, 1, 4200)' || fail "there are no numbers of step $step"
    [ "$(wc -c <wide/samples-000000000$step.npy)" -eq $((128 + 4 * 64 * 4200)) ] || fail "not all numbers of step $step"
done
[ -s wide/checkpoint-0000000006.safetensors ] || fail "a picture that cannot be drawn hindered the checkpoint"
# Weights so large that samples overflow: of points there is no picture, of pictures one does not show it.
python3 - <<'END'
import os
head = "{'descr': '|u1', 'fortran_order': False, 'shape': (70, 2, 2), }"
head += " " * (117 - len(head)) + "\n"
open("tiny.npy", "wb").write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + os.urandom(280))
END
for data in moons tiny.npy; do
    expect 0 train $data --out overflow-$data --steps 1 --width 16 --depth 3 --batch 16 --ema off --clip off \
        --schedule constant --lr 1e4
    says "warning samples at step 1:" "saved overflow-$data/checkpoint-0000000001.safetensors"
    [ -s overflow-$data/samples-0000000001.npy ] || fail "there are no numbers of samples that are not finite"
done
mkdir blocked blocked/samples-0000000002.png # a folder stands where the picture goes
expect 0 train moons --out blocked --steps 4 --samples-every 2 $small
says "it is a folder"
[ -s blocked/samples-0000000002.npy ] && [ -s blocked/samples-0000000004.png ] || fail "one picture hindered the next"

# --- a full disk ---
# fill_until TEXT: the disk is full, also of what a file that was given up has left, until the training says TEXT.
fill_until() {
    while ! grep -q "$1" began.err; do
        kill -0 $process 2>/dev/null || { cat began.err >&2; fail "a full disk ended a training"; }
        head -c 1000000 /dev/zero >>disk/filler 2>/dev/null
        sleep 0.1
    done
}

# A limit of a file's size (2 MB) that four times 300 000 numbers are above of, and what the driver writes is not.
large="--width 384 --depth 3 --batch 16 --metrics-every 10 --samples-every off"
(ulimit -f 4096 && exec "$flowcl" train moons --out limited --steps 30 --checkpoint-every 10 $large) >out 2>err </dev/null
[ $? -eq 1 ] || fail "a checkpoint that could not be written is no failure"
says "warning cannot write limited/checkpoint-0000000010.safetensors: File too large; none was saved so far" \
    "flowcl: cannot write limited/checkpoint-0000000030.safetensors: File too large; none was saved so far: make room and begin"
[ "$(grep -c '^warning' err)" -eq 1 ] || fail "each checkpoint is told"
rows limited/metrics.jsonl 10 20 30

mkdir disk
if mount -t tmpfs -o size=4m tmpfs disk 2>/dev/null; then
    mounts=disk
    # The filler has most of the room from the start, and few pictures and rows are drawn: on a fast machine they would take it
    # all, and leave none that the filler gives back.
    head -c 3500000 /dev/zero >disk/filler
    begin disk/run --samples-every 1000 --checkpoint-every 20 --keep 1 --metrics-every 200
    fill_until "warning cannot write disk/run/checkpoint-.*No space left on device"
    fill_until "warning cannot write disk/run/metrics.jsonl: No space left on device"
    fill_until "warning cannot write disk/run/samples-.*No space left on device"
    before=$(ls disk/run/checkpoint-*.safetensors)
    expect 0 info $before
    rm disk/filler
    while [ "$(ls disk/run/checkpoint-*.safetensors)" = "$before" ]; do
        kill -0 $process 2>/dev/null || fail "a full disk ended a training"
        sleep 0.1
    done
    kill -TERM $process
    ended || { cat began.err >&2; fail "a disk that has room again is no failure"; }
    expect 0 info disk/run
    [ "$(grep -c '^warning cannot write disk/run/samples' began.err)" -eq 1 ] || fail "each picture is told"
    python3 - disk/run/metrics.jsonl <<'END' || fail "a full disk cost rows of the metrics"
import json, sys
steps = [json.loads(line)["step"] for line in open(sys.argv[1])]
assert steps[:-1] == list(range(200, 200 * len(steps), 200)), steps
END
    # Where even the last checkpoint finds none: the one before stays, the sentence says what to do.
    rm disk/run/samples-*
    head -c 2500000 /dev/zero >disk/filler
    begin disk/last --samples-every off --checkpoint-every 20 --metrics-every 200
    while ! ls disk/last/checkpoint-* >/dev/null 2>&1; do sleep 0.1; done
    fill_until "warning cannot write disk/last/checkpoint-"
    kill -TERM $process
    ended && fail "a checkpoint that could not be written is no failure"
    cp began.err err
    says "flowcl: cannot write disk/last/checkpoint-" "No space left on device; the last one saved is of step" \
        "make room and go on from it"
    step=$(ls disk/last/checkpoint-*.safetensors | tail -n 1 | tr -dc 0-9 | sed 's/^0*//')
    expect 1 train --out disk/last --resume --steps $((step + 10))
    says "flowcl: cannot write disk/last/config.yaml: No space left on device"
    rm disk/filler
    expect 0 train --out disk/last --resume --steps $((step + 10))
    [ -z "$(find disk -name '*.part')" ] || fail "a full disk left a file that was written aside"
else
    echo "no tmpfs can be mounted here: a full disk is not tried" >&2
fi
exit 0
