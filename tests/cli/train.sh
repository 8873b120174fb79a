#!/bin/sh
# A training from its first message to its last file: the run folder, configuration, resuming, stopping.
. "$(dirname "$0")/lib.sh"

small="--width 16 --depth 2 --batch 64 --metrics-every 10 --samples-every 20"

# The run folder.
expect 0 train moons --out runs/a --steps 40 --schedule constant $small
says "device" "moons" "parameters" "step 40/40" "saved runs/a/checkpoint-0000000040.safetensors"
[ ! -s out ] || fail "train printed on standard output"
tr '\r' '#' <err | grep -q '#' && fail "a progress bar was drawn although standard error is no terminal"
[ "$(grep -c "^step " err)" -eq 10 ] || fail "not each tenth of the run was told"
for file in config.yaml metrics.jsonl samples-0000000020.png samples-0000000040.png checkpoint-0000000040.safetensors; do
    [ -s runs/a/$file ] || fail "runs/a/$file is missing"
done
python3 - runs/a/metrics.jsonl <<'END' || fail "metrics.jsonl is not as promised"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["step"] for r in rows] == [10, 20, 30, 40], rows
for r in rows:
    assert r["loss"] > 0 and r["gradient_norm"] > 0 and r["lr"] > 0 and r["seconds"] > 0
    assert r["samples_per_second"] > 0
END
grep -q '^width: 16 ' runs/a/config.yaml || fail "config.yaml lacks the width"

# A second run does not fall over the first one.
refused 1 "go on with --resume" train moons --out runs/a

# The written configuration gives the same run again, to the last bit.
expect 0 train --config runs/a/config.yaml --out runs/again
cmp runs/a/checkpoint-0000000040.safetensors runs/again/checkpoint-0000000040.safetensors || fail "a run does not repeat"

# Stopping in between and going on makes no difference, to the last bit.
expect 0 train moons --out runs/b --steps 20 --schedule constant $small
expect 0 train --out runs/b --resume --steps 40
says "resumes runs/b/checkpoint-0000000020.safetensors"
cmp runs/a/checkpoint-0000000040.safetensors runs/b/checkpoint-0000000040.safetensors || fail "resuming changed the weights"
cmp runs/a/samples-0000000040.png runs/b/samples-0000000040.png || fail "resuming changed the samples"
cut -d , -f 1 runs/a/metrics.jsonl >first
cut -d , -f 1 runs/b/metrics.jsonl >second
cmp first second || fail "resuming changed the rows of metrics.jsonl"
grep -q "bit for bit" err && fail "the same device was remarked on"
refused 1 "width" train --out runs/b --resume --steps 60 --width 32

# --resume without an earlier run begins one.
expect 0 train moons --out runs/c --resume --steps 2 $small

# The command line overrides the file, the file the defaults.
printf 'data: moons\nsteps: 9\nwidth: 8\ndepth: 1\n' >run.yaml
expect 0 train --config run.yaml --out runs/d --steps 3
grep -q '^steps: 3 ' runs/d/config.yaml || fail "the file overrode the command line"
grep -q '^width: 8 ' runs/d/config.yaml || fail "the file was not read"
printf 'data: moons\nstpes: 9\n' >wrong.yaml
refused 1 "wrong.yaml:2:1: unknown option stpes; did you mean steps?" train --config wrong.yaml --out runs/e
refused 1 "none.yaml" train moons --config none.yaml --out runs/e

# What is computed again needs less memory, and gives the same up to rounding; a run may go on without, or with it.
activations() { sed -n 's/^memory .*, activations \([0-9.]*\), data .*/\1/p' err; }
deep="--width 160 --depth 6 --batch 256 --metrics-every 2 --samples-every off --schedule constant"
expect 0 train moons --out runs/kept --steps 4 $deep
says "memory" "parameters 2" # 5 x 132 000 numbers
before=$(activations)
expect 0 train moons --out runs/less --steps 4 --recompute $deep
after=$(activations)
python3 - "$before" "$after" runs/kept/metrics.jsonl runs/less/metrics.jsonl <<'END' || fail "recompute is not as promised: $before, $after"
import json, sys
assert float(sys.argv[2]) < 0.75 * float(sys.argv[1])
kept, less = ([json.loads(line) for line in open(file)] for file in sys.argv[3:])
assert len(kept) == len(less) == 2
for a, b in zip(kept, less):
    assert abs(a["loss"] - b["loss"]) < 1e-5 * a["loss"] and abs(a["gradient_norm"] - b["gradient_norm"]) < 1e-4 * a["gradient_norm"]
END
expect 0 train moons --out runs/less-again --steps 2 --recompute $deep
expect 0 train --out runs/less-again --resume --steps 4 --recompute
cmp runs/less/checkpoint-0000000004.safetensors runs/less-again/checkpoint-0000000004.safetensors || fail "computing again does not repeat"
expect 0 train --out runs/less-again --resume --steps 5 --recompute=no

# A signal finishes the step and saves.
"$flowcl" train moons --out runs/f --steps 100000000 $small 2>err >out &
process=$!
while [ ! -s runs/f/metrics.jsonl ] && kill -0 $process 2>/dev/null; do sleep 0.1; done
kill -TERM $process
ended || fail "a stopped training is no failure"
says "saved runs/f/checkpoint-" "stopped at step" "flowcl train --resume --out runs/f"
[ ! -e runs/e ] || fail "a refused call left a folder behind"
find . -name '*.part' | grep -q . && fail "a file that was written aside is still there"
exit 0
