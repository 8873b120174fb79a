#!/bin/sh
# Distances of samples and models to data: known values, the floor, the properties of models, wrong input.
. "$(dirname "$0")/lib.sh"

# Points on a grid, the same moved by (3, 4), others with three numbers, and far fewer.
python3 - <<'END'
grid = [(x, y) for x in range(20) for y in range(20)]
write = lambda name, rows: open(name, "w").write("".join(",".join(map(str, r)) + "\n" for r in rows))
write("a.csv", grid)
write("b.csv", [(x + 3, y + 4) for x, y in reversed(grid)])
write("three.csv", [(1, 2, 3)] * 5)
write("one.csv", [(1, 2)])
write("line.csv", [(x,) for x in range(50)])
write("line2.csv", [(x + 0.5,) for x in range(50)])
END
expect 0 eval b.csv a.csv
printed "400 samples of b.csv" "against 400 of the 400 of a.csv" "w2 " "floor: the same distance between two draws of 200" "mmd "
narrow
expect 0 eval b.csv a.csv --json --projections 4000
json 'all(abs(o["metrics"][k]["value"] - 5) < 1e-4 for k in ("w1", "w2")) and o["reference"] == 400'
json 'abs(o["metrics"]["sliced"]["value"] - 5 / 2 ** 0.5) < 0.1 and o["metrics"]["energy"]["value"] > 0.5'
json '0 < o["metrics"]["w2"]["floor"] < 3 and o["floor_points"] == 200 and "nfe" not in o["metrics"]'
# 400 points are too few for two draws of 400: the floor is of halves, and the value of as many stands beside it.
json 'all(m["floor_points"] == [200, 200] and not m["floor_disjoint"] for m in o["metrics"].values())'
json '5 < o["metrics"]["w2"]["value_at_floor_points"] < 7 and o["floor_draws"] == 5'
expect 0 eval b.csv a.csv --metrics w2
printed "at the floor's 200 points: "
# The energy distance of two draws of n points has the mean 2/n E|x - x'|: here from all pairs of the data.
python3 - <<'END'
import random
random.seed()
points = [random.gauss(0, 1) for _ in range(6000)]
write = lambda name, rows: open(name, "w").write("".join(f"{x!r}\n" for x in rows))
write("many.csv", points)
write("few.csv", points[:150])
points.sort()
pairs = sum((2 * i - 5999) * x for i, x in enumerate(points)) * 2 / (6000 * 5999)
open("pairs", "w").write(repr(pairs))
END
expect 0 eval few.csv many.csv --metrics energy --floor-draws 20 --json
json 'o["metrics"]["energy"]["floor_points"] == [150, 150] and o["metrics"]["energy"]["floor_disjoint"]'
json 'o["metrics"]["energy"]["value_at_floor_points"] is None and 0 < o["metrics"]["energy"]["floor_deviation"]'
json '(lambda m, mean: abs(m["floor"] - mean) < 5 * m["floor_deviation"] / 20 ** 0.5 + 0.1 * mean)(o["metrics"]["energy"], 2 / 150 * float(open("pairs").read()))'
# Of a generated set the floor has as many points as the value, however many these are.
python3 -c '
import random
for _ in range(50100): print(random.gauss(0, 2), random.gauss(0, 2), sep=",")' >half.csv
expect 0 eval half.csv rings --metrics sliced --projections 2 --floor-draws 2 --json
json 'o["metrics"]["sliced"]["floor_points"] == [50100, 50100] and o["metrics"]["sliced"]["floor_disjoint"]'
expect 0 eval a.csv a.csv --json --floor no --metrics w1,w2,sliced,energy
json 'all(abs(m["value"]) < 1e-6 and m["floor"] is None for m in o["metrics"].values()) and len(o["metrics"]) == 4'
expect 0 eval line2.csv line.csv --json --metrics w1
json 'abs(o["metrics"]["w1"]["value"] - 0.5) < 1e-6'
expect 0 eval a.csv b.csv --metrics w2 --points 100 --n 150
printed "150 samples of a.csv" "100 points each drawn"
expect 0 eval a.csv b.csv a.csv --json --metrics w2
json 'o["metrics"]["w2"]["values"][0] < 1e-6 and abs(o["metrics"]["w2"]["value"] - 2.5) < 1e-4'
json 'abs(o["metrics"]["w2"]["deviation"] - 5 / 2 ** 0.5) < 1e-4 and len(o["subjects"]) == 2'
expect 0 eval a.csv b.csv --metrics mmd --bandwidth 0.5,2
printed "kernels of 0.5,2"

