#!/bin/sh
# Log densities of data and of samples, bits per dimension of pictures, weights against an energy.
. "$(dirname "$0")/lib.sh"
fixed="--solver rk4 --steps 8"

expect 0 train moons --out run --steps 200 --width 16 --depth 2 --batch 64 --samples-every off
expect 0 likelihood run moons --n 40 $fixed --out a.csv
printed "negative log-likelihood" "mean of 40 samples of moons" "divergence               exact" "32.0 a sample"
narrow
[ "$(head -n 1 a.csv)" = logp ] && [ "$(wc -l <a.csv)" -eq 41 ] || fail "a.csv is no column of 40 log densities"
grep -q "bits per dimension" out && fail "bits per dimension of floats"
expect 0 likelihood run moons --n 40 $fixed --json
json 'o["n"] == 40 and o["divergence"] == "exact" and o["nfe"] == 32 and "bits_per_dimension" not in o'
json 'abs(o["nll"] + sum(map(float, open("a.csv").read().split()[1:])) / 40) < 1e-4'
expect 0 likelihood run moons --n 40 $fixed --data-seed 2 --out other.csv
cmp -s a.csv other.csv && fail "another --data-seed gave the same points"

# Samples carry the density that they are found to have; each file says it in its way.
expect 0 sample run --n 40 $fixed --logp --out b.npz
printed "mean log p"
expect 0 sample run --n 40 $fixed --logp --out b.csv
expect 0 likelihood run b.npz $fixed --out c.csv
python3 - <<'END' || fail "a sample and the same point as data have different densities"
carried = [line.strip().split(",") for line in open("b.csv")]
found = open("c.csv").read().split()
assert carried[0] == ["x1", "x2", "logp"] and found[0] == "logp" and len(found) == len(carried) == 41
assert max(abs(float(a[2]) - float(b)) for a, b in zip(carried[1:], found[1:])) < 0.02
END
expect 0 sample run --n 40 $fixed --logp --out b.npy
[ -s b.npy ] && [ -s b.logp.npy ] || fail "no log densities beside b.npy"

# Weights by a formula and by a file of the same numbers.
expect 0 sample run --n 40 $fixed --energy "0.5*(x1^2 + x2^2)" --out d.csv --json
json '1 <= o["ess"] <= 40 and o["log_z_error"] > 0 and abs(o["log_z"] - 1.84) < 3'
cp out first
python3 - <<'END'
rows = [[float(x) for x in line.split(",")] for line in open("d.csv").readlines()[1:]]
open("x.csv", "w").writelines("%.9g,%.9g\n" % tuple(r[:2]) for r in rows)
open("energy.csv", "w").writelines("%.9g\n" % (0.5 * (r[0]**2 + r[1]**2)) for r in rows)
END
expect 0 likelihood run x.csv $fixed --energy energy.csv --json --out w.npy
json 'abs(o["log_z"] - json.load(open("first"))["log_z"]) < 0.02'
expect 0 likelihood run x.csv $fixed --energy energy.csv
printed "log Z" "effective sample size"

# Pictures of bytes.
python3 - <<'END'
import random, struct
random.seed(1)
with open("pictures.idx", "wb") as f:
    f.write(struct.pack(">HBBIII", 0, 8, 3, 50, 3, 4))
    f.write(bytes(min(255, max(0, int(random.gauss(128, 40)))) for _ in range(50 * 12)))
END
expect 0 train pictures.idx --out pictures --steps 100 --width 16 --depth 2 --batch 50 --samples-every off
expect 0 likelihood pictures pictures.idx --n 20 $fixed --json
cp out exact
json 'abs(o["bits_per_dimension"] - (o["nll"] / 12 / math.log(2) + 7)) < 1e-9 and 4 < o["bits_per_dimension"] < 12'
expect 0 likelihood pictures pictures.idx --n 20 $fixed --divergence hutchinson --probes 32 --json
json 'abs(o["nll"] - json.load(open("exact"))["nll"]) < 5 * o["hutchinson_error"] + 1e-3 and o["hutchinson_error"] > 0'
expect 0 likelihood pictures pictures.idx --n 20 $fixed --divergence hutchinson --probes 1 --probe normal
printed "bits per dimension" "two would tell its error"

refused 2 "belong to hutchinson" likelihood run moons --probes 3
refused 2 "no use without --logp" sample run --out e.csv --probes 3
refused 2 "flowcl likelihood" sample run --out e.csv --logp --encode x.csv
refused 1 "x3" sample run --n 4 $fixed --out e.csv --energy "x1*x3"
refused 1 "takes one number for each of 40" likelihood run x.csv $fixed --energy x.csv
refused 1 "its samples have 12 numbers each" likelihood run pictures.idx
refused 1 "normal source" sample run --out e.csv --logp --source moons
refused 2 '"euler-maruyama" is not usable: expected one of euler, ' likelihood run moons --solver euler-maruyama
refused 2 "unknown option --sde-w" likelihood run moons --sde-w t
refused 2 "picture.png: numbers go to .npy, .npz or .csv" likelihood run moons --out picture.png
refused 1 "--data-seed has no use with x.csv" likelihood run x.csv --data-seed 2
refused 1 "--seed has no use here" likelihood run x.csv --seed 2
refused 1 "x3" likelihood run x.csv --energy x3
