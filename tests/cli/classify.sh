#!/bin/sh
# A classifier of drawn shapes: trained, stopped, gone on with; what it is tested on; wrong input.
. "$(dirname "$0")/lib.sh"

# MNIST's files, with a test part: pictures of 8 x 8 with a line across, a line down, or a block.
python3 - <<'END'
import random, struct
random.seed()
def ink(kind, x, y):
    return 0 <= x < 4 and 0 <= y < 4 and (kind == 2 or (y == 0 if kind == 0 else x == 0))
def write(name, count):
    pictures, labels = bytearray(), bytearray()
    for i in range(count):
        left, top = random.randrange(5), random.randrange(5)
        labels.append(i % 3)
        pictures.extend(random.randrange(40) + (200 if ink(i % 3, p % 8 - left, p // 8 - top) else 0) for p in range(64))
    open(name + "-images-idx3-ubyte", "wb").write(struct.pack(">IIII", 0x803, count, 8, 8) + pictures)
    open(name + "-labels-idx1-ubyte", "wb").write(struct.pack(">II", 0x801, count) + labels)
write("train", 600)
write("t10k", 90)
END
data=train-images-idx3-ubyte
small="--batch 32 --lr 0.005 --shift 1 --held-out 0.1"

expect 0 classify $data --out judge --steps 160 $small --patience 100
printed "of the 90 pictures of t10k-images-idx3-ubyte" "of 60 held-out pictures" "  2 " "written to judge/classifier.safetensors"
says "540 pictures to train on, 60 held out" "classifier of 3 classes"
rows judge/metrics.jsonl $(seq 8 8 160)
! has_charts || [ -s judge/loss.png ] || fail "there is no chart of the looks"
[ ! -e judge/training.safetensors ] || fail "what a training goes on from is left"
expect 0 classify $data --out judge --resume --json # it is done
json 'o["test"] == "t10k-images-idx3-ubyte" and o["n"] == 90 and o["accuracy"] > 0.7' # chance: a third
json '0.8 < o["held_out_accuracy"] <= 1 and o["held_out"] == 60 and 0 < o["step"] <= 160'
# Without a test part, and with one that is named.
cp $data plain.idx
cp train-labels-idx1-ubyte labels.idx
python3 - <<'END'
import zipfile, struct
def npy(shape, kind, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + data
pictures, labels = open("plain.idx", "rb").read()[16:], open("labels.idx", "rb").read()[8:]
with zipfile.ZipFile("shapes.npz", "w") as archive:
    archive.writestr("x.npy", npy("(600, 8, 8)", "|u1", pictures))
    archive.writestr("y.npy", npy("(600,)", "|u1", labels))
END
expect 0 classify shapes.npz --out other --steps 4 $small
printed "there is no test part: accuracy "
expect 0 classify shapes.npz --out other2 --steps 4 $small --test t10k-images-idx3-ubyte
printed "of the 90 pictures of t10k-images-idx3-ubyte"
# CIFAR-10's folder has its test part inside.
mkdir cifar
python3 - <<'END'
import os
for name, count in ("data_batch_1", 40), ("test_batch", 20):
    open(f"cifar/{name}.bin", "wb").write(b"".join(bytes([i % 10]) + os.urandom(3072) for i in range(count)))
END
expect 0 classify cifar --out colours --steps 1 --batch 8
printed "of the 20 pictures of test_batch.bin"

# stop_after ROWS METRICS: ends the training in the background once there are so many.
stop_after() {
    while [ "$(cat "$2" 2>/dev/null | wc -l)" -lt "$1" ] && kill -0 $process 2>/dev/null; do sleep 0.1; done
    kill -TERM $process
    ended || { cat began.err >&2; fail "a classifier that is stopped fails"; }
}
# A signal saves, --resume goes on by the same options.
"$flowcl" classify $data --out stopped --steps 100000 $small --look-every 20 >began.out 2>began.err </dev/null &
process=$!
stop_after 1 stopped/metrics.jsonl
grep -q "go on with: flowcl classify --resume --out stopped" began.err || fail "nobody is told how it goes on"
[ -s stopped/classifier.safetensors ] && [ -s stopped/training.safetensors ] || fail "nothing was saved"
refused 1 "had other options" classify $data --out stopped --resume --steps 90000
refused 1 "go on with --resume" classify $data --out stopped
# The command that is told goes on, also where the data had options of their own: pictures of two sizes, named by a table.
python3 - <<'END'
import os, struct, zlib
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
os.mkdir("several")
with open("names.csv", "w") as table:
    print("file,label,kind", file=table)
    for k in range(60):
        side = 8 + k % 2
        rows = b"".join(b"\0" + os.urandom(side) for _ in range(side))
        open("several/%d.png" % k, "wb").write(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
        print("%d.png,%s,%s" % (k, "xyz", "abc"[k % 3]), file=table)
open("several/60.png", "w").write("no picture")
END
"$flowcl" classify several --image-size 8 --label-file names.csv --label-column kind --skip-damaged --out many --steps 100000 \
    $small --look-every 5 --patience 100000 >began.out 2>began.err </dev/null &
process=$!
stop_after 1 many/metrics.jsonl
began=$(wc -l <many/metrics.jsonl)
command=$(sed -n 's/.*go on with: flowcl //p' began.err)
# shellcheck disable=SC2086 # a list of words
"$flowcl" $command >began.out 2>began.err </dev/null &
process=$!
stop_after $((began + 1)) many/metrics.jsonl
grep -q "resumes at step" began.err || fail "it began anew"
refused 2 "DATA is needed" classify --resume --out none
[ ! -e none ] || fail "a refused classifier left a folder"

# The judge of a model: against the test part, with training pictures as the floor.
expect 0 train $data --labels --out run --model mlp --steps 30 --width 32 --depth 2 --batch 64 --samples-every off
refused 1 "run/config.yaml is not of a classifier" classify $data --out run
[ -s run/metrics.jsonl ] || fail "a classifier took a training's metrics away"
expect 0 eval run $data --features judge --n 80 --steps 5 --chart near.png
printed "against 80 of the 90 of t10k-images-idx3-ubyte" "floor of features: 80 pictures of train-images-idx3-ubyte" \
    "average 0.9" "by the class that was asked for" "5 evaluations a sample" "of 600 pictures"
[ -s near.png ] || fail "there is no chart"
narrow
expect 0 eval run $data --features judge --n 80 --steps 5 --json
json 'set(o["metrics"]) == {"frechet", "kid", "precision", "recall", "density", "coverage", "accuracy", "nearest", "nfe"}'
json 'all(m["floor"] is not None for k, m in o["metrics"].items() if k != "nfe") and o["subjects"][0]["average"]'
json 'o["metrics"]["frechet"]["value"] > o["metrics"]["frechet"]["floor"] > 0 and o["metrics"]["accuracy"]["floor"] > 0.7'
json 'o["metrics"]["frechet"]["floor_points"] == [80, 80] and o["training"] == "train-images-idx3-ubyte"'
json 'o["metrics"]["nearest"]["value"] > o["metrics"]["nearest"]["floor"] > 0 and o["data"] == "t10k-images-idx3-ubyte"'
json '[c["n"] for c in o["classes"]] == [27, 27, 26] and all(c["accuracy_floor"] > 0.3 for c in o["classes"])'
json 'abs(sum(c["n"] * c["accuracy"] for c in o["classes"]) / 80 - o["metrics"]["accuracy"]["value"]) < 1e-9'
# Without floors there are none, neither of what is no distance.
expect 0 eval run $data --features judge --n 80 --steps 5 --floor no --json
json 'all(m["floor"] is None for m in o["metrics"].values()) and o["metrics"]["accuracy"]["value"] >= 0'
json 'all(c["accuracy_floor"] is c["frechet_floor"] is None and c["n"] for c in o["classes"]) and o["floor_draws"] is None'
expect 0 eval run $data --features judge --n 80 --steps 5 --floor no
! grep -q floor out || fail "there are floors that nobody wants"
# Of several the classes are the first one's, which is named.
expect 0 eval run shapes.npz $data --features judge --n 80 --steps 5
printed "by the class that was asked for, of run (average 0.9"
expect 0 eval shapes.npz run $data --features judge --n 80 --steps 5 --ema all --json
json 'o["classes_of"] == {k: o["subjects"][0][k] for k in ("name", "average", "ema")} and o["subjects"][0]["name"] == "run"'
# Against the training pictures, the floor is of others of them, and a picture of the reference is its own nearest one.
expect 0 eval run $data --features judge --n 80 --steps 5 --against train --metrics frechet,nearest,accuracy --json
json 'o["data"] == o["training"] == "train-images-idx3-ubyte" and o["metrics"]["nearest"]["floor"] is None'
json 'o["metrics"]["frechet"]["value"] > o["metrics"]["frechet"]["floor"] > 0'
expect 0 eval run $data --features judge --n 80 --steps 5 --against train --metrics accuracy
printed "is the reference itself: --against train"
expect 0 eval shapes.npz shapes.npz --features judge --metrics precision
printed "is the reference itself: no test part"
# Training pictures as samples: nothing is as near, and their distances are those of two draws.
expect 0 eval shapes.npz $data --features judge --n 80 --json
json 'o["metrics"]["nearest"]["value"] == 0 and "accuracy" not in o["metrics"] and "solver" not in o'
json 'o["metrics"]["precision"]["value"] > 0.5 and o["metrics"]["frechet"]["value"] < 10 * o["metrics"]["frechet"]["floor"]'
# Bits per dimension, where they are named.
expect 0 eval run $data --metrics bpd --n 20 --json
json 'o["metrics"]["bpd"]["value"] > 0 and o["metrics"]["bpd"]["standard_error"] > 0'
cp out first
expect 0 likelihood run $data --n 20 --divergence hutchinson --seed 0 --solver dopri5 --json
json 'abs(o["bits_per_dimension"] - json.load(open("first"))["metrics"]["bpd"]["value"]) < 0.05 * o["bits_per_dimension"]'
refused 1 "its pictures have 64 numbers, those of moons have 2" eval shapes.npz moons --features judge
refused 1 "run" eval run $data --features run
refused 1 "is a classifier of pictures, no model" info judge
refused 1 "missing" eval run $data --features missing
refused 2 "--floor-draws has no use with --features judge" eval run $data --features judge --floor-draws 3
refused 2 "--floor-draws has no use with --metrics kid,nfe" eval run $data --features judge --floor-draws 3 --metrics kid,nfe
refused 2 "--points has no use with --features judge" eval run $data --features judge --points 10
refused 2 "--against: \"all\"" eval run $data --features judge --against all

# Wrong input.
refused 2 "--out" classify $data
refused 1 "a classifier is of pictures" classify moons --out no
refused 1 "plain.idx has no labels" classify plain.idx --out no
refused 1 "judge/classifier.safetensors is there already: choose another folder" classify $data --out judge
refused 1 "plain.idx has no labels" classify $data --out no --test plain.idx
refused 1 "moons has pictures of another size" classify $data --out no --test moons
[ ! -e no ] || fail "a refused classifier left a folder"
refused 1 "plain.idx has no labels" classify plain.idx --out deep/er/
[ ! -e deep ] || fail "a refused classifier left folders"
mkdir deep
refused 1 "plain.idx has no labels" classify plain.idx --out deep/er/no
[ -d deep ] && [ ! -e deep/er ] || fail "a refused classifier left a folder, or took one away"
refused 2 "--shift" classify $data --out no --shift 100
refused 1 "missing.npz" classify missing.npz --out no
exit 0