# Features of any program: a row each. What is of features is measured where it is named, not by default.
python3 - <<'END'
import random, struct
random.seed()
def write(name, rows):
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
    head += " " * (-(len(head) + 11) % 64) + "\n"
    open(name, "wb").write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() +
                           b"".join(struct.pack("<%dd" % len(r), *r) for r in rows))
rows = [[random.gauss(0, 1) for _ in range(3)] for _ in range(300)]
write("f.npy", rows)
write("g.npy", [[x + 2 for x in r] for r in reversed(rows)])
write("few.npy", rows[:3])
END
head -c 2000 f.npy >cut.npy
expect 0 eval f.npy g.npy --metrics frechet,kid,precision
printed "300 samples of f.npy" "frechet " "of all points" "k = 3, 300 points each"
narrow
expect 0 eval f.npy g.npy --metrics frechet,kid,recall,density,coverage --json --floor-draws 2
json 'abs(o["metrics"]["frechet"]["value"] - 12) < 1e-3 and o["metrics"]["frechet"]["floor_points"] == [150, 150]'
json 'o["metrics"]["kid"]["value"] > 1 and "standard_error" not in o["metrics"]["kid"]'
json '0 <= o["metrics"]["coverage"]["value"] < 1 and "standard_error" not in o["metrics"]["recall"]'
expect 0 eval f.npy few.npy --metrics kid --floor no --json --n 200
json 'o["metrics"]["kid"]["standard_error"] > 0 and "100 subsets of 3" in o["metrics"]["kid"]["how"]'
refused 2 "nearest needs --features DIR" eval f.npy g.npy --metrics nearest
refused 2 "--against has no use without --features" eval f.npy g.npy --against train
expect 0 eval f.npy f.npy --metrics precision,coverage,density --floor no --json
json 'o["metrics"]["precision"]["value"] == o["metrics"]["coverage"]["value"] == 1'
expect 0 eval f.npy g.npy --json --floor no
json 'not {"frechet", "kid", "precision"} & set(o["metrics"])'
refused 1 "precision needs at least 4 points of each set, not 3 and 3" eval few.npy f.npy --metrics precision
refused 1 "cut.npy" eval cut.npy f.npy --metrics frechet
refused 1 "cut.npy" eval f.npy cut.npy --metrics frechet

expect 0 eval a.csv b.csv --metrics w2 --chart points.png
[ -s points.png ] || fail "there is no chart"

# A model.
expect 0 train moons --out run --steps 100 --width 16 --depth 2 --batch 64 --samples-every off
expect 0 eval run moons --n 300 --steps 10 --json --metrics sliced --data-seed 2
cp out other
expect 0 eval run moons --n 300 --steps 10 --json --chart model.png
json 'o["metrics"]["sliced"]["value"] != json.load(open("other"))["metrics"]["sliced"]["value"]'
python3 - <<'END' || fail "the chart of a model is not half as wide again as one of samples"
import struct
width = lambda name: struct.unpack(">I", open(name, "rb").read()[16:20])[0]
assert 2 * width("model.png") == 3 * width("points.png")
END
json 'o["metrics"]["nfe"]["value"] == 10 and o["subjects"][0]["step"] == 100 and o["floor_points"] == 300'
json 'set(o["metrics"]) >= {"w1", "w2", "sliced", "energy", "mmd", "path-energy", "ot-cost", "npe", "straightness", "nfe"}'
json '(lambda m: abs(m["npe"] - abs(m["path-energy"] - m["ot-cost"]) / m["ot-cost"]) < 1e-6)({k: v["value"] for k, v in o["metrics"].items()})'
json '(lambda m: abs(o["metrics"]["npe"]["signed"] - (m["path-energy"] / m["ot-cost"] - 1)) < 1e-6)({k: v["value"] for k, v in o["metrics"].items()})'
json 'o["metrics"]["path-energy"]["value"] > o["metrics"]["straightness"]["value"] > 0'
cp out first
expect 0 eval run moons --n 300 --steps 10 --json
cmp -s out first || python3 - <<'END' || fail "the same evaluation gave other numbers"
import json
a, b = (json.load(open(name))["metrics"] for name in ("out", "first"))
assert a == b
END
expect 0 eval run moons --n 300 --steps 10 --json --seed 1 --metrics path-energy
json 'set(o["metrics"]) == {"path-energy"}'
# The likelihood is that of flowcl likelihood.
expect 0 eval run a.csv --json --metrics nll
cp out first
expect 0 likelihood run a.csv --solver dopri5 --json
json 'abs(o["nll"] - json.load(open("first"))["metrics"]["nll"]["value"]) < 1e-3 * abs(o["nll"])'
expect 0 eval run a.csv --source b.csv --metrics nll,path-energy --n 50
printed "the source's density is not known" "path-energy"
# A stochastic solver has samples, a density by another solver, and no paths.
expect 0 eval run a.csv --n 50 --steps 10 --solver euler-maruyama --sde-w 0.5 --metrics w2,nll,path-energy,npe --json
json 'o["metrics"]["w2"]["value"] > 0 and o["metrics"]["npe"]["value"] is None'
json 'o["metrics"]["nll"]["value"] > 0 and "adds noise" in o["metrics"]["path-energy"]["how"]'
# Of one class, data and samples are of that class; a model with classes needs those of the data.
expect 0 train moons --labels --out classes --steps 2 --width 16 --depth 2 --batch 64 --samples-every off
expect 0 eval classes moons --n 200 --steps 10 --label 1 --metrics w2
printed "against 200 of the 50000 of moons"
# Paths that are not yet as long as optimal transport's: the text has the sign.
expect 0 eval classes moons --n 200 --steps 5 --metrics npe
grep -q '^npe *-0[.]' out || fail "npe has no sign"
expect 0 eval classes a.csv --n 50 --metrics nll
printed "the data has no labels"
expect 0 eval classes moons --n 50 --metrics nll --json
json 'o["metrics"]["nll"]["value"] > 0'

