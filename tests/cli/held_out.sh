#!/bin/sh
# A held-out part: its loss in metrics.jsonl, the same whether data stream or not, and however often a run is stopped.
. "$(dirname "$0")/lib.sh"

short="--width 16 --depth 2 --batch 32 --samples-every off --schedule constant --metrics-every 10"

# losses RUN: step and held-out loss of the rows that have one.
losses() {
    python3 -c 'import json, sys
for line in open(sys.argv[1] + "/metrics.jsonl"):
    row = json.loads(line)
    if "held_out_loss" in row: print(row["step"], row["held_out_loss"])' "$1"
}

expect 0 train moons --data-count 300 --held-out 0.1 --held-out-every 15 --steps 40 --out run $short
says "300 samples" "30 of them are held out" "(held out "
rows run/metrics.jsonl 10 15 20 30 40
losses run >run.losses
[ "$(cut -d ' ' -f 1 run.losses | tr '\n' ' ')" = "15 30 40 " ] || fail "held-out losses at other steps than 15, 30 and 40"
grep -q '^held-out: 0.1' run/config.yaml || fail "config.yaml lacks the held-out part"

# A number in place of the share; streamed; the learning of another part is another.
expect 0 train moons --data-count 300 --held-out 30 --held-out-every 15 --steps 40 --stream-data --out number $short
losses number | cmp - run.losses || fail "30 of 300 are not a tenth, or streaming changes them"
expect 0 train moons --data-count 300 --held-out 60 --held-out-every 15 --steps 40 --out more $short
losses more | cmp -s - run.losses && fail "another part has the same losses"
expect 0 train moons --data-count 300 --steps 40 --out none $short
[ -z "$(losses none)" ] || fail "nothing is held out, and there is a loss of it"

# Stopped and resumed, at a step with a loss and at one without, with classes and pairs.
pairs="--labels --label-drop 0.2 --coupling ot --coupling-batch 64 --ema 0.9,0.5"
expect 0 train moons --data-count 300 --held-out 0.2 --held-out-every 10 --steps 40 --out whole $pairs $short
expect 0 train moons --data-count 300 --held-out 0.2 --held-out-every 10 --steps 10 --out parts $pairs $short
expect 0 train --resume --out parts --steps 23
expect 0 train --resume --out parts --steps 40
losses whole >whole.losses
losses parts | grep -v '^23 ' | cmp - whole.losses || fail "a resumed run has other held-out losses"
python3 - <<'END' || fail "a resumed run has other weights"
def blob(run):
    bytes_ = open(run + "/checkpoint-0000000040.safetensors", "rb").read()
    return bytes_[8 + int.from_bytes(bytes_[:8], "little"):]
assert blob("whole") == blob("parts")
END

# It may be looked at more often, but the part stays.
expect 0 train --resume --out run --steps 45 --held-out-every 5
refused 1 "held-out 0.1, not 0.2" train moons --data-count 300 --resume --out run --steps 50 --held-out 0.2
refused 1 "held-out 0.1, not 0" train moons --data-count 300 --resume --out run --steps 50 --held-out 0
refused 1 "held-out 0, not 0.1" train moons --data-count 300 --resume --out none --steps 50 --held-out 0.1

# Pictures that stay in their folder; classes are counted without the part.
python3 - <<'END'
import os, struct, zlib
def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
for k in range(12):
    os.makedirs(f"pictures/{k % 2}", exist_ok=True)
    grey = b"".join(bytes([0] + [20 * k + x for x in range(4)]) for y in range(4))
    open(f"pictures/{k % 2}/{k}.png", "wb").write(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)) +
        chunk(b"IDAT", zlib.compress(grey)) + chunk(b"IEND", b""))
END
mlp="--model mlp --width 8 --depth 1 --batch 4 --samples-every off --steps 4 --held-out 5 --labels"
expect 0 train pictures --out kept $mlp
expect 0 train pictures --out streamed --stream-data --hflip $mlp
says "5 of them are held out"
expect 0 train pictures --out streamed2 --stream-data $mlp
losses kept >kept.losses
losses streamed2 | cmp - kept.losses || fail "pictures in their folder have another held-out loss"
expect 0 info kept --json
json 'sum(o["class_counts"]) == 7'

# What cannot be.
refused 1 "held-out 300 of the 300 samples of moons leaves none to train on" train moons --data-count 300 --held-out 300 --out no $short
refused 2 "held-out 1.5: expected a share below 1, or a whole number" train moons --held-out 1.5 --out no $short
refused 2 "--held-out" train moons --held-out -1 --out no $short
refused 2 "--held-out-every" train moons --held-out 0.1 --held-out-every 0 --out no $short
[ ! -e no ] || fail "a folder is left of a training that cannot be"
