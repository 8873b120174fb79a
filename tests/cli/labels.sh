#!/bin/sh
# Classes: those without samples are named and left out, the others are drawn as often as the data has them.
. "$(dirname "$0")/lib.sh"

# Three clusters in the plane, of classes 1, 2 and 4, with 75, 20 and 5 % of the points.
cat >clusters.py <<'END'
import random, struct, zipfile
def npy(kind, shape, packed):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + packed
def npz(name, arrays):
    with zipfile.ZipFile(name, "w") as file:
        for array, content in arrays.items():
            file.writestr(array + ".npy", content)
centre = {1: (-4, 0), 2: (4, 0), 4: (0, 6)}
END
cat >data.py <<'END'
from clusters import *
labels = [1] * 750 + [2] * 200 + [4] * 50
random.shuffle(labels)
points = [c + random.gauss(0, 0.3) for k in labels for c in centre[k]]
npz("data.npz", {"x": npy("<f4", (1000, 2), struct.pack("<2000f", *points)),
                 "y": npy("<i8", (1000,), struct.pack("<1000q", *labels))})
only = [centre[4][0], centre[4][1]] * 10
npz("none.npz", {"x": npy("<f4", (10, 2), struct.pack("<20f", *only)), "y": npy("<i8", (10,), struct.pack("<10q", *[3] * 10))})
npz("four.npz", {"x": npy("<f4", (10, 2), struct.pack("<20f", *only)), "y": npy("<i8", (10,), struct.pack("<10q", *[4] * 10))})
END
python3 data.py || fail "no data"

expect 0 train data.npz --labels --out run --steps 600 --width 64 --depth 2 --batch 256 --lr 0.005 --samples-every off
says "3 classes, 1 to 2, 4, with 5 to 75 % of the samples each" "without samples, and left out: 0, 3"

refused 2 "label-drop 0.1 has no use without labels" train data.npz --label-drop 0.1 --out no
refused 2 "label-drop" train data.npz --labels --label-drop 1 --out no
expect 0 train data.npz --labels --label-drop 0.25 --out drop --steps 1500 --width 64 --depth 2 --batch 256 --lr 0.005 --samples-every off
says "left out: 0, 3; not told for 25 % of the samples of a step"
expect 0 info drop
printed "not told for 25 % of the samples of a step"
refused 1 "trained with label-drop 0.25, not 0" train --out drop --resume --label-drop 0