# Wrong input.
: >empty.csv
printf '1,2\n3,nan\n' >nan.csv
refused 2 "needs" eval a.csv
refused 1 "missing.csv" eval missing.csv a.csv
refused 1 "missing.csv" eval a.csv missing.csv
refused 1 "did you mean 'moons'?" eval a.csv mons
refused 1 "empty.csv is empty" eval empty.csv a.csv
refused 1 "nan.csv, line 2: the value of column 2 is missing in row 2" eval nan.csv a.csv
refused 1 "three.csv: its samples have 3 numbers each, those of a.csv have 2" eval three.csv a.csv
refused 1 "run: its samples have 2 numbers each, those of three.csv have 3" eval run three.csv
refused 1 "mmd needs at least 2 points of each set, not 1 and 1" eval one.csv a.csv
refused 2 'there is no metric "w22"; did you mean "w2"?' eval a.csv b.csv --metrics w22
refused 2 "nfe is a property of models, not of samples" eval a.csv b.csv --metrics w2,nfe
refused 2 "bandwidth: \"wide\"" eval run missing.csv --bandwidth wide
refused 2 "--bandwidth has no use with --metrics sliced" eval a.csv b.csv --metrics sliced --bandwidth 1
refused 2 "--floor-draws has no use with --metrics nfe" eval run moons --metrics nfe --floor-draws 9
refused 2 "--floor-draws has no use with --floor no" eval a.csv b.csv --floor no --floor-draws 9
refused 2 "--floor-draws: \"1\" is not usable" eval a.csv b.csv --floor-draws 1
refused 2 "--points has no use with --metrics nfe" eval run moons --metrics nfe --points 9
refused 2 "--projections has no use with --metrics w2" eval a.csv b.csv --metrics w2 --projections 9
refused 2 "--solver has no use without a model: a.csv holds samples" eval a.csv b.csv --solver rk4
refused 2 "--device has no use without a model" eval a.csv b.csv --device cpu
refused 1 "--data-seed has no use with b.csv" eval a.csv b.csv --data-seed 2
refused 2 "--points: \"0\" is not usable" eval a.csv b.csv --points 0
refused 1 "has no sample of that class" eval a.csv b.csv --label 1
refused 1 "--label upper: moons has no sample of that class" eval a.csv moons --label upper
refused 2 "has to end in .png" eval a.csv b.csv --chart points.jpg
refused 1 "the folder missing does not exist" eval a.csv b.csv --chart missing/a.png
refused 1 "no such thing" eval run moons --device "no such thing"
mkdir nothing
refused 1 "nothing" eval nothing moons
exit 0
