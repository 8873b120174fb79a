#!/bin/sh
# Data of any scale and pictures of any range: what is said, and that everything comes back in the data's units.
. "$(dirname "$0")/lib.sh"

cat >arrays.py <<'END'
import math, struct
def write_npy(name, kind, shape, values):
    head = "{'descr': '<%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    code = {"f4": "f", "i8": "q"}[kind]
    open(name, "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode()
                           + struct.pack("<%d%s" % (len(values), code), *values))
def read_npy(name):
    content = open(name, "rb").read()
    begin = 10 + struct.unpack("<H", content[8:10])[0]
    return struct.unpack("<%df" % ((len(content) - begin) // 4), content[begin:])
def read_csv(name):
    return [tuple(map(float, line.split(","))) for line in open(name)]
def about(column):
    mean = sum(column) / len(column)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in column) / len(column))
END
cat >data.py <<'END'
import random
from arrays import *
row = lambda: (random.gauss(101325, 800), random.gauss(0.02, 0.004), 7)
rows = [row() for _ in range(800)]
open("weather.csv", "w").writelines("%.9g,%.9g,%g\n" % r for r in rows)
open("unit.csv", "w").writelines("%.9g,%.9g\n" % (random.gauss(3, 1), random.gauss(-2, 2)) for _ in range(200))
shade = [min(1, max(0, random.gauss(0.75, 0.1) if i % 2 else random.gauss(0.25, 0.1))) for i in range(300 * 20)]
write_npy("floats.npy", "f4", (300, 4, 5), [0, 1] + shade[2:])
write_npy("bytes.npy", "f4", (300, 4, 5), [0, 255] + [255 * x for x in shade[2:]])
write_npy("whole.npy", "i8", (300, 1, 4, 5), [0, 16] + [round(16 * x) for x in shade[2:]])
write_npy("odd.npy", "f4", (300, 4, 5), [400 + 100 * x for x in shade])
even = [random.random() for _ in range(20 * 8 * 8 * 3)]
write_npy("grey.npy", "f4", (20, 8, 8), even[:20 * 8 * 8])
write_npy("colour.npy", "i8", (20, 8, 8, 3), [round(255 * x) for x in even])
write_npy("series.npy", "f4", (20, 8, 12), even[:20 * 8 * 12])
END
python3 data.py || fail "no data"
small="--steps 300 --width 32 --depth 2 --batch 64 --lr 0.005"

# Columns.
expect 0 train weather.csv --out weather $small --samples-every off
says "scale   the model sees (x1 - 101" ", x3 - 7"
expect 0 info weather
printed "scale       the model sees (x1 - 101"
expect 0 explain weather
printed "normalise   auto" "the model sees (x1 - 101"
expect 0 info weather --json
json 'abs(o["normalisation"]["centre"][0] - 101325) < 200 and abs(o["normalisation"]["scale"][1] / 0.004 - 1) < 0.2'
json 'o["normalisation"]["centre"][2] == 7 and o["normalisation"]["scale"][2] == 1'
expect 0 sample weather --n 1000 --steps 20 --out samples.csv
python3 - <<'END' || fail "samples are not in the data's units"
from arrays import *
for found, wanted in zip(zip(*read_csv("samples.csv")), zip(*read_csv("weather.csv"))):
    (mean, spread), (centre, scale) = about(found), about(wanted)
    print(mean, spread, centre, scale)
    assert abs(mean - centre) < 0.3 * (scale or 1)
    assert 0.7 * scale < spread < 1.3 * scale if scale else spread < 0.3
END
expect 0 sample weather --encode samples.csv --n 50 --solver rk4 --steps 10 --out noise.csv
expect 0 sample weather --decode noise.csv --solver rk4 --steps 10 --out back.csv
python3 - <<'END' || fail "data are not carried to noise and back"
from arrays import *
samples, noise, back = map(read_csv, ("samples.csv", "noise.csv", "back.csv"))
assert all(abs(x) < 6 for row in noise for x in row) and len(noise) == 50
assert all(abs(a - b) < 5e-3 * s for r, q in zip(samples, back) for a, b, s in zip(r, q, (800, 0.004, 1)))
END

# A density of two columns in other units differs by the Jacobian; an evaluation tells it, too.
python3 - <<'END'
from arrays import *
rows = read_csv("unit.csv")
open("far.csv", "w").writelines("%.9g,%.9g\n" % (256 * x + 4096, y / 64) for x, y in rows)
END
for name in unit far; do
    expect 0 train $name.csv --normalise columns --out $name --steps 50 --width 16 --depth 2 --batch 64 --samples-every off
    says "the model sees (x1 - "
    expect 0 likelihood $name $name.csv --solver rk4 --steps 10 --json
    cp out $name.json
    expect 0 eval $name $name.csv --n 100 --metrics nll --floor no --json
    cp out $name.eval