# How many of n samples lie at each centre.
counted() { # counted FILE N1 N2 N4
    python3 - "$@" <<'END' || fail "$1: the classes' shares are not those of the data"
import sys
from clusters import centre
rows = [tuple(map(float, line.split(",")[:2])) for line in list(open(sys.argv[1]))[1:]]
near = lambda p: min(centre, key=lambda k: sum((a - b) ** 2 for a, b in zip(p, centre[k])))
found = {k: sum(near(p) == k for p in rows) for k in centre}
print(found)
wanted = dict(zip(centre, map(int, sys.argv[2:5])))
assert all(abs(found[k] - wanted[k]) <= 2 + len(rows) // 100 for k in centre)
END
}
expect 0 sample run --n 400 --out all.csv
counted all.csv 300 80 20
expect 0 sample run --n 400 --out parts.csv --batch 57
python3 - <<'END' || fail "the size of the parts changes the samples"
read = lambda name: [tuple(map(float, line.split(","))) for line in list(open(name))[1:]]
assert max(abs(a - b) for p, q in zip(read("all.csv"), read("parts.csv")) for a, b in zip(p, q)) < 1e-4
END
expect 0 sample run --n 40 --out four.csv --label 4
counted four.csv 0 0 40

# Several classes share the samples in their order; no class is as the data are, and its file has no labels.
expect 0 sample drop --n 30 --out two.csv --label 4,1
counted two.csv 15 0 15
[ "$(sed -n 16p two.csv | cut -d, -f3)" = 4 ] && [ "$(sed -n 17p two.csv | cut -d, -f3)" = 1 ] || fail "classes are mixed"
expect 0 sample drop --n 400 --out none.csv --label none
[ "$(head -n 1 none.csv | tr -cd , | wc -c)" -eq 1 ] || fail "samples of no class have labels"
python3 - <<'END' || fail "samples of no class are not as the data"
from clusters import centre
rows = [tuple(map(float, line.split(","))) for line in open("none.csv")]
at = sum((p[0] + 4) ** 2 + p[1] ** 2 < 4 for p in rows)
print(at)
assert 220 < at < 360 and len(rows) == 400
END

# Guidance: a class of few samples becomes a narrower one; solvers, densities and eval take it; 1 changes nothing.
expect 0 sample drop --n 100 --out one.npy --label 4
expect 0 sample drop --n 100 --out same.npy --label 4 --guidance 1
cmp one.npy same.npy || fail "guidance 1 is not the class's own flow"
expect 0 sample drop --n 100 --out guided.npy --label 4 --guidance 3
printed "100 samples by euler in 100 steps, guidance 3: " "100 function evaluations a sample, each with and without the class"
cmp -s one.npy guided.npy && fail "guidance 3 changes nothing"
expect 0 sample drop --n 20 --out late.npy --label 4 --guidance 3 --guidance-interval 0.5,1 --solver dopri5 --json
json 'o["guidance"] == 3 and o["guidance_interval"] == "0.5,1" and o["unfinished"] == 0'
expect 0 sample drop --n 20 --out p.npz --label 4 --guidance 2 --logp --steps 5
printed "mean log p"
expect 0 eval drop data.npz --n 200 --label 4 --guidance 2 --metrics sliced,nfe --steps 5 --json
json 'o["metrics"]["nfe"]["value"] == 5 and o["guidance"] == 2'
expect 0 eval drop data.npz --n 200 --label none --metrics sliced --steps 5
expect 0 likelihood drop four.npz --solver euler --steps 5 --guidance 2 --label 4
refused 1 "guidance 2 is away from the flow of no class" sample run --n 4 --out no.csv --guidance 2
refused 1 "trained without label-drop" sample run --n 4 --out no.csv --label none
refused 1 "guidance 2 has no use with label none" sample drop --n 4 --out no.csv --guidance 2 --label none
refused 2 "guidance-interval 0,1 has no use without guidance" sample drop --out no.csv --guidance-interval 0,1
refused 2 "expected two times" sample drop --out no.csv --guidance 2 --guidance-interval 1
refused 2 "expected a number from 0.01 to 1000" sample drop --out no.csv --guidance 0
refused 1 "label '4' is given twice" sample drop --n 4 --out no.csv --label 4,4
refused 1 "more than there are samples: 1" sample drop --n 1 --out no.csv --label 4,1
refused 1 "beside data of one class, or of all" eval drop data.npz --label 4,1
refused 2 "--guidance has no use without a model" eval two.csv data.npz --guidance 2
expect 0 train data.npz --out unlabelled --steps 1 --width 8 --depth 1 --batch 8 --samples-every off
refused 1 "guidance 2 is towards a class, and the model was trained without labels: train it with labels and label-drop" \
    sample unlabelled --out no.csv --guidance 2

# A picture has each class in a colour of its own.
expect 0 sample run --n 400 --out all.png
python3 - <<'END' || fail "a picture does not tell three classes"
import colorsys, png
rows, channels = png.read("all.png")
hues = {}
for row in rows:
    for i in range(0, len(row), channels):
        hue, saturation, _ = colorsys.rgb_to_hsv(*(byte / 255 for byte in row[i:i + 3]))
        if saturation > 0.4:
            hues[int(24 * hue)] = hues.get(int(24 * hue), 0) + 1
print(hues)
assert sum(pixels > 100 for pixels in hues.values()) == 3
END

# Equal shares would be 5.5 away: a third and not 75 % at the first centre.
expect 0 eval run data.npz --n 1000 --metrics w2 --json --floor no
json 'o["metrics"]["w2"]["value"] < 1.5'

expect 0 info run
printed "3 classes, 1 to 2, 4, with 5 to 75 % of the samples each;" "without samples, and left out: 0, 3"
narrow
expect 0 info run --json
json 'o["classes"] == 5 and o["class_counts"] == [0, 750, 200, 0, 50]'

for label in 0 3 5 -1 one; do
    refused 1 "label '$label' is not one of the model's classes, 1 to 2, 4" sample run --n 4 --out no.csv --label=$label
done
refused 1 "label 3 of sample 0 is not one of the model's classes, 1 to 2, 4" likelihood run none.npz
refused 1 "label 3 of sample 0 is not one of the model's classes, 1 to 2, 4" sample run --encode none.npz --out no.csv
refused 1 "--label 3: data.npz has no sample of that class, it has 1 to 2, 4" eval run data.npz --label 3
[ ! -e no.csv ] || fail "a refused call wrote a file"
expect 0 likelihood run four.npz --solver rk4 --steps 8
exit 0