done
python3 - <<'END' || fail "densities do not differ by the Jacobian"
import json, math
nll = lambda name: json.load(open(name))["nll"]
value = lambda name: json.load(open(name))["metrics"]["nll"]["value"]
assert abs(nll("far.json") - nll("unit.json") - math.log(256) + math.log(64)) < 0.01
assert abs(value("far.eval") - value("unit.eval") - math.log(256) + math.log(64)) < 0.01
END

# Data on the scale of noise, and what is told to stay, stay.
expect 0 train unit.csv --out stays --steps 2 --width 8 --depth 1 --samples-every off
grep -q "the model sees" err && fail "data of unit scale were moved"
expect 0 train weather.csv --normalise off --out off --steps 2 --width 8 --depth 1 --samples-every off
grep -q "the model sees" err && fail "--normalise off moved the data"
expect 0 train moons --normalise auto --out moons --steps 2 --width 8 --depth 1 --samples-every off
grep -q "the model sees" err && fail "a built-in set was moved"
expect 0 train weather.csv --normalise 101325,800,0.02,0.004,7,1 --out numbers --steps 2 --width 8 --depth 1 --samples-every off
says "(x1 - 101325)/800, (x2 - 0.02)/0.004, x3 - 7"
expect 0 train --resume --out numbers --steps 3
says "(x1 - 101325)/800, (x2 - 0.02)/0.004, x3 - 7"

# Pictures.
while read -r file least most scale; do
    expect 0 train "$file.npy" --out "$file" $small --samples-every 300
    says "pictures from $least to $most, the model sees (x - "
    [ -s "$file/samples-0000000300.png" ] || fail "$file has no picture"
    expect 0 sample "$file" --n 64 --steps 20 --out "$file.samples.npy"
    expect 0 sample "$file" --n 64 --steps 20 --out "$file.png"
    python3 - "$file" "$scale" <<'END' || fail "the pictures of $file do not come back"
import png, sys
from arrays import *
name, scale = sys.argv[1], float(sys.argv[2])
x = read_npy(name + ".samples.npy")
for k, shade in ((0, 0.25), (1, 0.75)):
    assert abs(about(x[k::2])[0] / scale - shade) < 0.06, about(x[k::2])
# Each number is a block of equal bytes, on a white ground.
rows, channels = png.read(name + ".png")
assert channels == 1
side = (len(rows[0]) - 2) // 8 // 5 # pixels of a number: 8 pictures of 5 numbers in a row, 2 pixels between
for k in range(20):
    inside = rows[2 + k // 5 * side + side // 2][2 + k % 5 * side + side // 2]
    wanted = min(255, max(0, 255 * x[k] / scale))
    assert abs(inside - wanted) <= 1, (k, inside, wanted)
END
done <<'END'
floats 0 1 1
bytes 0 255 255
whole 0 16 16
END
expect 0 train odd.npy --range 400,500 --out odd $small --samples-every off
says "pictures from 400 to 500, the model sees (x - 450)/50"
expect 0 eval odd odd.npy --n 64 --steps 10 --metrics w2 --floor no --chart odd.png --json
json 'o["metrics"]["w2"]["value"] < 150'
expect 0 sample odd --n 9 --steps 10 --logp --out logp.png
[ -s logp.png ] && [ -s logp.logp.npy ] || fail "no picture beside its densities"

# Pictures of any numbers have the model of pictures, and tables theirs.
refused 1 "pictures have the model unet where no other is named" train grey.npy --width 8 --out no
refused 1 "pictures have the model unet where no other is named" train colour.npy --width 8 --out no
expect 0 train series.npy --out series --steps 1 --width 8 --depth 1 --samples-every off
says "samples of (8, 12)" "its shape (20, 8, 12) may be that of tables" "model   mlp"
expect 0 train colour.npy --model mlp --out colour --steps 2 --width 8 --depth 1 --samples-every 2
says "samples of (3, 8, 8)" "its shape (20, 8, 8, 3) is read as (N, H, W, C)" "pictures from 0 to 255, the model sees (x - 127.5)/127.5"
[ -s colour/samples-0000000002.png ] || fail "no picture of whole numbers, channels last"
expect 0 eval colour colour.npy --n 16 --steps 2 --metrics w2 --floor no

refused 1 "normalise columns has no use with moons: built-in sets are not normalised" train moons --normalise columns --out no
refused 1 "range 0,1 is for pictures" train unit.csv --range 0,1 --out no
refused 2 "did you mean \"columns\"?" train unit.csv --normalise column --out no
refused 2 "normalise: \"1,0\" is not usable" train unit.csv --normalise 1,0 --out no
refused 2 "range: \"5\" is not usable" train odd.npy --range 5 --out no
refused 1 "neither a centre and a scale for all, nor a pair for each of the 2" train unit.csv --normalise 1,2,3,4,5,6 --out no
refused 1 "it was trained with normalise auto, not all" train --resume --out weather --steps 400 --normalise all
exit 0
